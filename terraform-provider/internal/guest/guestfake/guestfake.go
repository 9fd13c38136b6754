// Package guestfake is a machine that exists in memory only, for unit tests of what is done to machines: it keeps files, and has
// a systemctl that knows which units are enabled, active and running. What real machines do, acceptance tests show.
package guestfake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

// Machine outlives the guests that are opened on it.
type Machine struct {
	mutex   sync.Mutex
	files   map[string]guest.File
	enabled map[string]bool
	active  map[string]bool
	ran     [][]string

	// Service decides how services run; nil: they succeed at once.
	Service func(unit string) ServiceRun

	// Fail, if it gives an error, makes the call fail: "WriteFile /etc/restic.env", "Run systemctl daemon-reload".
	Fail func(call string) error

	properties map[string]ServiceRun
	runs       int
}

// ServiceRun is what a service did when it was started.
type ServiceRun struct {
	ExitCode int
	Result   string // systemd's word; "": by the exit code
	Journal  string
	Polls    int  // how often it is still seen running
	Refused  bool // by systemd: nothing is run
	Forgets  bool // how it ended, as systemd does where no active timer refers to the service
	id       string
}

// New gives a machine with these files.
func New(files ...guest.File) *Machine {
	machine := &Machine{files: map[string]guest.File{}, enabled: map[string]bool{}, active: map[string]bool{}, properties: map[string]ServiceRun{}}
	for _, file := range files {
		machine.files[file.Path] = file
	}
	return machine
}

// Open reaches the machine.
func (m *Machine) Open() guest.Guest { return &opened{machine: m} }

// File gives a file of the machine; Content is nil where it is not there.
func (m *Machine) File(path string) guest.File {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.files[path]
}

// Put writes a file behind everybody's back.
func (m *Machine) Put(file guest.File) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.files[file.Path] = file
}

// Remove removes a file behind everybody's back.
func (m *Machine) Remove(path string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.files, path)
}

// Paths lists the files.
func (m *Machine) Paths() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	paths := []string{}
	for path := range m.files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

// SetTimer enables and starts a timer, or disables and stops it, behind everybody's back.
func (m *Machine) SetTimer(unit string, enabled, active bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.enabled[unit], m.active[unit] = enabled, active
}

// Timer gives the state of a timer.
func (m *Machine) Timer(unit string) (enabled, active bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.enabled[unit], m.active[unit]
}

// Ran gives the commands that were run since the last time it was asked.
func (m *Machine) Ran() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var commands []string
	for _, argv := range m.ran {
		commands = append(commands, strings.Join(argv, " "))
	}
	m.ran = nil
	return commands
}

type opened struct {
	machine *Machine
	closed  bool
}

func (g *opened) begin(ctx context.Context, call string) error {
	if g.closed {
		return errors.New("the guest was used after it was closed")
	}
	if g.machine.Fail != nil {
		if err := g.machine.Fail(call); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (g *opened) ReadFile(ctx context.Context, path string) (guest.File, error) {
	g.machine.mutex.Lock()
	defer g.machine.mutex.Unlock()
	if err := g.begin(ctx, "ReadFile "+path); err != nil {
		return guest.File{}, err
	}
	file, there := g.machine.files[path]
	if !there {
		return guest.File{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return file, nil
}

func (g *opened) WriteFile(ctx context.Context, file guest.File) error {
	g.machine.mutex.Lock()
	defer g.machine.mutex.Unlock()
	if err := g.begin(ctx, "WriteFile "+file.Path); err != nil {
		return err
	}
	file.Content = slices.Clone(file.Content)
	g.machine.files[file.Path] = file
	return nil
}

func (g *opened) RemoveFile(ctx context.Context, path string) error {
	g.machine.mutex.Lock()
	defer g.machine.mutex.Unlock()
	if err := g.begin(ctx, "RemoveFile "+path); err != nil {
		return err
	}
	delete(g.machine.files, path)
	return nil
}

func (g *opened) Close() error {
	g.closed = true
	return nil
}

func (g *opened) Run(ctx context.Context, argv []string, _ []byte) (guest.Result, error) {
	m := g.machine
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if err := g.begin(ctx, "Run "+strings.Join(argv, " ")); err != nil {
		return guest.Result{}, err
	}
	m.ran = append(m.ran, slices.Clone(argv))
	switch argv[0] {
	case "test":
		if _, there := m.files[argv[2]]; !there {
			return guest.Result{ExitCode: 1}, nil
		}
		return guest.Result{}, nil
	case "date":
		return guest.Result{Stdout: []byte("1764266400\n")}, nil
	case "ls":
		return m.list(argv[len(argv)-1]), nil
	case "systemctl":
		return m.systemctl(argv[1], argv[2:]), nil
	case "journalctl":
		return m.journalctl(argv[1:]), nil
	}
	return guest.Result{ExitCode: 127, Stderr: []byte(argv[0] + ": not found")}, nil
}

func (m *Machine) list(directory string) guest.Result {
	var names []string
	for file := range m.files {
		if path.Dir(file) == directory {
			names = append(names, path.Base(file))
		}
	}
	if len(names) == 0 {
		return guest.Result{ExitCode: 2, Stderr: []byte("ls: cannot access '" + directory + "'")}
	}
	sort.Strings(names)
	return guest.Result{Stdout: []byte(strings.Join(names, "\n") + "\n")}
}

func (m *Machine) hasUnit(unit string) bool {
	_, there := m.files["/etc/systemd/system/"+unit]
	return there
}
