"""Repositories that other programs made: restic of 2015 to 2022, rustic, and Velero's buckets."""

import base64
import hashlib
import json
import os
import stat
import subprocess
import tarfile

import pytest

from support import format, storage
from support.commands import restore
from support.compare import assert_same, attributes, listing
from support.programs import Repository, fixtures_folder
from support.storage import place

FIXTURES = fixtures_folder()
#: archive, password; each holds one repository in `repo/`
ARCHIVES = {f"restic/{name}": "geheim" for name in ("small-repo", "repo-data-missing", "repo-duplicates", "repo-index-missing",
                                                    "repo-restore-permissions-test", "repo-unreferenced-data")}
ARCHIVES |= {"rustic/restic-repo": "restic", "rustic/rustic-repo": "rustic"}
VELERO = ["velero-1.16.2-restic", "velero-1.16.2-restic-aftercrash"]
VELERO_REPOS = ["restic/db", "restic/media"]
#: what is broken in them on purpose: check must say so
BROKEN = {"restic/repo-data-missing", "restic/repo-index-missing"}

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"the fixtures are no part of the project and not at {FIXTURES}")


@pytest.fixture
def opened(request, tmp_path):
    """opened(name): a repository of the fixtures, unpacked, with its own key and one cheap one."""
    def unpack(name):
        if name in ARCHIVES:
            with tarfile.open(FIXTURES / f"{name}.tar.gz") as archive:
                archive.extractall(tmp_path, filter="tar")
            return moved(Repository(tmp_path / "repo", password=ARCHIVES[name]))
        bucket, _, path = name.partition(":")
        subprocess.run(["tar", "--zstd", "-xf", FIXTURES / f"velero/{bucket}.tar.zst", "-C", tmp_path], check=True)
        return moved(Repository(tmp_path / "velero-backups" / path, password="static-passw0rd"))

    def moved(repo):
        target = place(repo.path)
        if target != repo.path:
            storage.copy_tree(repo.path, target)
        return Repository(target, password=repo.password)

    return unpack


#: the second bucket is the first one, one backup later
ALL = list(ARCHIVES) + [f"{VELERO[0]}:restic/media", f"{VELERO[1]}:restic/db"]


def same(ours, theirs):
    return json.loads(ours.out) == json.loads(theirs.out)


@pytest.mark.parametrize("name", ALL)
def test_reads_as_restic_reads(recoup, restic, opened, tmp_path, name):
    """Everything that can be listed, as data."""
    repo = opened(name)
    snapshots = recoup.run("snapshots", "--json", repo=repo)
    format.Repo(repo.path, repo.password).replace_keys(repo.password)
    assert same(snapshots, restic.run("snapshots", "--json", repo=repo))
    assert recoup.run("cat", "config", repo=repo).json() == restic.run("cat", "config", repo=repo).json()
    for kind in ("packs", "index", "snapshots", "blobs"):
        ours, theirs = (sorted(p.run("list", kind, repo=repo).text.split("\n")) for p in (recoup, restic))
        assert ours == theirs, kind
    names = [s["id"] for s in snapshots.json()]
    assert names
    for snapshot in names[:2] + names[-1:]:
        theirs = restic.run("ls", "--json", "--long", snapshot, repo=repo, code=None)
        ours = recoup.run("ls", "--json", "--long", snapshot, repo=repo, code=theirs.code)
        assert ours.json_lines() == theirs.json_lines()
    # restic counts a blob twice that two packs hold
    for mode in ("restore-size", "files-by-contents", "blobs-per-file") + (("raw-data",) if name != "restic/repo-duplicates" else ()):
        theirs = restic.run("stats", "--json", f"--mode={mode}", repo=repo, code=None)
        ours = recoup.run("stats", "--json", f"--mode={mode}", repo=repo, code=theirs.code)
        assert theirs.code or ours.json() == theirs.json()


@pytest.mark.parametrize("name", ALL)
def test_check_judges_as_restic_judges(recoup, restic, opened, name):
    repo = opened(name)
    format.Repo(repo.path, repo.password).replace_keys(repo.password)
    for flags in ([], ["--read-data"]):
        theirs = restic.run("check", *flags, repo=repo, code=None)
        ours = recoup.run("check", *flags, repo=repo, code=theirs.code)
        assert ours.code == (1 if name in BROKEN else 0)
        theirs, ours = (p.run("check", "--json", *flags, repo=repo, code=theirs.code) for p in (restic, recoup))
        assert set(ours.summary) >= {"num_errors", "broken_packs", "suggest_repair_index", "suggest_prune"}
        for key in ("suggest_repair_index", "suggest_prune"):
            assert ours.summary[key] == theirs.summary[key], key
        # a missing pack is broken too, though restic does not list it there
        assert set(ours.summary["broken_packs"] or []) >= set(theirs.summary["broken_packs"] or [])


