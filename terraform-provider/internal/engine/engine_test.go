// Tests of the client against engines that misbehave (fake_test.go).
package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

func client(t *testing.T, behaviour string) *engine.Client {
	return engine.New(settings.Settings{EnginePath: fakeEngine(t, behaviour)})
}

var parameters = map[string]any{"s3": map[string]any{"endpoint": "http://h", "secret_key": "sesame-open"}}

type echoed struct {
	Request struct {
		Version    int `json:"v"`
		ID, Method string
		Params     map[string]any `json:"params"`
	} `json:"request"`
	Arguments   []string `json:"arguments"`
	Environment []string `json:"environment"`
}

func TestCallSendsTheRequestAndReadsEveryAnswer(t *testing.T) {
	var result echoed
	var progress []string
	err := client(t, "echo").Call(context.Background(), "echo", parameters, &result, func(message json.RawMessage) { progress = append(progress, string(message)) })
	if err != nil {
		t.Fatal(err)
	}
	if result.Request.Version != 1 || result.Request.Method != "echo" || result.Request.ID == "" {
		t.Errorf("the request was %+v", result.Request)
	}
	if s3, _ := result.Request.Params["s3"].(map[string]any); s3["secret_key"] != "sesame-open" {
		t.Errorf("the parameters were %v", result.Request.Params)
	}
	if !slices.Equal(progress, []string{`{"done":1}`, `{"done":2}`}) {
		t.Errorf("the progress was %v", progress)
	}
	if !slices.Equal(result.Arguments, []string{"engine"}) {
		t.Errorf("the arguments were %v", result.Arguments)
	}
}

func TestEnvironmentOfTheEngine(t *testing.T) {
	for name, text := range map[string]string{"TF_VAR_password": "leak-1", "PROXMOX_VE_API_TOKEN": "leak-2", "RESTIC_PASSWORD": "leak-3", "VAULT_TOKEN": "leak-4",
		"AWS_PROFILE": "kept-1", "https_proxy": "kept-2", "HOME": "/kept-3", "VAULT_ADDR": "kept-4"} {
		t.Setenv(name, text)
	}
	path := fakeEngine(t, "echo")
	var result echoed
	c := engine.New(settings.Settings{EnginePath: path, EngineEnvironment: []string{"VAULT_ADDR"}})
	if err := c.Call(context.Background(), "echo", parameters, &result, nil); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(result.Environment, "\n")
	if strings.Contains(text, "leak-") || strings.Contains(text, "sesame-open") {
		t.Errorf("secrets of others are inherited:\n%s", text)
	}
	for _, kept := range []string{"AWS_PROFILE=kept-1", "https_proxy=kept-2", "HOME=/kept-3", "VAULT_ADDR=kept-4", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(result.Environment, kept) {
			t.Errorf("%s is not inherited", kept)
		}
	}
}

func TestErrorsOfTheEngineKeepTheirPlaceAndLoseSecrets(t *testing.T) {
	err := client(t, "refuses").Call(context.Background(), "bucket.get", parameters, nil, nil)
	var failed *engine.Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	if failed.Code != "access_denied" || failed.Attribute != "s3.access_key" || failed.ExitCode != 12 || failed.Message != "no entry for (secret)" {
		t.Errorf("got %+v", failed)
	}
}

