// Acceptance tests of recoup_velero_schedule.
package velero_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

const scheduleAddress = "recoup_velero_schedule.test"

func scheduleBlock(body string) string {
	return "resource \"recoup_velero_schedule\" \"test\" {\n" + body + "\n}\n"
}

const everything = `
  name             = "daily"
  schedule         = "0 2 * * *"
  paused           = %t
  skip_immediately = true
  labels           = { tier = "gold", "example.net/owner" = "ops" }
  annotations      = { note = "made by Terraform" }
  template = {
    included_namespaces          = ["media", "db"]
    excluded_resources           = ["events"]
    ttl                          = "168h"
    storage_location             = "minio"
    default_volumes_to_fs_backup = true
    snapshot_volumes             = false
    parallel_files_upload        = 2
    labels                       = { schedule = "daily" }
    ordered_resources            = { pods = "db/postgres-0" }
    or_label_selectors = [
      { match_labels = { app = "plex" } },
      { match_expressions = [{ key = "tier", operator = "NotIn", values = ["scratch"] }] },
    ]
    hooks = jsonencode({ resources = [{ name = "pg", includedNamespaces = ["db"], pre = [{ exec = { command = ["sync"], timeout = "30s" } }] }] })
    other_settings = jsonencode({ datamover = "velero" })
  }
`

