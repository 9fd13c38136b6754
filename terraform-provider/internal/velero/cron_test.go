// Tests of the judgement of cron expressions.
package velero

import (
	"strings"
	"testing"
)

func TestCronExpressions(t *testing.T) {
	for expression, wrong := range map[string]string{ // part of the reason; "" for what Velero takes
		"0 2 * * *": "", "0 2 * * 0": "", "0 3 1 * *": "", "*/15 0-6 1,15 * MON-FRI": "", "@daily": "", "@every 6h": "", "@every 90m": "",
		"CRON_TZ=Europe/Berlin 0 2 * * *": "", "TZ=UTC @daily": "", "0 2 * * SUN": "", "? * * * *": "",
		"":                              "cannot read",
		"0 2 * *":                       "expected exactly 5 fields",
		"0 0 2 * * *":                   "expected exactly 5 fields", // with seconds
		"0 2 * * 7":                     "above maximum",
		"60 2 * * *":                    "above maximum",
		"@every":                        "cannot read",
		"@every day":                    "cannot read",
		"@reboot":                       "unrecognized descriptor",
		"CRON_TZ=Europe/Bern 0 2 * * *": `no time zone "Europe/Bern"`,
		"CRON_TZ=Europe/Berlin":         "cannot read", // the library panics
		"TZ=":                           "cannot read",
		"0 2 30 2 *":                    "no such day",
		"@every 0s":                     "once a minute",
		"@every -6h":                    "once a minute",
		"@every 30s":                    "once a minute",
		"Mon *-*-* 02:00":               "five fields",
	} {
		err := checkCron(expression)
		switch {
		case wrong == "" && err != nil:
			t.Errorf("%q: %v", expression, err)
		case wrong != "" && err == nil:
			t.Errorf("%q should be refused", expression)
		case wrong != "" && !strings.Contains(err.Error(), wrong):
			t.Errorf("%q: %v does not say %q", expression, err, wrong)
		}
	}
}
