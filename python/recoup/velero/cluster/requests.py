"""Velero's Schedules and Backups through the API: made, paused, run, deleted. Of an object that exists only its spec is patched: Velero's
definitions have no status of their own to write, so whoever puts a whole object back sets its status back too."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from ..._engine import InvalidArgumentError, NotFoundError
from ..cron import Cron
from ..fields import parse_duration
from .answers import Refused
from .api import KubernetesApi, Uncertain

API_VERSION = "velero.io/v1"
SCHEDULE_LABEL = "velero.io/schedule-name"
BACKUP_LABEL = "velero.io/backup-name"
_MERGE = "application/merge-patch+json"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_ATTEMPTS = 4
_DURATIONS = ("ttl", "csiSnapshotTimeout", "itemOperationTimeout")
_OLD_FILTERS = ("includedResources", "excludedResources", "includeClusterResources")
_NEW_FILTERS = (
    "includedClusterScopedResources", "excludedClusterScopedResources", "includedNamespaceScopedResources", "excludedNamespaceScopedResources",
)  # fmt: skip


@dataclass(frozen=True)
class VeleroRequests:
    """What can be asked of the Velero in one namespace."""

    api: KubernetesApi
    namespace: str
    field_manager: str = "recoup"
    now: Callable[[], datetime] = field(default=lambda: datetime.now(timezone.utc), repr=False)

    def path(self, plural: str, name: str | None = None) -> str:
        parts = [f"/apis/{API_VERSION}/namespaces/{quote(self.namespace, safe='')}/{plural}"]
        return "/".join(parts if name is None else [*parts, quote(name, safe="")])

    def get(self, plural: str, name: str) -> Mapping[str, Any]:
        """Raises NotFoundError, naming what there is."""
        try:
            return self.api.get(self.path(plural, name))
        except Refused as problem:
            if problem.is_missing:
                raise NotFoundError(f"there is no {_singular(plural)} {self.namespace}/{name}; there are: {self._names(plural)}") from problem
            raise problem.error(f"read the {_singular(plural)} {self.namespace}/{name}") from problem

    def list(self, plural: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            return self.api.get(self.path(plural), query)
        except Refused as problem:
            raise self.listing_error(problem, plural) from problem

    def listing_error(self, problem: Refused, plural: str) -> Exception:
        if problem.is_missing and f'namespaces "{self.namespace}" not found' in problem.message:
            return NotFoundError(f"there is no namespace {self.namespace} in the cluster {self.api}: which one is Velero's (recoup velero -n NAME)?")
        if problem.is_missing:
            return NotFoundError(f"the cluster {self.api} knows no {plural}.velero.io: Velero is not installed there")
        return problem.error(f"list the {plural} in namespace {self.namespace}")

    def _names(self, plural: str) -> str:
        names = [str(each["metadata"]["name"]) for each in self.list(plural, {"limit": "20"}).get("items") or []]
        return ", ".join(names) or "none. Is Velero in another namespace (recoup velero -n NAME)?"

    # ---- schedules -------------------------------------------------------------------------------------------------------

    def create_schedule(
        self,
        name: str,
        expression: str,
        template: Mapping[str, Any],
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        paused: bool = False,
        skip_immediately: bool | None = None,
        own_backups: bool | None = None,
    ) -> Mapping[str, Any]:
        _check_name(name, longest=63, why="each of its backups has the name in a label")
        if Cron.parse(expression).next(self.now()) is None:
            raise InvalidArgumentError(f"{expression!r} would never run: there is no such day within five years")
        spec: dict[str, Any] = {"schedule": expression, "template": self._checked_spec(template), "paused": paused}
        if skip_immediately is not None:
            spec["skipImmediately"] = skip_immediately
        if own_backups is not None:
            spec["useOwnerReferencesInBackup"] = own_backups
        return self._create("schedules", "Schedule", {"name": name, "labels": labels, "annotations": annotations}, spec)

    def set_paused(self, name: str, paused: bool, skip_immediately: bool | None = None) -> bool:
        """False: it was so already, and nothing was written. Without `skip_immediately` the server's own setting counts, as with
        `velero schedule unpause`: a schedule that is due by then runs at once."""
        before = self.get("schedules", name)
        if bool((before.get("spec") or {}).get("paused")) == paused:
            return False
        spec = {"paused": paused, "skipImmediately": skip_immediately}
        query = {"fieldManager": self.field_manager}
        try:
            self.api.request("PATCH", self.path("schedules", name), query=query, body={"spec": spec}, content_type=_MERGE)
        except Refused as problem:
            raise problem.error(f"{'pause' if paused else 'unpause'} the schedule {self.namespace}/{name}") from problem
        return True

    def delete_schedule(self, name: str, *, with_backups: bool = False) -> None:
        schedule = self.get("schedules", name)
        if (schedule.get("spec") or {}).get("useOwnerReferencesInBackup") and not with_backups:
            raise InvalidArgumentError(
                f"the schedule {self.namespace}/{name} owns its backups (useOwnerReferencesInBackup): with it they would go from the cluster. "
                f"If that is meant, say so (--with-backups)"
            )
        try:
            self.api.request("DELETE", self.path("schedules", name), body={"preconditions": {"uid": schedule["metadata"]["uid"]}})
        except Refused as problem:
            if not problem.is_missing:
                raise problem.error(f"delete the schedule {self.namespace}/{name}") from problem

    def run_schedule(self, name: str, backup_name: str | None = None) -> Mapping[str, Any]:
        """A Backup as `velero backup create --from-schedule` makes it (V:pkg/builder/backup_builder.go FromSchedule): the server does not
        see that it is not the schedule's own, and the schedule's own times stay as they are."""
        schedule = self.get("schedules", name)
        metadata, spec = schedule["metadata"], schedule.get("spec") or {}
        template = spec.get("template") or {}
        labels = (template.get("metadata") or {}).get("labels")
        made = {
            # Labels of the template stand in place of the schedule's; there being none is said by their absence only.
            "labels": {**(labels if labels is not None else metadata.get("labels") or {}), SCHEDULE_LABEL: name},
            "annotations": metadata.get("annotations"),
        }
        if spec.get("useOwnerReferencesInBackup"):
            made["ownerReferences"] = [{"apiVersion": API_VERSION, "kind": "Schedule", "name": name, "uid": metadata["uid"], "controller": True}]
        if backup_name is not None:
            _check_name(backup_name)
            return self._create("backups", "Backup", {"name": backup_name, **made}, template)
        while True:
            timestamped = f"{name}-{self.now():%Y%m%d%H%M%S}"
            try:
                return self._create("backups", "Backup", {"name": timestamped, **made}, template)
            except _AlreadyThere:
                # The schedule itself, or somebody else, was due in this second.
                time.sleep(1.0)

    # ---- backups ---------------------------------------------------------------------------------------------------------

    def run_backup(
        self, name: str, spec: Mapping[str, Any], *, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        _check_name(name)
        return self._create("backups", "Backup", {"name": name, "labels": labels, "annotations": annotations}, self._checked_spec(spec))

    def _checked_spec(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """A BackupSpec, checked as the command velero does, and where it does not: a Backup with a duration that Go cannot read stops
        Velero's server from seeing any of them."""
        for key in _DURATIONS:
            if spec.get(key) is not None:
                _check_duration(key, spec[key])
        old, new = [key for key in _OLD_FILTERS if spec.get(key) is not None], [key for key in _NEW_FILTERS if spec.get(key) is not None]
        if old and new:
            raise InvalidArgumentError(f"{', '.join(old)} cannot be used together with {', '.join(new)}: the latter are Velero's newer filters")
        if spec.get("labelSelector") is not None and spec.get("orLabelSelectors"):
            raise InvalidArgumentError("labelSelector and orLabelSelectors cannot be used together")
        location = spec.get("storageLocation")
        if location:
            self.get("backupstoragelocations", str(location))
        return {"includedNamespaces": ["*"], **spec}

    def _create(self, plural: str, kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
        name = metadata["name"]
        given = {key: value for key, value in metadata.items() if value}
        document = {"apiVersion": API_VERSION, "kind": kind, "metadata": {**given, "namespace": self.namespace}, "spec": dict(spec)}
        query = {"fieldManager": self.field_manager, "fieldValidation": "Strict"}
        try:
            return self._post(plural, name, query, document)
        except Refused as problem:
            if problem.already_exists:
                raise _AlreadyThere(f"there is a {kind} {self.namespace}/{name} already") from problem
            if problem.is_missing:
                raise self.listing_error(problem, plural) from problem
            raise problem.error(f"create the {kind} {self.namespace}/{name}") from problem

    def _post(self, plural: str, name: str, query: Mapping[str, str], document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Once: after a lost answer, what is there under the name counts as ours where it asks for the same."""
        for attempt in range(_ATTEMPTS):
            try:
                return self.api.request("POST", self.path(plural), query=query, body=document).document
            except Uncertain:
                if attempt + 1 == _ATTEMPTS:
                    raise
            with contextlib.suppress(Refused):
                found = self.api.get(self.path(plural, name))
                if found.get("spec") == document["spec"]:
                    return found
        raise AssertionError("the last attempt returns or raises")


class _AlreadyThere(InvalidArgumentError):
    pass


def _singular(plural: str) -> str:
    return plural.rstrip("s")


def _check_name(name: str, longest: int = 253, why: str = "Kubernetes takes no longer ones") -> None:
    if len(name) > longest:
        raise InvalidArgumentError(f"{name!r} has {len(name)} characters, and {longest} are the most: {why}")
    if not _NAME.fullmatch(name) or ".." in name or ".-" in name or "-." in name:
        raise InvalidArgumentError(f"{name!r} is no name: lower-case letters, digits, - and ., and a letter or digit first and last")


def _check_duration(key: str, value: Any) -> None:
    try:
        if not isinstance(value, str) or parse_duration(value) < timedelta(0):
            raise ValueError(value)
    except (ValueError, OverflowError) as problem:
        raise InvalidArgumentError(f"{key} {value!r} is no duration such as 168h or 90m (there is no unit for days: 7 days are 168h)") from problem
