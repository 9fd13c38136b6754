package schedule_test

import (
	"fmt"
	"os"
	"os/exec"
)

// incusDelete deletes a container behind Terraform's back, by Incus's own client.
func incusDelete(socket, name string) error {
	command := exec.Command("incus", "delete", "--force", name)
	command.Env = append(os.Environ(), "INCUS_SOCKET="+socket, "INCUS_CONF="+os.TempDir()+"/recoup-acctest-incus")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("incus delete %s: %w: %s", name, err, output)
	}
	return nil
}
