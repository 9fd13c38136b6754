// Package lxd speaks the REST API that Incus and LXD have in common, over a unix socket or over TLS with a client
// certificate. It is small because the official clients, one per daemon, bring a hundred packages each for the twenty
// calls that are needed here.
package lxd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// Flavor is what differs between the two daemons.
type Flavor struct {
	Name         string // as its makers write it
	attribute    string // the provider's attribute
	command      string // its command-line client, for remedies
	headerPrefix string
	sockets      []string
	certificates []string // directories with client.crt and client.key, below the home directory
}

// Incus and LXD are the two daemons.
var (
	Incus = Flavor{"Incus", "incus", "incus", "X-Incus-",
		[]string{"/run/incus/unix.socket", "/var/lib/incus/unix.socket"}, []string{".config/incus"}}
	LXD = Flavor{"LXD", "lxd", "lxc", "X-LXD-",
		[]string{"/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket"}, []string{"snap/lxd/common/config", ".config/lxc", ".config/lxd"}}
)

// Client is a connection to one daemon and one of its projects. It dials at the first request.
type Client struct {
	flavor     Flavor
	http       *http.Client
	base       string
	where      string // for messages
	overSocket bool
	project    string
}

// Open prepares a client; no connection is made. Errors are mistakes in the server's settings.
func Open(flavor Flavor, server settings.LXDServer) (*Client, error) {
	client := &Client{flavor: flavor, project: server.Project}
	if client.project == "" {
		client.project = "default"
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: false}
	client.http = &http.Client{Transport: transport}
	if server.Address == "" {
		client.openSocket(transport, server.Socket)
		return client, nil
	}
	if server.Socket != "" {
		return nil, fmt.Errorf("the provider's %s.socket and %s.address exclude each other: remove one of them", flavor.attribute, flavor.attribute)
	}
	address, err := url.Parse(server.Address)
	if err != nil || address.Scheme != "https" || address.Host == "" {
		return nil, fmt.Errorf("the provider's %s.address %q is not of the form https://host:8443", flavor.attribute, server.Address)
	}
	if address.Port() == "" {
		address.Host = net.JoinHostPort(address.Hostname(), "8443")
	}
	client.base = "https://" + address.Host
	client.where = client.base
	transport.Proxy = http.ProxyFromEnvironment
	transport.DialContext = (&net.Dialer{Timeout: 15 * time.Second}).DialContext
	transport.TLSClientConfig, err = tlsConfiguration(flavor, server)
	return client, err
}

func (c *Client) openSocket(transport *http.Transport, socket string) {
	if socket == "" {
		socket = c.flavor.sockets[0]
		for _, candidate := range c.flavor.sockets {
			if _, err := os.Stat(candidate); err == nil {
				socket = candidate
				break
			}
		}
	}
	socket = strings.TrimPrefix(socket, "unix://")
	c.overSocket, c.where, c.base = true, socket, "http://unix.socket"
	// Where connections are kept, one that was dialled for a request that then got another is kept as well, and says nothing. Incus
	// reads the first bytes of a connection on its socket before it accepts the next one, from whomever: it would stand still.
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 15 * time.Second}).DialContext(ctx, "unix", socket)
	}
}

func tlsConfiguration(flavor Flavor, server settings.LXDServer) (*tls.Config, error) {
	configuration := &tls.Config{MinVersion: tls.VersionTLS13}
	certificateFile, keyFile := server.ClientCertificateFile, server.ClientKeyFile
	if certificateFile == "" {
		certificateFile, keyFile = defaultCertificate(flavor)
	}
	certificate, err := tls.LoadX509KeyPair(certificateFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("the client certificate %s with its key %s can't be read: %v. Make one with `%s remote generate-certificate`, and name both "+
			"files in the provider's %s.client_certificate_file and %s.client_key_file", certificateFile, keyFile, err, flavor.command, flavor.attribute, flavor.attribute)
	}
	configuration.Certificates = []tls.Certificate{certificate}
	if server.CAFile != "" {
		pem, err := os.ReadFile(server.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the provider's %s.ca_file can't be read: %v", flavor.attribute, err)
		}
		configuration.RootCAs = x509.NewCertPool()
		if !configuration.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the provider's %s.ca_file %s holds no PEM certificate", flavor.attribute, server.CAFile)
		}
	}
	if server.ServerFingerprint != "" {
		return configuration, pin(configuration, flavor, server.ServerFingerprint)
	}
	return configuration, nil
}

