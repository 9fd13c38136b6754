// This file reaches the target.
package schedule

import (
	"context"
	"errors"
	"strings"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

// Opener reaches a target; its errors say whether the target is gone (guest.ErrGone) or stopped (guest.ErrStopped).
type Opener func(ctx context.Context, target string) (guest.Guest, error)

// providerAttribute gives the attribute of the provider that says how the target is reached, "" where none does.
func providerAttribute(target string) string {
	scheme, _, _ := strings.Cut(target, ":")
	if scheme == "local" {
		return ""
	}
	return scheme
}

func openerOf(data *providerdata.Data) Opener {
	return func(ctx context.Context, target string) (guest.Guest, error) {
		return guest.Open(ctx, target, data.Settings)
	}
}

func isGone(err error) bool    { return errors.Is(err, guest.ErrGone) }
func isStopped(err error) bool { return errors.Is(err, guest.ErrStopped) }
