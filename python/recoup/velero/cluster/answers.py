"""What a Kubernetes API server answers: a document, or a refusal with its reasons, put into words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._engine import AccessDeniedError, Error, InvalidArgumentError, NotFoundError, StorageError

# The server wraps what a webhook or a validation said in sentences about itself; a page of them helps nobody.
_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Answer:
    """A request that was granted."""

    status: int
    """200, or 201 where the object did not exist."""
    document: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()
    """What the server has to say all the same: fields it does not know, versions that end."""


@dataclass(frozen=True)
class Cause:
    reason: str  # "FieldManagerConflict", "FieldValueInvalid"
    message: str
    field: str  # ".spec.replicas"


class Refused(Exception):
    """The server said no. Only inside recoup.velero.cluster: error() is what others see."""

    def __init__(self, status: int, reason: str, message: str, causes: Iterable[Cause] = (), retry_after: float = 0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message[:_LONGEST_MESSAGE]
        self.causes = tuple(causes)
        self.retry_after = retry_after

    @staticmethod
    def parse(status: int, content: bytes, retry_after: float = 0) -> Refused:
        """`content` is a Status object, unless a proxy answered."""
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, Mapping):
            text = content.decode(errors="replace").strip()
            return Refused(status, "", text or f"the server answered {status} and nothing more", retry_after=retry_after)
        details = said.get("details") or {}
        causes = [
            Cause(str(each.get("reason") or ""), str(each.get("message") or ""), str(each.get("field") or ""))
            for each in details.get("causes") or []
        ]
        message = str(said.get("message") or f"the server answered {status}")
        return Refused(status, str(said.get("reason") or ""), message, causes, retry_after or float(details.get("retryAfterSeconds") or 0))

    @property
    def is_missing(self) -> bool:
        return self.status == 404

    @property
    def already_exists(self) -> bool:
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_passing(self) -> bool:
        """The same request may be granted in a moment."""
        if self.status == 500:
            # Also what makes no sense to the server can be an internal error to it.
            return bool(_PASSING.search(self.message))
        # 409: somebody wrote at the same time; not a conflict about who owns a field.
        return self.status in (429, 502, 503, 504) or (self.status == 409 and self.reason == "Conflict" and not self.causes)

    def error(self, doing: str) -> Error:
        """As recoup raises it. `doing`: "create schedule velero/daily"."""
        text = f"cannot {doing}: {words(self)}"
        if self.status in (401, 403) and not self._is_about_the_object:
            return AccessDeniedError(text)
        if self.status in (404, 410):
            return NotFoundError(text)
        if self.status in (400, 403, 405, 409, 413, 415, 422):
            return InvalidArgumentError(text)
        return StorageError(text)

    @property
    def _is_about_the_object(self) -> bool:
        """403 says two things: that this user may not, and that nobody may, as the namespace is being deleted or its quota is used up."""
        return self.status == 403 and (self.is_about_terminating or "exceeded quota" in self.message)

    @property
    def is_about_terminating(self) -> bool:
        return any(cause.reason == "NamespaceTerminating" for cause in self.causes) or "because it is being terminated" in self.message

    @property
    def silent_webhook(self) -> str:
        """Which webhook did not answer the server; "" if that is not the reason."""
        found = _SILENT_WEBHOOK.search(self.message)
        return found["name"] if found else ""

    @property
    def is_about_dry_runs(self) -> bool:
        """A webhook with side effects cannot say what it would do."""
        return self.status == 400 and "dry run" in self.message

    def without(self, secrets: Iterable[str]) -> Refused:
        """The same, where none of `secrets` is in the words: validation quotes what it does not like."""
        said = sorted({each for each in secrets if len(each) > 2}, key=len, reverse=True)

        def hide(text: str) -> str:
            for each in said:
                text = text.replace(each, "(hidden)")
            return text

        causes = [Cause(cause.reason, hide(cause.message), cause.field) for cause in self.causes]
        return Refused(self.status, self.reason, hide(self.message), causes, self.retry_after)


_PASSING = re.compile(r"etcdserver|timed? ?out|webhook|connection re(fused|set)|EOF|try again", re.IGNORECASE)
_SILENT_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]*)"')
_RBAC = re.compile(r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?')
# "… is forbidden: updates to statefulset spec for fields other than", "may not be changed once set": every kind has its own words.
_IMMUTABLE = re.compile(r"immutable|may not be (changed|updated)|may not change|updates to .* are forbidden|cannot be (changed|updated)", re.IGNORECASE)


def words(refused: Refused) -> str:
    """What the server said, and what can be done about it."""
    if refused.status == 401:
        return f"the server does not know who asks ({refused.message}): the credentials are wrong or have run out; log in again"
    owners = conflicting_managers(refused)
    if owners:
        whose = "; ".join(f"{', '.join(places)} {'belongs' if len(places) == 1 else 'belong'} to {owner}" for owner, places in owners.items())
        return f"{whose}. Whoever applies there would set it back. To take the fields over, force conflicts (--force-conflicts)"
    if refused.is_about_terminating:
        return f"its namespace is being deleted ({refused.message}). Wait until it is gone, and apply again"
    denied = _RBAC.search(refused.message)
    if refused.status == 403 and denied:
        group = f' in API group "{denied["group"]}"' if denied["group"] else ""
        return f"{refused.message}. A Role or ClusterRole has to allow {denied['verb']} on {denied['resource']}{group}"
    if refused.status == 422 and _IMMUTABLE.search(refused.message):
        return f"{refused.message}. Kubernetes does not change that in an object that exists: delete the object first, if it may go"
    if "not declared in schema" in refused.message:
        return f"{refused.message}. The cluster does not know that field: what defines the kind there is older or newer than the manifest; take the field out"
    if refused.silent_webhook:
        return (
            f"{refused.message}. The cluster asks that webhook about each such object, and nothing answers: apply again when its pods run, or "
            f"delete its webhook configuration if they never will"
        )
    if refused.status == 503 and refused.message == "service unavailable":
        # An APIService without its server; kubectl shows no more.
        return f"{refused.message}: the server of this API does not run (kubectl get apiservices). Apply again when it does"
    if refused.is_about_dry_runs:
        return f"{refused.message}. What it would say is known only without a dry run"
    return refused.message


def conflicting_managers(refused: Refused) -> dict[str, list[str]]:
    """Who owns fields that were to be applied: {'"kubectl-client-side-apply"': [".spec.replicas"]}."""
    owners: dict[str, list[str]] = {}
    for cause in refused.causes:
        if cause.reason == "FieldManagerConflict":
            # 'conflict with "argocd-controller" using apps/v1'
            owner = cause.message.replace("conflict with ", "", 1).partition(" using ")[0]
            owners.setdefault(owner or "another field manager", []).append(cause.field or "a field")
    return owners
