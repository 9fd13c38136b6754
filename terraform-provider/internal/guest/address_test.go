// Addresses: both ways, and what wrong ones are told.

package guest_test

import (
	"strings"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

func TestAddresses(t *testing.T) {
	for _, text := range []string{"local", "ssh://10.0.0.5", "ssh://root@10.0.0.5", "ssh://me@host.lan:2222", "ssh://[fd00::1]", "ssh://root@[fd00::1]:22",
		"incus:default/restic-backup", "lxd:work/c1", "proxmox:pve/105"} {
		address, err := guest.ParseAddress(text)
		if err != nil || address.String() != text {
			t.Errorf("%q became %q, %v", text, address.String(), err)
		}
	}
	for text, says := range map[string]string{
		"":                         "ssh://[user@]host[:port]",
		"restic-backup":            "incus:PROJECT/NAME",
		"docker:x/y":               "no way to reach a guest",
		"incus:restic-backup":      "incus:default/restic-backup",
		"incus:/x":                 "not the name of a project",
		"incus:default/bad_name":   "not the name of an instance",
		"incus:default/-x":         "not the name of an instance",
		"lxd:default/":             "not the name of an instance",
		"proxmox:pve":              "proxmox:pve/105",
		"proxmox:pve/99":           "from 100 on",
		"proxmox:/105":             "proxmox:pve/105",
		"ssh:host":                 "ssh://[user@]host[:port]",
		"ssh://root:secret@host":   "carries a password",
		"ssh://host/path":          "goes on after the host",
		"ssh://host:99999":         "not a port",
		"ssh://-oProxyCommand=x":   "hyphen",
		"ssh://-oProxyCommand@abc": "hyphen",
	} {
		_, err := guest.ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}
