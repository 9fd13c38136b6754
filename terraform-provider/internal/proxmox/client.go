// Package proxmox speaks the part of Proxmox VE's API that containers need: with an API token, and with its tasks waited for.
package proxmox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// Client is the API of one cluster. It dials at the first request.
type Client struct {
	http  *http.Client
	base  string
	token string
}

// Error is a refusal by the API.
type Error struct {
	Request    string
	Code       int               // HTTP status; 0 for a task that failed
	Message    string            // as the server said it
	Parameters map[string]string // what it said of single parameters
	Remedy     string
}

// Error says what was asked, what the server said, and what to do next.
func (e *Error) Error() string {
	text := "Proxmox VE refused " + e.Request + ": " + strings.TrimSpace(e.Message)
	names := make([]string, 0, len(e.Parameters))
	for name := range e.Parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		text += fmt.Sprintf("; %s: %s", name, strings.TrimSpace(e.Parameters[name]))
	}
	if e.Remedy != "" {
		text += ". " + e.Remedy
	}
	return text
}

// Is makes errors.Is(err, fs.ErrNotExist) and fs.ErrExist work. The API says both with status 500 and words.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Code == http.StatusNotFound || strings.Contains(e.Message, "does not exist") || strings.Contains(e.Message, "no such ")
	case fs.ErrExist:
		return strings.Contains(e.Message, "already exists")
	case fs.ErrPermission:
		return e.Code == http.StatusForbidden || e.Code == http.StatusUnauthorized
	}
	return false
}

// UnreachableError is an API that could not be spoken to: nothing is known of what it did.
type UnreachableError struct {
	Where, Remedy string
	Err           error
}

// Error says where the API was sought and which of the provider's attributes to look at.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("Proxmox VE at %s could not be reached: %v. %s", e.Where, e.Err, e.Remedy)
}

// There is no Unwrap: no cause may be taken for a container that does not exist.

// IsUnreachable says whether it is unknown what the server did.
func IsUnreachable(err error) bool {
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Open prepares a client; no connection is made. Errors are mistakes in the settings.
func Open(from settings.Proxmox) (*Client, error) {
	if from.Endpoint == "" {
		return nil, errors.New("the provider's proxmox.endpoint is not set: give the API's URL, as https://10.20.0.2:8006")
	}
	if from.APIToken == "" {
		return nil, errors.New("the provider's proxmox.api_token is not set: make one with `pveum user token add root@pam terraform --privsep 0` and set it (or PROXMOX_VE_API_TOKEN) to USER@REALM!TOKENID=UUID")
	}
	endpoint, err := url.Parse(from.Endpoint)
	if err != nil || endpoint.Host == "" {
		return nil, fmt.Errorf("the provider's proxmox.endpoint %q is not of the form https://10.20.0.2:8006", from.Endpoint)
	}
	configuration := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: from.InsecureTLS}
	if from.CAFile != "" {
		pem, err := os.ReadFile(from.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the provider's proxmox.ca_file can't be read: %v", err)
		}
		configuration.RootCAs = x509.NewCertPool()
		if !configuration.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the provider's proxmox.ca_file %s holds no PEM certificate", from.CAFile)
		}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: configuration, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext}
	return &Client{http: &http.Client{Transport: transport}, base: strings.TrimRight(endpoint.Scheme+"://"+endpoint.Host, "/") + "/api2/json", token: from.APIToken}, nil
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends a form and receives JSON; `data` of the answer goes into `into` unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, form url.Values, into any) error {
	request := method + " " + path
	address, body := c.base+path, io.Reader(nil)
	if method == http.MethodGet || method == http.MethodDelete {
		if len(form) > 0 {
			address += "?" + form.Encode()
		}
	} else {
		body = strings.NewReader(form.Encode())
	}
	message, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	message.Header.Set("Authorization", "PVEAPIToken="+c.token)
	if body != nil {
		message.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := c.http.Do(message)
	if err != nil {
		return c.explainTransport(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return c.explainTransport(err)
	}
	var answer struct {
		Data    json.RawMessage   `json:"data"`
		Errors  map[string]string `json:"errors"`
		Message string            `json:"message"`
	}
	parsing := json.Unmarshal(text, &answer)
	if response.StatusCode >= 400 {
		return explainRefusal(&Error{Request: request, Code: response.StatusCode, Parameters: answer.Errors,
			Message: firstOf(answer.Message, strings.TrimSpace(strings.TrimPrefix(response.Status, fmt.Sprint(response.StatusCode))), response.Status)})
	}
	if parsing != nil {
		return &UnreachableError{Where: c.base, Err: fmt.Errorf("the answer to %s is not the API's JSON: %w", request, parsing), Remedy: "Check the provider's proxmox.endpoint"}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return fmt.Errorf("Proxmox VE's answer to %s is not understood: %w", request, err)
	}
	return nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func explainRefusal(refusal *Error) *Error {
	switch {
	case refusal.Code == http.StatusUnauthorized:
		refusal.Remedy = "The token is not known there: correct the provider's proxmox.api_token (USER@REALM!TOKENID=UUID), and see that it has not expired"
	case refusal.Code == http.StatusForbidden && strings.Contains(refusal.Message, "root@pam"):
		refusal.Remedy = "Proxmox VE allows this to root@pam with a password only, to no token: leave it out of `config`, or set it on the node with `pct set`"
	case refusal.Code == http.StatusForbidden:
		refusal.Remedy = "Give the token's user the rights VM.Allocate, VM.Config.*, VM.PowerMgmt, VM.Audit, Datastore.AllocateSpace, Datastore.Audit, SDN.Use, " +
			"or make the token with --privsep 0 so that it has its user's"
	}
	return refusal
}

func (c *Client) explainTransport(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("waiting for Proxmox VE at %s: %w", c.base, err)
	}
	unreachable := &UnreachableError{Where: c.base, Err: err, Remedy: "Check that it runs and the provider's proxmox.endpoint"}
	var certificate *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &certificate):
		unreachable.Remedy = "Set the provider's proxmox.ca_file to a copy of the node's /etc/pve/pve-root-ca.pem"
	case errors.As(err, &dns):
		unreachable.Remedy = "The host's name is unknown: correct the provider's proxmox.endpoint"
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		unreachable.Remedy = "What answers there does not speak TLS: the provider's proxmox.endpoint needs the port of the API (8006 unless changed)"
	}
	return unreachable
}
