"""A volume of a backup written into a cluster: into a directory of a running container, or into a claim by means of a helper pod.

It goes as a tar archive through pods/exec: the cluster needs no access to the bucket, and no password of the repository. A claim that was
filled whole is marked (recoup.velero/filled=SNAPSHOT), so that a second run passes it over; one that is being filled as well
(recoup.velero/filling=SNAPSHOT), so that what an interrupted run has left may be written over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ..._engine import InvalidArgumentError, NotFoundError
from ..contents import OpenVolume
from ..fields import printable
from ..volume_tar import VolumeTar, VolumeTotals
from ..volumes import Volume
from .answers import Refused
from .api import KubernetesApi
from .executing import Container
from .helper_pod import MANAGED_BY, MOUNTED_AT, HelperPod, HelperSettings
from .unpacking import OnSent, Unpacker

FILLED, FILLING = "recoup.velero/filled", "recoup.velero/filling"
_MERGE = "application/merge-patch+json"
_EMPTY = "empty"
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True)
class Filled:
    """What was written."""

    volume: Volume
    where: str
    """"claim db/data-postgres-0", "/var/lib/data in container main of pod db/postgres-0"."""
    snapshot_id: str | None
    """None of an empty volume."""
    totals: VolumeTotals
    is_new: bool
    """False: an earlier run had filled the claim with this snapshot, and nothing was done."""
    notes: tuple[str, ...] = ()
    """What could not be had: attributes that the container's tar does not restore, sockets…"""


@dataclass(frozen=True)
class FillSettings:
    """How a claim or a pod is filled: see Cluster.fill_pod."""

    overwrite: bool
    verify: bool
    patience: float | None
    progress: OnSent | None

    def patiently(self, container: Container) -> Container:
        return container if self.patience is None else replace(container, patience=self.patience)

    def unpack(self, unpacker: Unpacker) -> tuple[str, ...]:
        return unpacker.unpack(has_others=self.overwrite, verify=self.verify, progress=self.progress)


def fill_pod(
    api: KubernetesApi,
    volume: OpenVolume,
    namespace: str,
    pod: str,
    container: str | None,
    path: str | None,
    how: FillSettings,
) -> Filled:
    """Into a running container. By default into its main one, and there where it mounts the claim that was backed up, or a volume of the
    same name. See Cluster.fill_pod."""
    document = _running_pod(api, namespace, pod)
    chosen = _container_of(document, container)
    mount, into = _mount_of(document, chosen, volume.volume, path)
    running = how.patiently(Container(api, namespace, pod, str(chosen["name"])))
    unpacker = Unpacker(running, VolumeTar(volume), into)
    # Only a claim of which all is replaced can be marked as filled.
    is_whole = into == str(mount["mountPath"]).rstrip("/") and not mount.get("subPath") and not mount.get("subPathExpr")
    claim = _claims_of(document).get(str(mount["name"])) if is_whole else None
    mark = _Mark(api, namespace, claim, _id_of(volume)) if claim else None
    unpacker.check_empty(how.overwrite or bool(mark and mark.is_interrupted()))
    if mark:
        mark.begin()
    notes = how.unpack(unpacker)
    if mark:
        mark.end()
    return Filled(volume.volume, f"{into} in {running}", _id_of(volume, None), unpacker.tar.totals(), True, notes)


def fill_claim(
    api: KubernetesApi, volume: OpenVolume, namespace: str, claim: str, helper: HelperSettings, how: FillSettings
) -> Filled:
    """Into a claim that nobody uses, by means of a pod that mounts it. See Cluster.fill_claim."""
    where = f"claim {namespace}/{claim}"
    mark = _Mark(api, namespace, claim, _id_of(volume))
    tar = VolumeTar(volume)
    if mark.is_done() and not how.overwrite:
        return Filled(volume.volume, where, _id_of(volume, None), tar.totals(), False, (f"{where} was filled with it before",))
    users = _users_of(api, namespace, claim)
    if users:
        raise InvalidArgumentError(
            f"{where} is used by pod {', '.join(users)}: files would change under its hands. Scale what runs there down to 0, or write into "
            f"the running container (restore-pvc --pod), where it can bear that"
        )
    if volume.snapshot is None:
        mark.end()
        return Filled(volume.volume, where, None, tar.totals(), True, (f"{volume.volume.name} was empty when it was backed up",))
    tar.totals()  # what is wrong with the backup is found before anything is made
    with HelperPod(api, namespace, claim, helper) as container:
        unpacker = Unpacker(how.patiently(container), tar, MOUNTED_AT)
        unpacker.check_empty(how.overwrite or mark.is_interrupted())
        mark.begin()
        notes = how.unpack(unpacker)
        mark.end()
    return Filled(volume.volume, where, volume.snapshot.id, tar.totals(), True, notes)


def _id_of(volume: OpenVolume, empty: Any = _EMPTY) -> Any:
    return volume.snapshot.id if volume.snapshot else empty


