"""Which objects start programs, and on which claims these work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..documents import part, parts
from ..manifests import PlannedObject
from ..resources import restore_order

# From Velero's order: what stands before pods is there for them. Custom resources come after, as operators start pods for them.
_FIRST_WORKLOAD = restore_order("pods", None, "")[0]
_TEMPLATES = {
    "pods": (),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}


def is_before_data(planned: PlannedObject) -> bool:
    """Whether an object is needed for volumes to be there, or at least harmless before they are filled."""
    return restore_order(planned.resource, planned.namespace, planned.name)[0] < _FIRST_WORKLOAD


class ClaimUsers:
    """Knows what would start on claims of a set: what to hold back where these were not filled."""

    def __init__(self, claims: Mapping[tuple[str, str], str]) -> None:
        """By (namespace, name): why there is no data."""
        self._claims = claims

    def why_held_back(self, planned: PlannedObject) -> str:
        """"" if nothing is in its way."""
        for name in _claims_of(planned):
            why = self._claims.get((planned.namespace or "", name))
            if why is not None:
                return f"it works on claim {planned.namespace}/{name}, whose data is not there: {why}"
        return ""


def _claims_of(planned: PlannedObject) -> Iterator[str]:
    path = _TEMPLATES.get(planned.resource)
    if path is None:
        return
    template = part(planned.document, *path)
    for volume in parts(part(template, "spec").get("volumes")):
        claim = part(volume, "persistentVolumeClaim").get("claimName")
        if isinstance(claim, str):
            yield claim
        elif planned.resource == "pods" and "ephemeral" in volume:
            yield f"{planned.name}-{volume.get('name')}"
    if planned.resource == "statefulsets.apps":
        spec = part(planned.document, "spec")
        replicas = spec.get("replicas", 1)
        start = part(spec, "ordinals").get("start", 0)
        if not isinstance(replicas, int) or not isinstance(start, int):
            return
        for each in parts(spec.get("volumeClaimTemplates")):
            name = part(each, "metadata").get("name")
            # A set of a million replicas is somebody's mistake, and claims of the first thousand tell as much.
            for number in range(start, start + min(replicas, 1000)):
                yield f"{name}-{planned.name}-{number}"
