// This file is the schema of recoup_schedule. The names of the definition's attributes are those of docs/schedules.md, which is
// what lets definition.go translate them without a list of its own.
package schedule

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// What a schedule has if nothing else is said. The first two are the homelab's names, which a hand-written unit uses too.
const (
	DefaultName            = "restic-backup"
	DefaultEnvironmentFile = "/etc/restic.env"
	DefaultExecutable      = "/usr/local/bin/recoup"
)

var (
	// nameSyntax is what is a unit's name without escaping: no template instances ("@"), no leading dot or dash.
	nameSyntax = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

	variableSyntax = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

	absolutePath = regexp.MustCompile(`^/[^\x00-\x1f]*$`)
)

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	attributes := map[string]schema.Attribute{}
	for _, group := range []map[string]schema.Attribute{identityAttributes(), definitionAttributes(), environmentAttributes(), stateAttributes()} {
		for name, attribute := range group {
			attributes[name] = attribute
		}
	}
	resp.Schema = schema.Schema{
		Attributes: attributes,
		MarkdownDescription: "A backup that a machine makes by itself: what, when, how long it is kept. On the target it is a systemd " +
			"service, a timer, their definition in `/etc/recoup/schedules/`, and an environment file with the credentials.\n\n" +
			"Whatever is changed there by other hands (an edited or deleted unit, another content or mode of the environment file, a " +
			"stopped or disabled timer) shows in `drift` when Terraform plans, and the next apply puts it right. Drop-ins " +
			"(`systemctl edit`) are the machine's own and left alone. Destroying the schedule removes what was written to the " +
			"machine and never touches the repository: the snapshots stay.",
	}
}

func identityAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			Computed:            true,
			MarkdownDescription: "`TARGET#NAME`. Imports take the same.",
		},
		"target": schema.StringAttribute{
			Required: true,
			MarkdownDescription: "The machine that makes the backup: `recoup_container.NAME.id`, `ssh://root@host[:port]`, or `local` " +
				"(the machine that runs Terraform, as root). Over SSH as another user: see the provider's `ssh.sudo`. It needs systemd, and " +
				"recoup: see `executable`. Another target makes a new schedule.",
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			Validators:    []validator.String{targetAddress()},
		},
		"name": schema.StringAttribute{
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(DefaultName),
			MarkdownDescription: "The name of the units, `NAME.service` and `NAME.timer`. Default: `" + DefaultName + "`. Another name makes a new schedule.",
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			Validators: []validator.String{
				stringvalidator.LengthBetween(1, 200),
				stringvalidator.RegexMatches(nameSyntax, "must be usable as a unit's name: letters, digits, _, and . or - but not at its beginning"),
				withoutSuffix{".service", ".timer", ".json"},
			},
		},
		"overwrite": schema.BoolAttribute{
			Optional: true,
			Computed: true,
			Default:  booldefault.StaticBool(false),
			MarkdownDescription: "Replace units and an environment file of these names that are there already when the schedule is created " +
				"(by hand, or by another schedule). Default: `false`, which refuses.",
		},
		"enabled": schema.BoolAttribute{
			Optional:            true,
			Computed:            true,
			Default:             booldefault.StaticBool(true),
			MarkdownDescription: "Whether the timer runs. With `false` everything is in place, but backups are only made by hand. Default: `true`.",
		},
	}
}

func environmentAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"environment_file": schema.StringAttribute{
			Optional: true,
			Computed: true,
			Default:  stringdefault.StaticString(DefaultEnvironmentFile),
			MarkdownDescription: "Where the variables of `secret_environment_wo` are kept on the machine, readable by root only (0600). " +
				"Default: `" + DefaultEnvironmentFile + "`. Several schedules of one machine can read the same file: let one of them give " +
				"`secret_environment_wo` and leave it out of the others, which then read the file and never write it. It goes with the " +
				"last of them.",
			Validators: []validator.String{stringvalidator.RegexMatches(absolutePath, "must be an absolute path on the target")},
		},
		"environment": schema.MapAttribute{
			Optional:    true,
			ElementType: types.StringType,
			MarkdownDescription: "Variables that are no secrets (`RESTIC_REPOSITORY`, `AWS_DEFAULT_REGION`, `RESTIC_PROCS`, …). They are in the unit " +
				"and in the state.",
			Validators: []validator.Map{mapvalidator.KeysAre(variableName()), noSecretVariables{}},
		},
		"secret_environment_wo": schema.MapAttribute{
			Optional:    true,
			Sensitive:   true,
			WriteOnly:   true,
			ElementType: types.StringType,
			MarkdownDescription: "Variables that are secret (`RESTIC_PASSWORD`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …). They are written to " +
				"`environment_file` and are neither in the plan nor in the state. Left out: the file is somebody else's, only read, " +
				"never written nor removed. Raise `secret_environment_wo_version` whenever they change.",
			Validators: []validator.Map{
				mapvalidator.KeysAre(variableName()),
				mapvalidator.AlsoRequires(path.MatchRoot("secret_environment_wo_version")),
			},
		},
		"secret_environment_wo_version": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "Raise it when `secret_environment_wo` has changed: Terraform cannot see changes of a write-only attribute.",
			Validators:          []validator.Int64{int64validator.AlsoRequires(path.MatchRoot("secret_environment_wo"))},
		},
	}
}

func stateAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"on_calendar": schema.ListAttribute{
			Computed:            true,
			ElementType:         types.StringType,
			MarkdownDescription: "`calendar` as systemd's calendar events, as they are in the timer.",
		},
		"service_unit": schema.StringAttribute{Computed: true, MarkdownDescription: "`NAME.service`."},
		"timer_unit":   schema.StringAttribute{Computed: true, MarkdownDescription: "`NAME.timer`."},
		"drift": schema.ListAttribute{
			Computed:    true,
			ElementType: types.StringType,
			MarkdownDescription: "What on the machine is not as it was declared, one sentence each, found when the state was refreshed. Empty when all " +
				"is well, and after each apply.",
		},
	}
}

func targetAddress() validator.String {
	return validate.Text{Wants: "the id of a recoup_container, ssh://USER@HOST[:PORT], or local", Check: func(value string) error {
		if strings.Contains(value, "#") {
			return fmt.Errorf("%q is no target: \"#\" parts the target from the name in a schedule's id. Give the part before it", value)
		}
		_, err := guest.ParseAddress(value)
		return err
	}}
}

func variableName() validator.String {
	return stringvalidator.RegexMatches(variableSyntax, "must be the name of an environment variable: letters, digits and _, no digit first")
}

func texts(description string, validators ...validator.List) schema.ListAttribute {
	return schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description, Validators: validators}
}

func text(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func number(description string, least, most int64) schema.Int64Attribute {
	return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.Between(least, most)}}
}

func commands(description string) schema.ListAttribute {
	return schema.ListAttribute{
		Optional:            true,
		ElementType:         types.ListType{ElemType: types.StringType},
		MarkdownDescription: description,
		Validators:          []validator.List{listvalidator.ValueListsAre(listvalidator.SizeAtLeast(1))},
	}
}
