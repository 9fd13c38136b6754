// What the tests of this package share: an engine that renders as the real one does, but simply; a provider with only this resource.
package schedule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guest/guestfake"
	"github.com/recoup/terraform-provider-recoup/internal/schedule"
)

// fakeEngine renders units that have what the provider looks at. Its dialect says which "version" of the engine it is.
type fakeEngine struct {
	mutex   sync.Mutex
	dialect string
	missing bool
}

func (e *fakeEngine) Call(_ context.Context, method string, params, result any, _ func(json.RawMessage)) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.missing {
		return &engine.Error{Code: engine.CodeMissing, Message: "The recoup executable was not found."}
	}
	if method != "schedule.render" {
		return fmt.Errorf("unexpected method %s", method)
	}
	encoded, err := json.Marshal(params)
	if err != nil {
		return err
	}
	var request struct {
		Schedule          map[string]any
		SecretEnvironment map[string]string `json:"secret_environment"`
	}
	if err := json.Unmarshal(encoded, &request); err != nil {
		return err
	}
	answer, err := e.render(request.Schedule, request.SecretEnvironment)
	if err != nil {
		return err
	}
	encoded, err = json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, result)
}

func (e *fakeEngine) render(definition map[string]any, secrets map[string]string) (map[string]any, error) {
	var onCalendar []string
	for at, expression := range definition["calendar"].([]any) {
		if strings.Contains(expression.(string), "61") {
			return nil, &engine.Error{Code: engine.CodeInvalid, Attribute: fmt.Sprintf("schedule.calendar[%d]", at), Message: fmt.Sprintf("schedule.calendar[%d]: there is no minute 61", at)}
		}
		onCalendar = append(onCalendar, "on "+expression.(string))
	}
	// As the real one: defaults are not written.
	for name, standard := range map[string]any{"executable": schedule.DefaultExecutable, "environment_file": schedule.DefaultEnvironmentFile, "persistent": true} {
		if definition[name] == standard {
			delete(definition, name)
		}
	}
	name := definition["name"].(string)
	text, err := json.MarshalIndent(definition, "", "  ")
	if err != nil {
		return nil, err
	}
	writable := secrets["RESTIC_REPOSITORY"] // what makes units depend on the secrets
	service := fmt.Sprintf("# Made by `recoup schedule` from NAME.json%s\n[Service]\nExecStart=recoup schedule run %s\nReadWritePaths=%s\n", e.dialect, name, writable)
	timer := "# Made by `recoup schedule` from NAME.json\n[Timer]\n"
	for _, line := range onCalendar {
		timer += "OnCalendar=" + line + "\n"
	}
	files := []map[string]any{
		{"path": "/etc/recoup/schedules/" + name + ".json", "mode": "0644", "content": string(text) + "\n", "secret": false},
		{"path": "/etc/systemd/system/" + name + ".service", "mode": "0644", "content": service, "secret": false},
		{"path": "/etc/systemd/system/" + name + ".timer", "mode": "0644", "content": timer, "secret": false},
	}
	if secrets != nil {
		file, given := definition["environment_file"].(string)
		if !given {
			file = schedule.DefaultEnvironmentFile
		}
		var lines []string
		for name, value := range secrets {
			lines = append(lines, name+"="+value)
		}
		slices.Sort(lines)
		files = append(files, map[string]any{"path": file, "mode": "0600", "secret": true, "content": strings.Join(lines, "\n") + "\n"})
	}
	return map[string]any{"files": files, "on_calendar": onCalendar, "next": []string{},
		"units": map[string]string{"service": name + ".service", "timer": name + ".timer"}}, nil
}

// world is what a test acts on.
type world struct {
	engine  *fakeEngine
	machine *guestfake.Machine
	openErr error
}

func newWorld(files ...guest.File) *world {
	executable := guest.File{Path: schedule.DefaultExecutable, Mode: 0o755, Content: []byte("ELF")}
	return &world{engine: &fakeEngine{}, machine: guestfake.New(append(files, executable)...)}
}

func (w *world) open(context.Context, string) (guest.Guest, error) {
	if w.openErr != nil {
		return nil, w.openErr
	}
	return w.machine.Open(), nil
}

func (w *world) factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){"recoup": providerserver.NewProtocol6WithError(&onlySchedules{world: w})}
}

type onlySchedules struct {
	provider.Provider
	world *world
}

func (p *onlySchedules) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "recoup"
}
func (p *onlySchedules) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}
func (p *onlySchedules) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}
func (p *onlySchedules) DataSources(context.Context) []func() datasource.DataSource { return nil }
func (p *onlySchedules) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return schedule.NewResourceWith(p.world.engine, p.world.open) }}
}

// declared is a schedule with these attributes beside, or instead of, the usual ones.
func declared(label string, instead map[string]string) string {
	attributes := map[string]string{
		"target":   `"incus:default/files"`,
		"backup":   `{ paths = ["/srv"], tags = ["production"] }`,
		"calendar": `["0 2 * * *"]`,
	}
	for name, value := range instead {
		attributes[name] = value
	}
	var lines []string
	for name, value := range attributes {
		if value != "" {
			lines = append(lines, fmt.Sprintf("  %s = %s\n", name, value))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("resource \"recoup_schedule\" %q {\n%s}\n", label, strings.Join(lines, ""))
}

const secretPassword = "pw-of-the-unit-tests-93847"

// withSecrets adds an environment file of the schedule's own.
func withSecrets(instead map[string]string) map[string]string {
	attributes := map[string]string{
		"secret_environment_wo":         fmt.Sprintf(`{ RESTIC_PASSWORD = %q, RESTIC_REPOSITORY = "/srv/repository" }`, secretPassword),
		"secret_environment_wo_version": "1",
	}
	for name, value := range instead {
		attributes[name] = value
	}
	return attributes
}

func wantContent(t *testing.T, machine *guestfake.Machine, path, text string, mode uint32) {
	t.Helper()
	file := machine.File(path)
	if !strings.Contains(string(file.Content), text) {
		t.Errorf("%s does not contain %q: %q", path, text, file.Content)
	}
	if uint32(file.Mode.Perm()) != mode {
		t.Errorf("%s has the mode %o instead of %o", path, file.Mode.Perm(), mode)
	}
}
