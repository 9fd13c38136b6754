// Tests of where passwords come from.
package password

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	directory := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("TEST_PASSWORD", " in the environment ")
	for name, test := range map[string]struct {
		source     Source
		text, says string
	}{
		"text":             {Source{Text: " as it is "}, " as it is ", ""},
		"file":             {Source{File: file("a", "  pass word\r\n")}, "pass word", ""},
		"byte order mark":  {Source{File: file("b", "\ufeffpass\n")}, "pass", ""},
		"empty file":       {Source{File: file("c", " \n")}, "", "is empty"},
		"missing file":     {Source{File: filepath.Join(directory, "none")}, "", "no such file"},
		"large file":       {Source{File: file("d", strings.Repeat("x", longest+1))}, "", "64 KiB"},
		"command":          {Source{Command: `printf '%s\n' "from a command"`}, "from a command", ""},
		"failing command":  {Source{Command: `sh -c "echo locked >&2; exit 4"`}, "", "exit status 4: locked"},
		"no such command":  {Source{Command: "no-such-command"}, "", "not found"},
		"silent command":   {Source{Command: "true"}, "", "is empty"},
		"open quote":       {Source{Command: `echo "a`}, "", "not closed"},
		"variable":         {Source{Variable: "TEST_PASSWORD"}, "in the environment", ""},
		"missing variable": {Source{Variable: "TEST_NO_PASSWORD"}, "", "TEST_NO_PASSWORD is empty"},
		"nothing":          {Source{}, "", "no password"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := test.source.Read(context.Background(), []string{"PATH=" + os.Getenv("PATH")})
			if text != test.text || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q and %v", text, err)
			}
		})
	}
}

func TestCommandsSeeTheirEnvironmentOnly(t *testing.T) {
	t.Setenv("TF_VAR_secret", "leak")
	text, err := Source{Command: `sh -c 'echo "<$TF_VAR_secret>"'`}.ReadWith(context.Background(), nil)
	if err != nil || text != "<>" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestSplit(t *testing.T) {
	for command, words := range map[string][]string{
		"a  b\tc": {"a", "b", "c"}, `a "b c" 'd "e'`: {"a", "b c", `d "e`}, `a"b"c`: {"abc"}, `a ""`: {"a", ""},
	} {
		if got, err := Split(command); err != nil || !slices.Equal(got, words) {
			t.Errorf("%s: %q, %v", command, got, err)
		}
	}
	if _, err := Split("  "); err == nil {
		t.Error("an empty command is none")
	}
}

func TestParametersLeaveFilesAndCommandsToTheEngine(t *testing.T) {
	for name, source := range map[string]Source{"password": {Text: "x"}, "password_file": {File: "x"}, "password_command": {Command: "x"}} {
		parameters := source.Parameters(map[string]any{"location": "l"})
		if len(parameters) != 2 || parameters[name] != "x" {
			t.Errorf("%s: %v", name, parameters)
		}
	}
	if parameters := (Source{}).Parameters(map[string]any{}); len(parameters) != 0 {
		t.Errorf("no password is %v", parameters)
	}
}
