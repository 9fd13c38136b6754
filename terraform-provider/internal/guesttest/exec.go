package guesttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TryRun runs a program in an instance and gives what it wrote, standard output before standard error. The server keeps the output
// in files: its client, which has it sent, loses the end of it now and then on a busy machine.
func (i Incus) TryRun(name string, argv ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), longest)
	defer stop()
	var begun, ended struct {
		Operation, Error string
		Metadata         struct {
			Metadata struct {
				Return int
				Output map[string]string
			}
		}
	}
	order, err := json.Marshal(map[string]any{"command": argv, "record-output": true, "wait-for-websocket": false, "interactive": false})
	if err != nil {
		return "", err
	}
	answer, err := i.ask(ctx, http.MethodPost, "/1.0/instances/"+name+"/exec", order)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(answer, &begun); err != nil || begun.Error != "" {
		return "", fmt.Errorf("%q in %s: %s (%v)", argv, name, begun.Error, err)
	}
	if answer, err = i.ask(ctx, http.MethodGet, begun.Operation+"/wait", nil); err != nil {
		return "", err
	}
	if err := json.Unmarshal(answer, &ended); err != nil || ended.Error != "" {
		return "", fmt.Errorf("%q in %s: %s (%v)", argv, name, ended.Error, err)
	}
	var output strings.Builder
	for _, stream := range []string{"1", "2"} {
		text, err := i.ask(ctx, http.MethodGet, ended.Metadata.Metadata.Output[stream], nil)
		if err != nil {
			return "", err
		}
		output.Write(text)
		_, _ = i.ask(ctx, http.MethodDelete, ended.Metadata.Metadata.Output[stream], nil)
	}
	if code := ended.Metadata.Metadata.Return; code != 0 {
		return output.String(), fmt.Errorf("%q in %s ended with %d", argv, name, code)
	}
	return output.String(), nil
}

// Run is TryRun for programs that must succeed. What they print is given without the white space around it.
func (i Incus) Run(t *testing.T, name string, argv ...string) string {
	t.Helper()
	output, err := i.TryRun(name, argv...)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return strings.TrimSpace(output)
}

func (i Incus) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", i.Socket)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://server"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
