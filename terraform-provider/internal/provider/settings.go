// This file turns the provider's configuration, and the environment behind it, into plain settings.
package provider

import (
	"context"
	"os"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

type providerModel struct {
	EnginePath        types.String `tfsdk:"engine_path"`
	EngineEnvironment types.List   `tfsdk:"engine_environment"`
	Passwords         types.Map    `tfsdk:"repository_passwords"`
	S3                types.Object `tfsdk:"s3"`
	Incus             types.Object `tfsdk:"incus"`
	LXD               types.Object `tfsdk:"lxd"`
	Proxmox           types.Object `tfsdk:"proxmox"`
	SSH               types.Object `tfsdk:"ssh"`
	Kubernetes        types.Object `tfsdk:"kubernetes"`
}

type s3Model struct {
	Endpoint     types.String `tfsdk:"endpoint"`
	Region       types.String `tfsdk:"region"`
	AccessKey    types.String `tfsdk:"access_key"`
	SecretKey    types.String `tfsdk:"secret_key"`
	SessionToken types.String `tfsdk:"session_token"`
	BucketLookup types.String `tfsdk:"bucket_lookup"`
	CAFile       types.String `tfsdk:"ca_file"`
	InsecureTLS  types.Bool   `tfsdk:"insecure_tls"`
}

type serverModel struct {
	Socket                types.String `tfsdk:"socket"`
	Address               types.String `tfsdk:"address"`
	ClientCertificateFile types.String `tfsdk:"client_certificate_file"`
	ClientKeyFile         types.String `tfsdk:"client_key_file"`
	ServerFingerprint     types.String `tfsdk:"server_fingerprint"`
	CAFile                types.String `tfsdk:"ca_file"`
	Project               types.String `tfsdk:"project"`
}

type proxmoxModel struct {
	Endpoint    types.String `tfsdk:"endpoint"`
	APIToken    types.String `tfsdk:"api_token"`
	Node        types.String `tfsdk:"node"`
	CAFile      types.String `tfsdk:"ca_file"`
	InsecureTLS types.Bool   `tfsdk:"insecure_tls"`
	SSHHost     types.String `tfsdk:"ssh_host"`
	SSHUser     types.String `tfsdk:"ssh_user"`
	SSHPort     types.Int64  `tfsdk:"ssh_port"`
}

type sshModel struct {
	PrivateKeyFile types.String `tfsdk:"private_key_file"`
	PrivateKey     types.String `tfsdk:"private_key"`
	UseAgent       types.Bool   `tfsdk:"use_agent"`
	KnownHostsFile types.String `tfsdk:"known_hosts_file"`
	HostKeys       types.Map    `tfsdk:"host_keys"`
	Sudo           types.Bool   `tfsdk:"sudo"`
}

// settings also names the attributes of which a part is unknown: while planning, what they say is not final.
func (m providerModel) settings(ctx context.Context) (settings.Settings, []string, diag.Diagnostics) {
	var diags diag.Diagnostics
	var unknown []string
	read := func(name string, object types.Object, into any) {
		if object.IsUnknown() || hasUnknown(object) {
			unknown = append(unknown, name)
		}
		if !object.IsNull() && !object.IsUnknown() {
			diags.Append(object.As(ctx, into, basetypes.ObjectAsOptions{})...)
		}
	}
	var s3 s3Model
	var incus, lxd serverModel
	var proxmox proxmoxModel
	var ssh sshModel
	var kubernetes kubernetesModel
	read("s3", m.S3, &s3)
	read("incus", m.Incus, &incus)
	read("lxd", m.LXD, &lxd)
	read("proxmox", m.Proxmox, &proxmox)
	read("ssh", m.SSH, &ssh)
	read("kubernetes", m.Kubernetes, &kubernetes)
	if m.Kubernetes.IsUnknown() || kubernetes.VeleroNamespace.IsUnknown() {
		unknown = append(unknown, "kubernetes.velero_namespace") // it is part of names, which matter while planning
	}

	result := settings.Settings{EnginePath: m.EnginePath.ValueString(), S3: s3.settings(),
		Incus: incus.settings("INCUS_SOCKET"), LXD: lxd.settings("LXD_SOCKET"), Proxmox: proxmox.settings(&diags),
		SSH: ssh.settings(), Kubernetes: kubernetes.settings(ctx, &diags)}
	if !m.EngineEnvironment.IsUnknown() {
		diags.Append(m.EngineEnvironment.ElementsAs(ctx, &result.EngineEnvironment, true)...)
	}
	result.RepositoryPasswords = texts(m.Passwords)
	return result, unknown, diags
}

// texts leaves out what is not known yet.
func texts(values types.Map) map[string]string {
	if values.IsNull() || values.IsUnknown() {
		return nil
	}
	result := map[string]string{}
	for name, value := range values.Elements() {
		if text, ok := value.(types.String); ok && !text.IsUnknown() && !text.IsNull() {
			result[name] = text.ValueString()
		}
	}
	return result
}

func hasUnknown(object types.Object) bool {
	for _, value := range object.Attributes() {
		if isUnknown(value) {
			return true
		}
	}
	return false
}

// isUnknown says whether any part of the value is unknown.
func isUnknown(value attr.Value) bool {
	if value.IsUnknown() {
		return true
	}
	switch parts := value.(type) {
	case types.Map:
		for _, element := range parts.Elements() {
			if isUnknown(element) {
				return true
			}
		}
	case types.List:
		return slices.ContainsFunc(parts.Elements(), isUnknown)
	case types.Object:
		return hasUnknown(parts)
	}
	return false
}

func (m s3Model) settings() settings.S3 {
	return settings.S3{Endpoint: orEnvironment(m.Endpoint, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), Region: m.Region.ValueString(), AccessKey: m.AccessKey.ValueString(),
		SecretKey: m.SecretKey.ValueString(), SessionToken: m.SessionToken.ValueString(), BucketLookup: m.BucketLookup.ValueString(),
		CAFile: m.CAFile.ValueString(), InsecureTLS: m.InsecureTLS.ValueBool()}
}

func (m serverModel) settings(socketVariable string) settings.LXDServer {
	result := settings.LXDServer{Socket: m.Socket.ValueString(), Address: m.Address.ValueString(),
		ClientCertificateFile: m.ClientCertificateFile.ValueString(), ClientKeyFile: m.ClientKeyFile.ValueString(),
		ServerFingerprint: m.ServerFingerprint.ValueString(), CAFile: m.CAFile.ValueString(), Project: m.Project.ValueString()}
	if result.Address == "" {
		result.Socket = orEnvironment(m.Socket, socketVariable)
	}
	return result
}

func (m proxmoxModel) settings(diags *diag.Diagnostics) settings.Proxmox {
	result := settings.Proxmox{Endpoint: orEnvironment(m.Endpoint, "PROXMOX_VE_ENDPOINT"),
		APIToken: orEnvironment(m.APIToken, "PROXMOX_VE_API_TOKEN"), Node: orEnvironment(m.Node, "PROXMOX_VE_NODE"),
		CAFile: m.CAFile.ValueString(), InsecureTLS: m.InsecureTLS.ValueBool(), SSHHost: m.SSHHost.ValueString(),
		SSHUser: m.SSHUser.ValueString(), SSHPort: int(m.SSHPort.ValueInt64())}
	if said := os.Getenv("PROXMOX_VE_INSECURE"); m.InsecureTLS.IsNull() && said != "" {
		insecure, err := strconv.ParseBool(said)
		if err != nil {
			diags.AddAttributeError(path.Root("proxmox").AtName("insecure_tls"), "Invalid PROXMOX_VE_INSECURE",
				"The environment variable PROXMOX_VE_INSECURE is "+strconv.Quote(said)+": set it to true or false, or unset it.")
		}
		result.InsecureTLS = insecure
	}
	return result
}

func (m sshModel) settings() settings.SSH {
	result := settings.SSH{PrivateKeyFile: m.PrivateKeyFile.ValueString(), PrivateKey: m.PrivateKey.ValueString(),
		KnownHostsFile: m.KnownHostsFile.ValueString(), Sudo: m.Sudo.ValueBool(), HostKeys: texts(m.HostKeys), UseAgent: m.UseAgent.ValueBool()}
	if m.UseAgent.IsNull() {
		result.UseAgent = result.PrivateKey == "" && result.PrivateKeyFile == ""
	}
	return result
}

// orEnvironment is the attribute's value, or the first of the variables that is set where the attribute is not. What is
// unknown yet is not replaced by the environment's.
func orEnvironment(value types.String, variables ...string) string {
	if !value.IsNull() {
		return value.ValueString()
	}
	for _, variable := range variables {
		if found := os.Getenv(variable); found != "" {
			return found
		}
	}
	return ""
}
