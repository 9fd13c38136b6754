// recoup_container against a real Incus: making, changing, importing and destroying.

package container_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

const address = "recoup_container.this"

// fixture is what most tests need.
type fixture struct {
	incus  guesttest.Incus
	name   string
	bundle string // a directory with a tiny engine
	source string // a directory to mount
}

func start(t *testing.T) fixture {
	t.Helper()
	acctest.PreCheck(t)
	return startWith(t, guesttest.StartIncus(t))
}

// startWith begins a test that may run beside others: most of one is waiting for a container. Each has a name and
// addresses of its own.
func startWith(t *testing.T, incus guesttest.Incus) fixture {
	t.Helper()
	t.Parallel()
	return fixture{incus: incus, name: incus.Name(t), bundle: smallBundle(t, "1"), source: sharedDirectory(t)}
}

// smallBundle is a bundle in all but its size. RECOUP_TEST_BUNDLE names a real one, which TestAccContainerRealBundle takes.
func smallBundle(t *testing.T, version string) string {
	t.Helper()
	directory := t.TempDir()
	put(t, filepath.Join(directory, "recoup"), "#!/bin/sh\necho recoup "+version+"\n", 0o755)
	put(t, filepath.Join(directory, "VERSION"), version+"\n", 0o644)
	return directory
}

// sharedDirectory is not below /root, where containers' users can't look.
func sharedDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("/var/tmp", "recoup-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(directory, "data"), "to be backed up\n", 0o644)
	return directory
}

func put(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func provider(socket string) string {
	return fmt.Sprintf("provider \"recoup\" {\n  incus = { socket = %q }\n}\n", socket)
}

// config is a resource with these lines more.
func (f fixture) config(lines string) string {
	return strings.Replace(provider(f.incus.Socket), "incus =", f.incus.Driver+" =", 1) + f.resource(lines)
}

func (f fixture) resource(lines string) string {
	if !strings.Contains(lines, "engine_bundle") {
		lines += "\n  engine_bundle = \"none\""
	}
	return fmt.Sprintf("resource \"recoup_container\" \"this\" {\n  driver = %q\n  name = %q\n  image = %q\n%s\n}\n", f.incus.Driver, f.name, f.incus.Image, lines)
}

// inside checks what a program in the container prints.
func (f fixture) inside(want string, argv ...string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		output, err := f.incus.TryRun(f.name, argv...)
		if err != nil || strings.TrimSpace(output) != want {
			return fmt.Errorf("%q printed %q (%v) instead of %q", argv, output, err, want)
		}
		return nil
	}
}

func (f fixture) setting(want, key string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		output, err := f.incus.TryCommand("config", "get", f.name, key)
		if err != nil || strings.TrimSpace(output) != want {
			return fmt.Errorf("%s is %q (%v) instead of %q", key, output, err, want)
		}
		return nil
	}
}

func (f fixture) gone(*terraform.State) error {
	if output, err := f.incus.TryCommand("info", f.name); err == nil {
		return fmt.Errorf("%s is still there:\n%s", f.name, output)
	}
	return nil
}

func inPlace() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}}
}

func TestAccContainerLife(t *testing.T) { life(t, start(t)) }

// TestAccContainerLXD is the same life on an LXD.
func TestAccContainerLXD(t *testing.T) {
	acctest.PreCheck(t)
	life(t, startWith(t, guesttest.StartLXD(t)))
}

