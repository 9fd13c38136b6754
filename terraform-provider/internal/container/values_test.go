// What needs no server: sizes, addresses, bundles.

package container

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"512MiB": 512 << 20, "2GiB": 2 << 30, "1 GB": 1e9, "7B": 7, "1kB": 1000} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "lots", "1", "-1GiB", "1.5GiB", "1gib", "99999999999TiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
	for _, same := range [][2]string{{"1GiB", "1024MiB"}, {"", ""}, {"2GiB", "2 GiB"}} {
		if !sameSize(same[0], same[1]) {
			t.Errorf("%q and %q differ", same[0], same[1])
		}
	}
	if sameSize("1GiB", "1GB") || sameSize("1GiB", "") {
		t.Error("different sizes are the same")
	}
	if got := writeSize(512 << 20); got != "512MiB" {
		t.Error(got)
	}
}

func TestCIDR(t *testing.T) {
	for _, right := range []string{"10.10.0.25/24", "192.168.1.1/31", "10.0.0.1/32"} {
		if err := checkCIDR(right); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []string{"10.10.0.25", "10.10.0.0/24", "10.10.0.256/24", "fd00::1/64", "10.10.0.25/33", "x"} {
		if checkCIDR(wrong) == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestStableMAC(t *testing.T) {
	one, again, other := stableMAC("10:66:6a", "server", "incus:default/a"), stableMAC("10:66:6a", "server", "incus:default/a"), stableMAC("10:66:6a", "servera", "incus:default/")
	if one != again || one == other || !strings.HasPrefix(one, "10:66:6a:") || len(one) != 17 {
		t.Error(one, again, other)
	}
}

func TestNetworkdFile(t *testing.T) {
	content := networkdContent(spec{address: "10.10.0.25/24", gateway: "10.10.0.1", nameservers: []string{"1.1.1.1"}})
	if got := networkdAddress(content); got != "10.10.0.25/24" {
		t.Errorf("%q in %s", got, content)
	}
	if networkdAddress("[Network]\nDHCP=yes\n") != "" {
		t.Error("an address was found where there is none")
	}
}

func TestBundle(t *testing.T) {
	directory := t.TempDir()
	tree := filepath.Join(directory, "recoup")
	if err := os.MkdirAll(filepath.Join(tree, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"recoup": 0o755, "VERSION": 0o644, "lib/libc.so.6": 0o644} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	fromTree, err := loadBundle(tree)
	if err != nil {
		t.Fatal(err)
	}
	fromParent, err := loadBundle(directory)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "recoup-1-linux-x86_64.tar.gz")
	pack(t, archive, map[string]string{"recoup/recoup": "recoup", "recoup/VERSION": "VERSION", "recoup/lib/libc.so.6": "lib/libc.so.6"})
	fromArchive, err := loadBundle(archive)
	if err != nil {
		t.Fatal(err)
	}
	if fromTree.version() != fromParent.version() || fromTree.version() != fromArchive.version() {
		t.Error("directory and archive of the same bundle have different versions")
	}
	if err := os.WriteFile(filepath.Join(tree, "lib/libc.so.6"), []byte("newer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := loadBundle(tree); err != nil || changed.version() == fromArchive.version() {
		t.Errorf("a changed library is not another version (%v)", err)
	}
	outside := filepath.Join(t.TempDir(), "outside.tar.gz")
	pack(t, outside, map[string]string{"recoup": "x", "../../etc/passwd": "x"})
	if _, err := loadBundle(outside); err == nil || !strings.Contains(err.Error(), "outside of itself") {
		t.Errorf("an archive that points outside: %v", err)
	}
}

func pack(t *testing.T, name string, files map[string]string) {
	t.Helper()
	var buffer bytes.Buffer
	packed := gzip.NewWriter(&buffer)
	writer := tar.NewWriter(packed)
	for path, content := range files {
		mode := int64(0o644)
		if strings.HasSuffix(path, "recoup") {
			mode = 0o755
		}
		if err := writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	writer.Close()
	packed.Close()
	if err := os.WriteFile(name, buffer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSupport: an attribute that may be left out and is missing from the table would be taken by every driver.
func TestSupport(t *testing.T) {
	var response resource.SchemaResponse
	(&containerResource{}).Schema(t.Context(), resource.SchemaRequest{}, &response)
	if diags := response.Schema.ValidateImplementation(t.Context()); diags.HasError() {
		t.Fatal(diags)
	}
	everywhere := " timeouts deletion_protection files engine_bundle restic_link wait_for "
	for name, attribute := range response.Schema.Attributes {
		if _, listed := attributes[name]; attribute.IsOptional() && !listed && !strings.Contains(everywhere, " "+name+" ") {
			t.Errorf("%s is in no driver's list", name)
		}
	}
	for name := range attributes {
		if _, there := (&model{}).optional()[name]; !there {
			t.Errorf("%s is not looked at by ValidateConfig", name)
		}
	}
}
