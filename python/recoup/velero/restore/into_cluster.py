"""A whole backup into a cluster: what volumes need, then their data, then what works on them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ..._engine import Error
from ..cluster import Applied, Cluster, HelperSettings
from ..cluster import Outcome as Answer
from ..contents import OpenVolume, open_volume
from ..documents import part, parts
from ..manifests import PlannedObject
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
from .workloads import ClaimUsers, is_before_data

_OUTCOMES = {
    Answer.CREATED: ObjectOutcome.CREATED,
    Answer.CHANGED: ObjectOutcome.CHANGED,
    Answer.UNCHANGED: ObjectOutcome.UNCHANGED,
    Answer.REFUSED: ObjectOutcome.REFUSED,
    Answer.UNCHECKED: ObjectOutcome.UNCHECKED,
}


def restore_into_cluster(
    wanted: Wanted,
    repositories: Repositories,
    cluster: Cluster,
    *,
    helper: HelperSettings | None = None,
    verify: bool = False,
    dry_run: bool = False,
    force_conflicts: bool = False,
    start_without_data: bool = False,
    observer: Observer | None = None,
) -> RestoreReport:
    """Restores a backup into a cluster: namespaces, definitions, storage classes, claims, roles, Secrets; then the data of the
    claims, each through a pod of its own; then pods and all that starts some. What works on a claim whose data could not be
    brought back is held back, unless `start_without_data`: an application that finds nothing begins anew.

    What is refused or fails does not stop the rest. When it is stopped, the same call goes on: objects that are as they
    should be are left alone, and claims that are filled stay so. With `verify` the data is read again and compared.

    Raises StorageError, AccessDeniedError where the server is gone or says no to everything.
    """
    settings = _Settings(helper or HelperSettings(), verify, dry_run, force_conflicts, start_without_data)
    return _IntoCluster(wanted, repositories, cluster, settings, observer or SilentObserver()).run()


@dataclass(frozen=True)
class _Settings:
    helper: HelperSettings
    verify: bool
    is_dry_run: bool
    force_conflicts: bool
    start_without_data: bool


class _IntoCluster:
    def __init__(self, wanted: Wanted, repositories: Repositories, cluster: Cluster, settings: _Settings, observer: Observer) -> None:
        self._wanted = wanted
        self._repositories = repositories
        self._cluster = cluster
        self._settings = settings
        self._observer = observer
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._objects: list[RestoredObject] = []
        self._volumes: list[RestoredVolume] = []
        self._empty: dict[tuple[str, str], str] = {}  # claims without the data that they should have

    def run(self) -> RestoreReport:
        # One call, which remembers the namespaces and definitions that are new in it. It takes a document only when what it has made of
        # the one before is known.
        applied = self._cluster.apply(
            self._documents(),
            dry_run=self._settings.is_dry_run,
            force_conflicts=self._settings.force_conflicts,
            copied=self._wanted.plan.namespaces,
        )
        for each in applied:
            self._add(each)
        backup = self._wanted.backup
        return RestoreReport(
            location=self._repositories.bucket.location,
            backup=backup.name,
            backup_time=backup.time,
            target=self._cluster.address,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            is_dry_run=self._settings.is_dry_run,
            objects=tuple(self._objects),
            volumes=tuple(self._volumes),
            left_out=self._wanted.plan.left_out,
            problems=self._wanted.problems,
        )

    # ---- objects

    def _documents(self) -> Iterator[Mapping[str, Any]]:
        """In the order in which they are to be there; between those before the data and those after it, the data comes."""
        planned = self._wanted.plan.objects
        yield from (each.document for each in planned if is_before_data(each))
        for volume in self._wanted.volumes:
            self._restore(volume)
        users = ClaimUsers({} if self._settings.start_without_data else self._empty)
        yield from (each.document for each in self._not_held_back([each for each in planned if not is_before_data(each)], users))

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
            if self._settings.is_dry_run:
                return RestoredVolume(volume.name, VolumeOutcome.WOULD_BE, target, volume.snapshot, bytes=volume.size)
            return replace(self._filled(opened, wanted.namespace, volume.claim, target), note=wanted.note)
        except Error as problem:
            return RestoredVolume(volume.name, VolumeOutcome.FAILED, target, volume.snapshot, message=str(problem))

    def _filled(self, opened: OpenVolume, namespace: str, claim: str, target: str) -> RestoredVolume:
        volume = opened.volume
        snapshot = opened.snapshot.id if opened.snapshot else ""
        self._observer.volume_begun(volume.name, volume.size)

        def tell(sent: int, size: int) -> None:
            self._observer.volume_progress(volume.name, sent, size)

        filled = self._cluster.fill_claim(
            opened, namespace, claim, settings=self._helper_beside(volume), verify=self._settings.verify, progress=tell
        )
        outcome = VolumeOutcome.RESTORED if filled.is_new else VolumeOutcome.ALREADY
        totals = filled.totals
        files = totals.files + totals.directories + totals.symlinks + totals.others
        notes = filled.notes if filled.is_new else ()
        return RestoredVolume(volume.name, outcome, target, snapshot, files, totals.content, message="\n".join(notes))

    def _helper_beside(self, volume: Volume) -> HelperSettings:
        """Where the volume's own pod would go: a claim may be bound for ever to the node where it is first used."""
        pod = next(
            (
                each
                for each in self._wanted.plan.objects
                if (each.resource, each.source_namespace, each.name) == ("pods", volume.namespace, volume.pod)
            ),
            None,
        )
        spec = pod.document.get("spec") if pod else None
        if not isinstance(spec, Mapping):
            return self._settings.helper
        helper, nodes = self._settings.helper, part(spec, "affinity", "nodeAffinity")
        return replace(
            helper,
            tolerations=helper.tolerations or list(parts(spec.get("tolerations"))),
            node_selector=helper.node_selector or part(spec, "nodeSelector"),
            # Not podAffinity: the pods that it speaks of are not there yet.
            affinity=helper.affinity or ({"nodeAffinity": nodes} if nodes else None),
        )
