// Tests of labels without a server.
package velero

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestNamesAsLabels(t *testing.T) {
	long := strings.Repeat("nightly-of-all-namespaces-", 4)
	for _, name := range []string{"b", strings.Repeat("x", 63), long, long + "other"} {
		value := labelValue(name)
		if problems := validation.IsValidLabelValue(value); problems != nil {
			t.Errorf("%s: %v", name, problems)
		}
		if len(name) <= 63 && value != name {
			t.Errorf("%s: %s", name, value)
		}
	}
	// As python/recoup/velero/stripping.py gives it.
	if got, wanted := labelValue(long), "nightly-of-all-namespaces-nightly-of-all-namespaces-night20e4df"; got != wanted {
		t.Errorf("%s, want %s", got, wanted)
	}
}
