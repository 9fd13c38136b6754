// This file is the table of what a Schedule, and the template of its backups, can say.
package velero

import (
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// scheduleFields have attributes of the resource itself. skip_immediately is none of them: Velero sets it back as soon as it has
// seen it, so that it says nothing about the schedule as it is.
var scheduleFields = []field{
	{name: "schedule", in: []string{"schedule"}, kind: text{}, attribute: schema.StringAttribute{Required: true,
		MarkdownDescription: "When a backup is due: a cron expression with five fields (`0 2 * * 0`), `@daily`, `@every 6h`, with " +
			"`CRON_TZ=Europe/Berlin ` before it where the time zone of Velero's server, mostly UTC, is not meant (the images of Velero 1.17 and " +
			"1.18.0 know no time zones). It is judged while planning as Velero judges it.",
		Validators: []validator.String{cronExpression()}}},
	{name: "paused", in: []string{"paused"}, kind: flag{absent: false}, otherwise: types.BoolValue(false), attribute: schema.BoolAttribute{
		Optional: true, Computed: true, Default: booldefault.StaticBool(false),
		MarkdownDescription: "Whether no backups are made. Without `skip_immediately` Velero makes one at once when it is not paused any more. Default: false."}},
	{name: "use_owner_references_in_backup", in: []string{"useOwnerReferencesInBackup"}, kind: flag{absent: false}, attribute: schema.BoolAttribute{
		Optional: true, MarkdownDescription: "Whether the Schedule owns its Backup objects. Destroying it here leaves them all the same."}},
}

// templateFields have attributes in `template`: what its backups are like.
var templateFields = []field{
	{name: "included_namespaces", in: []string{"includedNamespaces"}, kind: texts{all: "*"}, attribute: set("Namespaces to back up. Default: all.")},
	{name: "excluded_namespaces", in: []string{"excludedNamespaces"}, kind: texts{}, attribute: set("Namespaces to leave out.")},
	{name: "included_resources", in: []string{"includedResources"}, kind: texts{all: "*"}, attribute: set("Resources to back up, as `pods` or `deployments.apps`. Default: all.")},
	{name: "excluded_resources", in: []string{"excludedResources"}, kind: texts{}, attribute: set("Resources to leave out.")},
	{name: "include_cluster_resources", in: []string{"includeClusterResources"}, kind: flag{}, attribute: boolean("Whether resources that are in no " +
		"namespace are backed up. Default: those that belong to what is backed up, and all if all namespaces are.")},
	{name: "included_cluster_scoped_resources", in: []string{"includedClusterScopedResources"}, kind: texts{}, attribute: set("Resources in no namespace to back up; `*`: all.")},
	{name: "excluded_cluster_scoped_resources", in: []string{"excludedClusterScopedResources"}, kind: texts{}, attribute: set("Resources in no namespace to leave out.")},
	{name: "included_namespace_scoped_resources", in: []string{"includedNamespaceScopedResources"}, kind: texts{all: "*"}, attribute: set("Resources in namespaces to back up. Default: all.")},
	{name: "excluded_namespace_scoped_resources", in: []string{"excludedNamespaceScopedResources"}, kind: texts{}, attribute: set("Resources in namespaces to leave out.")},
	{name: "label_selector", in: []string{"labelSelector"}, kind: selector{}, attribute: schema.SingleNestedAttribute{Optional: true,
		MarkdownDescription: "Only objects with such labels.", Attributes: selectorAttributes()}},
	{name: "or_label_selectors", in: []string{"orLabelSelectors"}, kind: selectors{}, attribute: schema.ListNestedAttribute{Optional: true,
		MarkdownDescription: "Only objects that one of these selects. Not together with `label_selector`.", Validators: []validator.List{listvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: selectorAttributes()}}},
	{name: "ttl", in: []string{"ttl"}, kind: duration{}, attribute: words("How long a backup is kept, as `168h` (7 days). Default: what Velero's server is "+
		"told, mostly `720h`. Velero looks once an hour for backups to remove, and removes none while their location is not available.", durationText(time.Minute))},
	{name: "storage_location", in: []string{"storageLocation"}, kind: text{}, attribute: words("Name of the backup location: `recoup_velero_backup_location.NAME.name`. Default: Velero's default one.", nonEmpty()...)},
	{name: "volume_snapshot_locations", in: []string{"volumeSnapshotLocations"}, kind: texts{}, attribute: set("Names of volume snapshot locations.")},
	{name: "default_volumes_to_fs_backup", in: []string{"defaultVolumesToFsBackup"}, kind: flag{}, attribute: boolean("Whether volumes of pods are backed up " +
		"file by file unless their pods say otherwise. Default: what Velero's server is told.")},
	{name: "snapshot_volumes", in: []string{"snapshotVolumes"}, kind: flag{}, attribute: boolean("Whether snapshots of volumes are made. Default: where that is possible.")},
	{name: "snapshot_move_data", in: []string{"snapshotMoveData"}, kind: flag{}, attribute: boolean("Whether the data of CSI snapshots goes into the bucket.")},
	{name: "csi_snapshot_timeout", in: []string{"csiSnapshotTimeout"}, kind: duration{}, attribute: words("How long a CSI snapshot may take. Default: `10m`.", durationText(0))},
	{name: "item_operation_timeout", in: []string{"itemOperationTimeout"}, kind: duration{}, attribute: words("How long plugins may work on an object after the backup. Default: `4h`.", durationText(0))},
	{name: "parallel_files_upload", in: []string{"uploaderConfig", "parallelFilesUpload"}, kind: number{}, attribute: schema.Int64Attribute{Optional: true,
		MarkdownDescription: "How many files are uploaded beside each other (kopia only).", Validators: []validator.Int64{int64validator.AtLeast(1)}}},
	{name: "resource_policy_configmap", in: []string{"resourcePolicy", "name"}, kind: text{}, attribute: words("Name of a ConfigMap with policies for volumes, in Velero's namespace.", nonEmpty()...)},
	{name: "ordered_resources", in: []string{"orderedResources"}, kind: textMap{}, attribute: schema.MapAttribute{Optional: true, ElementType: types.StringType,
		MarkdownDescription: "Objects to back up first and in this order, as `{ pods = \"db/postgres-0,db/postgres-1\" }`."}},
	{name: "hooks", in: []string{"hooks"}, kind: hooks{}, attribute: schema.StringAttribute{Optional: true, CustomType: jsontypes.NormalizedType{},
		MarkdownDescription: "Commands that are run in pods before and after, as Velero's `hooks` in JSON: `jsonencode({ resources = […] })`.", Validators: []validator.String{jsonObject()}}},
	{name: "labels", in: []string{"metadata", "labels"}, kind: textMap{}, attribute: labelsAttribute("Labels of the backups. Default: those of the Schedule.", true)},
	{name: "annotations", in: []string{"metadata", "annotations"}, kind: textMap{}, attribute: labelsAttribute("Annotations of the backups. Default: those of the Schedule. Velero 1.18 and older know no others, and refuse this.", false)},
}

const (
	otherSettings       = "other_settings"
	resourcePolicyKind  = "configmap"
	resourcePolicyField = "resource_policy_configmap"
)

func set(description string) schema.SetAttribute {
	return schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description,
		Validators: []validator.Set{setvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))}}
}

func boolean(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func words(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func nonEmpty() []validator.String { return []validator.String{stringvalidator.LengthAtLeast(1)} }

// durationText wants a duration that is at least so long, in Go's form.
func durationText(least time.Duration) validator.String {
	return validate.Text{Wants: "a duration as 168h or 90m", Check: func(value string) error {
		parsed, err := time.ParseDuration(value)
		switch {
		case err != nil && strings.HasSuffix(value, "d"):
			return errDays
		case err != nil || parsed < 0:
			return errDuration
		case parsed < least:
			return errTooShort
		}
		return nil
	}}
}

func jsonObject() validator.String {
	return validate.Text{Wants: "a JSON object", Check: func(value string) error {
		parsed, err := parseJSON(value)
		if err != nil {
			return err
		}
		if _, ok := parsed.(map[string]any); !ok {
			return errNoObject
		}
		return nil
	}}
}
