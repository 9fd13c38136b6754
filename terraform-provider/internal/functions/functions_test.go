// Acceptance tests of the functions: what the engine computes, as Terraform sees it.
package functions_test

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

func texts(values ...string) knownvalue.Check {
	checks := make([]knownvalue.Check, len(values))
	for index, value := range values {
		checks[index] = knownvalue.StringExact(value)
	}
	return knownvalue.ListExact(checks)
}

func TestAccFunctions(t *testing.T) {
	acctest.PreCheck(t)
	for name, test := range map[string]struct {
		call   string
		wanted knownvalue.Check
		says   string
	}{
		"cron":                {`provider::recoup::oncalendar("30 2 * * mon-fri")`, texts("Mon..Fri *-*-* 02:30:00"), ""},
		"a name":              {`provider::recoup::oncalendar("@daily")`, texts("*-*-* 00:00:00"), ""},
		"nonsense":            {`provider::recoup::oncalendar("61 2 * * *")`, nil, `(?s)61`},
		"next":                {`provider::recoup::cron_next("0 2 * * *", "2026-03-01T12:00:00Z", 2)`, texts("2026-03-02T02:00:00Z", "2026-03-03T02:00:00Z"), ""},
		"next of a time zone": {`provider::recoup::cron_next("CRON_TZ=Europe/Berlin 0 2 * * *", "2026-01-01T12:00:00Z", 1)`, knownvalue.ListSizeExact(1), ""},
		"none":                {`provider::recoup::cron_next("0 2 * * *", "2026-03-01T12:00:00Z", 0)`, nil, `(?s)1\s+to\s+1000`},
		"no time":             {`provider::recoup::cron_next("0 2 * * *", "tomorrow", 1)`, nil, `(?s)after|tomorrow|RFC`},
		"kept":                {`length(provider::recoup::retention_preview({ keep_daily = 2 }, ["2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z", "2026-01-03T02:00:00Z"]).keep)`, knownvalue.Int64Exact(2), ""},
		"removed":             {`provider::recoup::retention_preview({ keep_last = 1 }, ["2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z"]).remove`, knownvalue.ListSizeExact(1), ""},
		"a policy nobody has": {`provider::recoup::retention_preview({ keep_never = 1 }, ["2026-01-01T02:00:00Z"])`, nil, `(?s)keep_never`},
	} {
		t.Run(name, func(t *testing.T) {
			step := resource.TestStep{Config: "output \"test\" {\n  value = " + test.call + "\n}\n"}
			if test.says != "" {
				step.ExpectError = regexp.MustCompile(test.says)
			} else {
				step.ConfigStateChecks = []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("test", test.wanted)}
			}
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: []resource.TestStep{step}})
		})
	}
}
