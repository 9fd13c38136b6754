// This file finds the recoup executable.
package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// EnvironmentVariable names the executable where the provider's engine_path does not.
const EnvironmentVariable = "RECOUP_ENGINE"

func executableName() string {
	if runtime.GOOS == "windows" {
		return "recoup.exe"
	}
	return "recoup"
}

// Path finds the recoup executable: where engine_path or RECOUP_ENGINE say it is; else beside the provider, which is where a
// release puts it; else on PATH. What was named explicitly is not replaced by something else that happens to be there.
func (c *Client) Path() (string, error) { return c.find() }

func (c *Client) find() (string, error) {
	if c.settings.EnginePath != "" {
		return named(c.settings.EnginePath, "the provider's engine_path", "engine_path")
	}
	if path := os.Getenv(EnvironmentVariable); path != "" {
		return named(path, "the environment's "+EnvironmentVariable, "")
	}
	beside := ""
	if provider, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(provider); err == nil {
			provider = resolved // a mirror's directory is linked into the working directory
		}
		beside = filepath.Join(filepath.Dir(provider), executableName())
		if isExecutable(beside) == nil {
			return beside, nil
		}
	}
	if path, err := exec.LookPath("recoup"); err == nil {
		return path, nil
	}
	return "", &Error{Code: CodeMissing, Attribute: "engine_path", Message: fmt.Sprintf(
		"The recoup executable was not found: neither beside the provider (%s) nor on PATH (%s). Install recoup on the machine "+
			"that runs Terraform, or say where it is with the provider's attribute engine_path or the environment variable %s.",
		beside, os.Getenv("PATH"), EnvironmentVariable)}
}

func named(path, where, attribute string) (string, error) {
	if err := isExecutable(path); err != nil {
		return "", &Error{Code: CodeMissing, Attribute: attribute, Message: fmt.Sprintf(
			"The recoup executable cannot be used: %s says %q, but %v. Correct it, or leave it out to use the one beside the "+
				"provider or on PATH.", where, path, err)}
	}
	return path, nil
}

func isExecutable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}
