// Tests of how Velero's records are read and joined, without a bucket.
package velerobucket

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// The Python package is tried with the same cases.
func TestStatesAreThoseOfTheCommand(t *testing.T) {
	cases, err := os.ReadFile("../../../tests/data/velero/backup_states.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(cases)) {
		test := parsed[struct {
			Case         string
			Status       json.RawMessage
			HasManifests bool `json:"has_manifests"`
			State        string
		}](t, line)
		of := &backup{name: "b", files: map[string]int64{"velero-backup.json": 1}}
		if test.HasManifests {
			of.files["b.tar.gz"] = 1
		}
		description := fmt.Sprintf(`{"kind":"Backup","metadata":{"name":"b"},"status":%s}`, test.Status)
		if got := model(of, content{text: []byte(description)}); got.State != test.State {
			t.Errorf("%s: %s, want %s", test.Case, got.State, test.State)
		}
	}
}

func TestVolumesAreJoined(t *testing.T) {
	lists := parsed[[]podVolumeBackup](t, `[
	 {"metadata":{"annotations":{"velero.io/pvc-name":"data-postgres-0"}},"spec":{"pod":{"namespace":"db","name":"postgres-0"},"volume":"data","uploaderType":"restic"},
	  "status":{"phase":"Failed","message":"first try"}},
	 {"metadata":{"annotations":{"velero.io/pvc-name":"data-postgres-0"}},"spec":{"pod":{"namespace":"db","name":"postgres-0"},"volume":"data","uploaderType":"restic"},
	  "status":{"phase":"Completed","snapshotID":"4cf43ab2","progress":{"totalBytes":5}}},
	 {"metadata":{},"spec":{"pod":{"namespace":"db","name":"postgres-0"},"volume":"tmp"},"status":{"phase":"Completed","message":"volume was empty so no snapshot was taken"}},
	 {"metadata":{},"spec":{"pod":{"namespace":"web","name":"www"},"volume":"v","uploaderType":"kopia"},"status":{"phase":"InProgress"}}]`)
	infos := parsed[[]volumeInfo](t, `[
	 {"pvcName":"data-postgres-0","pvcNamespace":"db","pvName":"pvc-1","backupMethod":"PodVolumeBackup","result":"succeeded","pvbInfo":{"volumeName":"data","podName":"postgres-0","podNamespace":"db","snapshotHandle":"4cf43ab2","size":5}},
	 {"pvcName":"late","pvcNamespace":"web","pvName":"pvc-2","result":"failed","pvbInfo":{"volumeName":"v","podName":"www","podNamespace":"web"}},
	 {"pvcName":"scratch","pvcNamespace":"web","pvName":"pvc-3","skipped":true,"skippedReason":"not satisfied the criteria for VolumePolicy or the legacy snapshot way; "},
	 {"pvcName":"snap","pvcNamespace":"web","backupMethod":"CSISnapshot","result":"succeeded"},
	 {"pvcName":"moved","pvcNamespace":"web","backupMethod":"CSISnapshot","snapshotDataMoved":true,"result":"succeeded","snapshotDataMovementInfo":{"snapshotHandle":"k1","size":7}}]`)
	wanted := []volume{
		{namespace: "db", claim: "data-postgres-0", pod: "postgres-0", name: "data", persistentVolume: "pvc-1", state: stored, uploader: "restic", phase: "Completed", snapshot: "4cf43ab2", method: "PodVolumeBackup", bytes: 5},
		{namespace: "db", pod: "postgres-0", name: "tmp", state: empty, uploader: "restic", phase: "Completed", method: "PodVolumeBackup", reason: "volume was empty so no snapshot was taken"},
		{namespace: "web", claim: "late", pod: "www", name: "v", persistentVolume: "pvc-2", state: unsaved, uploader: "kopia", phase: "InProgress", method: "PodVolumeBackup", reason: "Velero was not done with it: InProgress"},
		{namespace: "web", claim: "scratch", persistentVolume: "pvc-3", state: skipped, reason: "not satisfied the criteria for VolumePolicy or the legacy snapshot way"},
		{namespace: "web", claim: "snap", state: elsewhere, method: "CSISnapshot", phase: "Completed", reason: "its data is not in the bucket but where CSISnapshot keeps it"},
		{namespace: "web", claim: "moved", state: stored, method: "CSISnapshot", phase: "Completed", uploader: "kopia", snapshot: "k1", bytes: 7},
	}
	if difference := cmp.Diff(wanted, volumesOf(lists, infos), cmp.AllowUnexported(volume{})); difference != "" {
		t.Error(difference)
	}
	if onlyInfos := volumesOf(nil, infos); len(onlyInfos) != 5 || onlyInfos[0].state != stored || onlyInfos[1].state != unsaved {
		t.Errorf("without the first list: %+v", onlyInfos)
	}
}

