package guesttest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// claims holds a file for each name and each address that a test uses, locked for as long as its process lives: runs beside each
// other on one machine never take the same. What has a test's name and no holder is left from a run that was killed, and is removed
// when tools/container-daemon.sh is next asked for the server, which names this directory too, as tests/system/claim.py does.
const claims = "/run/lock/recoup-test.d"

var (
	heldLock sync.Mutex
	held     []*os.File // until the process ends: a file that nobody refers to would be closed
)

// claim is false where a test holds the name already.
func claim(t *testing.T, name string) bool {
	t.Helper()
	if err := os.MkdirAll(claims, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(claims, name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			t.Fatal(err)
		}
		return false
	}
	heldLock.Lock()
	held = append(held, file)
	heldLock.Unlock()
	return true
}

// Address gives one on the network that no other test uses: "10.99.0.20". Those from .200 on are handed out by the network itself.
func (i Incus) Address(t *testing.T) string {
	t.Helper()
	for last := 20; last < 200; last++ {
		if address := fmt.Sprintf("%s%d", i.Prefix, last); claim(t, address) {
			return address
		}
	}
	t.Fatal("all addresses of the tests' network are in use")
	return ""
}

// Gateway is this machine's own address on the network.
func (i Incus) Gateway() string { return i.Prefix + "1" }
