// This file is the life of an object that a resource declares.
package velero

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

// importedKey is true in the private state between an import and the read that follows it.
const importedKey = "imported"

// declared is what the resources of this package have in common; what they have not is in its functions.
type declared struct {
	data *providerdata.Data

	kind    kubernetes.Kind
	suffix  string // of the resource's type: "_velero_schedule"
	thing   string // in messages: "Velero Schedule"
	timeout time.Duration

	// specify puts into the spec what the values say; what has no attribute stays as it is there.
	specify func(from values, spec map[string]any, diags *diag.Diagnostics)
	// learn reads what a spec says, in the words of before.
	learn func(ctx context.Context, spec map[string]any, before values, diags *diag.Diagnostics) values
	// see reads the status.
	see func(object *kubernetes.Object) values
	// nudge adds to a new spec, or to the patch of one, before it is sent. May be nil.
	nudge func(plan values, patch map[string]any)
	// settle waits for what the server makes of the object, and gives it as it is then. May be nil.
	settle func(ctx context.Context, client *kubernetes.Client, plan values, before, now *kubernetes.Object) (*kubernetes.Object, error)
	// tell warns of what a read found. May be nil.
	tell func(object *kubernetes.Object, diags *diag.Diagnostics)
	// keepsDependents says whether a deletion must leave what the object owns.
	keepsDependents func(state values) bool
	// farewell is the warning of a deletion.
	farewell func(state values) (summary, detail string)
}

var (
	_ resource.ResourceWithConfigure   = (*declared)(nil)
	_ resource.ResourceWithModifyPlan  = (*declared)(nil)
	_ resource.ResourceWithImportState = (*declared)(nil)
)

func (d *declared) Metadata(_ context.Context, request resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = request.ProviderTypeName + d.suffix
}

func (d *declared) Schema(context.Context, resource.SchemaRequest, *resource.SchemaResponse) {} // each has its own

func (d *declared) Configure(_ context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse) {
	d.data = providerdata.From(request.ProviderData, &response.Diagnostics)
}

func (d *declared) summary(verb string) string { return "Unable to " + verb + " " + d.thing }

// getter is a plan, a state or a configuration.
type getter interface {
	Get(ctx context.Context, target any) diag.Diagnostics
}

func read(ctx context.Context, from getter, diags *diag.Diagnostics) values {
	var whole types.Object
	diags.Append(from.Get(ctx, &whole)...)
	return whole.Attributes()
}

func (d *declared) save(ctx context.Context, from values, state *tfsdk.State, diags *diag.Diagnostics) {
	kinds := map[string]attr.Type{}
	for name, attribute := range state.Schema.GetAttributes() {
		kinds[name] = attribute.GetType()
	}
	whole, problems := types.ObjectValue(kinds, from)
	diags.Append(problems...)
	if !problems.HasError() {
		diags.Append(state.Set(ctx, whole)...)
	}
}

func said(from values, name string) string {
	value, _ := from[name].(types.String)
	return value.ValueString()
}

func isSet(from values, name string) bool {
	value, _ := from[name].(types.Bool)
	return value.ValueBool()
}

func (d *declared) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	diags := &response.Diagnostics
	plan := read(ctx, request.Plan, diags)
	if diags.HasError() {
		return
	}
	limit, problems := plan["timeouts"].(timeouts.Value).Create(ctx, d.timeout)
	diags.Append(problems...)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	spec := map[string]any{}
	d.specify(plan, spec, diags)
	if d.nudge != nil {
		d.nudge(plan, spec)
	}
	metadata := map[string]any{"name": said(plan, "name"), "namespace": said(plan, "namespace")}
	for _, kind := range []string{"labels", "annotations"} {
		if wanted, _ := (textMap{}).encode(plan[kind]); len(wanted.(map[string]any)) > 0 {
			metadata[kind] = wanted
		}
	}
	if diags.HasError() {
		return
	}
	made, err := d.data.Kubernetes.Create(ctx, d.kind, metadata, spec)
	if kubernetes.Has(err, kubernetes.Exists) {
		diags.AddAttributeError(path.Root("name"), d.summary("Create"), fmt.Sprintf("There is a %s %s on the cluster already, which "+
			"this resource has not made. To manage that one from now on, import it: terraform import recoup%s.NAME %s (NAME as in "+
			"resource \"recoup%s\" \"NAME\"), or choose another name.", d.kind.Name, d.nameOf(plan), d.suffix, d.nameOf(plan), d.suffix))
		return
	}
	if err != nil {
		diags.AddError(d.summary("Create"), err.Error())
		return
	}
	d.conclude(ctx, plan, nil, made, &response.State, diags)
}

