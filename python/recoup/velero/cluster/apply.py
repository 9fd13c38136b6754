"""Server-side apply: objects as they are given, one after the other; what the server refuses does not stop the rest."""

from __future__ import annotations

import base64
import binascii
import contextlib
import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .answers import Answer, Refused, words
from .api import KubernetesApi, sleep_until
from .differences import Change, bare, changes, is_same
from .others import why_taken, with_subjects
from .resources import Resource, Resources, UnknownKind, group_of, reference_of

_APPLY = "application/apply-patch+yaml"
_DEFINITIONS = "apiextensions.k8s.io/v1"
# A definition is established within a second; a new namespace has its service account within two.
_PATIENCE_SECONDS = 30.0
# One kind can have a server or a webhook of its own that is down; with several in a row it is the API server that is.
_UNANSWERED_IN_A_ROW = 5


class Outcome(str, enum.Enum):
    """What became of an object."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
    """Only in a dry run: what it depends on does not exist before the run is made."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Applied:
    """What became of one object, or would become of it."""

    api_version: str
    kind: str
    namespace: str | None
    name: str
    outcome: Outcome
    is_dry_run: bool
    message: str = ""
    """Why it was refused or cannot be checked: the server's words, and what to do."""
    changes: tuple[Change, ...] = field(default=(), repr=False)
    """What differs from the object that was there. Values of Secrets are not in it."""
    warnings: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class _NotNow(Exception):
    """An object is refused, or cannot be checked, before the server is asked about it."""

    def __init__(self, message: str, outcome: Outcome = Outcome.REFUSED) -> None:
        super().__init__(message)
        self.outcome = outcome


