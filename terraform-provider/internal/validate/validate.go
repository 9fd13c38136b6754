// Package validate has the validators that several schemas share. Unknown and null values pass: they are judged once known.
package validate

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// Text is a validator of strings that is a function: its error says what is wrong and what would be right.
type Text struct {
	Wants string                   // for documentation: "a URL"
	Check func(value string) error // nil where the value is right
}

var _ validator.String = Text{}

// Description says what the value must be.
func (t Text) Description(context.Context) string { return "must be " + t.Wants }

// MarkdownDescription says what the value must be.
func (t Text) MarkdownDescription(ctx context.Context) string { return t.Description(ctx) }

// ValidateString applies Check.
func (t Text) ValidateString(_ context.Context, request validator.StringRequest, response *validator.StringResponse) {
	if request.ConfigValue.IsNull() || request.ConfigValue.IsUnknown() {
		return
	}
	if err := t.Check(request.ConfigValue.ValueString()); err != nil {
		response.Diagnostics.AddAttributeError(request.Path, "Invalid Attribute Value", err.Error())
	}
}

// URL wants an absolute URL of one of these schemes without a path, a query or credentials.
func URL(schemes ...string) validator.String {
	example := schemes[0] + "://10.20.0.2:8443"
	return Text{Wants: "a URL of " + strings.Join(schemes, " or "), Check: func(value string) error {
		parsed, err := url.Parse(value)
		switch {
		case err != nil:
			return fmt.Errorf("this is not a URL (%w). Write it as %s", err, example)
		case !slices.Contains(schemes, parsed.Scheme) || parsed.Host == "":
			return fmt.Errorf("%q is not a URL of %s with a host. Write it as "+
				"%s", parsed.Redacted(), strings.Join(schemes, " or "), example)
		case parsed.User != nil:
			return fmt.Errorf("%q carries credentials: put them into their own attributes, where they are kept "+
				"secret", parsed.Redacted())
		case strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "":
			return fmt.Errorf("%q goes on after the host: give scheme, host and port only, as %s", parsed.Redacted(), example)
		}
		return nil
	}}
}

// Fingerprint wants a SHA-256 in hexadecimal; colons between the bytes and capitals are fine.
func Fingerprint() validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile(`^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$`),
		"must be the SHA-256 of a certificate: 64 hexadecimal digits")
}

// ProxmoxToken wants USER@REALM!TOKENID=UUID. Its error does not repeat the value, which is secret.
func ProxmoxToken() validator.String {
	pattern := regexp.MustCompile(`^[^@!= ]+@[^@!= ]+![^@!= ]+=[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	return Text{Wants: "USER@REALM!TOKENID=UUID", Check: func(value string) error {
		if !pattern.MatchString(value) {
			return fmt.Errorf("this is not an API token of Proxmox VE. Write it as USER@REALM!TOKENID=UUID: " +
				"root@pam!terraform=, followed by " +
				"the secret that was shown when the token was made")
		}
		return nil
	}}
}
