"""Objects as Velero restores them: without what the old cluster has put in (V:pkg/restore/restore.go, V:pkg/restore/actions).

Everything here takes a document and gives another one; none is changed. What is not of the type that Kubernetes wants is left
as it is: the API server will say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._engine import DamagedError

_MEANINGLESS = (
    "generateName", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "ownerReferences",
)  # fmt: skip
_BINDING = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")
_CLAIM_ANNOTATIONS = (
    *_BINDING, "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node", "velero.io/volume-snapshot-name", "velero.io/data-upload-name",
)  # fmt: skip
_OLD_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_JOB_UID = ("controller-uid", "batch.kubernetes.io/controller-uid")
_BACKUP_LABEL, _RESTORE_LABEL = "velero.io/backup-name", "velero.io/restore-name"
# A pod that Velero has restored before still has the container that waits for Velero to fill its volumes.
_WAITING = ("restore-wait", "restic-wait")
# Schemas of custom resources have some fifty levels.
_DEEPEST = 120


@dataclass(frozen=True)
class Changes:
    """What is to be another in the restored objects than it was."""

    namespaces: Mapping[str, str] = field(default_factory=dict)
    storage_classes: Mapping[str, str] = field(default_factory=dict)
    backup_label: str | None = None
    """The backup's name for the label velero.io/backup-name, as Velero sets it. None: objects have neither this label nor
    velero.io/restore-name, not even from an earlier restore."""
    restore_label: str | None = None
    keep_node_ports: bool = False


def stripped(
    resource: str, document: Mapping[str, Any], changes: Changes | None = None, *, has_new_volume: bool = False
) -> dict[str, Any]:
    """A document as Velero would create it. `resource` is as in the archive ("deployments.apps"); `has_new_volume` says of a
    claim that its volume is not restored but provisioned anew. managedFields stay, as with Velero. Doing it twice changes
    nothing more.

    Raises DamagedError if it is nested more deeply than any object is.
    """
    made: dict[str, Any] = _copied(document)
    changes = changes or Changes()
    metadata = _mapping(made, "metadata")
    for name in _MEANINGLESS:
        metadata.pop(name, None)
    made.pop("status", None)
    if resource == "persistentvolumeclaims":
        _strip_claim(made, changes, has_new_volume)
    elif resource in _BY_RESOURCE:
        _BY_RESOURCE[resource](made, changes)
    namespace = metadata.get("namespace")
    if isinstance(namespace, str) and namespace in changes.namespaces:
        metadata["namespace"] = changes.namespaces[namespace]
    _label(made, changes, resource)
    return made


def _copied(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise DamagedError(f"it is nested more than {_DEEPEST} levels deep, as no object of a cluster is")
    if isinstance(value, Mapping):
        return {key: _copied(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copied(inner, depth + 1) for inner in value]
    return value


def _mapping(value: Any, *path: str) -> dict[str, Any]:
    """What is there, to be changed; something empty that belongs to nothing where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _each(value: Any, *path: str) -> Iterator[dict[str, Any]]:
    *parents, name = path
    found = _mapping(value, *parents).get(name)
    yield from (each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def _drop(holder: dict[str, Any], name: str, *keys: str) -> None:
    """Takes keys out of a mapping, and the mapping itself when nothing is left of it."""
    inner = holder.get(name)
    if isinstance(inner, dict):
        for key in keys:
            inner.pop(key, None)
        if not inner:
            del holder[name]


def _keep(holder: dict[str, Any], name: str, is_wanted: Callable[[Any], bool]) -> None:
    """Of a list, what is wanted."""
    inner = holder.get(name)
    if isinstance(inner, list):
        holder[name] = [each for each in inner if is_wanted(each)]
        if inner and not holder[name]:
            del holder[name]


def _label(made: dict[str, Any], changes: Changes, resource: str) -> None:
    metadata = _mapping(made, "metadata")
    _drop(metadata, "labels", _BACKUP_LABEL, _RESTORE_LABEL)
    wanted = {_BACKUP_LABEL: changes.backup_label, _RESTORE_LABEL: changes.restore_label}
    wanted = {key: valid_label(value) for key, value in wanted.items() if value}
    # Velero labels no namespaces: it makes them before it restores.
    if wanted and resource != "namespaces" and isinstance(metadata.get("labels") or {}, dict):
        metadata["labels"] = {**(metadata.get("labels") or {}), **wanted}


def valid_label(name: str) -> str:
    """A name as a label's value, shortened as Velero does it (V:pkg/label/label.go)."""
    return name if len(name) <= 63 else name[:57] + hashlib.sha256(name.encode()).hexdigest()[:6]


def _change_class(holder: dict[str, Any], changes: Changes) -> None:
    found = _mapping(holder, "spec").get("storageClassName")
    if isinstance(found, str) and found in changes.storage_classes:
        holder["spec"]["storageClassName"] = changes.storage_classes[found]
    annotations = _mapping(holder, "metadata", "annotations")
    old = annotations.get(_OLD_STORAGE_CLASS)
    if isinstance(old, str) and old in changes.storage_classes:
        annotations[_OLD_STORAGE_CLASS] = changes.storage_classes[old]


def _strip_claim(made: dict[str, Any], changes: Changes, has_new_volume: bool) -> None:
    # Velero keeps selected-node where there is a node of that name; here nobody knows, and the scheduler chooses.
    _drop(_mapping(made, "metadata"), "annotations", *_CLAIM_ANNOTATIONS)
    if has_new_volume:
        _mapping(made, "spec").pop("volumeName", None)
    _change_class(made, changes)


def _strip_volume(made: dict[str, Any], changes: Changes) -> None:
    _drop(_mapping(made, "metadata"), "annotations", *_BINDING)
    claim = _mapping(made, "spec", "claimRef")
    claim.pop("uid", None)
    claim.pop("resourceVersion", None)
    _map_namespace(claim, changes)
    _change_class(made, changes)


def _map_namespace(holder: dict[str, Any], changes: Changes) -> None:
    namespace = holder.get("namespace")
    if isinstance(namespace, str) and namespace in changes.namespaces:
        holder["namespace"] = changes.namespaces[namespace]


def _strip_stateful_set(made: dict[str, Any], changes: Changes) -> None:
    for claim in _each(made, "spec", "volumeClaimTemplates"):
        _change_class(claim, changes)


def _strip_pod(made: dict[str, Any], changes: Changes) -> None:
    spec = _mapping(made, "spec")
    spec.pop("nodeName", None)
    spec.pop("priority", None)
    # An API server creates no pod with containers that somebody had added for debugging.
    spec.pop("ephemeralContainers", None)
    account = spec.get("serviceAccountName")
    token = f"{account}-token-" if isinstance(account, str) else "-token-"

    def is_wanted(each: Any) -> bool:
        return not (isinstance(each, dict) and str(each.get("name", "")).startswith(token))

    _keep(spec, "volumes", is_wanted)
    _keep(spec, "initContainers", lambda each: not (isinstance(each, dict) and each.get("name") in _WAITING))
    for kind in ("containers", "initContainers"):
        for container in _each(spec, kind):
            _keep(container, "volumeMounts", is_wanted)


def _strip_service(made: dict[str, Any], changes: Changes) -> None:
    spec = _mapping(made, "spec")
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    if changes.keep_node_ports or spec.get("type") == "ExternalName":
        return
    applied = _last_applied(made)
    explicit = _applied_ports(applied) if applied is not None else set(_managed_ports(made))
    for port in _each(spec, "ports"):
        if applied is None:
            key: object = f'k:{{"port":{port.get("port")},"protocol":"{port.get("protocol", "TCP")}"}}'
        else:
            key = port.get("name") or port.get("nodePort")
        if not isinstance(key, (str, int)) or key not in explicit:
            port.pop("nodePort", None)
    is_local = spec.get("externalTrafficPolicy") == "Local" and spec.get("type") == "LoadBalancer"
    has_applied = bool(_mapping(applied, "spec").get("healthCheckNodePort"))
    if is_local and not has_applied and not any("f:healthCheckNodePort" in each for each in _managed_specs(made)):
        spec.pop("healthCheckNodePort", None)


def _last_applied(made: dict[str, Any]) -> dict[str, Any] | None:
    text = _mapping(made, "metadata", "annotations").get(_LAST_APPLIED)
    if text is None:
        return None
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _applied_ports(applied: dict[str, Any]) -> set[object]:
    """Names of the ports, or numbers where they have no names, whose node ports somebody has chosen."""
    chosen: set[object] = set()
    for port in _each(applied, "spec", "ports"):
        number = port.get("nodePort")
        if isinstance(number, str) and number.isdecimal() and len(number) < 6:
            number = int(number)
        if isinstance(number, (int, float)) and number > 0:
            name = port.get("name")
            chosen.add(name if isinstance(name, str) else int(number))
    return chosen


def _managed_specs(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in _each(made, "metadata", "managedFields"):
        yield _mapping(entry, "fieldsV1", "f:spec")


def _managed_ports(made: dict[str, Any]) -> Iterator[str]:
    for spec in _managed_specs(made):
        for key, port in _mapping(spec, "f:ports").items():
            if "f:nodePort" in _mapping(port):
                yield key


def _strip_job(made: dict[str, Any], changes: Changes) -> None:
    spec = _mapping(made, "spec")
    # The server writes a selector for the new job. An empty one, as Velero leaves it, would be a change of it when applied again.
    _drop(_mapping(spec, "selector"), "matchLabels", *_JOB_UID)
    _drop(spec, "selector")
    _drop(_mapping(spec, "template", "metadata"), "labels", *_JOB_UID)


def _strip_service_account(made: dict[str, Any], changes: Changes) -> None:
    token = f"{_mapping(made, 'metadata').get('name')}-token-"
    _keep(made, "secrets", lambda each: not (isinstance(each, dict) and str(each.get("name", "")).startswith(token)))


def _strip_secret(made: dict[str, Any], changes: Changes) -> None:
    if made.get("type") == "kubernetes.io/service-account-token":
        _drop(_mapping(made, "metadata"), "annotations", "kubernetes.io/service-account.uid")
        _drop(made, "data", "token", "ca.crt")


def _strip_binding(made: dict[str, Any], changes: Changes) -> None:
    for subject in _each(made, "subjects"):
        _map_namespace(subject, changes)


def _strip_namespace(made: dict[str, Any], changes: Changes) -> None:
    metadata = _mapping(made, "metadata")
    for key in set(metadata) - {"name", "labels", "annotations"}:
        del metadata[key]
    name = metadata.get("name")
    if isinstance(name, str) and name in changes.namespaces:
        metadata["name"] = changes.namespaces[name]
        labels = _mapping(metadata, "labels")
        if "kubernetes.io/metadata.name" in labels:
            labels["kubernetes.io/metadata.name"] = metadata["name"]


def _strip_webhooks(made: dict[str, Any], changes: Changes) -> None:
    if made.get("apiVersion") == "admissionregistration.k8s.io/v1":
        for webhook in _each(made, "webhooks"):
            if webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
                webhook["sideEffects"] = "None"


def _strip_definition(made: dict[str, Any], changes: Changes) -> None:
    spec = _mapping(made, "spec")
    if made.get("apiVersion") == "apiextensions.k8s.io/v1" and spec.get("preserveUnknownFields") is True:
        spec["preserveUnknownFields"] = False
        for version in _each(spec, "versions"):
            schema = _mapping(version, "schema").get("openAPIV3Schema")
            if isinstance(schema, dict):
                schema["x-kubernetes-preserve-unknown-fields"] = True


def _strip_snapshot_content(made: dict[str, Any], changes: Changes) -> None:
    _map_namespace(_mapping(made, "spec", "volumeSnapshotRef"), changes)


_BY_RESOURCE: Mapping[str, Callable[[dict[str, Any], Changes], None]] = {
    "persistentvolumes": _strip_volume,
    "statefulsets.apps": _strip_stateful_set,
    "pods": _strip_pod,
    "services": _strip_service,
    "jobs.batch": _strip_job,
    "serviceaccounts": _strip_service_account,
    "secrets": _strip_secret,
    "rolebindings.rbac.authorization.k8s.io": _strip_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _strip_binding,
    "namespaces": _strip_namespace,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _strip_webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _strip_webhooks,
    "customresourcedefinitions.apiextensions.k8s.io": _strip_definition,
    "volumesnapshotcontents.snapshot.storage.k8s.io": _strip_snapshot_content,
}
