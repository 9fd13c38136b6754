// Containers of Proxmox VE, through an sshd and a `pct` that stands before real containers.

package guest_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

func TestProxmox(t *testing.T) {
	before := temporaries(t)
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
	// The node is this machine, on which another test may have files that are still needed.
	for _, name := range temporaries(t) {
		for deadline := time.Now().Add(2 * time.Minute); !slices.Contains(before, name); time.Sleep(200 * time.Millisecond) {
			if _, err := os.Stat(name); err != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is left on the node", name)
			}
		}
	}
}

func temporaries(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/run/recoup.*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}
