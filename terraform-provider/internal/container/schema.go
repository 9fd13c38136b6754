// The schema of recoup_container.

package container

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

const description = "A machine that backups run on: a system container that this resource makes (drivers `incus`, `lxd`, `proxmox`) or a host " +
	"that is there already (`ssh`). It is started, waited for, given its address, files and the recoup engine; its `id` is what " +
	"`recoup_schedule` takes as `target`.\n\n" +
	"Whatever can be changed in place is; only another driver, project, name, node, number, host, image or storage pool makes a new container. " +
	"Destroying it deletes the container and what was written inside it, never what it backed up: buckets and repositories are resources of their own. " +
	"That is why `deletion_protection` is off unless you turn it on.\n\n" +
	"If a step of the creation fails (create, start, wait, push), the container is in the state as tainted, and the next apply starts over without " +
	"anything to clean up by hand. The `proxmox` driver is tested against a server that speaks Proxmox VE's documented API, not against Proxmox VE itself."

func (r *containerResource) Schema(ctx context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"timeouts": describedTimeouts(ctx),
	}
	for _, group := range []map[string]schema.Attribute{identityAttributes(), networkAttributes(), resourceAttributes(), contentAttributes(), computedAttributes()} {
		for name, attribute := range group {
			attributes[name] = attribute
		}
	}
	response.Schema = schema.Schema{MarkdownDescription: description, Attributes: attributes}
}

func identityAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"driver": schema.StringAttribute{Required: true,
			MarkdownDescription: "`incus`, `lxd`, `proxmox`, or `ssh` for a host that exists: of that only files and the engine are managed.",
			Validators:          []validator.String{stringvalidator.OneOf(drivers...)},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()}},
		"name": schema.StringAttribute{Required: true,
			MarkdownDescription: "Name of the container, which is also its host name; with `ssh` a name for the reader, and the host where `host` is not set.",
			Validators:          []validator.String{hostName()},
			PlanModifiers:       []planmodifier.String{replaceUnless(sshDriver)}},
		"project": schema.StringAttribute{Optional: true, Computed: true,
			MarkdownDescription: "Project of Incus or LXD. Default: the provider's, else `default`.",
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()}},
		"node": schema.StringAttribute{Optional: true, Computed: true,
			MarkdownDescription: "Node of Proxmox VE. Default: the provider's `proxmox.node`, else the only one there is.",
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()}},
		"vmid": schema.Int64Attribute{Optional: true, Computed: true,
			MarkdownDescription: "Number of the container in Proxmox VE. Default: the next free one.",
			Validators:          []validator.Int64{int64validator.Between(100, 999999999)},
			PlanModifiers:       []planmodifier.Int64{int64planmodifier.UseStateForUnknown(), int64planmodifier.RequiresReplace()}},
		"host": schema.StringAttribute{Optional: true,
			MarkdownDescription: "With `ssh`: the host, as `ssh://[user@]host[:port]`. Default: `ssh://root@NAME`.",
			Validators:          []validator.String{sshAddress()},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()}},
		"image": schema.StringAttribute{Optional: true,
			MarkdownDescription: "What the container is made from. `incus`, `lxd`: the alias or fingerprint of a local image, or `REMOTE:ALIAS` with the remotes " +
				"`images`, `ubuntu` or an `https://` URL of a simplestreams server before the alias. `proxmox`: a template, as " +
				"`local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst`. An imported container is not replaced because its image was not known.",
			Validators:    []validator.String{stringvalidator.LengthAtLeast(1)},
			PlanModifiers: []planmodifier.String{replaceIfKnown()}},
		"deletion_protection": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Refuse to destroy or replace the container; to destroy it, apply `false` first. Default: false, because what is worth keeping is in " +
				"buckets. A container whose creation failed is not protected."},
	}
}

func networkAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"network": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Managed network of Incus or LXD that `eth0` is on. Default: what the profiles say.",
			Validators:          []validator.String{stringvalidator.ConflictsWith(path.MatchRoot("bridge")), stringvalidator.LengthAtLeast(1)}},
		"bridge": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Bridge of the host that `eth0` is on, as `br0` or `vmbr0`. Default: what the profiles say; with `proxmox` `vmbr0`.",
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)}},
		"hwaddr": schema.StringAttribute{Optional: true, Computed: true,
			MarkdownDescription: "MAC address of `eth0`. Default: one that follows from the server and the name, so that a container that is made anew has the old one again.",
			Validators:          []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^([0-9a-f]{2}:){5}[0-9a-f]{2}$`), "must be six bytes in lower-case hexadecimal, as 00:16:3e:12:34:56")},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()}},
		"address": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Static IPv4 address of `eth0` with the length of its prefix, as `10.10.0.25/24`. Default: left to the image and the network.",
			Validators:          []validator.String{cidr()}},
		"gateway": schema.StringAttribute{Optional: true, MarkdownDescription: "Default gateway, for a static address.",
			Validators: []validator.String{ipv4(), stringvalidator.AlsoRequires(path.MatchRoot("address"))}},
		"nameservers": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Name servers, for a static address.",
			Validators: []validator.List{listvalidator.AlsoRequires(path.MatchRoot("address")), listvalidator.ValueStringsAre(ipv4())}},
		"address_method": schema.StringAttribute{Optional: true, Computed: true,
			MarkdownDescription: "How the container gets its static address with `incus` and `lxd`. `dhcp-reservation`: its managed network hands it out; the image must have a DHCP client. " +
				"`networkd`: a file in `/etc/systemd/network`; the image must have systemd-networkd. `both`. Default: `both` where the network is managed and the image has no other " +
				"DHCP client, else whichever of the two is possible; in a minimal Debian that is what works. `proxmox` sets addresses itself, and this is `driver`.",
			Validators:    []validator.String{stringvalidator.OneOf(methodDHCP, methodNetworkd, methodBoth)},
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}},
	}
}

func resourceAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"cpu": schema.Int64Attribute{Optional: true, MarkdownDescription: "Number of CPUs. Default: all; unmanaged.",
			Validators: []validator.Int64{int64validator.AtLeast(1)}},
		"memory": schema.StringAttribute{Optional: true, MarkdownDescription: "Limit of memory, as `512MiB` or `2GiB`. Default: unmanaged.",
			Validators: []validator.String{size()}},
		"disk_size": schema.StringAttribute{Optional: true, MarkdownDescription: "Size of the root disk, as `20GiB`. It can grow. Default: the storage's, unmanaged.",
			Validators: []validator.String{size()}},
		"storage_pool": schema.StringAttribute{Optional: true, MarkdownDescription: "Storage of the root disk. Default: the profiles', unmanaged; with `proxmox` the node's `local`.",
			PlanModifiers: []planmodifier.String{replaceIfKnown()}},
		"autostart": schema.BoolAttribute{Optional: true, Computed: true, MarkdownDescription: "Start with the host. Default: true: a timer in a container that is not running backs up nothing."},
		"nesting": schema.BoolAttribute{Optional: true, Computed: true, MarkdownDescription: "Allow mounts inside the container (`security.nesting`). Default: true: systemd's sandboxing of services, which " +
			"schedules use, is made of mounts, and without it their units fail with status 226 (NAMESPACE)."},
		"running":  schema.BoolAttribute{Optional: true, MarkdownDescription: "true: keep it running; false: keep it stopped. Default: it is started when it is made, and unmanaged after."},
		"profiles": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Profiles of Incus or LXD, in their order. Default: `default` when it is made, unmanaged after."},
		"config": schema.MapAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Further configuration as the driver names it (`limits.processes`; with `proxmox` parameters of the API as `swap`). It is merged: keys that are not named here are left alone."},
		"mounts": schema.MapNestedAttribute{Optional: true,
			MarkdownDescription: "Directories of the host to back up, by a name of your choice. Proxmox VE allows bind mounts to no API token: there they are made over SSH by `pct set`.",
			Validators:          []validator.Map{mapvalidator.KeysAre(stringvalidator.RegexMatches(regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`), "must be letters, digits, and . _ - between them"), stringvalidator.NoneOf("root", "eth0"))},
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"source":    schema.StringAttribute{Required: true, MarkdownDescription: "Directory of the host.", Validators: []validator.String{absolute()}},
				"path":      schema.StringAttribute{Required: true, MarkdownDescription: "Where it is in the container.", Validators: []validator.String{absolute()}},
				"read_only": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(true), MarkdownDescription: "Default: true: a backup needs no more."},
				"shift":     schema.BoolAttribute{Optional: true, MarkdownDescription: "Show the host's owners in the container as they are (Incus and LXD, on file systems that can). Without it, root in the container can read only what everyone can. Default: unmanaged."},
			}}},
	}
}

func contentAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"files": schema.MapNestedAttribute{Optional: true,
			MarkdownDescription: "Files to put there, by their absolute path. Contents and owners that were changed there are set back at the next apply. Contents are in the state: credentials belong " +
				"into `recoup_schedule`, which keeps them out of it.",
			Validators: []validator.Map{mapvalidator.KeysAre(absolute())},
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"content": schema.StringAttribute{Optional: true, MarkdownDescription: "The content as text.",
					Validators: []validator.String{stringvalidator.ExactlyOneOf(path.MatchRelative().AtParent().AtName("source_path"))}},
				"source_path": schema.StringAttribute{Optional: true, MarkdownDescription: "A file on the machine that runs Terraform."},
				"mode": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("0600"), MarkdownDescription: "Permissions in octal. Default: `0600`.",
					Validators: []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^0[0-7]{3}$`), "must be four octal digits from 0000 to 0777, as 0644")}},
				"uid":    schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(0), MarkdownDescription: "Default: 0."},
				"gid":    schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(0), MarkdownDescription: "Default: 0."},
				"sha256": schema.StringAttribute{Computed: true, MarkdownDescription: "SHA-256 of the content that is there."},
			}}},
		"engine_bundle": schema.StringAttribute{Optional: true,
			MarkdownDescription: "The recoup engine to install: a directory or `.tar.gz` that `tools/bundle.sh` made. It goes to `/usr/local/lib/recoup` with a link at `/usr/local/bin/recoup`, and again when it " +
				"changes. Default: `bundle` beside the engine on the machine that runs Terraform, if it is there; `none` installs nothing.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
		"restic_link": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Also install it as `/usr/local/bin/restic`, for scripts that call restic. Default: false."},
		"wait_for": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(waitSystem),
			MarkdownDescription: "`system`: until the container's systemd has started everything (or, without systemd, programs can be run in it) and its static address is up. `none`: not at all. Default: `system`.",
			Validators:          []validator.String{stringvalidator.OneOf(waitSystem, waitNone)}},
	}
}

func computedAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{Computed: true, MarkdownDescription: "Address of the machine: `incus:PROJECT/NAME`, `lxd:PROJECT/NAME`, `proxmox:NODE/VMID` or `ssh://[user@]host[:port]`.",
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}},
		"ipv4_address": schema.StringAttribute{Computed: true, MarkdownDescription: "IPv4 address of `eth0`, if it has one."},
		"status":       schema.StringAttribute{Computed: true, MarkdownDescription: "`Running`, `Stopped`, or another word of the server's."},
		// Not in private state: Terraform hands none to the Delete of what it replaces because it is tainted.
		"unfinished": schema.StringAttribute{Computed: true, MarkdownDescription: "Set while the creation has not come to its end: the mark of the container that is to be removed when it starts over.",
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}},
		"bundle_version": schema.StringAttribute{Computed: true, MarkdownDescription: "SHA-256 over the installed engine bundle."},
	}
}

// replaceIfKnown spares what was imported, of which the value is not known.
func replaceIfKnown() planmodifier.String {
	const text = "Another value makes a new container, unless the old value is not known."
	return stringplanmodifier.RequiresReplaceIf(func(_ context.Context, request planmodifier.StringRequest, response *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		response.RequiresReplace = !request.StateValue.IsNull() && !request.ConfigValue.IsNull()
	}, text, text)
}

// replaceUnless spares hosts that are not made by this resource.
func replaceUnless(driver string) planmodifier.String {
	text := "Another value makes a new container, except with the driver `" + driver + "`."
	return stringplanmodifier.RequiresReplaceIf(func(ctx context.Context, request planmodifier.StringRequest, response *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		var planned, host types.String
		response.Diagnostics.Append(request.Plan.GetAttribute(ctx, path.Root("driver"), &planned)...)
		response.Diagnostics.Append(request.Plan.GetAttribute(ctx, path.Root("host"), &host)...)
		response.RequiresReplace = planned.ValueString() != driver || host.IsNull()
	}, text, text)
}

func absolute() validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile(`^/([^/\x00\n,]+/)*[^/\x00\n,]+$`), "must be an absolute path without a slash at its end and without commas")
}

func hostName() validator.String {
	return validate.Text{Wants: "a host name", Check: checkName}
}

func sshAddress() validator.String {
	return validate.Text{Wants: "ssh://[user@]host[:port]", Check: checkHost}
}

func size() validator.String {
	return validate.Text{Wants: "a size, as 512MiB", Check: func(text string) error { _, err := parseSize(text); return err }}
}

func cidr() validator.String {
	return validate.Text{Wants: "an IPv4 address with the length of its prefix", Check: checkCIDR}
}

func ipv4() validator.String {
	return validate.Text{Wants: "an IPv4 address", Check: checkIPv4}
}

// describedTimeouts are the library's, which describes each and not all of them.
func describedTimeouts(ctx context.Context) schema.Attribute {
	attribute := timeouts.AttributesAll(ctx)
	if nested, ok := attribute.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = "How long each operation may take, as `30m`."
		return nested
	}
	return attribute
}
