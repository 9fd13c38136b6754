"""What an audit sees in the backups' own files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._engine import DamagedError, Error, NotFoundError, StorageError
from .audit_report import Finding, Severity, counted, listed
from .bucket import Backup, BackupState, VeleroBucket
from .model import PodVolumeBackup, Uploader
from .repositories import PASSWORD_SECRETS, Password, Repositories
from .volumes import Volume, VolumeState, read_volumes

_CLOUD_SECRETS = ("cloud-credentials",)
_REQUESTS_AT_ONCE = 32
# Velero looks for expired backups once an hour.
_GRACE = timedelta(hours=2)


@dataclass(frozen=True)
class VolumeHistory:
    """What became of one volume in the backups, oldest first."""

    name: str  # "db/data", or "db/postgres-0:cache" of one without claim
    entries: tuple[tuple[Backup, str, str], ...]  # backup; "stored", "skipped" or "failed"; why

    def since(self) -> Backup:
        """The first of the backups, up to the newest, that all tell the same."""
        state = self.entries[-1][1]
        first = self.entries[-1][0]
        for backup, each, _ in reversed(self.entries):
            if each != state:
                break
            first = backup
        return first

    def last_copy(self) -> Backup | None:
        return next((backup for backup, state, _ in reversed(self.entries) if state == "stored"), None)


@dataclass
class Seen:
    """A bucket's lists, read once."""

    backups: list[Backup]
    stored: dict[str, list[PodVolumeBackup]] = field(default_factory=dict)  # by backup; absent where the list is
    volumes: dict[str, tuple[Volume, ...]] = field(default_factory=dict)  # by backup; absent where no list tells
    secrets: dict[str, list[str]] = field(default_factory=dict)  # "velero/cloud-credentials" in each backup
    claims: dict[str, list[str]] = field(default_factory=dict)
    password: Password | None = None  # of the repositories, as the newest backup that has it says
    password_from: Backup | None = None
    unexamined: list[str] = field(default_factory=list)

    @property
    def restorable(self) -> list[Backup]:
        return [each for each in self.backups if each.is_restorable]


def look_through(bucket: VeleroBucket, repositories: Repositories) -> Seen:
    """A listing, and four small files of each backup."""
    seen = Seen(bucket.backups())
    pool = ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="audit")
    try:
        for problems in list(pool.map(lambda each: _look_at(each, seen), seen.restorable)):
            seen.unexamined += problems
    finally:
        pool.shutdown(cancel_futures=True)
    _find_password(seen, repositories)
    for backup in seen.restorable:
        if backup.name in seen.volumes:
            _join_lists(bucket, backup, seen, repositories)
    return seen


def _look_at(backup: Backup, seen: Seen) -> list[str]:
    problems: list[str] = []

    def keep_stored() -> None:
        seen.stored[backup.name] = backup.pod_volume_backups()
        seen.volumes[backup.name] = ()  # until both lists are joined

    def keep_infos() -> None:
        backup.volume_infos()
        seen.volumes[backup.name] = ()

    def keep_names() -> None:
        resources = backup.resources()
        seen.secrets[backup.name] = resources.get("v1/Secret", [])
        seen.claims[backup.name] = resources.get("v1/PersistentVolumeClaim", [])

    for read, is_old in ((keep_stored, False), (keep_infos, True), (keep_names, True)):
        try:
            read()
        except NotFoundError as problem:
            if not is_old:  # the others came with later versions of Velero
                problems.append(str(problem))
        except DamagedError as problem:
            problems.append(str(problem))
    return problems


def _join_lists(bucket: VeleroBucket, backup: Backup, seen: Seen, repositories: Repositories) -> None:
    """Of both lists, which have been read and are remembered; what is wrong with them has been told."""
    try:
        seen.volumes[backup.name] = read_volumes(bucket, backup, repositories, manifests=False).volumes
    except StorageError:
        raise
    except Error as problem:
        del seen.volumes[backup.name]
        seen.unexamined.append(str(problem))


def _find_password(seen: Seen, repositories: Repositories) -> None:
    for backup in reversed(seen.restorable):
        names = [each for each in seen.secrets.get(backup.name, ()) if _is_password(each)]
        if not names:
            continue
        found = repositories.passwords_in(backup)
        if found:
            seen.password, seen.password_from = found[0], backup
            return
        seen.unexamined.append(f"{backup.name}: its manifests should hold the Secret {names[0]}, but no password could be read in them")


