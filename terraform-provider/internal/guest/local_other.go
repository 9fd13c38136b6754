// Systems that are not unix can run Terraform for other guests; as guests themselves they have no owners and no systemd.

//go:build !unix

package guest

import (
	"io/fs"
	"os"
	"os/exec"
)

func endWithChildren(*exec.Cmd) {}

func signalOf(*os.ProcessState) int { return 0 }

func owner(fs.FileInfo) (int, int) { return os.Geteuid(), os.Getegid() }
