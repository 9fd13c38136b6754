// The engine's bundle: finding it, naming its content, and installing it in a guest.

package container

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

const (
	bundleNone      = "none"
	bundleDirectory = "/usr/local/lib/recoup"
	bundleMarker    = bundleDirectory + "/.bundle"
	engineLink      = "/usr/local/bin/recoup"
	resticLink      = "/usr/local/bin/restic"
)

// bundle is a bundle's files, without the directory that archives have them in.
type bundle struct {
	files map[string]bundleFile
}

type bundleFile struct {
	content    []byte
	executable bool
}

// loadBundle reads a directory or a .tar.gz. The error is fs.ErrNotExist (errors.Is) where there is neither.
func loadBundle(name string) (*bundle, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	result := &bundle{files: map[string]bundleFile{}}
	if info.IsDir() {
		err = result.readDirectory(name)
	} else {
		err = result.readArchive(name)
	}
	if err == nil {
		err = result.strip()
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a bundle of the engine: %w. Make one with tools/bundle.sh", name, err)
	}
	return result, nil
}

func (b *bundle) readDirectory(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		// Stat, because installed libraries may be links.
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(name, ".tar.gz") {
			return err
		}
		content, err := os.ReadFile(name)
		b.files[filepath.ToSlash(relative)] = bundleFile{content, info.Mode()&0o100 != 0}
		return err
	})
}

func (b *bundle) readArchive(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	archive := tar.NewReader(unpacked)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		clean := path.Clean(header.Name)
		if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
			return fmt.Errorf("it has an entry %q outside of itself", header.Name)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		b.files[clean] = bundleFile{content, header.Mode&0o100 != 0}
	}
}

// strip takes the archive's directory recoup/ away.
func (b *bundle) strip() error {
	if entry, found := b.files["recoup/recoup"]; found && entry.executable {
		inner := map[string]bundleFile{}
		for name, file := range b.files {
			if rest, below := strings.CutPrefix(name, "recoup/"); below {
				inner[rest] = file
			}
		}
		b.files = inner
	}
	if entry, found := b.files["recoup"]; !found || !entry.executable {
		return errors.New("it has no executable `recoup`")
	}
	return nil
}

func (b *bundle) names() []string {
	names := make([]string, 0, len(b.files))
	for name := range b.files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// version is the same for a directory and for the archive of it.
func (b *bundle) version() string {
	hash := sha256.New()
	for _, name := range b.names() {
		file := b.files[name]
		fmt.Fprintf(hash, "%q %t %x\n", name, file.executable, sha256.Sum256(file.content))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func (b *bundle) archive() ([]byte, error) {
	var result bytes.Buffer
	packed, err := gzip.NewWriterLevel(&result, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	writer := tar.NewWriter(packed)
	for _, name := range b.names() {
		file := b.files[name]
		mode := int64(0o644)
		if file.executable {
			mode = 0o755
		}
		err = writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(file.content)), ModTime: time.Unix(0, 0), Format: tar.FormatGNU})
		if err == nil {
			_, err = writer.Write(file.content)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := errors.Join(writer.Close(), packed.Close()); err != nil {
		return nil, err
	}
	return result.Bytes(), nil
}

// installScript takes the archive, the version and whether restic is wanted. The new engine has to run before the old one goes:
// a bundle for another architecture leaves everything as it was.
const installScript = `set -e
archive=$1 new=$1.d target=/usr/local/lib/recoup
trap 'rm -rf -- "$archive" "$new"' EXIT
umask 022
mkdir -- "$new"
tar -xzf "$archive" -C "$new"
chown -R 0:0 "$new"
"$new/recoup" version > /dev/null
printf '%s\n' "$2" > "$new/.bundle"
rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$new" "$target"
rm -rf "$target.old"
mkdir -p /usr/local/bin
ln -sf ../lib/recoup/recoup /usr/local/bin/recoup
if [ "$3" = restic ]; then ln -sf ../lib/recoup/recoup /usr/local/bin/restic
elif [ "$(readlink /usr/local/bin/restic)" = ../lib/recoup/recoup ]; then rm /usr/local/bin/restic; fi`

func (b *bundle) install(ctx context.Context, into guest.Guest, restic bool) error {
	content, err := b.archive()
	if err != nil {
		return err
	}
	archive := "/usr/local/lib/.recoup-" + b.version()[:16] + ".tar.gz"
	if err := into.WriteFile(ctx, guest.File{Path: archive, Content: content, Mode: 0o600}); err != nil {
		return err
	}
	link := ""
	if restic {
		link = "restic"
	}
	result, err := into.Run(ctx, []string{"/bin/sh", "-c", installScript, "recoup", archive, b.version(), link}, nil)
	return guest.Check([]string{"installing the engine"}, result, err)
}

// installedScript prints the version of what is installed, if it is all there: takes whether restic is wanted.
const installedScript = `[ -x /usr/local/bin/recoup ] && [ -x /usr/local/lib/recoup/recoup ] || exit 0
linked=no
if [ "$(readlink /usr/local/bin/restic)" = ../lib/recoup/recoup ]; then linked=yes; fi
[ "$1" = $linked ] || exit 0
cat /usr/local/lib/recoup/.bundle 2>/dev/null || true`

// installedBundle gives "" where it is not there, or not whole.
func installedBundle(ctx context.Context, from guest.Guest, restic, running bool) (string, error) {
	if !running {
		marker, err := from.ReadFile(ctx, bundleMarker)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return strings.TrimSpace(string(marker.Content)), err
	}
	wanted := "no"
	if restic {
		wanted = "yes"
	}
	argv := []string{"/bin/sh", "-c", installedScript, "recoup", wanted}
	result, err := from.Run(ctx, argv, nil)
	return strings.TrimSpace(string(result.Stdout)), guest.Check(argv[:2], result, err)
}

// removeBundle takes away what install put there, and nothing else.
func removeBundle(ctx context.Context, from guest.Guest) error {
	const text = `[ -e /usr/local/lib/recoup/.bundle ] || exit 0
for link in /usr/local/bin/recoup /usr/local/bin/restic; do
  if [ "$(readlink "$link")" = ../lib/recoup/recoup ]; then rm "$link"; fi
done
rm -rf /usr/local/lib/recoup`
	argv := []string{"/bin/sh", "-c", text}
	result, err := from.Run(ctx, argv, nil)
	return guest.Check(argv[:2], result, err)
}
