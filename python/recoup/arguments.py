"""What callers may pass, and how it is made uniform."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal, Protocol, Union

from ._engine import InvalidArgumentError

#: A file name: what `open` takes.
Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
#: One or several. A single str is one item, never its letters: exclude="*.tmp" must not mean "*".
Paths = Union[Path, Iterable[Path]]
Strings = Union[str, Iterable[str]]
#: Lists of tags: "a,b" or ("a", "b") is one of two tags.
TagLists = Union[str, Iterable[Union[str, Iterable[str]]]]

#: How hard to compress. "auto" finds what does not shrink and leaves it.
Compression = Literal["auto", "off", "fastest", "better", "max"]
#: What a restore does about files that exist: "always" rewrites the parts that differ; "if-changed" does too, but takes
#: equal size and modification time for equal content; "if-newer" writes what is newer in the snapshot.
Overwrite = Literal["always", "if-changed", "if-newer", "never"]


class Readable(Protocol):
    """A binary file: what `open(…, "rb")` gives."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


def paths(given: Paths) -> list[Path]:
    return [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given)


def strings(given: Strings) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def tag_lists(given: TagLists) -> list[list[str]]:
    items = [given] if isinstance(given, str) else given
    return [item.split(",") if isinstance(item, str) else list(item) for item in items]


def at_least(minimum: int, value: Any, name: str) -> Any:
    """The value; raises InvalidArgumentError if it is less than what makes sense."""
    if value is not None and value < minimum:
        raise InvalidArgumentError(f"{name} is at least {minimum}, not {value}")
    return value
