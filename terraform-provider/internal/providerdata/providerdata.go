// Package providerdata is what the configured provider hands to its resources, data sources, actions and functions. It is a
// package of its own because they cannot import the provider, which imports them.
package providerdata

import (
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// Data is shared by everything that one provider instance serves. Nothing in it has dialled a server.
type Data struct {
	Settings   settings.Settings
	Engine     *engine.Client
	Kubernetes *kubernetes.Client

	// Unknown names the provider's attributes ("s3", "incus", "lxd", "proxmox", "ssh", "kubernetes") of which a part is not known
	// yet, and "kubernetes.velero_namespace", because something that the same apply creates decides it. Ask Knows before a server
	// is dialled while planning or refreshing.
	Unknown []string
}

// Knows says whether all of these provider attributes have their final values.
func (d *Data) Knows(attributes ...string) bool {
	for _, name := range attributes {
		if slices.Contains(d.Unknown, name) {
			return false
		}
	}
	return true
}

// From gives the Data in a Configure request's ProviderData. It is nil, without an error, while Terraform only validates.
func From(provided any, diags *diag.Diagnostics) *Data {
	if provided == nil {
		return nil
	}
	data, ok := provided.(*Data)
	if !ok {
		diags.AddError("Unable to Configure", fmt.Sprintf("The provider handed over %T where *providerdata.Data was expected. "+
			"This is a fault of the provider: please report it.", provided))
		return nil
	}
	return data
}