def _is_password(secret: str) -> bool:
    return secret.rpartition("/")[2] in PASSWORD_SECRETS


def histories(seen: Seen) -> list[VolumeHistory]:
    """Of each volume that a restorable backup tells about."""
    found: dict[str, list[tuple[Backup, str, str]]] = {}
    for backup in seen.restorable:
        states: dict[str, tuple[str, str]] = {}
        for each in seen.volumes.get(backup.name, ()):
            # A claim that several pods mount is stored once.
            if states.get(each.name, ("",))[0] != "stored":
                states[each.name] = _state_of(each)
        for name, (state, why) in states.items():
            found.setdefault(name, []).append((backup, state, why))
    return [VolumeHistory(name, tuple(found[name])) for name in sorted(found)]


def _state_of(volume: Volume) -> tuple[str, str]:
    if volume.has_copy or volume.state is VolumeState.ELSEWHERE:
        return "stored", ""
    if volume.is_skipped:
        return "skipped", volume.reason
    return "failed", volume.message or volume.reason or "Velero says that it failed"


def findings(bucket: VeleroBucket, seen: Seen, now: datetime) -> Iterator[Finding]:
    yield from _foreign(bucket)
    yield from _unusable(seen)
    yield from _volumes(seen)
    yield from _without_data(seen)
    yield from _expired(seen, now)
    yield from _secrets(seen)
    yield from _kopia(seen)


def _foreign(bucket: VeleroBucket) -> Iterator[Finding]:
    for name in bucket.foreign_directories():
        yield Finding(
            "foreign-directory", Severity.CRITICAL, f"the directory {name}/ at the top of the bucket is none of Velero's", name,
            "Velero then calls the backup location unavailable: it makes no backups, finds none, and deletes no expired ones",
            f"move {name}/ into another bucket",
        )  # fmt: skip


def _unusable(seen: Seen) -> Iterator[Finding]:
    by_state: dict[BackupState, list[str]] = {}
    for each in seen.backups:
        if not each.is_restorable:
            by_state.setdefault(each.state, []).append(each.name)
    for state, names in by_state.items():
        yield Finding(
            "unusable-backups", Severity.WARNING, f"{counted(len(names), 'backup')} cannot be restored: {state}", listed(names),
            "they take space and look like backups; nothing but snapshots of volumes may be left of them",
            "recoup velero describe NAME and logs NAME show why; delete them with velero backup delete",
            {"state": state.value, "backups": names},
        )  # fmt: skip
    if not seen.restorable:
        yield Finding(
            "nothing-restorable", Severity.CRITICAL, "no backup can be restored", "backups/",
            "there is nothing to go back to" if seen.backups else "Velero has not finished a single backup here",
            "see why Velero's backups fail: recoup velero backups, kubectl logs -n velero deployment/velero",
        )  # fmt: skip


def _volumes(seen: Seen) -> Iterator[Finding]:
    for history in histories(seen):
        _, state, why = history.entries[-1]
        if state == "stored":
            continue
        since, copy = history.since(), history.last_copy()
        last = f"the last good copy is in {copy.name}" if copy else "there is no copy of it in any backup"
        details = {"since": since.time, "since_backup": since.name, "last_copy": copy.name if copy else None,
                   "last_copy_time": copy.time if copy else None, "reason": why}  # fmt: skip
        if state == "skipped":
            yield Finding(
                "skipped-volume", Severity.WARNING, f"its data is left out of the backups since {since.name}: {why or 'no reason is given'}",
                history.name, f"the backups say Completed all the same, and restore it empty; {last}",
                "mount it in a running pod, and take away annotations and policies that leave it out; or accept it, if its data is worth nothing",
                details,
            )  # fmt: skip
        else:
            yield Finding(
                "failed-volume", Severity.CRITICAL, f"its data could not be stored since {since.name}: {why}", history.name, last,
                "kubectl describe podvolumebackups -n velero, and the node agent's log, tell more; then make a backup", details,
            )  # fmt: skip


