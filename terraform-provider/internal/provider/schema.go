// This file is the provider's schema, and what of a configuration can be judged without dialling.
package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

func (p *recoupProvider) Schema(_ context.Context, _ provider.SchemaRequest, response *provider.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: "Buckets, restic-compatible backup repositories, schedules, the machines that are backed up, and " +
			"Velero's " +
			"backups of a Kubernetes cluster. Every attribute is optional, and no server is dialled before a resource needs it.",
		Attributes: map[string]schema.Attribute{
			"engine_path": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "The `recoup` executable on the machine that runs Terraform. Default: the environment " +
					"variable " +
					"`RECOUP_ENGINE`, else `recoup` beside the provider, else `recoup` on `PATH`. Provider functions know " +
					"only the defaults, " +
					"because Terraform calls them without the provider's configuration.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"engine_environment": schema.ListAttribute{
				Optional:    true,
				ElementType: types.StringType,
				MarkdownDescription: "Names of environment variables that the engine inherits beside those that every program " +
					"needs, " +
					"`AWS_*` and the proxies: what a `password_command` needs, as `VAULT_ADDR`. The engine sees no other " +
					"variable.",
			},
			"repository_passwords": schema.MapAttribute{
				Optional: true, Sensitive: true, ElementType: types.StringType,
				MarkdownDescription: "Passwords of repositories by their location, from ephemeral values: what data sources, " +
					"and the refresh " +
					"of a repository with `password_wo`, open a repository with. They are kept in memory only. Not needed for " +
					"those that " +
					"have a `password_file` or `password_command`.",
			},
			"s3":    s3Attribute(),
			"incus": serverAttribute("incus", "Incus", "INCUS_SOCKET", "/var/lib/incus/unix.socket"),
			"lxd": serverAttribute("lxd", "LXD", "LXD_SOCKET", "/var/snap/lxd/common/lxd/unix.socket or "+
				"/var/lib/lxd/unix.socket"),
			"proxmox":    proxmoxAttribute(),
			"ssh":        sshAttribute(),
			"kubernetes": kubernetesAttribute(),
		},
	}
}

func optional(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description,
		Validators: append([]validator.String{stringvalidator.LengthAtLeast(1)}, validators...)}
}

func secret(description string, validators ...validator.String) schema.StringAttribute {
	attribute := optional(description, validators...)
	attribute.Sensitive = true
	return attribute
}

func flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

// beside is the path of another attribute of the same object of the provider.
func beside(object, name string) path.Expression {
	return path.MatchRoot(object).AtName(name)
}

func s3Attribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "The S3 server of buckets, and the credentials for it and for repositories in it. What is left " +
			"out is found as " +
			"the AWS tools find it: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, " +
			"`AWS_PROFILE`, the " +
			"shared files.",
		Attributes: map[string]schema.Attribute{
			"endpoint": optional("URL of the server, as `http://10.20.0.103:9000`. Default: `AWS_ENDPOINT_URL_S3`, "+
				"`AWS_ENDPOINT_URL`, else "+
				"Amazon's. A repository's location carries its own.", validate.URL("http", "https")),
			"region":        optional("Region to sign requests for. Default: `AWS_REGION`, else what the server says."),
			"access_key":    optional("Default: `AWS_ACCESS_KEY_ID`.", stringvalidator.AlsoRequires(beside("s3", "secret_key"))),
			"secret_key":    secret("Default: `AWS_SECRET_ACCESS_KEY`.", stringvalidator.AlsoRequires(beside("s3", "access_key"))),
			"session_token": secret("Default: `AWS_SESSION_TOKEN`.", stringvalidator.AlsoRequires(beside("s3", "access_key"))),
			"bucket_lookup": optional("How the bucket is named in requests: `path`, `dns` or `auto` (default: `dns` for "+
				"Amazon, `path` for "+
				"others).", stringvalidator.OneOf("auto", "path", "dns")),
			"ca_file": optional("PEM file of the certificate authorities that the server's certificate is checked " +
				"against, instead of the system's."),
			"insecure_tls": flag("Do not check the server's certificate. For tests only."),
		},
	}
}

