"""Which volumes belong to a restore, and what stands in the way of their data."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..._engine import Error
from ..bucket import Backup, VeleroBucket
from ..manifests import Plan, Selection, is_wanted_namespace, plan_restore
from ..repositories import Repositories
from ..search import find_volume
from ..stripping import Changes
from ..volumes import Volume, VolumeState, read_volumes, why_not_restorable

# Names of Kubernetes. What is in the bucket may hold anything, and becomes a name of a directory, or part of a URL.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class WantedVolume:
    """A volume, and whether its data can be had."""

    volume: Volume
    namespace: str
    """Where it goes: mapped."""
    trouble: str
    """Why it has no data, or cannot be restored; "" if nothing is known to be in its way."""
    note: str = ""
    """Where its data comes from, if not from this backup."""

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


def wanted(
    bucket: VeleroBucket,
    backup: Backup,
    repositories: Repositories,
    selection: Selection | None = None,
    changes: Changes | None = None,
    *,
    older_data: bool = False,
) -> Wanted:
    """Reads the manifests and the lists of volumes. With `older_data`, a volume that Velero failed to store in this backup is
    taken from the newest one before it that has a copy.

    Raises NotFoundError if there are no manifests, InvalidArgumentError.
    """
    selection, changes = selection or Selection(), changes or Changes()
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
            mapped = changes.namespaces.get(each.namespace, each.namespace)
            volumes.append(_with_older(bucket, backup, repositories, WantedVolume(each, mapped, _trouble(each)), older_data))
        elif has_all_kinds and is_wanted_namespace(selection, each.namespace) and _is_lost(each, f"{resource} {each.namespace}/{name}", plan):
            problems.append(f"volume {each.name} was stored, but the manifests have no {resource} {name}: restore it alone, with restore-pvc")
    return Wanted(backup, plan, tuple(volumes), tuple(dict.fromkeys(problems)))


def _is_lost(volume: Volume, reference: str, plan: Plan) -> bool:
    """Whether there is data of something that the manifests do not have; what was left out of the plan says why itself."""
    return volume.state is VolumeState.STORED and not any(each.reference == reference for each in plan.left_out)


def _with_older(
    bucket: VeleroBucket, backup: Backup, repositories: Repositories, found: WantedVolume, older_data: bool
) -> WantedVolume:
    """A volume that failed: what an older backup has of it, or at least which does."""
    if found.volume.state is not VolumeState.FAILED:
        return found
    try:
        older = find_volume(bucket, found.name, at=backup.time, repositories=repositories).volume
    except Error:
        return found
    if older_data:
        return replace(found, volume=older, trouble=_trouble(older), note=f"from backup {older.backup}, as {backup.name} has no copy: {found.trouble}")
    return replace(found, trouble=f"{found.trouble}. Backup {older.backup} has a copy: --older-data restores that")


def _trouble(volume: Volume) -> str:
    names = [volume.namespace, volume.claim] if volume.claim is not None else [volume.namespace, volume.pod, volume.volume]
    if not all(_NAME.fullmatch(name or "") for name in names):
        return "its name is none that Kubernetes has: restore it alone, with restore-pvc"
    return volume.trouble
