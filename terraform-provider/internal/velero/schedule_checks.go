// This file refuses, while planning, schedules whose backups Velero would refuse.
package velero

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ValidateConfig judges attributes against each other. What is unknown is passed over.
func (r *scheduleResource) ValidateConfig(ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse) {
	diags := &response.Diagnostics
	template, ok := read(ctx, request.Config, diags)["template"].(types.Object)
	if !ok || template.IsNull() || template.IsUnknown() {
		return
	}
	at, given := path.Root("template"), template.Attributes()
	isGiven := func(name string) bool { return !given[name].IsNull() && !given[name].IsUnknown() }
	for _, older := range []string{"included_resources", "excluded_resources", "include_cluster_resources"} {
		for _, newer := range []string{"included_cluster_scoped_resources", "excluded_cluster_scoped_resources", "included_namespace_scoped_resources", "excluded_namespace_scoped_resources"} {
			if isGiven(older) && isGiven(newer) {
				diags.AddAttributeError(at.AtName(newer), "Invalid Attribute Combination", fmt.Sprintf("Velero does not take %s together with %s. "+
					"Use either the three older filters or the four newer ones.", newer, older))
			}
		}
	}
	if isGiven("label_selector") && isGiven("or_label_selectors") {
		diags.AddAttributeError(at.AtName("or_label_selectors"), "Invalid Attribute Combination", "Velero takes label_selector or or_label_selectors, not both.")
	}
	for _, of := range []string{"namespaces", "resources", "cluster_scoped_resources", "namespace_scoped_resources"} {
		checkFilter(of, given, at, diags)
	}
	for _, name := range []string{"included_namespaces", "excluded_namespaces"} {
		checkNamespaces(given[name], at.AtName(name), diags)
	}
	checkOtherSettings(given[otherSettings], at.AtName(otherSettings), diags)
}

// checkFilter says what Velero would say of each backup, which it then calls FailedValidation; of the schedule it says nothing.
func checkFilter(of string, given values, at path.Path, diags *diag.Diagnostics) {
	refuse := func(side, why string, arguments ...any) {
		diags.AddAttributeError(at.AtName(side+of), "Invalid Attribute Combination", fmt.Sprintf(why, arguments...))
	}
	included, excluded := knownTexts(given["included_"+of]), knownTexts(given["excluded_"+of])
	if slices.Contains(included, "*") && len(included) > 1 {
		refuse("included_", "\"*\" stands for all: leave out either it or the others.")
	}
	switch isScoped := strings.Contains(of, "scoped"); {
	case !slices.Contains(excluded, "*"):
	case !isScoped:
		refuse("excluded_", "Velero does not leave out all %s. Name those that it should.", of)
	case len(excluded) > 1:
		refuse("excluded_", "\"*\" stands for all: leave out either it or the others.")
	case len(included) > 0:
		refuse("included_", "All are excluded: nothing can be included.")
	}
	for _, name := range included {
		if name != "*" && slices.Contains(excluded, name) {
			refuse("excluded_", "%q is both included and excluded.", name)
		}
	}
}

// checkNamespaces passes over names with wildcards that Velero knows since 1.18.
func checkNamespaces(value attr.Value, at path.Path, diags *diag.Diagnostics) {
	for _, name := range knownTexts(value) {
		problems := validation.IsDNS1123Label(strings.ReplaceAll(name, "*", "x"))
		if len(problems) > 0 && !strings.ContainsAny(name, "?[]{}") {
			diags.AddAttributeError(at, "Invalid Attribute Value", fmt.Sprintf("%q cannot be the name of a namespace: %s.", name, strings.Join(problems, "; ")))
		}
	}
}

// knownTexts gives the elements of a set, sorted, without those that are null or unknown.
func knownTexts(value attr.Value) []string {
	var known []string
	elements, _ := value.(types.Set)
	for _, element := range elements.Elements() {
		if said, ok := element.(types.String); ok && !said.IsNull() && !said.IsUnknown() {
			known = append(known, said.ValueString())
		}
	}
	slices.Sort(known)
	return known
}

// checkOtherSettings refuses what has attributes: it would be said twice.
func checkOtherSettings(value attr.Value, at path.Path, diags *diag.Diagnostics) {
	document, ok := value.(jsontypes.Normalized)
	if !ok || document.IsNull() || document.IsUnknown() {
		return
	}
	parsed, err := parseJSON(document.ValueString())
	settings, isObject := parsed.(map[string]any)
	if err != nil || !isObject {
		diags.AddAttributeError(at, "Invalid Attribute Value", errNoObject.Error())
		return
	}
	if lookup(settings, []string{"resourcePolicy", "kind"}) != nil {
		diags.AddAttributeError(at, "Invalid Attribute Combination", "resourcePolicy has an attribute of its own: "+resourcePolicyField+".")
	}
	for _, each := range templateFields {
		if lookup(settings, each.in) != nil {
			diags.AddAttributeError(at, "Invalid Attribute Combination", fmt.Sprintf("%s has an attribute of its own: %s.", strings.Join(each.in, "."), each.name))
		}
	}
}
