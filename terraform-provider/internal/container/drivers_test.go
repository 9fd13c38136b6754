// The other drivers: a host over SSH, Proxmox VE (a server that speaks its documented API, in front of real containers), and
// Incus over TLS.

package container_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
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

func sshProvider(server *guesttest.SSHD) string {
	return fmt.Sprintf("provider \"recoup\" {\n  ssh = {\n    private_key_file = %q\n    known_hosts_file = %q\n  }\n}\n", server.KeyFile, server.KnownHosts)
}

func fileIs(name, want string, mode os.FileMode) resource.TestCheckFunc {
	return func(*terraform.State) error {
		text, err := os.ReadFile(name)
		if err != nil || string(text) != want {
			return fmt.Errorf("%s has %q (%v) instead of %q", name, text, err, want)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			return fmt.Errorf("%s has mode %v (%v)", name, info.Mode(), err)
		}
		return nil
	}
}

func TestAccContainerSSH(t *testing.T) {
	acctest.PreCheck(t)
	server := guesttest.StartSSHD(t, "")
	file := filepath.Join(t.TempDir(), "deep", "file")
	config := func(lines string) string {
		return sshProvider(server) + fmt.Sprintf("resource \"recoup_container\" \"this\" {\n  driver = \"ssh\"\n  name = \"here\"\n  host = %q\n  engine_bundle = \"none\"\n%s\n}\n", server.Address(), lines)
	}
	one := config(fmt.Sprintf("files = { %q = { content = \"one\" } }", file))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy: func(*terraform.State) error {
			if _, err := os.Stat(file); err == nil {
				return fmt.Errorf("%s is still there", file)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{Config: one, Check: resource.ComposeAggregateTestCheckFunc(fileIs(file, "one", 0o600), resource.TestCheckResourceAttr(address, "id", server.Address()))},
			{
				PreConfig: func() { put(t, file, "edited", 0o644) }, Config: one,
				ConfigPlanChecks: inPlace(), Check: fileIs(file, "one", 0o600),
			},
			{
				PreConfig: func() { os.Remove(file) }, Config: one,
				ConfigPlanChecks: inPlace(), Check: fileIs(file, "one", 0o600),
			},
			{Config: config(fmt.Sprintf("files = { %q = { content = \"two\", mode = \"0640\" } }", file)), ConfigPlanChecks: inPlace(), Check: fileIs(file, "two", 0o640)},
			{ResourceName: address, ImportState: true, ImportStateId: server.Address(), ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"name", "files", "engine_bundle"}},
		},
	})
}

func TestAccContainerSSHMistakes(t *testing.T) {
	acctest.PreCheck(t)
	server, other := guesttest.StartSSHD(t, ""), guesttest.StartSSHD(t, "")
	other.Stop()
	config := func(lines string) string {
		return sshProvider(server) + fmt.Sprintf("resource \"recoup_container\" \"this\" {\n  driver = \"ssh\"\n  name = \"here\"\n%s\n}\n", lines)
	}
	here := fmt.Sprintf("host = %q\n", server.Address())
	for name, mistake := range map[string]struct{ config, says string }{
		"nobody":   {config(fmt.Sprintf("host = %q", other.Address())), `(?s)host\s+=.*not\s+in\s+.*known_hosts|sshd\s+listens`},
		"password": {config(`host = "ssh://root:hunter2@host"`), `(?s)host\s+=.*password`},
		"form":     {config(`host = "root@host"`), `(?s)host\s+=.*ssh://`},
		"cpu":      {config(here + "cpu = 1"), `(?s)cpu\s+=.*driver\s+"ssh"\s+has\s+no\s+.cpu.`},
		"mounts":   {config(here + `mounts = { a = { source = "/a", path = "/b" } }`), `(?s)mounts\s+=.*on\s+the\s+host\s+itself`},
		"image":    {config(here + `image = "x"`), `(?s)image\s+=.*there\s+already`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				Steps:                    []resource.TestStep{{Config: mistake.config, ExpectError: regexp.MustCompile(mistake.says)}},
			})
		})
	}
}

func pveProvider(pve *guesttest.Proxmox) string {
	return fmt.Sprintf("provider \"recoup\" {\n  proxmox = {\n    endpoint = %q\n    api_token = %q\n    ca_file = %q\n    ssh_host = \"127.0.0.1\"\n    ssh_port = %d\n  }\n  ssh = {\n    private_key_file = %q\n    known_hosts_file = %q\n  }\n}\n",
		pve.Endpoint, pve.Token, pve.CAFile, pve.SSH.Port, pve.SSH.KeyFile, pve.SSH.KnownHosts)
}