func TestAccScheduleWithEverything(t *testing.T) {
	s := newSite(t)
	config := func(paused bool) string { return s.config(scheduleBlock(fmt.Sprintf(everything, paused))) }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config(false), ConfigPlanChecks: quiet, Check: acctest.CheckNoSecret(s.Token),
				ConfigStateChecks: statechecks(words(scheduleAddress, "id", s.namespace+"/daily"))},
			// Velero looks at it: its status, and skipImmediately set back, are no drift, and stay.
			{PreConfig: func() {
				s.expectEverything()
				s.velero("schedules", "daily", `{"spec":{"skipImmediately":false},"status":{"phase":"Enabled","lastSkipped":"2026-11-27T02:00:00Z","lastBackup":"2026-11-27T02:00:00Z"}}`)
			}, Config: config(false), ConfigPlanChecks: nothing,
				ConfigStateChecks: statechecks(words(scheduleAddress, "phase", "Enabled"), words(scheduleAddress, "last_backup", "2026-11-27T02:00:00Z"))},
			{Config: config(true), ConfigPlanChecks: inPlace(scheduleAddress)},
			{PreConfig: func() {
				s.expect("schedules", "daily", true, "spec", "paused")
				s.expect("schedules", "daily", false, "spec", "skipImmediately")
				s.expect("schedules", "daily", "Enabled", "status", "phase")
				s.expect("schedules", "daily", "2026-11-27T02:00:00Z", "status", "lastSkipped")
			}, Config: config(false), ConfigPlanChecks: inPlace(scheduleAddress)},
			// The end of a pause must not make a backup at once, so it is said again.
			{PreConfig: func() {
				s.expect("schedules", "daily", nil, "spec", "paused")
				s.expect("schedules", "daily", true, "spec", "skipImmediately")
				s.expect("schedules", "daily", "Enabled", "status", "phase")
			}, ResourceName: scheduleAddress, ImportState: true, ImportStateId: s.namespace + "/daily", ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"skip_immediately", "timeouts", "template.hooks"}},
			// Other hands, by kubectl edit and Velero's own client.
			{PreConfig: func() {
				s.Patch(s.T, "schedules", s.namespace, "daily", "kubectl-edit", `{"metadata":{"labels":{"tier":"lead","others":"stay"}},
					"spec":{"schedule":"0 3 * * *","template":{"ttl":"24h0m0s","excludedNamespaces":["db"],"snapshotMoveData":true}}}`)
				s.Patch(s.T, "schedules", s.namespace, "daily", "velero", `{"spec":{"paused":true}}`)
			}, Config: config(false), ConfigPlanChecks: inPlace(scheduleAddress)},
			{PreConfig: func() {
				s.expectEverything()
				s.expect("schedules", "daily", "stay", "metadata", "labels", "others")
			}, Config: config(false), ConfigPlanChecks: nothing},
			// Less: what is left out is not there any more.
			{Config: s.config(scheduleBlock("name = \"daily\"\nschedule = \"@every 6h\"")), ConfigPlanChecks: inPlace(scheduleAddress)},
			{PreConfig: func() {
				found := s.get("schedules", "daily")
				if difference := cmp.Diff(map[string]any{"schedule": "@every 6h", "template": map[string]any{}, "skipImmediately": true}, found["spec"]); difference != "" {
					t.Error(difference)
				}
				if difference := cmp.Diff(map[string]any{"others": "stay"}, field(found, "metadata", "labels")); difference != "" {
					t.Error(difference)
				}
				s.expect("schedules", "daily", "Enabled", "status", "phase")
			}, Config: s.config(scheduleBlock("name = \"daily\"\nschedule = \"@every 6h\"")), ConfigPlanChecks: nothing},
			// Another name is another schedule.
			{Config: s.config(scheduleBlock("name = \"nightly\"\nschedule = \"@daily\"")),
				ConfigPlanChecks: planned(scheduleAddress, plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
	if left := s.List(t, "schedules", s.namespace); len(left) > 0 {
		t.Errorf("a destroy left %v", left)
	}
}

func (s site) expectEverything() {
	s.Helper()
	found := s.get("schedules", "daily")
	spec := found["spec"].(map[string]any)
	delete(spec, "skipImmediately")
	delete(spec, "paused") // where it is false
	var wanted map[string]any
	_ = json.Unmarshal([]byte(`{"schedule":"0 2 * * *","template":{"includedNamespaces":["db","media"],"excludedResources":["events"],"ttl":"168h",
		"storageLocation":"minio","defaultVolumesToFsBackup":true,"snapshotVolumes":false,"uploaderConfig":{"parallelFilesUpload":2},
		"metadata":{"labels":{"schedule":"daily"}},"orderedResources":{"pods":"db/postgres-0"},"datamover":"velero",
		"orLabelSelectors":[{"matchLabels":{"app":"plex"}},{"matchExpressions":[{"key":"tier","operator":"NotIn","values":["scratch"]}]}],
		"hooks":{"resources":[{"name":"pg","includedNamespaces":["db"],"pre":[{"exec":{"command":["sync"],"timeout":"30s"}}]}]}}}`), &wanted)
	if difference := cmp.Diff(wanted, spec); difference != "" {
		s.Errorf("the schedule is not as declared: %s", difference)
	}
	s.expect("schedules", "daily", "gold", "metadata", "labels", "tier")
	s.expect("schedules", "daily", "made by Terraform", "metadata", "annotations", "note")
}

// What `velero schedule pause` and `unpause` write anew on the way, and labels that are null, are no drift.
func TestAccScheduleThatVelerosClientPaused(t *testing.T) {
	s := newSite(t)
	config := s.config(scheduleBlock(`name = "daily"
		schedule = "@daily"
		labels   = { tier = null, team = "a" }
		template = {
			included_namespaces = [null]
			hooks = jsonencode({ resources = [{ name = "pg", pre = [{ exec = { command = ["sync"], timeout = "1m" } }], post = [{ exec = { command = ["true"] } }] }] })
		}`))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config, ConfigPlanChecks: quiet},
			{PreConfig: func() {
				s.Patch(t, "schedules", s.namespace, "daily", "velero", `{"spec":{"template":{"csiSnapshotTimeout":"0s","itemOperationTimeout":"0s","ttl":"0s","metadata":{},
					"hooks":{"resources":[{"name":"pg","pre":[{"exec":{"command":["sync"],"timeout":"1m0s"}}],"post":[{"exec":{"command":["true"],"timeout":"0s"}}]}]}}}}`)
			}, Config: config, ConfigPlanChecks: nothing},
		},
	})
}

