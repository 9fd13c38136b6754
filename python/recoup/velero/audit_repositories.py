"""What an audit sees in the repositories with the volumes' data: snapshots that nobody knows, and that are missing; stale locks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from .._engine import (
    DamagedError,
    Error,
    NotFoundError,
    StorageError,
    WrongPasswordError,
)
from ..repository import open as open_repository
from .audit import Finding, Severity, counted, listed
from .audit_backups import DEFAULT_PASSWORD, Seen, default_password
from .bucket import RepositoryPlace, VeleroBucket
from .model import Uploader

# restic renews a lock every five minutes, and calls one stale that is half an hour old.
_STALE = timedelta(minutes=30)
# Snapshots of a backup that is running are there before the backup is.
_PERHAPS_RUNNING = timedelta(hours=6)
_SHORT_ID = 8


@dataclass(frozen=True)
class SeenSnapshot:
    id: str
    time: datetime
    tags: dict[str, str]  # "backup", "backup-uid", "ns", "pod", "volume", "pvc-uid"


def findings(bucket: VeleroBucket, seen: Seen, passwords: Iterable[str | bytes], now: datetime) -> Iterator[Finding]:
    tried = _in_order(seen, passwords)
    has_default = seen.password == DEFAULT_PASSWORD
    for place in bucket.repositories():
        if place.uploader is not Uploader.RESTIC:
            continue
        yield from _locks(bucket, place, now)
        try:
            password, snapshots = look_into(bucket, place, tried)
        except StorageError:
            raise
        except Error as problem:
            seen.unexamined.append(f"{place.prefix}: {problem}")
            continue
        # Where the Secret says so already, once is enough.
        if password == DEFAULT_PASSWORD and not has_default:
            yield default_password(place.prefix)
        yield from _orphans(seen, place, snapshots, now)
        yield from _missing(seen, place, snapshots)


def _in_order(seen: Seen, passwords: Iterable[str | bytes]) -> list[bytes]:
    given = [each.encode() if isinstance(each, str) else each for each in passwords]
    return list(dict.fromkeys([*given, *([seen.password] if seen.password else []), DEFAULT_PASSWORD]))


def look_into(bucket: VeleroBucket, place: RepositoryPlace, passwords: Iterable[bytes]) -> tuple[bytes, list[SeenSnapshot]]:
    """The password that fits, and the snapshots. Takes no lock and keeps nothing. Raises WrongPasswordError if none fits."""
    location = bucket.store.repository_location(place.prefix)
    for password in passwords:
        try:
            repository = open_repository(location, password, no_lock=True, cache=False)
        except WrongPasswordError:
            continue
        found = [SeenSnapshot(each.id, each.time, _tags(each.tags)) for each in repository.snapshots()]
        return password, found
    raise WrongPasswordError(
        "neither the passwords given, nor those in the backups, nor Velero's default one opens it: its snapshots were not looked at"
    )


def _tags(tags: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (each.partition("=") for each in tags)}


def _locks(bucket: VeleroBucket, place: RepositoryPlace, now: datetime) -> Iterator[Finding]:
    stale = [each for each in bucket.store.list(f"{place.prefix}/locks/") if now - each.modified > _STALE]
    if stale:
        oldest = min(stale, key=lambda each: each.modified)
        age = now - oldest.modified
        yield Finding(
            "stale-locks", Severity.WARNING, f"{counted(len(stale), 'lock')} that nobody renews, the oldest for {age.total_seconds() / 3600:.1f} hours",
            place.prefix, "Velero's maintenance then frees no space, and with an exclusive one no backup of this namespace succeeds",
            f"when no pod of Velero works on it: recoup unlock --repo {bucket.location.rstrip('/')}/{place.prefix}",
            {"locks": [{"id": each.key.rpartition("/")[2], "modified": each.modified} for each in stale]},
        )  # fmt: skip


def _orphans(seen: Seen, place: RepositoryPlace, snapshots: list[SeenSnapshot], now: datetime) -> Iterator[Finding]:
    """Of a backup that is not in the bucket; or of one that is, but which does not list them: what restic stored and Velero
    called failed."""
    uids: set[str] = set()
    unreadable: set[str] = set()
    for backup in seen.backups:
        try:
            uids.add(backup.record.uid)
        except (NotFoundError, DamagedError):
            unreadable.add(backup.name)
        if backup.name not in seen.stored:
            unreadable.add(backup.name)
    listed_ids = {each.snapshot for stored in seen.stored.values() for each in stored if each.snapshot}
    lost: list[SeenSnapshot] = []
    unlisted: list[SeenSnapshot] = []
    for each in snapshots:
        if each.id[:_SHORT_ID] in listed_ids or each.tags.get("backup") in unreadable:
            continue
        (unlisted if each.tags.get("backup-uid") in uids else lost).append(each)
    if not lost and not unlisted:
        return
    young = sum(1 for each in lost if now - each.time < _PERHAPS_RUNNING)
    why = f"{counted(len(lost), 'snapshot')} of backups that are not in the bucket" if lost else ""
    why += " and " if lost and unlisted else ""
    why += f"{counted(len(unlisted), 'snapshot')} that {'its' if len(unlisted) == 1 else 'their'} backup does not list" if unlisted else ""
    if young:
        why += f" ({young} of them may be of a backup that runs just now)"
    yield Finding(
        "orphaned-snapshots", Severity.WARNING, why, place.prefix,
        "Velero never deletes them: they keep their space. But they hold data, which may be the only copy after a crash",
        "see what is in them with recoup velero restore-pvc, then delete them: recoup forget ID --prune, while Velero does not run",
        {"snapshots": [{"id": each.id, "time": each.time, **each.tags} for each in [*lost, *unlisted]],
         "backups": sorted({each.tags.get("backup", "") for each in lost} - {""})},
    )  # fmt: skip


def _missing(seen: Seen, place: RepositoryPlace, snapshots: list[SeenSnapshot]) -> Iterator[Finding]:
    there = {each.id[:_SHORT_ID] for each in snapshots}
    missing: list[str] = []
    for backup in seen.restorable:
        for each in seen.stored.get(backup.name, ()):
            is_here = each.uploader is Uploader.RESTIC and each.namespace == place.namespace
            if is_here and each.phase == "Completed" and each.snapshot and each.snapshot[:_SHORT_ID] not in there:
                missing.append(f"{backup.name}: {each.namespace}/{each.claim or each.volume}")
    if missing:
        yield Finding(
            "missing-snapshots", Severity.CRITICAL, f"{counted(len(missing), 'volume')} whose snapshot is not in the repository: {listed(missing)}",
            place.prefix, "the backups say Completed, and these volumes cannot be restored",
            "see whether the snapshots are in a copy of the bucket; recoup check tells what else is missing", {"volumes": missing},
        )  # fmt: skip
