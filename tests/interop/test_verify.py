"""What damage means: `check` tells which snapshots and files need what is damaged, `verify` whether one snapshot can be restored.

Both against support/lost.py, which finds the same in the simplest way. And `verify --live` against a comparison in Python.
"""

import hashlib
import os
import pathlib
import random
import shutil
import stat
import subprocess
import tarfile

import pytest

from support import format, programs, storage, trees
from support.commands import backup, check_clean, restore
from support.compare import attributes, kind_of, listing
from support.lost import Losses
from support.programs import Repository
from support.storage import place
from support.trees import noise, write

SEED = int(os.environ.get("RECOUP_SEED", "1"))

#: archives of real repositories, with their passwords
FIXTURES = {f"restic/{name}": "geheim" for name in ("small-repo", "repo-data-missing", "repo-duplicates", "repo-index-missing", "repo-restore-permissions-test",
                                                    "repo-unreferenced-data")} | {"rustic/restic-repo": "restic", "rustic/rustic-repo": "rustic"}

pytestmark = pytest.mark.recoup_only


# ---- repositories ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def saved(request, template, tmp_path_factory):
    """Four snapshots of real restic, of which two are of the same tree, in several packs; some blobs lie twice. Every test damages a copy."""
    home = tmp_path_factory.mktemp("verify")
    repo = Repository(place(home / "repo"), request.param)
    storage.copy_tree(template[request.param].path, repo.path)
    writer = programs.restic().at(home)
    tree = trees.small_tree(home / "tree", ("verify", SEED), files=24, bytes_each=300_000)
    os.link(tree / "d0/f0", tree / "d1/twin")
    (tree / "d2/deep/er").mkdir(parents=True)
    for number in range(60):
        write(os.fsencode(tree / f"d2/deep/er/small {number % 7} ä{number}"), noise(number * 50, number % 40))
    backup(writer, repo, "tree", "--pack-size=4", cwd=home)
    write(os.fsencode(tree / "d0/new"), noise(300_000, "new"))
    (tree / "d3/f3").unlink()
    for _ in range(2):
        backup(writer, repo, "tree", "--pack-size=4", cwd=home)
    backup(writer, repo, "tree/d2", cwd=home)
    _store_some_again(format.Repo(repo.path), random.Random(f"again {SEED}"))
    check_clean(writer, repo)
    return repo


def _store_some_again(made, rng):
    """One blob in five gets a copy in another pack."""
    writer = made.writer()
    for kind, name in sorted(made.index()):
        if rng.random() < 0.2:
            writer.add(kind, made.blob(kind, name))
    writer.finish()


@pytest.fixture
def broken(saved, tmp_path):
    """A copy of the repository to damage."""
    copy = Repository(place(tmp_path / "broken"), saved.version)
    storage.copy_tree(saved.path, copy.path)
    return copy


def change(path, edit):
    raw = bytearray(path.read_bytes())
    path.chmod(0o600)
    path.write_bytes(bytes(edit(raw)))


def flip(path, at):
    def edit(raw):
        raw[at] ^= 1 << at % 8
        return raw
    change(path, edit)


def damage_some(repo, rng):
    """Some packs, an index now and then."""
    made = format.Repo(repo.path)
    packs = made.pack_sizes()
    for pack in rng.sample(sorted(packs), rng.randint(1, 3)):
        path, size = made.pack_path(pack), packs[pack]
        kind = rng.randrange(6)
        if kind == 0:
            path.unlink()
        elif kind == 1:
            cut = rng.randrange(size)
            change(path, lambda raw: raw[:cut])
        elif kind == 2:
            change(path, lambda raw: raw + b"x")
        elif kind == 3:
            begin = rng.randrange(size)
            change(path, lambda raw: raw[:begin] + bytes(min(5000, len(raw) - begin)) + raw[begin + 5000:])
        else:
            flip(path, rng.randrange(size))
    if rng.random() < 0.15:
        (repo.path / "index" / rng.choice(made.names("index"))).unlink()


# ---- check: what is affected --------------------------------------------------------------------------------------------

def affected_by(result):
    """Snapshot -> path -> blobs, from the messages."""
    found = {message["snapshot"]: {} for message in result.messages("affected_snapshot")}
    for message in result.messages("affected"):
        paths = found[message["snapshot"]]
        assert os.fsencode(message["item"]) not in paths
        paths[os.fsencode(message["item"])] = {need["blob"] for need in message["needs"]}
        assert (message["type"] == "dir") == all(need["blob_type"] == "tree" for need in message["needs"])
    for message in result.messages("affected_snapshot"):
        assert message["num_items"] == len(found[message["snapshot"]])
    return found


