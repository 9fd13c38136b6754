"""What Velero writes about backups, as values: as it is in the genuine buckets, and whatever somebody makes of it."""

from __future__ import annotations

import copy
import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fields import VALUES

from recoup import DamagedError
from recoup.velero import BackupRecord, PodVolumeBackup, Results, Uploader, VolumeInfo
from recoup.velero.fields import parse_time

RECORD = {
    "kind": "Backup", "apiVersion": "velero.io/v1",
    "metadata": {"name": "b", "namespace": "velero", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
                 "labels": {"velero.io/schedule-name": "daily"}, "annotations": {"velero.io/source-cluster-k8s-gitversion": "v1.36.0"}},
    "spec": {"ttl": "168h0m0s", "storageLocation": "default"},
    "status": {"phase": "Completed", "startTimestamp": "2026-01-01T00:00:00Z", "completionTimestamp": "2026-01-01T00:00:09Z",
               "expiration": "2026-01-08T00:00:00Z", "errors": 0, "warnings": 3, "failureReason": "", "validationErrors": ["x"],
               "progress": {"totalItems": 2, "itemsBackedUp": 1}},
}  # fmt: skip
VOLUME = {
    "metadata": {"name": "v", "labels": {"velero.io/backup-name": "b", "velero.io/backup-uid": "u", "velero.io/pvc-uid": "c"},
                 "annotations": {"velero.io/pvc-name": "data"}},
    "spec": {"node": "n1", "pod": {"namespace": "db", "name": "p", "uid": "pu"}, "volume": "data", "uploaderType": "restic",
             "repoIdentifier": "s3:http://x/b/restic/db", "tags": {"backup": "b", "pvc-uid": "c"}},
    "status": {"phase": "Completed", "path": "/x", "snapshotID": "4cf43ab2", "startTimestamp": "2026-01-01T00:00:00Z",
               "completionTimestamp": "2026-01-01T00:00:09Z", "progress": {"totalBytes": 10, "bytesDone": 10}, "message": "m"},
}  # fmt: skip
INFO = {
    "pvcName": "data", "pvcNamespace": "db", "pvName": "pv", "backupMethod": "PodVolumeBackup", "snapshotDataMoved": False,
    "skipped": True, "skippedReason": "because; ", "result": "succeeded",
    "pvbInfo": {"snapshotHandle": "4cf43ab2", "size": 9, "uploaderType": "restic", "volumeName": "data", "podName": "p", "podNamespace": "db"},
    "snapshotDataMovementInfo": {"snapshotHandle": "k1", "size": 8, "uploaderType": "kopia"},
}  # fmt: skip
RESULTS = {"errors": {"velero": ["a"], "cluster": ["b"], "namespaces": {"db": ["c "]}}, "warnings": {"namespaces": {"db": ["d"]}}}

PARSERS = [(BackupRecord, RECORD), (PodVolumeBackup, VOLUME), (VolumeInfo, INFO), (Results, RESULTS)]


def places(document, path=()):
    """Where something could be put instead."""
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from places(value, (*path, number))


def with_value(document, path, value):
    if not path:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("parser, genuine_document", PARSERS, ids=[each.__name__ for each, _ in PARSERS])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_any_value_in_any_place_gives_a_record_or_damage(parser, genuine_document, data):
    place = data.draw(st.sampled_from(list(places(genuine_document))))
    value = data.draw(VALUES | st.sampled_from(["9999-12-31T23:59:59-12:00", "9" * 50 + "h", -1, {"velero": [None]}, {"a": {"b": []}}]))
    document = json.loads(json.dumps(with_value(genuine_document, place, value)))
    try:
        found = parser.parse(document, "x.json")
    except DamagedError as problem:
        assert "x.json" in str(problem)
    else:
        assert isinstance(found, parser)
        assert repr(found)


def test_a_record():
    record = BackupRecord.parse(RECORD, "x")
    assert (record.name, record.namespace, record.uid, record.schedule) == ("b", "velero", "u", "daily")
    assert record.ttl == timedelta(days=7)
    assert (record.errors, record.warnings, record.items, record.items_backed_up) == (0, 3, 2, 1)
    assert record.validation_errors == ("x",)
    assert record.kubernetes_version == "v1.36.0"


