package schedule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

// What was due while the machine was off is made up for, and a backup is made after each boot.
func TestAccMissedAndAfterBoot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	due := filepath.Join(t.TempDir(), "due")
	persistent := s.schedule(map[string]string{"calendar": fmt.Sprintf("[file(%q)]", due), "time_zone": `"UTC"`})
	afterBoot := s.schedule(map[string]string{"calendar": `["*-02-29 00:00:00"]`, "persistent": "false", "on_boot": `"5s"`})
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: []resource.TestStep{
		{Config: s.container()},
		{
			PreConfig: func() {
				s.prepare()
				// Once a day: what is not made up for would come tomorrow.
				if err := os.WriteFile(due, []byte(time.Now().UTC().Add(75*time.Second).Format("*-*-* 15:04:05")), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Config: persistent, ConfigVariables: s.variables(),
			Check: check(func() {
				written, _ := os.ReadFile(due)
				at, err := time.Parse("15:04:05", strings.TrimPrefix(string(written), "*-*-* "))
				if err != nil {
					t.Fatal(err)
				}
				now := time.Now().UTC()
				wait := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC).Sub(now)
				if wait <= 0 || len(s.snapshots()) != 0 {
					t.Fatalf("the machine is too slow for this test: the time came %s ago", -wait)
				}
				s.incus.Command(s.T, "stop", "--force", s.name)
				time.Sleep(wait + 5*time.Second)
				s.incus.Command(s.T, "start", s.name)
				s.awaitNewSnapshot(nil, "what was missed is not made up for")
			}),
		},
		{Config: afterBoot, ConfigVariables: s.variables(), Check: check(func() {
			time.Sleep(10 * time.Second) // a timer with OnBootSec= that is started later runs at once
			s.awaitIdle()
			before := s.snapshots()
			s.incus.Command(s.T, "restart", "--force", s.name)
			s.awaitNewSnapshot(before, "there is no backup after the boot")
		})},
	}})
}

func (s *site) awaitIdle() {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		if said, _ := s.try("systemctl is-active restic-backup.service"); said == "inactive" || said == "failed" {
			return
		}
		if time.Now().After(deadline) {
			s.Fatal("the service does not come to an end")
		}
	}
}

// awaitNewSnapshot waits for one that was not there before; older ones may be gone by then, as a run forgets as well.
func (s *site) awaitNewSnapshot(before []seenSnapshot, otherwise string) {
	s.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Second) {
		for _, found := range s.snapshots() {
			if !slices.ContainsFunc(before, func(old seenSnapshot) bool { return old.ShortID == found.ShortID }) {
				return
			}
		}
		if time.Now().After(deadline) {
			said, _ := s.try("systemctl list-timers --all --no-pager; systemctl status --no-pager restic-backup.service restic-backup.timer")
			s.Fatalf("%s: %s", otherwise, said)
		}
	}
}
