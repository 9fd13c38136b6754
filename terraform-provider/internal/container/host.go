// The driver `ssh`: a host that exists. It is not made, started, stopped or removed; what this resource wrote there is.

package container

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

type host struct {
	at   guest.Address
	from settings.Settings
}

func (h *host) address() guest.Address { return h.at }
func (h *host) close()                 {}

func (h *host) create(ctx context.Context, _ *spec) (bool, error) {
	_, err := h.observe(ctx)
	return err == nil, err
}

func (h *host) observe(ctx context.Context) (observed, error) {
	opened, err := h.open(ctx)
	if err != nil {
		return observed{}, err
	}
	return observed{status: "Running"}, opened.Close()
}

func (h *host) mark(context.Context) (string, error)     { return "", nil }
func (h *host) update(context.Context, spec, spec) error { return nil }
func (h *host) prepare(context.Context, *spec) error     { return nil }
func (h *host) start(context.Context) error              { return nil }
func (h *host) stop(context.Context) error               { return nil }
func (h *host) remove(context.Context) error             { return nil }

func (h *host) open(ctx context.Context) (guest.Guest, error) {
	opened, err := guest.Open(ctx, h.at.String(), h.from)
	if err != nil {
		return nil, blame(path.Root("host"), "%w", err)
	}
	return opened, nil
}
