// This file is what the acceptance tests share: a real API server with Velero's definitions, on which the test does what Velero
// would do. They need TF_ACC and the variables that tools/kubernetes.sh prints.
package velero_test

import (
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	acctest.StopKubernetes()
	os.Exit(code)
}

// site is a namespace of a test's own on the cluster.
type site struct {
	*testing.T
	*acctest.Cluster
	namespace string
}

func newSite(t *testing.T) site {
	t.Helper()
	cluster := acctest.StartKubernetes(t)
	return site{t, cluster, cluster.Namespace(t)}
}

// config is a configuration with the provider and this.
func (s site) config(body string) string { return s.ProviderConfig(s.namespace) + body }

func (s site) get(plural, name string) map[string]any {
	s.Helper()
	return s.Get(s.T, plural, s.namespace, name)
}

// field gives what stands in an object at these keys; nil where there is nothing.
func field(object map[string]any, keys ...string) any {
	for at, key := range keys {
		if at == len(keys)-1 {
			return object[key]
		}
		object, _ = object[key].(map[string]any)
	}
	return object
}

func (s site) expect(plural, name string, wanted any, keys ...string) {
	s.Helper()
	if found := field(s.get(plural, name), keys...); fmt.Sprint(found) != fmt.Sprint(wanted) {
		s.Errorf("%v of %s %s is %v, wanted %v", keys, plural, name, found, wanted)
	}
}

// velero changes an object as Velero's server does.
func (s site) velero(plural, name, patch string) {
	s.Helper()
	s.Patch(s.T, plural, s.namespace, name, "velero-server", patch)
}

// server does something again and again, as Velero's server does, until the test ends.
func (s site) server(work func()) {
	s.Helper()
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				work()
			}
		}
	})
	s.Cleanup(func() {
		close(stop)
		running.Wait()
	})
}

// quiet is what every step wants: once applied, there is nothing more to do.
var quiet = resource.ConfigPlanChecks{
	PostApplyPreRefresh:  []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
	PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
}

func planned(address string, action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	checks := quiet
	checks.PreApply = []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)}
	return checks
}

func inPlace(address string) resource.ConfigPlanChecks {
	return planned(address, plancheck.ResourceActionUpdate)
}

func statechecks(checks ...statecheck.StateCheck) []statecheck.StateCheck { return checks }

var nothing = resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}

func words(address, attribute, wanted string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), knownvalue.StringExact(wanted))
}

func says(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)` + regexp.MustCompile(` +`).ReplaceAllString(pattern, `\s+`))
}
