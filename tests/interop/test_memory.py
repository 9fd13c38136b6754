"""A backup needs no more memory than docs/performance.md says, and no more of it for more data; nor does reading a large directory."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from support import format, storage
from support.trees import noise, write

pytestmark = pytest.mark.recoup_only

MIB = 1 << 20
#: Runs a command and leaves its peak resident set, in bytes. A process of its own, because a child's mark begins with that
#: of who forked it, and pytest is larger than what is measured.
LAUNCHER = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss * 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""
#: what the launcher itself takes, and less than any run of ours
LAUNCHER_SIZE = 12 * MIB
#: the executable, libraries and what a start needs
START = 10 * MIB
SCRYPT = 32 * MIB


def documented_peak(threads: int, connections: int, blobs: int, longest_chunk: bool = False, pack_in_memory: int = 0) -> int:
    """Bytes: the rows of the table in docs/performance.md, in its order."""
    buffer, open_pack = (8.5, 8.5) if longest_chunk else (4.5, 6)
    if pack_in_memory:
        open_pack = pack_in_memory / MIB + 8.5
    work = (buffer * 2 * threads + 1 * threads + open_pack * 2 * (max(2, threads) + connections) + 5 * threads) * MIB
    return START + max(SCRYPT, round(work) + 40 * blobs + 100 * min(blobs, 50_000))


@pytest.fixture
def peak(recoup, tmp_path):
    """peak(repo, "backup", …): runs it; returns its peak resident set, in bytes."""

    def run(repo, *args, **more) -> int:
        noted = tmp_path / "peak"
        recoup.run(*args, repo=repo, wrap=[sys.executable, "-I", "-S", "-c", LAUNCHER, str(noted)], **more)
        measured = int(noted.read_text())
        assert measured > LAUNCHER_SIZE, "this is what the launcher needs: nothing was measured"
        return measured

    return run


def large_file(top: pathlib.Path, mebibytes: int) -> pathlib.Path:
    top.mkdir()
    with open(top / "large", "wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(MIB))
    return top


def small_files(top: pathlib.Path, count: int) -> pathlib.Path:
    for number in range(count):
        folder = top / f"d{number % 97}"
        folder.mkdir(parents=True, exist_ok=True)
        write(os.fsencode(folder / f"f{number}"), noise(number % 9000, number))
    return top


def blobs_in(repo) -> int:
    return sum(len(pack["blobs"]) for name in format.Repo(repo.path).names("index")
               for pack in format.Repo(repo.path).load("index", name)["packs"])


def allowed(repo, connections: int, **more) -> int:
    return documented_peak(len(os.sched_getaffinity(0)), connections, blobs_in(repo),
                           pack_in_memory=16 * MIB if storage.is_bucket() else 0, **more)


@pytest.mark.parametrize("connections", [2, 8])
def test_large_file(peak, new_repo, tmp_path, connections):
    repo = new_repo()
    option = f"{'s3' if storage.is_bucket() else 'local'}.connections={connections}"
    needed = peak(repo, "-o", option, "backup", large_file(tmp_path / "data", 512))
    assert needed <= allowed(repo, connections)


@pytest.mark.local_only
def test_memory_does_not_grow_with_the_file(peak, new_repo, tmp_path):
    repo = new_repo()
    small = peak(repo, "backup", large_file(tmp_path / "small", 96))
    large = peak(repo, "backup", large_file(tmp_path / "large", 768))
    # Which of two threads had how many chunks in hand differs from run to run; the file's 672 MiB more do not show.
    assert large <= small + 24 * MIB


@pytest.mark.local_only
def test_many_small_files(peak, new_repo, tmp_path):
    repo = new_repo()
    needed = peak(repo, "backup", small_files(tmp_path / "data", 20_000))
    assert needed <= allowed(repo, 2)
    # again, with the parent's trees and the index
    assert peak(repo, "backup", tmp_path / "data") <= allowed(repo, 2)


@pytest.mark.local_only
def test_longest_chunks(peak, new_repo, tmp_path):
    """A byte that is repeated, other than zero, has no cut for most polynomials: each chunk is 8 MiB."""
    repo = new_repo()
    (tmp_path / "data").mkdir()
    with open(tmp_path / "data" / "file", "wb") as file:
        for number in range(48):
            file.write(bytes([number + 1]) * (8 * MIB))
    needed = peak(repo, "backup", tmp_path / "data")
    assert needed <= allowed(repo, 2, longest_chunk=True)


@pytest.mark.local_only
@pytest.mark.parametrize("command", [("check", "--read-data"), ("restore", "latest", "--target")], ids=["check", "restore"])
def test_reading_back_does_not_need_memory_for_the_file_either(peak, new_repo, tmp_path, command):
    measured = []
    for mebibytes in (96, 768):
        repo = new_repo(f"repo{mebibytes}")
        peak(repo, "backup", large_file(tmp_path / str(mebibytes), mebibytes))
        target = [tmp_path / f"out{mebibytes}"] if command[0] == "restore" else []
        measured.append(peak(repo, *command, *target))
    assert measured[1] <= measured[0] + 24 * MIB


def test_a_large_directory(peak, recoup, new_repo, tmp_path):
    """`ls`, `find`, `dump` and `stats` go through a directory some entries at a time. Read whole, this one takes 200 MiB more than the small one."""
    measured = {}
    for count in (1000, 150_000):
        top = tmp_path / f"files-{count}"
        top.mkdir()
        for number in range(count):
            (top / f"file-with-a-name-{number:09}").touch()
        repo = new_repo(str(count))
        recoup.run("backup", top, repo=repo)
        last = f"file-with-a-name-{count - 1:09}"
        for what, words in {"ls": ["ls", "latest"], "ls --json": ["ls", "--json", "latest", top], "find": ["find", last], "stats": ["stats"],
                            "dump": ["dump", "latest", top / last], "dump tar": ["dump", f"latest:{top}", "/", "--target", tmp_path / "tar"]}.items():
            measured.setdefault(what, []).append(peak(repo, *words))
    for what, (few, many) in measured.items():
        assert many < few + 16 * MIB, what
