"""A volume of a backup as a directory, read-only, through FUSE.

    found = find_volume(bucket, "db/data-postgres-0")
    mount(open_volume(Repositories(bucket), found.volume), "/mnt/volume")    # until it is unmounted

Needs the library mfusepy (`pip install 'recoup[mount]'`), libfuse, and /dev/fuse.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import signal
import stat
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .._engine import AccessDeniedError, Error, InvalidArgumentError, Node, NotFoundError, UnsupportedError
from ..arguments import Path
from ..snapshot import SnapshotFile
from .contents import OpenVolume
from .fields import printable

_log = logging.getLogger("recoup")

# A node takes about 500 bytes, and more where a file has many blobs.
_NODES_KEPT = 200_000
# Nothing changes, so the kernel need not ask twice.
_CACHED_FOR = 3600
# What libfuse calls it where it was mounted and served, until an error or a signal ended it; in the words of its helper.c.
_ENDED_EARLY = 8
_FAILURES = {
    1: "libfuse refused an option",
    3: "libfuse could not be set up",
    4: "the kernel or fusermount3 refused",
}


def mount(volume: OpenVolume, directory: Path, *, on_ready: Callable[[], object] | None = None) -> None:
    """Shows a volume in an empty directory until that is unmounted, or SIGINT, SIGTERM or SIGHUP comes, which unmount it. To be
    called in the main thread. `on_ready` is called, in another thread, when the directory can be used.

    Only whoever mounts sees it, and all of it, whatever modes say. Writing is refused. Device nodes open no device. A file
    that cannot be read is an I/O error for its reader, and told to the logger "recoup".

    Raises UnsupportedError where FUSE is missing or does not work, InvalidArgumentError for a directory that cannot be used.
    """
    if threading.current_thread() is not threading.main_thread():
        raise InvalidArgumentError("a volume is mounted from the main thread: signals come there")
    where = os.fsdecode(directory)
    check_mount_point(where, volume)
    fuse = require_fuse()
    with _signals_end_it():
        try:
            fuse.FUSE(
                _operations(fuse, _Tree(volume), on_ready),
                os.path.abspath(where),
                encoding=sys.getfilesystemencoding(),
                foreground=True,
                fsname=_source_name(volume),
                subtype="recoup",
                ro=True,
                use_ino=True,
                kernel_cache=True,
                attr_timeout=_CACHED_FOR,
                entry_timeout=_CACHED_FOR,
                negative_timeout=_CACHED_FOR,
                **_threads(fuse),
            )
        except RuntimeError as problem:
            code = problem.args[0] if problem.args else 0
            if code == _ENDED_EARLY:
                return
            raise UnsupportedError(
                f"{where} cannot be mounted: {_FAILURES.get(code, f'libfuse failed ({problem})')}; what it said of it is on standard "
                "error. Users other than root need the program fusermount3 (Debian and Ubuntu: package fuse3); in a container, "
                "FUSE needs the device /dev/fuse and CAP_SYS_ADMIN. `restore-pvc`, `ls` and `dump` work without"
            ) from problem


def require_fuse() -> Any:
    """The module mfusepy. Raises UnsupportedError, which says what is missing."""
    try:
        import mfusepy
    except ImportError as problem:
        raise UnsupportedError(
            f"mounting needs the Python library mfusepy: pip install 'recoup[mount]' ({problem}). `restore-pvc`, `ls` and `dump` "
            "work without"
        ) from problem
    except (OSError, AttributeError) as problem:
        raise UnsupportedError(
            f"mounting needs libfuse: {problem}. Debian and Ubuntu: apt install fuse3. `restore-pvc`, `ls` and `dump` work without"
        ) from problem
    if not os.path.exists("/dev/fuse"):
        raise UnsupportedError(
            "mounting needs /dev/fuse, which is not there: load the kernel's module (modprobe fuse), or give the container the "
            "device. `restore-pvc`, `ls` and `dump` work without"
        )
    return mfusepy


def check_mount_point(where: str, volume: OpenVolume | None = None) -> None:
    """Raises InvalidArgumentError for what is no empty directory, or lies in the repository that is to be read."""
    shown = printable(where, 1000)
    try:
        names = os.listdir(where)
    except FileNotFoundError:
        raise InvalidArgumentError(f"{shown} is not there: make an empty directory to mount at") from None
    except NotADirectoryError:
        raise InvalidArgumentError(f"{shown} is not a directory: name an empty one to mount at") from None
    except OSError as problem:
        stale = f"; `umount {shown}` clears away what an earlier mount has left" if problem.errno == errno.ENOTCONN else ""
        raise InvalidArgumentError(f"nothing can be mounted at {shown}: {problem.strerror}{stale}") from problem
    if names:
        raise InvalidArgumentError(
            f"{shown} is not empty ({len(names)} entries, such as {printable(min(names))}): a mount would hide that. Name an empty "
            "directory"
        )
    if os.path.ismount(where):
        raise InvalidArgumentError(f"something is mounted at {shown} already: unmount it, or name another directory")
    if volume is not None and volume.repository is not None:
        location = volume.repository.repository.location
        # A look for a pack would end in the mount that waits for it.
        if not location.startswith("s3:") and _is_within(where, location.removeprefix("local:")):
            raise InvalidArgumentError(f"{shown} is within the repository that is to be read: name a directory elsewhere")


def _is_within(path: str, folder: str) -> bool:
    inner, outer = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([inner, outer]) == outer


def _threads(fuse: Any) -> dict[str, int]:
    """libfuse 3.14 complains about its own default."""
    return {"max_idle_threads": 10} if (fuse.fuse_version_major, fuse.fuse_version_minor) >= (3, 12) else {}


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """libfuse takes the signals that nobody else has taken, and unmounts."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in ending}
    try:
        for each in ending:
            # Whoever ignores SIGHUP (nohup) means it.
            if before[each] is not signal.SIG_IGN:
                signal.signal(each, signal.SIG_DFL)
        yield
    finally:
        for each in ending:
            signal.signal(each, before[each] if before[each] is not None else signal.SIG_DFL)


