// This file starts the servers of tests, and waits for them.
package acctest

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"time"
)

// longestStart is a guard against hanging, and no measure of speed.
const longestStart = 4 * time.Minute

// errEnded is a program that ended before it could be used, as one does whose port somebody else has taken.
var errEnded = errors.New("the program has ended")

// process is a program that was started. Its end is noticed.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
}

func startProcess(command *exec.Cmd) (*process, error) {
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &process{command: command, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(started.ended)
	}()
	return started, nil
}

func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// waitUntil asks again and again until there is no error, and the program lives: what answers may be somebody else's.
func (p *process) waitUntil(ready func() error) error {
	for deadline := time.Now().Add(longestStart); ; {
		err := ready()
		select {
		case <-p.ended:
			return errEnded
		case <-time.After(50 * time.Millisecond):
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

var impatient = &http.Client{Timeout: 10 * time.Second}

// isHealthy asks for a page that is there once a server can be used.
func isHealthy(url string) error { return answersWith(url, http.StatusOK) }

func answersWith(url string, status int) error {
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
