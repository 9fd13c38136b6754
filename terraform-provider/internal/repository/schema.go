// Package repository is the resource recoup_repository, the data source recoup_repository_stats and the ephemeral resource
// recoup_repository_key.
//
// This file is the resource's schema. No password is ever in it as a value that is stored: it is write-only, or stands in a
// file or comes from a command on the machine that runs Terraform.
package repository

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// Schema says what can be declared of a repository.
func (r *repositoryResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	attributes := passwordAttributes("")
	for name, attribute := range map[string]schema.Attribute{
		"location": schema.StringAttribute{
			Required: true,
			MarkdownDescription: "Where the repository is, as restic writes it: " +
				"`s3:http://10.20.0.103:9000/restic-backups/host`, or a directory of the " +
				"machine that runs Terraform. Another location means another repository; the old one is treated as when it is " +
				"destroyed.",
			Validators:    []validator.String{stringvalidator.LengthAtLeast(1), validate.Location()},
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"previous_password_wo": schema.StringAttribute{
			Optional: true, WriteOnly: true, Sensitive: true,
			MarkdownDescription: "The password until now, where it changes: the repository is opened with it, and gets the " +
				"new one. Write-only. Remove it " +
				"after the apply.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"format_version": schema.Int64Attribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Version of the repository's format, 1 or 2. Default: 2 for a new one, and what it is for " +
				"one that exists. It is chosen when the " +
				"repository is made.",
			Validators:    []validator.Int64{int64validator.Between(1, 2)},
			PlanModifiers: []planmodifier.Int64{int64planmodifier.UseStateForUnknown()},
		},
		"copy_chunker_parameters_from": schema.SingleNestedAttribute{
			Optional: true,
			MarkdownDescription: "Another repository, whose way of cutting files into pieces a new one takes over, so that " +
				"what is copied between both is " +
				"not stored twice. It counts when the repository is made, and is not looked at afterwards.",
			Attributes: merge(passwordAttributes("copy_chunker_parameters_from"), map[string]schema.Attribute{
				"location": schema.StringAttribute{Required: true, MarkdownDescription: "Where the other repository " +
					"is.", Validators: []validator.String{validate.Location()}},
			}),
		},
		"extra_keys": schema.MapNestedAttribute{
			Optional: true,
			MarkdownDescription: "Further passwords that open the repository, by a name of your own. They are all the same: " +
				"each opens everything. A key that is " +
				"removed here is removed from the repository; keys that were made elsewhere are left alone.",
			Validators: []validator.Map{mapvalidator.KeysAre(stringvalidator.LengthAtLeast(1))},
			NestedObject: schema.NestedAttributeObject{Attributes: merge(passwordAttributes("extra_keys"), map[string]schema.Attribute{
				"user": schema.StringAttribute{Optional: true, MarkdownDescription: "User that the key is said to be of. " +
					"Default: the one who runs Terraform."},
				"host": schema.StringAttribute{Optional: true, MarkdownDescription: "Host that the key is said to be of. " +
					"Default: the one that runs Terraform."},
			})},
		},
		"deletion_protection": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(true),
			MarkdownDescription: "Whether the data is safe from `force_destroy`. Default: true.",
		},
		"force_destroy": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Whether destroying the resource removes the repository: **all backups in it**. It has to be " +
				"applied before the destroy, " +
				"together with `deletion_protection = false`. Default: false: the repository is left where it is, and the " +
				"destroy says so.",
		},
		"repository_id": schema.StringAttribute{Computed: true, MarkdownDescription: "ID of the repository.", PlanModifiers: kept},
		"key_id": schema.StringAttribute{Computed: true, MarkdownDescription: "ID of the key that the password " +
			"opens.", PlanModifiers: kept},
		"extra_key_ids": schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "IDs of the extra keys, by their names.",
			PlanModifiers: []planmodifier.Map{mapplanmodifier.UseStateForUnknown()}},
	} {
		attributes[name] = attribute
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "A backup repository in restic's format. One that exists already, and that the password opens, " +
			"is adopted. `terraform destroy` " +
			"leaves the repository where it is, and says so, unless `force_destroy` was set in an earlier apply.",
		Attributes: attributes,
	}
}

func merge(into, more map[string]schema.Attribute) map[string]schema.Attribute {
	for name, attribute := range more {
		into[name] = attribute
	}
	return into
}

// passwordAttributes are the three ways to say a password, and the counter that tells of a changed write-only one.
func passwordAttributes(parent string) map[string]schema.Attribute {
	beside := func(name string) path.Expression {
		if parent == "" {
			return path.MatchRoot(name)
		}
		return path.MatchRelative().AtParent().AtName(name)
	}
	exactlyOne := stringvalidator.ExactlyOneOf(beside("password_wo"), beside("password_file"), beside("password_command"))
	attributes := map[string]schema.Attribute{
		"password_wo": schema.StringAttribute{
			Optional: true, WriteOnly: true, Sensitive: true,
			MarkdownDescription: "The password. Write-only: it is in no plan and no state. Exactly one of `password_wo`, " +
				"`password_file` and " +
				"`password_command` has to be set.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1), exactlyOne},
		},
		"password_file": schema.StringAttribute{Optional: true,
			MarkdownDescription: "File with the password on the machine that runs " +
				"Terraform.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
		"password_command": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Command that prints the password on the machine that runs Terraform, run without a shell. " +
				"It sees few environment variables: see " +
				"the provider's `engine_environment`.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
	}
	if parent != "copy_chunker_parameters_from" {
		attributes["password_wo_version"] = schema.Int64Attribute{Optional: true,
			MarkdownDescription: "Raise this number when `password_wo` changes: Terraform cannot see that by itself.",
			Validators:          []validator.Int64{int64validator.AlsoRequires(beside("password_wo"))}}
	}
	return attributes
}

// IdentitySchema is what an import block names a repository by.
func (r *repositoryResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"location": identityschema.StringAttribute{RequiredForImport: true, Description: "Location of the repository."},
	}}
}
