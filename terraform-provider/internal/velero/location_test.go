// Acceptance tests of recoup_velero_backup_location.
package velero_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

const locationAddress = "recoup_velero_backup_location.test"

func locationBlock(body string) string {
	return "resource \"recoup_velero_backup_location\" \"test\" {\n" + body + "\n}\n"
}

func TestAccLocationWithEverything(t *testing.T) {
	s := newSite(t)
	config := func(more string) string {
		return s.config(locationBlock(fmt.Sprintf(`
  name                 = "minio"
  bucket               = "velero-backups"
  prefix               = "lab"
  region               = "minio"
  s3_url               = "http://10.20.0.103:9000"
  s3_force_path_style  = true
  ca_cert              = %q
  credential           = { name = "cloud-credentials", key = "cloud" }
  backup_sync_period   = "2m"
  config               = { checksumAlgorithm = "" }
  %s
`, s.CACertificate, more)))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config(""), ConfigPlanChecks: quiet, ConfigStateChecks: statechecks(words(locationAddress, "access_mode", "ReadWrite"), words(locationAddress, "object_store", "aws"))},
			// Velero makes it the default one, since nobody said otherwise, and looks at it.
			{PreConfig: func() {
				wanted := map[string]any{"provider": "aws", "accessMode": "ReadWrite", "backupSyncPeriod": "2m", "credential": map[string]any{"name": "cloud-credentials", "key": "cloud"},
					"config": map[string]any{"region": "minio", "s3Url": "http://10.20.0.103:9000", "s3ForcePathStyle": "true", "checksumAlgorithm": ""}}
				spec := s.get("backupstoragelocations", "minio")["spec"].(map[string]any)
				store := spec["objectStorage"].(map[string]any)
				delete(spec, "objectStorage")
				if difference := cmp.Diff(wanted, spec); difference != "" {
					t.Error(difference)
				}
				if store["bucket"] != "velero-backups" || store["prefix"] != "lab" || store["caCert"] == nil {
					t.Errorf("its store is %v", store)
				}
				s.velero("backupstoragelocations", "minio", `{"spec":{"default":true},"status":{"phase":"Available","lastValidationTime":"2026-11-27T02:00:00Z"}}`)
			}, Config: config(""), ConfigPlanChecks: nothing, ConfigStateChecks: statechecks(words(locationAddress, "phase", "Available"), words(locationAddress, "last_validation", "2026-11-27T02:00:00Z"))},
			{Config: config("access_mode = \"ReadOnly\"\nvalidation_frequency = \"0s\""), ConfigPlanChecks: inPlace(locationAddress)},
			{PreConfig: func() {
				s.expect("backupstoragelocations", "minio", "ReadOnly", "spec", "accessMode")
				s.expect("backupstoragelocations", "minio", true, "spec", "default")
				s.expect("backupstoragelocations", "minio", "Available", "status", "phase")
			}, ResourceName: locationAddress, ImportState: true, ImportStateId: s.namespace + "/minio", ImportStateVerify: true, ImportStateVerifyIgnore: []string{"timeouts"}},
			{PreConfig: func() {
				s.Patch(t, "backupstoragelocations", s.namespace, "minio", "kubectl-edit", `{"spec":{"objectStorage":{"bucket":"elsewhere"},"config":{"publicUrl":"http://x","s3ForcePathStyle":null}}}`)
			}, Config: config(""), ConfigPlanChecks: inPlace(locationAddress)},
			{PreConfig: func() {
				s.expect("backupstoragelocations", "minio", "velero-backups", "spec", "objectStorage", "bucket")
				s.expect("backupstoragelocations", "minio", nil, "spec", "config", "publicUrl")
				s.expect("backupstoragelocations", "minio", "true", "spec", "config", "s3ForcePathStyle")
				s.expect("backupstoragelocations", "minio", nil, "spec", "validationFrequency")
				s.expect("backupstoragelocations", "minio", "Available", "status", "phase")
			}, Config: config("default = false"), ConfigPlanChecks: inPlace(locationAddress)},
			{PreConfig: func() { s.expect("backupstoragelocations", "minio", nil, "spec", "default") }, Config: config("default = false"), ConfigPlanChecks: nothing},
		},
	})
	if left := s.List(t, "backupstoragelocations", s.namespace); len(left) > 0 {
		t.Errorf("a destroy left %v", left)
	}
}

