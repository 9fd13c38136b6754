// This file reads what a run said, and takes the secrets out of it.
package backuprun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/schedule"
)

const (
	readLines  = 4000 // the last ones of a run, in which the snapshot's id is looked for
	shownLines = 25
)

// journal is the last lines of a run.
type journal []string

// entry is one of the journal, in journalctl's JSON. Of a message that is not text, journalctl gives the bytes as a list of numbers.
type entry struct {
	Cursor    string          `json:"__CURSOR"`
	Boot      string          `json:"_BOOT_ID"`
	Monotonic int64           `json:"__MONOTONIC_TIMESTAMP,string"` // microseconds since the boot
	Realtime  int64           `json:"__REALTIME_TIMESTAMP,string"`
	Message   json.RawMessage `json:"MESSAGE"`
}

func (e entry) text() string {
	var text string
	if json.Unmarshal(e.Message, &text) == nil {
		return text
	}
	var numbers []rune // not bytes, which JSON has in base64
	_ = json.Unmarshal(e.Message, &numbers)
	raw := make([]byte, len(numbers))
	for at, number := range numbers {
		raw[at] = byte(number)
	}
	return strings.ToValidUTF8(string(raw), "\uFFFD")
}

// isAfter compares by journald's own clock; where the machine was started anew in between, by the time of day.
func (e entry) isAfter(position entry) bool {
	if e.Boot == position.Boot {
		return e.Monotonic >= position.Monotonic && e.Cursor != position.Cursor
	}
	return e.Realtime > position.Realtime
}

func readEntries(ctx context.Context, machine guest.Guest, lines int, matches ...string) ([]entry, error) {
	argv := []string{"journalctl", "--no-pager", "--quiet", "--all", "--output=json", "--output-fields=MESSAGE", fmt.Sprintf("--lines=%d", lines)}
	result, err := machine.Run(ctx, append(argv, matches...), nil)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for line := range strings.Lines(string(result.Stdout)) {
		var each entry
		if err := json.Unmarshal([]byte(line), &each); err != nil {
			return nil, fmt.Errorf("journalctl wrote something else than JSON: %w", err)
		}
		entries = append(entries, each)
	}
	return entries, nil
}

// position gives the journal's last entry, to read what comes after it; one before all others where the journal is empty.
func position(ctx context.Context, machine guest.Guest) (entry, error) {
	syncJournal(ctx, machine)
	entries, err := readEntries(ctx, machine, 1)
	if err != nil {
		return entry{}, fmt.Errorf("read the journal: %w", err)
	}
	if len(entries) == 0 {
		return entry{}, nil
	}
	return entries[len(entries)-1], nil
}

// syncJournal waits until journald has written what it has received. An old one can't be told to: then there is the patience.
func syncJournal(ctx context.Context, machine guest.Guest) {
	_, _ = machine.Run(ctx, []string{"journalctl", "--sync"}, nil)
}

// How long what a service said last may take to get into the journal.
const (
	journalPatience = 3 * time.Second
	journalPause    = 200 * time.Millisecond
)

// readJournal gives the lines of the service, and systemd's about it, after a position. It does not go by the unit or the invocation
// alone: journald finds those out from a process that may have ended before. The identifier is what the unit says. journalctl's own
// --after-cursor passes over the first entry that matches, where the one at the cursor does not (seen with systemd 252).
func readJournal(ctx context.Context, machine guest.Guest, name string, after entry) (journal, error) {
	secrets, err := secretsOf(ctx, machine, name)
	if err != nil {
		return nil, err
	}
	syncJournal(ctx, machine)
	unit := name + ".service"
	for deadline := time.Now().Add(journalPatience); ; time.Sleep(journalPause) {
		entries, err := readEntries(ctx, machine, readLines, "SYSLOG_IDENTIFIER="+name, "+", "_SYSTEMD_UNIT="+unit, "+", "UNIT="+unit)
		if err != nil {
			return nil, fmt.Errorf("read the journal of %s: %w", unit, err)
		}
		var text strings.Builder
		for _, each := range entries {
			if each.isAfter(after) {
				text.WriteString(each.text() + "\n")
			}
		}
		lines := journal(strings.Split(strings.TrimSpace(redact(text.String(), secrets)), "\n"))
		if lines.isWhole() || time.Now().After(deadline) {
			return lines, nil
		}
	}
}

