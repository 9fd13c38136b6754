"""Files in snapshots as Python file objects."""

from __future__ import annotations

import array
import concurrent.futures
import csv
import gzip
import io
import os
import random
import shutil
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import MIB, noise

import recoup

# Parts that repeat, so that blobs do too, between parts that do not; more blobs than the reader keeps.
CONTENT = noise(9 * MIB, 1) + bytes(2 * MIB) + noise(7 * MIB, 2) + bytes(1_500_001) + noise(300_000, 3)


@pytest.fixture(scope="module")
def snapshot(templates, tmp_path_factory):
    home = tmp_path_factory.mktemp("files")
    shutil.copytree(templates / "v2", home / "repository")
    source = home / "source"
    source.mkdir()
    (source / "large").write_bytes(CONTENT)
    (source / "empty").write_bytes(b"")
    (source / "text").write_bytes("erste\r\nzweite\nünf\n".encode())
    with gzip.open(source / "packed.gz", "wb") as file:
        file.write(CONTENT[: 3 * MIB])
    with zipfile.ZipFile(source / "archive.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("one", CONTENT[: 4 * MIB])
        archive.writestr("two", b"second")
    with tarfile.open(source / "archive.tar", "w") as archive:
        archive.add(source / "text", "text")
        archive.add(source / "large", "large")
    os.symlink("text", source / "link")
    repository = recoup.open(home / "repository", "geheim")
    repository.backup(source)
    made = repository.snapshot()
    made.source = source  # type: ignore[attr-defined]
    return made


@pytest.fixture
def raw(snapshot) -> recoup.SnapshotFile:
    return snapshot.open(snapshot.source / "large", "rb", buffering=0)


def test_reads_the_whole(snapshot, raw):
    assert len(snapshot.stat(snapshot.source / "large").content) > 8
    assert raw.size == len(CONTENT)
    assert raw.read() == CONTENT
    assert raw.read() == b""
    assert raw.tell() == len(CONTENT)
    with snapshot.open(snapshot.source / "large") as file:
        assert file.read() == CONTENT
    assert snapshot.read_bytes(snapshot.source / "large") == CONTENT
    assert snapshot.read_bytes(snapshot.source / "empty") == b""


def test_is_a_raw_file_like_any_other(raw):
    assert isinstance(raw, io.RawIOBase)
    assert raw.readable() and raw.seekable() and not raw.writable() and not raw.isatty()
    assert raw.mode == "rb"
    assert raw.name.endswith("/large")
    with pytest.raises(io.UnsupportedOperation):
        raw.fileno()
    with pytest.raises(io.UnsupportedOperation):
        raw.truncate()


def test_seek_and_tell(raw):
    assert raw.seek(10) == 10 == raw.tell()
    assert raw.seek(5, os.SEEK_CUR) == 15
    assert raw.seek(-3, os.SEEK_END) == len(CONTENT) - 3
    assert raw.read() == CONTENT[-3:]
    assert raw.seek(1 << 70) == 1 << 70
    assert raw.read(1) == b"" == raw.readall() == raw.read()
    assert raw.readinto(bytearray(10)) == 0
    for offset, whence in ((-1, os.SEEK_SET), (-len(CONTENT) - 1, os.SEEK_END)):
        with pytest.raises(ValueError):
            raw.seek(offset, whence)
    with pytest.raises(ValueError):
        raw.seek(0, 7)
    with pytest.raises(TypeError):
        raw.seek(1.5)  # type: ignore[arg-type]
    assert raw.tell() == 1 << 70


def test_read_sizes(raw):
    assert raw.read(0) == b""
    assert raw.read(3) == CONTENT[:3]
    assert raw.read(None) == CONTENT[3:]
    raw.seek(0)
    assert raw.readall() == CONTENT


def test_readinto_fills_any_writable_buffer(raw):
    target = array.array("d", bytes(800))
    assert raw.readinto(target) == 800
    assert target.tobytes() == CONTENT[:800]
    window = bytearray(100)
    assert raw.readinto(memoryview(window)[10:20]) == 10
    assert window == bytes(10) + CONTENT[800:810] + bytes(80)
    assert raw.readinto(bytearray()) == 0
    with pytest.raises((TypeError, BufferError)):
        raw.readinto(b"read only")  # type: ignore[arg-type]


def test_closed_files_say_so(snapshot):
    file = snapshot.open(snapshot.source / "large")
    raw = file.raw
    with file:
        file.read(1)
    assert file.closed and raw.closed
    for use in (raw.tell, raw.read, raw.readall, raw.readable, raw.seekable, lambda: raw.seek(0),
                lambda: raw.readinto(bytearray(1)), file.read, lambda: raw.size, raw.__enter__):
        with pytest.raises(ValueError):
            use()
    raw.close()  # again is no harm


def test_text(snapshot):
    with snapshot.open(snapshot.source / "text", "r") as file:
        assert isinstance(file, io.TextIOWrapper)
        assert file.readlines() == ["erste\n", "zweite\n", "ünf\n"]
    with snapshot.open(snapshot.source / "text", "r", encoding="latin-1", newline="") as file:
        assert file.read() == "erste\r\nzweite\nÃ¼nf\n"
    with snapshot.open(snapshot.source / "text", "r", newline="") as file:
        assert list(csv.reader(file)) == [["erste"], ["zweite"], ["ünf"]]


def test_standard_library_readers(snapshot):
    with gzip.open(snapshot.open(snapshot.source / "packed.gz")) as file:
        assert file.read() == CONTENT[: 3 * MIB]
    with zipfile.ZipFile(snapshot.open(snapshot.source / "archive.zip")) as archive:
        assert archive.read("two") == b"second"
        assert archive.testzip() is None
    with tarfile.open(fileobj=snapshot.open(snapshot.source / "archive.tar")) as archive:
        member = archive.extractfile("large")
        assert member is not None
        member.seek(-1000, os.SEEK_END)
        assert member.read() == CONTENT[-1000:]


def test_what_is_no_file_cannot_be_opened(snapshot):
    with pytest.raises(recoup.InvalidArgumentError, match="dir"):
        snapshot.open(snapshot.source)
    with pytest.raises(recoup.InvalidArgumentError, match="symlink"):
        snapshot.open(snapshot.source / "link")
    with pytest.raises(recoup.NotFoundError):
        snapshot.open(snapshot.source / "nowhere")
    for wrong in ({"mode": "w"}, {"encoding": "utf-8"}, {"mode": "r", "buffering": 0}, {"buffering": 100}):
        with pytest.raises(ValueError):
            snapshot.open(snapshot.source / "large", **wrong)


def test_stays_good_when_nobody_holds_repository_or_snapshot(snapshot, tmp_path):
    repository = recoup.open(snapshot._repository.location, "geheim")
    file = repository.snapshot().open(snapshot.source / "large")
    del repository
    assert file.read() == CONTENT


def test_threads_read_one_file_at_once(raw):
    def read_some(seed: int) -> bool:
        rng = random.Random(seed)
        for _ in range(30):
            offset, count = rng.randrange(len(CONTENT)), rng.randrange(200_000)
            if raw._reader.read(offset, count) != CONTENT[offset : offset + count]:
                return False
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read_some, range(4)))


