package backuprun

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guest/guestfake"
)

const (
	saved   = "backup: snapshot 1a2b3c4d saved; 10 files, 1.000 KiB looked at, 10 new, 0 changed; added 2.000 KiB (1.000 KiB stored)\n"
	done    = saved + "forget: 7 snapshots kept, 1 removed\nschedule restic-backup: done\n"
	partial = "backup: 1 file could not be read\n" + saved + "schedule restic-backup: the snapshot lacks files that could not be read\n"
	secret  = "hunter2-93847"
)

func machineWith(run guestfake.ServiceRun) *guestfake.Machine {
	machine := guestfake.New(
		guest.File{Path: "/etc/systemd/system/restic-backup.service", Content: []byte("[Service]\n")},
		guest.File{Path: "/etc/restic.env", Content: []byte("# comment\nRESTIC_REPOSITORY=s3:http://h/b\nRESTIC_PASSWORD=\"" + secret + "\"\n"), Mode: 0o600})
	machine.Service = func(string) guestfake.ServiceRun { return run }
	return machine
}

func options() Options {
	return Options{Schedule: "restic-backup", Wait: true, Timeout: 5 * time.Second, poll: time.Millisecond}
}

// inBubble runs a test by a clock of its own, which goes on when everybody waits: what it takes is what the code waits for, and
// nothing of what else the machine does.
func inBubble(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestWhatARunComesTo(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		run                      guestfake.ServiceRun
		result, snapshot, failed string
	}{
		"success":                 {run: guestfake.ServiceRun{Polls: 3, Journal: done}, result: Success, snapshot: "1a2b3c4d"},
		"as restic says it":       {run: guestfake.ServiceRun{Journal: "snapshot 1a2b3c4d saved\nschedule restic-backup: done\n"}, result: Success, snapshot: "1a2b3c4d"},
		"nothing changed":         {run: guestfake.ServiceRun{Journal: "backup: nothing changed, no snapshot saved; 10 files\nschedule restic-backup: done\n"}, result: Success},
		"partial":                 {run: guestfake.ServiceRun{ExitCode: 3, Result: "success", Journal: partial}, result: Partial, snapshot: "1a2b3c4d"},
		"partial is a failure":    {run: guestfake.ServiceRun{ExitCode: 3, Journal: partial}, result: Partial, snapshot: "1a2b3c4d"},
		"forgotten success":       {run: guestfake.ServiceRun{Polls: 2, Forgets: true, Journal: done}, result: Success, snapshot: "1a2b3c4d"},
		"forgotten, never seen":   {run: guestfake.ServiceRun{Forgets: true, Journal: done}, result: Success, snapshot: "1a2b3c4d"},
		"forgotten partial":       {run: guestfake.ServiceRun{ExitCode: 3, Result: "success", Polls: 2, Forgets: true, Journal: partial}, result: Partial, snapshot: "1a2b3c4d"},
		"failed after a snapshot": {run: guestfake.ServiceRun{ExitCode: 1, Journal: "snapshot 1a2b3c4d saved\nforget: no\n"}, result: Failed, snapshot: "1a2b3c4d", failed: "ended with exit code 1"},
		"wrong password":          {run: guestfake.ServiceRun{ExitCode: 12, Journal: "wrong\n"}, result: Failed, failed: "exit code 12: the password is wrong"},
		"out of memory":           {run: guestfake.ServiceRun{ExitCode: 9, Result: "oom-kill"}, result: Failed, failed: "limits.memory_max"},
		"not started":             {run: guestfake.ServiceRun{Refused: true}, result: Failed, failed: "was not started by systemd"},
	} {
		inBubble(t, name, func(t *testing.T) {
			outcome, err := Run(context.Background(), machineWith(each.run).Open(), options())
			var failure *Failure
			switch {
			case each.failed == "" && err != nil:
				t.Fatal(err)
			case each.failed != "" && (!errors.As(err, &failure) || !strings.Contains(err.Error(), each.failed)):
				t.Errorf("the error is %v, and should be a failure that says %q", err, each.failed)
			}
			if outcome.Result != each.result || outcome.SnapshotID != each.snapshot {
				t.Errorf("it came to %q with the snapshot %q instead of %q with %q", outcome.Result, outcome.SnapshotID, each.result, each.snapshot)
			}
		})
	}
}