class Applier:
    """One run: it remembers which namespaces and definitions were in it."""

    def __init__(
        self,
        api: KubernetesApi,
        resources: Resources,
        *,
        dry_run: bool = False,
        force_conflicts: bool = False,
        field_manager: str = "recoup",
        patience: float = _PATIENCE_SECONDS,
        copied: Mapping[str, str] | None = None,
    ) -> None:
        """`copied`: namespaces of the originals, and those that what is applied was mapped to."""
        self._api = api
        self._resources = resources
        self._is_dry_run = dry_run
        self._patience = patience
        self._copied = copied or {}
        self._query = {"fieldManager": field_manager, "force": "true" if force_conflicts else "false", "fieldValidation": "Warn"}
        if dry_run:
            self._query["dryRun"] = "All"
        self._definitions: dict[tuple[str, str], str] = {}  # (group, kind) to the definition's name
        self._established: set[str] = set()
        self._definitions_there: dict[tuple[str, str], str] | None = None
        self._new_namespaces: set[str] = set()
        self._unanswered = 0
        self._silent_webhooks: set[str] = set()

    def apply(self, documents: Iterable[Mapping[str, Any]]) -> Iterator[Applied]:
        for document in documents:
            items = document.get("items") if isinstance(document, Mapping) else None
            if isinstance(items, list) and str(document.get("kind", "")).endswith("List"):
                yield from self.apply(items)
            else:
                yield self._apply(document)

    def _apply(self, document: Mapping[str, Any]) -> Applied:
        try:
            live, answer = self._try(document)
        except _NotNow as problem:
            return self._said(document, problem.outcome, str(problem))
        except UnknownKind as problem:
            return self._said(document, Outcome.REFUSED, str(problem))
        except Refused as problem:
            hidden = problem.without(_secrets_of(document))
            self._unanswered = self._unanswered + 1 if problem.status in (429, 502, 503, 504) else 0
            if self._unanswered >= _UNANSWERED_IN_A_ROW:
                raise hidden.error(f"apply {reference_of(document)}, as some before it") from None
            return self._said(document, Outcome.REFUSED, words(hidden))
        self._unanswered = 0
        self._remember(document, live is None)
        found = changes(live, answer.document)
        outcome = Outcome.CREATED if live is None else Outcome.CHANGED if found else Outcome.UNCHANGED
        return self._said(document, outcome, changes=found, warnings=answer.warnings)

    def _said(
        self, document: Any, outcome: Outcome, message: str = "", changes: tuple[Change, ...] = (), warnings: tuple[str, ...] = ()
    ) -> Applied:
        whole = document if isinstance(document, Mapping) else {}
        metadata = whole.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        return Applied(
            api_version=str(whole.get("apiVersion") or ""),
            kind=str(whole.get("kind") or ""),
            namespace=str(metadata["namespace"]) if metadata.get("namespace") else None,
            name=str(metadata.get("name") or ""),
            outcome=outcome,
            is_dry_run=self._is_dry_run,
            message=message,
            changes=changes,
            warnings=warnings,
        )

    def _try(self, document: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Answer]:
        """The object as it was, and the answer."""
        _check_form(document)
        resource = self._resource(document)
        namespace, name = document["metadata"].get("namespace"), document["metadata"]["name"]
        if resource.is_namespaced and not namespace:
            raise _NotNow(f"a {resource.kind} needs a namespace, and it names none")
        if not {"get", "patch"} <= resource.verbs:
            raise _NotNow(f"a {resource.kind} is a question to the server, not an object that stays: leave it out")
        if self._is_dry_run and namespace in self._new_namespaces:
            raise _NotNow(f"its namespace {namespace} does not exist yet: what the server says to it is known only then", Outcome.UNCHECKED)
        path = resource.path(namespace, name)
        live = self._live(path)
        if live is not None and live.get("metadata", {}).get("deletionTimestamp"):
            raise _NotNow(
                f"it is being deleted since {live['metadata']['deletionTimestamp']}, and what is applied now goes with it. Wait until it is gone "
                f"(what holds it are its finalizers: {', '.join(_finalizers(live)) or 'none'}), and apply again"
            )
        body = bare(document)
        if live is None:
            return None, self._patch(path, resource, body)
        taken = why_taken(body, live)
        if taken:
            raise _NotNow(taken)
        return live, self._change(path, resource, with_subjects(body, live, self._copied), live)

    def _change(self, path: str, resource: Resource, body: Mapping[str, Any], live: Mapping[str, Any]) -> Answer:
        """Writes only where something would become another: a server stores a claim anew when it is first written to again, whatever is
        written, and what watches objects is told of it."""
        if not self._is_dry_run:
            try:
                foreseen = self._send(path, body, {**self._query, "dryRun": "All"})
            except Refused as problem:
                if not problem.is_about_dry_runs:
                    raise
            else:
                if is_same(live, foreseen.document):
                    return foreseen
        return self._patch(path, resource, body)

    def _live(self, path: str) -> Mapping[str, Any] | None:
        try:
            return self._api.get(path)
        except Refused as problem:
            if problem.is_missing:
                return None
            raise

    def _patch(self, path: str, resource: Resource, body: Mapping[str, Any]) -> Answer:
        answers: list[Answer] = []
        problems: list[Refused] = []

        def is_settled() -> bool:
            try:
                answers.append(self._send(path, body, self._query))
            except Refused as problem:
                problems.append(problem)
                return not self._will_settle(problem, resource, body["metadata"].get("namespace"))
            return True

        sleep_until(is_settled, self._patience)
        if answers:
            return answers[0]
        problem = problems[-1]
        namespace = body["metadata"].get("namespace")
        if problem.is_missing and namespace and f'namespaces "{namespace}" not found' in problem.message:
            raise _NotNow(f"there is no namespace {namespace}: create it first, or apply its manifest too, before this")
        raise problem

    def _send(self, path: str, body: Mapping[str, Any], query: Mapping[str, str]) -> Answer:
        def is_hopeless(problem: Refused) -> bool:
            return problem.silent_webhook in self._silent_webhooks

        try:
            return self._api.request("PATCH", path, query=query, body=body, content_type=_APPLY, is_hopeless=is_hopeless)
        except Refused as problem:
            # It was waited for once: with thousands of objects, that would be hours.
            if problem.silent_webhook:
                self._silent_webhooks.add(problem.silent_webhook)
            raise

    def _will_settle(self, problem: Refused, resource: Resource, namespace: str | None) -> bool:
        """What the cluster still prepares for objects that this run has made."""
        is_new_kind = (resource.group, resource.kind) in self._definitions and problem.is_missing and "namespaces" not in problem.message
        waits_for_account = namespace in self._new_namespaces and problem.status == 403 and "error looking up service account" in problem.message
        return not self._is_dry_run and (is_new_kind or waits_for_account)

    # ---- what later objects need -----------------------------------------------------------------------------------------

    def _remember(self, document: Mapping[str, Any], is_new: bool) -> None:
        kind, group = document["kind"], group_of(document["apiVersion"])
        if kind == "Namespace" and not group:
            name = str(document["metadata"]["name"])
            if is_new:
                self._new_namespaces.add(name)
        elif kind == "CustomResourceDefinition" and group == group_of(_DEFINITIONS):
            spec = document.get("spec") or {}
            self._definitions[str(spec.get("group")), str((spec.get("names") or {}).get("kind"))] = str(document["metadata"]["name"])
            for version in spec.get("versions") or []:
                self._resources.forget(f"{spec.get('group')}/{version.get('name')}")

    def _resource(self, document: Mapping[str, Any]) -> Resource:
        api_version, kind = document["apiVersion"], document["kind"]
        definition = self._definitions.get((group_of(api_version), kind))
        if definition is not None and not self._is_dry_run:
            self._wait_until_established(definition)
        try:
            return self._resources.find(api_version, kind)
        except UnknownKind as problem:
            if definition is None:
                self._wait_for_other_definition(api_version, kind)
                return self._resources.find(api_version, kind)
            if self._is_dry_run:
                raise _NotNow(
                    f"{definition}, which defines {kind}, is not in the cluster yet: what the server says to it is known only then", Outcome.UNCHECKED
                ) from problem
        if not self._becomes_known(api_version, kind, self._patience):
            raise _NotNow(f"{definition} was applied, but the server does not serve {kind} in {api_version} after {self._patience:g} s")
        return self._resources.find(api_version, kind)

    def _becomes_known(self, api_version: str, kind: str, seconds: float) -> bool:
        def is_known() -> bool:
            self._resources.forget(api_version)
            with contextlib.suppress(UnknownKind):
                return bool(self._resources.find(api_version, kind))
            return False

        return sleep_until(is_known, seconds)

    def _wait_for_other_definition(self, api_version: str, kind: str) -> None:
        """One that somebody has just applied: it is there, and in a moment it is served."""
        if self._definitions_there is None:
            self._definitions_there = {}
            with contextlib.suppress(Refused):
                for each in self._api.get(f"/apis/{_DEFINITIONS}/customresourcedefinitions").get("items") or []:
                    self._definitions_there[each["spec"]["group"], each["spec"]["names"]["kind"]] = each["metadata"]["name"]
        name = self._definitions_there.get((group_of(api_version), kind))
        if name is None:
            return
        if name not in self._established:
            self._wait_until_established(name)
            self._becomes_known(api_version, kind, min(self._patience, 5.0))  # not for long: it may not have this version

    def _wait_until_established(self, name: str) -> None:
        if name in self._established:
            return
        path = f"/apis/{_DEFINITIONS}/customresourcedefinitions/{name}"
        conditions: dict[str, Mapping[str, Any]] = {}

        def is_established() -> bool:
            status = self._api.get(path).get("status") or {}
            conditions.clear()
            conditions.update({str(each.get("type")): each for each in status.get("conditions") or []})
            return conditions.get("Established", {}).get("status") == "True" or conditions.get("NamesAccepted", {}).get("status") == "False"

        sleep_until(is_established, self._patience)
        refused = conditions.get("NamesAccepted", {})
        if refused.get("status") == "False":
            raise _NotNow(f"the cluster does not accept the names in {name}: {refused.get('message')}")
        if conditions.get("Established", {}).get("status") != "True":
            raise _NotNow(f"{name} was applied, but is not established after {self._patience:g} s")
        self._established.add(name)


