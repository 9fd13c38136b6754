// Package engine runs the recoup executable and speaks its machine interface (docs/engine.md in the repository) with it.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// ProtocolVersion is the "v" of docs/engine.md that this client speaks.
const ProtocolVersion = 1

// Codes of errors that are not the engine's own words but say what happened to it.
const (
	CodeMissing     = "engine_missing"   // there is no such executable, or it cannot be started
	CodeProtocol    = "engine_protocol"  // it does not speak this protocol
	CodeCrashed     = "engine_crashed"   // it ended without an answer
	CodeInterrupted = "interrupted"      // the call was cancelled
	CodeNotFound    = "not_found"        // the engine's: the object is not there
	CodeExists      = "already_exists"   // the engine's: the object is there
	CodePassword    = "wrong_password"   // the engine's: no key of the repository opens with it
	CodeInvalid     = "invalid_argument" // the engine's: a parameter is wrong
	CodeDenied      = "access_denied"    // the engine's: the server refuses these credentials
	CodeUnreachable = "unreachable"      // the engine's: the server did not answer
)

// Error is what a call failed with. Message says what failed, why, and what to do next.
type Error struct {
	Code      string // a word: the engine's error code, or one of the constants above
	Message   string
	Attribute string // path of the parameter that is to blame, as "s3.endpoint"; "" where there is none
	ExitCode  int    // what the command would have ended with; 0 where the error is not the engine's own
}

func (e *Error) Error() string { return e.Message }

// HasCode says whether err is, or wraps, an *Error with that code.
func HasCode(err error, code string) bool {
	var wanted *Error
	return errors.As(err, &wanted) && wanted.Code == code
}

// Client calls the engine. It is safe for concurrent use: each call has a process of its own, which costs milliseconds and
// keeps a crash or a cancelled call from touching another one.
type Client struct {
	settings settings.Settings
	grace    time.Duration // stopGrace, but in tests
}

// New does not look for the executable: plans of resources that need none must work without it.
func New(settings settings.Settings) *Client {
	return &Client{settings: settings, grace: stopGrace}
}

// Call sends one request and waits for its result, which is decoded into result (nil: passed over). Each progress message is
// handed to progress (nil: passed over). The error is an *Error. When ctx ends the engine is told to stop, and is killed with
// everything that it started if it has not done so after stopGrace.
func (c *Client) Call(ctx context.Context, method string, params any, result any, progress func(json.RawMessage)) error {
	executable, err := c.find()
	if err != nil {
		return err
	}
	request, secrets, err := encode(method, params)
	if err != nil {
		return fmt.Errorf("encode the parameters of %s: %w", method, err)
	}
	return c.run(ctx, executable, method, request, secrets, result, progress)
}
