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
	steps := []resource.TestStep{{Config: s.container()}}
	steps = append(steps, s.miss(persistent, due)...)
	steps = append(steps, resource.TestStep{
		PreConfig: s.awaitIdle,
		Config:    afterBoot, ConfigVariables: s.variables(), Check: check(func() {
			time.Sleep(10 * time.Second) // a timer with OnBootSec= that is started later may run at once
			s.awaitIdle()
			before := s.snapshots()
			s.incus.Command(s.T, "restart", "--force", s.name)
			s.awaitNewSnapshot(before, "there is no backup after the boot")
		}),
	})
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: steps})
}

// longest is a guard against hanging, and no measure of speed.
const longest = 5 * time.Minute

// miss are applies of a schedule that is due once a day, at what the file says: what is not made up for would come tomorrow. The
// machine has to be off before that time, and how long an apply takes depends on what else goes on: the first one, whose time is
// far, measures it. Where the next takes much longer all the same, there is another, with more time.
func (s *site) miss(configuration, due string) []resource.TestStep {
	var at, began time.Time
	took, missed := time.Duration(0), false
	dueIn := func(span time.Duration) {
		began = time.Now()
		at = began.UTC().Add(span).Truncate(time.Second)
		if err := os.WriteFile(due, []byte(at.Format("*-*-* 15:04:05")), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	steps := []resource.TestStep{{
		PreConfig: func() { s.prepare(); dueIn(12 * time.Hour) },
		Config:    configuration, ConfigVariables: s.variables(),
		Check: check(func() { took = time.Since(began) }),
	}}
	for _, times := range []time.Duration{4, 12} {
		steps = append(steps, resource.TestStep{
			PreConfig: func() {
				if !missed {
					dueIn(10*time.Second + times*took)
				}
			},
			Config: configuration, ConfigVariables: s.variables(),
			Check: check(func() {
				if missed {
					return
				}
				before := s.snapshots()
				if missed = s.isOffAt(at); !missed {
					return
				}
				s.incus.Command(s.T, "start", s.name)
				s.awaitNewSnapshot(before, "what was missed is not made up for")
			}),
		})
	}
	steps[len(steps)-1].Check = also(steps[len(steps)-1].Check, check(func() {
		if !missed {
			s.Fatalf("the machine is too slow for this test: an apply took %s, and then more than twelve times that", took)
		}
	}))
	return steps
}

// isOffAt stops the machine and waits until that time is over. It is false where it was over before: then the machine runs.
func (s *site) isOffAt(due time.Time) bool {
	s.Helper()
	if time.Until(due) < 2*time.Second {
		return false
	}
	s.incus.Command(s.T, "stop", "--force", s.name)
	if !time.Now().Before(due) {
		s.incus.Command(s.T, "start", s.name)
		s.awaitUnit("restic-backup.timer", "active")
		return false
	}
	time.Sleep(time.Until(due) + 5*time.Second)
	return true
}

func (s *site) awaitIdle() {
	s.Helper()
	s.awaitUnit("restic-backup.service", "inactive", "failed")
}

func (s *site) awaitUnit(unit string, states ...string) {
	s.Helper()
	for deadline := time.Now().Add(longest); ; time.Sleep(time.Second) {
		said, _ := s.try("systemctl is-active " + unit)
		if slices.Contains(states, said) {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s is %s, and does not become %s", unit, said, strings.Join(states, " or "))
		}
	}
}

// awaitNewSnapshot waits for one that was not there before; older ones may be gone by then, as a run forgets as well.
func (s *site) awaitNewSnapshot(before []seenSnapshot, otherwise string) {
	s.Helper()
	for deadline := time.Now().Add(longest); ; time.Sleep(2 * time.Second) {
		for _, found := range s.trySnapshots() {
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
