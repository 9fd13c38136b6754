// A host that is there already, as those that people back up over SSH: a container of the image of tools/incus.sh with sshd.

package guesttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// SSHHost has systemd, sshd and three users that Key logs in as: root, Deputy, who may use sudo without a password, and
// Visitor, who may not. Its own name has no address, so that sudo warns of it each time.
type SSHHost struct {
	Name    string // of the container
	Host    string // its address
	KeyFile string
	HostKey string // "ssh-ed25519 AAAA…"
	Incus   Incus
}

// The users of an SSHHost beside root.
const (
	Deputy  = "deputy"
	Visitor = "visitor"
)

const makeUsers = `set -e
printf '%s ALL=(ALL) NOPASSWD: ALL\n' deputy > /etc/sudoers.d/deputy
for user in root deputy visitor; do
  [ "$user" = root ] || useradd --create-home --shell /bin/sh "$user"
  home=$(getent passwd "$user" | cut -d: -f6)
  install -d -m 700 -o "$user" -g "$user" "$home/.ssh"
  printf '%s\n' "$1" > "$home/.ssh/authorized_keys"
  chown "$user:" "$home/.ssh/authorized_keys"
done`

// StartSSHHost skips the test where StartIncus does.
func StartSSHHost(t *testing.T) *SSHHost {
	t.Helper()
	incus := StartIncus(t)
	if incus.Image = os.Getenv("RECOUP_TEST_INCUS_SSH_IMAGE"); incus.Image == "" {
		t.Fatal("RECOUP_TEST_INCUS_SSH_IMAGE is not set: tools/incus.sh prints it")
	}
	host := &SSHHost{Incus: incus, KeyFile: filepath.Join(t.TempDir(), "key")}
	public := WriteKey(t, host.KeyFile)
	host.Name = incus.Launch(t)
	host.Run(t, makeUsers, public)
	host.HostKey = strings.Join(strings.Fields(host.Run(t, "cat /etc/ssh/ssh_host_ed25519_key.pub"))[:2], " ")
	for deadline := time.Now().Add(longest); !strings.HasPrefix(host.Host, incus.Prefix); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s gets no address: %q", host.Name, host.Host)
		}
		// "10.99.0.200 (eth0)"
		host.Host, _, _ = strings.Cut(incus.Command(t, "list", "^"+host.Name+"$", "--format=csv", "--columns=4"), " ")
	}
	return host
}

// Address is the host's as a guest.
func (h *SSHHost) Address(user string) string { return fmt.Sprintf("ssh://%s@%s", user, h.Host) }

// Settings log in to it.
func (h *SSHHost) Settings(sudo bool) settings.SSH {
	return settings.SSH{PrivateKeyFile: h.KeyFile, HostKeys: map[string]string{h.Host: h.HostKey}, Sudo: sudo}
}

// Run runs a shell's text in it, past SSH, and gives what it printed. The test fails where the text does.
func (h *SSHHost) Run(t *testing.T, text string, arguments ...string) string {
	t.Helper()
	return h.Incus.Run(t, h.Name, append([]string{"sh", "-c", text, "sh"}, arguments...)...)
}

// Install unpacks a bundle (tools/bundle.sh) as the README has people do it.
func (h *SSHHost) Install(t *testing.T, bundle string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "recoup.tar")
	if said, err := exec.Command("tar", "-C", filepath.Dir(bundle), "-cf", archive, filepath.Base(bundle)).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, said)
	}
	h.Incus.Command(t, "file", "push", "--quiet", archive, h.Name+"/root/recoup.tar")
	h.Run(t, "tar -C /usr/local/lib --no-same-owner -xf /root/recoup.tar && ln -s ../lib/recoup/recoup /usr/local/bin/recoup && rm /root/recoup.tar")
}
