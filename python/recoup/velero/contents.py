"""What is in a volume of a backup: listed, read, restored."""

from __future__ import annotations

import io
import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from .._engine import (
    DamagedError,
    InvalidArgumentError,
    Node,
    NotFoundError,
    UnsupportedError,
)
from ..arguments import Overwrite, Path, Paths, paths
from ..repository import OnRestoreProgress
from ..results import RestoreResult
from ..snapshot import Snapshot, SnapshotFile
from .bucket import Backup
from .model import Uploader
from .repositories import OpenRepository, Password, Repositories, StoredSnapshot
from .volumes import Volume, VolumeState

# Marks that Velero's restores leave in volumes, and that later backups store.
_MARKS = ".velero"
_SNAPSHOT_ID = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class VolumeRestore:
    """What a restore of a volume did."""

    volume: Volume
    target: str
    snapshot_id: str | None  # None of an empty volume
    result: RestoreResult
    notes: tuple[str, ...]

    def raise_for_errors(self) -> None:
        """Raises IncompleteError if anything could not be restored."""
        self.result.raise_for_errors()


class OpenVolume:
    """A volume of a backup, open for reading. Paths in it are absolute: "/" is the volume's root. Made by
    `open_volume`."""

    def __init__(self, volume: Volume, opened: OpenRepository | None, stored: StoredSnapshot | None) -> None:
        self.volume = volume
        self.repository = opened
        #: None of an empty volume, of which Velero stores none.
        self.snapshot: Snapshot | None = stored.snapshot if stored else None

    def __repr__(self) -> str:
        return f"<recoup.velero.OpenVolume {self.volume.name!r} of {self.volume.backup!r}>"

    @property
    def password(self) -> Password | None:
        """What opened the repository."""
        return self.repository.password if self.repository else None

    def stat(self, path: Path) -> Node:
        """Raises NotFoundError; the root has no node."""
        return self._opened(path).stat(path)

    def scandir(self, path: Path = "/") -> list[Node]:
        """The entries of a directory, by name, without Velero's own marks. Raises NotFoundError or
        InvalidArgumentError."""
        if self.snapshot is None and _absolute(path) == "/":
            return []
        return [
            each
            for each in self._opened(path).scandir(path)
            if posixpath.join(_absolute(path), each.name) != f"/{_MARKS}"
        ]

    def walk(self, path: Path = "/") -> Iterator[tuple[str, Node]]:
        """Everything below a directory, as `Snapshot.walk`, without Velero's own marks."""
        if self.snapshot is None and _absolute(path) == "/":
            return
        for where, node in self._opened(path).walk(path):
            if where != f"/{_MARKS}" and not where.startswith(f"/{_MARKS}/"):
                yield where, node

    def ls(self, path: Path = "/", *, recursive: bool = False) -> Iterator[tuple[str, Node]]:
        """(path, node) of a directory's entries, or of a file itself."""
        whole = _absolute(path)
        if whole != "/" and self.stat(path).type != "dir":
            yield whole, self.stat(path)
        elif recursive:
            yield from self.walk(path)
        else:
            yield from ((posixpath.join(whole, each.name), each) for each in self.scandir(path))

    def open(self, path: Path) -> io.BufferedReader:
        """A file in the volume, seekable. Raises NotFoundError, or InvalidArgumentError for what is no file."""
        node = self.stat(path)
        if node.type == "symlink":
            raise InvalidArgumentError(
                f"{_absolute(path)} is a symlink to {node.link_target}, and is not followed: name that"
            )
        if node.type == "dir":
            raise InvalidArgumentError(f"{_absolute(path)} is a directory: restore it, or name a file in it")
        return self._opened(path).open(path)

    def open_node(self, path: str, node: Node) -> SnapshotFile:
        """A file that `walk` or `scandir` has brought, without looking for it once more: that reads every directory on the
        way."""
        return self._opened(path).open_node(path, node)

    def dump(self, path: Path, into: IO[bytes]) -> int:
        """Writes a file's content into a binary file; returns how many bytes. Errors are those of `open`, and of
        reading."""
        with self.open(path) as source:
            shutil.copyfileobj(source, into, 1 << 20)
            return source.tell()

    def restore(
        self,
        target: Path,
        *,
        include: Paths = (),
        iinclude: Paths = (),
        exclude: Paths = (),
        iexclude: Paths = (),
        overwrite: Overwrite | None = None,
        delete: bool = False,
        sparse: bool = False,
        verify: bool = False,
        dry_run: bool = False,
        progress: OnRestoreProgress | None = None,
    ) -> VolumeRestore:
        """Restores the volume into a directory, which is made if need be: content, owners, modes, times, extended
        attributes, hard links, and what else restic stores. Not the owner and mode of the volume's root, which Velero
        does not store.

        A directory that has anything in it is refused, unless `overwrite` says what happens to files that are there.
        The other arguments are those of `Repository.restore`; `delete` needs `overwrite`. What cannot be restored is in
        the result's `errors`.
        """
        check_target(target, overwrite, delete)
        where = os.fsdecode(target)
        if self.snapshot is None:
            if not dry_run:
                os.makedirs(target, mode=0o700, exist_ok=True)
            note = f"{self.volume.name} was empty when it was backed up: {where} is an empty directory"
            if overwrite is not None:
                note = f"{self.volume.name} was empty when it was backed up: nothing was changed in {where}"
            return VolumeRestore(self.volume, where, None, RestoreResult(0, 0, 0, 0, 0, 0, 0, 0), (note,))
        included, iincluded = paths(include), paths(iinclude)
        excluded, iexcluded = paths(exclude), paths(iexclude)
        # One kind of patterns at a time; the last one that matches counts.
        if included or iincluded:
            included = included and [*included, f"!/{_MARKS}", f"!/{_MARKS}/**"]
            iincluded = iincluded and [*iincluded, f"!/{_MARKS}", f"!/{_MARKS}/**"]
        else:
            excluded = [*excluded, f"/{_MARKS}"]
        result = self.snapshot.restore(
            target,
            include=included,
            iinclude=iincluded,
            exclude=excluded,
            iexclude=iexcluded,
            overwrite=overwrite or "always",
            delete=delete,
            sparse=sparse,
            verify=verify,
            dry_run=dry_run,
            progress=progress,
        )
        notes = []
        if not result.total_files and (included or iincluded):
            notes.append(f"nothing in {self.volume.name} matches what was to be included")
        return VolumeRestore(self.volume, where, self.snapshot.id, result, tuple(notes))

    def newer_copies(self) -> list[StoredSnapshot]:
        """Later snapshots of the same volume, of whatever backup: also those of backups that are lost."""
        if self.repository is None or self.snapshot is None:
            return []
        volume, time = self.volume, self.snapshot.time
        return [each for each in self.repository.snapshots() if each.time > time and _is_same_volume(each, volume)]

    def _opened(self, path: Path) -> Snapshot:
        if self.snapshot is None:
            raise NotFoundError(
                f"{self.volume.name} was empty in backup {self.volume.backup}: there is no {_absolute(path)}"
            )
        return self.snapshot


