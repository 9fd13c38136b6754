// This file is the kinds of values that attributes can have, each with how it stands in an object's spec.
package velero

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// kind translates between an attribute's value and JSON as the API server gives it (int64 for whole numbers).
type kind interface {
	attrType() attr.Type
	// encode gives nil for what means that nothing is set. The value is neither null nor unknown.
	encode(value attr.Value) (any, error)
	// decode is given what canonical gave, never nil.
	decode(ctx context.Context, found any) (attr.Value, error)
	// canonical gives the same for what means the same, and nil for what means nothing.
	canonical(found any) any
}

// text is a string; "" is none.
type text struct{}

func (text) attrType() attr.Type                  { return types.StringType }
func (text) encode(value attr.Value) (any, error) { return value.(types.String).ValueString(), nil }
func (text) decode(_ context.Context, found any) (attr.Value, error) {
	said, ok := found.(string)
	return types.StringValue(said), expected(ok, "a text", found)
}
func (text) canonical(found any) any { return unless(found == "", found) }

// flag is a bool. absent is what leaving it out means to Velero; nil where that is a third thing, as Velero's own default.
type flag struct{ absent any }

func (flag) attrType() attr.Type                  { return types.BoolType }
func (flag) encode(value attr.Value) (any, error) { return value.(types.Bool).ValueBool(), nil }
func (flag) decode(_ context.Context, found any) (attr.Value, error) {
	said, ok := found.(bool)
	return types.BoolValue(said), expected(ok, "true or false", found)
}
func (f flag) canonical(found any) any { return unless(found == f.absent, found) }

// number is a whole number; 0 is none.
type number struct{}

func (number) attrType() attr.Type                  { return types.Int64Type }
func (number) encode(value attr.Value) (any, error) { return value.(types.Int64).ValueInt64(), nil }
func (number) decode(_ context.Context, found any) (attr.Value, error) {
	said, ok := found.(int64)
	return types.Int64Value(said), expected(ok, "a number", found)
}
func (number) canonical(found any) any { return unless(found == int64(0), found) }

// duration is a text in Go's form. 720h and 720h0m0s, which Velero's own client writes, are the same; zero is none unless it
// means never.
type duration struct{ zeroCounts bool }

func (duration) attrType() attr.Type                  { return types.StringType }
func (duration) encode(value attr.Value) (any, error) { return value.(types.String).ValueString(), nil }
func (duration) decode(_ context.Context, found any) (attr.Value, error) {
	said, ok := found.(string)
	return types.StringValue(said), expected(ok, "a duration", found)
}
func (d duration) canonical(found any) any {
	said, ok := found.(string)
	if !ok {
		return found
	}
	parsed, err := time.ParseDuration(said)
	if err != nil {
		return unless(said == "", found)
	}
	if parsed == 0 && !d.zeroCounts {
		return nil
	}
	return shortDuration(parsed)
}

// shortDuration writes 720h0m0s as 720h.
func shortDuration(duration time.Duration) string {
	said := duration.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(said, zero) {
			said = said[:len(said)-2]
		}
	}
	return said
}

// texts is a set of strings. all is the element that stands for leaving it out: "*" of what is included.
type texts struct{ all string }

func (texts) attrType() attr.Type { return types.SetType{ElemType: types.StringType} }
func (texts) encode(value attr.Value) (any, error) {
	return textsOf(value.(types.Set).Elements()), nil
}
func (texts) decode(_ context.Context, found any) (attr.Value, error) {
	list, err := stringsFrom(found)
	return types.SetValueMust(types.StringType, list), err
}
func (t texts) canonical(found any) any {
	list, ok := found.([]any)
	if !ok {
		return found
	}
	if len(list) == 0 || (t.all != "" && len(list) == 1 && list[0] == t.all) {
		return nil
	}
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return sorted
}

// textMap is a map of strings to strings.
type textMap struct{}

func (textMap) attrType() attr.Type { return types.MapType{ElemType: types.StringType} }
func (textMap) encode(value attr.Value) (any, error) {
	result := map[string]any{}
	for name, text := range plainTexts(value) {
		result[name] = text
	}
	return result, nil
}
func (textMap) decode(_ context.Context, found any) (attr.Value, error) {
	members, ok := found.(map[string]any)
	elements := map[string]attr.Value{}
	for name, member := range members {
		said, isText := member.(string)
		ok = ok && isText
		elements[name] = types.StringValue(said)
	}
	return types.MapValueMust(types.StringType, elements), expected(ok, "an object of texts", found)
}
func (textMap) canonical(found any) any { return notEmpty(found) }

