// The driver `proxmox`: its API for the container, SSH to its node for what the API can't do.

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/proxmox"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

type proxmoxContainer struct {
	client *proxmox.Client
	at     guest.Address // node "" and VMID 0 until create has chosen them
	from   settings.Settings
}

func newProxmox(at guest.Address, from settings.Settings) (*proxmoxContainer, error) {
	client, err := proxmox.Open(from.Proxmox)
	if err != nil {
		return nil, blame(path.Root("driver"), "%w", err)
	}
	return &proxmoxContainer{client: client, at: at, from: from}, nil
}

func (p *proxmoxContainer) address() guest.Address { return p.at }
func (p *proxmoxContainer) close()                 { p.client.Close() }

func (p *proxmoxContainer) create(ctx context.Context, wanted *spec) (bool, error) {
	if wanted.image == "" {
		return false, blame(path.Root("image"), "`image` must be set to make a container: a template, as local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst (`pveam list local` on the node shows them)")
	}
	var err error
	if p.at.Node == "" {
		if p.at.Node, err = p.client.Node(ctx); err != nil {
			at := path.Root("node")
			var refused *proxmox.Error
			if errors.As(err, &refused) || proxmox.IsUnreachable(err) {
				at = path.Root("driver")
			}
			return false, blame(at, "%w", err)
		}
	}
	if p.at.VMID == 0 {
		if p.at.VMID, err = p.client.NextID(ctx); err != nil {
			return false, err
		}
	} else if _, err := p.client.Config(ctx, p.at.Node, p.at.VMID); err == nil {
		return false, vmidTaken(p.at)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, blame(path.Root("driver"), "%w", err)
	}
	if wanted.hwaddr == "" {
		wanted.hwaddr = stableMAC("bc:24:11", p.from.Proxmox.Endpoint, strconv.Itoa(p.at.VMID), wanted.name)
	}
	if wanted.address != "" {
		wanted.method = methodDriver
	}
	form := p.form(spec{}, *wanted)
	form.Set("vmid", strconv.Itoa(p.at.VMID))
	form.Set("ostemplate", wanted.image)
	form.Set("hostname", wanted.name)
	form.Set("unprivileged", "1")
	form.Set("start", "0")
	if form.Get("description") == "" {
		form.Set("description", markText+wanted.nonce)
	}
	switch {
	case wanted.disk != "" && wanted.pool == "":
		return false, blame(path.Root("storage_pool"), "With the driver `proxmox`, `disk_size` needs `storage_pool`: set it, as local-lvm (`pvesm status` on the node shows them)")
	case wanted.disk != "":
		bytes, err := parseSize(wanted.disk)
		if err != nil || bytes%(1<<30) != 0 {
			return false, blame(path.Root("disk_size"), "Proxmox VE makes disks in whole GiB: write it as 20GiB")
		}
		form.Set("rootfs", fmt.Sprintf("%s:%d", wanted.pool, bytes>>30))
	case wanted.pool != "":
		form.Set("storage", wanted.pool)
	}
	if err := p.client.Create(ctx, p.at.Node, form); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, vmidTaken(p.at)
		}
		return p.isMine(ctx, wanted.nonce), p.explain(err)
	}
	if err := p.setMounts(ctx, spec{}, *wanted); err != nil {
		return true, err
	}
	return true, nil
}

// markText stands before the nonce of the create in a container's description.
const markText = "recoup_container "

func vmidTaken(at guest.Address) error {
	return blame(path.Root("vmid"), "%s is there already, and was not made by this resource. Choose another number (or none: the next free one is taken), or take it over:\n\n  terraform import ADDRESS %s\n\n"+
		"with the resource's address for ADDRESS, as recoup_container.this", at, at)
}

func (p *proxmoxContainer) isMine(ctx context.Context, nonce string) bool {
	looking, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	config, err := p.client.Config(looking, p.at.Node, p.at.VMID)
	if err != nil {
		return proxmox.IsUnreachable(err)
	}
	return strings.TrimSpace(config["description"]) == markText+nonce
}

