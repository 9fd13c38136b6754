// This file makes a Backup from a Schedule, and waits for its end.
package velero

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/recoup/terraform-provider-recoup/internal/kubernetes"
)

// backupFromSchedule does what `velero backup create --from-schedule` does (Velero's pkg/builder, FromSchedule).
func backupFromSchedule(ctx context.Context, client *kubernetes.Client, namespace, name string) (*kubernetes.Object, error) {
	schedule, err := client.Get(ctx, scheduleKind, namespace, name)
	if kubernetes.Has(err, kubernetes.NotFound) {
		return nil, fmt.Errorf("%w Let `schedule` be the id of a recoup_velero_schedule, as recoup_velero_schedule.NAME.id", err)
	}
	if err != nil {
		return nil, err
	}
	var made *kubernetes.Object
	// Names have the second in them: two runs of one schedule in the same second have to take turns.
	err = kubernetes.Poll(ctx, func() (bool, error) {
		metadata, spec := backupOf(schedule, time.Now())
		created, err := client.Create(ctx, backupKind, metadata, spec)
		if kubernetes.Has(err, kubernetes.Exists) {
			return false, nil
		}
		made = created
		return err == nil, err
	})
	return made, err
}

func backupOf(schedule *kubernetes.Object, now time.Time) (metadata, spec map[string]any) {
	whole, _ := schedule.DeepCopy().Object["spec"].(map[string]any)
	spec, _ = whole["template"].(map[string]any)
	if spec == nil {
		spec = map[string]any{}
	}
	labels, isSaid := lookup(spec, []string{"metadata", "labels"}).(map[string]any)
	if !isSaid {
		labels = map[string]any{}
		for name, value := range schedule.GetLabels() {
			labels[name] = value
		}
	}
	metadata = map[string]any{"namespace": schedule.GetNamespace(), "name": schedule.GetName() + "-" + now.UTC().Format("20060102150405")}
	labels[scheduleLabel] = schedule.GetName() // where they are the template's, Velero's client has it in the spec too
	metadata["labels"] = maps.Clone(labels)
	// Since Velero 1.19 those of the template stand for the schedule's, as labels do.
	annotations, isSaid := lookup(spec, []string{"metadata", "annotations"}).(map[string]any)
	if !isSaid {
		annotations = map[string]any{}
		for name, value := range schedule.GetAnnotations() {
			annotations[name] = value
		}
	}
	if len(annotations) > 0 {
		metadata["annotations"] = maps.Clone(annotations)
	}
	if whole["useOwnerReferencesInBackup"] == true {
		metadata["ownerReferences"] = []any{map[string]any{"apiVersion": "velero.io/v1", "kind": "Schedule", "name": schedule.GetName(),
			"uid": string(schedule.GetUID()), "controller": true}}
	}
	return metadata, spec
}

func phaseOf(backup *kubernetes.Object) string {
	if phase, ok := lookup(backup.Object, []string{"status", "phase"}).(string); ok && phase != "" {
		return phase
	}
	return "New"
}

// hasEnded says whether Velero does nothing more with a backup in that phase.
func hasEnded(phase string) bool {
	return slices.Contains([]string{"Completed", "PartiallyFailed", "Failed", "FailedValidation", "Deleting"}, phase)
}

const reportEvery = time.Minute

