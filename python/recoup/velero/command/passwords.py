"""Passwords that somebody gives, as restic takes them; without any, those that the bucket itself holds are tried."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..._engine import InvalidArgumentError


def read_passwords(files: Sequence[str], command: str | None) -> list[bytes]:
    """From what was given on the command line, or else the environment. Raises InvalidArgumentError."""
    variable = os.environ.get("RESTIC_PASSWORD_FILE")
    found = [_from_file(file) for file in files or ([variable] if variable else [])]
    if command:
        found.append(_from_command(command))
    if os.environ.get("RESTIC_PASSWORD"):
        found.append(os.fsencode(os.environ["RESTIC_PASSWORD"]))
    return found


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