func life(t *testing.T, f fixture) {
	second := smallBundle(t, "2")
	ip, otherIP := f.incus.Address(t), f.incus.Address(t)
	local := filepath.Join(t.TempDir(), "local")
	put(t, local, "from here\n", 0o600)
	uuid := ""
	same := func(*terraform.State) error {
		now := f.incus.Command(t, "config", "get", f.name, "volatile.uuid")
		if uuid != "" && uuid != now {
			return fmt.Errorf("the container was made anew: %s became %s", uuid, now)
		}
		uuid = now
		return nil
	}
	first := fmt.Sprintf(`
  address = "%s/24"
  gateway = %q
  nameservers = [%q]
  cpu = 1
  memory = "256MiB"
  config = { "limits.processes" = "500", "user.note" = "mine" }
  mounts = { data = { source = %q, path = "/srv/data" } }
  files = {
    "/etc/motd"       = { content = "hello\n", mode = "0644" }
    "/etc/deep/a/b"   = { source_path = %q, uid = 3, gid = 4 }
  }
  engine_bundle = %q`, ip, f.incus.Gateway(), f.incus.Gateway(), f.source, local, f.bundle)
	changed := fmt.Sprintf(`
  address = "%s/24"
  gateway = %q
  cpu = 2
  memory = "0.5GiB"
  autostart = false
  config = { "user.note" = "changed" }
  mounts = { data = { source = %q, path = "/srv/other", read_only = false } }
  files = { "/etc/motd" = { content = "changed\n" } }
  restic_link = true
  engine_bundle = %q`, otherIP, f.incus.Gateway(), f.source, second)
	changed = strings.ReplaceAll(changed, "0.5GiB", "512MiB")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{
			{
				Config: f.config(first),
				Check: resource.ComposeAggregateTestCheckFunc(same,
					resource.TestCheckResourceAttr(address, "id", f.incus.Driver+":default/"+f.name),
					resource.TestCheckResourceAttr(address, "status", "Running"),
					resource.TestCheckResourceAttr(address, "address_method", "both"),
					resource.TestCheckResourceAttr(address, "ipv4_address", ip),
					resource.TestCheckResourceAttr(address, "autostart", "true"),
					resource.TestCheckResourceAttr(address, "nesting", "true"),
					f.setting("1", "limits.cpu"), f.setting("256MiB", "limits.memory"), f.setting("500", "limits.processes"), f.setting("mine", "user.note"),
					f.setting("true", "security.nesting"), f.setting("true", "boot.autostart"),
					f.inside("to be backed up", "cat", "/srv/data/data"),
					f.inside("refused", "sh", "-c", "touch /srv/data/x 2>/dev/null || echo refused"),
					f.inside("hello", "cat", "/etc/motd"), f.inside("644 0 0", "stat", "-c", "%a %u %g", "/etc/motd"),
					f.inside("from here", "cat", "/etc/deep/a/b"), f.inside("600 3 4", "stat", "-c", "%a %u %g", "/etc/deep/a/b"),
					f.inside("recoup 1", "recoup", "version"),
					f.inside("no", "sh", "-c", "test -e /usr/local/bin/restic || echo no"),
					f.inside("nameserver "+f.incus.Gateway(), "tail", "-n1", "/etc/resolv.conf"),
				),
			},
			{Config: f.config(first), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
			{
				ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateId: f.incus.Driver + ":default/" + f.name,
				ImportStateVerifyIgnore: []string{"image", "config", "files", "engine_bundle", "bundle_version", "gateway", "nameservers", "profiles"},
			},
			{
				Config:           f.config(changed),
				ConfigPlanChecks: inPlace(),
				Check: resource.ComposeAggregateTestCheckFunc(same,
					resource.TestCheckResourceAttr(address, "ipv4_address", otherIP),
					f.setting("2", "limits.cpu"), f.setting("512MiB", "limits.memory"), f.setting("", "limits.processes"), f.setting("changed", "user.note"), f.setting("false", "boot.autostart"),
					f.inside("no", "sh", "-c", "test -e /srv/data/data || echo no"),
					f.inside("to be backed up", "cat", "/srv/other/data"),
					f.inside("changed", "cat", "/etc/motd"), f.inside("600 0 0", "stat", "-c", "%a %u %g", "/etc/motd"),
					f.inside("no", "sh", "-c", "test -e /etc/deep/a/b || echo no"),
					f.inside("recoup 2", "recoup", "version"), f.inside("recoup 2", "restic", "version"),
				),
			},
			{Config: f.config(changed), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
		},
	})
}

