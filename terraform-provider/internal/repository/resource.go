// This file is the life of a repository: made or adopted, looked after, left behind or removed.
package repository

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/password"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

type repositoryResource struct {
	data *providerdata.Data
}

var (
	_ resource.ResourceWithConfigure      = (*repositoryResource)(nil)
	_ resource.ResourceWithIdentity       = (*repositoryResource)(nil)
	_ resource.ResourceWithImportState    = (*repositoryResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*repositoryResource)(nil)
	_ resource.ResourceWithValidateConfig = (*repositoryResource)(nil)
)

// NewResource makes recoup_repository.
func NewResource() resource.Resource { return &repositoryResource{} }

var places = diagnosis.Places{
	"repository": path.Root("location"), "repository.location": path.Root("location"), "bucket": path.Root("location"),
	"repository.password": path.Root("password_wo"), "repository.password_file": path.Root("password_file"),
	"repository.password_command": path.Root("password_command"), "version": path.Root("format_version"),
	"copy_chunker_parameters_from":                  path.Root("copy_chunker_parameters_from"),
	"copy_chunker_parameters_from.location":         path.Root("copy_chunker_parameters_from").AtName("location"),
	"copy_chunker_parameters_from.password":         path.Root("copy_chunker_parameters_from").AtName("password_wo"),
	"copy_chunker_parameters_from.password_file":    path.Root("copy_chunker_parameters_from").AtName("password_file"),
	"copy_chunker_parameters_from.password_command": path.Root("copy_chunker_parameters_from").AtName("password_command"),
}

func (r *repositoryResource) Metadata(_ context.Context, request resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_repository"
}

