// Package diagnosis turns errors of the engine into diagnostics that name the attribute to blame and the remedy.
package diagnosis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
)

// Places says which attribute of a resource each parameter of the engine comes from: "repository.location" -> location.
type Places map[string]path.Path

// Append adds err as an error at the attribute that the engine blames. summary is "Unable to <Verb> <Thing>".
func Append(diags *diag.Diagnostics, summary string, err error, places Places) {
	var failed *engine.Error
	if !errors.As(err, &failed) {
		diags.AddError(summary, err.Error())
		return
	}
	detail := sentence(failed.Message)
	if remedy := remedyFor(failed); remedy != "" {
		detail += "\n\n" + remedy
	}
	if at, ok := places[failed.Attribute]; ok {
		diags.AddAttributeError(at, summary, detail)
		return
	}
	diags.AddError(summary, detail)
}

// sentence begins with a capital and ends with a full stop: the engine's messages are made to follow "recoup: ".
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return "The engine gave no reason."
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// environmentOf names what stands in for a provider attribute that is not set.
var environmentOf = map[string]string{
	"s3.endpoint": "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL", "s3.region": "AWS_REGION", "s3.access_key": "AWS_ACCESS_KEY_ID",
	"s3.secret_key": "AWS_SECRET_ACCESS_KEY", "s3.session_token": "AWS_SESSION_TOKEN", "s3.ca_file": "SSL_CERT_FILE",
	"engine_path": engine.EnvironmentVariable,
}

// remedyFor says what to do in terms of the configuration; the engine's message is in terms of the server.
func remedyFor(failed *engine.Error) string {
	switch failed.Code {
	case engine.CodeMissing, engine.CodeProtocol, engine.CodeCrashed:
		return ""
	}
	var text string
	if strings.HasPrefix(failed.Attribute, "s3.") {
		text = fmt.Sprintf("Correct %s in the provider's configuration", failed.Attribute)
		if variable := environmentOf[failed.Attribute]; variable != "" {
			text += fmt.Sprintf(" (or, where it is not set there, %s)", variable)
		}
		text += "."
	}
	switch failed.Code {
	case engine.CodeUnreachable:
		text = join(text, "Is the server running, and can the machine that runs Terraform reach it? If this apply creates the "+
			"server, let this resource depend on it.")
	case engine.CodeDenied:
		// A directory was not opened: the engine has said as whom, and what to do.
		ofAFile := strings.Contains(failed.Message, "Permission denied") || strings.Contains(failed.Message, "Operation not permitted")
		if text == "" && !ofAFile {
			text = "Check the credentials (the provider's s3.access_key and s3.secret_key, or AWS_ACCESS_KEY_ID and " +
				"AWS_SECRET_ACCESS_KEY) and what the server's policies let them do."
		}
	case engine.CodePassword:
		text = join(text, "Check where the password comes from. A repository's password is changed by raising "+
			"password_wo_version "+
			"with previous_password_wo set, not by giving another one.")
	}
	return text
}

func join(first, second string) string {
	return strings.TrimSpace(first + " " + second)
}