@pytest.mark.parametrize("name", ALL)
def test_restores_as_restic_restores(recoup, restic, opened, tmp_path, name):
    """Each snapshot; in the broken ones too, whatever of it is there."""
    repo = opened(name)
    made = format.Repo(repo.path, repo.password)
    made.replace_keys(repo.password)
    for snapshot in made.names("snapshots"):
        theirs = restore(restic, repo, snapshot, tmp_path / f"restic-{snapshot[:8]}", code=None)
        ours = restore(recoup, repo, snapshot, tmp_path / f"recoup-{snapshot[:8]}", code=theirs.code)
        assert theirs.code == 0 or name in BROKEN
        damaged = {path for path in listing(tmp_path / f"restic-{snapshot[:8]}") if os.fsdecode(path) in theirs.errors} if theirs.code else set()
        assert_same(tmp_path / f"restic-{snapshot[:8]}", tmp_path / f"recoup-{snapshot[:8]}", ignore=lambda path: path in damaged or path == b".")
        assert theirs.code == 0 or ours.errors.strip()


@pytest.mark.parametrize("name", [n for n in ALL if n not in BROKEN])
def test_is_continued(recoup, restic, opened, small_tree, tmp_path, name):
    """recoup adds a snapshot to it; restic finds nothing wrong, and what was there is still there."""
    repo = opened(name)
    made = format.Repo(repo.path, repo.password)
    made.replace_keys(repo.password)
    before = made.snapshots()
    added = recoup.run("backup", "small", "--json", repo=repo, cwd=tmp_path).summary["snapshot_id"]
    restic.run("check", "--read-data", repo=repo)
    assert {k: v for k, v in made.snapshots().items() if k != added} == before
    restore(restic, repo, added, tmp_path / "out")
    assert_same(small_tree, tmp_path / "out/small")


@pytest.mark.parametrize("bucket", VELERO)
@pytest.mark.parametrize("path", VELERO_REPOS)
def test_velero_volumes_come_back_as_they_were(recoup, opened, tmp_path, bucket, path):
    """Against the lists that were taken of the live volumes, not against any program's restore."""
    expected = json.loads((FIXTURES / f"velero/{bucket}.expected.json").read_text())
    repo = opened(f"{bucket}:{path}")
    (described,) = [r for r in expected["repositories"] if r["path"] == path]
    stored = {s["id"]: s for s in recoup.run("snapshots", "--json", repo=repo).json()}
    assert set(stored) == {s["id"] for s in described["snapshots"]}
    format.Repo(repo.path, repo.password).replace_keys(repo.password)
    lists = {v["snapshot_id"]: v["file_list"] for b in expected["backups"] for v in b["volumes"] if v["repo_path"] == path and v["snapshot_id"]}
    tried = 0
    for snapshot in described["snapshots"]:
        said = stored[snapshot["id"]]
        assert said["tree"] == snapshot["tree"] and said["paths"] == snapshot["paths"] and said["tags"] == snapshot["tags_in_stored_order"]
        files = lists.get(snapshot["short_id"]) or snapshot.get("file_list")
        if not files:
            continue
        tried += 1
        target = tmp_path / snapshot["short_id"]
        restore(recoup, repo, snapshot["id"], target)  # Velero backs up `.`: the volume itself is the root
        _assert_listed(expected["file_lists"][files], target)
    assert tried >= 2


def _assert_listed(files, target):
    found = {os.fsdecode(p): i for p, i in listing(target).items() if p != b"."}
    wanted = {}
    for entry in files:
        name = os.fsdecode(base64.b64decode(entry["path_b64"])) if "path_b64" in entry else entry["path"]
        if name != "." and entry["type"] != "socket":
            wanted[name] = entry
    assert set(found) == set(wanted)
    groups = {}
    for name, entry in wanted.items():
        info, full = found[name], os.path.join(os.fsencode(target), os.fsencode(name))
        assert (info.st_uid, info.st_gid, info.st_mtime_ns) == (entry["uid"], entry["gid"], entry["mtime_ns"]), name
        if entry["type"] == "symlink":
            assert os.fsdecode(os.readlink(full)) == entry["target"]
            continue
        assert stat.S_IMODE(info.st_mode) == int(entry["mode"], 8), name
        if entry["type"] == "file":
            with open(full, "rb") as file:
                content = file.read()
            assert len(content) == entry["size"] and hashlib.sha256(content).hexdigest() == entry["sha256"], name
            xattrs = {os.fsdecode(k): base64.b64encode(v).decode() for k, v in attributes(full).items()}
            assert xattrs == (entry.get("xattrs_b64") or {}), name
            if entry.get("hardlink_group"):
                groups.setdefault(entry["hardlink_group"], set()).add((info.st_dev, info.st_ino))
        elif entry["type"] == "fifo":
            assert stat.S_ISFIFO(info.st_mode)
    assert all(len(inodes) == 1 for inodes in groups.values())


def test_restic_s_own_test_data(recoup, restic, new_repo, tmp_path, version):
    """The tree that restic's tests back up: both store it under the same id, and it comes back."""
    source = tmp_path / "source"
    source.mkdir()
    with tarfile.open(FIXTURES / "restic/backup-data.tar.gz") as archive:
        archive.extractall(source, filter="tar")
    trees = []
    for program in (restic, recoup):
        repo = new_repo(program.name, version)
        made = program.run("backup", "source", "--json", repo=repo, cwd=tmp_path).summary["snapshot_id"]
        trees.append(format.Repo(repo.path).load("snapshots", made)["tree"])
    assert trees[0] == trees[1]
    restore(recoup, repo, "latest", tmp_path / "out")
    assert_same(source, tmp_path / "out/source", root=True)
