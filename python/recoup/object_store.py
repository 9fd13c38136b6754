"""What a place with objects can do, be it in a bucket or in a directory."""

from __future__ import annotations

import builtins
import io
import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from ._engine import DamagedError, InvalidArgumentError, StorageError, UnsupportedError
from .arguments import at_least

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from typing_extensions import Self

MIB = 1 << 20
#: What one request asks for at most: so much is lost when a connection breaks.
_LARGEST_PIECE = 64 * MIB
#: Servers, and file systems, count in 64 bits with a sign.
_LARGEST_OFFSET = (1 << 63) - 1
#: What is read ahead at first, and after a jump; doubled with each piece that follows the one before.
_FIRST_AHEAD, _MOST_AHEAD = MIB, 16 * MIB


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of an object. `key` is relative to the store's place, `size` in bytes, `modified` in UTC;
    `etag`, without quotes, is the server's name for the content, and None in a directory."""

    key: str
    size: int
    modified: datetime
    etag: str | None = None


@dataclass(frozen=True)
class Piece:
    """Some bytes of an object, and of which object they are."""

    content: bytes
    #: Bytes of the whole object.
    total: int
    #: The same as long as the object is not replaced; "" where that cannot be told.
    version: str


class ObjectStore(ABC):
    """A place in a bucket, or a directory, whose objects are read by their keys. Made by `recoup.open_objects`.

    Nothing is ever written, and nothing asked for before it is needed. Keys are relative to the place, with "/" between
    their parts; bytes that are not UTF-8 are surrogate escapes. Threads may share a store: their requests are in flight
    together, as many as the line carries. Ctrl-C in a call ends the calls of other threads too, with StoppedError, so
    that whoever waits for them is not held up; where the main thread waits elsewhere, `close` does the same.
    """

    #: As it was given.
    location: str

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<recoup.{type(self).__name__} {self.location!r}>"

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in the order of the keys' bytes. In a bucket a request brings
        1000 of them, and is made when it is their turn.

        Raises NotFoundError if there is no such bucket or directory."""

    @abstractmethod
    def list_directories(self, prefix: str = "") -> builtins.list[str]:
        """The names directly below `prefix` ("backups/") that have something below them, in order and without slash. In
        a bucket a request brings 1000 of them, however much is below.

        Raises NotFoundError if there is no such bucket or directory; where nothing has the `prefix`, there is none."""

    @abstractmethod
    def repository_location(self, prefix: str) -> str:
        """What `recoup.open` takes for a repository whose files have keys below `prefix` ("restic/database").

        Raises InvalidArgumentError if no location can name it."""

    def read(self, key: str, limit: int | None = None) -> bytes:
        """The whole object. If it has more than `limit` bytes, DamagedError says so and it is not read: for objects
        that somebody else may have written. Up to 1 MiB takes one request.

        Raises NotFoundError, AccessDeniedError or StorageError; UnsupportedError for keys with parts . or .., as some
        servers resolve them."""
        at_least(0, limit, "limit")
        first = self._first(key, 0, _FIRST_AHEAD if limit is None else max(1, min(limit, _FIRST_AHEAD)))
        if limit is not None and first.total > limit:
            raise DamagedError(
                f"{self._name(key)} has {first.total} bytes: more than {limit}, which are plenty for what it should "
                "be, so it was not read"
            )
        return b"".join([first.content, *self._rest(key, len(first.content), first.total, first.version)])

    def read_range(self, key: str, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on; fewer where the object ends before, none at or after its end.

        Raises NotFoundError, AccessDeniedError or StorageError."""
        at_least(0, offset, "offset")
        at_least(0, count, "count")
        if count == 0:
            self._first(key, 0, 1)  # for the sake of the error if there is none
            return b""
        offset = min(offset, _LARGEST_OFFSET)
        first = self._first(key, offset, min(count, _LARGEST_PIECE))
        end = min(offset + count, first.total)
        return b"".join([first.content, *self._rest(key, offset + len(first.content), end, first.version)])

    def open(self, key: str) -> io.BufferedReader:
        """A seekable binary file, which is read in pieces of 1 to 16 MiB as needed. If the object is replaced
        meanwhile, reading on raises StorageError, rather than giving half of one and half of the other.

        Raises NotFoundError, AccessDeniedError or StorageError."""
        return io.BufferedReader(ObjectFile(self, key), _FIRST_AHEAD)

    def close(self) -> None:
        """Ends what other threads are asking for, with StoppedError. After that nothing can be asked for."""

    def _first(self, key: str, offset: int, count: int) -> Piece:
        """The piece that says which object it is. Refuses keys that lead elsewhere."""
        if not key:
            raise InvalidArgumentError("an object's key is not empty")
        if any(part in (".", "..") for part in key.split("/")):
            raise UnsupportedError(
                f"cannot read {self._name(key)}: some servers resolve . and .. in a key, and what came would be another "
                "object, perhaps of another bucket"
            )
        return self._piece(key, offset, count, "")

    def _rest(self, key: str, begin: int, end: int, version: str) -> Iterator[bytes]:
        """From `begin` to `end`, both within the object, in pieces."""
        while begin < end:
            content = self._exactly(key, begin, min(end - begin, _LARGEST_PIECE), version)
            begin += len(content)
            yield content

    def _exactly(self, key: str, offset: int, count: int, version: str) -> bytes:
        content = self._piece(key, offset, count, version).content
        if len(content) < count:  # a server that does not tell versions apart
            raise StorageError(f"{self._name(key)} became shorter while it was read; read it again from its beginning")
        return content

    @abstractmethod
    def _piece(self, key: str, offset: int, count: int, version: str) -> Piece:
        """Up to `count` (at least 1) bytes from `offset` on, fewer only at the end. With a `version`, of no other
        object: StorageError. At or after the end the total is not more than `offset`."""

    @abstractmethod
    def _name(self, key: str) -> str:
        """For messages."""


