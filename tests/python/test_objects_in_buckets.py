"""A bucket as a store of objects: requests and how many, servers that refuse, are slow or are not there."""

from __future__ import annotations

import concurrent.futures
import itertools
import re
import time

import pytest
from objects_places import BucketPlace
from samples import MIB, noise

import recoup
from support import faults, s3
from support.link import Link
from support.proxy import Proxy


@pytest.fixture
def place(minio, monkeypatch) -> BucketPlace:
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    return BucketPlace(minio)


@pytest.fixture
def proxy(minio):
    with Proxy(minio.endpoint) as made:
        yield made


def fill(place: BucketPlace, keys: list[str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: place.write(key, key.encode()), keys))


def keys_of(store: recoup.ObjectStore, prefix: str = "") -> list[str]:
    return [each.key for each in store.list(prefix)]


def act_as(user: s3.Credentials, monkeypatch) -> None:
    for name, value in user.environment().items():
        monkeypatch.setenv(name, value)


def ranges(proxy: Proxy) -> list[tuple[int, int]]:
    """(offset, count) of what was asked for."""
    asked = [re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"]) for request in proxy.log]
    return [(int(each[1]), int(each[2]) - int(each[1]) + 1) for each in asked]


# ---- how many requests ---------------------------------------------------------------------------


def test_a_listing_takes_a_request_for_each_thousand_when_it_is_their_turn(place, proxy):
    keys = [f"backups/backup-{number:05}/velero-backup.json" for number in range(2300)]
    fill(place, keys)
    store = recoup.open_objects(place.location(endpoint=proxy.endpoint))
    assert keys_of(store) == keys
    assert len(proxy.log) == 3

    proxy.clear()
    assert store.list_directories("backups/") == [f"backup-{number:05}" for number in range(2300)]
    assert len(proxy.log) == 3

    proxy.clear()
    listing = store.list("backups/")
    assert proxy.log == []
    assert [next(listing).key for _ in range(1000)] == keys[:1000]
    assert len(proxy.log) == 1
    assert next(listing).key == keys[1000]
    assert len(proxy.log) == 2
    del listing
    both = zip(store.list("backups/"), store.list("backups/"))
    assert all(one.key == other.key for one, other in both)
    assert len(proxy.log) == 8


def test_each_small_object_takes_one_request(place, proxy):
    place.write("small", noise(MIB))
    place.write("empty", b"")
    place.write("large", noise(3 * MIB))
    store = recoup.open_objects(place.location(endpoint=proxy.endpoint))
    for key, requests in (("small", 1), ("empty", 1), ("large", 2)):
        proxy.clear()
        content = store.read(key)
        with store.open(key) as file:
            assert file.read() == content
        assert len(proxy.log) == 2 * requests, proxy
    proxy.clear()
    with pytest.raises(recoup.DamagedError):
        store.read("large", limit=1000)
    assert ranges(proxy) == [(0, 1000)]


def test_a_file_is_read_ahead_in_growing_pieces(place, proxy):
    content = noise(40 * MIB)
    place.write("x", content)
    with recoup.open_objects(place.location(endpoint=proxy.endpoint)).open("x") as file:
        assert b"".join(iter(lambda: file.read(10_000), b"")) == content
        pieces = [(0, 1), (1, 2), (3, 4), (7, 8), (15, 16), (31, 9)]
        assert ranges(proxy) == [(begin * MIB, count * MIB) for begin, count in pieces]
        proxy.clear()
        for offset in (30 * MIB, 5, 20 * MIB):
            file.seek(offset)
            assert file.read(100) == content[offset : offset + 100]
        assert ranges(proxy) == [(30 * MIB, MIB), (5, MIB), (20 * MIB, MIB)]


# ---- several at a time ---------------------------------------------------------------------------


def test_requests_of_several_threads_are_in_flight_together(place, minio):
    keys = [f"x/{number}" for number in range(200)]
    fill(place, keys)
    with Link(("127.0.0.1", minio.port), rtt=0.1) as line, Proxy(f"http://127.0.0.1:{line.port}") as before_it:
        store = recoup.open_objects(place.location(endpoint=before_it.endpoint))
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            assert list(pool.map(store.read, keys)) == [key.encode() for key in keys]
    # The engine begins with 16 at this distance. How long that takes says more about the machine.
    changes = sorted(change for each in before_it.log for change in ((each.begin, 1), (each.begin + each.seconds, -1)))
    assert max(itertools.accumulate(step for _, step in changes)) >= 8, before_it


def test_other_threads_of_python_go_on(place, proxy, others_run_during):
    place.write("x", b"content")
    store = recoup.open_objects(place.location(endpoint=proxy.endpoint))
    for ask in (lambda: store.read("x"), lambda: keys_of(store), store.list_directories):
        proxy.add(faults.stall(0.5), times=None)
        assert others_run_during(ask)
        proxy.clear()


# ---- stopping ------------------------------------------------------------------------------------


@pytest.fixture
def silent(place, proxy):
    """A store whose server takes requests and does not answer."""
    place.write("x", b"content")
    store = recoup.open_objects(place.location(endpoint=proxy.endpoint))
    assert store.read("x") == b"content"
    proxy.clear()
    proxy.add(faults.stall(120), times=None)
    yield store


@pytest.mark.timeout(600)
def test_control_c_ends_a_call_and_those_of_other_threads(silent, proxy, interrupts_when):
    for ask in (lambda: silent.read("x"), lambda: keys_of(silent), silent.list_directories, lambda: silent.open("x")):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = len(proxy.log) + 2
            beside = pool.submit(silent.read, "x")
            begun = time.monotonic()
            sent = interrupts_when(lambda waiting=waiting: len(proxy.log) >= waiting)
            with pytest.raises(KeyboardInterrupt):
                ask()
            sent.join()
            with pytest.raises(recoup.StoppedError):
                beside.result()
        assert time.monotonic() - begun < 60
    proxy.clear()
    assert silent.read("x") == b"content"
    assert keys_of(silent) == ["x"]


@pytest.mark.timeout(600)
def test_closing_ends_what_other_threads_ask_for(silent, proxy):
    listing = silent.list()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(silent.read, "x"), pool.submit(next, listing)]
        while len(proxy.log) < 2:
            assert not any(each.done() for each in asked)
            time.sleep(0.01)
        silent.close()
        for each in asked:
            with pytest.raises(recoup.StoppedError):
                each.result()
    for ask in (lambda: silent.read("x"), lambda: keys_of(silent), silent.list_directories):
        with pytest.raises(recoup.InvalidArgumentError, match="closed"):
            ask()
    silent.close()


