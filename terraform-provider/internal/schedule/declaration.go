// This file reads what of a plan or state is not the engine's business.
package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// declaration is where the schedule is, and how it is to be treated there.
type declaration struct {
	target, name, executable, environmentFile string
	enabled, overwrite                        bool
	imported                                  bool // by its id, of which nothing else is known yet
}

func (d declaration) id() string      { return ID(d.target, d.name) }
func (d declaration) timer() string   { return d.name + ".timer" }
func (d declaration) service() string { return d.name + ".service" }

// attributes is a plan, a state or a configuration.
type attributes interface {
	GetAttribute(ctx context.Context, path path.Path, target interface{}) diag.Diagnostics
}

func declarationOf(ctx context.Context, from attributes, diags *diag.Diagnostics) declaration {
	text := func(name string) string {
		var value types.String
		diags.Append(from.GetAttribute(ctx, path.Root(name), &value)...)
		return value.ValueString()
	}
	flag := func(name string) bool {
		var value types.Bool
		diags.Append(from.GetAttribute(ctx, path.Root(name), &value)...)
		return value.ValueBool()
	}
	var backup types.Object
	diags.Append(from.GetAttribute(ctx, path.Root("backup"), &backup)...)
	return declaration{target: text("target"), name: text("name"), executable: text("executable"), environmentFile: text("environment_file"),
		enabled: flag("enabled"), overwrite: flag("overwrite"), imported: backup.IsNull()}
}

// secretsOf gives nil where the configuration has none: then the environment file is not this schedule's. They are only in the
// configuration: plan and state hold null.
func secretsOf(ctx context.Context, config tfsdk.Config, diags *diag.Diagnostics) map[string]string {
	var given types.Map
	diags.Append(config.GetAttribute(ctx, path.Root("secret_environment_wo"), &given)...)
	if diags.HasError() || given.IsNull() {
		return nil
	}
	secrets := map[string]string{}
	for name, value := range given.Elements() {
		text, isText := value.(types.String)
		if !isText || text.IsNull() || text.IsUnknown() {
			diags.AddAttributeError(path.Root("secret_environment_wo").AtMapKey(name), "No Value", "The variable "+name+
				" has no value. Leave it out, or give it a text.")
			continue
		}
		secrets[name] = text.ValueString()
	}
	return secrets
}

// setComputed sets what follows from the target and the name.
func (d declaration) setComputed(ctx context.Context, state *tfsdk.State, diags *diag.Diagnostics) {
	for name, value := range map[string]string{"id": d.id(), "service_unit": d.service(), "timer_unit": d.timer()} {
		diags.Append(state.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func setDrift(ctx context.Context, state *tfsdk.State, drift []string, diags *diag.Diagnostics) {
	diags.Append(state.SetAttribute(ctx, path.Root("drift"), drift)...)
}
