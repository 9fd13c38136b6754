// Acceptance tests of the data sources that look into a repository, which restic filled.
package snapshots_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

// filled makes a repository with three snapshots: two of "web" and one of "db".
func filled(t *testing.T) (location, passwordFile string) {
	t.Helper()
	acctest.PreCheck(t)
	directory := t.TempDir()
	location, passwordFile = filepath.Join(directory, "repository"), filepath.Join(directory, "password")
	source := filepath.Join(directory, "source")
	if err := os.MkdirAll(filepath.Join(source, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{passwordFile: "look-inside", filepath.Join(source, "a"): "aaaa", filepath.Join(source, "inner", "b"): "bb"} {
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for _, arguments := range [][]string{{"init"}, {"backup", "--host", "web", "--tag", "production", "--time", "2026-01-01 02:00:00", source},
		{"backup", "--host", "web", "--time", "2026-01-02 02:00:00", source}, {"backup", "--host", "db", "--tag", "production", "--time", "2026-01-03 02:00:00", source}} {
		command := exec.Command(acctest.Program(t, "RESTIC"), append([]string{"--no-cache", "-r", location, "--password-file", passwordFile}, arguments...)...)
		command.Env = append(os.Environ(), "TZ=UTC")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("restic %v: %v\n%s", arguments, err, output)
		}
	}
	return location, passwordFile
}

func data(kind, location, passwordFile, more string) string {
	return fmt.Sprintf("data \"recoup_%s\" \"test\" {\n  location      = %q\n  password_file = %q\n%s\n}\n", kind, location, passwordFile, more)
}

func TestAccSnapshots(t *testing.T) {
	location, passwordFile := filled(t)
	const name = "data.recoup_snapshots.test"
	at := func(index int, attribute string, wanted knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(name, tfjsonpath.New("snapshots").AtSliceIndex(index).AtMapKey(attribute), wanted)
	}
	count := func(wanted int) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(name, tfjsonpath.New("snapshots"), knownvalue.ListSizeExact(wanted))
	}
	step := func(more string, checks ...statecheck.StateCheck) resource.TestStep {
		return resource.TestStep{Config: data("snapshots", location, passwordFile, more), ConfigStateChecks: checks, Check: acctest.CheckNoSecret("look-inside")}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			step("", count(3), at(0, "host", knownvalue.StringExact("web")), at(2, "host", knownvalue.StringExact("db")),
				at(0, "time", knownvalue.StringRegexp(regexp.MustCompile(`^2026-01-01T02:00:00`))), at(0, "id", knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{64}$`))),
				at(0, "short_id", knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{8}$`))), at(0, "tags", knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("production")}))),
			step(`hosts = ["web"]`, count(2)),
			step(`tags = ["production"]`, count(2)),
			step("hosts = [\"web\"]\ntags = [\"production\"]", count(1)),
			step(`latest = 1`, count(2)), // of each host
			step(`hosts = ["nobody"]`, count(0)),
			{Config: data("snapshots", filepath.Join(location, "none"), passwordFile, ""), ExpectError: regexp.MustCompile(`(?s)Unable to List Snapshots`)},
			{Config: data("snapshots", location, "/etc/hostname", ""), ExpectError: regexp.MustCompile(`(?s)Unable to List Snapshots.*password_file|(?s)Unable to List Snapshots.*assword`)},
			{Config: fmt.Sprintf("data \"recoup_snapshots\" \"test\" {\n  location = %q\n}\n", location), ExpectError: regexp.MustCompile(`(?s)Missing Password.*repository_passwords`)},
			{Config: fmt.Sprintf("provider \"recoup\" {\n  repository_passwords = { %q = \"look-inside\" }\n}\ndata \"recoup_snapshots\" \"test\" {\n  location = %q\n}\n", location, location),
				ConfigStateChecks: []statecheck.StateCheck{count(3)}, Check: acctest.CheckNoSecret("look-inside")},
		},
	})
}

func TestAccSnapshotFiles(t *testing.T) {
	location, passwordFile := filled(t)
	source := filepath.Join(filepath.Dir(location), "source")
	const name = "data.recoup_snapshot_files.test"
	known := func(path tfjsonpath.Path, wanted knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(name, path, wanted)
	}
	files := tfjsonpath.New("files")
	config := func(more string) string { return data("snapshot_files", location, passwordFile, more) }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config(fmt.Sprintf("below = [%q]\nrecursive = true", source)), ConfigStateChecks: []statecheck.StateCheck{
				known(files, knownvalue.ListSizeExact(4)), known(tfjsonpath.New("truncated"), knownvalue.Bool(false)),
				known(tfjsonpath.New("snapshot_time"), knownvalue.StringRegexp(regexp.MustCompile(`^2026-01-03`))),
				known(files.AtSliceIndex(1).AtMapKey("path"), knownvalue.StringExact(filepath.Join(source, "a"))),
				known(files.AtSliceIndex(1).AtMapKey("type"), knownvalue.StringExact("file")), known(files.AtSliceIndex(1).AtMapKey("size"), knownvalue.Int64Exact(4)),
				known(files.AtSliceIndex(1).AtMapKey("permissions"), knownvalue.StringExact("-rw-r-----")),
			}},
			{Config: config("limit = 2"), ConfigStateChecks: []statecheck.StateCheck{known(files, knownvalue.ListSizeExact(2)), known(tfjsonpath.New("truncated"), knownvalue.Bool(true))}},
			{Config: config(`hosts = ["web"]`), ConfigStateChecks: []statecheck.StateCheck{known(tfjsonpath.New("snapshot_time"), knownvalue.StringRegexp(regexp.MustCompile(`^2026-01-02`)))}},
			{Config: config(`snapshot = "ffffffff"`), ExpectError: regexp.MustCompile(`(?s)snapshot`)},
		},
	})
}

func TestAccRepositoryStats(t *testing.T) {
	location, passwordFile := filled(t)
	const name = "data.recoup_repository_stats.test"
	known := func(attribute string, wanted knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(name, tfjsonpath.New(attribute), wanted)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: data("repository_stats", location, passwordFile, `mode = "all"`), ExpectError: regexp.MustCompile(`(?s)mode`)},
			{Config: data("repository_stats", location, passwordFile, ""), ConfigStateChecks: []statecheck.StateCheck{
				known("snapshots_count", knownvalue.Int64Exact(3)), known("total_size", knownvalue.Int64Exact(18))}},
			{Config: data("repository_stats", location, passwordFile, "mode = \"raw-data\"\nhosts = [\"web\"]"), ConfigStateChecks: []statecheck.StateCheck{
				known("snapshots_count", knownvalue.Int64Exact(2)), known("total_blob_count", knownvalue.NotNull()), known("compression_ratio", knownvalue.NotNull())}},
		},
	})
}
