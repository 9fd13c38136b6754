"""What is backed up: R, B and T of docs/design.md, made of what every machine of developers has, and any directory.

The same machine gives the same data in the same order; another machine gives other data of the same kind and size, so
figures compare programs, not machines.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import random
import shutil
import stat
import tarfile
from collections.abc import Iterator
from typing import Callable

MIB = 1 << 20
GB = 10**9


@dataclasses.dataclass
class DataSet:
    name: str
    description: str
    make: Callable[[pathlib.Path], None] | None  # fills an empty directory; None: `tree` is there already
    size: int  # bytes, about: what room it needs
    tree: pathlib.Path | None = None


@dataclasses.dataclass
class Census:
    files: int = 0  # all that is no directory
    directories: int = 0
    bytes: int = 0  # of regular files, holes and further links counted


def census(root: os.PathLike | str) -> Census:
    """What is below, `root` itself not counted."""
    found, waiting = Census(), [os.fspath(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found.directories += 1
                    waiting.append(entry.path)
                else:
                    found.files += 1
                    if entry.is_file(follow_symlinks=False):
                        found.bytes += entry.stat(follow_symlinks=False).st_size
    return found


def read_all(root: pathlib.Path) -> None:
    """Reads everything once, so that no run pays for the disk."""
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb", buffering=0) as file:
                    while file.read(MIB):
                        pass


def write_random(path: pathlib.Path, size: int, seed: int = 1) -> None:
    generator = random.Random(seed)
    with open(path, "wb") as file:
        for start in range(0, size, MIB):
            file.write(generator.randbytes(min(MIB, size - start)))


def regular_files(root: pathlib.Path) -> Iterator[tuple[str, os.stat_result]]:
    """Readable files below in the order of their paths, each inode once; no other file systems, no links."""
    seen = set()
    for directory, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not os.path.ismount(os.path.join(directory, name)))
        for name in sorted(names):
            path = os.path.join(directory, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode) and (info.st_dev, info.st_ino) not in seen and os.access(path, os.R_OK):
                seen.add((info.st_dev, info.st_ino))
                yield path, info


def present(*roots: str) -> list[pathlib.Path]:
    return [path for path in (pathlib.Path(root).expanduser() for root in roots) if path.is_dir()]


# ---- R, B, T --------------------------------------------------------------------------------------------------------

def make_random(directory: pathlib.Path, scale: float) -> None:
    write_random(directory / "random", int((2 << 30) * scale))


def make_tar(directory: pathlib.Path, scale: float) -> None:
    """Two thirds libraries, one third texts; what one kind lacks, the other fills. Times and owners are left out, so that the
    bytes depend on the files' contents alone."""
    total = int(1.5 * GB * scale)
    with tarfile.open(directory / "files.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for root, until in (("/usr/lib", total * 2 // 3), ("/usr/share", total), ("/usr/include", total), ("/opt", total)):
            for path, info in regular_files(pathlib.Path(root)):
                if archive.offset >= until:
                    break
                if archive.offset + info.st_size > until + 16 * MIB:  # one huge library must not be all of it
                    continue
                member = tarfile.TarInfo(path.lstrip("/"))
                member.size = info.st_size
                with open(path, "rb") as file:
                    archive.addfile(member, file)


#: What the targets of docs/design.md were measured with.
TREE_FILES, TREE_DIRECTORIES, TREE_BYTES = 187_000, 24_000, 28 * GB // 10
TREE_ROOTS = ("~/.pyenv", "~/go/pkg/mod", "~/.rustup", "~/.cargo", "/usr/share", "/usr/lib", "/usr/include", "/opt")


def make_tree(directory: pathlib.Path, scale: float) -> None:
    """Copies caches and installations until there are as many files, with the mean size that belongs to it.

    A file that would lead the bytes away from the number of files is passed over: without that a few huge ones
    would be half of the bytes, with other roots than these most are tiny.
    """
    files, directories, size = (int(limit * scale) for limit in (TREE_FILES, TREE_DIRECTORIES, TREE_BYTES))
    copied, bytes_copied, made = 0, 0, set()
    slack = max(size // 50, 4 * MIB)
    for number, root in enumerate(present(*TREE_ROOTS)):
        for path, info in regular_files(root):
            if copied >= files:
                return
            if bytes_copied + info.st_size > size * (copied + 1) // files + slack or bytes_copied + info.st_size > size:
                continue
            target = directory / str(number) / os.path.relpath(path, root)
            new = [parent for parent in (target.parent, *target.parent.parents) if parent.is_relative_to(directory)]
            new = [parent for parent in new[:-1] if parent not in made]
            if len(made) + len(new) > directories:
                continue
            made.update(new)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            shutil.copystat(path, target)
            copied += 1
            bytes_copied += info.st_size


def standard(scale: float = 1.0) -> dict[str, DataSet]:
    """R, B and T; `scale` makes all of them smaller, or larger."""
    return {
        "R": DataSet("R", "one file of random bytes", lambda at: make_random(at, scale), int((2 << 30) * scale)),
        "B": DataSet("B", "one tar of libraries and texts", lambda at: make_tar(at, scale), int(1.5 * GB * scale)),
        # Each small file takes a whole page in memory.
        "T": DataSet("T", "package caches and language installations", lambda at: make_tree(at, scale),
                     int((TREE_BYTES + TREE_FILES * 3000) * scale)),
    }


def of_directory(tree: str) -> DataSet:
    path = pathlib.Path(tree).resolve()
    if not path.is_dir():
        raise SystemExit(f"--tree {tree}: no such directory")
    return DataSet(str(path), "a directory of this machine", None, census(path).bytes, path)
