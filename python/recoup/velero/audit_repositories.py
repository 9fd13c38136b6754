"""What an audit sees in the repositories with the volumes' data: snapshots that nobody knows, and that are missing; stale locks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from .._engine import DamagedError, Error, NotFoundError, RepositoryMissingError, StorageError
from .audit_backups import Seen, default_password
from .audit_report import Finding, Severity, counted, listed
from .bucket import Backup, RepositoryPlace, VeleroBucket
from .fields import in_words
from .model import Uploader
from .repositories import Repositories, StoredSnapshot
from .search import KnownBackups
from .volumes import Volume

# restic renews a lock every five minutes, and calls one stale that is half an hour old.
_STALE = timedelta(minutes=30)
# Snapshots of a backup that is running are there before the backup is.
_PERHAPS_RUNNING = timedelta(hours=6)
_SHORT_ID = 8

_Copies = list[tuple[Backup, Volume]]


def findings(bucket: VeleroBucket, seen: Seen, repositories: Repositories, now: datetime) -> Iterator[Finding]:
    copies = _copies(seen, repositories)
    places = {**{each.prefix: each for each in repositories.all()}, **{place.prefix: place for place, _ in copies.values()}}
    has_default = seen.password is not None and seen.password.is_default
    for prefix, place in sorted(places.items()):
        yield from _locks(bucket, place, now)
        expected = copies[prefix][1] if prefix in copies else []
        try:
            opened = repositories.open(place, seen.password_from)
            snapshots = opened.snapshots()
        except StorageError:
            raise
        except Error as problem:
            if isinstance(problem, RepositoryMissingError) and expected:
                yield _no_repository(place, expected, problem)
            else:
                seen.unexamined.append(f"{prefix}: {problem}")
            continue
        # Where the Secret says so already, once is enough.
        if opened.password.is_default and not has_default:
            yield default_password(prefix)
        yield from _orphans(seen, place, snapshots, now)
        yield from _missing(place, expected, snapshots)


def _copies(seen: Seen, repositories: Repositories) -> dict[str, tuple[RepositoryPlace, _Copies]]:
    """What there should be in each repository of restic, by its prefix."""
    found: dict[str, tuple[RepositoryPlace, _Copies]] = {}
    for backup in seen.restorable:
        for volume in seen.volumes.get(backup.name, ()):
            if volume.uploader is not Uploader.RESTIC or not volume.has_copy or not volume.snapshot:
                continue
            try:
                place = repositories.place(volume.identifier, volume.namespace)
            except DamagedError as problem:
                seen.unexamined.append(f"{backup.name}: {volume.name}: {problem}")
                continue
            found.setdefault(place.prefix, (place, []))[1].append((backup, volume))
    return found


def _no_repository(place: RepositoryPlace, expected: _Copies, problem: Error) -> Finding:
    names = _names(expected)
    return Finding(
        "missing-repository", Severity.CRITICAL, f"the repository is not there, and {counted(len(names), 'volume')} of the backups should be in it: "
        f"{listed(names)}", place.prefix, f"the backups say Completed, and these volumes cannot be restored ({problem})",
        "see whether a copy of the bucket still has it, or whether Velero keeps its repositories elsewhere (resticRepoPrefix)", {"volumes": names},
    )  # fmt: skip


def _names(copies: Iterable[tuple[Backup, Volume]]) -> list[str]:
    return [f"{backup.name}: {volume.name}" for backup, volume in copies]


def _locks(bucket: VeleroBucket, place: RepositoryPlace, now: datetime) -> Iterator[Finding]:
    stale = [each for each in bucket.store.list(f"{place.prefix}/locks/") if now - each.modified > _STALE]
    if stale:
        oldest = min(stale, key=lambda each: each.modified)
        yield Finding(
            "stale-locks", Severity.WARNING, f"{counted(len(stale), 'lock')} that nobody renews, the oldest for {in_words(now - oldest.modified)}",
            place.prefix, "Velero's maintenance then frees no space, and with an exclusive one no backup of this namespace succeeds",
            f"when no pod of Velero works on it: recoup unlock --repo {bucket.location.rstrip('/')}/{place.prefix}",
            {"locks": [{"id": each.key.rpartition("/")[2], "modified": each.modified} for each in stale]},
        )  # fmt: skip


def _orphans(seen: Seen, place: RepositoryPlace, snapshots: Iterable[StoredSnapshot], now: datetime) -> Iterator[Finding]:
    """Of a backup that is not in the bucket; or of one that is, but which does not list them: what restic stored and Velero
    called failed."""
    known = KnownBackups(seen.backups)
    unreadable = {each.name for each in seen.backups if each.name not in seen.stored or not _has_record(each)}
    listed_ids = {each.snapshot[:_SHORT_ID] for stored in seen.stored.values() for each in stored if each.snapshot}
    lost: list[StoredSnapshot] = []
    unlisted: list[StoredSnapshot] = []
    for each in snapshots:
        if each.id[:_SHORT_ID] not in listed_ids and each.backup not in unreadable:
            (unlisted if known.has(each.backup, each.backup_uid) else lost).append(each)
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
        {"snapshots": [_as_details(each) for each in [*lost, *unlisted]], "backups": sorted({each.backup for each in lost})},
    )  # fmt: skip


def _has_record(backup: Backup) -> bool:
    try:
        return bool(backup.record)
    except (NotFoundError, DamagedError):
        return False


def _as_details(each: StoredSnapshot) -> dict[str, object]:
    return {
        "id": each.id, "time": each.time, "backup": each.backup, "backup_uid": each.backup_uid, "namespace": each.namespace, "pod": each.pod,
        "volume": each.volume, "claim_uid": each.claim_uid,
    }  # fmt: skip


def _missing(place: RepositoryPlace, expected: _Copies, snapshots: Iterable[StoredSnapshot]) -> Iterator[Finding]:
    there = {each.id[:_SHORT_ID] for each in snapshots}
    missing = _names(each for each in expected if each[1].snapshot[:_SHORT_ID] not in there)
    if missing:
        yield Finding(
            "missing-snapshots", Severity.CRITICAL, f"{counted(len(missing), 'volume')} whose snapshot is not in the repository: {listed(missing)}",
            place.prefix, "the backups say Completed, and these volumes cannot be restored",
            "see whether the snapshots are in a copy of the bucket; recoup check tells what else is missing", {"volumes": missing},
        )  # fmt: skip