@pytest.mark.parametrize("number", range(12))
def test_check_tells_what_is_affected(recoup, broken, number):
    rng = random.Random(f"affected {SEED} {broken.version} {number}")
    damage_some(broken, rng)
    expected = Losses(format.Repo(broken.path)).of_snapshots()
    result = recoup.run("check", "--read-data", "--json", repo=broken, code=None)
    assert affected_by(result) == expected, result
    assert result.code == 1 or not expected
    assert set(result.summary) == {"message_type", "num_errors", "broken_packs", "suggest_repair_index", "suggest_prune"}

    # In words: each snapshot, ten paths of it, all of them with -v.
    text = recoup.run("check", "--read-data", repo=broken, code=result.code).errors
    everything = recoup.run("check", "--read-data", "-v", repo=broken, code=result.code).errors
    seen = set()
    for snapshot, paths in expected.items():
        assert f"affected: snapshot {snapshot[:8]} (" in text
        same = frozenset(paths)
        for place_in_list, path in enumerate(sorted(paths, key=lambda each: each.split(b"/"))):
            line = f"\n  {os.fsdecode(path)}"
            assert line in everything
            assert place_in_list >= 10 or same in seen or line in text
        assert len(paths) <= 10 or f"and {len(paths) - 10} more" in text
        seen.add(same)
    assert ("cannot be restored whole" in text) == bool(expected)

    # Of some snapshots only.
    chosen = sorted(format.Repo(broken.path).names("snapshots"))[number % 3]
    result = recoup.run("check", "--read-data", "--json", chosen, repo=broken, code=None)
    assert affected_by(result) == {name: paths for name, paths in expected.items() if name == chosen}


def test_check_without_damage_to_files_says_so(recoup, broken):
    """A pack of the wrong length all of whose blobs are intact."""
    made = format.Repo(broken.path)
    change(made.pack_path(made.packs()[0]), lambda raw: raw + b"more")
    result = recoup.run("check", repo=broken, code=1)
    assert "None of the 4 snapshots that were checked needs what is damaged" in result.errors
    assert not recoup.run("check", "--json", repo=broken, code=1).messages("affected_snapshot")


def test_snapshots_of_the_same_tree_are_told_once(recoup, broken):
    made = format.Repo(broken.path)
    for pack in {p.pack for (kind, _), places in made.index().items() for p in places if kind == "data"}:
        made.pack_path(pack).unlink()
    text = recoup.run("check", repo=broken, code=1).errors
    assert text.count("affected: snapshot") == 4 and text.count(", the same as in snapshot ") == 1
    assert "4 of 4 snapshots cannot be restored whole" in text


def test_check_called_restic_says_what_restic_says(recoup, restic, broken, tmp_path):
    made = format.Repo(broken.path)
    made.pack_path(max(made.pack_sizes().items(), key=lambda each: each[1])[0]).unlink()
    (tmp_path / "restic").symlink_to(recoup.path)
    called = programs.Program("restic", tmp_path / "restic").at(tmp_path)
    for words in (["check"], ["check", "--read-data"]):
        ours, theirs = (program.run(*words, "--json", repo=broken, code=1) for program in (called, restic))
        kinds = lambda result: sorted({m["message_type"] for m in result.json_lines() + result.json_errors()})
        assert kinds(ours) == kinds(theirs)
        assert "affected" not in called.run(*words, repo=broken, code=1).everything


def test_backed_up_again_all_is_whole(recoup, restic, broken, saved, tmp_path):
    """The advice that check gives: take over what is left of the packs, back up what still is there, and look again."""
    made = format.Repo(broken.path)
    alone = [places[0] for (kind, _), places in made.index().items() if kind == "data" and len(places) == 1]
    data = [max(alone, key=lambda each: (each.length, each.pack)).pack]
    change(made.pack_path(data[0]), lambda raw: bytes(len(raw)))
    result = recoup.run("check", "--read-data", repo=broken, code=1)
    assert "restic repair packs " + data[0] in result.errors and "`recoup backup --force`" in result.errors
    lost = {path for paths in Losses(made).of_snapshots().values() for path in paths}
    recoup.run("repair", "packs", data[0], repo=broken, cwd=tmp_path)
    home = pathlib.Path(str(saved.path)).parent if isinstance(saved.path, pathlib.Path) else None
    if home is None:
        return
    recoup.run("backup", "--force", "tree", repo=broken, cwd=home)
    after = {path for paths in Losses(made).of_snapshots().values() for path in paths}
    assert after <= lost and all(not (home / os.fsdecode(path).lstrip("/")).exists() for path in after)


