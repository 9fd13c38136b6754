// This file is the part of the schema that becomes the definition on the machine (docs/schedules.md). What is left out has the
// engine's default, which is not repeated here: it would have to be kept the same in two places.
package schedule

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var (
	noLineBreak = regexp.MustCompile(`^[^\x00-\x1f]*$`)
	sizeSyntax  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?[kKmMgGtT]?$`)
	quotaSyntax = regexp.MustCompile(`^[1-9][0-9]*%$`)
	unitSyntax  = regexp.MustCompile(`^[^\s/]+\.(service|target|path|socket|timer|mount)$`)
)

const mostSnapshots = 1 << 30 // the engine counts in 32 bits

func definitionAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"description": text("What the units are called in `systemctl status`.", stringvalidator.RegexMatches(noLineBreak, "must be one line")),
		"executable": schema.StringAttribute{
			Optional: true,
			Computed: true,
			Default:  stringdefault.StaticString(DefaultExecutable),
			MarkdownDescription: "Where recoup is on the target. Default: `" + DefaultExecutable + "`, where `recoup_container` puts it, " +
				"with `driver = \"ssh\"` on a host that is there already.",
			Validators: []validator.String{stringvalidator.RegexMatches(absolutePath, "must be an absolute path on the target")},
		},
		"backup": backupAttribute(),
		"calendar": schema.ListAttribute{
			Required:    true,
			ElementType: types.StringType,
			MarkdownDescription: "When: each text is a cron expression of five fields (`0 2 * * *`, `@daily`, also with `CRON_TZ=…` before it) or a " +
				"systemd calendar event (`Mon..Fri 02:30`).",
			Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(
				stringvalidator.LengthAtLeast(1), stringvalidator.RegexMatches(noLineBreak, "must be one line"))},
		},
		"time_zone":  text("The IANA name of the time zone that `calendar` is meant in. Left out: the machine's.", stringvalidator.LengthAtLeast(1)),
		"persistent": flag("Whether a run that was due while the machine was off is made up for."),
		"on_boot": text("One run so long after each boot, too (`15min`). Left out: none. Note that systemd runs the backup at once "+
			"when such a timer is started on a machine that has been up for longer.", stringvalidator.LengthAtLeast(1)),
		"randomized_delay":   text("Each run starts up to so much later (`10min`), so that many machines do not start together.", stringvalidator.LengthAtLeast(1)),
		"retry_lock":         text("How long a run waits for other programs' locks of the repository (`1h`).", stringvalidator.LengthAtLeast(1)),
		"retention":          retentionAttribute(),
		"check":              checkAttribute(),
		"partial_is_failure": flag("Whether a run whose snapshot is there, but without some files that could not be read, is a failure for systemd."),
		"limits":             limitsAttribute(),
		"hardening":          flag("Whether the service runs with a read-only view of the system and without privileges that a backup does not need."),
		"on_failure": texts("Units that are started when a run fails (`mail-admin@%n.service`).", listvalidator.ValueStringsAre(
			stringvalidator.RegexMatches(unitSyntax, "must be the name of a unit with its ending, as mail-admin@%n.service"))),
		"commands_before": commands("Programs that run before the backup, each a list of the program and its arguments. One that fails stops the run."),
		"commands_after":  commands("Programs that run after the backup, each a list of the program and its arguments."),
	}
}

func backupAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Required:            true,
		MarkdownDescription: "What is backed up.",
		Attributes: map[string]schema.Attribute{
			"paths": schema.ListAttribute{
				Required:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "Files and directories of the target, absolute.",
				Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(
					stringvalidator.RegexMatches(absolutePath, "must be an absolute path on the target"))},
			},
			"tags":                texts("Tags of each snapshot.", listvalidator.ValueStringsAre(tag())),
			"host":                text("The host that each snapshot names. Left out: the machine's.", stringvalidator.LengthAtLeast(1)),
			"exclude":             texts("Patterns of what is left out, as `restic backup --exclude` takes them."),
			"iexclude":            texts("The same, without regard to upper and lower case."),
			"exclude_files":       texts("Files on the target with such patterns, one a line."),
			"exclude_if_present":  texts("Names of files whose presence leaves out the directory that they are in (`.nobackup`)."),
			"exclude_caches":      flag("Whether directories with a `CACHEDIR.TAG` are left out."),
			"exclude_larger_than": text("Files larger than that are left out (`10G`).", stringvalidator.RegexMatches(sizeSyntax, "must be a number of bytes, or one with k, M, G or T after it")),
			"one_file_system":     flag("Whether other file systems mounted below the paths are left out."),
			"skip_if_unchanged":   flag("Whether no snapshot is made where nothing changed since the last."),
			"arguments":           texts("Further arguments of `recoup backup`."),
		},
	}
}

