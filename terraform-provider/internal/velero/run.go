// This file is the resource recoup_velero_backup_run.
package velero

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// longestRun is how long a backup is waited for if nobody says otherwise.
const longestRun = 24 * time.Hour

type runResource struct{ data *providerdata.Data }

var (
	_ resource.ResourceWithConfigure  = (*runResource)(nil)
	_ resource.ResourceWithModifyPlan = (*runResource)(nil)
)

// NewRun makes recoup_velero_backup_run.
func NewRun() resource.Resource { return &runResource{} }

type runModel struct {
	ID          types.String   `tfsdk:"id"`
	Schedule    types.String   `tfsdk:"schedule"`
	Triggers    types.Map      `tfsdk:"triggers"`
	Wait        types.Bool     `tfsdk:"wait"`
	Timeouts    timeouts.Value `tfsdk:"timeouts"`
	BackupName  types.String   `tfsdk:"backup_name"`
	Phase       types.String   `tfsdk:"phase"`
	StartedAt   types.String   `tfsdk:"started_at"`
	CompletedAt types.String   `tfsdk:"completed_at"`
	ExpiresAt   types.String   `tfsdk:"expires_at"`
	Errors      types.Int64    `tfsdk:"errors"`
	Warnings    types.Int64    `tfsdk:"warnings"`
}

func (r *runResource) Metadata(_ context.Context, request resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_velero_backup_run"
}

func (r *runResource) Configure(_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse) {
	r.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (r *runResource) Schema(ctx context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	words := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: description}
	}
	count := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, PlanModifiers: []planmodifier.Int64{int64planmodifier.UseStateForUnknown()}, MarkdownDescription: description}
	}
	response.Schema = schema.Schema{
		MarkdownDescription: "A Velero backup that is made when this resource is created, and made again whenever `triggers` change: exactly the one that " +
			"`velero backup create --from-schedule` makes, with the schedule's template, labels and annotations.\n\nA backup that ends as " +
			"`PartiallyFailed`, `Failed` or `FailedValidation` is an error with Velero's reasons and those of the volumes, and the next apply makes " +
			"another one. With `wait = false` it is a warning of the next plan, and no other one is made. Destroying the resource forgets the run; the backup stays until it expires.",
		Attributes: map[string]schema.Attribute{
			"id": words("`NAMESPACE/NAME` of the Backup."),
			"schedule": schema.StringAttribute{Required: true, MarkdownDescription: "`recoup_velero_schedule.NAME.id`, or the name of another Schedule.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, Validators: []validator.String{scheduleID()}},
			"triggers": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Whatever should lead to another backup when it changes.",
				PlanModifiers: []planmodifier.Map{mapplanmodifier.RequiresReplace()}},
			"wait": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Whether the apply waits for the end of the backup. Default: true."},
			"timeouts":     describedTimeouts(ctx, timeouts.Opts{Create: true, CreateDescription: "How long to wait for the end of the backup, as `2h`. The backup itself goes on after that. Default: `24h`."}),
			"backup_name":  words("Name of the Backup."),
			"phase":        words("What it came to: `Completed`, or with `wait = false` how far it was when Terraform last looked."),
			"started_at":   words("When Velero began with it (RFC 3339)."),
			"completed_at": words("When Velero had finished (RFC 3339)."),
			"expires_at":   words("When Velero will remove it (RFC 3339)."),
			"errors":       count("Errors that Velero counted."),
			"warnings":     count("Warnings that Velero counted. Restic volumes alone make some."),
		},
	}
}

func scheduleID() validator.String {
	return validate.Text{Wants: "the id of a recoup_velero_schedule", Check: func(value string) error {
		_, _, err := parseID(value, nil)
		return err
	}}
}