# ---- what only buckets have ----------------------------------------------------------------------


def test_a_prefix_that_is_an_object_too(place):
    fill(place, ["a", "a/b", "a/b/c"])
    store, inside = place.store(), place.store("a")
    assert [store.read(key) for key in ("a", "a/b", "a/b/c")] == [b"a", b"a/b", b"a/b/c"]
    assert [inside.read(key) for key in ("b", "b/c")] == [b"a/b", b"a/b/c"]
    # MinIO takes such objects and leaves those below others out of its lists: we show what it does.
    for prefix in ("", "a", "a/", "a/b", "a/b/"):
        assert keys_of(store, prefix) == place.bucket.keys(prefix)
    assert "a" in keys_of(store)


def test_markers_of_directories(place):
    place.write("team/", b"")
    place.write("team/backups/", b"")
    place.write("team/backups/x", b"content")
    store = place.store("team")
    assert keys_of(store) == ["backups/", "backups/x"]
    assert (store.list_directories(), store.list_directories("backups/")) == (["backups"], [])
    assert store.read("backups/") == b""


def test_keys_with_every_character(place):
    """Those that XML cannot hold come escaped."""
    keys = [f"x{chr(code)}y" for code in range(1, 0x180) if chr(code) not in "/\\"]
    fill(place, keys)
    store = place.store()
    assert keys_of(store) == sorted(keys)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(store.read, keys)) == [key.encode() for key in keys]


