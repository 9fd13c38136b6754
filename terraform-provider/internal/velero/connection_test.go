// Acceptance tests of the provider's attribute "kubernetes": what is dialled when, as whom, and what is said where that fails.
package velero_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

func kubernetesBlock(attributes string) string {
	return "provider \"recoup\" {\n  kubernetes = {\n" + attributes + "\n  }\n}\n"
}

var oneSchedule = scheduleBlock("name = \"daily\"\nschedule = \"@daily\"")

func TestAccConnectionErrors(t *testing.T) {
	s := newSite(t)
	directory := t.TempDir()
	kubeconfig := filepath.Join(directory, "kubeconfig")
	s.Kubeconfig(t, kubeconfig)
	empty := filepath.Join(directory, "empty")
	if err := os.WriteFile(empty, []byte("{apiVersion: v1, kind: Config}"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := func(more string, arguments ...any) string {
		return fmt.Sprintf("host = %q\nvelero_namespace = %q\n", s.Host, s.namespace) + fmt.Sprintf(more, arguments...)
	}
	for name, test := range map[string]struct{ block, says string }{
		"nothing said":      {`velero_namespace = "x"`, `Nothing says where the cluster is.*config_path.*KUBE_CONFIG_PATH`},
		"nobody there":      {"host = \"https://127.0.0.1:1\"", `https://127\.0\.0\.1:1 gives no answer.*let this resource depend on it`},
		"a wrong token":     {host("token = \"tk-wrong\"\ncluster_ca_certificate = %q", s.CACertificate), `does not accept these credentials.*KUBE_TOKEN`},
		"no rights":         {host("token = %q\ncluster_ca_certificate = %q", s.NobodysToken, s.CACertificate), `does not allow it.*User "nobody" cannot create resource "schedules".*verbs get, create`},
		"not trusted":       {host("token = %q", s.Token), `is not trusted.*cluster_ca_certificate.*KUBE_CLUSTER_CA_CERT_DATA`},
		"another name":      {host("token = %q\ncluster_ca_certificate = %q\ntls_server_name = \"elsewhere\"", s.Token, s.CACertificate), `is for other names.*tls_server_name`},
		"no TLS":            {"host = \"http://127.0.0.1:1\"\ntoken = \"x\"", `gives no answer`},
		"TLS wanted":        {fmt.Sprintf("host = %q\ntoken = \"x\"", strings.Replace(s.Host, "https:", "http:", 1)), `is no API server, or wants TLS.*https://`},
		"no such file":      {"config_path = \"/no/such/kubeconfig\"", `cannot be read.*/no/such/kubeconfig.*let this resource depend on it`},
		"no such files":     {"config_paths = [\"/no/such/kubeconfig\", \"/nor/this\"]", `The kubeconfig /no/such/kubeconfig, /nor/this names no cluster.*let this resource depend on it`},
		"no current one":    {fmt.Sprintf("config_path = %q", empty), `names no cluster.*has no current-context.*config_context`},
		"no certificates":   {host("token = \"x\"\ninsecure = true\ncluster_ca_certificate = \"x\""), `cannot be read: specifying a root certificates file with the insecure flag.*Correct the provider's kubernetes block`},
		"no such context":   {fmt.Sprintf("config_path = %q\nconfig_context = \"none\"", kubeconfig), `context "none" does not exist`},
		"another context":   {fmt.Sprintf("config_path = %q\nconfig_context = \"nobody\"\nvelero_namespace = %q", kubeconfig, s.namespace), `User "nobody" cannot create`},
		"a failing program": {host("cluster_ca_certificate = %q\nexec = { api_version = \"client.authentication.k8s.io/v1\", command = \"/bin/false\" }", s.CACertificate), `program that gives the credentials failed`},
		"no namespace":      {fmt.Sprintf("host = %q\ntoken = %q\ncluster_ca_certificate = %q\nvelero_namespace = \"nowhere\"", s.Host, s.Token, s.CACertificate), `There is no namespace nowhere.*velero install.*velero_namespace`},
		"a bare host":       {"host = \"10.0.0.1:6443\"", `not the URL of an API server`},
		"a secret host":     {"host = \"https://a:b@10.0.0.1:6443\"", `carries credentials`},
		"half a client":     {host("client_key = \"x\""), `client_certificate`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: kubernetesBlock(test.block) + oneSchedule, ExpectError: says(test.says)}}})
		})
	}
}

// The attribute's check does not see the variable. Without a scheme, credentials would be sent in the clear.
func TestAccHostOfTheEnvironment(t *testing.T) {
	s := newSite(t)
	w := acctest.NewWorkspace(t, "provider \"recoup\" {}\n"+oneSchedule)
	w.Variables = []string{"KUBE_HOST=" + strings.TrimPrefix(s.Host, "https://"), "KUBE_TOKEN=" + s.Token}
	said := w.Fails("apply", "-auto-approve", "-no-color")
	acctest.MustContain(t, said, "KUBE_HOST is 127.0.0.1:", "not the URL of an API server")
}

