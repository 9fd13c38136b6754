// Acceptance tests of recoup_bucket against MinIO, with the engine and Terraform or OpenTofu.
package bucket_test

import (
	"fmt"
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

const address = "recoup_bucket.test"

func bucket(server acctest.S3Server, body string) string {
	return server.ProviderConfig() + fmt.Sprintf("resource \"recoup_bucket\" \"test\" {\n%s\n}\n", body)
}

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

const everything = `
  name       = "everything"
  versioning = "enabled"
  tags       = { purpose = "backup", "a b" = "" }
  lifecycle_rules = {
    "old" = { noncurrent_expire_after_days = 30, noncurrent_versions_kept = 3 }
    "logs" = { prefix = "logs/", enabled = false, expire_after_days = 7 }
    "markers" = { remove_expired_delete_markers = true }
    "tagged" = { prefix = "x/", noncurrent_expire_after_days = 5, other_settings = jsonencode({ Filter = { Tag = { Key = "k", Value = "v" } } }) }
  }
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = "*", Action = "s3:GetObject", Resource = "arn:aws:s3:::everything/public/*" }]
  })
`

func TestAccBucketWithEverything(t *testing.T) {
	server := acctest.StartMinIO(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: bucket(server, everything), ConfigPlanChecks: quiet,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(address, tfjsonpath.New("region"), knownvalue.StringExact("us-east-1")),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("object_lock_enabled"), knownvalue.Bool(false)),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("deletion_protection"), knownvalue.Bool(true)),
				},
				Check: acctest.CheckNoSecret(server.SecretKey)},
			// Another program's opinion of the same bucket; then it changes everything, which has to be seen and mended.
			{PreConfig: func() {
				for command, wanted := range map[string]string{"version info test/everything": "enabled", "tag list test/everything": "backup",
					"ilm rule ls test/everything": "logs/", "anonymous get-json test/everything": "everything/public"} {
					if output := server.MC(t, strings.Fields(command)...); !strings.Contains(output, wanted) {
						t.Errorf("mc %s does not say %q:\n%s", command, wanted, output)
					}
				}
				server.MC(t, "version", "suspend", "test/everything")
				server.MC(t, "tag", "set", "test/everything", "purpose=play")
				server.MC(t, "ilm", "rule", "remove", "--id", "old", "test/everything")
				server.MC(t, "anonymous", "set", "none", "test/everything")
			}, Config: bucket(server, everything), ConfigPlanChecks: inPlace()},
			{PreConfig: func() {
				if output := server.MC(t, "version", "info", "test/everything"); !strings.Contains(output, "enabled") {
					t.Errorf("drift of versioning was not mended: %s", output)
				}
			}, ResourceName: address, ImportState: true, ImportStateId: "everything", ImportStateVerify: true,
				ImportStateVerifyIdentifierAttribute: "name",
				// A server writes policies in its own words, and rules without what is the default.
				ImportStateVerifyIgnore: []string{"policy", "lifecycle_rules"}},
			// Less, in place.
			{Config: bucket(server, `
  name            = "everything"
  versioning      = "suspended"
  tags            = {}
  lifecycle_rules = {}
  policy          = jsonencode(null)
`), ConfigPlanChecks: inPlace()},
			{PreConfig: func() {
				if output, err := server.TryMC(t, "tag", "list", "test/everything"); err == nil && strings.Contains(output, "backup") {
					t.Errorf("the tags were not removed: %s", output)
				}
				if output, err := server.TryMC(t, "ilm", "rule", "ls", "test/everything"); err == nil {
					t.Errorf("the rules were not removed: %s", output)
				}
				server.MC(t, "tag", "set", "test/everything", "others=stay")
			}, Config: bucket(server, `name = "everything"`), ConfigPlanChecks: quiet},
			// What is not managed any more is left alone.
			{PreConfig: func() { server.MC(t, "tag", "set", "test/everything", "others=stay") }, Config: bucket(server, `name = "everything"`),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
		},
	})
	if output := server.MC(t, "tag", "list", "test/everything"); !strings.Contains(output, "stay") {
		t.Errorf("destroying with deletion_protection changed the bucket: %s", output)
	}
}

