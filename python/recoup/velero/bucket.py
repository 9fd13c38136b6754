"""Velero's bucket: which backups there are, and what belongs to each (V:pkg/persistence/object_store_layout.go).

    backups/NAME/velero-backup.json      the Backup; uploaded after the log, before the manifests
    backups/NAME/NAME.tar.gz             manifests
    backups/NAME/NAME-….gz               log, results, volumes
    restores/NAME/…                      what Velero has restored
    restic/NAMESPACE/   kopia/NAMESPACE/ repositories with the data of that namespace's volumes
"""

from __future__ import annotations

import enum
import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar, Union

from .._engine import DamagedError, Error, NotFoundError
from ..arguments import Path
from ..network import Network
from ..objects import ObjectInfo, ObjectStore, open_objects
from .archive import Archive
from .fields import Fields, parse_json
from .model import BackupRecord, PodVolumeBackup, Results, Uploader, VolumeInfo
from .unpacking import LARGEST_DOCUMENT, open_unzipped, unzip

if TYPE_CHECKING:
    from typing_extensions import Self

# As many requests as a server on a NAS answers beside each other; on S3 far away, waiting is most of each.
_REQUESTS_AT_ONCE = 32
# A name can have 253 characters; whoever has a cluster of 100,000 objects writes a log of 100 MiB.
_LARGEST_LOG = 1 << 30
# Longer ones come in pieces: what has no line ends would fill memory.
_LONGEST_LINE = 1 << 20

# Of a list in which nothing can be read, more help nobody.
_PROBLEMS_TOLD = 5
_NAMES_TOLD = 8

# Directories that Velero knows at the top. With any other there, it calls the location unavailable and makes no backups.
KNOWN_DIRECTORIES = frozenset({"backups", "restores", "restic", "kopia", "metadata", "plugins"})

_Parsed = TypeVar("_Parsed")
# By the object that holds it: its key, size, time and ETag. An error stands for what cannot be read in it.
_Records = dict[ObjectInfo, Union[BackupRecord, Error]]


class BackupState(str, enum.Enum):
    """What can be had from a backup, as far as its files say."""

    GOOD = "good"  # complete, and Velero had no errors
    PARTIAL = "partial"  # Velero had errors: what it says was stored can be restored
    FAILED = "failed"  # Velero gave up
    RUNNING = "running"  # or its server died meanwhile
    INCOMPLETE = "incomplete"  # files are missing: an upload that was cut off, or a deletion
    DAMAGED = "damaged"  # its description cannot be read

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class RepositoryPlace:
    """A repository in the bucket. There is one per uploader and namespace."""

    uploader: Uploader
    namespace: str
    prefix: str  # "restic/db"


