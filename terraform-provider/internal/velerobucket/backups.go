// This file is the data source recoup_velero_backups.
package velerobucket

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

type backupsSource struct{ data *providerdata.Data }

var _ datasource.DataSourceWithConfigure = (*backupsSource)(nil)

// NewBackups makes recoup_velero_backups.
func NewBackups() datasource.DataSource { return &backupsSource{} }

type backupsModel struct {
	Bucket   types.String  `tfsdk:"bucket"`
	Prefix   types.String  `tfsdk:"prefix"`
	Schedule types.String  `tfsdk:"schedule"`
	States   []string      `tfsdk:"states"`
	Latest   types.Int64   `tfsdk:"latest"`
	Backups  []backupModel `tfsdk:"backups"`
}

type backupModel struct {
	Name             string   `tfsdk:"name"`
	State            string   `tfsdk:"state"`
	Restorable       bool     `tfsdk:"restorable"`
	Problem          *string  `tfsdk:"problem"`
	Schedule         *string  `tfsdk:"schedule"`
	Phase            *string  `tfsdk:"phase"`
	StartedAt        *string  `tfsdk:"started_at"`
	CompletedAt      *string  `tfsdk:"completed_at"`
	ExpiresAt        *string  `tfsdk:"expires_at"`
	Errors           int64    `tfsdk:"errors"`
	Warnings         int64    `tfsdk:"warnings"`
	Items            int64    `tfsdk:"items"`
	ItemsBackedUp    int64    `tfsdk:"items_backed_up"`
	FailureReason    *string  `tfsdk:"failure_reason"`
	ValidationErrors []string `tfsdk:"validation_errors"`
	StorageLocation  *string  `tfsdk:"storage_location"`
	Bytes            int64    `tfsdk:"bytes"`

	time string // by which they are sorted
}

func (s *backupsSource) Metadata(_ context.Context, request datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + "_velero_backups"
}

func (s *backupsSource) Configure(_ context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse) {
	s.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (s *backupsSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	attributes := bucketAttributes()
	attributes["schedule"] = schema.StringAttribute{Optional: true, MarkdownDescription: "Only backups of the schedule of that name.",
		Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	attributes["states"] = schema.ListAttribute{Optional: true, ElementType: types.StringType,
		MarkdownDescription: "Only backups in one of these states: `good`, `partial` (Velero had errors), `failed`, `running` (or Velero died), `incomplete`, `damaged`."}
	attributes["latest"] = schema.Int64Attribute{Optional: true, MarkdownDescription: "Only so many of the newest of those.",
		Validators: []validator.Int64{int64validator.AtLeast(1)}}
	attributes["backups"] = schema.ListNestedAttribute{Computed: true, MarkdownDescription: "The backups, the oldest first.",
		NestedObject: schema.NestedAttributeObject{Attributes: backupAttributes()}}
	response.Schema = schema.Schema{Attributes: attributes,
		MarkdownDescription: "Velero's backups as its bucket shows them, with no cluster: also those that a cluster has long forgotten, and those that were cut off. " +
			"It takes one request for each backup, beside those for the listing."}
}

func backupAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"name": text("Name of the backup."), "state": text("See `states`."), "phase": text("Velero's phase."),
		"restorable":   schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether its manifests, and the volumes that it says were stored, can be restored, as far as its files say."},
		"problem":      text("What is wrong with its files."),
		"schedule":     text("Name of its schedule; null for one that was asked for by hand."),
		"started_at":   text("When Velero began with it (RFC 3339)."),
		"expires_at":   text("When Velero will remove it (RFC 3339)."),
		"errors":       number("Errors that Velero counted."),
		"warnings":     number("Warnings that Velero counted."),
		"items":        number("Objects of the cluster that were to be backed up."),
		"bytes":        number("Bytes of its files, without the volumes' data."),
		"completed_at": text("When Velero had finished (RFC 3339)."), "items_backed_up": number("Those that were."),
		"failure_reason": text("Why Velero gave up."), "storage_location": text("Name of its backup location in the cluster that made it."),
		"validation_errors": schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Why Velero did not begin."},
	}
}

