// Package schedule is the resource recoup_schedule: a backup that a machine makes by itself.
//
//	schema*.go      what can be declared      validators.go  what of it is checked at once
//	definition.go   Terraform's values <-> the definition of docs/schedules.md
//	render.go       definition -> files, by the engine
//	plan.go         what a plan shows          inspect.go     what on the machine is otherwise
//	install.go      files -> machine           record.go      what is remembered of them, without secrets
package schedule

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/privatestate"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

// Resource is recoup_schedule.
type Resource struct {
	engine Engine
	open   Opener
	knows  func(attributes ...string) bool
}

var (
	_ resource.ResourceWithConfigure   = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan  = (*Resource)(nil)
	_ resource.ResourceWithImportState = (*Resource)(nil)
)

// NewResource is what the provider serves.
func NewResource() resource.Resource { return &Resource{} }

// NewResourceWith is for tests that bring their own engine and machines.
func NewResourceWith(client Engine, open Opener) resource.Resource {
	return &Resource{engine: client, open: open, knows: func(...string) bool { return true }}
}

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_schedule"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	data := providerdata.From(req.ProviderData, &resp.Diagnostics)
	if data == nil || r.engine != nil {
		return
	}
	r.engine, r.open, r.knows = data.Engine, OpenerOf(data), data.Knows
}

// ID names a schedule everywhere: in states, imports, and for recoup_backup_run.
func ID(target, name string) string { return target + "#" + name }

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	const summary = "Unable to Create Schedule"
	work := r.prepare(ctx, summary, req.Plan, req.Config, &resp.Diagnostics)
	if work == nil {
		return
	}
	defer work.close()
	if !work.declared.overwrite {
		if err := refuseForeign(ctx, work.machine, work.declared.id(), work.declared.name, work.made.Files, record{}); err != nil {
			addInstallError(&resp.Diagnostics, summary, err)
			return
		}
	}
	// From here on there is something to clean up: a state that is saved before an error is tainted, not lost.
	work.save(ctx, req.Plan, &resp.State, resp.Private, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	work.install(ctx, summary, &resp.Diagnostics)
}

func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	const summary = "Unable to Read Schedule"
	declared := declarationOf(ctx, req.State, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	if attribute := providerAttribute(declared.target); attribute != "" && !r.knows(attribute) {
		return // the server is created by the same apply: what is known stays
	}
	if declared.imported {
		r.readImported(ctx, declared, req, resp)
		return
	}
	written := loadRecord(ctx, req.Private, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	drift, err := r.inspectTarget(ctx, declared, expectation{
		written: written, plain: r.renderState(ctx, req.State), timer: declared.timer(), enabled: declared.enabled})
	switch {
	case errors.Is(err, guest.ErrGone):
		resp.Diagnostics.AddWarning("Schedule Gone", fmt.Sprintf("The target %s is not there any more, and the schedule %s with it. "+
			"It is created again where the target is. The repository's data stays as it is.", declared.target, declared.name))
		resp.State.RemoveResource(ctx)
	case errors.Is(err, guest.ErrStopped):
		setDrift(ctx, &resp.State, []string{"the target is not running, so nothing could be read"}, &resp.Diagnostics)
	case err != nil:
		resp.Diagnostics.AddAttributeError(path.Root("target"), summary, fmt.Sprintf("On %s: %v", declared.target, err))
	default:
		setDrift(ctx, &resp.State, drift, &resp.Diagnostics)
	}
}

func (r *Resource) inspectTarget(ctx context.Context, declared declaration, want expectation) ([]string, error) {
	machine, err := r.open(ctx, declared.target)
	if err != nil {
		return nil, err
	}
	defer machine.Close()
	return inspect(ctx, machine, want)
}

// renderState gives what the engine makes of the state; nil where it cannot say, for then the fingerprints have to do.
func (r *Resource) renderState(ctx context.Context, state tfsdk.State) *rendered {
	definition, known, err := definitionFrom(state.Raw)
	if err != nil || !known {
		return nil
	}
	made, err := render(ctx, r.engine, definition, nil)
	if err != nil {
		return nil
	}
	return made
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	const summary = "Unable to Update Schedule"
	work := r.prepare(ctx, summary, req.Plan, req.Config, &resp.Diagnostics)
	if work == nil {
		return
	}
	defer work.close()
	earlier := loadRecord(ctx, req.Private, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	if !work.declared.overwrite {
		if err := refuseForeign(ctx, work.machine, work.declared.id(), work.declared.name, work.made.Files, earlier); err != nil {
			addInstallError(&resp.Diagnostics, summary, err)
			return
		}
	}
	if !work.install(ctx, summary, &resp.Diagnostics) {
		return // the state stays as it was, so that the next plan has the same to do
	}
	if former := earlier.secretPath(); former != "" && work.written.secretPath() != former {
		if _, err := removeEnvironment(ctx, work.machine, work.declared.name, former); err != nil {
			resp.Diagnostics.AddWarning("Environment File Left", fmt.Sprintf("%s on %s holds secrets that the schedule %s does not need any more, "+
				"but it could not be removed: %v", former, work.declared.target, work.declared.name, err))
		}
	}
	work.save(ctx, req.Plan, &resp.State, resp.Private, &resp.Diagnostics)
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	const summary = "Unable to Delete Schedule"
	declared := declarationOf(ctx, req.State, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	defer lockTarget(declared.target)()
	machine, err := r.open(ctx, declared.target)
	if errors.Is(err, guest.ErrGone) {
		return
	}
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("target"), summary, fmt.Sprintf("%v. If the machine is gone for good, forget the "+
			"schedule with terraform state rm.", err))
		return
	}
	defer machine.Close()
	kept, err := uninstall(ctx, machine, declared.name, declared.environmentFile)
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("target"), summary, fmt.Sprintf("On %s: %v. The next apply goes on from there.", declared.target, err))
		return
	}
	said := fmt.Sprintf("The schedule %s was taken off %s. Its snapshots, and the repository that they are in, stay as they are.", declared.name, declared.target)
	if kept != "" {
		said += fmt.Sprintf(" %s stays, too: %s.", declared.environmentFile, kept)
	}
	resp.Diagnostics.AddWarning("Repository Data Kept", said)
}

