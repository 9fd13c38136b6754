"""Repository.backup and backup_stream: what they store, tell and do when they are stopped."""

from __future__ import annotations

import datetime
import io
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from samples import MIB, PASSWORD, noise

import recoup


def names(snapshot, top) -> list[str]:
    return [path[len(str(top)) + 1 :] for path, _ in snapshot.walk(top)]


def assert_untouched(repository, restic=None) -> None:
    """No snapshot, no lock, and what is there is whole."""
    assert repository.snapshots() == []
    assert os.listdir(f"{repository.location}/locks") == []
    assert repository.check(read_data=True).clean
    if restic is not None:
        restic.run(repository.location, "check", "--read-data")


def test_first_second_and_changed(repository, tree):
    first = repository.backup(tree)
    assert (first.files_new, first.files_changed, first.files_unmodified) == (5, 0, 0)
    assert first.total_files_processed == 5
    assert first.total_bytes_processed == sum(file.stat().st_size for file in tree.rglob("*") if file.is_file() and not file.is_symlink())
    assert first.data_added >= first.total_bytes_processed and first.data_added_packed > 5 * MIB
    assert first.errors == []
    first.raise_for_errors()
    snapshot = repository.snapshot(first.snapshot_id)
    assert snapshot.tree == first.tree

    second = repository.backup(tree)
    assert (second.files_new, second.files_changed, second.files_unmodified) == (0, 0, 5)
    assert second.data_blobs == 0
    assert repository.snapshot().stat(tree) == snapshot.stat(tree)
    assert repository.snapshot().parent == first.snapshot_id

    (tree / "a.txt").write_text("changed")
    third = repository.backup(tree, parent=snapshot)
    assert (third.files_changed, third.files_unmodified, third.data_blobs) == (1, 4, 1)
    assert repository.snapshot().parent == first.snapshot_id

    forced = repository.backup(tree, force=True)
    assert (forced.files_new, forced.data_blobs) == (5, 0)


def test_nothing_changed_can_mean_no_snapshot(repository, tree, monkeypatch):
    monkeypatch.chdir(tree)
    repository.backup(".")  # an absolute path would take in the times of /tmp
    result = repository.backup(".", skip_if_unchanged=True)
    assert result.snapshot_id is None
    assert len(repository.snapshots()) == 1


