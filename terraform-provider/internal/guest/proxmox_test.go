// Containers of Proxmox VE, through an sshd and a `pct` that stands before real containers.

package guest_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

func TestProxmox(t *testing.T) {
	pve := guesttest.StartProxmox(t)
	client := pve.Adopt(t, 105)
	if _, err := guest.Open(t.Context(), "proxmox:pve/105", pve.Settings()); !errors.Is(err, guest.ErrStopped) {
		t.Errorf("a stopped container: %v", err)
	}
	if _, err := guest.Open(t.Context(), "proxmox:pve/106", pve.Settings()); !errors.Is(err, guest.ErrGone) {
		t.Errorf("a container that is not there: %v", err)
	}
	pve.Incus.Command(t, "start", client)
	behaves(t, open(t, "proxmox:pve/105", pve.Settings()), "/srv/test")
	left, _ := os.ReadDir("/run")
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), "recoup.") {
			t.Errorf("%s is left on the node", entry.Name())
		}
	}
}
