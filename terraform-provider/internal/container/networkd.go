// Static addresses by systemd-networkd: what makes a minimal image, which has no DHCP client and no cloud-init, keep an address.

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/lxd"
)

const (
	// networkdFile sorts before what images and netplan (10-netplan-…) bring: the first file that matches an interface is the one that counts.
	networkdFile = "/etc/systemd/network/05-recoup-eth0.network"

	// networkdDropIn: networkd waits for udev where it can write /sys, as in a nesting container, and a minimal image has no udev.
	networkdDropIn  = "/etc/systemd/system/systemd-networkd.service.d/recoup.conf"
	networkdEnabled = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"

	notice = "# Written by Terraform's recoup_container, which sets back what is changed here.\n"
)

func networkdContent(wanted spec) string {
	var text strings.Builder
	text.WriteString(notice + "[Match]\nName=eth0\n\n[Network]\n")
	fmt.Fprintf(&text, "Address=%s\n", wanted.address)
	if wanted.gateway != "" {
		fmt.Fprintf(&text, "Gateway=%s\n", wanted.gateway)
	}
	for _, server := range wanted.nameservers {
		fmt.Fprintf(&text, "DNS=%s\n", server)
	}
	return text.String()
}

// networkdAddress is the inverse, for files that somebody else has changed. "" where it sets none.
func networkdAddress(content string) string {
	for line := range strings.SplitSeq(content, "\n") {
		if address, found := strings.CutPrefix(strings.TrimSpace(line), "Address="); found {
			return address
		}
	}
	return ""
}

func (i *instance) has(ctx context.Context, names ...string) (bool, error) {
	for _, name := range names {
		_, err := i.client.StatFile(ctx, i.at.Name, name)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// prepare decides how the container gets its address, from what its image has, and writes the files for it. It works on a stopped
// container, so that the address is there from the first start on.
func (i *instance) prepare(ctx context.Context, wanted *spec) error {
	if wanted.address == "" {
		wanted.method = ""
		if err := i.client.RemoveFile(ctx, i.at.Name, networkdFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %s: %w", networkdFile, err)
		}
		return nil
	}
	found, err := i.client.Instance(ctx, i.at.Name)
	if err != nil {
		return err
	}
	_, nic := findNIC(found.ExpandedDevices)
	reserved := nic["ipv4.address"] == withoutPrefix(wanted.address)
	networkd, err := i.has(ctx, "/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd")
	if err != nil {
		return err
	}
	others, err := i.has(ctx, "/sbin/dhclient", "/usr/sbin/dhclient", "/sbin/udhcpc", "/usr/sbin/NetworkManager", "/sbin/dhcpcd", "/usr/sbin/dhcpcd")
	if err != nil {
		return err
	}
	switch {
	case wanted.method == methodDHCP:
		return i.writeResolver(ctx, *wanted)
	case wanted.method == "" && reserved && (!networkd || others):
		wanted.method = methodDHCP
		return nil
	case !networkd && wanted.method == "":
		return blame(path.Root("address"), "This image has no systemd-networkd, and the network hands out no addresses: nothing would set %s. Use an image with systemd-networkd, a managed `network`, or configure the address with `files`",
			wanted.address)
	case !networkd:
		return blame(path.Root("address_method"), "This image has no systemd-networkd: use \"dhcp-reservation\" on a managed network, or another image")
	case wanted.method == "" && reserved:
		wanted.method = methodBoth
	case wanted.method == "":
		wanted.method = methodNetworkd
	}
	return i.writeNetworkd(ctx, *wanted)
}

func (i *instance) writeNetworkd(ctx context.Context, wanted spec) error {
	udev, err := i.has(ctx, "/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/usr/bin/udevadm", "/bin/udevadm")
	if err != nil {
		return err
	}
	open, err := i.open(ctx)
	if err != nil {
		return err
	}
	files := []textFile{{networkdFile, networkdContent(wanted)}}
	if !udev {
		files = append(files, textFile{networkdDropIn, notice + "[Service]\nBindReadOnlyPaths=/sys\n"})
	}
	for _, file := range files {
		if err := open.WriteFile(ctx, file.guestFile(0o644)); err != nil {
			return err
		}
	}
	enabled, err := i.has(ctx, networkdEnabled)
	if err == nil && !enabled {
		if err = i.client.MakeDirectories(ctx, i.at.Name, "/etc/systemd/system/multi-user.target.wants"); err == nil {
			err = i.client.WriteFile(ctx, i.at.Name, networkdEnabled, lxd.File{Type: lxd.Symlink, Mode: 0o777, Content: []byte("/lib/systemd/system/systemd-networkd.service")})
		}
	}
	if err != nil {
		return fmt.Errorf("enabling systemd-networkd in %s: %w", i.at, err)
	}
	return i.writeResolver(ctx, wanted)
}

// writeResolver is for images without systemd-resolved, where networkd's DNS= has no reader.
func (i *instance) writeResolver(ctx context.Context, wanted spec) error {
	if len(wanted.nameservers) == 0 {
		return nil
	}
	resolved, err := i.has(ctx, "/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved")
	if err != nil || resolved {
		return err
	}
	text := notice
	for _, server := range wanted.nameservers {
		text += "nameserver " + server + "\n"
	}
	open, err := i.open(ctx)
	if err != nil {
		return err
	}
	return open.WriteFile(ctx, textFile{"/etc/resolv.conf", text}.guestFile(0o644))
}