func (s *backupsSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	diags := &response.Diagnostics
	var model backupsModel
	diags.Append(request.Config.Get(ctx, &model)...)
	if diags.HasError() {
		return
	}
	opened := openBucket(s.data, model.Bucket, model.Prefix, diags)
	if opened == nil {
		return
	}
	all, err := opened.describe(ctx)
	if err != nil {
		diagnosis.Append(diags, "Unable to List Velero Backups", err, places)
		return
	}
	model.Backups = []backupModel{}
	for _, each := range all {
		if !model.Schedule.IsNull() && (each.Schedule == nil || *each.Schedule != model.Schedule.ValueString()) {
			continue
		}
		if len(model.States) == 0 || slices.Contains(model.States, each.State) {
			model.Backups = append(model.Backups, each)
		}
	}
	if most := int(model.Latest.ValueInt64()); most > 0 && len(model.Backups) > most {
		model.Backups = model.Backups[len(model.Backups)-most:]
	}
	diags.Append(response.State.Set(ctx, model)...)
}

// describe reads what each backup says of itself; the newest comes last.
func (b *bucket) describe(ctx context.Context) ([]backupModel, error) {
	found, err := b.backups(ctx, "")
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, each := range found {
		if _, has := each.files[descriptionFile]; has {
			keys = append(keys, b.key(each, descriptionFile))
		}
	}
	contents, err := b.read(ctx, keys)
	if err != nil {
		return nil, err
	}
	var all []backupModel
	for _, each := range found {
		said := content{problem: "is not there: the backup was not uploaded to its end, or is being deleted"}
		if _, has := each.files[descriptionFile]; has {
			said, contents = contents[0], contents[1:]
		}
		all = append(all, model(each, said))
	}
	slices.SortStableFunc(all, func(a, b backupModel) int {
		return strings.Compare(a.time+" "+a.Name, b.time+" "+b.Name)
	})
	return all, nil
}

func model(of *backup, text content) backupModel {
	result := backupModel{Name: of.name, Bytes: of.bytes, ValidationErrors: []string{}, time: inUTC(of.last)}
	var said record
	err := text.parse(&said)
	if err == nil && (said.Kind != "Backup" || said.Metadata.Name != of.name) {
		err = fmt.Errorf("describes the %s %q", cmp.Or(said.Kind, "object"), said.Metadata.Name)
	}
	if err != nil {
		result.State = damaged
		if _, has := of.files[descriptionFile]; !has || text.problem == wordsFor("not_found") {
			result.State = incomplete
		}
		result.Problem = pointer(descriptionFile + " " + err.Error())
		return result
	}
	status := said.Status
	result.State, result.Phase = stateOf(of, said), pointer(cmp.Or(status.Phase, "New"))
	result.Restorable = result.State == good || result.State == partial
	if result.State == incomplete {
		result.Problem = pointer(of.name + ".tar.gz is not there: the backup has no manifests")
	}
	result.Schedule = pointer(said.Metadata.Labels["velero.io/schedule-name"])
	result.StartedAt, result.CompletedAt, result.ExpiresAt = at(status.StartTimestamp), at(status.CompletionTimestamp), at(status.Expiration)
	result.Errors, result.Warnings = status.Errors, status.Warnings
	result.Items, result.ItemsBackedUp = status.Progress.TotalItems, status.Progress.ItemsBackedUp
	result.FailureReason, result.StorageLocation = pointer(status.FailureReason), pointer(said.Spec.StorageLocation)
	result.ValidationErrors = append(result.ValidationErrors, status.ValidationErrors...)
	if began := orTime(status.StartTimestamp, said.Metadata.CreationTimestamp); began != nil {
		result.time = *at(began)
	}
	return result
}

func orTime(first, second *time.Time) *time.Time {
	if first != nil {
		return first
	}
	return second
}

func at(when *time.Time) *string {
	if when == nil {
		return nil
	}
	return pointer(when.UTC().Format(time.RFC3339))
}

// inUTC is a server's time in the form of at, so that they can be compared.
func inUTC(said string) string {
	parsed, err := time.Parse(time.RFC3339, said)
	if err != nil {
		return said
	}
	return *at(&parsed)
}

// pointer gives nil for "", which is null in Terraform.
func pointer(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
