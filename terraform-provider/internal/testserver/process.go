// Package testserver starts the servers of tests on ports that are free, and waits until they can be used.
package testserver

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"
)

// LongestStart is a guard against hanging, and no measure of speed.
const LongestStart = 4 * time.Minute

// ErrEnded is a program that ended before it could be used, as one does whose port somebody else has taken.
var ErrEnded = errors.New("the program has ended")

// Process is a program that was started. Its end is noticed.
type Process struct {
	command *exec.Cmd
	ended   chan struct{}
}

// Start starts it.
func Start(command *exec.Cmd) (*Process, error) {
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &Process{command: command, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(started.ended)
	}()
	return started, nil
}

// Kill ends it, and waits for its end. It may have ended before.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// WaitUntil asks again and again until there is no error, and the program lives: what answers may be somebody else's. It gives
// ErrEnded where the program ended, and ready's own error where that lasts.
func (p *Process) WaitUntil(ready func() error) error {
	for deadline := time.Now().Add(LongestStart); ; {
		err := ready()
		select {
		case <-p.ended:
			return ErrEnded
		case <-time.After(50 * time.Millisecond):
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// OnFreeAddresses calls start with so many loopback addresses that nobody listened on a moment ago. Somebody else may take one
// between this look and the program's: where start fails with ErrEnded, it is called again, with others.
func OnFreeAddresses(count int, start func(addresses []string) error) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		addresses, err := freeAddresses(count)
		if err == nil {
			err = start(addresses)
		}
		if attempt == attempts || !errors.Is(err, ErrEnded) {
			return err
		}
	}
}

func freeAddresses(count int) ([]string, error) {
	var addresses []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

var impatient = &http.Client{Timeout: 10 * time.Second}

// AnswersWith asks for a page, and gives no error if the answer has that status.
func AnswersWith(url string, status int) error {
	answer, err := impatient.Get(url)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != status {
		return fmt.Errorf("status %s", answer.Status)
	}
	return nil
}
