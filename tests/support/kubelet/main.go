// The part of a kubelet that kube-apiserver speaks with for pods/exec: an HTTPS server at /exec/NAMESPACE/POD/CONTAINER, over SPDY or
// WebSocket, by Kubernetes' own code. What it runs are processes of this machine, each in a mount namespace and root of its own.
//
//	kubelet -certificate FILE -key FILE -containers DIRECTORY
//
// prints the port on which it listens. Which containers there are is said by files in DIRECTORY, called NAMESPACE_POD_CONTAINER.json: see
// container. They are read anew for each command.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// inContainer is the first argument with which this program starts itself, to become the command in the container.
const inContainer = "in-container"

// container is what there is to know about one.
type container struct {
	// Root is the directory that the command has as its root.
	Root string `json:"root"`
	// Mounts are directories of this machine, by their places in the root, in order.
	Mounts []mount `json:"mounts"`
	// Capabilities are the numbers of those that root has in it; nil: all.
	Capabilities []uintptr `json:"capabilities"`
	// User runs the command.
	User int `json:"user"`
	// CutAfter ends this kubelet, as a node's crash would, when so many bytes have come for a command; 0: never.
	CutAfter int64 `json:"cut_after"`
	// StallAfter takes no more bytes for a command than so many, and never ends it; 0: takes all.
	StallAfter int64 `json:"stall_after"`
}

type mount struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == inContainer {
		fail(enter(os.Args[2], os.Args[3:]))
	}
	certificate := flag.String("certificate", "", "PEM `file`")
	key := flag.String("key", "", "PEM `file`")
	containers := flag.String("containers", "", "`directory` with a file for each container")
	flag.Parse()
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	// No HTTP/2: nothing in it can be upgraded to SPDY or WebSocket.
	secure := tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}})
	log.Fatal(http.Serve(secure, server{*containers}))
}

type server struct {
	containers string
}

// ServeHTTP runs a command.
func (s server) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	if len(parts) != 4 || parts[0] != "exec" {
		http.NotFound(answer, request)
		return
	}
	file := filepath.Join(s.containers, strings.Join(parts[1:], "_")+".json")
	if _, err := os.Stat(file); err != nil {
		http.Error(answer, fmt.Sprintf("container not found (%q)", parts[3]), http.StatusNotFound)
		return
	}
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	command := request.URL.Query()["command"]
	remotecommand.ServeExec(answer, request, runner{file}, parts[2], "", parts[3], command, options, 4*time.Hour,
		remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

type runner struct {
	file string
}

// ExecInContainer returns when the command has ended, whether or not there is more for it to read: as container runtimes do.
func (r runner) ExecInContainer(_ context.Context, _ string, _ string, _ string, command []string, in io.Reader, out, errs io.WriteCloser,
	_ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	described, err := read(r.file)
	if err != nil {
		return err
	}
	problems, problemsEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer problems.Close()
	running := exec.Command("/proc/self/exe", append([]string{inContainer, r.file}, command...)...)
	running.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}
	running.ExtraFiles = []*os.File{problemsEnd}
	running.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if out != nil {
		running.Stdout = out
	}
	if errs != nil {
		running.Stderr = errs
	}
	if in != nil {
		pipe, err := running.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			feed(pipe, in, described)
			pipe.Close()
		}()
	}
	err = running.Start()
	problemsEnd.Close()
	if err != nil {
		return err
	}
	problem, _ := io.ReadAll(problems)
	err = running.Wait()
	if len(problem) > 0 {
		return fmt.Errorf("OCI runtime exec failed: exec failed: unable to start container process: %s: unknown", problem)
	}
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		code := exited.ExitCode()
		if status, ok := exited.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			code = 128 + int(status.Signal())
		}
		return utilexec.CodeExitError{Err: err, Code: code}
	}
	return err
}

func feed(into io.Writer, from io.Reader, described container) {
	switch {
	case described.CutAfter > 0:
		io.CopyN(into, from, described.CutAfter)
		os.Exit(1)
	case described.StallAfter > 0:
		io.CopyN(into, from, described.StallAfter)
		select {}
	default:
		io.Copy(into, from)
	}
}

func read(file string) (container, error) {
	var found container
	content, err := os.ReadFile(file)
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(content, &found)
}
