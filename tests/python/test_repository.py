"""Opening, making, finding snapshots, walking trees; and other programs on the same repository meanwhile."""

from __future__ import annotations

import copy
import datetime
import io
import logging
import os
import stat
import threading

import pytest
from samples import MIB, PASSWORD, noise

import recoup

# --- init and open ---


def test_init_makes_a_repository_that_open_opens(tmp_path, others_run_during):
    made = recoup.init(tmp_path / "new", "päßwort", version=1, chunker_polynomial="3da3358b4dc173")
    assert (made.version, made.chunker_polynomial) == (1, "3da3358b4dc173")

    opened = None

    def open_it():
        nonlocal opened
        opened = recoup.open(os.fsencode(tmp_path / "new"), "päßwort".encode(), key_hint=made.key_id[:6])

    assert others_run_during(open_it)  # the GIL is released while the password is tried
    assert opened is not None
    assert (opened.id, opened.version, opened.key_id) == (made.id, 1, made.key_id)
    assert opened.location == str(tmp_path / "new")
    assert opened.id[:8] in repr(opened)


def test_errors_of_init_and_open(new_location, tmp_path):
    location = new_location()
    with pytest.raises(recoup.Error, match="already exists"):
        recoup.init(location, PASSWORD)
    with pytest.raises(recoup.WrongPasswordError) as wrong:
        recoup.open(location, "falsch")
    assert wrong.value.exit_code == 12
    with pytest.raises(recoup.RepositoryMissingError, match="repository does not exist") as missing:
        recoup.open(tmp_path / "nowhere", PASSWORD)
    assert missing.value.exit_code == 10
    (location / "config").write_bytes(b"damaged")
    with pytest.raises(recoup.DamagedError, match="config"):
        recoup.open(location, PASSWORD)
    with pytest.raises(recoup.UnsupportedError):
        recoup.open("sftp:host:/path", PASSWORD)


@pytest.mark.parametrize(
    "wrong",
    [
        {"compression": "zip"},
        {"pack_size": 1},
        {"pack_size": -1},
        {"pack_size": 1 << 40},
        {"retry_lock": -1},
        {"options": {"nonsense": "1"}},
        {"options": {"local.connections": "0"}},
    ],
)
def test_wrong_settings_are_refused(new_location, wrong):
    with pytest.raises(recoup.InvalidArgumentError):
        recoup.open(new_location(), PASSWORD, **wrong)


def test_wrong_types_are_type_errors(new_location, repository):
    with pytest.raises(TypeError):
        recoup.open(new_location(), 17)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        recoup.open(3.5, PASSWORD)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        repository.backup("/", time="now")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        repository.backup("/", tags=[1])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="exclude_larger_than"):
        repository.backup("/", exclude_larger_than=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="options"):
        recoup.open(new_location(), PASSWORD, options={"local.connections": 4})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="null"):
        repository.backup("a\0b")


def test_init_refuses_what_makes_no_sense(tmp_path):
    with pytest.raises(recoup.UnsupportedError):
        recoup.init(tmp_path / "a", PASSWORD, version=3)
    with pytest.raises(recoup.InvalidArgumentError, match="polynomial"):
        recoup.init(tmp_path / "b", PASSWORD, chunker_polynomial="4")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


# --- snapshots ---


@pytest.fixture
def three(repository, tree):
    """Three snapshots, of 2020, 2021 and 2022."""
    for year, host, tags in ((2020, "one", ["a", "b"]), (2021, "two", ["b"]), (2022, "one", [])):
        time = datetime.datetime(year, 1, 2, 3, 4, 5, 678901, datetime.timezone(datetime.timedelta(hours=5, minutes=45)))
        repository.backup(tree, hostname=host, tags=tags, time=time)
    return repository


def years(snapshots) -> list[int]:
    return [snapshot.time.year for snapshot in snapshots]


def test_snapshots_are_listed_oldest_first_and_filtered(three, tree):
    assert years(three.snapshots()) == [2020, 2021, 2022]
    assert years(three.snapshots(hosts="one")) == [2020, 2022]
    assert years(three.snapshots(hosts=["one", "two"])) == [2020, 2021, 2022]
    assert years(three.snapshots(tags="b")) == [2020, 2021]
    assert years(three.snapshots(tags="a,b")) == [2020]
    assert years(three.snapshots(tags=[("a", "b")])) == [2020]
    assert years(three.snapshots(tags=["a", ""])) == [2020, 2022]
    assert years(three.snapshots(paths=tree)) == [2020, 2021, 2022]
    assert years(three.snapshots(paths=[tree, "/other"])) == []


