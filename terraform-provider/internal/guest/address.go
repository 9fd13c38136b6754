// Addresses of guests: the id of a recoup_container, and what a schedule's `target` takes.

package guest

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Kind is how a guest is reached.
type Kind string

// The ways to reach a guest.
const (
	KindLocal   Kind = "local"
	KindSSH     Kind = "ssh"
	KindIncus   Kind = "incus"
	KindLXD     Kind = "lxd"
	KindProxmox Kind = "proxmox"
)

// Address names one guest.
type Address struct {
	Kind Kind

	User, Host string // ssh; User "" leaves it to the settings
	Port       int    // ssh; 0 means 22

	Project, Name string // incus, lxd

	Node string // proxmox
	VMID int
}

const addressForms = `write it as "local", "ssh://[user@]host[:port]", "incus:PROJECT/NAME", "lxd:PROJECT/NAME" or "proxmox:NODE/VMID"`

var (
	instanceName = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	projectName  = regexp.MustCompile(`^[^\s/:]+$`)
	nodeName     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
)

// ValidInstanceName says whether Incus and LXD take a name, which has to be one of a host.
func ValidInstanceName(name string) bool { return instanceName.MatchString(name) }

// ParseAddress reads an address; its errors say which form was expected.
func ParseAddress(text string) (Address, error) {
	switch {
	case text == string(KindLocal):
		return Address{Kind: KindLocal}, nil
	case strings.HasPrefix(text, "ssh:"):
		return parseSSH(text)
	}
	kind, rest, found := strings.Cut(text, ":")
	if !found {
		return Address{}, fmt.Errorf("%q is not the address of a guest: %s", text, addressForms)
	}
	left, right, found := strings.Cut(rest, "/")
	switch Kind(kind) {
	case KindIncus, KindLXD:
		if !found {
			return Address{}, fmt.Errorf("%q names no project: write it as \"%s:PROJECT/NAME\"; the project is \"default\" where nobody made others: \"%s:default/%s\"", text, kind, kind, rest)
		}
		if !projectName.MatchString(left) {
			return Address{}, fmt.Errorf("%q: %q is not the name of a project. Write it as \"%s:PROJECT/NAME\"", text, left, kind)
		}
		if !ValidInstanceName(right) {
			return Address{}, fmt.Errorf("%q: %q is not the name of an instance: up to 63 letters, digits and hyphens, the first a letter, the last no hyphen", text, right)
		}
		return Address{Kind: Kind(kind), Project: left, Name: right}, nil
	case KindProxmox:
		vmid, err := strconv.Atoi(right)
		if !found || err != nil || vmid < 100 || vmid > 999999999 || !nodeName.MatchString(left) {
			return Address{}, fmt.Errorf("%q: write it as \"proxmox:NODE/VMID\" with the number of a container from 100 on, as \"proxmox:pve/105\"", text)
		}
		return Address{Kind: KindProxmox, Node: left, VMID: vmid}, nil
	}
	return Address{}, fmt.Errorf("%q: %q is no way to reach a guest: %s", text, kind, addressForms)
}

func parseSSH(text string) (Address, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "ssh" || parsed.Hostname() == "" {
		return Address{}, fmt.Errorf("%q is not of the form \"ssh://[user@]host[:port]\"", text)
	}
	if _, withPassword := parsed.User.Password(); withPassword {
		return Address{}, fmt.Errorf("the address of host %q carries a password, which would be in the state: log in with a key (the provider's ssh.private_key_file or the agent)", parsed.Hostname())
	}
	if strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return Address{}, fmt.Errorf("%q goes on after the host: write it as \"ssh://[user@]host[:port]\"", text)
	}
	if strings.HasPrefix(parsed.Hostname(), "-") || strings.HasPrefix(parsed.User.Username(), "-") {
		return Address{}, fmt.Errorf("%q: neither user nor host can begin with a hyphen", text)
	}
	address := Address{Kind: KindSSH, User: parsed.User.Username(), Host: parsed.Hostname()}
	if port := parsed.Port(); port != "" {
		address.Port, err = strconv.Atoi(port)
		if err != nil || address.Port < 1 || address.Port > 65535 {
			return Address{}, fmt.Errorf("%q: %q is not a port", text, port)
		}
	}
	return address, nil
}

// String is the form that ParseAddress reads; both are each other's inverse.
func (a Address) String() string {
	switch a.Kind {
	case KindIncus, KindLXD:
		return fmt.Sprintf("%s:%s/%s", a.Kind, a.Project, a.Name)
	case KindProxmox:
		return fmt.Sprintf("proxmox:%s/%d", a.Node, a.VMID)
	case KindSSH:
		host := a.Host
		if a.Port != 0 {
			host = net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
		} else if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		result := url.URL{Scheme: "ssh", Host: host}
		if a.User != "" {
			result.User = url.User(a.User)
		}
		return result.String()
	}
	return string(a.Kind)
}