# ---- verify: what is in the repository ----------------------------------------------------------------------------------

def items(result):
    found = [os.fsencode(message["item"]) for message in result.messages("error")]
    assert len(set(found)) == len(found)
    assert all(message["during"] == "verify" and message["error"]["message"] for message in result.messages("error"))
    return set(found)


@pytest.mark.parametrize("compression", ["auto", "off", "max"])
def test_sound_repositories(recoup, restic, new_repo, version, odd_tree, compression, tmp_path):
    """Everything that restic stores is read, counted and found right; nothing is written."""
    repo = new_repo(version=version)
    saved = backup(restic, repo, odd_tree, *([f"--compression={compression}"] if version == 2 else []))
    made = format.Repo(repo.path)
    files = [entry.node for entry in made.walk(saved.tree) if entry.node["type"] == "file"]
    blobs = {blob for node in files for blob in node["content"] or []}
    before = repo.files()
    result = recoup.run("verify", "latest", "--json", repo=repo)
    counted = {key: result.summary[key] for key in ("total_files", "files_verified", "bytes_verified", "blobs_verified", "blob_bytes_verified", "num_damaged")}
    assert counted == {"total_files": len(files), "files_verified": len(files), "bytes_verified": sum(node.get("size", 0) for node in files),
                       "blobs_verified": len(blobs), "blob_bytes_verified": sum(len(made.blob("data", blob)) for blob in blobs), "num_damaged": 0}
    assert repo.files() == before
    text = recoup.run("verify", saved.id[:8], repo=repo).text
    assert f"Summary: Verified {len(files)} files (" in text and "no errors were found" in text
    assert recoup.run("verify", "latest", "-q", repo=repo).everything == ""


@pytest.mark.parametrize("number", range(10))
def test_a_flipped_byte(recoup, broken, number):
    """`verify` of each snapshot names exactly the files whose blobs it hit."""
    rng = random.Random(f"flipped {SEED} {broken.version} {number}")
    made = format.Repo(broken.path)
    packs = made.pack_sizes()
    pack = rng.choice(sorted(packs))
    flip(made.pack_path(pack), rng.randrange(packs[pack]))
    expected = Losses(made).of_snapshots()
    for snapshot in made.names("snapshots"):
        paths = set(expected.get(snapshot, {}))
        result = recoup.run("verify", snapshot, "--json", repo=broken, code=1 if paths else 0)
        assert items(result) == paths and result.summary["num_damaged"] == len(paths), result


@pytest.mark.parametrize("number", range(6))
def test_any_damage(recoup, broken, number, tmp_path):
    rng = random.Random(f"any {SEED} {broken.version} {number}")
    damage_some(broken, rng)
    made = format.Repo(broken.path)
    losses = Losses(made)
    for snapshot, value in made.snapshots().items():
        expected = losses.of_tree(value["tree"])
        result = recoup.run("verify", snapshot, "--json", repo=broken, code=1 if expected else 0)
        assert items(result) == set(expected), result
        for message in result.messages("error"):
            lost = expected[os.fsencode(message["item"])]
            assert any(blob in message["error"]["message"] for blob in lost), message
        text = recoup.run("verify", snapshot, repo=broken, code=result.code)
        for path in expected:
            assert f"damaged: {os.fsdecode(path)}: " in text.errors
    assert broken.ids("locks") == set()


@pytest.mark.parametrize("name", FIXTURES)
@pytest.mark.skipif(not programs.fixtures_folder().is_dir(), reason="the fixtures are no part of the project")
def test_repositories_of_other_programs(recoup, tmp_path, name):
    """Those that are broken on purpose too: each snapshot, and what check says of all."""
    with tarfile.open(programs.fixtures_folder() / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="tar")
    repo = Repository(place(tmp_path / "repo"), password=FIXTURES[name])
    if storage.is_bucket():
        storage.copy_tree(tmp_path / "repo", repo.path)
    made = format.Repo(repo.path, repo.password)
    made.replace_keys(repo.password)
    expected = Losses(made).of_snapshots()
    assert bool(expected) == (name in ("restic/repo-data-missing", "restic/repo-index-missing"))
    for snapshot in made.names("snapshots"):
        paths = set(expected.get(snapshot, {}))
        assert items(recoup.run("verify", snapshot, "--json", repo=repo, code=1 if paths else 0)) == paths
    assert affected_by(recoup.run("check", "--read-data", "--json", repo=repo, code=None)) == expected


