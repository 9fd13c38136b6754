// Instances, and what they need to know of images, networks and profiles.

package lxd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Device is one of an instance's devices: its keys and values, "type" among them.
type Device map[string]string

// Instance is a container or virtual machine.
type Instance struct {
	Name            string            `json:"name"`
	Description     string            `json:"description"`
	Type            string            `json:"type"`
	Architecture    string            `json:"architecture"`
	Status          string            `json:"status"`
	Ephemeral       bool              `json:"ephemeral"`
	Profiles        []string          `json:"profiles"`
	Config          map[string]string `json:"config"`
	Devices         map[string]Device `json:"devices"`
	ExpandedConfig  map[string]string `json:"expanded_config"`
	ExpandedDevices map[string]Device `json:"expanded_devices"`
	Location        string            `json:"location"`
	ETag            string            `json:"-"`
}

// Source is where a new instance's root comes from.
type Source struct {
	Type        string `json:"type"`
	Alias       string `json:"alias,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Server      string `json:"server,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	Mode        string `json:"mode,omitempty"`
}

// NewInstance is what CreateInstance sends. Profiles nil: the daemon's default.
type NewInstance struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Profiles []string          `json:"profiles"`
	Config   map[string]string `json:"config"`
	Devices  map[string]Device `json:"devices"`
	Source   Source            `json:"source"`
}

// Server is what the daemon says of itself.
type Server struct {
	APIExtensions []string `json:"api_extensions"`
	Auth          string   `json:"auth"`
	Environment   struct {
		Server                 string `json:"server"`
		ServerVersion          string `json:"server_version"`
		ServerName             string `json:"server_name"`
		CertificateFingerprint string `json:"certificate_fingerprint"`
	} `json:"environment"`
}

// Network is one of the host's networks.
type Network struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Managed bool              `json:"managed"`
	Config  map[string]string `json:"config"`
}

// Profile is a set of configuration that instances share.
type Profile struct {
	Config  map[string]string `json:"config"`
	Devices map[string]Device `json:"devices"`
}

// State is how an instance is at this moment.
type State struct {
	Status  string `json:"status"`
	Network map[string]struct {
		Addresses []struct {
			Family  string `json:"family"`
			Address string `json:"address"`
			Netmask string `json:"netmask"`
			Scope   string `json:"scope"`
		} `json:"addresses"`
		HWAddr string `json:"hwaddr"`
	} `json:"network"`
}

func instancePath(name string) string { return "/1.0/instances/" + url.PathEscape(name) }

// Server asks the daemon for itself. A client that it does not trust gets an error.
func (c *Client) Server(ctx context.Context) (Server, error) {
	var server Server
	_, _, err := c.call(ctx, http.MethodGet, "/1.0", nil, "", nil, &server)
	if err == nil && server.Auth == "untrusted" {
		return server, c.explainRefusal(&Error{Server: c.flavor.Name, Request: "GET /1.0", Code: http.StatusForbidden, Message: "not authorized"})
	}
	return server, err
}

// Instance gives an instance; the error is fs.ErrNotExist (errors.Is) where there is none.
func (c *Client) Instance(ctx context.Context, name string) (Instance, error) {
	var instance Instance
	_, etag, err := c.call(ctx, http.MethodGet, instancePath(name), nil, "", nil, &instance)
	instance.ETag = etag
	return instance, err
}

// tries is how often the daemon is asked for what it could not do just then.
const tries = 4

// isOverloaded: on a machine with much else to do the daemon gives up when its own database takes more than ten seconds.
func isOverloaded(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Code == http.StatusInternalServerError &&
		strings.Contains(refusal.Message, context.DeadlineExceeded.Error())
}

// isToBeAskedAgain is true, after a while, where the daemon was overloaded and this attempt is not the last one.
func isToBeAskedAgain(ctx context.Context, attempt int, err error) bool {
	return isOverloaded(err) && attempt < tries && pause(ctx, 2*time.Second) == nil
}

