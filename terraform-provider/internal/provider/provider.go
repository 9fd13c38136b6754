// Package provider is the provider "recoup": what it can be told, and what it serves.
package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/recoup/terraform-provider-recoup/internal/backuprun"
	"github.com/recoup/terraform-provider-recoup/internal/bucket"
	"github.com/recoup/terraform-provider-recoup/internal/container"
	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/functions"
	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
	"github.com/recoup/terraform-provider-recoup/internal/repository"
	"github.com/recoup/terraform-provider-recoup/internal/schedule"
	"github.com/recoup/terraform-provider-recoup/internal/snapshots"
	"github.com/recoup/terraform-provider-recoup/internal/velero"
	"github.com/recoup/terraform-provider-recoup/internal/velerobucket"
)

// Address is how configurations name the provider.
const Address = "registry.terraform.io/recoup/recoup"

type recoupProvider struct {
	version string
}

var (
	_ provider.ProviderWithFunctions          = (*recoupProvider)(nil)
	_ provider.ProviderWithEphemeralResources = (*recoupProvider)(nil)
	_ provider.ProviderWithActions            = (*recoupProvider)(nil)
)

// New gives the maker of providers of this version that the framework's servers ask for.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &recoupProvider{version: version} }
}

func (p *recoupProvider) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "recoup"
	response.Version = p.version
}

// Configure reads the configuration and dials nothing: servers that it names may be created by the same apply.
func (p *recoupProvider) Configure(ctx context.Context, request provider.ConfigureRequest, response *provider.ConfigureResponse) {
	var model providerModel
	response.Diagnostics.Append(request.Config.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	settings, unknown, diags := model.settings(ctx)
	response.Diagnostics.Append(diags...)
	if response.Diagnostics.HasError() {
		return
	}
	data := &providerdata.Data{Settings: settings, Engine: engine.New(settings),
		Kubernetes: kubernetes.New(settings.Kubernetes), Unknown: unknown}
	response.ResourceData = data
	response.DataSourceData = data
	response.EphemeralResourceData = data
	response.ActionData = data
}

func (p *recoupProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		schedule.NewResource,
		backuprun.NewResource,
		bucket.NewResource,
		repository.NewResource,
		container.NewResource,
		velero.NewLocation,
		velero.NewSchedule,
		velero.NewRun,
	}
}

func (p *recoupProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		bucket.NewUsage,
		repository.NewStats,
		snapshots.NewSnapshots,
		snapshots.NewFiles,
		velerobucket.NewBackups,
		velerobucket.NewVolumes,
	}
}

func (p *recoupProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{
		repository.NewKey,
	}
}

func (p *recoupProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		functions.NewOnCalendar,
		functions.NewCronNext,
		functions.NewRetentionPreview,
	}
}

func (p *recoupProvider) Actions(context.Context) []func() action.Action {
	return []func() action.Action{
		backuprun.NewAction,
	}
}