def open_volume(repositories: Repositories, volume: Volume) -> OpenVolume:
    """Opens a volume: its repository, and in that the snapshot that belongs to it.

    Raises NotFoundError if the volume has no copy or the snapshot is not there, DamagedError if the snapshot is not of
    this volume, UnsupportedError for what Kopia has stored, and what `Repositories.open` raises.
    """
    if not volume.has_copy:
        raise NotFoundError(f"backup {volume.backup} has no copy of {volume.name}: {volume.trouble}")
    if volume.state is VolumeState.EMPTY:
        return OpenVolume(volume, None, None)
    if volume.uploader is not Uploader.RESTIC:
        raise UnsupportedError(
            f"{volume.name} in backup {volume.backup} was stored with Kopia, of which recoup reads nothing yet: "
            "restore it with Velero 1.10 or later, or with the program kopia"
        )
    place = repositories.place(volume.identifier, volume.namespace)
    if volume.source == "tags" and volume.place is not None:
        place = volume.place
    # Only a repository that is not open yet is worth looking for its backup.
    opened = repositories.opened(place) or repositories.open(place, _backup(repositories, volume.backup))
    return OpenVolume(volume, opened, _snapshot_of(volume, opened, f"{repositories.bucket.location}: {place.prefix}"))


def _backup(repositories: Repositories, name: str) -> Backup | None:
    """None of a lost one."""
    try:
        return repositories.bucket.backup(name)
    except NotFoundError:
        return None


