// This file is the function retention_preview.
package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type retentionPreview struct{}

// NewRetentionPreview makes retention_preview(policy, times).
func NewRetentionPreview() function.Function { return retentionPreview{} }

func (retentionPreview) Metadata(_ context.Context, _ function.MetadataRequest, response *function.MetadataResponse) {
	response.Name = "retention_preview"
}

var keptType = map[string]attr.Type{"time": types.StringType, "reasons": types.ListType{ElemType: types.StringType}}

func (retentionPreview) Definition(_ context.Context, _ function.DefinitionRequest, response *function.DefinitionResponse) {
	response.Definition = function.Definition{
		Summary: "Which snapshots a policy would keep",
		MarkdownDescription: "What `forget` with this policy keeps of snapshots of one host and path, and why, without a " +
			"repository. Policies that count back in time count from the newest snapshot.",
		Parameters: []function.Parameter{
			function.DynamicParameter{Name: "policy", MarkdownDescription: "As `retention` of `recoup_schedule`: `{ " +
				"keep_daily = 7, keep_weekly = 4, keep_monthly = 12 }`."},
			function.ListParameter{Name: "times", ElementType: types.StringType, MarkdownDescription: "When the snapshots " +
				"were made, RFC 3339."},
		},
		Return: function.ObjectReturn{AttributeTypes: map[string]attr.Type{
			"keep":   types.ListType{ElemType: types.ObjectType{AttrTypes: keptType}},
			"remove": types.ListType{ElemType: types.StringType},
		}},
	}
}

type kept struct {
	Time    string   `json:"time" tfsdk:"time"`
	Reasons []string `json:"reasons" tfsdk:"reasons"`
}

type preview struct {
	Keep   []kept   `json:"keep" tfsdk:"keep"`
	Remove []string `json:"remove" tfsdk:"remove"`
}

func (retentionPreview) Run(ctx context.Context, request function.RunRequest, response *function.RunResponse) {
	var policy types.Dynamic
	times := []string{}
	if response.Error = request.Arguments.Get(ctx, &policy, &times); response.Error != nil {
		return
	}
	plain, err := plainValue(policy.UnderlyingValue())
	if err != nil {
		response.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	result := preview{}
	parameters := map[string]any{"policy": plain, "times": times}
	arguments := map[string]int64{"policy": 0, "times": 1}
	if response.Error = call(ctx, "retention.preview", parameters, &result, arguments); response.Error != nil {
		return
	}
	if result.Keep == nil {
		result.Keep = []kept{}
	}
	if result.Remove == nil {
		result.Remove = []string{}
	}
	response.Error = response.Result.Set(ctx, result)
}