class Backup:
    """A backup in the bucket. What it says is read when it is asked for, and then remembered, but for the manifests and the log."""

    def __init__(self, store: ObjectStore, name: str, files: Iterable[ObjectInfo], records: _Records | None = None) -> None:
        """`records` are those that were read before, of whatever backup."""
        self._store = store
        self.name = name
        self.files = {file.key.rpartition("/")[2]: file for file in files}
        self._records: _Records = {} if records is None else records
        self._parsed: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<recoup.velero.Backup {self.name!r}>"

    @property
    def prefix(self) -> str:
        return f"backups/{self.name}/"

    @property
    def size(self) -> int:
        """Bytes of its files, without the volumes' data."""
        return sum(file.size for file in self.files.values())

    @property
    def record(self) -> BackupRecord:
        """Raises NotFoundError or DamagedError."""
        described = self.files.get("velero-backup.json")
        if described is None:
            raise NotFoundError(f"{self._where('velero-backup.json')} is not there: the backup was not uploaded to its end, or is being deleted")
        found = self._records.get(described)
        if found is None:
            try:
                found = self._read_record()
            except (NotFoundError, DamagedError) as problem:
                found = problem
            self._records[described] = found
        if isinstance(found, Error):
            raise found
        return found

    def _read_record(self) -> BackupRecord:
        content = self._store.read(self.prefix + "velero-backup.json", limit=LARGEST_DOCUMENT)
        record = BackupRecord.parse(parse_json(content, self._where("velero-backup.json")), self._where("velero-backup.json"))
        if record.name != self.name:
            raise DamagedError(f"{self._where('velero-backup.json')} describes the backup {record.name!r}")
        return record

    @property
    def has_manifests(self) -> bool:
        """Whether the archive with them is there; not whether it is whole."""
        return f"{self.name}.tar.gz" in self.files

    @property
    def state(self) -> BackupState:
        """Of the description and which files there are. Raises AccessDeniedError, StorageError."""
        try:
            record = self.record
        except NotFoundError:
            return BackupState.INCOMPLETE
        except DamagedError:
            return BackupState.DAMAGED
        if record.phase in ("Failed", "FailedValidation"):
            return BackupState.FAILED
        if not self.has_manifests or record.phase == "Deleting":
            return BackupState.INCOMPLETE
        if record.phase == "Completed":
            return BackupState.PARTIAL if record.errors else BackupState.GOOD
        return BackupState.PARTIAL if record.phase == "PartiallyFailed" else BackupState.RUNNING

    @property
    def time(self) -> datetime | None:
        """When it began: what is stored was so then, or later."""
        try:
            return self.record.started or self.record.created
        except (NotFoundError, DamagedError):
            return max((file.modified for file in self.files.values()), default=None)

    @property
    def schedule(self) -> str | None:
        """The schedule that made it; "" where none did, None where the backup does not say."""
        try:
            return self.record.schedule or ""
        except (NotFoundError, DamagedError):
            return None

    @property
    def is_restorable(self) -> bool:
        """Whether it is good or partial: of each volume, `volumes_of` tells."""
        return self.state in (BackupState.GOOD, BackupState.PARTIAL)

    def manifests(self) -> Archive:
        """The objects of the cluster, read as they are iterated over. Raises NotFoundError."""
        name = f"{self.name}.tar.gz"
        if name not in self.files:
            raise NotFoundError(f"{self._where(name)} is not there: the backup has no manifests")
        return Archive(lambda: self._store.open(self.prefix + name), self._where(name))

    def pod_volume_backups(self, problems: list[str] | None = None) -> list[PodVolumeBackup]:
        """What the node agents have stored. An entry that cannot be read is DamagedError or, with `problems`, told there and
        passed over: it says nothing about the others. Raises NotFoundError where Velero's list of it is not there."""
        return self._list("podvolumebackups.json.gz", PodVolumeBackup.parse, problems)

    def volume_infos(self, problems: list[str] | None = None) -> list[VolumeInfo]:
        """What was done about each volume, the skipped ones too. Raises NotFoundError before Velero 1.13; `problems` as in
        `pod_volume_backups`."""
        return self._list("volumeinfo.json.gz", VolumeInfo.parse, problems)

    def results(self) -> Results:
        """Errors and warnings. Empty where there is no such file: old versions wrote none."""
        name = f"{self.name}-results.gz"
        if name not in self.files:
            return Results((), ())
        found: Results = self._remember("results", lambda: Results.parse(self._json(name), self._where(name)))
        return found

    def resources(self) -> dict[str, list[str]]:
        """Names of all objects by kind: {"apps/v1/Deployment": ["db/postgres"]}."""
        name = f"{self.name}-resource-list.json.gz"
        listed = Fields(self._json(name) or {}, self._where(name))
        return {kind: [str(each) for each in listed.list(kind)] for kind in listed.raw()}

    def log(self) -> Iterator[str]:
        """Lines of Velero's log."""
        name = f"{self.name}-logs.gz"
        if name not in self.files:
            raise NotFoundError(f"{self._where(name)} is not there")
        unpacked = open_unzipped(self._store.open(self.prefix + name), self._where(name), _LARGEST_LOG)
        with io.TextIOWrapper(unpacked, encoding="utf-8", errors="replace", newline="\n") as lines:
            while line := lines.readline(_LONGEST_LINE):
                yield line.rstrip("\r\n")

    def _list(self, suffix: str, parse: Callable[[Any, str], _Parsed], problems: list[str] | None) -> list[_Parsed]:
        name = f"{self.name}-{suffix}"

        def read() -> list[_Parsed | DamagedError]:
            content = self._json(name)
            if content is not None and not isinstance(content, list):
                raise DamagedError(f"{self._where(name)} holds no list")
            return [_parsed(parse, each, f"{self._where(name)}[{number}]") for number, each in enumerate(content or [])]

        entries: list[_Parsed | DamagedError] = self._remember(suffix, read)
        found, damaged = list[_Parsed](), list[DamagedError]()
        for each in entries:
            if isinstance(each, DamagedError):
                damaged.append(each)
            else:
                found.append(each)
        if damaged and problems is None:
            raise damaged[0]
        if problems is not None:
            problems += map(str, damaged[:_PROBLEMS_TOLD])
            if len(damaged) > _PROBLEMS_TOLD:
                problems.append(f"{self._where(name)}: {len(damaged) - _PROBLEMS_TOLD} more entries cannot be read")
        return found

    def _remember(self, what: str, read: Callable[[], Any]) -> Any:
        if what not in self._parsed:
            self._parsed[what] = read()
        return self._parsed[what]

    def _json(self, name: str) -> Any:
        return parse_json(self._unzipped(name), self._where(name))

    def _unzipped(self, name: str) -> bytes:
        if name not in self.files:
            raise NotFoundError(f"{self._where(name)} is not there")
        return unzip(self._store.read(self.prefix + name, limit=LARGEST_DOCUMENT), self._where(name))

    def _where(self, name: str) -> str:
        return f"{self._store.location}: {self.prefix}{name}"