def _snapshot_of(volume: Volume, opened: OpenRepository, where: str) -> StoredSnapshot:
    if not _SNAPSHOT_ID.fullmatch(volume.snapshot):
        raise DamagedError(
            f"backup {volume.backup} says that {volume.name} is snapshot {volume.snapshot!r}: that is no ID of restic's"
        )
    try:
        found = [StoredSnapshot.of(opened.repository.snapshot(volume.snapshot))]
    except NotFoundError:
        # Not there, or several: then files that only are called so must not be in the way.
        found = [each for each in opened.snapshots() if each.id.startswith(volume.snapshot)]
    fitting = [each for each in found if not _difference(each, volume)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DamagedError(
            f"{where} has {len(fitting)} snapshots {volume.snapshot}… of {volume.name} for backup {volume.backup}: "
            f"which of them is meant cannot be told ({', '.join(each.id for each in fitting)})"
        )
    if found:
        raise DamagedError(
            f"snapshot {volume.snapshot} in {where} is not of {volume.name} in backup {volume.backup}: "
            f"{_difference(found[0], volume)}. Nothing was restored"
        )
    others = [each for each in opened.snapshots() if _is_same_volume(each, volume)]
    there = ", ".join(f"{each.snapshot.short_id} of backup {each.backup}" for each in others[-5:])
    raise NotFoundError(
        f"{where} has no snapshot {volume.snapshot}, which backup {volume.backup} says is {volume.name}: it was "
        f"forgotten, or its file is lost. Of that volume there {f'is {there}' if there else 'is no other either'}"
    )


def _difference(stored: StoredSnapshot, volume: Volume) -> str:
    """What the snapshot's tags say otherwise than the backup; "" if nothing."""
    pairs = (
        ("ns", volume.namespace, stored.namespace),
        ("volume", volume.volume, stored.volume),
        ("pod", volume.pod, stored.pod),
        ("backup", volume.backup, stored.backup),
        ("backup-uid", volume.backup_uid, stored.backup_uid),
        ("pvc-uid", volume.claim_uid, stored.claim_uid),
    )
    return ", ".join(
        f"its tag {name} is {is_!r}, not {wanted!r}" for name, wanted, is_ in pairs if wanted and wanted != is_
    )


def _is_same_volume(stored: StoredSnapshot, volume: Volume) -> bool:
    if stored.namespace != volume.namespace:
        return False
    if stored.claim_uid and volume.claim_uid:
        return stored.claim_uid == volume.claim_uid
    return (stored.pod, stored.volume) == (volume.pod, volume.volume)


def check_target(target: Path, overwrite: Overwrite | None, delete: bool) -> None:
    """Raises InvalidArgumentError for a directory into which nothing would be restored."""
    if delete and overwrite is None:
        raise InvalidArgumentError(
            "delete is for directories with something in them: say with overwrite what happens to files there"
        )
    try:
        names = {os.fsdecode(name) for name in os.listdir(target)}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InvalidArgumentError(
            f"{os.fsdecode(target)} is not a directory; name one, or what is to become one"
        ) from None
    # So a new file system begins.
    if names - {"lost+found"} and overwrite is None:
        raise InvalidArgumentError(
            f"{os.fsdecode(target)} is not empty ({len(names)} entries, such as {min(names)}): nothing was "
            "restored. Name an empty or a new directory, or say what happens to files that are there (overwrite)"
        )


def _absolute(path: Path) -> str:
    return posixpath.normpath("/" + os.fsdecode(path).lstrip("/"))
