"""Repositories: opening and making them, and what is done with them as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Union

from . import _engine
from ._engine import Node
from .arguments import (
    Compression,
    Overwrite,
    Path,
    Paths,
    Readable,
    Strings,
    TagLists,
    at_least,
    paths,
    strings,
    tag_lists,
)
from .network import Network
from .results import (
    BackupProgress,
    BackupResult,
    CheckProgress,
    CheckResult,
    CopiedSnapshot,
    CopyProgress,
    CopyResult,
    ItemError,
    RestoreProgress,
    RestoreResult,
)
from .snapshot import Snapshot

OnBackupProgress = Callable[[BackupProgress], Any]
OnRestoreProgress = Callable[[RestoreProgress], Any]
OnCheckProgress = Callable[[CheckProgress], Any]
OnCopyProgress = Callable[[CopyProgress], Any]

_log = logging.getLogger("recoup")


class Repository:
    """An open repository. Made by `recoup.open` and `recoup.init`.

    Several threads may use one at once. It stays right while other programs work on the repository: each backup, restore
    and check looks at what is there when it begins.
    """

    def __init__(self, engine: _engine.Repository) -> None:
        self._engine = engine

    @property
    def id(self) -> str:
        return self._engine.id

    @property
    def version(self) -> int:
        """Of the format: 1 or 2."""
        return self._engine.version

    @property
    def location(self) -> str:
        return self._engine.location

    @property
    def key_id(self) -> str:
        """Of the key that the password opened."""
        return self._engine.key_id

    @property
    def chunker_polynomial(self) -> str:
        """In hexadecimal; what `recoup.chunk` takes to cut as this repository does."""
        return self._engine.chunker_polynomial

    def __repr__(self) -> str:
        return f"<recoup.Repository {self.id[:8]} at {self.location}>"

    def snapshots(self, *, hosts: Strings = (), tags: TagLists = (), paths: Paths = ()) -> list[Snapshot]:
        """All snapshots, oldest first, of one of the hosts, with all tags of one of the lists, of all these paths.

        tags=["a,b", "c"] are those that have both a and b, or c. A snapshot that cannot be read is logged and passed
        over; `check` lists it.
        """
        return [Snapshot(self, record) for record in self._engine.snapshots(*_filter(hosts, tags, paths))]

    def snapshot(
        self, name: str = "latest", *, hosts: Strings = (), tags: TagLists = (), paths: Paths = ()
    ) -> Snapshot:
        """One snapshot: "latest", "latest~1" for the one before, an id or a unique prefix of one. The filters, as in
        `snapshots`, are for "latest". Raises NotFoundError."""
        return Snapshot(self, self._engine.snapshot(name, *_filter(hosts, tags, paths)))

    def backup(
        self,
        targets: Paths,
        *,
        tags: Strings = (),
        hostname: str | None = None,
        time: datetime | None = None,
        parent: Snapshot | str | None = None,
        force: bool = False,
        exclude: Paths = (),
        iexclude: Paths = (),
        exclude_file: Paths = (),
        iexclude_file: Paths = (),
        exclude_if_present: Strings = (),
        exclude_caches: bool = False,
        exclude_larger_than: int | None = None,
        one_file_system: bool = False,
        with_atime: bool = False,
        ignore_ctime: bool = False,
        ignore_inode: bool = False,
        skip_if_unchanged: bool = False,
        dry_run: bool = False,
        read_concurrency: int = 2,
        progress: OnBackupProgress | None = None,
    ) -> BackupResult:
        """Backs up files and directories into a new snapshot.

        What cannot be read is listed in the result's `errors`; call its `raise_for_errors` to insist on everything.

        `parent` is the snapshot to compare with, by default the latest of the same host and targets; files that have
        its size, times and inode are not read again unless `force` is set. `exclude` takes restic's patterns, `iexclude`
        the same regardless of case, `exclude_file` names files of patterns. `exclude_if_present` leaves out what is
        beside a file of that name ("name" or "name:header"). `exclude_larger_than` is in bytes. A naive `time` is local.

        `progress` is called about ten times a second, in the calling thread. If it raises, or on Ctrl-C, the backup
        stops: there is no snapshot then, and the next backup finds what was stored already.

        Raises NotFoundError if no target exists, LockedError, NoSpaceError and others of `recoup.Error`.
        """
        made = self._engine.backup(
            targets=_paths(targets),
            tags=strings(tags),
            hostname=hostname,
            time=time,
            parent=parent.id if isinstance(parent, Snapshot) else parent,
            force=force,
            exclude=_paths(exclude),
            iexclude=_paths(iexclude),
            exclude_file=_paths(exclude_file),
            iexclude_file=_paths(iexclude_file),
            exclude_if_present=strings(exclude_if_present),
            exclude_caches=exclude_caches,
            exclude_larger_than=at_least(0, exclude_larger_than, "exclude_larger_than"),
            one_file_system=one_file_system,
            with_atime=with_atime,
            ignore_ctime=ignore_ctime,
            ignore_inode=ignore_inode,
            skip_if_unchanged=skip_if_unchanged,
            dry_run=dry_run,
            read_concurrency=at_least(1, read_concurrency, "read_concurrency"),
            progress=_telling(progress, BackupProgress),
        )
        return BackupResult(**_with_errors(made))

    def backup_stream(
        self,
        stream: Readable,
        path: Path = "/stdin",
        *,
        tags: Strings = (),
        hostname: str | None = None,
        time: datetime | None = None,
        parent: Snapshot | str | None = None,
        skip_if_unchanged: bool = False,
        progress: OnBackupProgress | None = None,
    ) -> BackupResult:
        """Backs up what a binary file object gives until its end, as one file called `path` in a new snapshot.

        For the output of a program: `repository.backup_stream(process.stdout, "/database.sql")`. The stream is read
        from another thread. If it raises, so does this, and there is no snapshot. For a program that may fail halfway,
        pass a stream that checks its exit code at the end: half an output looks like a whole one. A stream that gives
        nothing at all is listed in the result's `errors`.
        """
        made = self._engine.backup_stream(
            stream.readinto,
            path=path,
            tags=strings(tags),
            hostname=hostname,
            time=time,
            parent=parent.id if isinstance(parent, Snapshot) else parent,
            skip_if_unchanged=skip_if_unchanged,
            progress=_telling(progress, BackupProgress),
        )
        return BackupResult(**_with_errors(made))

    def restore(
        self,
        snapshot: Snapshot | str,
        target: Path,
        *,
        subfolder: Path = "/",
        include: Paths = (),
        iinclude: Paths = (),
        exclude: Paths = (),
        iexclude: Paths = (),
        overwrite: Overwrite = "always",
        delete: bool = False,
        sparse: bool = False,
        verify: bool = False,
        dry_run: bool = False,
        progress: OnRestoreProgress | None = None,
    ) -> RestoreResult:
        """Restores a snapshot, or the folder `subfolder` of it, into the directory `target`, which is made if need be.

        `include` or `exclude` are restic's patterns for paths below `subfolder`, one kind at a time; with an i in front
        regardless of case. `overwrite` says what happens to files that exist; `delete` removes what the snapshot does
        not have; `sparse` leaves out zeros; `verify` reads everything again. What cannot be restored is listed in the
        result's `errors`. `progress` is as in `backup`.
        """
        chosen = self.snapshot(snapshot) if isinstance(snapshot, str) else snapshot
        made = self._engine.restore(
            chosen.tree,
            subfolder,
            target=target,
            include=_paths(include),
            iinclude=_paths(iinclude),
            exclude=_paths(exclude),
            iexclude=_paths(iexclude),
            overwrite=overwrite,
            delete=delete,
            sparse=sparse,
            verify=verify,
            dry_run=dry_run,
            progress=_telling(progress, RestoreProgress),
        )
        return RestoreResult(**_with_errors(made))

    def check(
        self,
        read_data: bool | float = False,
        *,
        snapshots: Iterable[Snapshot] | None = None,
        progress: OnCheckProgress | None = None,
    ) -> CheckResult:
        """Checks that everything is there, or only what some snapshots need. What is found goes into the result.

        `read_data` also reads packs and verifies every byte: True for all of them, or a fraction such as 0.1 for a
        random tenth. Looks at what is stored, not at copies in the cache. Needs the repository for itself: raises
        LockedError while others use it.
        """
        made = self._engine.check(
            float(read_data),
            None if snapshots is None else [each._record for each in snapshots],
            _telling(progress, CheckProgress),
        )
        return CheckResult(**made)

    def copy_to(
        self,
        destination: Repository,
        snapshots: Iterable[Snapshot | str] | Snapshot | str | None = None,
        *,
        hosts: Strings = (),
        tags: TagLists = (),
        paths: Paths = (),
        recompress: bool = False,
        progress: OnCopyProgress | None = None,
    ) -> CopyResult:
        """Copies snapshots into another repository, with all they need that is not there: those given ("latest", ids,
        prefixes), or all that match the filters of `snapshots`. What was copied before is skipped.

        Make the destination with `chunker_polynomial=source.chunker_polynomial` if files are backed up into both: then
        they are stored once. Compressed data is taken over as it is, unless `recompress` is set or the destination was
        opened with a `compression` of its own. A snapshot that cannot be copied whole is listed in the result's
        `errors`, and the others are copied. `progress` is as in `backup`; when it raises, or on Ctrl-C, the next copy
        finds what was stored already.

        Raises NotFoundError if a snapshot does not exist, InvalidArgumentError if both are the same repository.
        """
        chosen = [snapshots] if isinstance(snapshots, (str, Snapshot)) else snapshots
        names = [each if isinstance(each, str) else each.id for each in chosen or ()]
        if chosen is not None and not names:
            return CopyResult([], [], 0, 0)
        made = self._engine.copy(
            destination._engine, names, *_filter(hosts, tags, paths), recompress, _telling(progress, CopyProgress)
        )
        for kind in ("copied", "skipped"):
            made[kind] = [CopiedSnapshot(*pair) for pair in made[kind]]
        return CopyResult(**_with_errors(made))

    def find(
        self,
        *patterns: Path,
        snapshots: Iterable[Snapshot] | None = None,
        ignore_case: bool = False,
        oldest: datetime | None = None,
        newest: datetime | None = None,
    ) -> list[tuple[Snapshot, str, Node]]:
        """(snapshot, path, node) of what matches one of the patterns, in all snapshots or in those given. See
        `Snapshot.find`."""
        return [
            (snapshot, path, node)
            for snapshot in (self.snapshots() if snapshots is None else snapshots)
            for path, node in snapshot.find(*patterns, ignore_case=ignore_case, oldest=oldest, newest=newest)
        ]

    def load_blob(self, kind: Literal["data", "tree"], id: str) -> bytes:
        """The content of a blob, verified. Raises NotFoundError or DamagedError."""
        return self._engine.load_blob(kind, id)

    def unlock(self, *, remove_all: bool = False) -> int:
        """Removes stale locks, or every lock, which is right only if nobody works on the repository. Returns how many
        were removed."""
        return self._engine.unlock(remove_all)


def init(
    location: Path,
    password: str | bytes,
    *,
    version: int = 2,
    chunker_polynomial: str | None = None,
    compression: Compression = "auto",
    pack_size: int = 16 << 20,
    options: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> Repository:
    """Makes a repository and opens it. Takes about half a second, which is what it is to cost to try a password.

    `chunker_polynomial` is that of another repository, if blobs are to be the same in both. The other options are those
    of `open`. Raises Error if there is a repository already.
    """
    chosen = _settings(compression, pack_size, options, network)
    return Repository(
        _engine.init(location, password, version=version, chunker_polynomial=chunker_polynomial, **chosen)
    )


def open(
    location: Path,
    password: str | bytes,
    *,
    compression: Compression = "auto",
    pack_size: int = 16 << 20,
    extra_verify: bool = True,
    key_hint: str = "",
    retry_lock: float = 0,
    no_lock: bool = False,
    cache: bool = True,
    cache_dir: Path | None = None,
    options: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> Repository:
    """Opens a repository.

    `pack_size` is in bytes, 4 to 128 MiB. `extra_verify` decrypts again what was encrypted, before it is stored.
    `key_hint` is the id of the key to try first. `retry_lock` is how many seconds to wait for other programs' locks;
    with `no_lock`, restore and check take none, as on read-only storage they cannot. `cache` keeps copies of index,
    snapshots and trees of a repository behind a network in `cache_dir`, where restic keeps them too unless told
    otherwise; a local one needs none. `options` are those of the command's -o ("s3.region": "eu-west-1"); `network` has
    certificates and limits. Credentials for S3 come from where docs/s3.md says: the environment, ~/.aws, and so on.

    Raises RepositoryMissingError, WrongPasswordError, UnsupportedError or DamagedError.
    """
    chosen = _settings(compression, pack_size, options, network)
    chosen.update(
        extra_verify=extra_verify,
        key_hint=key_hint,
        retry_lock=int(at_least(0, retry_lock, "retry_lock")),
        no_lock=no_lock,
        cache=cache,
        cache_dir=cache_dir,
    )
    return Repository(_engine.open(location, password, **chosen))


def _settings(
    compression: str, pack_size: int, options: Mapping[str, str] | None, network: Network | None = None
) -> dict[str, Any]:
    return {
        "compression": compression,
        "pack_size": at_least(0, pack_size, "pack_size"),
        "extra_verify": True,
        "key_hint": "",
        "retry_lock": 0,
        "no_lock": False,
        "cache": True,
        "cache_dir": None,
        "options": dict(options or {}),
        "network": (network or Network()).settings(),
        "warn": _log.warning,
    }


_Progress = Union[BackupProgress, RestoreProgress, CheckProgress, CopyProgress]
_paths = paths  # methods have a parameter of that name


def _filter(hosts: Strings, tags: TagLists, paths: Paths) -> tuple[list[str], list[list[str]], list[Path]]:
    return strings(hosts), tag_lists(tags), _paths(paths)


def _telling(progress: Callable[[Any], Any] | None, kind: type[_Progress]) -> Callable[[dict[str, Any]], Any] | None:
    return None if progress is None else lambda now: progress(kind(**now))


def _with_errors(made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "errors": [ItemError(path, message) for path, message in made["errors"]]}
