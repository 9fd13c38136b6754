"""Buckets in which something is not as everywhere: each command says what there is all the same, and what is missing."""

from __future__ import annotations

import gzip
import json
import threading
import time

import pytest
from velero_archives import MemoryStore, archive, backup_document, packed, pair
from velero_archives import manifest as made_manifest
from velero_commands import good, run
from velero_volumes import MadeBucket, claim, file_of, pod, rewrite_json, secret

import recoup
from recoup.velero import VeleroBucket
from recoup.velero.search import find_volume

DB = "db/data-postgres-0"


@pytest.fixture
def made(tmp_path) -> MadeBucket:
    bucket = MadeBucket(tmp_path / "bucket")
    bucket.volume("b")
    return bucket.finish("b", objects=[claim("data-postgres-0"), pod("postgres-0", {"data": "data-postgres-0"})])


# ---- lists ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [None, [], 5, {"spec": {"uploaderType": "another"}}, {"metadata": {"labels": [1]}}])
@pytest.mark.parametrize("suffix", ["-podvolumebackups.json.gz", "-volumeinfo.json.gz"])
def test_one_odd_entry_hides_no_other(made, tmp_path, suffix, odd):
    if isinstance(odd, dict) and suffix.startswith("-volumeinfo"):
        odd = {"pvcName": ["no", "name"]}
    rewrite_json(file_of(made.path, "b", suffix), lambda entries: [odd, *entries])
    said = good("--json", "volumes", bucket=made.path).document
    assert [(each["name"], each["state"]) for each in said["volumes"]] == [(DB, "stored")]
    [note] = said["notes"]
    assert f"b{suffix}[0]" in note
    assert good("restore-pvc", DB, "--target", tmp_path / "pvc", bucket=made.path).code == 0
    assert (tmp_path / "pvc/hello").read_bytes() == b"content of b"
    # What the odd entry was about may be missing.
    whole = run("--json", "restore", "--target", tmp_path / "whole", bucket=made.path)
    assert whole.code == 3 and any(f"b{suffix}[0]" in each for each in whole.document["problems"])


def test_a_list_without_an_entry_that_can_be_read_is_none(made):
    for suffix in ("-podvolumebackups.json.gz", "-volumeinfo.json.gz"):
        rewrite_json(file_of(made.path, "b", suffix), lambda _: [None] * 30)
    said = good("--json", "volumes", bucket=made.path).document
    assert [(each["name"], each["source"]) for each in said["volumes"]] == [(DB, "tags")]
    assert len(said["notes"]) < 15 and any("25 more entries cannot be read" in each for each in said["notes"])


def test_data_whose_claim_is_not_in_the_manifests_is_told(made, tmp_path):
    made.finish("b", objects=[claim("other")])
    done = run("--json", "restore", "--target", tmp_path / "whole", bucket=made.path)
    assert done.code == 3 and not done.document["is_complete"]
    assert any(f"volume {DB} was stored, but the manifests have no persistentvolumeclaims" in each for each in done.document["problems"])
    # Somebody who wants one kind only does not want the data.
    assert run("restore", "--include", "pvc", "--target", tmp_path / "some", bucket=made.path).code == 0


@pytest.mark.parametrize("command", [("manifests", "b", "--list"), ("restore", "b", "--target")])
def test_errors_of_velero_are_told(made, tmp_path, command):
    arguments = (*command, tmp_path / "target") if command[-1] == "--target" else command
    made.finish("b", objects=[claim("data-postgres-0")], phase="PartiallyFailed", errors=2)
    done = good(*arguments, bucket=made.path)
    assert "note: Velero had 2 errors when it made b: what these are about is not in it" in done.errors


