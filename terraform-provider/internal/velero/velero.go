// Package velero has the resources recoup_velero_backup_location, recoup_velero_schedule and recoup_velero_backup_run.
//
//	object.go       an object that a resource declares: made, read, changed, removed
//	fields.go       attributes <-> the spec of an object, by tables      kinds.go, selector.go  the kinds of values in them
//	location*.go    BackupStorageLocation
//	schedule*.go    Schedule                                             cron.go  when it is due
//	run*.go         a Backup from a Schedule, now
//
// Only the spec is ever written, and of it only what differs: Velero keeps its status in the same object.
package velero

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

// The kinds of Velero's that are declared or looked at here.
var (
	locationKind        = kubernetes.Kind{Group: "velero.io", Version: "v1", Name: "BackupStorageLocation", Plural: "backupstoragelocations"}
	scheduleKind        = kubernetes.Kind{Group: "velero.io", Version: "v1", Name: "Schedule", Plural: "schedules"}
	backupKind          = kubernetes.Kind{Group: "velero.io", Version: "v1", Name: "Backup", Plural: "backups"}
	podVolumeBackupKind = kubernetes.Kind{Group: "velero.io", Version: "v1", Name: "PodVolumeBackup", Plural: "podvolumebackups"}
	dataUploadKind      = kubernetes.Kind{Group: "velero.io", Version: "v2alpha1", Name: "DataUpload", Plural: "datauploads"}
)

const (
	scheduleLabel = "velero.io/schedule-name"
	backupLabel   = "velero.io/backup-name"
)

// id names an object everywhere: in states, imports, and for recoup_velero_backup_run.
func id(namespace, name string) string { return namespace + "/" + name }

var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// parseID takes NAMESPACE/NAME, and NAME alone for the provider's namespace.
func parseID(from string, data *providerdata.Data) (namespace, name string, err error) {
	namespace, name, found := strings.Cut(from, "/")
	if !found {
		namespace, name = "", from
		if data != nil && data.Kubernetes != nil {
			namespace = data.Kubernetes.VeleroNamespace()
		}
	}
	if !objectName.MatchString(name) || (found && !objectName.MatchString(namespace)) {
		return "", "", fmt.Errorf("%q names no object of Velero's. Write it as NAMESPACE/NAME: velero/daily", from)
	}
	return namespace, name, nil
}

// sentence begins with a capital and ends with a full stop.
func sentence(err error) string {
	text := err.Error()
	if !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func nameValidator(longest int) validator.String {
	return validate.Text{Wants: "the name of a Kubernetes object", Check: func(value string) error {
		if len(value) > longest || len(validation.IsDNS1123Subdomain(value)) > 0 {
			return fmt.Errorf("%q cannot be the name of this object: up to %d lower-case letters, digits, - and ., with a letter or a "+
				"digit at both ends", value, longest)
		}
		return nil
	}}
}

func namespaceValidator() validator.String {
	return validate.Text{Wants: "the name of a namespace", Check: func(value string) error {
		if len(validation.IsDNS1123Label(value)) > 0 {
			return fmt.Errorf("%q cannot be the name of a namespace: up to 63 lower-case letters, digits and -, with a letter or a digit "+
				"at both ends", value)
		}
		return nil
	}}
}

// identityAttributes are those that every declared object has.
func identityAttributes(what string, longestName int) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{Computed: true, MarkdownDescription: "`NAMESPACE/NAME`. Imports take the same.",
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}},
		"name": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the " + what + ". Another name makes a new one.",
			Validators:    []validator.String{nameValidator(longestName)},
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}},
		"namespace": schema.StringAttribute{Optional: true, Computed: true,
			MarkdownDescription: "Namespace that Velero is installed in. Default: the provider's `kubernetes.velero_namespace`, else `velero`.",
			Validators:          []validator.String{namespaceValidator()},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()}},
		"labels":      labelsAttribute("Labels of the object. Others that it has are left alone.", true),
		"annotations": labelsAttribute("Annotations of the object. Others that it has are left alone.", false),
		"force_conflicts": schema.BoolAttribute{Optional: true,
			MarkdownDescription: "Whether fields are taken over that another program applies (Argo CD, Flux, `kubectl apply --server-side`). " +
				"Without it they are an error that names the program. What was changed by hand is put right either way."},
	}
}

func labelsAttribute(description string, areLabels bool) schema.MapAttribute {
	return schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description,
		Validators: []validator.Map{labelNames{areLabels}}}
}

// labelNames refuses what the API server would refuse, while planning.
type labelNames struct{ areLabels bool }

func (labelNames) Description(context.Context) string {
	return "must have names and values that Kubernetes takes"
}

func (v labelNames) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v labelNames) ValidateMap(_ context.Context, request validator.MapRequest, response *validator.MapResponse) {
	for name, value := range request.ConfigValue.Elements() {
		if problems := validation.IsQualifiedName(strings.ToLower(name)); len(problems) > 0 {
			response.Diagnostics.AddAttributeError(request.Path.AtMapKey(name), "Invalid Attribute Value",
				fmt.Sprintf("%q cannot be the name of a label or an annotation: %s.", name, strings.Join(problems, "; ")))
		}
		said, ok := value.(types.String)
		if !ok || said.IsNull() || said.IsUnknown() || !v.areLabels {
			continue
		}
		if problems := validation.IsValidLabelValue(said.ValueString()); len(problems) > 0 {
			response.Diagnostics.AddAttributeError(request.Path.AtMapKey(name), "Invalid Attribute Value",
				fmt.Sprintf("%q cannot be the value of a label: %s.", said.ValueString(), strings.Join(problems, "; ")))
		}
	}
}
