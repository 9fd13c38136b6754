// Acceptance tests of recoup_velero_backup_run.
package velero_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

const runAddress = "recoup_velero_backup_run.test"

const scheduleToRun = `{"apiVersion":"velero.io/v1","kind":"Schedule","metadata":{"name":%q,"labels":{"tier":"gold","velero.io/x":"y"},
	"annotations":{"note":"text"}},"spec":{"schedule":"@daily","useOwnerReferencesInBackup":%t,"template":%s}}`

func runBlock(schedule, trigger, more string) string {
	return fmt.Sprintf("resource \"recoup_velero_backup_run\" \"test\" {\n  schedule = %q\n  triggers = { of = %q }\n%s\n}\n", schedule, trigger, more)
}

// works does what Velero's server does with new backups: their schedule's name says how they end.
func (s site) works() {
	s.server(func() {
		for _, backup := range s.List(s.T, "backups", s.namespace) {
			name := field(backup, "metadata", "name").(string)
			end := ""
			switch phase := field(backup, "status", "phase"); {
			case phase == nil:
				end = `"phase":"InProgress","startTimestamp":"2026-11-27T02:00:00Z","expiration":"2026-12-04T02:00:00Z"`
			case phase != "InProgress":
				continue
			default:
				end = map[any]string{
					"good":    `"phase":"Completed","completionTimestamp":"2026-11-27T02:01:00Z","warnings":2`,
					"bad":     `"phase":"PartiallyFailed","completionTimestamp":"2026-11-27T02:01:00Z","errors":3`,
					"worse":   `"phase":"Failed","failureReason":"found a backup with status InProgress during the server starting"`,
					"invalid": `"phase":"FailedValidation","validationErrors":["an existing backup storage location was not specified"]`,
				}[field(backup, "metadata", "labels", "velero.io/schedule-name")]
			}
			if schedule := field(backup, "metadata", "labels", "velero.io/schedule-name"); schedule == "bad" && strings.Contains(end, "PartiallyFailed") {
				s.failVolume(name)
			}
			if end != "" {
				_ = s.TryPatch("backups", s.namespace, name, "velero-server", `{"status":{`+end+`}}`)
			}
		}
	})
}

