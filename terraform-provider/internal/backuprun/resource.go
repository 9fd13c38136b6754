package backuprun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/schedule"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

const defaultTimeout = "24h"

// Resource is recoup_backup_run.
type Resource struct {
	open schedule.Opener
}

var _ resource.ResourceWithConfigure = (*Resource)(nil)

// NewResource is what the provider serves.
func NewResource() resource.Resource { return &Resource{} }

// NewResourceWith is for tests that bring their own machines.
func NewResourceWith(open schedule.Opener) resource.Resource { return &Resource{open: open} }

// model is a run in plans and states.
type model struct {
	ID         types.String `tfsdk:"id"`
	Schedule   types.String `tfsdk:"schedule"`
	Triggers   types.Map    `tfsdk:"triggers"`
	Wait       types.Bool   `tfsdk:"wait"`
	Timeout    types.String `tfsdk:"timeout"`
	ExecutedAt types.String `tfsdk:"executed_at"`
	Result     types.String `tfsdk:"result"`
	SnapshotID types.String `tfsdk:"snapshot_id"`
}

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_backup_run"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	data := providerdata.From(req.ProviderData, &resp.Diagnostics)
	if data != nil && r.open == nil {
		r.open = schedule.OpenerOf(data)
	}
}

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A backup that is made when this resource is created, and made again whenever `triggers` change: by the service of a " +
			"`recoup_schedule`, with all that belongs to it (retention, check, commands).\n\nA backup that fails is an error with the end of its " +
			"journal, and the next apply makes it again. One whose snapshot lacks files that could not be read has the result `partial`, with a " +
			"warning. Destroying the resource forgets the run; the snapshot stays.\n\nTerraform from 1.14 on can also invoke the action " +
			"`recoup_backup`, which leaves nothing in the state.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: "The schedule, and when the run was started."},
			"schedule": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "`recoup_schedule.NAME.id`.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				Validators:          []validator.String{scheduleID()},
			},
			"triggers": schema.MapAttribute{
				Optional:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "Whatever should lead to another backup when it changes.",
				PlanModifiers:       []planmodifier.Map{mapplanmodifier.RequiresReplace()},
			},
			"wait": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Whether the apply waits for the end of the backup. With `false` the result is `started`. Default: `true`.",
			},
			"timeout": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString(defaultTimeout),
				MarkdownDescription: "How long to wait (`90m`, `12h`). The backup itself goes on after that. Default: `" + defaultTimeout + "`.",
				Validators:          []validator.String{duration()},
			},
			"executed_at": schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: "When it was started, by the target's clock (RFC 3339)."},
			"result":      schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: "`success`, `partial`, `failed` or `started`."},
			"snapshot_id": schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: "The abbreviated id of the snapshot; null where none was made."},
		},
	}
}

func scheduleID() validator.String {
	return validate.Text{Wants: "the id of a recoup_schedule", Check: func(value string) error {
		_, _, err := schedule.ParseID(value)
		return err
	}}
}

func duration() validator.String {
	return validate.Text{Wants: "a duration as 90m or 12h", Check: func(value string) error {
		parsed, err := time.ParseDuration(value)
		if err != nil || parsed <= 0 {
			return fmt.Errorf("%q is not a duration. Write it as 90m or 12h", value)
		}
		return nil
	}}
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	progress := func(message string) { tflog.Info(ctx, message) }
	outcome, err := runSchedule(ctx, r.open, plan.Schedule, plan.Wait, plan.Timeout, progress, &resp.Diagnostics)
	if err != nil && outcome.Result == "" {
		return // nothing was started: there is nothing to remember
	}
	executed := outcome.ExecutedAt.Format(time.RFC3339)
	plan.ID = types.StringValue(plan.Schedule.ValueString() + "@" + executed)
	plan.ExecutedAt = types.StringValue(executed)
	plan.Result = types.StringValue(outcome.Result)
	plan.SnapshotID = types.StringPointerValue(nil)
	if outcome.SnapshotID != "" {
		plan.SnapshotID = types.StringValue(outcome.SnapshotID)
	}
	// With an error it is tainted, so that the next apply makes the backup again.
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Read has nothing to look at: what was run, was run.
func (r *Resource) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

// Update is about `wait` and `timeout`, which matter to later runs only.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Delete forgets the run.
func (r *Resource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// runSchedule is what the resource and the action share: it reaches the target, runs, and says what went wrong. The error is among
// the diagnostics already.
func runSchedule(ctx context.Context, open schedule.Opener, id types.String, wait types.Bool, timeout types.String,
	progress func(string), diags *diag.Diagnostics) (Outcome, error) {
	const summary = "Unable to Make Backup"
	target, name, err := schedule.ParseID(id.ValueString())
	if err != nil {
		diags.AddAttributeError(path.Root("schedule"), summary, err.Error())
		return Outcome{}, err
	}
	limit := timeout.ValueString()
	if limit == "" {
		limit = defaultTimeout
	}
	longest, err := time.ParseDuration(limit)
	if err != nil {
		diags.AddAttributeError(path.Root("timeout"), summary, err.Error())
		return Outcome{}, err
	}
	machine, err := open(ctx, target)
	if err != nil {
		diags.AddAttributeError(path.Root("schedule"), summary, whyNot(target, err))
		return Outcome{}, err
	}
	defer machine.Close()
	outcome, err := Run(ctx, machine, Options{Schedule: name, Wait: wait.IsNull() || wait.ValueBool(), Timeout: longest, Progress: progress})
	if err != nil {
		diags.AddAttributeError(path.Root("schedule"), summary, fmt.Sprintf("On %s: %v", target, err))
		return outcome, err
	}
	if outcome.Result == Partial {
		diags.AddAttributeWarning(path.Root("schedule"), "Backup Without Some Files", fmt.Sprintf("The snapshot of %s on %s was made, but "+
			"lacks files that could not be read. Its journal ends with:\n\n%s", name, target, outcome.Journal))
	}
	return outcome, nil
}

func whyNot(target string, err error) string {
	switch {
	case errors.Is(err, guest.ErrGone):
		return fmt.Sprintf("The target %s of the schedule is not there: %v", target, err)
	case errors.Is(err, guest.ErrStopped):
		return fmt.Sprintf("The target %s of the schedule is not running. Start it first: %v", target, err)
	}
	return err.Error()
}
