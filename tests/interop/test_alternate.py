"""One repository, two programs: what recoup writes restic checks, restores, prunes and continues, and the other way round."""

import os
import stat
import subprocess

import pytest

from support import format, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.programs import Repository
from support.storage import place

SEED = int(os.environ.get("RECOUP_SEED", "1"))


@pytest.fixture(params=["restic", "restic_old"])
def other(request):
    """restic 0.19.1, then 0.14.0."""
    return request.getfixturevalue(request.param)


def judge(repo):
    """Our own reader's opinion of the whole repository."""
    made = format.Repo(repo.path, repo.password)
    assert made.problems() == []
    assert made.index_and_headers_differ() == []
    return made


# ---- recoup writes, restic goes on ---------------------------------------------------------------------------------------

def test_a_repository_from_init_to_prune(recoup, other, version, tmp_path):
    """recoup: init, backup, change, backup. restic: check, restore, diff, forget, prune. recoup: restore, backup."""
    repo = Repository(place(tmp_path / "repo"), version)
    made = recoup.run("init", "--json", "--repository-version", version, repo=repo).json()
    config = other.run("cat", "config", repo=repo).json()
    assert (config["version"], config["id"]) == (version, made["id"])

    format.Repo(repo.path).replace_keys(repo.password)  # both opened the real key; from here on a cheap one

    source = trees.small_tree(tmp_path / "source")
    (source / "text").write_bytes(trees.text(300_000, "text"))
    (source / "large").write_bytes(trees.noise(9_000_000, "large"))
    first = backup(recoup, repo, "source", cwd=tmp_path)
    (source / "added").write_bytes(trees.noise(200_000, "added"))
    (source / "text").unlink()
    second = backup(recoup, repo, "source", cwd=tmp_path)
    judge(repo)
    check_clean(other, repo)
    restore(other, repo, second.id, tmp_path / "out")
    assert_same(source, tmp_path / "out/source")

    said = other.run("diff", first.id, second.id, repo=repo).text
    assert "+    /source/added" in said and "-    /source/text" in said
    other.run("forget", first.id, "--prune", "--max-unused=0", repo=repo)
    check_clean(other, repo)
    judge(repo)

    restore(recoup, repo, "latest", tmp_path / "again")
    assert_same(source, tmp_path / "again/source")
    third = backup(recoup, repo, "source", cwd=tmp_path)
    assert third.snapshot["parent"] == second.id and third.tree == second.tree
    assert third.summary["data_blobs"] == third.summary["tree_blobs"] == third.summary["files_new"] == 0
    check_clean(other, repo)


def test_the_odd_tree_written_by_recoup(recoup, other, restorable_tree, new_repo, version, tmp_path):
    repo = new_repo(version=version)
    made = backup(recoup, repo, restorable_tree.name, cwd=restorable_tree.parent)
    check_clean(other, repo)
    judge(repo)
    if other.name == "restic":  # 0.14 knows neither every attribute nor every name
        restore(other, repo, made.id, tmp_path / "out")
        assert_same(restorable_tree, tmp_path / "out" / restorable_tree.name, root=True)
    else:
        restore(other, repo, made.id, tmp_path / "out", "--include", "/restorable/contents")
        assert_same(restorable_tree / "contents", tmp_path / "out/restorable/contents")


def test_both_alternate(recoup, other, new_repo, version, tmp_path):
    """Six rounds on a tree that changes, each file seen by the other program before: no file's data is stored again."""
    repo = new_repo(version=version)
    source = trees.RandomTree(tmp_path / "tree", ("alternate", SEED, version))
    source.grow(80)
    kept = []
    for turn in range(6):
        program, follower = (recoup, other) if turn % 2 else (other, recoup)
        backup(program, repo, "tree", cwd=tmp_path)
        second = backup(follower, repo, "tree", cwd=tmp_path)
        assert second.summary["data_blobs"] == 0 and second.summary["files_new"] == second.summary["files_changed"] == 0, second.result
        forced = backup(follower, repo, "tree", "--force", cwd=tmp_path)
        assert forced.summary["data_blobs"] == 0, forced.result
        if other.name == "restic":
            assert second.summary["tree_blobs"] == forced.summary["tree_blobs"] == 0
        if turn in (0, 3):
            subprocess.run(["cp", "-a", tmp_path / "tree", tmp_path / f"kept-{turn}"], check=True)
            kept.append((second.id, tmp_path / f"kept-{turn}"))
        source.change()
    check_clean(other, repo)
    made = judge(repo)
    assert {blob: packs for blob, packs in made.stored_twice().items() if blob[0] == "data"} == {}
    for snapshot, copy in kept:
        for program in (recoup, other):
            target = tmp_path / f"restored-{program.name}-{snapshot[:8]}"
            restore(program, repo, snapshot, target)
            assert_same(copy, target / "tree", ignore=_target_is_no_utf8(copy) if other.name == "restic-old" else lambda path: False)


