// Hosts that are reached over SSH.

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

const (
	dialTimeout       = 20 * time.Second
	keepaliveInterval = 15 * time.Second
)

// sshHost is one connection. Files go through `cat`, so that neither SFTP nor scp has to be there.
type sshHost struct {
	client *ssh.Client
	label  string // user@host:port
	sudo   bool
	ended  context.CancelFunc
}

func openSSH(ctx context.Context, address Address, from settings.SSH) (*sshHost, error) {
	login, port := address.User, address.Port
	if login == "" {
		login = currentUser()
	}
	if port == 0 {
		port = 22
	}
	label := login + "@" + net.JoinHostPort(address.Host, strconv.Itoa(port))
	methods, closeAgent, err := authentication(from)
	defer closeAgent()
	if err != nil {
		return nil, err
	}
	check, algorithms, err := hostKeys(from, address.Host, port)
	if err != nil {
		return nil, err
	}
	configuration := &ssh.ClientConfig{User: login, Auth: methods, HostKeyCallback: check, HostKeyAlgorithms: algorithms, Timeout: dialTimeout}
	client, err := dial(ctx, net.JoinHostPort(address.Host, strconv.Itoa(port)), configuration)
	if err != nil {
		return nil, explainDial(err, label, address.Host)
	}
	alive, ended := context.WithCancel(context.Background())
	host := &sshHost{client: client, label: label, ended: ended, sudo: from.Sudo && login != "root"}
	go keepAlive(alive, client)
	if login != "root" {
		if err := host.requireRoot(ctx); err != nil {
			_ = host.Close()
			return nil, err
		}
	}
	return host, nil
}

// requireRoot lets whoever is not root fail at the beginning, and with what to do about it.
func (h *sshHost) requireRoot(ctx context.Context) error {
	result, err := h.Run(ctx, []string{"id", "-u"}, nil)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(result.Stdout)) != "0" {
		return &LoginError{"ssh.sudo", fmt.Sprintf("%s is not root, which is needed there. Log in as root, or set sudo = true in the provider's ssh block if that user may use sudo without a password", h.label)}
	}
	return nil
}

func currentUser() string {
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return os.Getenv("USER")
}

// dial ends with the context, also in the middle of the handshake.
func dial(ctx context.Context, endpoint string, configuration *ssh.ClientConfig) (*ssh.Client, error) {
	connection, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return nil, err
	}
	_ = connection.SetDeadline(time.Now().Add(dialTimeout))
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	inner, channels, requests, err := ssh.NewClientConn(connection, endpoint, configuration)
	if !stop() && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = connection.Close()
		return nil, err
	}
	_ = connection.SetDeadline(time.Time{})
	return ssh.NewClient(inner, channels, requests), nil
}

func explainDial(err error, label, host string) error {
	var login *LoginError
	var dns *net.DNSError
	var network *net.OpError
	switch {
	case errors.As(err, &login):
		return login // what the library wraps around it says nothing more
	case errors.As(err, &dns):
		return fmt.Errorf("the host %q is unknown: %w. Correct the address", host, err)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return &LoginError{"ssh.private_key_file", fmt.Sprintf("%s refuses every key that was offered. Add the public key to ~/.ssh/authorized_keys there, or correct user, the provider's ssh.private_key_file or ssh.use_agent", label)}
	case errors.As(err, &network):
		return fmt.Errorf("%s can't be reached over SSH: %w. Check that the host is up, that sshd listens there, and the port", label, err)
	}
	return fmt.Errorf("logging in to %s: %w", label, err)
}

// keepAlive notices a connection that is silently dead, and closes it: calls that wait on it then end with an error.
func keepAlive(ctx context.Context, client *ssh.Client) {
	ticker := time.NewTicker(keepaliveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		answered := make(chan error, 1)
		go func() {
			_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case err := <-answered:
			if err != nil {
				return
			}
		case <-time.After(2 * keepaliveInterval):
			_ = client.Close()
			return
		}
	}
}

// sudoScript says that sudo has let us through before the program says anything: sudo itself writes warnings beside what the
// program writes, as where the host's own name has no address, and ends with 1 where it refuses.
const sudoScript = `echo "$0" >&2; exec "$@"`

// Run passes the program and its arguments through the login shell as quoted words.
func (h *sshHost) Run(ctx context.Context, argv []string, stdin []byte) (Result, error) {
	if len(argv) == 0 {
		return Result{}, errors.New("no program was named")
	}
	if !h.sudo {
		return h.execute(ctx, argv, stdin)
	}
	const passed = "recoup was let through"
	result, err := h.execute(ctx, append([]string{"sudo", "-n", "--", "/bin/sh", "-c", sudoScript, passed}, argv...), stdin)
	if err != nil {
		return result, err
	}
	_, said, through := bytes.Cut(result.Stderr, []byte(passed+"\n"))
	if !through {
		return result, &LoginError{"ssh.sudo", fmt.Sprintf("%s does not become root by `sudo -n`, which %s. Allow it without a password there (NOPASSWD: ALL in /etc/sudoers.d), or log in as root",
			h.label, describe(result))}
	}
	result.Stderr = said
	return result, nil
}

func (h *sshHost) execute(ctx context.Context, argv []string, stdin []byte) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	session, err := h.client.NewSession()
	if err != nil {
		return Result{}, fmt.Errorf("the connection to %s is lost: %w. Apply again", h.label, err)
	}
	defer session.Close()
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	ended := make(chan error, 1)
	if err := session.Start(quote(argv)); err != nil {
		return Result{}, fmt.Errorf("starting %s on %s: %w. Whether it was begun is unknown; apply again", argv[0], h.label, err)
	}
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = session.Signal(ssh.SIGTERM)
		_ = session.Close()
		return Result{}, fmt.Errorf("%s on %s was stopped: %w", argv[0], h.label, ctx.Err())
	}
	result := Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	var exit *ssh.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		result.ExitCode = exit.ExitStatus()
		if number, known := signalNumbers[exit.Signal()]; known {
			result.ExitCode = 128 + number
		}
	default:
		return result, fmt.Errorf("the connection to %s was lost while %s ran: %w. Whether it was done is unknown; apply again", h.label, argv[0], err)
	}
	return result, nil
}

var signalNumbers = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "SEGV": 11, "PIPE": 13, "ALRM": 14, "TERM": 15}

func (h *sshHost) ReadFile(ctx context.Context, name string) (File, error) {
	result, err := h.Run(ctx, script(readScript, name), nil)
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return parseRead(name, result)
}

func (h *sshHost) WriteFile(ctx context.Context, file File) error {
	result, err := h.Run(ctx, script(writeScript, writeArguments(file)...), file.Content)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file.Path, err)
	}
	return judgeWrite(file.Path, result)
}

func (h *sshHost) RemoveFile(ctx context.Context, name string) error {
	argv := []string{"rm", "-f", "--", name}
	result, err := h.Run(ctx, argv, nil)
	return Check(argv, result, err)
}

func (h *sshHost) Close() error {
	h.ended()
	return h.client.Close()
}
