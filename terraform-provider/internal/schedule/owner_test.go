package schedule_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

func file(path, content string) guest.File {
	return guest.File{Path: path, Content: []byte(content), Mode: 0o644}
}

func says(words string) *regexp.Regexp {
	return regexp.MustCompile(strings.Join(strings.Fields(regexp.QuoteMeta(words)), `\s+(?:│\s*)?`))
}

func TestForeignUnitIsRefusedUntilTold(t *testing.T) {
	w := newWorld(file(timerFile, "[Timer]\nOnCalendar=hourly\n"))
	test(t, w,
		resource.TestStep{Config: declared("nightly", nil), ExpectError: says("was not written by recoup. Choose another `name`, remove what is there, or say `overwrite = true`")},
		resource.TestStep{Config: declared("nightly", map[string]string{"overwrite": "true"}),
			Check: check(func() { wantContent(t, w.machine, timerFile, "on 0 2 * * *", 0o644) })})
}

func TestForeignEnvironmentFileIsRefusedUntilTold(t *testing.T) {
	w := newWorld(file(environment, "RESTIC_PASSWORD=by hand\n"))
	test(t, w,
		resource.TestStep{Config: declared("nightly", withSecrets(nil)), ExpectError: says("Leave `secret_environment_wo` out to use it as it is")},
		resource.TestStep{Config: declared("nightly", nil),
			Check: check(func() { wantContent(t, w.machine, environment, "RESTIC_PASSWORD=by hand", 0o644) })},
		resource.TestStep{Config: declared("nightly", withSecrets(nil)), ExpectError: says("was not written by recoup")},
		resource.TestStep{Config: declared("nightly", withSecrets(map[string]string{"overwrite": "true"})),
			Check: check(func() { wantContent(t, w.machine, environment, secretPassword, 0o600) })})
}

func TestHandWrittenEnvironmentFileOutlivesTheSchedule(t *testing.T) {
	w := newWorld(file(environment, "RESTIC_PASSWORD=by hand\n"))
	test(t, w,
		resource.TestStep{Config: declared("nightly", nil)},
		resource.TestStep{Config: declared("nightly", nil), Destroy: true,
			Check: check(func() { wantContent(t, w.machine, environment, "RESTIC_PASSWORD=by hand", 0o644) })})
}

func TestScheduleThatTheStateDoesNotKnowIsImported(t *testing.T) {
	w := newWorld()
	config := declared("nightly", withSecrets(map[string]string{"retention": `{ keep_daily = 7, keep_tags = [["keep"]] }`, "enabled": "false", "environment": `{ RESTIC_PROCS = "2" }`}))
	forget := "removed {\n  from = recoup_schedule.nightly\n  lifecycle {\n    destroy = false\n  }\n}\n"
	test(t, w,
		resource.TestStep{Config: config},
		resource.TestStep{Config: config, ResourceName: address, ImportState: true, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"secret_environment_wo_version"}},
		resource.TestStep{Config: forget},
		resource.TestStep{Config: config, ExpectError: says("terraform import ADDRESS 'incus:default/files#restic-backup'")},
		resource.TestStep{
			Config: config + "import {\n  to = recoup_schedule.nightly\n  id = \"incus:default/files#restic-backup\"\n}\n",
			// The version of the secrets is all that the machine does not know.
			ConfigPlanChecks: expectAction(plancheck.ResourceActionUpdate),
		})
}

func TestImportSaysWhatIsWrong(t *testing.T) {
	w := newWorld(file(timerFile, "[Timer]\n"))
	test(t, w,
		resource.TestStep{Config: declared("nightly", nil), ResourceName: address, ImportState: true, ImportStateId: "restic-backup",
			ExpectError: says("Write TARGET#NAME")},
		resource.TestStep{Config: declared("nightly", nil), ResourceName: address, ImportState: true, ImportStateId: "local#restic-backup",
			ExpectError: says("Units that were written by hand cannot be imported")})
}

func TestSchedulesShareAnEnvironmentFile(t *testing.T) {
	w := newWorld()
	owner := declared("nightly", withSecrets(nil))
	reader := declared("hourly", map[string]string{"name": `"hourly"`})
	test(t, w,
		resource.TestStep{Config: owner + declared("hourly", withSecrets(map[string]string{"name": `"hourly"`, "depends_on": "[recoup_schedule.nightly]"})),
			ExpectError: says("written by the schedule restic-backup of the same machine. Leave `secret_environment_wo` out here")},
		resource.TestStep{Config: owner + reader},
		resource.TestStep{Config: reader, Check: check(func() { wantContent(t, w.machine, environment, secretPassword, 0o600) })},
		resource.TestStep{Config: reader, Destroy: true, Check: check(func() {
			if slices.Contains(w.machine.Paths(), environment) {
				t.Error("the environment file, with secrets, outlived the last schedule")
			}
		})})
}

