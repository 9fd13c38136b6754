"""Which backup has a volume: by name, by time, or the newest; and what is left of backups that are gone."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property

from .._engine import (
    DamagedError,
    Error,
    InvalidArgumentError,
    NotFoundError,
    RepositoryMissingError,
    WrongPasswordError,
)
from .bucket import Backup, VeleroBucket, newest
from .repositories import Repositories
from .volumes import BackupVolumes, Volume, read_volumes, volumes_by_tags, why_not_restorable

# Enough to see what the names look like.
_NAMES_IN_MESSAGES = 12
# Most find what they look for in one of the newest. Of thousands, those after them are read beside each other.
_READ_ONE_BY_ONE = 4
_READ_AT_ONCE = 32
_READ_AHEAD = 128


@dataclass(frozen=True)
class FoundVolume:
    """A volume, and what its finder should tell: why it is from that backup and no newer one."""

    volume: Volume
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LostBackup:
    """A backup of which only restic's snapshots are left: Velero's server died before it wrote the rest, or a deletion
    forgot them."""

    name: str
    uid: str
    time: datetime  # of its first snapshot
    volumes: tuple[Volume, ...]


@dataclass(frozen=True)
class VolumeName:
    """NAMESPACE/CLAIM or NAMESPACE/POD:VOLUME."""

    text: str
    namespace: str
    claim: str | None
    pod: str
    volume: str

    @staticmethod
    def parse(text: str) -> VolumeName:
        namespace, slash, rest = text.partition("/")
        pod, colon, volume = rest.partition(":")
        if not namespace or not slash or not pod or "/" in rest or (colon and not volume):
            raise InvalidArgumentError(f"{text!r} is no volume's name: say NAMESPACE/CLAIM, or NAMESPACE/POD:VOLUME")
        return VolumeName(text, namespace, None if colon else pod, pod if colon else "", volume)

    def is_of(self, volume: Volume) -> bool:
        if volume.namespace != self.namespace:
            return False
        if self.claim is not None:
            return volume.claim == self.claim
        return (volume.pod, volume.volume) == (self.pod, self.volume)


def find_volume(
    bucket: VeleroBucket,
    name: str,
    *,
    backup: str | None = None,
    at: datetime | None = None,
    schedule: str | None = None,
    repositories: Repositories | None = None,
) -> FoundVolume:
    """A volume that can be restored.

    `name` is NAMESPACE/CLAIM or NAMESPACE/POD:VOLUME. Of all backups it is the newest that has a copy of it: not later
    than `at`, of that `schedule`. `backup` names one that must have it, or is "latest" for the newest that can be
    restored at all. If the backup is gone, or no backup has the volume, the tags of restic's snapshots are asked.

    Raises NotFoundError, which says what there is instead, and what opening a repository raises.
    """
    if at is not None:
        at = at.astimezone()  # naive is local, as everywhere
    search = _Search(bucket, VolumeName.parse(name), at, schedule, repositories or Repositories(bucket))
    if backup is None:
        return search.newest_copy()
    return search.in_latest() if backup == "latest" else search.in_named(backup)


def lost_backups(
    bucket: VeleroBucket,
    repositories: Repositories | None = None,
    *,
    backups: Iterable[Backup] | None = None,
    on_problem: Callable[[str], object] | None = None,
) -> list[LostBackup]:
    """Backups that are not in the bucket any more, but whose volumes are, the newest last. `backups` are those in the
    bucket, for whoever has listed them already. A repository that cannot be
    opened is told to `on_problem` and passed over; without that its error is raised."""
    known = KnownBackups(bucket.backups() if backups is None else backups)
    repositories = repositories or Repositories(bucket)
    found: dict[tuple[str, str], list[Volume]] = {}
    for place in repositories.all():
        try:
            opened = repositories.open(place)
            volumes = volumes_by_tags(opened, opened.snapshots())
        except Error as problem:
            if on_problem is None:
                raise
            on_problem(str(problem))
            continue
        for volume in volumes:
            if not known.has(volume.backup, volume.backup_uid):
                found.setdefault((volume.backup, volume.backup_uid), []).append(volume)
    lost = [
        LostBackup(name, uid, min(each.time for each in volumes if each.time), tuple(volumes))
        for (name, uid), volumes in found.items()
    ]
    return sorted(lost, key=lambda each: (each.time, each.name))


class KnownBackups:
    """Which snapshots are of a backup that is in the bucket."""

    def __init__(self, backups: Iterable[Backup]) -> None:
        self._uids: dict[str, str] = {}
        for each in backups:
            try:
                self._uids[each.name] = each.record.uid
            except (NotFoundError, DamagedError):
                self._uids[each.name] = ""

    def has(self, name: str, uid: str) -> bool:
        # A backup whose description cannot be read has no UID that could differ.
        return self._uids.get(name) in ("", uid)


class _Search:
    def __init__(
        self,
        bucket: VeleroBucket,
        wanted: VolumeName,
        at: datetime | None,
        schedule: str | None,
        repositories: Repositories,
    ) -> None:
        self._bucket = bucket
        self._wanted = wanted
        self._at = at
        self._schedule = schedule
        self._repositories = repositories
        self._passed: list[str] = []
        self._names: set[str] = set()
        self._has_read_manifests = False

    @cached_property
    def _backups(self) -> list[Backup]:
        return self._bucket.backups()

    def newest_copy(self) -> FoundVolume:
        backups = self._fitting(self._backups)
        whole = [each for each in backups if each.is_restorable]
        # What Velero did not finish may still have stored what is wanted; but that is for when nothing else has it.
        for backup in _read_ahead([*reversed(whole), *reversed([each for each in backups if not each.is_restorable])]):
            found = self._copy_in(backup)
            if found is not None:
                return FoundVolume(found, (*self._passed, *self._about_empty(found, whole), *_about(backup)))
        left = self._left_by_tags(None)
        if left is not None:
            return left
        raise NotFoundError(self._nowhere())

    def in_latest(self) -> FoundVolume:
        latest = newest(self._backups, at=self._at, schedule=self._schedule)
        if not self._backups:
            raise NotFoundError(f"{self._bucket.location} holds no backup that can be restored: {self._bucket.why_empty()}")
        if latest is None:
            raise NotFoundError(f"{self._bucket.location} holds no backup {self._bounds()}that can be restored")
        return self._only_in(latest)

    def in_named(self, name: str) -> FoundVolume:
        try:
            backup = self._bucket.backup(name)
        except NotFoundError as problem:
            left = self._left_by_tags(name)
            if left is None:
                raise NotFoundError(f"{problem}; nor is any snapshot of {self._wanted.text} left of it") from problem
            return left
        return self._only_in(backup)

    def _only_in(self, backup: Backup) -> FoundVolume:
        found = self._copy_in(backup)
        if found is not None:
            return FoundVolume(found, _about(backup))
        why, self._passed = self._passed[-1], []
        for other in _read_ahead([*reversed(self._fitting(self._backups))]):
            if other.name != backup.name and other.is_restorable and self._copy_in(other) is not None:
                raise NotFoundError(
                    f"{why}. The newest backup with a copy of it is {other.name} of {_time(other.time)}"
                )
        raise NotFoundError(f"{why}. No other backup has a copy of it{self._near()}")

    def _fitting(self, backups: Iterable[Backup]) -> list[Backup]:
        return [each for each in backups if self._fits_time(each.time) and self._fits_schedule(each)]

    def _fits_time(self, time: datetime | None) -> bool:
        return self._at is None or (time is not None and time <= self._at)

    def _fits_schedule(self, backup: Backup) -> bool:
        return self._schedule is None or backup.schedule == self._schedule

    def _copy_in(self, backup: Backup) -> Volume | None:
        """The volume, if the backup has a copy of it; or else a line in `_passed`."""
        try:
            volume = self._volume_in(backup)
        except (NotFoundError, DamagedError, WrongPasswordError, RepositoryMissingError) as problem:
            self._passed.append(f"backup {backup.name} ({_time(backup.time)}) was passed over: {problem}")
            return None
        if volume is not None and volume.has_copy:
            return volume
        why = (
            f"has no copy of {self._wanted.text}: {volume.trouble}" if volume else f"has no volume {self._wanted.text}"
        )
        self._passed.append(f"backup {backup.name} ({_time(backup.time)}) {why}")
        return None

    def _volume_in(self, backup: Backup) -> Volume | None:
        quick = read_volumes(self._bucket, backup, self._repositories, manifests=False)
        found = self._match(quick)
        if found is not None or self._wanted.claim is None:
            return found
        # Velero before 1.9 named no claims. That no list names a claim has to be seen in one backup, not in all.
        is_nameless = any(each.claim is None and not each.is_ephemeral and each.has_copy for each in quick.volumes)
        if not is_nameless and self._has_read_manifests:
            return None
        self._has_read_manifests = True
        return self._match(read_volumes(self._bucket, backup, self._repositories))

    def _match(self, read: BackupVolumes) -> Volume | None:
        self._names.update(each.name for each in read.volumes)
        matching = [each for each in read.volumes if self._wanted.is_of(each)]
        # A claim that several pods mount is stored once.
        return max(matching, key=lambda each: each.has_copy, default=None)

    def _about_empty(self, found: Volume, whole: list[Backup]) -> Iterator[str]:
        """Whoever wants an empty volume back may be looking for what was in it before."""
        if not found.is_empty:
            return
        yield f"the volume was empty in backup {found.backup}"
        for backup in reversed(whole):
            if backup.name == found.backup:
                continue
            older = self._copy_in(backup)
            if older is not None and not older.is_empty:
                yield f"the newest backup in which it was not is {backup.name} of {_time(backup.time)}"
                return

    def _left_by_tags(self, name: str | None) -> FoundVolume | None:
        problems: list[str] = []
        lost = lost_backups(self._bucket, self._repositories, backups=self._backups, on_problem=problems.append)
        for each in reversed(lost):
            if (
                (name is not None and each.name != name)
                or (name is None and self._schedule)
                or not self._fits_time(each.time)
            ):
                continue
            for volume in each.volumes:
                self._names.add(volume.name)
                if self._wanted.is_of(volume) or self._is_claim(volume):
                    note = f"backup {each.name} is not in the bucket any more: only snapshots are left of it"
                    return FoundVolume(volume, (*self._passed, note))
        self._passed += problems
        return None

    def _is_claim(self, volume: Volume) -> bool:
        """Whether it is the claim that is wanted: tags have its UID only, and other backups know whose that is."""
        if self._wanted.claim is None or volume.namespace != self._wanted.namespace or volume.claim is not None:
            return False
        for backup in reversed(self._backups):
            try:
                volumes = read_volumes(self._bucket, backup, self._repositories, manifests=False).volumes
            except (NotFoundError, DamagedError, WrongPasswordError, RepositoryMissingError):
                continue
            for each in volumes:
                is_same = each.claim_uid == volume.claim_uid if volume.claim_uid else _is_same_mount(each, volume)
                if is_same and each.claim:
                    return each.claim == self._wanted.claim
        return False

    def _nowhere(self) -> str:
        passed = "".join(f"\n  {each}" for each in self._passed[:_NAMES_IN_MESSAGES])
        if len(self._passed) > _NAMES_IN_MESSAGES:
            passed += f"\n  and {len(self._passed) - _NAMES_IN_MESSAGES} more"
        if not self._backups:
            return f"{self._bucket.location}: no copy of {self._wanted.text}, as {self._bucket.why_empty()}{self._near()}{passed}"
        where = f"{self._bucket.location}: no backup {self._bounds()}has a copy of {self._wanted.text}"
        return f"{where}{self._near()}{passed}"

    def _bounds(self) -> str:
        schedule = f"of schedule {self._schedule} " if self._schedule else ""
        return schedule + (f"until {_time(self._at)} " if self._at else "")

    def _near(self) -> str:
        names = sorted(self._names - {self._wanted.text})
        if not names:
            return ""
        near = difflib.get_close_matches(self._wanted.text, names, n=3, cutoff=0.6)
        if near:
            return f"; is it {' or '.join(near)}?"
        more = f" and {len(names) - _NAMES_IN_MESSAGES} more" if len(names) > _NAMES_IN_MESSAGES else ""
        return f"; there are {', '.join(names[:_NAMES_IN_MESSAGES])}{more}"


def _is_same_mount(one: Volume, other: Volume) -> bool:
    return (one.namespace, one.pod, one.volume) == (other.namespace, other.pod, other.volume)


def _read_ahead(backups: list[Backup]) -> Iterator[Backup]:
    """These, with their lists of volumes read before they are asked for."""
    yield from backups[:_READ_ONE_BY_ONE]
    pool = ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="search")
    try:
        for begin in range(_READ_ONE_BY_ONE, len(backups), _READ_AHEAD):
            some = backups[begin : begin + _READ_AHEAD]
            for _ in pool.map(_read_lists, some):
                pass
            yield from some
    finally:
        pool.shutdown(cancel_futures=True)


def _read_lists(backup: Backup) -> None:
    """What is wrong with them is told when they are asked for."""
    for read in (backup.pod_volume_backups, backup.volume_infos):
        try:
            read()
        except (NotFoundError, DamagedError):
            pass


def _about(backup: Backup) -> tuple[str, ...]:
    why = why_not_restorable(backup)
    return (f"backup {backup.name} as a whole cannot be restored: {why}",) if why else ()


def _time(time: datetime | None) -> str:
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if time else "unknown time"
