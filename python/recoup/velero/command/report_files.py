"""Reports that commands write into files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Protocol

import click

from ..._engine import StorageError
from ..files import appearing
from .context import as_json_text


def check_writable(paths: Iterable[str]) -> None:
    """What is reported takes long: that its report cannot be written is to be known before."""
    for path in paths:
        directory = os.path.dirname(os.path.abspath(path))
        if not os.access(directory, os.W_OK | os.X_OK):
            raise click.UsageError(f"the report {path} cannot be written: {directory} is no directory that can be written into")


class _Report(Protocol):
    def to_json(self) -> dict[str, Any]: ...


def json_text(report: _Report) -> str:
    return as_json_text(report.to_json(), indent=2) + "\n"


def write_file(path: str, content: str) -> None:
    """Whole or not at all: whoever reads it beside us sees the old one or the new one. Raises StorageError."""
    try:
        with appearing(path) as file:
            file.write(content.encode())
    except OSError as problem:
        raise StorageError(f"the report {path} cannot be written: {problem.strerror or problem}") from problem
