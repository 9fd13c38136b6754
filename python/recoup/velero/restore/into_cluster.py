"""A whole backup into a cluster: what volumes need, then their data, then what works on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Protocol

from ..._engine import Error
from ..cluster import Applied, Cluster
from ..cluster import Outcome as Answer
from ..contents import OpenVolume, open_volume
from ..manifests import PlannedObject
from ..repositories import Repositories
from .report import ObjectOutcome, Observer, RestoredObject, RestoredVolume, RestoreReport, SilentObserver, VolumeOutcome
from .wanted import Wanted, WantedVolume
from .workloads import ClaimUsers, is_before_data

_OUTCOMES = {
    Answer.CREATED: ObjectOutcome.CREATED,
    Answer.CHANGED: ObjectOutcome.CHANGED,
    Answer.UNCHANGED: ObjectOutcome.UNCHANGED,
    Answer.REFUSED: ObjectOutcome.REFUSED,
    Answer.UNCHECKED: ObjectOutcome.UNCHECKED,
}


class Filled(Protocol):
    """What filling a claim did."""

    @property
    def was_filled_before(self) -> bool: ...

    @property
    def files(self) -> int: ...

    @property
    def bytes(self) -> int: ...

    @property
    def notes(self) -> tuple[str, ...]: ...


#: Fills a claim of a namespace from a volume, telling how many bytes are there.
Fill = Callable[[OpenVolume, str, str, Callable[[int], None]], Filled]


def restore_into_cluster(
    wanted: Wanted,
    repositories: Repositories,
    cluster: Cluster,
    fill: Fill,
    *,
    dry_run: bool = False,
    force_conflicts: bool = False,
    start_without_data: bool = False,
    observer: Observer | None = None,
) -> RestoreReport:
    """Restores a backup into a cluster: namespaces, definitions, storage classes, claims, roles, Secrets; then the data of the
    claims, each through a pod of its own; then pods and all that starts some. What works on a claim whose data could not be
    brought back is held back, unless `start_without_data`: an application that finds nothing begins anew.

    What is refused or fails does not stop the rest. When it is stopped, the same call goes on: objects that are as they
    should be are left alone, and claims that are filled stay so.

    Raises StorageError, AccessDeniedError where the server is gone or says no to everything.
    """
    return _IntoCluster(wanted, repositories, cluster, fill, dry_run, force_conflicts, start_without_data, observer).run()


class _IntoCluster:
    def __init__(
        self,
        wanted: Wanted,
        repositories: Repositories,
        cluster: Cluster,
        fill: Fill,
        dry_run: bool,
        force_conflicts: bool,
        start_without_data: bool,
        observer: Observer | None,
    ) -> None:
        self._wanted = wanted
        self._repositories = repositories
        self._cluster = cluster
        self._fill = fill
        self._is_dry_run = dry_run
        self._force_conflicts = force_conflicts
        self._start_without_data = start_without_data
        self._observer: Observer = observer or SilentObserver()
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._objects: list[RestoredObject] = []
        self._volumes: list[RestoredVolume] = []
        self._empty: dict[tuple[str, str], str] = {}  # claims without the data that they should have

    def run(self) -> RestoreReport:
        planned = self._wanted.plan.objects
        # One after the other through one call, which remembers what was new in it and is waited for.
        for each in self._apply([each for each in planned if is_before_data(each)]):
            self._add(each)
        for volume in self._wanted.volumes:
            self._restore(volume)
        users = ClaimUsers({} if self._start_without_data else self._empty)
        for each in self._apply(self._not_held_back([each for each in planned if not is_before_data(each)], users)):
            self._add(each)
        backup = self._wanted.backup
        return RestoreReport(
            location=self._repositories.bucket.location,
            backup=backup.name,
            backup_time=backup.time,
            target=self._cluster.address,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            is_dry_run=self._is_dry_run,
            objects=tuple(self._objects),
            volumes=tuple(self._volumes),
            left_out=self._wanted.plan.left_out,
            problems=self._wanted.problems,
        )

    # ---- objects

    def _apply(self, planned: Iterable[PlannedObject]) -> Iterator[Applied]:
        return self._cluster.apply(
            (each.document for each in planned), dry_run=self._is_dry_run, force_conflicts=self._force_conflicts
        )

    def _add(self, applied: Applied) -> None:
        message = "; ".join(each for each in (applied.message, *applied.warnings) if each)
        self._tell(RestoredObject(applied.reference, _OUTCOMES[applied.outcome], message))
        if applied.outcome is Answer.REFUSED and applied.kind == "PersistentVolumeClaim":
            self._empty[applied.namespace or "", applied.name] = f"the claim was refused: {applied.message}"

    def _not_held_back(self, planned: Iterable[PlannedObject], users: ClaimUsers) -> Iterator[PlannedObject]:
        for each in planned:
            why = users.why_held_back(each)
            if why:
                self._tell(RestoredObject(f"{each.kind} {each.namespace}/{each.name}", ObjectOutcome.HELD_BACK, why))
            else:
                yield each

    def _tell(self, done: RestoredObject) -> None:
        self._objects.append(done)
        self._observer.object_done(done)

    # ---- data

    def _restore(self, wanted: WantedVolume) -> None:
        begin = time.monotonic()
        done = self._restored(wanted)
        done = replace(done, seconds=time.monotonic() - begin)
        if done.outcome is VolumeOutcome.FAILED and wanted.volume.claim is not None:
            self._empty[wanted.namespace, wanted.volume.claim] = done.message
        self._volumes.append(done)
        self._observer.volume_done(done)

    def _restored(self, wanted: WantedVolume) -> RestoredVolume:
        volume = wanted.volume
        if volume.claim is None:
            why = f"it belongs to its pod and comes back empty: once the pod runs, restore-pvc {volume.name} --pod fills it"
            return RestoredVolume(volume.name, VolumeOutcome.WITHOUT_DATA, message=wanted.trouble or why)
        if wanted.trouble:
            outcome = VolumeOutcome.WITHOUT_DATA if wanted.is_left_out_by_velero else VolumeOutcome.FAILED
            return RestoredVolume(volume.name, outcome, message=wanted.trouble)
        target = f"claim {wanted.namespace}/{volume.claim}"
        refused = self._empty.get((wanted.namespace, volume.claim))
        if refused:
            return RestoredVolume(volume.name, VolumeOutcome.FAILED, target, volume.snapshot, message=refused)
        try:
            opened = open_volume(self._repositories, volume)
            if self._is_dry_run:
                return RestoredVolume(volume.name, VolumeOutcome.WOULD_BE, target, volume.snapshot, bytes=volume.size)
            return replace(self._filled(opened, wanted.namespace, volume.claim, target), note=wanted.note)
        except Error as problem:
            return RestoredVolume(volume.name, VolumeOutcome.FAILED, target, volume.snapshot, message=str(problem))

    def _filled(self, opened: OpenVolume, namespace: str, claim: str, target: str) -> RestoredVolume:
        volume = opened.volume
        snapshot = opened.snapshot.id if opened.snapshot else ""
        if opened.snapshot is None:
            return RestoredVolume(volume.name, VolumeOutcome.RESTORED, target, message="it was empty when it was backed up")
        self._observer.volume_begun(volume.name, volume.size)

        def tell(bytes_done: int) -> None:
            self._observer.volume_progress(volume.name, bytes_done, volume.size)

        filled = self._fill(opened, namespace, claim, tell)
        outcome = VolumeOutcome.ALREADY if filled.was_filled_before else VolumeOutcome.RESTORED
        return RestoredVolume(volume.name, outcome, target, snapshot, filled.files, filled.bytes, message="\n".join(filled.notes))
