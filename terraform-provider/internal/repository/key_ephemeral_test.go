// Acceptance tests of the ephemeral resource recoup_repository_key; the provider "echo" shows what it gives.
package repository_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

func echoed(body string) string {
	return fmt.Sprintf("ephemeral \"recoup_repository_key\" \"test\" {\n%s\n}\nprovider \"echo\" {\n  data = ephemeral.recoup_repository_key.test\n}\nresource \"echo\" \"test\" {}\n", body)
}

func TestAccRepositoryKey(t *testing.T) {
	acctest.PreCheck(t)
	directory := t.TempDir()
	location, file := filepath.Join(directory, "repository"), filepath.Join(directory, "password")
	if err := os.WriteFile(file, []byte("the-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRestic(t, location, "the-password", "init")
	t.Setenv("TEST_REPOSITORY_PASSWORD", "from-the-environment")
	result := func(name string, wanted knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("echo.test", tfjsonpath.New("data").AtMapKey(name), wanted)
	}
	for name, test := range map[string]struct {
		body   string
		checks []statecheck.StateCheck
		says   string
	}{
		"from a file": {fmt.Sprintf("password_file = %q", file), []statecheck.StateCheck{
			result("password", knownvalue.StringExact("the-password")), result("repository_exists", knownvalue.Null())}, ""},
		"from a command":       {`password_command = "echo said"`, []statecheck.StateCheck{result("password", knownvalue.StringExact("said"))}, ""},
		"from the environment": {`password_environment = "TEST_REPOSITORY_PASSWORD"`, []statecheck.StateCheck{result("password", knownvalue.StringExact("from-the-environment"))}, ""},
		"that opens a repository": {fmt.Sprintf("password_file = %q\nlocation = %q", file, location), []statecheck.StateCheck{
			result("repository_exists", knownvalue.Bool(true)), result("repository_id", knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{64}$`)))}, ""},
		"for one that is not there": {fmt.Sprintf("password_file = %q\nlocation = %q", file, location+"-none"), []statecheck.StateCheck{
			result("repository_exists", knownvalue.Bool(false)), result("repository_id", knownvalue.Null())}, ""},
		"that does not open it": {fmt.Sprintf("password_command = \"echo wrong\"\nlocation = %q", location), nil, `(?s)Unable to Open Repository`},
		"without a file":        {`password_file = "/nowhere/password"`, nil, `(?s)Unable to Read Password.*/nowhere/password`},
		"from nowhere":          {"", nil, `(?s)password_file`},
	} {
		t.Run(name, func(t *testing.T) {
			step := resource.TestStep{Config: echoed(test.body), ConfigStateChecks: test.checks}
			if test.says != "" {
				step.ExpectError = regexp.MustCompile(test.says)
			}
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.FactoriesWithEcho, Steps: []resource.TestStep{step}})
		})
	}
}
