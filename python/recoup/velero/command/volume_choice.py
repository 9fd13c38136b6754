"""Which volume, of which backup: the argument and the options that all commands about one volume have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import click

from ..._engine import Error, NotFoundError
from ..contents import OpenVolume, open_volume
from ..fields import printable
from ..repositories import StoredSnapshot
from ..search import FoundVolume, find_volume
from .context import Context, as_time
from .times import when

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NEWER_SHOWN = 3


@dataclass(frozen=True)
class VolumeChoice:
    """As given on the command line."""

    name: str
    backup: str | None = None
    at: datetime | None = None
    schedule: str | None = None

    def __post_init__(self) -> None:
        if self.backup not in (None, "latest") and (self.at is not None or self.schedule is not None):
            raise click.UsageError("--backup names the backup: --at and --schedule are for finding one")

    @property
    def is_for_newest(self) -> bool:
        """Whether whoever asked would rather have a newer copy, if there was one."""
        return self.backup in (None, "latest") and self.at is None and self.schedule is None

    def open(self, context: Context) -> ChosenVolume:
        """Raises what finding and opening it raises."""
        found = find_volume(
            context.bucket, self.name, backup=self.backup, at=self.at, schedule=self.schedule, repositories=context.repositories
        )
        return ChosenVolume(context, self, found, open_volume(context.repositories, found.volume))


class ChosenVolume:
    """A volume that was found and opened, and what is to be said of it."""

    def __init__(self, context: Context, choice: VolumeChoice, found: FoundVolume, opened: OpenVolume) -> None:
        self._context = context
        self._choice = choice
        self.found = found
        self.opened = opened

    @cached_property
    def backup_time(self) -> datetime | None:
        """When the backup began; of a lost one, when the volume was stored."""
        try:
            return self._context.bucket.backup(self.found.volume.backup).time
        except NotFoundError:
            return self.found.volume.time

    @cached_property
    def newer_copies(self) -> list[StoredSnapshot]:
        """Only where the newest copy is wanted: all the repository's snapshots are read for it. That they cannot be is no reason
        to restore nothing."""
        try:
            return self.opened.newer_copies() if self._choice.is_for_newest else []
        except Error:
            return []

    def newer_notes(self) -> list[str]:
        return [
            f"there is a newer copy, snapshot {each.snapshot.short_id} of {as_time(each.time)}, in backup {each.backup}: "
            f"--backup {each.backup} takes it"
            for each in self.newer_copies[-_NEWER_SHOWN:]
        ]

    def fields(self) -> list[tuple[str, str]]:
        """For `Context.print_fields`."""
        volume, snapshot, repository = self.found.volume, self.opened.snapshot, self.opened.repository
        return [
            ("Volume", volume.name + (f" (pod {printable(volume.pod)}, volume {printable(volume.volume)})" if volume.claim else "")),
            ("Backup", f"{printable(volume.backup)} of {as_time(self.backup_time)}"),
            ("Snapshot", f"{snapshot.short_id} of {as_time(snapshot.time)}" if snapshot else "none: the volume was empty"),
            ("Repository", printable(repository.place.prefix) if repository else ""),
            ("Password", printable(repository.password.origin) if repository else ""),
        ]

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        volume, snapshot, repository = self.found.volume, self.opened.snapshot, self.opened.repository
        return {
            "name": volume.name,
            "namespace": volume.namespace,
            "claim": volume.claim,
            "pod": volume.pod or None,
            "volume": volume.volume or None,
            "backup": volume.backup,
            "backup_time": self.backup_time,
            "snapshot": snapshot.id if snapshot else None,
            "snapshot_time": snapshot.time if snapshot else None,
            "repository": repository.place.prefix if repository else None,
            "password_origin": repository.password.origin if repository else None,
            "notes": list(self.found.notes),
        }


def volume_options(command: _Command) -> _Command:
    """The argument NAMESPACE/PVC and the options that choose the backup; the command gets them as `choice`."""

    @functools.wraps(command)
    def chosen(*arguments: Any, volume_name: str, backup_name: str | None, at: datetime | None, schedule: str | None, **others: Any) -> Any:
        return command(*arguments, choice=VolumeChoice(volume_name, backup_name, at, schedule), **others)

    found: Any = chosen
    for option in (
        click.option("--schedule", metavar="NAME", help="Only backups of this schedule."),
        click.option("--at", type=when, metavar="TIME",
                     help="As it was then: from the newest backup that is not later. 2026-01-31 (until that day's end), '2026-01-31 02:00' (local "
                          "time), 2026-01-31T02:00:00Z, or how long ago: 2d, 36h."),
        click.option("--backup", "backup_name", metavar="NAME|latest",
                     help="This backup, or the latest that can be restored. Without it: the newest that has a copy of the volume."),
        # The argument comes first, as the command is called.
        click.argument("volume_name", metavar="NAMESPACE/PVC"),
    ):  # fmt: skip
        found = option(found)
    typed: _Command = found
    return typed


def print_notes(notes: Iterable[str]) -> None:
    """On standard error, where they are in nobody's way."""
    for note in notes:
        click.echo(f"note: {printable(note, 4000)}", err=True)
