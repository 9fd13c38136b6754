"""Repository.copy_to: snapshots arrive whole, once, and what is damaged stays behind."""

from __future__ import annotations

import json
import pathlib

import pytest
from samples import PASSWORD

import recoup


@pytest.fixture
def other(new_location) -> recoup.Repository:
    return recoup.open(new_location(), PASSWORD)


def test_copies_what_is_not_there(repository, other, tree):
    first = repository.backup(tree, tags=["a"], hostname="one")
    (tree / "a.txt").write_text("changed", encoding="utf-8")
    second = repository.backup(tree, tags=["b"], hostname="two")
    seen: list[recoup.CopyProgress] = []
    result = repository.copy_to(other, tags=["a"], progress=seen.append)
    assert [pair.source for pair in result.copied] == [first.snapshot_id] and result.skipped == [] == result.errors
    assert result.blobs == first.data_blobs + first.tree_blobs and result.bytes_stored > 0
    assert seen[-1].phase == "packs" and seen[-1].done == seen[-1].total > 0

    result = repository.copy_to(other)
    assert [pair.source for pair in result.copied] == [second.snapshot_id]
    assert [pair.source for pair in result.skipped] == [first.snapshot_id]
    assert [each.original for each in other.snapshots()] == [first.snapshot_id, second.snapshot_id]
    assert other.snapshot().read_bytes(tree / "sub" / "large") == (tree / "sub" / "large").read_bytes()
    assert other.check(read_data=True).clean
    result.raise_for_errors()


def test_snapshots_can_be_given_in_many_ways(repository, other, tree):
    ids = [repository.backup(tree, force=True).snapshot_id for _ in range(4)]
    snapshots = repository.snapshots()
    assert repository.copy_to(other, []).copied == []
    assert [pair.source for pair in repository.copy_to(other, snapshots[0]).copied] == ids[:1]
    assert [pair.source for pair in repository.copy_to(other, "latest").copied] == ids[3:]
    assert [pair.source for pair in repository.copy_to(other, [snapshots[2], ids[1][:16]]).copied] == [ids[2], ids[1]]
    with pytest.raises(recoup.NotFoundError):
        repository.copy_to(other, "0123456789")
    assert len(other.snapshots()) == 4


def test_damage_stays_behind(repository, other, tree):
    repository.backup(tree / "sub")
    good = repository.backup(tree / "a.txt")
    largest = max((p for p in pathlib.Path(repository.location, "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    largest.chmod(0o600)
    content = bytearray(largest.read_bytes())
    content[1000] ^= 1
    largest.write_bytes(content)
    result = repository.copy_to(other)
    assert [pair.source for pair in result.copied] == [good.snapshot_id]
    assert len(result.errors) == 1 and largest.name in result.errors[0].message
    with pytest.raises(recoup.DamagedError, match=result.errors[0].path):
        result.raise_for_errors()
    assert other.check(read_data=True).clean


def test_not_into_itself(repository, tree):
    repository.backup(tree)
    with pytest.raises(recoup.InvalidArgumentError, match="same repository"):
        repository.copy_to(repository)
    again = recoup.open(repository.location, PASSWORD)
    with pytest.raises(recoup.InvalidArgumentError, match="same repository"):
        repository.copy_to(again)


def test_an_exception_stops_it(repository, other, tree):
    repository.backup(tree)

    def refuse(_: recoup.CopyProgress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        repository.copy_to(other, progress=refuse)
    assert other.check(read_data=True).clean
    repository.copy_to(other)
    assert len(other.snapshots()) == 1


def test_compression(repository, new_location, tree):
    # Real text: on a counter ("line 1", "line 2", …) zstd's level 12 stores more than its level 3.
    sources = sorted(pathlib.Path(json.__file__).parent.parent.glob("*.py"))
    (tree / "text").write_bytes(b"".join(source.read_bytes() for source in sources))
    repository.backup(tree / "text")
    sizes = {}
    for name, mode, recompress in [("as it is", "auto", False), ("again", "auto", True), ("max", "max", False), ("off", "off", False)]:
        target = recoup.open(new_location(), PASSWORD, compression=mode)
        sizes[name] = repository.copy_to(target, recompress=recompress).bytes_stored
        assert target.check(read_data=True).clean
    assert sizes["max"] < sizes["as it is"] == sizes["again"] < sizes["off"]