func TestFailureShowsTheEndOfTheJournalWithoutSecrets(t *testing.T) {
	synctest.Test(t, failureShowsTheEnd)
}

func failureShowsTheEnd(t *testing.T) {
	journal := strings.Repeat("an early line\n", 100) + "opening s3:http://user:" + secret + "@h/b with " + secret + "\nFatal: no\n"
	_, err := Run(context.Background(), machineWith(guestfake.ServiceRun{ExitCode: 1, Journal: journal}).Open(), options())
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	if strings.Contains(text, secret) {
		t.Errorf("the secret is in %q", text)
	}
	if !strings.Contains(text, "opening s3:http://(credentials)@h/b with (RESTIC_PASSWORD)\nFatal: no") {
		t.Errorf("the journal's end is not in %q", text)
	}
	if lines := strings.Count(text, "an early line"); lines > shownLines {
		t.Errorf("%d lines are shown", lines)
	}
}

func TestRunThatIsGoingOnIsWaitedForAndAnotherMade(t *testing.T) { synctest.Test(t, anotherIsMade) }

func anotherIsMade(t *testing.T) {
	runs := 0
	machine := machineWith(guestfake.ServiceRun{})
	machine.Service = func(string) guestfake.ServiceRun {
		runs++
		return guestfake.ServiceRun{Polls: 4, Journal: done}
	}
	open := machine.Open()
	if _, err := open.Run(context.Background(), []string{"systemctl", "start", "restic-backup.service"}, nil); err != nil {
		t.Fatal(err)
	}
	var said []string
	chosen := options()
	chosen.Progress = func(message string) { said = append(said, message) }
	outcome, err := Run(context.Background(), open, chosen)
	if err != nil || outcome.Result != Success || runs != 2 {
		t.Errorf("%d runs, %+v, %v", runs, outcome, err)
	}
	if len(said) == 0 || !strings.Contains(said[0], "going on already") {
		t.Errorf("it said %q", said)
	}
}

func TestWithoutWaitingNothingIsJudged(t *testing.T) {
	chosen := options()
	chosen.Wait = false
	outcome, err := Run(context.Background(), machineWith(guestfake.ServiceRun{Polls: 1 << 30}).Open(), chosen)
	if err != nil || outcome.Result != Started || outcome.ExecutedAt.Unix() != 1764266400 {
		t.Errorf("%+v, %v", outcome, err)
	}
}

func TestWaitingEnds(t *testing.T) { synctest.Test(t, waitingEnds) }

func waitingEnds(t *testing.T) {
	chosen := options()
	chosen.Timeout = 50 * time.Millisecond
	outcome, err := Run(context.Background(), machineWith(guestfake.ServiceRun{Polls: 1 << 30}).Open(), chosen)
	if err == nil || !strings.Contains(err.Error(), "still running") || outcome.Result != Started {
		t.Errorf("%+v, %v", outcome, err)
	}
}

func TestUnknownScheduleIsSaid(t *testing.T) {
	_, err := Run(context.Background(), guestfake.New().Open(), options())
	if err == nil || !strings.Contains(err.Error(), "there is no restic-backup.service on the target") {
		t.Errorf("the error is %v", err)
	}
}

func TestEnvironmentFilesAreRead(t *testing.T) {
	text := "# c=1\nA=plain value \nB=\"quo\\\"ted\\$\nsecond\" \nC='as it \\is'\n no assignment\nD=\nE=x"
	want := map[string]string{"A": "plain value", "B": "quo\"ted$\nsecond", "C": `as it \is`, "D": "", "E": "x"}
	got := parseEnvironment(text)
	if len(got) != len(want) {
		t.Errorf("%q", got)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q instead of %q", name, got[name], value)
		}
	}
}
