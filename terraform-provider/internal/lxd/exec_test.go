package lxd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// TestStoppedOrderIsCleanedUp: whoever stops waiting while the daemon has the order and has not answered yet, must not leave the
// recorded outputs on the host for ever, though the daemon makes them only later.
func TestStoppedOrderIsCleanedUp(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var lock sync.Mutex
	asked := map[string]int{}
	server := &http.Server{Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		what := request.Method + " " + request.URL.Path
		asked[what]++
		switch {
		case strings.HasSuffix(what, "/exec"):
			stop()
			_, _ = writer.Write([]byte(`{"type":"async","operation":"/1.0/operations/id"}`))
		case strings.HasSuffix(what, ".stdout") && asked[what] < 3:
			writer.WriteHeader(http.StatusNotFound)
		default:
			_, _ = writer.Write([]byte(`{"type":"sync"}`))
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	client, err := Open(Incus, settings.LXDServer{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Exec(ctx, "x", []string{"sleep", "60"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the context's end: %v", err)
	}
	lock.Lock()
	defer lock.Unlock()
	for what, wanted := range map[string]int{"POST /1.0/instances/x/exec": 1, "DELETE /1.0/operations/id": 1,
		"DELETE /1.0/instances/x/logs/exec-output/exec_id.stdout": 3, "DELETE /1.0/instances/x/logs/exec-output/exec_id.stderr": 1} {
		if asked[what] != wanted {
			t.Errorf("%s was asked %d times instead of %d: %v", what, asked[what], wanted, asked)
		}
	}
}
