// This file is the data source recoup_snapshot_files.
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

type filesSource struct {
	data *providerdata.Data
}

var _ datasource.DataSourceWithConfigure = (*filesSource)(nil)

// NewFiles makes recoup_snapshot_files.
func NewFiles() datasource.DataSource { return &filesSource{} }

// defaultLimit keeps a state from growing by hundreds of megabytes unasked.
const defaultLimit = 1000

type filesModel struct {
	access.Repository
	Snapshot     types.String `tfsdk:"snapshot"`
	Below        []string     `tfsdk:"below"`
	Recursive    types.Bool   `tfsdk:"recursive"`
	Limit        types.Int64  `tfsdk:"limit"`
	SnapshotID   types.String `tfsdk:"snapshot_id"`
	SnapshotTime types.String `tfsdk:"snapshot_time"`
	Truncated    types.Bool   `tfsdk:"truncated"`
	Files        []fileModel  `tfsdk:"files"`
}

type fileModel struct {
	Path        string `tfsdk:"path" json:"path"`
	Type        string `tfsdk:"type" json:"type"`
	Size        int64  `tfsdk:"size" json:"size"`
	Permissions string `tfsdk:"permissions" json:"permissions"`
	UID         int64  `tfsdk:"uid" json:"uid"`
	GID         int64  `tfsdk:"gid" json:"gid"`
	Modified    string `tfsdk:"modified" json:"mtime"`
}

func (s *filesSource) Metadata(_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_snapshot_files"
}

func (s *filesSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "What is in a snapshot: names and metadata, no contents.",
		Attributes: access.With(map[string]schema.Attribute{
			"snapshot": schema.StringAttribute{Optional: true, MarkdownDescription: "ID of the snapshot, or `latest` " +
				"(default): the newest one that `hosts`, `tags` and `paths` leave."},
			"below": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Only these files and directories, and what is in them, by their absolute paths."},
			"recursive": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether `below` goes down to what is in " +
				"directories in them. Without `below` everything is listed. Default: false."},
			"limit": schema.Int64Attribute{Optional: true, MarkdownDescription: "No more entries than this; all of them are " +
				"stored in the state. Default: 1000.",
				Validators: []validator.Int64{int64validator.Between(1, 1_000_000)}},
			"snapshot_id":   text("ID of the snapshot that was read."),
			"snapshot_time": text("When it was made, RFC 3339."),
			"truncated": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether there are more entries than " +
				"`limit`."},
			"files": schema.ListNestedAttribute{Computed: true, MarkdownDescription: "The entries, in the order of their paths.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"path": text("Absolute path."), "type": text("`file`, `dir`, `symlink`, `dev`, `chardev`, `fifo` or " +
						"`socket`."), "size": number("Bytes, of files."),
					"permissions": text("As `ls -l` shows " +
						"them."), "uid": number("Owner."), "gid": number("Group."), "modified": text("RFC 3339."),
				}}},
		}),
	}
}

func (s *filesSource) Configure(_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse) {
	s.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (s *filesSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	diags := &response.Diagnostics
	var model filesModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() {
		return
	}
	parameters := model.Parameters(s.data, diags)
	if parameters == nil {
		return
	}
	parameters["snapshot"] = "latest"
	if chosen := model.Snapshot.ValueString(); chosen != "" {
		parameters["snapshot"] = chosen
	}
	if len(model.Below) > 0 {
		parameters["paths"] = model.Below
		parameters["recursive"] = model.Recursive.ValueBool()
	}
	parameters["limit"] = int64(defaultLimit)
	if !model.Limit.IsNull() {
		parameters["limit"] = model.Limit.ValueInt64()
	}
	var result struct {
		Snapshot  snapshotModel `json:"snapshot"`
		Files     []fileModel   `json:"files"`
		Truncated bool          `json:"truncated"`
	}
	if err := s.data.Engine.Call(ctx, "snapshots.files", parameters, &result, nil); err != nil {
		diagnosis.Append(diags, "Unable to List Files", err, access.Places)
		return
	}
	model.SnapshotID, model.SnapshotTime = types.StringValue(result.Snapshot.ID), types.StringValue(result.Snapshot.Time)
	model.Truncated, model.Files = types.BoolValue(result.Truncated), result.Files
	if model.Files == nil {
		model.Files = []fileModel{}
	}
	diags.Append(response.State.Set(ctx, model)...)
}
