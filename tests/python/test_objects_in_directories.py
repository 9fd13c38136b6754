"""A directory as a store of objects: what only file systems have."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import subprocess
import threading

import pytest
from objects_places import DirectoryPlace
from samples import MIB, noise

import recoup


@pytest.fixture
def place(tmp_path) -> DirectoryPlace:
    return DirectoryPlace(tmp_path / "bucket")


def keys_of(store: recoup.ObjectStore, prefix: str = "") -> list[str]:
    return [each.key for each in store.list(prefix)]


def test_a_directory_that_is_not_there(tmp_path):
    store = recoup.open_objects(tmp_path / "nothing")
    for ask in (lambda: keys_of(store), store.list_directories):
        with pytest.raises(recoup.NotFoundError, match="nothing: there is no such directory; a bucket is named as s3:"):
            ask()
    with pytest.raises(recoup.NotFoundError):
        store.read("x")


def test_names_that_are_no_text(place):
    for name in (b"latin\xe9", b"\xff\xfe/x", b"new\nline", b"a/\xc3"):
        path = os.path.join(os.fsencode(place.folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name)
    store = place.store()
    keys = keys_of(store)
    as_bytes = [key.encode("utf-8", "surrogateescape") for key in keys]
    assert as_bytes == sorted([b"latin\xe9", b"\xff\xfe/x", b"new\nline", b"a/\xc3"])
    assert [store.read(key) for key in keys] == as_bytes
    assert store.list_directories() == ["a", "\udcff\udcfe"]
    assert keys_of(store, "\udcff\udcfe/") == ["\udcff\udcfe/x"]


@pytest.mark.parametrize("target", ["../../secret", "{outside}/secret", "/etc/passwd", "../../bucket/../secret"])
def test_a_link_that_leads_out_is_refused(place, tmp_path, target, caplog):
    (tmp_path / "secret").write_text("secret")
    place.write("a/x", b"content")
    (place.folder / "a" / "link").symlink_to(target.format(outside=tmp_path))
    (place.folder / "chain").symlink_to("a/link")
    store = place.store()
    for key in ("a/link", "chain"):
        for read in (store.read, store.open):
            with pytest.raises(recoup.AccessDeniedError, match=f"{key} is a symlink that leads out of the directory"):
                read(key)
    with caplog.at_level(logging.WARNING, "recoup"):
        assert keys_of(store) == ["a/x"]
    assert [record.getMessage().count("symlink") for record in caplog.records] == [1, 1]


def test_a_link_to_a_directory_is_refused(place, tmp_path, caplog):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("secret")
    place.write("inside/x", b"content")
    for name, target in (("out", "../outside"), ("in", "inside"), ("loop", "."), ("up", "..")):
        (place.folder / name).symlink_to(target)
    store = place.store()
    with caplog.at_level(logging.WARNING, "recoup"):
        assert keys_of(store) == ["inside/x"]
        assert store.list_directories() == ["inside"]
    assert len(caplog.records) == 8
    for name in ("out", "in", "loop", "up"):
        for ask in (lambda key: store.read(f"{key}/x"), store.read, store.repository_location, store.list_directories,
                    lambda key: keys_of(store, f"{key}/"), lambda key: store.repository_location(f"{key}/db")):
            with pytest.raises(recoup.AccessDeniedError, match=f"bucket/{name} is a symlink that leads out"):
                ask(name)


def test_a_link_to_a_file_inside_is_that_file(place):
    place.write("a/deep/x", b"content")
    (place.folder / "b").mkdir()
    (place.folder / "b" / "relative").symlink_to("../a/deep/x")
    (place.folder / "b" / "absolute").symlink_to(place.folder / "a" / "deep" / "x")
    (place.folder / "b" / "chain").symlink_to("relative")
    store = place.store()
    names = ["b/absolute", "b/chain", "b/relative"]
    assert [(each.key, each.size) for each in store.list("b/")] == [(name, 7) for name in names]
    assert [store.read(name) for name in names] == [b"content"] * 3


def test_links_that_lead_nowhere(place, caplog):
    (place.folder / "dangling").symlink_to("nothing")
    (place.folder / "self").symlink_to("self")
    with caplog.at_level(logging.WARNING, "recoup"):
        assert keys_of(place.store()) == []
    assert len(caplog.records) == 2
    for key in ("dangling", "self"):
        with pytest.raises((recoup.NotFoundError, recoup.StorageError)):
            place.store().read(key)


def test_the_place_itself_may_be_a_link(place, tmp_path):
    place.write("a/x", b"content")
    (tmp_path / "link").symlink_to("bucket")
    store = recoup.open_objects(tmp_path / "link")
    assert (keys_of(store), store.read("a/x")) == (["a/x"], b"content")


@pytest.mark.timeout(300)
def test_what_is_no_file_is_no_object(place, caplog):
    os.mkfifo(place.folder / "pipe")
    (place.folder / "empty" / "deep").mkdir(parents=True)
    store = place.store()
    with caplog.at_level(logging.WARNING, "recoup"):
        assert (keys_of(store), store.list_directories()) == ([], [])
    assert "pipe is left out: it is no file" in caplog.records[0].getMessage()
    for key in ("pipe", "empty", "empty/deep"):
        with pytest.raises(recoup.NotFoundError, match=f"{key}: it is no file"):
            store.read(key)


def test_a_file_that_is_written_over_while_it_is_read_is_noticed(place):
    place.write("x", noise(3 * MIB, "old"))
    os.utime(place.folder / "x", (1, 1))  # some clocks of file systems go by hundredths of a second
    with place.store().open("x") as file:
        file.read(MIB)
        (place.folder / "x").write_bytes(noise(3 * MIB, "new"))
        with pytest.raises(recoup.StorageError, match="was replaced while it was read"):
            file.read(MIB)


def test_what_may_not_be_read_says_so(place):
    place.write("a/x", b"content")
    (place.folder / "a" / "x").chmod(0)
    (place.folder / "closed").mkdir(mode=0)
    problems: list[Exception] = []
    store = place.store()

    # Root reads everything. The system call changes the rights of one thread, the C library's function those of all.
    def as_somebody() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall({"x86_64": 117, "aarch64": 147}[platform.machine()], -1, 65534, -1) != 0:
            problems.append(OSError(ctypes.get_errno(), "setresuid"))
            return
        for ask in (lambda: store.read("a/x"), lambda: keys_of(store)):
            try:
                ask()
            except recoup.Error as problem:
                problems.append(problem)

    thread = threading.Thread(target=as_somebody)
    thread.start()
    thread.join()
    (place.folder / "closed").chmod(0o700)
    assert [type(each) for each in problems] == [recoup.AccessDeniedError] * 2, problems


def test_directories_deeper_than_the_stack(place, request):
    # pytest's own way of cleaning up calls itself for each level.
    request.addfinalizer(lambda: subprocess.run(["rm", "-rf", place.folder], check=True))
    depth = 1100  # of its calls, 1000 by default
    folder = os.open(place.folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    store = place.store()
    assert keys_of(store) == ["d/" * depth + "x"]
    assert store.read("d/" * depth + "x") == b""
