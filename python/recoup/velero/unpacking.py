"""What gzip holds, unpacked as it is read: never more than was asked for, in one member or several."""

from __future__ import annotations

import io
import zlib
from typing import IO, TYPE_CHECKING

from .._engine import DamagedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# What Velero writes about a backup of 100,000 objects has 20 MiB. As Python's values it takes twenty times as much memory.
LARGEST_DOCUMENT = 64 << 20
_PIECE = 64 << 10
# Velero writes one. Thousands that hold nothing would only cost time.
_MOST_MEMBERS = 1000


class _Unpacking(io.RawIOBase):
    def __init__(self, source: IO[bytes], where: str, limit: int) -> None:
        self._source = source
        self._where = where
        self._limit = self._left = limit
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        into = memoryview(buffer).cast("B")
        content = self._next(len(into)) if len(into) else b""
        into[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

    def _next(self, most: int) -> bytes:
        """b"" at the end only. Gives what there is before it finds what is wrong with the rest."""
        while self._member or self._begin_member():
            member = self._member
            assert member is not None
            try:
                content = member.decompress(self._packed, most)
            except zlib.error as problem:
                raise DamagedError(f"{self._where} is damaged, or no gzip: {problem}") from problem
            if member.eof:
                self._packed, self._member = member.unused_data, None
            else:
                self._packed = member.unconsumed_tail
            if content:
                self._left -= len(content)
                if self._left < 0:
                    raise DamagedError(
                        f"{self._where} unpacks to more than {self._limit} bytes: a damaged or malicious file"
                    )
                return content
            if self._member and not self._packed:
                self._packed = self._source.read(_PIECE)
                if not self._packed:
                    raise DamagedError(f"{self._where} is cut off: its end is missing")
        return b""

    def _begin_member(self) -> bool:
        if not self._packed:
            self._packed = self._source.read(_PIECE)
        if not self._packed:
            if not self._members:
                raise DamagedError(f"{self._where} is empty: it was cut off at its beginning")
            return False
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise DamagedError(f"{self._where} has more than {_MOST_MEMBERS} parts: a malicious file")
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        return True


def open_unzipped(source: IO[bytes], where: str, limit: int) -> io.BufferedReader:
    """What `source`, which is closed with it, holds. Reading raises DamagedError where that is more than `limit` bytes, cut off,
    or no gzip; `where` names it then."""
    return io.BufferedReader(_Unpacking(source, where, limit), _PIECE)


def unzip(content: bytes, where: str, limit: int = LARGEST_DOCUMENT) -> bytes:
    """All at once. Raises DamagedError, as open_unzipped()."""
    with open_unzipped(io.BytesIO(content), where, limit) as unpacking:
        return b"".join(iter(lambda: unpacking.read(1 << 20), b""))
