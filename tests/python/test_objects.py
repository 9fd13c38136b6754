"""Objects in buckets and directories: what holds for every store, tried on a directory and on two real S3 servers."""

from __future__ import annotations

import concurrent.futures
import gzip
import hashlib
import io
import os
import tarfile
from datetime import datetime, timedelta, timezone

import pytest
from objects_places import BucketPlace, DirectoryPlace, Place
from samples import MIB, PASSWORD, noise

import recoup
from support import s3

#: Names that every kind of place can have. None of them is a directory of another.
ODD = [
    "a-b",
    "a.c",
    "a/b",
    "a/b-c/d",
    "a/b.c",
    "a0",
    "&<xml>'\"",
    "100%/per%20cent%",
    "dots/..a",
    "dots/a..b",
    "dots/...",
    "plus+plus/a+b c",
    "query?x=1&y=2#z;v",
    "sp ace/ leading and trailing ",
    "star*/[x]/{y}/\\backslash|~",
    "ünï/日本/\U0001f9ea",
    "ünï/\ufb03",
]


@pytest.fixture(params=["directory", "minio", "versitygw"])
def place(request, tmp_path, monkeypatch) -> Place:
    if request.param == "directory":
        return DirectoryPlace(tmp_path / "bucket")
    server = request.getfixturevalue(request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return BucketPlace(server)


def fill(place: Place, keys: list[str]) -> None:
    for key in keys:
        place.write(key, key.encode())


def keys_of(store: recoup.ObjectStore, prefix: str = "") -> list[str]:
    return [each.key for each in store.list(prefix)]


# ---- listing -------------------------------------------------------------------------------------


def test_lists_every_object_in_the_order_of_its_bytes(place):
    begun = datetime.now(timezone.utc) - timedelta(seconds=2)
    fill(place, ODD)
    place.write("empty", b"")
    found = list(place.store().list())
    assert [each.key for each in found] == sorted([*ODD, "empty"], key=str.encode)
    for each in found:
        content = b"" if each.key == "empty" else each.key.encode()
        assert each.size == len(content)
        assert each.modified.utcoffset() == timedelta(0)
        assert begun <= each.modified <= datetime.now(timezone.utc) + timedelta(seconds=1)
        assert each.etag == (hashlib.md5(content).hexdigest() if place.is_bucket else None)


def test_lists_what_begins_with_a_prefix(place):
    fill(place, ["backups/one/x", "backups/one/y", "backups/once", "backups/two/x", "other"])
    store = place.store()
    assert keys_of(store, "backups/on") == ["backups/once", "backups/one/x", "backups/one/y"]
    assert keys_of(store, "backups/one/") == ["backups/one/x", "backups/one/y"]
    assert keys_of(store, "backups/one/x") == ["backups/one/x"]
    for nothing in ("nothing/", "backups/one/x/", "../", "./backups/", "backups/../other", "/", "/other"):
        assert keys_of(store, nothing) == [], nothing


def test_lists_directories_that_have_something_below_them(place):
    fill(place, ["backups/one/x", "backups/two/deep/er/x", "backups/file", "backups/a b%/x", "restic/db/config", "top"])
    store = place.store()
    assert store.list_directories() == ["backups", "restic"]
    assert store.list_directories("backups/") == store.list_directories("backups") == ["a b%", "one", "two"]
    assert store.list_directories("backups/two/") == ["deep"]
    assert store.list_directories("backups/one/") == []
    assert store.list_directories("back") == []
    assert store.list_directories("nothing/") == []


@pytest.mark.parametrize("prefix", ["sp ace", "100%/per cent", "ünï+"])
def test_keys_are_relative_to_the_place(place, prefix):
    fill(place, [f"{prefix}/in/x", f"{prefix}-not", "not"])
    store = place.store(prefix)
    assert store.location == place.location(prefix)
    assert keys_of(store) == keys_of(store, "in/") == ["in/x"]
    assert store.list_directories() == ["in"]
    assert store.read("in/x") == f"{prefix}/in/x".encode()
    with pytest.raises(recoup.NotFoundError):
        store.read("not")


def test_an_empty_place_has_nothing(place):
    assert keys_of(place.store()) == []
    assert place.store().list_directories() == []


# ---- reading -------------------------------------------------------------------------------------


def test_reads_objects_of_any_name(place):
    fill(place, ODD)
    store = place.store()
    for key in ODD:
        assert store.read(key) == key.encode()
        with store.open(key) as file:
            assert file.read() == key.encode()


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 17])
def test_reads_objects_of_any_size(place, size):
    content = noise(size)
    place.write("x", content)
    store = place.store()
    assert store.read("x") == content
    assert store.read("x", limit=size) == content
    with store.open("x") as file:
        assert file.read() == content
        assert file.read() == b""


