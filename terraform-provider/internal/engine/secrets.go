// This file keeps the secrets of a request out of what is said about it.
package engine

import (
	"slices"
	"strings"
)

// secretMembers are the parameters whose values are secret (docs/engine.md). Below secret_environment every text is.
var secretMembers = []string{"password", "new_password", "secret_key", "session_token"}

const secretTree = "secret_environment"

// collectSecrets gives the secret texts in a decoded request, the longest first, so that one that contains another is
// replaced whole.
func collectSecrets(value any) []string {
	var found []string
	var walk func(value any, secret bool)
	walk = func(value any, secret bool) {
		switch typed := value.(type) {
		case map[string]any:
			for name, member := range typed {
				walk(member, secret || name == secretTree || slices.Contains(secretMembers, name))
			}
		case []any:
			for _, member := range typed {
				walk(member, secret)
			}
		case string:
			if secret && typed != "" {
				found = append(found, typed)
			}
		}
	}
	walk(value, false)
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(found)
}

// redact replaces the secrets in text. Those of fewer than four bytes are left: they would be found in every word.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return text
}
