// Every kind of guest has to behave the same; these are the behaviours.

package guest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

func open(t *testing.T, address string, from settings.Settings) guest.Guest {
	t.Helper()
	opened, err := guest.Open(t.Context(), address, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func TestLocal(t *testing.T) {
	behaves(t, open(t, "local", settings.Settings{}), t.TempDir())
}

func TestSSH(t *testing.T) {
	server := guesttest.StartSSHD(t, "")
	behaves(t, open(t, server.Address(), settings.Settings{SSH: server.Settings()}), t.TempDir())
}

// TestSSHUsers are users who are not root, on a host whose sudo warns each time that it does not know the host's own name.
func TestSSHUsers(t *testing.T) {
	host := guesttest.StartSSHHost(t)
	behaves(t, open(t, host.Address(guesttest.Deputy), settings.Settings{SSH: host.Settings(true)}), "/srv/test")
	for _, refused := range []struct {
		user string
		sudo bool
		says string
	}{
		{guesttest.Deputy, false, "set sudo = true in the provider's ssh block"},
		{guesttest.Visitor, true, "Allow it without a password there (NOPASSWD"},
	} {
		opened, err := guest.Open(t.Context(), host.Address(refused.user), settings.Settings{SSH: host.Settings(refused.sudo)})
		if err == nil {
			opened.Close()
		}
		var login *guest.LoginError
		if !errors.As(err, &login) || login.Attribute != "ssh.sudo" || !strings.Contains(login.Message, refused.says) {
			t.Errorf("%s with sudo %v: %v", refused.user, refused.sudo, err)
		}
	}
}

func TestIncus(t *testing.T) {
	incus := guesttest.StartIncus(t)
	name := incus.Launch(t)
	in := open(t, "incus:default/"+name, incus.Settings())
	behaves(t, in, "/srv/test")
	left := incus.Run(t, name, "sh", "-c", "ls /run/recoup-input* 2>/dev/null | wc -l")
	if left != "0" {
		t.Errorf("%s inputs of programs are left in /run", left)
	}
	logs, _ := incus.TryCommand("query", "/1.0/instances/"+name+"/logs/exec-output")
	if strings.Contains(logs, "exec_") {
		t.Errorf("recorded outputs are left on the host: %s", logs)
	}
}

func TestLXD(t *testing.T) {
	lxd := guesttest.StartLXD(t)
	behaves(t, open(t, "lxd:default/"+lxd.Launch(t), lxd.Settings()), "/srv/test")
}

func TestIncusStopped(t *testing.T) { stopped(t, guesttest.StartIncus(t)) }

func TestLXDStopped(t *testing.T) { stopped(t, guesttest.StartLXD(t)) }

func stopped(t *testing.T, incus guesttest.Incus) {
	name := incus.Name(t)
	incus.Command(t, "init", incus.Image, name)
	in := open(t, incus.Driver+":default/"+name, incus.Settings())
	writesAndReads(t, in, "/srv/test")
	if _, err := in.Run(t.Context(), []string{"true"}, nil); !errors.Is(err, guest.ErrStopped) {
		t.Errorf("running a program in a stopped instance: %v", err)
	}
	incus.Command(t, "delete", name)
	if _, err := in.ReadFile(t.Context(), "/etc/hostname"); !errors.Is(err, guest.ErrGone) {
		t.Errorf("reading from a deleted instance: %v", err)
	}
	if _, err := guest.Open(t.Context(), incus.Driver+":default/"+name, incus.Settings()); !errors.Is(err, guest.ErrGone) {
		t.Errorf("opening a deleted instance: %v", err)
	}
}

func behaves(t *testing.T, in guest.Guest, directory string) {
	t.Run("files", func(t *testing.T) { writesAndReads(t, in, directory) })
	t.Run("programs", func(t *testing.T) { runs(t, in) })
	t.Run("secrets", func(t *testing.T) { hides(t, in, directory) })
	t.Run("cancel", func(t *testing.T) { stops(t, in) })
}

func writesAndReads(t *testing.T, in guest.Guest, directory string) {
	ctx := t.Context()
	name := directory + "/a b/it's $HOME/файл"
	if _, err := in.ReadFile(ctx, name); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, guest.ErrGone) {
		t.Fatalf("a file that is not there: %v", err)
	}
	everything := make([]byte, 300_000)
	for i := range everything {
		everything[i] = byte(i * 7 / 3)
	}
	for _, file := range []guest.File{
		{Path: name, Content: []byte("first\n"), Mode: 0o600},
		{Path: name, Content: everything, Mode: 0o755, UID: 12, GID: 34},
		{Path: name, Content: nil, Mode: 0o640, UID: 0, GID: 34},
	} {
		if err := in.WriteFile(ctx, file); err != nil {
			t.Fatal(err)
		}
		found, err := in.ReadFile(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(found.Content, file.Content) || found.Mode != file.Mode || found.UID != file.UID || found.GID != file.GID {
			t.Errorf("wrote %d bytes %o %d:%d, read %d bytes %o %d:%d", len(file.Content), file.Mode, file.UID, file.GID, len(found.Content), found.Mode, found.UID, found.GID)
		}
	}
	if err := in.WriteFile(ctx, guest.File{Path: directory, Mode: 0o600}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("writing a file over a directory: %v", err)
	}
	if _, err := in.ReadFile(ctx, directory); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("reading a directory: %v", err)
	}
	for range 2 { // the second time there is none
		if err := in.RemoveFile(ctx, name); err != nil {
			t.Errorf("removing: %v", err)
		}
	}
	if _, err := in.ReadFile(ctx, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
}

func runs(t *testing.T, in guest.Guest) {
	ctx := t.Context()
	result, err := in.Run(ctx, []string{"printf", "%s|", "a b", "$HOME", "it's", "*", "", "-n"}, nil)
	if err != nil || string(result.Stdout) != "a b|$HOME|it's|*||-n|" || result.ExitCode != 0 {
		t.Errorf("arguments: %q %v", result.Stdout, err)
	}
	input := bytes.Repeat([]byte("0123456789abcde\n"), 10_000)
	if result, err = in.Run(ctx, []string{"cat"}, input); err != nil || !bytes.Equal(result.Stdout, input) {
		t.Errorf("input: %d bytes came back, %v", len(result.Stdout), err)
	}
	if result, err = in.Run(ctx, []string{"cat"}, nil); err != nil || len(result.Stdout) != 0 {
		t.Errorf("no input: %q %v", result.Stdout, err)
	}
	result, err = in.Run(ctx, []string{"sh", "-c", "echo out; echo err >&2; exit 7"}, []byte("x"))
	if err != nil || result.ExitCode != 7 || string(result.Stdout) != "out\n" || string(result.Stderr) != "err\n" {
		t.Errorf("a failing program: %+v %v", result, err)
	}
	if result, err = in.Run(ctx, []string{"/nonexistent/program"}, nil); err == nil && result.ExitCode != 127 {
		t.Errorf("a program that is not there: %+v", result)
	}
}

// hides looks at a file while it is being written many times: nobody but its owner may read it, and it is never half.
func hides(t *testing.T, in guest.Guest, directory string) {
	ctx := t.Context()
	name := directory + "/watched/secret"
	if err := in.WriteFile(ctx, guest.File{Path: name, Content: bytes.Repeat([]byte("0"), 100_000), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	// Prints every mode and every length that is seen, once each.
	watcher := `cd "$1" || exit 1
n=0; while [ $n -lt 400 ] && [ ! -e stop ]; do n=$((n+1)); stat -c '%a %n %s' secret* 2>/dev/null; done | sort -u`
	type outcome struct {
		result guest.Result
		err    error
	}
	seen := make(chan outcome, 1)
	watching := in
	if _, local := in.(guest.Local); !local {
		// "Its methods may be called one at a time": a guest of its own would be another connection, so the watcher runs by itself.
		start := "nohup sh -c '" + strings.ReplaceAll(watcher, "'", `'\''`) + "' sh \"$1\" > \"$1\".seen 2>&1 < /dev/null &"
		if result, err := in.Run(ctx, []string{"sh", "-c", start, "sh", directory + "/watched"}, nil); err != nil || result.ExitCode != 0 {
			t.Fatal(result, err)
		}
	} else {
		go func() {
			result, err := watching.Run(ctx, []string{"sh", "-c", watcher, "sh", directory + "/watched"}, nil)
			seen <- outcome{result, err}
		}()
	}
	for i := range 10 {
		if err := in.WriteFile(ctx, guest.File{Path: name, Content: bytes.Repeat([]byte{'a' + byte(i)}, 100_000), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.WriteFile(ctx, guest.File{Path: directory + "/watched/stop"}); err != nil {
		t.Fatal(err)
	}
	var report string
	if _, local := in.(guest.Local); local {
		result := <-seen
		report = string(result.result.Stdout)
	} else {
		for deadline := time.Now().Add(2 * time.Minute); report == "" && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			file, err := in.ReadFile(ctx, directory+"/watched.seen")
			if err == nil {
				report = string(file.Content)
			}
		}
	}
	if !strings.Contains(report, " secret 100000\n") {
		t.Fatalf("the watcher saw nothing: %q", report)
	}
	for line := range strings.Lines(report) {
		var mode, file string
		var length int
		if _, err := fmt.Sscan(line, &mode, &file, &length); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if mode != "600" && mode != "0" && mode != "200" {
			t.Errorf("others could read it: %s", line)
		}
		if file == "secret" && length != 100_000 {
			t.Errorf("it was there by half: %s", line)
		}
	}
}

func stops(t *testing.T, in guest.Guest) {
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	began := time.Now()
	if _, err := in.Run(ctx, []string{"sleep", "120"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the context's end: %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v to stop", took)
	}
	if result, err := in.Run(t.Context(), []string{"echo", "alive"}, nil); err != nil || string(result.Stdout) != "alive\n" {
		t.Errorf("after a stop: %q %v", result.Stdout, err)
	}
}

func TestMain(m *testing.M) {
	// The agent of whoever runs the tests has no part in them.
	os.Unsetenv("SSH_AUTH_SOCK")
	os.Exit(m.Run())
}
