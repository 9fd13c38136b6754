// This file turns Terraform's values into what is encoded as JSON.
package functions

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// plainValue leaves out members that are null.
func plainValue(value attr.Value) (any, error) {
	switch typed := value.(type) {
	case nil:
		return nil, nil
	case types.String:
		return typed.ValueString(), nil
	case types.Bool:
		return typed.ValueBool(), nil
	case types.Number:
		number := typed.ValueBigFloat()
		if whole, accuracy := number.Int64(); accuracy == 0 {
			return whole, nil
		}
		fraction, _ := number.Float64()
		return fraction, nil
	case types.Object:
		return plainMembers(typed.Attributes())
	case types.Map:
		return plainMembers(typed.Elements())
	case types.List:
		return plainElements(typed.Elements())
	case types.Set:
		return plainElements(typed.Elements())
	case types.Tuple:
		return plainElements(typed.Elements())
	case types.Dynamic:
		return plainValue(typed.UnderlyingValue())
	}
	return nil, fmt.Errorf("a %T has no place here: give an object of numbers, texts and lists", value)
}

func plainMembers(members map[string]attr.Value) (any, error) {
	plain := map[string]any{}
	for name, member := range members {
		if member.IsNull() {
			continue
		}
		value, err := plainValue(member)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		plain[name] = value
	}
	return plain, nil
}

func plainElements(elements []attr.Value) (any, error) {
	plain := []any{}
	for _, element := range elements {
		value, err := plainValue(element)
		if err != nil {
			return nil, err
		}
		plain = append(plain, value)
	}
	return plain, nil
}
