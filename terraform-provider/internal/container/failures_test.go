// What happens when something goes wrong: creates that fail at each step go on at the next apply, and mistakes are named.

package container_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

// TestAccContainerFailedCreate breaks the creation at each step, in each way. The next apply, with nothing cleaned up by
// hand, ends with the container there; a destroy in between leaves nothing.
func TestAccContainerFailedCreate(t *testing.T) {
	acctest.PreCheck(t)
	guesttest.StartIncus(t) // where there is none, all is skipped, and no create comes to anything
	is := func(method, pattern string) func(*http.Request) bool {
		path := regexp.MustCompile(pattern)
		return func(request *http.Request) bool {
			return request.Method == method && path.MatchString(request.URL.Path+"?"+request.URL.Query().Get("path"))
		}
	}
	var created atomic.Bool
	t.Cleanup(func() {
		if !created.Load() {
			t.Error("no create came to its second apply")
		}
	})
	for _, step := range []struct {
		name   string
		broken func(*http.Request) bool
		fault  guesttest.Fault
		leaves bool // an instance, after the failure
	}{
		{"create refused", is("POST", `/1.0/instances\?`), guesttest.Refuse, false},
		{"create cut before", is("POST", `/1.0/instances\?`), guesttest.CutBefore, false},
		{"create cut after", is("POST", `/1.0/instances\?`), guesttest.CutAfter, true},
		{"wait for create", is("GET", `/1.0/operations/.*/wait`), guesttest.CutBefore, true},
		{"network file", is("POST", `/files\?/etc/systemd/network`), guesttest.Refuse, true},
		{"start refused", is("PUT", `/state\?`), guesttest.Refuse, true},
		{"start cut after", is("PUT", `/state\?`), guesttest.CutAfter, true},
		{"wait for system", is("POST", `/exec\?`), guesttest.Refuse, true},
		{"push of the engine", is("POST", `/files\?/usr/local/lib/.recoup`), guesttest.CutBefore, true},
		{"push of a file", is("POST", `/files\?/etc/motd`), guesttest.CutBefore, true},
		{"last look", nil, guesttest.Refuse, true},
	} {
		t.Run(step.name, func(t *testing.T) {
			f := start(t)
			faults := guesttest.StartFaults(t, f.incus.Socket)
			ip := f.incus.Address(t)
			broken := step.broken
			if broken == nil {
				pushed := false
				broken = func(request *http.Request) bool {
					pushed = pushed || strings.Contains(request.URL.Query().Get("path"), "/etc/motd") && request.Method == "POST"
					return pushed && strings.HasSuffix(request.URL.Path, "/state")
				}
			}
			config := func(timeouts string) string {
				return provider(faults.Socket) + f.resource(fmt.Sprintf(`
  address = %q
  deletion_protection = true
  files = { "/etc/motd" = { content = "hello\n" } }
  engine_bundle = %q
  %s`, ip+"/24", f.bundle, timeouts))
			}
			timeouts := ""
			if step.name == "wait for system" { // which ends in no other way; the create that is to come through has all the time it needs
				timeouts = `timeouts = { create = "150s" }`
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             f.gone,
				Steps: []resource.TestStep{
					{
						PreConfig: func() {
							faults.Set(func(request *http.Request) guesttest.Fault {
								if broken(request) {
									return step.fault
								}
								return guesttest.Pass
							})
						},
						Config: config(timeouts), ExpectError: regexp.MustCompile(`Unable to Create Container`),
					},
					{
						PreConfig: func() {
							if faults.Hits() == 0 {
								t.Error("nothing was broken")
							}
							faults.Set(nil)
							if _, err := f.incus.TryCommand("info", f.name); (err == nil) != step.leaves {
								t.Errorf("after the failure the instance is there: %t", err == nil)
							}
							created.Store(true)
						},
						Config: config(""),
						Check: resource.ComposeAggregateTestCheckFunc(f.inside("hello", "cat", "/etc/motd"), f.inside("recoup 1", "recoup", "version"),
							resource.TestCheckResourceAttr(address, "ipv4_address", ip)),
					},
					{Config: strings.Replace(config(""), "deletion_protection = true", "deletion_protection = false", 1)},
				},
			})
		})
	}
}

