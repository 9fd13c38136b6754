// Package guesttest starts what guests and containers are tested against: a real sshd, the Incus that tools/incus.sh started,
// and a server that speaks Proxmox VE's API in front of that Incus.
package guesttest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// longest is how long anything may take that the tests ask of a server: a guard against hanging, and no measure of speed.
const longest = 5 * time.Minute

// Incus is the server that the variables of tools/incus.sh name.
type Incus struct {
	Driver  string // "incus", or "lxd" for an LXD, which is the same to the tests
	Socket  string
	Image   string
	Network string
	Prefix  string // "10.99.0.": what addresses on the network begin with
}

// StartIncus skips the test where there is none: tools/incus.sh makes one where containers are possible. Where
// RECOUP_TEST_INCUS_SOCKET is set and does not work, the test fails.
func StartIncus(t *testing.T) Incus {
	t.Helper()
	socket := os.Getenv("RECOUP_TEST_INCUS_SOCKET")
	if socket == "" {
		t.Skip("RECOUP_TEST_INCUS_SOCKET is not set: eval \"$(tools/incus.sh)\" starts an Incus where that is possible")
	}
	return fromEnvironment(t, "incus", socket)
}

// StartLXD skips the test where RECOUP_TEST_LXD_SOCKET is not set. It and RECOUP_TEST_LXD_IMAGE, _NETWORK and _SUBNET are for
// LXD what the variables of tools/incus.sh are.
func StartLXD(t *testing.T) Incus {
	t.Helper()
	socket := os.Getenv("RECOUP_TEST_LXD_SOCKET")
	if socket == "" {
		t.Skip("RECOUP_TEST_LXD_SOCKET is not set: it names the socket of an LXD")
	}
	return fromEnvironment(t, "lxd", socket)
}

func fromEnvironment(t *testing.T, driver, socket string) Incus {
	t.Helper()
	variable := func(name string) string { return os.Getenv("RECOUP_TEST_" + strings.ToUpper(driver) + "_" + name) }
	subnet := variable("SUBNET")
	incus := Incus{Driver: driver, Socket: socket, Image: variable("IMAGE"), Network: variable("NETWORK"), Prefix: subnet[:strings.LastIndex(subnet, ".")+1]}
	if _, err := os.Stat(socket); err != nil || incus.Image == "" || incus.Network == "" {
		t.Fatalf("the variables of the test's server are not whole: %+v (%v)", incus, err)
	}
	return incus
}

// Settings are the provider's for this server.
func (i Incus) Settings() settings.Settings {
	return settings.Settings{Incus: settings.LXDServer{Socket: i.Socket}, LXD: settings.LXDServer{Socket: i.Socket}}
}

// Command runs Incus' own client, which is how the tests look at what was made without using what they test.
func (i Incus) Command(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := i.TryCommand(arguments...)
	if err != nil {
		t.Fatalf("incus %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return output
}

// TryCommand is Command for where a failure is fine.
func (i Incus) TryCommand(arguments ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), longest)
	defer stop()
	program := map[string]string{"incus": "incus", "lxd": "lxc"}[i.Driver]
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(os.Environ(), strings.ToUpper(i.Driver)+"_SOCKET="+i.Socket, strings.ToUpper(i.Driver)+"_CONF="+os.TempDir()+"/recoup-guesttest")
	output, err := command.CombinedOutput()
	return string(output), err
}

// Name gives a name of an instance that nobody else uses, and removes the instance after the test.
func (i Incus) Name(t *testing.T) string {
	t.Helper()
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	name := "test-" + hex.EncodeToString(random)
	if !claim(t, name) {
		t.Fatalf("%s is another test's", name)
	}
	t.Cleanup(func() {
		if output, err := i.TryCommand("delete", "--force", name); err != nil && !strings.Contains(output, "not found") {
			t.Errorf("%s is left behind: %v %s", name, err, output)
		}
	})
	return name
}

// Launch starts an instance and waits until programs run in it.
func (i Incus) Launch(t *testing.T) string {
	t.Helper()
	name := i.Name(t)
	i.Command(t, "launch", i.Image, name, "--config", "security.nesting=true")
	deadline := time.Now().Add(longest)
	for {
		state, _ := i.TryRun(name, "systemctl", "is-system-running")
		if strings.Contains(state, "running") || strings.Contains(state, "degraded") {
			return name
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not start: %s", name, state)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
