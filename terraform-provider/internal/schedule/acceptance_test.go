// The acceptance tests of recoup_schedule and recoup_backup_run: in a container of a real Incus, with its systemd, and a repository
// in a directory of the container. They need TF_ACC, RECOUP, and the variables that tools/incus.sh prints; RECOUP_TEST_BUNDLE can name
// what tools/bundle.sh made of RECOUP.
package schedule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

const (
	repositoryDirectory = "/var/backups/repository"
	bundledRecoup       = "/usr/local/bin/recoup"
)

// site is one container, and what was said to it.
type site struct {
	*testing.T
	incus    guesttest.Incus
	name     string
	bundle   string // what is put into the container: see tools/bundle.sh
	password string // of the repository
}

func newSite(t *testing.T) *site {
	t.Helper()
	acctest.PreCheck(t)
	recoup := acctest.Program(t, "RECOUP")
	incus := guesttest.StartIncus(t)
	return &site{T: t, incus: incus, name: incus.Name(t), bundle: bundleOf(t, recoup), password: "pw-schedule-" + acctest.Random(t, 12)}
}

func bundleOf(t *testing.T, recoup string) string {
	t.Helper()
	if made := os.Getenv("RECOUP_TEST_BUNDLE"); made != "" {
		return made
	}
	directory := t.TempDir()
	if said, err := exec.Command("../../../tools/bundle.sh", recoup, directory).CombinedOutput(); err != nil {
		t.Fatalf("tools/bundle.sh: %v\n%s", err, said)
	}
	return filepath.Join(directory, "recoup")
}

func (s *site) target() string { return "incus:default/" + s.name }

func (s *site) open() guest.Guest {
	s.Helper()
	machine, err := guest.Open(context.Background(), s.target(), s.incus.Settings())
	if err != nil {
		s.Fatal(err)
	}
	return machine
}

// run runs a shell's text in the container, past everything that is tested, and gives what it printed.
func (s *site) run(text string) string {
	s.Helper()
	output, code := s.try(text)
	if code != 0 {
		s.Fatalf("%s ended with %d: %s", text, code, output)
	}
	return output
}

func (s *site) try(text string) (string, int) {
	s.Helper()
	machine := s.open()
	defer machine.Close()
	result, err := machine.Run(context.Background(), []string{"/bin/sh", "-c", text + " 2>&1"}, nil)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(string(result.Stdout)), result.ExitCode
}

// recoup runs the command in the container, with the repository's password in a file: arguments are for everybody to see.
func (s *site) recoup(arguments string) string {
	s.Helper()
	output, code := s.tryRecoup(arguments)
	if code != 0 {
		s.Fatalf("recoup %s ended with %d: %s", arguments, code, output)
	}
	return output
}

func (s *site) tryRecoup(arguments string) (string, int) {
	s.Helper()
	machine := s.open()
	defer machine.Close()
	if err := machine.WriteFile(context.Background(), guest.File{Path: "/root/password", Content: []byte(s.password), Mode: 0o600}); err != nil {
		s.Fatal(err)
	}
	return s.try(bundledRecoup + " --no-cache -r " + repositoryDirectory + " --password-file /root/password " + arguments)
}

type seenSnapshot struct {
	ShortID string   `json:"short_id"`
	Paths   []string `json:"paths"`
	Tags    []string `json:"tags"`
}

func (s *site) snapshots() []seenSnapshot {
	s.Helper()
	var found []seenSnapshot
	if err := json.Unmarshal([]byte(s.recoup("snapshots --json --no-lock")), &found); err != nil {
		s.Fatal(err)
	}
	return found
}

// trySnapshots is snapshots where a run may be at work, or the machine at its start: nil where they could not be listed just then.
func (s *site) trySnapshots() []seenSnapshot {
	s.Helper()
	said, code := s.tryRecoup("snapshots --json --no-lock")
	var found []seenSnapshot
	if code != 0 || json.Unmarshal([]byte(said), &found) != nil {
		return nil
	}
	return found
}

func (s *site) prepare() {
	s.recoup("init")
	s.run("mkdir -p /srv/files /srv/more && echo one > /srv/files/one && echo two > /srv/more/two")
}

