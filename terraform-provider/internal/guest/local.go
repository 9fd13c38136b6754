// The machine that Terraform runs on.

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Local is the machine that Terraform runs on. It does not become root by itself: where that is needed, Terraform has to be.
type Local struct{}

// openLocal refuses whoever would fail in the middle.
func openLocal() (Guest, error) {
	if id := os.Geteuid(); id > 0 {
		return nil, fmt.Errorf("Terraform is run by %s (user %d) and not by root, which the target \"local\" needs. Run it as root, "+
			"or use \"ssh://root@localhost\"", currentUser(), id)
	}
	return Local{}, nil
}

// Run starts the program in a process group of its own, so that its children end with it when the context does.
func (Local) Run(ctx context.Context, argv []string, stdin []byte) (Result, error) {
	if len(argv) == 0 {
		return Result{}, errors.New("no program was named")
	}
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	endWithChildren(command)
	command.WaitDelay = 5 * time.Second
	err := command.Run()
	result := Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	var ended *exec.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return result, fmt.Errorf("%s was stopped: %w", argv[0], ctx.Err())
	case errors.As(err, &ended):
		result.ExitCode = ended.ExitCode()
		if signal := signalOf(ended.ProcessState); signal != 0 {
			result.ExitCode = 128 + signal
		}
	default:
		return result, fmt.Errorf("%s could not be started: %w", argv[0], err)
	}
	return result, nil
}

// ReadFile follows symbolic links.
func (Local) ReadFile(_ context.Context, path string) (File, error) {
	handle, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer handle.Close()
	info, err := handle.Stat()
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, notRegular(path)
	}
	file := File{Path: path, Mode: unixMode(info.Mode())}
	file.UID, file.GID = owner(info)
	var content bytes.Buffer
	if _, err := content.ReadFrom(handle); err != nil {
		return File{}, fmt.Errorf("reading %s: %w", path, err)
	}
	file.Content = content.Bytes()
	return file, nil
}

// WriteFile writes beside the file and renames.
func (Local) WriteFile(_ context.Context, file File) (err error) {
	if info, err := os.Stat(file.Path); err == nil && !info.Mode().IsRegular() {
		return notRegular(file.Path)
	}
	directory := filepath.Dir(file.Path)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(directory, "."+filepath.Base(file.Path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
			err = fmt.Errorf("writing %s: %w", file.Path, err)
		}
	}()
	_, err = temporary.Write(file.Content)
	if err == nil && (file.UID != os.Geteuid() || file.GID != os.Getegid()) {
		err = temporary.Chown(file.UID, file.GID)
	}
	if err == nil {
		// After the owner: chown takes set-user-ID bits away.
		err = temporary.Chmod(goMode(file.Mode))
	}
	if err == nil {
		err = temporary.Sync()
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file.Path)
	}
	return err
}

// RemoveFile is content if there is no such file.
func (Local) RemoveFile(_ context.Context, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Close does nothing.
func (Local) Close() error { return nil }

func notRegular(path string) error {
	return fmt.Errorf("%s is there and is not a regular file: move it away, or use another path", path)
}