// A schedule that Velero's own client made, with what that writes everywhere, is imported and then declared: a change of nothing.
func TestAccScheduleOfVelerosClient(t *testing.T) {
	s := newSite(t)
	s.Create(t, "schedules", s.namespace, "velero", `{"apiVersion":"velero.io/v1","kind":"Schedule","metadata":{"name":"weekly",
		"labels":{"app.kubernetes.io/managed-by":"Helm"}},"spec":{"schedule":"0 2 * * 0","skipImmediately":null,"useOwnerReferencesInBackup":false,
		"template":{"csiSnapshotTimeout":"0s","hooks":{},"includedNamespaces":["*"],"itemOperationTimeout":"0s","metadata":{},"ttl":"672h0m0s"}}}`)
	declared := scheduleBlock("name = \"weekly\"\nschedule = \"0 2 * * 0\"\ntemplate = { ttl = \"672h\" }")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: s.config(declared), ExpectError: says(`There is a Schedule velero-\w+/weekly on the cluster already.*terraform import recoup_velero_schedule\.NAME velero-\w+/weekly`)},
			{Config: s.config(declared + "import {\n  to = " + scheduleAddress + "\n  id = \"weekly\"\n}\n"), ConfigPlanChecks: quiet},
			{PreConfig: func() { s.expect("schedules", "weekly", "672h0m0s", "spec", "template", "ttl") }, Config: s.config(declared), ConfigPlanChecks: nothing},
		},
	})
}

// What another program applies is not taken from it unless it is said so.
func TestAccScheduleConflict(t *testing.T) {
	s := newSite(t)
	config := func(more string) string {
		return s.config(scheduleBlock("name = \"daily\"\nschedule = \"@daily\"\n" + more))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config(""), ConfigPlanChecks: quiet},
			{PreConfig: func() {
				s.Apply(t, "schedules", s.namespace, "daily", "argocd-controller", `{"apiVersion":"velero.io/v1","kind":"Schedule","metadata":{"name":"daily"},"spec":{"paused":true}}`)
			}, Config: config(""), ExpectError: says(`\.spec\.paused \(by argocd-controller\).*force_conflicts = true`)},
			{PreConfig: func() { s.expect("schedules", "daily", true, "spec", "paused") }, Config: config("force_conflicts = true"), ConfigPlanChecks: quiet},
			{PreConfig: func() { s.expect("schedules", "daily", nil, "spec", "paused") }, Config: config("force_conflicts = true"), ConfigPlanChecks: nothing},
		},
	})
}

func TestAccScheduleVanishedAndStuck(t *testing.T) {
	s := newSite(t)
	config := func(limit string) string {
		return s.config(scheduleBlock("name = \"daily\"\nschedule = \"@daily\"\ntimeouts = { delete = \"" + limit + "\" }"))
	}
	w := acctest.NewWorkspace(t, config("15s"))
	w.Apply()
	s.Delete(t, "schedules", s.namespace, "daily")
	acctest.MustContain(t, w.Must("plan", "-no-color"), "Velero Schedule Vanished", "1 to add")
	w.Apply()
	w.MustBeEmpty()

	s.velero("schedules", "daily", `{"metadata":{"finalizers":["example.net/keep"]}}`)
	said := w.Fails("destroy", "-auto-approve", "-no-color")
	acctest.MustContain(t, said, "Unable to Delete Velero Schedule", "example.net/keep", "kubectl -n "+s.namespace+" patch")
	s.velero("schedules", "daily", `{"metadata":{"finalizers":null}}`)
	acctest.MustContain(t, w.Destroy(), "Destroy complete")

	w.Apply()
	acctest.MustContain(t, w.Destroy(), "Backups Kept", "each until it expires")
	if left := s.List(t, "schedules", s.namespace); len(left) > 0 {
		t.Errorf("a destroy left %v", left)
	}
}

