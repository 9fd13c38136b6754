// This file starts MinIO for a test.
package acctest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/testserver"
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
	server := S3Server{Directory: t.TempDir(), AccessKey: "AKACCTEST" + Random(t, 6), SecretKey: "sk-acctest-" + Random(t, 12)}
	log, err := os.Create(filepath.Join(t.TempDir(), "minio.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	err = testserver.OnFreeAddresses(2, func(addresses []string) error {
		server.Endpoint = "http://" + addresses[0]
		return server.start(t, program, log, addresses[1])
	})
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("MinIO does not answer: %v\n%s", err, said)
	}
	return server
}

func (s S3Server) start(t *testing.T, program string, log *os.File, console string) error {
	t.Helper()
	command := exec.Command(program, "server", s.Directory, "--address", s.Endpoint[len("http://"):], "--console-address", console, "--quiet")
	command.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off")
	command.Stdout, command.Stderr = log, log
	started, err := testserver.Start(command)
	if err != nil {
		return err
	}
	t.Cleanup(started.Kill)
	// It refuses an unsigned request only once it knows its users; /minio/health/ready says yes before that, when requests are still
	// answered with 503.
	return started.WaitUntil(func() error { return testserver.AnswersWith(s.Endpoint+"/recoup-is-it-ready/", http.StatusForbidden) })
}

// ProviderConfig is a provider block for this server.
func (s S3Server) ProviderConfig() string {
	return fmt.Sprintf("provider \"recoup\" {\n  s3 = {\n    endpoint   = %q\n    access_key = %q\n    secret_key = %q\n    "+
		"region     = \"us-east-1\"\n  }\n}\n",
		s.Endpoint, s.AccessKey, s.SecretKey)
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
