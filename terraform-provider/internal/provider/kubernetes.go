// This file is the provider's attribute "kubernetes": its names, and the variables that stand in for it, are those of the
// official provider of that name.
package provider

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

type kubernetesModel struct {
	ConfigPath            types.String `tfsdk:"config_path"`
	ConfigPaths           types.List   `tfsdk:"config_paths"`
	ConfigContext         types.String `tfsdk:"config_context"`
	ConfigContextAuthInfo types.String `tfsdk:"config_context_auth_info"`
	ConfigContextCluster  types.String `tfsdk:"config_context_cluster"`
	Host                  types.String `tfsdk:"host"`
	Token                 types.String `tfsdk:"token"`
	ClientCertificate     types.String `tfsdk:"client_certificate"`
	ClientKey             types.String `tfsdk:"client_key"`
	ClusterCACertificate  types.String `tfsdk:"cluster_ca_certificate"`
	TLSServerName         types.String `tfsdk:"tls_server_name"`
	ProxyURL              types.String `tfsdk:"proxy_url"`
	Insecure              types.Bool   `tfsdk:"insecure"`
	Exec                  types.Object `tfsdk:"exec"`
	VeleroNamespace       types.String `tfsdk:"velero_namespace"`
}

type kubernetesExecModel struct {
	APIVersion types.String `tfsdk:"api_version"`
	Command    types.String `tfsdk:"command"`
	Args       types.List   `tfsdk:"args"`
	Env        types.Map    `tfsdk:"env"`
}

func kubernetesAttribute() schema.Attribute {
	certificates := beside("kubernetes", "client_certificate")
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "The Kubernetes cluster that Velero runs in. The attributes are those of the official provider " +
			"`kubernetes`, and so are the variables that stand in for them. A kubeconfig is read when a resource needs the " +
			"cluster, so that the same apply can write it; `~/.kube/config` is only read where it is named. In a pod the pod's " +
			"own service account is used where nothing else is said.",
		Attributes: map[string]schema.Attribute{
			"config_path": optional("Path of a kubeconfig file. Default: `KUBE_CONFIG_PATH`.",
				stringvalidator.ConflictsWith(beside("kubernetes", "config_paths"))),
			"config_paths": schema.ListAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Paths of kubeconfig files that are merged as `kubectl` does. Default: `KUBE_CONFIG_PATHS`.",
				Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))}},
			"config_context":           optional("Context of the kubeconfig. Default: `KUBE_CTX`, else its current one."),
			"config_context_auth_info": optional("User of the kubeconfig instead of the context's. Default: `KUBE_CTX_AUTH_INFO`."),
			"config_context_cluster":   optional("Cluster of the kubeconfig instead of the context's. Default: `KUBE_CTX_CLUSTER`."),
			"host":                     optional("Address of the API server, as `https://10.20.0.10:6443`. Default: `KUBE_HOST`.", apiServer()),
			"token":                    secret("Bearer token, of a service account for instance. Default: `KUBE_TOKEN`."),
			"client_certificate": optional("PEM text of the client's certificate. Default: `KUBE_CLIENT_CERT_DATA`.",
				stringvalidator.AlsoRequires(beside("kubernetes", "client_key"))),
			"client_key": secret("PEM text of the client's key. Default: `KUBE_CLIENT_KEY_DATA`.", stringvalidator.AlsoRequires(certificates)),
			"cluster_ca_certificate": optional("PEM text of the authorities that the API server's certificate is checked against. " +
				"Default: `KUBE_CLUSTER_CA_CERT_DATA`."),
			"tls_server_name": optional("Name that the API server's certificate must have. Default: `KUBE_TLS_SERVER_NAME`, else the host's."),
			"proxy_url":       optional("Proxy to the API server. Default: `KUBE_PROXY_URL`, else `HTTPS_PROXY`."),
			"insecure": flag("Do not check the API server's certificate. Default: `KUBE_INSECURE`, else false. For tests " +
				"only."),
			"exec": schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "A program that prints credentials, as cloud " +
				"providers have one.", Attributes: map[string]schema.Attribute{
				"api_version": schema.StringAttribute{Required: true, MarkdownDescription: "`client.authentication.k8s.io/v1` or `…/v1beta1`.",
					Validators: []validator.String{stringvalidator.OneOf("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")}},
				"command": schema.StringAttribute{Required: true, MarkdownDescription: "The program.",
					Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
				"args": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Its arguments."},
				"env":  schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Variables for it."},
			}},
			"velero_namespace": optional("Namespace that Velero is installed in: that of every `recoup_velero_…` which says none. " +
				"Default: `" + settings.DefaultVeleroNamespace + "`."),
		},
	}
}

