// This file has the engine make the files of a schedule, and says its refusals in terms of attributes.
package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	tfpath "github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
)

// Engine is what of engine.Client is used here.
type Engine interface {
	Call(ctx context.Context, method string, params any, result any, progress func(json.RawMessage)) error
}

// Where the engine puts what it renders (docs/schedules.md).
const (
	definitionDirectory = "/etc/recoup/schedules"
	unitDirectory       = "/etc/systemd/system"
)

func unitPath(unit string) string { return path.Join(unitDirectory, unit) }

// DefinitionPath is where a schedule's definition is on its machine.
func DefinitionPath(name string) string { return path.Join(definitionDirectory, name+".json") }

// rendered is what the engine makes of a definition.
type rendered struct {
	Files []renderedFile `json:"files"`
	Units struct {
		Service string `json:"service"`
		Timer   string `json:"timer"`
	} `json:"units"`
	OnCalendar []string `json:"on_calendar"`
}

type renderedFile struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"` // octal
	Content string `json:"content"`
	Secret  bool   `json:"secret"`
}

func (f renderedFile) permissions() (fs.FileMode, error) {
	bits, err := strconv.ParseUint(f.Mode, 8, 32)
	if err != nil {
		return 0, fmt.Errorf("the engine gave %s the mode %q, which is not octal: %w", f.Path, f.Mode, err)
	}
	return fs.FileMode(bits) & fs.ModePerm, nil
}

// render has the engine make the files. With secrets == nil there is no environment file among them: it is not this schedule's.
func render(ctx context.Context, client Engine, definition map[string]any, secrets map[string]string) (*rendered, error) {
	params := map[string]any{"schedule": definition}
	if secrets != nil {
		params["secret_environment"] = secrets
	}
	var result rendered
	if err := client.Call(ctx, "schedule.render", params, &result, nil); err != nil {
		return nil, err
	}
	if secrets == nil {
		own := result.Files[:0]
		for _, file := range result.Files {
			if !file.Secret {
				own = append(own, file)
			}
		}
		result.Files = own
	}
	if result.Units.Service == "" || result.Units.Timer == "" || len(result.Files) == 0 {
		return nil, errors.New("the engine rendered no units for the schedule: it is older or newer than the provider")
	}
	return &result, nil
}

// definition gives the definition as the engine writes it.
func (r *rendered) definition(name string) (map[string]any, error) {
	for _, file := range r.Files {
		if file.Path == DefinitionPath(name) {
			return parseDefinition([]byte(file.Content))
		}
	}
	return nil, fmt.Errorf("the engine rendered no %s: it is older or newer than the provider", DefinitionPath(name))
}

// addEngineError puts an error of the engine at the attribute that is to blame.
func addEngineError(diags *diag.Diagnostics, summary string, err error) {
	var refusal *engine.Error
	if errors.As(err, &refusal) {
		if attribute, ok := attributePath(refusal.Attribute); ok {
			// The engine begins with the parameter's name, which the attribute says already.
			diags.AddAttributeError(attribute, summary, sentence(strings.TrimPrefix(refusal.Message, refusal.Attribute+": ")))
			return
		}
	}
	diags.AddError(summary, err.Error())
}

func sentence(text string) string {
	if text == "" {
		return "The engine gave no reason."
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// attributePath translates the engine's path of a parameter ("schedule.backup.paths[0]") into the attribute's.
func attributePath(parameter string) (tfpath.Path, bool) {
	if name, secret := strings.CutPrefix(parameter, "secret_environment"); secret {
		attribute := tfpath.Root("secret_environment_wo")
		if variable := strings.TrimPrefix(name, "."); variable != "" {
			attribute = attribute.AtMapKey(variable)
		}
		return attribute, true
	}
	steps := strings.FieldsFunc(strings.TrimPrefix(parameter, "schedule."), func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	if len(steps) == 0 || !slices.Contains(definitionMembers(), steps[0]) {
		return tfpath.Empty(), false
	}
	attribute := tfpath.Root(steps[0])
	for _, step := range steps[1:] {
		if position, err := strconv.Atoi(step); err == nil {
			attribute = attribute.AtListIndex(position)
		} else if steps[0] == "environment" {
			attribute = attribute.AtMapKey(step)
		} else {
			attribute = attribute.AtName(step)
		}
	}
	return attribute, true
}
