// This file is the data source recoup_velero_volumes.
package velerobucket

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

type volumesSource struct{ data *providerdata.Data }

var _ datasource.DataSourceWithConfigure = (*volumesSource)(nil)

// NewVolumes makes recoup_velero_volumes.
func NewVolumes() datasource.DataSource { return &volumesSource{} }

type volumesModel struct {
	Bucket     types.String  `tfsdk:"bucket"`
	Prefix     types.String  `tfsdk:"prefix"`
	Backup     types.String  `tfsdk:"backup"`
	Schedule   types.String  `tfsdk:"schedule"`
	BackupName types.String  `tfsdk:"backup_name"`
	Volumes    []volumeModel `tfsdk:"volumes"`
}

type volumeModel struct {
	Namespace        string  `tfsdk:"namespace"`
	Claim            *string `tfsdk:"claim"`
	PersistentVolume *string `tfsdk:"persistent_volume"`
	Pod              *string `tfsdk:"pod"`
	Volume           *string `tfsdk:"volume"`
	State            string  `tfsdk:"state"`
	Restorable       bool    `tfsdk:"restorable"`
	Reason           *string `tfsdk:"reason"`
	Method           *string `tfsdk:"method"`
	Uploader         *string `tfsdk:"uploader"`
	Repository       *string `tfsdk:"repository"`
	Phase            *string `tfsdk:"phase"`
	Snapshot         *string `tfsdk:"snapshot"`
	Bytes            int64   `tfsdk:"bytes"`
}

var noSlash = regexp.MustCompile(`^[^/]+$`)

// latest is what `backup` says for the newest one that can be restored.
const latest = "latest"

func (s *volumesSource) Metadata(_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_velero_volumes"
}

func (s *volumesSource) Configure(_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse) {
	s.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (s *volumesSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	attributes := bucketAttributes()
	attributes["backup"] = schema.StringAttribute{Optional: true,
		MarkdownDescription: "Name of the backup, or `latest`: the newest that can be restored. Default: `latest`.",
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.RegexMatches(noSlash, "must be a name: without a slash")}}
	attributes["schedule"] = schema.StringAttribute{Optional: true, MarkdownDescription: "With `latest`: of the backups of the schedule of that name.",
		Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	attributes["backup_name"] = text("Name of the backup that was read.")
	attributes["volumes"] = schema.ListNestedAttribute{Computed: true, MarkdownDescription: "Its volumes, sorted by namespace, claim and pod.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"namespace": text("Namespace of the pod or the claim."), "claim": text("PersistentVolumeClaim; null for what has none, as an emptyDir."),
			"persistent_volume": text("PersistentVolume."), "pod": text("Pod that it was backed up from."), "volume": text("The pod's name for it."),
			"state": text("`stored`; `empty`: it held nothing; `failed`; `skipped`: Velero left it out; `elsewhere`: its data is in a snapshot " +
				"of the storage, not in the bucket."),
			"restorable": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether its data can be had from the bucket, as far as Velero's records say."},
			"reason":     text("Why there is no data."), "method": text("`PodVolumeBackup`, `CSISnapshot` or `NativeSnapshot`."),
			"uploader":   text("`restic` or `kopia`; null where it was not stored file by file."),
			"repository": text("Directory of its repository in the bucket, as `restic/db`, below `prefix`. A location can put restic's elsewhere (`resticRepoPrefix`)."),
			"phase":      text("Velero's phase of it."), "snapshot": text("ID of the snapshot: with restic, its first 8 digits."),
			"bytes": schema.Int64Attribute{Computed: true, MarkdownDescription: "Bytes, as Velero counted."},
		}}}
	response.Schema = schema.Schema{Attributes: attributes,
		MarkdownDescription: "The volumes of one of Velero's backups as its bucket shows them, with no cluster: also those that a backup which says " +
			"`Completed` does not hold, and why. (Which were skipped is known since Velero 1.13.)"}
}

func (s *volumesSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	diags := &response.Diagnostics
	var model volumesModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() {
		return
	}
	name := model.Backup.ValueString()
	if name != "" && name != latest && !model.Schedule.IsNull() {
		diags.AddAttributeError(path.Root("schedule"), "Invalid Attribute Combination", "A backup that is named needs no schedule: remove it, or set backup = \"latest\".")
		return
	}
	opened := openBucket(s.data, model.Bucket, model.Prefix, diags)
	if opened == nil {
		return
	}
	if name == "" || name == latest {
		found, err := opened.latest(ctx, model.Schedule)
		if err != nil {
			diagnosis.Append(diags, "Unable to Find Velero Backup", err, places)
			return
		}
		name = found
	}
	model.BackupName = types.StringValue(name)
	model.Volumes = opened.volumes(ctx, name, diags)
	if !diags.HasError() {
		diags.Append(response.State.Set(ctx, model)...)
	}
}

