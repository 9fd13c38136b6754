"""A volume of a backup as a tar archive, made as it is read: nothing is unpacked on this machine.

Python's tarfile is of no use: it has times as floating-point numbers, takes only text for attributes, and puts long names where BusyBox
does not look for them. So headers are made here, of what GNU tar, BusyBox and bsdtar all read:

    names of more than 100 bytes   GNU's entries "L" and "K": BusyBox skips PAX headers
    numbers that are too large     GNU's, base 256
    fractions of seconds           PAX: mtime. BusyBox leaves them out
    extended attributes            PAX: SCHILY.xattr.NAME. BusyBox leaves them out
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from .._engine import DamagedError, Node
from .contents import OpenVolume
from .fields import printable

_BLOCK = 512
# As tar does: whole records, of 20 blocks.
_RECORD = 20 * _BLOCK
_NAME = 100
_PIECE = 1 << 20
# How much is read before its turn: of small files, and entries.
_READERS = 8
_AHEAD = 16 << 20
_MOST_AHEAD = 256

_KINDS = {"file": b"0", "symlink": b"2", "chardev": b"3", "dev": b"4", "dir": b"5", "fifo": b"6"}
_HARD_LINK = b"1"


@dataclass(frozen=True)
class VolumeTotals:
    """What an archive of the volume holds."""

    files: int = 0
    """Names of files, so that each hard link counts."""
    directories: int = 0
    """Without the volume's root, of which Velero stores nothing."""
    symlinks: int = 0
    others: int = 0
    """Devices and pipes."""
    content: int = 0
    """Bytes of all files, each hard link's as well: what the sizes of all names come to."""
    with_attributes: int = 0
    """Names that have extended attributes."""
    size: int = 0
    """Bytes of the archive."""
    left_out: tuple[str, ...] = field(default=(), repr=False)
    """Paths of sockets and of what has no known type."""

    @property
    def entries(self) -> int:
        return self.files + self.directories + self.symlinks + self.others


