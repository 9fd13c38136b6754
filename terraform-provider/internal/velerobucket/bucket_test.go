// Acceptance tests of recoup_velero_backups and recoup_velero_volumes against MinIO, with the engine and Terraform or OpenTofu.
package velerobucket_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

func packed(text string) string {
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	_, _ = writer.Write([]byte(text))
	_ = writer.Close()
	return buffer.String()
}

// described is velero-backup.json of a backup that began at that hour.
func described(name, schedule, phase string, hour int, more string) string {
	return fmt.Sprintf(`{"kind":"Backup","apiVersion":"velero.io/v1","metadata":{"name":%q,"labels":{"velero.io/schedule-name":%q}},"spec":{"storageLocation":"default"},
	"status":{"phase":%q,"startTimestamp":"2020-01-27T%02d:00:00Z"%s}}`, name, schedule, phase, hour, more)
}

// fill puts a bucket of Velero's below the prefix: made up here, the genuine ones are in the tests of `recoup velero`.
func fill(t *testing.T, server acctest.S3Server, bucket, prefix string) {
	t.Helper()
	root := t.TempDir()
	write := func(backup, file, content string) {
		directory := filepath.Join(root, "backups", backup)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(name, schedule, phase string, hour int, more string) {
		write(name, "velero-backup.json", described(name, schedule, phase, hour, more))
		write(name, name+".tar.gz", packed("manifests"))
	}
	whole("daily-2", "daily", "Completed", 2, `,"completionTimestamp":"2020-01-27T02:10:00Z","expiration":"2020-02-03T02:00:00Z","warnings":3,"progress":{"totalItems":9,"itemsBackedUp":9}`)
	write("daily-2", "daily-2-podvolumebackups.json.gz", packed(`[{"metadata":{"annotations":{"velero.io/pvc-name":"data-postgres-0"}},"spec":{"pod":{"namespace":"db","name":"postgres-0"},
		"volume":"data","uploaderType":"restic"},"status":{"phase":"Completed","snapshotID":"4cf43ab2","progress":{"totalBytes":5}}}]`))
	write("daily-2", "daily-2-volumeinfo.json.gz", packed(`[{"pvcName":"data-postgres-0","pvcNamespace":"db","pvName":"pvc-1","backupMethod":"PodVolumeBackup","result":"succeeded",
		"pvbInfo":{"volumeName":"data","podName":"postgres-0","podNamespace":"db","snapshotHandle":"4cf43ab2","size":5}},
		{"pvcName":"cache","pvcNamespace":"media","skipped":true,"skippedReason":"opted out; "}]`))
	whole("daily-1", "daily", "PartiallyFailed", 1, `,"errors":2`) // sorts before its time
	write("daily-1", "daily-1-podvolumebackups.json.gz", packed("null"))
	whole("odd", "", "Completed", 0, "")
	write("odd", "odd-podvolumebackups.json.gz", packed(`[{"spec":{"pod":"postgres-0"}}]`))
	write("odd", "odd-volumeinfo.json.gz", packed(`[{"pvcName":"cache","pvcNamespace":"media","skipped":true,"skippedReason":"opted out"}]`))
	whole("weekly-3", "weekly", "Failed", 3, `,"failureReason":"the server was killed"`)
	write("cut-off", "velero-backup.json", described("cut-off", "daily", "Completed", 4, ""))
	write("garbage", "velero-backup.json", "{")
	server.MC(t, "mb", "--quiet", "test/"+bucket)
	server.MC(t, "mirror", "--quiet", root, "test/"+bucket+prefix)
	time.Sleep(1100 * time.Millisecond) // what has no time of its own is sorted by that of its files, in seconds
	write("only-a-log", "only-a-log-logs.gz", packed("log"))
	server.MC(t, "mirror", "--quiet", root, "test/"+bucket+prefix)
}

func TestAccVeleroBucket(t *testing.T) {
	server := acctest.StartMinIO(t)
	for _, prefix := range []string{"", "/lab/velero"} {
		bucket := fmt.Sprintf("velero-%d", len(prefix))
		fill(t, server, bucket, prefix)
		in := fmt.Sprintf("bucket = %q\n", bucket)
		if prefix != "" {
			in += fmt.Sprintf("prefix = %q\n", prefix)
		}
		source := func(kind, more string) string {
			return server.ProviderConfig() + "data \"recoup_velero_" + kind + "\" \"test\" {\n" + in + more + "\n}\n"
		}
		backups := func(names ...string) statecheck.StateCheck {
			return listOf("data.recoup_velero_backups.test", "backups", "name", names)
		}
		of := func(number int, name string, wanted knownvalue.Check) statecheck.StateCheck {
			return statecheck.ExpectKnownValue("data.recoup_velero_backups.test", tfjsonpath.New("backups").AtSliceIndex(number).AtMapKey(name), wanted)
		}
		volume := func(number int, name string, wanted knownvalue.Check) statecheck.StateCheck {
			return statecheck.ExpectKnownValue("data.recoup_velero_volumes.test", tfjsonpath.New("volumes").AtSliceIndex(number).AtMapKey(name), wanted)
		}
		name := func(wanted string) statecheck.StateCheck {
			return statecheck.ExpectKnownValue("data.recoup_velero_volumes.test", tfjsonpath.New("backup_name"), knownvalue.StringExact(wanted))
		}
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.Factories,
			Steps: []resource.TestStep{
				{Config: source("backups", ""), Check: acctest.CheckNoSecret(server.SecretKey), ConfigStateChecks: []statecheck.StateCheck{
					// Those without a time of their own are as old as their files.
					backups("odd", "daily-1", "daily-2", "weekly-3", "cut-off", "garbage", "only-a-log"),
					of(1, "state", knownvalue.StringExact("partial")), of(1, "restorable", knownvalue.Bool(true)), of(1, "errors", knownvalue.Int64Exact(2)),
					of(2, "state", knownvalue.StringExact("good")), of(2, "schedule", knownvalue.StringExact("daily")), of(2, "warnings", knownvalue.Int64Exact(3)),
					of(2, "started_at", knownvalue.StringExact("2020-01-27T02:00:00Z")), of(2, "expires_at", knownvalue.StringExact("2020-02-03T02:00:00Z")),
					of(2, "problem", knownvalue.Null()), of(2, "items", knownvalue.Int64Exact(9)),
					of(3, "state", knownvalue.StringExact("failed")), of(3, "failure_reason", knownvalue.StringExact("the server was killed")), of(3, "restorable", knownvalue.Bool(false)),
					of(4, "state", knownvalue.StringExact("incomplete")), of(5, "state", knownvalue.StringExact("damaged")), of(6, "state", knownvalue.StringExact("incomplete")),
				}},
				{Config: source("backups", "schedule = \"daily\"\nstates = [\"good\", \"partial\"]\nlatest = 1"), ConfigStateChecks: []statecheck.StateCheck{backups("daily-2")}},
				{Config: source("backups", "schedule = \"none\""), ConfigStateChecks: []statecheck.StateCheck{backups()}},
				{Config: source("volumes", ""), ConfigStateChecks: []statecheck.StateCheck{name("daily-2"),
					volume(0, "claim", knownvalue.StringExact("data-postgres-0")), volume(0, "state", knownvalue.StringExact("stored")), volume(0, "snapshot", knownvalue.StringExact("4cf43ab2")),
					volume(0, "repository", knownvalue.StringExact("restic/db")), volume(0, "bytes", knownvalue.Int64Exact(5)), volume(0, "persistent_volume", knownvalue.StringExact("pvc-1")),
					volume(1, "claim", knownvalue.StringExact("cache")), volume(1, "state", knownvalue.StringExact("skipped")), volume(1, "reason", knownvalue.StringExact("opted out")),
					volume(1, "restorable", knownvalue.Bool(false))}},
				{Config: source("volumes", "backup = \"latest\"\nschedule = \"daily\""), ConfigStateChecks: []statecheck.StateCheck{name("daily-2")}},
				{Config: source("volumes", "backup = \"daily-1\""), ConfigStateChecks: []statecheck.StateCheck{name("daily-1"), listOf("data.recoup_velero_volumes.test", "volumes", "claim", nil)}},
				// Of a list that is not as it should be, nothing is shown.
				{Config: source("volumes", "backup = \"odd\""), ConfigStateChecks: []statecheck.StateCheck{name("odd"), listOf("data.recoup_velero_volumes.test", "volumes", "claim", []string{"cache"})}},
				{Config: source("volumes", "backup = \"daily\""), ExpectError: regexp.MustCompile(`(?s)holds\s+no\s+backup\s+daily\.`)},
				{Config: source("volumes", "backup = \"cut-off\""), ExpectError: regexp.MustCompile(`(?s)Nothing\s+says\s+which\s+volumes`)},
				{Config: source("volumes", "schedule = \"weekly\""), ExpectError: regexp.MustCompile(`(?s)none\s+of\s+the\s+schedule\s+weekly`)},
				{Config: source("volumes", "backup = \"daily-1\"\nschedule = \"daily\""), ExpectError: regexp.MustCompile(`needs\s+no\s+schedule`)},
			},
		})
	}
	// The documentation's examples must stand backups that have no time, which are there just when one looks.
	w := acctest.NewWorkspace(t, server.ProviderConfig())
	for _, kind := range []string{"backups", "volumes"} {
		example, err := os.ReadFile("../../examples/data-sources/recoup_velero_" + kind + "/data-source.tf")
		if err != nil {
			t.Fatal(err)
		}
		everything := regexp.MustCompile(`(?m)^  schedule = .*$`).ReplaceAllString(strings.Replace(string(example), `"velero-backups"`, `"velero-0"`, 1), "")
		w.Write(kind+".tf", everything)
	}
	acctest.MustContain(t, w.Apply(), "There is no backup of the last 26 hours", `"garbage" = "damaged"`, `"media/cache" = "opted out"`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{Config: server.ProviderConfig() + "data \"recoup_velero_backups\" \"test\" {\n  bucket = \"no-such-bucket\"\n}\n",
			ExpectError: regexp.MustCompile(`(?s)Unable to List Velero Backups.*no-such-bucket`)},
			{Config: server.ProviderConfig() + "data \"recoup_velero_volumes\" \"test\" {\n  bucket = \"velero-0\"\n  prefix = \"lab\"\n}\n",
				ExpectError: regexp.MustCompile(`(?s)holds\s+no\s+backups\s+of\s+Velero's\s+below\s+lab/backups/.*prefix`)}},
	})
}