func TestAccBucketObjectLock(t *testing.T) {
	server := acctest.StartMinIO(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: bucket(server, `
  name        = "locked"
  object_lock = { mode = "governance", days = 3 }
`), ConfigPlanChecks: quiet,
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("object_lock_enabled"), knownvalue.Bool(true))}},
			{Config: bucket(server, `
  name        = "locked"
  object_lock = { mode = "compliance", years = 1 }
`), ConfigPlanChecks: inPlace()},
			{ResourceName: address, ImportState: true, ImportStateId: "locked", ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name",
				ImportStateVerifyIgnore: []string{"versioning"}},
			{Config: bucket(server, `
  name        = "locked"
  object_lock = { mode = "none" }
`), ConfigPlanChecks: inPlace()},
			{Config: bucket(server, `
  name                = "locked"
  object_lock_enabled = false
`), ExpectError: regexp.MustCompile(`(?s)was\s+made\s+with\s+object\s+lock`), PlanOnly: true},
		},
	})
	// Object lock for a bucket that exists without it is an error while planning, and never a replacement.
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: bucket(server, `name = "plain"`), ConfigPlanChecks: quiet},
			{Config: bucket(server, `
  name                = "plain"
  object_lock_enabled = true
`), ExpectError: regexp.MustCompile(`(?s)was\s+made\s+without\s+object\s+lock.*recoup\s+bucket\s+sync`), PlanOnly: true},
		},
	})
}

func TestAccBucketDestroy(t *testing.T) {
	server := acctest.StartMinIO(t)
	config := func(more string) string { return bucket(server, "name = \"kept\"\n"+more) }
	w := acctest.NewWorkspace(t, config(`versioning = "enabled"`))
	w.Apply()
	server.MC(t, "cp", "--quiet", "/etc/hostname", "test/kept/file")
	has := func() bool {
		_, err := server.TryMC(t, "stat", "test/kept/file")
		return err == nil
	}

	// Destroying leaves it and says so; applying adopts it and says so, with what differs.
	acctest.MustContain(t, w.Destroy(), "Bucket Left in Place", "stay where they are", "deletion_protection = false")
	if !has() {
		t.Fatal("destroying removed data")
	}
	server.MC(t, "version", "suspend", "test/kept")
	acctest.MustContain(t, w.Apply(), "Bucket Adopted", "were changed: versioning.")
	w.MustBeEmpty()

	// force_destroy counts only once it was applied.
	w.Write("main.tf", config("deletion_protection = false\nforce_destroy = true"))
	acctest.MustContain(t, w.Destroy(), "Bucket Left in Place")
	if !has() {
		t.Fatal("a force_destroy that was never applied removed data")
	}

	w.Write("main.tf", config("deletion_protection = false"))
	w.Apply()
	acctest.MustContain(t, w.Fails("destroy", "-auto-approve", "-no-color"), "is not empty", "force_destroy = true")
	if !has() {
		t.Fatal("destroying without force_destroy removed data")
	}
	w.Write("main.tf", config("deletion_protection = false\nforce_destroy = true"))
	w.Apply()
	w.MustBeEmpty()
	if text := w.Destroy(); strings.Contains(text, "Left in Place") {
		t.Errorf("it should be removed: %s", text)
	}
	if output, err := server.TryMC(t, "stat", "test/kept"); err == nil {
		t.Errorf("the bucket is still there: %s", output)
	}
}

// A creation that fails half way leaves a state from which the next apply goes on, and never one that removes data: here the
// configuration says force_destroy, but no apply with it ever succeeded.
func TestAccBucketFailedCreate(t *testing.T) {
	server := acctest.StartMinIO(t)
	config := func(principal string) string {
		return bucket(server, fmt.Sprintf(`
  name                = "half"
  deletion_protection = false
  force_destroy       = true
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = "*", Action = "%s", Resource = "arn:aws:s3:::half/*" }]
  })
`, principal))
	}
	server.MC(t, "mb", "--quiet", "test/half")
	server.MC(t, "cp", "--quiet", "/etc/hostname", "test/half/file")
	w := acctest.NewWorkspace(t, config("s3:NoSuchAction"))
	acctest.MustContain(t, w.Fails("apply", "-auto-approve", "-no-color"), "Unable to Update Bucket", "policy")
	acctest.MustContain(t, w.Must("state", "list"), "recoup_bucket.test")

	w.Write("main.tf", config("s3:GetObject"))
	acctest.MustContain(t, w.Apply(), "Bucket Left in Place", "Bucket Adopted")
	w.MustBeEmpty()
	if _, err := server.TryMC(t, "stat", "test/half/file"); err != nil {
		t.Error("the data of an adopted bucket was removed after a failed creation")
	}
}

func TestAccBucketVanished(t *testing.T) {
	server := acctest.StartMinIO(t)
	w := acctest.NewWorkspace(t, bucket(server, `name = "gone"`))
	w.Apply()
	server.MC(t, "rb", "--force", "test/gone")
	acctest.MustContain(t, w.Must("plan", "-no-color"), "Bucket Vanished", "1 to add", "s3.endpoint")
	w.Apply()
	w.MustBeEmpty()
}