func TestAccRun(t *testing.T) {
	s := newSite(t)
	s.works()
	s.Create(t, "schedules", s.namespace, "velero", fmt.Sprintf(scheduleToRun, "good", true, `{"includedNamespaces":["db"],"ttl":"168h0m0s","hooks":{}}`))
	number := func(name string, wanted int64) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(runAddress, tfjsonpath.New(name), knownvalue.Int64Exact(wanted))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: s.config(runBlock(s.namespace+"/good", "1", "")), ConfigPlanChecks: quiet,
				ConfigStateChecks: statechecks(words(runAddress, "phase", "Completed"), words(runAddress, "started_at", "2026-11-27T02:00:00Z"),
					words(runAddress, "completed_at", "2026-11-27T02:01:00Z"), words(runAddress, "expires_at", "2026-12-04T02:00:00Z"), number("warnings", 2), number("errors", 0))},
			{PreConfig: s.expectOneRun, Config: s.config(runBlock(s.namespace+"/good", "1", "timeouts = { create = \"5m\" }")), ConfigPlanChecks: inPlace(runAddress)},
			{Config: s.config(runBlock("good", "2", "wait = false")), ConfigPlanChecks: planned(runAddress, plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
	if left := s.List(t, "backups", s.namespace); len(left) != 2 {
		t.Errorf("there should be two backups: %v", left)
	}
}

// expectOneRun compares with what Velero's client makes: pkg/builder, FromSchedule.
func (s site) expectOneRun() {
	s.Helper()
	all := s.List(s.T, "backups", s.namespace)
	if len(all) != 1 {
		s.Fatalf("there should be one backup: %v", all)
	}
	metadata := all[0]["metadata"].(map[string]any)
	if name := metadata["name"].(string); !regexp.MustCompile(`^good-20\d{12}$`).MatchString(name) {
		s.Errorf("its name is %s", name)
	}
	schedule := s.get("schedules", "good")
	for key, wanted := range map[string]any{
		"labels":      map[string]any{"tier": "gold", "velero.io/x": "y", "velero.io/schedule-name": "good"},
		"annotations": map[string]any{"note": "text"},
		"ownerReferences": []any{map[string]any{"apiVersion": "velero.io/v1", "kind": "Schedule", "name": "good",
			"uid": field(schedule, "metadata", "uid"), "controller": true}},
	} {
		if difference := cmp.Diff(wanted, metadata[key]); difference != "" {
			s.Errorf("%s: %s", key, difference)
		}
	}
	if difference := cmp.Diff(field(schedule, "spec", "template"), all[0]["spec"]); difference != "" {
		s.Error(difference)
	}
	if field(schedule, "status", "lastBackup") != nil {
		s.Error("the schedule was touched")
	}
}

// Labels of the template stand for those of the schedule.
func TestAccRunWithLabelsOfTheTemplate(t *testing.T) {
	s := newSite(t)
	s.works()
	s.Create(t, "schedules", s.namespace, "velero", fmt.Sprintf(scheduleToRun, "good", false, `{"metadata":{"labels":{"a":"b"}}}`))
	w := acctest.NewWorkspace(t, s.config(runBlock("good", "1", "")))
	w.Apply()
	made := s.List(t, "backups", s.namespace)
	if len(made) != 1 {
		t.Fatalf("there should be one backup: %v", made)
	}
	if difference := cmp.Diff(map[string]any{"a": "b", "velero.io/schedule-name": "good"}, field(made[0], "metadata", "labels")); difference != "" {
		t.Error(difference)
	}
	if difference := cmp.Diff(field(made[0], "metadata", "labels"), field(made[0], "spec", "metadata", "labels")); difference != "" {
		t.Errorf("not as Velero's client has it: %s", difference)
	}
	if field(made[0], "metadata", "ownerReferences") != nil {
		t.Error("nobody said that the schedule owns it")
	}
	w.MustBeEmpty()
	// What has ended has ended, also when Velero has removed it; and a destroy leaves it and says so.
	acctest.MustContain(t, w.Must("plan", "-destroy", "-no-color"), "Velero Backup Will Be Left in Place")
	acctest.MustContain(t, w.Destroy(), "Velero Backup Left in Place", "until it expires", "velero -n "+s.namespace+" backup delete good-")
	if left := s.List(t, "backups", s.namespace); len(left) != 1 {
		t.Errorf("a destroy removed the backup: %v", left)
	}
	w.Apply()
	for _, each := range s.List(t, "backups", s.namespace) {
		s.Delete(t, "backups", s.namespace, field(each, "metadata", "name").(string))
	}
	w.MustBeEmpty()
}

func TestAccRunThatFails(t *testing.T) {
	s := newSite(t)
	s.works()
	for _, name := range []string{"good", "bad", "worse", "invalid", "slow"} {
		s.Create(t, "schedules", s.namespace, "velero", fmt.Sprintf(scheduleToRun, name, false, `{}`))
	}
	for name, test := range map[string]struct{ schedule, more, says string }{
		"partially": {"bad", "", `bad-\d+ ended as PartiallyFailed.*volume db/data-postgres-0: restic: exit status 3.*counted 3 errors.*backup logs bad-`},
		"failed":    {"worse", "", `ended as Failed.*found a backup with status InProgress`},
		"invalid":   {"invalid", "", `ended as FailedValidation.*location was not specified`},
		"too slow":  {"slow", "timeouts = { create = \"20s\" }", `is in phase InProgress after .*goes on.*timeouts\.create`},
		"missing":   {"missing", "", `There is no Schedule velero-\w+/missing.*recoup_velero_schedule\.NAME\.id`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: s.config(runBlock(test.schedule, "1", test.more)), ExpectError: says(test.says)},
					// It is tainted: the next apply makes another one.
					{Config: s.config(runBlock("good", "1", "")), ConfigPlanChecks: quiet}}})
		})
	}
}

// A backup that nobody waited for may fail later: the plan that finds it so tells of it, once it is in the state no more.
func TestAccRunThatFailsLater(t *testing.T) {
	s := newSite(t)
	s.Create(t, "schedules", s.namespace, "velero", fmt.Sprintf(scheduleToRun, "daily", false, `{}`))
	w := acctest.NewWorkspace(t, s.config(runBlock("daily", "1", "wait = false")))
	w.Apply()
	name := field(s.List(t, "backups", s.namespace)[0], "metadata", "name").(string)
	s.velero("backups", name, `{"status":{"phase":"InProgress"}}`)
	if said := w.Must("plan", "-no-color"); strings.Contains(said, "Warning: Velero") {
		t.Errorf("it goes on, but: %s", said)
	}
	s.velero("backups", name, `{"status":{"phase":"Failed","failureReason":"the disk is full"}}`)
	acctest.MustContain(t, w.Must("plan", "-no-color"), "Velero Backup Failed", "ended as Failed", "the disk is full", "change triggers", "No changes")
	acctest.MustContain(t, w.Must("apply", "-refresh-only", "-auto-approve", "-no-color"), "the disk is full")
	if said := w.Must("plan", "-no-color"); strings.Contains(said, "the disk is full") {
		t.Errorf("it was told already: %s", said)
	}
	w.Destroy()
}

// failVolume makes the PodVolumeBackup of a node agent that failed. Its name is the backup's.
func (s site) failVolume(backup string) {
	document := fmt.Sprintf(`{"apiVersion":"velero.io/v1","kind":"PodVolumeBackup","metadata":{"name":%q,"labels":{"velero.io/backup-name":%q},
		"annotations":{"velero.io/pvc-name":"data-postgres-0"}},"spec":{"node":"n1","pod":{"kind":"Pod","namespace":"db","name":"postgres-0"},"volume":"data",
		"backupStorageLocation":"minio","repoIdentifier":"s3:x","uploaderType":"restic","tags":{}},
		"status":{"phase":"Failed","message":"restic: exit status 3"}}`, backup, backup)
	s.Create(s.T, "podvolumebackups", s.namespace, "velero-node-agent", document)
}
