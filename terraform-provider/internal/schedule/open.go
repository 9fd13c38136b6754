// This file reaches the target.
package schedule

import (
	"context"
	"strings"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

// Opener reaches a target; as guest.Open does.
type Opener func(ctx context.Context, target string) (guest.Guest, error)

// providerAttribute gives the attribute of the provider that says how the target is reached, "" where none does.
func providerAttribute(target string) string {
	scheme, _, _ := strings.Cut(target, ":")
	if scheme == "local" {
		return ""
	}
	return scheme
}

// OpenerOf reaches targets with what the provider was told.
func OpenerOf(data *providerdata.Data) Opener {
	return func(ctx context.Context, target string) (guest.Guest, error) {
		return guest.Open(ctx, target, data.Settings)
	}
}
