"""Which volumes belong to a restore, and what stands in the way of their data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..bucket import Backup, VeleroBucket
from ..manifests import Changes, Plan, Selection, is_wanted_namespace, plan_restore
from ..repositories import Repositories
from ..volumes import Volume, VolumeState, read_volumes, why_not_restorable

# Names of Kubernetes. What is in the bucket may hold anything, and becomes a name of a directory, or part of a URL.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class WantedVolume:
    volume: Volume
    namespace: str
    """Where it goes: mapped."""
    trouble: str
    """Why it has no data, or cannot be restored; "" if nothing is known to be in its way."""

    @property
    def name(self) -> str:
        return self.volume.name

    @property
    def is_left_out_by_velero(self) -> bool:
        """Velero made no copy, and was meant not to: it comes back empty, as a restore by Velero would have it."""
        return self.volume.state in (VolumeState.SKIPPED, VolumeState.ELSEWHERE, VolumeState.UNRECORDED)


@dataclass(frozen=True)
class Wanted:
    """What a restore has to bring back."""

    backup: Backup
    plan: Plan
    volumes: tuple[WantedVolume, ...]
    problems: tuple[str, ...]

    def with_claim(self) -> Iterator[WantedVolume]:
        return (each for each in self.volumes if each.volume.claim is not None)


def wanted(
    bucket: VeleroBucket, backup: Backup, repositories: Repositories, selection: Selection, changes: Changes
) -> Wanted:
    """Reads the manifests and the lists of volumes. Raises NotFoundError if there are no manifests, InvalidArgumentError."""
    plan = plan_restore(backup, selection, changes)
    read = read_volumes(bucket, backup, repositories)
    why = why_not_restorable(backup)
    problems = [*plan.problems, *read.notes]
    if why:
        problems.insert(0, f"backup {backup.name} as a whole is {why}")
    there = {(each.resource, each.source_namespace, each.name) for each in plan.objects}
    has_all_kinds = not (selection.include or selection.exclude or selection.selectors)
    volumes = []
    for each in read.volumes:
        resource, name = ("persistentvolumeclaims", each.claim) if each.claim is not None else ("pods", each.pod)
        # Where the manifests are damaged, the data of what they do not name is still to be had.
        is_planned = (resource, each.namespace, name) in there
        if is_planned or (has_all_kinds and plan.problems and is_wanted_namespace(selection, each.namespace)):
            volumes.append(WantedVolume(each, changes.namespaces.get(each.namespace, each.namespace), _trouble(each)))
    return Wanted(backup, plan, tuple(volumes), tuple(dict.fromkeys(problems)))


def _trouble(volume: Volume) -> str:
    names = [volume.namespace, volume.claim] if volume.claim is not None else [volume.namespace, volume.pod, volume.volume]
    if not all(_NAME.fullmatch(name or "") for name in names):
        return "its name is none that Kubernetes has: restore it alone, with restore-pvc"
    return volume.trouble
