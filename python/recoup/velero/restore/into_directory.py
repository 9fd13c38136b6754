"""A whole backup into a directory, where there is no cluster: its manifests, and the data of its volumes.

    DIR/manifests/0001-namespaces-db.yaml …   in the order of the restore
    DIR/volumes/NAMESPACE/CLAIM/…             data; of volumes without a claim: NAMESPACE/pods/POD/VOLUME/…
    DIR/restore.json                          what is done: a run that was stopped goes on from there
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..._engine import Error, InvalidArgumentError, StorageError
from ...arguments import Path
from ...results import RestoreProgress
from ..comparison import compare
from ..contents import OpenVolume, open_volume
from ..files import appearing, is_unfinished
from ..manifest_files import write_directory
from ..repositories import Repositories
from ..volumes import Volume
from .report import (
    ObjectOutcome,
    Observer,
    RestoredObject,
    RestoredVolume,
    RestoreReport,
    SilentObserver,
    VolumeOutcome,
)
from .wanted import Wanted, WantedVolume

_STATE = "restore.json"
_OURS = {"manifests", "volumes", _STATE}
_MESSAGES_KEPT = 5


def restore_into_directory(
    wanted: Wanted,
    repositories: Repositories,
    target: Path,
    *,
    verify: bool = False,
    dry_run: bool = False,
    observer: Observer | None = None,
) -> RestoreReport:
    """Restores a backup into `target`, which is made if need be. A volume that fails does not stop the rest.

    When it is stopped, the same call goes on: volumes that are done stay as they are, one that was begun is finished. With
    `verify`, every volume is read again and compared with what was backed up.

    Raises InvalidArgumentError for a directory that holds something else, StorageError if it cannot be written.
    """
    return _IntoDirectory(wanted, repositories, os.path.abspath(os.fsdecode(target)), verify, dry_run, observer).run()


class _State:
    """What earlier runs have done."""

    def __init__(self, directory: str, backup: str, uid: str) -> None:
        self._file = os.path.join(directory, _STATE)
        self._document: dict[str, Any] = {"version": 1, "backup": backup, "backup_uid": uid, "volumes": {}}
        self._is_new = True
        try:
            names = {name for name in os.listdir(directory) if not any(is_unfinished(name, ours) for ours in _OURS)}
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise InvalidArgumentError(f"{directory} is a file; name a directory for the restore") from None
        except OSError as problem:
            raise StorageError(f"cannot look into {directory}: {problem.strerror}") from problem
        if not names - {"lost+found"}:
            return
        found = self._read(directory)
        if (found["backup"], found["backup_uid"]) != (backup, uid):
            raise InvalidArgumentError(
                f"{directory} holds a restore of backup {found['backup']}, not of {backup}: name another directory"
            )
        foreign = sorted(names - _OURS - {"lost+found"})
        if foreign:
            raise InvalidArgumentError(f"{directory} holds {foreign[0]!r}, which is not of this restore: name another directory")
        self._document, self._is_new = found, False

    def _read(self, directory: str) -> dict[str, Any]:
        try:
            with open(self._file, encoding="utf-8") as file:
                found = json.load(file)
            if found["version"] == 1 and isinstance(found["volumes"], dict) and {"backup", "backup_uid"} <= found.keys():
                return dict(found)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise InvalidArgumentError(f"{self._file} cannot be read: {problem}. Name an empty or a new directory") from problem
        raise InvalidArgumentError(f"{directory} is not empty, and holds no restore that was begun: name an empty or a new directory")

    @property
    def is_new(self) -> bool:
        return self._is_new

    def is_done(self, volume: str, snapshot: str) -> bool:
        return bool(self._document["volumes"].get(volume) == snapshot)

    def done(self, volume: str, snapshot: str) -> None:
        self._document["volumes"][volume] = snapshot
        self.write()

    def write(self) -> None:
        with appearing(self._file, is_private=True) as file:
            file.write(json.dumps(self._document, indent=2).encode())


class _IntoDirectory:
    def __init__(
        self, wanted: Wanted, repositories: Repositories, directory: str, verify: bool, dry_run: bool, observer: Observer | None
    ) -> None:
        self._wanted = wanted
        self._repositories = repositories
        self._directory = directory
        self._verify = verify
        self._is_dry_run = dry_run
        self._observer: Observer = observer or SilentObserver()
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()

    def run(self) -> RestoreReport:
        backup = self._wanted.backup
        state = _State(self._directory, backup.name, self._uid())
        self._check_space(state)
        try:
            if not self._is_dry_run:
                os.makedirs(self._directory, mode=0o700, exist_ok=True)
                state.write()
            objects = self._write_manifests()
            volumes = [self._restore(each, state) for each in self._wanted.volumes]
        except OSError as problem:
            raise StorageError(f"cannot restore into {self._directory}: {problem.strerror or problem}") from problem
        return RestoreReport(
            location=self._repositories.bucket.location,
            backup=backup.name,
            backup_time=backup.time,
            target=self._directory,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            is_dry_run=self._is_dry_run,
            objects=tuple(objects),
            volumes=tuple(volumes),
            left_out=self._wanted.plan.left_out,
            problems=self._wanted.problems,
        )

    def _uid(self) -> str:
        try:
            return self._wanted.backup.record.uid
        except Error:
            return ""

    def _check_space(self, state: _State) -> None:
        """Before hours of work, and not after them."""
        needed = sum(
            each.volume.size for each in self._wanted.volumes if not each.trouble and not state.is_done(_key(each.volume), each.volume.snapshot)
        )
        parent = self._directory
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        free = shutil.disk_usage(parent).free
        if state.is_new and needed > free:
            raise InvalidArgumentError(
                f"the volumes need {needed} bytes, and {free} are free in {parent}: name a larger disk, or restore fewer namespaces"
            )

    def _write_manifests(self) -> list[RestoredObject]:
        planned = self._wanted.plan.objects
        if not self._is_dry_run:
            write_directory(planned, os.path.join(self._directory, "manifests"), replace=True)
        done = [RestoredObject(each.reference, ObjectOutcome.WRITTEN) for each in planned]
        for each in done:
            self._observer.object_done(each)
        return done

    def _restore(self, wanted: WantedVolume, state: _State) -> RestoredVolume:
        begin = time.monotonic()
        done = self._restored(wanted, state)
        done = replace(done, seconds=time.monotonic() - begin)
        self._observer.volume_done(done)
        return done

    def _restored(self, wanted: WantedVolume, state: _State) -> RestoredVolume:
        volume = wanted.volume
        if wanted.trouble:
            outcome = VolumeOutcome.WITHOUT_DATA if wanted.is_left_out_by_velero else VolumeOutcome.FAILED
            return RestoredVolume(volume.name, outcome, message=wanted.trouble)
        target = os.path.join(self._directory, "volumes", wanted.namespace, _place(volume))
        try:
            opened = open_volume(self._repositories, volume)
            snapshot = opened.snapshot.id if opened.snapshot else ""
            if state.is_done(_key(volume), snapshot):
                return RestoredVolume(volume.name, VolumeOutcome.ALREADY, target, snapshot)
            if self._is_dry_run:
                return RestoredVolume(volume.name, VolumeOutcome.WOULD_BE, target, snapshot, bytes=volume.size)
            self._observer.volume_begun(volume.name, volume.size)
            return replace(self._fill(opened, target, snapshot, state), note=wanted.note)
        except Error as problem:
            return RestoredVolume(volume.name, VolumeOutcome.FAILED, target, volume.snapshot, message=str(problem))

    def _fill(self, opened: OpenVolume, target: str, snapshot: str, state: _State) -> RestoredVolume:
        name = opened.volume.name

        def tell(now: RestoreProgress) -> None:
            self._observer.volume_progress(name, now.bytes_done, now.total_bytes)

        os.makedirs(target, mode=0o700, exist_ok=True)
        # What an earlier run has begun is made to be as it was backed up.
        result = opened.restore(target, overwrite="if-changed", delete=True, progress=tell).result
        problems = [f"{each.path}: {each.message}" for each in result.errors]
        if self._verify and not problems:
            problems += compare(opened, target).problems
        if problems:
            return RestoredVolume(name, VolumeOutcome.FAILED, target, snapshot, result.total_files, result.total_bytes, message=_few(problems))
        state.done(_key(opened.volume), snapshot)
        return RestoredVolume(name, VolumeOutcome.RESTORED, target, snapshot, result.total_files, result.total_bytes)


def _place(volume: Volume) -> str:
    """Below the namespace. No claim is called "pods": that would be one path for both, so it gets another."""
    if volume.claim is None:
        return os.path.join("pods", volume.pod, volume.volume)
    return "pods.claim" if volume.claim == "pods" else volume.claim


def _key(volume: Volume) -> str:
    return f"{volume.namespace}/{_place(volume)}"


def _few(messages: list[str]) -> str:
    more = [f"and {len(messages) - _MESSAGES_KEPT} more"] if len(messages) > _MESSAGES_KEPT else []
    return "\n".join([*messages[:_MESSAGES_KEPT], *more])