// form has what create and update have in common. What was wanted before and is not any more is unset.
func (p *proxmoxContainer) form(before, wanted spec) url.Values {
	form := url.Values{}
	var unset []string
	put := func(name, old, value string) {
		switch {
		case value != "":
			form.Set(name, value)
		case old != "":
			unset = append(unset, name)
		}
	}
	put("cores", writeCount(before.cpu), writeCount(wanted.cpu))
	put("memory", mebibytes(before.memory), mebibytes(wanted.memory))
	put("onboot", writeBit(before.autostart), writeBit(wanted.autostart))
	if wanted.nesting != nil && (before.nesting == nil || *before.nesting != *wanted.nesting) {
		form.Set("features", "nesting="+writeBit(wanted.nesting))
	}
	put("nameserver", strings.Join(before.nameservers, " "), strings.Join(wanted.nameservers, " "))
	form.Set("net0", network0(wanted))
	for name := range before.config {
		if _, kept := wanted.config[name]; !kept {
			unset = append(unset, name)
		}
	}
	for name, value := range wanted.config {
		form.Set(name, value)
	}
	if len(unset) > 0 {
		form.Set("delete", strings.Join(unset, ","))
	}
	return form
}

func writeBit(value *bool) string {
	switch {
	case value == nil:
		return ""
	case *value:
		return "1"
	}
	return "0"
}

func mebibytes(text string) string {
	bytes, err := parseSize(text)
	if text == "" || err != nil {
		return ""
	}
	return strconv.FormatInt(max(16, bytes>>20), 10)
}

func network0(wanted spec) string {
	bridge := wanted.bridge
	if bridge == "" {
		bridge = "vmbr0"
	}
	text := "name=eth0,type=veth,bridge=" + bridge
	if wanted.hwaddr != "" {
		text += ",hwaddr=" + strings.ToUpper(wanted.hwaddr)
	}
	if wanted.address == "" {
		return text + ",ip=dhcp"
	}
	text += ",ip=" + wanted.address
	if wanted.gateway != "" {
		text += ",gw=" + wanted.gateway
	}
	return text
}

// options reads "a=1,b=2"; a first part without a name gets "".
func options(text string) map[string]string {
	result := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(part, "=")
		if !found {
			name, value = "", part
		}
		result[name] = value
	}
	return result
}

func (p *proxmoxContainer) mark(ctx context.Context) (string, error) {
	config, err := p.client.Config(ctx, p.at.Node, p.at.VMID)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", p.at, guest.ErrGone)
	}
	if err != nil {
		return "", blame(path.Root("driver"), "%w", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(config["description"]), markText), nil
}

func (p *proxmoxContainer) observe(ctx context.Context) (observed, error) {
	config, err := p.client.Config(ctx, p.at.Node, p.at.VMID)
	if errors.Is(err, fs.ErrNotExist) {
		return observed{}, fmt.Errorf("%s: %w", p.at, guest.ErrGone)
	}
	if err != nil {
		return observed{}, blame(path.Root("driver"), "%w", err)
	}
	status, err := p.client.Status(ctx, p.at.Node, p.at.VMID)
	if err != nil {
		return observed{}, err
	}
	result := observed{name: config["hostname"], config: config,
		status: map[string]string{"running": "Running", "stopped": "Stopped"}[status], mounts: mountsOf(config)}
	if result.status == "" {
		result.status = status
	}
	if count, err := strconv.ParseInt(config["cores"], 10, 64); err == nil {
		result.cpu = &count
	}
	if amount, err := strconv.ParseInt(config["memory"], 10, 64); err == nil {
		result.memory = writeSize(amount << 20)
	}
	off := false
	result.autostart, result.nesting = readBool(config["onboot"]), readBool(options(config["features"])["nesting"])
	if result.autostart == nil {
		result.autostart = &off
	}
	if result.nesting == nil {
		result.nesting = &off
	}
	root := options(config["rootfs"])
	result.pool, _, _ = strings.Cut(root[""], ":")
	if size := root["size"]; size != "" {
		result.disk = strings.NewReplacer("T", "TiB", "G", "GiB", "M", "MiB", "K", "KiB").Replace(size)
	}
	net := options(config["net0"])
	result.bridge, result.hwaddr, result.gateway = net["bridge"], strings.ToLower(net["hwaddr"]), net["gw"]
	if address := net["ip"]; address != "dhcp" && address != "manual" {
		result.address = address
	}
	result.nameservers = strings.Fields(config["nameserver"])
	if result.running() {
		interfaces, err := p.client.Interfaces(ctx, p.at.Node, p.at.VMID)
		if err != nil {
			return observed{}, err
		}
		for _, found := range interfaces {
			if found.Name == "eth0" {
				result.ipv4 = withoutPrefix(found.Inet)
			}
		}
	}
	return result, nil
}

