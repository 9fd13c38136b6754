// This file translates between Terraform's values and the definition (docs/schedules.md). Both ways go by the schema, so that a
// member that the definition gains costs one line there.
package schedule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"sort"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// definitionVersion is the "v" of the definition.
const definitionVersion = 1

// definitionMembers are the attributes that become members of the definition.
func definitionMembers() []string {
	names := []string{"name", "environment_file", "environment"}
	for name := range definitionAttributes() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// definitionFrom gives the definition that a plan or state says. known is false while a part of it is not known yet.
func definitionFrom(raw tftypes.Value) (definition map[string]any, known bool, err error) {
	var attributes map[string]tftypes.Value
	if err := raw.As(&attributes); err != nil {
		return nil, false, fmt.Errorf("read the attributes of the schedule: %w", err)
	}
	definition = map[string]any{"v": definitionVersion}
	for _, name := range definitionMembers() {
		value := attributes[name]
		if !value.IsFullyKnown() {
			return nil, false, nil
		}
		if value.IsNull() {
			continue
		}
		member, err := plain(value)
		if err != nil {
			return nil, false, fmt.Errorf("read the attribute %s: %w", name, err)
		}
		definition[name] = member
	}
	return definition, true, nil
}

// plain gives what encoding/json writes as the value. Members that are null are left out: they have the engine's default.
func plain(value tftypes.Value) (any, error) {
	kind := value.Type()
	switch {
	case kind.Is(tftypes.String):
		var text string
		err := value.As(&text)
		return text, err
	case kind.Is(tftypes.Bool):
		var flag bool
		err := value.As(&flag)
		return flag, err
	case kind.Is(tftypes.Number):
		number := new(big.Float)
		if err := value.As(&number); err != nil {
			return nil, err
		}
		whole, accuracy := number.Int64()
		if accuracy != big.Exact {
			return nil, fmt.Errorf("%s is not a whole number of 64 bits", number)
		}
		return whole, nil
	case kind.Is(tftypes.List{}):
		var elements []tftypes.Value
		if err := value.As(&elements); err != nil {
			return nil, err
		}
		list := make([]any, 0, len(elements))
		for _, element := range elements {
			member, err := plain(element)
			if err != nil {
				return nil, err
			}
			list = append(list, member)
		}
		return list, nil
	}
	var members map[string]tftypes.Value // an object or a map
	if err := value.As(&members); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for name, member := range members {
		if member.IsNull() {
			continue
		}
		decoded, err := plain(member)
		if err != nil {
			return nil, err
		}
		object[name] = decoded
	}
	return object, nil
}

// parseDefinition reads a definition, as it is on a machine or as the engine renders it.
func parseDefinition(content []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var definition map[string]any
	if err := decoder.Decode(&definition); err != nil {
		return nil, fmt.Errorf("it is not a JSON object: %w", err)
	}
	return definition, nil
}

// valueOf is the other way of plain. What of a definition has no attribute is passed over: it would be refused by the engine first.
func valueOf(kind tftypes.Type, decoded any) (tftypes.Value, error) {
	if decoded == nil {
		return tftypes.NewValue(kind, nil), nil
	}
	switch typed := kind.(type) {
	case tftypes.List:
		list, ok := decoded.([]any)
		if !ok {
			return tftypes.Value{}, fmt.Errorf("a list was expected, not %v", decoded)
		}
		elements := make([]tftypes.Value, 0, len(list))
		for _, member := range list {
			element, err := valueOf(typed.ElementType, member)
			if err != nil {
				return tftypes.Value{}, err
			}
			elements = append(elements, element)
		}
		return tftypes.NewValue(kind, elements), nil
	case tftypes.Map:
		return valueOfMembers(kind, decoded, func(object map[string]any) map[string]tftypes.Type {
			types := map[string]tftypes.Type{}
			for name := range object {
				types[name] = typed.ElementType
			}
			return types
		})
	case tftypes.Object:
		return valueOfMembers(kind, decoded, func(map[string]any) map[string]tftypes.Type { return typed.AttributeTypes })
	}
	if number, ok := decoded.(json.Number); ok {
		parsed, _, err := big.ParseFloat(number.String(), 10, 512, big.ToNearestEven)
		if err != nil {
			return tftypes.Value{}, err
		}
		decoded = parsed
	}
	if err := tftypes.ValidateValue(kind, decoded); err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.NewValue(kind, decoded), nil
}

func valueOfMembers(kind tftypes.Type, decoded any, membersOf func(map[string]any) map[string]tftypes.Type) (tftypes.Value, error) {
	object, ok := decoded.(map[string]any)
	if !ok {
		return tftypes.Value{}, fmt.Errorf("an object was expected, not %v", decoded)
	}
	members := map[string]tftypes.Value{}
	for name, memberType := range membersOf(object) {
		member, err := valueOf(memberType, object[name])
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
		}
		members[name] = member
	}
	return tftypes.NewValue(kind, members), nil
}
