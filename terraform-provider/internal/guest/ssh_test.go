// Logging in over SSH: what is refused, and what the refusal says.

package guest_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

func TestSSHLogin(t *testing.T) {
	server, other := guesttest.StartSSHD(t, ""), guesttest.StartSSHD(t, "")
	key, err := os.ReadFile(server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	host := "127.0.0.1:" + strconv.Itoa(server.Port)
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("SECRET-garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		settings  settings.SSH
		attribute string // "": works
		says      string
	}{
		"known_hosts":      {settings.SSH{PrivateKeyFile: server.KeyFile, KnownHostsFile: server.KnownHosts}, "", ""},
		"key as text":      {settings.SSH{PrivateKey: string(key), KnownHostsFile: server.KnownHosts}, "", ""},
		"pinned":           {settings.SSH{PrivateKeyFile: server.KeyFile, HostKeys: map[string]string{host: server.HostKey}}, "", ""},
		"pinned, no port":  {settings.SSH{PrivateKeyFile: server.KeyFile, HostKeys: map[string]string{"127.0.0.1": server.HostKey + " comment"}}, "", ""},
		"wrong pin":        {settings.SSH{PrivateKeyFile: server.KeyFile, HostKeys: map[string]string{host: other.HostKey}}, "ssh.host_keys", "somebody else answers"},
		"no pin":           {settings.SSH{PrivateKeyFile: server.KeyFile, HostKeys: map[string]string{"elsewhere": other.HostKey}}, "ssh.host_keys", "elsewhere"},
		"broken pin":       {settings.SSH{PrivateKeyFile: server.KeyFile, HostKeys: map[string]string{host: "nonsense"}}, "ssh.host_keys", "ssh-ed25519 AAAA"},
		"unknown host":     {settings.SSH{PrivateKeyFile: server.KeyFile, KnownHostsFile: other.KnownHosts}, "ssh.known_hosts_file", "ssh-keyscan"},
		"no known_hosts":   {settings.SSH{PrivateKeyFile: server.KeyFile, KnownHostsFile: "/nonexistent"}, "ssh.known_hosts_file", "ssh-keyscan"},
		"key not accepted": {settings.SSH{PrivateKeyFile: other.KeyFile, KnownHostsFile: server.KnownHosts}, "ssh.private_key_file", "authorized_keys"},
		"no such key":      {settings.SSH{PrivateKeyFile: "/nonexistent", KnownHostsFile: server.KnownHosts}, "ssh.private_key_file", "/nonexistent"},
		"not a key":        {settings.SSH{PrivateKeyFile: garbage, KnownHostsFile: server.KnownHosts}, "ssh.private_key_file", "not a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := guest.Open(t.Context(), server.Address(), settings.Settings{SSH: test.settings})
			if err == nil {
				opened.Close()
			}
			var login *guest.LoginError
			switch {
			case test.attribute == "" && err == nil:
			case test.attribute == "" || !errors.As(err, &login):
				t.Fatalf("%v", err)
			case login.Attribute != test.attribute || !strings.Contains(login.Message, test.says):
				t.Errorf("%s: %s", login.Attribute, login.Message)
			case strings.Contains(err.Error(), "SECRET"):
				t.Errorf("the key's text is in the error: %v", err)
			}
		})
	}
}

func TestSSHUnreachable(t *testing.T) {
	server := guesttest.StartSSHD(t, "")
	server.Stop()
	_, err := guest.Open(t.Context(), server.Address(), settings.Settings{SSH: server.Settings()})
	if err == nil || !strings.Contains(err.Error(), "sshd listens") {
		t.Errorf("nobody listens: %v", err)
	}
	_, err = guest.Open(t.Context(), "ssh://root@nowhere.invalid", settings.Settings{SSH: settings.SSH{PrivateKeyFile: server.KeyFile, HostKeys: map[string]string{"nowhere.invalid": server.HostKey}}})
	if err == nil || !strings.Contains(err.Error(), "nowhere.invalid") {
		t.Errorf("no such host: %v", err)
	}
}

// TestSSHBroken cuts the connection in the middle: what is known and what to do must be said.
func TestSSHBroken(t *testing.T) {
	server := guesttest.StartSSHD(t, "")
	proxy, cut := breakable(t, "127.0.0.1:"+strconv.Itoa(server.Port))
	from := server.Settings()
	from.KnownHostsFile, from.HostKeys = "", map[string]string{"127.0.0.1": server.HostKey}
	in := open(t, "ssh://root@"+proxy, settings.Settings{SSH: from})
	begun := filepath.Join(t.TempDir(), "begun")
	go func() {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(begun); err == nil {
				break
			}
		}
		cut()
	}()
	if _, err := in.Run(t.Context(), []string{"sh", "-c", `: > "$1"; exec sleep 120`, "sh", begun}, nil); err == nil || !strings.Contains(err.Error(), "apply again") {
		t.Errorf("a cut connection: %v", err)
	}
	if _, err := in.Run(t.Context(), []string{"true"}, nil); err == nil || !strings.Contains(err.Error(), "is lost") {
		t.Errorf("after the cut: %v", err)
	}
}

func breakable(t *testing.T, target string) (string, func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan net.Conn, 2)
	go func() {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", target)
		if err != nil {
			near.Close()
			return
		}
		ends <- near
		ends <- far
		go func() { _, _ = far.(*net.TCPConn).ReadFrom(near) }()
		_, _ = near.(*net.TCPConn).ReadFrom(far)
	}()
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String(), func() { (<-ends).Close(); (<-ends).Close() }
}
