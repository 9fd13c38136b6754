"""Objects that are not restored, and why: as with Velero (V:pkg/controller/restore_controller.go, V:pkg/restore), and few more."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from .archive import ManifestObject
from .documents import part
from .model import PodVolumeBackup, VolumeInfo

_NEVER = {
    "nodes": "nodes join a cluster themselves",
    "events": "events are of the old cluster",
    "events.events.k8s.io": "events are of the old cluster",
    "backups.velero.io": "Velero finds backups in the bucket",
    "restores.velero.io": "restores are of the old cluster",
    "resticrepositories.velero.io": "Velero makes these as it needs them",
    "backuprepositories.velero.io": "Velero makes these as it needs them",
    "csinodes.storage.k8s.io": "the storage drivers make these",
    "volumeattachments.storage.k8s.io": "the cluster makes these when pods start",
}
# Velero itself restores these without their status, and would then do again what they ask for: delete a backup, for instance.
_ORDERS = {
    "deletebackuprequests.velero.io", "downloadrequests.velero.io", "serverstatusrequests.velero.io", "podvolumebackups.velero.io",
    "podvolumerestores.velero.io", "datauploads.velero.io", "datadownloads.velero.io",
}  # fmt: skip
# Every cluster has these from the beginning. Velero finds them there and leaves them; to apply them is refused, as they are others'.
_OF_EVERY_CLUSTER = {
    ("configmaps", "kube-system", "extension-apiserver-authentication"),
    ("configmaps", "kube-system", "kube-apiserver-legacy-service-account-token-tracking"),
    ("endpoints", "default", "kubernetes"), ("endpointslices.discovery.k8s.io", "default", "kubernetes"), ("services", "default", "kubernetes"),
    ("servicecidrs.networking.k8s.io", None, "kubernetes"),
}  # fmt: skip
_TOKEN = "kubernetes.io/service-account-token"
# What the API server makes and takes away as it needs it, by the label that says so.
_MADE_BY_SERVER = {
    "apiservices.apiregistration.k8s.io": "kube-aggregator.kubernetes.io/automanaged",
    "ipaddresses.networking.k8s.io": "ipaddress.kubernetes.io/managed-by",
    "leases.coordination.k8s.io": "apiserver.kubernetes.io/identity",
}


class Fates:
    """Which volumes a restore makes anew, because their data comes from a backup or is gone, and which it takes over as they were."""

    def __init__(self, infos: Iterable[VolumeInfo] = (), stored: Iterable[PodVolumeBackup] = ()) -> None:
        self._infos = {each.persistent_volume: each for each in infos if each.persistent_volume}
        self._claims = {(each.namespace, each.claim) for each in stored if each.claim}

    def of_volume(self, volume: ManifestObject) -> str:
        """Why a PersistentVolume is not restored; "" if it is."""
        known = self._of_name(volume.name)
        if known:
            return known
        spec = part(volume.document, "spec")
        claim = part(spec, "claimRef")
        if (claim.get("namespace"), claim.get("name")) in self._claims:
            return _DATA_IN_BACKUP
        if spec.get("persistentVolumeReclaimPolicy") == "Delete":
            return "no data of it was stored, and with the policy Delete its storage went with the claim: the claim gets a new, empty volume"
        return ""

    def is_made_anew(self, volume: str, namespace: str, claim: str) -> bool:
        """Of a volume that is not among the manifests itself."""
        return bool(self._of_name(volume)) or (namespace, claim) in self._claims

    def _of_name(self, name: str) -> str:
        info = self._infos.get(name)
        if info is None:
            return ""
        if info.method == "PodVolumeBackup":
            return _DATA_IN_BACKUP
        if info.method == "CSISnapshot":
            return "its data is in a snapshot: the claim gets a new volume"
        if info.method == "NativeSnapshot":
            return "its data is in a snapshot of the storage, from which only its provider makes a volume: the claim gets a new one"
        return ""


_BY_SERVER = "the API server makes it itself"
_DATA_IN_BACKUP = "its data is in the backup: the claim gets a new volume to be filled"


def why_never(each: ManifestObject) -> str:
    """"" for all but the kinds that are never restored."""
    if each.resource in _ORDERS:
        return "an order to the old cluster's Velero, which a new one would carry out again"
    return _NEVER.get(each.resource, "")


def why_skipped(
    each: ManifestObject, fates: Fates, accounts: AbstractSet[tuple[str | None, str]], with_secrets: bool
) -> str:
    """Why this object is not restored; "" if it is. `accounts` are the service accounts as (namespace, name)."""
    document = each.document
    if (each.resource, each.namespace, each.name) in _OF_EVERY_CLUSTER:
        return _BY_SERVER
    if each.resource == "pods":
        phase = part(document, "status").get("phase")
        if phase in ("Succeeded", "Failed"):
            return f"the pod has ended ({phase})"
        if part(document, "metadata", "annotations").get("kubernetes.io/config.mirror"):
            return "a mirror pod: the node's own files make it"
    elif each.resource == "jobs.batch" and part(document, "status").get("completionTime"):
        return "the job is done"
    elif each.resource in _MADE_BY_SERVER:
        if _MADE_BY_SERVER[each.resource] in part(document, "metadata", "labels"):
            return _BY_SERVER
    elif each.resource == "persistentvolumes":
        return fates.of_volume(each)
    elif each.resource == "secrets":
        if document.get("type") == _TOKEN and any(
            namespace == each.namespace and each.name.startswith(f"{account}-token-")
            for namespace, account in accounts | {(each.namespace, "default")}
        ):
            return "a service account's token: the cluster makes a new one"
        if not with_secrets:
            return "Secrets are restored only when asked for"
    return ""
