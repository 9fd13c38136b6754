// Acceptance tests of recoup_repository, with restic for a second opinion.
package repository_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

const address = "recoup_repository.test"

// quiet is what every step wants: once applied, there is nothing more to do.
var quiet = resource.ConfigPlanChecks{
	PostApplyPreRefresh:  []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
	PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
}

func inPlace() resource.ConfigPlanChecks {
	checks := quiet
	checks.PreApply = []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}
	return checks
}

func repository(location, body string) string {
	return fmt.Sprintf("resource \"recoup_repository\" \"test\" {\n  location = %q\n%s\n}\n", location, body)
}

// opens says whether restic opens the repository with the password.
func opens(t *testing.T, location, password string, environment ...string) bool {
	t.Helper()
	_, err := restic(t, location, password, environment, "cat", "config")
	return err == nil
}

func restic(t *testing.T, location, password string, environment []string, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command(acctest.Program(t, "RESTIC"), append([]string{"--no-cache", "-r", location}, arguments...)...)
	command.Env = append(append(os.Environ(), "RESTIC_PASSWORD="+password), environment...)
	output, err := command.CombinedOutput()
	return string(output), err
}

func mustRestic(t *testing.T, location, password string, arguments ...string) string {
	t.Helper()
	output, err := restic(t, location, password, nil, arguments...)
	if err != nil {
		t.Fatalf("restic %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return output
}

func TestAccRepositoryWithWriteOnlyPassword(t *testing.T) {
	acctest.PreCheck(t)
	location := filepath.Join(t.TempDir(), "repository")
	first, second, laptop, phone, phone2 := "first-"+acctest.Random(t, 8), "second-"+acctest.Random(t, 8), "laptop-"+acctest.Random(t, 8), "phone-"+acctest.Random(t, 8), "phone2-"+acctest.Random(t, 8)
	noSecret := acctest.CheckNoSecret(first, second, laptop, phone, phone2)
	check := func(wanted map[string]bool) func() {
		return func() {
			for password, does := range wanted {
				if opens(t, location, password) != does {
					t.Errorf("%s… should open: %v", strings.SplitN(password, "-", 2)[0], does)
				}
			}
		}
	}
	key := func(name, password string, version int) string {
		return fmt.Sprintf("    %s = { password_wo = %q, password_wo_version = %d, user = %q }\n", name, password, version, name)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: repository(location, fmt.Sprintf("password_wo = %q\npassword_wo_version = 1", first)), ConfigPlanChecks: quiet, Check: noSecret,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(address, tfjsonpath.New("repository_id"), knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{64}$`))),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("key_id"), knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{64}$`))),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("format_version"), knownvalue.Int64Exact(2)),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("password_wo"), knownvalue.Null()),
				}},
			{PreConfig: check(map[string]bool{first: true}),
				Config:           repository(location, fmt.Sprintf("password_wo = %q\npassword_wo_version = 1\nextra_keys = {\n%s%s}", first, key("laptop", laptop, 1), key("phone", phone, 1))),
				ConfigPlanChecks: inPlace(), Check: noSecret},
			// The password changes; a key changes; a key goes.
			{PreConfig: check(map[string]bool{first: true, laptop: true, phone: true}),
				Config:           repository(location, fmt.Sprintf("password_wo = %q\npassword_wo_version = 2\nprevious_password_wo = %q\nextra_keys = {\n%s}", second, first, key("phone", phone2, 2))),
				ConfigPlanChecks: inPlace(), Check: noSecret},
			{PreConfig: check(map[string]bool{first: false, second: true, laptop: false, phone: false, phone2: true}),
				Config: repository(location, fmt.Sprintf("password_wo = %q\npassword_wo_version = 2", second)), ConfigPlanChecks: inPlace()},
			{PreConfig: check(map[string]bool{second: true, phone2: false}),
				Config:      repository(location, fmt.Sprintf("password_wo = %q\npassword_wo_version = 3", "wrong-password")),
				ExpectError: regexp.MustCompile(`(?s)previous_password_wo`)},
			{ResourceName: address, ImportState: true, ImportStateId: location, ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "location",
				ImportStateVerifyIgnore: []string{"password_wo_version", "repository_id", "key_id", "format_version"}},
			{Config: repository(location, fmt.Sprintf("password_wo = %q\npassword_wo_version = 2\nformat_version = 1", second)), PlanOnly: true,
				ExpectError: regexp.MustCompile(`(?s)format_version.*recoup\s+copy`)},
		},
	})
	if !opens(t, location, second) {
		t.Error("destroying removed the repository")
	}
}

