// What is done inside a container once it is there: waiting, files, the engine. It is the same for every driver.

package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

type textFile struct{ path, content string }

func (f textFile) guestFile(mode fs.FileMode) guest.File {
	return guest.File{Path: f.path, Content: []byte(f.content), Mode: mode}
}

func sha256Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// waitReady returns when systemd has started what it starts, or when programs run where there is no systemd.
func waitReady(ctx context.Context, in guest.Guest) error {
	last := "nothing was answered yet"
	for {
		result, err := in.Run(ctx, []string{"systemctl", "is-system-running"}, nil)
		state := strings.TrimSpace(string(result.Stdout))
		switch {
		case err == nil && (state == "running" || state == "degraded"):
			if state == "degraded" {
				tflog.Warn(ctx, "a unit of the container has failed: `systemctl --failed` in it shows which")
			}
			return nil
		case err == nil && state == "offline" && isSystemd(ctx, in):
			last = state // systemd is the init, and has not come as far as to be seen: the first thing that it makes is not there yet
		case err == nil && (result.ExitCode == 127 || state == "offline"), err != nil && strings.Contains(err.Error(), "ommand not found"):
			if alive, err := in.Run(ctx, []string{"/bin/true"}, nil); err == nil && alive.ExitCode == 0 {
				return nil
			}
		case err == nil:
			last = strings.TrimSpace(state + " " + string(result.Stderr))
		case ctx.Err() == nil:
			last = err.Error()
		}
		if errors.Is(err, guest.ErrGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return blame(path.Root("wait_for"), "The container did not finish starting in time; `systemctl is-system-running` last said: %s. Look at `systemctl list-jobs` in it, "+
				"give it more time with `timeouts`, or set wait_for = \"none\": %w", last, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// isSystemd asks the kernel: systemctl goes by a directory that systemd makes after its start.
func isSystemd(ctx context.Context, in guest.Guest) bool {
	result, err := in.Run(ctx, []string{"readlink", "/proc/1/exe"}, nil)
	return err == nil && strings.HasSuffix(strings.TrimSpace(string(result.Stdout)), "/systemd")
}

// waitAddress returns when eth0 has the static address.
func waitAddress(ctx context.Context, d driver, wanted spec) error {
	limited, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	seen := ""
	for {
		found, err := d.observe(limited)
		if err == nil && found.ipv4 == withoutPrefix(wanted.address) {
			return nil
		}
		if err == nil {
			seen = found.ipv4
		} else if isGone(err) {
			return err
		}
		select {
		case <-limited.Done():
			if seen == "" {
				seen = "none"
			}
			return blame(path.Root("address"), "eth0 did not get %s (by %s) in time; its address is: %s. Look at `networkctl status eth0` in the container, or choose another address_method", wanted.address, wanted.method, seen)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// followAddress makes a running container take up a changed address: networkd by reading its files again, a DHCP client by
// asking anew after a restart.
func followAddress(ctx context.Context, d driver, wanted spec) error {
	if wanted.method == methodNetworkd || wanted.method == methodBoth {
		in, err := d.open(ctx)
		if err != nil {
			return err
		}
		defer in.Close()
		argv := []string{"/bin/sh", "-c", "systemctl daemon-reload && systemctl restart systemd-networkd && networkctl reload && networkctl reconfigure eth0"}
		result, err := in.Run(ctx, argv, nil)
		return guest.Check(argv, result, err)
	}
	if wanted.method == methodDriver {
		return nil
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	return d.start(ctx)
}

// content gives what a file shall be.
func (f fileModel) content() ([]byte, error) {
	if f.SourcePath.IsNull() {
		return []byte(f.Content.ValueString()), nil
	}
	return os.ReadFile(f.SourcePath.ValueString())
}

func (f fileModel) guestFile(name string) (guest.File, error) {
	content, err := f.content()
	if err != nil {
		return guest.File{}, blame(filePath(name), "source_path: the file can't be read: %w", err)
	}
	mode, err := strconv.ParseUint(f.Mode.ValueString(), 8, 32)
	return guest.File{Path: name, Content: content, Mode: fs.FileMode(mode), UID: int(f.UID.ValueInt64()), GID: int(f.GID.ValueInt64())}, err
}

// filePath goes no deeper: Terraform finds the line of a map's key, and not of what is below it.
func filePath(name string) path.Path { return path.Root("files").AtMapKey(name) }

// syncFiles makes the files what they shall be, and removes those that are managed no more. It reads before it writes, so
// that a file that is right keeps its time.
func syncFiles(ctx context.Context, in guest.Guest, before, wanted map[string]fileModel) error {
	for name := range before {
		if _, kept := wanted[name]; !kept {
			if err := in.RemoveFile(ctx, name); err != nil {
				return err
			}
		}
	}
	for name, entry := range wanted {
		file, err := entry.guestFile(name)
		if err != nil {
			return err
		}
		if !entry.SHA256.IsUnknown() && !entry.SHA256.IsNull() && entry.SHA256.ValueString() != sha256Of(file.Content) {
			return blame(filePath(name), "source_path: the file was changed while Terraform was applying: plan again")
		}
		found, err := in.ReadFile(ctx, name)
		if err == nil && string(found.Content) == string(file.Content) && found.Mode == file.Mode && found.UID == file.UID && found.GID == file.GID {
			continue
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = in.WriteFile(ctx, file)
		}
		if err != nil {
			return blame(filePath(name), "%w", err)
		}
	}
	return nil
}

// observeFiles sets what the state holds of files to what is there; those that are gone leave the state.
func observeFiles(ctx context.Context, in guest.Guest, files map[string]fileModel) error {
	const readable = 64 << 10 // more than that is no diff that anyone reads
	for name, entry := range files {
		found, err := in.ReadFile(ctx, name)
		if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, guest.ErrGone) {
			delete(files, name)
			continue
		}
		if err != nil {
			return blame(filePath(name), "%w", err)
		}
		sum := sha256Of(found.Content)
		if !entry.Content.IsNull() && sum != entry.SHA256.ValueString() {
			entry.Content = types.StringValue("(changed; SHA-256 " + sum + ")")
			if len(found.Content) <= readable && utf8.Valid(found.Content) {
				entry.Content = types.StringValue(string(found.Content))
			}
		}
		entry.SHA256 = types.StringValue(sum)
		entry.Mode = types.StringValue(fmt.Sprintf("%04o", uint32(found.Mode)))
		entry.UID, entry.GID = types.Int64Value(int64(found.UID)), types.Int64Value(int64(found.GID))
		files[name] = entry
	}
	return nil
}
