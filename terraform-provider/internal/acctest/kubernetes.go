// This file starts a Kubernetes API server, with its etcd, for the tests of a package.
package acctest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/recoup/terraform-provider-recoup/internal/testserver"
)

// Cluster is an API server of the tests' own, with Velero's resource definitions and no controllers: what Velero would do with
// an object, the test does. Its credentials are unlike any other text.
type Cluster struct {
	Host          string // https://127.0.0.1:PORT
	Token         string // of somebody who may everything
	NobodysToken  string // of somebody who may nothing
	CACertificate string // PEM
	client        *http.Client
	directory     string
	programs      []*testserver.Process
}

var shared struct {
	sync.Once
	cluster *Cluster
	err     error
}

// StartKubernetes starts what the variables KUBE_APISERVER, ETCD and VELERO_CRDS name (tools/kubernetes.sh), once for all tests
// of a package, whose TestMain calls StopKubernetes.
func StartKubernetes(t *testing.T) *Cluster {
	t.Helper()
	PreCheck(t)
	etcd, server, definitions := Program(t, "ETCD"), Program(t, "KUBE_APISERVER"), Program(t, "VELERO_CRDS")
	shared.Do(func() {
		shared.cluster, shared.err = startCluster(etcd, server)
		if shared.err == nil {
			shared.err = shared.cluster.applyDefinitions(definitions)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// StopKubernetes ends what StartKubernetes began.
func StopKubernetes() {
	if shared.cluster != nil {
		shared.cluster.stop()
	}
}

// StartBareKubernetes starts an API server without Velero's definitions; it ends with the test.
func StartBareKubernetes(t *testing.T) *Cluster {
	t.Helper()
	PreCheck(t)
	cluster, err := startCluster(Program(t, "ETCD"), Program(t, "KUBE_APISERVER"))
	if cluster != nil {
		t.Cleanup(cluster.stop)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func (c *Cluster) stop() {
	for at := len(c.programs) - 1; at >= 0; at-- {
		c.programs[at].Kill()
	}
	c.programs = nil
	_ = os.RemoveAll(c.directory)
}

// startCluster also gives a cluster where it fails half way: it has to be stopped.
func startCluster(etcd, server string) (c *Cluster, err error) {
	err = testserver.OnFreeAddresses(3, func(addresses []string) error {
		if c != nil {
			c.stop()
		}
		var problem error
		c, problem = tryCluster(etcd, server, addresses)
		return problem
	})
	return c, err
}

func tryCluster(etcd, server string, addresses []string) (*Cluster, error) {
	directory, err := os.MkdirTemp("", "recoup-kubernetes-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{directory: directory, Token: "tk-acctest-admin-" + text(24), NobodysToken: "tk-acctest-nobody-" + text(24)}
	store := "http://" + addresses[0]
	started, err := c.start(etcd, "--data-dir", filepath.Join(directory, "etcd"), "--listen-client-urls", store, "--advertise-client-urls", store,
		"--listen-peer-urls", "http://"+addresses[1], "--unsafe-no-fsync", "--log-level", "error")
	if err != nil {
		return c, err
	}
	if err := started.WaitUntil(func() error { return testserver.AnswersWith(store+"/health", http.StatusOK) }); err != nil {
		return c, fmt.Errorf("etcd does not answer: %w\n%s", err, c.log("etcd"))
	}
	if err := c.writeCredentials(); err != nil {
		return c, err
	}
	_, port, _ := net.SplitHostPort(addresses[2])
	c.Host = "https://127.0.0.1:" + port
	in := func(name string) string { return filepath.Join(directory, name) }
	started, err = c.start(server, "--etcd-servers", store, "--secure-port", port, "--bind-address", "127.0.0.1", "--cert-dir", directory,
		"--tls-cert-file", in("server.crt"), "--tls-private-key-file", in("server.key"), "--authorization-mode", "RBAC",
		"--token-auth-file", in("tokens.csv"), "--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", in("server.key"), "--service-account-signing-key-file", in("server.key"),
		"--service-cluster-ip-range", "10.96.0.0/24", "--disable-admission-plugins", "ServiceAccount", "--watch-cache=false",
		"--endpoint-reconciler-type", "none", "--v", "0")
	if err != nil {
		return c, err
	}
	err = started.WaitUntil(func() error {
		_, err := c.do(http.MethodGet, "/readyz", "", nil)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("the API server is not ready: %w\n%s", err, c.log("kube"))
	}
	return c, nil
}

func (c *Cluster) start(program string, arguments ...string) (*testserver.Process, error) {
	log, err := os.Create(filepath.Join(c.directory, strings.SplitN(filepath.Base(program), "-", 2)[0]+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = log, log
	// A test that is killed leaves no server behind.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, err := testserver.Start(command)
	if err == nil {
		c.programs = append(c.programs, started)
	}
	return started, err
}

func (c *Cluster) log(name string) string {
	said, _ := os.ReadFile(filepath.Join(c.directory, name+".log"))
	return string(said[max(0, len(said)-4000):])
}

func text(bytes int) string {
	buffer := make([]byte, bytes)
	_, _ = rand.Read(buffer) // it never fails
	return fmt.Sprintf("%x", buffer)
}

func (c *Cluster) writeCredentials() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "recoup test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	c.CACertificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CACertificate))
	c.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for name, content := range map[string]string{
		"server.crt": c.CACertificate,
		"server.key": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})),
		"tokens.csv": c.Token + ",admin,1,system:masters\n" + c.NobodysToken + ",nobody,2\n",
	} {
		if err := os.WriteFile(filepath.Join(c.directory, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// applyDefinitions makes Velero's kinds, and waits until they are served.
func (c *Cluster) applyDefinitions(directory string) error {
	files, err := filepath.Glob(filepath.Join(directory, "*", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("there are no definitions in %s: %w", directory, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		document, err := yaml.ToJSON(content)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := c.do(http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", document); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	var last error
	for deadline := time.Now().Add(testserver.LongestStart); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		_, last = c.do(http.MethodGet, "/apis/velero.io/v1/schedules", "", nil)
		if last == nil {
			_, last = c.do(http.MethodGet, "/apis/velero.io/v2alpha1/datauploads", "", nil)
		}
		if last == nil {
			return nil
		}
	}
	return last
}

// errMissing is a 404.
var errMissing = errors.New("not found")

func (c *Cluster) do(method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, c.Host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusNotFound:
		return nil, errMissing
	case answer.StatusCode >= 300:
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, said)
	}
	return said, nil
}

// Namespace makes a namespace of the test's own.
func (c *Cluster) Namespace(t *testing.T) string {
	t.Helper()
	name := "velero-" + Random(t, 4)
	document := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, name)
	if _, err := c.do(http.MethodPost, "/api/v1/namespaces", "application/json", []byte(document)); err != nil {
		t.Fatal(err)
	}
	return name
}

// path is where an object is, or all of its kind.
func path(plural, namespace, name string) string {
	version := "v1"
	if plural == "datauploads" {
		version = "v2alpha1"
	}
	return strings.TrimSuffix("/apis/velero.io/"+version+"/namespaces/"+namespace+"/"+plural+"/"+name, "/")
}

// Get gives an object, past everything that is tested; nil where there is none.
func (c *Cluster) Get(t *testing.T, plural, namespace, name string) map[string]any {
	t.Helper()
	said, err := c.do(http.MethodGet, path(plural, namespace, name), "", nil)
	if errors.Is(err, errMissing) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(said, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// List gives all objects of a kind in a namespace.
func (c *Cluster) List(t *testing.T, plural, namespace string) []map[string]any {
	t.Helper()
	list := c.Get(t, plural, namespace, "")
	var objects []map[string]any
	for _, item := range list["items"].([]any) {
		objects = append(objects, item.(map[string]any))
	}
	return objects
}

// Create makes an object as manager does (kubectl-create, velero).
func (c *Cluster) Create(t *testing.T, plural, namespace, manager, document string) {
	t.Helper()
	if _, err := c.do(http.MethodPost, path(plural, namespace, "")+"?fieldManager="+manager, "application/json", []byte(document)); err != nil {
		t.Fatal(err)
	}
}

// Patch changes an object by a merge patch, as manager (kubectl-edit, velero-server).
func (c *Cluster) Patch(t *testing.T, plural, namespace, name, manager, patch string) {
	t.Helper()
	if err := c.TryPatch(plural, namespace, name, manager, patch); err != nil {
		t.Fatal(err)
	}
}

// TryPatch is Patch for goroutines, which may not fail a test.
func (c *Cluster) TryPatch(plural, namespace, name, manager, patch string) error {
	_, err := c.do(http.MethodPatch, path(plural, namespace, name)+"?fieldManager="+manager, "application/merge-patch+json", []byte(patch))
	return err
}

// Apply applies a part of an object on the server's side, as manager (argocd-controller).
func (c *Cluster) Apply(t *testing.T, plural, namespace, name, manager, document string) {
	t.Helper()
	where := path(plural, namespace, name) + "?force=true&fieldManager=" + manager
	if _, err := c.do(http.MethodPatch, where, "application/apply-patch+yaml", []byte(document)); err != nil {
		t.Fatal(err)
	}
}

// Delete removes an object.
func (c *Cluster) Delete(t *testing.T, plural, namespace, name string) {
	t.Helper()
	if _, err := c.do(http.MethodDelete, path(plural, namespace, name), "", nil); err != nil {
		t.Fatal(err)
	}
}

// ProviderConfig is a provider block for this cluster.
func (c *Cluster) ProviderConfig(namespace string) string {
	return fmt.Sprintf("provider \"recoup\" {\n  kubernetes = {\n    host = %q\n    token = %q\n    cluster_ca_certificate = %q\n    "+
		"velero_namespace = %q\n  }\n}\n", c.Host, c.Token, c.CACertificate, namespace)
}

// Kubeconfig writes one with two contexts: "admin", the current one, and "nobody".
func (c *Cluster) Kubeconfig(t *testing.T, file string) {
	t.Helper()
	content := map[string]any{"apiVersion": "v1", "kind": "Config", "current-context": "admin",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": c.Host, "certificate-authority-data": []byte(c.CACertificate)}}},
		"users": []any{map[string]any{"name": "admin", "user": map[string]any{"token": c.Token}},
			map[string]any{"name": "nobody", "user": map[string]any{"token": c.NobodysToken}}},
		"contexts": []any{map[string]any{"name": "admin", "context": map[string]any{"cluster": "c", "user": "admin"}},
			map[string]any{"name": "nobody", "context": map[string]any{"cluster": "c", "user": "nobody"}}}}
	encoded, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
}