func TestAccRepositoryWithPasswordFile(t *testing.T) {
	acctest.PreCheck(t)
	directory := t.TempDir()
	location := filepath.Join(directory, "repository")
	write := func(name, password string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first, second, extra := write("first", "first-password"), write("second", "second-password"), write("extra", "extra-password")
	withExtra := repository(location, fmt.Sprintf("password_file = %q\nextra_keys = { other = { password_file = %q } }", second, extra))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: repository(location, fmt.Sprintf("password_file = %q\nformat_version = 1", first)), ConfigPlanChecks: quiet,
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("format_version"), knownvalue.Int64Exact(1))}},
			// Another file with another password: the old one opens it, and it gets the new one.
			{Config: repository(location, fmt.Sprintf("password_file = %q\nformat_version = 1", second)), ConfigPlanChecks: inPlace()},
			{PreConfig: func() {
				if opens(t, location, "first-password") || !opens(t, location, "second-password") {
					t.Error("the password was not changed")
				}
			}, Config: withExtra, ConfigPlanChecks: inPlace()},
			// A key that somebody removes is seen and mended.
			{PreConfig: func() {
				listed := mustRestic(t, location, "extra-password", "key", "list", "--json")
				current := regexp.MustCompile(`"current":\s*true,\s*"id":\s*"([0-9a-f]+)"`).FindStringSubmatch(listed)
				if current == nil {
					t.Fatalf("restic says: %s", listed)
				}
				mustRestic(t, location, "second-password", "key", "remove", current[1])
			}, Config: withExtra, ConfigPlanChecks: inPlace()},
			{PreConfig: func() {
				if !opens(t, location, "extra-password") {
					t.Error("the key was not made again")
				}
			}, ResourceName: address, ImportState: true, ImportStateId: location, ImportStateVerifyIdentifierAttribute: "location"},
			// The command says the same as the file: nothing has to change in the repository.
			{Config: repository(location, `password_command = "echo second-password"`), ConfigPlanChecks: inPlace()},
		},
	})
}

