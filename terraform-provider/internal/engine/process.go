// This file is one conversation with one process of the engine.
package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"
)

const (
	// stopGrace is how long a cancelled engine may take to give back its locks. Terraform itself waits for providers without a
	// limit after the first interrupt.
	stopGrace = 20 * time.Second

	// longestLine bounds what is held in memory for one message: a list of a million files is some 300 MB.
	longestLine = 1 << 30

	keptStderr = 8 << 10
)

// message is any line of the engine.
type message struct {
	Version  int             `json:"v"`
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Engine   string          `json:"engine"`
	Release  string          `json:"version"`
	Methods  []string        `json:"methods"`
	Progress json.RawMessage `json:"progress"`
	Result   json.RawMessage `json:"result"`
	Error    *struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Attribute string `json:"attribute"`
		ExitCode  int    `json:"exit_code"`
	} `json:"error"`
}

const requestID = "1" // one request a process

func encode(method string, params any) (request []byte, secrets []string, err error) {
	if params == nil {
		params = struct{}{}
	}
	encoded, err := json.Marshal(params)
	if err != nil {
		return nil, nil, err
	}
	var decoded any
	if err := json.Unmarshal(encoded, &decoded); err != nil {
		return nil, nil, err
	}
	request, err = json.Marshal(map[string]any{"v": ProtocolVersion, "id": requestID, "method": method, "params": json.RawMessage(encoded)})
	return append(request, '\n'), collectSecrets(decoded), err
}

// call is the state of one conversation.
type call struct {
	executable, method string
	secrets            []string
	stderr             tail
	result             any
	progress           func(json.RawMessage)
	grace              time.Duration
}

func (c *Client) run(ctx context.Context, executable, method string, request []byte, secrets []string, result any,
	progress func(json.RawMessage)) error {
	started := time.Now()
	conversation := &call{executable: executable, method: method, secrets: secrets, result: result, progress: progress,
		grace: c.grace}
	err := conversation.run(ctx, request, Environment(c.settings.EngineEnvironment))
	fields := map[string]any{"method": method, "milliseconds": time.Since(started).Milliseconds()}
	if err != nil {
		fields["error"] = err.Error() // redacted; parameters and results are never logged
	}
	tflog.Debug(ctx, "called the recoup engine", fields)
	return err
}

func (c *call) run(ctx context.Context, request []byte, environment []string) error {
	command := exec.CommandContext(ctx, c.executable, "engine")
	command.Env = environment
	command.Stdin = bytes.NewReader(request) // then closed: the engine ends after its answer
	command.Stderr = &c.stderr
	command.WaitDelay = c.grace
	ownGroup(command)
	output, err := command.StdoutPipe()
	if err != nil {
		return c.fail(CodeMissing, fmt.Sprintf("The engine %s could not be started: %v.", c.executable, err))
	}
	if err := command.Start(); err != nil {
		return c.fail(CodeMissing, fmt.Sprintf("The engine %s could not be started: %v. Is it built for this "+
			"machine?", c.executable, err))
	}
	defer killGroup(command) // what a password_command left behind

	// A child of the engine may hold standard output open after the engine's death: then only closing our end ends the reading.
	unblock := context.AfterFunc(ctx, func() {
		time.AfterFunc(c.grace, func() { killGroup(command); output.Close() })
	})
	defer unblock()

	failure := c.converse(output)
	if failure != nil && !c.answered(failure) {
		killGroup(command) // it does not speak the protocol: nothing more is expected of it
	}
	_, _ = io.Copy(io.Discard, output) // a process that is still writing must not hang on a full pipe
	ended := command.Wait()
	if ctx.Err() != nil && failure != nil && !HasCode(failure, CodeInterrupted) {
		return c.fail(CodeInterrupted, fmt.Sprintf("%s was stopped: %v.", c.method, context.Cause(ctx)))
	}
	if errors.Is(failure, errNoAnswer) {
		return c.fail(CodeCrashed, fmt.Sprintf("The engine %s ended without an answer to %s (%s).%s This is a fault of the "+
			"engine: "+
			"please report it.", c.executable, c.method, describe(ended), c.said()))
	}
	return failure
}