def test_a_record_of_something_else_is_damage():
    with pytest.raises(DamagedError, match="describes a Restore"):
        BackupRecord.parse({**RECORD, "kind": "Restore"}, "x")
    with pytest.raises(DamagedError, match="names no backup"):
        BackupRecord.parse(with_value(RECORD, ("metadata", "name"), None), "x")


def test_volumes_of_old_velero_have_no_uploader_and_no_claim():
    old = with_value(with_value(VOLUME, ("spec", "uploaderType"), ""), ("metadata", "annotations"), None)
    found = PodVolumeBackup.parse(old, "x")
    assert found.uploader is Uploader.RESTIC and found.claim is None and found.claim_uid == "c"
    with pytest.raises(DamagedError, match="neither restic nor kopia"):
        PodVolumeBackup.parse(with_value(VOLUME, ("spec", "uploaderType"), "tape"), "x")


def test_messages_know_whose_they_are():
    found = Results.parse(RESULTS, "x")
    assert found.errors == (("velero", "a"), ("cluster", "b"), ("db", "c"))
    assert found.warnings == (("db", "d"),)
    assert Results.parse({}, "x") == Results.parse({"errors": None}, "x") == Results((), ())


def test_volume_information_of_a_moved_snapshot():
    moved = VolumeInfo.parse({**INFO, "pvbInfo": None, "snapshotDataMoved": True, "skippedReason": "a; b; "}, "x")
    assert (moved.snapshot, moved.size, moved.uploader, moved.is_moved, moved.skipped_reason) == ("k1", 8, "kopia", True, "a; b")


def test_records_of_the_genuine_buckets(genuine):
    backups = genuine.bucket.backups()
    assert [each.name for each in backups] == [each["name"] for each in genuine.expected["backups"]]
    for backup, expected in zip(backups, genuine.expected["backups"]):
        record = backup.record
        assert record.uid == expected["uid"]
        assert record.schedule == expected["schedule"]
        assert record.phase == expected["phase"]
        assert (record.errors, record.warnings) == (expected["errors"], expected["warnings"])
        assert record.started == parse_time(expected["start"])
        assert record.completed == parse_time(expected["completion"])
        assert record.expires == parse_time(expected["expiration"])
        assert record.ttl == timedelta(days=7)
        assert record.items == len(expected["objects"])


def test_volumes_of_the_genuine_buckets(genuine):
    for backup, expected in zip(genuine.bucket.backups(), genuine.expected["backups"]):
        found = {
            each.name: {
                "namespace": each.namespace, "pod": each.pod, "volume": each.volume, "pvc": each.claim, "pvc_uid": each.claim_uid,
                "pvb": each.name, "phase": each.phase, "uploader": each.uploader.value, "repo_identifier": each.repository,
                "snapshot_id": each.snapshot, "total_bytes": each.size,
            }
            for each in backup.pod_volume_backups()
        }  # fmt: skip
        assert len(found) == len(expected["volumes"])
        for volume in expected["volumes"]:
            assert found[volume["pvb"]] == {key: volume[key] for key in found[volume["pvb"]]}
        messages = {each.name: each.message for each in backup.pod_volume_backups()}
        assert messages == {each["pvb"]: each["message"] or "" for each in expected["volumes"]}
        empty = {each.claim for each in backup.pod_volume_backups() if each.is_empty}
        assert empty == {"empty-claim"}


def test_what_the_genuine_buckets_have_skipped(genuine):
    for backup, expected in zip(genuine.bucket.backups(), genuine.expected["backups"]):
        skipped = {
            (each.claim_namespace, each.claim, each.persistent_volume, each.skipped_reason)
            for each in backup.volume_infos() if each.is_skipped
        }  # fmt: skip
        assert skipped == {
            (each["namespace"], each["pvc"], each["pv"], each["reason"].rstrip(";")) for each in expected["skipped"]
        }
        stored = {(each.pod_namespace, each.volume): each.snapshot for each in backup.volume_infos() if not each.is_skipped}
        assert stored == {(each["namespace"], each["volume"]): each["snapshot_id"] for each in expected["volumes"]}
