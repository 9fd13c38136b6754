// This file changes the passwords of a repository. Every step can be done again after a failure: before a key is made it is
// looked whether the password opens the repository already.
package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/password"
)

const unableToUpdate = "Unable to Update Repository"

// openOrRotate opens the repository with the configured password. If that does not open it but the one until now does, the
// password is changed.
func (r *repositoryResource) openOrRotate(ctx context.Context, config, prior repositoryModel, diags *diag.Diagnostics) described {
	where, opened := config.Location.ValueString(), config.source()
	found, err := r.get(ctx, where, opened)
	previous := password.Source{Text: config.PreviousPasswordWO.ValueString()}
	if previous.IsZero() && prior.source() != (password.Source{File: opened.File, Command: opened.Command}) {
		previous = prior.source() // a file or a command that the state names
	}
	switch {
	case err == nil && !found.Exists:
		diags.AddAttributeError(path.Root("location"), unableToUpdate, fmt.Sprintf("There is no repository at %s any more. "+
			"Plan again to see what that means.", where))
	case err == nil:
		return r.finishRotation(ctx, config, prior, found, diags)
	case !engine.HasCode(err, engine.CodePassword) || previous.IsZero():
		diagnosis.Append(diags, unableToUpdate, err, places)
	default:
		return r.rotate(ctx, where, previous, opened, diags)
	}
	return described{}
}

func (r *repositoryResource) rotate(ctx context.Context, where string, previous, opened password.Source, diags *diag.Diagnostics) described {
	wanted, err := opened.ReadWith(ctx, r.data.Settings.EngineEnvironment)
	if err == nil {
		err = r.call(ctx, "key.change_password", where, previous, map[string]any{"new_password": wanted}, nil)
	}
	if err != nil {
		if engine.HasCode(err, engine.CodePassword) {
			diags.AddAttributeError(path.Root("previous_password_wo"), unableToUpdate, fmt.Sprintf("Neither the new password "+
				"nor the one until now opens the repository at %s. Set "+
				"previous_password_wo to the password that opens it today.", where))
			return described{}
		}
		diagnosis.Append(diags, "Unable to Change the Password of the Repository", err, places)
		return described{}
	}
	found, err := r.get(ctx, where, opened)
	if err != nil {
		diagnosis.Append(diags, unableToUpdate, err, places)
	}
	return found
}

// finishRotation removes the key of the password until now, if an earlier rotation was interrupted before it could.
func (r *repositoryResource) finishRotation(ctx context.Context, config, prior repositoryModel, found described, diags *diag.Diagnostics) described {
	previous := password.Source{Text: config.PreviousPasswordWO.ValueString()}
	if previous.IsZero() {
		return found
	}
	before, err := r.get(ctx, config.Location.ValueString(), previous)
	if engine.HasCode(err, engine.CodePassword) {
		return found // it is gone, as it should
	}
	if err != nil {
		diagnosis.Append(diags, unableToUpdate, err, places)
		return found
	}
	id := before.currentKey()
	isExtra := slices.Contains(slices.Collect(maps.Values(prior.keyIDs(ctx, diags))), id.ValueString())
	if id.IsNull() || isExtra || id.Equal(found.currentKey()) {
		return found
	}
	r.removeKey(ctx, config.Location.ValueString(), config.source(), id.ValueString(), diags)
	return found
}

func (r *repositoryResource) removeKey(ctx context.Context, where string, opened password.Source, id string, diags *diag.Diagnostics) bool {
	err := r.call(ctx, "key.remove", where, opened, map[string]any{"id": id}, nil)
	if err != nil && !engine.HasCode(err, engine.CodeNotFound) {
		diagnosis.Append(diags, fmt.Sprintf("Unable to Remove the Key %.8s of the Repository", id), err, places)
		return false
	}
	return true
}

// keyWork is what syncKeys works on.
type keyWork struct {
	where  string
	opened password.Source
	found  described           // the repository before
	wanted map[string]keyModel // from the configuration, with passwords
	before map[string]keyModel // from the state
	ids    map[string]string   // kept up to date with every step
}

// syncKeys makes and removes extra keys until they are the wanted ones.
func (r *repositoryResource) syncKeys(ctx context.Context, work keyWork, diags *diag.Diagnostics) {
	for _, name := range slices.Sorted(maps.Keys(work.ids)) {
		if _, ok := work.wanted[name]; ok {
			continue
		}
		if r.removeKey(ctx, work.where, work.opened, work.ids[name], diags) {
			delete(work.ids, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(work.wanted)) {
		if before, ok := work.before[name]; ok && work.wanted[name].sameAs(before) && work.found.hasKey(work.ids[name]) {
			continue
		}
		r.syncKey(ctx, work, name, diags)
	}
}

// sameAs compares what a state can hold.
func (m keyModel) sameAs(other keyModel) bool {
	return m.PasswordWOVersion.Equal(other.PasswordWOVersion) && m.PasswordFile.Equal(other.PasswordFile) &&
		m.PasswordCommand.Equal(other.PasswordCommand) && m.isOf(other)
}

func (m keyModel) isOf(other keyModel) bool {
	return m.User.Equal(other.User) && m.Host.Equal(other.Host)
}

func (r *repositoryResource) syncKey(ctx context.Context, work keyWork, name string, diags *diag.Diagnostics) {
	at := path.Root("extra_keys").AtMapKey(name)
	wanted := work.wanted[name]
	text, err := wanted.source().ReadWith(ctx, r.data.Settings.EngineEnvironment)
	if err != nil {
		diags.AddAttributeError(at, unableToUpdate, err.Error()+".")
		return
	}
	there, err := r.get(ctx, work.where, password.Source{Text: text})
	if err != nil && !engine.HasCode(err, engine.CodePassword) {
		diagnosis.Append(diags, unableToUpdate, err, places)
		return
	}
	old, id := work.ids[name], there.currentKey()
	if !id.IsNull() {
		if clash := work.clash(name, id.ValueString()); clash != "" {
			diags.AddAttributeError(at, unableToUpdate, fmt.Sprintf("This password is also that of %s. Give each key a "+
				"password of its own.", clash))
			return
		}
		before, known := work.before[name]
		if id.ValueString() != old || !known || wanted.isOf(before) {
			r.replaceKey(ctx, work, name, old, id.ValueString(), diags)
			return
		}
	}
	var made struct {
		ID string `json:"id"`
	}
	more := map[string]any{"new_password": text}
	addText(more, "user", wanted.User)
	addText(more, "host", wanted.Host)
	if err := r.call(ctx, "key.add", work.where, work.opened, more, &made); err != nil {
		diagnosis.Append(diags, fmt.Sprintf("Unable to Add the Key %q to the Repository", name), err, places)
		return
	}
	r.replaceKey(ctx, work, name, old, made.ID, diags)
}

// replaceKey notes the key that stands for name now, and removes the one that did.
func (r *repositoryResource) replaceKey(ctx context.Context, work keyWork, name, old, id string, diags *diag.Diagnostics) {
	work.ids[name] = id
	if old != "" && old != id && work.found.hasKey(old) {
		r.removeKey(ctx, work.where, work.opened, old, diags)
	}
}

// clash names another key of the configuration with that ID.
func (w keyWork) clash(name, id string) string {
	if id == w.found.currentKey().ValueString() {
		return "the repository itself"
	}
	for other, otherID := range w.ids {
		if other != name && otherID == id {
			return fmt.Sprintf("the key %q", other)
		}
	}
	return ""
}

func addText(to map[string]any, name string, value types.String) {
	if !value.IsNull() {
		to[name] = value.ValueString()
	}
}
