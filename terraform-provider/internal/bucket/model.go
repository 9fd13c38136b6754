// This file is a bucket as Terraform has it, and as the engine has it (docs/engine.md).
package bucket

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

type bucketModel struct {
	Name               types.String         `tfsdk:"name"`
	Region             types.String         `tfsdk:"region"`
	Versioning         types.String         `tfsdk:"versioning"`
	ObjectLockEnabled  types.Bool           `tfsdk:"object_lock_enabled"`
	ObjectLock         types.Object         `tfsdk:"object_lock"`
	LifecycleRules     types.Map            `tfsdk:"lifecycle_rules"`
	Policy             jsontypes.Normalized `tfsdk:"policy"`
	Tags               types.Map            `tfsdk:"tags"`
	DeletionProtection types.Bool           `tfsdk:"deletion_protection"`
	ForceDestroy       types.Bool           `tfsdk:"force_destroy"`
}

type objectLockModel struct {
	Mode  types.String `tfsdk:"mode"`
	Days  types.Int64  `tfsdk:"days"`
	Years types.Int64  `tfsdk:"years"`
}

var objectLockTypes = map[string]attr.Type{"mode": types.StringType, "days": types.Int64Type, "years": types.Int64Type}

// described is a bucket as bucket.get gives it.
type described struct {
	Exists            bool              `json:"exists"`
	Region            string            `json:"region"`
	Versioning        string            `json:"versioning"`
	ObjectLock        *retention        `json:"object_lock"`
	ObjectLockEnabled bool              `json:"object_lock_enabled"`
	Lifecycle         json.RawMessage   `json:"lifecycle"`
	Policy            *string           `json:"policy"`
	Tags              map[string]string `json:"tags"`
	Problems          map[string]string `json:"problems"` // parts that could not be asked for, and why
}

type retention struct {
	Mode  string `json:"mode"` // GOVERNANCE, COMPLIANCE
	Days  int64  `json:"days,omitempty"`
	Years int64  `json:"years,omitempty"`
}

const noRetention = "none"

// wanted gives what bucket.apply is asked for: the parts of plan that are managed, without those that prior has already.
func (m bucketModel) wanted(ctx context.Context, prior *bucketModel, diags *diag.Diagnostics) map[string]any {
	parts := map[string]any{}
	changed := func(now, before attr.Value) bool { return !now.IsNull() && (prior == nil || !now.Equal(before)) }
	if prior == nil {
		prior = &bucketModel{}
	}
	if changed(m.Versioning, prior.Versioning) {
		parts["versioning"] = m.Versioning.ValueString()
	}
	if changed(m.ObjectLock, prior.ObjectLock) {
		parts["object_lock"] = m.retention(ctx, diags)
	}
	if changed(m.LifecycleRules, prior.LifecycleRules) {
		parts["lifecycle"] = lifecycleDocument(ctx, m.LifecycleRules, diags)
	}
	if changed(m.Policy, prior.Policy) {
		parts["policy"] = policyText(m.Policy.ValueString())
	}
	if changed(m.Tags, prior.Tags) {
		tags := map[string]string{}
		diags.Append(m.Tags.ElementsAs(ctx, &tags, false)...)
		parts["tags"] = tags
	}
	return parts
}

// retention is nil where there shall be none.
func (m bucketModel) retention(ctx context.Context, diags *diag.Diagnostics) *retention {
	var lock objectLockModel
	diags.Append(m.ObjectLock.As(ctx, &lock, basetypes.ObjectAsOptions{UnhandledUnknownAsEmpty: true})...)
	if lock.Mode.ValueString() == noRetention || lock.Mode.IsNull() {
		return nil
	}
	return &retention{Mode: strings.ToUpper(lock.Mode.ValueString()), Days: lock.Days.ValueInt64(), Years: lock.Years.ValueInt64()}
}

// locks says whether the plan needs a bucket whose objects can be locked. What is unknown counts as no.
func (m bucketModel) locks(ctx context.Context, diags *diag.Diagnostics) bool {
	if m.ObjectLockEnabled.ValueBool() {
		return true
	}
	return !m.ObjectLock.IsNull() && !m.ObjectLock.IsUnknown() && m.retention(ctx, diags) != nil
}

// policyText gives nil for what means that there is no policy: null and {}.
func policyText(policy string) *string {
	switch strings.TrimSpace(policy) {
	case "", "null", "{}":
		return nil
	}
	return &policy
}

// take puts what the server has into the model, part by part: those that are managed, and where all is set every one.
// seen is what the server had after the last apply: servers rewrite policies, and forget parts of rules; what is still as it
// was then is no drift.
func (m *bucketModel) take(ctx context.Context, found described, seen seenParts, all bool, diags *diag.Diagnostics) {
	m.Region = types.StringValue(found.Region)
	if _, hidden := found.Problems["object_lock"]; !hidden || m.ObjectLockEnabled.IsNull() || m.ObjectLockEnabled.IsUnknown() {
		m.ObjectLockEnabled = types.BoolValue(found.ObjectLockEnabled)
	}
	managed := func(part string, value attr.Value) bool {
		reason, hidden := found.Problems[part]
		if hidden && !value.IsNull() {
			diags.AddWarning("Unable to Read a Part of the Bucket", "The "+strings.ReplaceAll(part, "_", " ")+" of the bucket "+
				m.Name.ValueString()+" could not be read, and is taken to be as it was: "+reason)
		}
		return !hidden && (all || !value.IsNull())
	}
	if managed("versioning", m.Versioning) && !(all && found.Versioning == "off") {
		m.Versioning = types.StringValue(found.Versioning)
	}
	if managed("object_lock", m.ObjectLock) && !(all && found.ObjectLock == nil) {
		m.takeObjectLock(ctx, found.ObjectLock, diags)
	}
	if managed("lifecycle", m.LifecycleRules) && !(all && isNull(found.Lifecycle)) && !sameJSON(found.Lifecycle, seen.Lifecycle) {
		m.LifecycleRules = rulesFrom(ctx, found.Lifecycle, m.LifecycleRules, diags)
	}
	if managed("policy", m.Policy) && !(all && found.Policy == nil) && !samePolicy(found.Policy, seen.Policy) {
		m.takePolicy(found.Policy)
	}
	if managed("tags", m.Tags) && !(all && len(found.Tags) == 0) {
		tags, problems := types.MapValueFrom(ctx, types.StringType, found.Tags)
		diags.Append(problems...)
		m.Tags = tags
	}
}

func (m *bucketModel) takeObjectLock(ctx context.Context, found *retention, diags *diag.Diagnostics) {
	if found == nil {
		if m.ObjectLock.IsNull() || m.retention(ctx, diags) != nil {
			m.ObjectLock = types.ObjectValueMust(objectLockTypes, map[string]attr.Value{
				"mode": types.StringValue(noRetention), "days": types.Int64Null(), "years": types.Int64Null()})
		}
		return
	}
	m.ObjectLock = types.ObjectValueMust(objectLockTypes, map[string]attr.Value{
		"mode": types.StringValue(strings.ToLower(found.Mode)), "days": positive(found.Days), "years": positive(found.Years)})
}

func (m *bucketModel) takePolicy(found *string) {
	if found == nil {
		if policyText(m.Policy.ValueString()) != nil {
			m.Policy = jsontypes.NewNormalizedValue("null")
		}
		return
	}
	if !sameJSON([]byte(*found), []byte(m.Policy.ValueString())) {
		m.Policy = jsontypes.NewNormalizedValue(*found)
	}
}

func positive(number int64) types.Int64 {
	if number == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(number)
}
