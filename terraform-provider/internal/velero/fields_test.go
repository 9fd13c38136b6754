// Tests of the translation between attributes and specs, without a cluster.
package velero

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
)

func names(elements ...string) attr.Value {
	var list []attr.Value
	for _, each := range elements {
		list = append(list, types.StringValue(each))
	}
	return types.SetValueMust(types.StringType, list)
}

func mapOf(name string, value attr.Value) attr.Value {
	return types.MapValueMust(types.StringType, map[string]attr.Value{name: value})
}

// hooksText has a hook with one more setting, and hooksFound is how Velero's client leaves it.
func hooksText(more string) attr.Value {
	return jsontypes.NewNormalizedValue(`{"resources":[{"name":"pg","excludedNamespaces":[],"pre":[{"exec":{"command":["sync"],` + more + `}}]}]}`)
}

func hooksFound(timeout string) any {
	return map[string]any{"resources": []any{map[string]any{"name": "pg", "pre": []any{map[string]any{"exec": map[string]any{
		"command": []any{"sync"}, "timeout": timeout}}}}}}
}

// A spec in other words than the attributes' is no drift; one that says something else is.
func TestWordsAreKept(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		field  string
		before attr.Value
		found  any
		after  attr.Value
	}{
		"hours":                {"ttl", types.StringValue("168h"), "168h0m0s", types.StringValue("168h")},
		"other hours":          {"ttl", types.StringValue("168h"), "169h0m0s", types.StringValue("169h")},
		"minutes":              {"ttl", types.StringNull(), "1h30m0s", types.StringValue("1h30m")},
		"no time":              {"ttl", types.StringNull(), "0s", types.StringNull()},
		"all namespaces":       {"included_namespaces", types.SetNull(types.StringType), []any{"*"}, types.SetNull(types.StringType)},
		"all, in words":        {"included_namespaces", names("*"), nil, names("*")},
		"an empty set":         {"excluded_namespaces", names(), nil, names()},
		"another order":        {"included_namespaces", names("a", "b"), []any{"b", "a"}, names("a", "b")},
		"another namespace":    {"included_namespaces", names("a"), []any{"a", "b"}, names("a", "b")},
		"no hooks":             {"hooks", jsontypes.NewNormalizedNull(), map[string]any{"resources": []any{}}, jsontypes.NewNormalizedNull()},
		"timeouts in full":     {"hooks", hooksText(`"timeout":"1m"`), hooksFound("1m0s"), hooksText(`"timeout":"1m"`)},
		"timeouts of nobody":   {"hooks", hooksText(`"container":""`), hooksFound("0s"), hooksText(`"container":""`)},
		"another timeout":      {"hooks", hooksText(`"timeout":"1m"`), hooksFound("2m0s"), jsontypes.NewNormalizedValue(`{"resources":[{"name":"pg","pre":[{"exec":{"command":["sync"],"timeout":"2m"}}]}]}`)},
		"null elements":        {"ordered_resources", mapOf("pods", types.StringNull()), nil, mapOf("pods", types.StringNull())},
		"a null and others":    {"ordered_resources", mapOf("pods", types.StringNull()), map[string]any{"pods": "a"}, mapOf("pods", types.StringValue("a"))},
		"a null in a set":      {"included_namespaces", types.SetValueMust(types.StringType, []attr.Value{types.StringNull()}), nil, types.SetValueMust(types.StringType, []attr.Value{types.StringNull()})},
		"false is not nothing": {"snapshot_volumes", types.BoolNull(), false, types.BoolValue(false)},
		"a number":             {"parallel_files_upload", types.Int64Null(), int64(4), types.Int64Value(4)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, each := range templateFields {
				if each.name != test.field {
					continue
				}
				after, err := each.decode(ctx, test.found, test.before)
				if err != nil || !after.Equal(test.after) {
					t.Errorf("got %s, %v", after, err)
				}
				return
			}
			t.Fatal("there is no such field")
		})
	}
}