def _source_name(volume: OpenVolume) -> str:
    """What `mount` and `df` show. A comma would begin another option."""
    return re.sub(r"[^A-Za-z0-9._/:-]", "_", f"recoup:{volume.volume.backup}/{volume.volume.name}")[:200]


class _Tree:
    """Nodes by path, with the directories that were asked for last. Any thread may ask."""

    def __init__(self, volume: OpenVolume) -> None:
        self.volume = volume
        self._lock = threading.Lock()  # guards what follows
        self._kept: OrderedDict[str, dict[str, Node]] = OrderedDict()
        self._count = 0

    def entries(self, path: str) -> dict[str, Node]:
        """By name, without those that no directory can have, and what is of no known type."""
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        found: dict[str, Node] = {}
        for node in self.volume.scandir(path):
            if _is_name(node.name) and stat.S_IFMT(node.mode):
                found.setdefault(node.name, node)
        with self._lock:
            if path not in self._kept:
                self._kept[path] = found
                self._count += len(found)
            while self._count > _NODES_KEPT and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._count -= len(dropped)
        return found

    def node(self, path: str) -> Node:
        folder, _, name = path.rpartition("/")
        try:
            return self.entries(folder or "/")[name]
        except KeyError:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from None


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _number_of(path: str, node: Node | None) -> int:
    """An inode's number: of the names of a hard link the same one. A forged snapshot may have one number for many files, so it is
    not the stored one."""
    key = f"path {path}"
    if node is not None and node.links > 1 and node.type != "dir":
        key = f"link {node.device_id} {node.inode} {node.type} {node.size} {node.mtime_ns}"
    digest = hashlib.blake2b(os.fsencode(key), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _attributes(path: str, node: Node) -> dict[str, int]:
    """As mfusepy takes them."""
    size = {"file": node.size, "symlink": len(os.fsencode(node.link_target))}.get(node.type, 0)
    return {
        "st_mode": node.mode,
        # To count a directory's links, each directory in it would have to be read.
        "st_nlink": 2 if node.type == "dir" else max(1, node.links),
        "st_uid": node.uid,
        "st_gid": node.gid,
        "st_size": size,
        "st_blocks": -(-size // 512),
        "st_blksize": 128 << 10,
        "st_rdev": node.device if node.type in ("dev", "chardev") else 0,
        "st_ino": _number_of(path, node),
        "st_atime": node.atime_ns,
        "st_mtime": node.mtime_ns,
        "st_ctime": node.ctime_ns,
    }


class _OpenFile:
    """A file that somebody reads: several threads may, for the kernel reads ahead with several requests at once."""

    def __init__(self, file: SnapshotFile) -> None:
        self._file = file
        self._lock = threading.Lock()

    def read(self, size: int, offset: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


@contextmanager
def _as_os_error(path: str) -> Iterator[None]:
    """What goes wrong in the engine is an error number for whoever reads, and a line in the log for whoever mounted."""
    try:
        yield
    except NotFoundError as problem:
        raise OSError(errno.ENOENT, str(problem)) from problem
    except Error as problem:
        _log.warning("%s cannot be read: %s", printable(path, 1000), problem)
        number = errno.EACCES if isinstance(problem, AccessDeniedError) else errno.EIO
        raise OSError(number, str(problem)) from problem


def _operations(fuse: Any, tree: _Tree, on_ready: Callable[[], object] | None) -> Any:
    """What mfusepy calls, from several threads at once. The base class is its own, which may not be installed."""

    class VolumeOperations(fuse.Operations):  # type: ignore[misc]
        use_ns = True  # times are in nanoseconds

        def __init__(self) -> None:
            self._lock = threading.Lock()  # guards what follows
            self._files: dict[int, _OpenFile] = {}
            self._next = 1

        def init(self, path: str) -> None:
            if on_ready is not None:
                # Until this returns, whoever looks into the directory waits: on_ready may, so it must not be waited for.
                threading.Thread(target=on_ready, daemon=True).start()

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            with _as_os_error(path):
                return _root(tree) if path == "/" else _attributes(path, tree.node(path))

        def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
            with _as_os_error(path):
                entries = tree.entries(path)
            yield ".", {"st_mode": stat.S_IFDIR, "st_ino": _number_of(path, None)}, 0
            yield "..", {"st_mode": stat.S_IFDIR}, 0
            prefix = "" if path == "/" else path
            for name, node in entries.items():
                yield name, {"st_mode": node.mode, "st_ino": _number_of(f"{prefix}/{name}", node)}, 0

        def readlink(self, path: str) -> str:
            with _as_os_error(path):
                return tree.node(path).link_target

        def open(self, path: str, flags: int) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            with _as_os_error(path):
                if tree.volume.snapshot is None:
                    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
                file = _OpenFile(tree.volume.snapshot.open(path, "rb", 0))
            with self._lock:
                handle, self._next = self._next, self._next + 1
                self._files[handle] = file
            return handle

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            with self._lock:
                file = self._files[fh]
            with _as_os_error(path):
                return file.read(size, offset)

        def release(self, path: str, fh: int) -> int:
            with self._lock:
                self._files.pop(fh, None)
            return 0

        def listxattr(self, path: str) -> list[str]:
            with _as_os_error(path):
                return [] if path == "/" else list(tree.node(path).extended_attributes)

        def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
            with _as_os_error(path):
                found = {} if path == "/" else tree.node(path).extended_attributes
            if name not in found:
                raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
            return found[name] or b""

    return VolumeOperations()


def _root(tree: _Tree) -> dict[str, int]:
    """The volume's root, of which Velero stores nothing: it is whoever's mounts it."""
    snapshot = tree.volume.snapshot
    time = int(snapshot.time.timestamp()) * 10**9 if snapshot is not None else 0
    return {
        "st_mode": stat.S_IFDIR | 0o755,
        "st_nlink": 2,
        "st_uid": os.getuid(),
        "st_gid": os.getgid(),
        "st_ino": _number_of("/", None),
        "st_atime": time,
        "st_mtime": time,
        "st_ctime": time,
    }
