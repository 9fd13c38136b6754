// Bind mounts of Proxmox VE, which its API takes from nobody but root@pam with a password.

package container

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/proxmox"
)

// mountsOf gives bind mounts by their parameter's name, as mp0.
func mountsOf(config proxmox.Config) map[string]mount {
	mounts := map[string]mount{}
	for name, text := range config {
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "mp")); err != nil || !strings.HasPrefix(name, "mp") {
			continue
		}
		parts := options(text)
		if source := parts[""]; strings.HasPrefix(source, "/") {
			mounts[name] = mount{source: source, path: parts["mp"], readOnly: parts["ro"] == "1"}
		}
	}
	return mounts
}

// setMounts uses `pct set` on the node: the API takes bind mounts from root@pam by password only. A mount keeps its
// number as long as it keeps its path in the container.
func (p *proxmoxContainer) setMounts(ctx context.Context, before, wanted spec) error {
	config, err := p.client.Config(ctx, p.at.Node, p.at.VMID)
	if err != nil {
		return err
	}
	numbers, wantedPaths := map[string]string{}, map[string]bool{}
	for name, found := range mountsOf(config) {
		numbers[found.path] = name
	}
	vmid := strconv.Itoa(p.at.VMID)
	var commands [][]string
	var blamed []string
	for name, entry := range wanted.mounts {
		wantedPaths[entry.path] = true
		number, there := numbers[entry.path]
		if !there {
			number = freeNumber(config)
			config[number] = "taken"
		} else if found := mountsOf(config)[number]; found.source == entry.source && found.readOnly == entry.readOnly {
			continue
		}
		text := fmt.Sprintf("%s,mp=%s", entry.source, entry.path)
		if entry.readOnly {
			text += ",ro=1"
		}
		commands, blamed = append(commands, []string{"pct", "set", vmid, "-" + number, text}), append(blamed, name)
	}
	for _, old := range before.mounts {
		if number, there := numbers[old.path]; there && !wantedPaths[old.path] {
			commands, blamed = append(commands, []string{"pct", "set", vmid, "-delete", number}), append(blamed, "")
		}
	}
	if len(commands) == 0 {
		return nil
	}
	node, err := guest.OpenNode(ctx, p.at.Node, p.from)
	if err != nil {
		return blame(path.Root("mounts"), "%w", err)
	}
	defer node.Close()
	for n, argv := range commands {
		result, err := node.Run(ctx, argv, nil)
		if err := guest.Check(argv, result, err); err != nil {
			at := path.Root("mounts")
			if blamed[n] != "" {
				at = at.AtMapKey(blamed[n])
			}
			return blame(at, "%w", err)
		}
	}
	return nil
}

func freeNumber(config proxmox.Config) string {
	for n := 0; ; n++ {
		if name := "mp" + strconv.Itoa(n); config[name] == "" {
			return name
		}
	}
}