def test_reads_no_more_than_the_limit(place):
    place.write("x", noise(3 * MIB))
    store = place.store()
    for limit in (0, 1, 100, MIB, 3 * MIB - 1):
        with pytest.raises(recoup.DamagedError, match=rf"x has 3145728 bytes: more than {limit}, "):
            store.read("x", limit=limit)
    with pytest.raises(recoup.InvalidArgumentError):
        store.read("x", limit=-1)


@pytest.mark.parametrize(
    "key",
    ["nothing", "there/nothing", "there/x/nothing", "there", "there/", "there//x", "x" * 1100, "there/" + "y" * 300],
)
def test_what_is_not_there_is_not_found(place, key):
    if key == "there//x" and isinstance(getattr(place, "server", None), s3.Versity):
        key = "there//y"  # the gateway takes it for there/x
    place.write("there/x", b"content")
    store = place.store()
    ranges = [lambda each: store.read_range(each, 0, 10), lambda each: store.read_range(each, 0, 0)]
    for read in (store.read, store.open, *ranges):
        with pytest.raises(recoup.NotFoundError):
            read(key)


@pytest.mark.parametrize("key", ["there/./x", "there/../there/x", "../there/x", "./there/x", "there/..", "there/../../x"])
def test_keys_that_servers_resolve_are_refused(place, key):
    place.write("there/x", b"content")
    store = place.store()
    for read in (store.read, store.open, lambda each: store.read_range(each, 0, 10)):
        with pytest.raises(recoup.UnsupportedError, match="would be another object"):
            read(key)


def test_an_empty_key_names_no_object(place):
    place.write("x", b"content")
    with pytest.raises(recoup.InvalidArgumentError, match="not empty"):
        place.store().read("")


def test_reads_ranges(place):
    content = noise(100_000)
    place.write("x", content)
    place.write("empty", b"")
    store = place.store()
    for offset, count in [(0, 1), (0, 100_000), (0, 200_000), (50_000, 10), (99_999, 1), (99_999, 2), (0, 0), (5, 0)]:
        assert store.read_range("x", offset, count) == content[offset : offset + count]
    for offset in (100_000, 100_001, 1 << 40, (1 << 63) - 1, 1 << 63, 1 << 70):
        assert store.read_range("x", offset, 10) == b""
    assert store.read_range("x", 10, 1 << 70) == content[10:]
    assert store.read_range("empty", 0, 10) == store.read_range("empty", 5, 10) == b""
    for offset, count in [(-1, 1), (0, -1)]:
        with pytest.raises(recoup.InvalidArgumentError):
            store.read_range("x", offset, count)


def test_an_open_object_is_a_file(place):
    content = noise(5 * MIB + 17)
    place.write("a/x", content)
    with place.store().open("a/x") as file:
        assert (file.name, file.mode) == ("a/x", "rb")
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        plain = io.BytesIO(content)
        for offset, whence, count in [(0, 0, 100), (4 * MIB, 0, 10), (-5, 2, 100), (10, 0, 3 * MIB), (-MIB, 1, 2 * MIB),
                                      (6 * MIB, 0, 10), (0, 2, 1), (0, 0, -1), (1, 0, 1)]:
            assert file.seek(offset, whence) == plain.seek(offset, whence)
            assert file.read(count) == plain.read(count)
            assert file.tell() == plain.tell()
        with pytest.raises(ValueError):
            file.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_an_archive_is_read_out_of_an_object(place):
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for number in range(50):
            member = tarfile.TarInfo(f"resources/pods/{number}.json")
            member.size = 40_000
            tar.addfile(member, io.BytesIO(noise(40_000, number)))
    place.write("backups/one/one.tar.gz", made.getvalue())
    with place.store().open("backups/one/one.tar.gz") as file, tarfile.open(fileobj=file) as tar:
        for number in reversed(range(0, 50, 7)):
            assert tar.extractfile(f"resources/pods/{number}.json").read() == noise(40_000, number)


def test_an_object_that_is_replaced_while_it_is_read_is_noticed(place):
    place.write("x", noise(3 * MIB, "old"))
    with place.store().open("x") as file:
        assert file.read(MIB) == noise(3 * MIB, "old")[:MIB]
        place.write("x", noise(3 * MIB, "new"))
        with pytest.raises(recoup.StorageError, match="x.* was replaced while it was read; read it again from"):
            file.read(MIB)
        with pytest.raises(recoup.StorageError, match="was replaced"):
            file.read()


