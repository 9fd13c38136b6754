// Package access is how data sources name and open a repository. What a data source is configured with lands in the state,
// so that a password can only be referred to: by a file, a command, or the provider's repository_passwords.
package access

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/password"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// Repository is what every data source about a repository is configured with: which one, what opens it, and which of its
// snapshots count. It is embedded in their models.
type Repository struct {
	Location        types.String `tfsdk:"location"`
	PasswordFile    types.String `tfsdk:"password_file"`
	PasswordCommand types.String `tfsdk:"password_command"`
	Hosts           []string     `tfsdk:"hosts"`
	Tags            []string     `tfsdk:"tags"`
	Paths           []string     `tfsdk:"paths"`
}

// Places says where the engine's parameters come from.
var Places = diagnosis.Places{
	"repository": path.Root("location"), "repository.location": path.Root("location"), "bucket": path.Root("location"),
	"repository.password": path.Root("location"), "repository.password_file": path.Root("password_file"),
	"repository.password_command": path.Root("password_command"), "snapshot": path.Root("snapshot"), "filter.hosts": path.Root("hosts"),
	"filter.tags": path.Root("tags"), "filter.paths": path.Root("paths"), "paths": path.Root("below"), "mode": path.Root("mode"),
}

// With adds the attributes of Repository to those of a data source.
func With(attributes map[string]schema.Attribute) map[string]schema.Attribute {
	attributes["location"] = schema.StringAttribute{Required: true, MarkdownDescription: "Where the repository is, as " +
		"`s3:http://10.20.0.103:9000/restic-backups`.",
		Validators: []validator.String{validate.Location()}}
	attributes["password_file"] = schema.StringAttribute{Optional: true,
		MarkdownDescription: "File with the password on the machine that runs Terraform. Where neither this nor " +
			"`password_command` is set, the provider's " +
			"`repository_passwords` must have the location.",
		Validators: []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ConflictsWith(path.MatchRoot("password_command"))}}
	attributes["password_command"] = schema.StringAttribute{Optional: true,
		MarkdownDescription: "Command that prints the password on the machine that runs Terraform, run without a shell.",
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)}}
	for name, description := range map[string]string{
		"hosts": "Only snapshots of these hosts.",
		"tags": "Only snapshots with one of these tags; several tags that a snapshot must all have are written with commas: " +
			"`\"production,daily\"`.",
		"paths": "Only snapshots of these paths.",
	} {
		attributes[name] = schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description}
	}
	return attributes
}

// Parameters gives "s3", "repository" and "filter" of docs/engine.md. It is nil where there is an error.
func (r Repository) Parameters(data *providerdata.Data, diags *diag.Diagnostics) map[string]any {
	where := r.Location.ValueString()
	if validate.IsOnS3(where) && !CheckKnown(data, diags) {
		return nil
	}
	source := password.From(types.StringNull(), r.PasswordFile, r.PasswordCommand)
	if source.IsZero() {
		source.Text = data.Settings.RepositoryPasswords[where]
	}
	if source.IsZero() {
		diags.AddAttributeError(path.Root("location"), "Missing Password", fmt.Sprintf("Nothing says what opens the "+
			"repository at %s. Set password_file or password_command, or the "+
			"provider's repository_passwords = { %q = … } from an ephemeral value.", where, where))
		return nil
	}
	filter := map[string]any{}
	for name, values := range map[string][]string{"hosts": r.Hosts, "tags": r.Tags, "paths": r.Paths} {
		if len(values) > 0 {
			filter[name] = values
		}
	}
	return map[string]any{"s3": data.Settings.S3, "repository": source.Parameters(map[string]any{"location": where}), "filter": filter}
}

// CheckKnown refuses to ask a server that is not known yet.
func CheckKnown(data *providerdata.Data, diags *diag.Diagnostics) bool {
	if data.Knows("s3") {
		return true
	}
	diags.AddError("The Server Is Not Known Yet", "The provider's s3 settings depend on something that this apply creates. "+
		"Give this data source a depends_on of it: "+
		"then it is read after that was made, not while planning.")
	return false
}
