"""Volumes of a backup: which there are, and restoring them; from buckets that Velero wrote, whole and as a
directory."""

from __future__ import annotations

import io
import os
from datetime import datetime, timezone

import pytest
from velero_volumes import (
    MadeBucket,
    all_files,
    claim,
    entries_of,
    expected_entries,
    file_of,
    on_disk,
    pod,
    rewrite_json,
)

import recoup
from recoup.velero import (
    Repositories,
    Uploader,
    VolumeState,
    find_volume,
    lost_backups,
    open_volume,
    read_volumes,
    volumes_of,
)


def key(volume):
    return volume.namespace, volume.pod, volume.volume


@pytest.fixture
def made(tmp_path):
    return MadeBucket(tmp_path / "made")


# ---- lists --------------------------------------------------------------------------------------------------------------


def test_lists_say_what_velero_stored_skipped_and_failed(genuine):
    for backup in genuine.bucket.backups():
        expected = next(each for each in genuine.expected["backups"] if each["name"] == backup.name)
        read = read_volumes(genuine.bucket, backup)
        assert read.notes == ()
        stored = {key(each): each for each in read.volumes if each.volume}
        assert set(stored) == {(each["namespace"], each["pod"], each["volume"]) for each in expected["volumes"]}
        for each in expected["volumes"]:
            volume = stored[each["namespace"], each["pod"], each["volume"]]
            assert volume.claim == each["pvc"]
            assert volume.claim_uid == (each["pvc_uid"] or "")
            assert (volume.snapshot, volume.phase, volume.size) == (
                each["snapshot_id"],
                each["phase"],
                each["total_bytes"],
            )
            assert volume.message == (each["message"] or "")
            assert volume.place.prefix == each["repo_path"]
            assert volume.is_empty == (each["phase"] == "Completed" and not each["snapshot_id"])
            assert volume.has_copy == (each["phase"] == "Completed")
        skipped = {(each.namespace, each.claim): each for each in read.volumes if each.is_skipped}
        assert set(skipped) == {(each["namespace"], each["pvc"]) for each in expected["skipped"]}
        for each in expected["skipped"]:
            assert skipped[each["namespace"], each["pvc"]].reason == each["reason"].rstrip(";")
        assert len(read.volumes) == len(stored) + len(skipped)
        assert set(read.claims) == {
            f"{each['namespace']}/{each['name']}"
            for each in expected["objects"]
            if each["kind"] == "PersistentVolumeClaim"
        }


def test_failed_volume_says_why(quick):
    backup = quick.bucket.backup("backup-20260103-000000")
    failed = [each for each in volumes_of(quick.bucket, backup) if each.state is VolumeState.FAILED]
    assert [each.name for each in failed] == ["media/plex-config"]
    assert "expected one matching path" in failed[0].trouble
    with pytest.raises(recoup.NotFoundError, match="has no copy of media/plex-config.*expected one matching path"):
        open_volume(Repositories(quick.bucket), failed[0])


def test_claims_that_velero_does_not_mention_are_listed(made):
    made.volume("b")
    objects = [claim("data-postgres-0"), claim("forgotten"), claim("used"), pod("web-0", {"www": "used"})]
    made.finish("b", objects=objects)
    volumes = {each.name: each for each in volumes_of(made.bucket, made.bucket.backup("b"))}
    assert volumes["db/forgotten"].state is VolumeState.UNRECORDED
    assert "no pod in the backup uses it" in volumes["db/forgotten"].trouble
    assert "a pod in the backup uses it" in volumes["db/used"].trouble
    assert volumes["db/data-postgres-0"].state is VolumeState.STORED


def test_claim_without_annotation_is_that_of_the_pod_in_the_manifests(made):
    """Velero before 1.9 wrote no annotation; before 1.13 no list of volumes."""
    made.volume(
        "b", claim=None, spec={"tags": {}}, status={"path": "/host_pods/p/volumes/kubernetes.io~csi/pvc-1/mount"}
    )
    made.finish("b", objects=[claim("of-old"), pod("postgres-0", {"data": "of-old"})], has_infos=False)
    [volume] = volumes_of(made.bucket, made.bucket.backup("b"))
    assert volume.name == "db/of-old"
    found = find_volume(made.bucket, "db/of-old")
    assert found.volume.snapshot == volume.snapshot