def _target_is_no_utf8(tree):
    """restic 0.14 neither writes nor reads the field that holds such targets of symlinks."""
    def ignore(path):
        full = os.path.join(os.fsencode(tree), path)
        if not os.path.islink(full):
            return False
        target = os.readlink(full)
        return target.decode("utf-8", "replace").encode() != target
    return ignore


def test_prune_of_a_shared_repository(recoup, restic, new_repo, version, tmp_path):
    """restic repacks everything that recoup packed; recoup continues on the new packs."""
    repo = new_repo(version=version)
    tree = trees.small_tree(tmp_path / "tree", files=60, bytes_each=200_000)
    backup(recoup, repo, "tree", "--pack-size=4", cwd=tmp_path)
    for number in range(0, 60, 3):
        (tree / f"d{number % 4}/f{number}").unlink()
    last = backup(recoup, repo, "tree", "--pack-size=4", cwd=tmp_path)
    restic.run("forget", "--keep-last=1", "--prune", "--max-unused=0", "--repack-small", "--pack-size=8", repo=repo,
               code=(0, 1))
    restic.run("forget", "--keep-last=1", "--group-by=", "--prune", "--max-unused=0", repo=repo)
    made = judge(repo)
    assert list(made.snapshots()) == [last.id] and made.stored_twice() == {}
    again = backup(recoup, repo, "tree", cwd=tmp_path)
    assert again.tree == last.tree and again.summary["data_blobs"] == again.summary["tree_blobs"] == 0
    restore(recoup, repo, "latest", tmp_path / "out")
    assert_same(tree, tmp_path / "out/tree")
    check_clean(restic, repo)


def test_index_rebuilt_from_pack_headers(recoup, restic, new_repo, version, tmp_path, small_tree):
    repo = new_repo(version=version)
    backup(recoup, repo, "small", cwd=tmp_path)
    before = format.Repo(repo.path).index()
    for name in format.Repo(repo.path).names("index"):
        (repo.path / "index" / name).unlink()
    restic.run("repair", "index", "--read-all-packs", repo=repo)
    assert format.Repo(repo.path).index() == before
    again = backup(recoup, repo, "small", cwd=tmp_path)
    assert again.summary["data_blobs"] == 0
    check_clean(restic, repo)


def test_upgrade_to_version_2(recoup, restic, new_repo, tmp_path, small_tree):
    repo = new_repo(version=1)
    first = backup(recoup, repo, "small", cwd=tmp_path)
    restic.run("migrate", "upgrade_repo_v2", repo=repo)
    (small_tree / "text").write_bytes(trees.text(500_000, "compressible"))
    second = backup(recoup, repo, "small", cwd=tmp_path)
    assert format.Repo(repo.path).version == 2
    assert second.snapshot["parent"] == first.id and second.summary["data_added_packed"] < 400_000 < second.summary["data_added"]
    check_clean(restic, repo)
    for program in (recoup, restic):
        restore(program, repo, first.id, tmp_path / program.name)
        restore(program, repo, second.id, tmp_path / f"{program.name}-2")
        assert_same(small_tree, tmp_path / f"{program.name}-2/small")


def test_copy_and_rewrite_by_restic(recoup, restic, new_repo, tmp_path, restorable_tree):
    """Both decode and encode trees and refuse what does not come out with the same bytes."""
    repo, second = new_repo("one"), new_repo("two")
    made = backup(recoup, repo, restorable_tree.name, cwd=restorable_tree.parent)
    restic.run("copy", "--from-repo", repo.path, repo=second, env={"RESTIC_FROM_PASSWORD": repo.password})
    (copied,) = format.Repo(second.path).snapshots().values()
    assert copied["tree"] == made.tree
    restic.run("rewrite", "--exclude=/restorable/links/dangling", "--exclude=/restorable/names/with space", repo=second)
    written = {s["tree"] for s in format.Repo(second.path).snapshots().values()}
    assert len(written) == 2 and made.tree in written
    restore(recoup, second, "latest", tmp_path / "out")
    left_out = (b"links/dangling", b"names/with space")
    assert_same(restorable_tree, tmp_path / "out/restorable", ignore=lambda path: path in left_out)


# ---- how it is stored ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("level", ["auto", "off", "fastest", "better", "max"])
def test_compression_levels(recoup, restic, restic_old, repo, tmp_path, level):
    source = tmp_path / "source"
    source.mkdir()
    (source / "text").write_bytes(trees.text(3_000_000, level))
    (source / "zeros").write_bytes(bytes(2_000_000))
    (source / "noise").write_bytes(trees.noise(1_000_000, level))
    made = backup(recoup, repo, "source", "--compression", level, cwd=tmp_path)
    assert made.summary["data_added"] > 4_900_000
    if level == "off":
        assert made.summary["data_added_packed"] > 4_900_000
    else:
        assert made.summary["data_added_packed"] < 3_200_000
    index = judge(repo).index()
    data = [place for (kind, _), (place,) in index.items() if kind == "data"]
    assert all(place.uncompressed > 0 for (kind, _), (place,) in index.items() if kind == "tree")
    if level == "off":
        assert not any(place.uncompressed for place in data)
    else:  # noise would not get shorter
        as_it_is = sum(place.length - 32 for place in data if place.uncompressed == 0)
        assert 1_000_000 - (64 << 10) < as_it_is <= 1_000_000  # a last chunk below 64 KiB is compressed all the same
    check_clean(restic, repo)
    check_clean(restic_old, repo)
    restore(restic, repo, "latest", tmp_path / "out")
    assert_same(source, tmp_path / "out/source")
    again = backup(recoup, repo, "source", "--force", env={"RESTIC_COMPRESSION": "max"}, cwd=tmp_path)
    assert again.summary["data_blobs"] == 0  # compression is no part of an id


