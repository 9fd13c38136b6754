"""Looking into documents of Kubernetes that may hold anything: what is not of the type that it should be counts as absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def part(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at that path; an empty one where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """The mappings in a list."""
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())
