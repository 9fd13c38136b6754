// Package container is the resource recoup_container: a machine that backups run on, made or taken as it is.
package container

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

const (
	createTimeout = 20 * time.Minute
	readTimeout   = 5 * time.Minute
	updateTimeout = 20 * time.Minute
	deleteTimeout = 10 * time.Minute
)

type containerResource struct{ data *providerdata.Data }

var (
	_ resource.ResourceWithConfigure      = (*containerResource)(nil)
	_ resource.ResourceWithImportState    = (*containerResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*containerResource)(nil)
	_ resource.ResourceWithValidateConfig = (*containerResource)(nil)
)

// NewResource gives the resource recoup_container.
func NewResource() resource.Resource { return &containerResource{} }

func (r *containerResource) Metadata(_ context.Context, request resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_container"
}

func (r *containerResource) Configure(_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse) {
	r.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

// addError puts an error where the attribute is that is to blame for it; `at` where the error does not say.
func addError(diags *diag.Diagnostics, summary string, at path.Path, err error) {
	var blamed *attributeError
	if errors.As(err, &blamed) {
		at = blamed.at
	}
	diags.AddAttributeError(at, summary, err.Error()+".")
}

func (r *containerResource) driverOf(ctx context.Context, m *model) (driver, error) {
	address := guest.Address{Kind: guest.KindProxmox, Node: m.Node.ValueString(), VMID: int(m.VMID.ValueInt64())}
	switch known, complete := m.guestAddress(); {
	case complete:
		address = known
	case m.Driver.ValueString() != proxmoxDriver:
		if m.Project.IsUnknown() || m.Project.IsNull() {
			m.Project = types.StringValue(r.defaultProject(m.Driver.ValueString()))
		}
		address, _ = m.guestAddress()
	case address.Node == "":
		address.Node = r.data.Settings.Proxmox.Node
	}
	return openDriver(ctx, address, r.data.Settings)
}

func (r *containerResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	const summary = "Unable to Create Container"
	var plan model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	limit, diags := plan.Timeouts.Create(ctx, createTimeout)
	response.Diagnostics.Append(diags...)
	wanted, diags := plan.spec(ctx)
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	d, err := r.driverOf(ctx, &plan)
	if err != nil {
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
		return
	}
	defer d.close()
	wanted.nonce = newMark()
	maybe, err := d.create(ctx, &wanted)
	plan.Unfinished = types.StringValue(wanted.nonce)
	save := func() {
		known := plan // a copy: what is unknown now may be known at the next save
		response.Diagnostics.Append(known.record(ctx, d, wanted)...)
		response.Diagnostics.Append(response.State.Set(ctx, &known)...)
	}
	if err != nil {
		if maybe {
			save()
		}
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
		return
	}
	// From here on the container is there: it is in the state before anything else is tried.
	save()
	if err := r.bringUp(ctx, d, &wanted, &plan, nil, !plan.Running.IsNull() && !plan.Running.ValueBool()); err != nil {
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
		return
	}
	if err := plan.readBack(ctx, d); err != nil {
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
		return
	}
	plan.Unfinished = types.StringNull()
	save()
}

func newMark() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return hex.EncodeToString(random)
}

// record writes what create decided; what is unknown still becomes null, because a state has nothing unknown.
func (m *model) record(ctx context.Context, d driver, wanted spec) diag.Diagnostics {
	address := d.address()
	m.ID = types.StringValue(address.String())
	switch address.Kind {
	case guest.KindIncus, guest.KindLXD:
		m.Project = types.StringValue(address.Project)
	case guest.KindProxmox:
		m.Node, m.VMID = types.StringValue(address.Node), types.Int64Value(int64(address.VMID))
	}
	if m.HWAddr.IsUnknown() {
		m.HWAddr = orNull(wanted.hwaddr)
	}
	if m.AddressMethod.IsUnknown() {
		m.AddressMethod = orNull(wanted.method)
	}
	for _, value := range []*types.String{&m.Project, &m.Node, &m.IPv4Address, &m.Status, &m.BundleVersion} {
		if value.IsUnknown() {
			*value = types.StringNull()
		}
	}
	files, diags := m.files(ctx)
	if len(files) == 0 {
		return diags
	}
	for name, entry := range files {
		if entry.SHA256.IsUnknown() {
			entry.SHA256 = types.StringNull()
			files[name] = entry
		}
	}
	diags.Append(m.setFiles(ctx, files)...)
	return diags
}