// TestAccContainerFailedUpdate breaks a change: the next apply makes it.
func TestAccContainerFailedUpdate(t *testing.T) {
	f := start(t)
	faults := guesttest.StartFaults(t, f.incus.Socket)
	config := func(cpu int, text string) string {
		return provider(faults.Socket) + f.resource(fmt.Sprintf("  cpu = %d\n  files = { \"/etc/motd\" = { content = %q } }", cpu, text))
	}
	breaking := func(pattern string, fault guesttest.Fault) func() {
		return func() {
			faults.Set(func(request *http.Request) guesttest.Fault {
				if request.Method != "GET" && request.Method != "HEAD" && strings.Contains(request.URL.String(), pattern) {
					return fault
				}
				return guesttest.Pass
			})
		}
	}
	heal := func() { faults.Set(nil) }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{
			{Config: config(1, "one")},
			{PreConfig: breaking("/1.0/instances/"+f.name+"?", guesttest.CutAfter), Config: config(2, "two"), ExpectError: regexp.MustCompile(`Unable to Update Container`)},
			{PreConfig: breaking("etc%2Fmotd", guesttest.Refuse), Config: config(2, "two"), ExpectError: regexp.MustCompile(`Unable to Update Container`)},
			{PreConfig: heal, Config: config(2, "two"), ConfigPlanChecks: inPlace(), Check: resource.ComposeAggregateTestCheckFunc(f.setting("2", "limits.cpu"), f.inside("two", "cat", "/etc/motd"))},
		},
	})
}

// TestAccContainerOverloaded: a daemon whose database took too long is asked again, whether it has done what was asked or not.
func TestAccContainerOverloaded(t *testing.T) {
	f := start(t)
	faults := guesttest.StartFaults(t, f.incus.Socket)
	asked := map[string]int{}
	faults.Set(func(request *http.Request) guesttest.Fault {
		key := request.Method + " " + request.URL.Path
		switch asked[key]++; key {
		case "POST /1.0/instances", "GET /1.0/instances/" + f.name, "POST /1.0/instances/" + f.name + "/exec":
			if asked[key] == 1 {
				return guesttest.Overload
			}
		case "PUT /1.0/instances/" + f.name + "/state":
			if asked[key] <= 2 { // to start it: once nothing is done, once it is
				return []guesttest.Fault{guesttest.Overload, guesttest.OverloadAfter}[asked[key]-1]
			}
		}
		return guesttest.Pass
	})
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{{
			Config: provider(faults.Socket) + f.resource(""),
			Check: resource.ComposeAggregateTestCheckFunc(f.inside("", "true"), func(*terraform.State) error {
				if hits := faults.Hits(); hits != 5 {
					return fmt.Errorf("%d requests were broken and not 5: %v", hits, asked)
				}
				return nil
			}),
		}},
	})
}

// TestAccContainerStartedMeanwhile: a stopped container that starts after it was looked at, as by a start whose connection broke
// and which the daemon carries out late, is stopped and deleted all the same.
func TestAccContainerStartedMeanwhile(t *testing.T) {
	f := start(t)
	faults := guesttest.StartFaults(t, f.incus.Socket)
	started := false
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{
			{Config: provider(faults.Socket) + f.resource("  running = false")},
			{
				PreConfig: func() {
					faults.Set(func(request *http.Request) guesttest.Fault {
						if !started && request.Method == http.MethodDelete && request.URL.Path == "/1.0/instances/"+f.name {
							started = true
							f.incus.Command(t, "start", f.name)
						}
						return guesttest.Pass
					})
				},
				Config: provider(faults.Socket) + f.resource("  running = false"), Destroy: true,
			},
		},
	})
	if !started {
		t.Error("it was not started between the look and the deletion")
	}
}

