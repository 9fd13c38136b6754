"""Passwords that somebody gives, as restic takes them; without any, those that the bucket itself holds are tried."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ..._engine import InvalidArgumentError

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Passwords:
    """Where they are to be found. They are read when the first repository is opened."""

    files: Sequence[str] = ()
    command: str | None = None

    def read(self) -> list[bytes]:
        """Raises InvalidArgumentError."""
        variable = os.environ.get("RESTIC_PASSWORD_FILE")
        found = [_from_file(file) for file in self.files or ([variable] if variable else [])]
        if self.command:
            found.append(_from_command(self.command))
        if os.environ.get("RESTIC_PASSWORD"):
            found.append(os.fsencode(os.environ["RESTIC_PASSWORD"]))
        return found


def password_options(command: _Command) -> _Command:
    for option in (
        click.option("--password-command", metavar="COMMAND", envvar="RESTIC_PASSWORD_COMMAND",
                     help="A program that prints the repositories' password.  [env: RESTIC_PASSWORD_COMMAND]"),
        click.option("--password-file", "-p", "password_files", multiple=True, metavar="FILE",
                     help="A file with the repositories' password; several are all tried. Without any: what the Secret in the backups holds, and "
                          "Velero's default.  [env: RESTIC_PASSWORD_FILE, or the password itself in RESTIC_PASSWORD]"),
    ):  # fmt: skip
        command = option(command)
    return command


def _from_file(file: str) -> bytes:
    try:
        return _line(Path(file).read_bytes(), f"the password file {file}")
    except OSError as problem:
        raise InvalidArgumentError(f"the password file {file} cannot be read: {problem.strerror}") from problem


def _from_command(command: str) -> bytes:
    try:
        said = subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    except (OSError, ValueError, subprocess.CalledProcessError) as problem:
        raise InvalidArgumentError(f"the password command failed: {problem}") from problem
    return _line(said, "what the password command printed")


def _line(content: bytes, what: str) -> bytes:
    """As restic reads it: without what is white around it."""
    found = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not found:
        raise InvalidArgumentError(f"{what} is empty")
    return found
