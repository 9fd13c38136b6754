"""A directory as a place with objects: the copy of a bucket that `mc mirror`, `aws s3 sync` and their like make."""

from __future__ import annotations

import builtins
import errno
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ._engine import (
    AccessDeniedError,
    Error,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
)
from .arguments import Path
from .object_store import ObjectInfo, ObjectStore, Piece

_log = logging.getLogger("recoup")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class _Entry:
    key: bytes
    #: None for a directory.
    status: os.stat_result | None

    @property
    def order(self) -> bytes:
        """A directory stands where the keys below it do."""
        return self.key if self.status else self.key + b"/"


class DirectoryStore(ObjectStore):
    """Files as objects. A symlink to a file in the directory is that file; others lead out of the directory, or to
    whole directories, which no bucket has: they are refused when read, and left out of lists with a warning, as is all
    that is no file. Whoever made the copy must not choose what else is read on this machine."""

    def __init__(self, location: str, directory: Path) -> None:
        self.location = location
        # What the place itself is a link to is up to who names it.
        self._root = os.path.realpath(os.path.abspath(os.fsencode(directory)))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        wanted = _encoded(prefix)
        for entry in self._walk(wanted):
            if entry.status:
                modified = _EPOCH + timedelta(microseconds=entry.status.st_mtime_ns // 1000)
                yield ObjectInfo(_decoded(entry.key), entry.status.st_size, modified)

    def list_directories(self, prefix: str = "") -> builtins.list[str]:
        wanted = _encoded(prefix)
        start = wanted if not wanted or wanted.endswith(b"/") else wanted + b"/"
        return [
            _decoded(entry.key[len(start) :])
            for entry in self._entries(start)
            if entry.status is None and any(below.status for below in self._walk(entry.key + b"/"))
        ]

    def repository_location(self, prefix: str) -> str:
        parts = _parts(_encoded(prefix).rstrip(b"/")) if prefix.strip("/") else []
        if parts is None:
            raise InvalidArgumentError(f"no repository can lie below {prefix!r}: parts of a key are not empty, . or ..")
        for count in range(len(parts)):
            path = os.path.join(self._root, *parts[: count + 1])
            if os.path.islink(path):
                raise _refusal(path)
        return os.fsdecode(os.path.join(self._root, *parts))

    def _walk(self, prefix: bytes) -> Iterator[_Entry]:
        """All whose keys begin with the prefix, a directory before what is in it. No recursion: what a stranger made
        may be deeper than Python's stack."""
        start = prefix[: prefix.rfind(b"/") + 1]
        waiting = [entry for entry in self._entries(start) if entry.order.startswith(prefix)]
        waiting.reverse()
        while waiting:
            entry = waiting.pop()
            yield entry
            if entry.status is None:
                waiting.extend(reversed(self._entries(entry.key + b"/")))

    def _entries(self, start: bytes) -> builtins.list[_Entry]:
        """What is in a directory, in the order of keys. `start` is its key and a slash, or empty."""
        parts = _parts(start[:-1]) if start else []
        if parts is None:
            return []
        try:
            folder = self._open_folder(parts)
        except NotFoundError:
            if not os.path.isdir(self._root):
                root = os.fsdecode(self._root)
                raise NotFoundError(
                    f"cannot list {root}: there is no such directory; a bucket is named as s3:https://host/bucket"
                ) from None
            return []
        try:
            # By descriptor, names come as str, with the escapes of the file system's encoding.
            found = [self._entry(folder, start, os.fsencode(name)) for name in os.listdir(folder)]
        except OSError as problem:
            raise _failure(problem, f"cannot list {self._name(_decoded(start))}") from problem
        finally:
            os.close(folder)
        return sorted((entry for entry in found if entry), key=lambda entry: entry.order)

    def _entry(self, folder: int, start: bytes, name: bytes) -> _Entry | None:
        key = start + name
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                file = self._open(key)
                try:
                    status = os.fstat(file)
                finally:
                    os.close(file)
        except FileNotFoundError:  # removed meanwhile
            return None
        except Error as problem:
            _log.warning("%s is left out: %s", self._name(_decoded(key)), problem)
            return None
        if stat.S_ISDIR(status.st_mode):
            return _Entry(key, None)
        if stat.S_ISREG(status.st_mode):
            return _Entry(key, status)
        _log.warning("%s is left out: it is no file", self._name(_decoded(key)))
        return None

    def _piece(self, key: str, offset: int, count: int, version: str) -> Piece:
        file = self._open(_encoded(key))
        try:
            status = os.fstat(file)
            now = f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
            if version and version != now:
                raise StorageError(
                    f"cannot read {self._name(key)}: it was replaced while it was read; read it again from its "
                    "beginning"
                )
            end = min(offset + count, status.st_size)
            content = b""
            while offset + len(content) < end:  # the kernel gives 2 GiB at most
                more = os.pread(file, end - offset - len(content), offset + len(content))
                if not more:
                    break
                content = content + more if content else more
            return Piece(content, status.st_size, now)
        except OSError as problem:
            raise _failure(problem, f"cannot read {self._name(key)}") from problem
        finally:
            os.close(file)

    def _open(self, key: bytes, may_be_link: bool = True) -> int:
        """The descriptor of a file. Each step begins at the one before, so that no directory can turn into a link
        between looking and opening."""
        what = f"cannot read {self._name(_decoded(key))}"
        parts = _parts(key)
        if parts is None:
            raise NotFoundError(f"{what}: there is no such object: in a directory no part of a key is empty")
        folder = self._open_folder(parts[:-1])
        try:
            # Of a pipe, opening would wait for a writer.
            file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as problem:
            if problem.errno != errno.ELOOP or not may_be_link:
                raise _failure(problem, what) from problem
        else:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                raise NotFoundError(f"{what}: it is no file")
            return file
        finally:
            os.close(folder)
        path = os.path.join(self._root, key)
        target = os.path.realpath(path)
        inside = os.path.join(self._root, b"")
        if not target.startswith(inside) or os.path.isdir(target):
            raise _refusal(path)
        return self._open(target[len(inside) :], may_be_link=False)

    def _open_folder(self, parts: builtins.list[bytes]) -> int:
        folder = -1
        done = self._root
        try:
            folder = os.open(done, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for part in parts:
                done = os.path.join(done, part)
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                os.close(folder)
                folder = below
        except OSError as problem:
            if folder >= 0:
                os.close(folder)
            if problem.errno in (errno.ENOTDIR, errno.ELOOP) and os.path.islink(done):
                raise _refusal(done) from None
            raise _failure(problem, f"cannot open {os.fsdecode(done)}") from problem
        return folder

    def _name(self, key: str) -> str:
        return os.fsdecode(os.path.join(self._root, _encoded(key)))


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _decoded(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _parts(key: bytes) -> builtins.list[bytes] | None:
    """None for what no file can be called."""
    parts = key.split(b"/")
    return None if b"\0" in key or any(part in (b"", b".", b"..") for part in parts) else parts


def _refusal(path: bytes) -> Error:
    return AccessDeniedError(
        f"{os.fsdecode(path)} is a symlink that leads out of the directory or to a directory; it is not followed, as a "
        "bucket's copy has none: put there what it leads to, if that is meant"
    )


def _failure(problem: OSError, what: str) -> Error:
    why = f"{what}: {os.strerror(problem.errno or 0)}"
    if problem.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return NotFoundError(why)
    if problem.errno in (errno.EACCES, errno.EPERM):
        return AccessDeniedError(why)
    return StorageError(why)
