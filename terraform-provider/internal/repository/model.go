// This file is a repository as Terraform has it, and as the engine has it (docs/engine.md).
package repository

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/recoup/terraform-provider-recoup/internal/password"
)

type repositoryModel struct {
	Location           types.String `tfsdk:"location"`
	PasswordWO         types.String `tfsdk:"password_wo"`
	PasswordWOVersion  types.Int64  `tfsdk:"password_wo_version"`
	PasswordFile       types.String `tfsdk:"password_file"`
	PasswordCommand    types.String `tfsdk:"password_command"`
	PreviousPasswordWO types.String `tfsdk:"previous_password_wo"`
	FormatVersion      types.Int64  `tfsdk:"format_version"`
	ChunkerFrom        types.Object `tfsdk:"copy_chunker_parameters_from"`
	ExtraKeys          types.Map    `tfsdk:"extra_keys"`
	DeletionProtection types.Bool   `tfsdk:"deletion_protection"`
	ForceDestroy       types.Bool   `tfsdk:"force_destroy"`
	RepositoryID       types.String `tfsdk:"repository_id"`
	KeyID              types.String `tfsdk:"key_id"`
	ExtraKeyIDs        types.Map    `tfsdk:"extra_key_ids"`
}

type chunkerModel struct {
	Location        types.String `tfsdk:"location"`
	PasswordWO      types.String `tfsdk:"password_wo"`
	PasswordFile    types.String `tfsdk:"password_file"`
	PasswordCommand types.String `tfsdk:"password_command"`
}

var chunkerTypes = map[string]attr.Type{"location": types.StringType, "password_wo": types.StringType,
	"password_file": types.StringType, "password_command": types.StringType}

type keyModel struct {
	PasswordWO        types.String `tfsdk:"password_wo"`
	PasswordWOVersion types.Int64  `tfsdk:"password_wo_version"`
	PasswordFile      types.String `tfsdk:"password_file"`
	PasswordCommand   types.String `tfsdk:"password_command"`
	User              types.String `tfsdk:"user"`
	Host              types.String `tfsdk:"host"`
}

var keyType = types.ObjectType{AttrTypes: map[string]attr.Type{"password_wo": types.StringType, "password_wo_version": types.Int64Type,
	"password_file": types.StringType, "password_command": types.StringType, "user": types.StringType, "host": types.StringType}}

// described is a repository as repository.get gives it; ID is "" where it was not opened.
type described struct {
	Exists  bool   `json:"exists"`
	Created bool   `json:"created"`
	ID      string `json:"id"`
	Version int64  `json:"version"`
	Keys    []key  `json:"keys"`
}

type key struct {
	ID      string `json:"id"`
	User    string `json:"user"`
	Host    string `json:"host"`
	Current bool   `json:"current"`
}

// currentKey is the ID of the key that the password opens.
func (d described) currentKey() types.String {
	for _, each := range d.Keys {
		if each.Current {
			return types.StringValue(each.ID)
		}
	}
	return types.StringNull()
}

func (d described) hasKey(id string) bool {
	for _, each := range d.Keys {
		if each.ID == id {
			return true
		}
	}
	return false
}

// source is where the model's password comes from. For one that was read from state, password_wo is always null.
func (m repositoryModel) source() password.Source {
	return password.From(m.PasswordWO, m.PasswordFile, m.PasswordCommand)
}

func (m keyModel) source() password.Source {
	return password.From(m.PasswordWO, m.PasswordFile, m.PasswordCommand)
}

// keys gives the extra keys by name. Those of a configuration have their write-only passwords, others have none.
func (m repositoryModel) keys(ctx context.Context, diags *diag.Diagnostics) map[string]keyModel {
	keys := map[string]keyModel{}
	if !m.ExtraKeys.IsNull() && !m.ExtraKeys.IsUnknown() {
		diags.Append(m.ExtraKeys.ElementsAs(ctx, &keys, false)...)
	}
	return keys
}

func (m repositoryModel) keyIDs(ctx context.Context, diags *diag.Diagnostics) map[string]string {
	ids := map[string]string{}
	if !m.ExtraKeyIDs.IsNull() && !m.ExtraKeyIDs.IsUnknown() {
		diags.Append(m.ExtraKeyIDs.ElementsAs(ctx, &ids, false)...)
	}
	return ids
}

func textMap(values map[string]string) types.Map {
	elements := map[string]attr.Value{}
	for name, value := range values {
		elements[name] = types.StringValue(value)
	}
	return types.MapValueMust(types.StringType, elements)
}

func (m repositoryModel) chunkerSource(ctx context.Context, diags *diag.Diagnostics) (chunkerModel, bool) {
	var from chunkerModel
	if m.ChunkerFrom.IsNull() || m.ChunkerFrom.IsUnknown() {
		return from, false
	}
	diags.Append(m.ChunkerFrom.As(ctx, &from, basetypes.ObjectAsOptions{})...)
	return from, true
}