// isWhole says whether there is the line that `recoup schedule run` ends with.
func (j journal) isWhole() bool {
	return j.contains(doneMark) || j.contains(partialMark) || j.contains(failedMark)
}

func (j journal) contains(text string) bool {
	return slices.ContainsFunc(j, func(line string) bool { return strings.Contains(line, text) })
}

func (j journal) tail() string {
	return strings.Join(j[max(0, len(j)-shownLines):], "\n")
}

// savedLine is what `recoup schedule run` says of its backup, "backup: … snapshot 1a2b3c4d saved …", and what `recoup backup` and
// restic say, which is that alone.
var savedLine = regexp.MustCompile(`^(?:backup: .*)?\bsnapshot ([0-9a-f]{8,64}) saved\b`)

// snapshot gives the id in the line that ends a backup.
func (j journal) snapshot() string {
	for at := len(j) - 1; at >= 0; at-- {
		if found := savedLine.FindStringSubmatch(strings.TrimSpace(j[at])); found != nil {
			return found[1]
		}
	}
	return ""
}

// secretName is about variables whose values no message may show.
var secretName = regexp.MustCompile(`(?i)passw|secret|token|key|credential|sas$`)

// secretsOf gives the secret values of the schedule's environment file, by the name of their variable.
func secretsOf(ctx context.Context, machine guest.Guest, name string) (map[string]string, error) {
	path := schedule.DefaultEnvironmentFile
	definition, err := machine.ReadFile(ctx, schedule.DefinitionPath(name))
	if err == nil {
		var said struct {
			EnvironmentFile string `json:"environment_file"`
		}
		if json.Unmarshal(definition.Content, &said) == nil && said.EnvironmentFile != "" {
			path = said.EnvironmentFile
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the definition of the schedule %s: %w", name, err)
	}
	file, err := machine.ReadFile(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s to keep its secrets out of messages: %w", path, err)
	}
	secrets := map[string]string{}
	for variable, value := range parseEnvironment(string(file.Content)) {
		if secretName.MatchString(variable) {
			secrets[variable] = value
		}
	}
	return secrets, nil
}

// parseEnvironment reads what the engine writes (and what people usually do): NAME=value lines, quotes, and backslashes in double ones.
func parseEnvironment(text string) map[string]string {
	variables := map[string]string{}
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		name, value, found := strings.Cut(line, "=")
		if strings.HasPrefix(strings.TrimSpace(line), "#") || !found {
			text = rest
			continue
		}
		value = strings.TrimLeft(value, " \t")
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			value, rest = quoted(text[strings.Index(text, "=")+1:])
		}
		variables[strings.TrimSpace(name)] = strings.TrimRight(value, " \t\r")
		text = rest
	}
	return variables
}

// quoted reads a text in quotes, which may span lines, and gives what follows its line.
func quoted(text string) (value, rest string) {
	text = strings.TrimLeft(text, " \t")
	quote, built := text[0], strings.Builder{}
	for at := 1; at < len(text); at++ {
		switch c := text[at]; {
		case c == quote:
			_, rest, _ = strings.Cut(text[at+1:], "\n")
			return built.String(), rest
		case c == '\\' && quote == '"' && at+1 < len(text) && strings.IndexByte("\"\\`$\n", text[at+1]) >= 0:
			at++
			if text[at] != '\n' {
				built.WriteByte(text[at])
			}
		default:
			built.WriteByte(c)
		}
	}
	return built.String(), ""
}

var credentialsInURL = regexp.MustCompile(`://[^/\s@]+@`)

// redact puts names in the place of secrets, the longest first, so that one that contains another goes whole. Those of fewer than
// four bytes are left: they would be found in every word.
func redact(text string, secrets map[string]string) string {
	type secret struct{ name, value string }
	var all []secret
	for name, value := range secrets {
		for _, line := range strings.Split(value, "\n") { // a journal has lines
			if len(line) >= 4 {
				all = append(all, secret{name, line})
			}
		}
	}
	slices.SortFunc(all, func(a, b secret) int { return len(b.value) - len(a.value) })
	for _, each := range all {
		text = strings.ReplaceAll(text, each.value, "("+each.name+")")
	}
	return credentialsInURL.ReplaceAllString(text, "://(credentials)@")
}
