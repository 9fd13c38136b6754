// This file is what a plan shows. It asks the engine on this machine and dials nothing: the target may be created by the same apply.
package schedule

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
)

// ModifyPlan has the engine judge the definition, sets back the drift, so that a plan shows it as what will be mended, and says
// what can be said of the computed attributes.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // a destroy
	}
	definition, known, err := definitionFrom(req.Plan.Raw)
	if err != nil {
		resp.Diagnostics.AddError("Unable to Plan Schedule", err.Error())
		return
	}
	var made *rendered
	if known && r.engine != nil {
		if made, err = render(ctx, r.engine, definition, nil); err != nil {
			if engine.HasCode(err, engine.CodeInvalid) {
				addEngineError(&resp.Diagnostics, "Invalid Schedule", err)
				return
			}
			// Without an engine here the apply will say it.
			tflog.Debug(ctx, "the schedule was not checked while planning", map[string]any{"why": err.Error()})
		}
	}
	r.planComputed(ctx, made, req, resp)
}

func (r *Resource) planComputed(ctx context.Context, made *rendered, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	set := func(name string, value attr.Value) {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
	var target, name types.String
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("target"), &target)...)
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("name"), &name)...)
	if resp.Diagnostics.HasError() {
		return
	}
	id, service, timer := types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	if !name.IsUnknown() {
		declared := declaration{target: target.ValueString(), name: name.ValueString()}
		service, timer = types.StringValue(declared.service()), types.StringValue(declared.timer())
		if !target.IsUnknown() {
			id = types.StringValue(declared.id())
		}
	}
	set("id", id)
	set("service_unit", service)
	set("timer_unit", timer)
	set("on_calendar", plannedCalendar(ctx, made, req, resp))
	set("drift", types.ListValueMust(types.StringType, []attr.Value{}))
}

// plannedCalendar is the engine's; without it the former one as long as what it was made from stays.
func plannedCalendar(ctx context.Context, made *rendered, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) attr.Value {
	if made != nil {
		value, diags := types.ListValueFrom(ctx, types.StringType, made.OnCalendar)
		resp.Diagnostics.Append(diags...)
		return value
	}
	if !req.State.Raw.IsNull() && sameAttribute(ctx, "calendar", req.State, req.Plan) && sameAttribute(ctx, "time_zone", req.State, req.Plan) {
		var former types.List
		resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("on_calendar"), &former)...)
		if !former.IsNull() {
			return former
		}
	}
	return types.ListUnknown(types.StringType)
}

func sameAttribute(ctx context.Context, name string, state tfsdk.State, plan tfsdk.Plan) bool {
	var former, planned attr.Value
	if state.GetAttribute(ctx, path.Root(name), &former).HasError() || plan.GetAttribute(ctx, path.Root(name), &planned).HasError() {
		return false
	}
	return fmt.Sprint(former) == fmt.Sprint(planned)
}
