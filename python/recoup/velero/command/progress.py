"""How far something is, on a terminal; nothing where nobody looks."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from typing_extensions import Self


class ByteProgress:
    """One bar on standard error, for one thing after the other.

    with ByteProgress() as progress:
        progress.show("db/data", 10, 100)
    """

    def __init__(self, *, is_shown: bool = True) -> None:
        console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (is_shown and console.is_terminal),
        )
        self._task = self._bars.add_task("", total=None)
        self._description = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._bars.stop()

    def show(self, description: str, done: int, total: int) -> None:
        """Bytes; a total of 0 is one that is not known yet."""
        if description != self._description:
            self._description = description
            self._bars.reset(self._task)
        self._bars.update(self._task, description=description, completed=done, total=total or None)
