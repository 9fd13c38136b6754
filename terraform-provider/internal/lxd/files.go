// Files and programs in an instance, by the API alone: neither websockets nor SSH.

package lxd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// FileType is what a path in an instance is.
type FileType string

// The types that the API knows.
const (
	Regular   FileType = "file"
	Directory FileType = "directory"
	Symlink   FileType = "symlink"
)

// File is a file, a directory or a symbolic link (Content is then where it points) in an instance.
type File struct {
	Type     FileType
	Mode     uint32 // permission bits
	UID, GID int
	Content  []byte
}

// ReadFile gives what is at a path. The error is fs.ErrNotExist (errors.Is) where there is nothing.
func (c *Client) ReadFile(ctx context.Context, instance, name string) (File, error) {
	return c.readFile(ctx, http.MethodGet, instance, name)
}

// StatFile is ReadFile without the content.
func (c *Client) StatFile(ctx context.Context, instance, name string) (File, error) {
	return c.readFile(ctx, http.MethodHead, instance, name)
}

// sendFile makes a request about a path. The daemon has a process of its own for an instance's files, which ends when it was
// idle for a while: a request that comes at that moment is refused, and made again. The answer to a HEAD doesn't say why.
func (c *Client) sendFile(ctx context.Context, method, instance, name string, header http.Header, content []byte) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := c.send(ctx, method, instancePath(instance)+"/files", url.Values{"path": {name}}, header, bytes.NewReader(content))
		var refusal *Error
		hasEnded := errors.As(err, &refusal) && refusal.Code == http.StatusInternalServerError &&
			(method == http.MethodHead || strings.Contains(refusal.Message, "forkfile.sock"))
		if !hasEnded || attempt == tries || pause(ctx, time.Duration(attempt)*500*time.Millisecond) != nil {
			return response, err
		}
	}
}

func (c *Client) readFile(ctx context.Context, method, instance, name string) (File, error) {
	response, err := c.sendFile(ctx, method, instance, name, nil, nil)
	if err != nil {
		return File{}, err
	}
	defer response.Body.Close()
	prefix := c.flavor.headerPrefix
	file := File{Type: FileType(response.Header.Get(prefix + "Type"))}
	mode, err := strconv.ParseUint(strings.TrimPrefix(response.Header.Get(prefix+"Mode"), "0o"), 8, 32)
	if err != nil {
		return File{}, fmt.Errorf("%s gave no mode for %s in %s: its answer has %q", c.flavor.Name, name, instance, response.Header.Get(prefix+"Mode"))
	}
	file.Mode = uint32(mode) & 0o7777
	file.UID, _ = strconv.Atoi(response.Header.Get(prefix + "Uid"))
	file.GID, _ = strconv.Atoi(response.Header.Get(prefix + "Gid"))
	if method == http.MethodHead || file.Type == Directory {
		return file, nil
	}
	if file.Content, err = io.ReadAll(response.Body); err != nil {
		return File{}, c.explainTransport(err)
	}
	if file.Type == Symlink {
		file.Content = symlinkTarget(file.Content)
	}
	return file, nil
}

// symlinkTarget takes both forms that daemons have answered with: the bare target, and the API's JSON around it.
func symlinkTarget(body []byte) []byte {
	var answer struct {
		Metadata []string `json:"metadata"`
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Metadata) == 1 {
		return []byte(answer.Metadata[0])
	}
	return bytes.TrimSpace(body)
}

