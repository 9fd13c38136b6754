"""The programs that are compared: where each is, and what it calls an operation.

Every program encrypts and compresses as it does by default, and has a home of its own below the scratch directory, with its
settings, caches and temporary files: nobody's disk is measured, and nothing is left behind. No setting of the caller's
reaches it.
"""

from __future__ import annotations

import abc
import os
import pathlib
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Callable

from .measure import Measurement, measure
from .minio import Minio
from .scratch import remove

HERE = pathlib.Path(__file__).resolve().parents[2]

#: In the order in which a user meets them.
OPERATIONS = ("first backup", "backup again", "restore", "check", "check --read-data")
PASSWORD = "benchmark"


class Program(abc.ABC):
    """One program with a repository of its own. An operation that it lacks returns None."""

    name = ""
    #: operation -> what is typed, for the report
    calls: dict[str, str] = {}
    #: what to know when its figures are read
    note = ""

    def __init__(self, executable: str, scratch: pathlib.Path, store: Minio | None = None):
        self.executable = executable
        self.store = store
        self.home = scratch / f"home-{self.name}"
        self.cache = self.home / "cache"
        self.repository = scratch / f"repository-{self.name}"
        self.restored = scratch / f"restored-{self.name}"

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.home), "TZ": "UTC", "LANG": "C.UTF-8",
                "TMPDIR": str(self.home / "tmp"), "XDG_CACHE_HOME": str(self.cache), "XDG_CONFIG_HOME": str(self.home / "config")}

    def run(self, *arguments: str, cwd: os.PathLike | None = None, stdin: BinaryIO | None = None) -> Measurement:
        return measure([self.executable, *arguments], self.environment(), cwd=cwd, stdin=stdin)[0]

    def version(self) -> str:
        self.home.mkdir(parents=True, exist_ok=True)
        said = measure([self.executable, self.version_argument], self.environment())[1]
        return said.strip().splitlines()[0]

    version_argument = "--version"

    def clear(self) -> None:
        """No repository, no caches, nothing restored; the home is there and empty."""
        if self.store:
            self.store.empty(self.name)
        for directory in (self.repository, self.restored, self.home):
            remove(directory)
        (self.home / "tmp").mkdir(parents=True)

    def clear_cache(self) -> None:
        remove(self.cache)

    def repository_size(self) -> int:
        return self.store.size(self.name) if self.store else directory_size(self.repository)

    @abc.abstractmethod
    def init(self) -> None:
        """Makes the repository."""

    @abc.abstractmethod
    def backup(self, sources: Sequence[str]) -> Measurement: ...

    @abc.abstractmethod
    def restore(self, sparse: bool = False) -> Measurement:
        """Restores the newest backup into `restored`."""

    def check(self) -> Measurement | None:
        return None

    def check_data(self) -> Measurement | None:
        return None


class ResticCommands(Program):
    """What restic and rustic call by the same names."""

    def init(self) -> None:
        self.run("init")

    def backup(self, sources: Sequence[str]) -> Measurement:
        return self.run("backup", *sources)

    def check(self) -> Measurement:
        return self.run("check")

    def check_data(self) -> Measurement:
        return self.run("check", "--read-data")


class Restic(ResticCommands):
    name = "restic"
    version_argument = "version"
    calls = {"first backup": "backup", "backup again": "backup", "restore": "restore latest --target", "check": "check",
             "check --read-data": "check --read-data"}

    def environment(self) -> dict[str, str]:
        location = self.store.location(self.name) if self.store else str(self.repository)
        return {**super().environment(), "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": location,
                "RESTIC_CACHE_DIR": str(self.cache), **(self.store.credentials if self.store else {})}

    def run(self, *arguments: str, **how) -> Measurement:
        return super().run("--quiet", *arguments, **how)

    def backup_stream(self, stream: BinaryIO) -> Measurement:
        """Backs up what comes out of a pipe, as one file."""
        return self.run("backup", "--stdin", "--stdin-filename", "stream", stdin=stream)

    def dump_stream(self) -> Measurement:
        """Writes that file to nowhere."""
        return self.run("dump", "latest", "/stream", "--target", "/dev/null")

    def restore(self, sparse: bool = False) -> Measurement:
        return self.run("restore", "latest", "--target", str(self.restored), *(["--sparse"] if sparse else []))

    def snapshots(self) -> Measurement:
        return self.run("snapshots")


class Recoup(Restic):
    name = "recoup"


class Rustic(ResticCommands):
    name = "rustic"
    calls = {"first backup": "backup", "backup again": "backup", "restore": "restore latest", "check": "check",
             "check --read-data": "check --read-data"}

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "RUSTIC_REPOSITORY": str(self.repository), "RUSTIC_PASSWORD": PASSWORD,
                "RUSTIC_CACHE_DIR": str(self.cache), "RUSTIC_NO_PROGRESS": "true"}

    def restore(self, sparse: bool = False) -> Measurement:
        return self.run("restore", "latest", str(self.restored))


