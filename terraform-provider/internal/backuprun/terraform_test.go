// The resource as Terraform uses it, and the action as a Terraform that knows actions would: none that does can be had for the
// tests, so that they speak its protocol.
package backuprun_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	test "github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/recoup/terraform-provider-recoup/internal/backuprun"
	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guest/guestfake"
)

type onlyRuns struct {
	provider.Provider
	machine *guestfake.Machine
}

func (p *onlyRuns) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "recoup"
}
func (p *onlyRuns) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}
func (p *onlyRuns) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}
func (p *onlyRuns) DataSources(context.Context) []func() datasource.DataSource { return nil }
func (p *onlyRuns) open(context.Context, string) (guest.Guest, error)          { return p.machine.Open(), nil }
func (p *onlyRuns) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return backuprun.NewResourceWith(p.open) }}
}
func (p *onlyRuns) Actions(context.Context) []func() action.Action {
	return []func() action.Action{func() action.Action { return backuprun.NewActionWith(p.open) }}
}

// counting is a machine whose runs are counted, and come to what a test says.
type counting struct {
	*guestfake.Machine
	mutex sync.Mutex
	runs  int
	next  guestfake.ServiceRun
}

func newCounting() *counting {
	c := &counting{Machine: guestfake.New(guest.File{Path: "/etc/systemd/system/restic-backup.service", Content: []byte("[Service]\n")})}
	c.next = guestfake.ServiceRun{Polls: 1, Journal: "snapshot 1a2b3c4d saved\nschedule restic-backup: done\n"}
	c.Service = func(string) guestfake.ServiceRun {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.runs++
		return c.next
	}
	return c
}

func (c *counting) come(to guestfake.ServiceRun) func() {
	return func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.next = to
	}
}

func run(trigger string) string {
	return fmt.Sprintf("resource \"recoup_backup_run\" \"now\" {\n  schedule = \"local#restic-backup\"\n  triggers = { version = %q }\n}\n", trigger)
}

func TestRunsWhenTriggersChange(t *testing.T) {
	t.Parallel()
	machine := newCounting()
	const address = "recoup_backup_run.now"
	failed := guestfake.ServiceRun{ExitCode: 12, Journal: "Fatal: wrong password\n"}
	partly := guestfake.ServiceRun{ExitCode: 3, Result: "success", Journal: "snapshot 99999999 saved\nschedule restic-backup: the snapshot lacks files that could not be read\n"}
	test.UnitTest(t, test.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"recoup": providerserver.NewProtocol6WithError(&onlyRuns{machine: machine.Machine})},
		Steps: []test.TestStep{
			{Config: strings.Replace(run("1"), "local#", "local-", 1), PlanOnly: true, ExpectError: regexp.MustCompile(`Write\s+TARGET#NAME`)},
			{Config: run("1"), Check: test.ComposeAggregateTestCheckFunc(
				test.TestCheckResourceAttr(address, "result", "success"),
				test.TestCheckResourceAttr(address, "snapshot_id", "1a2b3c4d"),
				test.TestCheckResourceAttr(address, "executed_at", "2025-11-27T18:00:00Z"))},
			{Config: run("1"), PlanOnly: true},
			{Config: strings.Replace(run("1"), "triggers", "timeout = \"5m\"\n  triggers", 1), ConfigPlanChecks: test.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}}},
			{PreConfig: machine.come(partly), Config: run("2"), Check: test.ComposeAggregateTestCheckFunc(
				test.TestCheckResourceAttr(address, "result", "partial"), test.TestCheckResourceAttr(address, "snapshot_id", "99999999"))},
			{PreConfig: machine.come(failed), Config: run("3"), ExpectError: regexp.MustCompile(`the\s+password\s+is\s+wrong[\s\S]*Fatal:\s+wrong\s+password`)},
			// The failed one is made again, though the triggers stayed.
			{PreConfig: machine.come(guestfake.ServiceRun{Journal: "schedule restic-backup: done\n"}), Config: run("3"),
				Check: test.ComposeAggregateTestCheckFunc(
					test.TestCheckResourceAttr(address, "result", "success"), test.TestCheckNoResourceAttr(address, "snapshot_id"))},
		},
	})
	if machine.runs != 4 {
		t.Errorf("there were %d runs instead of 4", machine.runs)
	}
}

func invoke(t *testing.T, machine *guestfake.Machine, schedule string) (said []string, diagnostics []*tfprotov6.Diagnostic) {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(&onlyRuns{machine: machine})()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := server.GetProviderSchema(context.Background(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	kind := schema.ActionSchemas["recoup_backup"].Schema.ValueType()
	config, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, map[string]tftypes.Value{
		"schedule": tftypes.NewValue(tftypes.String, schedule), "wait": tftypes.NewValue(tftypes.Bool, nil), "timeout": tftypes.NewValue(tftypes.String, "1m")}))
	if err != nil {
		t.Fatal(err)
	}
	actions, ok := server.(tfprotov6.ActionServer)
	if !ok {
		t.Fatal("the provider serves no actions")
	}
	validated, err := actions.ValidateActionConfig(context.Background(), &tfprotov6.ValidateActionConfigRequest{ActionType: "recoup_backup", Config: &config})
	if err != nil {
		t.Fatal(err)
	}
	if len(validated.Diagnostics) > 0 {
		return nil, validated.Diagnostics
	}
	events, err := actions.InvokeAction(context.Background(), &tfprotov6.InvokeActionRequest{ActionType: "recoup_backup", Config: &config})
	if err != nil {
		t.Fatal(err)
	}
	for event := range events.Events {
		switch typed := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			said = append(said, typed.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			diagnostics = typed.Diagnostics
		}
	}
	return said, diagnostics
}

func TestActionRunsAndReports(t *testing.T) {
	t.Parallel()
	said, diagnostics := invoke(t, newCounting().Machine, "local#restic-backup")
	if len(diagnostics) != 0 {
		t.Errorf("%+v", diagnostics[0])
	}
	if want := []string{"restic-backup.service was started", "The backup is done (success): snapshot 1a2b3c4d"}; fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("it said %q instead of %q", said, want)
	}
}

func TestActionFailsWithTheJournal(t *testing.T) {
	t.Parallel()
	machine := newCounting()
	machine.next = guestfake.ServiceRun{ExitCode: 11, Journal: "Fatal: locked by PID 7\n"}
	_, diagnostics := invoke(t, machine.Machine, "local#restic-backup")
	if len(diagnostics) != 1 || !strings.Contains(diagnostics[0].Detail, "the repository is locked") || !strings.Contains(diagnostics[0].Detail, "locked by PID 7") {
		t.Errorf("%+v", diagnostics)
	}
}

func TestActionRefusesWhatIsNoSchedule(t *testing.T) {
	t.Parallel()
	_, diagnostics := invoke(t, newCounting().Machine, "restic-backup")
	if len(diagnostics) != 1 || !strings.Contains(diagnostics[0].Detail, "Write TARGET#NAME") {
		t.Errorf("%+v", diagnostics)
	}
}
