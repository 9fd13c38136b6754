// What can go wrong between the provider and an Incus or LXD daemon, said so that the reader knows what to change.

package lxd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// Error is a refusal by the daemon itself.
type Error struct {
	Server  string // "Incus" or "LXD"
	Request string // "POST /1.0/instances"
	Code    int    // HTTP status, or the operation's status code
	Message string // as the daemon said it
	Remedy  string // "" where there is nothing to add
}

// Error says what was asked, what the daemon said, and what to do next.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s refused %s: %s (status %d)", e.Server, e.Request, e.Message, e.Code)
	if e.Remedy != "" {
		text += ". " + e.Remedy
	}
	return text
}

// Is makes errors.Is(err, fs.ErrNotExist) and errors.Is(err, fs.ErrExist) work on the daemon's answers.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Code == http.StatusNotFound
	case fs.ErrExist:
		return e.Code == http.StatusConflict || strings.Contains(e.Message, "already exists")
	case fs.ErrPermission:
		return e.Code == http.StatusForbidden || e.Code == http.StatusUnauthorized
	}
	return false
}

// UnreachableError is a daemon that could not be spoken to at all: nothing is known of what it holds.
type UnreachableError struct {
	Server string
	Where  string
	Remedy string
	Err    error
}

// Error says where the daemon was sought, why it did not work and which of the provider's attributes to look at.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s at %s could not be reached: %v. %s", e.Server, e.Where, e.Err, e.Remedy)
}

// There is no Unwrap: the cause may be fs.ErrNotExist, of the socket, and must not be taken for an instance that does not exist.

// FingerprintError is a server whose certificate is not the one that was pinned.
type FingerprintError struct {
	Pinned, Presented string
}

// Error gives both fingerprints, so that a server that was set up anew can be told from an impostor.
func (e *FingerprintError) Error() string {
	return fmt.Sprintf("the server presented the certificate with SHA-256 %s, and %s is pinned", e.Presented, e.Pinned)
}

func (c *Client) explainRefusal(refusal *Error) *Error {
	attribute, command := c.flavor.attribute, c.flavor.command
	switch {
	case refusal.Code == http.StatusForbidden || refusal.Code == http.StatusUnauthorized:
		refusal.Remedy = fmt.Sprintf("The client certificate is not trusted by the server, or may not use project %q: add it there with "+
			"`%s config trust add-certificate client.crt`, or correct the provider's %s.client_certificate_file", c.project, command, attribute)
		if c.overSocket {
			refusal.Remedy = fmt.Sprintf("The user that runs Terraform may not use the socket %s for this", c.where)
		}
	case strings.Contains(refusal.Message, "Project not found"):
		refusal.Remedy = fmt.Sprintf("There is no project %q on this server: create it with `%s project create %s`, or correct `project`", c.project, command, c.project)
	}
	return refusal
}

// explainTransport turns an error of net/http into one with a remedy. A context's end stays recognizable.
func (c *Client) explainTransport(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("waiting for %s at %s: %w", c.flavor.Name, c.where, err)
	}
	attribute, command := c.flavor.attribute, c.flavor.command
	unreachable := &UnreachableError{Server: c.flavor.Name, Where: c.where, Err: err}
	var fingerprint *FingerprintError
	var unknownAuthority *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &fingerprint):
		unreachable.Err = fingerprint
		unreachable.Remedy = fmt.Sprintf("If the server was set up anew, compare with `%s info` on it (certificate_fingerprint) and correct the provider's "+
			"%s.server_fingerprint; if not, somebody else answers at this address", command, attribute)
	case errors.As(err, &unknownAuthority):
		unreachable.Remedy = fmt.Sprintf("The server's certificate is self-signed unless you changed it: set the provider's %s.server_fingerprint "+
			"(shown by `%s info` as certificate_fingerprint) or %s.ca_file", attribute, command, attribute)
	case c.overSocket && errors.Is(err, os.ErrNotExist):
		unreachable.Remedy = fmt.Sprintf("There is no such socket: start the daemon, or correct the provider's %s.socket (or set %s.address for a remote server)", attribute, attribute)
	case c.overSocket && errors.Is(err, syscall.EACCES):
		unreachable.Remedy = fmt.Sprintf("Run Terraform as a member of the group that may use the socket (%s-admin, %s or lxd), or use %s.address with a client certificate", attribute, attribute, attribute)
	case c.overSocket && errors.Is(err, syscall.ECONNREFUSED):
		unreachable.Remedy = "The socket is there and nothing listens on it: start the daemon"
	case errors.As(err, &dns):
		unreachable.Remedy = fmt.Sprintf("The host's name is unknown: correct the provider's %s.address", attribute)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"), strings.Contains(err.Error(), "first record does not look like a TLS handshake"):
		unreachable.Remedy = fmt.Sprintf("What answers there does not speak TLS: the provider's %s.address needs the port of the API (8443 unless changed)", attribute)
	case strings.Contains(err.Error(), "tls: "):
		unreachable.Remedy = fmt.Sprintf("The server refused the TLS connection: check the provider's %s.client_certificate_file and %s.client_key_file", attribute, attribute)
	default:
		unreachable.Remedy = fmt.Sprintf("Check that the daemon runs, that `%s config get core.https_address` names this address where it is a remote one, and the provider's %s.socket or %s.address",
			command, attribute, attribute)
	}
	return unreachable
}
