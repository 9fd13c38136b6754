// This file is labels and annotations: those that are declared, and no others.
package velero

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// labelValue is a name as a label's value, shortened as Velero does it (its pkg/label).
func labelValue(name string) string {
	const longest, digits = 63, 6
	if len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:longest-digits] + hex.EncodeToString(sum[:])[:digits]
}

// plainTexts leaves out elements that are null, which say nothing: tier = var.tier.
func plainTexts(value attr.Value) map[string]string {
	result := map[string]string{}
	if declared, ok := value.(types.Map); ok {
		for name, element := range declared.Elements() {
			if said, isText := element.(types.String); isText && !said.IsNull() {
				result[name] = said.ValueString()
			}
		}
	}
	return result
}

// isBookkeeping says whether a label or an annotation is other programs' own business: nobody declares it.
func isBookkeeping(name string) bool {
	domain, _, found := strings.Cut(name, "/")
	return found && (domain == "velero.io" || domain == "meta.helm.sh" || domain == "app.kubernetes.io" ||
		domain == "kubectl.kubernetes.io" || domain == "argocd.argoproj.io" || strings.HasSuffix(domain, ".toolkit.fluxcd.io") ||
		domain == "helm.sh")
}

// keptOf gives those of the found ones that were declared; an import declares all that are no bookkeeping.
func keptOf(declared attr.Value, found map[string]string, imported bool) attr.Value {
	elements := map[string]attr.Value{}
	before := plainTexts(declared)
	for name, value := range found {
		if _, known := before[name]; known || (imported && !isBookkeeping(name)) {
			elements[name] = types.StringValue(value)
		}
	}
	if said, ok := declared.(types.Map); ok {
		for name, value := range said.Elements() {
			if value.IsNull() {
				elements[name] = value
			}
		}
	}
	if len(elements) == 0 && (declared.IsNull() || imported) {
		return types.MapNull(types.StringType)
	}
	return types.MapValueMust(types.StringType, elements)
}

// labelsPatch sets those of the plan and removes those that were declared and are not any more.
func labelsPatch(plan, prior attr.Value, found map[string]string) map[string]any {
	patch := map[string]any{}
	wanted := plainTexts(plan)
	for name, value := range wanted {
		if now, has := found[name]; !has || now != value {
			patch[name] = value
		}
	}
	for name := range plainTexts(prior) {
		_, kept := wanted[name]
		if _, has := found[name]; has && !kept {
			patch[name] = nil
		}
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}
