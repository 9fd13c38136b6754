"""A restored directory beside the tree of the snapshot that it is from: does it hold what was backed up?"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from .._engine import Error, Node
from ..chunking import chunk
from ..repository import Repository
from .contents import OpenVolume

# A report with a million lines helps nobody.
_PROBLEMS_KEPT = 100
_PIECE = 4 << 20
# restic stores no sockets, though their names may be in a tree; nor can what it calls irregular be made.
_NEVER_RESTORED = frozenset({"socket", "irregular", ""})


@dataclass
class Comparison:
    """What was compared. Files are regular ones; bytes are those of their contents, read again from the disk."""

    entries: int = 0
    files: int = 0
    bytes: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)  # the first ones
    notes: list[str] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        return not self.problem_count

    def add_problem(self, path: str, what: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(f"{path}: {what}")

    def add_note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def compare(volume: OpenVolume, target: str) -> Comparison:
    """Compares everything that a restore of the whole volume into the empty directory `target` should have made: names,
    types, sizes, modes, owners, times, link targets, hard links, devices, extended attributes, and the contents' hashes
    with the ids in the snapshot's tree. Changes nothing. Owners are compared only by root, who alone can restore
    them."""
    comparing = _Comparing(volume, target)
    comparing.run()
    return comparing.found


class _Comparing:
    def __init__(self, volume: OpenVolume, target: str) -> None:
        self.found = Comparison()
        self._volume = volume
        self._target = os.fsencode(target)
        self._links: dict[tuple[int, int], tuple[int, int]] = {}  # (device, inode) in the snapshot and on the disk
        self._is_root = os.geteuid() == 0
        if not self._is_root:
            self.found.add_note("owners were not compared: only root can restore them")

    def run(self) -> None:
        waiting = ["/"]
        while waiting:
            directory = waiting.pop()
            nodes = {node.name: node for node in self._volume.scandir(directory) if node.type not in _NEVER_RESTORED}
            self._compare_names(directory, set(nodes))
            for path, node in self._there(directory, nodes):
                if self._compare(path, node) and node.type == "dir":
                    waiting.append(path)

    def _compare_names(self, directory: str, wanted: set[str]) -> None:
        there = {os.fsdecode(name) for name in os.listdir(self._on_disk(directory))}
        for name in sorted(wanted - there):
            self.found.add_problem(_joined(directory, name), "was not restored")
        for name in sorted(there - wanted):
            self.found.add_problem(_joined(directory, name), "is not in the snapshot")

    def _there(self, directory: str, nodes: dict[str, Node]) -> Iterator[tuple[str, Node]]:
        for name, node in nodes.items():
            # A forged name; that it was not restored is known by now.
            if "/" in name or name in ("", ".", ".."):
                continue
            path = _joined(directory, name)
            if os.path.lexists(self._on_disk(path)):
                yield path, node

    def _compare(self, path: str, node: Node) -> bool:
        """Whether it is of the right type."""
        self.found.entries += 1
        status = os.lstat(self._on_disk(path))
        if stat.S_IFMT(status.st_mode) != stat.S_IFMT(node.mode):
            self.found.add_problem(path, f"is not a {node.type}")
            return False
        for what, wanted, there in self._attributes(node, status):
            if wanted != there:
                self.found.add_problem(path, f"{what} is {there}, in the snapshot {wanted}")
        self._compare_extended(path, node)
        if node.type == "symlink":
            link = os.fsdecode(os.readlink(self._on_disk(path)))
            if link != node.link_target:
                self.found.add_problem(path, f"links to {link}, in the snapshot to {node.link_target}")
        elif node.type == "file":
            self._compare_file(path, node, status)
        return True

    def _attributes(self, node: Node, status: os.stat_result) -> Iterator[tuple[str, object, object]]:
        if node.type != "symlink":  # Linux has no modes of symlinks
            yield "mode", oct(stat.S_IMODE(node.mode)), oct(stat.S_IMODE(status.st_mode))
        if node.type == "file":
            yield "size", node.size, status.st_size
        if node.type in ("dev", "chardev"):
            yield "device", node.device, status.st_rdev
        if self._is_root:
            yield "owner", f"{node.uid}:{node.gid}", f"{status.st_uid}:{status.st_gid}"
        yield "modification time", node.mtime_ns, status.st_mtime_ns

    def _compare_extended(self, path: str, node: Node) -> None:
        for name, value in node.extended_attributes.items():
            if not self._is_root and not name.startswith("user."):
                continue
            try:
                there = os.getxattr(self._on_disk(path), name, follow_symlinks=False)
            except OSError as problem:
                if problem.errno in (errno.ENOTSUP, errno.EPERM):
                    self.found.add_note(
                        f"extended attributes such as {name} were not compared: the scratch directory has none"
                    )
                else:
                    self.found.add_problem(path, f"extended attribute {name} was not restored")
                continue
            if there != (value or b""):
                self.found.add_problem(path, f"extended attribute {name} differs")

    def _compare_file(self, path: str, node: Node, status: os.stat_result) -> None:
        self.found.files += 1
        if node.links > 1 and node.inode:
            wanted, there = (node.device_id, node.inode), (status.st_dev, status.st_ino)
            if self._links.setdefault(wanted, there) != there:
                self.found.add_problem(path, "is a file of its own, in the snapshot a hard link to another")
        self.found.bytes += status.st_size
        if not self._has_content(path, node, status.st_size):
            self.found.add_problem(path, "its content is not that of the snapshot")

    def _has_content(self, path: str, node: Node, size: int) -> bool:
        repository = self._volume.repository
        file = os.open(self._on_disk(path), os.O_RDONLY | os.O_NOFOLLOW)
        try:
            if repository is not None and _hashes(file, size, repository.repository) == node.content:
                return True
            # Cut in other places, as in repositories that were copied: then byte by byte.
            return self._has_bytes(path, file, size)
        finally:
            os.close(file)

    def _has_bytes(self, path: str, file: int, size: int) -> bool:
        try:
            with self._volume.open(path) as wanted:
                position = 0
                while piece := wanted.read(_PIECE):
                    if os.pread(file, len(piece), position) != piece:
                        return False
                    position += len(piece)
                return position == size
        except Error as problem:
            self.found.add_problem(path, str(problem))
            return False

    def _on_disk(self, path: str) -> bytes:
        return self._target + os.fsencode(path)


def _hashes(file: int, size: int, repository: Repository) -> list[str]:
    """The ids that the pieces of a file have as blobs in that repository."""
    if size == 0:
        return []
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
        found = []
        for piece in chunk(view, repository.chunker_polynomial):
            found.append(piece.sha256())
            piece.data.release()
        return found


def _joined(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"
