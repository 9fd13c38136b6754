"""What of a backup's manifests is restored, in which order and how: a plan, for a directory or for an API server.

It is Velero's own restore (V:pkg/restore/restore.go), as far as that needs no cluster: the same order, the same objects left
out, the same fields stripped. What recoup does otherwise says why where it is done.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .._engine import DamagedError, InvalidArgumentError, NotFoundError
from .archive import ClusterObject, ManifestObject
from .bucket import Backup
from .documents import part, parts
from .fields import printable
from .left_out import Fates, why_never, why_skipped
from .resources import ResourceNames, restore_order
from .selectors import LabelSelector
from .stripping import Changes, stripped

_Key = tuple[str, Optional[str], str]
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True)
class Selection:
    """Which objects are wanted. Everything counts in the names of the backup, before namespaces are mapped."""

    include: tuple[str, ...] = ()
    """Kinds as people call them: "deployments", "Deployment", "deploy", "deployments.apps", "*.velero.io". None: all."""
    exclude: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    """With * and ? as in a shell. None: all."""
    exclude_namespaces: tuple[str, ...] = ()
    selectors: tuple[LabelSelector, ...] = ()
    """Objects that fulfil one of these. Claims of the pods, and volumes of the claims, come along."""
    cluster_resources: bool | None = None
    """None, as with Velero: all of them, but where only some namespaces are wanted those that belong to the objects there."""
    secrets: bool = False
    """Secrets are left out unless this or `include` asks for them by name."""


@dataclass(frozen=True)
class PlannedObject(ClusterObject):
    """An object as it is to be created."""

    source: str
    """Its path in the archive; "" for a namespace that is not there, and that others need."""
    brought_by: str = ""
    """What needs it, where it was not selected itself: "pods db/postgres-0"."""
    source_namespace: str | None = None
    """In the backup, before namespaces were mapped."""


@dataclass(frozen=True)
class LeftOut:
    """An object that was selected and is not restored."""

    reference: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Objects in the order in which to create them, and what is not among them."""

    objects: tuple[PlannedObject, ...]
    left_out: tuple[LeftOut, ...]
    not_selected: int
    unmatched: tuple[str, ...]
    """Kinds in `include` and `exclude` of which the backup has no object: perhaps misspelt."""
    problems: tuple[str, ...] = ()
    """What is wrong with the backup's files, and with it the plan: objects may be missing."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """New names of those that were mapped."""


def plan_restore(backup: Backup, selection: Selection | None = None, changes: Changes | None = None) -> Plan:
    """Reads a backup's manifests and plans their restore. A damaged archive gives what can be read of it, and says so in
    `problems`.

    Raises NotFoundError if there are no manifests, InvalidArgumentError, StorageError…
    """
    problems: list[str] = []
    fates = _fates(backup, problems)
    archive = backup.manifests()
    objects: list[ManifestObject] = []
    try:
        # One at a time: what came before the damage counts.
        for each in archive.objects():
            objects.append(each)  # noqa: PERF402
    except DamagedError as damage:
        problems.append(str(damage))
    problems += [str(each) for each in archive.problems]
    return replace(plan(objects, fates, selection, changes), problems=tuple(problems))


def _fates(backup: Backup, problems: list[str]) -> Fates:
    """Where one of both lists is missing, the other has it; old versions of Velero had only the first."""
    unread: list[str] = []
    try:
        stored = backup.pod_volume_backups(unread)
    except (NotFoundError, DamagedError) as problem:
        stored = []
        problems.append(f"{problem}; volumes whose data is in a pod volume backup may be planned as they were")
    try:
        infos = backup.volume_infos(unread)
    except NotFoundError:
        infos = []
    except DamagedError as problem:
        infos = []
        problems.append(str(problem))
    problems += (f"{each}; its volume may be planned as it was" for each in unread)
    return Fates(infos, stored)


def plan(
    objects: Iterable[ManifestObject], fates: Fates | None = None, selection: Selection | None = None, changes: Changes | None = None
) -> Plan:
    """Plans the restore of objects. `fates` knows which volumes are made anew. Raises InvalidArgumentError."""
    return _Planning(list(objects), fates or Fates(), selection or Selection(), changes or Changes()).run()


class _Planning:
    def __init__(self, objects: list[ManifestObject], fates: Fates, selection: Selection, changes: Changes) -> None:
        self._objects = {(each.resource, each.namespace, each.name): each for each in objects}
        self._fates = fates
        self._selection = selection
        self._changes = changes
        self._names = ResourceNames(objects)
        self._accounts = {(each.namespace, each.name) for each in objects if each.resource == "serviceaccounts"}
        self._unmatched: list[str] = []
        excluded = self._meant(selection.exclude)
        included = self._meant(selection.include) if selection.include else set(self._names.known())
        self._resources = included - excluded
        self._has_all_namespaces = not selection.exclude_namespaces and all(each == "*" for each in selection.namespaces)
        self._may_have_namespaces = "namespaces" not in excluded
        self._wants_secrets = selection.secrets or (bool(selection.include) and "secrets" in self._meant_by_name())
        self._left_out: dict[_Key, LeftOut] = {}
        self._taken: dict[_Key, str] = {}
        for name in changes.namespaces.values():
            if len(name) > 63 or not _NAMESPACE.fullmatch(name):
                raise InvalidArgumentError(f"{printable(name)!r} can be no namespace: these have small letters, digits and -")

    def run(self) -> Plan:
        for each in self._objects.values():
            if self._is_selected(each):
                self._take(each, "")
        unselected = len(self._objects) - len(self._taken) - len(self._left_out)
        planned = sorted(self._planned(), key=lambda each: restore_order(each.resource, each.namespace, each.name))
        planned, twice = self._without_collisions(planned)
        return Plan(tuple(planned), (*self._left_out.values(), *twice), unselected, tuple(self._unmatched), namespaces=self._changes.namespaces)

    def _meant(self, names: tuple[str, ...]) -> set[str]:
        found: set[str] = set()
        for name in names:
            meant = self._names.meant(name)
            if not meant and name not in self._unmatched:
                self._unmatched.append(name)
            found |= meant
        return found

    def _meant_by_name(self) -> set[str]:
        return set().union(*(self._names.meant(name) for name in self._selection.include if not name.strip().startswith("*")))

    def _is_within(self, each: ManifestObject) -> bool:
        """By kind and namespace, which counts for what comes along as well."""
        if each.resource not in self._resources:
            return False
        if each.namespace is None:
            return self._selection.cluster_resources is not False or each.resource == "namespaces"
        return is_wanted_namespace(self._selection, each.namespace)

    def _is_selected(self, each: ManifestObject) -> bool:
        if not self._is_within(each):
            return False
        if each.resource == "namespaces":
            # With a selection of namespaces, those come that something is in.
            if not self._has_all_namespaces or self._selection.cluster_resources is False:
                return False
        elif each.namespace is None and not self._selection.cluster_resources and not self._has_all_namespaces:
            return False
        selectors = self._selection.selectors
        return not selectors or any(one.matches(_labels(each.document)) for one in selectors)

    def _take(self, each: ManifestObject, brought_by: str) -> None:
        """And what it needs, which may need something itself."""
        waiting = [(each, brought_by)]
        while waiting:
            found, why = waiting.pop()
            key = (found.resource, found.namespace, found.name)
            if key in self._taken:
                continue
            reason = why_never(found) or why_skipped(found, self._fates, self._accounts, self._wants_secrets)
            if reason:
                self._left_out[key] = LeftOut(found.reference, reason)
                continue
            self._taken[key] = why
            for needed in _needs(found):
                there = self._objects.get(needed)
                if there is not None and self._is_within(there):
                    waiting.append((there, found.reference))

    def _planned(self) -> Iterator[PlannedObject]:
        namespaces: dict[str, str] = {}
        for key, why in self._taken.items():
            source = self._objects[key]
            try:
                made = self._made(source, why)
            except DamagedError as problem:
                self._left_out[key] = LeftOut(source.reference, str(problem))
                continue
            if source.namespace is not None:
                namespaces.setdefault(source.namespace, source.reference)
            yield made
        if self._may_have_namespaces:
            for name, why in namespaces.items():
                if ("namespaces", None, name) not in self._taken:
                    yield self._namespace(name, why)

    def _made(self, source: ManifestObject, brought_by: str) -> PlannedObject:
        document = stripped(
            source.resource, source.document, self._changes, has_new_volume=self._has_new_volume(source)
        )
        metadata = document["metadata"]
        # An API server refuses to apply an object that says who owns its fields; Velero creates it and sets them afterwards.
        metadata.pop("managedFields", None)
        return PlannedObject(
            source.resource, metadata.get("namespace") or None, metadata["name"], document, source.path, brought_by, source.namespace
        )

    def _namespace(self, name: str, brought_by: str) -> PlannedObject:
        source = self._objects.get(("namespaces", None, name))
        if source is not None:
            return self._made(source, brought_by)
        mapped = self._changes.namespaces.get(name, name)
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": mapped}}
        return PlannedObject("namespaces", None, mapped, document, "", brought_by)

    def _has_new_volume(self, claim: ManifestObject) -> bool:
        if claim.resource != "persistentvolumeclaims":
            return False
        volume = part(claim.document, "spec").get("volumeName")
        if not isinstance(volume, str):
            return False
        there = self._objects.get(("persistentvolumes", None, volume))
        if there is not None:
            return bool(self._fates.of_volume(there))
        return self._fates.is_made_anew(volume, claim.namespace or "", claim.name)

    def _without_collisions(self, planned: list[PlannedObject]) -> tuple[list[PlannedObject], list[LeftOut]]:
        """Two namespaces may have been mapped into one."""
        seen: dict[_Key, str] = {}
        kept: list[PlannedObject] = []
        left_out: list[LeftOut] = []
        for each in planned:
            key = (each.resource, each.namespace, each.name)
            if key not in seen:
                seen[key] = each.source
                kept.append(each)
            elif each.resource != "namespaces":
                left_out.append(LeftOut(each.reference, f"{seen[key]} already becomes this object, and {each.source} would too"))
        return kept, left_out


def is_wanted_namespace(selection: Selection, name: str) -> bool:
    def one_of(patterns: tuple[str, ...]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return (not selection.namespaces or one_of(selection.namespaces)) and not one_of(selection.exclude_namespaces)


def _labels(document: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in part(document, "metadata", "labels").items() if isinstance(value, str)}


def _needs(each: ManifestObject) -> Iterator[_Key]:
    """What Velero restores along with an object, even where a selector does not fit."""
    spec = part(each.document, "spec")
    if each.resource == "pods":
        if isinstance(spec.get("priorityClassName"), str):
            yield "priorityclasses.scheduling.k8s.io", None, spec["priorityClassName"]
        for volume in parts(spec.get("volumes")):
            claim = part(volume, "persistentVolumeClaim").get("claimName")
            if isinstance(claim, str):
                yield "persistentvolumeclaims", each.namespace, claim
    elif each.resource == "persistentvolumeclaims" and isinstance(spec.get("volumeName"), str):
        yield "persistentvolumes", None, spec["volumeName"]


def parse_mapping(texts: Iterable[str], what: str) -> dict[str, str]:
    """["a=b"] as {"a": "b"}; `what` is the option's name. Raises InvalidArgumentError."""
    found: dict[str, str] = {}
    for text in texts:
        old, equals, new = (part.strip() for part in text.partition("="))
        if not (old and equals and new):
            raise InvalidArgumentError(f"{what} {text}: write OLD=NEW")
        if found.get(old, new) != new:
            raise InvalidArgumentError(f"{what}: {old} cannot become both {found[old]} and {new}")
        found[old] = new
    return found