func (s *site) container() string {
	return fmt.Sprintf(`
provider "recoup" {
  incus = { socket = %q }
}

resource "recoup_container" "files" {
  driver        = "incus"
  name          = %q
  image         = %q
  network       = %q
  engine_bundle = %q
}
`, s.incus.Socket, s.name, s.incus.Image, s.incus.Network, s.bundle)
}

// schedule is the container with a schedule.
func (s *site) schedule(instead map[string]string) string {
	return s.scheduleOn(s.container(), "recoup_container.files.id", instead)
}

// scheduleOn is a machine with a schedule; the repository's password comes as an ephemeral variable.
func (s *site) scheduleOn(machine, target string, instead map[string]string) string {
	attributes := map[string]string{
		"target":                        target,
		"backup":                        `{ paths = ["/srv/files"], tags = ["production"] }`,
		"environment":                   fmt.Sprintf("{ RESTIC_REPOSITORY = %q }", repositoryDirectory),
		"secret_environment_wo":         "{ RESTIC_PASSWORD = var.password }",
		"secret_environment_wo_version": "1",
		"retention":                     `{ keep_daily = 7, keep_weekly = 4, keep_monthly = 12 }`,
	}
	for name, value := range instead {
		attributes[name] = value
	}
	return "variable \"password\" {\n  type = string\n  ephemeral = true\n}\n" + machine + declared("nightly", attributes)
}

func (s *site) variables() config.Variables {
	return config.Variables{"password": config.StringVariable(s.password)}
}

func runOf(trigger string) string {
	return fmt.Sprintf("resource \"recoup_backup_run\" \"now\" {\n  schedule = recoup_schedule.nightly.id\n  triggers = { version = %q }\n  timeout  = \"3m\"\n}\n", trigger)
}

// noSecretInPlan looks into everything that `terraform show -json PLAN` gives.
type noSecretInPlan []string

func (c noSecretInPlan) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	text, err := json.Marshal(req.Plan)
	if err != nil {
		resp.Error = err
		return
	}
	for _, secret := range c {
		if where := acctest.FindSecret(string(text), secret); where != "" {
			resp.Error = fmt.Errorf("the plan contains a secret %s", where)
		}
	}
}

// watchProcesses looks at every process's arguments, the container's too, until it is stopped.
func watchProcesses(t *testing.T, secret string) (stop func()) {
	done, finished := make(chan struct{}), sync.WaitGroup{}
	finished.Add(1)
	looks := 0
	go func() {
		defer finished.Done()
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			looks++
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, line := range lines {
				text, _ := os.ReadFile(line)
				if acctest.FindSecret(string(text), secret) != "" {
					t.Errorf("a process has the secret among its arguments: %s", strings.SplitN(string(text), "\x00", 2)[0])
				}
			}
		}
	}()
	return func() {
		close(done)
		finished.Wait()
		if looks < 10 {
			t.Errorf("processes were looked at %d times only", looks)
		}
	}
}

func TestAccScheduleInAContainer(t *testing.T) {
	s := newSite(t)
	logs := filepath.Join(t.TempDir(), "trace.log")
	t.Setenv("TF_LOG", "TRACE")
	t.Setenv("TF_ACC_LOG_PATH", logs)
	stop := watchProcesses(t, s.password)
	defer stop()
	steps := []resource.TestStep{{Config: s.container()}}
	steps = append(steps, s.createAndRun(s.schedule(nil)+runOf("1"))...)
	steps = append(steps, s.change()...)
	steps = append(steps, s.drift()...)
	steps = append(steps, s.runPartlyAndBadly()...)
	steps = append(steps, s.fireByItself()...)
	steps = append(steps, s.loseAndRemove()...)
	s.test(steps)
	said, err := os.ReadFile(logs)
	if err != nil || len(said) < 100_000 {
		t.Fatalf("the log at TRACE is not there: %d bytes, %v", len(said), err)
	}
	if where := acctest.FindSecret(string(said), s.password); where != "" {
		t.Errorf("the log at TRACE contains the secret %s", where)
	}
}

