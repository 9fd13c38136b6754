// From an address to a guest.

package guest

import (
	"context"
	"errors"
	"fmt"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// ErrGone is found (errors.Is) in errors about a container that its host does not have: it was deleted, or never was.
var ErrGone = errors.New("the container does not exist")

// ErrStopped is found (errors.Is) in errors about a container that would have to run for what was asked.
var ErrStopped = errors.New("the container is not running")

// Open connects to the guest at an address. The error is ErrGone (errors.Is) where its host is there and the container is not.
func Open(ctx context.Context, address string, from settings.Settings) (Guest, error) {
	parsed, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	switch parsed.Kind {
	case KindLocal:
		return openLocal()
	case KindSSH:
		return openSSH(ctx, parsed, from.SSH)
	case KindIncus:
		return openInstance(ctx, parsed, from.Incus)
	case KindLXD:
		return openInstance(ctx, parsed, from.LXD)
	case KindProxmox:
		return openProxmox(ctx, parsed, from)
	}
	return nil, fmt.Errorf("the address %q was read as one of kind %q, which nothing opens: this is a mistake in the provider, please report it", address, parsed.Kind)
}
