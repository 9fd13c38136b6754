"""The repositories with the volumes' data: where they lie, what opens them, and which snapshots they hold.

Nothing here locks a repository or writes into it, not even into a cache on this machine unless that is asked for.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .._engine import (
    DamagedError,
    NotFoundError,
    RepositoryMissingError,
    UnsupportedError,
    WrongPasswordError,
)
from ..arguments import Path
from ..network import Network
from ..repository import Repository
from ..repository import open as open_repository
from ..snapshot import Snapshot
from .bucket import Backup, RepositoryPlace, VeleroBucket
from .model import Uploader

# What Velero puts into its Secret unless somebody made one before (V:pkg/repository/keys/keys.go).
DEFAULT_PASSWORD = b"static-passw0rd"
# Of Velero since 1.10, of Velero before, and of Ark.
PASSWORD_SECRETS = ("velero-repo-credentials", "velero-restic-credentials", "ark-restic-credentials")
_SECRET_KEY = "repository-password"
# Each is a tarball to read, and half a second to try what is in it.
_BACKUPS_LOOKED_INTO = 10
_S3_IDENTIFIER = re.compile(r"s3:(?:https?://)?[^/]+/[^/]+/(?P<path>.+)", re.DOTALL)
_OTHER_IDENTIFIER = re.compile(r"(?:azure|gs|swift):[^:/]+:/?(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True)
class Password:
    """A password and where it is from."""

    value: bytes = field(repr=False)
    origin: str  # "given", "the Secret velero/velero-repo-credentials in backup daily-1", "Velero's default"

    @property
    def is_default(self) -> bool:
        """Whether it is the one that everybody knows, wherever it was found."""
        return self.value == DEFAULT_PASSWORD


@dataclass(frozen=True)
class StoredSnapshot:
    """A snapshot that Velero made, and what its tags say. A tag that is not there is ""."""

    snapshot: Snapshot
    backup: str
    backup_uid: str
    namespace: str
    pod: str
    pod_uid: str
    volume: str
    claim_uid: str

    @property
    def id(self) -> str:
        return self.snapshot.id

    @property
    def time(self) -> datetime:
        return self.snapshot.time

    @staticmethod
    def of(snapshot: Snapshot) -> StoredSnapshot:
        tags = dict(tag.split("=", 1) for tag in snapshot.tags if "=" in tag)
        return StoredSnapshot(
            snapshot=snapshot,
            backup=tags.get("backup", ""),
            backup_uid=tags.get("backup-uid", ""),
            namespace=tags.get("ns", ""),
            pod=tags.get("pod", ""),
            pod_uid=tags.get("pod-uid", ""),
            volume=tags.get("volume", ""),
            claim_uid=tags.get("pvc-uid", ""),
        )


class OpenRepository:
    """A repository of the bucket, opened."""

    def __init__(self, place: RepositoryPlace, repository: Repository, password: Password) -> None:
        self.place = place
        self.repository = repository
        self.password = password
        self._snapshots: tuple[StoredSnapshot, ...] | None = None

    def __repr__(self) -> str:
        return f"<recoup.velero.OpenRepository {self.place.prefix!r}>"

    def snapshots(self) -> tuple[StoredSnapshot, ...]:
        """All of Velero's, the oldest first: listed and read once. One that cannot be read is logged and passed
        over."""
        if self._snapshots is None:
            found = (StoredSnapshot.of(each) for each in self.repository.snapshots())
            self._snapshots = tuple(each for each in found if each.backup)
        return self._snapshots


class Repositories:
    """Opens the repositories of a bucket, each once, with whichever password fits. For one thread at a time.

    `passwords` are tried first; then come the Secret in the manifests of the backup that asks, Velero's default, and
    the Secrets in other backups. `cache`, `cache_dir`, `options` and `network` are those of `recoup.open`, but nothing
    is kept in a cache unless asked for.
    """

    def __init__(
        self,
        bucket: VeleroBucket,
        *,
        passwords: Iterable[str | bytes] = (),
        cache: bool = False,
        cache_dir: Path | None = None,
        options: Mapping[str, str] | None = None,
        network: Network | None = None,
    ) -> None:
        self.bucket = bucket
        self._given = [Password(each.encode() if isinstance(each, str) else each, "given") for each in passwords]
        self._settings: dict[str, Any] = {
            "cache": cache,
            "cache_dir": cache_dir,
            "options": options,
            "network": network,
        }
        self._opened: dict[str, OpenRepository] = {}
        self._places: dict[tuple[str, ...], str] = {}
        self._secrets: dict[str, list[Password]] = {}
        # Trying them all takes seconds, and each volume asks.
        self._wrong: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"<recoup.velero.Repositories of {self.bucket.location!r}, {len(self._opened)} open>"

    def place(self, identifier: str, namespace: str) -> RepositoryPlace:
        """Where restic's repository of that namespace lies in this bucket. `identifier` is what Velero called it: the
        address in it is the cluster's, and is never asked."""
        candidates = tuple(place_candidates(identifier, namespace))
        if candidates not in self._places:
            self._places[candidates] = self._first_that_is_there(candidates)
        return RepositoryPlace(Uploader.RESTIC, namespace, self._places[candidates])

    def _first_that_is_there(self, candidates: tuple[str, ...]) -> str:
        for prefix in candidates:
            config = f"{prefix}/config"
            if any(each.key == config for each in self.bucket.store.list(config)):
                return prefix
        return candidates[-1]

    def opened(self, place: RepositoryPlace) -> OpenRepository | None:
        """None if it was not opened yet."""
        return self._opened.get(place.prefix) if place.uploader is Uploader.RESTIC else None

    def open(self, place: RepositoryPlace, asking: Backup | None = None) -> OpenRepository:
        """`asking` is the backup whose volume is wanted: its manifests are the first to look for the password in.

        Raises UnsupportedError for Kopia's repositories, WrongPasswordError, RepositoryMissingError, DamagedError.
        """
        if place.uploader is not Uploader.RESTIC:
            raise UnsupportedError(
                f"{self.bucket.location}: {place.prefix} is a repository of Kopia, of which recoup reads nothing yet; "
                "restore its volumes with Velero, or look at it with the program kopia (the password is Velero's)"
            )
        if place.prefix not in self._opened:
            self._opened[place.prefix] = self._open(place, asking)
        return self._opened[place.prefix]

    def all(self) -> list[RepositoryPlace]:
        """Those of restic that lie where Velero puts them, and those that were found elsewhere."""
        known = {each.prefix: each for each in self.bucket.repositories() if each.uploader is Uploader.RESTIC}
        known.update((each.place.prefix, each.place) for each in self._opened.values())
        return list(known.values())

    def _open(self, place: RepositoryPlace, asking: Backup | None) -> OpenRepository:
        asked = (place.prefix, asking.name if asking else "")
        if asked in self._wrong:
            raise WrongPasswordError(self._wrong[asked])
        location = self.bucket.store.repository_location(place.prefix)
        tried: dict[bytes, str] = {}
        for password in self._passwords(asking):
            if password.value in tried:
                continue
            tried[password.value] = password.origin
            try:
                opened = open_repository(location, password.value, no_lock=True, **self._settings)
            except WrongPasswordError:
                continue
            except DamagedError as problem:
                raise DamagedError(f"{self.bucket.location}: {place.prefix} cannot be opened: {problem}") from problem
            except RepositoryMissingError as problem:
                raise RepositoryMissingError(
                    f"{self.bucket.location}: {place.prefix} is no repository: it has no config. The data of namespace "
                    f"{place.namespace} is not there, or lies elsewhere (Velero's resticRepoPrefix): {problem}"
                ) from problem
            return OpenRepository(place, opened, password)
        self._wrong[asked] = self._about_wrong(place, tried)
        raise WrongPasswordError(self._wrong[asked])

    def _about_wrong(self, place: RepositoryPlace, tried: Mapping[bytes, str]) -> str:
        where = f"{self.bucket.location}: {place.prefix}"
        if next(iter(self.bucket.store.list(f"{place.prefix}/keys/")), None) is None:
            return f"no password can open {where}: its key files, {place.prefix}/keys/…, are all missing. Bring them back from a copy of the bucket"
        given = sum(origin == "given" for origin in tried.values())
        origins = [f"{given} that {'was' if given == 1 else 'were'} given"] if given else []
        origins += [origin for origin in tried.values() if origin != "given"]
        if not any("Secret" in origin for origin in origins):
            origins.append("no Secret, as the manifests hold none")
        return (
            f"no known password opens {where}. Tried: {'; '.join(origins)}. Give "
            f"the one that the Secret {PASSWORD_SECRETS[0]} in Velero's namespace held (key {_SECRET_KEY}) when the first "
            f"volume of namespace {place.namespace} was backed up"
        )

    def _passwords(self, asking: Backup | None) -> Iterator[Password]:
        yield from self._given
        # Velero has one for all, so what opened one repository is likely to open the next.
        yield from (each.password for each in self._opened.values())
        if asking is not None:
            yield from self.passwords_in(asking)
        yield Password(DEFAULT_PASSWORD, "Velero's default")
        others = [each for each in self.bucket.backups() if each.has_manifests and _may_hold_secret(each)]
        # What opens a repository is what the Secret held in the beginning, so the oldest count as much as the newest.
        half = _BACKUPS_LOOKED_INTO // 2
        others = [*reversed(others[-half:]), *others[: max(0, min(half, len(others) - half))]]
        for backup in others:
            yield from self.passwords_in(backup)
        # The likeliest was none: a Secret of an older Velero, or of another one in the same cluster, may come after it.
        for backup in [asking] if asking is not None else others[:1]:
            yield from passwords_in(backup, every=True)

    def passwords_in(self, backup: Backup) -> list[Password]:
        """What the Secrets in a backup's manifests hold, to the likeliest one: read once."""
        if backup.name not in self._secrets:
            self._secrets[backup.name] = passwords_in(backup)
        return self._secrets[backup.name]