func (r *repositoryResource) Configure(_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse) {
	r.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

// call is one request for the repository at a location, opened with a password (none: it is only looked whether it is there).
func (r *repositoryResource) call(ctx context.Context, method, location string, opened password.Source, more map[string]any, result any) error {
	parameters := map[string]any{"s3": r.data.Settings.S3, "repository": opened.Parameters(map[string]any{"location": location})}
	maps.Copy(parameters, more)
	return r.data.Engine.Call(ctx, method, parameters, result, nil)
}

func (r *repositoryResource) get(ctx context.Context, location string, opened password.Source) (found described, err error) {
	err = r.call(ctx, "repository.get", location, opened, nil, &found)
	return found, err
}

// Create makes the repository, or adopts the one that is there if the password opens it.
func (r *repositoryResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	diags := &response.Diagnostics
	var plan, config repositoryModel
	diags.Append(request.Plan.Get(ctx, &plan)...)
	diags.Append(request.Config.Get(ctx, &config)...)
	if diags.HasError() {
		return
	}
	where, opened := plan.Location.ValueString(), config.source()
	found, err := r.get(ctx, where, opened)
	if err != nil {
		diagnosis.Append(diags, "Unable to Create Repository", err, places)
		return
	}
	if found.Exists {
		r.adopt(plan, found, diags)
	} else if found, err = r.make(ctx, where, opened, config, diags); err != nil {
		diagnosis.Append(diags, "Unable to Create Repository", err, places)
	}
	if diags.HasError() {
		return
	}
	plan.RepositoryID, plan.KeyID, plan.FormatVersion = types.StringValue(found.ID), found.currentKey(), types.Int64Value(found.Version)
	plan.ExtraKeyIDs = textMap(nil)
	// Should the extra keys fail, Terraform taints the repository and replaces it in the next apply. Its state must then forbid
	// to remove anything: an adopted repository has backups, and force_destroy counts only once it was applied.
	tracked := plan
	tracked.DeletionProtection, tracked.ForceDestroy = types.BoolValue(true), types.BoolValue(false)
	diags.Append(response.State.Set(ctx, tracked)...)
	r.identify(ctx, response.Identity, plan.Location, diags)

	ids := map[string]string{}
	r.syncKeys(ctx, keyWork{where: where, opened: opened, found: found, wanted: config.keys(ctx, diags), ids: ids}, diags)
	plan.ExtraKeyIDs = textMap(ids)
	if diags.HasError() {
		diags.Append(response.State.SetAttribute(ctx, path.Root("extra_key_ids"), plan.ExtraKeyIDs)...)
		return
	}
	diags.Append(response.State.Set(ctx, plan)...)
}

func (r *repositoryResource) make(ctx context.Context, where string, opened password.Source, config repositoryModel, diags *diag.Diagnostics) (found described, err error) {
	more := map[string]any{}
	if !config.FormatVersion.IsNull() {
		more["version"] = config.FormatVersion.ValueInt64()
	}
	if from, ok := config.chunkerSource(ctx, diags); ok {
		source := password.From(from.PasswordWO, from.PasswordFile, from.PasswordCommand)
		more["copy_chunker_parameters_from"] = source.Parameters(map[string]any{"location": from.Location.ValueString()})
	}
	err = r.call(ctx, "repository.create", where, opened, more, &found)
	return found, err
}

func (r *repositoryResource) adopt(plan repositoryModel, found described, diags *diag.Diagnostics) {
	where := plan.Location.ValueString()
	if wanted := plan.FormatVersion; !wanted.IsNull() && !wanted.IsUnknown() && wanted.ValueInt64() != found.Version {
		diags.AddAttributeError(path.Root("format_version"), "Unable to Adopt Repository", fmt.Sprintf("There is a repository at %s already, and its format has version %d. "+
			"Set format_version = %d, or leave it out; or choose another location for a new repository.", where, found.Version, found.Version))
		return
	}
	detail := fmt.Sprintf("There was a repository at %s already (ID %s), and the password opens it: it is managed from now on, with the backups in it.", where, found.ID)
	if !plan.ChunkerFrom.IsNull() {
		detail += " copy_chunker_parameters_from has no effect: that is decided when a repository is made."
	}
	diags.AddAttributeWarning(path.Root("location"), "Repository Adopted", detail)
}

// refreshSource is what the repository is opened with where the configuration is not at hand. From the provider's
// repository_passwords it may be any key's password.
func (r *repositoryResource) refreshSource(state repositoryModel) (opened password.Source, isMain bool) {
	if opened = state.source(); !opened.IsZero() {
		return opened, true
	}
	return password.Source{Text: r.data.Settings.RepositoryPasswords[state.Location.ValueString()]}, false
}

// Read opens the repository where it can. With a write-only password, and none in the provider's repository_passwords, it
// only looks whether the repository is still there.
func (r *repositoryResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	diags := &response.Diagnostics
	var state repositoryModel
	diags.Append(request.State.Get(ctx, &state)...)
	// On every way out: Terraform before 1.12 stores no identity, and the framework wants one even of what vanished.
	r.identify(ctx, response.Identity, state.Location, diags)
	where := state.Location.ValueString()
	if diags.HasError() || validate.IsOnS3(where) && !r.data.Knows("s3") {
		return // the server is not known yet: the state stays as it is
	}
	imported := state.DeletionProtection.IsNull()
	opened, isMain := r.refreshSource(state)
	found, err := r.get(ctx, where, opened)
	if err != nil {
		diagnosis.Append(diags, "Unable to Read Repository", err, places)
		return
	}
	if !found.Exists {
		if !imported {
			diags.AddWarning("Repository Vanished", fmt.Sprintf("There is no repository at %s any more (it had the ID %s). The next apply makes a new one, WITHOUT the backups of the "+
				"old one. Do not apply if the data should be there: is the right server named, the right disk mounted?", where, state.RepositoryID.ValueString()))
		}
		response.State.RemoveResource(ctx)
		return
	}
	if imported {
		state.DeletionProtection, state.ForceDestroy = types.BoolValue(true), types.BoolValue(false)
	}
	if found.ID != "" {
		r.take(ctx, &state, found, isMain, diags)
	}
	if state.ExtraKeyIDs.IsNull() {
		state.ExtraKeyIDs = textMap(nil)
	}
	diags.Append(response.State.Set(ctx, state)...)
}

func (r *repositoryResource) take(ctx context.Context, state *repositoryModel, found described, isMain bool, diags *diag.Diagnostics) {
	if known := state.RepositoryID.ValueString(); known != "" && known != found.ID {
		diags.AddWarning("Another Repository", fmt.Sprintf("The repository at %s is not the one that it was: its ID is %s, and was %s. Somebody replaced it, or the location leads "+
			"elsewhere now.", state.Location.ValueString(), found.ID, known))
	}
	state.RepositoryID, state.FormatVersion = types.StringValue(found.ID), types.Int64Value(found.Version)
	if isMain || state.KeyID.IsNull() {
		state.KeyID = found.currentKey()
	}
	ids := state.keyIDs(ctx, diags)
	maps.DeleteFunc(ids, func(_, id string) bool { return !found.hasKey(id) })
	state.ExtraKeyIDs = textMap(ids)
}

// Update changes passwords and keys; everything else of a repository is for ever.
func (r *repositoryResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	diags := &response.Diagnostics
	var plan, prior, config repositoryModel
	diags.Append(request.Plan.Get(ctx, &plan)...)
	diags.Append(request.State.Get(ctx, &prior)...)
	diags.Append(request.Config.Get(ctx, &config)...)
	if diags.HasError() {
		return
	}
	found := r.openOrRotate(ctx, config, prior, diags)
	if diags.HasError() {
		return
	}
	ids := prior.keyIDs(ctx, diags)
	r.syncKeys(ctx, keyWork{where: plan.Location.ValueString(), opened: config.source(), found: found, wanted: config.keys(ctx, diags),
		before: prior.keys(ctx, diags), ids: ids}, diags)
	if diags.HasError() {
		prior.ExtraKeyIDs = textMap(ids) // what was done is kept track of
		prior.KeyID = found.currentKey()
		diags.Append(response.State.Set(ctx, prior)...)
		return
	}
	plan.RepositoryID, plan.KeyID, plan.FormatVersion = types.StringValue(found.ID), found.currentKey(), types.Int64Value(found.Version)
	plan.ExtraKeyIDs = textMap(ids)
	diags.Append(response.State.Set(ctx, plan)...)
	r.identify(ctx, response.Identity, plan.Location, diags)
}

// Delete removes data only if a former apply said so.
func (r *repositoryResource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	diags := &response.Diagnostics
	var state repositoryModel
	diags.Append(request.State.Get(ctx, &state)...)
	if diags.HasError() {
		return
	}
	where := state.Location.ValueString()
	if state.stays() {
		diags.AddWarning("Repository Left in Place", leftInPlace(where))
		return
	}
	opened, _ := r.refreshSource(state)
	more := map[string]any{"force": true}
	if id := state.RepositoryID.ValueString(); id != "" && !opened.IsZero() {
		more = map[string]any{"confirm_id": id} // another one that took its place is not removed
	}
	err := r.call(ctx, "repository.delete", where, opened, more, nil)
	if err != nil && !isMissing(err) {
		diagnosis.Append(diags, "Unable to Delete Repository", err, places)
	}
}

func isMissing(err error) bool {
	return engine.HasCode(err, engine.CodeNotFound) || engine.HasCode(err, "repository_missing")
}

// stays says whether destroying leaves the data.
func (m repositoryModel) stays() bool {
	return m.DeletionProtection.ValueBool() || !m.ForceDestroy.ValueBool()
}

func leftInPlace(where string) string {
	return fmt.Sprintf("The repository at %s and all backups in it stay where they are; Terraform only forgets it. A later apply with a password that opens it adopts it "+
		"again. To have the backups removed, set deletion_protection = false and force_destroy = true, apply, and destroy then.", where)
}

// ImportState takes the location. What the password opens is known after the next apply, or at once where the provider's
// repository_passwords has it.
func (r *repositoryResource) ImportState(ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse) {
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("location"), path.Root("location"), request, response)
}

func (r *repositoryResource) identify(ctx context.Context, identity *tfsdk.ResourceIdentity, location types.String, diags *diag.Diagnostics) {
	if identity != nil {
		diags.Append(identity.SetAttribute(ctx, path.Root("location"), location)...)
	}
}