class Borg(Program):
    name = "borg"
    calls = {"first backup": "create", "backup again": "create", "restore": "extract", "check": "check --archives-only",
             "check --read-data": "check --verify-data"}
    note = "lz4, repokey-blake2; a plain `borg check` reads every segment for its CRC, so its nearest to `check` is --archives-only"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.archives = 0

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "BORG_REPO": str(self.repository), "BORG_PASSPHRASE": PASSWORD,
                "BORG_BASE_DIR": str(self.home), "BORG_CACHE_DIR": str(self.cache),
                "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}

    def init(self) -> None:
        self.archives = 0
        self.run("init", "--encryption", "repokey-blake2")

    def backup(self, sources: Sequence[str]) -> Measurement:
        self.archives += 1
        return self.run("create", f"::{self.archives}", *sources)

    def restore(self, sparse: bool = False) -> Measurement:
        self.restored.mkdir()
        return self.run("extract", *(["--sparse"] if sparse else []), f"::{self.archives}", cwd=self.restored)

    def check(self) -> Measurement:
        return self.run("check", "--archives-only")

    def check_data(self) -> Measurement:
        return self.run("check", "--verify-data")


class Bupstash(Program):
    name = "bupstash"
    calls = {"first backup": "put", "backup again": "put", "restore": "restore"}
    note = "has no check"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "BUPSTASH_REPOSITORY": str(self.repository), "BUPSTASH_KEY": str(self.home / "key"),
                "BUPSTASH_QUERY_CACHE": str(self.cache / "queries"), "BUPSTASH_SEND_LOG": str(self.cache / "sent")}

    def init(self) -> None:
        self.run("new-key", "-o", str(self.home / "key"))
        self.run("init")

    def backup(self, sources: Sequence[str]) -> Measurement:
        self.cache.mkdir(exist_ok=True)
        took, said = measure([self.executable, "put", "--quiet", *sources], self.environment())
        self.item = said.split()[-1]
        return took

    def restore(self, sparse: bool = False) -> Measurement:
        self.restored.mkdir()
        self.cache.mkdir(exist_ok=True)
        return self.run("restore", "--quiet", "--into", str(self.restored), f"id={self.item}")


KINDS: dict[str, type[Program]] = {kind.name: kind for kind in (Recoup, Restic, Rustic, Borg, Bupstash)}


def installed() -> dict[str, str]:
    """Name -> executable, of those that are here; RECOUP, RESTIC and so on in the environment come first."""
    found = {"recoup": os.environ.get("RECOUP") or str(HERE / "build/release/recoup")}
    said = subprocess.run([str(HERE / "tools/peers.sh"), "--installed"], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        name, _, path = line.partition("=")
        found[name.lower()] = shlex.split(path)[0]
    return {name: os.path.abspath(path) for name, path in found.items() if os.access(path, os.X_OK)}


def choose(names: str | None, kinds: Sequence[str] = tuple(KINDS)) -> dict[str, str]:
    """The programs named in a list with commas, or all that are installed; ends this program if one cannot be had."""
    here = {name: path for name, path in installed().items() if name in kinds}
    wanted = names.split(",") if names else [name for name in kinds if name in here]
    for name in wanted:
        if name not in kinds:
            raise SystemExit(f"there is no program {name!r} here; there are: {', '.join(kinds)}")
        if name not in here:
            hint = "make build" if name == "recoup" else "tools/peers.sh"
            raise SystemExit(f"{name} is not installed: {hint} gets it")
    return {name: here[name] for name in wanted}


def make(chosen: dict[str, str], scratch: pathlib.Path, store: Minio | None = None) -> list[Program]:
    programs = [KINDS[name](path, scratch, store) for name, path in chosen.items()]
    for program in programs:
        program.clear()
    return programs


def operations(program: Program, sources: Sequence[str], inspect: Callable[[Program], None] = lambda program: None,
               sparse: bool = False, skip: Sequence[str] = ()) -> Iterator[tuple[str, Measurement | None]]:
    """Does one operation after the other on a new repository and yields what each took.

    `inspect` sees what was restored, in `program.restored`, before it is removed. `skip` names operations that are left out.
    """
    steps = {"first backup": lambda: program.backup(sources), "backup again": lambda: program.backup(sources),
             "restore": lambda: program.restore(sparse), "check": program.check, "check --read-data": program.check_data}
    program.clear()
    program.init()
    for operation in OPERATIONS:
        if operation in skip:
            continue
        if operation == "restore":
            program.clear_cache()  # a restore is for the machine that lost everything
        took = steps[operation]()
        if operation == "restore":
            inspect(program)
            remove(program.restored)
        yield operation, took


def directory_size(directory: pathlib.Path) -> int:
    """Bytes of all files below, as their lengths say."""
    return sum(entry.stat().st_size for entry in directory.rglob("*") if entry.is_file())