// A token from a file has a new line at its end, and a path of several need not be there.
func TestAccConnections(t *testing.T) {
	s := newSite(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	s.Kubeconfig(t, kubeconfig)
	for name, block := range map[string]string{
		"a token of a file": fmt.Sprintf("host = %q\ncluster_ca_certificate = %q\ntoken = \"%s\\n\"", s.Host+"/", s.CACertificate, s.Token),
		"several paths":     fmt.Sprintf("config_paths = [\"/no/such/kubeconfig\", %q]", kubeconfig),
		"without checks":    fmt.Sprintf("config_path = %q\ninsecure = true", kubeconfig),
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
				Steps: []resource.TestStep{{Config: kubernetesBlock(fmt.Sprintf("%s\nvelero_namespace = %q", block, s.namespace)) + oneSchedule, ConfigPlanChecks: quiet}}})
		})
	}
}

func TestAccClusterWithoutVelero(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts an API server of its own")
	}
	bare := acctest.StartBareKubernetes(t)
	namespace := bare.Namespace(t)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{Config: bare.ProviderConfig(namespace) + oneSchedule,
			ExpectError: says(`does not know velero\.io/v1 Schedule.*Install Velero first.*--crds-only`)}}})
}

// A cluster that the same apply makes: planning dials nothing, neither for a new object nor for one in the state, and reads no
// kubeconfig.
func TestAccClusterThatIsNotKnownYet(t *testing.T) {
	s := newSite(t)
	config := func(trigger string) string {
		return fmt.Sprintf(`
resource "terraform_data" "cluster" {
  input            = %q
  triggers_replace = %q
}
provider "recoup" {
  kubernetes = {
    host                   = terraform_data.cluster.output
    token                  = %q
    cluster_ca_certificate = %q
    velero_namespace       = %q
  }
}
`, s.Host, trigger, s.Token, s.CACertificate, s.namespace) + oneSchedule + runBlock(s.namespace+"/daily", "1", "wait = false\ndepends_on = [recoup_velero_schedule.test]")
	}
	t.Setenv("KUBE_HOST", "https://127.0.0.1:1") // whoever asks this while planning fails
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config("1"), ConfigPlanChecks: quiet},
			{Config: config("2"), ConfigPlanChecks: planned(scheduleAddress, plancheck.ResourceActionNoop)},
		},
	})
}

// The namespace, too, may be decided by the same apply; and another one is another place.
func TestAccNamespaceThatIsNotKnownYet(t *testing.T) {
	s := newSite(t)
	other := s.Namespace(t)
	config := func(namespace string) string {
		return fmt.Sprintf("resource \"terraform_data\" \"namespace\" {\n  input = %q\n}\n", namespace) +
			strings.Replace(s.ProviderConfig("X"), `"X"`, "terraform_data.namespace.output", 1) + oneSchedule
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: config(s.namespace), ConfigPlanChecks: quiet, ConfigStateChecks: statechecks(words(scheduleAddress, "id", s.namespace+"/daily"))},
			{Config: s.ProviderConfig(other) + oneSchedule, ConfigPlanChecks: planned(scheduleAddress, plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

// A plan of new objects asks no server, and one of objects in the state says which server gives no answer.
func TestAccPlanWithoutAServer(t *testing.T) {
	s := newSite(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	w := acctest.NewWorkspace(t, kubernetesBlock(fmt.Sprintf("config_path = %q\nvelero_namespace = %q", kubeconfig, s.namespace))+oneSchedule)
	acctest.MustContain(t, w.Must("plan", "-no-color"), "1 to add", s.namespace+"/daily")
	s.Kubeconfig(t, kubeconfig)
	w.Apply()
	w.MustBeEmpty()
	if err := os.Remove(kubeconfig); err != nil {
		t.Fatal(err)
	}
	acctest.MustContain(t, w.Fails("plan", "-no-color"), "Unable to Read Velero Schedule", kubeconfig)
	s.Kubeconfig(t, kubeconfig)
	w.Destroy()
}

func TestAccNoSecretIsKept(t *testing.T) {
	s := newSite(t)
	w := acctest.NewWorkspace(t, fmt.Sprintf(`
variable "token" {
  type      = string
  ephemeral = true
}
provider "recoup" {
  kubernetes = {
    host                   = %q
    token                  = var.token
    cluster_ca_certificate = %q
    velero_namespace       = %q
  }
}
`, s.Host, s.CACertificate, s.namespace)+oneSchedule+locationBlock("name = \"minio\"\nbucket = \"b\"\ncredential = { name = \"cloud\", key = \"cloud\" }"))
	w.Variables = []string{"TF_VAR_token=" + s.Token}
	w.Apply()
	w.MustBeEmpty()
	w.SearchSecrets(s.Token)
	w.Destroy()
}