class _Mark:
    """What the claim's annotations say of its content."""

    def __init__(self, api: KubernetesApi, namespace: str, claim: str, snapshot: str) -> None:
        self._api = api
        self._what = f"claim {namespace}/{claim}"
        self._path = f"/api/v1/namespaces/{quote(namespace, safe='')}/persistentvolumeclaims/{quote(claim, safe='')}"
        self._snapshot = snapshot
        try:
            document = api.get(self._path)
        except Refused as problem:
            if problem.is_missing:
                raise NotFoundError(f"there is no {self._what} in the cluster {api}: create it first (recoup velero manifests --apply)") from problem
            raise problem.error(f"read the {self._what}") from problem
        if document["metadata"].get("deletionTimestamp"):
            raise InvalidArgumentError(f"the {self._what} is being deleted: wait until it is gone, create it anew, and fill that")
        if (document.get("status") or {}).get("phase") == "Lost":
            volume = (document.get("spec") or {}).get("volumeName")
            raise InvalidArgumentError(
                f"the {self._what} is Lost: its volume {volume} is gone, and Kubernetes gives it no other. Delete the claim, create it anew "
                f"(recoup velero manifests --include pvc --apply), and fill that"
            )
        self._uid = str(document["metadata"]["uid"])
        self._annotations: Mapping[str, str] = document["metadata"].get("annotations") or {}

    def is_done(self) -> bool:
        return self._annotations.get(FILLED) == self._snapshot

    def is_interrupted(self) -> bool:
        return self._annotations.get(FILLING) == self._snapshot

    def begin(self) -> None:
        self._write({FILLING: self._snapshot, FILLED: None})

    def end(self) -> None:
        self._write({FILLING: None, FILLED: self._snapshot})

    def _write(self, annotations: Mapping[str, str | None]) -> None:
        # With its uid, so that a claim of the same name which was made meanwhile is not marked.
        body = {"metadata": {"uid": self._uid, "annotations": annotations}}
        try:
            self._api.request("PATCH", self._path, query={"fieldManager": "recoup"}, body=body, content_type=_MERGE)
        except Refused as problem:
            raise problem.error(f"mark the {self._what} ({FILLED})") from problem


def _users_of(api: KubernetesApi, namespace: str, claim: str) -> list[str]:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
    try:
        pods = api.get(path).get("items") or []
    except Refused as problem:
        raise problem.error(f"list the pods in namespace {namespace}") from problem
    return [
        str(each["metadata"]["name"])
        for each in pods
        if claim in _claims_of(each).values()
        and (each.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and (each["metadata"].get("labels") or {}).get(MANAGED_BY) != "recoup"
    ]


def _claims_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """By names of the pod's volumes."""
    found = {}
    for each in pod["spec"].get("volumes") or []:
        if each.get("persistentVolumeClaim"):
            found[str(each["name"])] = str(each["persistentVolumeClaim"]["claimName"])
        elif each.get("ephemeral"):
            found[str(each["name"])] = f"{pod['metadata']['name']}-{each['name']}"
    return found


def _running_pod(api: KubernetesApi, namespace: str, pod: str) -> Mapping[str, Any]:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
    try:
        document = api.get(path)
    except Refused as problem:
        if problem.is_missing:
            raise NotFoundError(f"there is no pod {namespace}/{pod} in the cluster {api}") from problem
        raise problem.error(f"read the pod {namespace}/{pod}") from problem
    status = document.get("status") or {}
    if status.get("phase") != "Running" or document["metadata"].get("deletionTimestamp"):
        state = "is being deleted" if document["metadata"].get("deletionTimestamp") else f"is {status.get('phase')}"
        why = "; ".join(str(each["message"]) for each in status.get("conditions") or [] if each.get("message"))
        raise InvalidArgumentError(f"the pod {namespace}/{pod} {state}, and only one that runs can be written into{f': {printable(why, 500)}' if why else ''}")
    return document


def _container_of(pod: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    metadata, containers = pod["metadata"], pod["spec"]["containers"]
    if name is None:
        name = (metadata.get("annotations") or {}).get(_DEFAULT_CONTAINER) or str(containers[0]["name"])
    for each in containers:
        if each["name"] == name:
            chosen: Mapping[str, Any] = each
            return chosen
    names = ", ".join(str(each["name"]) for each in containers)
    raise NotFoundError(f"the pod {metadata['namespace']}/{metadata['name']} has no container {name}; it has: {names}")


def _mount_of(pod: Mapping[str, Any], container: Mapping[str, Any], volume: Volume, path: str | None) -> tuple[Mapping[str, Any], str]:
    """The mount, and the directory in it."""
    mounts = container.get("volumeMounts") or []
    claims = _claims_of(pod)
    where = f"container {container['name']} of pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    there = ", ".join(f"{each['mountPath']} ({claims.get(str(each['name']), each['name'])})" for each in mounts) or "none"
    if path is None:
        fitting = [each for each in mounts if volume.claim and claims.get(str(each["name"])) == volume.claim]
        fitting = fitting or [each for each in mounts if volume.volume and each["name"] == volume.volume]
        if len(fitting) != 1:
            raise InvalidArgumentError(f"{where} mounts {volume.name} {'not' if not fitting else 'several times'}: say where it goes (NAMESPACE/POD:CONTAINER:PATH). Its mounts: {there}")
        found, into = fitting[0], str(fitting[0]["mountPath"])
    else:
        into = path
        if not into.startswith("/") or ".." in into.split("/"):
            raise InvalidArgumentError(f"{printable(path)} is no absolute path in the container")
        containing = [each for each in mounts if f"{into.rstrip('/')}/".startswith(f"{str(each['mountPath']).rstrip('/')}/")]
        if not containing:
            raise InvalidArgumentError(f"{printable(path)} is in no volume of {where}: what is written there is gone with the container. Its mounts: {there}")
        found = max(containing, key=lambda each: len(str(each["mountPath"])))
    if found.get("readOnly"):
        raise InvalidArgumentError(f"{where} mounts {found['mountPath']} for reading only. Use its claim instead, while no pod does")
    return found, into.rstrip("/") or "/"
