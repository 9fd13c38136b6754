// Package bucket is the resource recoup_bucket and the data source recoup_bucket_usage.
//
// This file is the resource's schema. An attribute that is left out is not managed: neither read into state nor ever
// changed, so that whoever else manages it is left alone, and so that no attribute that a later version of the provider
// adds can do anything to a bucket that exists.
package bucket

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Schema says what can be declared of a bucket.
func (r *bucketResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: "A bucket on an S3 server. An attribute that is left out is not managed: it is left as it is, " +
			"whatever it is. " +
			"A bucket that exists already and is yours is adopted. `terraform destroy` leaves the bucket and what is in it " +
			"where they are, " +
			"and says so, unless `deletion_protection` was set to false in an earlier apply.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "Name of the bucket. Another name means another bucket; the old one is treated as when " +
					"it is destroyed.",
				Validators: []validator.String{stringvalidator.RegexMatches(bucketName,
					"must be 3 to 63 lower-case letters, digits, hyphens and dots, with a letter or digit at both ends")},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"region": schema.StringAttribute{
				Computed: true, MarkdownDescription: "Region that the server says the bucket is in.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"versioning": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "`enabled`, or `suspended`: old versions that exist are kept, new ones are not made. A " +
					"bucket whose versioning " +
					"was never enabled cannot tell.",
				Validators: []validator.String{stringvalidator.OneOf("enabled", "suspended")},
			},
			"object_lock_enabled": schema.BoolAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Whether objects can be locked. It is chosen when the bucket is made and cannot be " +
					"changed afterwards; it is true " +
					"where `object_lock` is set. It enables versioning.",
				PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
			},
			"object_lock":     objectLockAttribute(),
			"lifecycle_rules": lifecycleAttribute(),
			"policy": schema.StringAttribute{
				Optional: true, CustomType: jsontypes.NormalizedType{},
				MarkdownDescription: "Policy of the bucket as JSON (`jsonencode`). `jsonencode(null)` removes it.",
			},
			"tags": schema.MapAttribute{
				Optional: true, ElementType: types.StringType, MarkdownDescription: "Tags of the bucket: all of them. `{}` " +
					"removes them.",
				Validators: []validator.Map{mapvalidator.SizeAtMost(50), mapvalidator.KeysAre(stringvalidator.LengthBetween(1, 128)),
					mapvalidator.ValueStringsAre(stringvalidator.LengthAtMost(256))},
			},
			"deletion_protection": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Whether destroying the resource leaves the bucket in place, with a warning. Default: " +
					"true. Set it to false and " +
					"apply, and a later destroy removes the bucket if it is empty.",
			},
			"force_destroy": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Whether destroying the resource also removes every object and version in the bucket: " +
					"**all backups in it**. It has " +
					"to be applied before the destroy, together with `deletion_protection = false`. Default: false.",
			},
		},
	}
}

func objectLockAttribute() schema.Attribute {
	years := path.MatchRelative().AtParent().AtName("years")
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Default retention of new objects. Mind that restic and recoup remove index files, locks and " +
			"packs in normal use: on " +
			"a locked bucket that lays delete markers over them and frees nothing before the locks end. `compliance` cannot " +
			"be lifted by anybody.",
		Attributes: map[string]schema.Attribute{
			"mode": schema.StringAttribute{Required: true,
				MarkdownDescription: "`governance`, `compliance`, or `none`: no default retention.",
				Validators:          []validator.String{stringvalidator.OneOf("governance", "compliance", "none")}},
			"days": schema.Int64Attribute{Optional: true, MarkdownDescription: "So many days. Either these or `years`.",
				Validators: []validator.Int64{int64validator.Between(1, 36500), int64validator.ConflictsWith(years)}},
			"years": schema.Int64Attribute{Optional: true, MarkdownDescription: "So many years.",
				Validators: []validator.Int64{int64validator.Between(1, 100)}},
		},
	}
}

func lifecycleAttribute() schema.Attribute {
	days := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description,
			Validators: []validator.Int64{int64validator.Between(1, 1<<31-1)}}
	}
	return schema.MapNestedAttribute{
		Optional: true,
		MarkdownDescription: "Rules by which the server removes objects, by their ID: all rules of the bucket. `{}` removes " +
			"them. A rule that expires " +
			"the files of a repository destroys it, and is refused; old versions and uploads may go.",
		Validators: []validator.Map{mapvalidator.KeysAre(stringvalidator.LengthBetween(1, 255))},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"prefix": schema.StringAttribute{Optional: true, MarkdownDescription: "Objects whose keys begin with this. " +
				"Default: all."},
			"enabled": schema.BoolAttribute{Optional: true, MarkdownDescription: "Default: true."},
			"expire_after_days": days("Removes objects so many days after they were made. Never for a repository: its files " +
				"are needed as " +
				"long as any snapshot uses them, whatever their age."),
			"noncurrent_expire_after_days": days("Removes old versions so many days after they became old."),
			"noncurrent_versions_kept":     days("So many of the newest old versions are kept whatever their age."),
			"remove_expired_delete_markers": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "Removes delete markers that have no version under them."},
			"abort_incomplete_uploads_after_days": days("Aborts uploads in parts so many days after they were begun. MinIO " +
				"does not keep this, so " +
				"that it is refused there: it removes stale uploads after a day by itself."),
			"other_settings": schema.StringAttribute{Optional: true, CustomType: jsontypes.NormalizedType{},
				MarkdownDescription: "What else the rule says, as JSON in AWS's form: `{\"Transitions\":[…]}`."},
		}},
	}
}

// IdentitySchema is what an import block names a bucket by.
func (r *bucketResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the bucket."},
	}}
}