func template(t *testing.T, given values) types.Object {
	t.Helper()
	ctx := context.Background()
	fields := append(append([]field{}, templateFields...), field{name: otherSettings, kind: document{}})
	all := values{}
	for _, each := range fields {
		null, err := nullOf(ctx, each.kind)
		if err != nil {
			t.Fatal(err)
		}
		all[each.name] = null
	}
	for name, value := range given {
		all[name] = value
	}
	whole, diags := types.ObjectValue(typesOf(fields), all)
	if diags.HasError() {
		t.Fatal(diags)
	}
	return whole
}

func TestTemplateThereAndBack(t *testing.T) {
	ctx := context.Background()
	given := values{"schedule": types.StringValue("0 2 * * *"), "paused": types.BoolValue(true), "use_owner_references_in_backup": types.BoolNull(),
		"template": template(t, values{
			"included_namespaces": names("db", "media"), "ttl": types.StringValue("168h"), "storage_location": types.StringValue("minio"),
			"default_volumes_to_fs_backup": types.BoolValue(true), "snapshot_volumes": types.BoolValue(false),
			"parallel_files_upload": types.Int64Value(4), "resource_policy_configmap": types.StringValue("policies"),
			"hooks":  jsontypes.NewNormalizedValue(`{"resources":[{"name":"pg","pre":[{"exec":{"command":["sync"],"timeout":"30s"}}]}]}`),
			"labels": types.MapValueMust(types.StringType, values{"tier": types.StringValue("gold")}),
			"label_selector": types.ObjectValueMust(selectorType.AttrTypes, values{
				"match_labels": types.MapValueMust(types.StringType, values{"app": types.StringValue("x")}),
				"match_expressions": types.ListValueMust(requirementType, []attr.Value{types.ObjectValueMust(requirementType.AttrTypes, values{
					"key": types.StringValue("tier"), "operator": types.StringValue("In"), "values": names("a", "b")})})}),
			otherSettings: jsontypes.NewNormalizedValue(`{"datamover":"velero","uploaderConfig":{"future":3}}`),
		})}
	var diags diag.Diagnostics
	spec := map[string]any{}
	specifySchedule(given, spec, &diags)
	wanted := map[string]any{"schedule": "0 2 * * *", "paused": true, "template": map[string]any{
		"includedNamespaces": []any{"db", "media"}, "ttl": "168h", "storageLocation": "minio", "defaultVolumesToFsBackup": true, "snapshotVolumes": false,
		"uploaderConfig": map[string]any{"parallelFilesUpload": int64(4), "future": int64(3)}, "datamover": "velero",
		"resourcePolicy": map[string]any{"kind": "configmap", "name": "policies"},
		"hooks":          map[string]any{"resources": []any{map[string]any{"name": "pg", "pre": []any{map[string]any{"exec": map[string]any{"command": []any{"sync"}, "timeout": "30s"}}}}}},
		"metadata":       map[string]any{"labels": map[string]any{"tier": "gold"}},
		"labelSelector": map[string]any{"matchLabels": map[string]any{"app": "x"},
			"matchExpressions": []any{map[string]any{"key": "tier", "operator": "In", "values": []any{"a", "b"}}}},
	}}
	if difference := cmp.Diff(wanted, spec); difference != "" {
		t.Error(difference)
	}
	for name, before := range map[string]values{"read again": given, "imported": {}} {
		back := learnSchedule(ctx, spec, before, &diags)
		for attribute, value := range given {
			if !back[attribute].Equal(value) {
				t.Errorf("%s: %s came back as %s", name, attribute, back[attribute])
			}
		}
	}
	// What is as it shall be is not changed, whoever wrote it in which words.
	asVelero := (&kubernetes.Object{Object: spec}).DeepCopy().Object
	inner := asVelero["template"].(map[string]any)
	inner["ttl"], inner["csiSnapshotTimeout"], inner["includedNamespaces"] = "168h0m0s", "0s", []any{"media", "db"}
	again := (&kubernetes.Object{Object: asVelero}).DeepCopy().Object
	specifySchedule(given, again, &diags)
	if patch := kubernetes.Difference(asVelero, again); patch != nil {
		t.Errorf("a patch of nothing: %v", patch)
	}
	if diags.HasError() {
		t.Error(diags)
	}
}

