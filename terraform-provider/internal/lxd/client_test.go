package lxd

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// TestNoSilentConnection: Incus accepts no connection while the one before has not said anything.
func TestNoSilentConnection(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var lock sync.Mutex
	silent := map[net.Conn]bool{}
	server := &http.Server{
		Handler: http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
			_, _ = writer.Write([]byte(`{"type":"sync","metadata":{"name":"x"}}`))
		}),
		ConnState: func(connection net.Conn, state http.ConnState) {
			lock.Lock()
			defer lock.Unlock()
			if state == http.StateNew {
				silent[connection] = true
			} else {
				delete(silent, connection)
			}
		},
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	client, err := Open(Incus, settings.LXDServer{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	// As on a machine that is busy: meanwhile other requests end, and their connections can be had.
	transport := client.http.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		time.Sleep(5 * time.Millisecond)
		return dial(ctx, network, address)
	}
	for range 20 {
		var running sync.WaitGroup
		for range 8 {
			running.Add(1)
			go func() {
				defer running.Done()
				for range 3 {
					if _, err := client.Instance(t.Context(), "x"); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		running.Wait()
		time.Sleep(50 * time.Millisecond) // for what is being closed
		lock.Lock()
		count := len(silent)
		lock.Unlock()
		if count > 0 {
			t.Fatalf("%d connections were opened and nothing was asked on them", count)
		}
	}
}
