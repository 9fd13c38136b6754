// Work that the daemon does in the background: waiting for it, and calling it off.

package lxd

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type operation struct {
	ID         string         `json:"id"`
	Status     string         `json:"status"`
	StatusCode int            `json:"status_code"`
	Err        string         `json:"err"`
	MayCancel  bool           `json:"may_cancel"`
	Metadata   map[string]any `json:"metadata"`
}

const operationSuccess = 200

// change makes a request that starts an operation, and waits for its end. While the daemon is at another operation on the
// instance, begun by somebody else or by a request whose connection broke, it refuses: then it is asked again.
func (c *Client) change(ctx context.Context, method, path string, query url.Values, etag string, body any) (operation, error) {
	for until := time.Now().Add(2 * time.Minute); ; {
		state, err := c.changeOnce(ctx, method, path, query, etag, body)
		var refusal *Error
		isBusy := errors.As(err, &refusal) && strings.Contains(refusal.Message, "Instance is busy running")
		if !isBusy || time.Now().After(until) || pause(ctx, 2*time.Second) != nil {
			return state, err
		}
	}
}

func (c *Client) changeOnce(ctx context.Context, method, path string, query url.Values, etag string, body any) (operation, error) {
	running, _, err := c.call(ctx, method, path, query, etag, body, nil)
	if err != nil || running == "" {
		return operation{}, err
	}
	return c.wait(ctx, running, method+" "+path)
}

// pause ends early, with an error, when the context does.
func pause(ctx context.Context, span time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(span):
		return nil
	}
}

// wait polls in long polls rather than in one endless request, so that a proxy in between that drops idle connections does no harm.
func (c *Client) wait(ctx context.Context, path, request string) (operation, error) {
	for {
		var state operation
		_, _, err := c.call(ctx, http.MethodGet, path+"/wait", url.Values{"timeout": {"20"}}, "", nil, &state)
		if err != nil {
			return c.failed(ctx, path, request, err)
		}
		switch {
		case state.StatusCode == operationSuccess:
			return state, nil
		case state.StatusCode >= 400:
			refusal := &Error{Server: c.flavor.Name, Request: request, Code: state.StatusCode, Message: state.Err}
			if state.Err == "" {
				refusal.Message = state.Status
			}
			return state, c.explainRefusal(refusal)
		}
		// An answer before the end without an error: the long poll's time is over.
		select {
		case <-ctx.Done():
			c.cancel(path)
			return operation{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// failed takes what the wait was answered with. Incus answers with the operation's error and without the operation, which has
// the exit code of a program that could not be started.
func (c *Client) failed(ctx context.Context, path, request string, err error) (operation, error) {
	var refusal *Error
	switch {
	case ctx.Err() != nil:
		c.cancel(path)
		return operation{}, err
	case !errors.As(err, &refusal):
		return operation{}, err
	case refusal.Code == http.StatusNotFound:
		refusal.Remedy = "How it ended is not known: apply again"
		return operation{}, err
	}
	refusal.Request = request
	var state operation
	if _, _, reading := c.call(ctx, http.MethodGet, path, nil, "", nil, &state); reading != nil {
		return operation{}, err
	}
	return state, err
}

// cancel is asked for when nobody waits any more, hence the context of its own. Not every operation can be cancelled; the
// daemon says so, and nothing is lost by having asked.
func (c *Client) cancel(path string) {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	_, _, _ = c.call(ctx, http.MethodDelete, path, nil, "", nil, nil)
}

// IsUnreachable says whether nothing is known of what the server did: it may have done what was asked.
func IsUnreachable(err error) bool {
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Busy says whether the daemon is working on an instance, which may not be there yet.
func (c *Client) Busy(ctx context.Context, instance string) (bool, error) {
	var byStatus map[string][]struct {
		StatusCode int                 `json:"status_code"`
		Resources  map[string][]string `json:"resources"`
	}
	if _, _, err := c.call(ctx, http.MethodGet, "/1.0/operations", url.Values{"recursion": {"1"}}, "", nil, &byStatus); err != nil {
		return false, err
	}
	for _, operations := range byStatus {
		for _, operation := range operations {
			if operation.StatusCode >= operationSuccess {
				continue
			}
			for _, resources := range operation.Resources {
				for _, resource := range resources {
					if at, _, _ := strings.Cut(resource, "?"); at == instancePath(instance) {
						return true, nil
					}
				}
			}
		}
	}
	return false, nil
}
