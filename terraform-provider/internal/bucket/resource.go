// This file is the life of a bucket: made or adopted, changed in place, left behind or removed.
package bucket

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

type bucketResource struct {
	data *providerdata.Data
}

var (
	_ resource.ResourceWithConfigure      = (*bucketResource)(nil)
	_ resource.ResourceWithIdentity       = (*bucketResource)(nil)
	_ resource.ResourceWithImportState    = (*bucketResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*bucketResource)(nil)
	_ resource.ResourceWithValidateConfig = (*bucketResource)(nil)
)

// NewResource makes recoup_bucket.
func NewResource() resource.Resource { return &bucketResource{} }

var places = diagnosis.Places{
	"bucket": path.Root("name"), "versioning": path.Root("versioning"), "object_lock": path.Root("object_lock"),
	"lifecycle": path.Root("lifecycle_rules"), "policy": path.Root("policy"), "tags": path.Root("tags"),
}

func (r *bucketResource) Metadata(_ context.Context, request resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_bucket"
}

func (r *bucketResource) Configure(_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse) {
	r.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

// parameters are those of every method for this bucket.
func (r *bucketResource) parameters(name types.String, more map[string]any) map[string]any {
	parameters := map[string]any{"s3": r.data.Settings.S3, "bucket": name.ValueString()}
	for key, value := range more {
		parameters[key] = value
	}
	return parameters
}

func (r *bucketResource) get(ctx context.Context, name types.String, diags *diag.Diagnostics) (found described) {
	if err := r.data.Engine.Call(ctx, "bucket.get", r.parameters(name, nil), &found, nil); err != nil {
		diagnosis.Append(diags, "Unable to Read Bucket", err, places)
	}
	return found
}

// Create makes the bucket, or adopts it if it is there and ours. It is in the state before anything else is done with it, so
// that no failure leaves a bucket that nobody keeps track of.
func (r *bucketResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	diags := &response.Diagnostics
	var plan bucketModel
	diags.Append(request.Plan.Get(ctx, &plan)...)
	if diags.HasError() {
		return
	}
	before := r.get(ctx, plan.Name, diags)
	if diags.HasError() {
		return
	}
	adopted := before.Exists
	if adopted {
		checkAdoption(ctx, plan, before, diags)
	} else {
		var made struct {
			Created bool `json:"created"`
		}
		err := r.data.Engine.Call(ctx, "bucket.create", r.parameters(plan.Name, map[string]any{"object_lock": plan.locks(ctx, diags)}), &made, nil)
		if err != nil {
			diagnosis.Append(diags, "Unable to Create Bucket", err, places)
		}
	}
	if diags.HasError() {
		return
	}
	// Should the rest fail, Terraform taints the bucket and replaces it in the next apply. Its state must then forbid to remove
	// anything: an adopted bucket has data, and force_destroy counts only once it was applied.
	tracked := bucketModel{Name: plan.Name, Region: types.StringNull(), ObjectLockEnabled: types.BoolNull(),
		ObjectLock: types.ObjectNull(objectLockTypes), LifecycleRules: types.MapNull(ruleType), Tags: types.MapNull(types.StringType),
		DeletionProtection: types.BoolValue(true), ForceDestroy: types.BoolValue(false)}
	diags.Append(response.State.Set(ctx, tracked)...)
	r.identify(ctx, response.Identity, plan.Name, diags)
	found, ok := r.apply(ctx, &plan, nil, diags)
	if adopted {
		warnOfAdoption(plan.Name.ValueString(), before, found, ok, diags)
	}
	if ok {
		writeSeen(ctx, response.Private, found, diags)
		diags.Append(response.State.Set(ctx, plan)...)
	}
}

// checkAdoption refuses what a bucket that exists cannot become.
func checkAdoption(ctx context.Context, plan bucketModel, found described, diags *diag.Diagnostics) {
	name := plan.Name.ValueString()
	if plan.locks(ctx, diags) && !found.ObjectLockEnabled {
		diags.AddAttributeError(lockPath(plan), "Unable to Adopt Bucket", lockRemedy(name))
		return
	}
	unlocked := !plan.ObjectLockEnabled.IsUnknown() && !plan.ObjectLockEnabled.IsNull() && !plan.ObjectLockEnabled.ValueBool()
	if unlocked && found.ObjectLockEnabled {
		diags.AddAttributeError(path.Root("object_lock_enabled"), "Unable to Adopt Bucket", unlockRemedy(name))
	}
}

// warnOfAdoption says what adopting the bucket changed in it.
func warnOfAdoption(name string, before, after described, succeeded bool, diags *diag.Diagnostics) {
	detail := fmt.Sprintf("The bucket %s was there already. It is managed from now on, with what is in it.", name)
	if differing := differences(before, after); succeeded && len(differing) > 0 {
		detail += " Its settings differed from the configuration and were changed: " + strings.Join(differing, ", ") + "."
	}
	diags.AddAttributeWarning(path.Root("name"), "Bucket Adopted", detail)
}

// differences names the attributes in which two states of a bucket differ.
func differences(before, after described) []string {
	var names []string
	note := func(name string, same bool) {
		if !same {
			names = append(names, name)
		}
	}
	note("lifecycle_rules", sameJSON(before.Lifecycle, after.Lifecycle))
	note("object_lock", cmp.Equal(before.ObjectLock, after.ObjectLock))
	note("policy", cmp.Equal(before.Policy, after.Policy))
	note("tags", maps.Equal(before.Tags, after.Tags))
	note("versioning", before.Versioning == after.Versioning)
	return names
}

// apply sets what differs between prior and plan, and completes the plan with what the server computed.
func (r *bucketResource) apply(ctx context.Context, plan, prior *bucketModel, diags *diag.Diagnostics) (described, bool) {
	parts := plan.wanted(ctx, prior, diags)
	if diags.HasError() {
		return described{}, false
	}
	var found described
	if len(parts) == 0 {
		found = r.get(ctx, plan.Name, diags)
	} else if err := r.data.Engine.Call(ctx, "bucket.apply", r.parameters(plan.Name, parts), &found, nil); err != nil {
		diagnosis.Append(diags, "Unable to Update Bucket", err, places)
	}
	if diags.HasError() {
		return described{}, false
	}
	plan.Region = types.StringValue(found.Region)
	if plan.ObjectLockEnabled.IsUnknown() || plan.ObjectLockEnabled.IsNull() {
		plan.ObjectLockEnabled = types.BoolValue(found.ObjectLockEnabled)
	}
	r.checkKept(ctx, *plan, found, diags)
	return found, !diags.HasError()
}

// checkKept tells of what the server did not keep. A policy is not among it: servers write policies in their own words.
func (r *bucketResource) checkKept(ctx context.Context, plan bucketModel, found described, diags *diag.Diagnostics) {
	actual := plan
	actual.take(ctx, found, seenParts{Policy: found.Policy}, false, diags)
	for attribute := range plan.wanted(ctx, &actual, diags) {
		switch attribute {
		case "policy":
		case "lifecycle":
			diags.AddAttributeWarning(path.Root("lifecycle_rules"), "Lifecycle Rules Written Otherwise", fmt.Sprintf("The server gives the rules of the bucket "+
				"%s back otherwise than they were given: %s. This is not reported as a change later on.", plan.Name.ValueString(), found.Lifecycle))
		default:
			diags.AddAttributeError(path.Root(attribute), "Unable to Update Bucket", fmt.Sprintf("The server took the %s of the bucket %s without an error, "+
				"but did not keep it. Does the server have this feature? If not, remove the attribute.", strings.ReplaceAll(attribute, "_", " "), plan.Name.ValueString()))
		}
	}
}

func (r *bucketResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	diags := &response.Diagnostics
	var state bucketModel
	diags.Append(request.State.Get(ctx, &state)...)
	// On every way out: Terraform before 1.12 stores no identity, and the framework wants one even of what vanished.
	r.identify(ctx, response.Identity, state.Name, diags)
	if diags.HasError() || !r.data.Knows("s3") {
		return // the server is not known yet: the state stays as it is
	}
	found := r.get(ctx, state.Name, diags)
	if diags.HasError() {
		return
	}
	imported, problems := request.Private.GetKey(ctx, importedKey)
	diags.Append(problems...)
	if !found.Exists {
		if len(imported) == 0 {
			diags.AddWarning("Bucket Vanished", fmt.Sprintf("The bucket %s is not on %s any more. The next apply makes it anew, and empty. If this is not "+
				"the server that you expect, correct the provider's s3.endpoint before you apply.", state.Name.ValueString(), r.data.Settings.S3.Endpoint))
		}
		response.State.RemoveResource(ctx)
		return
	}
	state.take(ctx, found, readSeen(ctx, request.Private, diags), len(imported) > 0, diags)
	if len(imported) > 0 {
		state.DeletionProtection, state.ForceDestroy = types.BoolValue(true), types.BoolValue(false)
		writeSeen(ctx, response.Private, found, diags)
		diags.Append(response.Private.SetKey(ctx, importedKey, nil)...)
	}
	diags.Append(response.State.Set(ctx, state)...)
}

func (r *bucketResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	diags := &response.Diagnostics
	var plan, prior bucketModel
	diags.Append(request.Plan.Get(ctx, &plan)...)
	diags.Append(request.State.Get(ctx, &prior)...)
	if diags.HasError() {
		return
	}
	if found, ok := r.apply(ctx, &plan, &prior, diags); ok {
		writeSeen(ctx, response.Private, found, diags)
		diags.Append(response.State.Set(ctx, plan)...)
		r.identify(ctx, response.Identity, plan.Name, diags)
	}
}

func (r *bucketResource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	diags := &response.Diagnostics
	var state bucketModel
	diags.Append(request.State.Get(ctx, &state)...)
	if diags.HasError() {
		return
	}
	if state.DeletionProtection.ValueBool() {
		diags.AddWarning("Bucket Left in Place", leftInPlace(state.Name.ValueString()))
		return
	}
	force := state.ForceDestroy.ValueBool()
	var removed struct {
		Deleted bool  `json:"deleted"`
		Objects int64 `json:"objects"`
	}
	err := r.data.Engine.Call(ctx, "bucket.delete", r.parameters(state.Name, map[string]any{"force": force}), &removed, nil)
	switch {
	case err == nil:
	case isNotEmpty(err):
		diags.AddAttributeError(path.Root("name"), "Unable to Delete Bucket", fmt.Sprintf("The bucket %s is not empty. To remove it with everything in it, "+
			"set force_destroy = true, apply, and destroy then. To keep it and only forget it here, set deletion_protection = true, "+
			"apply, and destroy then.", state.Name.ValueString()))
	case isGone(err):
	default:
		diagnosis.Append(diags, "Unable to Delete Bucket", err, places)
	}
}

func leftInPlace(name string) string {
	return fmt.Sprintf("The bucket %s and everything in it stay where they are, because deletion_protection is true; Terraform only forgets it. A later "+
		"apply adopts it again. To have it removed, set deletion_protection = false (and force_destroy = true if it is not empty), apply, "+
		"and destroy then.", name)
}

// ImportState takes the bucket's name. The read that follows takes all of its settings into state.
func (r *bucketResource) ImportState(ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse) {
	if request.ID != "" && !bucketName.MatchString(request.ID) {
		response.Diagnostics.AddError("Unable to Import Bucket", fmt.Sprintf("%q is not the name of a bucket. Import it by its name alone: "+
			"terraform import recoup_bucket.example restic-backups. The server is the provider's s3.endpoint.", request.ID))
		return
	}
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("name"), path.Root("name"), request, response)
	response.Diagnostics.Append(response.Private.SetKey(ctx, importedKey, []byte("true"))...)
}

func (r *bucketResource) identify(ctx context.Context, identity *tfsdk.ResourceIdentity, name types.String, diags *diag.Diagnostics) {
	if identity != nil {
		diags.Append(identity.SetAttribute(ctx, path.Root("name"), name)...)
	}
}