func TestAccBucketErrors(t *testing.T) {
	server := acctest.StartMinIO(t)
	provider := func(endpoint, access, secret string) string {
		return acctest.S3Server{Endpoint: endpoint, AccessKey: access, SecretKey: secret}.ProviderConfig() + "resource \"recoup_bucket\" \"test\" {\n  name = \"some\"\n}\n"
	}
	for name, test := range map[string]struct{ config, says string }{
		"nobody there":        {provider("http://127.0.0.1:1", server.AccessKey, server.SecretKey), `(?s)127\.0\.0\.1:1.*Correct\s+s3\.endpoint`},
		"a wrong secret":      {provider(server.Endpoint, server.AccessKey, "wrong-secret-key"), `(?s)Correct\s+s3\.secret_key`},
		"a wrong user":        {provider(server.Endpoint, "nobody", "wrong-secret-key"), `(?s)Correct\s+s3\.access_key`},
		"a name":              {bucket(server, `name = "Under_Score"`), `(?s)3\s+to\s+63\s+lower-case`},
		"versioning":          {bucket(server, "name = \"some\"\nversioning = \"on\""), `(?s)versioning.*"enabled"`},
		"force alone":         {bucket(server, "name = \"some\"\nforce_destroy = true"), `(?s)deletion_protection\s+=\s+false`},
		"a lock without time": {bucket(server, "name = \"some\"\nobject_lock = { mode = \"governance\" }"), `(?s)set\s+days\s+or\s+years`},
		"a lock with both":    {bucket(server, "name = \"some\"\nobject_lock = { mode = \"governance\", days = 1, years = 1 }"), `(?s)cannot\s+be\s+specified`},
		"a rule of nothing":   {bucket(server, "name = \"some\"\nlifecycle_rules = { r = { prefix = \"a\" } }"), `(?s)This\s+rule\s+does\s+nothing`},
		"no policy":           {bucket(server, "name = \"some\"\npolicy = \"text\""), `(?s)JSON`},
		"lifecycle MinIO forgets": {bucket(server, "name = \"some\"\nlifecycle_rules = { r = { noncurrent_expire_after_days = 3, abort_incomplete_uploads_after_days = 3 } }"),
			`(?s)lifecycle_rules.*does\s+not\s+keep`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: test.config, ExpectError: regexp.MustCompile(test.says)}}})
		})
	}
}

// Where the server's address is decided by the same apply, planning asks no server, neither for a new bucket nor for one in
// the state.
func TestAccBucketOnAServerThatIsNotKnownYet(t *testing.T) {
	server := acctest.StartMinIO(t)
	config := func(trigger string) string {
		return fmt.Sprintf(`
resource "terraform_data" "server" {
  input            = %q
  triggers_replace = %q
}
provider "recoup" {
  s3 = {
    endpoint   = terraform_data.server.output
    access_key = %q
    secret_key = %q
  }
}
resource "recoup_bucket" "test" {
  name       = "late"
  versioning = "enabled"
}
`, server.Endpoint, trigger, server.AccessKey, server.SecretKey)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // whoever asks this while planning fails
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config("1"), ConfigPlanChecks: quiet},
			{Config: config("2"), ConfigPlanChecks: quiet},
		},
	})
}

func TestAccBucketUsage(t *testing.T) {
	server := acctest.StartMinIO(t)
	server.MC(t, "mb", "--quiet", "test/counted")
	server.MC(t, "version", "enable", "test/counted")
	for range 2 {
		server.MC(t, "cp", "--quiet", "/etc/passwd", "test/counted/a/passwd")
	}
	server.MC(t, "cp", "--quiet", "/etc/hostname", "test/counted/b/hostname")
	number := func(name string, wanted int64) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.recoup_bucket_usage.test", tfjsonpath.New(name), knownvalue.Int64Exact(wanted))
	}
	data := func(more string) string {
		return server.ProviderConfig() + "data \"recoup_bucket_usage\" \"test\" {\n" + more + "\n}\n"
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: data(`name = "counted"`), ConfigStateChecks: []statecheck.StateCheck{number("objects", 2), number("versions", 1)}},
			{Config: data("name = \"counted\"\nprefix = \"b/\""), ConfigStateChecks: []statecheck.StateCheck{number("objects", 1), number("versions", 0)}},
			{Config: data(`name = "missing"`), ExpectError: regexp.MustCompile(`(?s)Unable to Count Bucket.*missing`)},
		},
	})
}
