"""What differs between two states of an object, a line for each place, without what the server keeps for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What the server sets, and no manifest says.
SERVER_METADATA = (
    "managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"
)  # fmt: skip
# kubectl keeps the whole object in it: of a Secret, with its values.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_VALUE = 160
_HIDDEN = "(hidden)"

_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """`path`: "spec.template.spec.containers[name=web].image"."""

    path: str
    before: Any = field(repr=False)
    after: Any = field(repr=False)
    is_added: bool = False
    is_removed: bool = False
    is_hidden: bool = False
    """A Secret's value: `before` and `after` say nothing."""

    def __str__(self) -> str:
        if self.is_added:
            return f"+ {self.path}: {_short(self.after)}"
        if self.is_removed:
            return f"- {self.path}: {_short(self.before)}"
        return f"~ {self.path}: {_HIDDEN}, another value" if self.is_hidden else f"~ {self.path}: {_short(self.before)} -> {_short(self.after)}"


def bare(document: Mapping[str, Any]) -> dict[str, Any]:
    """The object as somebody would write it: without its status and what the server keeps in its metadata."""
    metadata = document.get("metadata")
    kept = {key: value for key, value in (metadata if isinstance(metadata, Mapping) else {}).items() if key not in SERVER_METADATA}
    return {**{key: value for key, value in document.items() if key != "status"}, "metadata": kept}


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[Change, ...]:
    """From `before`, or from nothing, to `after`. Of Secrets, only the names of keys are in it."""
    is_secret = after.get("kind") == "Secret" and after.get("apiVersion") == "v1"
    return tuple(
        _hide(change) if is_secret and _is_secret_place(change.path) else change
        for change in _compare("", _opened(_name_of(after) if before is None else before, is_secret), _opened(after, is_secret))
    )


def is_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether nothing differs, not even who manages which fields. Their times do not count, nor the status, which others write."""
    return bare(before) == bare(after) and _managers(before) == _managers(after)


def _managers(document: Mapping[str, Any]) -> list[Any]:
    entries = (document.get("metadata") or {}).get("managedFields") or []
    return [{key: value for key, value in each.items() if key != "time"} for each in entries if each.get("subresource") != "status"]


def _name_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a new object whoever applies it knows without being told."""
    metadata = document.get("metadata") or {}
    named = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    return {"apiVersion": document.get("apiVersion"), "kind": document.get("kind"), "metadata": named}


def _opened(document: Mapping[str, Any], is_secret: bool) -> dict[str, Any]:
    opened = bare(document)
    if is_secret:
        # Each key gets a line of its own, so that what is hidden is a value and not the key.
        opened = {**opened, "data": opened.get("data") or {}, "stringData": opened.get("stringData") or {}}
    annotations = opened["metadata"].get("annotations")
    if is_secret and isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
        kept = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
        opened["metadata"] = {**opened["metadata"], "annotations": kept}
    return opened


def _is_secret_place(path: str) -> bool:
    return path.startswith(("data", "stringData"))


def _hide(change: Change) -> Change:
    before = None if change.is_added else _HIDDEN
    after = None if change.is_removed else _HIDDEN
    return Change(change.path, before, after, change.is_added, change.is_removed, is_hidden=True)


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before is _ABSENT:
        yield Change(path, None, after, is_added=True)
    elif after is _ABSENT:
        yield Change(path, before, None, is_removed=True)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _compare(_below(path, str(key)), before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_lists(path, before, after)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Change(path, before, after)


def _compare_lists(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    if old is not None and new is not None:
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _compare(f"{path}[name={name}]", old.get(name, _ABSENT), new.get(name, _ABSENT))
        return
    for index in range(max(len(before), len(after))):
        yield from _compare(
            f"{path}[{index}]", before[index] if index < len(before) else _ABSENT, after[index] if index < len(after) else _ABSENT
        )


def _by_name(values: Sequence[Any]) -> dict[str, Any] | None:
    """Containers, ports, variables: what moves within the list is the same thing. None: they have no names, or not one each."""
    if not all(isinstance(value, Mapping) and isinstance(value.get("name"), str) for value in values):
        return None
    named = {value["name"]: value for value in values}
    return named if len(named) == len(values) else None


def _below(path: str, key: str) -> str:
    plain = key.replace("-", "").replace("_", "").isalnum()
    step = key if plain else f"[{json.dumps(key, ensure_ascii=False)}]"
    return step if not path else f"{path}.{step}" if plain else f"{path}{step}"


def _short(value: Any) -> str:
    if value == _HIDDEN:
        return _HIDDEN
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"