// pin replaces the check against certificate authorities, which a self-signed certificate can't pass, by the comparison
// with the one certificate that is expected. Every connection makes it, resumed ones too.
func pin(configuration *tls.Config, flavor Flavor, fingerprint string) error {
	pinned := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(fingerprint))
	if raw, err := hex.DecodeString(pinned); err != nil || len(raw) != sha256.Size {
		return fmt.Errorf("the provider's %s.server_fingerprint must be a SHA-256 of 64 hexadecimal digits, as `%s info` shows it; this one has %d characters",
			flavor.attribute, flavor.command, len(pinned))
	}
	configuration.InsecureSkipVerify = true
	configuration.VerifyConnection = func(state tls.ConnectionState) error {
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		if presented := hex.EncodeToString(sum[:]); presented != pinned {
			return &FingerprintError{Pinned: pinned, Presented: presented}
		}
		return nil
	}
	return nil
}

func defaultCertificate(flavor Flavor) (string, string) {
	home, _ := os.UserHomeDir()
	for _, directory := range flavor.certificates {
		certificate := filepath.Join(home, directory, "client.crt")
		if _, err := os.Stat(certificate); err == nil {
			return certificate, filepath.Join(home, directory, "client.key")
		}
	}
	return filepath.Join(home, flavor.certificates[0], "client.crt"), filepath.Join(home, flavor.certificates[0], "client.key")
}

// Project is the project that the client works in.
func (c *Client) Project() string { return c.project }

// Flavor is which daemon this is.
func (c *Client) Flavor() Flavor { return c.flavor }

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// envelope is what every answer of the API is wrapped in.
type envelope struct {
	Type       string          `json:"type"`
	Error      string          `json:"error"`
	ErrorCode  int             `json:"error_code"`
	Operation  string          `json:"operation"`
	Metadata   json.RawMessage `json:"metadata"`
	StatusCode int             `json:"status_code"`
}

func (c *Client) address(path string, query url.Values) string {
	if query == nil {
		query = url.Values{}
	}
	query.Set("project", c.project)
	return c.base + path + "?" + query.Encode()
}

// send makes a request; the caller closes the body. An answer of 400 and above has become an error. What only reads is asked for
// again where the daemon was overloaded: nothing is done twice by that.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := c.sendOnce(ctx, method, path, query, header, body)
		if method != http.MethodGet || !isToBeAskedAgain(ctx, attempt, err) {
			return response, err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.address(path, query), body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explainTransport(err)
	}
	if response.StatusCode < 400 {
		return response, nil
	}
	defer response.Body.Close()
	refusal := &Error{Server: c.flavor.Name, Request: method + " " + path, Code: response.StatusCode, Message: response.Status}
	var answer envelope
	if text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20)); err == nil && json.Unmarshal(text, &answer) == nil && answer.Error != "" {
		refusal.Message = answer.Error
	}
	return nil, c.explainRefusal(refusal)
}

// call sends and receives JSON. The result goes into `into` unless that is nil; an operation that the request started is returned.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, etag string, from, into any) (operation, newETag string, err error) {
	header := http.Header{}
	var body io.Reader
	if from != nil {
		text, err := json.Marshal(from)
		if err != nil {
			return "", "", err
		}
		body = bytes.NewReader(text)
		header.Set("Content-Type", "application/json")
	}
	if etag != "" {
		header.Set("If-Match", etag)
	}
	response, err := c.send(ctx, method, path, query, header, body)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	var answer envelope
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", "", c.explainTransport(fmt.Errorf("the answer to %s %s is not the API's JSON: %w", method, path, err))
	}
	if answer.Type == "error" { // waiting for an operation that failed is answered with status 200 and this
		return "", "", c.explainRefusal(&Error{Server: c.flavor.Name, Request: method + " " + path, Code: answer.ErrorCode, Message: answer.Error})
	}
	if into != nil && len(answer.Metadata) > 0 {
		if err := json.Unmarshal(answer.Metadata, into); err != nil {
			return "", "", fmt.Errorf("%s's answer to %s %s is not understood: %w", c.flavor.Name, method, path, err)
		}
	}
	return answer.Operation, response.Header.Get("ETag"), nil
}
