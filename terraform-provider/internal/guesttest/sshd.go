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
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// SSHD is a running OpenSSH server on loopback, into which Key logs in.
type SSHD struct {
	Port       int
	KeyFile    string
	HostKey    string // "ssh-ed25519 AAAA…"
	KnownHosts string // a file with that
	command    *exec.Cmd
	ended      chan struct{}
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
	// Somebody else may take the port between our look and sshd's: then the next one.
	for attempt := 1; ; attempt++ {
		server.Port = freePort(t)
		said, err := server.start(t, program, directory, path)
		if err == nil {
			return server
		}
		if attempt == 5 {
			t.Fatalf("sshd does not start: %v\n%s", err, said)
		}
	}
}

// start gives what sshd said where it ended or did not come to listen.
func (s *SSHD) start(t *testing.T, program, directory, path string) (said []byte, err error) {
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
		return nil, err
	}
	defer log.Close()
	s.command = exec.Command(program, "-D", "-e", "-f", filepath.Join(directory, "sshd_config"))
	s.command.Stderr = log
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait()
		close(ended)
	}(s.command, s.ended)
	deadline := time.After(longest)
	for {
		select {
		case <-s.ended:
			said, _ := os.ReadFile(log.Name())
			return said, errors.New("it ended")
		case <-deadline:
			s.Stop()
			said, _ := os.ReadFile(log.Name())
			return said, errors.New("nothing listens")
		case <-time.After(20 * time.Millisecond):
		}
		// It says so once the port is its own: somebody else may be who answers there.
		if said, _ := os.ReadFile(log.Name()); bytes.Contains(said, []byte("Server listening on")) {
			return nil, nil
		}
	}
}

// Stop ends the listening server; sessions that are open go on.
func (s *SSHD) Stop() {
	if s.command == nil || s.command.Process == nil {
		return
	}
	_ = s.command.Process.Kill()
	<-s.ended
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

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