func serverAttribute(name, title, socketVariable, socketDefault string) schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "The " + title + " server of containers with the driver `" + name + "`: over its unix socket, or " +
			"over TLS with a " +
			"client certificate that it trusts.",
		Attributes: map[string]schema.Attribute{
			"socket": optional("Path of the unix socket. Default: `"+socketVariable+"`, else "+socketDefault+".",
				stringvalidator.ConflictsWith(beside(name, "address"))),
			"address": optional("URL of the server, as `https://10.20.0.2:8443`.", validate.URL("https"),
				stringvalidator.AlsoRequires(beside(name, "client_certificate_file"), beside(name, "client_key_file"))),
			"client_certificate_file": optional("PEM file of the client's "+
				"certificate.", stringvalidator.AlsoRequires(beside(name, "address"))),
			"client_key_file": optional("PEM file of the client's key. Only its path passes through Terraform.",
				stringvalidator.AlsoRequires(beside(name, "address"))),
			"server_fingerprint": optional("SHA-256 of the server's certificate, in hexadecimal as `"+name+" info` shows it: "+
				"the certificate "+
				"must be this one.", validate.Fingerprint(), stringvalidator.ConflictsWith(beside(name, "ca_file"))),
			"ca_file": optional("PEM file that the server's certificate is checked against. Default: the system's authorities."),
			"project": optional("Project of the containers. Default: `default`."),
		},
	}
}

func proxmoxAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "The Proxmox VE of containers with the driver `proxmox`. Programs are run and files written in " +
			"its containers " +
			"over SSH to the node, for which its API has no call.",
		Attributes: map[string]schema.Attribute{
			"endpoint": optional("URL of the API, as `https://10.20.0.2:8006`. Default: "+
				"`PROXMOX_VE_ENDPOINT`.", validate.URL("https", "http")),
			"api_token": secret("API token, as `USER@REALM!TOKENID=UUID`. Default: `PROXMOX_VE_API_TOKEN`.",
				validate.ProxmoxToken()),
			"node": optional("Node that the containers are on. Default: `PROXMOX_VE_NODE`, else the only node there is."),
			"ca_file": optional("PEM file that the API's certificate is checked against: `/etc/pve/pve-root-ca.pem` of " +
				"the node."),
			"insecure_tls": flag("Do not check the API's certificate. Default: `PROXMOX_VE_INSECURE`, else false."),
			"ssh_host":     optional("Host to log in to. Default: the host of `endpoint`."),
			"ssh_user":     optional("User to log in as. Default: `root`."),
			"ssh_port": schema.Int64Attribute{Optional: true, MarkdownDescription: "Default: 22.",
				Validators: []validator.Int64{int64validator.Between(1, 65535)}},
		},
	}
}

func sshAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "How hosts are logged in to, and how they are known.",
		Attributes: map[string]schema.Attribute{
			"private_key_file": optional("Path of the private key. Default: `~/.ssh/id_ed25519` and the agent.",
				stringvalidator.ConflictsWith(beside("ssh", "private_key"))),
			"private_key": secret("The private key itself, from an ephemeral value: it is kept in memory only."),
			"use_agent":   flag("Also offer the keys of the agent at `SSH_AUTH_SOCK`. Default: true where no key is given."),
			"known_hosts_file": optional("Default: `~/.ssh/known_hosts`. A host that is not in it is refused.",
				stringvalidator.ConflictsWith(beside("ssh", "host_keys"))),
			"host_keys": schema.MapAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Public keys of hosts, as `{\"10.10.0.25\" = \"ssh-ed25519 AAAA…\"}`, instead of a file."},
			"sudo": flag("Run commands with `sudo -n` where the user is not root, who then has to be allowed all of them without a " +
				"password (`NOPASSWD: ALL`). Default: false."),
		},
	}
}
