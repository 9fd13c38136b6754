// This file translates between attributes and the spec of an object, by tables of fields: in schedule_fields.go and
// location_fields.go. What is not in a table is left alone.
package velero

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
)

// field is one attribute, and where in the spec it stands.
type field struct {
	name      string
	in        []string
	kind      kind
	attribute schema.Attribute
	otherwise attr.Value // what an object that says nothing has; nil: null
}

// values are attributes by their names.
type values = map[string]attr.Value

// lookup gives nil where there is nothing.
func lookup(spec map[string]any, in []string) any {
	for at, key := range in {
		if at == len(in)-1 {
			return spec[key]
		}
		inner, ok := spec[key].(map[string]any)
		if !ok {
			return nil
		}
		spec = inner
	}
	return nil
}

func put(spec map[string]any, in []string, value any) {
	for _, key := range in[:len(in)-1] {
		inner, ok := spec[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			spec[key] = inner
		}
		spec = inner
	}
	spec[in[len(in)-1]] = value
}

// remove leaves no empty objects behind.
func remove(spec map[string]any, in []string) {
	if len(in) == 1 {
		delete(spec, in[0])
		return
	}
	inner, ok := spec[in[0]].(map[string]any)
	if !ok {
		return
	}
	remove(inner, in[1:])
	if len(inner) == 0 {
		delete(spec, in[0])
	}
}

// meaning is what the object has to say for the attribute's value: nil for nothing.
func (f field) meaning(value attr.Value) (any, error) {
	if value == nil || value.IsNull() || value.IsUnknown() {
		return nil, nil
	}
	encoded, err := f.kind.encode(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return encoded, nil
}

// decode gives what is found in the words of before, if it means the same.
func (f field) decode(ctx context.Context, found any, before attr.Value) (attr.Value, error) {
	now := f.kind.canonical(found)
	isSaid := before != nil && !before.IsUnknown() && !(before.IsNull() && f.otherwise != nil)
	if isSaid {
		said, err := f.meaning(before)
		if err != nil {
			return nil, err
		}
		if sameJSON(f.kind.canonical(said), now) {
			return before, nil
		}
	}
	if now == nil && f.otherwise != nil {
		return f.otherwise, nil
	}
	if now == nil {
		return nullOf(ctx, f.kind)
	}
	value, err := f.kind.decode(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return value, nil
}

func nullOf(ctx context.Context, of kind) (attr.Value, error) {
	return of.attrType().ValueFromTerraform(ctx, tftypes.NewValue(of.attrType().TerraformType(ctx), nil))
}

// fill puts into spec what the values say that it does not mean already, and takes out what they do not say. Values that are
// unknown are the server's to choose: they are passed over.
func fill(fields []field, from values, spec map[string]any, at path.Path, diags *diag.Diagnostics) {
	for _, each := range fields {
		value := from[each.name]
		if value != nil && value.IsUnknown() {
			continue
		}
		said, err := each.meaning(value)
		if err != nil {
			diags.AddAttributeError(at.AtName(each.name), "Invalid Attribute Value", err.Error())
			continue
		}
		found := lookup(spec, each.in)
		wanted := each.kind.canonical(said)
		switch {
		case sameJSON(wanted, each.kind.canonical(found)):
		case wanted == nil:
			remove(spec, each.in)
		default:
			put(spec, each.in, said)
		}
	}
}

// take reads the fields' values out of a spec.
func take(ctx context.Context, fields []field, spec map[string]any, before values, at path.Path, diags *diag.Diagnostics) values {
	result := values{}
	for _, each := range fields {
		value, err := each.decode(ctx, lookup(spec, each.in), before[each.name])
		if err != nil {
			diags.AddAttributeError(at.AtName(each.name), "Unable to Read", err.Error())
			continue
		}
		result[each.name] = value
	}
	return result
}

// without gives a copy of the spec without the fields: what has no attribute.
func without(fields []field, spec map[string]any) map[string]any {
	rest := (&kubernetes.Object{Object: maps.Clone(spec)}).DeepCopy().Object
	for _, each := range fields {
		remove(rest, each.in)
	}
	return rest
}

func attributesOf(fields []field, into map[string]schema.Attribute) map[string]schema.Attribute {
	for _, each := range fields {
		into[each.name] = each.attribute
	}
	return into
}

func typesOf(fields []field) map[string]attr.Type {
	result := map[string]attr.Type{}
	for _, each := range fields {
		result[each.name] = each.kind.attrType()
	}
	return result
}