func orNull(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

// bringUp starts the container and puts into it what belongs there. At the end it runs, unless it shall be stopped.
func (r *containerResource) bringUp(ctx context.Context, d driver, wanted *spec, plan *model, before map[string]fileModel, stopAfter bool) error {
	if err := d.prepare(ctx, wanted); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := r.provision(ctx, d, *wanted, plan, before); err != nil {
		return err
	}
	if stopAfter {
		return d.stop(ctx)
	}
	return nil
}

// provision works on a running container.
func (r *containerResource) provision(ctx context.Context, d driver, wanted spec, plan *model, before map[string]fileModel) error {
	in, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	if plan.WaitFor.ValueString() != waitNone {
		if plan.Driver.ValueString() != sshDriver {
			if err := waitReady(ctx, in); err != nil {
				return err
			}
		}
		if wanted.address != "" {
			if err := waitAddress(ctx, d, wanted); err != nil {
				return err
			}
		}
	}
	if err := r.pushBundle(ctx, in, plan); err != nil {
		return err
	}
	files, diags := plan.files(ctx)
	if diags.HasError() {
		return errors.New(diags.Errors()[0].Detail())
	}
	if err := syncFiles(ctx, in, before, files); err != nil {
		return err
	}
	for name, entry := range files {
		content, err := entry.content()
		if err != nil {
			return blame(filePath(name), "source_path: the file can't be read: %w", err)
		}
		entry.SHA256 = types.StringValue(sha256Of(content))
		files[name] = entry
	}
	if !plan.Files.IsNull() {
		if diags := plan.setFiles(ctx, files); diags.HasError() {
			return errors.New(diags.Errors()[0].Detail())
		}
	}
	return nil
}

func (r *containerResource) pushBundle(ctx context.Context, in guest.Guest, plan *model) error {
	loaded, err := r.bundle(plan)
	if err != nil || loaded == nil {
		if plan.BundleVersion.IsUnknown() {
			plan.BundleVersion = types.StringNull()
		}
		return err
	}
	version := loaded.version()
	if !plan.BundleVersion.IsUnknown() && plan.BundleVersion.ValueString() != version {
		return blame(path.Root("engine_bundle"), "The bundle was changed while Terraform was applying: plan again")
	}
	plan.BundleVersion = types.StringValue(version)
	installed, err := installedBundle(ctx, in, plan.ResticLink.ValueBool(), true)
	if err != nil || installed == version {
		return err
	}
	if err := loaded.install(ctx, in, plan.ResticLink.ValueBool()); err != nil {
		return blame(path.Root("engine_bundle"), "The engine could not be installed: %w", err)
	}
	return nil
}

// readBack fills in what only the server knows.
func (m *model) readBack(ctx context.Context, d driver) error {
	found, err := d.observe(ctx)
	if err != nil {
		return err
	}
	m.Status = orNull(found.status)
	m.IPv4Address = orNull(found.ipv4)
	return nil
}

func (r *containerResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	const summary = "Unable to Update Container"
	var plan, state model
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	limit, diags := plan.Timeouts.Update(ctx, updateTimeout)
	response.Diagnostics.Append(diags...)
	wanted, diags := plan.spec(ctx)
	response.Diagnostics.Append(diags...)
	before, diags := state.spec(ctx)
	response.Diagnostics.Append(diags...)
	files, diags := state.files(ctx)
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	d, err := r.driverOf(ctx, &plan)
	if err == nil {
		defer d.close()
		inside := !plan.Files.Equal(state.Files) || !plan.BundleVersion.Equal(state.BundleVersion) || !plan.ResticLink.Equal(state.ResticLink) || !state.Unfinished.IsNull()
		err = r.update(ctx, d, before, &wanted, &plan, files, inside)
	}
	if err != nil {
		// The state stays what it was; the next refresh finds out how far this went.
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
		return
	}
	response.Diagnostics.Append(plan.record(ctx, d, wanted)...)
	response.Diagnostics.Append(response.State.Set(ctx, &plan)...)
}

func (r *containerResource) update(ctx context.Context, d driver, before spec, wanted *spec, plan *model, files map[string]fileModel, inside bool) error {
	found, err := d.observe(ctx)
	if err != nil {
		return err
	}
	if err := d.update(ctx, before, *wanted); err != nil {
		return err
	}
	moved := plan.AddressMethod.IsUnknown() || before.address != wanted.address || before.gateway != wanted.gateway || before.method != wanted.method || before.network != wanted.network ||
		before.bridge != wanted.bridge || fmt.Sprint(before.nameservers) != fmt.Sprint(wanted.nameservers)
	if moved {
		if err := d.prepare(ctx, wanted); err != nil {
			return err
		}
		if found.running() {
			if err := followAddress(ctx, d, *wanted); err != nil {
				return err
			}
		}
	}
	if !found.running() && !inside && !plan.Running.ValueBool() {
		return plan.readBack(ctx, d) // nothing to do inside: it need not start for this
	}
	if !found.running() {
		if err := d.start(ctx); err != nil {
			return err
		}
	}
	if err := r.provision(ctx, d, *wanted, plan, files); err != nil {
		return err
	}
	// Power is left as it was where nobody asked for it.
	if !plan.Running.IsNull() && !plan.Running.ValueBool() || plan.Running.IsNull() && !found.running() {
		if err := d.stop(ctx); err != nil {
			return err
		}
	}
	return plan.readBack(ctx, d)
}
