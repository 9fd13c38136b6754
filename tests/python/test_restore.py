"""Restoring: a whole tree, parts of it, over what exists; progress and being stopped."""

from __future__ import annotations

import os
import pathlib
import stat

import pytest
from samples import MIB, noise

import recoup


def contents(top: pathlib.Path) -> dict[str, tuple[int, int, object]]:
    """Mode, mtime and content or target of everything below a directory."""
    found = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(top))] = (status.st_mode, status.st_mtime_ns, content)
    return found


@pytest.fixture
def snapshot(repository, tree) -> recoup.Snapshot:
    (tree / "a.txt").chmod(0o4640)
    os.utime(tree / "sub" / "deep", ns=(5, -7))
    repository.backup(tree)
    return repository.snapshot()


def test_restored_equals_original(snapshot, tree, tmp_path):
    seen: list[recoup.RestoreProgress] = []
    result = snapshot.restore(tmp_path / "out", subfolder=tree, verify=True, progress=seen.append)
    assert contents(tmp_path / "out") == contents(tree)
    assert result.errors == [] and result.files_verified == 5
    result.raise_for_errors()
    last = seen[-1]
    assert last.files_done == last.total_files == result.total_files == result.files_restored + result.files_skipped
    assert last.bytes_done == last.total_bytes == result.total_bytes == result.bytes_restored
    for before, after in zip(seen, seen[1:]):
        assert before.files_done <= after.files_done and before.bytes_done <= after.bytes_done


def test_whole_snapshot_has_its_paths(repository, snapshot, tree, tmp_path):
    repository.restore("latest", tmp_path / "out")
    assert contents(tmp_path / "out" / str(tree)[1:]) == contents(tree)


def test_parts(snapshot, tree, tmp_path):
    snapshot.restore(tmp_path / "one", subfolder=tree, include="*.txt")
    assert set(contents(tmp_path / "one")) == {"a.txt"}
    snapshot.restore(tmp_path / "two", subfolder=tree, iinclude=["*.txt"])
    assert set(contents(tmp_path / "two")) == {"a.txt", "sub", "sub/deep", "sub/deep/C.TXT"}
    snapshot.restore(tmp_path / "three", subfolder=tree, exclude=["sub", "b.*"])
    assert set(contents(tmp_path / "three")) == {"a.txt", "empty", "link"}
    with pytest.raises(recoup.InvalidArgumentError, match="exclusive"):
        snapshot.restore(tmp_path / "four", include="a", iexclude="b")
    with pytest.raises(recoup.NotFoundError):
        snapshot.restore(tmp_path / "four", subfolder="/nowhere")
    assert not (tmp_path / "four").exists()


def test_over_what_exists(snapshot, tree, tmp_path):
    out = tmp_path / "out"
    snapshot.restore(out, subfolder=tree)
    (out / "a.txt").write_text("mine")
    (out / "extra").write_text("mine too")
    assert snapshot.restore(out, subfolder=tree, overwrite="never").files_restored <= 3
    assert (out / "a.txt").read_text() == "mine"
    dry = snapshot.restore(out, subfolder=tree, delete=True, dry_run=True)
    assert dry.files_deleted == 1 and (out / "extra").exists()
    result = snapshot.restore(out, subfolder=tree, delete=True)
    assert result.files_deleted == 1
    assert contents(out) == contents(tree)
    with pytest.raises(recoup.InvalidArgumentError, match="overwrite"):
        snapshot.restore(out, overwrite="sometimes")  # type: ignore[arg-type]


def test_sparse(repository, tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(8 * MIB))
    repository.backup(tmp_path / "zeros")
    repository.snapshot().restore(tmp_path / "out", sparse=True)
    restored = tmp_path / "out" / str(tmp_path)[1:] / "zeros"
    assert restored.stat().st_size == 8 * MIB and restored.stat().st_blocks * 512 < MIB


def test_what_cannot_be_restored_is_listed(repository, snapshot, tree, tmp_path):
    large = snapshot.stat(tree / "sub" / "large")
    for pack in pathlib.Path(repository.location, "data").rglob("*"):
        if pack.is_file() and pack.stat().st_size > MIB:
            pack.unlink()
    result = snapshot.restore(tmp_path / "out", subfolder=tree)
    assert any(error.path == "/sub/large" for error in result.errors)
    with pytest.raises(recoup.IncompleteError):
        result.raise_for_errors()
    with pytest.raises(recoup.DamagedError):
        snapshot.read_bytes(tree / "sub" / "large")
    assert large.size == 5 * MIB


def test_target_that_is_a_file(snapshot, tree):
    with pytest.raises(recoup.StorageError):
        snapshot.restore(tree / "a.txt")


def test_stopping(repository, tmp_path, others_run_during, interrupts_when):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(40):
        (source / f"f{number}").write_bytes(noise(MIB, number))
    repository.backup(source)
    snapshot = repository.snapshot()

    def stop(now):
        if now.bytes_done:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        snapshot.restore(tmp_path / "out", progress=stop)
    interrupts_when(lambda: os.listdir(f"{repository.location}/locks") != [])
    with pytest.raises(KeyboardInterrupt):
        while True:  # one may be over before the signal comes; in the middle, always: test_repository_in_buckets.py
            snapshot.restore(tmp_path / "out2", verify=True)
    assert os.listdir(f"{repository.location}/locks") == []
    assert others_run_during(lambda: snapshot.restore(tmp_path / "out", subfolder=source))
    assert contents(tmp_path / "out").keys() >= contents(source).keys()
