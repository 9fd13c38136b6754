"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from typing import IO

# With the longest name that file systems take, 255 bytes.
_LONGEST = 200
_SUFFIX = re.compile(r"\.[0-9a-f]{16}\.part")


@contextlib.contextmanager
def appearing(path: str, *, is_private: bool = False) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of what is at `path` at the end of the block, and not if that raises. Only its owner
    can read it if it `is_private`. What is no file, such as a pipe or /dev/stdout, is written into. Raises OSError."""
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as into:
            yield into
        return
    whole = os.path.realpath(path)
    made = unfinished(whole)
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if is_private else 0o666)
    try:
        with open(descriptor, "wb") as into:
            yield into
            into.flush()
            os.fsync(into.fileno())
        os.replace(made, whole)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)
        raise


def unfinished(path: str) -> str:
    """A path beside that one, for what is to take its place."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f"{_beginning(name)}.{secrets.token_hex(8)}.part")


def is_unfinished(name: str, wanted: str) -> bool:
    """Whether the file or directory `name` is what a process that was killed left of `wanted`."""
    beginning = _beginning(wanted)
    return name.startswith(beginning) and _SUFFIX.fullmatch(name, len(beginning)) is not None


def _beginning(name: str) -> str:
    return ".recoup-" + os.fsdecode(os.fsencode(name)[:_LONGEST])
