// This file is the resource recoup_velero_schedule.
package velero

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
)

var (
	errDays     = errors.New("days are written in hours here, as Velero and Go do: 168h for 7 days, 672h for 28, 8760h for 365")
	errDuration = errors.New("this is not a duration. Write it as 168h or 90m")
	errTooShort = errors.New("this is shorter than a minute: backups would expire at once")
	errNoObject = errors.New("this must be a JSON object: jsonencode({ … })")
)

type scheduleResource struct{ declared }

var _ resource.ResourceWithValidateConfig = (*scheduleResource)(nil)

// longestScheduleName is what fits into the label that each of its backups carries.
const longestScheduleName = 63

// NewSchedule makes recoup_velero_schedule.
func NewSchedule() resource.Resource {
	return &scheduleResource{declared{kind: scheduleKind, suffix: "_velero_schedule", thing: "Velero Schedule", timeout: 5 * time.Minute,
		specify: specifySchedule, learn: learnSchedule, see: seeSchedule, nudge: skipWhatIsNowDue, tell: tellOfSchedule,
		keepsDependents: func(state values) bool { return isSet(state, "use_owner_references_in_backup") },
		farewell: func(state values) (string, string) {
			return "Backups Kept", fmt.Sprintf("The schedule %s is gone. The backups that it made stay, each until it expires.",
				id(said(state, "namespace"), said(state, "name")))
		}}}
}

func (r *scheduleResource) Schema(ctx context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	attributes := attributesOf(scheduleFields, identityAttributes("Schedule", longestScheduleName))
	attributes["skip_immediately"] = schema.BoolAttribute{Optional: true,
		MarkdownDescription: "Velero makes a backup at once when a schedule is new, is changed, or is not paused any more, if one would have been due " +
			"since the last. With true it waits for the next time: the creation says so, and so does each later apply that changes `schedule` or " +
			"ends a pause. Velero sets this field of the Schedule back as soon as it has seen it, which is no drift."}
	template := attributesOf(templateFields, map[string]schema.Attribute{
		otherSettings: schema.StringAttribute{Optional: true, CustomType: jsontypes.NormalizedType{},
			MarkdownDescription: "What else the template says, for which there is no attribute, as JSON: `jsonencode({ datamover = \"velero\" })`."}})
	attributes["template"] = schema.SingleNestedAttribute{Optional: true, Attributes: template,
		MarkdownDescription: "What the backups are like: all of the Schedule's `spec.template`. What is left out is not in it either."}
	attributes["timeouts"] = describedTimeouts(ctx, timeouts.Opts{Create: true, Update: true, Delete: true})
	attributes["phase"] = schema.StringAttribute{Computed: true, MarkdownDescription: "`Enabled`, or `FailedValidation`; null where Velero has not looked at it yet."}
	attributes["validation_errors"] = schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "What Velero finds wrong with it."}
	attributes["last_backup"] = schema.StringAttribute{Computed: true, MarkdownDescription: "When it last made a backup (RFC 3339). Backups that were asked for by hand do not count."}
	response.Schema = schema.Schema{Attributes: attributes,
		MarkdownDescription: "A Velero Schedule: when backups of the cluster are made, of what, and how long they are kept. What is changed on the " +
			"cluster by other hands is seen when Terraform plans, and put right by the next apply; Velero's status is never touched.\n\n" +
			"A Schedule of that name that is there already is refused, with the command that imports it. Destroying the resource removes the " +
			"Schedule and leaves its backups."}
}

func specifySchedule(from values, spec map[string]any, diags *diag.Diagnostics) {
	fill(scheduleFields, from, spec, path.Empty(), diags)
	template, ok := spec["template"].(map[string]any)
	if !ok {
		template = map[string]any{}
	}
	spec["template"] = specifyTemplate(from["template"], template, diags)
}