def test_other_threads_run_meanwhile(raw, others_run_during):
    target = bytearray(len(CONTENT))
    assert others_run_during(lambda: (raw.seek(0), raw.readinto(target)))
    assert target == CONTENT


# Around places where blobs may end, and beyond the end.
offsets = st.one_of(
    st.integers(0, len(CONTENT) + 10),
    st.builds(lambda blob, step: max(0, blob * 512 * 1024 + step), st.integers(0, 40), st.integers(-2, 2)),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accesses=st.lists(st.tuples(offsets, st.integers(0, 3 * MIB)), min_size=1, max_size=4))
def test_random_reads_equal_the_original(snapshot, accesses):
    with snapshot.open(snapshot.source / "large") as file:
        for offset, count in accesses:
            file.seek(offset)
            assert file.read(count) == CONTENT[offset : offset + count]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["read", "seek", "skip", "line"]), st.integers(0, 700_000)), max_size=12))
def test_behaves_as_a_file_on_disk(snapshot, steps):
    with snapshot.open(snapshot.source / "large") as file, open(snapshot.source / "large", "rb") as original:
        for step, number in steps:
            results = []
            for each in (file, original):
                if step == "read":
                    results.append(each.read(number))
                elif step == "line":
                    results.append(each.readline(number))
                else:
                    results.append(each.seek(number, os.SEEK_SET if step == "seek" else os.SEEK_CUR))
            assert results[0] == results[1]
            assert file.tell() == original.tell()
