// What is known of a container before anything is dialled.

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// support says which drivers have an attribute, and what to do with the others.
type support struct {
	drivers []string
	remedy  string
}

var (
	onlyInstances = []string{incusDriver, lxdDriver}
	onlyMade      = []string{incusDriver, lxdDriver, proxmoxDriver}
	attributes    = map[string]support{
		"project":        {onlyInstances, "leave it out"},
		"node":           {[]string{proxmoxDriver}, "leave it out"},
		"vmid":           {[]string{proxmoxDriver}, "leave it out"},
		"host":           {[]string{sshDriver}, "leave it out: the container's server is set in the provider"},
		"image":          {onlyMade, "leave it out: the host is there already"},
		"network":        {onlyInstances, "use `bridge`, or leave it out"},
		"bridge":         {onlyMade, "leave it out: the host has its network"},
		"hwaddr":         {onlyMade, "leave it out: the host has its network"},
		"address":        {onlyMade, "leave it out: the host has its network"},
		"gateway":        {onlyMade, "leave it out: the host has its network"},
		"nameservers":    {onlyMade, "leave it out: the host has its network"},
		"address_method": {onlyInstances, "leave it out"},
		"cpu":            {onlyMade, "leave it out: the host has its limits"},
		"memory":         {onlyMade, "leave it out: the host has its limits"},
		"disk_size":      {onlyMade, "leave it out: the host has its disks"},
		"storage_pool":   {onlyMade, "leave it out: the host has its disks"},
		"autostart":      {onlyMade, "leave it out: the host is not started by this resource"},
		"nesting":        {onlyMade, "leave it out"},
		"running":        {onlyMade, "leave it out: the host is not started or stopped by this resource"},
		"profiles":       {onlyInstances, "use `config`"},
		"config":         {onlyMade, "use `files`"},
		"mounts":         {onlyMade, "mount the directories on the host itself"},
	}
)

// ValidateConfig refuses what a driver does not have.
func (r *containerResource) ValidateConfig(ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse) {
	var config model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if response.Diagnostics.HasError() || config.Driver.IsUnknown() {
		return
	}
	driver := config.Driver.ValueString()
	for name, value := range config.optional() {
		allowed := attributes[name]
		if value.IsNull() || slices.Contains(allowed.drivers, driver) {
			continue
		}
		response.Diagnostics.AddAttributeError(path.Root(name), "Unsupported Attribute",
			fmt.Sprintf("The driver %q has no `%s`: %s. It is for %s.", driver, name, allowed.remedy, strings.Join(allowed.drivers, ", ")))
	}
	if driver == proxmoxDriver && !config.Mounts.IsNull() && !config.Mounts.IsUnknown() {
		for name, value := range config.Mounts.Elements() {
			if entry, ok := value.(types.Object); ok && !entry.IsUnknown() && !entry.Attributes()["shift"].IsNull() {
				response.Diagnostics.AddAttributeError(path.Root("mounts").AtMapKey(name), "Unsupported Attribute",
					"shift: the driver \"proxmox\" can't shift owners: leave it out, and give the directory's files an owner of 100000 and above, or read rights for everyone.")
			}
		}
	}
	if driver != sshDriver && config.Image.IsNull() {
		response.Diagnostics.AddAttributeWarning(path.Root("image"), "No Image",
			"Without `image` the container can be imported and changed, and not made. Set it so that a container that was deleted can be made again.")
	}
}

func (m *model) optional() map[string]attr.Value {
	return map[string]attr.Value{"project": m.Project, "node": m.Node, "vmid": m.VMID, "host": m.Host, "image": m.Image, "network": m.Network, "bridge": m.Bridge,
		"hwaddr": m.HWAddr, "address": m.Address, "gateway": m.Gateway, "nameservers": m.Nameservers, "address_method": m.AddressMethod, "cpu": m.CPU, "memory": m.Memory,
		"disk_size": m.DiskSize, "storage_pool": m.StoragePool, "autostart": m.Autostart, "nesting": m.Nesting, "running": m.Running, "profiles": m.Profiles,
		"config": m.Config, "mounts": m.Mounts}
}

// ModifyPlan fills in what follows from the configuration and from files of this machine. It dials nothing.
func (r *containerResource) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	if request.Plan.Raw.IsNull() {
		return
	}
	var config, plan, state model
	response.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	exists := !request.State.Raw.IsNull()
	if exists {
		response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	}
	if response.Diagnostics.HasError() || plan.Driver.IsUnknown() {
		return
	}
	r.defaults(&config, &plan)
	if err := r.planBundle(&plan, &state, exists); err != nil {
		addError(&response.Diagnostics, "Unable to Plan Container", path.Root("engine_bundle"), err)
	}
	files, diags := plan.files(ctx)
	response.Diagnostics.Append(diags...)
	if err := planFiles(files); err != nil {
		addError(&response.Diagnostics, "Unable to Plan Container", path.Root("files"), err)
	}
	if len(files) > 0 {
		response.Diagnostics.Append(plan.setFiles(ctx, files)...)
	}
	if response.Diagnostics.HasError() {
		return
	}
	if exists {
		if !state.Unfinished.IsNull() { // somebody has untainted it: this apply finishes it
			plan.Unfinished, plan.Status, plan.IPv4Address = types.StringNull(), types.StringUnknown(), types.StringUnknown()
		}
		if !plan.BundleVersion.Equal(state.BundleVersion) || !plan.Files.Equal(state.Files) {
			// The framework saw no change and has kept these; pushing may start a container.
			plan.Status, plan.IPv4Address = types.StringUnknown(), types.StringUnknown()
		}
		moved := !state.Unfinished.IsNull() || !plan.Network.Equal(state.Network) || !plan.Bridge.Equal(state.Bridge)
		if moved && config.AddressMethod.IsNull() && !plan.Address.IsNull() && plan.Driver.ValueString() != proxmoxDriver {
			plan.AddressMethod = types.StringUnknown()
		}
	}
	response.Diagnostics.Append(response.Plan.Set(ctx, &plan)...)
}

