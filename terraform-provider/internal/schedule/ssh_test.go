// The acceptance tests of schedules on hosts that are reached over SSH: a container with sshd of which Terraform knows no more
// than an address and a key. What is looked at there is looked at past SSH, as in acceptance_test.go.
package schedule_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
	"github.com/recoup/terraform-provider-recoup/internal/guesttest"
)

// sshSite is a host, and how it is logged in to.
type sshSite struct {
	*site
	host *guesttest.SSHHost
}

func newSSHSite(t *testing.T) *sshSite {
	t.Helper()
	acctest.PreCheck(t)
	bundle := bundleOf(t, acctest.Program(t, "RECOUP"))
	host := guesttest.StartSSHHost(t)
	return &sshSite{host: host, site: &site{T: t, incus: host.Incus, name: host.Name, bundle: bundle,
		password: "pw-schedule-" + acctest.Random(t, 12)}}
}

// login is the provider's block; more are further lines of its ssh.
func (s *sshSite) login(keyFile, hostKey, more string) string {
	return fmt.Sprintf("provider \"recoup\" {\n  ssh = {\n    private_key_file = %q\n    host_keys = { %q = %q }\n    %s\n  }\n}\n", keyFile, s.host.Host, hostKey, more)
}

func (s *sshSite) provider(more string) string { return s.login(s.host.KeyFile, s.host.HostKey, more) }

func (s *sshSite) scheduleOf(user string, instead map[string]string) string {
	return s.scheduleOn(s.provider(""), fmt.Sprintf("%q", s.host.Address(user)), instead)
}

func TestAccScheduleOverSSH(t *testing.T) {
	t.Parallel()
	s := newSSHSite(t)
	s.host.Install(t, s.bundle)
	configuration := s.scheduleOf("root", nil)
	steps := s.createAndRun(configuration + runOf("1"))
	defer s.watch(&steps[0])()
	steps = append(steps, s.changeOverSSH(), s.lostSSH(), s.driftOverSSH())
	steps = append(steps,
		resource.TestStep{Config: configuration, ResourceName: address, ImportState: true, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"secret_environment_wo_version"}},
		s.remove(s.provider("")))
	s.test(steps)
}

// watch looks at all processes' arguments during one step: it takes much of a processor.
func (s *sshSite) watch(step *resource.TestStep) (stop func()) {
	before, watching := step.PreConfig, func() {}
	step.PreConfig = func() {
		before()
		watching = sync.OnceFunc(watchProcesses(s.T, s.password))
	}
	step.Check = also(step.Check, check(func() { watching() }))
	return func() { watching() }
}

func (s *sshSite) changeOverSSH() resource.TestStep {
	started := ""
	return resource.TestStep{
		PreConfig:        func() { started = s.run("systemctl show restic-backup.service --property=ExecMainStartTimestamp") },
		Config:           s.scheduleOf("root", map[string]string{"calendar": `["15 4 * * Mon"]`}),
		ConfigPlanChecks: expectAction(plancheck.ResourceActionUpdate),
		Check: check(func() {
			if said := s.run("systemctl show restic-backup.timer --property=TimersCalendar"); !strings.Contains(said, "Mon *-*-* 04:15:00") {
				s.Errorf("the timer has %s", said)
			}
			if now := s.run("systemctl show restic-backup.service --property=ExecMainStartTimestamp"); now != started {
				s.Errorf("another time made a backup: %s, before it %s", now, started)
			}
		}),
	}
}

// lostSSH: a refresh of a host whose sshd does not answer is no drift.
func (s *sshSite) lostSSH() resource.TestStep {
	return resource.TestStep{
		PreConfig:   func() { s.run("systemctl stop ssh.service") },
		Config:      s.scheduleOf("root", nil),
		ExpectError: blames("target", "can't be reached over SSH: dial tcp", "Check that the host is up, that sshd listens there, and the port"),
	}
}

