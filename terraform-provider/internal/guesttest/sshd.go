// A real sshd of a test's own.

package guesttest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
	"github.com/recoup/terraform-provider-recoup/internal/testserver"
)

// SSHD is a running OpenSSH server on loopback, into which Key logs in.
type SSHD struct {
	Port       int
	KeyFile    string
	HostKey    string // "ssh-ed25519 AAAA…"
	KnownHosts string // a file with that
	process    *testserver.Process
}

// StartSSHD needs root, because it lets root in. path is what sessions have as PATH; "" for the usual one.
func StartSSHD(t *testing.T, path string) *SSHD {
	t.Helper()
	program := "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("there is no /usr/sbin/sshd: install openssh-server")
	}
	if os.Geteuid() != 0 {
		t.Skip("the test logs in as root, which takes an sshd that root started")
	}
	directory := t.TempDir()
	server := &SSHD{KeyFile: filepath.Join(directory, "key"), KnownHosts: filepath.Join(directory, "known_hosts")}
	server.HostKey = WriteKey(t, filepath.Join(directory, "host_key"))
	writeFile(t, filepath.Join(directory, "authorized_keys"), WriteKey(t, server.KeyFile), 0o600)
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	err := testserver.OnFreeAddresses(1, func(addresses []string) error {
		_, port, _ := net.SplitHostPort(addresses[0])
		server.Port, _ = strconv.Atoi(port)
		return server.start(t, program, directory, path)
	})
	if err != nil {
		t.Fatalf("sshd does not start: %v", err)
	}
	return server
}

func (s *SSHD) start(t *testing.T, program, directory, path string) error {
	t.Helper()
	writeFile(t, s.KnownHosts, fmt.Sprintf("[127.0.0.1]:%d %s\n", s.Port, s.HostKey), 0o600)
	configuration := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host_key\nAuthorizedKeysFile %s/authorized_keys\nStrictModes no\nUsePAM no\n"+
		"PasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\nMaxStartups 100\n", s.Port, directory, directory)
	if path != "" {
		configuration += "SetEnv PATH=" + path + "\n"
	}
	writeFile(t, filepath.Join(directory, "sshd_config"), configuration, 0o600)
	log, err := os.Create(filepath.Join(directory, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(program, "-D", "-e", "-f", filepath.Join(directory, "sshd_config"))
	command.Stderr = log
	if s.process, err = testserver.Start(command); err != nil {
		return err
	}
	err = s.process.WaitUntil(func() error {
		// It says so once the port is its own: somebody else may be who answers there.
		if said, _ := os.ReadFile(log.Name()); !bytes.Contains(said, []byte("Server listening on")) {
			return errors.New("nothing listens")
		}
		return nil
	})
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// Stop ends the listening server; sessions that are open go on.
func (s *SSHD) Stop() {
	if s.process != nil {
		s.process.Kill()
	}
}

// Address is the server's as a guest.
func (s *SSHD) Address() string { return fmt.Sprintf("ssh://root@127.0.0.1:%d", s.Port) }

// Settings log in to it.
func (s *SSHD) Settings() settings.SSH {
	return settings.SSH{PrivateKeyFile: s.KeyFile, KnownHostsFile: s.KnownHosts}
}

// WriteKey makes a private key in a file, and gives its public key as authorized_keys has it.
func WriteKey(t *testing.T, file string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, string(pem.EncodeToMemory(block)), 0o600)
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func writeFile(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
