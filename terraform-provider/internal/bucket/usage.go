// This file is the data source recoup_bucket_usage.
package bucket

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/access"
	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

type usageSource struct {
	data *providerdata.Data
}

var _ datasource.DataSourceWithConfigure = (*usageSource)(nil)

// NewUsage makes recoup_bucket_usage.
func NewUsage() datasource.DataSource { return &usageSource{} }

type usageModel struct {
	Name                  types.String `tfsdk:"name"`
	Prefix                types.String `tfsdk:"prefix"`
	Objects               types.Int64  `tfsdk:"objects"`
	Bytes                 types.Int64  `tfsdk:"bytes"`
	Versions              types.Int64  `tfsdk:"versions"`
	VersionBytes          types.Int64  `tfsdk:"version_bytes"`
	IncompleteUploads     types.Int64  `tfsdk:"incomplete_uploads"`
	IncompleteUploadBytes types.Int64  `tfsdk:"incomplete_upload_bytes"`
}

func (s *usageSource) Metadata(_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_bucket_usage"
}

func (s *usageSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "What is in a bucket, counted by listing it. What the server does not tell is null.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the bucket."},
			"prefix": schema.StringAttribute{Optional: true, MarkdownDescription: "Only objects whose keys begin with this. " +
				"Default: all."},
			"objects": number("Current objects."), "bytes": number("Bytes in them."),
			"versions": number("Old versions of objects."), "version_bytes": number("Bytes in them."),
			"incomplete_uploads": number("Uploads that were begun and not " +
				"finished."), "incomplete_upload_bytes": number("Bytes in them."),
		},
	}
}

func (s *usageSource) Configure(_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse) {
	s.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (s *usageSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	diags := &response.Diagnostics
	var model usageModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() || !access.CheckKnown(s.data, diags) {
		return
	}
	var result struct {
		Objects               *int64 `json:"objects"`
		Bytes                 *int64 `json:"bytes"`
		Versions              *int64 `json:"versions"`
		VersionBytes          *int64 `json:"version_bytes"`
		IncompleteUploads     *int64 `json:"incomplete_uploads"`
		IncompleteUploadBytes *int64 `json:"incomplete_upload_bytes"`
	}
	parameters := map[string]any{"s3": s.data.Settings.S3, "bucket": model.Name.ValueString(), "prefix": model.Prefix.ValueString()}
	if err := s.data.Engine.Call(ctx, "bucket.usage", parameters, &result, nil); err != nil {
		diagnosis.Append(diags, "Unable to Count Bucket", err, places)
		return
	}
	model.Objects, model.Bytes = types.Int64PointerValue(result.Objects), types.Int64PointerValue(result.Bytes)
	model.Versions, model.VersionBytes = types.Int64PointerValue(result.Versions), types.Int64PointerValue(result.VersionBytes)
	model.IncompleteUploads = types.Int64PointerValue(result.IncompleteUploads)
	model.IncompleteUploadBytes = types.Int64PointerValue(result.IncompleteUploadBytes)
	diags.Append(response.State.Set(ctx, model)...)
}