// TestAccContainerDrift changes things behind Terraform's back: each is seen, and mended without making the container anew.
func TestAccContainerDrift(t *testing.T) {
	f := start(t)
	ip, otherIP := f.incus.Address(t), f.incus.Address(t)
	config := f.config(fmt.Sprintf(`
  address = "%s/24"
  running = true
  cpu = 1
  config = { "user.note" = "mine" }
  mounts = { data = { source = %q, path = "/srv/data" } }
  files = { "/etc/motd" = { content = "hello\n" } }
  engine_bundle = %q`, ip, f.source, f.bundle))
	mended := resource.ComposeAggregateTestCheckFunc(
		resource.TestCheckResourceAttr(address, "ipv4_address", ip),
		f.setting("1", "limits.cpu"), f.setting("mine", "user.note"),
		f.inside("hello", "cat", "/etc/motd"), f.inside("600", "stat", "-c", "%a", "/etc/motd"),
		f.inside("to be backed up", "cat", "/srv/data/data"),
		f.inside("recoup 1", "recoup", "version"),
		f.inside("Address="+ip+"/24", "grep", "Address", "/etc/systemd/network/05-recoup-eth0.network"),
	)
	incus := func(arguments ...string) func() { return func() { f.incus.Command(t, arguments...) } }
	shell := func(text string) func() { return func() { f.incus.Run(t, f.name, "sh", "-c", text) } }
	steps := []resource.TestStep{{Config: config, Check: mended}}
	for _, drift := range []func(){
		shell("echo edited > /etc/motd"),
		shell("rm /etc/motd"),
		shell("chmod 644 /etc/motd"),
		shell("chown 5 /etc/motd"),
		incus("stop", f.name),
		incus("config", "set", f.name, "limits.cpu=2"),
		incus("config", "unset", f.name, "user.note"),
		incus("config", "device", "remove", f.name, "data"),
		incus("config", "device", "set", f.name, "data", "readonly=false"),
		incus("config", "device", "set", f.name, "eth0", "ipv4.address="+otherIP),
		shell("sed -i s/" + ip + "/" + otherIP + "/ /etc/systemd/network/05-recoup-eth0.network"),
		shell("rm /etc/systemd/network/05-recoup-eth0.network"),
		shell("echo Domains=x >> /etc/systemd/network/05-recoup-eth0.network"),
		shell("rm /usr/local/bin/recoup"),
		shell("rm -r /usr/local/lib/recoup"),
		shell("echo 0 > /usr/local/lib/recoup/.bundle"),
	} {
		steps = append(steps, resource.TestStep{PreConfig: drift, Config: config, ConfigPlanChecks: inPlace(), Check: mended})
	}
	hwaddr := ""
	steps = append(steps, resource.TestStep{
		// A key that nobody declared is somebody else's.
		PreConfig: incus("config", "set", f.name, "user.other=theirs", "limits.processes=400"), Config: config,
		ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
	}, resource.TestStep{
		PreConfig: func() {
			hwaddr = f.incus.Run(t, f.name, "cat", "/sys/class/net/eth0/address")
			f.incus.Command(t, "delete", "--force", f.name)
		},
		Config:           config,
		ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate)}},
		Check: resource.ComposeAggregateTestCheckFunc(mended, func(*terraform.State) error {
			return f.inside(hwaddr, "cat", "/sys/class/net/eth0/address")(nil)
		}),
	})
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: f.gone, Steps: steps})
}

