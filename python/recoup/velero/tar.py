"""Entries of a tar archive, as a stream: ustar, PAX and GNU, as far as Go writes them (archive/tar).

Python's tarfile is of no use for archives of strangers: it follows chains of headers by recursion, keeps sparse maps of any
length in memory, and takes an archive without an end for a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from .._engine import DamagedError
from .fields import printable

_BLOCK = 512
# A header for a long name. A larger one would only be there to fill memory.
_LARGEST_EXTENSION = 1 << 20
# Two for each object. As many as would fill a machine's memory with names alone are an attack.
MOST_ENTRIES = 4_000_000
_LARGEST_SIZE = 1 << 63

_KINDS = {b"1": "a hard link", b"2": "a symlink", b"3": "a device", b"4": "a device", b"6": "a pipe"}


@dataclass(frozen=True)
class TarEntry:
    """`name` has surrogate escapes where it is not UTF-8. Nothing but a file has content."""

    name: str
    kind: str  # "a file", "a directory", "a symlink"…
    size: int  # bytes
    content: bytes | None  # None as well where it is too large

    @property
    def is_file(self) -> bool:
        return self.kind == "a file"


def entries(source: IO[bytes], largest: int) -> Iterator[TarEntry]:
    """Files with their content, those of more than `largest` bytes without. Raises DamagedError where the archive is cut off or
    is none."""
    count = 0
    extended: dict[str, str] = {}
    while header := _header(source):
        count += 1
        if count > MOST_ENTRIES:
            raise DamagedError(f"more than {MOST_ENTRIES} entries: a malicious archive")
        kind, size = header[156:157], _number(header[124:136])
        if kind in (b"x", b"g", b"L", b"K"):
            if size > _LARGEST_EXTENSION:
                raise DamagedError(f"a header of {size} bytes: a damaged or malicious archive")
            said = _exactly(source, size)
            _skip(source, _padding(size))
            if kind == b"x":
                extended.update(_records(said))
            elif kind == b"L":
                extended["path"] = _text(said)
            continue
        yield _entry(source, header, size, extended, largest)
        extended = {}
    # Behind the end there is nothing but gzip's checksum, which only who reads on gets to see.
    while source.read(1 << 20):
        pass


def _entry(source: IO[bytes], header: bytes, size: int, extended: dict[str, str], largest: int) -> TarEntry:
    kind = header[156:157]
    name = extended.get("path") or _name(header)
    if "size" in extended:
        size = _decimal(extended["size"])
    if kind in _KINDS:
        return TarEntry(name, _KINDS[kind], 0, None)
    if kind == b"5":
        return TarEntry(name, "a directory", 0, None)
    what = "a file" if kind in (b"0", b"\0") else f"of the kind {printable(repr(kind))}"
    if what == "a file" and name.endswith("/"):
        what = "a directory"
    if kind == b"S" or any(each.startswith("GNU.sparse.") for each in extended):
        what = "a sparse file"
        more = kind == b"S" and header[482]
        while more:
            more = _exactly(source, _BLOCK)[504]
    if what != "a file" or size > largest:
        _skip(source, size + _padding(size))
        return TarEntry(name, what, size, None)
    content = _exactly(source, size)
    _skip(source, _padding(size))
    return TarEntry(name, what, size, content)


def _header(source: IO[bytes]) -> bytes:
    """b"" at the archive's end, which is a block of zeros."""
    header = _exactly(source, _BLOCK)
    if not header.strip(b"\0"):
        return b""
    blank = header[:148] + b" " * 8 + header[156:]
    checksum, unsigned = _number(header[148:156]), sum(blank)
    # Some programs have summed signed bytes; both count.
    if checksum != unsigned and checksum != unsigned - 256 * sum(1 for each in blank if each >= 128):
        raise DamagedError("no header of a tar archive where there should be one")
    return header


def _name(header: bytes) -> str:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's way of writing large numbers; the second bit is the sign
        number = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    else:
        digits = field.strip(b" \0")
        if digits.strip(b"01234567"):
            raise DamagedError("a header of the archive is damaged")
        number = int(digits or b"0", 8)
    if number >= _LARGEST_SIZE:
        raise DamagedError("a header of the archive is damaged: a number that is too large")
    return number


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) >= _LARGEST_SIZE:
        raise DamagedError(f"a header of the archive is damaged: a size of {printable(text)}")
    return int(text)


def _records(said: bytes) -> Iterator[tuple[str, str]]:
    """PAX: "25 path=resources/pods/x\\n"…"""
    position = 0
    while position < len(said):
        blank = said.find(b" ", position, position + 20)
        length = said[position:blank] if blank > 0 else b""
        end = position + int(length) if length.isdigit() else 0
        key, equals, value = said[blank + 1 : max(end - 1, 0)].partition(b"=")
        if end <= blank + 1 or end > len(said) or said[end - 1 : end] != b"\n" or not equals:
            raise DamagedError("a header of the archive is damaged: no list of keys and values")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        position = end


def _padding(size: int) -> int:
    return -size % _BLOCK


def _exactly(source: IO[bytes], count: int) -> bytes:
    content = source.read(count)
    if len(content) < count:
        raise DamagedError("it ends in the middle")
    return content


def _skip(source: IO[bytes], count: int) -> None:
    while count:
        count -= len(_exactly(source, min(count, 1 << 20)))
