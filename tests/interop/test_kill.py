"""Killed, interrupted, out of space: the repository stays clean, earlier snapshots restore, the next run finishes the work."""

import errno
import os
import pathlib
import random
import shutil
import signal
import subprocess

import pytest

from support import format, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.killer import Killer
from support.programs import HOST, Repository, stand_in, wait_until
from support.trees import noise, write

SEED = int(os.environ.get("RECOUP_SEED", "1"))
#: in all, spread over four cases that can run beside each other: two of backups, two of restores
KILLS = int(os.environ.get("RECOUP_KILLS", "200"))
PER_CASE = max(5, KILLS // 4)
PER_ROUND = 10


def many_files(top: pathlib.Path, seed: object, scale: int) -> pathlib.Path:
    """New contents for a tree of many small and some large files: `scale` times 12 MB."""
    rng = random.Random(repr(seed))
    for number in range(300 * scale):
        folder = top / f"d{number % 17}"
        folder.mkdir(parents=True, exist_ok=True)
        write(os.fsencode(folder / f"f{number}"), rng.randbytes(rng.randint(0, 20_000)))
    for number in range(3 * scale):
        write(os.fsencode(top / f"large{number}"), rng.randbytes(3_000_000))
    return top


def measured(run) -> tuple[int, float]:
    """The scale at which one undisturbed run takes about 0.4 s, and how long it then takes. `run(scale)` returns seconds."""
    seconds = run(1)
    scale = max(1, min(8, round(0.4 / seconds)))
    return scale, run(scale) if scale > 1 else seconds


def assert_whole(repo: Repository, earlier: set[str]) -> set[str]:
    """What must hold at once after any crash, by our own reader. Returns the snapshots."""
    made = format.Repo(repo.path)
    assert made.problems() == []
    names = set(made.names("snapshots"))
    assert earlier <= names
    return names


@pytest.mark.parametrize("case", [0, 1])
def test_kill_backup(recoup, restic, new_repo, tmp_path, case):
    """Rounds of kills while new files are saved; each round ends with a backup that nobody disturbs."""
    rng = random.Random(f"kill backup {SEED} {case}")
    source = tmp_path / "source"

    def run(scale):
        many_files(source, (SEED, case, "scale"), scale)
        return backup(recoup, new_repo(f"probe-{scale}"), source).result.seconds

    scale, seconds = measured(run)
    many_files(source, (SEED, case, 0), scale)
    repo = new_repo(version=2 - case)
    first = backup(restic, repo, "source", cwd=tmp_path)
    subprocess.run(["cp", "-a", source, tmp_path / "kept"], check=True)
    print(f"seed {SEED}, case {case}: {12 * scale} MB, undisturbed {seconds:.2f} s")

    kill = Killer(seconds, rng)
    earlier = {first.id}
    while kill.goes_on(PER_CASE):
        many_files(source, (SEED, case, kill.shots), scale)
        for _ in range(PER_ROUND):
            moment = kill(recoup.start("backup", "source", "--host", HOST, "--pack-size=4", repo=repo, cwd=tmp_path))
            try:
                names = assert_whole(repo, earlier)
            except AssertionError as why:
                raise AssertionError(f"kill {kill.shots} after {moment:.4f} s: {why}") from why
            if names != earlier:  # it was quicker: it needs new work
                earlier = names
                many_files(source, (SEED, case, kill.shots, "again"), scale)
            if not kill.goes_on(PER_CASE):
                break
        last = backup(recoup, repo, "source", cwd=tmp_path)
        earlier = assert_whole(repo, earlier | {last.id})
        restic.run("unlock", repo=repo)
        check_clean(restic, repo, read_data=not kill.goes_on(PER_CASE))
        if not stand_in():
            assert format.Repo(repo.path).stored_twice() == {}, "what a killed run had stored was stored again"
        for snapshot, original, program in ((first.id, tmp_path / "kept", restic), (last.id, source, recoup)):
            restore(program, repo, snapshot, tmp_path / "out")
            assert_same(original, tmp_path / "out/source")
            shutil.rmtree(tmp_path / "out")
    print(kill)
    assert kill.has_hit, kill


@pytest.mark.parametrize("case", [0, 1])
def test_kill_restore(recoup, restic, new_repo, tmp_path, case):
    """The repository does not change; a second restore into what the first one left completes it."""
    rng = random.Random(f"kill restore {SEED} {case}")
    source = tmp_path / "source"
    probe = new_repo("probe")

    def run(scale):
        made = backup(restic, probe, many_files(source, (SEED, case), scale))
        seconds = restore(recoup, probe, made.id, tmp_path / f"probe-{scale}").seconds
        shutil.rmtree(tmp_path / f"probe-{scale}")
        return seconds

    scale, seconds = measured(run)
    trees.RandomTree(source / "odd", (SEED, case)).grow(60)
    repo = new_repo(version=2 - case)
    made = backup(restic, repo, "source", "--pack-size=4", cwd=tmp_path)
    before = {name: size for name, size in repo.files().items() if not name.startswith("locks")}
    print(f"seed {SEED}, case {case}: {12 * scale} MB, undisturbed {seconds:.2f} s")
    kill = Killer(seconds, rng)
    while kill.goes_on(PER_CASE):
        kill(recoup.start("restore", made.id, "--target", tmp_path / "out", repo=repo))
        assert before == {name: size for name, size in repo.files().items() if not name.startswith("locks")}
        if kill.shots % 5 == 0 or not kill.goes_on(PER_CASE):
            restore(recoup, repo, made.id, tmp_path / "out")
            assert_same(source, tmp_path / "out/source", root=True)
            shutil.rmtree(tmp_path / "out")
    restic.run("unlock", repo=repo)
    check_clean(restic, repo)
    print(kill)
    assert kill.has_hit, kill


# ---- interrupted ---------------------------------------------------------------------------------------------------------

#: what takes 15 seconds with `large`, so that it is still at work when the signal comes
SLOWLY = ["--limit-upload=20000", "--limit-download=20000"]


@pytest.fixture
def large(tmp_path):
    (tmp_path / "large").mkdir()
    with open(tmp_path / "large/noise", "wb") as file:
        for number in range(30):
            file.write(noise(10_000_000, ("signal", number)))
    return tmp_path / "large"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_backup(recoup, restic, repo, large, small_tree, tmp_path, number):
    first = backup(recoup, repo, "small", cwd=tmp_path)
    before = len(repo.files("data"))
    with recoup.start("backup", "large", "--host", HOST, *SLOWLY, repo=repo, cwd=tmp_path) as running:
        wait_until(lambda: len(repo.files("data")) > before, what="a pack is written", step=0.002)
        assert len(repo.ids("locks")) == 1
        running.kill(number)
        running.finish(130, timeout=180)
    assert repo.ids("locks") == set()
    assert set(format.Repo(repo.path).names("snapshots")) == {first.id}
    assert [name for name in repo.files() if "tmp" in name] == []
    check_clean(restic, repo)
    last = backup(recoup, repo, "large", cwd=tmp_path)
    check_clean(restic, repo)
    restore(restic, repo, last.id, tmp_path / "out")
    assert_same(large, tmp_path / "out/large")
    if not stand_in():
        assert format.Repo(repo.path).stored_twice() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_restore_and_check(recoup, restic, repo, large, tmp_path, number):
    backup(restic, repo, "large", cwd=tmp_path)
    out = tmp_path / "out/large/noise"
    with recoup.start("restore", "latest", "--target", tmp_path / "out", *SLOWLY, repo=repo) as running:
        wait_until(lambda: out.exists() and out.stat().st_blocks > 0, what="the restore writes", step=0.002)
        running.kill(number)
        running.finish(130, timeout=180)
    assert repo.ids("locks") == set()
    restore(recoup, repo, "latest", tmp_path / "out")
    assert_same(large, tmp_path / "out/large")
    with recoup.start("check", "--read-data", *SLOWLY, repo=repo) as running:
        wait_until(lambda: len(repo.ids("locks")) > 0, what="the lock of check", step=0.002)
        running.kill(number)
        running.finish(130, timeout=180)
    assert repo.ids("locks") == set()


# ---- no room -------------------------------------------------------------------------------------------------------------

@pytest.mark.local_only
@pytest.mark.parametrize("limit", ["size=24m", "size=400m,nr_inodes=30"])
def test_full_disk_below_the_repository(recoup, restic, new_repo, tmpfs, small_tree, tmp_path, version, limit):
    disk = tmpfs("disk", limit)
    repo = new_repo("repo", version, where=disk)
    first = backup(recoup, repo, "small", cwd=tmp_path)
    source = many_files(tmp_path / "source", "full disk", 4)
    result = recoup.run("backup", "source", "--pack-size=4", "--host", HOST, repo=repo, cwd=tmp_path, code=1)
    if not (stand_in() and "inodes" in limit):  # restic then says that its own directory does not exist
        assert os.strerror(errno.ENOSPC).lower() in result.errors.lower(), result
    assert assert_whole(repo, {first.id}) == {first.id}
    assert repo.ids("locks") == set()
    assert [name for name in repo.files() if "tmp" in name] == []
    check_clean(restic, repo, "--no-lock", "--no-cache")
    restore(restic, repo, "latest", tmp_path / "out", "--no-lock")
    assert_same(small_tree, tmp_path / "out/small")

    subprocess.run(["mount", "-o", "remount,size=600m,nr_inodes=9000", disk], check=True)
    last = backup(recoup, repo, "source", cwd=tmp_path)
    check_clean(restic, repo)
    restore(restic, repo, last.id, tmp_path / "out2")
    assert_same(source, tmp_path / "out2/source")
    if not stand_in():
        assert format.Repo(repo.path).stored_twice() == {}, "what was stored before the disk was full was stored again"


@pytest.mark.local_only
def test_read_only_repository(recoup, restic, new_repo, tmpfs, small_tree, tmp_path):
    disk = tmpfs("disk")
    repo = new_repo("repo", where=disk)
    backup(recoup, repo, "small", cwd=tmp_path)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    if not stand_in():  # restic tries again for 15 minutes
        result = recoup.run("backup", "small", repo=repo, cwd=tmp_path, code=1, timeout=180)
        assert "read-only" in result.errors.lower()
    restore(recoup, repo, "latest", tmp_path / "out", "--no-lock")
    assert_same(small_tree, tmp_path / "out/small")
    check_clean(recoup, repo, "--no-lock")
    for command in (["snapshots"], ["ls", "latest"], ["stats"], ["find", "f1"], ["list", "packs"]):
        recoup.run(*command, "--no-lock", repo=repo)


def test_full_disk_below_the_target(recoup, restic, new_repo, tmpfs, tmp_path):
    repo = new_repo()
    source = many_files(tmp_path / "source", "full target", 2)
    backup(restic, repo, "source", cwd=tmp_path)
    before = repo.files()
    disk = tmpfs("disk", "size=8m")
    result = restore(recoup, repo, "latest", disk / "out", code=1)
    assert os.strerror(errno.ENOSPC).lower() in result.errors.lower(), result
    assert repo.files() == before
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    restore(recoup, repo, "latest", disk / "out")
    assert_same(source, disk / "out/source")


@pytest.mark.recoup_only
def test_full_disk_below_the_cache(recoup, restic, repo, tmpfs, small_tree, tmp_path):
    """A cache is a convenience: without room for it everything works all the same. restic gives up."""
    disk = tmpfs("disk", "size=64k,nr_inodes=6")
    env = {"RESTIC_CACHE_DIR": str(disk / "cache")}
    many_files(tmp_path / "small", "cache", 1)
    backup(recoup, repo, "small", cwd=tmp_path, env=env)
    recoup.run("ls", "latest", repo=repo, env=env)
    restore(recoup, repo, "latest", tmp_path / "out", env=env)
    assert_same(small_tree, tmp_path / "out/small")
    check_clean(restic, repo)
