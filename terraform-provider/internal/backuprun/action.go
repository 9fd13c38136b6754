package backuprun

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/schedule"
)

// Action is recoup_backup.
type Action struct {
	open schedule.Opener
}

var _ action.ActionWithConfigure = (*Action)(nil)

// NewAction is what the provider serves.
func NewAction() action.Action { return &Action{} }

// NewActionWith is for tests that bring their own machines.
func NewActionWith(open schedule.Opener) action.Action { return &Action{open: open} }

func (a *Action) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_backup"
}

func (a *Action) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	data := providerdata.From(req.ProviderData, &resp.Diagnostics)
	if data != nil && a.open == nil {
		a.open = schedule.OpenerOf(data)
	}
}

func (a *Action) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Makes a backup now, by the service of a `recoup_schedule`: `terraform apply -invoke=action.recoup_backup.NAME`, or from a " +
			"resource's `lifecycle`. A backup that fails is an error with the end of its journal.\n\nTerraform 1.14.1 or newer is needed; " +
			"OpenTofu, and Terraform before 1.14, have no actions: use the resource `recoup_backup_run` there. (In 1.14.0 `after_create` " +
			"ran too early.)",
		Attributes: map[string]schema.Attribute{
			"schedule": schema.StringAttribute{Required: true, MarkdownDescription: "`recoup_schedule.NAME.id`.",
				Validators: []validator.String{scheduleID()}},
			"wait": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether to wait for the end of the backup. Default: `true`."},
			"timeout": schema.StringAttribute{Optional: true, Validators: []validator.String{duration()},
				MarkdownDescription: "How long to wait (`90m`, `12h`). The backup itself goes on after that. Default: `" + defaultTimeout + "`."},
		},
	}
}

func (a *Action) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var id, timeout types.String
	var wait types.Bool
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("schedule"), &id)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("wait"), &wait)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("timeout"), &timeout)...)
	if resp.Diagnostics.HasError() {
		return
	}
	progress := func(message string) { resp.SendProgress(action.InvokeProgressEvent{Message: message}) }
	outcome, err := runSchedule(ctx, a.open, id, wait, timeout, progress, &resp.Diagnostics)
	switch {
	case err != nil:
	case outcome.SnapshotID != "":
		progress("The backup is done (" + outcome.Result + "): snapshot " + outcome.SnapshotID)
	case outcome.Result != Started:
		progress("The backup is done (" + outcome.Result + "), without a new snapshot")
	}
}