func TestAccContainerProxmox(t *testing.T) {
	acctest.PreCheck(t)
	pve := guesttest.StartProxmox(t)
	source, bundle, ip := sharedDirectory(t), smallBundle(t, "1"), pve.Incus.Address(t)
	config := func(lines string) string {
		return pveProvider(pve) + fmt.Sprintf("resource \"recoup_container\" \"this\" {\n  driver = \"proxmox\"\n  name = \"restic-backup\"\n  vmid = 105\n  image = %q\n  engine_bundle = %q\n%s\n}\n", guesttest.Template, bundle, lines)
	}
	behind := fixture{incus: pve.Incus, name: pve.Instance(105)}
	first := config(fmt.Sprintf(`
  address = "%s/24"
  gateway = %q
  cpu = 2
  memory = "512MiB"
  disk_size = "8GiB"
  storage_pool = "local-lvm"
  config = { swap = "0" }
  mounts = { data = { source = %q, path = "/srv/data" } }
  files = { "/etc/motd" = { content = "hello\n" } }`, ip, pve.Incus.Gateway(), source))
	second := config(fmt.Sprintf(`
  address = "%s/24"
  cpu = 1
  disk_size = "10GiB"
  storage_pool = "local-lvm"
  mounts = { other = { source = %q, path = "/srv/other", read_only = false } }
  files = { "/etc/motd" = { content = "changed\n", mode = "0644" } }`, ip, source))
	made := resource.ComposeAggregateTestCheckFunc(
		resource.TestCheckResourceAttr(address, "id", "proxmox:pve/105"),
		resource.TestCheckResourceAttr(address, "ipv4_address", ip),
		behind.inside("hello", "cat", "/etc/motd"), behind.inside("600", "stat", "-c", "%a", "/etc/motd"),
		behind.inside("to be backed up", "cat", "/srv/data/data"), behind.inside("recoup 1", "recoup", "version"))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             behind.gone,
		Steps: []resource.TestStep{
			{Config: first, Check: made},
			{ResourceName: address, ImportState: true, ImportStateId: "proxmox:pve/105", ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"image", "config", "files", "mounts", "bridge", "engine_bundle", "bundle_version"}},
			{Config: second, ConfigPlanChecks: inPlace(), Check: resource.ComposeAggregateTestCheckFunc(
				behind.inside("changed", "cat", "/etc/motd"), behind.inside("to be backed up", "cat", "/srv/other/data"),
				behind.inside("no", "sh", "-c", "test -e /srv/data/data || echo no"))},
			{PreConfig: func() {
				pve.Incus.Run(t, behind.name, "sh", "-c", "echo x > /etc/motd; rm /usr/local/bin/recoup")
			}, Config: second,
				ConfigPlanChecks: inPlace(), Check: resource.ComposeAggregateTestCheckFunc(behind.inside("changed", "cat", "/etc/motd"), behind.inside("recoup 1", "recoup", "version"))},
			{PreConfig: func() { pve.Forget(t, 105) }, Config: second,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate)}},
				Check:            behind.inside("changed", "cat", "/etc/motd")},
		},
	})
}

func TestAccContainerProxmoxFailures(t *testing.T) {
	acctest.PreCheck(t)
	pve := guesttest.StartProxmox(t)
	config := func(lines string) string {
		return pveProvider(pve) + fmt.Sprintf("resource \"recoup_container\" \"this\" {\n  driver = \"proxmox\"\n  name = \"x\"\n  engine_bundle = \"none\"\n%s\n}\n", lines)
	}
	image := fmt.Sprintf("image = %q\n", guesttest.Template)
	fail := func(path string) func() {
		return func() {
			pve.Fail = func(request *http.Request) string {
				if path != "" && strings.HasSuffix(request.URL.Path, path) {
					return "command 'x' failed: exit code 1"
				}
				return ""
			}
		}
	}
	for name, mistake := range map[string]struct{ config, says string }{
		"token":    {strings.Replace(config(image), "12345678-", "00000000-", 1), `(?s)driver\s+=.*proxmox.api_token`},
		"image":    {config(`image = "local:vztmpl/nonexistent.tar.zst"`), `(?s)image\s+=.*nonexistent`},
		"config":   {config(image + `config = { nonsense = "1" }`), `(?s)config\s+=.*nonsense`},
		"pool":     {config(image + `disk_size = "8GiB"`), `(?s)storage_pool`},
		"size":     {config(image + "disk_size = \"8GB\"\nstorage_pool = \"x\""), `(?s)disk_size\s+=.*20GiB`},
		"profiles": {config(image + `profiles = ["x"]`), `(?s)profiles\s+=.*use\s+.config.`},
		"shift":    {config(image + `mounts = { a = { source = "/a", path = "/b", shift = true } }`), `(?s)shift.*100000`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: mistake.config, ExpectError: regexp.MustCompile(mistake.says)}}})
		})
	}
	for _, path := range []string{"/nodes/pve/lxc", "/status/start"} {
		t.Run("failed"+strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{
					{PreConfig: fail(path), Config: config(image), ExpectError: regexp.MustCompile(`(?s)exit\s+code\s+1.*the\s+task's\s+log`)},
					{PreConfig: fail(""), Config: config(image), Check: resource.TestCheckResourceAttr(address, "status", "Running")},
				}})
		})
	}
}