// work is one apply: what is declared, what the engine made of it, and the machine, locked.
type work struct {
	declared declaration
	made     *rendered
	written  record
	machine  guest.Guest
	unlock   func()
}

func (w *work) close() {
	_ = w.machine.Close()
	w.unlock()
}

// prepare does what can fail before anything is changed. It gives nil where there are errors.
func (r *Resource) prepare(ctx context.Context, summary string, plan tfsdk.Plan, config tfsdk.Config, diags *diag.Diagnostics) *work {
	declared := declarationOf(ctx, plan, diags)
	secrets := secretsOf(ctx, config, diags)
	if diags.HasError() {
		return nil
	}
	definition, _, err := definitionFrom(plan.Raw)
	if err != nil {
		diags.AddError(summary, err.Error())
		return nil
	}
	made, err := render(ctx, r.engine, definition, secrets)
	if err != nil {
		addEngineError(diags, summary, err)
		return nil
	}
	for at, file := range made.Files {
		if file.Secret {
			made.Files[at].Content = markedEnvironment(declared.name, file.Content)
		}
	}
	written, err := r.recordWork(ctx, definition, made)
	if err != nil {
		diags.AddError(summary, err.Error())
		return nil
	}
	unlock := lockTarget(declared.target)
	machine, err := r.open(ctx, declared.target)
	if err != nil {
		unlock()
		diags.AddAttributeError(path.Root("target"), summary, err.Error())
		return nil
	}
	prepared := &work{declared: declared, made: made, written: written, machine: machine, unlock: unlock}
	if err := requireExecutable(ctx, machine, declared.executable); err != nil {
		prepared.close()
		addInstallError(diags, summary, err)
		return nil
	}
	return prepared
}

func (r *Resource) recordWork(ctx context.Context, definition map[string]any, made *rendered) (record, error) {
	plain, err := render(ctx, r.engine, definition, nil)
	if err != nil {
		return record{}, err
	}
	return recordOf(made.Files, plain)
}

// install puts everything there and looks whether it is.
func (w *work) install(ctx context.Context, summary string, diags *diag.Diagnostics) bool {
	if err := install(ctx, w.machine, w.made.Files, w.declared.timer(), w.declared.enabled); err != nil {
		diags.AddAttributeError(path.Root("target"), summary, fmt.Sprintf("On %s: %v. The next apply goes on from there.", w.declared.target, err))
		return false
	}
	drift, err := inspect(ctx, w.machine, expectation{written: w.written, timer: w.declared.timer(), enabled: w.declared.enabled})
	if err != nil {
		diags.AddAttributeError(path.Root("target"), summary, fmt.Sprintf("On %s: %v", w.declared.target, err))
		return false
	}
	for _, difference := range drift {
		diags.AddAttributeError(path.Root("target"), summary, fmt.Sprintf("Right after it was written, on %s %s. Something else there keeps changing it.",
			w.declared.target, difference))
	}
	return len(drift) == 0
}

// save writes the plan, with what is known only now, as the state.
func (w *work) save(ctx context.Context, plan tfsdk.Plan, state *tfsdk.State, private privatestate.Writer, diags *diag.Diagnostics) {
	state.Raw = plan.Raw
	w.declared.setComputed(ctx, state, diags)
	diags.Append(state.SetAttribute(ctx, path.Root("on_calendar"), w.made.OnCalendar)...)
	setDrift(ctx, state, []string{}, diags)
	saveRecord(ctx, private, w.written, diags)
}

func addInstallError(diags *diag.Diagnostics, summary string, err error) {
	var taken *occupied
	var missing *missingExecutable
	switch {
	case errors.As(err, &taken) && taken.environment:
		diags.AddAttributeError(path.Root("environment_file"), summary, err.Error())
	case errors.As(err, &taken):
		diags.AddAttributeError(path.Root("name"), summary, err.Error())
	case errors.As(err, &missing):
		diags.AddAttributeError(path.Root("executable"), summary, err.Error())
	default:
		diags.AddAttributeError(path.Root("target"), summary, err.Error())
	}
}
