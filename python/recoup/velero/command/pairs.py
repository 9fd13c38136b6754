"""KEY=VALUE on the command line."""

from __future__ import annotations

from collections.abc import Iterable

import click


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """Of two with the same key, the later one. Raises click.UsageError, naming the option."""
    found = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{option} {each}: it has the form KEY=VALUE")
        found[key] = value
    return found