// TestAccContainerNotMine: a create that lost its connection must not remove what somebody else made under the same name.
func TestAccContainerNotMine(t *testing.T) {
	f := start(t)
	faults := guesttest.StartFaults(t, f.incus.Socket)
	config := provider(faults.Socket) + f.resource("")
	asked := false
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{
				PreConfig: func() {
					// The server goes away with the create, so that it can't be found out whether it was done.
					faults.Set(func(request *http.Request) guesttest.Fault {
						asked = asked || request.Method == "POST" && request.URL.Path == "/1.0/instances"
						if asked {
							return guesttest.CutBefore
						}
						return guesttest.Pass
					})
				},
				Config: config, ExpectError: regexp.MustCompile(`could\s+not\s+be\s+reached`),
			},
			{
				PreConfig: func() {
					faults.Set(nil)
					f.incus.Command(t, "init", f.incus.Image, f.name, "-c", "user.note=theirs")
				},
				Config: config, ExpectError: regexp.MustCompile(`(?s)there\s+already.*terraform\s+import`),
			},
			{
				PreConfig: func() {
					if note := f.incus.Command(t, "config", "get", f.name, "user.note"); strings.TrimSpace(note) != "theirs" {
						t.Errorf("the other's container was touched: %q", note)
					}
					f.incus.Command(t, "delete", f.name)
				},
				Config: config,
			},
		},
	})
}

// TestAccContainerUnreachable: a server that does not answer is no proof that the container is gone.
func TestAccContainerUnreachable(t *testing.T) {
	f := start(t)
	faults := guesttest.StartFaults(t, f.incus.Socket)
	config := provider(faults.Socket) + f.resource("  files = { \"/etc/motd\" = { content = \"hello\" } }")
	unchanged := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	move := func(from, to string) {
		faults.Set(nil)
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{
			{Config: config},
			{
				PreConfig: func() { faults.Set(func(*http.Request) guesttest.Fault { return guesttest.CutBefore }) },
				Config:    config, ExpectError: regexp.MustCompile(`(?s)Unable to Read Container.*could\s+not\s+be\s+reached`),
			},
			{
				PreConfig: func() { faults.Set(func(*http.Request) guesttest.Fault { return guesttest.Refuse }) },
				Config:    config, ExpectError: regexp.MustCompile(`(?s)Unable to Read Container.*a\s+fault\s+of\s+the\s+test`),
			},
			{
				PreConfig: func() { move(faults.Socket, faults.Socket+"x") },
				Config:    config, ExpectError: regexp.MustCompile(`(?s)Unable to Read Container.*no\s+such\s+socket`),
			},
			{PreConfig: func() { move(faults.Socket+"x", faults.Socket) }, Config: config, ConfigPlanChecks: unchanged},
		},
	})
}

