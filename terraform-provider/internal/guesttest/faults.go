// A proxy in front of a unix socket that breaks what it is told to break.

package guesttest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"sync"
	"testing"
)

// Fault is what happens to a request.
type Fault int

// The ways to fail.
const (
	Pass          Fault = iota
	Refuse              // the server answers with an error and does nothing
	CutBefore           // the connection breaks before the server gets the request
	CutAfter            // the server does what was asked, and the connection breaks before its answer
	Overload            // the server does nothing, as its database took too long
	OverloadAfter       // the server does what was asked, and says the same
)

// Faults is the proxy.
type Faults struct {
	Socket string

	lock  sync.Mutex
	judge func(*http.Request) Fault
	hits  int
}

// StartFaults puts a proxy in front of a daemon's socket.
func StartFaults(t *testing.T, target string) *Faults {
	t.Helper()
	faults := &Faults{Socket: filepath.Join(t.TempDir(), "s")}
	listener, err := net.Listen("unix", faults.Socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme, request.Out.URL.Host = "http", "unix.socket"
		},
		// Without kept connections, as in the provider's own client of a socket.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", target)
		}},
	}
	server := &http.Server{Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		switch faults.ask(request) {
		case Refuse:
			refuse(writer, "a fault of the test")
		case Overload:
			refuse(writer, context.DeadlineExceeded.Error())
		case OverloadAfter:
			proxy.ServeHTTP(nowhere{http.Header{}}, request)
			refuse(writer, context.DeadlineExceeded.Error())
		case CutBefore:
			panic(http.ErrAbortHandler)
		case CutAfter:
			proxy.ServeHTTP(nowhere{http.Header{}}, request)
			panic(http.ErrAbortHandler)
		default:
			proxy.ServeHTTP(writer, request)
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return faults
}

// Set says what to break from now on; nil breaks nothing.
func (f *Faults) Set(judge func(*http.Request) Fault) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.judge, f.hits = judge, 0
}

// Hits is how many requests were broken since Set.
func (f *Faults) Hits() int {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.hits
}

func (f *Faults) ask(request *http.Request) Fault {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.judge == nil {
		return Pass
	}
	fault := f.judge(request)
	if fault != Pass {
		f.hits++
	}
	return fault
}

func refuse(writer http.ResponseWriter, message string) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(writer, `{"type":"error","error":%q,"error_code":500}`, message)
}

type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header            { return n.header }
func (n nowhere) Write(text []byte) (int, error) { return len(text), nil }
func (n nowhere) WriteHeader(int)                {}
