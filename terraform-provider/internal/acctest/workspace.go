// This file runs Terraform or OpenTofu itself, with the provider as an executable of its own: for what the testing framework
// does not show, as warnings, logs, and the state as it is stored.
package acctest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Workspace is a directory with a configuration.
type Workspace struct {
	Directory string
	Log       string   // what Terraform and the provider log at TRACE
	Variables []string // environment variables beside the test's own: "TF_VAR_x=y"
	program   string
	t         *testing.T
}

// Source is how configurations of workspaces name the provider, for Terraform and OpenTofu alike.
const Source = "terraform {\n  required_providers {\n    recoup = {\n      source = \"registry.terraform.io/recoup/recoup\"\n " +
	"   }\n  }\n}\n"

var built struct {
	sync.Once
	directory string
	err       error
}

// buildProvider builds the provider once for all tests of a package; the directory is left to the system's cleaning.
func buildProvider(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.directory, built.err = os.MkdirTemp("", "recoup-provider-"); built.err != nil {
			return
		}
		command := exec.Command("go", "build", "-o", filepath.Join(built.directory, "terraform-provider-recoup"), ".")
		command.Dir = moduleRoot(t)
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := command.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the provider: %w\n%s", err, said)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.directory
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory
		}
		if filepath.Dir(directory) == directory {
			t.Fatal("this is no Go module")
		}
		directory = filepath.Dir(directory)
	}
}

// NewWorkspace makes a workspace with Source and this configuration.
func NewWorkspace(t *testing.T, config string) *Workspace {
	t.Helper()
	PreCheck(t)
	program := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if program == "" {
		found, err := exec.LookPath("terraform")
		if err != nil {
			t.Fatal(err)
		}
		program = found
	}
	w := &Workspace{Directory: t.TempDir(), program: program, t: t}
	w.Log = filepath.Join(t.TempDir(), "trace.log")
	overrides := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"registry.terraform.io/recoup/recoup\" = %q\n  "+
		"}\n  direct {}\n}\n", buildProvider(t))
	w.Write("cli.tfrc", overrides)
	w.Write("source.tf", Source)
	w.Write("main.tf", config)
	return w
}

// Write replaces a file of the workspace.
func (w *Workspace) Write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.Directory, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// Run runs a command of Terraform. The text is what it printed, with line breaks and the frames of its messages removed, so
// that sentences can be searched for.
func (w *Workspace) Run(arguments ...string) (text string, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, w.program, arguments...)
	command.Dir = w.Directory
	command.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(w.Directory, "cli.tfrc"), "TF_LOG=TRACE", "TF_LOG_PATH="+w.Log,
		"TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_INPUT=0")
	command.Env = append(command.Env, w.Variables...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err = command.Run()
	return output.String(), err
}

// Must is Run where a failure is the test's. The result is folded.
func (w *Workspace) Must(arguments ...string) string {
	w.t.Helper()
	text, err := w.Run(arguments...)
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", strings.Join(arguments, " "), err, text)
	}
	return Fold(text)
}

// Fails is Run where a success is the test's failure. The result is folded.
func (w *Workspace) Fails(arguments ...string) string {
	w.t.Helper()
	text, err := w.Run(arguments...)
	if err == nil {
		w.t.Fatalf("%s should have failed:\n%s", strings.Join(arguments, " "), text)
	}
	return Fold(text)
}

// Apply applies, and returns what was printed.
func (w *Workspace) Apply() string {
	w.t.Helper()
	return w.Must("apply", "-auto-approve", "-no-color")
}

// Destroy destroys, and returns what was printed.
func (w *Workspace) Destroy() string {
	w.t.Helper()
	return w.Must("destroy", "-auto-approve", "-no-color")
}

// MustBeEmpty fails the test if there is something to apply.
func (w *Workspace) MustBeEmpty() {
	w.t.Helper()
	text, err := w.Run("plan", "-detailed-exitcode", "-no-color")
	if err != nil {
		w.t.Fatalf("the plan is not empty: %v\n%s", err, text)
	}
}

// SearchSecrets looks for each secret in the state, the plan, and everything that was logged or printed so far.
func (w *Workspace) SearchSecrets(secrets ...string) {
	w.t.Helper()
	w.Must("plan", "-out=plan.bin", "-no-color")
	texts := map[string]string{"state": w.raw("state", "pull"), "plan": w.raw("show", "-json", "plan.bin"), "shown state": w.raw("show", "-json")}
	for name, path := range map[string]string{"log": w.Log, "state file": filepath.Join(w.Directory, "terraform.tfstate")} {
		content, err := os.ReadFile(path)
		if err != nil || len(content) == 0 {
			w.t.Fatalf("there is no %s: %v", name, err)
		}
		texts[name] = string(content)
	}
	for name, text := range texts {
		for _, secret := range secrets {
			if where := FindSecret(text, secret); where != "" {
				w.t.Errorf("the %s contains the secret %s", name, where)
			}
		}
	}
}

func (w *Workspace) raw(arguments ...string) string {
	w.t.Helper()
	text, err := w.Run(arguments...)
	if err != nil || text == "" {
		w.t.Fatalf("%s: %v\n%s", strings.Join(arguments, " "), err, text)
	}
	return text
}

var (
	frames = regexp.MustCompile(`[│╷╵]`)
	spaces = regexp.MustCompile(`\s+`)
)

// Fold makes one line of what Terraform prints in frames.
func Fold(text string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(frames.ReplaceAllString(text, " "), " "))
}

// MustContain fails the test where a sentence is missing.
func MustContain(t *testing.T, text string, sentences ...string) {
	t.Helper()
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			t.Errorf("%q is not said in:\n%s", sentence, text)
		}
	}
}