def test_one_snapshot_by_name(three):
    first, second, third = three.snapshots()
    assert three.snapshot() == three.snapshot("latest") == third
    assert three.snapshot("latest~2") == first
    assert three.snapshot(hosts="two") == second
    assert three.snapshot(first.id) == three.snapshot(first.id[:12]) == first
    assert len({first, second, third, three.snapshot(first.id)}) == 3
    for wrong in ("latest~3", "0" * 64, "abcdefabcdef"):
        with pytest.raises(recoup.NotFoundError):
            three.snapshot(wrong)
    with pytest.raises(recoup.NotFoundError):
        three.snapshot(hosts="nobody")
    for wrong in ("latest:/etc", "latest~x", ""):
        with pytest.raises(recoup.InvalidArgumentError):
            three.snapshot(wrong)


def test_what_a_snapshot_says(three, tree):
    first, second, _ = three.snapshots()
    assert first.time == datetime.datetime(2020, 1, 1, 21, 19, 5, 678901, datetime.timezone.utc)
    assert first.time.utcoffset() == datetime.timedelta(hours=5, minutes=45)
    assert (first.hostname, first.tags, first.paths, first.excludes) == ("one", ["a", "b"], [str(tree)], [])
    assert (first.parent, first.original) == (None, None)
    assert first.program_version.startswith("recoup ")
    assert second.parent is None  # another host
    assert three.snapshot().parent == first.id
    assert first.summary is not None and first.summary.files_new == 5
    assert first.summary.backup_start <= first.summary.backup_end
    assert first.short_id in repr(first)


def test_unreadable_snapshots_are_logged_and_passed_over(three, caplog):
    broken = three.snapshots()[1]
    (path,) = [file for file in os.scandir(f"{three.location}/snapshots") if file.name == broken.id]
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.write(b"\0" * 10)
    with caplog.at_level(logging.WARNING, "recoup"):
        assert years(three.snapshots()) == [2020, 2022]
    assert broken.short_id in caplog.text
    assert three.check().broken_snapshots == [broken.id]


# --- trees ---


def test_walk_scandir_and_stat(repository, tree):
    repository.backup(tree)
    snapshot = repository.snapshot()
    inside = [path[len(str(tree)) :] for path, _ in snapshot.walk(tree)]
    assert inside == ["/a.txt", "/b.bin", "/empty", "/link", "/sub", "/sub/deep", "/sub/deep/C.TXT", "/sub/large"]
    every = dict(snapshot.walk())
    assert list(every) == sorted(every) and set(inside) <= {path[len(str(tree)) :] for path in every}
    assert [node.name for node in snapshot.scandir(tree)] == ["a.txt", "b.bin", "empty", "link", "sub"]
    assert [node.name for node in snapshot.scandir()] == [tree.parts[1]]
    for path, node in snapshot.walk(tree):
        status = os.lstat(path)
        assert node == every[path] == snapshot.stat(path) and hash(node) == hash(every[path])
        assert node.name == os.path.basename(path)
        assert (node.mode, node.uid, node.gid, node.inode) == (
            status.st_mode, status.st_uid, status.st_gid, status.st_ino)
        assert node.mtime_ns == status.st_mtime_ns
        assert node.mtime.timestamp() == pytest.approx(status.st_mtime, abs=1e-5)
        assert node.size == (status.st_size if stat.S_ISREG(node.mode) else 0)
        assert (node.subtree is not None) == stat.S_ISDIR(node.mode) == (node.type == "dir")
    assert every[f"{tree}/link"].link_target == "a.txt"
    assert every[f"{tree}/link"] != every[f"{tree}/sub"] and every[f"{tree}/link"] != "link"
    assert snapshot.stat(f"{tree}//sub/../sub/./deep/") == every[f"{tree}/sub/deep"]


def test_errors_of_paths(repository, tree):
    repository.backup(tree)
    snapshot = repository.snapshot()
    for call in (snapshot.stat, snapshot.scandir, snapshot.walk, snapshot.open):
        with pytest.raises(recoup.NotFoundError, match="nowhere"):
            call(tree / "nowhere" / "x")
    for call in (snapshot.scandir, snapshot.walk):
        with pytest.raises(recoup.InvalidArgumentError):
            call(tree / "a.txt")
    with pytest.raises(recoup.InvalidArgumentError):
        snapshot.stat("/")
    with pytest.raises(recoup.InvalidArgumentError):
        repository.load_blob("data", "abc")
    with pytest.raises(recoup.InvalidArgumentError):
        repository.load_blob("pack", "0" * 64)  # type: ignore[arg-type]
    with pytest.raises(recoup.NotFoundError):
        repository.load_blob("data", "0" * 64)