@pytest.mark.parametrize("pack_size", [4, 16, 64])
def test_pack_sizes(recoup, restic, repo, tmp_path, pack_size):
    source = tmp_path / "source"
    source.mkdir()
    (source / "noise").write_bytes(trees.noise(40_000_000, "pack size"))
    by_flag = pack_size != 16
    made = backup(recoup, repo, "source", *(["--pack-size", pack_size] if by_flag else []), cwd=tmp_path,
                  env={} if by_flag else {"RESTIC_PACK_SIZE": "16"})
    sizes = sorted(size for size in repo.files("data").values())
    target = pack_size << 20
    # A pack is closed once it has reached the target: no larger than one chunk more, and few smaller ones.
    assert all(size <= target + (8 << 20) + (1 << 20) for size in sizes)
    assert len([size for size in sizes if size < target]) <= 4, sizes
    assert sum(sizes) == pytest.approx(made.summary["data_added_packed"], rel=0.01)
    check_clean(restic, repo)


@pytest.mark.local_only
def test_files_in_the_repository(recoup, tmp_path, small_tree):
    """Names, modes and nothing left over."""
    repo = Repository(tmp_path / "repo")
    recoup.run("init", repo=repo)
    backup(recoup, repo, "small", cwd=tmp_path)
    for name in repo.files():
        path = repo.path / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o400, name
        if name != "config":
            assert path.name == format.sha256(path.read_bytes())
            assert path.parent.name == path.name[:2] if name.startswith("data/") else True
    folders = {str(p.relative_to(repo.path)) for p in repo.path.rglob("*") if p.is_dir()}
    assert folders == {"data", "index", "keys", "locks", "snapshots"} | {f"data/{i:02x}" for i in range(256)}
    assert all(stat.S_IMODE((repo.path / f).stat().st_mode) == 0o700 for f in folders)
    assert repo.files("locks") == {}


@pytest.mark.local_only
def test_group_readable_repositories_stay_so(recoup, restic, repo, tmp_path, small_tree):
    """A repository whose config the group may read gets files that the group may read."""
    for path in [repo.path] + list(repo.path.rglob("*")):
        path.chmod(0o750 if path.is_dir() else 0o440)
    backup(restic, repo, "small", cwd=tmp_path)
    theirs = {stat.S_IMODE((repo.path / n).stat().st_mode) for n in repo.files("data")}
    (small_tree / "new").write_bytes(b"new")
    before = set(repo.files())
    backup(recoup, repo, "small", cwd=tmp_path)
    ours = {stat.S_IMODE((repo.path / n).stat().st_mode) for n in set(repo.files()) - before}
    assert ours == theirs


def test_one_cache_for_both(recoup, restic, repo, tmp_path, small_tree):
    shared = {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    made = format.Repo(repo.path)
    for turn in range(3):
        for program in (recoup, restic):
            (small_tree / "turn").write_text(f"{turn} {program.name}")
            backup(program, repo, "small", cwd=tmp_path, env=shared)
            program.run("ls", "latest", repo=repo, env=shared)
    check_clean(restic, repo, "--with-cache")
    assert made.refresh().problems() == []
    # What is gone from the repository must not live on in the cache.
    restic.run("forget", "--keep-last=1", "--prune", "--max-unused=0", repo=repo)
    for program in (recoup, restic):
        assert len(program.run("snapshots", "--json", repo=repo, env=shared).json()) == 1
        restore(program, repo, "latest", tmp_path / f"out-{program.name}", env=shared)
        assert_same(small_tree, tmp_path / f"out-{program.name}/small")


@pytest.mark.parametrize("option", [["--no-cache"], ["--cache-dir", "{}/own"], ["--cleanup-cache"]], ids=lambda o: o[0])
def test_cache_options(recoup, repo, tmp_path, small_tree, option):
    option = [o.format(tmp_path) for o in option]
    env = {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    backup(recoup, repo, "small", *option, cwd=tmp_path, env=env)
    recoup.run("ls", "latest", *option, repo=repo, env=env)
    # recoup has no cache yet; none may appear where it was not wanted.
    assert option[0] == "--cleanup-cache" or not (tmp_path / "cache").exists()
