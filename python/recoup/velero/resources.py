"""Resources by the names that people use for them, and the order in which Velero restores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .archive import ManifestObject

# V:pkg/cmd/server/config/config.go, as of 1.18, where roles came before what uses them. All but these are between, by their names.
_FIRST = (
    "customresourcedefinitions.apiextensions.k8s.io", "namespaces", "storageclasses.storage.k8s.io",
    "volumesnapshotclasses.snapshot.storage.k8s.io", "volumesnapshotcontents.snapshot.storage.k8s.io",
    "volumesnapshots.snapshot.storage.k8s.io", "datauploads.velero.io", "persistentvolumes", "persistentvolumeclaims",
    "clusterroles.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io", "serviceaccounts",
    "clusterrolebindings.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io", "secrets", "configmaps",
    "limitranges", "priorityclasses.scheduling.k8s.io", "pods", "replicasets.apps", "clusterclasses.cluster.x-k8s.io",
    "endpoints", "services",
)  # fmt: skip
_LAST = (
    "clusterbootstraps.run.tanzu.vmware.com", "clusters.cluster.x-k8s.io", "clusterresourcesets.addons.cluster.x-k8s.io",
    "apps.kappctrl.k14s.io", "packageinstalls.packaging.carvel.dev",
)  # fmt: skip
_RANKS = {**{name: rank for rank, name in enumerate(_FIRST, -len(_FIRST))}, **{name: rank for rank, name in enumerate(_LAST, 1)}}

# What `kubectl api-resources` lists. Definitions of custom resources name their own.
_SHORT = {
    "cm": "configmaps", "cj": "cronjobs.batch", "crd": "customresourcedefinitions.apiextensions.k8s.io",
    "crds": "customresourcedefinitions.apiextensions.k8s.io", "csr": "certificatesigningrequests.certificates.k8s.io",
    "deploy": "deployments.apps", "ds": "daemonsets.apps", "ep": "endpoints", "ev": "events", "hpa": "horizontalpodautoscalers.autoscaling",
    "ing": "ingresses.networking.k8s.io", "limits": "limitranges", "netpol": "networkpolicies.networking.k8s.io", "no": "nodes",
    "ns": "namespaces", "pc": "priorityclasses.scheduling.k8s.io", "pdb": "poddisruptionbudgets.policy", "po": "pods",
    "pv": "persistentvolumes", "pvc": "persistentvolumeclaims", "quota": "resourcequotas", "rc": "replicationcontrollers",
    "rs": "replicasets.apps", "sa": "serviceaccounts", "sc": "storageclasses.storage.k8s.io", "sts": "statefulsets.apps", "svc": "services",
}  # fmt: skip


def restore_order(resource: str, namespace: str | None, name: str) -> tuple[int, str, str, str]:
    """The key by which objects are sorted."""
    rank = _RANKS.get(resource, 0)
    return rank, resource, namespace or "", name


class ResourceNames:
    """Knows what people mean by "deploy", "Deployment", "deployments", "deployments.apps", "ingresses.networking", "*.velero.io"."""

    def __init__(self, objects: Iterable[ManifestObject]) -> None:
        # Namespaces come along with what is in them, even those of which there is no object.
        self._kinds: dict[str, set[str]] = {"namespaces": {"namespace"}}
        self._short: dict[str, set[str]] = {short: {resource} for short, resource in _SHORT.items()}
        for each in objects:
            kinds = self._kinds.setdefault(each.resource, set())
            if each.kind:
                kinds.add(each.kind.lower())
            if each.resource == "customresourcedefinitions.apiextensions.k8s.io":
                self._learn(each.document)

    def _learn(self, definition: Mapping[str, Any]) -> None:
        spec = definition.get("spec")
        names = spec.get("names") if isinstance(spec, Mapping) else None
        if not isinstance(spec, Mapping) or not isinstance(names, Mapping):
            return
        resource = f"{names.get('plural')}.{spec.get('group')}"
        short = names.get("shortNames")
        for each in [names.get("singular"), *(short if isinstance(short, list) else ())]:
            if isinstance(each, str) and each:
                self._short.setdefault(each.lower(), set()).add(resource)

    def known(self) -> list[str]:
        """The resources of which there are objects."""
        return sorted(self._kinds)

    def meant(self, name: str) -> set[str]:
        """The resources of which there are objects, and that are called so. "*" is all of them."""
        wanted = name.strip().lower()
        return {resource for resource in self._kinds if self._is_called(resource, wanted)}

    def _is_called(self, resource: str, wanted: str) -> bool:
        if wanted in ("*", resource) or resource in self._short.get(wanted, ()):
            return True
        plural, _, group = resource.partition(".")
        head, dot, tail = wanted.partition(".")
        if dot and not (group == tail or group.startswith(tail + ".")):
            return False
        if head in {plural, *self._kinds[resource]}:
            return True
        return bool(dot) and (head == "*" or resource in self._short.get(head, ()))