def passwords_in(backup: Backup, *, every: bool = False) -> list[Password]:
    """What the Secrets in a backup's manifests hold, the likeliest first. Whatever cannot be read holds none. Reading ends with
    the likeliest of all, unless `every` one is wanted."""
    velero = _velero_namespace(backup)
    found: dict[tuple[bool, int, str], Password] = {}
    try:
        for each in backup.manifests().objects():
            if each.resource != "secrets" or each.name not in PASSWORD_SECRETS:
                continue
            value = _secret_value(each.document)
            if value:
                rank = (each.namespace != velero, PASSWORD_SECRETS.index(each.name), each.namespace or "")
                found[rank] = Password(value, f"the Secret {each.namespace}/{each.name} in backup {backup.name}")
                if rank[:2] == (False, 0) and not every:
                    break
    except (NotFoundError, DamagedError):
        pass  # what came before is as good as ever
    return [found[rank] for rank in sorted(found)]


def _velero_namespace(backup: Backup) -> str:
    try:
        return backup.record.namespace
    except (NotFoundError, DamagedError):
        return "velero"


def _secret_value(document: Mapping[str, Any]) -> bytes | None:
    data = document.get("data")
    encoded = data.get(_SECRET_KEY) if isinstance(data, Mapping) else None
    try:
        # Velero gives it to restic in a file, of which restic takes off what is white around it.
        return base64.b64decode(encoded, validate=True).strip() if isinstance(encoded, str) else None
    except (binascii.Error, ValueError):
        return None


