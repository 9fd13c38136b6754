// Package backuprun makes backups now, by starting the service of a recoup_schedule: the resource recoup_backup_run, whose triggers
// say when, and the action recoup_backup, which newer versions of Terraform can invoke.
//
//	run.go        starts the service and waits; what both share
//	journal.go    what the run said, without its secrets
//	resource.go   recoup_backup_run
//	action.go     recoup_backup
package backuprun

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// What a run can come to.
const (
	Success = "success"
	Partial = "partial" // the snapshot is there, but some files could not be read
	Failed  = "failed"
	Started = "started" // it was not waited for
)

// Options of a run.
type Options struct {
	Schedule string // its name, without ".service"
	Wait     bool
	Timeout  time.Duration // of the waiting; the run itself goes on
	Progress func(string)  // may be nil
	poll     time.Duration // the first pause between two looks; 0: firstPoll
}

// Outcome is what a run came to. Journal is its last lines, without secrets.
type Outcome struct {
	ExecutedAt time.Time // by the target's clock
	Result     string
	SnapshotID string // abbreviated; "" where none was made, or it is not known
	Journal    string
}

// Failure is a backup that was made and failed; other errors are about not getting that far.
type Failure struct {
	Unit, Why, Journal string
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("%s %s.", f.Unit, f.Why)
	if f.Journal != "" {
		text += " Its journal ends with:\n\n" + f.Journal
	}
	return text
}

const (
	firstPoll   = 250 * time.Millisecond
	slowestPoll = 5 * time.Second
	reportEvery = time.Minute
)

// Run starts the schedule's service and waits for its end. A run that is going on already began before what this one is to cover:
// it is waited for, and then another one is made.
func Run(ctx context.Context, machine guest.Guest, options Options) (Outcome, error) {
	unit := options.Schedule + ".service"
	run := &running{machine: machine, unit: unit, options: options}
	if options.Wait && options.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, options.Timeout)
		defer cancel()
	}
	before, err := run.look(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if before.load == "not-found" {
		return Outcome{}, fmt.Errorf("there is no %s on the target. Let `schedule` be the id of a recoup_schedule, as recoup_schedule.NAME.id", unit)
	}
	if before.busy() {
		run.say("A run of %s is going on already: waiting for its end", unit)
		if before, err = run.wait(ctx); err != nil {
			return Outcome{}, err
		}
	}
	since, err := run.clock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if run.before, err = position(ctx, machine); err != nil {
		return Outcome{}, err
	}
	if err := run.start(ctx); err != nil {
		return Outcome{}, err
	}
	outcome := Outcome{ExecutedAt: since, Result: Started}
	run.say("%s was started", unit)
	if !options.Wait {
		return outcome, nil
	}
	after, err := run.wait(ctx)
	if err != nil {
		return outcome, err
	}
	return run.judge(ctx, outcome, before, after)
}

// running is one call of Run.
type running struct {
	machine    guest.Guest
	unit       string
	options    Options
	invocation string // seen while it ran
	before     entry  // the journal's last one, before it was started
}

// properties are systemd's of the unit.
type properties struct {
	load, active, result, invocation, job string
	status                                int
}

func (p properties) busy() bool {
	return p.job != "" && p.job != "0" || p.active != "inactive" && p.active != "failed"
}

func (r *running) say(format string, arguments ...any) {
	if r.options.Progress != nil {
		r.options.Progress(fmt.Sprintf(format, arguments...))
	}
}

func (r *running) look(ctx context.Context) (properties, error) {
	result, err := r.machine.Run(ctx, []string{"systemctl", "show", r.unit, "--property=LoadState,ActiveState,Result,ExecMainStatus,InvocationID,Job"}, nil)
	if err != nil {
		return properties{}, fmt.Errorf("ask systemd about %s: %w", r.unit, err)
	}
	if result.ExitCode != 0 {
		return properties{}, fmt.Errorf("ask systemd about %s: %s", r.unit, strings.TrimSpace(string(result.Stderr)))
	}
	values := map[string]string{}
	for _, line := range strings.Split(string(result.Stdout), "\n") {
		if name, value, found := strings.Cut(line, "="); found {
			values[name] = strings.TrimSpace(value)
		}
	}
	status, _ := strconv.Atoi(values["ExecMainStatus"]) // 0 where nothing ran
	return properties{load: values["LoadState"], active: values["ActiveState"], result: values["Result"],
		invocation: values["InvocationID"], job: values["Job"], status: status}, nil
}