func TestEnginesThatMisbehave(t *testing.T) {
	for behaviour, wanted := range map[string]struct{ code, says string }{
		"crashes":                        {engine.CodeCrashed, "about to crash with (secret) in hand"},
		"exits":                          {engine.CodeCrashed, "exit status 3"},
		"exits without reading":          {engine.CodeCrashed, "exit status 3"},
		"breaks off":                     {engine.CodeCrashed, "without an answer"},
		"is of version 2":                {engine.CodeProtocol, "needs version 1"},
		"is an old recoup":               {engine.CodeCrashed, "unknown command"},
		"is another program":             {engine.CodeProtocol, "usage: engine"},
		"is other JSON":                  {engine.CodeProtocol, "older recoup"},
		"does not know the method":       {engine.CodeProtocol, "does not know echo"},
		"answers nonsense":               {engine.CodeProtocol, "cannot be read"},
		"writes for ever after nonsense": {engine.CodeProtocol, "not JSON"},
	} {
		t.Run(behaviour, func(t *testing.T) {
			c := client(t, behaviour)
			var result struct{}
			began := time.Now()
			err := c.Call(context.Background(), "echo", parameters, &result, nil)
			if !engine.HasCode(err, wanted.code) || !strings.Contains(err.Error(), wanted.says) {
				t.Errorf("wanted %s with %q, got %#v: %v", wanted.code, wanted.says, err, err)
			}
			if err != nil && strings.Contains(err.Error(), "sesame-open") {
				t.Errorf("the error has the secret: %v", err)
			}
			if took := time.Since(began); took > 30*time.Second { // the engines that hang do so for a minute
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestLargeResults(t *testing.T) {
	var result struct{ Text string }
	if err := client(t, "large").Call(context.Background(), "echo", nil, &result, nil); err != nil {
		t.Fatal(err)
	}
	if len(result.Text) != 8<<20 {
		t.Errorf("got %d bytes", len(result.Text))
	}
}

// cancelled begins a call and cancels it once the engine is at work.
func cancelled(t *testing.T, behaviour string, grace time.Duration) (process int, err error, took time.Duration) {
	t.Helper()
	directory := t.TempDir()
	t.Setenv("AWS_FAKE_DIRECTORY", directory)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var began time.Time
	c := client(t, behaviour)
	c.SetStopGrace(grace)
	err = c.Call(ctx, "echo", nil, nil, func(json.RawMessage) {
		began = time.Now()
		cancel()
	})
	took = time.Since(began)
	noted, readErr := os.ReadFile(filepath.Join(directory, behaviour))
	if readErr != nil {
		t.Fatal(readErr)
	}
	process, _ = strconv.Atoi(string(noted))
	return process, err, took
}

func TestCancelLetsTheEngineGiveBackItsLocks(t *testing.T) {
	_, err, took := cancelled(t, "stops", time.Minute)
	if !engine.HasCode(err, engine.CodeInterrupted) || !strings.Contains(err.Error(), "the lock was given back") {
		t.Errorf("got %v", err)
	}
	if took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestCancelKillsAnEngineThatHangsWithItsChildren(t *testing.T) {
	child, err, took := cancelled(t, "hangs", time.Second)
	if !engine.HasCode(err, engine.CodeInterrupted) {
		t.Errorf("got %v", err)
	}
	if took < 900*time.Millisecond || took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	for deadline := time.Now().Add(20 * time.Second); isRunning(child); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the engine's child %d is still running", child)
		}
	}
}

// isRunning says no of a process that has ended but that nobody has waited for: in a container there may be no init that does.
func isRunning(process int) bool {
	if syscall.Kill(process, 0) != nil {
		return false
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(process) + "/stat")
	return err == nil && !strings.Contains(string(status), ") Z ")
}

func TestTheExecutableIsFound(t *testing.T) {
	directory := t.TempDir()
	inPath := filepath.Join(directory, "recoup")
	if err := os.WriteFile(inPath, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(directory, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ configured, variable, path, found, says, blamed string }{
		"configured":                 {configured: inPath, variable: plain, found: inPath},
		"configured but missing":     {configured: "/nowhere/recoup", variable: inPath, path: directory, says: "engine_path says \"/nowhere/recoup\"", blamed: "engine_path"},
		"configured but a directory": {configured: directory, says: "is a directory", blamed: "engine_path"},
		"configured but a text":      {configured: plain, says: "not executable", blamed: "engine_path"},
		"in the environment":         {variable: inPath, found: inPath},
		"wrong in the environment":   {variable: plain, path: directory, says: engine.EnvironmentVariable},
		"in PATH":                    {path: directory, found: inPath},
		"nowhere":                    {path: "/nowhere", says: "Install recoup", blamed: "engine_path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(engine.EnvironmentVariable, test.variable)
			t.Setenv("PATH", test.path)
			found, err := engine.New(settings.Settings{EnginePath: test.configured}).Path()
			if found != test.found {
				t.Errorf("found %q, not %q", found, test.found)
			}
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var failed *engine.Error
			if !errors.As(err, &failed) || failed.Code != engine.CodeMissing || !strings.Contains(failed.Message, test.says) || failed.Attribute != test.blamed {
				t.Errorf("got %#v", err)
			}
		})
	}
}
