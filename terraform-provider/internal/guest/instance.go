// Guests that are instances of Incus or LXD.

package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/lxd"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// environment is given because the daemons start programs with hardly any.
var environment = map[string]string{
	"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8",
}

type instance struct {
	client *lxd.Client
	name   string
	label  string // for messages
}

func openInstance(ctx context.Context, address Address, server settings.LXDServer) (Guest, error) {
	flavor := lxd.Incus
	if address.Kind == KindLXD {
		flavor = lxd.LXD
	}
	server.Project = address.Project
	client, err := lxd.Open(flavor, server)
	if err != nil {
		return nil, err
	}
	if _, err := client.Instance(ctx, address.Name); err != nil {
		client.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", address, ErrGone)
		}
		return nil, fmt.Errorf("opening %s: %w", address, err)
	}
	return NewInstance(client, address.Name), nil
}

// NewInstance is the guest of an instance that is known to be there. The client stays the caller's only until Close.
func NewInstance(client *lxd.Client, name string) Guest {
	label := fmt.Sprintf("%s instance %s/%s", client.Flavor().Name, client.Project(), name)
	return &instance{client: client, name: name, label: label}
}

func (i *instance) Close() error {
	i.client.Close()
	return nil
}

func (i *instance) Run(ctx context.Context, argv []string, stdin []byte) (Result, error) {
	if len(argv) == 0 {
		return Result{}, errors.New("no program was named")
	}
	if len(stdin) == 0 {
		return i.run(ctx, argv) // without input it is /dev/null already
	}
	return runWithInput(ctx, i.run, argv, stdin, i.put, i.RemoveFile)
}

func (i *instance) run(ctx context.Context, argv []string) (Result, error) {
	output, err := i.client.Exec(ctx, i.name, argv, environment)
	if err != nil {
		return Result{}, i.explain(ctx, fmt.Errorf("running %s in %s: %w", path.Base(argv[0]), i.label, err))
	}
	return Result{ExitCode: output.ExitCode, Stdout: output.Stdout, Stderr: output.Stderr}, nil
}

// explain finds out whether an error comes from the instance's state, which the daemons report in various words.
func (i *instance) explain(ctx context.Context, err error) error {
	if lxd.IsUnreachable(err) {
		return err
	}
	found, reading := i.client.Instance(ctx, i.name)
	switch {
	case errors.Is(reading, fs.ErrNotExist):
		return fmt.Errorf("%w (%w)", err, ErrGone)
	case reading == nil && found.Status != "Running":
		return fmt.Errorf("%w (%w: its status is %s)", err, ErrStopped, found.Status)
	}
	return err
}

// ReadFile follows symbolic links, as the other guests do.
func (i *instance) ReadFile(ctx context.Context, name string) (File, error) {
	at := path.Clean(name)
	for range 16 {
		found, err := i.client.ReadFile(ctx, i.name, at)
		if errors.Is(err, fs.ErrNotExist) {
			if explained := i.explain(ctx, err); errors.Is(explained, ErrGone) {
				return File{}, fmt.Errorf("%s: %w", i.label, ErrGone)
			}
			return File{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		if err != nil {
			return File{}, fmt.Errorf("reading %s in %s: %w", name, i.label, err)
		}
		switch found.Type {
		case lxd.Regular:
			return File{Path: name, Content: found.Content, Mode: fs.FileMode(found.Mode), UID: found.UID, GID: found.GID}, nil
		case lxd.Symlink:
			target := string(found.Content)
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(at), target)
			}
			at = target
		default:
			return File{}, notRegular(name)
		}
	}
	return File{}, fmt.Errorf("reading %s in %s: more than 16 symbolic links follow each other", name, i.label)
}

// put makes a file that was not there, in a running instance: for root alone, whatever its mode is to be. A program makes it,
// because the daemon makes files that all can read, and takes that from them afterwards: whoever opened it in between would
// read what is written later.
func (i *instance) put(ctx context.Context, file File) error {
	argv := script(`umask 077; set -C; : > "$1"`, file.Path)
	result, err := i.run(ctx, argv)
	if err := Check(argv, result, err); err != nil {
		return err
	}
	return i.client.WriteFile(ctx, i.name, file.Path, lxd.File{Type: lxd.Regular, Mode: 0o600, Content: file.Content})
}

// finish gives a file that put has made its owner and mode, and its name.
func (i *instance) finish(ctx context.Context, temporary string, file File) error {
	arguments := writeArguments(file)
	argv := script(`chown -- "$1" "$3" && chmod -- "$2" "$3" && mv -f -- "$3" "$4"`, arguments[1], arguments[2], temporary, file.Path)
	result, err := i.run(ctx, argv)
	return Check(argv, result, err)
}

// WriteFile renames in a running instance. The API has no renaming for a stopped one; there nobody looks either.
func (i *instance) WriteFile(ctx context.Context, file File) error {
	if file.Mode = unixMode(file.Mode); file.Mode > 0o777 {
		return fmt.Errorf("writing %s in %s: the API sets no set-user-ID, set-group-ID or sticky bits (mode %04o): use a mode up to 0777", file.Path, i.label, uint32(file.Mode))
	}
	if err := i.client.MakeDirectories(ctx, i.name, path.Dir(file.Path)); err != nil {
		return i.explain(ctx, fmt.Errorf("making the directory of %s in %s: %w", file.Path, i.label, err))
	}
	found, err := i.client.StatFile(ctx, i.name, file.Path)
	switch {
	case err == nil && found.Type == lxd.Directory:
		return notRegular(file.Path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing %s in %s: %w", file.Path, i.label, err)
	}
	state, err := i.client.Instance(ctx, i.name)
	if err != nil {
		return fmt.Errorf("writing %s in %s: %w", file.Path, i.label, err)
	}
	written := file.Path
	if state.Status == "Running" {
		temporary := file
		temporary.Path = temporaryName(file.Path)
		written = temporary.Path
		if err = i.put(ctx, temporary); err == nil {
			err = i.finish(ctx, temporary.Path, file)
		}
	} else {
		if found.Type != "" {
			if err := i.RemoveFile(ctx, file.Path); err != nil {
				return err
			}
		}
		err = i.client.WriteFile(ctx, i.name, file.Path, lxd.File{Type: lxd.Regular, Mode: uint32(file.Mode), UID: file.UID, GID: file.GID, Content: file.Content})
	}
	if err == nil {
		return nil
	}
	cleaning, stop := cleanupContext(ctx)
	defer stop()
	_ = i.RemoveFile(cleaning, written)
	return i.explain(cleaning, fmt.Errorf("writing %s in %s: %w", file.Path, i.label, err))
}

func (i *instance) RemoveFile(ctx context.Context, name string) error {
	if err := i.client.RemoveFile(ctx, i.name, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s in %s: %w", name, i.label, err)
	}
	return nil
}

// cleanupContext outlives ctx by a little, for what must not be left behind.
func cleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}