class VolumeTar:
    """The archive of a volume. Made anew, and the same, each time that it is asked for."""

    def __init__(self, volume: OpenVolume) -> None:
        self._volume = volume
        self._totals: VolumeTotals | None = None

    def totals(self) -> VolumeTotals:
        """Reads directories only, once. Raises DamagedError, StorageError."""
        if self._totals is None:
            self._totals = self._count()
        return self._totals

    @property
    def name(self) -> str:
        """For messages: "db/data-postgres-0 of backup daily-20260101"."""
        return f"{self._volume.volume.name} of backup {self._volume.volume.backup}"

    @property
    def has_lost_and_found(self) -> bool:
        """Whether the file system that was backed up had one."""
        return any(node.name == "lost+found" for node in self._volume.scandir())

    def __iter__(self) -> Iterator[bytes]:
        """The archive, in pieces of at most 1 MiB and a little. Raises DamagedError, StorageError."""
        return self.pieces()

    def pieces(self, on_file: Callable[[bytes, str], None] | None = None) -> Iterator[bytes]:
        """The same. `on_file` is told each file's name, "./a/b", and SHA-256 when it has passed; of hard links only the first name."""
        written = 0
        with contextlib.closing(self._read_ahead()) as entries:
            for entry, content in entries:
                written += len(entry.header)
                yield entry.header
                if not entry.has_content:
                    continue
                digest = hashlib.sha256()
                for piece in content:
                    if on_file is not None:
                        digest.update(piece)
                    written += len(piece)
                    yield piece
                written += -entry.content % _BLOCK
                yield bytes(-entry.content % _BLOCK)
                if on_file is not None:
                    on_file(_member(entry.path), digest.hexdigest())
        yield bytes(_end_of(written))

    def _read_ahead(self) -> Generator[tuple[_Entry, Iterable[bytes]], None, None]:
        """Entries with their content. Small files are read before their turn, several at once: each may cost a request to the storage, and
        one after the other these would take most of the time."""
        entries = _entries(self._volume)
        queue: deque[tuple[_Entry, Future[list[bytes]] | None]] = deque()
        held, is_over = 0, False
        with ThreadPoolExecutor(_READERS, "recoup-tar") as readers:
            try:
                while queue or not is_over:
                    while not is_over and held < _AHEAD and len(queue) < _MOST_AHEAD:
                        entry = next(entries, None)
                        is_over = entry is None
                        if entry is not None:
                            is_small = entry.has_content and 0 < entry.content <= _PIECE
                            held += entry.content if is_small else 0
                            queue.append((entry, readers.submit(self._whole, entry) if is_small else None))
                    if queue:
                        entry, reading = queue.popleft()
                        yield entry, (self._content(entry) if reading is None else reading.result())
                        held -= 0 if reading is None else entry.content
            finally:
                for _, reading in queue:
                    if reading is not None:
                        reading.cancel()

    def _whole(self, entry: _Entry) -> list[bytes]:
        return list(self._content(entry))

    def _content(self, entry: _Entry) -> Iterator[bytes]:
        left = entry.content
        with self._volume.open_node(entry.path, entry.node) as source:
            while left:
                piece = source.read(min(left, _PIECE))
                if not piece:
                    # The header has said how much comes.
                    raise DamagedError(f"{printable(entry.path)} in {self.name} ends {left} bytes before its size of {entry.content} bytes: a damaged snapshot")
                left -= len(piece)
                yield piece

    def _count(self) -> VolumeTotals:
        counts = {"file": 0, "dir": 0, "symlink": 0}
        others = content = with_attributes = size = 0
        left_out: list[str] = []
        for entry in _entries(self._volume, left_out):
            size += len(entry.header) + entry.content + -entry.content % _BLOCK
            if entry.is_again:
                continue
            kind = entry.node.type
            counts[kind] = counts.get(kind, 0) + 1
            content += entry.node.size if kind == "file" else 0
            with_attributes += bool(entry.node.extended_attributes)
        others = sum(count for kind, count in counts.items() if kind not in ("file", "dir", "symlink"))
        size += _end_of(size)
        return VolumeTotals(counts["file"], counts["dir"], counts["symlink"], others, content, with_attributes, size, tuple(left_out))


@dataclass(frozen=True)
class _Entry:
    path: str
    node: Node
    header: bytes
    content: int  # bytes behind the header
    has_content: bool = False
    is_again: bool = False


@dataclass
class _Directory:
    """One on the way to where the walk is. The volume's root has no node."""

    path: str
    node: Node | None
    last: bytes = b""


def _entries(volume: OpenVolume, left_out: list[str] | None = None) -> Iterator[_Entry]:
    """Each directory comes before what is in it, and once more behind that: what is written into it changes its time, and not every
    tar sets that at the end."""
    # First names of files that have several; there may be many of these, but far fewer than files.
    first_of: dict[tuple[int, int], bytes] = {}
    way = [_Directory("", None)]
    for path, node in volume.walk():
        while not path.startswith(way[-1].path + "/"):
            yield from _again(way.pop())
        _check_name(os.fsencode(node.name), path, way[-1], volume)
        if node.type not in _KINDS:
            if left_out is not None:
                left_out.append(path)
            continue
        name, target = _member(path), None
        if node.type not in ("dir", "symlink") and node.links > 1:
            # Other file systems have the same numbers.
            target = first_of.setdefault((node.device_id, node.inode), name)
        if target is not None and target != name:
            yield _Entry(path, node, _header(name, node, link=target), 0)
        else:
            is_file = node.type == "file"
            yield _Entry(path, node, _header(name, node), node.size if is_file else 0, has_content=is_file)
        if node.type == "dir":
            way.append(_Directory(path, node))
    while way:
        yield from _again(way.pop())


def _again(directory: _Directory) -> Iterator[_Entry]:
    if directory.node is not None:
        yield _Entry(directory.path, directory.node, _header(_member(directory.path), directory.node), 0, is_again=True)


def _member(path: str) -> bytes:
    # With "./" none begins with "-" or is empty.
    return b"." + os.fsencode(path)


