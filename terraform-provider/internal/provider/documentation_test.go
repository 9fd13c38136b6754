// Tests of the documentation, which is made of schemas, templates and examples.
package provider

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// docs/ is committed; it must be what tools/tools.go makes of the sources.
func TestDocumentationIsCurrent(t *testing.T) {
	if os.Getenv("TF_ACC") == "" {
		t.Skip("making the documentation needs terraform: it runs where TF_ACC is set")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	made := t.TempDir()
	relative, err := filepath.Rel(root, made)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "tool", "tfplugindocs", "generate", "--provider-dir", "..", "--provider-name", "recoup",
		"--rendered-provider-name", "recoup", "--rendered-website-dir", relative)
	command.Dir = filepath.Join(root, "tools")
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if difference, err := exec.Command("diff", "-r", "-u", filepath.Join(root, "docs"), made).CombinedOutput(); err != nil {
		t.Errorf("docs/ is not what \"go generate ./...\" in tools/ makes:\n%s", difference)
	}
}