func (b *bucket) latest(ctx context.Context, schedule types.String) (string, error) {
	all, err := b.describe(ctx)
	if err != nil {
		return "", err
	}
	for _, each := range slices.Backward(all) {
		if each.Restorable && (schedule.IsNull() || each.Schedule != nil && *each.Schedule == schedule.ValueString()) {
			return each.Name, nil
		}
	}
	if len(all) == 0 {
		return "", fmt.Errorf("The bucket %s holds no backups of Velero's below %sbackups/. The prefix has to be the one of the backup location "+
			"(objectStorage.prefix), or none.", b.name, b.prefix)
	}
	of := ""
	if !schedule.IsNull() {
		of = " of the schedule " + schedule.ValueString()
	}
	return "", fmt.Errorf("The bucket %s holds %d backups, and none%s that can be restored. recoup_velero_backups says what is wrong with each.", b.name, len(all), of)
}

// volumes warns of a list that is missing, and fails where both are.
func (b *bucket) volumes(ctx context.Context, name string, diags *diag.Diagnostics) []volumeModel {
	const summary = "Unable to Read Velero Backup"
	found, err := b.backups(ctx, name+"/")
	if err != nil {
		diagnosis.Append(diags, summary, err, places)
		return nil
	}
	if len(found) == 0 {
		diags.AddAttributeError(path.Root("backup"), summary, fmt.Sprintf("The bucket %s holds no backup %s. recoup_velero_backups says which there are.", b.name, name))
		return nil
	}
	files := []string{name + "-podvolumebackups.json.gz", name + "-volumeinfo.json.gz"}
	contents, err := b.read(ctx, []string{b.key(found[0], files[0]), b.key(found[0], files[1])})
	if err != nil {
		diagnosis.Append(diags, summary, err, places)
		return nil
	}
	var storedVolumes []podVolumeBackup
	var infos []volumeInfo
	noList, noInfos := contents[0].unzip(&storedVolumes), contents[1].unzip(&infos)
	if noList != nil && noInfos != nil {
		diags.AddAttributeError(path.Root("backup"), summary, fmt.Sprintf("Nothing says which volumes the backup %s has: %s %v, and %s %v. "+
			"\"recoup velero volumes\" finds them by the tags of their snapshots.", name, files[0], noList, files[1], noInfos))
		return nil
	}
	if noList != nil {
		storedVolumes = nil // an element may have been read by half
		diags.AddAttributeWarning(path.Root("backup"), "Velero Backup Lacks a List", fmt.Sprintf("%s %v. What was stored is known from %s only.", files[0], noList, files[1]))
	}
	if noInfos != nil {
		infos = nil
		diags.AddAttributeWarning(path.Root("backup"), "Velero Backup Lacks a List", fmt.Sprintf("%s %v. Which volumes were skipped, and why, is not known.", files[1], noInfos))
	}
	all := []volumeModel{}
	for _, each := range volumesOf(storedVolumes, infos) {
		all = append(all, each.model())
	}
	slices.SortStableFunc(all, func(a, b volumeModel) int { return strings.Compare(a.order(), b.order()) })
	return all
}

func (v volume) model() volumeModel {
	repository := ""
	if v.uploader != "" {
		repository = v.uploader + "/" + v.namespace
	}
	return volumeModel{Namespace: v.namespace, Claim: pointer(v.claim), PersistentVolume: pointer(v.persistentVolume), Pod: pointer(v.pod),
		Volume: pointer(v.name), State: v.state, Restorable: isCopy(v.state), Reason: pointer(v.reason), Method: pointer(v.method),
		Uploader: pointer(v.uploader), Repository: pointer(repository), Phase: pointer(v.phase), Snapshot: pointer(v.snapshot), Bytes: v.bytes}
}

func (v volumeModel) order() string {
	words := []string{v.Namespace}
	for _, each := range []*string{v.Claim, v.Pod, v.Volume} {
		if each == nil {
			each = new(string)
		}
		words = append(words, *each)
	}
	return strings.Join(words, "\x00")
}
