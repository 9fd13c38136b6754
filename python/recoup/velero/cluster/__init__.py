"""A cluster with Velero, through the Kubernetes API. Needs the official client: pip install 'recoup[kubernetes]'.

    from recoup.velero.cluster import Cluster

    with Cluster.connect() as cluster:  # the current kubeconfig
        backup = cluster.run_schedule("daily")
        print(cluster.wait(backup).phase)
        for each in cluster.apply(documents, dry_run=True):
            print(each.outcome, each.reference, each.message, *each.changes, sep="\\n    ")
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, final

from ..._engine import IncompleteError, InvalidArgumentError, NotFoundError
from ..contents import OpenVolume
from .answers import Refused
from .api import KubernetesApi
from .apply import Applied, Applier, Outcome
from .differences import Change
from .filling import Filled, FillSettings, fill_claim, fill_pod
from .helper_pod import HelperSettings
from .place import BucketPlace, Credentials, find_place
from .requests import VeleroRequests
from .resources import Resources
from .states import State, state_of
from .unpacking import OnSent
from .watching import GRACE, KINDS, Event, Watch, is_of_backup, is_running


@final
class Cluster:
    """One cluster, and the Velero in one of its namespaces. Threads may share it."""

    def __init__(self, api: KubernetesApi, namespace: str = "velero") -> None:
        self._api = api
        self._velero = VeleroRequests(api, namespace)

    @classmethod
    def connect(
        cls, kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None, namespace: str = "velero"
    ) -> Cluster:
        """By `kubeconfig`, or KUBECONFIG, or ~/.kube/config; in a pod without one of them, as its service account. `namespace` is Velero's.

        Raises NotFoundError, InvalidArgumentError for the kubeconfig; UnsupportedError where the client is not installed; StorageError
        where the server cannot be reached or its certificate is no good; AccessDeniedError where it does not know who asks.
        """
        api = KubernetesApi.connect(kubeconfig, context)
        try:
            api.get("/version")
        except Refused as problem:
            raise problem.error(f"use the Kubernetes API server {api}") from problem
        return cls(api, namespace)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._api.close()

    @property
    def address(self) -> str:
        """The API server's URL."""
        return self._api.address

    @property
    def namespace(self) -> str:
        """Velero's."""
        return self._velero.namespace

    def __repr__(self) -> str:
        return f"<recoup.velero.cluster.Cluster {self._api}, Velero in {self.namespace!r}>"

    def bucket_location(self, name: str | None = None) -> BucketPlace:
        """Velero's bucket, as the BackupStorageLocation of that name says, or the default one, with its credentials.

        Raises NotFoundError, UnsupportedError for other storage than S3, AccessDeniedError where its Secret may not be read.
        """
        return find_place(self._api, self.namespace, name, is_outside="KUBERNETES_SERVICE_HOST" not in os.environ)

    def apply(
        self,
        documents: Iterable[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        force_conflicts: bool = False,
        field_manager: str = "recoup",
        patience: float = 30.0,
        copied: Mapping[str, str] | None = None,
    ) -> Iterator[Applied]:
        """Applies each object on the server's side, in the order given. What is refused is told and does not stop the rest; what
        is as it should be is left alone. It is done as the iterator is read. Definitions (CRDs) and namespaces are waited for before what needs them, for `patience` seconds.

        With `dry_run` the server says what it would do, and nothing is kept. `force_conflicts` takes over fields that others manage.
        `copied` are namespaces of originals and those of the copies that are applied: cluster-wide objects go on serving the originals.
        Neither status nor what the server sets in metadata is applied. Raises StorageError, AccessDeniedError where the server is gone.
        """
        applier = Applier(
            self._api,
            Resources(self._api),
            dry_run=dry_run,
            force_conflicts=force_conflicts,
            field_manager=field_manager,
            patience=patience,
            copied=copied,
        )
        return applier.apply(documents)

    # ---- volumes ---------------------------------------------------------------------------------------------------------

    def fill_pod(
        self,
        volume: OpenVolume,
        namespace: str,
        pod: str,
        container: str | None = None,
        path: str | None = None,
        *,
        overwrite: bool = False,
        verify: bool = False,
        patience: float | None = None,
        progress: OnSent | None = None,
    ) -> Filled:
        """Writes a volume of a backup into a directory of a running container, through pods/exec: by default into the main container, and
        there where it mounts the claim that was backed up, or a volume of the same name. It needs sh and tar; what else it has not is in
        the notes. Counts afterwards what is there; with `verify` all is read again and compared by SHA-256.

        Where there is anything it is refused, unless with `overwrite`. Nothing is deleted. `progress` is told bytes sent, of how many.
        For `patience` seconds (300) nothing may move.

        Raises NotFoundError, InvalidArgumentError, AccessDeniedError, UnsupportedError where the container has no sh or tar, StorageError
        where the connection breaks or hangs, IncompleteError where tar could not write all or not all is there.
        """
        return fill_pod(self._api, volume, namespace, pod, container, path, FillSettings(overwrite, verify, patience, progress))

    def fill_claim(
        self,
        volume: OpenVolume,
        namespace: str,
        claim: str,
        *,
        settings: HelperSettings | None = None,
        overwrite: bool = False,
        verify: bool = False,
        patience: float | None = None,
        progress: OnSent | None = None,
    ) -> Filled:
        """The same into a claim that no pod uses, by means of a helper pod, which is deleted whatever happens. A claim that an earlier run has
        filled whole with this snapshot is left alone (Filled.is_new); what an interrupted one has left in it is written over.

        Besides the errors of fill_pod: StorageError where the pod does not run, with what the scheduler, the kubelet and the provisioner say.
        """
        how = FillSettings(overwrite, verify, patience, progress)
        return fill_claim(self._api, volume, namespace, claim, settings or HelperSettings(), how)

    # ---- Velero ----------------------------------------------------------------------------------------------------------

    def schedules(self) -> list[Mapping[str, Any]]:
        """The Schedules, as the API has them."""
        return list(self._velero.list("schedules").get("items") or [])

    def create_schedule(
        self,
        name: str,
        expression: str,
        template: Mapping[str, Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        paused: bool = False,
        skip_immediately: bool | None = None,
        own_backups: bool | None = None,
    ) -> Mapping[str, Any]:
        """Makes a Schedule. `expression` is checked as Velero's server would: see recoup.velero.cron; `template` is a Backup's spec
        ("ttl": "168h", "defaultVolumesToFsBackup": True; metadata.labels for its backups). By default all namespaces are in it.

        Raises InvalidArgumentError for what Velero would not take, and where there is a Schedule of that name.
        """
        return self._velero.create_schedule(
            name,
            expression,
            template or {},
            labels=labels,
            annotations=annotations,
            paused=paused,
            skip_immediately=skip_immediately,
            own_backups=own_backups,
        )

    def pause(self, name: str) -> bool:
        """False: it was paused already."""
        return self._velero.set_paused(name, True)

    def unpause(self, name: str, *, skip_immediately: bool | None = None) -> bool:
        """False: it was not paused. A schedule whose time has passed meanwhile runs at once; with `skip_immediately` at its next time.
        None: as the server is set up."""
        return self._velero.set_paused(name, False, skip_immediately)

    def delete_schedule(self, name: str, *, with_backups: bool = False) -> None:
        """Its backups stay, unless the Schedule owns them: then `with_backups` has to say that they may go."""
        self._velero.delete_schedule(name, with_backups=with_backups)

    def run_schedule(self, name: str, backup_name: str | None = None) -> str:
        """Makes a Backup as the Schedule would, now; the name of it. The Schedule may be paused."""
        return str(self._velero.run_schedule(name, backup_name)["metadata"]["name"])

    def run_backup(
        self,
        name: str,
        spec: Mapping[str, Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """Makes a Backup: its name."""
        return str(self._velero.run_backup(name, spec or {}, labels=labels, annotations=annotations)["metadata"]["name"])

    def wait(self, backup: str, *, timeout: float | None = None) -> State:
        """How the Backup has ended. Raises NotFoundError where it is deleted meanwhile, IncompleteError after `timeout` seconds."""
        with self.watch_backup(backup, kinds=["backups"], timeout=timeout) as watch:
            for _ in watch:
                pass
            states = [state_of(document) for document in watch.documents]
        if watch.is_done and not states:
            raise NotFoundError(f"the backup {self.namespace}/{backup} was deleted while it was waited for")
        if watch.is_done:
            return states[0]
        phase = states[0].phase if states else "New"
        hint = ": Velero's server has not begun it; does it run?" if phase == "New" else ""
        raise IncompleteError(f"the backup {self.namespace}/{backup} is still {phase} after {timeout:g} s{hint}")

    def watch(
        self,
        kinds: Sequence[str] = KINDS,
        *,
        everything: bool = False,
        until_done: bool = False,
        timeout: float | None = None,
        grace: timedelta = GRACE,
        relist: float = 300.0,
    ) -> Watch:
        """What happens from now on, an event for each change that can be seen; see Watch. First comes what is under way or wrong now,
        or, with `everything`, all that is there. With `until_done` it ends when no backup, restore or volume is under way.

        A failure is what ends as Failed, PartiallyFailed or FailedValidation, a volume that was not stored, a storage location that is
        unavailable, and a schedule that Velero refuses, or whose backup has not begun `grace` after its time.
        """
        unknown = [kind for kind in kinds if kind not in (*KINDS, "podvolumerestores")]
        if unknown:
            raise InvalidArgumentError(f"cannot watch {', '.join(unknown)}: there are {', '.join(KINDS)}, podvolumerestores")
        until = _nothing_runs if until_done else None
        return Watch(self._velero, kinds, everything=everything, until=until, timeout=timeout, grace=grace, relist=relist)

    def watch_backup(self, name: str, *, kinds: Sequence[str] = ("backups", "podvolumebackups"), timeout: float | None = None) -> Watch:
        """The same for one Backup and its volumes, until it has ended or is deleted. Raises NotFoundError."""
        self._velero.get("backups", name)

        def is_over(documents: Sequence[Mapping[str, Any]]) -> bool:
            return not any(each.get("kind") == "Backup" and not state_of(each).is_final for each in documents)

        return Watch(
            self._velero,
            kinds,
            everything=True,
            only=lambda document: is_of_backup(document, name),
            until=is_over,
            timeout=timeout,
        )


def _nothing_runs(documents: Sequence[Mapping[str, Any]]) -> bool:
    return not any(is_running(each) for each in documents)


__all__ = ["KINDS", "Applied", "BucketPlace", "Change", "Cluster", "Credentials", "Event", "Filled", "HelperSettings", "Outcome", "State", "Watch"]
