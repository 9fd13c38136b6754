"""Fixtures for the tests of the installed package `recoup`.

Trying a password costs half a second by design, so repositories here are copies of one template whose key is cheap.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from samples import MIB, PASSWORD, noise

import recoup
from recoup import _engine
from recoup.repository import _settings
from support import s3


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    """Empty repositories of both versions, to copy."""
    home = tmp_path_factory.mktemp("templates")
    for version in (1, 2):
        settings = _settings("auto", 16 * MIB, None)
        _engine.init(home / f"v{version}", PASSWORD, version=version, chunker_polynomial=None, scrypt=(16, 1, 1), **settings)
        for folder in (home / f"v{version}" / "data").iterdir():  # made again when needed; 256 fewer to copy
            folder.rmdir()
    return home


@pytest.fixture
def new_location(templates, tmp_path):
    """new_location(version=2): the path of an empty repository with the password PASSWORD."""
    made = []

    def make(version: int = 2) -> pathlib.Path:
        path = tmp_path / f"repository-{len(made)}"
        shutil.copytree(templates / f"v{version}", path)
        made.append(path)
        return path

    return make


@pytest.fixture
def repository(new_location) -> recoup.Repository:
    return recoup.open(new_location(), PASSWORD)


@pytest.fixture
def tree(tmp_path) -> pathlib.Path:
    """A small directory: texts, an empty file, one of several blobs, a symlink, two levels."""
    top = tmp_path / "source"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "a.txt").write_text("alpha\nbeta\n", encoding="utf-8")
    (top / "b.bin").write_bytes(noise(100_000))
    (top / "empty").write_bytes(b"")
    (top / "sub" / "large").write_bytes(noise(5 * MIB, "large"))
    (top / "sub" / "deep" / "C.TXT").write_text("gämma", encoding="utf-8")
    (top / "link").symlink_to("a.txt")
    return top


class Restic:
    """The real program, at a repository with the password PASSWORD."""

    def __init__(self, program: str, home: pathlib.Path) -> None:
        self.program = program
        self.home = home

    def run(self, location: os.PathLike[str], *arguments: object, code: int = 0) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "RESTIC_CACHE_DIR": str(self.home / "cache"),
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_REPOSITORY": str(location),
        }
        command = [self.program, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=600)
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def restic(tmp_path) -> Restic:
    default = "~/.cache/recoup-test/restic-0.19.1/usr/bin/restic"
    program = os.environ.get("RESTIC") or os.path.expanduser(default)
    assert os.access(program, os.X_OK), f"no restic at {program}; tools/restic.sh fetches it, RESTIC names another"
    home = tmp_path / "restic-home"
    home.mkdir()
    return Restic(program, home)


@pytest.fixture
def interrupts_when():
    """interrupts_when(condition): the process gets SIGINT once that is true, as Ctrl-C does it; ended with the test."""
    threads, ended = [], threading.Event()

    def start(condition) -> threading.Thread:
        def send() -> None:
            while not condition():
                if ended.wait(0.01):
                    return
            os.kill(os.getpid(), signal.SIGINT)

        threads.append(threading.Thread(target=send, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    ended.set()
    for each in threads:
        each.join()


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """A real MinIO of the session's own; tools/s3-servers.sh builds it."""
    with s3.Minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory):
    """A second server, which shares no code with the first."""
    with s3.Versity(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


class Counter(threading.Thread):
    """Counts whenever it gets the GIL, and gives it back at once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self.stopped = False

    def run(self) -> None:
        while not self.stopped:
            self.count += 1
            time.sleep(0.0001)


@pytest.fixture
def others_run_during():
    """others_run_during(call): whether another Python thread could run while a call was running.

    Nobody asks for the GIL meanwhile (of who keeps it, the interpreter would demand it as soon as the call has ended, and the other thread
    would count before it can be asked how far it has come): it counts only where the call gives the GIL away itself. A call that is over
    before the machine has let the other thread run says nothing, so it is made again."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    counter = Counter()
    counter.start()

    def measure(call) -> bool:
        end = time.monotonic() + 60
        while True:
            before = counter.count
            call()
            # More often than arguments are looked at and locks are taken on the way, for which the GIL may be given away too.
            if counter.count - before > 20:
                return True
            if time.monotonic() > end:
                return False

    yield measure
    counter.stopped = True
    counter.join()
    sys.setswitchinterval(interval)
