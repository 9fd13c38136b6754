"""One repository, two programs: what Python stores restic checks and restores, and the other way round."""

from __future__ import annotations

import json
import os
import pathlib
import tarfile

import pytest
from samples import MIB, PASSWORD, noise
from test_restore import contents

import recoup


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def location(request, new_location) -> pathlib.Path:
    return new_location(request.param)


def test_restic_checks_and_restores_what_python_stored(location, tree, tmp_path, restic):
    repository = recoup.open(location, PASSWORD, compression="max", pack_size=4 * MIB)
    result = repository.backup(tree, tags=["python"], hostname="here")
    repository.backup_stream(open(tree / "sub" / "large", "rb"), "/streamed")
    restic.run(location, "check", "--read-data")
    listed = json.loads(restic.run(location, "snapshots", "--json"))
    assert [each["id"] for each in listed] == [each.id for each in repository.snapshots()]
    assert (listed[0]["tags"], listed[0]["hostname"], listed[0]["tree"]) == (["python"], "here", result.tree)
    restic.run(location, "restore", f"{result.snapshot_id}:{tree}", "--target", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tree)
    restic.run(location, "restore", "latest", "--target", tmp_path / "stream")
    assert (tmp_path / "stream" / "streamed").read_bytes() == (tree / "sub" / "large").read_bytes()


def test_python_reads_and_continues_what_restic_stored(location, tree, tmp_path, restic):
    restic.run(location, "backup", tree, "--tag", "restic", "--host", "there")
    repository = recoup.open(location, PASSWORD)
    snapshot = repository.snapshot(tags="restic")
    assert snapshot.program_version.startswith("restic ")
    for path, node in snapshot.walk(tree):
        if node.type == "file":
            assert snapshot.read_bytes(path) == pathlib.Path(path).read_bytes()
    assert snapshot.restore(tmp_path / "out", subfolder=tree).errors == []
    assert contents(tmp_path / "out") == contents(tree)

    result = repository.backup(tree, hostname="there")
    assert (result.files_unmodified, result.data_blobs) == (5, 0)
    # Not the root tree: it holds the time of /tmp, where others work too.
    assert repository.snapshot().stat(tree).subtree == snapshot.stat(tree).subtree
    (tree / "new").write_bytes(noise(MIB, "new"))
    repository.backup(tree, hostname="there")
    said = json.loads(restic.run(location, "backup", tree, "--host", "there", "--json").splitlines()[-1])
    assert (said["files_new"], said["files_changed"], said["data_blobs"]) == (0, 0, 0)
    assert repository.check(read_data=True).clean
    restic.run(location, "check", "--read-data")


def test_repository_that_restic_made(tmp_path, tree, restic):
    restic.run(tmp_path / "made", "init")
    repository = recoup.open(tmp_path / "made", PASSWORD)
    assert repository.version == 2
    repository.backup(tree)
    restic.run(tmp_path / "made", "check", "--read-data")


def test_repository_of_the_fixtures(tmp_path):
    fixtures = pathlib.Path(os.environ.get("RECOUP_FIXTURES") or pathlib.Path(__file__).parents[3] / "shared/fixtures")
    archive = fixtures / "restic" / "small-repo.tar.gz"
    if not archive.exists():
        pytest.skip("no fixtures here; RECOUP_FIXTURES names their directory")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path)
    (location,) = [path.parent for path in tmp_path.rglob("config")]
    repository = recoup.open(location, PASSWORD, no_lock=True)
    assert repository.version == 1
    for snapshot in repository.snapshots():
        for path, node in snapshot.walk():
            if node.type == "file":
                assert len(snapshot.read_bytes(path)) == node.size
