"""What belongs to others in the cluster, and is not taken from them by what is applied: cluster-wide objects serve several namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BINDING = ("rbac.authorization.k8s.io", "ClusterRoleBinding")
#: The claim is gone: whoever names the volume may have it.
_FREE = ("Available", "Released", "Failed")


def why_taken(document: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    """Why an object may not become what `document` says, as somebody would lose theirs; "" if nobody does.

    It is no matter of field managers: the volume's own claim may have come by an earlier run of recoup.
    """
    if (document.get("apiVersion"), document.get("kind")) != ("v1", "PersistentVolume"):
        return ""
    owner, wanted = _claim_of(live), _claim_of(document)
    if not all(owner) or not all(wanted) or owner == wanted or _part(live, "status").get("phase") in _FREE:
        return ""
    return (
        f"in this cluster it is the volume of claim {owner[0]}/{owner[1]}, which would lose it to {wanted[0]}/{wanted[1]}. Leave it out "
        f"(--exclude persistentvolumes), or delete that claim first, if it may go"
    )


def with_subjects(document: Mapping[str, Any], live: Mapping[str, Any], copied: Mapping[str, str]) -> Mapping[str, Any]:
    """A ClusterRoleBinding whose subjects were mapped into other namespaces, with those of the original namespaces that it has in the
    cluster: beside a copy, the original keeps its rights. `copied`: new names of namespaces by their old ones."""
    group = str(document.get("apiVersion")).rpartition("/")[0]
    subjects, there = document.get("subjects"), live.get("subjects")
    if not copied or (group, document.get("kind")) != _BINDING or not isinstance(subjects, list) or not isinstance(there, list):
        return document
    kept = [each for each in there if isinstance(each, Mapping) and each.get("namespace") in copied and each not in subjects]
    # In the order in which they are there, so that a second run is no change.
    ordered = [each for each in there if each in kept or each in subjects]
    return {**document, "subjects": [*ordered, *(each for each in subjects if each not in ordered)]} if kept else document


def _claim_of(volume: Mapping[str, Any]) -> tuple[Any, Any]:
    claim = _part(volume, "spec", "claimRef")
    return claim.get("namespace"), claim.get("name")


def _part(value: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