def _without_data(seen: Seen) -> Iterator[Finding]:
    empty: list[str] = []
    for backup in seen.restorable:
        volumes = seen.volumes.get(backup.name)
        if volumes is None:
            continue
        has_claims = bool(seen.claims.get(backup.name)) or any(each.claim for each in volumes)
        has_data = any(_state_of(each)[0] == "stored" for each in volumes)
        if has_claims and not has_data:
            empty.append(backup.name)
    if empty:
        yield Finding(
            "no-data", Severity.CRITICAL, f"{counted(len(empty), 'backup')} that can be restored without any volume's data, though there are claims",
            listed(empty[::-1]), "a restore brings every volume back empty",
            "let Velero store them: --default-volumes-to-fs-backup, or snapshots that are moved into the bucket", {"backups": empty},
        )  # fmt: skip


def _expired(seen: Seen, now: datetime) -> Iterator[Finding]:
    late: list[tuple[datetime, str]] = []
    for backup in seen.backups:
        try:
            expires = backup.record.expires
        except (NotFoundError, DamagedError):
            continue
        if expires is not None and expires + _GRACE < now:
            late.append((expires, backup.name))
    if late:
        late.sort()
        yield Finding(
            "expired-backups", Severity.WARNING, f"{counted(len(late), 'expired backup')} {'is' if len(late) == 1 else 'are'} still there, the oldest since "
            f"{late[0][0]:%Y-%m-%d}", listed([name for _, name in late]),
            "no Velero deletes them: it does not run, or the location is unavailable or read-only; they take space",
            "kubectl get backups -n velero -l velero.io/gc-failure shows why; where no Velero is left, keep the bucket as it is",
            {"backups": [name for _, name in late], "oldest_expiration": late[0][0]},
        )  # fmt: skip


def _secrets(seen: Seen) -> Iterator[Finding]:
    newest = next((each for each in reversed(seen.restorable) if seen.secrets.get(each.name)), None)
    if newest is None:
        return
    names = seen.secrets[newest.name]
    where = f"{newest.name}.tar.gz"
    passwords = [each for each in names if _is_password(each)]
    clouds = [each for each in names if each.rpartition("/")[2] in _CLOUD_SECRETS]
    others = [each for each in names if each not in passwords and each not in clouds]
    why = "manifests are not encrypted: whoever can read the bucket can read them"
    if passwords:
        yield Finding(
            "repository-password-readable", Severity.CRITICAL, f"the password of the volumes' repositories, {passwords[0]}, is readable in the manifests",
            where, f"{why}, and with it the data of every volume",
            "leave Velero's own namespace out of backups (excludedNamespaces), keep the password elsewhere, and let nobody else read the bucket",
            {"secrets": passwords},
        )  # fmt: skip
    if clouds:
        yield Finding(
            "cloud-credentials-readable", Severity.CRITICAL, f"the credentials of the bucket, {clouds[0]}, are readable in the manifests", where,
            f"{why}; who may only read could then delete the backups as well",
            "leave Velero's own namespace out of backups (excludedNamespaces), and change the credentials", {"secrets": clouds},
        )  # fmt: skip
    if others:
        yield Finding(
            "secrets-readable", Severity.NOTICE, f"{counted(len(others), 'other Secret')} {'is' if len(others) == 1 else 'are'} readable in the manifests",
            where, why, "encrypt the bucket on the server, and let few read it", {"count": len(others), "secrets": others},
        )  # fmt: skip
    if seen.password is not None and seen.password.is_default:
        yield default_password(seen.password.origin)


def default_password(where: str) -> Finding:
    return Finding(
        "default-password", Severity.CRITICAL, "the volumes' repositories have the password that every Velero has, unless another is set",
        where, "anybody who can read the bucket can read every volume",
        "recoup key passwd sets another one in a repository; put the same into the Secret velero-repo-credentials, or Velero cannot go on",
    )  # fmt: skip


def _kopia(seen: Seen) -> Iterator[Finding]:
    newest = seen.restorable[-1] if seen.restorable else None
    if newest is None:
        return
    names = [each.name for each in seen.volumes.get(newest.name, ()) if each.uploader is Uploader.KOPIA]
    if names:
        yield Finding(
            "kopia-volumes", Severity.NOTICE, f"{counted(len(names), 'volume')} of the newest backup {'is' if len(names) == 1 else 'are'} stored by kopia",
            newest.name, "recoup reads restic's repositories: of these volumes it sees that they are there, and no more",
            "restore them with Velero or kopia; drills and audits of recoup do not cover them", {"volumes": names},
        )  # fmt: skip