// specifyTemplate changes what is found, so that nothing differs from it without need.
func specifyTemplate(value attr.Value, found map[string]any, diags *diag.Diagnostics) map[string]any {
	at, given := path.Root("template"), values{}
	if template, ok := value.(types.Object); ok && !template.IsNull() {
		given = template.Attributes()
	}
	var other any
	if document, ok := given[otherSettings].(jsontypes.Normalized); ok && !document.IsNull() {
		parsed, err := parseJSON(document.ValueString())
		if err != nil {
			diags.AddAttributeError(at.AtName(otherSettings), "Invalid Attribute Value", err.Error())
			return found
		}
		other = parsed
	}
	rest := restOfTemplate(found)
	if !sameJSON(document{}.canonical(rest), document{}.canonical(other)) {
		kept := map[string]any{}
		if settings, ok := other.(map[string]any); ok {
			kept = maps.Clone(settings)
		}
		for _, each := range templateFields {
			if value := lookup(found, each.in); value != nil {
				put(kept, each.in, value)
			}
		}
		found = kept
	}
	fill(templateFields, given, found, at, diags)
	if policy, ok := found["resourcePolicy"].(map[string]any); ok && policy["name"] != nil {
		if !isConfigMap(policy["kind"]) {
			policy["kind"] = resourcePolicyKind // there is no other
		}
	} else {
		delete(found, "resourcePolicy")
	}
	return found
}

// restOfTemplate is what of it has no attribute.
func restOfTemplate(template map[string]any) map[string]any {
	rest := without(templateFields, template)
	if policy, ok := rest["resourcePolicy"].(map[string]any); ok && len(policy) == 1 && isConfigMap(policy["kind"]) {
		delete(rest, "resourcePolicy")
	}
	return rest
}

// isConfigMap takes ConfigMap, too, as Velero does.
func isConfigMap(kind any) bool {
	said, _ := kind.(string)
	return strings.EqualFold(said, resourcePolicyKind)
}

func learnSchedule(ctx context.Context, spec map[string]any, before values, diags *diag.Diagnostics) values {
	result := take(ctx, scheduleFields, spec, before, path.Empty(), diags)
	template, _ := spec["template"].(map[string]any)
	given, isKnown := values{}, false
	if known, ok := before["template"].(types.Object); ok && !known.IsNull() && !known.IsUnknown() {
		given, isKnown = known.Attributes(), true
	}
	found := take(ctx, templateFields, template, given, path.Root("template"), diags)
	rest := field{name: otherSettings, kind: document{}}
	value, err := rest.decode(ctx, any(restOfTemplate(template)), given[otherSettings])
	if err != nil {
		diags.AddError("Unable to Read Velero Schedule", err.Error())
		return result
	}
	found[otherSettings] = value
	kinds := typesOf(append(slices.Clone(templateFields), rest))
	isEmpty := !slices.ContainsFunc(slices.Collect(maps.Values(found)), func(value attr.Value) bool { return !value.IsNull() })
	if isEmpty && !isKnown {
		result["template"] = types.ObjectNull(kinds)
		return result
	}
	whole, problems := types.ObjectValue(kinds, found)
	diags.Append(problems...)
	result["template"] = whole
	return result
}

func seeSchedule(object *kubernetes.Object) values {
	status, _ := object.Object["status"].(map[string]any)
	return values{"phase": statusText(status, "phase"), "last_backup": statusText(status, "lastBackup"),
		"validation_errors": statusTexts(status, "validationErrors")}
}

func statusText(status map[string]any, name string) types.String {
	if said, ok := status[name].(string); ok && said != "" {
		return types.StringValue(said)
	}
	return types.StringNull()
}

func statusTexts(status map[string]any, name string) types.List {
	elements := []attr.Value{}
	list, _ := status[name].([]any)
	for _, each := range list {
		elements = append(elements, types.StringValue(fmt.Sprint(each)))
	}
	return types.ListValueMust(types.StringType, elements)
}

// skipWhatIsNowDue says skipImmediately with a change (all of a new Schedule is one) after which Velero would make a backup at
// once.
func skipWhatIsNowDue(plan values, patch map[string]any) {
	paused, pauses := patch["paused"]
	_, moved := patch["schedule"]
	if isSet(plan, "skip_immediately") && (moved || (pauses && paused != true)) {
		patch["skipImmediately"] = true
	}
}

func tellOfSchedule(object *kubernetes.Object, diags *diag.Diagnostics) {
	status, _ := object.Object["status"].(map[string]any)
	if status["phase"] != "FailedValidation" {
		return
	}
	var reasons []string
	for _, each := range statusTexts(status, "validationErrors").Elements() {
		reasons = append(reasons, each.(types.String).ValueString())
	}
	diags.AddWarning("Velero Refuses a Schedule", fmt.Sprintf("Velero makes no backups by the schedule %s/%s: %s.", object.GetNamespace(),
		object.GetName(), strings.Join(reasons, "; ")))
}