// test runs the steps, and looks for the password in each one's plan and state.
func (s *site) test(steps []resource.TestStep) {
	s.Helper()
	for at := range steps {
		if strings.Contains(steps[at].Config, `variable "password"`) {
			steps[at].ConfigVariables = s.variables()
			if steps[at].ExpectError == nil && !steps[at].ImportState {
				steps[at].ConfigPlanChecks.PreApply = append(steps[at].ConfigPlanChecks.PreApply, noSecretInPlan{s.password})
				steps[at].Check = also(steps[at].Check, acctest.CheckNoSecret(s.password))
			}
		}
	}
	resource.Test(s.T, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: steps})
}

func also(checks ...resource.TestCheckFunc) resource.TestCheckFunc {
	var given []resource.TestCheckFunc
	for _, check := range checks {
		if check != nil {
			given = append(given, check)
		}
	}
	return resource.ComposeTestCheckFunc(given...)
}

func (s *site) createAndRun(configuration string) []resource.TestStep {
	return []resource.TestStep{
		{PreConfig: s.prepare, Config: configuration, Check: also(
			resource.TestCheckResourceAttr("recoup_backup_run.now", "result", "success"),
			resource.TestMatchResourceAttr("recoup_backup_run.now", "snapshot_id", regexp.MustCompile(`^[0-9a-f]{8}$`)),
			check(func() {
				if said, code := s.try("systemctl is-active restic-backup.timer"); code != 0 {
					s.Errorf("the timer is %s", said)
				}
				found := s.snapshots()
				if len(found) != 1 || strings.Join(found[0].Tags, ",") != "production" || found[0].Paths[0] != "/srv/files" {
					s.Errorf("the repository has %+v", found)
				}
				if said := s.run("stat -c '%a %U' /etc/restic.env"); said != "600 root" {
					s.Errorf("/etc/restic.env is %s", said)
				}
				units := s.run("cat /etc/systemd/system/restic-backup.* /etc/recoup/schedules/*; systemctl show restic-backup.service; journalctl --no-pager")
				if where := acctest.FindSecret(units, s.password); where != "" {
					s.Errorf("units, their properties or the journal contain the secret %s", where)
				}
			}))},
		{Config: configuration, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
	}
}

func (s *site) change() []resource.TestStep {
	configuration := s.schedule(map[string]string{"calendar": `["15 4 * * Mon"]`, "backup": `{ paths = ["/srv/files", "/srv/more"], tags = ["production"] }`})
	return []resource.TestStep{
		{Config: configuration + runOf("2"), ConfigPlanChecks: expectAction(plancheck.ResourceActionUpdate), Check: check(func() {
			if said := s.run("systemctl show restic-backup.timer --property=TimersCalendar"); !strings.Contains(said, "Mon *-*-* 04:15:00") {
				s.Errorf("the timer has %s", said)
			}
			paths := map[string]bool{}
			for _, each := range s.snapshots() {
				paths[strings.Join(each.Paths, " ")] = true
			}
			if !paths["/srv/files /srv/more"] {
				s.Errorf("no snapshot has both paths: %v", paths)
			}
		})},
	}
}

// drift does by hand to the machine what people do.
func (s *site) drift() []resource.TestStep {
	var steps []resource.TestStep
	for _, each := range []struct{ by, says string }{
		{"sed -i 's/^Persistent=.*/Persistent=no/' /etc/systemd/system/restic-backup.timer", `"Persistent=no" instead of "Persistent=yes"`},
		{"rm /etc/restic.env", "/etc/restic.env is not there"},
		{"echo RESTIC_PASSWORD=other > /etc/restic.env", "/etc/restic.env has another content (not shown: it holds secrets)"},
		{"chmod 644 /etc/restic.env", "/etc/restic.env has the mode 0644 instead of 0600"},
		{"systemctl stop restic-backup.timer", "restic-backup.timer is inactive instead of active"},
		{"systemctl disable restic-backup.timer", "restic-backup.timer is disabled instead of enabled"},
		{"rm /etc/systemd/system/restic-backup.service", "/etc/systemd/system/restic-backup.service is not there"},
	} {
		steps = append(steps, resource.TestStep{
			PreConfig: func() { s.run(each.by) },
			Config:    s.schedule(nil),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate), mentionsDrift{each.says}}},
			Check: check(func() {
				if said, code := s.try("systemctl is-enabled restic-backup.timer && systemctl is-active restic-backup.timer"); code != 0 {
					s.Errorf("after %q the timer is %s", each.by, said)
				}
				if where := acctest.FindSecret(s.run("cat /etc/restic.env"), s.password); where == "" {
					s.Errorf("after %q the environment file has not the password", each.by)
				}
			}),
		})
	}
	// The first of them also comes from the step before, which changed the schedule back.
	return append([]resource.TestStep{{Config: s.schedule(nil)}}, steps...)
}