def _check_name(name: bytes, path: str, directory: _Directory, volume: OpenVolume) -> None:
    """A forged tree could have names that lead out of the volume, or one twice: a symlink, and what is then written through it. restic
    writes a directory's names in order, each once."""
    wrong = ""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        wrong = f"a name that no file can have ({printable(path)})"
    elif name <= directory.last:
        wrong = f"a directory in which names stand twice, or in no order ({printable(path)})"
    if wrong:
        raise DamagedError(f"{volume.volume.name} in backup {volume.volume.backup} has {wrong}: a damaged or malicious snapshot")
    directory.last = name


# ---- headers -------------------------------------------------------------------------------------------------------------


def _header(name: bytes, node: Node, *, link: bytes | None = None) -> bytes:
    if node.type == "dir":
        name += b"/"
    kind = _KINDS[node.type]
    target = b""
    if link is not None:
        kind, target = _HARD_LINK, link
    elif node.type == "symlink":
        target = os.fsencode(node.link_target)
    size = node.size if node.type == "file" and link is None else 0
    seconds, fraction = divmod(node.mtime_ns, 1_000_000_000)
    parts = []
    if records := _records(node, fraction):
        parts += [_block(b"./PaxHeaders/recoup", b"x", size=len(records)), _padded(records)]
    for special, text in ((b"K", target), (b"L", name)):
        if len(text) > _NAME:
            parts += [_block(b"././@LongLink", special, size=len(text) + 1), _padded(text + b"\0")]
    device = node.device if node.type in ("dev", "chardev") else 0
    parts.append(
        _block(
            name[:_NAME],
            kind,
            size=size,
            mode=stat.S_IMODE(node.mode),
            owner=(node.uid, node.gid),
            seconds=seconds,
            target=target[:_NAME],
            device=(os.major(device), os.minor(device)),
        )
    )
    return b"".join(parts)


def _records(node: Node, fraction: int) -> bytes:
    records = []
    if fraction:
        # Seconds are those before: 1.25 s before 1970 are -2 and 0.75, and written -1.25.
        whole = node.mtime_ns if node.mtime_ns >= 0 else -node.mtime_ns
        sign = "-" if node.mtime_ns < 0 else ""
        records.append(_record(b"mtime", f"{sign}{whole // 1_000_000_000}.{whole % 1_000_000_000:09d}".encode()))
    for name, value in sorted(node.extended_attributes.items()):
        # As GNU tar has it: a keyword ends with "=".
        keyword = os.fsencode(name).replace(b"%", b"%25").replace(b"=", b"%3D")
        records.append(_record(b"SCHILY.xattr." + keyword, value or b""))
    return b"".join(records)


def _record(keyword: bytes, value: bytes) -> bytes:
    """Its length comes first, and counts its own digits."""
    rest = b" " + keyword + b"=" + value + b"\n"
    size = len(rest) + len(str(len(rest)))
    size = len(rest) + len(str(size))
    return str(size).encode() + rest


def _block(
    name: bytes,
    kind: bytes,
    *,
    size: int = 0,
    mode: int = 0o644,
    owner: tuple[int, int] = (0, 0),
    seconds: int = 0,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    fields = [
        name.ljust(100, b"\0"),
        _number(mode, 8),
        _number(owner[0], 8),
        _number(owner[1], 8),
        _number(size, 12),
        _number(seconds, 12),
        b" " * 8,
        kind,
        target.ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),  # owners by number only: names mean others elsewhere
        _number(device[0], 8),
        _number(device[1], 8),
        bytes(167),
    ]
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _number(value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    # GNU's: two's complement, of which the first bit says that it is that.
    whole = bytearray(value.to_bytes(width, "big", signed=True))
    whole[0] |= 0x80
    return bytes(whole)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _BLOCK)


def _end_of(written: int) -> int:
    """Bytes of zeros: two blocks at least."""
    return 2 * _BLOCK + -(written + 2 * _BLOCK) % _RECORD