# ---- nothing where something should be -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("backups",), ("schedules",), ("volumes",), ("describe", "latest"), ("describe", "b"), ("ls", DB), ("ls", DB, "--backup", "latest")])
def test_a_forgotten_prefix(made, arguments):
    (made.path / "cluster-1").mkdir()
    for name in ("backups", "restic"):
        (made.path / name).rename(made.path / "cluster-1" / name)
    done = run(*arguments, bucket=made.path)
    assert f"there is no backups/ in it, but cluster-1: if Velero's location has a prefix, it belongs behind the bucket's name, as in {made.path}/cluster-1" in done.errors
    assert done.code == (0 if arguments in (("backups",), ("schedules",)) else 1)
    assert good(*arguments, bucket=made.path / "cluster-1").errors == ""


def test_repository_without_keys(made):
    for key in (made.path / "restic/db/keys").iterdir():
        key.unlink()
    done = run("ls", DB, bucket=made.path)
    assert done.code == 12 and "restic/db: its key files, restic/db/keys/…, are all missing" in done.errors


def test_damaged_config_says_of_which_repository(made):
    (made.path / "restic/db/config").write_bytes(b"x")
    done = run("ls", DB, bucket=made.path)
    assert done.code == 1 and f"{made.path}: restic/db cannot be opened: config file" in done.errors


def test_password_in_a_secret_beside_the_likeliest(tmp_path):
    made = MadeBucket(tmp_path / "bucket", "geheim")
    made.volume("b")
    # Velero 1.10 makes a new Secret; what 1.9 has stored still needs that of 1.9.
    made.finish("b", objects=[secret("another"), secret("geheim", name="velero-restic-credentials")])
    assert good("--json", "restore-pvc", DB, "--target", tmp_path / "t", bucket=made.path).document["password_origin"] == (
        "the Secret velero/velero-restic-credentials in backup b"
    )


def test_a_drill_counts_only_what_came_back_whole(made, tmp_path):
    for index in (made.path / "restic/db/index").iterdir():
        index.unlink()
    done = run("drill", bucket=made.path)
    assert done.code == 1 and "backup b is NOT restorable: 0 of 1 volumes restored, 1 not as they were" in done.output


# ---- archives ------------------------------------------------------------------------------------------------------------


def test_names_that_begin_with_a_dot_as_tar_writes_them():
    entries = pair("configmaps", made_manifest("ConfigMap", "a", "db"))
    tarball = archive(packed([("./metadata/version", b"1.1.0\n"), *((f"./{name}", content) for name, content in entries)]))
    assert [(each.resource, each.namespace, each.name) for each in tarball.objects()] == [("configmaps", "db", "a")]
    assert tarball.problems == []


# ---- many backups --------------------------------------------------------------------------------------------------------


class _Slow(MemoryStore):
    """Counts how many ask at the same time."""

    def __init__(self, objects):
        super().__init__(objects)
        self.now, self.most, self._counting = 0, 0, threading.Lock()

    def _piece(self, key, offset, count, version):
        with self._counting:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            time.sleep(0.005)
            return super()._piece(key, offset, count, version)
        finally:
            with self._counting:
                self.now -= 1


def test_a_volume_that_no_backup_has_is_looked_for_in_many_at_once():
    files = {}
    nothing = gzip.compress(b"[]")
    for number in range(200):
        name = f"hourly-{number:04}"
        files[f"backups/{name}/velero-backup.json"] = json.dumps(backup_document(name)).encode()
        files[f"backups/{name}/{name}.tar.gz"] = packed([])
        files[f"backups/{name}/{name}-podvolumebackups.json.gz"] = files[f"backups/{name}/{name}-volumeinfo.json.gz"] = nothing
    store = _Slow(files)
    bucket = VeleroBucket(store)
    with pytest.raises(recoup.NotFoundError, match="no backup has a copy of db/nothing"):
        find_volume(bucket, "db/nothing")
    lists = [key for key in store.reads if key.endswith(".json.gz")]
    assert len(lists) == len(set(lists)) == 400, "lists were read more than once"
    assert len(store.reads) == 601 and store.listings <= 3
    assert store.most > 8
