// This file translates lifecycle rules between the schema and AWS's JSON form.
package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type ruleModel struct {
	Prefix           types.String         `tfsdk:"prefix"`
	Enabled          types.Bool           `tfsdk:"enabled"`
	ExpireDays       types.Int64          `tfsdk:"expire_after_days"`
	NoncurrentDays   types.Int64          `tfsdk:"noncurrent_expire_after_days"`
	NoncurrentKept   types.Int64          `tfsdk:"noncurrent_versions_kept"`
	RemoveMarkers    types.Bool           `tfsdk:"remove_expired_delete_markers"`
	AbortUploadsDays types.Int64          `tfsdk:"abort_incomplete_uploads_after_days"`
	OtherSettings    jsontypes.Normalized `tfsdk:"other_settings"`
}

var ruleType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"prefix": types.StringType, "enabled": types.BoolType, "expire_after_days": types.Int64Type,
	"noncurrent_expire_after_days": types.Int64Type, "noncurrent_versions_kept": types.Int64Type,
	"remove_expired_delete_markers": types.BoolType, "abort_incomplete_uploads_after_days": types.Int64Type,
	"other_settings": jsontypes.NormalizedType{},
}}

type object = map[string]any

// lifecycleDocument is nil where there shall be no rules.
func lifecycleDocument(ctx context.Context, rules types.Map, diags *diag.Diagnostics) any {
	models := map[string]ruleModel{}
	diags.Append(rules.ElementsAs(ctx, &models, false)...)
	if len(models) == 0 {
		return nil
	}
	var documents []object
	for _, id := range slices.Sorted(maps.Keys(models)) {
		document, err := models[id].document(id)
		if err != nil {
			diags.AddAttributeError(path.Root("lifecycle_rules").AtMapKey(id).AtName("other_settings"), "Invalid Attribute "+
				"Value", err.Error())
			continue
		}
		documents = append(documents, document)
	}
	return object{"Rules": documents}
}

func (m ruleModel) document(id string) (object, error) {
	rule := object{}
	if text := m.OtherSettings.ValueString(); text != "" {
		if err := json.Unmarshal([]byte(text), &rule); err != nil {
			return nil, fmt.Errorf("this must be a JSON object, as {\"Transitions\":[…]}: %w", err)
		}
	}
	rule["ID"] = id
	rule["Status"] = "Enabled"
	if !m.Enabled.IsNull() && !m.Enabled.ValueBool() {
		rule["Status"] = "Disabled"
	}
	if filter, ok := rule["Filter"].(object); !ok {
		rule["Filter"] = object{"Prefix": m.Prefix.ValueString()}
	} else if prefix := m.Prefix.ValueString(); prefix != "" {
		addPrefix(filter, prefix)
	}
	put(rule, "Expiration", "Days", m.ExpireDays)
	if m.RemoveMarkers.ValueBool() {
		member(rule, "Expiration")["ExpiredObjectDeleteMarker"] = true
	}
	put(rule, "NoncurrentVersionExpiration", "NoncurrentDays", m.NoncurrentDays)
	put(rule, "NoncurrentVersionExpiration", "NewerNoncurrentVersions", m.NoncurrentKept)
	put(rule, "AbortIncompleteMultipartUpload", "DaysAfterInitiation", m.AbortUploadsDays)
	return rule, nil
}

// addPrefix joins the prefix to other conditions: two or more of them stand in an And.
func addPrefix(filter object, prefix string) {
	if and, ok := filter["And"].(object); ok {
		and["Prefix"] = prefix
		return
	}
	if len(filter) == 0 {
		filter["Prefix"] = prefix
		return
	}
	and := maps.Clone(filter)
	clear(filter)
	if tag, ok := and["Tag"]; ok {
		delete(and, "Tag")
		and["Tags"] = []any{tag}
	}
	and["Prefix"] = prefix
	filter["And"] = and
}

func member(of object, name string) object {
	inner, ok := of[name].(object)
	if !ok {
		inner = object{}
		of[name] = inner
	}
	return inner
}

func put(rule object, part, name string, number types.Int64) {
	if !number.IsNull() {
		member(rule, part)[name] = number.ValueInt64()
	}
}

