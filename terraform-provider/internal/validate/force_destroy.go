package validate

import (
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// ForceDestroy refuses a force_destroy that deletion_protection, whose default is true, keeps from doing anything.
func ForceDestroy(force, protection types.Bool, diags *diag.Diagnostics) {
	if force.ValueBool() && !protection.IsUnknown() && (protection.IsNull() || protection.ValueBool()) {
		diags.AddAttributeError(path.Root("force_destroy"), "Invalid Attribute Combination",
			"force_destroy does nothing while deletion_protection is true, which is its default. Set deletion_protection = "+
				"false beside it, or remove it.")
	}
}
