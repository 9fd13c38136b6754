package container

import (
	"context"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// scripted answers `systemctl is-system-running` in turn.
type scripted struct {
	guest.Guest
	init    string
	answers []string
}

func (s *scripted) Run(_ context.Context, argv []string, _ []byte) (guest.Result, error) {
	switch argv[0] {
	case "systemctl":
		said := s.answers[0]
		if s.answers = s.answers[1:]; said == "running" {
			return guest.Result{Stdout: []byte(said + "\n")}, nil
		}
		return guest.Result{ExitCode: 1, Stdout: []byte(said + "\n")}, nil
	case "readlink":
		return guest.Result{Stdout: []byte(s.init + "\n")}, nil
	}
	return guest.Result{}, nil
}

// TestReady: systemctl says "offline" of a machine without systemd, for good, and of one whose systemd has only just begun.
func TestReady(t *testing.T) {
	for init, asked := range map[string]int{"/usr/lib/systemd/systemd": 4, "/usr/sbin/init": 1} {
		machine := &scripted{init: init, answers: []string{"offline", "offline", "starting", "running"}}
		if err := waitReady(t.Context(), machine); err != nil {
			t.Errorf("%s: %v", init, err)
		}
		if count := 4 - len(machine.answers); count != asked {
			t.Errorf("%s was asked %d times instead of %d", init, count, asked)
		}
	}
}
