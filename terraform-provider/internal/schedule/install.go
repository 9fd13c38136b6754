// This file puts a schedule on a machine and takes it off again.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// targets has a lock for each target: schedules of one machine may share an environment file, and Terraform handles several
// resources at the same time.
var targets sync.Map

func lockTarget(target string) (unlock func()) {
	lock, _ := targets.LoadOrStore(target, &sync.Mutex{})
	mutex := lock.(*sync.Mutex)
	mutex.Lock()
	return mutex.Unlock
}

// occupied is a file that is there already and is not this schedule's.
type occupied struct {
	path, why, remedy string
	environment       bool // it is the environment file
}

func (o *occupied) Error() string { return fmt.Sprintf("%s %s. %s", o.path, o.why, o.remedy) }

// refuseForeign gives an *occupied where a file that would be written belongs to somebody else. owned are the paths that this
// schedule wrote earlier.
func refuseForeign(ctx context.Context, machine guest.Guest, id, name string, files []renderedFile, owned record) error {
	for _, file := range files {
		if _, ours := owned.Files[file.Path]; ours {
			continue
		}
		found, err := machine.ReadFile(ctx, file.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look whether %s is there already: %w", file.Path, err)
		}
		if !file.Secret {
			return foreignUnit(found, id, name)
		}
		if err := foreignEnvironment(found, name); err != nil {
			return err
		}
	}
	return nil
}

// unitMark is what the engine lets units begin with.
const unitMark = "# Made by `recoup schedule` "

func foreignUnit(found guest.File, id, name string) error {
	if found.Path != DefinitionPath(name) && !strings.HasPrefix(string(found.Content), unitMark) {
		return &occupied{path: found.Path, why: "is there already, and was not written by recoup",
			remedy: "Choose another `name`, remove what is there, or say `overwrite = true` to replace it."}
	}
	return &occupied{path: found.Path,
		why:    fmt.Sprintf("is there already: the machine has a schedule of the name %s that this state knows nothing of", name),
		remedy: fmt.Sprintf("Import it (terraform import ADDRESS '%s'), choose another `name`, or say `overwrite = true` to replace it.", id)}
}

// environmentMark is the first line of environment files that are written here, with the schedule's name after it.
const environmentMark = "# Written by recoup for the schedule "

func markedEnvironment(name, content string) string {
	return environmentMark + name + "; changes are overwritten.\n" + content
}

// environmentOwner gives the name of the schedule that wrote the file, "" if none did.
func environmentOwner(content []byte) string {
	line, _, _ := strings.Cut(string(content), "\n")
	rest, marked := strings.CutPrefix(line, environmentMark)
	if !marked {
		return ""
	}
	owner, _, _ := strings.Cut(rest, ";")
	return owner
}

func foreignEnvironment(found guest.File, name string) error {
	switch owner := environmentOwner(found.Content); owner {
	case name:
		return nil // left behind by an apply that failed
	case "":
		return &occupied{path: found.Path, environment: true, why: "is there already, and was not written by recoup",
			remedy: "Leave `secret_environment_wo` out to use it as it is, name another `environment_file`, or say `overwrite = true` to replace it."}
	default:
		return &occupied{path: found.Path, environment: true, why: fmt.Sprintf("is there already, written by the schedule %s of the same machine", owner),
			remedy: "Leave `secret_environment_wo` out here to use that file, or name another `environment_file`."}
	}
}

// requireExecutable spares the user a timer that fails every night.
func requireExecutable(ctx context.Context, machine guest.Guest, executable string) error {
	result, err := machine.Run(ctx, []string{"test", "-x", executable}, nil)
	if err != nil {
		return fmt.Errorf("look for %s: %w", executable, err)
	}
	if result.ExitCode != 0 {
		return &missingExecutable{executable}
	}
	return nil
}

type missingExecutable struct{ path string }

func (m *missingExecutable) Error() string {
	return fmt.Sprintf("There is no executable %s on the target. `recoup_container` puts recoup there, with `driver = \"ssh\"` on a host "+
		"that exists; otherwise install it first, or say in `executable` where it is.", m.path)
}

// install writes the files, the environment file first: no unit must ever start without it. It leaves files that are right alone,
// so that a change of one does not restart what depends on the others.
func install(ctx context.Context, machine guest.Guest, files []renderedFile, timer string, enabled bool) error {
	ordered := append([]renderedFile{}, files...)
	sort.SliceStable(ordered, func(i, j int) bool { return ordered[i].Secret && !ordered[j].Secret })
	timerChanged := false
	for _, file := range ordered {
		changed, err := put(ctx, machine, file)
		if err != nil {
			return err
		}
		timerChanged = timerChanged || changed && path.Base(file.Path) == timer
	}
	if err := systemctl(ctx, machine, "daemon-reload"); err != nil {
		return err
	}
	if !enabled {
		return systemctl(ctx, machine, "disable", "--now", timer)
	}
	if err := systemctl(ctx, machine, "enable", timer); err != nil {
		return err
	}
	// Started again only with cause: with OnBootSec= that would make a backup.
	return systemctl(ctx, machine, chosen(timerChanged, "restart", "start"), timer)
}

