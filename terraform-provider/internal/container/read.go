// Finding out how a container is, and importing one.

package container

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

func (r *containerResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	const summary = "Unable to Read Container"
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	limit, diags := state.Timeouts.Read(ctx, readTimeout)
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	address, err := guest.ParseAddress(state.ID.ValueString())
	if err != nil {
		addError(&response.Diagnostics, summary, path.Root("id"), err)
		return
	}
	if !r.data.Knows(string(address.Kind), "ssh") {
		return // what the provider will dial is decided by this apply: there is nothing to look at yet
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	d, err := openDriver(ctx, address, r.data.Settings)
	if err != nil {
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
		return
	}
	defer d.close()
	var found observed
	if state.Unfinished.IsNull() {
		found, err = d.observe(ctx)
	} else if _, err = d.mark(ctx); err == nil {
		return // it will be made anew: what there is of it does not matter
	}
	if errors.Is(err, guest.ErrGone) {
		if state.Driver.IsNull() { // being imported
			response.Diagnostics.AddError("Unable to Import Container", fmt.Sprintf("There is no container at %s.", address))
			return
		}
		tflog.Info(ctx, "the container is gone", map[string]any{"id": state.ID.ValueString()})
		response.State.RemoveResource(ctx)
		return
	}
	if err == nil {
		response.Diagnostics.Append(state.absorb(ctx, address, found)...)
		err = r.readInside(ctx, d, &state, found, &response.Diagnostics)
	}
	if err != nil {
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
	}
	if response.Diagnostics.HasError() {
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, &state)...)
}