// TestAccContainerPower: null leaves power alone, false keeps it off and still pushes.
func TestAccContainerPower(t *testing.T) {
	f := start(t)
	files := func(content string) string {
		return fmt.Sprintf("  files = { \"/etc/motd\" = { content = %q } }\n", content)
	}
	status := func(want string) resource.TestCheckFunc {
		return func(*terraform.State) error {
			if state := f.incus.Command(t, "list", "--format", "csv", "-c", "s", f.name); !strings.EqualFold(strings.TrimSpace(state), want) {
				return fmt.Errorf("it is %s and not %s", state, want)
			}
			return nil
		}
	}
	content := func(want string) resource.TestCheckFunc {
		return func(*terraform.State) error {
			if text := f.incus.Command(t, "file", "pull", f.name+"/etc/motd", "-"); text != want {
				return fmt.Errorf("the file has %q and not %q", text, want)
			}
			return nil
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{
			{Config: f.config(files("one") + "  running = false"), Check: resource.ComposeAggregateTestCheckFunc(status("stopped"), content("one"), resource.TestCheckResourceAttr(address, "status", "Stopped"))},
			{Config: f.config(files("two") + "  running = false"), ConfigPlanChecks: inPlace(), Check: resource.ComposeAggregateTestCheckFunc(status("stopped"), content("two"))},
			{Config: f.config(files("two") + "  running = true"), ConfigPlanChecks: inPlace(), Check: status("running")},
			{Config: f.config(files("two")), Check: status("running")},
			{
				PreConfig: func() { f.incus.Command(t, "stop", f.name) }, Config: f.config(files("two")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
			},
			{Config: f.config(files("three")), ConfigPlanChecks: inPlace(), Check: resource.ComposeAggregateTestCheckFunc(status("stopped"), content("three"))},
			{Config: f.config(files("three") + "  cpu = 1"), ConfigPlanChecks: inPlace(), Check: resource.ComposeAggregateTestCheckFunc(status("stopped"), f.setting("1", "limits.cpu"))},
		},
	})
}

func TestAccContainerAddressMethods(t *testing.T) {
	for _, method := range []string{"networkd", "dhcp-reservation", "both"} {
		t.Run(method, func(t *testing.T) {
			f := start(t)
			first, second := f.incus.Address(t), f.incus.Address(t)
			lines := func(ip string) string {
				return fmt.Sprintf("  network = %q\n  address = \"%s/24\"\n  address_method = %q", f.incus.Network, ip, method)
			}
			up := func(ip string) resource.TestCheckFunc {
				return resource.ComposeAggregateTestCheckFunc(resource.TestCheckResourceAttr(address, "ipv4_address", ip),
					f.inside("found", "sh", "-c", "grep -q '"+ip+"$' /proc/net/fib_trie && echo found"))
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{
					{Config: f.config(lines(first)), Check: up(first)},
					{Config: f.config(lines(second)), ConfigPlanChecks: inPlace(), Check: up(second)},
					{PreConfig: func() { f.incus.Command(t, "restart", f.name) }, Config: f.config(lines(second)), Check: f.inside("", "true")},
					{Config: f.config(fmt.Sprintf("  network = %q", f.incus.Network)), ConfigPlanChecks: inPlace(),
						Check: f.inside("no", "sh", "-c", "test -e /etc/systemd/network/05-recoup-eth0.network || echo no")},
				},
			})
		})
	}
}

func TestAccContainerProtection(t *testing.T) {
	f := start(t)
	protected := f.config("  deletion_protection = true")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             f.gone,
		Steps: []resource.TestStep{
			{Config: protected},
			{Config: protected, Destroy: true, ExpectError: regexp.MustCompile(`is protected`)},
			{Config: f.config("  deletion_protection = false")},
		},
	})
}

// TestAccContainerRealBundle installs what tools/bundle.sh made into a container that has nothing of what the engine needs.
func TestAccContainerRealBundle(t *testing.T) {
	f := start(t)
	bundle := os.Getenv("RECOUP_TEST_BUNDLE")
	if bundle == "" {
		t.Skip("RECOUP_TEST_BUNDLE is not set: it names the archive or directory that tools/bundle.sh made")
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{
			Config: f.config(fmt.Sprintf("  restic_link = true\n  engine_bundle = %q", bundle)),
			Check: resource.ComposeAggregateTestCheckFunc(
				f.inside("created", "sh", "-c", "RESTIC_PASSWORD=x recoup init --repo /srv/r >/dev/null && RESTIC_PASSWORD=x restic -r /srv/r backup /etc >/dev/null 2>&1 && echo created")),
		}},
	})
}
