// Tests of merge patches and of what other managers own, without a server.
package kubernetes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDifference(t *testing.T) {
	found := map[string]any{"same": []any{"a"}, "gone": "x", "changed": int64(1), "inner": map[string]any{"kept": true, "gone": "x"}, "shape": "text"}
	wanted := map[string]any{"same": []any{"a"}, "changed": int64(2), "inner": map[string]any{"kept": true, "new": "y"}, "shape": map[string]any{"a": "b"}}
	patch := map[string]any{"gone": nil, "changed": int64(2), "inner": map[string]any{"gone": nil, "new": "y"}, "shape": map[string]any{"a": "b"}}
	if difference := cmp.Diff(patch, Difference(found, wanted)); difference != "" {
		t.Error(difference)
	}
	if patch := Difference(found, found); patch != nil {
		t.Errorf("nothing differs, but %v", patch)
	}
}

func TestOnlyWhatOthersApplyIsTheirs(t *testing.T) {
	entry := func(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	object := &Object{Object: map[string]any{}}
	object.SetManagedFields([]metav1.ManagedFieldsEntry{
		entry("argocd-controller", metav1.ManagedFieldsOperationApply, `{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:paused":{},"f:template":{".":{},"f:ttl":{}}}}`),
		entry("kubectl-edit", metav1.ManagedFieldsOperationUpdate, `{"f:spec":{"f:schedule":{}}}`),
		entry(FieldManager, metav1.ManagedFieldsOperationApply, `{"f:spec":{"f:schedule":{}}}`),
	})
	patch := map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b", "c": "d"}},
		"spec": map[string]any{"paused": true, "schedule": "@daily", "template": map[string]any{"ttl": nil, "hooks": map[string]any{}}}}
	wanted := []string{".metadata.labels.a (by argocd-controller)", ".spec.paused (by argocd-controller)", ".spec.template.ttl (by argocd-controller)"}
	if difference := cmp.Diff(wanted, appliedByOthers(object, patch)); difference != "" {
		t.Error(difference)
	}
	if mine := appliedByOthers(object, map[string]any{"spec": map[string]any{"schedule": "@daily"}}); mine != nil {
		t.Errorf("nobody applies it, but %v", mine)
	}
}
