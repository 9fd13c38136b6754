// Removing a container, or what was put onto a host.

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

func (r *containerResource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	const summary = "Unable to Delete Container"
	var state model
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	limit, diags := state.Timeouts.Delete(ctx, deleteTimeout)
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	if state.DeletionProtection.ValueBool() && state.Unfinished.IsNull() {
		response.Diagnostics.AddAttributeError(path.Root("deletion_protection"), summary,
			fmt.Sprintf("%s is protected. To destroy or replace it, apply deletion_protection = false first; to let go of it without destroying it, use `terraform state rm`.", state.ID.ValueString()))
		return
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	d, err := r.driverOf(ctx, &state)
	if err == nil {
		defer d.close()
		err = r.remove(ctx, d, &state)
	}
	if err != nil {
		addError(&response.Diagnostics, summary, path.Root("driver"), err)
	}
}

func (r *containerResource) remove(ctx context.Context, d driver, state *model) error {
	if d.address().Kind == guest.KindSSH {
		return r.leaveHost(ctx, d, state)
	}
	mark, err := d.mark(ctx)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, described := state.Config.Elements()["description"] // the place of the mark in Proxmox VE
	if !state.Unfinished.IsNull() && !described && mark != state.Unfinished.ValueString() {
		// The create lost its connection before it knew, and somebody else has made one of this name.
		return nil
	}
	return d.remove(ctx)
}

// removal is how a driver's server removes a container.
type removal struct {
	rounds       int
	isStopped    func(context.Context) (bool, error)
	stop, delete func(context.Context) error
	isHeld       func(error) bool // says whether something else is at work on the container, whose end is to be waited for; or nil
}

// stopAndDelete removes a container. What changes in between is met as it is: one that started, by a start whose connection broke
// and that is carried out all the same, by somebody else, or by its own autostart, is stopped again.
func stopAndDelete(ctx context.Context, from removal) error {
	for round := 1; ; round++ {
		isStopped, err := from.isStopped(ctx)
		if err == nil && !isStopped {
			err = from.stop(ctx)
		}
		if err == nil {
			err = from.delete(ctx)
		}
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case round == from.rounds:
			return err
		case from.isHeld != nil && from.isHeld(err):
			select {
			case <-ctx.Done():
				return err
			case <-time.After(2 * time.Second):
			}
		case !strings.Contains(err.Error(), "is running"):
			return err
		}
	}
}

// leaveHost takes away what was put onto a host.
func (r *containerResource) leaveHost(ctx context.Context, d driver, state *model) error {
	in, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	files, diags := state.files(ctx)
	if diags.HasError() {
		return errors.New(diags.Errors()[0].Detail())
	}
	for name := range files {
		if err := in.RemoveFile(ctx, name); err != nil {
			return blame(filePath(name), "%w", err)
		}
	}
	if state.BundleVersion.IsNull() {
		return nil
	}
	return removeBundle(ctx, in)
}
