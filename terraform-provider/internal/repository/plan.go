// This file is what of a repository can be judged while planning. Nothing is opened for it.
package repository

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// ValidateConfig judges attributes against each other.
func (r *repositoryResource) ValidateConfig(ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse) {
	diags := &response.Diagnostics
	var config repositoryModel
	diags.Append(request.Config.Get(ctx, &config)...)
	if diags.HasError() {
		return
	}
	validate.ForceDestroy(config.ForceDestroy, config.DeletionProtection, diags)
}

// ModifyPlan decides which computed attributes an update changes, and says before a destroy what it leaves.
func (r *repositoryResource) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	diags := &response.Diagnostics
	var state, plan repositoryModel
	if request.State.Raw.IsNull() {
		return
	}
	diags.Append(request.State.Get(ctx, &state)...)
	if diags.HasError() {
		return
	}
	if request.Plan.Raw.IsNull() {
		if state.stays() {
			diags.AddWarning("Repository Will Be Left in Place", leftInPlace(state.Location.ValueString()))
		}
		return
	}
	diags.Append(request.Plan.Get(ctx, &plan)...)
	if diags.HasError() || !plan.Location.Equal(state.Location) {
		return // another location is planned as a replacement, and asked about once more without a state
	}
	if known := state.FormatVersion; !known.IsNull() && !plan.FormatVersion.IsUnknown() && !plan.FormatVersion.Equal(known) {
		diags.AddAttributeError(path.Root("format_version"), "Unable to Plan Repository", fmt.Sprintf("The format of the "+
			"repository at %s has version %d, which this resource does not "+
			"change. Set format_version = %d or leave it out; or make a second recoup_repository at another location, and "+
			"fill it with \"recoup copy\".",
			state.Location.ValueString(), known.ValueInt64(), known.ValueInt64()))
	}
	set := func(name string, value any) { diags.Append(response.Plan.SetAttribute(ctx, path.Root(name), value)...) }
	isImported := state.RepositoryID.IsNull()
	if isImported {
		set("repository_id", types.StringUnknown())
		if state.FormatVersion.IsNull() && plan.FormatVersion.IsNull() {
			set("format_version", types.Int64Unknown())
		}
	}
	if isImported || passwordChanged(plan, state) {
		set("key_id", types.StringUnknown())
	}
	if isImported || !plan.ExtraKeys.Equal(state.ExtraKeys) || plan.ExtraKeys.IsUnknown() || keysMissing(ctx, plan, state) {
		set("extra_key_ids", types.MapUnknown(types.StringType))
	}
}

func passwordChanged(plan, state repositoryModel) bool {
	return !plan.PasswordWOVersion.Equal(state.PasswordWOVersion) || !plan.PasswordFile.Equal(state.PasswordFile) ||
		!plan.PasswordCommand.Equal(state.PasswordCommand)
}

// keysMissing says whether a key that is wanted is not there, because somebody removed it.
func keysMissing(_ context.Context, plan, state repositoryModel) bool {
	ids := state.ExtraKeyIDs.Elements()
	wanted := plan.ExtraKeys.Elements()
	for name := range wanted {
		if _, ok := ids[name]; !ok {
			return true
		}
	}
	return len(ids) != len(wanted)
}
