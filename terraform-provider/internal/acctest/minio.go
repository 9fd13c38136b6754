// This file starts MinIO for a test.
package acctest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// S3Server is a MinIO of the test's own. Its credentials are unlike any other text, so that a search for them means something.
type S3Server struct {
	Endpoint  string // http://127.0.0.1:PORT
	Directory string // where it keeps its objects
	AccessKey string
	SecretKey string
}

// StartMinIO starts the MinIO that the variable MINIO names on a free port; it ends with the test.
func StartMinIO(t *testing.T) S3Server {
	t.Helper()
	PreCheck(t)
	program := Program(t, "MINIO")
	server := S3Server{Endpoint: "http://" + freeAddress(t), Directory: t.TempDir(),
		AccessKey: "AKACCTEST" + Random(t, 6), SecretKey: "sk-acctest-" + Random(t, 12)}
	log, err := os.Create(filepath.Join(t.TempDir(), "minio.log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "server", server.Directory, "--address", server.Endpoint[len("http://"):],
		"--console-address", freeAddress(t), "--quiet")
	command.Env = append(os.Environ(), "MINIO_ROOT_USER="+server.AccessKey, "MINIO_ROOT_PASSWORD="+server.SecretKey,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
	})
	if err := waitForHealth(server.Endpoint + "/minio/health/ready"); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("MinIO does not answer: %v\n%s", err, said)
	}
	return server
}

// ProviderConfig is a provider block for this server.
func (s S3Server) ProviderConfig() string {
	return fmt.Sprintf("provider \"recoup\" {\n  s3 = {\n    endpoint   = %q\n    access_key = %q\n    secret_key = %q\n    "+
		"region     = \"us-east-1\"\n  }\n}\n",
		s.Endpoint, s.AccessKey, s.SecretKey)
}

func waitForHealth(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %s", answer.Status)
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	return last
}

// freeAddress gives a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// MC runs MinIO's client (the variable MC) on this server, which it knows as "test". It is no code of this project's, so that
// what it says of a bucket is a second opinion.
func (s S3Server) MC(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := s.TryMC(t, arguments...)
	if err != nil {
		t.Fatalf("mc %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return output
}

// TryMC is MC where a failure is an answer.
func (s S3Server) TryMC(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command(Program(t, "MC"), append([]string{"--config-dir", filepath.Join(s.Directory, "..", "mc")}, arguments...)...)
	command.Env = append(os.Environ(), "MC_HOST_test=http://"+s.AccessKey+":"+s.SecretKey+"@"+s.Endpoint[len("http://"):])
	output, err := command.CombinedOutput()
	return string(output), err
}
