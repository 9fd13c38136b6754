// Containers of Proxmox VE, whose API has neither a call to run programs nor one for files: `pct` on the node does both.

package guest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// Node is the SSH access to one Proxmox VE node.
type Node struct {
	host *sshHost
	name string
}

// OpenNode logs in to a node. The provider's proxmox.ssh_host has to be that node where there are several.
func OpenNode(ctx context.Context, node string, from settings.Settings) (*Node, error) {
	host := from.Proxmox.SSHHost
	if host == "" {
		endpoint, err := url.Parse(from.Proxmox.Endpoint)
		if err != nil || endpoint.Hostname() == "" {
			return nil, &LoginError{"proxmox.endpoint", "Neither the provider's proxmox.endpoint nor proxmox.ssh_host says which host the node is: set proxmox.endpoint, as https://10.20.0.2:8006"}
		}
		host = endpoint.Hostname()
	}
	address := Address{Kind: KindSSH, Host: host, User: from.Proxmox.SSHUser, Port: from.Proxmox.SSHPort}
	if address.User == "" {
		address.User = "root"
	}
	login := from.SSH
	login.Sudo = true // pct is root's
	connection, err := openSSH(ctx, address, login)
	if err != nil {
		return nil, fmt.Errorf("logging in to the Proxmox VE node %s: %w", node, err)
	}
	return &Node{host: connection, name: node}, nil
}

// Run runs a program on the node itself.
func (n *Node) Run(ctx context.Context, argv []string, stdin []byte) (Result, error) {
	return n.host.Run(ctx, argv, stdin)
}

// Close ends the connection.
func (n *Node) Close() error { return n.host.Close() }

// Status is what `pct status` says: "running", "stopped". The error is ErrGone (errors.Is) where there is no such container.
func (n *Node) Status(ctx context.Context, vmid int) (string, error) {
	argv := []string{"pct", "status", strconv.Itoa(vmid)}
	result, err := n.Run(ctx, argv, nil)
	if err != nil {
		return "", err
	}
	if result.ExitCode != 0 {
		said := string(result.Stderr) + string(result.Stdout)
		switch {
		case result.ExitCode == 127:
			return "", fmt.Errorf("there is no `pct` on %s: it is not a Proxmox VE node. Correct the provider's proxmox.ssh_host", n.host.label)
		case strings.Contains(said, "does not exist"):
			return "", fmt.Errorf("container %d on node %s: %w there (the provider's proxmox.ssh_host must be the node that has it)", vmid, n.name, ErrGone)
		}
		return "", Check(argv, result, nil)
	}
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(result.Stdout)), "status:")), nil
}

type proxmoxContainer struct {
	node *Node
	vmid string
}

func openProxmox(ctx context.Context, address Address, from settings.Settings) (Guest, error) {
	node, err := OpenNode(ctx, address.Node, from)
	if err != nil {
		return nil, err
	}
	container, err := node.Guest(ctx, address.VMID)
	if err != nil {
		_ = node.Close()
		return nil, err
	}
	return container, nil
}

// Guest is a running container of the node. It takes the connection over: its Close ends it.
func (n *Node) Guest(ctx context.Context, vmid int) (Guest, error) {
	status, err := n.Status(ctx, vmid)
	if err != nil {
		return nil, err
	}
	if status != "running" {
		return nil, fmt.Errorf("container %d on node %s: %w (its status is %q). Start it with `pct start %d`", vmid, n.name, ErrStopped, status, vmid)
	}
	return &proxmoxContainer{node: n, vmid: strconv.Itoa(vmid)}, nil
}

func (c *proxmoxContainer) Close() error { return c.node.Close() }

func (c *proxmoxContainer) label() string { return "container " + c.vmid + " on node " + c.node.name }

func (c *proxmoxContainer) run(ctx context.Context, argv []string) (Result, error) {
	// The node's environment is not the container's.
	inside := []string{"pct", "exec", c.vmid, "--", "env", "-i"}
	for name, value := range environment {
		inside = append(inside, name+"="+value)
	}
	result, err := c.node.Run(ctx, append(inside, argv...), nil)
	if err != nil {
		return result, fmt.Errorf("running %s in %s: %w", path.Base(argv[0]), c.label(), err)
	}
	return result, nil
}

func (c *proxmoxContainer) Run(ctx context.Context, argv []string, stdin []byte) (Result, error) {
	if len(argv) == 0 {
		return Result{}, errors.New("no program was named")
	}
	return runWithInput(ctx, c.run, argv, stdin, c.WriteFile, c.RemoveFile)
}

// onNode runs a script on the node that has a temporary file which only its user can read, as $temporary.
func (c *proxmoxContainer) onNode(ctx context.Context, text string, stdin []byte, arguments ...string) (Result, error) {
	const prologue = "set -e\numask 077\ntemporary=$(mktemp /run/recoup.XXXXXX)\ntrap 'rm -f -- \"$temporary\"' EXIT\n"
	return c.node.Run(ctx, script(prologue+text, arguments...), stdin)
}

// pullScript is readScript for a container: the file is pulled to the node, as `pct` has no way to write it to a pipe.
const pullScript = `
pct exec "$2" -- /bin/sh -c '[ -e "$1" ] || exit 40; [ -f "$1" ] || exit 41; exec stat -L -c "%a %u %g" -- "$1"' recoup "$1"
pct pull "$2" "$1" "$temporary" > /dev/null
exec 3< "$temporary"
cat <&3`

func (c *proxmoxContainer) ReadFile(ctx context.Context, name string) (File, error) {
	result, err := c.onNode(ctx, pullScript, nil, name, c.vmid)
	if err != nil {
		return File{}, fmt.Errorf("reading %s in %s: %w", name, c.label(), err)
	}
	return parseRead(name, result)
}

// pushScript is writeScript for a container. `pct push` makes the new name with its mode and owner; renaming makes it whole.
const pushScript = `
cat > "$temporary"
[ "$(wc -c < "$temporary")" -eq "$4" ] || exit 42
new="$1.$(basename "$temporary")"
pct exec "$5" -- /bin/sh -c '[ ! -d "$1" ] || exit 41; umask 022; mkdir -p -- "$(dirname -- "$1")"; umask 077; : > "$2"' recoup "$1" "$new" < /dev/null
pct push "$5" "$temporary" "$new" --perms 0600 > /dev/null || { pct exec "$5" -- rm -f -- "$new" < /dev/null; exit 1; }
pct exec "$5" -- /bin/sh -c 'chown -- "$3" "$2" && chmod -- "$4" "$2" && mv -f -- "$2" "$1" || { rm -f -- "$2"; exit 1; }' recoup "$1" "$new" "$2" "$3" < /dev/null`

func (c *proxmoxContainer) WriteFile(ctx context.Context, file File) error {
	result, err := c.onNode(ctx, pushScript, file.Content, append(writeArguments(file), c.vmid)...)
	if err != nil {
		return fmt.Errorf("writing %s in %s: %w", file.Path, c.label(), err)
	}
	return judgeWrite(file.Path, result)
}

func (c *proxmoxContainer) RemoveFile(ctx context.Context, name string) error {
	argv := []string{"rm", "-f", "--", name}
	result, err := c.run(ctx, argv)
	return Check(argv, result, err)
}
