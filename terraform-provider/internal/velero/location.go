// This file is the resource recoup_velero_backup_location.
package velero

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
)

type locationResource struct{ declared }

// NewLocation makes recoup_velero_backup_location.
func NewLocation() resource.Resource {
	return &locationResource{declared{kind: locationKind, suffix: "_velero_backup_location", thing: "Velero Backup Location", timeout: 5 * time.Minute,
		specify: specifyLocation, learn: learnLocation, see: seeLocation, settle: waitForLocation, tell: tellOfLocation,
		keepsDependents: func(values) bool { return false },
		farewell: func(state values) (string, string) {
			return "Backups Kept", fmt.Sprintf("The backup location %s is gone. What is in the bucket %s stays as it is: a location that is made "+
				"for it later brings its backups back.", id(said(state, "namespace"), said(state, "name")), said(state, "bucket"))
		}}}
}

func (r *locationResource) Schema(ctx context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	attributes := attributesOf(locationFields, identityAttributes("BackupStorageLocation", 63))
	attributes["wait_for_available"] = schema.BoolAttribute{Optional: true,
		MarkdownDescription: "Whether an apply that makes or changes it waits until Velero has found it usable, and fails with Velero's reason where it has " +
			"not by the end of `timeouts`. It needs a running Velero. Default: false."}
	attributes["timeouts"] = describedTimeouts(ctx, timeouts.Opts{Create: true, Update: true, Delete: true})
	attributes["phase"] = schema.StringAttribute{Computed: true, MarkdownDescription: "`Available`, or `Unavailable`, of which each plan warns; null where Velero has not looked at it yet."}
	attributes["message"] = schema.StringAttribute{Computed: true, MarkdownDescription: "Why it is not available."}
	attributes["last_validation"] = schema.StringAttribute{Computed: true, MarkdownDescription: "When Velero last looked (RFC 3339)."}
	response.Schema = schema.Schema{Attributes: attributes,
		MarkdownDescription: "A Velero BackupStorageLocation: the bucket that backups of the cluster go to. What is changed on the cluster by other hands is " +
			"seen when Terraform plans, and put right by the next apply; Velero's status is never touched.\n\n" +
			"A location of that name that is there already, as `default` mostly is, is refused, with the command that imports it. Destroying " +
			"the resource removes the location and nothing in the bucket."}
}

// configIn is the object that several attributes share.
var configIn = []string{"config"}

func isConfig(each field) bool { return each.name == "config" }

// apart gives the fields without `config`, and it.
func apart(fields []field) (others []field, config field) {
	for _, each := range fields {
		if isConfig(each) {
			config = each
		} else {
			others = append(others, each)
		}
	}
	return others, config
}

func specifyLocation(from values, spec map[string]any, diags *diag.Diagnostics) {
	others, config := apart(locationFields)
	further, err := config.meaning(from["config"])
	if err != nil {
		diags.AddAttributeError(path.Root("config"), "Invalid Attribute Value", err.Error())
		return
	}
	kept := map[string]any{}
	for _, each := range others {
		if value := lookup(spec, each.in); each.in[0] == "config" && value != nil {
			put(kept, each.in[1:], value)
		}
	}
	wanted, _ := further.(map[string]any)
	maps.Copy(kept, wanted)
	spec["config"] = kept
	fill(others, from, spec, path.Empty(), diags)
	if left, ok := spec["config"].(map[string]any); ok && len(left) == 0 {
		delete(spec, "config")
	}
}

func learnLocation(ctx context.Context, spec map[string]any, before values, diags *diag.Diagnostics) values {
	others, config := apart(locationFields)
	result := take(ctx, others, spec, before, path.Empty(), diags)
	further := without(others, spec)
	value, err := config.decode(ctx, lookup(further, configIn), before["config"])
	if err != nil {
		diags.AddAttributeError(path.Root("config"), "Unable to Read Velero Backup Location", err.Error())
		return result
	}
	result["config"] = value
	return result
}

func seeLocation(object *kubernetes.Object) values {
	status, _ := object.Object["status"].(map[string]any)
	return values{"phase": statusText(status, "phase"), "message": statusText(status, "message"),
		"last_validation": statusText(status, "lastValidationTime")}
}

// tellOfLocation warns where backups fail, and expired ones stay.
func tellOfLocation(object *kubernetes.Object, diags *diag.Diagnostics) {
	status := seeLocation(object)
	if said(status, "phase") != "Unavailable" {
		return
	}
	diags.AddWarning("Velero Backup Location Unavailable", fmt.Sprintf("Velero cannot use the backup location %s: nothing is backed up into it, and "+
		"nothing that has expired is removed from it. %s", id(object.GetNamespace(), object.GetName()), whyUnavailable(status)))
}

func whyUnavailable(status values) string {
	if message := said(status, "message"); message != "" {
		return "Velero says: " + message
	}
	return "Velero does not say why: see its server's log."
}

// waitForLocation waits for Velero's opinion of the location as it is now. One that it had before a change of the spec does not
// count.
func waitForLocation(ctx context.Context, client *kubernetes.Client, plan values, before, now *kubernetes.Object) (*kubernetes.Object, error) {
	if !isSet(plan, "wait_for_available") {
		return nil, nil
	}
	former := values{}
	if before != nil && kubernetes.Difference(map[string]any{"spec": before.Object["spec"]}, map[string]any{"spec": now.Object["spec"]}) != nil {
		former = seeLocation(before)
	}
	last, isNew := now, false
	err := kubernetes.Poll(ctx, func() (bool, error) {
		seen, err := client.Get(ctx, locationKind, now.GetNamespace(), now.GetName())
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return false, err
		}
		last = seen
		status := seeLocation(seen)
		isNew = former["last_validation"] == nil || !status["last_validation"].Equal(former["last_validation"])
		return isNew && said(status, "phase") == "Available", nil
	})
	which := id(now.GetNamespace(), now.GetName())
	switch {
	case err == nil || ctx.Err() == nil:
		return last, err
	case errors.Is(err, context.Canceled):
		return last, fmt.Errorf("the waiting for the backup location %s was stopped", which)
	}
	status := seeLocation(last)
	why := "Velero has not looked at it: is its server running (kubectl -n " + now.GetNamespace() + " get pods), and is validation_frequency not 0s?"
	if isNew && said(status, "phase") == "Unavailable" {
		why = whyUnavailable(status)
	}
	return last, fmt.Errorf("the backup location %s was not available before the end of its timeout. %s", which, why)
}