func TestStates(t *testing.T) {
	whole := &backup{name: "b", files: map[string]int64{descriptionFile: 1, "b.tar.gz": 1}}
	cut := &backup{name: "b", files: map[string]int64{descriptionFile: 1}}
	for name, test := range map[string]struct {
		of     *backup
		text   string
		wanted string
	}{
		"good":          {whole, `{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"Completed"}}`, good},
		"errors":        {whole, `{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"Completed","errors":1}}`, partial},
		"partial":       {whole, `{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"PartiallyFailed"}}`, partial},
		"failed":        {cut, `{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"Failed"}}`, failed},
		"running":       {whole, `{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"InProgress"}}`, running},
		"cut off":       {cut, `{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"Completed"}}`, incomplete},
		"somebody's":    {whole, `{"kind":"Backup","metadata":{"name":"c"},"status":{"phase":"Completed"}}`, damaged},
		"no JSON":       {whole, `{`, damaged},
		"another type":  {whole, `{"kind":"Backup","metadata":{"name":"b"},"status":{"errors":"many"}}`, damaged},
		"another world": {whole, `[]`, damaged},
	} {
		if got := model(test.of, content{text: []byte(test.text)}); got.State != test.wanted || got.Restorable != (test.wanted == good || test.wanted == partial) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := model(&backup{name: "b", files: map[string]int64{"b-logs.gz": 1}}, content{problem: "is not there"}); got.State != incomplete || got.Problem == nil {
		t.Errorf("without a description: %+v", got)
	}
}

func TestHostileFiles(t *testing.T) {
	var packed bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	zeros := make([]byte, 1<<20)
	for range greatestText>>20 + 1 {
		if _, err := writer.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	writer.Close()
	whole := packed.Bytes()
	for name, test := range map[string]struct {
		of   content
		says string
	}{
		"a bomb":    {content{text: whole}, "unpacks to more than"},
		"cut off":   {content{text: whole[:len(whole)/2]}, "cannot be unpacked"},
		"not gzip":  {content{text: []byte("{}")}, "not packed by gzip"},
		"empty":     {content{}, "not packed by gzip"},
		"missing":   {content{problem: wordsFor("not_found")}, "is not there"},
		"too large": {content{problem: wordsFor("too_large")}, "is larger than"},
	} {
		var into []volumeInfo
		if err := test.of.unzip(&into); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"kind":"Backup","metadata":{"name":"b"},"status":{"phase":"Completed"}}`), []byte(`[{"spec":{"volume":"v"}}]`), []byte(`[{"skipped":true}]`))
	f.Fuzz(func(t *testing.T, description, list, infos []byte) {
		model(&backup{name: "b", files: map[string]int64{descriptionFile: 1}}, content{text: description})
		var lists []podVolumeBackup
		var volumes []volumeInfo
		if (content{text: list}).parse(&lists) == nil && (content{text: infos}).parse(&volumes) == nil {
			for _, each := range volumesOf(lists, volumes) {
				each.model().order()
			}
		}
	})
}