def test_claim_of_a_pods_own_ephemeral_volume_is_named_after_both(made):
    made.volume(
        "b", claim=None, spec={"tags": {}}, status={"path": "/host_pods/p/volumes/kubernetes.io~csi/pvc-1/mount"}
    )
    objects = [pod("postgres-0", {}), claim("postgres-0-data")]
    objects[0]["spec"]["volumes"] = [{"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}]
    made.finish("b", objects=objects, has_infos=False)
    assert [each.name for each in volumes_of(made.bucket, made.bucket.backup("b"))] == ["db/postgres-0-data"]


def test_snapshots_of_the_storage_are_elsewhere_and_moved_ones_are_kopias(made):
    made.info("b", pvcName="csi", pvcNamespace="db", backupMethod="CSISnapshot", result="succeeded")
    moved = {"snapshotHandle": "k" * 32, "size": 5, "uploaderType": "kopia"}
    made.info(
        "b",
        pvcName="moved",
        pvcNamespace="db",
        backupMethod="CSISnapshot",
        snapshotDataMoved=True,
        snapshotDataMovementInfo=moved,
        result="succeeded",
    )
    made.finish("b")
    csi, kopia = volumes_of(made.bucket, made.bucket.backup("b"))
    assert (csi.name, csi.state, csi.has_copy) == ("db/csi", VolumeState.ELSEWHERE, False)
    assert "CSISnapshot" in csi.trouble
    assert (kopia.state, kopia.uploader, kopia.place.prefix) == (VolumeState.STORED, Uploader.KOPIA, "kopia/db")
    with pytest.raises(recoup.UnsupportedError, match="db/moved in backup b was stored with Kopia"):
        open_volume(Repositories(made.bucket), kopia)


def test_of_several_attempts_the_one_that_succeeded_counts(made):
    good = made.volume("b")
    made.record("b", "db", "postgres-0", "data", "data-postgres-0", "", status={"phase": "Failed", "message": "later"})
    made.finish("b")
    [volume] = volumes_of(made.bucket, made.bucket.backup("b"))
    assert volume.snapshot == good[:8]


def test_volume_that_was_still_being_stored_has_no_copy(made):
    made.record("b", "db", "postgres-0", "data", "data-postgres-0", "", status={"phase": "InProgress"})
    made.finish("b")
    [volume] = volumes_of(made.bucket, made.bucket.backup("b"))
    assert volume.trouble == "failed; Velero was not done with it: InProgress"


def test_odd_pod_hides_no_other(made):
    made.volume("b", claim=None, spec={"tags": {}}, status={"path": ""})
    odd = pod("odd", {})
    odd["spec"]["volumes"] = "text"
    made.finish("b", objects=[odd, pod("postgres-0", {"data": "of-old"}), claim("of-old")], has_infos=False)
    read = read_volumes(made.bucket, made.bucket.backup("b"))
    assert [each.name for each in read.volumes] == ["db/of-old"]
    assert any("odd.json" in note for note in read.notes)


# ---- restoring ----------------------------------------------------------------------------------------------------------


def restore_all(bucket, expected, tmp_path):
    """Restores every volume of every backup, and compares."""
    repositories = Repositories(bucket)
    count = 0
    for number, backup in enumerate(expected["backups"]):
        found = {key(each): each for each in volumes_of(bucket, bucket.backup(backup["name"]))}
        for each in backup["volumes"]:
            if each["phase"] != "Completed":
                continue
            target = tmp_path / f"{number}-{each['namespace']}-{each['pod']}-{each['volume']}"
            volume = found[each["namespace"], each["pod"], each["volume"]]
            done = open_volume(repositories, volume).restore(target)
            done.raise_for_errors()
            assert on_disk(target) == expected_entries(expected, each), (backup["name"], volume.name)
            count += 1
    return count


def test_every_volume_of_every_backup_is_restored_as_it_was(genuine, tmp_path):
    before = all_files(genuine.path)
    assert restore_all(genuine.bucket, genuine.expected, tmp_path) == 11
    assert all_files(genuine.path) == before  # no lock, no cache, nothing


def test_empty_volume_becomes_an_empty_directory_and_says_so(quick, tmp_path):
    found = find_volume(quick.bucket, "db/empty-claim")
    done = open_volume(Repositories(quick.bucket), found.volume).restore(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []
    assert done.snapshot_id is None
    assert "db/empty-claim was empty when it was backed up" in done.notes[0]
    with pytest.raises(recoup.NotFoundError, match=r"was empty in backup .*: there is no /x"):
        open_volume(Repositories(quick.bucket), found.volume).open("/x")


def test_target_with_something_in_it_is_refused_unless_asked_for(made, tmp_path):
    made.volume("b")
    made.finish("b")
    volume = find_volume(made.bucket, "db/data-postgres-0").volume
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("mine", encoding="utf-8")
    repositories = Repositories(made.bucket)
    with pytest.raises(recoup.InvalidArgumentError, match=r"is not empty \(1 entries, such as mine\): nothing was"):
        open_volume(repositories, volume).restore(target)
    assert os.listdir(target) == ["mine"]
    with pytest.raises(recoup.InvalidArgumentError, match="say with overwrite"):
        open_volume(repositories, volume).restore(target, delete=True)
    open_volume(repositories, volume).restore(target, overwrite="never").raise_for_errors()
    assert sorted(os.listdir(target)) == ["hello", "mine"]
    open_volume(repositories, volume).restore(target, overwrite="always", delete=True).raise_for_errors()
    assert os.listdir(target) == ["hello"]
    with pytest.raises(recoup.InvalidArgumentError, match="is not a directory"):
        open_volume(repositories, volume).restore(target / "hello")


def test_new_file_system_counts_as_empty(made, tmp_path):
    made.volume("b")
    made.finish("b")
    (tmp_path / "target" / "lost+found").mkdir(parents=True)
    volume = find_volume(made.bucket, "db/data-postgres-0").volume
    open_volume(Repositories(made.bucket), volume).restore(tmp_path / "target").raise_for_errors()
    assert sorted(os.listdir(tmp_path / "target")) == ["hello", "lost+found"]


def tree_with_marks(writer):
    """A volume that Velero has restored once."""
    marks = writer.folder(b".velero", [writer.file(b"11111111-2222", b"")])
    deep = writer.folder(b"deep", [writer.folder(b".velero", [writer.file(b"own", b"the application's")])])
    return [marks, deep, writer.file(b"hello", b"hello")]


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ({}, {b"deep", b"deep/.velero", b"deep/.velero/own", b"hello"}),
        ({"exclude": "hello"}, {b"deep", b"deep/.velero", b"deep/.velero/own"}),
        ({"iexclude": "HELLO"}, {b"deep", b"deep/.velero", b"deep/.velero/own"}),
        ({"include": "/*"}, {b"deep", b"deep/.velero", b"deep/.velero/own", b"hello"}),
        ({"include": ["hello", "11111111-2222"]}, {b"hello"}),
        ({"iinclude": ["HELLO", ".VELERO"]}, {b"hello", b"deep", b"deep/.velero", b"deep/.velero/own"}),
        ({"include": "own"}, {b"deep", b"deep/.velero", b"deep/.velero/own"}),
    ],
)
def test_marks_of_velero_are_left_out(made, tmp_path, chosen, wanted):
    made.volume("b", tree=tree_with_marks)
    made.finish("b")
    volume = open_volume(Repositories(made.bucket), find_volume(made.bucket, "db/data-postgres-0").volume)
    volume.restore(tmp_path / "target", **chosen).raise_for_errors()
    assert set(on_disk(tmp_path / "target")) == wanted


def test_patterns_that_match_nothing_are_told(made, tmp_path):
    made.volume("b")
    made.finish("b")
    volume = find_volume(made.bucket, "db/data-postgres-0").volume
    done = open_volume(Repositories(made.bucket), volume).restore(tmp_path / "target", include="nothing")
    assert done.notes == ("nothing in db/data-postgres-0 matches what was to be included",)


def test_listing_and_reading(made):
    made.volume("b", tree=tree_with_marks)
    made.finish("b")
    volume = open_volume(Repositories(made.bucket), find_volume(made.bucket, "db/data-postgres-0").volume)
    assert [path for path, _ in volume.ls()] == ["/deep", "/hello"]
    assert [path for path, _ in volume.ls(recursive=True)] == ["/deep", "/deep/.velero", "/deep/.velero/own", "/hello"]
    assert [path for path, _ in volume.ls("/deep/.velero")] == ["/deep/.velero/own"]
    assert [(path, node.size) for path, node in volume.ls("hello")] == [("/hello", 5)]
    with volume.open("/hello") as file:
        file.seek(1)
        assert file.read() == b"ello"
    into = io.BytesIO()
    assert volume.dump("/deep/.velero/own", into) == len(b"the application's")
    assert into.getvalue() == b"the application's"
    with pytest.raises(recoup.InvalidArgumentError, match="/deep is a directory"):
        volume.open("/deep")
    with pytest.raises(recoup.NotFoundError):
        volume.dump("/no", io.BytesIO())


def test_dump_follows_no_symlink(quick):
    found = find_volume(quick.bucket, "db/data-postgres-0")
    volume = open_volume(Repositories(quick.bucket), found.volume)
    with pytest.raises(recoup.InvalidArgumentError, match="/pgdata/current is a symlink to base/"):
        volume.open("/pgdata/current")
    with volume.open("/pgdata/PG_VERSION") as file:
        assert file.read() == b"16\n"


def test_dry_run_makes_nothing(made, tmp_path):
    made.volume("b")
    made.record("b", "db", "postgres-0", "empty", "nothing", "")
    made.finish("b")
    repositories = Repositories(made.bucket)
    for name in ("db/data-postgres-0", "db/nothing"):
        open_volume(repositories, find_volume(made.bucket, name).volume).restore(tmp_path / "target", dry_run=True)
    assert not (tmp_path / "target").exists()


# ---- finding ------------------------------------------------------------------------------------------------------------


def test_newest_copy_is_taken_and_why_no_newer_one_is_told(quick):
    found = find_volume(quick.bucket, "media/plex-config")
    assert found.volume.backup == "backup-20260102-000000"
    [note] = found.notes
    assert "backup-20260103-000000 (2026-11-23 20:07:39 UTC) has no copy of media/plex-config: failed" in note
    assert "expected one matching path" in note


def test_newest_backup_is_insisted_on(quick):
    with pytest.raises(recoup.NotFoundError) as problem:
        find_volume(quick.bucket, "media/plex-config", backup="latest")
    assert "backup-20260103-000000" in str(problem.value)
    assert "The newest backup with a copy of it is backup-20260102-000000" in str(problem.value)
    assert find_volume(quick.bucket, "db/data-postgres-0", backup="latest").volume.snapshot == "89133493"


def test_backup_is_chosen_by_name_and_by_time(quick):
    bucket = quick.bucket
    assert find_volume(bucket, "media/plex-config", backup="backup-20260101-000000").volume.snapshot == "d66809d3"
    assert find_volume(bucket, "db/postgres-0:cache", backup="backup-20260102-000000").volume.snapshot == "26650fe7"
    at = datetime(2026, 11, 23, 20, 6, tzinfo=timezone.utc)
    assert find_volume(bucket, "db/data-postgres-0", at=at).volume.backup == "backup-20260101-000000"
    with pytest.raises(recoup.NotFoundError, match="until 2026-11-23 20:00:00 UTC"):
        find_volume(bucket, "db/data-postgres-0", at=at.replace(minute=0))
    with pytest.raises(recoup.NotFoundError, match="holds no backup 'other': there are 3"):
        find_volume(bucket, "db/data-postgres-0", backup="other")
    with pytest.raises(recoup.NotFoundError, match="no backup of schedule weekly"):
        find_volume(bucket, "db/data-postgres-0", schedule="weekly")
    assert find_volume(bucket, "db/data-postgres-0", schedule="daily").volume.backup == "backup-20260103-000000"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("db/data-postgres-1", "is it db/data-postgres-0"),
        ("db/zzz", "there are db/data-postgres-0, db/empty-claim"),
        ("db/unmounted-claim", "skipped; volumeSnapshot: no applicable volumesnapshotter found"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(quick, name, said):
    with pytest.raises(recoup.NotFoundError) as problem:
        find_volume(quick.bucket, name)
    assert f"no backup has a copy of {name}" in str(problem.value)
    assert said in str(problem.value)


@pytest.mark.parametrize("name", ["", "db", "/x", "db/", "a/b/c", "db/pod:", "db/:volume"])
def test_what_is_no_name_of_a_volume_is_refused(quick, name):
    with pytest.raises(recoup.InvalidArgumentError, match="NAMESPACE/CLAIM, or NAMESPACE/POD:VOLUME"):
        find_volume(quick.bucket, name)


def test_empty_volume_says_when_it_was_not(made):
    made.volume("full")
    made.finish("full", start="2026-01-01T00:00:00Z")
    made.record("empty", "db", "postgres-0", "data", "data-postgres-0", "")
    made.finish("empty", start="2026-01-02T00:00:00Z")
    found = find_volume(made.bucket, "db/data-postgres-0")
    assert found.volume.backup == "empty"
    assert found.notes[0] == "the volume was empty in backup empty"
    assert found.notes[1].startswith("the newest backup in which it was not is full")


def test_backup_that_failed_is_used_only_when_no_other_has_it(made):
    made.volume("good")
    made.finish("good", start="2026-01-01T00:00:00Z")
    made.volume("bad")
    made.volume("bad", volume="logs", claim="logs")
    made.finish("bad", start="2026-01-02T00:00:00Z", phase="Failed", failureReason="no more space")
    assert find_volume(made.bucket, "db/data-postgres-0").volume.backup == "good"
    found = find_volume(made.bucket, "db/logs")
    assert found.volume.backup == "bad"
    assert found.notes[-1] == "backup bad as a whole cannot be restored: failed: no more space"
    assert find_volume(made.bucket, "db/data-postgres-0", backup="bad").volume.backup == "bad"


# ---- what is left of lost backups -----------------------------------------------------------------------------------------


def test_backup_lost_in_a_crash_is_found_and_restored(quick_after_crash, tmp_path):
    [lost] = lost_backups(quick_after_crash.bucket)
    assert lost.name == "backup-20260104-000000"
    assert f"{lost.time:%Y-%m-%d %H:%M:%S}" == "2026-11-23 20:17:45"
    assert {(each.volume, each.snapshot[:8]) for each in lost.volumes} == {("data", "d06d1d62"), ("cache", "370430c8")}
    found = find_volume(quick_after_crash.bucket, "db/data-postgres-0", backup=lost.name)
    assert found.volume.snapshot.startswith("d06d1d62")
    assert "backup-20260104-000000 is not in the bucket any more" in found.notes[-1]
    open_volume(Repositories(quick_after_crash.bucket), found.volume).restore(tmp_path / "target").raise_for_errors()
    wanted = entries_of(quick_after_crash.expected, "074739955746", "restic/db@d06d1d62")
    assert on_disk(tmp_path / "target") == wanted


def test_no_backup_is_lost_before_the_crash(quick):
    assert lost_backups(quick.bucket) == []


def test_newer_copy_in_a_lost_backup_is_known(quick_after_crash):
    found = find_volume(quick_after_crash.bucket, "db/data-postgres-0")
    assert found.volume.backup == "backup-20260103-000000"
    newer = open_volume(Repositories(quick_after_crash.bucket), found.volume).newer_copies()
    assert [each.backup for each in newer] == ["backup-20260104-000000"]


def test_deleted_backup_directory_leaves_a_lost_backup(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    for path in (spoiled.path / "backups" / "backup-20260102-000000").iterdir():
        path.unlink()
    [lost] = lost_backups(spoiled.bucket)
    assert (lost.name, len(lost.volumes)) == ("backup-20260102-000000", 3)
    found = find_volume(spoiled.bucket, "media/plex-config", backup=lost.name)
    open_volume(Repositories(spoiled.bucket), found.volume).restore(tmp_path / "target").raise_for_errors()
    volumes = quick.expected["backups"][1]["volumes"]
    plex = next(each for each in volumes if each["pvc"] == "plex-config")
    assert on_disk(tmp_path / "target") == expected_entries(quick.expected, plex)


def test_volume_comes_from_tags_when_every_backup_is_gone(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    for path in (spoiled.path / "backups").rglob("*.*"):
        path.unlink()
    assert len(lost_backups(spoiled.bucket)) == 3
    found = find_volume(spoiled.bucket, "db/postgres-0:data")
    assert found.volume.backup == "backup-20260103-000000"
    open_volume(Repositories(spoiled.bucket), found.volume).restore(tmp_path / "target").raise_for_errors()
    with pytest.raises(recoup.NotFoundError, match=r"db/postgres-0:data"):
        find_volume(spoiled.bucket, "db/data-postgres-0")  # which claim it was, nobody knows any more


def test_same_name_with_another_uid_is_another_backup(made):
    made.volume("b")
    made.finish("b")
    rewrite_json(made.path / "backups/b/velero-backup.json", lambda document: document["metadata"].update(uid="new"))
    [lost] = lost_backups(made.bucket)
    assert (lost.name, lost.uid) == ("b", "11111111-2222-3333-4444-555555555555")


def test_lost_backups_tell_what_cannot_be_opened(made):
    made.volume("gone")
    made.volume("b", namespace="other")
    made.finish("b")
    (made.path / "restic/db/config").write_bytes(b"x" * 100)
    problems = []
    assert lost_backups(made.bucket, on_problem=problems.append) == []
    assert len(problems) == 1
    with pytest.raises(recoup.Error):
        lost_backups(made.bucket)


# ---- records that are lost ------------------------------------------------------------------------------------------------

BACKUP = "backup-20260102-000000"


def assert_restores(spoiled, name, tmp_path, repositories=None):
    bucket = spoiled.bucket
    found = find_volume(bucket, name, backup=BACKUP)
    open_volume(repositories or Repositories(bucket), found.volume).restore(tmp_path / "target").raise_for_errors()
    volumes = spoiled.expected["backups"][1]["volumes"]
    wanted = next(each for each in volumes if name in (f"{each['namespace']}/{each['pvc']}",))
    assert on_disk(tmp_path / "target") == expected_entries(spoiled.expected, wanted)


@pytest.mark.parametrize("spoil", ["unlink", "truncate", "garbage"])
@pytest.mark.parametrize("suffix", ["-podvolumebackups.json.gz", "-volumeinfo.json.gz", ".tar.gz"])
def test_volume_is_restored_without_one_of_the_records(quick, tmp_path, suffix, spoil):
    spoiled = quick.copy(tmp_path / "bucket")
    path = file_of(spoiled.path, BACKUP, suffix)
    if spoil == "unlink":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if spoil == "truncate" else b"garbage" * 10)
    backup = spoiled.bucket.backup(BACKUP)
    read = read_volumes(spoiled.bucket, backup)
    assert any(path.name in note for note in read.notes)
    assert "media/plex-config" in [each.name for each in read.volumes if each.has_copy]
    assert_restores(spoiled, "media/plex-config", tmp_path)


def test_volume_is_restored_by_tags_without_both_lists(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    for suffix in ("-podvolumebackups.json.gz", "-volumeinfo.json.gz"):
        file_of(spoiled.path, BACKUP, suffix).unlink()
    read = read_volumes(spoiled.bucket, spoiled.bucket.backup(BACKUP))
    stored = {each.name for each in read.volumes if each.has_copy}
    # Claims come from the manifests; the empty one left no snapshot.
    assert stored == {"db/data-postgres-0", "db/postgres-0:cache", "media/plex-config"}
    assert {each.name for each in read.volumes if each.state is VolumeState.UNRECORDED} >= {"db/empty-claim"}
    assert_restores(spoiled, "db/data-postgres-0", tmp_path)
