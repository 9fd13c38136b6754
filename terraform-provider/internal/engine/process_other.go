//go:build !unix

// This file is for systems without process groups: the engine alone is stopped.
package engine

import "os/exec"

func ownGroup(*exec.Cmd) {}

func killGroup(command *exec.Cmd) {
	if command.Process != nil {
		_ = command.Process.Kill()
	}
}