def test_dry_run_stores_nothing(repository, tree):
    def files() -> list[str]:
        return sorted(os.path.join(folder, name) for folder, _, found in os.walk(repository.location) for name in found)

    before = files()
    result = repository.backup(tree, dry_run=True)
    assert result.snapshot_id is None and result.files_new == 5 and result.data_added > 5 * MIB
    assert files() == before


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"exclude": "*.txt"}, "b.bin empty link sub sub/deep sub/deep/C.TXT sub/large"),
        ({"iexclude": "*.txt"}, "b.bin empty link sub sub/deep sub/large"),
        ({"exclude": ["deep", "empty"]}, "a.txt b.bin link sub sub/large"),
        ({"exclude_larger_than": 50_000}, "a.txt empty link sub sub/deep sub/deep/C.TXT"),
        ({"exclude_if_present": "C.TXT"}, "a.txt b.bin empty link sub sub/deep sub/deep/C.TXT sub/large"),
        ({"exclude_if_present": ["large"]}, "a.txt b.bin empty link sub sub/large"),
        ({"one_file_system": True}, "a.txt b.bin empty link sub sub/deep sub/deep/C.TXT sub/large"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_excludes(repository, tree, choice, expected):
    repository.backup(tree, **choice)
    assert names(repository.snapshot(), tree) == expected.split()


def test_exclude_files_and_caches(repository, tree, tmp_path):
    (tmp_path / "patterns").write_text("# comment\n*.bin\n\n")
    (tree / "sub" / "CACHEDIR.TAG").write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    repository.backup(tree, exclude_file=tmp_path / "patterns", exclude_caches=True)
    assert names(repository.snapshot(), tree) == ["a.txt", "empty", "link", "sub", "sub/CACHEDIR.TAG"]


def test_what_is_noted_in_the_snapshot(repository, tree):
    when = datetime.datetime(1999, 12, 31, 23, 59, 59, 5)
    repository.backup([tree], tags="single", hostname="höst", time=when, exclude=["x", "y"])
    snapshot = repository.snapshot()
    assert snapshot.time == when.astimezone()
    assert (snapshot.tags, snapshot.hostname, snapshot.excludes) == (["single"], "höst", ["x", "y"])


def test_relative_targets_and_several(repository, tree, monkeypatch):
    monkeypatch.chdir(tree)
    repository.backup(["a.txt", "sub/deep"])
    snapshot = repository.snapshot()
    assert snapshot.paths == [f"{tree}/a.txt", f"{tree}/sub/deep"]
    assert [path for path, _ in snapshot.walk()] == ["/a.txt", "/sub", "/sub/deep", "/sub/deep/C.TXT"]


def test_what_cannot_be_read_is_listed(repository, tree):
    missing = tree / "missing"
    result = repository.backup([tree, missing])
    assert [error.path for error in result.errors] == [str(missing)]
    with pytest.raises(recoup.IncompleteError, match="missing") as incomplete:
        result.raise_for_errors()
    assert incomplete.value.exit_code == 3
    assert result.snapshot_id is not None
    with pytest.raises(recoup.NotFoundError):
        repository.backup(missing)
    with pytest.raises(recoup.InvalidArgumentError):
        repository.backup([])


@pytest.mark.parametrize(
    "wrong",
    [
        {"exclude": "["},
        {"exclude_larger_than": -1},
        {"read_concurrency": 0},
        {"exclude_if_present": ":header"},
        {"parent": "latest~x"},
    ],
    ids=lambda value: next(iter(value)),
)
def test_wrong_arguments(repository, tree, wrong):
    with pytest.raises(recoup.InvalidArgumentError):
        repository.backup(tree, **wrong)
    assert_untouched(repository)


def test_parent_that_does_not_exist(repository, tree):
    with pytest.raises(recoup.NotFoundError):
        repository.backup(tree, parent="0123456789abcdef")


# --- streams ---


def test_stream(repository):
    content = noise(4 * MIB, "stream") + bytes(2 * MIB)
    seen: list[recoup.BackupProgress] = []
    result = repository.backup_stream(io.BytesIO(content), "/dump/database.sql", tags=["db"], progress=seen.append)
    assert (result.files_new, result.total_bytes_processed, result.errors) == (1, len(content), [])
    snapshot = repository.snapshot()
    assert (snapshot.paths, snapshot.tags) == (["/dump/database.sql"], ["db"])
    assert snapshot.read_bytes("/dump/database.sql") == content
    assert (seen[-1].files_done, seen[-1].bytes_done) == (1, len(content))
    again = repository.backup_stream(io.BytesIO(content), "dump/database.sql", skip_if_unchanged=True, time=snapshot.time)
    assert again.data_blobs == 0


def test_stream_of_a_program(repository):
    program = [sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'out' * 1000000)"]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        repository.backup_stream(process.stdout, "out")
    assert repository.snapshot().read_bytes("out") == b"out" * 1_000_000


def test_empty_stream(repository):
    """Most likely a program that failed: an empty file would hide that."""
    result = repository.backup_stream(io.BytesIO())
    assert [error.path for error in result.errors] == ["/stdin"]
    assert list(repository.snapshot().walk()) == []


class Failing(io.RawIOBase):
    """Gives some bytes, then does something wrong."""

    def __init__(self, then) -> None:
        self.left = 3
        self.then = then
        self.kept: list[memoryview] = []

    def readinto(self, buffer) -> int:
        if self.left == 0:
            return self.then(buffer)
        self.left -= 1
        self.kept.append(buffer)
        buffer[:1000] = noise(1000, self.left)
        return 1000


def test_stream_that_fails(repository):
    def fail(_):
        raise ZeroDivisionError("in the stream")

    stream = Failing(fail)
    with pytest.raises(ZeroDivisionError, match="in the stream"):
        repository.backup_stream(stream)
    assert_untouched(repository)
    for view in stream.kept:  # memory of the engine that is gone
        with pytest.raises(ValueError):
            view[0]
    with pytest.raises(ValueError):
        repository.backup_stream(Failing(lambda buffer: None))
    with pytest.raises(ValueError):
        repository.backup_stream(Failing(lambda buffer: len(buffer) + 1))
    assert_untouched(repository)


# --- progress, and being stopped ---


@pytest.fixture
def endless(tmp_path) -> pathlib.Path:
    """A file of zeros, to be read for minutes: whatever is to come in the middle of a backup comes in time."""
    with open(tmp_path / "endless", "wb") as file:
        file.truncate(1 << 38)
    return tmp_path / "endless"


def assert_sensible(seen) -> None:
    for before, after in zip(seen, seen[1:]):
        assert before.files_done <= after.files_done and before.bytes_done <= after.bytes_done


def test_progress_grows(repository, endless):
    seen: list[recoup.BackupProgress] = []

    def watch(now: recoup.BackupProgress) -> None:
        seen.append(now)
        if len({each.bytes_done for each in seen}) == 4:
            raise EOFError

    with pytest.raises(EOFError):
        repository.backup(endless, progress=watch)
    assert_sensible(seen)
    assert seen[-1].current_file == str(endless)


def test_progress_ends_with_the_result(repository, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(30):
        (source / f"f{number}").write_bytes(noise(2 * MIB, number))
    seen: list[recoup.BackupProgress] = []
    caller = threading.get_ident()
    result = repository.backup(source, progress=lambda now: (seen.append(now), threading.get_ident() == caller or 1 / 0))
    assert_sensible(seen)
    last = seen[-1]
    assert (last.files_done, last.bytes_done) == (result.total_files_processed, result.total_bytes_processed)
    assert (last.total_files, last.total_bytes) == (30, 60 * MIB) == (last.files_done, last.bytes_done)
    assert last.current_file.startswith(str(source))


def test_other_threads_run_meanwhile(repository, tree, others_run_during):
    assert others_run_during(lambda: repository.backup(tree, force=True))


def test_exception_in_progress_stops_the_backup(repository, tree, endless, restic):
    class Enough(Exception):
        pass

    def stop(now):
        raise Enough(now)

    with pytest.raises(Enough):
        repository.backup([tree, endless], progress=stop)
    assert_untouched(repository, restic)
    assert repository.backup(tree).files_new == 5


def test_ctrl_c_in_this_process(repository, endless, interrupts_when):
    interrupts_when(lambda: os.listdir(f"{repository.location}/locks") != [])
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        repository.backup(endless)
    assert time.monotonic() - begin < 60
    assert_untouched(repository)


def test_ctrl_c_in_a_process_of_its_own(new_location, tmp_path, restic):
    """As a shell does it; and what was stored until then is used by the next backup."""
    location = new_location()
    (tmp_path / "content").write_bytes(noise(64 * MIB, "endless"))
    script = textwrap.dedent(
        f"""
        import recoup
        class Endless:
            file = open({str(tmp_path / "content")!r}, "rb")
            def readinto(self, buffer):
                count = self.file.readinto(buffer)
                if not count:  # no end: the signal always comes in the middle
                    buffer[:] = bytes(len(buffer))
                return count or len(buffer)
        recoup.open({str(location)!r}, {PASSWORD!r}).backup_stream(Endless(), "endless")
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        while stored_in(location) < 30 * MIB:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=300)[1].decode()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in (-signal.SIGINT, 130)
    repository = recoup.open(location, PASSWORD)
    assert_untouched(repository, restic)
    again = repository.backup_stream(open(tmp_path / "content", "rb"), "endless")
    assert again.data_added < 40 * MIB  # of 64: the rest was there


def stored_in(location: pathlib.Path) -> int:
    """Bytes of the packs that are complete."""
    return sum(each.stat().st_size for each in (location / "data").rglob("*") if len(each.name) == 64)


def test_killed_process_leaves_a_clean_repository(new_location, endless, tmp_path, restic):
    location = new_location()
    script = f"""
import recoup
recoup.open({str(location)!r}, {PASSWORD!r}).backup({str(endless)!r},
                                                    progress=lambda now: print(now.bytes_done, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) == 0:
            pass
        process.kill()
        process.wait()
    repository = recoup.open(location, PASSWORD)
    assert len(os.listdir(location / "locks")) == 1
    (tmp_path / "small").write_bytes(b"small")
    repository.backup(tmp_path / "small")  # beside the dead process's lock, which is shared and stays while it is fresh
    assert len(os.listdir(location / "locks")) == 1
    assert repository.unlock() == 1
    restic.run(location, "check", "--read-data")


# --- storage that fails ---


def test_full_disk(templates, tmp_path, tree, restic):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], check=True)
    try:
        location = small / "repository"
        subprocess.run(["cp", "-r", templates / "v2", location], check=True)
        repository = recoup.open(location, PASSWORD)
        with pytest.raises(recoup.NoSpaceError) as full:
            repository.backup(tree)
        assert full.value.exit_code == 1 and "No space left" in str(full.value)
        assert_untouched(repository, restic)
        assert repository.backup(tree / "sub" / "deep").errors == []
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_storage_that_went_away(repository, tree):
    location = pathlib.Path(repository.location)
    location.rename(location.with_name("elsewhere"))
    with pytest.raises((recoup.StorageError, recoup.NotFoundError)):
        repository.backup(tree)
