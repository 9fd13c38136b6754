// Tests of the provider's schema and of what its configuration becomes. Nothing here runs Terraform.
package provider

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	frameworkprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

func server(t *testing.T) (tfprotov6.ProviderServer, *tfprotov6.GetProviderSchemaResponse) {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(context.Background(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return server, schemas
}

// The framework checks implementations when it is asked for the schemas: names, conflicting flags, write-only rules.
func TestSchemasAreValid(t *testing.T) {
	_, schemas := server(t)
	for _, problem := range schemas.Diagnostics {
		t.Errorf("%s: %s", problem.Summary, problem.Detail)
	}
	for name := range map[string]bool{"recoup_bucket": true, "recoup_repository": true} {
		if schemas.ResourceSchemas[name] == nil {
			t.Errorf("there is no resource %s", name)
		}
	}
}

// Users read descriptions in the generated documentation; an attribute without one is undocumented.
func TestEveryAttributeIsDescribed(t *testing.T) {
	_, schemas := server(t)
	var look func(where string, attributes []*tfprotov6.SchemaAttribute)
	look = func(where string, attributes []*tfprotov6.SchemaAttribute) {
		for _, attribute := range attributes {
			if attribute.Description == "" {
				t.Errorf("%s.%s has no description", where, attribute.Name)
			}
			if attribute.NestedType != nil {
				look(where+"."+attribute.Name, attribute.NestedType.Attributes)
			}
		}
	}
	look("provider", schemas.Provider.Block.Attributes)
	for name, schema := range schemas.ResourceSchemas {
		look(name, schema.Block.Attributes)
	}
	for name, schema := range schemas.DataSourceSchemas {
		look("data "+name, schema.Block.Attributes)
	}
	for name, schema := range schemas.EphemeralResourceSchemas {
		look("ephemeral "+name, schema.Block.Attributes)
	}
}

// No resource and no data source may have an attribute that puts a secret into the state: what is secret is write-only.
func TestNoSecretIsStored(t *testing.T) {
	_, schemas := server(t)
	var look func(where string, attributes []*tfprotov6.SchemaAttribute)
	look = func(where string, attributes []*tfprotov6.SchemaAttribute) {
		for _, attribute := range attributes {
			if attribute.Sensitive && !attribute.WriteOnly {
				t.Errorf("%s.%s is sensitive, and is stored in the state: make it write-only", where, attribute.Name)
			}
			if attribute.NestedType != nil {
				look(where+"."+attribute.Name, attribute.NestedType.Attributes)
			}
		}
	}
	for name, schema := range schemas.ResourceSchemas {
		look(name, schema.Block.Attributes)
	}
	for name, schema := range schemas.DataSourceSchemas {
		look("data "+name, schema.Block.Attributes)
	}
}

// value makes a configuration of the provider in which everything else is null.
func value(t *testing.T, set map[string]any) tfprotov6.DynamicValue {
	t.Helper()
	_, schemas := server(t)
	typed := schemas.Provider.ValueType().(tftypes.Object)
	made, err := tfprotov6.NewDynamicValue(typed, object(typed, set))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

const unknown = "(unknown)"

func object(typed tftypes.Object, set map[string]any) tftypes.Value {
	members := map[string]tftypes.Value{}
	for name, member := range typed.AttributeTypes {
		given, ok := set[name]
		switch nested, isObject := member.(tftypes.Object); {
		case !ok:
			members[name] = tftypes.NewValue(member, nil)
		case given == unknown:
			members[name] = tftypes.NewValue(member, tftypes.UnknownValue)
		case isObject:
			members[name] = object(nested, given.(map[string]any))
		default:
			members[name] = tftypes.NewValue(member, given)
		}
	}
	return tftypes.NewValue(typed, members)
}

func configure(t *testing.T, set map[string]any) *providerdata.Data {
	t.Helper()
	p := &recoupProvider{}
	var schema frameworkprovider.SchemaResponse
	p.Schema(context.Background(), frameworkprovider.SchemaRequest{}, &schema)
	typed := schema.Schema.Type().TerraformType(context.Background()).(tftypes.Object)
	var response frameworkprovider.ConfigureResponse
	p.Configure(context.Background(), frameworkprovider.ConfigureRequest{Config: tfsdk.Config{Schema: schema.Schema, Raw: object(typed, set)}}, &response)
	for _, problem := range response.Diagnostics {
		t.Errorf("%s: %s", problem.Summary(), problem.Detail())
	}
	data, ok := response.ResourceData.(*providerdata.Data)
	if !ok {
		t.Fatal("the provider hands nothing over")
	}
	return data
}

func clearEnvironment(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "INCUS_SOCKET", "LXD_SOCKET", "PROXMOX_VE_ENDPOINT", "PROXMOX_VE_API_TOKEN",
		"PROXMOX_VE_NODE", "PROXMOX_VE_INSECURE", "KUBE_CONFIG_PATH", "KUBE_CONFIG_PATHS", "KUBE_CTX", "KUBE_CTX_AUTH_INFO", "KUBE_CTX_CLUSTER",
		"KUBE_HOST", "KUBE_TOKEN", "KUBE_CLIENT_CERT_DATA", "KUBE_CLIENT_KEY_DATA", "KUBE_CLUSTER_CA_CERT_DATA", "KUBE_TLS_SERVER_NAME", "KUBE_PROXY_URL", "KUBE_INSECURE"} {
		t.Setenv(name, "")
	}
}

func TestConfigurationBecomesSettings(t *testing.T) {
	clearEnvironment(t)
	data := configure(t, map[string]any{
		"s3":      map[string]any{"endpoint": "http://10.0.0.3:9000", "access_key": "a", "secret_key": "s", "bucket_lookup": "path"},
		"incus":   map[string]any{"address": "https://10.0.0.2:8443", "project": "p"},
		"proxmox": map[string]any{"endpoint": "https://10.0.0.4:8006", "ssh_port": 2222, "insecure_tls": true},
		"ssh": map[string]any{"host_keys": map[string]tftypes.Value{"h": tftypes.NewValue(tftypes.String, "ssh-ed25519 AAAA")}, "sudo": true,
			"private_key": "k"},
		"repository_passwords": map[string]tftypes.Value{"s3:x": tftypes.NewValue(tftypes.String, "pw")},
		"kubernetes": map[string]any{"host": "https://10.0.0.5:6443", "token": "t", "velero_namespace": "v", "insecure": true,
			"exec": map[string]any{"api_version": "client.authentication.k8s.io/v1", "command": "aws",
				"args": []tftypes.Value{tftypes.NewValue(tftypes.String, "eks")}}},
	})
	wanted := settings.Settings{
		S3:                  settings.S3{Endpoint: "http://10.0.0.3:9000", AccessKey: "a", SecretKey: "s", BucketLookup: "path"},
		Incus:               settings.LXDServer{Address: "https://10.0.0.2:8443", Project: "p"},
		Proxmox:             settings.Proxmox{Endpoint: "https://10.0.0.4:8006", SSHPort: 2222, InsecureTLS: true},
		SSH:                 settings.SSH{HostKeys: map[string]string{"h": "ssh-ed25519 AAAA"}, Sudo: true, PrivateKey: "k"},
		RepositoryPasswords: map[string]string{"s3:x": "pw"},
		Kubernetes: settings.Kubernetes{Host: "https://10.0.0.5:6443", Token: "t", VeleroNamespace: "v", Insecure: true,
			Exec: settings.KubernetesExec{APIVersion: "client.authentication.k8s.io/v1", Command: "aws", Args: []string{"eks"}}},
	}
	if difference := cmp.Diff(wanted, data.Settings); difference != "" {
		t.Error(difference)
	}
	if !data.Knows("s3", "incus", "lxd", "proxmox", "ssh") {
		t.Errorf("everything is known, but not %v", data.Unknown)
	}
}

func TestEnvironmentStandsInForWhatIsNotSet(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://general:9000")
	t.Setenv("INCUS_SOCKET", "/run/incus.socket")
	t.Setenv("PROXMOX_VE_API_TOKEN", "token")
	t.Setenv("PROXMOX_VE_INSECURE", "true")
	data := configure(t, map[string]any{"lxd": map[string]any{"socket": "/run/lxd.socket"}})
	if got := data.Settings.S3.Endpoint; got != "http://general:9000" {
		t.Errorf("the endpoint is %q", got)
	}
	if data.Settings.Incus.Socket != "/run/incus.socket" || data.Settings.LXD.Socket != "/run/lxd.socket" {
		t.Errorf("the sockets are %q and %q", data.Settings.Incus.Socket, data.Settings.LXD.Socket)
	}
	t.Setenv("KUBE_CONFIG_PATHS", "/a:/b")
	t.Setenv("KUBE_CTX", "lab")
	if found := configure(t, nil).Settings.Kubernetes; !cmp.Equal(found.ConfigPaths, []string{"/a", "/b"}) || found.ConfigContext != "lab" {
		t.Errorf("the cluster is %+v", found)
	}
	if found := configure(t, map[string]any{"kubernetes": map[string]any{"config_path": "/c"}}).Settings.Kubernetes.ConfigPaths; !cmp.Equal(found, []string{"/c"}) {
		t.Errorf("the kubeconfig is %v", found)
	}
	if data.Settings.Proxmox.APIToken != "token" || !data.Settings.Proxmox.InsecureTLS || !data.Settings.SSH.UseAgent {
		t.Errorf("got %+v, %+v", data.Settings.Proxmox, data.Settings.SSH)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://special:9000")
	if got := configure(t, nil).Settings.S3.Endpoint; got != "http://special:9000" {
		t.Errorf("the endpoint is %q", got)
	}
	configured := configure(t, map[string]any{"s3": map[string]any{"endpoint": "http://configured:9000"}})
	if got := configured.Settings.S3.Endpoint; got != "http://configured:9000" {
		t.Errorf("the endpoint is %q", got)
	}
}

// An address that is not known yet must not be replaced by the environment's: a refresh would ask a server that has nothing to
// do with it, and find that everything vanished.
func TestUnknownValuesAreNoticed(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://elsewhere:9000")
	data := configure(t, map[string]any{"s3": map[string]any{"endpoint": unknown, "region": "r"}, "ssh": unknown,
		"lxd":        map[string]any{"socket": "/run/lxd.socket"},
		"kubernetes": map[string]any{"host": "https://h:6443", "exec": map[string]any{"api_version": "client.authentication.k8s.io/v1", "command": unknown}}})
	if data.Knows("kubernetes") || !data.Knows("kubernetes.velero_namespace") {
		t.Errorf("unknown are %v", data.Unknown)
	}
	if data.Knows("s3") || data.Knows("ssh") || !data.Knows("lxd", "incus", "proxmox") {
		t.Errorf("unknown are %v", data.Unknown)
	}
	if got := data.Settings.S3.Endpoint; got != "" {
		t.Errorf("the endpoint is %q", got)
	}
}

func TestConfigurationIsValidated(t *testing.T) {
	server, _ := server(t)
	token := "root@pam!tf=12345678-1234-1234-1234-123456789abc"
	for name, test := range map[string]struct {
		set  map[string]any
		path string // of the attribute that is to blame; "" where the configuration is right
	}{
		"nothing":                     {nil, ""},
		"a server":                    {map[string]any{"s3": map[string]any{"endpoint": "http://10.0.0.3:9000"}}, ""},
		"unknown":                     {map[string]any{"s3": map[string]any{"endpoint": unknown}}, ""},
		"a server without a scheme":   {map[string]any{"s3": map[string]any{"endpoint": "10.0.0.3:9000"}}, "s3.endpoint"},
		"a server with a bucket":      {map[string]any{"s3": map[string]any{"endpoint": "http://10.0.0.3:9000/b"}}, "s3.endpoint"},
		"credentials in an address":   {map[string]any{"s3": map[string]any{"endpoint": "http://a:b@10.0.0.3:9000"}}, "s3.endpoint"},
		"half of the credentials":     {map[string]any{"s3": map[string]any{"access_key": "a"}}, "s3.access_key"},
		"the other half":              {map[string]any{"s3": map[string]any{"secret_key": "a"}}, "s3.secret_key"},
		"an unknown way of lookup":    {map[string]any{"s3": map[string]any{"bucket_lookup": "virtual"}}, "s3.bucket_lookup"},
		"socket and address":          {map[string]any{"incus": map[string]any{"socket": "/s", "address": "https://h:8443", "client_certificate_file": "/c", "client_key_file": "/k"}}, "incus.socket"},
		"an address without a client": {map[string]any{"lxd": map[string]any{"address": "https://h:8443"}}, "lxd.address"},
		"a fingerprint":               {map[string]any{"lxd": map[string]any{"server_fingerprint": "12:34"}}, "lxd.server_fingerprint"},
		"a token":                     {map[string]any{"proxmox": map[string]any{"api_token": token}}, ""},
		"what is no token":            {map[string]any{"proxmox": map[string]any{"api_token": "secret-part-only"}}, "proxmox.api_token"},
		"a port":                      {map[string]any{"proxmox": map[string]any{"ssh_port": 65536}}, "proxmox.ssh_port"},
		"two keys":                    {map[string]any{"ssh": map[string]any{"private_key": "a", "private_key_file": "/f"}}, "ssh.private_key_file"},
		"two ways to know hosts":      {map[string]any{"ssh": map[string]any{"known_hosts_file": "/f", "host_keys": map[string]tftypes.Value{}}}, "ssh.known_hosts_file"},
		"an empty name of the engine": {map[string]any{"engine_path": ""}, "engine_path"},
	} {
		t.Run(name, func(t *testing.T) {
			config := value(t, test.set)
			response, err := server.ValidateProviderConfig(context.Background(), &tfprotov6.ValidateProviderConfigRequest{Config: &config})
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, problem := range response.Diagnostics {
				found = append(found, dotted(problem.Attribute))
				if problem.Detail == "" || cmp.Equal(problem.Detail, "secret-part-only") {
					t.Errorf("the error says nothing, or the secret: %+v", problem)
				}
			}
			if test.path == "" && len(found) > 0 {
				t.Fatalf("refused: %s", response.Diagnostics[0].Detail)
			}
			if test.path != "" && (len(found) == 0 || found[0] != test.path) {
				t.Errorf("blamed %v, not %s", found, test.path)
			}
		})
	}
}

func dotted(path *tftypes.AttributePath) string {
	if path == nil {
		return ""
	}
	text := ""
	for _, step := range path.Steps() {
		if name, ok := step.(tftypes.AttributeName); ok {
			if text != "" {
				text += "."
			}
			text += string(name)
		}
	}
	return text
}
