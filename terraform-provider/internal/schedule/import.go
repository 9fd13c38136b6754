// This file takes over a schedule that is on a machine already: made by `recoup schedule install`, or by a state that was lost.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// ParseID is the other way of ID. Its error says the valid form.
func ParseID(id string) (target, name string, err error) {
	at := strings.LastIndex(id, "#")
	if at <= 0 || !nameSyntax.MatchString(id[at+1:]) {
		return "", "", fmt.Errorf("%q is not the id of a schedule. Write TARGET#NAME, as ssh://root@10.10.0.25#restic-backup", id)
	}
	return id[:at], id[at+1:], nil
}

// ImportState only notes which schedule it is; the read that follows fetches the rest.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	target, name, err := ParseID(req.ID)
	if err != nil {
		resp.Diagnostics.AddError("Invalid Import ID", err.Error())
		return
	}
	for attribute, value := range map[string]string{"id": req.ID, "target": target, "name": name} {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(attribute), value)...)
	}
}

// readImported makes the state from the definition on the machine, in the engine's form, which leaves out what is as it would be
// anyway: otherwise the first plan would remove every default that the configuration does not spell out.
func (r *Resource) readImported(ctx context.Context, declared declaration, req resource.ReadRequest, resp *resource.ReadResponse) {
	const summary = "Unable to Import Schedule"
	machine, err := r.open(ctx, declared.target)
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	defer machine.Close()
	file := DefinitionPath(declared.name)
	found, err := machine.ReadFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		resp.Diagnostics.AddError(summary, fmt.Sprintf("There is no %s on %s: no schedule of recoup's is named %s there. Units that were written "+
			"by hand cannot be imported; a schedule with `overwrite = true` replaces them.", file, declared.target, declared.name))
		return
	}
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	definition, err := parseDefinition(found.Content)
	if err != nil {
		resp.Diagnostics.AddError(summary, fmt.Sprintf("%s on %s cannot be understood: %v.", file, declared.target, err))
		return
	}
	made, err := render(ctx, r.engine, definition, nil)
	if err != nil {
		addEngineError(&resp.Diagnostics, summary, err)
		return
	}
	if definition, err = made.definition(declared.name); err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	importDefinition(definition, summary, req, resp)
	if resp.Diagnostics.HasError() {
		return
	}
	declared.environmentFile, _ = definition["environment_file"].(string)
	written, err := importedRecord(ctx, machine, made, declared)
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	saveRecord(ctx, resp.Private, written, &resp.Diagnostics)
	// A timer that does not run is imported as it is: it may be meant so.
	enablement, err := systemctlSays(ctx, machine, "is-enabled", declared.timer())
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	drift, err := inspect(ctx, machine, expectation{written: written, timer: declared.timer(), enabled: enablement == "enabled"})
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("enabled"), enablement == "enabled")...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("on_calendar"), made.OnCalendar)...)
	declared.setComputed(ctx, &resp.State, &resp.Diagnostics)
	setDrift(ctx, &resp.State, drift, &resp.Diagnostics)
}

func importDefinition(definition map[string]any, summary string, req resource.ReadRequest, resp *resource.ReadResponse) {
	for name, standard := range map[string]any{"executable": DefaultExecutable, "environment_file": DefaultEnvironmentFile} {
		if _, given := definition[name]; !given {
			definition[name] = standard // the schema has a default of its own for these
		}
	}
	kind, isObject := req.State.Raw.Type().(tftypes.Object)
	if !isObject {
		resp.Diagnostics.AddError(summary, "The state is not an object.")
		return
	}
	var values map[string]tftypes.Value
	if err := req.State.Raw.As(&values); err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	for _, name := range definitionMembers() {
		value, err := valueOf(kind.AttributeTypes[name], definition[name])
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root(name), summary, fmt.Sprintf("The definition's %s cannot be taken over: %v.", name, err))
			return
		}
		values[name] = value
	}
	values["overwrite"] = tftypes.NewValue(tftypes.Bool, false)
	resp.State.Raw = tftypes.NewValue(kind, values)
}

// importedRecord has the units as they are, if recoup made them: where a repository is a directory they name it, which is not known
// here. And it has the environment file as it is, unless another schedule wrote it.
func importedRecord(ctx context.Context, machine guest.Guest, made *rendered, declared declaration) (record, error) {
	written, err := recordOf(made.Files, made)
	if err != nil {
		return record{}, err
	}
	for _, unit := range []string{unitPath(declared.timer()), unitPath(declared.service())} {
		found, err := machine.ReadFile(ctx, unit)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return record{}, fmt.Errorf("read %s: %w", unit, err)
		}
		if print, there := written.Files[unit]; there && strings.HasPrefix(string(found.Content), unitMark) {
			print.Content = string(found.Content)
			written.Files[unit] = print
		}
	}
	found, err := machine.ReadFile(ctx, declared.environmentFile)
	if errors.Is(err, fs.ErrNotExist) {
		return written, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read %s: %w", declared.environmentFile, err)
	}
	if owner := environmentOwner(found.Content); owner != "" && owner != declared.name {
		return written, nil
	}
	print, err := secretFingerprint(found.Content, environmentMode)
	if err != nil {
		return record{}, err
	}
	written.Files[declared.environmentFile] = print
	return written, nil
}
