//go:build unix

// This file stops the engine together with what it started (a password_command).
package engine

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the process a group of its own, so that an interrupt of the terminal does not reach it directly: Terraform
// decides what a Ctrl-C means, and cancels the call.
func ownGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
}

func killGroup(command *exec.Cmd) {
	if command.Process != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // ESRCH: nobody is left, which is what is wanted
	}
}
