"""A whole backup restored into a directory, without a cluster."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import yaml
from velero_commands import run
from velero_volumes import all_files, expected_entries, file_of, on_disk, rewrite_json

import recoup
from recoup.velero import Repositories
from recoup.velero.files import unfinished
from recoup.velero.manifests import Selection
from recoup.velero.restore import VolumeOutcome, restore_into_directory, wanted
from recoup.velero.stripping import Changes

GOOD = "backup-20260102-000000"
PARTIAL = "backup-20260103-000000"


def restore(genuine, target, name=GOOD, selection=None, changes=None, *, older_data=False, **more):
    bucket = genuine.bucket
    repositories = Repositories(bucket)
    want = wanted(bucket, bucket.backup(name), repositories, selection, changes, older_data=older_data)
    return restore_into_directory(want, repositories, target, **more)


def place(target, each, namespace=None):
    below = each["pvc"] or f"pods/{each['pod']}/{each['volume']}"
    return target / "volumes" / (namespace or each["namespace"]) / below


def backup_of(expected, name):
    return next(each for each in expected["backups"] if each["name"] == name)


@pytest.mark.parametrize("verify", [False, True])
def test_every_volume_and_every_manifest_of_every_backup(genuine, tmp_path, verify):
    before = all_files(genuine.path)
    for backup in genuine.expected["backups"]:
        target = tmp_path / backup["name"]
        done = restore(genuine, target, backup["name"], verify=verify)
        stored = [each for each in backup["volumes"] if each["phase"] == "Completed"]
        for each in stored:
            assert on_disk(place(target, each)) == expected_entries(genuine.expected, each), (backup["name"], each["volume"])
        assert sum(each.outcome is VolumeOutcome.RESTORED for each in done.volumes) == len(stored)
        failed = [each for each in backup["volumes"] if each["phase"] != "Completed"]
        assert sorted(each.name for each in done.failed_volumes) == sorted(f"{each['namespace']}/{each['pvc']}" for each in failed)
        without = {each.name: each.message for each in done.volumes if each.outcome is VolumeOutcome.WITHOUT_DATA}
        assert without.keys() >= {f"{each['namespace']}/{each['pvc']}" for each in backup["skipped"]}
        assert all(without.values())
        assert done.is_complete == (not failed), done.summary
        files = sorted((target / "manifests").iterdir())
        assert len(files) == len(done.objects) > 20
        kinds = [yaml.safe_load(file.read_text(encoding="utf-8"))["kind"] for file in files]
        assert kinds.index("Namespace") < kinds.index("PersistentVolumeClaim") < kinds.index("Pod") < kinds.index("StatefulSet")
    assert all_files(genuine.path) == before


def test_a_second_run_does_nothing(first_genuine, tmp_path):
    first = restore(first_genuine, tmp_path / "target")
    before = all_files(tmp_path / "target" / "volumes")
    again = restore(first_genuine, tmp_path / "target")
    assert {each.outcome for each in again.volumes} <= {VolumeOutcome.ALREADY, VolumeOutcome.WITHOUT_DATA, VolumeOutcome.RESTORED}
    done = [each.name for each in first.volumes if each.outcome is VolumeOutcome.RESTORED]
    assert [each.name for each in again.volumes if each.outcome is VolumeOutcome.ALREADY] == done
    assert all_files(tmp_path / "target" / "volumes") == before


class Stop:
    """Stops in the middle of the volume of that number."""

    def __init__(self, number):
        self.left = number

    def object_done(self, done):
        pass

    def volume_begun(self, name, total_bytes):
        self.left -= 1

    def volume_progress(self, name, bytes_done, total_bytes):
        if self.left < 0:
            raise KeyboardInterrupt

    def volume_done(self, done):
        pass


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_run_that_was_stopped_goes_on(first_genuine, tmp_path, number):
    target = tmp_path / "target"
    stopped = False
    try:
        restore(first_genuine, target, observer=Stop(number))
    except KeyboardInterrupt:
        stopped = True
    done_before = json.loads((target / "restore.json").read_text())["volumes"]
    # What was begun may be anything by now.
    for file in (target / "volumes").rglob("*"):
        name = "/".join(file.relative_to(target / "volumes").parts[:2])
        if file.is_file() and not file.is_symlink() and not any(done.startswith(name) for done in done_before):
            file.write_bytes(b"half")
            (file.parent / "left over").write_bytes(b"of the run before")
    done = restore(first_genuine, target)
    assert done.is_complete
    assert stopped or number == 3
    assert sum(each.outcome is VolumeOutcome.ALREADY for each in done.volumes) == len(done_before)
    for each in backup_of(first_genuine.expected, GOOD)["volumes"]:
        assert on_disk(place(target, each)) == expected_entries(first_genuine.expected, each)


@pytest.mark.parametrize("name", ["restore.json", "manifests"])
@pytest.mark.parametrize("has_begun", [False, True])
def test_what_a_killed_run_left_is_in_nobodys_way(first_genuine, tmp_path, name, has_begun):
    target, nothing = tmp_path / "target", Selection(namespaces=("nowhere",))
    target.mkdir()
    if has_begun:
        restore(first_genuine, target, selection=nothing)
    os.mkdir(unfinished(str(target / name)))
    assert restore(first_genuine, target, selection=nothing).volumes == ()


def test_a_volume_that_failed_comes_from_an_older_backup_when_that_is_wanted(first_genuine, tmp_path):
    plain = restore(first_genuine, tmp_path / "plain", PARTIAL)
    [failed] = plain.failed_volumes
    assert failed.name == "media/plex-config"
    assert f"Backup {GOOD} has a copy" in failed.message
    done = restore(first_genuine, tmp_path / "older", PARTIAL, older_data=True)
    [older] = [each for each in done.volumes if each.name == "media/plex-config"]
    assert older.outcome is VolumeOutcome.RESTORED
    assert f"from backup {GOOD}" in older.note
    each = next(each for each in backup_of(first_genuine.expected, GOOD)["volumes"] if each["pvc"] == "plex-config")
    assert on_disk(place(tmp_path / "older", each)) == expected_entries(first_genuine.expected, each)
    assert done.is_complete


def test_namespaces_are_chosen_and_mapped(first_genuine, tmp_path):
    selection, changes = Selection(namespaces=("db",)), Changes(namespaces={"db": "db-restored"})
    done = restore(first_genuine, tmp_path / "target", selection=selection, changes=changes)
    assert {each.name.partition("/")[0] for each in done.volumes} == {"db"}
    assert [each.name for each in (tmp_path / "target/volumes").iterdir()] == ["db-restored"]
    data = next(each for each in backup_of(first_genuine.expected, GOOD)["volumes"] if each["pvc"] == "data-postgres-0")
    assert on_disk(place(tmp_path / "target", data, "db-restored")) == expected_entries(first_genuine.expected, data)
    only_pods = restore(first_genuine, tmp_path / "pods", selection=Selection(include=("services",)))
    assert not only_pods.volumes


def test_a_dry_run_writes_nothing(first_genuine, tmp_path):
    done = restore(first_genuine, tmp_path / "target", dry_run=True)
    assert not (tmp_path / "target").exists()
    would = [each for each in done.volumes if each.outcome is VolumeOutcome.WOULD_BE]
    assert {each.name for each in would} >= {"db/data-postgres-0", "media/plex-config", "db/postgres-0:cache"}


def test_other_things_in_the_directory_are_refused(first_genuine, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter").write_text("dear")
    with pytest.raises(recoup.InvalidArgumentError, match="is not empty, and holds no restore"):
        restore(first_genuine, tmp_path / "mine")
    restore(first_genuine, tmp_path / "target")
    with pytest.raises(recoup.InvalidArgumentError, match=f"holds a restore of backup {GOOD}, not of {PARTIAL}"):
        restore(first_genuine, tmp_path / "target", PARTIAL)
    (tmp_path / "target/letter").write_text("dear")
    with pytest.raises(recoup.InvalidArgumentError, match="'letter', which is not of this restore"):
        restore(first_genuine, tmp_path / "target")
    (tmp_path / "file").write_text("")
    with pytest.raises(recoup.InvalidArgumentError, match="is a file"):
        restore(first_genuine, tmp_path / "file")
    (tmp_path / "target/letter").unlink()
    (tmp_path / "target/restore.json").write_text("{")
    with pytest.raises(recoup.InvalidArgumentError, match="cannot be read"):
        restore(first_genuine, tmp_path / "target")


def test_a_missing_pack_costs_one_namespace(first_genuine, tmp_path):
    spoilt = first_genuine.copy(tmp_path / "bucket")
    shutil.rmtree(spoilt.path / "restic/media/data")
    done = restore(spoilt, tmp_path / "target")
    assert [each.name for each in done.failed_volumes] == ["media/plex-config"]
    assert "pack" in done.failed_volumes[0].message
    assert not done.is_complete
    for each in backup_of(spoilt.expected, GOOD)["volumes"]:
        if each["namespace"] == "db":
            assert on_disk(place(tmp_path / "target", each)) == expected_entries(spoilt.expected, each)
    # And once it is there again, the rest comes.
    shutil.copytree(first_genuine.path / "restic/media/data", spoilt.path / "restic/media/data")
    mended = restore(spoilt, tmp_path / "target")
    assert mended.is_complete
    assert [each.name for each in mended.volumes if each.outcome is VolumeOutcome.RESTORED and each.files] == ["media/plex-config"]


def test_manifests_that_are_cut_off_do_not_cost_the_data(first_genuine, tmp_path):
    spoilt = first_genuine.copy(tmp_path / "bucket")
    archive = file_of(spoilt.path, GOOD, ".tar.gz")
    archive.write_bytes(archive.read_bytes()[:2000])
    done = restore(spoilt, tmp_path / "target")
    assert done.problems
    assert not done.is_complete
    for each in backup_of(spoilt.expected, GOOD)["volumes"]:
        assert on_disk(place(tmp_path / "target", each)) == expected_entries(spoilt.expected, each)


@pytest.mark.parametrize("name", ["../../escaped", "..", "a/b", "Ünicode", "a" * 300, ""])
def test_names_that_are_none_make_no_directories(first_genuine, tmp_path, name):
    spoilt = first_genuine.copy(tmp_path / "bucket")

    def rename(document):
        for each in document:
            annotations = each["metadata"].get("annotations", {})
            if annotations.get("velero.io/pvc-name") == "data-postgres-0":
                annotations["velero.io/pvc-name"] = name
                each["spec"]["pod"]["name"] = name or each["spec"]["pod"]["name"]

    rewrite_json(file_of(spoilt.path, GOOD, "-podvolumebackups.json.gz"), rename)
    archive = file_of(spoilt.path, GOOD, ".tar.gz")
    archive.write_bytes(archive.read_bytes()[:2000])
    target = tmp_path / "target"
    restore(spoilt, target)
    assert not (tmp_path / "escaped").exists()
    assert {each.name for each in target.iterdir()} == {"manifests", "volumes", "restore.json"}
    assert {each.name for each in (target / "volumes").iterdir()} <= {"db", "media"}
    assert all(all(part.isascii() and len(part) < 254 for part in each.relative_to(target).parts[:4]) for each in (target / "volumes").glob("*/*"))


def test_a_report_that_cannot_be_written_is_known_before_hours_of_work(first_genuine, tmp_path):
    done = run("restore", "--target", tmp_path / "target", "--report", tmp_path / "none/report.json", bucket=first_genuine.path)
    assert done.code == 2 and "the report" in done.errors and str(tmp_path / "none") in done.errors
    assert not (tmp_path / "target").exists()
