// Runs of services that are scripts, by a real systemd in a container of a real Incus: what it says of units that ended in all
// sorts of ways, and of those that it has forgotten.
package backuprun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

func launch(t *testing.T) guest.Guest {
	t.Helper()
	incus := guesttest.StartIncus(t)
	machine, err := guest.Open(context.Background(), "incus:default/"+incus.Launch(t), incus.Settings())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = machine.Close() })
	return machine
}

func TestAccServicesOfARealSystemd(t *testing.T) {
	machine := launch(t)
	ctx := context.Background()
	write := func(path, content string, mode os.FileMode) {
		t.Helper()
		if err := machine.WriteFile(ctx, guest.File{Path: path, Content: []byte(content), Mode: mode}); err != nil {
			t.Fatal(err)
		}
	}
	write("/etc/restic.env", "RESTIC_PASSWORD="+secret+"\n", 0o600)
	write("/etc/systemd/system/needed.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n", 0o644)
	const saved = "echo snapshot 1a2b3c4d saved; "
	for name, each := range map[string]struct {
		script, service          string
		timer                    bool // an active timer keeps systemd from forgetting the service
		result, snapshot, failed string
	}{
		"success":           {script: saved + "sleep 1; echo schedule success: done", timer: true, result: Success, snapshot: "1a2b3c4d"},
		"quick":             {script: saved + "echo schedule quick: done", result: Success, snapshot: "1a2b3c4d"},
		"forgotten":         {script: saved + "sleep 1; echo schedule forgotten: done", result: Success, snapshot: "1a2b3c4d"},
		"partial":           {script: saved + "echo schedule partial: the snapshot lacks files that could not be read; exit 3", service: "SuccessExitStatus=3\n", timer: true, result: Partial, snapshot: "1a2b3c4d"},
		"partial-forgotten": {script: saved + "echo schedule x: the snapshot lacks files that could not be read; exit 3", service: "SuccessExitStatus=3\n", result: Partial, snapshot: "1a2b3c4d"},
		"partial-failure":   {script: saved + "echo schedule x: the snapshot lacks files that could not be read; exit 3", result: Partial, snapshot: "1a2b3c4d"},
		"password":          {script: "echo wrong: $RESTIC_PASSWORD; exit 12", service: "EnvironmentFile=/etc/restic.env\n", result: Failed, failed: "wrong: (RESTIC_PASSWORD)\n"},
		"killed":            {script: "kill -9 $$", result: Failed, failed: "was ended by the signal 9"},
		"slow":              {script: "sleep 30", service: "TimeoutStartSec=1\n", result: Failed, failed: "limits.timeout"},
		"needs":             {script: "true", service: "[Unit]\nRequires=needed.service\nAfter=needed.service\n", result: Failed, failed: "was not started by systemd"},
	} {
		t.Run(name, func(t *testing.T) {
			write("/usr/local/bin/"+name, "#!/bin/sh\n"+each.script+"\n", 0o755)
			write("/etc/systemd/system/"+name+".service", "[Service]\nType=oneshot\nExecStart=/usr/local/bin/"+name+"\n"+each.service, 0o644)
			write("/etc/systemd/system/"+name+".timer", "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n", 0o644)
			commands := [][]string{{"systemctl", "daemon-reload"}}
			if each.timer {
				commands = append(commands, []string{"systemctl", "start", name + ".timer"})
			}
			for _, argv := range commands {
				if result, err := machine.Run(ctx, argv, nil); err != nil || result.ExitCode != 0 {
					t.Fatalf("%q: %v %s", argv, err, result.Stderr)
				}
			}
			for round := range 2 { // the second must not take the first one's end for its own
				began := time.Now().Truncate(time.Second) // which is what the target's clock is read to
				outcome, err := Run(ctx, machine, Options{Schedule: name, Wait: true, Timeout: 5 * time.Minute})
				var failure *Failure
				switch {
				case each.failed == "" && err != nil:
					t.Fatal(err)
				case each.failed != "" && (!errors.As(err, &failure) || !strings.Contains(err.Error(), each.failed)):
					t.Errorf("round %d: the error is %v, and should be a failure that says %q", round, err, each.failed)
				}
				if outcome.Result != each.result || outcome.SnapshotID != each.snapshot {
					t.Errorf("round %d: it came to %q with %q instead of %q with %q:\n%s", round, outcome.Result, outcome.SnapshotID, each.result, each.snapshot, outcome.Journal)
				}
				if outcome.ExecutedAt.Before(began) || outcome.ExecutedAt.After(time.Now()) {
					t.Errorf("round %d: it was started at %s, and Run was called at %s", round, outcome.ExecutedAt, began)
				}
				if strings.Contains(fmt.Sprint(outcome, err), secret) {
					t.Errorf("round %d: the secret is in %+v", round, outcome)
				}
			}
		})
	}
}