// listOf compares one member of each element of a list.
func listOf(address, list, member string, wanted []string) statecheck.StateCheck {
	var elements []knownvalue.Check
	for _, each := range wanted {
		elements = append(elements, knownvalue.ObjectPartial(map[string]knownvalue.Check{member: knownvalue.StringExact(each)}))
	}
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(list), knownvalue.ListExact(elements))
}

// Many backups take a request each, beside each other: seconds for thousands.
func TestAccManyBackups(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes more than a thousand objects")
	}
	const count = 600 // more than a page of a listing, and than are read at once
	server := acctest.StartMinIO(t)
	root := t.TempDir()
	for number := range count {
		name := fmt.Sprintf("daily-%05d", number)
		directory := filepath.Join(root, "backups", name)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string]string{"velero-backup.json": described(name, "daily", "Completed", 2, ""), name + ".tar.gz": "x"} {
			if err := os.WriteFile(filepath.Join(directory, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	server.MC(t, "mb", "--quiet", "test/many")
	server.MC(t, "mirror", "--quiet", root, "test/many")
	config := server.ProviderConfig() + "data \"recoup_velero_backups\" \"test\" {\n  bucket = \"many\"\n}\noutput \"count\" {\n  value = length(data.recoup_velero_backups.test.backups)\n}\n"
	w := acctest.NewWorkspace(t, config)
	began := time.Now()
	acctest.MustContain(t, w.Apply(), fmt.Sprintf("count = %d", count))
	t.Logf("an apply that lists %d backups took %s", count, time.Since(began).Round(time.Second))
}
