// What the ways to have a container have in common.

package container

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

const (
	incusDriver   = "incus"
	lxdDriver     = "lxd"
	proxmoxDriver = "proxmox"
	sshDriver     = "ssh"

	methodDHCP     = "dhcp-reservation"
	methodNetworkd = "networkd"
	methodBoth     = "both"
	methodDriver   = "driver" // the server sets the address inside the container by itself

	waitSystem = "system"
	waitNone   = "none"
)

var drivers = []string{incusDriver, lxdDriver, proxmoxDriver, sshDriver}

// driver is one container, which may not be there yet. Errors about one that is not there are guest.ErrGone (errors.Is).
type driver interface {
	// create makes the container without starting it, and completes in the spec what it decided: hwaddr, method. Where
	// maybe is true the container is or may be there although create failed.
	create(ctx context.Context, wanted *spec) (maybe bool, err error)

	observe(ctx context.Context) (observed, error)

	// mark gives the nonce of the create that made the container. It looks at nothing else, so that one that is damaged or half
	// made can still be removed.
	mark(ctx context.Context) (string, error)

	// update changes a container from one spec to another. What neither names is left alone.
	update(ctx context.Context, before, wanted spec) error

	// prepare is called before the first start and after changes of the address.
	prepare(ctx context.Context, wanted *spec) error

	start(ctx context.Context) error
	stop(ctx context.Context) error
	remove(ctx context.Context) error

	// open gives a guest; the container has to run where the driver can't do without.
	open(ctx context.Context) (guest.Guest, error)

	address() guest.Address
	close()
}

// attributeError is an error that one of the resource's attributes is to blame for.
type attributeError struct {
	at  path.Path
	err error
}

func (e *attributeError) Error() string { return e.err.Error() }
func (e *attributeError) Unwrap() error { return e.err }

func blame(at path.Path, format string, arguments ...any) error {
	return &attributeError{at: at, err: fmt.Errorf(format, arguments...)}
}

func isGone(err error) bool { return errors.Is(err, guest.ErrGone) }

// openDriver does not dial.
func openDriver(ctx context.Context, address guest.Address, from settings.Settings) (driver, error) {
	switch address.Kind {
	case guest.KindIncus:
		return newInstance(address, from.Incus)
	case guest.KindLXD:
		return newInstance(address, from.LXD)
	case guest.KindProxmox:
		return newProxmox(address, from)
	case guest.KindSSH:
		return &host{at: address, from: from}, nil
	}
	return nil, fmt.Errorf("%s is not the address of a container", address)
}

// stableMAC gives the same address for the same container of the same server each time: a container that was made
// anew keeps its lease. The prefix is the one that the server's own addresses have.
func stableMAC(prefix string, identity ...string) string {
	hash := sha256.New()
	for _, part := range identity {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	sum := hash.Sum(nil)
	return fmt.Sprintf("%s:%02x:%02x:%02x", prefix, sum[0], sum[1], sum[2])
}
