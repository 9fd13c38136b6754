"""How the pods are made through which claims in a cluster are filled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..cluster import HelperSettings
from ..cluster.helper_pod import IMAGE
from .pairs import pairs

_Command = TypeVar("_Command", bound=Callable[..., Any])


def helper_options(command: _Command) -> _Command:
    """The command gets them as `helper`."""

    @functools.wraps(command)
    def chosen(*arguments: Any, image: str | None, node_selector: tuple[str, ...], toleration: tuple[str, ...], **others: Any) -> Any:
        settings = HelperSettings(image or IMAGE, node_selector=pairs(node_selector, "--node-selector"), tolerations=[_toleration(each) for each in toleration])
        return command(*arguments, helper=settings, **others)

    found: Any = chosen
    for option in (
        click.option("--toleration", multiple=True, metavar="KEY[=VALUE][:EFFECT]",
                     help="Of the helper pod: a taint of nodes on which it may run all the same. May be given several times."),
        click.option("--node-selector", multiple=True, metavar="KEY=VALUE", help="Of the helper pod: labels of the nodes on which it may run."),
        click.option("--image", metavar="IMAGE", help=f"Of the helper pod: with sh and tar, GNU's if it can be.  [default: {IMAGE}]"),
    ):  # fmt: skip
        found = option(found)
    typed: _Command = found
    return typed


def _toleration(text: str) -> Mapping[str, str]:
    """As kubectl taint writes a taint."""
    rest, colon, effect = text.rpartition(":")
    if not colon:
        rest, effect = text, ""
    key, equals, value = rest.partition("=")
    if not key or effect not in ("", "NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise click.UsageError(f"--toleration {text}: it has the form KEY[=VALUE][:EFFECT], such as dedicated=storage:NoSchedule")
    found = {"key": key, "operator": "Equal" if equals else "Exists"}
    return {**found, **({"value": value} if equals else {}), **({"effect": effect} if effect else {})}
