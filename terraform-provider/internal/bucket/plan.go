// This file is what of a bucket can be judged while planning. No server is dialled for it.
package bucket

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

func isNotEmpty(err error) bool { return engine.HasCode(err, "not_empty") }
func isGone(err error) bool     { return engine.HasCode(err, engine.CodeNotFound) }

// ValidateConfig judges attributes against each other. What is unknown is passed over; what is null is not.
func (r *bucketResource) ValidateConfig(ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse) {
	diags := &response.Diagnostics
	var config bucketModel
	diags.Append(request.Config.Get(ctx, &config)...)
	if diags.HasError() {
		return
	}
	validate.ForceDestroy(config.ForceDestroy, config.DeletionProtection, diags)
	r.validateObjectLock(ctx, config, response)
	if config.LifecycleRules.IsNull() || config.LifecycleRules.IsUnknown() {
		return
	}
	for id, element := range config.LifecycleRules.Elements() {
		rule, ok := element.(types.Object)
		if !ok || rule.IsUnknown() {
			continue
		}
		nothing := true
		for name, value := range rule.Attributes() {
			nothing = nothing && (value.IsNull() || name == "prefix" || name == "enabled")
		}
		if nothing {
			diags.AddAttributeError(path.Root("lifecycle_rules").AtMapKey(id), "Invalid Attribute Combination",
				"This rule does nothing. Set noncurrent_expire_after_days, abort_incomplete_uploads_after_days or another of "+
					"its attributes, or remove it.")
		}
	}
}

func (r *bucketResource) validateObjectLock(ctx context.Context, config bucketModel, response *resource.ValidateConfigResponse) {
	diags := &response.Diagnostics
	if config.ObjectLock.IsNull() || config.ObjectLock.IsUnknown() {
		return
	}
	var lock objectLockModel
	diags.Append(config.ObjectLock.As(ctx, &lock, basetypes.ObjectAsOptions{})...)
	if lock.Mode.IsUnknown() || lock.Days.IsUnknown() || lock.Years.IsUnknown() {
		return
	}
	at := path.Root("object_lock")
	hasTime := !lock.Days.IsNull() || !lock.Years.IsNull()
	if lock.Mode.ValueString() == noRetention {
		if hasTime {
			diags.AddAttributeError(at.AtName("mode"), "Invalid Attribute Combination", "With mode \"none\" there is no "+
				"retention: remove days and years, or choose governance or compliance.")
		}
		return
	}
	if !hasTime {
		diags.AddAttributeError(at, "Invalid Attribute Combination", "Say for how long objects are locked: set days or years.")
	}
	if !config.ObjectLockEnabled.IsNull() && !config.ObjectLockEnabled.IsUnknown() && !config.ObjectLockEnabled.ValueBool() {
		diags.AddAttributeError(path.Root("object_lock_enabled"), "Invalid Attribute Combination", "object_lock needs a "+
			"bucket whose objects can be locked: remove object_lock_enabled = false, or object_lock.")
	}
	if config.Versioning.ValueString() == "suspended" {
		diags.AddAttributeError(path.Root("versioning"), "Invalid Attribute Combination", "Object lock needs versioning: set "+
			"versioning = \"enabled\", or leave it out.")
	}
}

// ModifyPlan refuses what no server does to a bucket that exists, instead of planning to replace the bucket, and says before
// a destroy what it will leave.
func (r *bucketResource) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	diags := &response.Diagnostics
	var state, plan bucketModel
	if !request.State.Raw.IsNull() {
		diags.Append(request.State.Get(ctx, &state)...)
	}
	if request.Plan.Raw.IsNull() {
		if !diags.HasError() && state.DeletionProtection.ValueBool() {
			diags.AddWarning("Bucket Will Be Left in Place", leftInPlace(state.Name.ValueString()))
		}
		return
	}
	diags.Append(request.Plan.Get(ctx, &plan)...)
	if diags.HasError() {
		return
	}
	isNew := request.State.Raw.IsNull() || !plan.Name.Equal(state.Name)
	locks := plan.locks(ctx, diags)
	if isNew {
		var configured types.Bool
		diags.Append(request.Config.GetAttribute(ctx, path.Root("object_lock_enabled"), &configured)...)
		if configured.IsNull() {
			value := types.BoolUnknown()
			if !plan.ObjectLock.IsNull() && !plan.ObjectLock.IsUnknown() && plan.retention(ctx, diags) != nil {
				value = types.BoolValue(true)
			}
			diags.Append(response.Plan.SetAttribute(ctx, path.Root("object_lock_enabled"), value)...)
		}
		if !plan.Name.Equal(state.Name) {
			diags.Append(response.Plan.SetAttribute(ctx, path.Root("region"), types.StringUnknown())...)
		}
		return
	}
	if state.ObjectLockEnabled.IsNull() {
		return // its creation failed half way: nothing is known
	}
	if locks && !state.ObjectLockEnabled.ValueBool() {
		diags.AddAttributeError(lockPath(plan), "Unable to Plan Bucket", lockRemedy(state.Name.ValueString()))
	}
	if !plan.ObjectLockEnabled.IsUnknown() && !plan.ObjectLockEnabled.ValueBool() && state.ObjectLockEnabled.ValueBool() {
		diags.AddAttributeError(path.Root("object_lock_enabled"), "Unable to Plan Bucket", unlockRemedy(state.Name.ValueString()))
	}
}

func lockPath(plan bucketModel) path.Path {
	if plan.ObjectLockEnabled.ValueBool() {
		return path.Root("object_lock_enabled")
	}
	return path.Root("object_lock")
}

func lockRemedy(name string) string {
	return fmt.Sprintf("The bucket %s was made without object lock, and that cannot be changed afterwards; it is not "+
		"replaced, because that would lose "+
		"what is in it. Make a second recoup_bucket with object_lock_enabled = true, copy what is here with \"recoup bucket "+
		"sync\", and use "+
		"that one; or remove object_lock and object_lock_enabled here.", name)
}

func unlockRemedy(name string) string {
	return fmt.Sprintf("The bucket %s was made with object lock, which cannot be taken from it. Remove object_lock_enabled = "+
		"false; to lock new objects no "+
		"longer, set object_lock = { mode = \"none\" }.", name)
}
