// This file is the data source recoup_repository_stats.
package repository

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/access"
	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

type statsSource struct {
	data *providerdata.Data
}

var _ datasource.DataSourceWithConfigure = (*statsSource)(nil)

// NewStats makes recoup_repository_stats.
func NewStats() datasource.DataSource { return &statsSource{} }

type statsModel struct {
	access.Repository
	Mode             types.String  `tfsdk:"mode"`
	TotalSize        types.Int64   `tfsdk:"total_size"`
	UncompressedSize types.Int64   `tfsdk:"total_uncompressed_size"`
	CompressionRatio types.Float64 `tfsdk:"compression_ratio"`
	FileCount        types.Int64   `tfsdk:"total_file_count"`
	BlobCount        types.Int64   `tfsdk:"total_blob_count"`
	SnapshotsCount   types.Int64   `tfsdk:"snapshots_count"`
}

func (s *statsSource) Metadata(_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_repository_stats"
}

func (s *statsSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "How large a repository, or what some of its snapshots restore to, is. What a mode does not " +
			"count is null.",
		Attributes: access.With(map[string]schema.Attribute{
			"mode": schema.StringAttribute{Optional: true,
				MarkdownDescription: "`restore-size` (default): what the snapshots restore to; `raw-data`: what is stored for " +
					"them; `files-by-contents`: files " +
					"with the same contents once; `blobs-per-file`: pieces of those.",
				Validators: []validator.String{stringvalidator.OneOf("restore-size", "raw-data", "files-by-contents", "blobs-per-file")}},
			"total_size": number("Bytes."), "total_uncompressed_size": number("Bytes before compression, of `raw-data`."),
			"compression_ratio": schema.Float64Attribute{Computed: true, MarkdownDescription: "Bytes before compression for " +
				"each byte stored, of `raw-data`."},
			"total_file_count": number("Files."), "total_blob_count": number("Pieces."), "snapshots_count": number("Snapshots that were counted."),
		}),
	}
}

func (s *statsSource) Configure(_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse) {
	s.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (s *statsSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	diags := &response.Diagnostics
	var model statsModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() {
		return
	}
	parameters := model.Parameters(s.data, diags)
	if parameters == nil {
		return
	}
	parameters["mode"] = "restore-size"
	if mode := model.Mode.ValueString(); mode != "" {
		parameters["mode"] = mode
	}
	var result struct {
		TotalSize        *int64   `json:"total_size"`
		UncompressedSize *int64   `json:"total_uncompressed_size"`
		CompressionRatio *float64 `json:"compression_ratio"`
		FileCount        *int64   `json:"total_file_count"`
		BlobCount        *int64   `json:"total_blob_count"`
		SnapshotsCount   *int64   `json:"snapshots_count"`
	}
	if err := s.data.Engine.Call(ctx, "repository.stats", parameters, &result, nil); err != nil {
		diagnosis.Append(diags, "Unable to Count the Repository", err, access.Places)
		return
	}
	model.TotalSize, model.UncompressedSize = types.Int64PointerValue(result.TotalSize), types.Int64PointerValue(result.UncompressedSize)
	model.CompressionRatio = types.Float64PointerValue(result.CompressionRatio)
	model.FileCount, model.BlobCount = types.Int64PointerValue(result.FileCount), types.Int64PointerValue(result.BlobCount)
	model.SnapshotsCount = types.Int64PointerValue(result.SnapshotsCount)
	diags.Append(response.State.Set(ctx, model)...)
}