def test_an_object_that_became_shorter_while_it_is_read_is_noticed(place):
    place.write("x", noise(3 * MIB))
    with place.store().open("x") as file:
        place.write("x", b"short")
        file.seek(2 * MIB)
        with pytest.raises(recoup.StorageError, match="while it was read"):
            file.read(10)


def test_an_object_that_is_removed_while_it_is_read_is_noticed(place):
    place.write("x", noise(3 * MIB))
    with place.store().open("x") as file:
        place.delete("x")
        file.seek(2 * MIB)
        with pytest.raises(recoup.NotFoundError):
            file.read(10)


def test_many_threads_read_at_once(place):
    contents = {f"small/{number}": noise(number * 37, number) for number in range(300)}
    for key, content in contents.items():
        place.write(key, content)
    store = place.store()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert dict(zip(contents, pool.map(store.read, contents))) == contents
        listed = list(pool.map(lambda _: keys_of(store, "small/"), range(16)))
    assert all(each == sorted(contents) for each in listed)


# ---- repositories and stores themselves ----------------------------------------------------------


@pytest.mark.parametrize("prefix", ["restic/db", "restic/db/", "restic/ä b%20+#?/db"])
def test_a_repository_below_the_place_is_opened(place, prefix, tree, tmp_path):
    place.write("team/other", b"")
    store = place.store("team")
    where = store.repository_location(prefix)
    recoup.init(where, PASSWORD).backup(tree)
    assert recoup.open(where, PASSWORD, cache_dir=tmp_path / "cache").snapshot().paths == [str(tree)]
    below = prefix.rstrip("/")
    assert f"{below}/config" in keys_of(store)
    assert keys_of(place.store(), f"team/{below}/snap") == [f"team/{key}" for key in keys_of(store, f"{below}/snap")]


@pytest.mark.parametrize("prefix", ["../x", "a/../../x", "a//b", "a/./b", ".."])
def test_no_repository_is_looked_for_outside_of_the_place(place, prefix):
    place.write("team/x", b"")
    with pytest.raises(recoup.InvalidArgumentError, match="no repository can lie below"):
        place.store("team").repository_location(prefix)


def test_the_place_itself_may_be_a_repository(place, tree):
    place.write("team/x", b"")
    assert recoup.init(place.store("team").repository_location(""), PASSWORD).id
    assert "config" in keys_of(place.store("team"))


def test_a_store_is_shown_and_closed(place):
    place.write("x", b"content")
    with place.store() as store:
        assert place.location() in repr(store)
        assert store.read("x") == b"content"
    store.close()


@pytest.mark.parametrize("location, message", [
    ("", "no bucket given"),
    ("http://host/bucket", "write s3:http://"),
    ("foo:bar", 'unknown kind of storage "foo"'),
    ("local:", "unknown kind of storage"),
    ("s3:http://host", "no bucket"),
    ("s3:http://user:secret@host/bucket", "secrets do not belong"),
    ("s3:http://host/b", "cannot be the name of a bucket"),
])
def test_refuses_what_is_no_place(location, message):
    with pytest.raises(recoup.InvalidArgumentError, match=message) as refusal:
        recoup.open_objects(location)
    assert "secret@" not in str(refusal.value)


def test_refuses_storage_of_other_kinds():
    with pytest.raises(recoup.UnsupportedError, match="kind sftp is not supported"):
        recoup.open_objects("sftp:host:/x")


def test_refuses_unknown_options():
    with pytest.raises(recoup.InvalidArgumentError, match="s3.nonsense"):
        recoup.open_objects("s3:http://host/bucket", options={"s3.nonsense": "1"})
    with pytest.raises(recoup.InvalidArgumentError, match="nonsense"):
        recoup.open_objects("s3:http://host/bucket", options={"nonsense": "1"})


@pytest.mark.parametrize("spelling", [str, os.fsencode, lambda path: path, lambda path: f"local:{path}"])
def test_a_directory_has_several_spellings(tmp_path, spelling):
    DirectoryPlace(tmp_path / "with:colon").write("a/x", b"content")
    assert recoup.open_objects(spelling(tmp_path / "with:colon")).read("a/x") == b"content"


def test_a_relative_directory_stays_where_it_was(tmp_path, monkeypatch):
    DirectoryPlace(tmp_path / "place").write("x", b"content")
    monkeypatch.chdir(tmp_path)
    store = recoup.open_objects("place")
    monkeypatch.chdir("/")
    assert (store.location, store.read("x")) == ("place", b"content")
    assert store.repository_location("a") == str(tmp_path / "place" / "a")
