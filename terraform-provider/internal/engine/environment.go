// This file decides what the engine's process sees of the provider's environment.
package engine

import (
	"os"
	"slices"
	"strings"
)

// inherited is what a program needs to find itself, its caches, its proxies, its trusted certificates and AWS's configuration.
// Everything else stays out: the environment of a Terraform run is full of other programs' secrets (TF_VAR_…, PROXMOX_VE_…).
var inherited = []string{
	"HOME", "PATH", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "LANG", "TZ", "TZDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
	"XDG_RUNTIME_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSH_AUTH_SOCK",
	"SYSTEMROOT", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "LD_LIBRARY_PATH", "RESTIC_CACHE_DIR",
}

// Environment gives what the engine's process inherits of the provider's. extra names further variables, as the provider's engine_environment lists them.
func Environment(extra []string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		upper := strings.ToUpper(name) // proxies are written in either case
		if slices.Contains(inherited, upper) || strings.HasPrefix(upper, "AWS_") || strings.HasPrefix(upper, "LC_") ||
			slices.Contains(extra, name) {
			kept = append(kept, variable)
		}
	}
	return kept
}
