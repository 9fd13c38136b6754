// This file is what Velero writes about a backup, as far as it matters here (Velero 1.9 to 1.18).
package velerobucket

import (
	"cmp"
	"strings"
	"time"
)

// record is velero-backup.json: the Backup as it was when Velero had finished with it.
type record struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name              string            `json:"name"`
		UID               string            `json:"uid"`
		CreationTimestamp *time.Time        `json:"creationTimestamp"`
		Labels            map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		StorageLocation string `json:"storageLocation"`
	} `json:"spec"`
	Status struct {
		Phase               string     `json:"phase"`
		StartTimestamp      *time.Time `json:"startTimestamp"`
		CompletionTimestamp *time.Time `json:"completionTimestamp"`
		Expiration          *time.Time `json:"expiration"`
		Errors              int64      `json:"errors"`
		Warnings            int64      `json:"warnings"`
		FailureReason       string     `json:"failureReason"`
		ValidationErrors    []string   `json:"validationErrors"`
		Progress            struct {
			TotalItems    int64 `json:"totalItems"`
			ItemsBackedUp int64 `json:"itemsBackedUp"`
		} `json:"progress"`
	} `json:"status"`
}

// What can be had from a backup, as far as its files say. The words are those of `recoup velero backups`.
const (
	good       = "good"       // complete, and Velero had no errors
	partial    = "partial"    // Velero had errors: what it says was stored can be restored
	failed     = "failed"     // Velero gave up
	running    = "running"    // or its server died meanwhile
	incomplete = "incomplete" // files are missing: an upload that was cut off, or a deletion
	damaged    = "damaged"    // its description cannot be read
)

// stateOf judges a backup whose description could be read.
func stateOf(of *backup, said record) string {
	phase := said.Status.Phase
	switch {
	case phase == "Failed" || phase == "FailedValidation":
		return failed
	case !of.has(".tar.gz") || phase == "Deleting":
		return incomplete
	case phase == "Completed" && said.Status.Errors == 0:
		return good
	case phase == "Completed" || phase == "PartiallyFailed":
		return partial
	}
	return running
}

