// This file makes secrets and searches for them.
package acctest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// Random gives that many random bytes in hexadecimal.
func Random(t *testing.T, bytes int) string {
	t.Helper()
	buffer := make([]byte, bytes)
	if _, err := rand.Read(buffer); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(buffer)
}

// FindSecret says where in text the secret is, as it is or as programs write it (base64, URL, JSON); "" if it is not there.
func FindSecret(text, secret string) string {
	quoted, _ := json.Marshal(secret)
	forms := map[string]string{"as it is": secret, "in JSON": strings.Trim(string(quoted), `"`), "in a URL": url.QueryEscape(secret)}
	// Base64 of a longer text contains one of three forms, by the position of the secret in it; ends that mix with neighbours go.
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		from, to := (shift*8+5)/6, (shift+len(secret))*8/6
		forms[fmt.Sprintf("in base64 after %d bytes", shift)] = encoded[from:to]
	}
	for how, form := range forms {
		if at := strings.Index(text, form); at >= 0 {
			return fmt.Sprintf("%s, at byte %d: …%s…", how, at, text[max(0, at-60):at])
		}
	}
	return ""
}

// CheckNoSecret is a check of a step: no attribute of the state contains one of the secrets.
func CheckNoSecret(secrets ...string) resource.TestCheckFunc {
	return func(state *terraform.State) error {
		text, err := json.Marshal(state)
		if err != nil {
			return err
		}
		for _, secret := range secrets {
			if where := FindSecret(string(text), secret); where != "" {
				return fmt.Errorf("the state contains a secret %s", where)
			}
		}
		return nil
	}
}