func (d *declared) nameOf(from values) string { return id(said(from, "namespace"), said(from, "name")) }

// conclude writes the state of an object that was just made or changed, before and after it is waited for: a wait that fails
// leaves an object that is kept track of.
func (d *declared) conclude(ctx context.Context, plan values, before, now *kubernetes.Object, state *tfsdk.State, diags *diag.Diagnostics) {
	d.complete(ctx, plan, now, diags)
	d.save(ctx, plan, state, diags)
	if d.settle == nil || diags.HasError() {
		return
	}
	settled, err := d.settle(ctx, d.data.Kubernetes, plan, before, now)
	if settled != nil {
		for name, value := range d.see(settled) {
			plan[name] = value
		}
		d.save(ctx, plan, state, diags)
	}
	if err != nil {
		diags.AddError(d.summary("Use"), sentence(err))
	}
}

// complete puts what only the server knows where the plan has unknown values.
func (d *declared) complete(ctx context.Context, plan values, object *kubernetes.Object, diags *diag.Diagnostics) {
	spec, _ := object.Object["spec"].(map[string]any)
	for name, value := range d.learn(ctx, spec, plan, diags) {
		if plan[name].IsUnknown() {
			plan[name] = value
		}
	}
	plan["id"] = types.StringValue(d.nameOf(plan))
	for name, value := range d.see(object) {
		plan[name] = value
	}
}

func (d *declared) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	diags := &response.Diagnostics
	state := read(ctx, request.State, diags)
	if diags.HasError() || !d.data.Knows("kubernetes") {
		return // the cluster is not known yet: the state stays as it is
	}
	found, err := d.data.Kubernetes.Get(ctx, d.kind, said(state, "namespace"), said(state, "name"))
	imported, problems := request.Private.GetKey(ctx, importedKey)
	diags.Append(problems...)
	if kubernetes.Gone(err) {
		if len(imported) == 0 {
			diags.AddWarning(d.thing+" Vanished", fmt.Sprintf("%s The next apply makes it anew. If this is not the cluster that you expect, "+
				"correct the provider's kubernetes block before you apply.", err))
		}
		response.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		diags.AddError(d.summary("Read"), err.Error())
		return
	}
	spec, _ := found.Object["spec"].(map[string]any)
	for name, value := range d.learn(ctx, spec, state, diags) {
		state[name] = value
	}
	state["labels"] = keptOf(state["labels"], found.GetLabels(), len(imported) > 0)
	state["annotations"] = keptOf(state["annotations"], found.GetAnnotations(), len(imported) > 0)
	for name, value := range d.see(found) {
		state[name] = value
	}
	if len(imported) > 0 {
		diags.Append(response.Private.SetKey(ctx, importedKey, nil)...)
	}
	if d.tell != nil {
		d.tell(found, diags)
	}
	d.save(ctx, state, &response.State, diags)
}

func (d *declared) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	diags := &response.Diagnostics
	plan, prior := read(ctx, request.Plan, diags), read(ctx, request.State, diags)
	if diags.HasError() {
		return
	}
	limit, problems := plan["timeouts"].(timeouts.Value).Update(ctx, d.timeout)
	diags.Append(problems...)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var before *kubernetes.Object
	changed, err := d.data.Kubernetes.Patch(ctx, d.kind, said(plan, "namespace"), said(plan, "name"), isSet(plan, "force_conflicts"),
		func(found *kubernetes.Object) map[string]any {
			before = found
			return d.patch(plan, prior, found, diags)
		})
	if diags.HasError() {
		return
	}
	if err != nil {
		diags.AddError(d.summary("Update"), err.Error())
		return
	}
	d.conclude(ctx, plan, before, changed, &response.State, diags)
}