func TestAccRepositoryDestroyAndAdopt(t *testing.T) {
	acctest.PreCheck(t)
	directory := t.TempDir()
	location := filepath.Join(directory, "repository")
	password, extra := "pw-"+acctest.Random(t, 8), "extra-"+acctest.Random(t, 8)
	// Not in the configuration itself, which is in every plan: nobody could find a leak then.
	const variables = "variable \"main\" {\n  type      = string\n  ephemeral = true\n}\nvariable \"extra\" {\n  type      = string\n  ephemeral = true\n}\n"
	const base = "password_wo = var.main\npassword_wo_version = 1\nextra_keys = { x = { password_wo = var.extra, password_wo_version = 1 } }\n"
	w := acctest.NewWorkspace(t, repository(location, base))
	w.Write("variables.tf", variables)
	w.Variables = []string{"TF_VAR_main=" + password, "TF_VAR_extra=" + extra}
	w.Apply()
	w.MustBeEmpty()
	mustRestic(t, location, password, "backup", "/etc/hostname")
	keys := func() int {
		entries, err := os.ReadDir(filepath.Join(location, "keys"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	acctest.MustContain(t, w.Destroy(), "Repository Left in Place", "force_destroy = true")
	acctest.MustContain(t, w.Apply(), "Repository Adopted", "with the backups in it")
	w.MustBeEmpty()
	if keys() != 2 {
		t.Errorf("adopting made keys: there are %d", keys())
	}
	if output := mustRestic(t, location, extra, "snapshots"); !strings.Contains(output, "1 snapshots") {
		t.Errorf("restic says %s", output)
	}
	w.SearchSecrets(password, extra)

	// A failure after the repository was made or adopted: the next apply goes on, and removes nothing although it is told to.
	w.Must("state", "rm", "recoup_repository.test")
	const broken = "password_wo = var.main\npassword_wo_version = 1\nextra_keys = { x = { password_file = \"/nowhere/password\" } }\n"
	w.Write("main.tf", repository(location, broken+"deletion_protection = false\nforce_destroy = true"))
	acctest.MustContain(t, w.Fails("apply", "-auto-approve", "-no-color"), "/nowhere/password", "extra_keys")
	w.Write("main.tf", repository(location, base+"deletion_protection = false\nforce_destroy = true"))
	acctest.MustContain(t, w.Apply(), "Repository Left in Place", "Repository Adopted")
	if output := mustRestic(t, location, password, "snapshots"); !strings.Contains(output, "1 snapshots") {
		t.Errorf("restic says %s", output)
	}
	w.MustBeEmpty()

	// Now it was applied.
	w.Destroy()
	if _, err := os.Stat(filepath.Join(location, "config")); err == nil {
		t.Error("force_destroy was applied, and the repository is still there")
	}
}

func TestAccRepositoryVanished(t *testing.T) {
	acctest.PreCheck(t)
	location := filepath.Join(t.TempDir(), "repository")
	w := acctest.NewWorkspace(t, repository(location, `password_command = "echo some-password"`))
	w.Apply()
	if err := os.RemoveAll(location); err != nil {
		t.Fatal(err)
	}
	acctest.MustContain(t, w.Must("plan", "-no-color"), "Repository Vanished", "WITHOUT the backups", "1 to add")
	w.Apply()
	w.MustBeEmpty()
	if !opens(t, location, "some-password") {
		t.Error("it was not made again")
	}
}

// A bucket, the repository in it, and what is said of both, in one apply on S3; passwords from an ephemeral resource.
func TestAccRepositoryInABucket(t *testing.T) {
	server := acctest.StartMinIO(t)
	directory := t.TempDir()
	password := "pw-" + acctest.Random(t, 12)
	file := filepath.Join(directory, "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	location := "s3:" + server.Endpoint + "/backups/host"
	config := fmt.Sprintf(`
variable "secret_key" {
  type      = string
  ephemeral = true
}
ephemeral "recoup_repository_key" "test" {
  password_file = %q
}
provider "recoup" {
  s3 = {
    endpoint   = %q
    access_key = %q
    secret_key = var.secret_key
  }
  repository_passwords = { %q = ephemeral.recoup_repository_key.test.password }
}
ephemeral "recoup_repository_key" "unused" {
  provider             = recoup.other
  password_environment = "TEST_PASSWORD"
}
provider "recoup" {
  alias = "other"
}
resource "recoup_bucket" "test" {
  name       = "backups"
  versioning = "enabled"
}
resource "recoup_repository" "test" {
  location            = "s3:%s/${recoup_bucket.test.name}/host"
  password_wo         = ephemeral.recoup_repository_key.unused.password
  password_wo_version = 1
}
data "recoup_snapshots" "test" {
  location   = recoup_repository.test.location
  depends_on = [recoup_repository.test]
}
output "count" {
  value = length(data.recoup_snapshots.test.snapshots)
}
`, file, server.Endpoint, server.AccessKey, location, server.Endpoint)
	config = strings.Replace(config, fmt.Sprintf("ephemeral \"recoup_repository_key\" \"test\" {\n  password_file = %q\n}", file),
		fmt.Sprintf("ephemeral \"recoup_repository_key\" \"test\" {\n  provider      = recoup.other\n  password_file = %q\n}", file), 1)
	w := acctest.NewWorkspace(t, config)
	w.Variables = []string{"TF_VAR_secret_key=" + server.SecretKey, "TEST_PASSWORD=" + password}
	w.Apply()
	w.MustBeEmpty()
	environment := []string{"AWS_ACCESS_KEY_ID=" + server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + server.SecretKey}
	if output, err := restic(t, location, password, environment, "backup", "/etc/hostname"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	acctest.MustContain(t, w.Apply(), "count = 1")
	w.MustBeEmpty()
	w.SearchSecrets(server.SecretKey, password)
	acctest.MustContain(t, w.Destroy(), "Repository Left in Place", "Bucket Left in Place")
	acctest.MustContain(t, w.Apply(), "Repository Adopted", "Bucket Adopted", "count = 1")
	w.MustBeEmpty()
}

func TestAccRepositoryCopiesChunkerParameters(t *testing.T) {
	acctest.PreCheck(t)
	directory := t.TempDir()
	one, other := filepath.Join(directory, "one"), filepath.Join(directory, "other")
	config := fmt.Sprintf(`
resource "recoup_repository" "one" {
  location         = %q
  password_command = "echo one-password"
}
resource "recoup_repository" "test" {
  location            = %q
  password_wo         = "other-password"
  password_wo_version = 1
  copy_chunker_parameters_from = {
    location    = recoup_repository.one.location
    password_wo = "one-password"
  }
}
`, one, other)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{Config: config, ConfigPlanChecks: quiet, Check: acctest.CheckNoSecret("other-password")}}})
	polynomial := func(location, password string) string {
		return regexp.MustCompile(`"chunker_polynomial":\s*"[^"]+"`).FindString(mustRestic(t, location, password, "cat", "config"))
	}
	if a, b := polynomial(one, "one-password"), polynomial(other, "other-password"); a == "" || a != b {
		t.Errorf("the parameters are %s and %s", a, b)
	}
}

func TestAccRepositoryErrors(t *testing.T) {
	server := acctest.StartMinIO(t)
	directory := t.TempDir()
	there := filepath.Join(directory, "there")
	acctest.Program(t, "RESTIC")
	mustRestic(t, there, "right-password", "init")
	for name, test := range map[string]struct{ config, says string }{
		"no password":     {repository("/r", ""), `(?s)password_wo`},
		"two passwords":   {repository("/r", "password_file = \"/f\"\npassword_command = \"c\""), `(?s)password`},
		"wrong password":  {repository(there, `password_command = "echo wrong"`), `(?s)password_command.*`},
		"missing file":    {repository(there, `password_file = "/nowhere/file"`), `(?s)/nowhere/file`},
		"another format":  {repository(there, "password_command = \"echo right-password\"\nformat_version = 1"), `(?s)format_version\s+=\s+2`},
		"rest server":     {repository("rest:http://h/", `password_command = "c"`), `(?s)rest:\s+is\s+neither`},
		"secrets in it":   {repository("s3:http://a:b@h/b", `password_command = "c"`), `(?s)carries\s+credentials`},
		"no bucket":       {repository("s3:http://h:9000", `password_command = "c"`), `(?s)names\s+no\s+bucket`},
		"nobody there":    {server.ProviderConfig() + repository("s3:http://127.0.0.1:1/bucket", `password_command = "echo p"`), `(?s)127\.0\.0\.1:1.*Is\s+the\s+server\s+running`},
		"equal passwords": {repository(filepath.Join(directory, "equal"), "password_command = \"echo p\"\nextra_keys = { x = { password_command = \"echo p\" } }"), `(?s)also\s+that\s+of\s+the\s+repository`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: test.config, ExpectError: regexp.MustCompile(test.says)}}})
		})
	}
}

// Without the engine, configurations that need none of it work, and others say what is missing.
func TestAccRepositoryWithoutAnEngine(t *testing.T) {
	acctest.PreCheck(t)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: []resource.TestStep{
		{Config: "provider \"recoup\" {\n  engine_path = \"/nowhere/recoup\"\n}\n" + repository("/r", `password_command = "echo p"`), PlanOnly: true, ExpectNonEmptyPlan: true},
		{Config: "provider \"recoup\" {\n  engine_path = \"/nowhere/recoup\"\n}\n" + repository("/r", `password_command = "echo p"`),
			ExpectError: regexp.MustCompile(`(?s)engine_path.*says.*/nowhere/recoup`)},
	}})
}