// clock gives the target's time.
func (r *running) clock(ctx context.Context) (time.Time, error) {
	result, err := r.machine.Run(ctx, []string{"date", "+%s"}, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the target for the time: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(result.Stdout)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the target for the time: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (r *running) start(ctx context.Context) error {
	// Without waiting: a connection that is idle for hours may not last.
	result, err := r.machine.Run(ctx, []string{"systemctl", "start", "--no-block", r.unit}, nil)
	if err != nil {
		return fmt.Errorf("start %s: %w", r.unit, err)
	}
	if result.ExitCode != 0 {
		return fmt.Errorf("start %s: %s", r.unit, strings.TrimSpace(string(result.Stderr)))
	}
	return nil
}

// wait looks until the unit does nothing any more.
func (r *running) wait(ctx context.Context) (properties, error) {
	pause, began, reported := r.options.poll, time.Now(), time.Now()
	if pause == 0 {
		pause = firstPoll
	}
	for {
		seen, err := r.look(ctx)
		if err == nil && !seen.busy() {
			return seen, nil
		}
		if ctx.Err() != nil {
			return seen, r.unfinished(ctx, began)
		}
		if err != nil {
			return seen, err
		}
		if seen.invocation != "" {
			r.invocation = seen.invocation
		}
		if time.Since(reported) > reportEvery {
			reported = time.Now()
			r.say("%s has been running for %s", r.unit, time.Since(began).Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return seen, r.unfinished(ctx, began)
		case <-time.After(pause):
		}
		pause = min(pause*3/2, slowestPoll)
	}
}

func (r *running) unfinished(ctx context.Context, began time.Time) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s is still running after %s, and goes on. Give it a longer `timeout`, or say `wait = false`; "+
			"`systemctl status %s` on the target says how far it is", r.unit, time.Since(began).Round(time.Second), r.unit)
	}
	return fmt.Errorf("the waiting for %s was stopped; the run goes on: %w", r.unit, ctx.Err())
}

// judge says what the run came to.
func (r *running) judge(ctx context.Context, outcome Outcome, before, after properties) (Outcome, error) {
	if r.invocation == before.invocation {
		r.invocation = "" // of an earlier run
	}
	if after.invocation != before.invocation && after.invocation != "" {
		r.invocation = after.invocation
	}
	journal, err := readJournal(ctx, r.machine, r.options.Schedule, r.before)
	if err != nil {
		return outcome, err
	}
	outcome.Journal, outcome.SnapshotID = journal.tail(), journal.snapshot()
	ended := r.ended(after, journal)
	switch {
	case ended == "" && after.status == exitPartial:
		outcome.Result = Partial
	case ended == "" && after.invocation == "" && journal.contains(partialMark):
		outcome.Result = Partial // systemd forgets at once how units ended that no active timer refers to
	case ended == "":
		outcome.Result = Success
	case after.status == exitPartial && after.result == "exit-code" && outcome.SnapshotID != "":
		// A failure for systemd where the schedule says so (partial_is_failure), which tells whoever is to be told. Here it is said by
		// the result.
		outcome.Result = Partial
	default:
		outcome.Result = Failed
		return outcome, &Failure{Unit: r.unit, Why: ended, Journal: outcome.Journal}
	}
	return outcome, nil
}

// exitPartial is recoup's, and restic's, for a snapshot that lacks files.
const exitPartial = 3

// What the last line of `recoup schedule run` contains.
const (
	doneMark    = ": done"
	partialMark = "lacks files that could not be read"
	failedMark  = ": failed: "
)

// ended gives "" for a run without a failure, and otherwise how it ended, in words that follow the unit's name.
func (r *running) ended(after properties, journal journal) string {
	if r.invocation == "" && !journal.contains(doneMark) && !journal.contains(partialMark) {
		return "was not started by systemd: something that it needs failed, or its definition is not valid"
	}
	switch after.result {
	case "success", "":
		return ""
	case "exit-code":
		return fmt.Sprintf("ended with exit code %d%s", after.status, meaning(after.status))
	case "timeout":
		return "was stopped because it took longer than its limits.timeout"
	case "oom-kill":
		return "was killed because it needed more memory than its limits.memory_max, or than there is"
	case "signal":
		return fmt.Sprintf("was ended by the signal %d", after.status)
	}
	return "failed for systemd: " + after.result
}

func meaning(status int) string {
	switch status {
	case 10:
		return ": there is no repository at that place"
	case 11:
		return ": the repository is locked"
	case 12:
		return ": the password is wrong"
	case 130:
		return ": it was interrupted"
	case 243:
		return ": systemd could not hand over the environment file"
	}
	return ""
}