func put(ctx context.Context, machine guest.Guest, file renderedFile) (changed bool, err error) {
	mode, err := file.permissions()
	if err != nil {
		return false, err
	}
	found, err := machine.ReadFile(ctx, file.Path)
	if err == nil && string(found.Content) == file.Content && found.Mode.Perm() == mode && found.UID == 0 && found.GID == 0 {
		return false, nil
	}
	if err := machine.WriteFile(ctx, guest.File{Path: file.Path, Content: []byte(file.Content), Mode: mode}); err != nil {
		return false, fmt.Errorf("write %s: %w", file.Path, err)
	}
	return true, nil
}

func systemctl(ctx context.Context, machine guest.Guest, arguments ...string) error {
	command := "systemctl " + strings.Join(arguments, " ")
	result, err := machine.Run(ctx, append([]string{"systemctl"}, arguments...), nil)
	if err != nil {
		return fmt.Errorf("%s: %w. The target needs systemd", command, err)
	}
	if result.ExitCode != 0 {
		return fmt.Errorf("%s ended with exit code %d: %s", command, result.ExitCode, strings.TrimSpace(string(result.Stderr)))
	}
	return nil
}

// uninstall takes the schedule off: timer and service first, the environment file last and only if no other schedule reads it.
// What is gone already is passed over. kept is why the environment file stays, "" if it does not. It goes by names and not by the
// record: Terraform does not hand over the private state where a schedule is replaced.
func uninstall(ctx context.Context, machine guest.Guest, name, environmentFile string) (kept string, err error) {
	timer, service := name+".timer", name+".service"
	if err := stopUnits(ctx, machine, timer, service); err != nil {
		return "", err
	}
	// The link is what enabled the timer: `disable` leaves it where the unit's file was deleted before.
	for _, file := range []string{unitPath("timers.target.wants/" + timer), unitPath(timer), unitPath(service), DefinitionPath(name)} {
		if err := machine.RemoveFile(ctx, file); err != nil {
			return "", fmt.Errorf("remove %s: %w", file, err)
		}
	}
	if err := systemctl(ctx, machine, "daemon-reload"); err != nil && !errors.Is(err, guest.ErrStopped) {
		return "", err
	}
	// A failed run would be listed for ever; that there is none to reset is no error.
	_, _ = machine.Run(ctx, []string{"systemctl", "reset-failed", timer, service}, nil)
	return removeEnvironment(ctx, machine, name, environmentFile)
}

// stopUnits is content with units that systemd does not know, and with a machine that does not run at all.
func stopUnits(ctx context.Context, machine guest.Guest, timer, service string) error {
	// A unit that was masked or deleted by hand cannot be disabled; stopping it is what matters.
	_, _ = machine.Run(ctx, []string{"systemctl", "disable", timer}, nil)
	for _, unit := range []string{timer, service} {
		err := systemctl(ctx, machine, "stop", unit)
		if err != nil && !strings.Contains(err.Error(), "not loaded") && !errors.Is(err, guest.ErrStopped) {
			return err
		}
	}
	// When Persistent= last ran: a schedule of the same name that comes later must not catch up for this one.
	_, _ = machine.Run(ctx, []string{"systemctl", "clean", "--what=state", timer}, nil)
	return nil
}

// removeEnvironment removes an environment file that recoup wrote once no schedule's definition on the machine names it, so that
// schedules which share one can go in any order.
func removeEnvironment(ctx context.Context, machine guest.Guest, name, file string) (kept string, err error) {
	found, err := machine.ReadFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", file, err)
	}
	owner := environmentOwner(found.Content)
	if owner == "" {
		return "it was not written by recoup", nil
	}
	users, err := environmentUsers(ctx, machine, file)
	switch {
	case errors.Is(err, guest.ErrStopped):
		if owner != name {
			return "it was written by the schedule " + owner + ", and the machine does not run, so that nobody can say who reads it", nil
		}
	case err != nil:
		return "", err
	case len(users) > 0:
		return "it is used by the schedule " + strings.Join(users, ", "), nil
	}
	if err := machine.RemoveFile(ctx, file); err != nil {
		return "", fmt.Errorf("remove %s: %w", file, err)
	}
	return "", nil
}

// environmentUsers names the schedules of the machine that read the file.
func environmentUsers(ctx context.Context, machine guest.Guest, file string) ([]string, error) {
	listed, err := machine.Run(ctx, []string{"ls", "-1", definitionDirectory}, nil)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", definitionDirectory, err)
	}
	var users []string
	for _, entry := range strings.Fields(string(listed.Stdout)) {
		name, isDefinition := strings.CutSuffix(entry, ".json")
		if !isDefinition {
			continue
		}
		found, err := machine.ReadFile(ctx, DefinitionPath(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the definition of the schedule %s: %w", name, err)
		}
		definition, err := parseDefinition(found.Content)
		if err != nil {
			continue // not a schedule
		}
		used, given := definition["environment_file"].(string)
		if !given {
			used = DefaultEnvironmentFile
		}
		if used == file {
			users = append(users, name)
		}
	}
	return users, nil
}