class ObjectFile(io.RawIOBase):
    """An object as a file, read ahead. `ObjectStore.open` puts a buffer before it."""

    name: str
    mode = "rb"

    def __init__(self, store: ObjectStore, key: str) -> None:
        first = store._first(key, 0, _FIRST_AHEAD)
        self.name = key
        self._store = store
        self._size, self._version = first.total, first.version
        self._position = 0
        self._window, self._window_begin = first.content, 0
        self._ahead = _FIRST_AHEAD

    def __repr__(self) -> str:
        return f"<recoup.{type(self).__name__} {self.name!r}{' closed' if self.closed else ''}>"

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def close(self) -> None:
        self._window = b""
        super().close()

    def readable(self) -> bool:
        self._check_open()
        return True

    def seekable(self) -> bool:
        self._check_open()
        return True

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """May go behind the end, where there is nothing to read."""
        self._check_open()
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        if whence not in starts:
            raise ValueError(f"whence is 0, 1 or 2, not {whence}")
        position = starts[whence] + operator.index(offset)
        if position < 0:
            raise ValueError(f"cannot seek to {position}, before the beginning of the object")
        self._position = position
        return position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._check_open()
        into = memoryview(buffer).cast("B")
        if not into.nbytes or self._position >= self._size:
            return 0
        at = self._position - self._window_begin
        if not 0 <= at < len(self._window):
            self._fetch(into.nbytes)
            at = 0
        count = min(into.nbytes, len(self._window) - at)
        into[:count] = memoryview(self._window)[at : at + count]
        self._position += count
        return count

    def readall(self) -> bytes:
        """What is left, in as few requests as that takes: the way of the base class is one of 8 KiB each."""
        self._check_open()
        at = self._position - self._window_begin
        known = self._window[at:] if 0 <= at < len(self._window) else b""
        begin = self._position + len(known)
        content = b"".join([known, *self._store._rest(self.name, begin, self._size, self._version)])
        self._position += len(content)
        return content

    def _fetch(self, wanted: int) -> None:
        """Puts the window where the position is."""
        follows = self._position == self._window_begin + len(self._window)
        self._ahead = min(2 * self._ahead, _MOST_AHEAD) if follows else _FIRST_AHEAD
        count = min(max(self._ahead, wanted), _LARGEST_PIECE, self._size - self._position)
        self._window = b""  # first, or there are two of them at a time
        self._window = self._store._exactly(self.name, self._position, count, self._version)
        self._window_begin = self._position

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
