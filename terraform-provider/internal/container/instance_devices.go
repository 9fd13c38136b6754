// From a spec to an instance's configuration and devices, key by key: what is not named stays as it is.

package container

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/lxd"
)

// set writes a key that is wanted, and removes one that was wanted before and is not any more.
func set(config map[string]string, key, before, wanted string) {
	switch {
	case wanted != "":
		config[key] = wanted
	case before != "":
		delete(config, key)
	}
}

func writeCount(count *int64) string {
	if count == nil {
		return ""
	}
	return strconv.FormatInt(*count, 10)
}

func writeBool(value *bool) string {
	if value == nil {
		return ""
	}
	return strconv.FormatBool(*value)
}

func applyConfig(config map[string]string, before, wanted spec) {
	for key := range before.config {
		if _, kept := wanted.config[key]; !kept {
			delete(config, key)
		}
	}
	set(config, "limits.cpu", writeCount(before.cpu), writeCount(wanted.cpu))
	set(config, "limits.memory", strings.ReplaceAll(before.memory, " ", ""), strings.ReplaceAll(wanted.memory, " ", ""))
	set(config, "boot.autostart", writeBool(before.autostart), writeBool(wanted.autostart))
	set(config, "security.nesting", writeBool(before.nesting), writeBool(wanted.nesting))
	maps.Copy(config, wanted.config)
}

// applyDevices changes an instance's own devices. Overriding one key of a device that a profile brings means repeating all of it.
func (i *instance) applyDevices(ctx context.Context, devices map[string]lxd.Device, config map[string]string, inherited map[string]lxd.Device, before, wanted spec) error {
	for name := range before.mounts {
		if _, kept := wanted.mounts[name]; !kept {
			delete(devices, name)
		}
	}
	for name, entry := range wanted.mounts {
		device := devices[name]
		if device == nil {
			device = lxd.Device{"type": "disk"}
		}
		device["source"], device["path"] = entry.source, entry.path
		set(device, "readonly", "true", writeTrue(entry.readOnly))
		set(device, "shift", writeBool(before.mounts[name].shift), writeBool(entry.shift))
		devices[name] = device
	}
	if wanted.disk != "" || wanted.pool != "" || before.disk != "" && devices["root"] != nil {
		root := own(devices, inherited, "root")
		if root == nil {
			root = lxd.Device{"type": "disk", "path": "/"}
			devices["root"] = root
		}
		set(root, "pool", "", wanted.pool)
		set(root, "size", before.disk, strings.ReplaceAll(wanted.disk, " ", ""))
		if root["pool"] == "" {
			return blame(path.Root("storage_pool"), "`disk_size` needs a storage pool, and no profile names one: set `storage_pool` (`%s storage list` shows them)", i.command())
		}
	}
	return i.applyNIC(ctx, devices, config, inherited, before, wanted)
}

func writeTrue(value bool) string {
	if value {
		return "true"
	}
	return ""
}

// own gives the instance's own device of that name, made from the inherited one if need be.
func own(devices, inherited map[string]lxd.Device, name string) lxd.Device {
	if devices[name] == nil && inherited[name] != nil {
		devices[name] = maps.Clone(inherited[name])
	}
	return devices[name]
}

// findNIC gives the device that is eth0 in the container.
func findNIC(devices map[string]lxd.Device) (string, lxd.Device) {
	names := make([]string, 0, len(devices))
	for name, device := range devices {
		if device["type"] == "nic" && (name == "eth0" || device["name"] == "eth0") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "eth0", nil
	}
	sort.Strings(names)
	return names[0], devices[names[0]]
}

func (i *instance) applyNIC(ctx context.Context, devices map[string]lxd.Device, config map[string]string, inherited map[string]lxd.Device, before, wanted spec) error {
	all := maps.Clone(inherited)
	maps.Copy(all, devices)
	key, nic := findNIC(all)
	placed := wanted.network != "" || wanted.bridge != ""
	if !placed && wanted.address == "" && before.address == "" {
		// Nothing but the MAC address is ours, and that has a place of its own, so that the profile's device stays the profile's.
		switch {
		case devices[key] != nil:
			set(devices[key], "hwaddr", before.hwaddr, wanted.hwaddr)
		case nic != nil && wanted.hwaddr != "":
			config["volatile."+key+".hwaddr"] = wanted.hwaddr
		}
		return nil
	}
	if nic == nil && !placed {
		return blame(path.Root("network"), "A static address needs a network, and no profile brings one: set `network` or `bridge`")
	}
	device := own(devices, inherited, key)
	if device == nil {
		device = lxd.Device{"type": "nic", "name": "eth0"}
		devices[key] = device
	}
	if placed {
		if err := i.place(ctx, device, wanted); err != nil {
			return err
		}
	}
	set(device, "hwaddr", before.hwaddr, wanted.hwaddr)
	return i.reserve(ctx, device, wanted)
}