func TestAccContainerMistakes(t *testing.T) {
	f := start(t)
	taken, takenIP := f.incus.Name(t), f.incus.Address(t)
	f.incus.Command(t, "init", f.incus.Image, taken)
	f.incus.Command(t, "config", "device", "override", taken, "eth0", "ipv4.address="+takenIP)
	with := func(lines string) string { return f.config(lines) }
	for name, mistake := range map[string]struct{ config, says string }{
		"socket":            {provider("/nonexistent/unix.socket") + f.resource(""), `(?s)with recoup_container.this,.*driver\s+=.*no\s+such\s+socket.*incus.socket`},
		"image":             {strings.Replace(f.config(""), f.incus.Image, "nonexistent", 1), `(?s)image\s+=.*no\s+image\s+with\s+the\s+alias.*incus\s+image\s+list`},
		"remote":            {strings.Replace(f.config(""), f.incus.Image, "nowhere:x", 1), `(?s)image\s+=.*images:ALIAS`},
		"name taken":        {strings.Replace(f.config(""), f.name, taken, 1), `(?s)name\s+=.*there\s+already.*terraform\s+import\s+ADDRESS\s+incus:default/` + taken},
		"bad name":          {strings.Replace(f.config(""), f.name, "bad_name", 1), `(?s)name\s+=.*not\s+a\s+host\s+name`},
		"network":           {with(`network = "nonexistent"`), `(?s)network\s+=.*incus\s+network\s+list`},
		"bridge":            {with(`bridge = "lo"`), `(?s)bridge\s+=.*not\s+a\s+bridge`},
		"network unmanaged": {with(`network = "lo"`), `(?s)network\s+=.*bridge`},
		"profile":           {with(`profiles = ["nonexistent"]`), `(?s)profiles\s+=.*incus\s+profile\s+create`},
		"address outside":   {with(`address = "192.168.77.5/24"`), `(?s)address\s+=.*is\s+not\s+in\s+` + regexp.QuoteMeta(f.incus.Prefix)},
		"address taken":     {with(fmt.Sprintf(`address = "%s/24"`, takenIP)), `(?s)address\s+=.*` + regexp.QuoteMeta(takenIP)},
		"address form":      {with(`address = "10.0.0.5"`), `(?s)address\s+=.*10.10.0.25/24`},
		"address network":   {with(`address = "10.0.0.0/24"`), `(?s)address\s+=.*network\s+itself`},
		"gateway alone":     {with(`gateway = "10.0.0.1"`), `(?s)address.*must\s+be\s+specified`},
		"mount source":      {with(`mounts = { data = { source = "/nonexistent", path = "/srv" } }`), `(?s)mounts\s+=.*nonexistent.*directory\s+on\s+the\s+host`},
		"mount relative":    {with(`mounts = { data = { source = "x", path = "/srv" } }`), `absolute\s+path`},
		"config key":        {with(`config = { "limits.nonsense" = "1" }`), `(?s)config\s+=.*limits.nonsense`},
		"no start":          {with(`config = { "raw.lxc" = "lxc.init.cmd = /nonexistent" }`), `(?s)starting\s+incus:.*first\s+error\s+there\s+is:.*nonexistent`},
		"storage pool":      {with(`storage_pool = "nonexistent"`), `(?s)storage_pool\s+=.*nonexistent`},
		"memory":            {with(`memory = "lots"`), `(?s)memory\s+=.*512MiB`},
		"file":              {with(`files = { "/etc/x" = { source_path = "/nonexistent" } }`), `(?s)files\s+=.*source_path`},
		"file both":         {with(`files = { "/etc/x" = { source_path = "/etc/hostname", content = "x" } }`), `source_path`},
		"file mode":         {with(`files = { "/etc/x" = { content = "x", mode = "rw" } }`), `octal`},
		"file relative":     {with(`files = { "etc/x" = { content = "x" } }`), `absolute\s+path`},
		"bundle":            {with(`engine_bundle = "/nonexistent"`), `(?s)engine_bundle\s+=.*nonexistent`},
		"no bundle":         {with(`engine_bundle = "/etc"`), `(?s)engine_bundle\s+=.*not\s+a\s+bundle.*tools/bundle.sh`},
		"vmid":              {with(`vmid = 105`), `(?s)vmid\s+=.*driver\s+"incus"\s+has\s+no\s+.vmid.`},
		"host":              {with(`host = "ssh://root@host"`), `(?s)host\s+=.*set\s+in\s+the\s+provider`},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             f.gone,
				Steps:                    []resource.TestStep{{Config: mistake.config, ExpectError: regexp.MustCompile(mistake.says)}},
			})
		})
	}
}

// TestAccContainerPlanDialsNothing: server and container in one apply must work, so a plan of what is not there may not ask anyone.
func TestAccContainerPlanDialsNothing(t *testing.T) {
	f := start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{
			Config: provider("/nonexistent/unix.socket") + f.resource("  address = \"10.1.2.3/24\"") +
				"output \"id\" { value = recoup_container.this.id }\n",
			PlanOnly: true, ExpectNonEmptyPlan: true,
		}},
	})
}
