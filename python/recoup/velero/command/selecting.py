"""Which backup, which of its objects, and what is to be another in them: what `manifests` and `restore` ask alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import click

from ..._engine import NotFoundError
from ..bucket import Backup, VeleroBucket, newest
from ..fields import printable
from ..manifests import Selection, parse_mapping
from ..selectors import LabelSelector
from ..stripping import Changes

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NAMES_TOLD = 5


def selection_options(*, secrets: bool = False) -> Callable[[_Command], _Command]:
    """Their values are keyword arguments, which `make_selection` takes as they are. `secrets`: whether Secrets come along where
    nobody says anything about them."""

    def add(command: _Command) -> _Command:
        for option in (
            click.option("--keep-node-ports", is_flag=True, help="Services keep the ports of the nodes that the old cluster gave them."),
            click.option("--map-storage-class", "mapped_storage_classes", multiple=True, metavar="OLD=NEW",
                         help="Claims of the storage class OLD get NEW. May be given several times."),
            click.option("--map-namespace", "mapped_namespaces", multiple=True, metavar="OLD=NEW",
                         help="What was in the namespace OLD comes into NEW. May be given several times."),
            click.option("--cluster-resources/--no-cluster-resources", default=None,
                         help="Whether objects without a namespace come along.  [default: all, but with --namespace those that objects there need]"),
            click.option("--secrets/--no-secrets", default=secrets, show_default=True, help="Whether Secrets come along that --include does not name."),
            click.option("--selector", "-l", "selectors", multiple=True, metavar="LABELS",
                         help="As for kubectl: app=web,tier!=cache. Of several, one has to fit. What pods need (claims, volumes) comes along."),
            click.option("--exclude-namespace", "exclude_namespaces", multiple=True, metavar="NAME,…"),
            click.option("--namespace", "--include-namespace", "namespaces", multiple=True, metavar="NAME,…",
                         help="Only what was in this namespace of the backup, with * and ?. May be given several times."),
            click.option("--exclude", multiple=True, metavar="KIND,…"),
            click.option("--include", multiple=True, metavar="KIND,…",
                         help="Only objects of this kind: deployments, deploy, Deployment, deployments.apps, '*.velero.io'. May be given several times."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def make_selection(chosen: Mapping[str, Any]) -> tuple[Selection, Changes]:
    """What the options of `selection_options` say. Raises InvalidArgumentError, click.UsageError."""
    selection = Selection(
        include=tuple(_listed(chosen["include"], "--include")),
        exclude=tuple(_listed(chosen["exclude"], "--exclude")),
        namespaces=tuple(_listed(chosen["namespaces"], "--namespace")),
        exclude_namespaces=tuple(_listed(chosen["exclude_namespaces"], "--exclude-namespace")),
        selectors=tuple(LabelSelector.parse(each) for each in chosen["selectors"]),
        cluster_resources=chosen["cluster_resources"],
        secrets=chosen["secrets"],
    )
    changes = Changes(
        namespaces=parse_mapping(chosen["mapped_namespaces"], "--map-namespace"),
        storage_classes=parse_mapping(chosen["mapped_storage_classes"], "--map-storage-class"),
        keep_node_ports=chosen["keep_node_ports"],
    )
    return selection, changes


def _listed(texts: Iterable[str], option: str) -> Iterator[str]:
    """Names with commas between them. A variable that is empty in a script must not come to mean everything."""
    for text in texts:
        names = [each.strip() for each in text.split(",")]
        if not all(names):
            raise click.UsageError(f"{option} {text!r}: a name is empty")
        yield from names


def chosen_backup(bucket: VeleroBucket, name: str = "latest", *, at: datetime | None = None, schedule: str | None = None) -> Backup:
    """By its name; "latest" is the newest one that can be restored: not later than `at`, of that schedule. Newer ones that cannot
    are told on standard error. Raises NotFoundError."""
    if name != "latest":
        return bucket.backup(name)
    there = bucket.backups()
    found = newest(there, at=at, schedule=schedule)
    if found is None:
        raise NotFoundError(f"{bucket.location} holds no backup that can be restored{_why_none(bucket, there, at, schedule)}")
    passed_over = [
        f"{printable(each.name)} ({each.state})"
        for each in there[there.index(found) + 1 :]
        if each.time and (at is None or each.time <= at) and schedule in (None, each.schedule)
    ]
    if passed_over:
        few = ", ".join(passed_over[-_NAMES_TOLD:]) + (f" and {len(passed_over) - _NAMES_TOLD} more" if len(passed_over) > _NAMES_TOLD else "")
        click.echo(f"note: {printable(found.name)} is the newest backup that can be restored; newer ones cannot: {few}", err=True)
    return found


def _why_none(bucket: VeleroBucket, there: list[Backup], at: datetime | None, schedule: str | None) -> str:
    if not there:
        return f": {bucket.why_empty()}"
    if at is None and schedule is None:
        return "; `recoup velero backups` shows what there is"
    return " and is so old, or of that schedule; `recoup velero backups` shows what there is"
