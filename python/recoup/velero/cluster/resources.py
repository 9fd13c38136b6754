"""Which kinds a cluster knows, and the paths of their objects. Asked for per group and version, and then remembered."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..._engine import InvalidArgumentError
from .answers import Refused
from .api import KubernetesApi


@dataclass(frozen=True)
class Resource:
    """A kind, as the server has it."""

    api_version: str  # "apps/v1", "v1"
    kind: str
    plural: str
    is_namespaced: bool
    verbs: frozenset[str]

    @property
    def group(self) -> str:
        return group_of(self.api_version)

    @property
    def name(self) -> str:
        """As kubectl takes it: "deployments.apps", "pods"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace and self.is_namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


def group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def reference_of(document: Mapping[str, Any]) -> str:
    """For messages: "Deployment db/postgres"."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name = str(metadata.get("name") or "(without a name)")
    namespace = metadata.get("namespace")
    return f"{document.get('kind') or 'an object without a kind'} {namespace}/{name}" if namespace else f"{document.get('kind')} {name}"


class UnknownKind(InvalidArgumentError):
    """The cluster does not know a kind."""


class Resources:
    """The cluster's kinds."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._known: dict[str, dict[str, Resource]] = {}
        self._unanswered: dict[str, Refused] = {}  # as of an API whose own server is down: that is found out once

    def find(self, api_version: str, kind: str) -> Resource:
        """Raises UnknownKind, which says what the cluster has instead."""
        found = self._of(api_version).get(kind)
        if found is None:
            raise UnknownKind(self._unknown(api_version, kind))
        return found

    def forget(self, api_version: str) -> None:
        """As definitions have changed in this group and version."""
        self._known.pop(api_version, None)
        self._unanswered.pop(api_version, None)

    def _of(self, api_version: str) -> dict[str, Resource]:
        if api_version in self._unanswered:
            raise self._unanswered[api_version]
        if api_version not in self._known:
            try:
                self._known[api_version] = self._ask(api_version)
            except Refused as problem:
                self._unanswered[api_version] = problem
                raise
        return self._known[api_version]

    def _ask(self, api_version: str) -> dict[str, Resource]:
        prefix = "/apis/" if "/" in api_version else "/api/"
        try:
            listed = self._api.get(prefix + quote(api_version, safe="/"))
        except Refused as problem:
            if problem.is_missing:
                return {}
            raise
        return {
            str(each["kind"]): Resource(
                api_version=api_version,
                kind=str(each["kind"]),
                plural=str(each["name"]),
                is_namespaced=bool(each.get("namespaced")),
                verbs=frozenset(each.get("verbs") or ()),
            )
            for each in listed.get("resources") or []
            if "/" not in str(each["name"])  # "pods/log"
        }

    def _unknown(self, api_version: str, kind: str) -> str:
        group = group_of(api_version)
        others = self._versions_with(group, kind)
        if others:
            return (
                f"this cluster has {kind} as {', '.join(others)}, not as {api_version}: change the manifest's apiVersion (its fields may have other "
                f"names there)"
            )
        missing = f"no group {group}" if group and not self._versions(group) else f"no {kind} in {api_version}"
        return f"this cluster has {missing}: install the operator or the CustomResourceDefinition that brings it, or leave the object out"

    def _versions_with(self, group: str, kind: str) -> list[str]:
        found = []
        for version in self._versions(group):
            with contextlib.suppress(Refused):
                if kind in self._of(version):
                    found.append(version)
        return found

    def _versions(self, group: str) -> list[str]:
        if not group:
            return ["v1"]
        with contextlib.suppress(Refused):
            listed = self._api.get(f"/apis/{quote(group, safe='')}")
            return [str(each["groupVersion"]) for each in listed.get("versions") or []]
        return []
