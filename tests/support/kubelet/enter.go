package main

// What becomes of a process of this program that is started to run a command in a container.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// problemsAt is where the server reads why a command cannot be started: the first of exec.Cmd's ExtraFiles.
const problemsAt = 3

// enter makes this process the command, in the container's root. It returns only where that fails.
func enter(file string, command []string) error {
	runtime.LockOSThread()
	described, err := read(file)
	if err != nil {
		return err
	}
	// Or what is mounted here would be mounted outside as well.
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounts of its own: %w", err)
	}
	for _, each := range described.Mounts {
		target := filepath.Join(described.Root, each.Target)
		if err := unix.Mount(each.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting %s at %s: %w", each.Source, target, err)
		}
	}
	if err := unix.Chroot(described.Root); err != nil {
		return fmt.Errorf("chroot %s: %w", described.Root, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	unix.Umask(0o022)
	if described.Capabilities != nil {
		for number := uintptr(0); number <= unix.CAP_LAST_CAP; number++ {
			if !slices.Contains(described.Capabilities, number) {
				// An error is that this kernel does not know it.
				unix.Prctl(unix.PR_CAPBSET_DROP, number, 0, 0, 0)
			}
		}
	}
	if described.User != 0 {
		if err := unix.Setresgid(described.User, described.User, described.User); err != nil {
			return err
		}
		if err := unix.Setresuid(described.User, described.User, described.User); err != nil {
			return err
		}
	}
	if len(command) == 0 {
		return fmt.Errorf("no command")
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	unix.CloseOnExec(problemsAt)
	return unix.Exec(program, command, os.Environ())
}

func fail(err error) {
	fmt.Fprint(os.NewFile(problemsAt, "problems"), err)
	os.Exit(127)
}