def _check_form(document: Any) -> None:
    if not isinstance(document, Mapping):
        raise _NotNow(f"this is no object, but {type(document).__name__}")
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str) or not document[key]:
            raise _NotNow(f"{reference_of(document)} has no {key}: it is no Kubernetes object")
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        generated = isinstance(metadata, Mapping) and metadata.get("generateName")
        raise _NotNow("it has a generateName and no name: applied twice it would be there twice" if generated else "it has no name")
    for text in (metadata["name"], metadata.get("namespace") or ""):
        if text in (".", "..") or not isinstance(text, str) or "/" in text or "%" in text:
            raise _NotNow(f"{text!r} cannot be a name: none has a slash or percent sign in it")


def _finalizers(live: Mapping[str, Any]) -> list[str]:
    found = [str(each) for each in live.get("metadata", {}).get("finalizers") or []]
    return found + [str(each) for each in (live.get("spec") or {}).get("finalizers") or [] if live.get("kind") == "Namespace"]


def _secrets_of(document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("kind") != "Secret":
        return
    for key in ("data", "stringData"):
        values = document.get(key)
        for value in values.values() if isinstance(values, Mapping) else [values]:
            if value is None:
                continue
            yield str(value)
            try:
                yield base64.b64decode(str(value), validate=True).decode()
            except (binascii.Error, ValueError):
                continue