func TestRefusedWhilePlanning(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]struct {
		attributes map[string]string
		says       string
	}{
		"calendar":       {map[string]string{"calendar": `["0 2 * * *", "61 2 * * *"]`}, "There is no minute 61."},
		"no calendar":    {map[string]string{"calendar": `[]`}, "at least 1 elements"},
		"name":           {map[string]string{"name": `"a b"`}, "must be usable as a unit's name"},
		"name's ending":  {map[string]string{"name": `"x.timer"`}, `write "x"`},
		"relative path":  {map[string]string{"backup": `{ paths = ["srv"] }`}, "must be an absolute path"},
		"no paths":       {map[string]string{"backup": `{ paths = [] }`}, "at least 1 elements"},
		"count":          {map[string]string{"retention": `{ keep_daily = -7 }`}, "between -1 and"},
		"keeps nothing":  {map[string]string{"retention": `{ keep_daily = 0 }`}, "This retention keeps no snapshot at all"},
		"secret in view": {map[string]string{"environment": `{ AWS_SECRET_ACCESS_KEY = "x" }`}, "Put it into `secret_environment_wo`"},
		"no version":     {map[string]string{"secret_environment_wo": `{ RESTIC_PASSWORD = "x" }`}, "secret_environment_wo_version"},
		"nice":           {map[string]string{"limits": `{ nice = 20 }`}, "between -20 and 19"},
		"target":         {map[string]string{"target": `"files"`}, "is not the address of a guest"},
		"target with #":  {map[string]string{"target": `"local#restic-backup"`}, "Give the part before it"},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, newWorld(), resource.TestStep{Config: declared("nightly", wrong.attributes), PlanOnly: true, ExpectError: says(wrong.says)})
		})
	}
}

// Everything may be unknown while planning, because it comes from what the same apply creates.
func TestUnknownWhilePlanning(t *testing.T) {
	w := newWorld()
	config := `resource "terraform_data" "later" { input = { paths = ["/srv"], target = "incus:default/later", time = "0 5 * * *", password = "x" } }` + "\n" +
		declared("nightly", map[string]string{
			"target": "terraform_data.later.output.target", "backup": "{ paths = terraform_data.later.output.paths }",
			"calendar": "[terraform_data.later.output.time]", "secret_environment_wo": "{ RESTIC_PASSWORD = terraform_data.later.output.password }",
			"secret_environment_wo_version": "1",
		})
	test(t, w, resource.TestStep{Config: config, Check: resource.ComposeAggregateTestCheckFunc(
		resource.TestCheckResourceAttr(address, "id", "incus:default/later#restic-backup"),
		resource.TestCheckResourceAttr(address, "on_calendar.0", "on 0 5 * * *"))})
}

func TestMissingExecutableIsSaid(t *testing.T) {
	w := newWorld()
	test(t, w, resource.TestStep{Config: declared("nightly", map[string]string{"executable": `"/opt/recoup"`}),
		ExpectError: says("There is no executable /opt/recoup on the target")},
		resource.TestStep{Config: declared("nightly", nil), Check: func(*terraform.State) error {
			if w.machine.File(timerFile).Content == nil {
				return fmt.Errorf("nothing was written")
			}
			return nil
		}})
}

// Units that were deleted by hand are still running in systemd, and the link that enabled the timer is still there.
func TestDeletedByHandIsStoppedAllTheSame(t *testing.T) {
	w := newWorld()
	link := "/etc/systemd/system/timers.target.wants/restic-backup.timer"
	test(t, w,
		resource.TestStep{Config: declared("nightly", nil)},
		resource.TestStep{PreConfig: func() {
			w.machine.Put(file(link, "a link"))
			w.machine.Remove(timerFile)
			w.machine.Remove(serviceFile)
		}, Config: declared("nightly", nil), Destroy: true, Check: check(func() {
			if _, active := w.machine.Timer("restic-backup.timer"); active || slices.Contains(w.machine.Paths(), link) {
				t.Errorf("active %v, left %q", active, w.machine.Paths())
			}
		})})
}

// A machine that is stopped runs no timer: its files go all the same.
func TestRemovedFromAStoppedMachine(t *testing.T) {
	w := newWorld()
	test(t, w,
		resource.TestStep{Config: declared("nightly", withSecrets(nil))},
		resource.TestStep{PreConfig: func() {
			w.machine.Fail = func(call string) error {
				if strings.HasPrefix(call, "Run ") {
					return fmt.Errorf("files: %w", guest.ErrStopped)
				}
				return nil
			}
		}, Config: declared("nightly", withSecrets(nil)), Destroy: true, Check: check(func() {
			if left := w.machine.Paths(); len(left) != 1 {
				t.Errorf("left behind: %q", left)
			}
		})})
}
