// Containers, and the tasks that change them.

package proxmox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config is a container's configuration: every value as the text that a form would carry.
type Config map[string]string

// Interface is one of a running container's network interfaces.
type Interface struct {
	Name   string `json:"name"`
	HWAddr string `json:"hwaddr"`
	Inet   string `json:"inet"` // CIDR
}

func containerPath(node string, vmid int) string {
	return "/nodes/" + url.PathEscape(node) + "/lxc/" + strconv.Itoa(vmid)
}

// Node gives the cluster's only node; an error where there are several.
func (c *Client) Node(ctx context.Context) (string, error) {
	var nodes []struct {
		Node string `json:"node"`
	}
	if err := c.call(ctx, http.MethodGet, "/nodes", nil, &nodes); err != nil {
		return "", err
	}
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = node.Node
	}
	if len(names) != 1 {
		return "", fmt.Errorf("the cluster has the nodes %s: say which one with `node`, or with the provider's proxmox.node", strings.Join(names, ", "))
	}
	return names[0], nil
}

// NextID gives a number that no container or virtual machine has.
func (c *Client) NextID(ctx context.Context) (int, error) {
	var text json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/cluster/nextid", nil, &text); err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.Trim(string(text), `"`))
}

// Config gives a container's configuration; the error is fs.ErrNotExist (errors.Is) where there is none.
func (c *Client) Config(ctx context.Context, node string, vmid int) (Config, error) {
	var raw map[string]json.RawMessage
	if err := c.call(ctx, http.MethodGet, containerPath(node, vmid)+"/config", nil, &raw); err != nil {
		return nil, err
	}
	config := Config{}
	for name, value := range raw {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		config[name] = text
	}
	return config, nil
}

// Status gives "running" or "stopped".
func (c *Client) Status(ctx context.Context, node string, vmid int) (string, error) {
	var current struct {
		Status string `json:"status"`
	}
	err := c.call(ctx, http.MethodGet, containerPath(node, vmid)+"/status/current", nil, &current)
	return current.Status, err
}

// Interfaces gives a running container's addresses.
func (c *Client) Interfaces(ctx context.Context, node string, vmid int) ([]Interface, error) {
	var interfaces []Interface
	err := c.call(ctx, http.MethodGet, containerPath(node, vmid)+"/interfaces", nil, &interfaces)
	return interfaces, err
}

// Create makes a container from a template and waits for the end.
func (c *Client) Create(ctx context.Context, node string, form url.Values) error {
	return c.task(ctx, node, http.MethodPost, "/nodes/"+url.PathEscape(node)+"/lxc", form)
}

// SetConfig changes what is in form; names in form's "delete" are unset.
func (c *Client) SetConfig(ctx context.Context, node string, vmid int, form url.Values) error {
	return c.call(ctx, http.MethodPut, containerPath(node, vmid)+"/config", form, nil)
}

// Resize makes a disk larger.
func (c *Client) Resize(ctx context.Context, node string, vmid int, disk, size string) error {
	return c.task(ctx, node, http.MethodPut, containerPath(node, vmid)+"/resize", url.Values{"disk": {disk}, "size": {size}})
}

// SetStatus does "start", "stop" (at once) or "shutdown" (by the guest).
func (c *Client) SetStatus(ctx context.Context, node string, vmid int, action string, form url.Values) error {
	return c.task(ctx, node, http.MethodPost, containerPath(node, vmid)+"/status/"+action, form)
}

// Delete removes a stopped container with its disks.
func (c *Client) Delete(ctx context.Context, node string, vmid int) error {
	return c.task(ctx, node, http.MethodDelete, containerPath(node, vmid), url.Values{"purge": {"1"}})
}

// task makes a request that is answered with a task's UPID, and waits for the task's end. When the context ends first, the
// task is called off.
func (c *Client) task(ctx context.Context, node, method, path string, form url.Values) error {
	var upid string
	if err := c.call(ctx, method, path, form, &upid); err != nil || upid == "" {
		return err
	}
	// The task runs where its UPID says: UPID:NODE:PID:…
	if parts := strings.Split(upid, ":"); len(parts) > 1 && parts[1] != "" {
		node = parts[1]
	}
	at := "/nodes/" + url.PathEscape(node) + "/tasks/" + url.PathEscape(upid)
	pause := 200 * time.Millisecond
	for {
		var state struct {
			Status     string `json:"status"`
			ExitStatus string `json:"exitstatus"`
		}
		if err := c.call(ctx, http.MethodGet, at+"/status", nil, &state); err != nil {
			c.cancel(ctx, at)
			return err
		}
		if state.Status == "stopped" {
			if state.ExitStatus == "OK" || strings.HasPrefix(state.ExitStatus, "WARNINGS") {
				return nil
			}
			return &Error{Request: method + " " + path, Message: state.ExitStatus + c.lastWords(ctx, at)}
		}
		select {
		case <-ctx.Done():
			c.cancel(ctx, at)
			return fmt.Errorf("waiting for task %s: %w", upid, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*time.Second, pause*3/2)
	}
}

func (c *Client) cancel(ctx context.Context, task string) {
	if ctx.Err() == nil {
		return
	}
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	_ = c.call(stopping, http.MethodDelete, task, nil, nil)
}

// lastWords gives the end of a failed task's log: exitstatus alone often says no more than "command failed".
func (c *Client) lastWords(ctx context.Context, task string) string {
	var lines []struct {
		Text string `json:"t"`
	}
	if c.call(ctx, http.MethodGet, task+"/log", url.Values{"limit": {"500"}}, &lines) != nil || len(lines) == 0 {
		return ""
	}
	text := ""
	for _, line := range lines[max(0, len(lines)-3):] {
		text += " | " + line.Text
	}
	return text
}