// CreateInstance makes an instance and does not start it. A daemon that was overloaded is asked again when nothing is left of the
// attempt.
func (c *Client) CreateInstance(ctx context.Context, instance NewInstance) error {
	for attempt := 1; ; attempt++ {
		_, err := c.change(ctx, http.MethodPost, "/1.0/instances", nil, "", instance)
		if !isOverloaded(err) || attempt == tries || !c.becomesAbsent(ctx, instance.Name) {
			return err
		}
	}
}

// becomesAbsent waits while the daemon undoes what it has begun.
func (c *Client) becomesAbsent(ctx context.Context, name string) bool {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		if pause(ctx, 2*time.Second) != nil {
			return false
		}
		if _, err := c.Instance(ctx, name); errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// UpdateInstance puts back an instance that Instance gave and that was changed. Where somebody else changed it meanwhile, the daemon refuses.
func (c *Client) UpdateInstance(ctx context.Context, instance Instance) error {
	_, err := c.change(ctx, http.MethodPut, instancePath(instance.Name), nil, instance.ETag, map[string]any{
		"architecture": instance.Architecture, "config": instance.Config, "devices": instance.Devices, "ephemeral": instance.Ephemeral,
		"profiles": instance.Profiles, "description": instance.Description,
	})
	return err
}

// SetState starts or stops. timeout, in seconds, is how long a guest may take for a clean stop; with force it is not asked. A daemon
// that was overloaded is asked again, unless it has done it all the same.
func (c *Client) SetState(ctx context.Context, name, action string, timeout int, force bool) error {
	wanted := map[string]string{"start": "Running", "stop": "Stopped"}[action]
	for attempt := 1; ; attempt++ {
		_, err := c.change(ctx, http.MethodPut, instancePath(name)+"/state", nil, "", map[string]any{"action": action, "timeout": timeout, "force": force})
		if !isToBeAskedAgain(ctx, attempt, err) {
			return err
		}
		if instance, reading := c.Instance(ctx, name); reading == nil && instance.Status == wanted {
			return nil
		}
	}
}

// StartProblem is what went wrong first when an instance was started last, in liblxc's words. The refusal itself names only a
// program and its exit status. "" where the log says nothing, or there is none to be had.
func (c *Client) StartProblem(ctx context.Context, name string) string {
	response, err := c.send(ctx, http.MethodGet, instancePath(name)+"/logs/lxc.log", nil, nil, nil)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(response.Body, 1<<20))
	for lines.Scan() {
		// "lxc NAME 20261127215743.427 ERROR    conf - ../src/lxc/conf.c:lxc_map_ids:3708 - MESSAGE"
		parts := strings.SplitN(lines.Text(), " - ", 3)
		if len(parts) == 3 && strings.Contains(parts[0], " ERROR ") {
			return parts[2]
		}
	}
	return ""
}

// State gives status and addresses.
func (c *Client) State(ctx context.Context, name string) (State, error) {
	var state State
	_, _, err := c.call(ctx, http.MethodGet, instancePath(name)+"/state", nil, "", nil, &state)
	return state, err
}

// DeleteInstance removes a stopped instance.
func (c *Client) DeleteInstance(ctx context.Context, name string) error {
	_, err := c.change(ctx, http.MethodDelete, instancePath(name), nil, "", nil)
	return err
}

// Network gives a network; unmanaged ones, which the host made, are among them.
func (c *Client) Network(ctx context.Context, name string) (Network, error) {
	var network Network
	_, _, err := c.call(ctx, http.MethodGet, "/1.0/networks/"+url.PathEscape(name), nil, "", nil, &network)
	return network, err
}

// Profile gives a profile.
func (c *Client) Profile(ctx context.Context, name string) (Profile, error) {
	var profile Profile
	_, _, err := c.call(ctx, http.MethodGet, "/1.0/profiles/"+url.PathEscape(name), nil, "", nil, &profile)
	return profile, err
}

// ImageAlias gives the fingerprint that an alias of a local image stands for.
func (c *Client) ImageAlias(ctx context.Context, alias string) (string, error) {
	var entry struct {
		Target string `json:"target"`
	}
	_, _, err := c.call(ctx, http.MethodGet, "/1.0/images/aliases/"+url.PathEscape(alias), nil, "", nil, &entry)
	return entry.Target, err
}
