// This file is label selectors as attributes.
package velero

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

var (
	requirementType = types.ObjectType{AttrTypes: map[string]attr.Type{"key": types.StringType, "operator": types.StringType,
		"values": types.SetType{ElemType: types.StringType}}}
	selectorType = types.ObjectType{AttrTypes: map[string]attr.Type{"match_labels": types.MapType{ElemType: types.StringType},
		"match_expressions": types.ListType{ElemType: requirementType}}}
)

// selector is a metav1.LabelSelector.
type selector struct{}

func (selector) attrType() attr.Type { return selectorType }

func (selector) encode(value attr.Value) (any, error) {
	result := map[string]any{}
	attributes := value.(types.Object).Attributes()
	if labels := attributes["match_labels"].(types.Map); len(labels.Elements()) > 0 {
		result["matchLabels"], _ = textMap{}.encode(labels)
	}
	var requirements []any
	for _, element := range attributes["match_expressions"].(types.List).Elements() {
		of := element.(types.Object).Attributes()
		requirement := map[string]any{"key": of["key"].(types.String).ValueString(), "operator": of["operator"].(types.String).ValueString()}
		if values := of["values"].(types.Set); len(values.Elements()) > 0 {
			requirement["values"] = textsOf(values.Elements())
		}
		requirements = append(requirements, requirement)
	}
	if len(requirements) > 0 {
		result["matchExpressions"] = requirements
	}
	return result, nil
}

func (selector) decode(ctx context.Context, found any) (attr.Value, error) {
	members, ok := found.(map[string]any)
	if !ok {
		return types.ObjectNull(selectorType.AttrTypes), expected(false, "a label selector", found)
	}
	labels, expressions := attr.Value(types.MapNull(types.StringType)), types.ListNull(requirementType)
	var err error
	if given, has := members["matchLabels"]; has {
		if labels, err = (textMap{}).decode(ctx, given); err != nil {
			return types.ObjectNull(selectorType.AttrTypes), err
		}
	}
	if given, has := members["matchExpressions"].([]any); has {
		var requirements []attr.Value
		for _, each := range given {
			requirement, err := decodeRequirement(each)
			if err != nil {
				return types.ObjectNull(selectorType.AttrTypes), err
			}
			requirements = append(requirements, requirement)
		}
		expressions = types.ListValueMust(requirementType, requirements)
	}
	return types.ObjectValueMust(selectorType.AttrTypes, map[string]attr.Value{"match_labels": labels, "match_expressions": expressions}), nil
}

func decodeRequirement(found any) (attr.Value, error) {
	members, ok := found.(map[string]any)
	key, isText := members["key"].(string)
	operator, isWord := members["operator"].(string)
	if err := expected(ok && isText && isWord, "a requirement", found); err != nil {
		return nil, err
	}
	values := types.SetNull(types.StringType)
	if given, has := members["values"]; has {
		list, err := stringsFrom(given)
		if err != nil {
			return nil, err
		}
		values = types.SetValueMust(types.StringType, list)
	}
	return types.ObjectValueMust(requirementType.AttrTypes, map[string]attr.Value{"key": types.StringValue(key),
		"operator": types.StringValue(operator), "values": values}), nil
}

func (selector) canonical(found any) any {
	kept, ok := document{}.canonical(found).(map[string]any)
	if !ok {
		return nil
	}
	if requirements, has := kept["matchExpressions"].([]any); has {
		var sorted []any
		for _, each := range requirements {
			if members, isObject := each.(map[string]any); isObject {
				copied := map[string]any{}
				for name, member := range members {
					copied[name] = member
				}
				copied["values"] = texts{}.canonical(copied["values"])
				if copied["values"] == nil {
					delete(copied, "values")
				}
				each = copied
			}
			sorted = append(sorted, each)
		}
		kept["matchExpressions"] = sorted
	}
	return kept
}

// selectors is a list of them.
type selectors struct{}

func (selectors) attrType() attr.Type { return types.ListType{ElemType: selectorType} }

func (selectors) encode(value attr.Value) (any, error) {
	result := []any{}
	for _, element := range value.(types.List).Elements() {
		one, err := selector{}.encode(element)
		if err != nil {
			return nil, err
		}
		result = append(result, one)
	}
	return result, nil
}

func (selectors) decode(ctx context.Context, found any) (attr.Value, error) {
	list, ok := found.([]any)
	if !ok {
		return types.ListNull(selectorType), expected(false, "a list of label selectors", found)
	}
	var values []attr.Value
	for _, each := range list {
		one, err := selector{}.decode(ctx, each)
		if err != nil {
			return types.ListNull(selectorType), err
		}
		values = append(values, one)
	}
	return types.ListValueMust(selectorType, values), nil
}

func (selectors) canonical(found any) any {
	list, ok := found.([]any)
	if !ok || len(list) == 0 {
		return nil
	}
	var result []any
	for _, each := range list {
		result = append(result, selector{}.canonical(each))
	}
	return result
}

func selectorAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"match_labels": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Labels that an object must have, all of them.",
			Validators: []validator.Map{labelNames{areLabels: true}}},
		"match_expressions": schema.ListNestedAttribute{Optional: true, MarkdownDescription: "Requirements that an object must meet, all of them.",
			NestedObject: schema.NestedAttributeObject{Validators: []validator.Object{requirement{}}, Attributes: map[string]schema.Attribute{
				"key": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the label."},
				"operator": schema.StringAttribute{Required: true, MarkdownDescription: "`In`, `NotIn`, `Exists` or `DoesNotExist`.",
					Validators: []validator.String{stringvalidator.OneOf("In", "NotIn", "Exists", "DoesNotExist")}},
				"values": schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Values, for `In` and `NotIn`."},
			}}},
	}
}

// requirement refuses what Velero cannot make a selector of: its backups would fail.
type requirement struct{}

func (requirement) Description(context.Context) string {
	return "must have values for In and NotIn, and none for Exists and DoesNotExist"
}

func (v requirement) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (requirement) ValidateObject(_ context.Context, request validator.ObjectRequest, response *validator.ObjectResponse) {
	of := request.ConfigValue.Attributes()
	key, _ := of["key"].(types.String)
	operator, _ := of["operator"].(types.String)
	list, isSet := of["values"].(types.Set)
	if !isSet || list.IsUnknown() || operator.IsNull() || operator.IsUnknown() || key.IsNull() || key.IsUnknown() {
		return
	}
	refuse := func(name, why string, arguments ...any) {
		response.Diagnostics.AddAttributeError(request.Path.AtName(name), "Invalid Attribute Value", fmt.Sprintf(why, arguments...))
	}
	if problems := validation.IsQualifiedName(key.ValueString()); len(problems) > 0 {
		refuse("key", "%q cannot be the name of a label: %s.", key.ValueString(), strings.Join(problems, "; "))
	}
	switch takes := operator.ValueString() == "In" || operator.ValueString() == "NotIn"; {
	case takes && len(list.Elements()) == 0:
		refuse("values", "%s needs values to compare with. Without any, say Exists or DoesNotExist.", operator.ValueString())
	case !takes && len(list.Elements()) > 0:
		refuse("values", "%s takes no values. With them, say In or NotIn.", operator.ValueString())
	}
}
