// This file is what is checked of a configuration without the engine.
package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// withoutSuffix refuses names that systemd would take for another kind of unit, or that would become NAME.service.service.
type withoutSuffix []string

func (v withoutSuffix) Description(context.Context) string {
	return "must not end with " + strings.Join(v, " or ")
}
func (v withoutSuffix) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v withoutSuffix) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	for _, suffix := range v {
		if name, found := strings.CutSuffix(req.ConfigValue.ValueString(), suffix); found {
			resp.Diagnostics.AddAttributeError(req.Path, "Invalid Name", fmt.Sprintf(
				"The name %s, the units' endings are added to it: write %q.", v.Description(ctx), name))
		}
	}
}

// secretVariables open repositories and accounts: whoever reads the unit or the state must not get them.
var secretVariables = []string{
	"RESTIC_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "B2_ACCOUNT_KEY", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS",
	"OS_PASSWORD", "OS_APPLICATION_CREDENTIAL_SECRET", "ST_KEY", "RESTIC_REST_PASSWORD", "RCLONE_CONFIG_PASS", "RESTIC_FROM_PASSWORD",
}

// noSecretVariables keeps secrets out of `environment`, where they would end in the unit and in the state.
type noSecretVariables struct{}

func (noSecretVariables) Description(context.Context) string { return "must hold no secrets" }
func (v noSecretVariables) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

func (noSecretVariables) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for name, value := range req.ConfigValue.Elements() {
		if text, ok := value.(types.String); ok && text.IsNull() {
			resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(name), "No Value", fmt.Sprintf(
				"%s is null. Leave it out, or give it a text.", name))
		}
		if slices.Contains(secretVariables, name) {
			resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(name), "Secret in environment", fmt.Sprintf(
				"%s is a secret, and what is in `environment` can be read in the unit and in the state. Put it into "+
					"`secret_environment_wo`, which is written to the environment file only.", name))
		}
	}
}

// keepsSomething refuses a retention that says nothing: its author meant either no retention at all, or a number.
type keepsSomething struct{}

func (keepsSomething) Description(context.Context) string { return "must keep something" }
func (v keepsSomething) MarkdownDescription(ctx context.Context) string {
	return v.Description(ctx)
}

func (keepsSomething) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	for name, value := range req.ConfigValue.Attributes() {
		if !strings.HasPrefix(name, "keep_") || value.IsNull() {
			continue
		}
		number, isNumber := value.(types.Int64)
		if value.IsUnknown() || !isNumber || number.ValueInt64() != 0 {
			return
		}
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Nothing Kept", "This retention keeps no snapshot at all. Give at least one of keep_last, "+
		"keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_within or keep_tags; or leave retention out, "+
		"which keeps everything.")
}