// What Velero itself refuses is said when Terraform looks.
func TestAccScheduleThatVeleroRefuses(t *testing.T) {
	s := newSite(t)
	w := acctest.NewWorkspace(t, s.config(scheduleBlock("name = \"daily\"\nschedule = \"@daily\"")))
	w.Apply()
	s.velero("schedules", "daily", `{"status":{"phase":"FailedValidation","validationErrors":["invalid schedule: unknown time zone"]}}`)
	acctest.MustContain(t, w.Must("plan", "-no-color"), "Velero Refuses a Schedule", "unknown time zone", "No changes")
}

func TestAccScheduleErrors(t *testing.T) {
	s := newSite(t)
	for name, test := range map[string]struct{ body, says string }{
		"six fields":     {"name = \"a\"\nschedule = \"0 0 2 * * *\"", `expected exactly 5 fields.*Write five fields`},
		"no zone":        {"name = \"a\"\nschedule = \"CRON_TZ=Nowhere/City 0 2 * * *\"", `no time zone "Nowhere/City"`},
		"days":           {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { ttl = \"7d\" }", `168h for 7 days`},
		"a name":         {"name = \"A_b\"\nschedule = \"@daily\"", `cannot be the name of this object`},
		"a long name":    {"name = \"" + strings.Repeat("a", 64) + "\"\nschedule = \"@daily\"", `up to 63`},
		"old and new":    {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { included_resources = [\"pods\"], excluded_cluster_scoped_resources = [\"nodes\"] }", `older filters or the four newer`},
		"in and out":     {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { included_namespaces = [\"db\"], excluded_namespaces = [\"db\"] }", `"db" is both`},
		"all and one":    {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { included_namespaces = [\"*\", \"db\"] }", `stands for all`},
		"nothing":        {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { excluded_resources = [\"*\"] }", `does not leave out all resources`},
		"all out":        {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { excluded_cluster_scoped_resources = [\"*\"], included_cluster_scoped_resources = [\"nodes\"] }", `All are excluded`},
		"a namespace":    {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { included_namespaces = [\"DB\"] }", `"DB" cannot be the name of a namespace`},
		"its namespace":  {"name = \"a\"\nschedule = \"@daily\"\nnamespace = \"a.b\"", `"a\.b" cannot be the name of a namespace`},
		"two dots":       {"name = \"a..b\"\nschedule = \"@daily\"", `cannot be the name of this object`},
		"no values":      {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { label_selector = { match_expressions = [{ key = \"a\", operator = \"In\" }] } }", `In needs values`},
		"values":         {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { or_label_selectors = [{ match_expressions = [{ key = \"a\", operator = \"Exists\", values = [\"b\"] }] }] }", `Exists takes no values`},
		"a selector":     {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { label_selector = { match_labels = { a = \"b c\" } } }", `cannot be the value of a label`},
		"a policy":       {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { other_settings = jsonencode({ resourcePolicy = { kind = \"configmap\" } }) }", `resource_policy_configmap`},
		"not yet":        {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { annotations = { a = \"b\" } }", `unknown field.*metadata\.annotations`},
		"hooks":          {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { hooks = \"[]\" }", `must be a JSON object`},
		"said twice":     {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { other_settings = jsonencode({ ttl = \"1h\" }) }", `ttl has an attribute of its own`},
		"a label":        {"name = \"a\"\nschedule = \"@daily\"\nlabels = { a = \"b c\" }", `cannot be the value of a label`},
		"unknown field":  {"name = \"a\"\nschedule = \"@daily\"\ntemplate = { other_settings = jsonencode({ ofTomorrow = true }) }", `unknown field.*ofTomorrow.*upgrade Velero`},
		"an odd import":  {"name = \"a\"\nschedule = \"@daily\"\n}\nimport {\n  to = " + scheduleAddress + "\n  id = \"a/b/c\"", `NAMESPACE/NAME`},
		"missing import": {"name = \"a\"\nschedule = \"@daily\"\n}\nimport {\n  to = " + scheduleAddress + "\n  id = \"missing\"", `Cannot import non-existent remote object`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: s.config(scheduleBlock(test.body)), ExpectError: says(test.says)}}})
		})
	}
}