// apiServer takes paths, which validate.URL does not: behind Rancher a cluster has one.
func apiServer() validator.String {
	return validate.Text{Wants: "the URL of an API server", Check: func(value string) error {
		parsed, err := url.Parse(value)
		switch {
		case err != nil || (parsed.Scheme != "https" && parsed.Scheme != "http") || parsed.Host == "":
			return errors.New("this is not the URL of an API server. Write it as https://10.20.0.10:6443")
		case parsed.User != nil:
			return errors.New("the URL carries credentials: put them into token, or into client_certificate and client_key")
		}
		return nil
	}}
}

func (m kubernetesModel) settings(ctx context.Context, diags *diag.Diagnostics) settings.Kubernetes {
	result := settings.Kubernetes{
		ConfigContext:         orEnvironment(m.ConfigContext, "KUBE_CTX"),
		ConfigContextAuthInfo: orEnvironment(m.ConfigContextAuthInfo, "KUBE_CTX_AUTH_INFO"),
		ConfigContextCluster:  orEnvironment(m.ConfigContextCluster, "KUBE_CTX_CLUSTER"),
		Host:                  orEnvironment(m.Host, "KUBE_HOST"),
		Token:                 orEnvironment(m.Token, "KUBE_TOKEN"),
		ClientCertificate:     orEnvironment(m.ClientCertificate, "KUBE_CLIENT_CERT_DATA"),
		ClientKey:             orEnvironment(m.ClientKey, "KUBE_CLIENT_KEY_DATA"),
		ClusterCACertificate:  orEnvironment(m.ClusterCACertificate, "KUBE_CLUSTER_CA_CERT_DATA"),
		TLSServerName:         orEnvironment(m.TLSServerName, "KUBE_TLS_SERVER_NAME"),
		ProxyURL:              orEnvironment(m.ProxyURL, "KUBE_PROXY_URL"),
		Insecure:              m.Insecure.ValueBool(),
		VeleroNamespace:       m.VeleroNamespace.ValueString(),
	}
	result.ConfigPaths = m.configPaths()
	if said := os.Getenv("KUBE_INSECURE"); m.Insecure.IsNull() && said != "" {
		insecure, err := strconv.ParseBool(said)
		if err != nil {
			diags.AddAttributeError(path.Root("kubernetes").AtName("insecure"), "Invalid KUBE_INSECURE",
				"The environment variable KUBE_INSECURE is "+strconv.Quote(said)+": set it to true or false, or unset it.")
		}
		result.Insecure = insecure
	}
	if !m.Exec.IsNull() && !m.Exec.IsUnknown() {
		var program kubernetesExecModel
		diags.Append(m.Exec.As(ctx, &program, basetypes.ObjectAsOptions{})...)
		result.Exec = settings.KubernetesExec{APIVersion: program.APIVersion.ValueString(), Command: program.Command.ValueString(),
			Args: plain(program.Args), Env: texts(program.Env)}
	}
	return result
}

func (m kubernetesModel) configPaths() []string {
	if one := m.ConfigPath; !one.IsNull() && !one.IsUnknown() {
		return []string{one.ValueString()}
	}
	if !m.ConfigPath.IsNull() || !m.ConfigPaths.IsNull() {
		return plain(m.ConfigPaths)
	}
	if one := os.Getenv("KUBE_CONFIG_PATH"); one != "" {
		return []string{one}
	}
	if several := os.Getenv("KUBE_CONFIG_PATHS"); several != "" {
		return filepath.SplitList(several)
	}
	return nil
}

// plain leaves out what is not known yet.
func plain(values types.List) []string {
	var result []string
	for _, value := range values.Elements() {
		if text, ok := value.(types.String); ok && !text.IsUnknown() && !text.IsNull() {
			result = append(result, text.ValueString())
		}
	}
	return result
}
