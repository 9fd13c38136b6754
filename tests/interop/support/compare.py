"""Compares two directory trees in every attribute that a backup has to keep; stricter than rsync -aHAX --checksum."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import Callable

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFCHR: "chardev",
          stat.S_IFBLK: "dev", stat.S_IFSOCK: "socket"}


def kind_of(info: os.stat_result) -> str:
    return _KINDS[stat.S_IFMT(info.st_mode)]


def listing(root: os.PathLike | str | bytes) -> dict[bytes, os.stat_result]:
    """Path below root -> lstat, without following anything; root itself is b'.'."""
    top = os.fsencode(root)
    found = {b".": os.lstat(top)}
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in entries:
                path = os.path.join(folder, entry.name)
                found[path] = info = os.lstat(os.path.join(top, path))
                if stat.S_ISDIR(info.st_mode):
                    waiting.append(path)
    return found


def attributes(path: bytes) -> dict[bytes, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {os.fsencode(n): os.getxattr(path, n, follow_symlinks=False) for n in names}


def same_content(a: bytes, b: bytes) -> bool:
    with open(a, "rb") as one, open(b, "rb") as two:
        while True:
            left, right = one.read(1 << 20), two.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True


def data_segments(path: os.PathLike | str | bytes) -> list[tuple[int, int]]:
    """Where the file system keeps bytes: [begin, end) of each part that is not a hole."""
    found = []
    with open(path, "rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            found.append((begin, at))
    return found


def _link_groups(top: bytes, entries: dict[bytes, os.stat_result]) -> dict[bytes, frozenset[bytes]]:
    groups: dict[tuple[int, int], set[bytes]] = {}
    for path, info in entries.items():
        if stat.S_ISREG(info.st_mode):
            groups.setdefault((info.st_dev, info.st_ino), set()).add(path)
    return {path: frozenset(group) for group in groups.values() for path in group}


def compare_trees(original: os.PathLike | str | bytes, restored: os.PathLike | str | bytes, *, root: bool = False,
                  links: bool = True, times: bool = True, owners: bool = True, xattrs: bool = True,
                  ignore: Callable[[bytes], bool] = lambda path: False) -> list[str]:
    """Differences as readable lines; empty if the trees are equal.

    Compared: the set of names, kind, mode with setuid/setgid/sticky, owner, mtime to the nanosecond (directories and symlinks
    too), contents, symlink targets, extended attributes with ACLs, device numbers, which names share one file. Sockets count
    as absent: no backup holds them. `root`: the attributes of the two top directories as well.
    """
    one, two = os.fsencode(original), os.fsencode(restored)
    left, right = ({p: i for p, i in listing(t).items() if not stat.S_ISSOCK(i.st_mode) and not ignore(p)}
                   for t in (one, two))
    found = [f"{p!r}: missing" for p in sorted(left.keys() - right.keys())]
    found += [f"{p!r}: not in the original" for p in sorted(right.keys() - left.keys())]
    for path in sorted(left.keys() & right.keys()):
        if path == b"." and not root:
            continue
        a, b = left[path], right[path]
        pa, pb = os.path.join(one, path), os.path.join(two, path)
        if kind_of(a) != kind_of(b):
            found.append(f"{path!r}: {kind_of(a)} became {kind_of(b)}")
            continue
        if a.st_mode != b.st_mode:
            found.append(f"{path!r}: mode {a.st_mode:o} became {b.st_mode:o}")
        if owners and (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid):
            found.append(f"{path!r}: owner {a.st_uid}:{a.st_gid} became {b.st_uid}:{b.st_gid}")
        if times and a.st_mtime_ns != b.st_mtime_ns:
            found.append(f"{path!r}: mtime {a.st_mtime_ns} became {b.st_mtime_ns}")
        if stat.S_ISLNK(a.st_mode) and os.readlink(pa) != os.readlink(pb):
            found.append(f"{path!r}: target {os.readlink(pa)!r} became {os.readlink(pb)!r}")
        if (stat.S_ISCHR(a.st_mode) or stat.S_ISBLK(a.st_mode)) and a.st_rdev != b.st_rdev:
            found.append(f"{path!r}: device {a.st_rdev:#x} became {b.st_rdev:#x}")
        if stat.S_ISREG(a.st_mode):
            if a.st_size != b.st_size:
                found.append(f"{path!r}: {a.st_size} bytes became {b.st_size}")
            elif not same_content(pa, pb):
                found.append(f"{path!r}: contents differ")
        if xattrs and attributes(pa) != attributes(pb):
            found.append(f"{path!r}: attributes {attributes(pa)} became {attributes(pb)}")
    if links:
        a_groups, b_groups = _link_groups(one, left), _link_groups(two, right)
        for path in sorted(a_groups.keys() & b_groups.keys()):
            if a_groups[path] != b_groups[path]:
                found.append(f"{path!r}: shares its file with {sorted(a_groups[path])}, now with {sorted(b_groups[path])}")
    return found


def assert_same(original: os.PathLike | str | bytes, restored: os.PathLike | str | bytes, **options) -> None:
    found = compare_trees(original, restored, **options)
    assert not found, f"{len(found)} differences between {original!r} and {restored!r}:\n" + "\n".join(
        line if len(line) < 400 else line[:200] + " … " + line[-200:] for line in found[:40])


def rsync_differences(original: os.PathLike | str, restored: os.PathLike | str) -> str:
    """What rsync would still have to do: a second opinion from a program that knows nothing of us."""
    done = subprocess.run(["rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes", "--omit-dir-times",
                           f"{original}/", f"{restored}/"], capture_output=True, check=True)
    return os.fsdecode(done.stdout)
