"""Repository.check: clean when all is well, and naming what is damaged."""

from __future__ import annotations

import os
import pathlib

import pytest
from samples import MIB

import recoup


def packs(repository) -> list[pathlib.Path]:
    files = [path for path in pathlib.Path(repository.location, "data").rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: path.stat().st_size)


def test_clean(repository, tree):
    repository.backup(tree)
    seen: list[recoup.CheckProgress] = []
    result = repository.check(read_data=True, progress=seen.append)
    assert result.clean and result.errors == [] == result.broken_packs
    result.raise_for_errors()
    assert seen[-1] == recoup.CheckProgress("packs", len(packs(repository)), len(packs(repository)))


def test_empty_repository_is_clean(repository):
    assert repository.check(read_data=1.0).clean


def test_flipped_byte_is_found_by_reading_only(repository, tree):
    repository.backup(tree)
    largest = packs(repository)[-1]
    largest.chmod(0o600)
    with open(largest, "r+b") as file:
        file.seek(2 * MIB)
        byte = file.read(1)
        file.seek(2 * MIB)
        file.write(bytes([byte[0] ^ 1]))
    assert repository.check().clean
    result = repository.check(read_data=True)
    assert not result.clean and result.broken_packs == [largest.name]
    with pytest.raises(recoup.DamagedError, match=largest.name):
        result.raise_for_errors()
    with pytest.raises(recoup.DamagedError):
        repository.snapshot().read_bytes(tree / "sub" / "large")


def test_missing_pack_truncated_pack_damaged_index(repository, tree):
    repository.backup(tree)
    smallest, largest = packs(repository)[0], packs(repository)[-1]
    content = smallest.read_bytes()
    smallest.unlink()
    assert repository.check().broken_packs == [smallest.name]
    smallest.write_bytes(content[:-1])
    assert repository.check().broken_packs == [smallest.name]
    smallest.write_bytes(content)
    assert repository.check(True).clean and largest != smallest
    (index,) = pathlib.Path(repository.location, "index").iterdir()
    index.chmod(0o600)
    index.write_bytes(b"\0" * 100)
    result = repository.check()
    assert result.damaged_indexes == [index.name] and result.suggest_repair_index


def test_leftover_pack_is_a_hint(repository, tree):
    repository.backup(tree)
    leftover = pathlib.Path(repository.location, "data", "00", "00" * 32)
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_bytes(b"x")
    result = repository.check()
    assert result.clean and result.unreferenced_packs == 1 and result.suggest_prune
    assert "00" * 32 in result.hints[0]


def test_of_some_snapshots_only(repository, tree, tmp_path):
    repository.backup(tree / "a.txt")
    first = repository.snapshot()
    before = set(packs(repository))
    repository.backup(tree / "sub")
    for pack in set(packs(repository)) - before:
        pack.unlink()
    assert not repository.check().clean
    assert repository.check(True, snapshots=[first]).broken_packs != []  # listed in the index all the same
    assert any("does not exist" in error for error in repository.check(snapshots=[first]).errors)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, 10, float("nan")])
def test_fractions(repository, tree, wrong):
    repository.backup(tree)
    assert repository.check(0.01).clean and repository.check(0).clean
    with pytest.raises(recoup.InvalidArgumentError):
        repository.check(wrong)


def test_stopping(repository, tree, others_run_during, interrupts_when):
    repository.backup(tree)

    def stop(now):
        raise RuntimeError(now.phase)

    with pytest.raises(RuntimeError):
        repository.check(progress=stop)
    interrupts_when(lambda: os.listdir(f"{repository.location}/locks") != [])
    with pytest.raises(KeyboardInterrupt):
        while True:  # one may be over before the signal comes; in the middle of reading, always: test_repository_in_buckets.py
            repository.check(read_data=True)
    assert os.listdir(f"{repository.location}/locks") == []
    assert others_run_during(lambda: repository.check(read_data=True))
