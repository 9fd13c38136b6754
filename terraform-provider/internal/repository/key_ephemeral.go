// This file is the ephemeral resource recoup_repository_key.
package repository

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/password"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

type keyEphemeral struct {
	data *providerdata.Data
}

var _ ephemeral.EphemeralResourceWithConfigure = (*keyEphemeral)(nil)

// NewKey makes recoup_repository_key. It reads a password and never makes one: it is opened by every plan and every apply,
// and a new password each time would lock everybody out.
func NewKey() ephemeral.EphemeralResource { return &keyEphemeral{} }

type keyEphemeralModel struct {
	Location            types.String `tfsdk:"location"`
	PasswordFile        types.String `tfsdk:"password_file"`
	PasswordCommand     types.String `tfsdk:"password_command"`
	PasswordEnvironment types.String `tfsdk:"password_environment"`
	Password            types.String `tfsdk:"password"`
	RepositoryExists    types.Bool   `tfsdk:"repository_exists"`
	RepositoryID        types.String `tfsdk:"repository_id"`
}

func (e *keyEphemeral) Metadata(_ context.Context, request ephemeral.MetadataRequest, response *ephemeral.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_repository_key"
}

func (e *keyEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, response *ephemeral.SchemaResponse) {
	exactlyOne := stringvalidator.ExactlyOneOf(path.MatchRoot("password_file"), path.MatchRoot("password_command"), path.MatchRoot("password_environment"))
	response.Schema = schema.Schema{
		MarkdownDescription: "The password of a repository, for write-only attributes and the provider's " +
			"`repository_passwords`: it is in no plan and no state. " +
			"It is read, never made up: make one once, with `openssl rand -base64 33`, and keep a copy where the backups are " +
			"not.",
		Attributes: map[string]schema.Attribute{
			"password_file": schema.StringAttribute{Optional: true, MarkdownDescription: "File with the password on the " +
				"machine that runs Terraform. White space at both ends does not count.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1), exactlyOne}},
			"password_command": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Command that prints the password, run without a shell. It sees few environment " +
					"variables: see the provider's `engine_environment`."},
			"password_environment": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of the environment " +
				"variable that holds the password."},
			"location": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Repository that the password has to open, if it exists: a wrong password is then an " +
					"error here, before anything is changed. Leave it out if " +
					"the same apply makes the server, which would be asked while planning.",
				Validators: []validator.String{validate.Location()}},
			"password": schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "The password."},
			"repository_exists": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether there is a repository at " +
				"`location`; null where it was not looked for."},
			"repository_id": schema.StringAttribute{Computed: true, MarkdownDescription: "ID of the repository at " +
				"`location`; null where there is none."},
		},
	}
}

func (e *keyEphemeral) Configure(_ context.Context, request ephemeral.ConfigureRequest, response *ephemeral.ConfigureResponse) {
	e.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (e *keyEphemeral) Open(ctx context.Context, request ephemeral.OpenRequest, response *ephemeral.OpenResponse) {
	diags := &response.Diagnostics
	var model keyEphemeralModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() {
		return
	}
	source := password.Source{File: model.PasswordFile.ValueString(), Command: model.PasswordCommand.ValueString(),
		Variable: model.PasswordEnvironment.ValueString()}
	text, err := source.ReadWith(ctx, e.data.Settings.EngineEnvironment)
	if err != nil {
		at := path.Root("password_file")
		if source.Command != "" {
			at = path.Root("password_command")
		} else if source.Variable != "" {
			at = path.Root("password_environment")
		}
		diags.AddAttributeError(at, "Unable to Read Password", err.Error()+".")
		return
	}
	model.Password = types.StringValue(text)
	if where := model.Location.ValueString(); where != "" && (!validate.IsOnS3(where) || e.data.Knows("s3")) {
		repository := &repositoryResource{data: e.data}
		found, err := repository.get(ctx, where, password.Source{Text: text})
		if err != nil {
			diagnosis.Append(diags, "Unable to Open Repository", fmt.Errorf("the repository at %s: %w", where, err), nil)
			return
		}
		model.RepositoryExists = types.BoolValue(found.Exists)
		if found.ID != "" {
			model.RepositoryID = types.StringValue(found.ID)
		}
	}
	diags.Append(response.Result.Set(ctx, model)...)
}