// document is anything, as JSON text.
type document struct{}

func (document) attrType() attr.Type { return jsontypes.NormalizedType{} }
func (document) encode(value attr.Value) (any, error) {
	return parseJSON(value.(jsontypes.Normalized).ValueString())
}
func (document) decode(_ context.Context, found any) (attr.Value, error) {
	said, err := json.Marshal(found)
	return jsontypes.NewNormalizedValue(string(said)), err
}

// canonical drops the empty lists and objects that Velero's client writes where nothing is set.
func (d document) canonical(found any) any {
	members, ok := found.(map[string]any)
	if !ok {
		return found
	}
	kept := map[string]any{}
	for name, member := range members {
		if list, isList := member.([]any); member == nil || isList && len(list) == 0 {
			continue
		}
		if inner := d.canonical(member); inner != nil {
			kept[name] = inner
		}
	}
	return notEmpty(kept)
}

// hooks are a document. Velero's client writes timeouts in full, those that nobody set as 0s, and nothing empty: 1m is 1m0s
// as soon as `velero schedule pause` has been there.
type hooks struct{ document }

func (hooks) canonical(found any) any {
	switch of := found.(type) {
	case []any:
		var all []any
		for _, each := range of {
			all = append(all, hooks{}.canonical(each))
		}
		return unless(len(all) == 0, all)
	case map[string]any:
		kept := map[string]any{}
		for name, member := range of {
			plain := hooks{}.canonical(member)
			if name == "timeout" {
				plain = duration{}.canonical(member)
			}
			if plain != nil && plain != "" {
				kept[name] = plain
			}
		}
		return notEmpty(kept)
	}
	return found
}

// parseJSON gives whole numbers as the API server's client does.
func parseJSON(said string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(said))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("this is not JSON: %w", err)
	}
	return plainNumbers(value), nil
}

func plainNumbers(value any) any {
	switch of := value.(type) {
	case json.Number:
		if whole, err := of.Int64(); err == nil {
			return whole
		}
		fraction, _ := of.Float64()
		return fraction
	case []any:
		for at := range of {
			of[at] = plainNumbers(of[at])
		}
	case map[string]any:
		for name := range of {
			of[name] = plainNumbers(of[name])
		}
	}
	return value
}

// certificates is their PEM text, which stands in the object as base64.
type certificates struct{}

func (certificates) attrType() attr.Type { return types.StringType }
func (certificates) encode(value attr.Value) (any, error) {
	return base64.StdEncoding.EncodeToString([]byte(value.(types.String).ValueString())), nil
}
func (certificates) decode(_ context.Context, found any) (attr.Value, error) {
	said, ok := found.(string)
	plain, err := base64.StdEncoding.DecodeString(said)
	if err != nil {
		ok = false
	}
	return types.StringValue(string(plain)), expected(ok, "base64", found)
}
func (certificates) canonical(found any) any { return unless(found == "", found) }

// textsOf leaves out elements that are null: a condition's other branch, which says nothing.
func textsOf(elements []attr.Value) []any {
	result := []any{}
	for _, element := range elements {
		if said := element.(types.String); !said.IsNull() {
			result = append(result, said.ValueString())
		}
	}
	return result
}

func stringsFrom(found any) ([]attr.Value, error) {
	list, ok := found.([]any)
	values := []attr.Value{}
	for _, element := range list {
		said, isText := element.(string)
		ok = ok && isText
		values = append(values, types.StringValue(said))
	}
	return values, expected(ok, "a list of texts", found)
}

func unless(nothing bool, found any) any {
	if nothing {
		return nil
	}
	return found
}

func notEmpty(found any) any {
	members, ok := found.(map[string]any)
	return unless(ok && len(members) == 0, found)
}

func expected(ok bool, what string, found any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("the API server gives %v where %s is expected", found, what)
}

func sameJSON(a, b any) bool { return reflect.DeepEqual(a, b) }