var errNoAnswer = errors.New("no answer")

// answered says whether the failure is the engine's own answer, or that it ended: then it need not be killed.
func (c *call) answered(failure error) bool {
	return errors.Is(failure, errNoAnswer) || !HasCode(failure, CodeProtocol)
}

// converse reads the hello and then the answers, up to the last one.
func (c *call) converse(output io.Reader) error {
	lines := bufio.NewReaderSize(output, 64<<10)
	hello, err := c.next(lines)
	if err != nil {
		return err
	}
	if hello.Type != "hello" || hello.Version == 0 {
		return c.protocol("its first line is not a hello of the machine interface. Is it an older recoup, or another program?")
	}
	if hello.Version != ProtocolVersion {
		return c.protocol(fmt.Sprintf("it is recoup %s with version %d of the machine interface, and this provider needs "+
			"version %d. "+
			"Install the recoup that the provider was released with.", hello.Release, hello.Version, ProtocolVersion))
	}
	if !slices.Contains(hello.Methods, c.method) {
		return c.protocol(fmt.Sprintf("it is recoup %s, which does not know %s. Install a newer "+
			"recoup.", hello.Release, c.method))
	}
	for {
		answer, err := c.next(lines)
		if err != nil {
			return err
		}
		switch answer.Type {
		case "progress":
			if c.progress != nil {
				c.progress(answer.Progress)
			}
		case "result":
			if c.result == nil {
				return nil
			}
			if err := json.Unmarshal(answer.Result, c.result); err != nil {
				return c.protocol(fmt.Sprintf("its result of %s cannot be read: %v.", c.method, err))
			}
			return nil
		case "error":
			if answer.Error == nil {
				return c.protocol("its error says nothing.")
			}
			return &Error{Code: answer.Error.Code, Message: redact(answer.Error.Message, c.secrets),
				Attribute: answer.Error.Attribute, ExitCode: answer.Error.ExitCode}
		}
		// Other types are of a later version of the same protocol: passed over, as docs/engine.md asks.
	}
}

// next reads one message; errNoAnswer at the end of the output.
func (c *call) next(lines *bufio.Reader) (message, error) {
	var line []byte
	for {
		part, err := lines.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return message{}, errNoAnswer // a line without an end is one that was cut off
		}
		if len(line) > longestLine {
			return message{}, c.protocol("it sent a line of more than a gigabyte.")
		}
	}
	var read message
	if err := json.Unmarshal(line, &read); err != nil {
		return message{}, c.protocol(fmt.Sprintf("it wrote what is not JSON (%v): "+
			"%q.", err, shorten(redact(string(line), c.secrets))))
	}
	return read, nil
}

func (c *call) protocol(what string) error {
	return c.fail(CodeProtocol, fmt.Sprintf("The engine %s cannot be used: %s%s", c.executable, what, c.said()))
}

func (c *call) fail(code, text string) error {
	return &Error{Code: code, Message: redact(text, c.secrets)}
}

// said is what the engine wrote to standard error, for the reader of an error.
func (c *call) said() string {
	text := strings.TrimSpace(redact(c.stderr.String(), c.secrets))
	if text == "" {
		return ""
	}
	return " It said: " + text + "\n"
}

func describe(ended error) string {
	if ended == nil {
		return "exit code 0"
	}
	return ended.Error()
}

func shorten(text string) string {
	const most = 200
	if text = strings.TrimSpace(text); len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// tail keeps the last keptStderr bytes that were written to it.
type tail struct {
	mutex sync.Mutex
	kept  []byte
}

func (t *tail) Write(written []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.kept = append(t.kept, written...)
	if excess := len(t.kept) - keptStderr; excess > 0 {
		t.kept = append(t.kept[:0], t.kept[excess:]...)
	}
	return len(written), nil
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return string(t.kept)
}