def test_another_bucket_is_not_reached(place, minio):
    other = BucketPlace(minio)
    other.write("secret", b"secret")
    place.write("x", b"content")
    for way in ("..", "x/../..", "/.."):
        with pytest.raises(recoup.UnsupportedError):
            place.store().read(f"{way}/{other.bucket.name}/secret")


# ---- refusals ------------------------------------------------------------------------------------


def each_question(store: recoup.ObjectStore):
    return [lambda: store.read("x"), lambda: store.open("x"), lambda: keys_of(store), store.list_directories]


def test_wrong_credentials(place, minio, monkeypatch):
    place.write("x", b"content")
    for user, advice in [
        (s3.Credentials(minio.root.access_key, "wrong"), "check AWS_SECRET_ACCESS_KEY"),
        (s3.Credentials("nobody", "wrong"), "check AWS_ACCESS_KEY_ID"),
    ]:
        act_as(user, monkeypatch)
        for ask in each_question(place.store()):
            with pytest.raises(recoup.AccessDeniedError, match=advice):
                ask()


def test_who_may_not_list_may_read(place, minio, monkeypatch):
    place.write("x", b"content")
    act_as(minio.add_user(s3.NO_LIST(place.bucket.name)), monkeypatch)
    store = place.store()
    assert store.read("x") == b"content"
    with pytest.raises(recoup.AccessDeniedError, match="ListBucket"):
        keys_of(store)


def test_no_such_bucket(minio, place):
    store = recoup.open_objects(minio.location("no-such-bucket", "prefix"))
    for ask in each_question(store):
        with pytest.raises(recoup.NotFoundError, match="no-such-bucket.*there is no such bucket"):
            ask()


@pytest.mark.timeout(300)
def test_a_server_that_is_not_there(place):
    store = recoup.open_objects(f"s3:http://127.0.0.1:{s3.free_port()}/bucket", options={"s3.retries": "1"})
    for ask in each_question(store):
        with pytest.raises(recoup.StorageError, match="given up after 2 attempts"):
            ask()


def test_what_passes_is_tried_again(place, proxy, caplog):
    content = noise(3 * MIB)
    place.write("x", content)
    store = recoup.open_objects(place.location(endpoint=proxy.endpoint))
    proxy.add(faults.slow_down(), method="GET", key="x")
    proxy.add(faults.reset_in_answer(500_000), method="GET", key="x")
    proxy.add(faults.truncate(100_000, honest=True), method="GET", key="x")
    assert store.read("x") == content
    proxy.add(faults.server_error(), query="list-type")
    assert keys_of(store) == ["x"]
    assert sum(proxy.faults().values()) == 4
    assert "trying again" in caplog.text


def test_options_and_network_reach_the_engine(place, proxy):
    place.write("x", noise(MIB))
    network = recoup.Network(download_limit=MIB, user_agent="audit/1")
    store = recoup.open_objects(
        place.location(endpoint=proxy.endpoint), options={"s3.list-objects-v1": "true"}, network=network
    )
    assert keys_of(store) == ["x"]
    assert "list-type" not in proxy.log[-1].query
    assert proxy.log[-1].headers["user-agent"] == "audit/1"
    begun = time.monotonic()
    store.read("x")
    store.read("x")
    assert time.monotonic() - begun > 1


def test_nothing_is_asked_before_it_is_needed_and_nothing_is_written(place, proxy):
    place.write("x", b"content")
    store = recoup.open_objects(place.location(endpoint=proxy.endpoint))
    store.repository_location("restic/db")
    store.list()
    assert proxy.log == []
    for ask in each_question(store):
        ask()
    assert {request.method for request in proxy.log} == {"GET"}