// WriteFile makes the file, directory or link. It is not atomic, and an existing file keeps its mode and owner.
func (c *Client) WriteFile(ctx context.Context, instance, name string, file File) error {
	prefix := c.flavor.headerPrefix
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	header.Set(prefix+"Type", string(file.Type))
	header.Set(prefix+"Mode", fmt.Sprintf("0%o", file.Mode)) // without the zero it would be read as decimal
	header.Set(prefix+"Uid", strconv.Itoa(file.UID))
	header.Set(prefix+"Gid", strconv.Itoa(file.GID))
	header.Set(prefix+"Write", "overwrite")
	response, err := c.sendFile(ctx, http.MethodPost, instance, name, header, file.Content)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// MakeDirectories makes the directories that are missing down to name, owned by root, with mode 0755.
func (c *Client) MakeDirectories(ctx context.Context, instance, name string) error {
	name = path.Clean(name)
	if name == "/" || name == "." {
		return nil
	}
	if _, err := c.StatFile(ctx, instance, name); err == nil {
		return nil
	}
	if err := c.MakeDirectories(ctx, instance, path.Dir(name)); err != nil {
		return err
	}
	return c.WriteFile(ctx, instance, name, File{Type: Directory, Mode: 0o755})
}

// RemoveFile removes a file or an empty directory. The error is fs.ErrNotExist (errors.Is) where there is nothing.
func (c *Client) RemoveFile(ctx context.Context, instance, name string) error {
	response, err := c.sendFile(ctx, http.MethodDelete, instance, name, nil, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Output is what a program left.
type Output struct {
	ExitCode       int
	Stdout, Stderr []byte
}

// Exec runs a program as root and waits for it. It has no input: what it must read has to be in a file. When ctx ends first,
// the program goes on: the API has no call to end it.
func (c *Client) Exec(ctx context.Context, instance string, command []string, environment map[string]string) (Output, error) {
	running, err := c.order(ctx, instancePath(instance)+"/exec", map[string]any{
		"command": command, "environment": environment, "user": 0, "group": 0, "cwd": "/root",
		"wait-for-websocket": false, "interactive": false, "record-output": true,
	})
	var output Output
	if err != nil {
		return output, err
	}
	done, err := c.wait(ctx, running, "POST "+instancePath(instance)+"/exec")
	if err != nil && done.Metadata["return"] == nil {
		c.dropLogs(ctx, instance, path.Base(running))
		return output, err
	}
	code, ok := done.Metadata["return"].(float64)
	if !ok {
		return output, fmt.Errorf("%s did not say how %q ended in %s", c.flavor.Name, command[0], instance)
	}
	output.ExitCode = int(code)
	logs, _ := done.Metadata["output"].(map[string]any)
	for descriptor, into := range map[string]*[]byte{"1": &output.Stdout, "2": &output.Stderr} {
		log, ok := logs[descriptor].(string)
		if !ok {
			continue
		}
		if *into, err = c.takeLog(ctx, log); err != nil {
			return output, fmt.Errorf("reading what %q wrote in %s: %w", command[0], instance, err)
		}
	}
	return output, nil
}

// lingering is how much longer than ctx the answer to an order is waited for.
const lingering = 5 * time.Second

// order has a program begun, and gives the operation that it is. The daemon carries an order out whether anybody waits for its
// answer or not, and only the answer says what there will be to clean up: hence it is waited for a little longer than ctx lasts.
// One that the daemon was too busy for has begun nothing, and is given again.
func (c *Client) order(ctx context.Context, path string, body any) (string, error) {
	longer, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lingering, stop) })()
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return "", c.explainTransport(ctx.Err())
		}
		running, _, err := c.call(longer, http.MethodPost, path, nil, "", body, nil)
		if longer.Err() != nil {
			return "", c.explainTransport(ctx.Err())
		}
		if !isToBeAskedAgain(ctx, attempt, err) {
			return running, err
		}
	}
}

// takeLog reads a recorded output and removes it: outputs would pile up on the host otherwise.
func (c *Client) takeLog(ctx context.Context, log string) ([]byte, error) {
	response, err := c.send(ctx, http.MethodGet, log, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, c.explainTransport(err)
	}
	_ = c.removeLog(ctx, log)
	return text, nil
}

// dropLogs removes the outputs of a program that did not come to an end or to a start: they are named after the operation. Where
// ctx ended, the daemon may only be about to make them.
func (c *Client) dropLogs(ctx context.Context, instance, operation string) {
	cleaning, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	for _, stream := range []string{"stdout", "stderr"} {
		log := instancePath(instance) + "/logs/exec-output/exec_" + operation + "." + stream
		for attempt := 1; errors.Is(c.removeLog(cleaning, log), fs.ErrNotExist) && ctx.Err() != nil && attempt < 10; attempt++ {
			if pause(cleaning, 100*time.Millisecond) != nil {
				return
			}
		}
	}
}

func (c *Client) removeLog(ctx context.Context, log string) error {
	deletion, err := c.send(ctx, http.MethodDelete, log, nil, nil, nil)
	if err == nil {
		deletion.Body.Close()
	}
	return err
}
