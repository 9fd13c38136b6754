// Shell text for guests that are reached through a shell. It runs in dash, bash and busybox; every value is an argument of the
// script, never a part of its text.

package guest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Exit codes of the scripts below, out of the way of those that shells and commands use.
const (
	scriptMissing    = 40
	scriptNotRegular = 41
	scriptTruncated  = 42
)

// readScript writes "MODE UID GID" and a newline, then the file.
const readScript = `[ -e "$1" ] || exit 40
[ -f "$1" ] || exit 41
stat -L -c '%a %u %g' -- "$1" && exec cat -- "$1"`

// writeScript takes path, owner, mode and length. The length is compared because a connection that breaks looks like the end of
// the file to cat.
const writeScript = `set -e
[ ! -d "$1" ] || exit 41
(umask 022; mkdir -p -- "$(dirname -- "$1")")
umask 077
temporary=$(mktemp -- "$1.XXXXXX")
trap 'rm -f -- "$temporary"' EXIT
cat > "$temporary"
[ "$(wc -c < "$temporary")" -eq "$4" ] || exit 42
chown -- "$2" "$temporary"
chmod -- "$3" "$temporary"
mv -f -- "$temporary" "$1"`

func script(text string, arguments ...string) []string {
	return append([]string{"/bin/sh", "-c", text, "recoup"}, arguments...)
}

func writeArguments(file File) []string {
	return []string{file.Path, fmt.Sprintf("%d:%d", file.UID, file.GID), fmt.Sprintf("%04o", uint32(unixMode(file.Mode))), strconv.Itoa(len(file.Content))}
}

// parseRead takes what readScript wrote.
func parseRead(name string, result Result) (File, error) {
	switch result.ExitCode {
	case 0:
	case scriptMissing:
		return File{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case scriptNotRegular:
		return File{}, notRegular(name)
	default:
		return File{}, fmt.Errorf("reading %s: %s", name, describe(result))
	}
	line, content, _ := bytes.Cut(result.Stdout, []byte{'\n'})
	fields := strings.Fields(string(line))
	if len(fields) != 3 {
		return File{}, fmt.Errorf("reading %s: stat answered %q instead of mode, user and group", name, line)
	}
	mode, errMode := strconv.ParseUint(fields[0], 8, 32)
	uid, errUID := strconv.Atoi(fields[1])
	gid, errGID := strconv.Atoi(fields[2])
	if errMode != nil || errUID != nil || errGID != nil {
		return File{}, fmt.Errorf("reading %s: stat answered %q instead of mode, user and group", name, line)
	}
	return File{Path: name, Content: content, Mode: fs.FileMode(mode), UID: uid, GID: gid}, nil
}

// judgeWrite takes how writeScript ended.
func judgeWrite(name string, result Result) error {
	switch result.ExitCode {
	case 0:
		return nil
	case scriptNotRegular:
		return notRegular(name)
	case scriptTruncated:
		return fmt.Errorf("writing %s: the content did not arrive whole; nothing was changed", name)
	}
	return fmt.Errorf("writing %s: %s", name, describe(result))
}

// describe is for errors: the code and the end of what was said.
func describe(result Result) string {
	said := strings.TrimSpace(string(result.Stderr))
	if said == "" {
		said = strings.TrimSpace(string(result.Stdout))
	}
	if len(said) > 2000 {
		said = "…" + said[len(said)-2000:]
	}
	if said == "" {
		return fmt.Sprintf("ended with exit code %d and said nothing", result.ExitCode)
	}
	return fmt.Sprintf("ended with exit code %d: %s", result.ExitCode, said)
}

// Check turns a program that failed into an error that says what it wrote.
func Check(argv []string, result Result, err error) error {
	if err != nil {
		return err
	}
	if result.ExitCode != 0 {
		return fmt.Errorf("%q %s", strings.Join(argv, " "), describe(result))
	}
	return nil
}

// quote makes one word of a POSIX shell out of each argument.
func quote(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

func temporaryName(beside string) string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return beside + "." + hex.EncodeToString(random)
}

// runner is the part of a guest that runs programs which read nothing.
type runner func(ctx context.Context, argv []string) (Result, error)

// runWithInput is for guests whose way of running programs has no standard input: `put` and `remove` move a file that only
// root can read, in /run because that is memory on nearly every system, and the program gets it as its input.
func runWithInput(ctx context.Context, run runner, argv []string, stdin []byte, put func(context.Context, File) error, remove func(context.Context, string) error) (Result, error) {
	if len(stdin) == 0 {
		return run(ctx, append([]string{"/bin/sh", "-c", `exec "$@" < /dev/null`, "recoup"}, argv...))
	}
	input := File{Path: temporaryName("/run/recoup-input"), Content: stdin, Mode: 0o600}
	// With a context of its own: what was asked may be over, and the file must not stay.
	defer func() {
		cleaning, stop := cleanupContext(ctx)
		defer stop()
		_ = remove(cleaning, input.Path)
	}()
	if err := put(ctx, input); err != nil {
		return Result{}, fmt.Errorf("giving %s its input: %w", path.Base(argv[0]), err)
	}
	return run(ctx, append([]string{"/bin/sh", "-c", `exec "$@" < "$0"`, input.Path}, argv...))
}