// readInside looks at files and engine. A container that does not run is looked into only where the driver can.
func (r *containerResource) readInside(ctx context.Context, d driver, state *model, found observed, diags *diag.Diagnostics) error {
	files, problems := state.files(ctx)
	diags.Append(problems...)
	if len(files) == 0 && state.BundleVersion.IsNull() || diags.HasError() {
		return nil
	}
	in, err := d.open(ctx)
	if errors.Is(err, guest.ErrStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	if len(files) > 0 {
		if err := observeFiles(ctx, in, files); err != nil {
			return err
		}
		diags.Append(state.setFiles(ctx, files)...)
	}
	if !state.BundleVersion.IsNull() {
		version, err := installedBundle(ctx, in, state.ResticLink.ValueBool(), found.running())
		if err != nil {
			return err
		}
		state.BundleVersion = orNull(version)
	}
	return nil
}

// absorb takes over what is managed, which is what the state has a value for. An import has none and takes all.
func (m *model) absorb(ctx context.Context, address guest.Address, found observed) diag.Diagnostics {
	var diags diag.Diagnostics
	m.Status, m.IPv4Address = orNull(found.status), orNull(found.ipv4)
	imported := m.Driver.IsNull()
	if imported {
		m.identify(address, found)
	}
	if address.Kind == guest.KindSSH {
		return diags
	}
	if imported || !m.CPU.IsNull() {
		m.CPU = types.Int64PointerValue(found.cpu)
	}
	for _, text := range []struct {
		value  *types.String
		actual string
	}{{&m.Memory, found.memory}, {&m.DiskSize, found.disk}} {
		if (imported || !text.value.IsNull()) && !sameSize(text.value.ValueString(), text.actual) {
			*text.value = orNull(text.actual)
		}
	}
	if imported && found.pool != "" {
		m.StoragePool = orNull(found.pool)
	}
	for _, flag := range []struct {
		value  *types.Bool
		actual *bool
	}{{&m.Autostart, found.autostart}, {&m.Nesting, found.nesting}} {
		if imported || !flag.value.IsNull() {
			*flag.value = types.BoolPointerValue(flag.actual)
		}
	}
	if !m.Running.IsNull() {
		m.Running = types.BoolValue(found.running())
	}
	m.absorbNetwork(found, imported)
	if imported && address.Kind != guest.KindProxmox || !m.Profiles.IsNull() {
		diags.Append(setList(ctx, &m.Profiles, found.profiles)...)
	}
	diags.Append(m.absorbConfig(ctx, found)...)
	diags.Append(m.absorbMounts(ctx, found, imported)...)
	return diags
}

func setList(ctx context.Context, list *types.List, values []string) diag.Diagnostics {
	if values == nil {
		values = []string{}
	}
	value, diags := types.ListValueFrom(ctx, types.StringType, values)
	*list = value
	return diags
}

// identify fills in what an import has in its id only.
func (m *model) identify(address guest.Address, found observed) {
	m.Driver = types.StringValue(string(address.Kind))
	m.Name = types.StringValue(address.Name)
	m.DeletionProtection, m.ResticLink, m.WaitFor = types.BoolValue(false), types.BoolValue(false), types.StringValue(waitSystem)
	switch address.Kind {
	case guest.KindIncus, guest.KindLXD:
		m.Project = types.StringValue(address.Project)
	case guest.KindProxmox:
		m.Node, m.VMID, m.Name = types.StringValue(address.Node), types.Int64Value(int64(address.VMID)), types.StringValue(found.name)
	case guest.KindSSH:
		m.Name = types.StringValue(address.Host)
		m.Host = types.StringValue(address.String())
	}
}

func (m *model) absorbNetwork(found observed, imported bool) {
	if found.hwaddr != "" {
		m.HWAddr = types.StringValue(found.hwaddr)
	}
	if imported && !found.placedByProfile || !m.Network.IsNull() {
		m.Network = orNull(found.network)
	}
	if imported && !found.placedByProfile || !m.Bridge.IsNull() {
		if found.network == "" || m.Bridge.ValueString() != found.network { // a managed bridge may be named as either
			m.Bridge = orNull(found.bridge)
		}
	}
	switch method := m.AddressMethod.ValueString(); {
	case m.Driver.ValueString() == proxmoxDriver:
		if imported || !m.Address.IsNull() {
			m.Address = orNull(found.address)
		}
		if imported || !m.Gateway.IsNull() {
			m.Gateway = orNull(found.gateway)
		}
		if imported && found.address != "" {
			m.AddressMethod = types.StringValue(methodDriver)
		}
		if !m.Nameservers.IsNull() && !slices.Equal(found.nameservers, stringsOf(m.Nameservers)) {
			_ = setList(context.Background(), &m.Nameservers, found.nameservers)
		}
	case imported:
		if networkdAddress(found.networkd) != "" {
			m.Address, m.AddressMethod = types.StringValue(networkdAddress(found.networkd)), types.StringValue(methodNetworkd)
			if found.address != "" {
				m.AddressMethod = types.StringValue(methodBoth)
			}
		} else if found.address != "" && found.address == found.ipv4 {
			m.Address, m.AddressMethod = types.StringValue(found.address+"/"+found.prefix), types.StringValue(methodDHCP)
		}
	case m.Address.IsNull():
	case (method == methodDHCP || method == methodBoth) && found.address != withoutPrefix(m.Address.ValueString()):
		m.Address = orNull(withPrefixOf(found.address, m.Address.ValueString()))
	case method == methodNetworkd || method == methodBoth:
		wanted := spec{address: m.Address.ValueString(), gateway: m.Gateway.ValueString(), nameservers: stringsOf(m.Nameservers)}
		if found.networkd != networkdContent(wanted) {
			m.Address = orNull(networkdAddress(found.networkd))
			if m.Address.ValueString() == wanted.address {
				m.Gateway, m.AddressMethod = types.StringNull(), orNull("") // the address stands and the rest does not
			}
		}
	}
}

func stringsOf(list types.List) []string {
	var result []string
	for _, value := range list.Elements() {
		if text, ok := value.(types.String); ok {
			result = append(result, text.ValueString())
		}
	}
	return result
}

func withPrefixOf(address, like string) string {
	prefix, err := netip.ParsePrefix(like)
	if address == "" || err != nil {
		return address
	}
	return fmt.Sprintf("%s/%d", address, prefix.Bits())
}

// absorbConfig looks at the keys that are managed only.
func (m *model) absorbConfig(ctx context.Context, found observed) diag.Diagnostics {
	if m.Config.IsNull() {
		return nil
	}
	config := map[string]string{}
	for key := range m.Config.Elements() {
		if value, there := found.config[key]; there {
			config[key] = value
		}
	}
	value, diags := types.MapValueFrom(ctx, types.StringType, config)
	m.Config = value
	return diags
}

func (m *model) absorbMounts(ctx context.Context, found observed, imported bool) diag.Diagnostics {
	if imported {
		if len(found.mounts) == 0 {
			m.Mounts = types.MapNull(mountType)
			return nil
		}
		return m.setMounts(ctx, found.mounts)
	}
	if m.Mounts.IsNull() {
		return nil
	}
	var managed map[string]mountModel
	diags := m.Mounts.ElementsAs(ctx, &managed, false)
	byPath := map[string]mount{}
	for _, entry := range found.mounts {
		byPath[entry.path] = entry
	}
	mounts := map[string]mount{}
	for name, entry := range managed {
		actual, there := found.mounts[name]
		if m.Driver.ValueString() == proxmoxDriver { // which knows numbers and no names
			actual, there = byPath[entry.Path.ValueString()]
		}
		if there {
			if entry.Shift.IsNull() {
				actual.shift = nil
			}
			mounts[name] = actual
		}
	}
	diags.Append(m.setMounts(ctx, mounts)...)
	return diags
}

func (r *containerResource) ImportState(ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse) {
	address, err := guest.ParseAddress(request.ID)
	if err == nil && address.Kind == guest.KindLocal {
		err = errors.New(`the machine that Terraform runs on is no container: recoup_schedule takes it as target = "local"`)
	}
	if err != nil {
		response.Diagnostics.AddError("Unable to Import Container", err.Error()+".")
		return
	}
	response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root("id"), address.String())...)
}