// The wait ends when Velero has looked at the location as it is now; its opinion from before a change does not count.
func TestAccLocationIsWaitedFor(t *testing.T) {
	s := newSite(t)
	config := func(bucket, limit string) string {
		return s.config(locationBlock(fmt.Sprintf("name = \"minio\"\nbucket = %q\nwait_for_available = true\ntimeouts = { create = %q, update = %q }", bucket, limit, limit)))
	}
	looked := time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)
	s.server(func() {
		for _, location := range s.List(t, "backupstoragelocations", s.namespace) {
			bucket, _ := field(location, "spec", "objectStorage", "bucket").(string)
			if field(location, "metadata", "annotations", "seen") == bucket || bucket == "late" {
				continue
			}
			status := `"phase":"Available","message":""`
			if bucket == "missing" {
				status = `"phase":"Unavailable","message":"NoSuchBucket: the specified bucket does not exist"`
			}
			looked = looked.Add(time.Minute)
			time.Sleep(time.Second) // Velero is slow, the former status is there to be mistaken for its opinion
			_ = s.TryPatch("backupstoragelocations", s.namespace, "minio", "velero-server", fmt.Sprintf(
				`{"metadata":{"annotations":{"seen":%q}},"status":{%s,"lastValidationTime":%q}}`, bucket, status, looked.Format(time.RFC3339)))
		}
	})
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config("first", "5m"), ConfigPlanChecks: quiet, ConfigStateChecks: statechecks(words(locationAddress, "last_validation", "2026-11-27T02:01:00Z"))},
			{Config: config("second", "5m"), ConfigPlanChecks: quiet, ConfigStateChecks: statechecks(words(locationAddress, "last_validation", "2026-11-27T02:02:00Z"))},
			{Config: config("missing", "20s"), ExpectError: says(`was not available before the end of its timeout.*NoSuchBucket`)},
			{Config: config("third", "5m"), ConfigPlanChecks: quiet},
			{Config: config("late", "10s"), ExpectError: says(`was not available`)},
		},
	})
}

// A location that Velero cannot use is told of by each plan, whoever waits for it or not.
func TestAccLocationThatVeleroCannotUse(t *testing.T) {
	s := newSite(t)
	w := acctest.NewWorkspace(t, s.config(locationBlock("name = \"minio\"\nbucket = \"b\"")))
	w.Apply()
	s.velero("backupstoragelocations", "minio", `{"status":{"phase":"Unavailable","message":"backup store contains invalid top-level directories: [photos]"}}`)
	acctest.MustContain(t, w.Must("plan", "-no-color"), "Velero Backup Location Unavailable", "Velero says: backup store contains invalid top-level directories: [photos]", "No changes")
	s.velero("backupstoragelocations", "minio", `{"status":{"phase":"Available","message":null}}`)
	if said := w.Must("plan", "-no-color"); strings.Contains(said, "Unavailable") {
		t.Errorf("it is available: %s", said)
	}
	w.Destroy()
}

func TestAccLocationErrors(t *testing.T) {
	s := newSite(t)
	s.Create(t, "backupstoragelocations", s.namespace, "helm", `{"apiVersion":"velero.io/v1","kind":"BackupStorageLocation","metadata":{"name":"default"},
		"spec":{"provider":"aws","objectStorage":{"bucket":"b"}}}`)
	for name, test := range map[string]struct{ body, says string }{
		"taken":        {"name = \"default\"\nbucket = \"b\"", `There is a BackupStorageLocation velero-\w+/default on the cluster already.*terraform import`},
		"said twice":   {"name = \"a\"\nbucket = \"b\"\nconfig = { s3Url = \"http://x\" }", `s3Url has an attribute of its own: s3_url`},
		"no PEM":       {"name = \"a\"\nbucket = \"b\"\nca_cert = \"ca.crt\"", `no PEM text.*file\("ca\.crt"\)`},
		"a slash":      {"name = \"a\"\nbucket = \"b\"\nprefix = \"/x\"", `begin without a slash`},
		"the mode":     {"name = \"a\"\nbucket = \"b\"\naccess_mode = \"rw\"", `"ReadWrite"`},
		"the duration": {"name = \"a\"\nbucket = \"b\"\nvalidation_frequency = \"1 minute\"", `not a duration`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: s.config(locationBlock(test.body)), ExpectError: says(test.says)}}})
		})
	}
}