// waitForBackup gives the backup as it was last seen, and an error if it did not end well.
func waitForBackup(ctx context.Context, client *kubernetes.Client, backup *kubernetes.Object) (*kubernetes.Object, error) {
	last, began, reported := backup, time.Now(), time.Now()
	which := id(backup.GetNamespace(), backup.GetName())
	err := kubernetes.Poll(ctx, func() (bool, error) {
		seen, err := client.Get(ctx, backupKind, backup.GetNamespace(), backup.GetName())
		switch {
		case kubernetes.Has(err, kubernetes.NotFound):
			return false, fmt.Errorf("the backup %s was removed while it was waited for", which)
		case kubernetes.Has(err, kubernetes.Unreachable) && ctx.Err() == nil:
			tflog.Warn(ctx, "the API server gives no answer; the backup goes on", map[string]any{"why": err.Error()})
			return false, nil // hours of waiting may outlast the restart of an API server
		case err != nil && ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil:
			return false, err
		}
		last = seen
		if time.Since(reported) > reportEvery {
			reported = time.Now()
			tflog.Info(ctx, fmt.Sprintf("the backup %s is in phase %s after %s", which, phaseOf(seen), time.Since(began).Round(time.Second)))
		}
		return hasEnded(phaseOf(seen)), nil
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return last, fmt.Errorf("the backup %s is in phase %s after %s, and goes on. Give it a longer timeouts.create, or say wait = false.%s",
			which, phaseOf(last), time.Since(began).Round(time.Second), whyNew(last))
	case errors.Is(err, context.Canceled):
		return last, fmt.Errorf("the waiting for the backup %s was stopped; the backup goes on", which)
	case err != nil:
		return last, err
	}
	if err := judge(ctx, client, last); err != nil {
		return last, fmt.Errorf("%w\n\nThe next apply makes another backup", err)
	}
	return last, nil
}

func whyNew(backup *kubernetes.Object) string {
	if phaseOf(backup) != "New" {
		return ""
	}
	return " Velero has not begun with it: is its server running (kubectl -n " + backup.GetNamespace() + " get pods), or is it busy with another backup?"
}

// judge gives nil for a backup that is complete, and otherwise Velero's reasons.
func judge(ctx context.Context, client *kubernetes.Client, backup *kubernetes.Object) error {
	phase := phaseOf(backup)
	if phase == "Completed" {
		return nil
	}
	status, _ := backup.Object["status"].(map[string]any)
	var reasons []string
	if reason, _ := status["failureReason"].(string); reason != "" {
		reasons = append(reasons, reason)
	}
	for _, each := range statusTexts(status, "validationErrors").Elements() {
		reasons = append(reasons, strings.Trim(each.String(), `"`))
	}
	reasons = append(reasons, failedVolumes(ctx, client, backup)...)
	if count, _ := status["errors"].(int64); count > 0 {
		reasons = append(reasons, fmt.Sprintf("Velero counted %d errors", count))
	}
	text := fmt.Sprintf("the backup %s ended as %s", id(backup.GetNamespace(), backup.GetName()), phase)
	if len(reasons) > 0 {
		text += ":\n  - " + strings.Join(reasons, "\n  - ")
	}
	if phase != "FailedValidation" { // then Velero has not begun, and has no log
		text += fmt.Sprintf("\n\nIts log says more: velero -n %s backup logs %s", backup.GetNamespace(), backup.GetName())
	}
	return errors.New(text)
}

// failedVolumes says what went wrong with volumes, which the Backup itself only counts. Not to be allowed to look is no failure
// of the backup.
func failedVolumes(ctx context.Context, client *kubernetes.Client, backup *kubernetes.Object) []string {
	var reasons []string
	for _, kind := range []kubernetes.Kind{podVolumeBackupKind, dataUploadKind} {
		found, err := client.List(ctx, kind, backup.GetNamespace(), backupLabel+"="+labelValue(backup.GetName()))
		if err != nil {
			tflog.Debug(ctx, "volumes of the backup were not looked at", map[string]any{"why": err.Error()})
			continue
		}
		for _, each := range found {
			phase, _ := lookup(each.Object, []string{"status", "phase"}).(string)
			if phase != "Failed" && phase != "Canceled" {
				continue
			}
			message, _ := lookup(each.Object, []string{"status", "message"}).(string)
			reasons = append(reasons, fmt.Sprintf("volume %s: %s", volumeOf(&each), cmp.Or(message, phase)))
		}
	}
	slices.Sort(reasons)
	return reasons
}

func volumeOf(object *kubernetes.Object) string {
	said := func(in ...string) string { text, _ := lookup(object.Object, in).(string); return text }
	if claim := said("spec", "sourcePVC"); claim != "" {
		return said("spec", "sourceNamespace") + "/" + claim
	}
	if claim := object.GetAnnotations()["velero.io/pvc-name"]; claim != "" {
		return said("spec", "pod", "namespace") + "/" + claim
	}
	return fmt.Sprintf("%s of the pod %s/%s", said("spec", "volume"), said("spec", "pod", "namespace"), said("spec", "pod", "name"))
}