// Without a template, nothing of one stays; and what has no attribute is seen.
func TestTemplateIsAllThereIs(t *testing.T) {
	var diags diag.Diagnostics
	spec := map[string]any{"schedule": "@daily", "skipImmediately": false, "template": map[string]any{
		"ttl": "720h", "metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "datamover": "velero"}}
	found := learnSchedule(context.Background(), spec, values{}, &diags)["template"].(types.Object).Attributes()
	if said := found[otherSettings].(jsontypes.Normalized).ValueString(); said != `{"datamover":"velero"}` {
		t.Errorf("other settings are %s", said)
	}
	given := values{"schedule": types.StringValue("@daily"), "paused": types.BoolValue(false), "template": types.ObjectNull(nil)}
	wanted := (&kubernetes.Object{Object: spec}).DeepCopy().Object
	specifySchedule(given, wanted, &diags)
	patch := kubernetes.Difference(spec, wanted)
	if difference := cmp.Diff(map[string]any{"template": map[string]any{"ttl": nil, "metadata": nil, "datamover": nil}}, patch); difference != "" {
		t.Error(difference)
	}
	if diags.HasError() {
		t.Error(diags)
	}
}

func TestLocationThereAndBack(t *testing.T) {
	ctx := context.Background()
	given := values{"object_store": types.StringValue("aws"), "bucket": types.StringValue("velero-backups"), "prefix": types.StringNull(),
		"ca_cert": types.StringValue("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), "region": types.StringValue("minio"),
		"s3_url": types.StringValue("http://minio:9000"), "s3_force_path_style": types.BoolValue(true),
		"credential":  types.ObjectValueMust(secretKeyType.AttrTypes, values{"name": types.StringValue("cloud"), "key": types.StringValue("minio")}),
		"access_mode": types.StringValue("ReadWrite"), "default": types.BoolValue(true), "validation_frequency": types.StringValue("0s"),
		"backup_sync_period": types.StringNull(), "config": types.MapValueMust(types.StringType, values{"checksumAlgorithm": types.StringValue("")})}
	var diags diag.Diagnostics
	spec := map[string]any{"objectStorage": map[string]any{"caCertRef": map[string]any{"name": "of a newer Velero"}}}
	specifyLocation(given, spec, &diags)
	wanted := map[string]any{"provider": "aws", "accessMode": "ReadWrite", "default": true, "validationFrequency": "0s",
		"objectStorage": map[string]any{"bucket": "velero-backups", "caCert": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=",
			"caCertRef": map[string]any{"name": "of a newer Velero"}},
		"config":     map[string]any{"region": "minio", "s3Url": "http://minio:9000", "s3ForcePathStyle": "true", "checksumAlgorithm": ""},
		"credential": map[string]any{"name": "cloud", "key": "minio"}}
	if difference := cmp.Diff(wanted, spec); difference != "" {
		t.Error(difference)
	}
	for name, before := range map[string]values{"read again": given, "imported": {}} {
		back := learnLocation(ctx, spec, before, &diags)
		for attribute, value := range given {
			if !back[attribute].Equal(value) {
				t.Errorf("%s: %s came back as %s", name, attribute, back[attribute])
			}
		}
	}
	given["config"], given["region"], given["s3_url"], given["s3_force_path_style"] = types.MapNull(types.StringType), types.StringNull(), types.StringNull(), types.BoolNull()
	after := (&kubernetes.Object{Object: spec}).DeepCopy().Object
	specifyLocation(given, after, &diags)
	if difference := cmp.Diff(map[string]any{"config": nil}, kubernetes.Difference(spec, after)); difference != "" {
		t.Error(difference)
	}
	if diags.HasError() {
		t.Error(diags)
	}
}

// Other forms of what Velero takes are no drift, and what has no attribute stays beside what has one.
func TestLocationOfOthers(t *testing.T) {
	ctx := context.Background()
	spec := map[string]any{"accessMode": "ReadWrite", "config": map[string]any{"s3ForcePathStyle": "True", "insecureSkipTLSVerify": "1"},
		"credential": map[string]any{"name": "cloud", "key": "minio", "optional": true}}
	var diags diag.Diagnostics
	found := learnLocation(ctx, spec, values{}, &diags)
	if !found["s3_force_path_style"].Equal(types.BoolValue(true)) {
		t.Errorf("True is %s", found["s3_force_path_style"])
	}
	found["bucket"] = types.StringValue("b")
	after := (&kubernetes.Object{Object: spec}).DeepCopy().Object
	specifyLocation(found, after, &diags)
	if difference := cmp.Diff(map[string]any{"objectStorage": map[string]any{"bucket": "b"}}, kubernetes.Difference(spec, after)); difference != "" {
		t.Error(difference)
	}
	// What the plugin cannot read is put right by the next apply that says what it should be.
	spec["config"].(map[string]any)["s3ForcePathStyle"] = "yes"
	if found := learnLocation(ctx, spec, found, &diags)["s3_force_path_style"]; !found.IsNull() {
		t.Errorf("yes is %s", found)
	}
	specifyLocation(found, spec, &diags)
	if said := lookup(spec, []string{"config", "s3ForcePathStyle"}); said != "true" {
		t.Errorf("yes became %v", said)
	}
	if diags.HasError() {
		t.Error(diags)
	}
}

// A schedule that says ConfigMap needs no other_settings for it, and is not changed.
func TestResourcePolicyOfOthers(t *testing.T) {
	var diags diag.Diagnostics
	spec := map[string]any{"schedule": "@daily", "template": map[string]any{"resourcePolicy": map[string]any{"kind": "ConfigMap", "name": "policies"}}}
	found := learnSchedule(context.Background(), spec, values{}, &diags)
	given := found["template"].(types.Object).Attributes()
	if !given[otherSettings].IsNull() || !given[resourcePolicyField].Equal(types.StringValue("policies")) {
		t.Errorf("it is %s", found["template"])
	}
	after := (&kubernetes.Object{Object: spec}).DeepCopy().Object
	specifySchedule(found, after, &diags)
	if patch := kubernetes.Difference(spec, after); patch != nil || diags.HasError() {
		t.Error(patch, diags)
	}
}

// A label that is null is not declared: others' of that name stay, and the state is as the plan was.
func TestLabelsThatAreNull(t *testing.T) {
	declared := types.MapValueMust(types.StringType, values{"a": types.StringNull(), "b": types.StringValue("c")})
	if found := keptOf(declared, map[string]string{"a": "of others", "b": "c", "d": "e"}, false); !found.Equal(declared) {
		t.Errorf("found %s", found)
	}
	if patch := labelsPatch(declared, types.MapNull(types.StringType), map[string]string{"a": "of others", "b": "c"}); patch != nil {
		t.Errorf("it changes %v", patch)
	}
	if patch := labelsPatch(declared, mapOf("a", types.StringValue("x")), map[string]string{"a": "x", "b": "c"}); cmp.Diff(map[string]any{"a": nil}, patch) != "" {
		t.Errorf("it changes %v", patch)
	}
}

// Annotations of the template, which Velero 1.19 knows, stand for those of the schedule, as its labels do.
func TestAnnotationsOfTheTemplate(t *testing.T) {
	schedule := &kubernetes.Object{Object: map[string]any{"metadata": map[string]any{"name": "daily", "annotations": map[string]any{"argocd.argoproj.io/tracking-id": "x"}},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{"a": "b"}}}}}}
	metadata, _ := backupOf(schedule, time.Now())
	if difference := cmp.Diff(map[string]any{"a": "b"}, metadata["annotations"]); difference != "" {
		t.Error(difference)
	}
}

// The tables and the schemas must agree on what each attribute is.
func TestTablesFitTheSchemas(t *testing.T) {
	ctx := context.Background()
	for _, made := range []resource.Resource{NewSchedule(), NewLocation()} {
		var response resource.SchemaResponse
		made.Schema(ctx, resource.SchemaRequest{}, &response)
		fields := scheduleFields
		if _, isLocation := made.(*locationResource); isLocation {
			fields = locationFields
		}
		for _, each := range fields {
			attribute, problems := response.Schema.AttributeAtPath(ctx, path.Root(each.name))
			if problems.HasError() || !attribute.GetType().Equal(each.kind.attrType()) {
				t.Errorf("%s: the schema and the table do not agree", each.name)
			}
		}
	}
	for _, each := range templateFields {
		if !each.attribute.GetType().Equal(each.kind.attrType()) {
			t.Errorf("template.%s: the attribute is a %s, the table has a %s", each.name, each.attribute.GetType(), each.kind.attrType())
		}
	}
}
