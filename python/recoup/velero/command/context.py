"""What all subcommands have: the bucket, and how to print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ..._engine import NotFoundError, UnsupportedError
from ...network import Network
from ..bucket import VeleroBucket
from ..fields import format_time, in_words, printable
from ..repositories import Repositories
from .connection import Connection
from .everywhere import Given
from .pairs import pairs
from .passwords import read_passwords

# Longer than what anybody has to say in a cell or a line.
_WHOLE = 100_000
_UNPRINTED = re.compile("[\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Opening:
    """How the bucket is opened, and the repositories in it."""

    location: str
    options: Mapping[str, str]
    network: Network | None = None


class Context:
    def __init__(self, given: Given) -> None:
        self._given = given
        self.connection = Connection(given)

    @property
    def as_json(self) -> bool:
        return self._given.as_json

    @cached_property
    def bucket(self) -> VeleroBucket:
        opening = self._opening
        bucket = VeleroBucket.open(opening.location, network=opening.network, options=opening.options)
        click.get_current_context().find_root().call_on_close(bucket.close)
        return bucket

    @cached_property
    def repositories(self) -> Repositories:
        opening = self._opening
        return Repositories(self.bucket, passwords=read_passwords(self._given.password_files, self._given.password_command), options=opening.options, network=opening.network)

    @cached_property
    def _opening(self) -> Opening:
        options = pairs(self._given.options, "-o")
        if self._given.bucket:
            return Opening(self._given.bucket, options)
        try:
            place, network = self.connection.place()
        except (NotFoundError, UnsupportedError) as problem:
            raise click.UsageError(
                f"which bucket? Give --bucket s3:http://host:9000/velero-backups (or a directory), or set RECOUP_VELERO_BUCKET. The cluster does "
                f"not tell: {problem}"
            ) from problem
        return Opening(place.location, {**place.options, **options}, network)

    @cached_property
    def console(self) -> Console:
        # Where nobody looks at it, a line is a line, however long.
        console = Console(highlight=False, markup=False, emoji=False)
        return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=100_000)

    def print_json(self, document: Any) -> None:
        click.echo(as_json_text(document, indent=2))

    def print_json_array(self, documents: Iterable[Any]) -> None:
        """One document, an element a line, without holding millions of them. Ended also where reading them fails."""
        before = "[\n  "
        try:
            for each in documents:
                click.echo(before + as_json_text(each), nl=False)
                before = ",\n  "
        finally:
            click.echo("[]" if before.startswith("[") else "\n]")

    def print_table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns whose heading begins with ">" are aligned to the right. What would steer a terminal is escaped."""
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
        for row in rows:
            table.add_row(*(printable(cell, _WHOLE) for cell in row))
        self.console.print(table, soft_wrap=not self.console.is_terminal)

    def print_fields(self, fields: Iterable[tuple[str, str]]) -> None:
        """Those that have a value, of one line or several. What would steer a terminal is escaped."""
        shown = [(name, value) for name, value in fields if value]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            first, *more = (printable(line, _WHOLE) for line in value.split("\n"))
            click.echo(f"{name + ':':<{width + 2}}{first}")
            for line in more:
                click.echo(f"{'':<{width + 2}}{line}")


def as_json_text(document: Any, indent: int | None = None) -> str:
    """Names of files that are not UTF-8 have surrogates for it, which no output takes, and some characters steer a terminal. JSON
    has words for them: \\udce9, \\u009b."""
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=_as_json)
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def as_time(time: datetime | None) -> str:
    """In the reader's time zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else "-"


def as_bytes(count: int) -> str:
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def as_duration(span: timedelta | None) -> str:
    return "-" if span is None else in_words(span)
