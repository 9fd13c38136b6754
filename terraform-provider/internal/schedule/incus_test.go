package schedule_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// incusDelete deletes a container behind Terraform's back.
func incusDelete(socket, name string) error { return incus(socket, "delete", "--force", name) }

// incus runs Incus's own client.
func incus(socket string, arguments ...string) error {
	command := exec.Command("incus", arguments...)
	command.Env = append(os.Environ(), "INCUS_SOCKET="+socket, "INCUS_CONF="+os.TempDir()+"/recoup-acctest-incus")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("incus %s: %w: %s", strings.Join(arguments, " "), err, output)
	}
	return nil
}
