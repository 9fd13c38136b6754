"""Damage: `check` names each broken file, restore brings back everything that is intact and says what is not."""

import os
import pathlib
import random

import pytest

from support import format, storage, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same, compare_trees
from support.programs import Repository
from support.storage import place
from support.trees import noise, write

SEED = int(os.environ.get("RECOUP_SEED", "1"))


# ---- kinds of damage ----------------------------------------------------------------------------------------------------

def change(path: storage.Place, edit) -> None:
    raw = bytearray(path.read_bytes())
    path.chmod(0o600)
    path.write_bytes(edit(raw))


def flip(at):
    def damage(path):
        def edit(raw):
            raw[at if at >= 0 else len(raw) + at] ^= 0x10
            return raw
        change(path, edit)
    return damage


def remove(path):
    path.unlink()


DAMAGE = {
    "first byte": flip(0), "byte 40": flip(40), "last byte": flip(-1), "tenth last byte": flip(-10),
    "truncated": lambda path: change(path, lambda raw: raw[: len(raw) // 2]), "one byte short": lambda path: change(path, lambda raw: raw[:-1]),
    "longer": lambda path: change(path, lambda raw: raw + b"\0"), "empty": lambda path: change(path, lambda raw: b""),
    "zeros": lambda path: change(path, lambda raw: bytes(len(raw))), "too short": lambda path: change(path, lambda raw: raw[:20]),
    "missing": remove,
}


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def saved(request, template, tmp_path_factory):
    """A repository with two snapshots, several packs of data and of trees; every test damages a copy."""
    from support import programs
    home = tmp_path_factory.mktemp("damage")
    repo = Repository(place(home / "repo"), request.param)
    storage.copy_tree(template[request.param].path, repo.path)
    writer = programs.recoup().at(home)
    tree = trees.small_tree(home / "tree", ("damage", SEED), files=24, bytes_each=400_000)
    os.link(tree / "d0/f0", tree / "d1/twin")
    first = backup(writer, repo, "tree", "--pack-size=4", cwd=home)
    write(os.fsencode(tree / "d0/new"), noise(300_000, "new"))
    second = backup(writer, repo, "tree", "--pack-size=4", cwd=home)
    return repo, tree, first, second


@pytest.fixture
def broken(saved, tmp_path):
    """A copy of the repository to damage, and the tree as it was."""
    repo, tree, first, second = saved
    copy = Repository(place(tmp_path / "broken"), repo.version)
    storage.copy_tree(repo.path, copy.path)
    return copy, tree, first, second


def packs_of(repo, kind):
    made = format.Repo(repo.path)
    return sorted({places[0].pack for (k, _), places in made.index().items() if k == kind})


def named(result, name):
    return name in result.everything or name[:8] in result.everything


def files_using(repo, tree_id, blobs):
    """Paths below the root of the snapshot whose contents need any of these data blobs."""
    made = format.Repo(repo.path)
    return {e.path for e in made.walk(tree_id) if set(e.node.get("content") or []) & blobs}


# ---- check --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["data", "tree"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_check_names_a_damaged_pack(recoup, broken, kind, damage):
    repo, _, _, _ = broken
    pack = packs_of(repo, kind)[0]
    DAMAGE[damage](format.Repo(repo.path).pack_path(pack))
    result = recoup.run("check", "--read-data", repo=repo, code=1)
    assert pack in result.everything, result
    if damage in ("truncated", "one byte short", "longer", "empty", "too short", "missing"):  # seen without reading the data
        result = recoup.run("check", repo=repo, code=1)
        assert named(result, pack), result
    report = recoup.run("check", "--read-data", "--json", repo=repo, code=1)
    assert report.summary["num_errors"] > 0
    if damage != "missing":
        assert pack in (report.summary["broken_packs"] or [])
    assert repo.ids("locks") == set()


@pytest.mark.parametrize("kind", ["index", "snapshots"])
@pytest.mark.parametrize("damage", [d for d in DAMAGE if d != "missing"])
def test_check_names_a_damaged_index_or_snapshot(recoup, broken, kind, damage):
    repo, _, _, _ = broken
    for name in format.Repo(repo.path).names(kind):
        DAMAGE[damage](repo.path / kind / name)
        result = recoup.run("check", repo=repo, code=1)
        assert named(result, name), result
        result = recoup.run("check", "--json", repo=repo, code=1)
        assert named(result, name), result
    assert repo.ids("locks") == set()


def test_check_with_a_missing_index(recoup, restic, broken):
    repo, tree, _, _ = broken
    for name in format.Repo(repo.path).names("index"):
        remove(repo.path / "index" / name)
    result = recoup.run("check", repo=repo, code=1)
    assert "not found" in result.everything or "in no index" in result.everything or "no index lists" in result.everything
    restic.run("repair", "index", repo=repo)
    check_clean(recoup, repo)


@pytest.mark.parametrize("damage", [d for d in DAMAGE if d != "missing"])
def test_damaged_only_key(recoup, broken, damage):
    """Nothing opens; the message names the key file instead of blaming the password."""
    repo, _, _, _ = broken
    (name,) = repo.ids("keys")
    DAMAGE[damage](repo.path / "keys" / name)
    result = recoup.run("check", repo=repo, code=(1, 12))
    assert named(result, name), result
    result = recoup.run("snapshots", "--json", repo=repo, code=(1, 12))
    assert named(result, name), result


@pytest.mark.recoup_only
@pytest.mark.parametrize("damage", [d for d in DAMAGE if d != "missing"])
def test_damaged_second_key(recoup, broken, damage):
    """The good key opens the repository, in whatever order they are listed, and check names the bad one."""
    repo, tree, _, second = broken
    made = format.Repo(repo.path)
    extra = [made.add_key("other password") for _ in range(3)]
    for name in extra:
        DAMAGE[damage](repo.path / "keys" / name)
    assert len(recoup.run("snapshots", "--json", repo=repo).json()) == 2
    result = recoup.run("check", repo=repo, code=1)
    for name in extra:
        assert named(result, name), result


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_config(recoup, broken, damage):
    repo, _, _, _ = broken
    DAMAGE[damage](repo.path / "config")
    result = recoup.run("check", repo=repo, code=10 if damage == "missing" else 1)
    assert "config" in result.errors and "Traceback" not in result.errors


def test_check_names_every_damaged_file_at_once(recoup, broken):
    repo, _, first, _ = broken
    made = format.Repo(repo.path)
    damaged = packs_of(repo, "data") + packs_of(repo, "tree")[:1]
    for number, pack in enumerate(damaged):
        list(DAMAGE.values())[number % len(DAMAGE)](made.pack_path(pack))
    flip(50)(repo.path / "snapshots" / first.id)
    result = recoup.run("check", "--read-data", repo=repo, code=1)
    for name in damaged + [first.id]:
        assert named(result, name), f"{name} is not named\n{result}"


@pytest.mark.parametrize("subset, code", [("1/1", 1), ("100%", 1), ("10G", 1), ("0/5", 1), ("6/5", 1), ("x", 1), ("101%", 1), ("0%", 1)])
def test_check_of_subsets(recoup, restic, broken, subset, code):
    """Wrong subsets are refused, whole ones find the damage."""
    repo, _, _, _ = broken
    pack = packs_of(repo, "data")[0]
    flip(100)(format.Repo(repo.path).pack_path(pack))
    theirs = restic.run("check", f"--read-data-subset={subset}", repo=repo, code=None)
    ours = recoup.run("check", f"--read-data-subset={subset}", repo=repo, code=theirs.code)
    assert theirs.code == code and (pack in ours.everything) == (pack in theirs.everything)


def test_subsets_by_number_cover_everything(recoup, restic, broken):
    """n/t picks the same packs as restic does: those whose first byte modulo t is n - 1."""
    repo, _, _, _ = broken
    pack = packs_of(repo, "data")[0]
    flip(100)(format.Repo(repo.path).pack_path(pack))
    for n in range(1, 4):
        theirs = restic.run("check", f"--read-data-subset={n}/3", repo=repo, code=None)
        ours = recoup.run("check", f"--read-data-subset={n}/3", repo=repo, code=None)
        assert ours.code == theirs.code and (pack in ours.everything) == (pack in theirs.everything), n


def test_check_of_some_snapshots(recoup, restic, broken):
    """A filter looks only at what these snapshots need."""
    repo, _, first, second = broken
    for args in ([first.id], [first.id[:8], second.id], ["latest"], ["--host=interop"], ["--path=/nowhere"], ["0000"]):
        theirs = restic.run("check", *args, repo=repo, code=None)
        recoup.run("check", *args, repo=repo, code=theirs.code)
    made = format.Repo(repo.path)
    only_second = [pack for pack in packs_of(repo, "data")
                   if not {b for (k, b), (p, *_) in made.index().items() if p.pack == pack} & _blobs_of(made, first.tree)]
    flip(100)(made.pack_path(only_second[0]))
    recoup.run("check", "--read-data", first.id, repo=repo)
    recoup.run("check", "--read-data", second.id, repo=repo, code=1)


def _blobs_of(made, tree):
    return {blob for e in made.walk(tree) for blob in e.node.get("content") or []}


# ---- restore --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("damage", ["byte 40", "truncated", "empty", "zeros", "missing", "one byte short"])
def test_restore_of_what_is_intact(recoup, broken, tmp_path, damage):
    repo, tree, _, second = broken
    made = format.Repo(repo.path)
    pack = max(packs_of(repo, "data"), key=lambda p: len(made.pack_blobs(p)))
    size = made.pack_path(pack).stat().st_size
    spoiled = {"byte 40": lambda p: p.offset <= 40 < p.offset + p.length, "truncated": lambda p: p.offset + p.length > size // 2,
               "one byte short": lambda p: False}.get(damage, lambda p: True)
    lost_blobs = {blob for (_, blob), (place, *_) in made.index().items() if place.pack == pack and spoiled(place)}
    lost = {path.removeprefix(b"/tree/") for path in files_using(repo, second.tree, lost_blobs)}
    assert bool(lost) == (damage != "one byte short")
    before = set(repo.files())
    DAMAGE[damage](made.pack_path(pack))

    result = restore(recoup, repo, second.id, tmp_path / "out", "--no-cache", code=1 if lost else 0)
    assert_same(tree, tmp_path / "out/tree", ignore=lambda path: path in lost, links=False)
    for path in lost - {b"d0/f0", b"d1/twin"}:
        assert os.fsdecode(path) in result.errors, f"{path} is not reported\n{result}"
    if lost & {b"d0/f0", b"d1/twin"}:  # one file with two names is reported by one of them
        assert "d0/f0" in result.errors or "d1/twin" in result.errors
    report = restore(recoup, repo, second.id, tmp_path / "json", "--json", "--no-cache", code=1 if lost else 0)
    items = {m["item"] for m in report.messages("error")}
    assert items <= {"/tree/" + os.fsdecode(path) for path in lost} and len(items) >= len(lost) - 1
    assert set(repo.files()) <= before and repo.ids("locks") == set()


def test_restore_with_a_damaged_directory(recoup, broken, tmp_path):
    """One directory's tree is unreadable: its contents are lost, its siblings are not."""
    repo, tree, _, second = broken
    made = format.Repo(repo.path)
    victim = next(e for e in made.walk(second.tree) if e.path == b"/tree/d2").node["subtree"]
    place = made.index()["tree", victim][0]
    flip(place.offset + place.length // 2)(made.pack_path(place.pack))
    result = restore(recoup, repo, second.id, tmp_path / "out", "--no-cache", code=1)
    assert "d2" in result.errors
    assert_same(tree, tmp_path / "out/tree", ignore=lambda path: path.startswith(b"d2/") or path == b"d2")
    assert list((tmp_path / "out/tree/d2").iterdir()) == []
    # the first snapshot has the same directory
    result = recoup.run("ls", "--recursive", second.id, "--no-cache", repo=repo, code=None)
    assert "d1/f1" in result.text


def test_restore_with_a_damaged_root(recoup, broken, tmp_path):
    repo, _, first, second = broken
    made = format.Repo(repo.path)
    place = made.index()["tree", second.tree][0]
    flip(place.offset + 20)(made.pack_path(place.pack))
    result = restore(recoup, repo, second.id, tmp_path / "out", "--no-cache", code=1)
    assert result.errors.strip()
    restore(recoup, repo, first.id, tmp_path / "first", "--no-cache")


def test_a_second_copy_of_a_blob_is_used(recoup, restic, broken, tmp_path):
    """Blobs may lie in several packs; a restore succeeds as long as one copy is intact."""
    repo, tree, _, second = broken
    made = format.Repo(repo.path)
    writer = made.writer()
    originals = packs_of(repo, "data") + packs_of(repo, "tree")
    for kind, name in list(made.index()):
        writer.add(kind, made.blob(kind, name))
    writer.finish()
    for pack in originals:
        flip(100)(made.pack_path(pack))
    restore(recoup, repo, second.id, tmp_path / "out", "--no-cache")
    assert_same(tree, tmp_path / "out/tree")
    assert recoup.run("dump", second.id, "/tree/d0/f0", "--no-cache", repo=repo).out == (tree / "d0/f0").read_bytes()
    result = recoup.run("check", "--read-data", repo=repo, code=1)
    for pack in originals:
        assert pack in result.everything


def test_damaged_files_come_back_with_the_next_backup(recoup, restic, broken, tmp_path):
    """After `repair index` the lost blobs are unknown: unchanged files are read again and heal the repository."""
    repo, tree, _, second = broken
    made = format.Repo(repo.path)
    for pack in packs_of(repo, "data")[:2]:
        remove(made.pack_path(pack))
    restic.run("repair", "index", repo=repo)
    healed = backup(recoup, repo, "tree", cwd=tree.parent, code=(0, 3))  # restic counts each such file as an error
    assert healed.tree == second.tree and healed.summary["data_blobs"] > 0
    check_clean(restic, repo)
    restore(recoup, repo, second.id, tmp_path / "out")
    assert_same(tree, tmp_path / "out/tree")


def test_backup_beside_a_damaged_snapshot(recoup, broken):
    """A snapshot that cannot be read is no parent: either the backup goes on from another one, or it refuses and names it."""
    repo, tree, first, second = broken
    flip(30)(repo.path / "snapshots" / second.id)
    result = recoup.run("backup", "tree", "--json", "--host=interop", repo=repo, cwd=tree.parent, code=(0, 1))
    if result.code == 0:
        stored = format.Repo(repo.path).load("snapshots", result.summary["snapshot_id"])
        assert stored["parent"] == first.id and stored["tree"] == second.tree
    else:
        assert named(result, second.id)
    assert repo.ids("locks") == set()


def test_backup_with_a_damaged_index(recoup, restic, broken, tmp_path):
    """Either the backup refuses, or it makes a snapshot that restores."""
    repo, tree, _, _ = broken
    for name in format.Repo(repo.path).names("index")[:1]:
        flip(40)(repo.path / "index" / name)
    result = recoup.run("backup", "tree", "--json", repo=repo, cwd=tree.parent, code=None)
    if result.code == 0:
        restore(restic, repo, result.summary["snapshot_id"], tmp_path / "out")
        assert_same(tree, tmp_path / "out/tree")
    else:
        assert result.code == 1 and result.errors.strip()
    assert repo.ids("locks") == set()


@pytest.mark.parametrize("number", range(12))
def test_random_damage(recoup, restic, broken, tmp_path, number):
    """One random flip anywhere: check --read-data finds it, and no wrong byte is ever restored without being reported."""
    repo, tree, _, second = broken
    rng = random.Random(f"damage {SEED} {repo.version} {number}")
    name = rng.choice([n for n in sorted(repo.files()) if not n.startswith(("config", "keys"))])
    size = (repo.path / name).stat().st_size
    flip(rng.randrange(size))(repo.path / name)
    result = recoup.run("check", "--read-data", repo=repo, code=1)
    assert named(result, pathlib.PurePath(name).name), (name, result)
    result = restore(recoup, repo, second.id, tmp_path / "out", "--no-cache", code=None)
    if result.code == 0:
        assert_same(tree, tmp_path / "out/tree")
    else:
        assert result.code == 1 and result.errors.strip()
        for line in compare_trees(tree, tmp_path / "out/tree", links=False) if (tmp_path / "out/tree").exists() else []:
            path = pathlib.PurePosixPath("/tree") / line.split(":")[0][2:-1]
            assert any(str(above) in result.errors for above in [path, *path.parents[:-1]]), line
