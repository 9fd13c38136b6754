"""A repository in a bucket whose server stops answering: Ctrl-C ends what waits for it, and nothing else."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time

import pytest
from objects_places import BucketPlace
from samples import MIB, PASSWORD, noise

import recoup
from recoup import _engine
from recoup.repository import _settings
from support import faults
from support.proxy import Proxy

# Of the STALL for which nothing is answered. An operation that holds a lock tries for ten seconds to take it back.
IN_TIME = 60
STALL = 120

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def proxy(minio):
    with Proxy(minio.endpoint) as made:
        yield made


@pytest.fixture
def location(minio, proxy, monkeypatch, tmp_path) -> str:
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RESTIC_CACHE_DIR", str(tmp_path / "cache"))
    made = BucketPlace(minio).location("repository", endpoint=proxy.endpoint)
    settings = _settings("auto", 16 * MIB, None)
    _engine.init(made, PASSWORD, version=2, chunker_polynomial=None, scrypt=(16, 1, 1), **settings)
    return made


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "large").write_bytes(noise(5 * MIB))
    (tmp_path / "source" / "small").write_bytes(b"small")
    return tmp_path / "source"


@pytest.fixture
def repository(location, source) -> recoup.Repository:
    made = recoup.open(location, PASSWORD, cache=False)
    made.backup(source)
    return made


@pytest.fixture
def interrupted(proxy, interrupts_when):
    """interrupted(): the process gets SIGINT while what stands inside waits for the server; it ends with KeyboardInterrupt, in time."""

    @contextlib.contextmanager
    def interrupted(is_waiting=lambda: proxy.faults()):
        begun = time.monotonic()
        sent = interrupts_when(is_waiting)
        with pytest.raises(KeyboardInterrupt):
            yield
        sent.join()
        assert time.monotonic() - begun < IN_TIME

    return interrupted


CALLS = {
    "snapshots": lambda repository, source, target: repository.snapshots(),
    "snapshot": lambda repository, source, target: repository.snapshot("latest"),
    "restore": lambda repository, source, target: repository.snapshot("latest").restore(target),
    "check": lambda repository, source, target: repository.check(),
    "backup": lambda repository, source, target: repository.backup(source),
}


@pytest.mark.parametrize("name", CALLS)
def test_control_c_ends_each_call_and_the_next_one_works(repository, proxy, interrupted, source, tmp_path, name):
    proxy.add(faults.stall(STALL), times=None)
    with interrupted():
        CALLS[name](repository, source, tmp_path / "first")
    proxy.clear()
    CALLS[name](repository, source, tmp_path / "second")
    assert repository.check().clean


@pytest.mark.parametrize("name", ["check", "restore"])
def test_control_c_in_the_middle_of_what_is_read(repository, proxy, interrupted, source, tmp_path, name):
    """Under its lock, which goes."""
    calls = {"check": lambda: repository.check(read_data=True), "restore": lambda: repository.snapshot().restore(tmp_path / "out", verify=True)}
    proxy.add(faults.stall(STALL), method="GET", key="data/", times=None)
    with interrupted():
        calls[name]()
    assert proxy.requests("DELETE", "locks/")
    proxy.clear()
    calls[name]()
    assert not proxy.faults() and repository.unlock(remove_all=True) == 0


def test_control_c_ends_opening(location, proxy, interrupted):
    proxy.add(faults.stall(STALL), times=None)
    with interrupted():
        recoup.open(location, PASSWORD, cache=False)
    proxy.clear()
    assert recoup.open(location, PASSWORD, cache=False).snapshots() == []


def test_control_c_ends_reading_of_trees_and_files(repository, proxy, interrupted, source):
    snapshot = repository.snapshot("latest")
    file = snapshot.open(source / "large")
    reads = {
        "tree": lambda: snapshot.stat(source / "small"),
        "find": lambda: list(snapshot.find("*")),
        "content": lambda: snapshot.read_bytes(source / "small"),
        "open file": lambda: (file.seek(0), file.read(100)),
    }
    for name, read in reads.items():
        proxy.add(faults.stall(STALL), times=None)
        with interrupted():
            read()
            pytest.fail(f"{name} was read without the server")
        proxy.clear()
        read()
    file.seek(MIB)
    assert file.read(100) == noise(5 * MIB)[MIB : MIB + 100]


def test_operations_of_other_threads_go_on(repository, proxy, interrupted, source, tmp_path):
    snapshot = repository.snapshot("latest")
    (source / "new").write_bytes(noise(MIB, "new"))
    proxy.add(faults.stall(3), method="GET", key="data/", times=None)
    proxy.add(faults.stall(STALL), method="PUT", key="data/", times=None)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        beside = pool.submit(snapshot.restore, tmp_path / "target")
        with interrupted(lambda: len(proxy.faults()) == 2):
            repository.backup(source)
        assert beside.result().errors == []
    assert list((tmp_path / "target").rglob("large"))[0].read_bytes() == noise(5 * MIB)
