// Tests of the translation of lifecycle rules, without a server.
package bucket

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func rules(t *testing.T, models map[string]ruleModel) types.Map {
	t.Helper()
	value, diags := types.MapValueFrom(context.Background(), ruleType, models)
	if diags.HasError() {
		t.Fatal(diags)
	}
	return value
}

func TestRulesComeBackAsTheyWere(t *testing.T) {
	for name, test := range map[string]struct {
		model    ruleModel
		document string
	}{
		"old versions": {ruleModel{NoncurrentDays: types.Int64Value(30), NoncurrentKept: types.Int64Value(2)},
			`{"ID":"r","Status":"Enabled","Filter":{"Prefix":""},"NoncurrentVersionExpiration":{"NoncurrentDays":30,"NewerNoncurrentVersions":2}}`},
		"switched off": {ruleModel{Enabled: types.BoolValue(false), Prefix: types.StringValue("logs/"), ExpireDays: types.Int64Value(7)},
			`{"ID":"r","Status":"Disabled","Filter":{"Prefix":"logs/"},"Expiration":{"Days":7}}`},
		"markers and uploads": {ruleModel{RemoveMarkers: types.BoolValue(true), AbortUploadsDays: types.Int64Value(1)},
			`{"ID":"r","Status":"Enabled","Filter":{"Prefix":""},"Expiration":{"ExpiredObjectDeleteMarker":true},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1}}`},
		"a tag beside a prefix": {ruleModel{Prefix: types.StringValue("x/"), ExpireDays: types.Int64Value(1), OtherSettings: jsontypes.NewNormalizedValue(`{"Filter":{"Tag":{"Key":"k","Value":"v"}}}`)},
			`{"ID":"r","Status":"Enabled","Filter":{"And":{"Prefix":"x/","Tags":[{"Key":"k","Value":"v"}]}},"Expiration":{"Days":1}}`},
		"what has no attribute": {ruleModel{OtherSettings: jsontypes.NewNormalizedValue(`{"Transitions":[{"Days":3,"StorageClass":"COLD"}]}`)},
			`{"ID":"r","Status":"Enabled","Filter":{"Prefix":""},"Transitions":[{"Days":3,"StorageClass":"COLD"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			configured := rules(t, map[string]ruleModel{"r": test.model})
			text, err := json.Marshal(lifecycleDocument(context.Background(), configured, &diags))
			if err != nil || diags.HasError() {
				t.Fatal(err, diags)
			}
			if wanted := `{"Rules":[` + test.document + `]}`; !sameJSON(text, []byte(wanted)) {
				t.Errorf("wanted %s\ngot    %s", wanted, text)
			}
			back := rulesFrom(context.Background(), text, configured, &diags)
			if diags.HasError() {
				t.Fatal(diags)
			}
			// A tag moved into an And is the same rule in other words: what the server gives is remembered for that (seen.go).
			if name != "a tag beside a prefix" && !back.Equal(configured) {
				t.Errorf("it came back as %s", back)
			}
		})
	}
}

func TestRulesOfOthersAreSeen(t *testing.T) {
	var diags diag.Diagnostics
	configured := rules(t, map[string]ruleModel{"a": {NoncurrentDays: types.Int64Value(30)}})
	found := rulesFrom(context.Background(), []byte(`{"Rules":[{"ID":"a","Status":"Enabled","Prefix":"","NoncurrentVersionExpiration":{"NoncurrentDays":31}},
		{"Status":"Enabled","Filter":"","Expiration":{"Days":1}}]}`), configured, &diags)
	wanted := rules(t, map[string]ruleModel{
		"a":      {Enabled: types.BoolValue(true), Prefix: types.StringValue(""), NoncurrentDays: types.Int64Value(31)},
		"rule-2": {Enabled: types.BoolValue(true), Prefix: types.StringValue(""), ExpireDays: types.Int64Value(1)},
	})
	if diags.HasError() || !found.Equal(wanted) {
		t.Errorf("%v\n%s", diags, cmp.Diff(wanted.String(), found.String()))
	}
	if gone := rulesFrom(context.Background(), []byte("null"), configured, &diags); gone.IsNull() || len(gone.Elements()) != 0 {
		t.Errorf("no rules are %s", gone)
	}
}

func TestNoRulesAndNoPolicy(t *testing.T) {
	var diags diag.Diagnostics
	if document := lifecycleDocument(context.Background(), rules(t, nil), &diags); document != nil {
		t.Errorf("no rules are %v", document)
	}
	for text, none := range map[string]bool{"null": true, "{}": true, " {} ": true, "": true, `{"Statement":[]}`: false} {
		if (policyText(text) == nil) != none {
			t.Errorf("%q: wrong", text)
		}
	}
}

// What is not managed is never asked for, whatever the server has; what is managed and differs is.
func TestOnlyWhatIsManagedIsChanged(t *testing.T) {
	var diags diag.Diagnostics
	ctx := context.Background()
	model := bucketModel{Name: types.StringValue("b"), ObjectLock: types.ObjectNull(objectLockTypes), LifecycleRules: types.MapNull(ruleType),
		Tags: types.MapNull(types.StringType), Versioning: types.StringValue("enabled")}
	found := described{Exists: true, Versioning: "suspended", Tags: map[string]string{"a": "b"}, Lifecycle: []byte(`{"Rules":[{"ID":"x","Status":"Enabled"}]}`),
		ObjectLock: &retention{Mode: "GOVERNANCE", Days: 1}, ObjectLockEnabled: true}
	actual := model
	actual.take(ctx, found, seenParts{}, false, &diags)
	if !actual.Tags.IsNull() || !actual.LifecycleRules.IsNull() || !actual.ObjectLock.IsNull() || !actual.Policy.IsNull() {
		t.Errorf("what is not managed was taken: %+v", actual)
	}
	if difference := cmp.Diff(map[string]any{"versioning": "enabled"}, model.wanted(ctx, &actual, &diags)); difference != "" {
		t.Error(difference)
	}
	imported := model
	imported.take(ctx, found, seenParts{}, true, &diags)
	if imported.Tags.IsNull() || imported.LifecycleRules.IsNull() || imported.ObjectLock.IsNull() || imported.Versioning.ValueString() != "suspended" {
		t.Errorf("an import takes everything: %+v", imported)
	}
	if diags.HasError() {
		t.Error(diags)
	}
}

// A part that may not be read is taken to be as it was, with a warning, and only if it is managed.
func TestPartsThatCannotBeRead(t *testing.T) {
	var diags diag.Diagnostics
	model := bucketModel{Name: types.StringValue("b"), Versioning: types.StringValue("enabled"), ObjectLock: types.ObjectNull(objectLockTypes),
		LifecycleRules: types.MapNull(ruleType), Tags: types.MapNull(types.StringType)}
	found := described{Exists: true, Problems: map[string]string{"versioning": "denied", "tags": "denied"}}
	model.take(context.Background(), found, seenParts{}, false, &diags)
	if model.Versioning.ValueString() != "enabled" || diags.WarningsCount() != 1 || diags.HasError() {
		t.Errorf("%v, %v", model.Versioning, diags)
	}
}