def test_names_that_are_not_utf_8(repository, tmp_path):
    source = os.fsencode(tmp_path) + b"/caf\xe9-\xff\xfe\n\""
    os.mkdir(source)
    names = [b"\xff", "ü".encode(), b"a\nb", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80"]
    for name in names:
        with open(source + b"/" + name, "wb") as file:
            file.write(name)
    os.symlink(b"\xfe\xff", source + b"/link")
    result = repository.backup(source, exclude=[source + b"/\xff"])
    assert result.errors == []
    snapshot = repository.snapshot()
    assert snapshot.paths[0].startswith(f"{tmp_path}/caf")  # JSON has no room for the rest, not even in restic's hands
    found = {os.fsencode(path): node for path, node in snapshot.walk(source)}
    assert set(found) == {source + b"/" + name for name in (*names[1:], b"link")}
    assert os.fsencode(found[source + b"/link"].link_target) == b"\xfe\xff"
    for path, node in found.items():
        assert snapshot.stat(os.fsdecode(path)) == snapshot.stat(path) == node
        if node.type == "file":
            assert snapshot.read_bytes(path) == os.fsencode(node.name)
            repr(node), repr(snapshot.open(path).raw)
    assert [path for path, _ in snapshot.find(b"\xed*")] == [os.fsdecode(source + b"/\xed\xa0\x80")]
    with pytest.raises(recoup.NotFoundError) as missing:
        snapshot.stat(source + b"/\xfe")
    assert os.fsencode(str(missing.value)).count(b"\xfe") >= 1
    out = tmp_path / "out"
    assert snapshot.restore(out, subfolder=source).errors == []
    assert set(os.listdir(os.fsencode(out))) == {*names[1:], b"link"}


def test_times_of_all_centuries(repository, tmp_path):
    far = [(-1, 1), (0, 0), (-2_000_000_000, 999_999_999), (7_000_000_000, 123_456_789), (12_000_000_000, 5)]
    source = tmp_path / "source"
    source.mkdir()
    expected = {}
    for number, (seconds, nanoseconds) in enumerate(far):
        path = source / str(number)
        path.write_bytes(b"")
        os.utime(path, ns=(0, seconds * 10**9 + nanoseconds))
        expected[number] = path.stat().st_mtime_ns  # file systems have limits of their own
    repository.backup(source)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    for node in repository.snapshot().scandir(source):
        nanoseconds = expected[int(node.name)]
        assert node.mtime_ns == nanoseconds
        assert node.mtime == epoch + datetime.timedelta(microseconds=nanoseconds // 1000)
        assert node.ctime_ns > 10**18


def test_find(repository, tree):
    repository.backup(tree)
    repository.backup(tree / "sub")
    first, second = repository.snapshots()
    assert [path for path, _ in first.find("*.txt")] == [f"{tree}/a.txt"]
    assert [path for path, _ in first.find("*.txt", ignore_case=True)] == [f"{tree}/a.txt", f"{tree}/sub/deep/C.TXT"]
    assert [(s, n.name) for s, _, n in repository.find("large")] == [(first, "large"), (second, "large")]
    assert [s for s, _, _ in repository.find("large", "a.txt", snapshots=[second])] == [second]
    assert first.find("nothing") == []
    old = datetime.datetime(2001, 2, 3)  # naive: local
    os.utime(tree / "b.bin", (old.timestamp(), old.timestamp()))
    repository.backup(tree)
    latest = repository.snapshot()
    assert [node.name for _, node in latest.find("*", newest=old)] == ["b.bin"]
    assert "b.bin" in [node.name for _, node in latest.find("*", oldest=old)]
    assert "b.bin" not in [node.name for _, node in latest.find("*", oldest=old + datetime.timedelta(seconds=1))]
    with pytest.raises(recoup.InvalidArgumentError):
        latest.find()
    with pytest.raises(recoup.InvalidArgumentError):
        latest.find("[")


def test_blobs_can_be_loaded(repository, tree):
    repository.backup(tree)
    node = repository.snapshot().stat(tree / "b.bin")
    assert repository.load_blob("data", node.content[0]) == (tree / "b.bin").read_bytes()
    assert b'"b.bin"' in repository.load_blob("tree", repository.snapshot().stat(tree).subtree)


# --- others on the same repository ---


def test_sees_what_others_add(repository, tree):
    other = recoup.open(repository.location, PASSWORD)
    repository.backup(tree)
    assert other.snapshot().read_bytes(tree / "a.txt") == b"alpha\nbeta\n"  # other has an index now
    (tree / "a.txt").write_bytes(b"new")
    result = repository.backup(tree)
    assert other.snapshot().read_bytes(tree / "a.txt") == b"new"
    (tree / "b.bin").write_bytes(noise(300_000, "newer"))
    held = other.snapshot(result.snapshot_id)
    repository.backup(tree)
    blob = repository.snapshot().stat(tree / "b.bin").content[0]
    assert len(other.load_blob("data", blob)) == 300_000  # no listing in between
    assert held.read_bytes(tree / "b.bin") == noise(100_000)


def test_relies_on_nothing_that_a_prune_took_away(repository, tree, restic):
    """The index that an open repository once read lists blobs that are gone: a backup that believed it would make a
    snapshot with holes."""
    repository.backup(tree)
    snapshot = repository.snapshot()
    assert snapshot.read_bytes(tree / "a.txt")
    restic.run(repository.location, "forget", "--prune", snapshot.id)
    assert repository.snapshots() == []
    with pytest.raises((recoup.NotFoundError, recoup.DamagedError)):
        snapshot.read_bytes(tree / "a.txt")
    result = repository.backup(tree)
    assert result.files_new == 5 and result.data_added > 5_000_000
    assert repository.check(read_data=True).clean
    restic.run(repository.location, "check", "--read-data")


def test_several_threads_share_a_repository(repository, tmp_path):
    problems = []

    def work(number: int) -> None:
        try:
            source = tmp_path / f"source-{number}"
            source.mkdir()
            (source / "file").write_bytes(noise(3 * MIB, number % 2))
            result = repository.backup(source)
            content = repository.snapshot(result.snapshot_id).read_bytes(source / "file")
            assert content == noise(3 * MIB, number % 2)
        except BaseException as problem:  # shown below
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(repository.snapshots()) == 4
    assert repository.check(read_data=True).clean


def test_a_local_repository_has_no_cache(new_location, tree, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTIC_CACHE_DIR", str(tmp_path / "default"))
    location = new_location()
    for chosen in {}, {"cache": False}, {"cache_dir": tmp_path / "own"}:
        repository = recoup.open(location, PASSWORD, **chosen)
        repository.backup(tree)
        assert repository.check().clean
    assert not (tmp_path / "default").exists() and not (tmp_path / "own").exists()
    with pytest.raises(TypeError, match="cache: "):
        recoup.open(location, PASSWORD, cache="yes please")


class WhileLocked(io.RawIOBase):
    """A stream of one byte: `then()` is called where it is read, which is under the backup's lock."""

    def __init__(self, then) -> None:
        self.then = then
        self.has_ended = False

    def readinto(self, buffer) -> int:
        if self.has_ended:
            return 0
        self.has_ended = True
        self.then()
        buffer[:1] = b"x"
        return 1


def test_locks(new_location, tree, caplog):
    location = new_location()
    repository = recoup.open(location, PASSWORD)
    repository.backup(tree)
    other = recoup.open(location, PASSWORD, no_lock=True)
    seen = []

    def while_backing_up():
        with pytest.raises(recoup.LockedError, match="locked") as locked:
            repository.check()
        seen.append(locked.value.exit_code)
        assert other.check().clean
        assert other.restore("latest", tree.parent / "out").errors == []
        assert repository.unlock() == 0  # ours is not stale

    repository.backup_stream(WhileLocked(while_backing_up))
    assert seen == [11]
    assert list((location / "locks").iterdir()) == []
    patient = recoup.open(location, PASSWORD, retry_lock=600)
    results = []
    checking = threading.Thread(target=lambda: results.append(patient.check()))

    def begin_a_check():
        checking.start()
        while "waiting for a lock" not in caplog.text:
            assert checking.is_alive()
            checking.join(0.02)

    with caplog.at_level(logging.WARNING, "recoup"):
        repository.backup_stream(WhileLocked(begin_a_check))
    checking.join()
    assert results[0].clean


def test_unlock_removes_locks(repository, tree):
    repository.backup(tree)
    removed = []
    with pytest.raises(RuntimeError, match="enough"):

        def take_it_away(_):
            removed.append(repository.unlock(remove_all=True))
            raise RuntimeError("enough")

        repository.backup(tree, progress=take_it_away)
    assert removed in ([0], [1])  # the first call may come before the lock
    assert repository.unlock() == 0


def test_objects_cannot_be_made_or_copied_by_hand(repository, tree):
    repository.backup(tree)
    with pytest.raises(TypeError):
        recoup.Node()
    with pytest.raises(TypeError):
        copy.copy(repository.snapshot().stat(tree))