// defaults sets what Computed attributes of the configuration's null are before the apply.
func (r *containerResource) defaults(config, plan *model) {
	driver := plan.Driver.ValueString()
	made := driver != sshDriver
	for _, flag := range []struct{ config, plan *types.Bool }{{&config.Autostart, &plan.Autostart}, {&config.Nesting, &plan.Nesting}} {
		if flag.config.IsNull() {
			*flag.plan = types.BoolNull()
			if made {
				*flag.plan = types.BoolValue(true)
			}
		}
	}
	if driver != proxmoxDriver {
		plan.Node, plan.VMID = types.StringNull(), types.Int64Null()
	}
	if !slices.Contains(onlyInstances, driver) {
		plan.Project = types.StringNull()
	} else if plan.Project.IsUnknown() && r.data != nil && r.data.Knows(driver) {
		plan.Project = types.StringValue(r.defaultProject(driver))
	}
	if !made {
		plan.HWAddr = types.StringNull()
	}
	switch {
	case config.Address.IsNull():
		plan.AddressMethod = types.StringNull()
	case !config.Address.IsUnknown():
		if driver == proxmoxDriver {
			plan.AddressMethod = types.StringValue(methodDriver)
		}
		if config.AddressMethod.IsNull() && plan.AddressMethod.IsNull() {
			plan.AddressMethod = types.StringUnknown()
		}
	}
	if plan.ID.IsUnknown() {
		if address, known := plan.guestAddress(); known {
			plan.ID = types.StringValue(address.String())
		}
	}
}

func (r *containerResource) defaultProject(driver string) string {
	project := r.data.Settings.Incus.Project
	if driver == lxdDriver {
		project = r.data.Settings.LXD.Project
	}
	if project == "" {
		project = "default"
	}
	return project
}

// guestAddress is the id, if it can be known by now.
func (m *model) guestAddress() (guest.Address, bool) {
	switch m.Driver.ValueString() {
	case incusDriver, lxdDriver:
		return guest.Address{Kind: guest.Kind(m.Driver.ValueString()), Project: m.Project.ValueString(), Name: m.Name.ValueString()},
			!m.Project.IsUnknown() && !m.Name.IsUnknown()
	case proxmoxDriver:
		return guest.Address{Kind: guest.KindProxmox, Node: m.Node.ValueString(), VMID: int(m.VMID.ValueInt64())},
			!m.Node.IsUnknown() && !m.VMID.IsUnknown() && !m.Node.IsNull() && !m.VMID.IsNull()
	case sshDriver:
		if m.Host.IsNull() {
			return guest.Address{Kind: guest.KindSSH, User: "root", Host: m.Name.ValueString()}, !m.Name.IsUnknown()
		}
		address, err := guest.ParseAddress(m.Host.ValueString())
		return address, err == nil && !m.Host.IsUnknown()
	}
	return guest.Address{}, false
}

// planFiles computes the sum of each file, which is what shows that one has changed.
func planFiles(files map[string]fileModel) error {
	for name, entry := range files {
		if entry.Content.IsUnknown() || entry.SourcePath.IsUnknown() {
			entry.SHA256 = types.StringUnknown()
		} else {
			content, err := entry.content()
			if err != nil {
				return blame(filePath(name), "source_path: the file can't be read: %w. Correct source_path, which is relative to the directory that Terraform runs in", err)
			}
			entry.SHA256 = types.StringValue(sha256Of(content))
		}
		files[name] = entry
	}
	return nil
}

// bundleName is where the bundle is on this machine, and whether it was named explicitly. "" means that there shall be none.
func (r *containerResource) bundleName(m *model) (string, bool) {
	switch named := m.EngineBundle.ValueString(); {
	case named == bundleNone:
		return "", true
	case named != "":
		return named, true
	case r.data == nil:
		return "", false
	}
	executable, err := r.data.Engine.Path()
	if err != nil {
		return "", false
	}
	return filepath.Join(filepath.Dir(executable), "bundle"), false
}

func (r *containerResource) bundle(m *model) (*bundle, error) {
	name, explicit := r.bundleName(m)
	if name == "" {
		return nil, nil
	}
	loaded, err := loadBundle(name)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return nil, nil
	}
	if err != nil {
		return nil, blame(path.Root("engine_bundle"), "%w", err)
	}
	return loaded, nil
}

// planBundle makes another bundle a change.
func (r *containerResource) planBundle(plan, state *model, exists bool) error {
	if plan.EngineBundle.IsUnknown() {
		plan.BundleVersion = types.StringUnknown()
		return nil
	}
	loaded, err := r.bundle(plan)
	switch {
	case err != nil:
		return err
	case loaded != nil:
		plan.BundleVersion = types.StringValue(loaded.version())
	case exists:
		plan.BundleVersion = state.BundleVersion
	default:
		plan.BundleVersion = types.StringNull()
	}
	return nil
}
