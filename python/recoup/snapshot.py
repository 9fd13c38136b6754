"""Snapshots: what is in them, and reading files out of them."""

from __future__ import annotations

import io
import operator
import os
import posixpath
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal, overload

from . import _engine
from ._engine import InvalidArgumentError, Node
from .arguments import Overwrite, Path, Paths
from .results import SnapshotSummary

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from .repository import OnRestoreProgress, Repository
    from .results import RestoreResult


class SnapshotFile(io.RawIOBase):
    """A file in a snapshot, readable and seekable; blobs are fetched as they are needed, and the last few are kept.

    `Snapshot.open` puts a buffer before it, which pays for small reads.
    """

    name: str
    mode = "rb"

    def __init__(self, reader: _engine.FileReader, name: str) -> None:
        self._reader: _engine.FileReader | None = reader
        self._position = 0
        self.name = name

    def __repr__(self) -> str:
        return f"<recoup.SnapshotFile {self.name!r}{' closed' if self.closed else ''}>"

    @property
    def size(self) -> int:
        """Bytes."""
        return self._opened().size

    def close(self) -> None:
        self._reader = None
        super().close()

    def readable(self) -> bool:
        self._opened()
        return True

    def seekable(self) -> bool:
        self._opened()
        return True

    def tell(self) -> int:
        self._opened()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """May go behind the end, where there is nothing to read."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._opened().size}
        if whence not in starts:
            raise ValueError(f"whence is 0, 1 or 2, not {whence}")
        position = starts[whence] + operator.index(offset)
        if position < 0:
            raise ValueError(f"cannot seek to {position}, before the beginning of the file")
        self._position = position
        return position

    def read(self, size: int | None = -1, /) -> bytes:
        reader = self._opened()
        left = max(reader.size - self._position, 0)
        count = left if size is None or size < 0 else min(size, left)
        content = reader.read(self._position, count) if count else b""
        self._position += len(content)
        return content

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        reader = self._opened()
        count = reader.readinto(self._position, buffer) if self._position < reader.size else 0
        self._position += count
        return count

    def _opened(self) -> _engine.FileReader:
        if self._reader is None:
            raise ValueError("I/O operation on closed file")
        return self._reader


class Snapshot:
    """A snapshot in an open repository. Paths in it are absolute, "/home/u/x", and have no symlinks to follow."""

    def __init__(self, repository: Repository, record: _engine.SnapshotRecord) -> None:
        self._repository = repository
        self._record = record
        self.id: str = record.id
        #: Aware, in the zone of the machine that made the snapshot.
        self.time: datetime = record.time
        #: Id of the root tree.
        self.tree: str = record.tree
        #: Id of the snapshot that this one was compared with.
        self.parent: str | None = record.parent
        #: Id of the first ancestor, if tags or content were changed afterwards.
        self.original: str | None = record.original
        self.paths: list[str] = record.paths
        self.hostname: str = record.hostname
        self.username: str = record.username
        self.tags: list[str] = record.tags
        self.excludes: list[str] = record.excludes
        #: Such as "restic 0.19.1"; "" in snapshots of old programs.
        self.program_version: str = record.program_version
        #: What the backup counted. None in snapshots of old programs.
        self.summary: SnapshotSummary | None = None
        if record.summary is not None:
            self.summary = SnapshotSummary(**record.summary)

    @property
    def short_id(self) -> str:
        return self.id[:8]

    def __repr__(self) -> str:
        return f"<recoup.Snapshot {self.short_id} of {', '.join(self.paths)} at {self.time:%Y-%m-%d %H:%M:%S}>"

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Snapshot) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def stat(self, path: Path) -> Node:
        """The node of a file or directory. Raises NotFoundError if it is not there; the root "/" has no node."""
        return self._engine.lookup(self.tree, path)

    def scandir(self, path: Path = "/") -> list[Node]:
        """The entries of a directory, by name. Raises NotFoundError, or InvalidArgumentError if it is no directory."""
        return self._engine.tree(self._engine.subtree(self.tree, path))

    def walk(self, path: Path = "/") -> Iterator[tuple[str, Node]]:
        """Yields (path, node) for everything below a directory, each directory before what is in it, in the order of
        names. Directories are read as they are reached.

        Names come as stored. Before you make files of them yourself, mind that a forged snapshot can hold names such as
        "..": `restore` refuses these.
        """
        start = _absolute(path)
        return self._walk("" if start == "/" else start, self._engine.subtree(self.tree, path))

    def _walk(self, prefix: str, tree: str) -> Iterator[tuple[str, Node]]:
        levels = [(prefix, iter(self._engine.tree(tree)))]
        while levels:
            directory, nodes = levels[-1]
            node = next(nodes, None)
            if node is None:
                levels.pop()
                continue
            path = f"{directory}/{node.name}"
            yield path, node
            if node.type == "dir" and node.subtree is not None:
                levels.append((path, iter(self._engine.tree(node.subtree))))

    @overload
    def open(self, path: Path, mode: Literal["rb"] = "rb", buffering: Literal[-1] = -1) -> io.BufferedReader: ...
    @overload
    def open(self, path: Path, mode: Literal["rb"], buffering: Literal[0]) -> SnapshotFile: ...
    @overload
    def open(
        self,
        path: Path,
        mode: Literal["r"],
        buffering: Literal[-1] = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.TextIOWrapper: ...
    def open(
        self,
        path: Path,
        mode: Literal["rb", "r"] = "rb",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> SnapshotFile | io.BufferedReader | io.TextIOWrapper:
        """Opens a file for reading, as the built-in `open` does, but as bytes unless `mode` is "r", and text is UTF-8
        unless `encoding` says otherwise. Without buffering (0) it is the `SnapshotFile` itself.

        Raises NotFoundError, or InvalidArgumentError if it is not a file. Reading raises DamagedError or StorageError.
        """
        if mode not in ("rb", "r"):
            raise InvalidArgumentError(f'mode is "rb" or "r", not {mode!r}')
        if mode == "rb" and (encoding is not None or errors is not None or newline is not None):
            raise InvalidArgumentError("encoding, errors and newline are for text; say mode \"r\"")
        if buffering not in (-1, 0) or (mode == "r" and buffering == 0):
            raise InvalidArgumentError("buffering is -1, or for bytes 0")
        node = self.stat(path)
        if node.type != "file":
            raise InvalidArgumentError(f"{_absolute(path)} is not a file but a {node.type}")
        raw = SnapshotFile(self._engine.open_node(node), _absolute(path))
        if buffering == 0:
            return raw
        binary: io.BufferedReader = io.BufferedReader(raw, _BUFFER_SIZE)
        if mode == "rb":
            return binary
        return io.TextIOWrapper(binary, encoding or "utf-8", errors, newline)

    def open_node(self, path: Path, node: Node) -> SnapshotFile:
        """A file whose node `walk` or `scandir` has brought, without looking for it once more. `path` is for messages."""
        return SnapshotFile(self._engine.open_node(node), _absolute(path))

    def read_bytes(self, path: Path) -> bytes:
        """The whole content of a file."""
        with self.open(path) as file:
            return file.read()

    def find(
        self,
        *patterns: Path,
        ignore_case: bool = False,
        oldest: datetime | None = None,
        newest: datetime | None = None,
    ) -> list[tuple[str, Node]]:
        """(path, node) of what matches one of the patterns, which mean what they mean in excludes: "*.cpp" matches at
        any depth. `oldest` and `newest` bound the modification time, both inclusive."""
        return self._engine.find(self.tree, list(patterns), ignore_case, oldest, newest)

    def restore(
        self,
        target: Path,
        *,
        subfolder: Path = "/",
        include: Paths = (),
        iinclude: Paths = (),
        exclude: Paths = (),
        iexclude: Paths = (),
        overwrite: Overwrite = "always",
        delete: bool = False,
        sparse: bool = False,
        verify: bool = False,
        dry_run: bool = False,
        progress: OnRestoreProgress | None = None,
    ) -> RestoreResult:
        """Restores into the directory `target`. See `Repository.restore`."""
        return self._repository.restore(
            self,
            target,
            subfolder=subfolder,
            include=include,
            iinclude=iinclude,
            exclude=exclude,
            iexclude=iexclude,
            overwrite=overwrite,
            delete=delete,
            sparse=sparse,
            verify=verify,
            dry_run=dry_run,
            progress=progress,
        )

    @property
    def _engine(self) -> _engine.Repository:
        return self._repository._engine


#: Large enough that the calls cost nothing beside decrypting, small enough for random access.
_BUFFER_SIZE = 128 << 10


def _absolute(path: Path) -> str:
    return posixpath.normpath("/" + os.fsdecode(path).lstrip("/"))