// mentionsDrift expects a sentence among others.
type mentionsDrift struct{ says string }

func (c mentionsDrift) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		before, _ := change.Change.Before.(map[string]any)
		if change.Address == address && strings.Contains(fmt.Sprint(before["drift"]), c.says) {
			return
		}
	}
	resp.Error = fmt.Errorf("the plan does not show %q", c.says)
}

func (s *site) runPartlyAndBadly() []resource.TestStep {
	missing := map[string]string{"backup": `{ paths = ["/srv/files", "/srv/missing"], tags = ["production"] }`}
	wrong := s.schedule(map[string]string{"secret_environment_wo": `{ RESTIC_PASSWORD = "not the password" }`, "secret_environment_wo_version": "2"})
	return []resource.TestStep{
		{Config: s.schedule(missing) + runOf("3"), Check: also(
			resource.TestCheckResourceAttr("recoup_backup_run.now", "result", "partial"),
			resource.TestMatchResourceAttr("recoup_backup_run.now", "snapshot_id", regexp.MustCompile(`^[0-9a-f]{8}$`)))},
		{Config: wrong + runOf("4"), ExpectError: regexp.MustCompile(`exit\s+code\s+12:\s+the\s+password\s+is\s+wrong`)},
		{Config: s.schedule(map[string]string{"secret_environment_wo_version": "3"}) + runOf("4"),
			Check: resource.TestCheckResourceAttr("recoup_backup_run.now", "result", "success")},
	}
}

func (s *site) fireByItself() []resource.TestStep {
	return []resource.TestStep{{
		Config: s.schedule(map[string]string{"calendar": `["*-*-* *:*:0/7"]`, "secret_environment_wo_version": "3"}),
		Check: check(func() {
			before := s.run("journalctl -u restic-backup.service --no-pager | grep -c 'schedule restic-backup: done'")
			deadline := time.Now().Add(longest)
			for s.run("journalctl -u restic-backup.service --no-pager | grep -c 'schedule restic-backup: done'") == before {
				if time.Now().After(deadline) {
					s.Fatalf("the timer did not fire: %s", s.run("systemctl list-timers --all; systemctl status restic-backup.service || true"))
				}
				time.Sleep(time.Second)
			}
		}),
	}}
}

// loseAndRemove: the schedule goes and leaves the data, comes again, and is seen to be lost with its container.
func (s *site) loseAndRemove() []resource.TestStep {
	return []resource.TestStep{
		s.remove(s.container()),
		{Config: s.schedule(nil)},
		{
			PreConfig:        func() { s.incus.Command(s.T, "delete", "--force", s.name) },
			Config:           s.schedule(nil),
			ConfigPlanChecks: expectAction(plancheck.ResourceActionCreate),
			Check: check(func() {
				if said, code := s.try("systemctl is-active restic-backup.timer"); code != 0 {
					s.Errorf("the timer is %s", said)
				}
			}),
		},
	}
}

// remove applies a configuration without the schedule: nothing of it stays on the machine, and all in the repository.
func (s *site) remove(without string) resource.TestStep {
	kept := 0
	return resource.TestStep{PreConfig: func() { kept = len(s.snapshots()) }, Config: without, Check: check(func() {
		if left := s.run("ls -A /etc/recoup/schedules /etc/restic.env /etc/systemd/system/restic-backup.* 2>/dev/null || true"); strings.Contains(left, "restic") {
			s.Errorf("left behind: %s", left)
		}
		if said := s.run("systemctl list-units --all --no-legend 'restic-backup*'"); said != "" {
			s.Errorf("systemd still knows %s", said)
		}
		if now := len(s.snapshots()); now != kept || kept == 0 {
			s.Errorf("the repository has %d snapshots; it had %d", now, kept)
		}
	})}
}
