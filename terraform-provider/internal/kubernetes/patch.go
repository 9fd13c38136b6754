// This file changes objects, field by field.
package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mostTries is how often a patch is made anew because the object changed while it was looked at. Velero writes each of its
// objects once a minute at most.
const mostTries = 10

// Patch changes an object. change is given the object as it is, and says what of it shall be otherwise, as a JSON merge patch;
// an empty one changes nothing. Fields that somebody else applies, who would set them back, are only taken with force.
func (c *Client) Patch(ctx context.Context, kind Kind, namespace, name string, force bool, change func(*Object) map[string]any) (*Object, error) {
	for try := 1; ; try++ {
		found, err := c.Get(ctx, kind, namespace, name)
		if err != nil {
			return nil, err
		}
		patch := change(found)
		if len(patch) == 0 {
			return found, nil
		}
		if fields := appliedByOthers(found, patch); len(fields) > 0 && !force {
			return nil, conflict(kind, found, fields)
		}
		patched, err := c.patch(ctx, kind, found, patch)
		if err == nil {
			return patched, nil
		}
		if !apierrors.IsConflict(err) || try == mostTries {
			return nil, c.wrap(err, kind, namespace, name)
		}
	}
}

// patch fails with a conflict where the object is not any more as it was found.
func (c *Client) patch(ctx context.Context, kind Kind, found *Object, patch map[string]any) (*Object, error) {
	objects, err := c.objects(kind, found.GetNamespace())
	if err != nil {
		return nil, err
	}
	guarded := maps.Clone(patch)
	metadata, _ := patch["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["resourceVersion"] = found.GetResourceVersion() // unlike any other, also of an object made anew
	guarded["metadata"] = metadata
	text, err := json.Marshal(guarded)
	if err != nil {
		return nil, err
	}
	return objects.Patch(ctx, found.GetName(), types.MergePatchType, text,
		metav1.PatchOptions{FieldManager: FieldManager, FieldValidation: metav1.FieldValidationStrict})
}

// Difference is the merge patch that makes wanted out of found; nil where they are the same.
func Difference(found, wanted map[string]any) map[string]any {
	patch := map[string]any{}
	for key := range found {
		if _, kept := wanted[key]; !kept {
			patch[key] = nil
		}
	}
	for key, value := range wanted {
		before, was := found[key]
		inner, isObject := value.(map[string]any)
		innerBefore, wasObject := before.(map[string]any)
		switch {
		case isObject && wasObject:
			if nested := Difference(innerBefore, inner); nested != nil {
				patch[key] = nested
			}
		case !was || !reflect.DeepEqual(before, value):
			patch[key] = value
		}
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}

// appliedByOthers names the fields of the patch that another manager owns by server-side apply, with that manager. Whoever has
// set a field by an update (kubectl edit, velero schedule pause) did so once, and does not insist on it.
func appliedByOthers(object *Object, patch map[string]any) []string {
	var found []string
	for _, entry := range object.GetManagedFields() {
		if entry.Operation != metav1.ManagedFieldsOperationApply || entry.Manager == FieldManager || entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if json.Unmarshal(entry.FieldsV1.Raw, &fields) != nil {
			continue
		}
		for _, field := range owned(fields, patch, "") {
			found = append(found, fmt.Sprintf("%s (by %s)", field, entry.Manager))
		}
	}
	slices.Sort(found)
	return found
}

// owned walks the patch and the fields of a manager side by side: {"f:spec":{"f:paused":{}}}.
func owned(fields, patch map[string]any, path string) []string {
	var found []string
	for key, value := range patch {
		inner, isField := fields["f:"+key].(map[string]any)
		if !isField {
			continue
		}
		nested, isObject := value.(map[string]any)
		if isObject && len(inner) > 0 {
			found = append(found, owned(inner, nested, path+"."+key)...)
			continue
		}
		found = append(found, path+"."+key)
	}
	return found
}

func conflict(kind Kind, object *Object, fields []string) *Error {
	return &Error{Reason: Conflicted, Fields: fields, Message: fmt.Sprintf("Others apply these fields of %s %s/%s, and would set "+
		"them back: %s. Declare them in one place only. To take them over, set force_conflicts = true here.", kind.Name,
		object.GetNamespace(), object.GetName(), strings.Join(fields, ", "))}
}
