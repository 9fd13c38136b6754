// Package snapshots has the data sources recoup_snapshots and recoup_snapshot_files.
package snapshots

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/access"
	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

type snapshotsSource struct {
	data *providerdata.Data
}

var _ datasource.DataSourceWithConfigure = (*snapshotsSource)(nil)

// NewSnapshots makes recoup_snapshots.
func NewSnapshots() datasource.DataSource { return &snapshotsSource{} }

type snapshotsModel struct {
	access.Repository
	Latest    types.Int64     `tfsdk:"latest"`
	Snapshots []snapshotModel `tfsdk:"snapshots"`
}

type snapshotModel struct {
	ID             string   `tfsdk:"id" json:"id"`
	ShortID        string   `tfsdk:"short_id" json:"short_id"`
	Time           string   `tfsdk:"time" json:"time"`
	Host           string   `tfsdk:"host" json:"hostname"`
	User           string   `tfsdk:"user" json:"username"`
	Paths          []string `tfsdk:"paths" json:"paths"`
	Tags           []string `tfsdk:"tags" json:"tags"`
	Tree           string   `tfsdk:"tree" json:"tree"`
	ProgramVersion string   `tfsdk:"program_version" json:"program_version"`
}

func snapshotAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"id": text("ID of the snapshot."), "short_id": text("The first eight digits of it."), "time": text("When it was made, " +
			"RFC 3339."),
		"host": text("Host that was backed up."), "user": text("User who backed up."), "tree": text("ID of its root directory."),
		"program_version": text("What made it."),
		"paths":           schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "What was backed up."},
		"tags":            schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Its tags."},
	}
}

func (s *snapshotsSource) Metadata(_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_snapshots"
}

func (s *snapshotsSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: "The snapshots in a repository, the oldest first. Without a repository, or where the password " +
			"does not open it, this is an error.",
		Attributes: access.With(map[string]schema.Attribute{
			"latest": schema.Int64Attribute{Optional: true, MarkdownDescription: "Only so many of the newest snapshots of " +
				"each host and set of paths.",
				Validators: []validator.Int64{int64validator.AtLeast(1)}},
			"snapshots": schema.ListNestedAttribute{Computed: true, MarkdownDescription: "The snapshots.",
				NestedObject: schema.NestedAttributeObject{Attributes: snapshotAttributes()}},
		}),
	}
}

func (s *snapshotsSource) Configure(_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse) {
	s.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (s *snapshotsSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	diags := &response.Diagnostics
	var model snapshotsModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() {
		return
	}
	parameters := model.Parameters(s.data, diags)
	if parameters == nil {
		return
	}
	if !model.Latest.IsNull() {
		parameters["latest"] = model.Latest.ValueInt64()
	}
	var result struct {
		Snapshots []snapshotModel `json:"snapshots"`
	}
	if err := s.data.Engine.Call(ctx, "snapshots.list", parameters, &result, nil); err != nil {
		diagnosis.Append(diags, "Unable to List Snapshots", err, access.Places)
		return
	}
	model.Snapshots = result.Snapshots
	if model.Snapshots == nil {
		model.Snapshots = []snapshotModel{} // none is not unknown: length() of it must work
	}
	diags.Append(response.State.Set(ctx, model)...)
}