// podVolumeBackup is an element of …-podvolumebackups.json.gz: one volume of one pod, as the node agent has stored it.
type podVolumeBackup struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Pod struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"pod"`
		Volume         string `json:"volume"`
		RepoIdentifier string `json:"repoIdentifier"`
		UploaderType   string `json:"uploaderType"`
	} `json:"spec"`
	Status struct {
		Phase      string `json:"phase"`
		SnapshotID string `json:"snapshotID"`
		Message    string `json:"message"`
		Progress   struct {
			TotalBytes int64 `json:"totalBytes"`
		} `json:"progress"`
	} `json:"status"`
}

// volumeInfo is an element of …-volumeinfo.json.gz, which Velero writes since 1.13: the only record of what it passed over.
type volumeInfo struct {
	PVCName           string `json:"pvcName"`
	PVCNamespace      string `json:"pvcNamespace"`
	PVName            string `json:"pvName"`
	BackupMethod      string `json:"backupMethod"`
	SnapshotDataMoved bool   `json:"snapshotDataMoved"`
	Skipped           bool   `json:"skipped"`
	SkippedReason     string `json:"skippedReason"`
	Result            string `json:"result"`
	PVBInfo           struct {
		SnapshotHandle string `json:"snapshotHandle"`
		Size           int64  `json:"size"`
		UploaderType   string `json:"uploaderType"`
		VolumeName     string `json:"volumeName"`
		PodName        string `json:"podName"`
		PodNamespace   string `json:"podNamespace"`
	} `json:"pvbInfo"`
	Moved struct {
		SnapshotHandle string `json:"snapshotHandle"`
		Size           int64  `json:"size"`
	} `json:"snapshotDataMovementInfo"`
}

// What there is of a volume. The words are those of `recoup velero volumes`.
const (
	stored    = "stored"
	empty     = "empty"     // it held nothing, so there is nothing to store: as good as stored
	unsaved   = "failed"    // or Velero was not done with it
	skipped   = "skipped"   // Velero left it out, and says why
	elsewhere = "elsewhere" // in a snapshot of the storage, not in the bucket
)

// volume is one volume of a backup. Texts are "" where nothing is known.
type volume struct {
	namespace, claim, pod, name, persistentVolume string
	state, uploader, phase, snapshot, method      string
	reason                                        string // why there is no data
	bytes                                         int64
}

// volumesOf joins both lists. The first is the better record of what was stored, the second knows claims without an annotation,
// and what was skipped.
func volumesOf(stored []podVolumeBackup, infos []volumeInfo) []volume {
	type place struct{ namespace, pod, volume string }
	at := map[place]int{}
	claims := map[[2]string]bool{}
	var all []volume
	for _, each := range stored {
		one := fromPodVolumeBackup(each)
		key := place{one.namespace, one.pod, one.name}
		// Of several attempts, the one that succeeded counts, or else the last.
		if before, known := at[key]; !known {
			at[key] = len(all)
			all = append(all, one)
		} else if !isCopy(all[before].state) {
			all[before] = one
		}
	}
	for _, info := range infos {
		if info.PVBInfo.VolumeName == "" {
			continue
		}
		one := fromInfo(info)
		if before, known := at[place{one.namespace, one.pod, one.name}]; known {
			all[before].join(one)
		} else {
			all = append(all, one)
		}
	}
	for _, each := range all {
		claims[[2]string{each.namespace, each.claim}] = each.claim != ""
	}
	for _, info := range infos {
		one := fromInfo(info)
		if key := [2]string{one.namespace, one.claim}; info.PVBInfo.VolumeName == "" && !claims[key] {
			claims[key] = true
			all = append(all, one)
		}
	}
	return all
}

func isCopy(state string) bool { return state == stored || state == empty }

func (v *volume) join(info volume) {
	if v.claim == "" {
		v.claim = info.claim
	}
	if v.bytes == 0 {
		v.bytes = info.bytes
	}
	v.persistentVolume = info.persistentVolume
}

func fromPodVolumeBackup(each podVolumeBackup) volume {
	one := volume{namespace: each.Spec.Pod.Namespace, claim: each.Metadata.Annotations["velero.io/pvc-name"], pod: each.Spec.Pod.Name,
		name: each.Spec.Volume, uploader: each.Spec.UploaderType, phase: each.Status.Phase, snapshot: each.Status.SnapshotID,
		bytes: each.Status.Progress.TotalBytes, method: "PodVolumeBackup"}
	if one.uploader == "" {
		one.uploader = "restic" // before 1.10 there was no other
	}
	switch {
	case one.phase == "Completed" && one.snapshot != "":
		one.state = stored
	case one.phase == "Completed":
		one.state, one.reason = empty, each.Status.Message
	case one.phase == "Failed":
		one.state, one.reason = unsaved, each.Status.Message
	default:
		one.state, one.reason = unsaved, strings.TrimSpace("Velero was not done with it: "+one.phase+" "+each.Status.Message)
	}
	return one
}

func fromInfo(info volumeInfo) volume {
	of := info.PVBInfo
	one := volume{namespace: of.PodNamespace, claim: info.PVCName, pod: of.PodName, name: of.VolumeName, persistentVolume: info.PVName,
		method: info.BackupMethod, snapshot: of.SnapshotHandle, bytes: of.Size,
		phase: map[string]string{"succeeded": "Completed", "failed": "Failed"}[info.Result]}
	if one.namespace == "" {
		one.namespace = info.PVCNamespace
	}
	if one.snapshot == "" {
		one.snapshot = info.Moved.SnapshotHandle
	}
	if one.bytes == 0 {
		one.bytes = info.Moved.Size
	}
	switch {
	case info.SnapshotDataMoved:
		one.uploader = "kopia"
	case of.VolumeName != "" && of.UploaderType == "":
		one.uploader = "restic"
	case of.VolumeName != "":
		one.uploader = of.UploaderType
	}
	switch {
	case info.Skipped:
		one.state, one.reason = skipped, strings.TrimRight(info.SkippedReason, "; ")
	case info.Result == "failed":
		one.state = unsaved
	case one.uploader == "":
		one.state, one.reason = elsewhere, "its data is not in the bucket but where "+cmp.Or(info.BackupMethod, "another method")+" keeps it"
	case one.snapshot != "":
		one.state = stored
	case info.Result == "succeeded":
		one.state = empty
	default:
		one.state, one.reason = unsaved, "Velero names no snapshot of it"
	}
	return one
}
