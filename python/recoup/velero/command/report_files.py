"""Reports that commands write into files."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable

import click

from ..._engine import StorageError


def check_writable(paths: Iterable[str]) -> None:
    """What is reported takes long: that its report cannot be written is to be known before."""
    for path in paths:
        directory = os.path.dirname(os.path.abspath(path))
        if not os.access(directory, os.W_OK | os.X_OK):
            raise click.UsageError(f"the report {path} cannot be written: {directory} is no directory that can be written into")


def write_file(path: str, content: str) -> None:
    """Whole or not at all: whoever reads it beside us sees the old one or the new one. Raises StorageError."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8") as device:  # as /dev/stdout and pipes are
                device.write(content)
            return
        target = os.path.realpath(path)
        directory, name = os.path.split(target)
        made = os.path.join(directory, f".{name[:200]}.{secrets.token_hex(8)}")
        try:
            with open(made, "x", encoding="utf-8") as file:
                file.write(content)
            os.replace(made, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(made)
            raise
    except OSError as problem:
        raise StorageError(f"the report {path} cannot be written: {problem.strerror or problem}") from problem
