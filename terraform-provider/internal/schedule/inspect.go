// This file compares a machine with what was declared for it, and says each difference in a sentence that a plan can show.
package schedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"sort"
	"strings"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// expectation is what a machine should be like.
type expectation struct {
	written record
	plain   *rendered // what the engine makes of it today, without the secrets; nil where it is not there to ask
	timer   string
	enabled bool
}

// inspect gives what is not as it should be, empty when all is well.
func inspect(ctx context.Context, machine guest.Guest, want expectation) ([]string, error) {
	drift := outdated(want)
	paths := make([]string, 0, len(want.written.Files))
	for path := range want.written.Files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		differences, err := inspectFile(ctx, machine, path, want.written.Files[path])
		if err != nil {
			return nil, err
		}
		drift = append(drift, differences...)
	}
	differences, err := inspectTimer(ctx, machine, want.timer, want.enabled)
	if err != nil {
		return nil, err
	}
	return append(drift, differences...), nil
}

// outdated says which files another engine than the one that wrote them makes otherwise.
func outdated(want expectation) []string {
	said := []string{}
	if want.plain == nil {
		return said
	}
	for _, file := range want.plain.Files {
		written, there := want.written.Files[file.Path]
		if there && bytes.Equal(written.Plain, plainHash(file)) {
			continue
		}
		said = append(said, file.Path+" was written by another version of recoup, and is made otherwise now")
	}
	return said
}

func inspectFile(ctx context.Context, machine guest.Guest, path string, want fingerprint) ([]string, error) {
	found, err := machine.ReadFile(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{path + " is not there"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var differences []string
	same, err := want.matches(found.Content)
	if err != nil {
		return nil, err
	}
	switch {
	case same:
	case want.Scrypt != nil:
		differences = append(differences, path+" has another content (not shown: it holds secrets)")
	default:
		differences = append(differences, path+" was edited: "+firstDifference(want.Content, string(found.Content)))
	}
	if mode := fmt.Sprintf("%04o", found.Mode.Perm()); mode != want.mode() {
		differences = append(differences, fmt.Sprintf("%s has the mode %s instead of %s", path, mode, want.mode()))
	}
	if found.UID != 0 || found.GID != 0 {
		differences = append(differences, fmt.Sprintf("%s belongs to user %d and group %d instead of root", path, found.UID, found.GID))
	}
	return differences, nil
}

func (f fingerprint) mode() string { return fmt.Sprintf("%04s", f.Mode) }

// mayHoldSecret is about lines that somebody wrote into a unit: they must not get into the state by way of the drift.
var mayHoldSecret = regexp.MustCompile(`(?i)passw|secret|token|key|credential|environment|://[^/\s]*@`)

const longestShownLine = 120

// firstDifference says what of a file was edited, by its first line that differs.
func firstDifference(want, found string) string {
	wanted, there := strings.Split(want, "\n"), strings.Split(found, "\n")
	at := 0
	for at < len(wanted) && at < len(there) && wanted[at] == there[at] {
		at++
	}
	show := func(lines []string) string {
		switch {
		case at >= len(lines) || (at == len(lines)-1 && lines[at] == ""):
			return "the end"
		case len(lines[at]) > longestShownLine:
			return fmt.Sprintf("%q…", lines[at][:longestShownLine])
		}
		return fmt.Sprintf("%q", lines[at])
	}
	is := show(there)
	if at < len(there) && mayHoldSecret.MatchString(there[at]) {
		is = "another one (not shown: it may hold a secret)"
	}
	return fmt.Sprintf("line %d is %s instead of %s", at+1, is, show(wanted))
}

// inspectTimer asks systemd. What it says about units that it does not know is as good as any other answer.
func inspectTimer(ctx context.Context, machine guest.Guest, timer string, enabled bool) ([]string, error) {
	enablement, err := systemctlSays(ctx, machine, "is-enabled", timer)
	if err != nil {
		return nil, err
	}
	activity, err := systemctlSays(ctx, machine, "is-active", timer)
	if err != nil {
		return nil, err
	}
	var differences []string
	if (enablement == "enabled") != enabled {
		differences = append(differences, fmt.Sprintf("%s is %s instead of %s", timer, enablement, chosen(enabled, "enabled", "disabled")))
	}
	if (activity == "active") != enabled {
		differences = append(differences, fmt.Sprintf("%s is %s instead of %s", timer, activity, chosen(enabled, "active", "stopped")))
	}
	return differences, nil
}

func chosen(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

// systemctlSays gives the word that a query prints; its exit code says nothing more.
func systemctlSays(ctx context.Context, machine guest.Guest, query, unit string) (string, error) {
	result, err := machine.Run(ctx, []string{"systemctl", query, unit}, nil)
	if err != nil {
		return "", fmt.Errorf("ask systemd whether %s: %w", unit, err)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(string(result.Stdout)), "\n")
	if said != "" {
		return said, nil
	}
	complaint := strings.TrimSpace(string(result.Stderr))
	if strings.Contains(complaint, "not been booted with systemd") || strings.Contains(complaint, "connect to bus") {
		return "", fmt.Errorf("systemctl %s %s: %s. The target needs systemd as its init", query, unit, complaint)
	}
	return "not there", nil // "Failed to get unit file state for …: No such file or directory"
}