def test_parts_of_a_snapshot(recoup, broken):
    made = format.Repo(broken.path)
    snapshot, tree = next((name, value["tree"]) for name, value in made.snapshots().items() if value["paths"][0].endswith("/tree"))
    for pack in {p.pack for (kind, _), places in made.index().items() for p in places if kind == "data"}:
        made.pack_path(pack).unlink()
    everything = {entry.path for entry in made.walk(tree) if entry.node.get("content")}
    run = lambda *words: items(recoup.run("verify", *words, "--json", repo=broken, code=1))
    below = lambda folder: {path for path in everything if path.startswith(folder)}
    assert run(snapshot) == everything
    assert run(f"{snapshot}:/tree/d1") == {path.removeprefix(b"/tree/d1") for path in below(b"/tree/d1/")}
    assert run(snapshot, "/tree/d1", "/tree/d2/deep") == below(b"/tree/d1/") | below(b"/tree/d2/deep/")
    assert run(snapshot, "--exclude", "/tree/d2") == everything - below(b"/tree/d2/")
    assert run(snapshot, "/tree/d2", "--exclude", "deep") == below(b"/tree/d2/") - below(b"/tree/d2/deep/")
    assert run(snapshot, "--include", "f1*") == {path for path in everything if path.rpartition(b"/")[2].startswith(b"f1")}
    recoup.run("verify", snapshot, "/tree/nowhere", repo=broken, code=1)

    # Samples: of the size asked for, repeatable, different with another seed, within what is selected.
    sample = run(snapshot, "--sample=20%", "--seed=7")
    files = sum(1 for entry in made.walk(tree) if entry.node["type"] == "file")
    assert len(sample) <= -(-files // 5) and sample < everything
    assert run(snapshot, "--sample=20%", "--seed=7") == sample != run(snapshot, "--sample=20%", "--seed=8")
    assert len(run(snapshot, "/tree/d1", "--sample=3", "--seed=1")) == 3
    result = recoup.run("verify", snapshot, "--sample=5", "--json", repo=broken, code=1)
    assert items(result) == run(snapshot, "--sample=5", f"--seed={result.summary['seed']}") and result.summary["files_verified"] == 5


def test_what_makes_no_sense(recoup, repo, broken):
    for words in ([], ["latest", "relative"], ["latest", "--sample=0"], ["latest", "--sample=0%"], ["latest", "--sample=101%"], ["latest", "--sample=x"],
                  ["latest", "--seed=1"], ["latest", "--extra"], ["latest", "--ignore=mode"], ["latest", "--live", "--ignore=nothing"], ["latest", "--include=a", "--exclude=b"],
                  ["0123"], ["latest:/nowhere"]):
        assert recoup.run("verify", *words, repo=broken, code=1).errors
    recoup.run("verify", "latest", repo=repo, code=1)
    lock = format.Repo(broken.path).save_lock(1, exclusive=True, host="elsewhere")
    recoup.run("verify", "latest", repo=broken, code=11)
    recoup.run("verify", "latest", "--no-lock", repo=broken)
    assert broken.ids("locks") == {lock}


# ---- verify --live ------------------------------------------------------------------------------------------------------

class LiveTree(trees.RandomTree):
    """Names that are UTF-8, because they are compared in JSON."""

    def _name(self):
        while True:
            try:
                name = super()._name()
                name.decode()
                return name
            except UnicodeDecodeError:
                continue

    def alter(self, share):
        """Changes of every kind, some of which only one attribute tells."""
        rng = self.rng
        for path in sorted(os.path.join(f, n) for f, ds, ns in os.walk(self.root) for n in ds + ns):
            if rng.random() >= share or not os.path.lexists(path):
                continue
            info = os.lstat(path)
            kind = rng.randrange(11)
            if kind == 0 and not stat.S_ISDIR(info.st_mode):
                os.unlink(path)
            elif kind == 1 and stat.S_ISREG(info.st_mode):
                with open(path, "ab") as file:
                    file.write(b"x")
            elif kind <= 3 and stat.S_ISREG(info.st_mode) and info.st_size:
                with open(path, "r+b") as file:
                    file.seek(at := rng.randrange(info.st_size))
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 1]))
                os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))
            elif kind == 4 and not stat.S_ISLNK(info.st_mode):
                os.chmod(path, stat.S_IMODE(info.st_mode) ^ 0o111)
            elif kind == 5:
                os.chown(path, info.st_uid + 1, info.st_gid, follow_symlinks=False)
            elif kind == 6:
                os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns + 1), follow_symlinks=False)
            elif kind == 7 and (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
                os.setxattr(path, b"user.altered", b"")
            elif kind == 8 and not stat.S_ISDIR(info.st_mode):
                os.unlink(path)
                os.symlink(b"altered", path)
            elif kind == 9 and stat.S_ISDIR(info.st_mode):
                write(os.path.join(path, b"extra"), b"extra")
            elif kind == 10 and stat.S_ISDIR(info.st_mode) and path != self.root:
                os.rename(path, path + b".moved")


def state_of(root):
    """Path -> all that a snapshot keeps of it, read anew."""
    found = {}
    for path, info in listing(root).items():
        full = os.path.join(os.fsencode(root), path) if path != b"." else os.fsencode(root)
        kind = kind_of(info)
        found[full] = {"type": kind, "size": info.st_size if kind == "file" else None,
                       "content": hashlib.sha256(pathlib.Path(os.fsdecode(full)).read_bytes()).hexdigest() if kind == "file" else None,
                       "target": os.readlink(full) if kind == "symlink" else None, "device": info.st_rdev if kind in ("dev", "chardev") else None,
                       "mode": stat.S_IMODE(info.st_mode) if kind != "symlink" else None, "owner": (info.st_uid, info.st_gid),
                       "mtime": info.st_mtime_ns, "xattrs": attributes(full)}
    return found


def expected_differences(before, after, ignored=(), with_extra=False):
    found = {}
    for path, was in before.items():
        now = after.get(path)
        if now is None:
            found[path] = ("missing", ())
            continue
        properties = [name for name in was if was[name] != now[name] and name not in ignored]
        if "type" in properties:
            properties = ["type"]
        elif "size" in properties and "content" in properties:
            properties.remove("content")
        if properties:
            found[path] = ("changed", tuple(properties))
    for path in after:
        above = os.path.dirname(path)
        if with_extra and path not in before and all(state.get(above, {}).get("type") == "dir" for state in (before, after)):
            found[path] = ("extra", ())
    return found


def told_differences(result):
    found = {}
    for message in result.messages("difference"):
        path = os.fsencode(message["item"])
        assert path not in found
        found[path] = (message["state"], tuple(each["property"] for each in message.get("properties", [])))
    return found


@pytest.mark.parametrize("number", range(8))
def test_live_files(recoup, restic, new_repo, stable, number):
    repo = new_repo(version=1 + number % 2)
    tree = LiveTree(stable / "tree", ("live", SEED, number)).grow(120)
    os.chmod(tree.root, 0o755)
    backup(restic, repo, os.fsdecode(tree.root))
    before = state_of(tree.root)
    same = recoup.run("verify", "latest", "--live", "--extra", "--json", repo=repo)
    assert told_differences(same) == {} and same.summary["entries_compared"] >= len(before)
    assert same.summary["files_compared"] == sum(1 for each in before.values() if each["type"] == "file")
    write(os.fsencode(stable / "beside"), b"none of the snapshot's business")

    tree.alter(0.4)
    after = state_of(tree.root)
    for words, ignored in (([], ()), (["--extra"], ()), (["--ignore=mtime,owner", "--ignore", "xattrs"], ("mtime", "owner", "xattrs")),
                           (["--ignore=metadata", "--extra"], ("mode", "owner", "mtime", "xattrs"))):
        expected = expected_differences(before, after, ignored, "--extra" in words)
        result = recoup.run("verify", "latest", "--live", *words, "--json", repo=repo, code=3 if expected else 0)
        assert told_differences(result) == expected
        states = [state for state, _ in expected.values()]
        content = sum(1 for _, properties in expected.values() if {"type", "size", "content", "target", "device"} & set(properties))
        assert {key: result.summary[key] for key in ("num_missing", "num_changed", "num_content_changed", "num_extra", "num_unreadable", "num_damaged")} == {
            "num_missing": states.count("missing"), "num_changed": states.count("changed"), "num_content_changed": content,
            "num_extra": states.count("extra"), "num_unreadable": 0, "num_damaged": 0}
        assert set(expected_differences(before, after)) == set(told_differences(recoup.run("verify", "latest", "--live", "--json", repo=repo, code=None)))


def test_live_files_in_parts_and_elsewhere(recoup, restic, repo, small_tree, tmp_path):
    backup(restic, repo, "small", cwd=tmp_path)
    run = lambda *words, code=0: recoup.run("verify", *words, repo=repo, code=code)
    run("latest", "--live", "--extra")  # a relative path: where the backup was made
    restore(restic, repo, "latest", tmp_path / "out")
    run("latest", "--target", tmp_path / "out", "--extra")
    run("latest:/small/d1", "--target", tmp_path / "out/small/d1", "--extra")
    write(os.fsencode(tmp_path / "out/small/d1/f1"), b"changed")
    os.utime(tmp_path / "out/small/d1")
    (tmp_path / "out/more").touch()
    text = run("latest", "-t", tmp_path / "out", "--extra", code=3)
    assert text.text.count("\nchanged ") == 2 and "extra       /more\n" in text.text and "/small/d1/f1: size " in text.text and "Warning: " in text.errors
    run("latest", "--target", tmp_path / "out", "--exclude", "/small/d1")
    run("latest", "/small/d2", "--target", tmp_path / "out", "--extra")
    run("latest", "/small/d1/f5", "--target", tmp_path / "out")
    assert "/f1: size " in run("latest:/small/d1", "--target", tmp_path / "out/small/d1", code=3).text
    run("latest", "--live")
    run("latest", "--target", tmp_path / "nowhere", code=3)
    # A sample reads no other files. All else is compared.
    write(os.fsencode(tmp_path / "out/small/d1/f1"), (small_tree / "d1/f1").read_bytes()[:-1] + b"?", when=os.stat(small_tree / "d1/f1").st_mtime_ns)
    compared = [recoup.run("verify", "latest", "/small/d1/f1", "/small/d1/f5", "--target", tmp_path / "out", "--sample=1", f"--seed={seed}", "--json", repo=repo, code=None).code for seed in range(16)]
    assert set(compared) == {0, 3}


@pytest.mark.local_only
def test_damage_and_differences_have_their_own_exit_codes(recoup, restic, repo, small_tree, tmp_path):
    saved = backup(restic, repo, "small", cwd=tmp_path)
    made = format.Repo(repo.path)
    run = lambda *words: recoup.run("verify", "latest", *words, repo=repo, code=None).code
    (small_tree / "d0/f0").unlink()
    assert (run(), run("--live")) == (0, 3)
    for pack in {p.pack for (kind, _), places in made.index().items() for p in places if kind == "data"}:
        made.pack_path(pack).unlink()
    assert (run(), run("--live")) == (1, 3)  # contents are not read for that
    victim = next(e for e in made.walk(saved.tree) if e.path == b"/small/d2").node["subtree"]
    spot = made.index()["tree", victim][0]
    flip(made.pack_path(spot.pack), spot.offset + spot.length // 2)
    assert (run(), run("--live")) == (1, 1)


@pytest.mark.local_only
def test_live_files_that_cannot_be_read(recoup, restic, new_repo, stable):
    """Not by root, who can read all: by nobody."""
    repo = new_repo(where=stable)
    folder = stable / "tree"
    folder.mkdir()
    for name in ("open", "secret"):
        write(os.fsencode(folder / name), b"text")
    (folder / "shut").mkdir()
    write(os.fsencode(folder / "shut/file"), b"text")
    (folder / "secret").chmod(0o600)
    (folder / "shut").chmod(0o700)
    backup(restic, repo, folder)
    subprocess.run(["chmod", "-R", "a+rX", repo.path], check=True)
    stable.chmod(0o777)
    shutil.copy2(recoup.path, stable / "recoup")  # where everybody can reach it
    recoup.path, recoup.home = stable / "recoup", stable
    result = recoup.run("verify", "latest", "--live", "--no-lock", "--no-cache", "--json", repo=repo, code=3,
                        wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    inside = {path: found for path, found in told_differences(result).items() if path.startswith(os.fsencode(folder))}
    assert inside == {os.fsencode(folder / "secret"): ("unreadable", ()), os.fsencode(folder / "shut"): ("unreadable", ())}
