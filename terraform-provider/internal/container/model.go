// What Terraform holds of a recoup_container, and the same as plain values for the drivers.

package container

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type model struct {
	ID                 types.String   `tfsdk:"id"`
	Driver             types.String   `tfsdk:"driver"`
	Name               types.String   `tfsdk:"name"`
	Project            types.String   `tfsdk:"project"`
	Node               types.String   `tfsdk:"node"`
	VMID               types.Int64    `tfsdk:"vmid"`
	Host               types.String   `tfsdk:"host"`
	Image              types.String   `tfsdk:"image"`
	DeletionProtection types.Bool     `tfsdk:"deletion_protection"`
	Network            types.String   `tfsdk:"network"`
	Bridge             types.String   `tfsdk:"bridge"`
	HWAddr             types.String   `tfsdk:"hwaddr"`
	Address            types.String   `tfsdk:"address"`
	Gateway            types.String   `tfsdk:"gateway"`
	Nameservers        types.List     `tfsdk:"nameservers"`
	AddressMethod      types.String   `tfsdk:"address_method"`
	CPU                types.Int64    `tfsdk:"cpu"`
	Memory             types.String   `tfsdk:"memory"`
	DiskSize           types.String   `tfsdk:"disk_size"`
	StoragePool        types.String   `tfsdk:"storage_pool"`
	Autostart          types.Bool     `tfsdk:"autostart"`
	Nesting            types.Bool     `tfsdk:"nesting"`
	Running            types.Bool     `tfsdk:"running"`
	Profiles           types.List     `tfsdk:"profiles"`
	Config             types.Map      `tfsdk:"config"`
	Mounts             types.Map      `tfsdk:"mounts"`
	Files              types.Map      `tfsdk:"files"`
	EngineBundle       types.String   `tfsdk:"engine_bundle"`
	ResticLink         types.Bool     `tfsdk:"restic_link"`
	WaitFor            types.String   `tfsdk:"wait_for"`
	IPv4Address        types.String   `tfsdk:"ipv4_address"`
	Status             types.String   `tfsdk:"status"`
	BundleVersion      types.String   `tfsdk:"bundle_version"`
	Unfinished         types.String   `tfsdk:"unfinished"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`
}

type mountModel struct {
	Source   types.String `tfsdk:"source"`
	Path     types.String `tfsdk:"path"`
	ReadOnly types.Bool   `tfsdk:"read_only"`
	Shift    types.Bool   `tfsdk:"shift"`
}

type fileModel struct {
	Content    types.String `tfsdk:"content"`
	SourcePath types.String `tfsdk:"source_path"`
	Mode       types.String `tfsdk:"mode"`
	UID        types.Int64  `tfsdk:"uid"`
	GID        types.Int64  `tfsdk:"gid"`
	SHA256     types.String `tfsdk:"sha256"`
}

var (
	mountType = types.ObjectType{AttrTypes: map[string]attr.Type{"source": types.StringType, "path": types.StringType, "read_only": types.BoolType, "shift": types.BoolType}}
	fileType  = types.ObjectType{AttrTypes: map[string]attr.Type{"content": types.StringType, "source_path": types.StringType, "mode": types.StringType,
		"uid": types.Int64Type, "gid": types.Int64Type, "sha256": types.StringType}}
)

// spec is what a container shall be. Nil and "" mean that nothing is said of it.
type spec struct {
	name, image        string
	network, bridge    string
	hwaddr             string
	address, gateway   string
	nameservers        []string
	method             string
	cpu                *int64
	memory, disk, pool string
	autostart, nesting *bool
	profiles           []string
	config             map[string]string
	mounts             map[string]mount
	nonce              string // marks the container as made by this create; "" in updates
	waitForAddress     bool
}

type mount struct {
	source, path string
	readOnly     bool
	shift        *bool
}

// spec is for known values: plans while they are applied, and states.
func (m *model) spec(ctx context.Context) (spec, diag.Diagnostics) {
	var diags diag.Diagnostics
	result := spec{name: m.Name.ValueString(), image: m.Image.ValueString(), network: m.Network.ValueString(), bridge: m.Bridge.ValueString(),
		hwaddr: m.HWAddr.ValueString(), address: m.Address.ValueString(), gateway: m.Gateway.ValueString(), method: m.AddressMethod.ValueString(),
		cpu: m.CPU.ValueInt64Pointer(), memory: m.Memory.ValueString(), disk: m.DiskSize.ValueString(), pool: m.StoragePool.ValueString(),
		waitForAddress: m.WaitFor.ValueString() != waitNone}
	if m.CPU.IsUnknown() {
		result.cpu = nil
	}
	if !m.Autostart.IsUnknown() {
		result.autostart = m.Autostart.ValueBoolPointer()
	}
	if !m.Nesting.IsUnknown() {
		result.nesting = m.Nesting.ValueBoolPointer()
	}
	if !m.Nameservers.IsNull() {
		diags.Append(m.Nameservers.ElementsAs(ctx, &result.nameservers, false)...)
	}
	if !m.Profiles.IsNull() {
		result.profiles = []string{}
		diags.Append(m.Profiles.ElementsAs(ctx, &result.profiles, false)...)
	}
	if !m.Config.IsNull() {
		diags.Append(m.Config.ElementsAs(ctx, &result.config, false)...)
	}
	result.mounts = map[string]mount{}
	if !m.Mounts.IsNull() {
		var mounts map[string]mountModel
		diags.Append(m.Mounts.ElementsAs(ctx, &mounts, false)...)
		for name, entry := range mounts {
			result.mounts[name] = mount{source: entry.Source.ValueString(), path: entry.Path.ValueString(), readOnly: entry.ReadOnly.ValueBool(), shift: entry.Shift.ValueBoolPointer()}
		}
	}
	return result, diags
}

func (m *model) files(ctx context.Context) (map[string]fileModel, diag.Diagnostics) {
	files := map[string]fileModel{}
	if m.Files.IsNull() || m.Files.IsUnknown() {
		return files, nil
	}
	return files, m.Files.ElementsAs(ctx, &files, false)
}

func (m *model) setFiles(ctx context.Context, files map[string]fileModel) diag.Diagnostics {
	value, diags := types.MapValueFrom(ctx, fileType, files)
	m.Files = value
	return diags
}

func (m *model) setMounts(ctx context.Context, mounts map[string]mount) diag.Diagnostics {
	models := map[string]mountModel{}
	for name, entry := range mounts {
		models[name] = mountModel{Source: types.StringValue(entry.source), Path: types.StringValue(entry.path),
			ReadOnly: types.BoolValue(entry.readOnly), Shift: types.BoolPointerValue(entry.shift)}
	}
	value, diags := types.MapValueFrom(ctx, mountType, models)
	m.Mounts = value
	return diags
}

// observed is how a container is found. Nil and "" mean that the server says nothing of it.
type observed struct {
	status             string // "Running", "Stopped", …
	ipv4, hwaddr       string
	network, bridge    string
	address            string // as the server has it; with a prefix only where it knows one
	gateway            string
	nameservers        []string
	cpu                *int64
	memory, disk, pool string
	autostart, nesting *bool
	profiles           []string
	config             map[string]string
	mounts             map[string]mount
	name               string
	placedByProfile    bool   // network and bridge are what the profiles say
	prefix             string // length of the prefix of ipv4
	networkd           string // the file that sets a static address
}

func (o observed) running() bool { return o.status == "Running" }