// place puts a NIC on a managed network or on a bridge of the host.
func (i *instance) place(ctx context.Context, device lxd.Device, wanted spec) error {
	name, at := wanted.network, path.Root("network")
	if name == "" {
		name, at = wanted.bridge, path.Root("bridge")
	}
	network, err := i.client.Network(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return blame(at, "There is no network %q on this server: `%s network list` shows what is there", name, i.command())
	case err != nil:
		return err
	case wanted.network != "" && !network.Managed:
		return blame(at, "%q is not managed by %s: name it with `bridge` instead", name, i.client.Flavor().Name)
	case wanted.network == "" && network.Type != "bridge":
		return blame(at, "%q is not a bridge: its type is %q", name, network.Type)
	}
	for _, key := range []string{"network", "nictype", "parent"} {
		delete(device, key)
	}
	if network.Managed {
		device["network"] = name
	} else {
		device["nictype"], device["parent"] = "bridged", name
	}
	return nil
}

// managedNetwork gives the managed network that a NIC is on, which may also be named as a bridge.
func (i *instance) managedNetwork(ctx context.Context, device lxd.Device) (lxd.Network, bool, error) {
	name := device["network"]
	if name == "" {
		name = device["parent"]
	}
	if name == "" {
		return lxd.Network{}, false, nil
	}
	network, err := i.client.Network(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return lxd.Network{}, false, nil
	}
	return network, err == nil && network.Managed, err
}

// reserve has the address handed out by the network, where it is one that hands out addresses.
func (i *instance) reserve(ctx context.Context, device lxd.Device, wanted spec) error {
	delete(device, "ipv4.address")
	if wanted.address == "" || wanted.method == methodNetworkd {
		return nil
	}
	network, managed, err := i.managedNetwork(ctx, device)
	if err != nil {
		return err
	}
	range4, parsing := netip.ParsePrefix(network.Config["ipv4.address"])
	if !managed || parsing != nil || network.Config["ipv4.dhcp"] == "false" {
		if wanted.method != "" {
			return blame(path.Root("address_method"), "%q needs a network that %s manages and that hands out IPv4 addresses, and %q is none: use \"networkd\", or another `network`",
				wanted.method, i.client.Flavor().Name, device["network"]+device["parent"])
		}
		return nil
	}
	address := withoutPrefix(wanted.address)
	if parsed, err := netip.ParseAddr(address); err == nil && !range4.Contains(parsed) {
		return blame(path.Root("address"), "%s is not in %s, the network %q: choose an address in it, or another `network`", address, range4.Masked(), network.Name)
	}
	device["ipv4.address"] = address
	return nil
}

// explain finds the attribute that a refusal is about.
func (i *instance) explain(err error, wanted spec) error {
	var refusal *lxd.Error
	if err == nil || !errors.As(err, &refusal) {
		return err
	}
	said := refusal.Message
	for name, entry := range wanted.mounts {
		if strings.Contains(said, `"`+entry.source+`"`) || strings.Contains(said, `device "`+name+`"`) || strings.Contains(said, `disk "`+name+`"`) {
			return blame(path.Root("mounts").AtMapKey(name), "%w. Make the directory on the host, or correct the mount", err)
		}
	}
	for key := range wanted.config {
		if strings.Contains(said, key) {
			return blame(path.Root("config").AtMapKey(key), "%w. See the daemon's documentation of instance options", err)
		}
	}
	words := []struct {
		attribute string
		texts     []string
	}{
		{"name", []string{"already exists", "Invalid instance name"}},
		{"address", []string{"IP address", "ipv4.address", "already defined on another NIC", "static DHCP"}},
		{"hwaddr", []string{"MAC address", "hwaddr"}},
		{"storage_pool", []string{"Storage pool", "storage pool not found"}},
		{"disk_size", []string{"resize", "quota", "shrink"}},
		{"memory", []string{"limits.memory"}},
		{"cpu", []string{"limits.cpu"}},
		{"image", []string{"image", "Image"}},
	}
	for _, word := range words {
		for _, text := range word.texts {
			if strings.Contains(said, text) {
				return blame(path.Root(word.attribute), "%w", err)
			}
		}
	}
	return err
}