func tag() validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile(`^[^,\x00-\x1f]+$`), "must be a tag: one line without commas")
}

func retentionAttribute() schema.SingleNestedAttribute {
	attributes := map[string]schema.Attribute{
		"keep_tags": commands("Keep snapshots with any of these sets of tags."),
		"group_by": text("The policy is applied to each group of snapshots that have these in common: `host`, `paths`, `tags`, parted by commas.",
			stringvalidator.RegexMatches(regexp.MustCompile(`^((host|paths|tags)(,(host|paths|tags))*)?$`), "must be some of host, paths, tags, parted by commas")),
		"prune": flag("Whether the data that no snapshot needs any more is removed after each run."),
	}
	attributes["keep_last"] = number("Keep so many of the newest snapshots. -1: all.", -1, mostSnapshots)
	attributes["keep_within"] = text("Keep all within that time of the newest (`1y5m7d2h`).", timeBack())
	for name, span := range map[string]string{"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"} {
		attributes["keep_"+name] = number("Keep the last snapshot of each of the last so many "+span+"s that have one. -1: of all.", -1, mostSnapshots)
		attributes["keep_within_"+name] = text("Keep the last snapshot of each "+span+" within that time of the newest.", timeBack())
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "How long snapshots are kept. Left out: for ever. It covers only what this schedule makes: snapshots with its host, " +
			"tags and paths.",
		Attributes: attributes,
		Validators: []validator.Object{keepsSomething{}},
	}
}

func timeBack() validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile(`^([0-9]+[ymdh])+$`), "must be numbers with y, m, d or h, as 1y5m7d2h")
}

func checkAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "Whether, and how far, the repository is checked after each run. Left out: no check. `{}`: its structure.",
		Attributes: map[string]schema.Attribute{
			"read_data_subset": text("Also read so much of the data: `2%`, `500M` or `1/10`.", stringvalidator.RegexMatches(
				regexp.MustCompile(`^([0-9]+(\.[0-9]+)?%|[0-9]+[kKmMgGtT]?|[0-9]+/[0-9]+)$`), "must be a share (2%), a size (500M) or a part (1/10)")),
		},
	}
}

func limitsAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "What a run may use of the machine.",
		Attributes: map[string]schema.Attribute{
			"cpu_quota": text("Processor time: `50%` is half of one processor, `200%` two.", stringvalidator.RegexMatches(quotaSyntax, "must be a share as 50%")),
			"memory_max": text("Memory: `1G`. A run that needs more is killed.", stringvalidator.RegexMatches(
				regexp.MustCompile(`^([0-9]+[KMGT]?|[0-9]+%)$`), "must be a number of bytes, one with K, M, G or T after it, or a share as 50%")),
			"io_class":     text("`idle`: only while nobody else uses the disks; `best-effort`: as others.", stringvalidator.OneOf("idle", "best-effort")),
			"io_weight":    number("Its share of the disks beside others, whose weight is 100.", 1, 10000),
			"nice":         number("The priority of its processes, -20 (most) to 19 (least).", -20, 19),
			"timeout":      text("A run that takes longer is stopped (`12h`).", stringvalidator.LengthAtLeast(1)),
			"upload_kib":   number("KiB per second to the repository. 0: no limit.", 0, 1<<40),
			"download_kib": number("KiB per second from the repository. 0: no limit.", 0, 1<<40),
		},
	}
}