def _may_hold_secret(backup: Backup) -> bool:
    """A look at the list of names, which is small beside the manifests."""
    try:
        names = backup.resources().get("v1/Secret", [])
    except (NotFoundError, DamagedError, ValueError, TypeError):
        return True
    return any(name.rpartition("/")[2] in PASSWORD_SECRETS for name in names)


def place_candidates(identifier: str, namespace: str) -> list[str]:
    """Prefixes in the bucket that a repository's identifier may mean, the likeliest first; the last is where Velero
    puts it by default. Raises DamagedError for a namespace that is none."""
    if not _is_key_part(namespace):
        raise DamagedError(f"{namespace!r} is no namespace, so no repository can be named after it")
    usual = f"{Uploader.RESTIC}/{namespace}"
    match = _S3_IDENTIFIER.fullmatch(identifier) or _OTHER_IDENTIFIER.fullmatch(identifier)
    parts = match["path"].strip("/").split("/") if match else []
    # It names no other namespace's repository, and no file outside a directory with a copy of the bucket.
    if not parts or parts[-1] != namespace or len(parts) > 16 or not all(map(_is_key_part, parts)):
        return [usual]
    # The store may begin below the bucket, at Velero's own prefix: the identifier has that, keys do not.
    found = ["/".join(parts[start:]) for start in range(len(parts))]
    return found[: found.index(usual) + 1] if usual in found else [*found, usual]


def _is_key_part(text: str) -> bool:
    return text not in ("", ".", "..") and not any(character in text for character in "/\0\n")


__all__ = [
    "DEFAULT_PASSWORD",
    "PASSWORD_SECRETS",
    "OpenRepository",
    "Password",
    "Repositories",
    "StoredSnapshot",
    "passwords_in",
    "place_candidates",
]