def _parsed(parse: Callable[[Any, str], _Parsed], entry: Any, where: str) -> _Parsed | DamagedError:
    try:
        return parse(entry, where)
    except DamagedError as problem:
        return problem


class VeleroBucket:
    """A bucket (or the prefix in one, or a directory with a copy) that Velero has written. Nothing here writes into it."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        # Of thousands of backups each takes a request, and backups are listed for more than one reason.
        self._records: _Records = {}

    @classmethod
    def open(cls, location: Path, *, network: Network | None = None, options: Mapping[str, str] | None = None) -> Self:
        """As `recoup.open_objects`: `s3:http://host:9000/velero-backups[/prefix]`, or a directory. Nothing is asked for yet."""
        return cls(open_objects(location, network=network, options=options))

    def close(self) -> None:
        """Ends what is under way, in all threads; nothing more can be read."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<recoup.velero.VeleroBucket {self.location!r}>"

    @property
    def location(self) -> str:
        return self.store.location

    def backups(self) -> list[Backup]:
        """All backups, the newest last, with their descriptions read: a listing of the bucket, and one request for each that is new
        since the last one."""
        found: list[Backup] = []
        failed = threading.Event()

        def read(backup: Backup) -> None:
            try:
                _ = backup.state
            except BaseException:
                failed.set()
                raise

        pool = ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="velero")
        try:
            reading: list[Future[None]] = []
            for backup in self._list():
                found.append(backup)
                reading.append(pool.submit(read, backup))
                if failed.is_set():
                    break
            for done in reading:
                done.result()
        finally:
            # When one has failed, or somebody pressed Ctrl-C, nobody waits for the thousands that are left.
            pool.shutdown(cancel_futures=True)
        there = {each.files.get("velero-backup.json") for each in found}
        for gone in [each for each in list(self._records) if each not in there]:
            self._records.pop(gone, None)
        # Those without a time were never finished, and nobody looks for them first.
        beginning = datetime.min.replace(tzinfo=timezone.utc)
        return sorted(found, key=lambda each: (each.time or beginning, each.name))

    def _list(self) -> Iterator[Backup]:
        name, files = "", list[ObjectInfo]()
        for file in self.store.list("backups/"):
            parts = file.key.split("/")
            # Programs with windows make objects named backups/NAME/, for directories.
            if len(parts) < 3 or not parts[1] or not parts[2]:
                continue
            if parts[1] != name and files:
                yield Backup(self.store, name, files, self._records)
                files = []
            name = parts[1]
            if len(parts) == 3:
                files.append(file)
        if files:
            yield Backup(self.store, name, files, self._records)

    def backup(self, name: str) -> Backup:
        """Raises NotFoundError, naming what there is."""
        if name and "/" not in name:
            files = list(self.store.list(f"backups/{name}/"))
            if files:
                return Backup(self.store, name, [file for file in files if file.key.count("/") == 2], self._records)
        names = self.store.list_directories("backups/")
        few = ", ".join(names[-5:])
        there = f"there are {len(names)}, among them {few}" if names else self.why_empty()
        raise NotFoundError(f"{self.location} holds no backup {name!r}: {there}")

    def why_empty(self) -> str:
        """For messages, where there are no backups: what there is instead, which may be Velero's prefix."""
        names = self.store.list_directories()
        if "backups" in names or KNOWN_DIRECTORIES.intersection(names):
            return "there are no backups at all, but directories of Velero: " + ", ".join(names[:_NAMES_TOLD])
        if not names:
            return "there are no backups at all, nor anything else that is Velero's"
        few = ", ".join(names[:_NAMES_TOLD]) + (", …" if len(names) > _NAMES_TOLD else "")
        return f"there is no backups/ in it, but {few}: if Velero's location has a prefix, it belongs behind the bucket's name, as in {self.location.rstrip('/')}/{names[0]}"

    def repositories(self) -> list[RepositoryPlace]:
        """Where the volumes' data is."""
        return [
            RepositoryPlace(uploader, namespace, f"{uploader}/{namespace}")
            for uploader in Uploader
            for namespace in self.store.list_directories(f"{uploader}/")
        ]

    def foreign_directories(self) -> list[str]:
        """Names at the top that make Velero refuse the bucket."""
        return [name for name in self.store.list_directories() if name not in KNOWN_DIRECTORIES]


def newest(backups: Iterable[Backup], *, at: datetime | None = None, schedule: str | None = None) -> Backup | None:
    """The newest backup that can be restored: not later than `at`, of that schedule. A naive time is local."""
    if at is not None and at.tzinfo is None:
        at = at.astimezone()
    fitting = [
        each
        for each in backups
        if each.is_restorable
        and (at is None or (each.time is not None and each.time <= at))
        and (schedule is None or each.schedule == schedule)
    ]
    return fitting[-1] if fitting else None


__all__ = [
    "KNOWN_DIRECTORIES",
    "Archive",
    "Backup",
    "BackupState",
    "RepositoryPlace",
    "VeleroBucket",
    "newest",
]