// patch is what is to be changed in the object that was found.
func (d *declared) patch(plan, prior values, found *kubernetes.Object, diags *diag.Diagnostics) map[string]any {
	now, _ := found.Object["spec"].(map[string]any)
	wanted, _ := found.DeepCopy().Object["spec"].(map[string]any)
	d.specify(plan, wanted, diags)
	if diags.HasError() {
		return nil
	}
	patch, metadata := map[string]any{}, map[string]any{}
	if spec := kubernetes.Difference(now, wanted); spec != nil {
		if d.nudge != nil {
			d.nudge(plan, spec)
		}
		patch["spec"] = spec
	}
	if labels := labelsPatch(plan["labels"], prior["labels"], found.GetLabels()); labels != nil {
		metadata["labels"] = labels
	}
	if annotations := labelsPatch(plan["annotations"], prior["annotations"], found.GetAnnotations()); annotations != nil {
		metadata["annotations"] = annotations
	}
	if len(metadata) > 0 {
		patch["metadata"] = metadata
	}
	return patch
}

func (d *declared) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	diags := &response.Diagnostics
	state := read(ctx, request.State, diags)
	if diags.HasError() {
		return
	}
	limit, problems := state["timeouts"].(timeouts.Value).Delete(ctx, d.timeout)
	diags.Append(problems...)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := d.data.Kubernetes.Delete(ctx, d.kind, said(state, "namespace"), said(state, "name"), d.keepsDependents(state)); err != nil {
		diags.AddError(d.summary("Delete"), err.Error())
		return
	}
	diags.AddWarning(d.farewell(state))
}

// ModifyPlan fills in the namespace, which the provider's configuration decides where the resource's does not.
func (d *declared) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	diags := &response.Diagnostics
	if request.Plan.Raw.IsNull() || d.data == nil {
		return
	}
	var configured, name types.String
	diags.Append(request.Config.GetAttribute(ctx, path.Root("namespace"), &configured)...)
	diags.Append(request.Plan.GetAttribute(ctx, path.Root("name"), &name)...)
	var state types.String
	if !request.State.Raw.IsNull() {
		diags.Append(request.State.GetAttribute(ctx, path.Root("namespace"), &state)...)
	}
	namespace := configured
	if configured.IsNull() {
		namespace = types.StringValue(d.data.Kubernetes.VeleroNamespace())
		if !d.data.Knows("kubernetes.velero_namespace") {
			namespace = types.StringUnknown()
			if !state.IsNull() {
				namespace = state // whether it is another one is seen when it is known
			}
		}
		diags.Append(response.Plan.SetAttribute(ctx, path.Root("namespace"), namespace)...)
		if !state.IsNull() && !namespace.Equal(state) {
			response.RequiresReplace.Append(path.Root("namespace"))
		}
	}
	whole := types.StringUnknown()
	if !namespace.IsUnknown() && !name.IsUnknown() {
		whole = types.StringValue(id(namespace.ValueString(), name.ValueString()))
	}
	diags.Append(response.Plan.SetAttribute(ctx, path.Root("id"), whole)...)
}

// ImportState takes NAMESPACE/NAME. The read that follows takes everything else.
func (d *declared) ImportState(ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse) {
	namespace, name, err := parseID(request.ID, d.data)
	if err != nil {
		response.Diagnostics.AddError(d.summary("Import"), err.Error())
		return
	}
	for attribute, value := range map[string]string{"id": id(namespace, name), "namespace": namespace, "name": name} {
		response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root(attribute), value)...)
	}
	response.Diagnostics.Append(response.Private.SetKey(ctx, importedKey, []byte("true"))...)
}

// describedTimeouts are the library's, which describes each and not all of them.
func describedTimeouts(ctx context.Context, which timeouts.Opts) schema.Attribute {
	attribute := timeouts.Attributes(ctx, which)
	if nested, ok := attribute.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = "How long each operation may take, as `5m`."
		return nested
	}
	return attribute
}