// driftOverSSH also changes the calendar back.
func (s *sshSite) driftOverSSH() resource.TestStep {
	before := ""
	return resource.TestStep{
		PreConfig: func() {
			s.run("systemctl start ssh.service")
			before = s.run("cat /etc/systemd/system/restic-backup.service")
			s.run("sed -i 's/^Type=.*/Type=simple/' /etc/systemd/system/restic-backup.service && systemctl stop restic-backup.timer && rm /etc/restic.env")
		},
		Config: s.scheduleOf("root", nil),
		ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
			mentionsDrift{`/etc/systemd/system/restic-backup.service was edited: line`},
			mentionsDrift{"restic-backup.timer is inactive instead of active"},
			mentionsDrift{"/etc/restic.env is not there"}}},
		Check: check(func() {
			if after := s.run("cat /etc/systemd/system/restic-backup.service"); after != before {
				s.Errorf("the service is not mended: %s", after)
			}
			s.isInstalled()
		}),
	}
}

func (s *sshSite) isInstalled() {
	s.Helper()
	if said, code := s.try("systemctl is-enabled restic-backup.timer && systemctl is-active restic-backup.timer"); code != 0 {
		s.Errorf("the timer is %s", said)
	}
	if said := s.run("stat -c '%a %U' /etc/restic.env"); said != "600 root" {
		s.Errorf("/etc/restic.env is %s", said)
	}
	if acctest.FindSecret(s.run("cat /etc/restic.env"), s.password) == "" {
		s.Error("the environment file has not the password")
	}
}

// blames expects an error at an attribute of the schedule that says all these words, in this order.
func blames(attribute string, words ...string) *regexp.Regexp {
	pattern := `(?s)` + attribute + `\s+=`
	for _, each := range words {
		pattern += `.*` + says(each).String()
	}
	return regexp.MustCompile(pattern)
}

// What goes wrong when a host is logged in to, and what is said of it; doing what is said helps. The last user is not root, and the
// bundle comes from Terraform, too.
func TestAccScheduleSSHMistakes(t *testing.T) {
	t.Parallel()
	s := newSSHSite(t)
	otherKey := filepath.Join(t.TempDir(), "key")
	other := guesttest.WriteKey(t, otherKey)
	target := func(user, port string) string { return fmt.Sprintf("%q", s.host.Address(user)+port) }
	var steps []resource.TestStep
	for _, mistake := range []struct {
		provider, target string
		says             *regexp.Regexp
	}{
		{s.login(s.host.KeyFile, other, ""), target("root", ""),
			blames("target", s.host.Host+":22 presents the key SHA256:", "not the one in the provider's ssh.host_keys", "replace the key there; if not, somebody else answers")},
		{s.login(otherKey, s.host.HostKey, ""), target("root", ""),
			blames("target", "root@"+s.host.Host+":22 refuses every key", "Add the public key to ~/.ssh/authorized_keys there")},
		{s.provider(""), target("nobody-of-this-name", ""), blames("target", "nobody-of-this-name@"+s.host.Host+":22 refuses every key", "or correct user")},
		{s.provider(""), target("root", ":2222"), blames("target", "root@"+s.host.Host+":2222 can't be reached over SSH", "sshd listens there, and the port")},
		{s.provider(""), target(guesttest.Deputy, ""), blames("target", "is not root", "set sudo = true in the provider's ssh block")},
		{s.provider("sudo = true"), target(guesttest.Visitor, ""), blames("target", "sudo: a password is required", "Allow it without a password there")},
		{s.provider("sudo = true"), target(guesttest.Deputy, ""), blames("executable", "There is no executable /usr/local/bin/recoup", "install it first")},
	} {
		steps = append(steps, resource.TestStep{Config: s.scheduleOn(mistake.provider, mistake.target, map[string]string{"executable": `"/usr/local/bin/recoup"`}), ExpectError: mistake.says})
	}
	host := s.provider("sudo = true") + fmt.Sprintf("resource \"recoup_container\" \"host\" {\n  driver = \"ssh\"\n  name = \"host\"\n  host = %s\n  engine_bundle = %q\n}\n",
		target(guesttest.Deputy, ""), s.bundle)
	steps = append(steps, resource.TestStep{Config: host})
	steps = append(steps, s.createAndRun(s.scheduleOn(host, "recoup_container.host.id", nil)+runOf("1"))...)
	steps = append(steps, s.remove(host))
	s.test(steps)
}