func (p *proxmoxContainer) update(ctx context.Context, before, wanted spec) error {
	if err := p.client.SetConfig(ctx, p.at.Node, p.at.VMID, p.form(before, wanted)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", p.at, guest.ErrGone)
		}
		return p.explain(err)
	}
	if wanted.disk != "" && !sameSize(before.disk, wanted.disk) {
		bytes, err := parseSize(wanted.disk)
		if err != nil || bytes%(1<<30) != 0 {
			return blame(path.Root("disk_size"), "Proxmox VE makes disks in whole GiB: write it as 20GiB")
		}
		if old, err := parseSize(before.disk); err == nil && bytes < old {
			return blame(path.Root("disk_size"), "Proxmox VE can't make a disk smaller, from %s to %s: set the old size, or make the container anew with `terraform apply -replace`", before.disk, wanted.disk)
		}
		if err := p.client.Resize(ctx, p.at.Node, p.at.VMID, "rootfs", fmt.Sprintf("%dG", bytes>>30)); err != nil {
			return blame(path.Root("disk_size"), "%w", err)
		}
	}
	return p.setMounts(ctx, before, wanted)
}

// explain finds the attribute that a refusal is about: the API names its parameters.
func (p *proxmoxContainer) explain(err error) error {
	var refusal *proxmox.Error
	if !errors.As(err, &refusal) {
		return err
	}
	attributes := map[string]string{"ostemplate": "image", "hostname": "name", "net0": "address", "rootfs": "storage_pool", "storage": "storage_pool",
		"memory": "memory", "cores": "cpu", "nameserver": "nameservers", "vmid": "vmid"}
	for parameter := range refusal.Parameters {
		if attribute, known := attributes[parameter]; known {
			return blame(path.Root(attribute), "%w", err)
		}
		return blame(path.Root("config").AtMapKey(parameter), "%w", err)
	}
	switch {
	case strings.Contains(refusal.Message, "vztmpl") || strings.Contains(refusal.Message, "template"):
		return blame(path.Root("image"), "%w", err)
	case strings.Contains(refusal.Message, "storage "):
		return blame(path.Root("storage_pool"), "%w", err)
	case strings.Contains(refusal.Message, "bridge"):
		return blame(path.Root("bridge"), "%w", err)
	}
	return err
}

// prepare has nothing to do: Proxmox VE sets addresses inside the container at its start.
func (p *proxmoxContainer) prepare(_ context.Context, wanted *spec) error {
	wanted.method = ""
	if wanted.address != "" {
		wanted.method = methodDriver
	}
	return nil
}

func (p *proxmoxContainer) start(ctx context.Context) error {
	err := p.client.SetStatus(ctx, p.at.Node, p.at.VMID, "start", nil)
	if err != nil && !strings.Contains(err.Error(), "already running") {
		return fmt.Errorf("starting %s: %w", p.at, err)
	}
	return nil
}

func (p *proxmoxContainer) stop(ctx context.Context) error {
	err := p.client.SetStatus(ctx, p.at.Node, p.at.VMID, "shutdown", url.Values{"timeout": {strconv.Itoa(cleanStop)}, "forceStop": {"1"}})
	if err != nil && !strings.Contains(err.Error(), "not running") {
		return fmt.Errorf("stopping %s: %w", p.at, err)
	}
	return nil
}

func (p *proxmoxContainer) remove(ctx context.Context) error {
	return stopAndDelete(ctx, removal{
		rounds: 60,
		isStopped: func(ctx context.Context) (bool, error) {
			status, err := p.client.Status(ctx, p.at.Node, p.at.VMID)
			return status == "stopped", err
		},
		stop:   p.stop,
		delete: func(ctx context.Context) error { return p.client.Delete(ctx, p.at.Node, p.at.VMID) },
		isHeld: func(err error) bool {
			return strings.Contains(err.Error(), "is locked") || strings.Contains(err.Error(), "can't lock file")
		},
	})
}

func (p *proxmoxContainer) open(ctx context.Context) (guest.Guest, error) {
	opened, err := guest.Open(ctx, p.at.String(), p.from)
	var login *guest.LoginError
	if errors.As(err, &login) {
		return nil, blame(path.Root("driver"), "%w", err)
	}
	return opened, err
}