func (r *runResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	const summary = "Unable to Make Velero Backup"
	diags := &response.Diagnostics
	var plan runModel
	diags.Append(request.Plan.Get(ctx, &plan)...)
	if diags.HasError() {
		return
	}
	limit, problems := plan.Timeouts.Create(ctx, longestRun)
	diags.Append(problems...)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	namespace, name, err := parseID(plan.Schedule.ValueString(), r.data)
	if err != nil {
		diags.AddAttributeError(path.Root("schedule"), summary, sentence(err))
		return
	}
	backup, err := backupFromSchedule(ctx, r.data.Kubernetes, namespace, name)
	if err != nil {
		diags.AddAttributeError(path.Root("schedule"), summary, sentence(err))
		return
	}
	// From here on there is a backup: a state that is saved with an error is tainted, and the next apply makes another one.
	plan.take(backup)
	diags.Append(response.State.Set(ctx, plan)...)
	if !plan.Wait.ValueBool() || diags.HasError() {
		return
	}
	ended, err := waitForBackup(ctx, r.data.Kubernetes, backup)
	plan.take(ended)
	diags.Append(response.State.Set(ctx, plan)...)
	if err != nil {
		diags.AddError(summary, sentence(err))
	}
}

func (m *runModel) take(backup *kubernetes.Object) {
	status, _ := backup.Object["status"].(map[string]any)
	m.ID = types.StringValue(id(backup.GetNamespace(), backup.GetName()))
	m.BackupName = types.StringValue(backup.GetName())
	m.Phase = types.StringValue(phaseOf(backup))
	m.StartedAt, m.CompletedAt = statusText(status, "startTimestamp"), statusText(status, "completionTimestamp")
	m.ExpiresAt = statusText(status, "expiration")
	errors, _ := status["errors"].(int64)
	warnings, _ := status["warnings"].(int64)
	m.Errors, m.Warnings = types.Int64Value(errors), types.Int64Value(warnings)
}

// Read looks after a backup that was not waited for. What has ended has ended, also when it has expired since.
func (r *runResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	diags := &response.Diagnostics
	var state runModel
	diags.Append(request.State.Get(ctx, &state)...)
	if diags.HasError() || hasEnded(state.Phase.ValueString()) || !r.data.Knows("kubernetes") {
		return
	}
	namespace, name, err := parseID(state.ID.ValueString(), r.data)
	if err != nil {
		return
	}
	backup, err := r.data.Kubernetes.Get(ctx, backupKind, namespace, name)
	if kubernetes.Gone(err) {
		return
	}
	if err != nil {
		diags.AddError("Unable to Read Velero Backup", err.Error())
		return
	}
	state.take(backup)
	diags.Append(response.State.Set(ctx, state)...)
	if hasEnded(state.Phase.ValueString()) {
		if err := judge(ctx, r.data.Kubernetes, backup); err != nil {
			diags.AddWarning("Velero Backup Failed", sentence(fmt.Errorf("%w\n\nTo make another one, change triggers", err)))
		}
	}
}

// Update is about `wait` and `timeouts`, which matter to later runs only.
func (r *runResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan runModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if !response.Diagnostics.HasError() {
		response.Diagnostics.Append(response.State.Set(ctx, plan)...)
	}
}

// ModifyPlan says before a destroy what it will leave.
func (r *runResource) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	if !request.Plan.Raw.IsNull() {
		return
	}
	var name types.String
	response.Diagnostics.Append(request.State.GetAttribute(ctx, path.Root("id"), &name)...)
	response.Diagnostics.AddWarning("Velero Backup Will Be Left in Place", backupStays(name.ValueString()))
}

// Delete forgets the run.
func (r *runResource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	var name types.String
	response.Diagnostics.Append(request.State.GetAttribute(ctx, path.Root("id"), &name)...)
	response.Diagnostics.AddWarning("Velero Backup Left in Place", backupStays(name.ValueString()))
}

func backupStays(which string) string {
	namespace, name, _ := parseID(which, nil)
	return fmt.Sprintf("The backup %s stays in the cluster and in the bucket until it expires; Terraform only forgets it. To remove it now: "+
		"velero -n %s backup delete %s", which, namespace, name)
}