// rulesFrom reads the rules that a server has. A rule that says the same as before keeps the words it was configured in.
func rulesFrom(ctx context.Context, found json.RawMessage, before types.Map, diags *diag.Diagnostics) types.Map {
	var document struct {
		Rules []object `json:"Rules"`
	}
	if !isNull(found) {
		if err := json.Unmarshal(found, &document); err != nil {
			diags.AddError("Unable to Read Bucket", "The engine's lifecycle rules cannot be read: "+err.Error())
			return before
		}
	}
	known := map[string]ruleModel{}
	if !before.IsNull() {
		diags.Append(before.ElementsAs(ctx, &known, false)...)
	}
	rules := map[string]ruleModel{}
	for number, rule := range document.Rules {
		id, _ := rule["ID"].(string)
		if id == "" {
			id = fmt.Sprintf("rule-%d", number+1)
		}
		model := ruleFrom(rule)
		if configured, ok := known[id]; ok && configured.same(model) {
			model = configured
		}
		rules[id] = model
	}
	value, problems := types.MapValueFrom(ctx, ruleType, rules)
	diags.Append(problems...)
	return value
}

// ruleFrom takes the parts that have attributes out of the rule; what remains is other_settings.
func ruleFrom(rule object) ruleModel {
	model := ruleModel{Enabled: types.BoolValue(rule["Status"] != "Disabled"), Prefix: types.StringValue("")}
	delete(rule, "ID")
	delete(rule, "Status")
	if prefix, ok := rule["Prefix"].(string); ok { // the old form, without a filter
		model.Prefix = types.StringValue(prefix)
		delete(rule, "Prefix")
	}
	if filter, ok := rule["Filter"].(object); ok {
		if and, ok := filter["And"].(object); ok {
			takePrefix(and, &model)
		}
		takePrefix(filter, &model)
		if len(filter) == 0 {
			delete(rule, "Filter")
		}
	} else if _, ok := rule["Filter"].(string); ok { // an empty element
		delete(rule, "Filter")
	}
	model.ExpireDays = take(rule, "Expiration", "Days")
	if expiration, ok := rule["Expiration"].(object); ok && isTrue(expiration["ExpiredObjectDeleteMarker"]) {
		model.RemoveMarkers = types.BoolValue(true)
		delete(expiration, "ExpiredObjectDeleteMarker")
	}
	model.NoncurrentDays = take(rule, "NoncurrentVersionExpiration", "NoncurrentDays")
	model.NoncurrentKept = take(rule, "NoncurrentVersionExpiration", "NewerNoncurrentVersions")
	model.AbortUploadsDays = take(rule, "AbortIncompleteMultipartUpload", "DaysAfterInitiation")
	for _, part := range []string{"Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"} {
		if inner, ok := rule[part].(object); ok && len(inner) == 0 {
			delete(rule, part)
		}
	}
	if len(rule) > 0 {
		text, _ := json.Marshal(rule) // made of decoded JSON: cannot fail
		model.OtherSettings = jsontypes.NewNormalizedValue(string(text))
	}
	return model
}

func takePrefix(from object, model *ruleModel) {
	if prefix, ok := from["Prefix"].(string); ok {
		model.Prefix = types.StringValue(prefix)
		delete(from, "Prefix")
	}
}

func take(rule object, part, name string) types.Int64 {
	inner, ok := rule[part].(object)
	if !ok {
		return types.Int64Null()
	}
	number, ok := inner[name].(float64)
	if !ok {
		return types.Int64Null()
	}
	delete(inner, name)
	return positive(int64(number))
}

func isTrue(value any) bool { return value == true || value == "true" }

// same says whether both mean the same: defaults may be written out or not.
func (m ruleModel) same(other ruleModel) bool {
	enabled := func(rule ruleModel) bool { return rule.Enabled.IsNull() || rule.Enabled.ValueBool() }
	return m.Prefix.ValueString() == other.Prefix.ValueString() && enabled(m) == enabled(other) &&
		m.ExpireDays.Equal(other.ExpireDays) && m.NoncurrentDays.Equal(other.NoncurrentDays) &&
		m.NoncurrentKept.Equal(other.NoncurrentKept) && m.RemoveMarkers.ValueBool() == other.RemoveMarkers.ValueBool() &&
		m.AbortUploadsDays.Equal(other.AbortUploadsDays) &&
		sameJSON([]byte(m.OtherSettings.ValueString()), []byte(other.OtherSettings.ValueString()))
}