// TestAccContainerProxmoxRemovedMeanwhile: a container that a task still holds, and that then starts after it was looked at, is
// removed all the same.
func TestAccContainerProxmoxRemovedMeanwhile(t *testing.T) {
	acctest.PreCheck(t)
	pve := guesttest.StartProxmox(t)
	config := pveProvider(pve) + fmt.Sprintf("resource \"recoup_container\" \"this\" {\n  driver = \"proxmox\"\n  name = \"x\"\n  vmid = 105\n  image = %q\n"+
		"  engine_bundle = \"none\"\n  running = false\n}\n", guesttest.Template)
	behind := fixture{incus: pve.Incus, name: pve.Instance(105)}
	asked := 0
	pve.Before = func(request *http.Request) string {
		if request.Method != http.MethodDelete {
			return ""
		}
		switch asked++; asked {
		case 1:
			return "unable to remove CT 105 - CT is locked (create)"
		case 2:
			if output, err := pve.Incus.TryCommand("start", behind.name); err != nil {
				return output
			}
		}
		return ""
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: behind.gone, Steps: []resource.TestStep{{Config: config}}})
	if asked != 3 {
		t.Errorf("it was to be deleted %d times instead of 3", asked)
	}
}

func TestAccContainerTLS(t *testing.T) {
	f := start(t)
	url, certificate, key := os.Getenv("RECOUP_TEST_INCUS_URL"), os.Getenv("RECOUP_TEST_INCUS_CERTIFICATE"), os.Getenv("RECOUP_TEST_INCUS_KEY")
	if url == "" {
		t.Skip("RECOUP_TEST_INCUS_URL is not set")
	}
	fingerprint := os.Getenv("RECOUP_TEST_INCUS_FINGERPRINT")
	wrong := sha256.Sum256([]byte("another"))
	stranger := filepath.Join(t.TempDir(), "stranger")
	if output, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=stranger",
		"-keyout", stranger+".key", "-out", stranger+".crt").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	config := func(url, certificate, key, more string) string {
		return fmt.Sprintf("provider \"recoup\" {\n  incus = {\n    address = %q\n    client_certificate_file = %q\n    client_key_file = %q\n%s\n  }\n}\n", url, certificate, key, more) + f.resource("")
	}
	pinned := fmt.Sprintf("server_fingerprint = %q", fingerprint)
	for name, mistake := range map[string]struct{ config, says string }{
		"fingerprint":    {config(url, certificate, key, fmt.Sprintf("server_fingerprint = %q", hex.EncodeToString(wrong[:]))), `(?s)driver\s+=.*` + fingerprint[:8] + `.*server_fingerprint`},
		"no fingerprint": {config(url, certificate, key, ""), `(?s)driver\s+=.*server_fingerprint`},
		"stranger":       {config(url, stranger+".crt", stranger+".key", pinned), `(?s)driver\s+=.*trust\s+add-certificate`},
		"no certificate": {config(url, "/nonexistent.crt", "/nonexistent.key", pinned), `(?s)driver\s+=.*/nonexistent.crt`},
		"nobody":         {config("https://127.0.0.1:1", certificate, key, pinned), `(?s)driver\s+=.*core.https_address`},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: mistake.config, ExpectError: regexp.MustCompile(mistake.says)}}})
		})
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: f.gone,
		Steps: []resource.TestStep{{Config: config(url, certificate, key, pinned), Check: f.inside("", "true")}}})
}
