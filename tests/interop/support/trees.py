"""Directories to back up: one with everything odd that a file system can hold, and random ones from a seed.

All times are set explicitly and directories last, so that a tree stays as it was made.
"""

from __future__ import annotations

import os
import pathlib
import random
import socket
import stat
import struct
from collections.abc import Iterable

MIB = 1 << 20
SECOND = 1_000_000_000

#: names that some encoder gets wrong
ODD_NAMES: list[bytes] = [
    b"with space", b" leading", b"trailing ", b'"quoted"', b"single'quote", b"back\\slash", b"new\nline", b"tab\there",
    b"cr\rlf\n", b"\x01\x02\x1f\x7f", b"\a\b\f\v", b"bad\xff\xc3(", b"\xff", b"\xc3\x28 \xe2\x82", b"\xed\xa0\x80 surrogate",
    b"\xc0\x80 overlong", b"\xf4\x90\x80\x80 beyond", b"\x80", b"<&>.txt", b"$HOME", b"${HOME}", b"*glob?[x]", b"[", b"-dash",
    b"--flag", b"#comment", b"!not", b"~tilde", b"%20", b"a,b=c;d|e`f`", b"...", b"..x", b".hidden", b"x" * 255,
    b"\xff" * 255, "é" * 127, "Grüße", "nb\u00a0sp", "zero\u200bwidth", "joiner\u200d\u200e\u200f", "\ufffd", "x\ufffd\ufffdy",
    "soft\u00adhyphen", "next\u0085line", "line\u2028sep", "para\u2029sep", "\u3000ideographic", "rtl\u202eoverride",
    "\ufeffbom", "private\ue000", "noncharacter\ufffe\uffff", "unassigned\u0378", "tag\U000e0001", "last\U0010ffff",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "combining e\u0301", "\u0301", "名前", "ᠠ", "𐎀",
    "unicode15\U0001e4d0", "unicode16\U00010d40", "\u2007figure", "\u180emongol", "hangul\u1160filler",
]  # type: ignore[list-item]
ODD_NAMES = [n if isinstance(n, bytes) else n.encode() for n in ODD_NAMES]

#: nanoseconds since 1970 that every file system under test can store (ext4: 1901-12-13 to 2446-05-10)
ODD_TIMES: list[int] = [
    0, 1, -1, -SECOND, -SECOND - 1, 999_999_999, 1_000_000_000, 1_234_567_890_123_456_789, 1_234_567_890_100_000_000,
    1_234_567_890_000_000_001, 1_234_567_890_123_456_000, 100, 10_000_000, -2_147_483_648 * SECOND,
    -2_147_483_648 * SECOND + 1, -1_500_000_000_500_000_000, 2_147_483_647 * SECOND, 2_147_483_648 * SECOND, 4_102_444_800_123_000_000,
    9_223_372_036_000_000_001,
    # around changes of summer time in Berlin (2023-03-26, 2023-10-29) and St John's
    1_679_792_399_999_999_999, 1_679_792_400_000_000_000, 1_698_541_199_500_000_000, 1_698_541_200_000_000_000,
    1_678_597_199_000_000_000, 1_678_597_200_000_000_000, -1_690_000_000 * SECOND, -760_000_000 * SECOND,
]

#: later than 2262-04-11, where a signed 64-bit count of nanoseconds ends; restic stores these and restores 1901 or so
LATE_TIMES: list[int] = [9_223_372_036_854_775_808, 9_223_372_037 * SECOND, 13_569_465_600_000_000_001]


def noise(size: int, seed: object) -> bytes:
    """Incompressible bytes, the same for the same seed."""
    return random.Random(repr(seed)).randbytes(size)


def text(size: int, seed: object) -> bytes:
    """Compressible bytes with few repetitions at chunk scale."""
    rng = random.Random(repr(seed))
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2000)]
    out = b" ".join(rng.choices(words, k=size // 6 + 1))
    while len(out) < size:
        out += b"\n" + out
    return out[:size]


def write(path: bytes, content: bytes = b"", mode: int = 0o644, when: int = 1_700_000_000_123_456_789) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    os.utime(path, ns=(when, when))


def _set_times(root: bytes, rng: random.Random) -> None:
    """Gives everything that has a fresh time one of its own, contents before their directories."""
    for folder, folders, names in os.walk(root, topdown=False):
        for name in sorted(folders + names):
            path = os.path.join(folder, name)
            when = rng.choice(ODD_TIMES) if rng.random() < 0.5 else rng.randrange(-2_000_000_000, 4_000_000_000) * SECOND + rng.randrange(SECOND)
            os.utime(path, ns=(when + 7 * SECOND, when), follow_symlinks=False)


def _names(root: bytes) -> None:
    os.mkdir(root)
    for number, name in enumerate(ODD_NAMES):
        path = os.path.join(root, name)
        kind = number % 4
        if kind == 0 or len(name) > 250:
            write(path, b"contents of " + name)
        elif kind == 1:
            os.mkdir(path)
            write(os.path.join(path, name), b"")
        elif kind == 2:
            os.symlink(b"to " + name, path)
        else:
            write(path, b"")


def _modes(root: bytes) -> None:
    os.mkdir(root)
    for mode in (0o0000, 0o0001, 0o0400, 0o0600, 0o0644, 0o0755, 0o0777, 0o1644, 0o2755, 0o4755, 0o6755, 0o7777):
        write(os.path.join(root, b"file-%04o" % mode), b"mode", mode)
        folder = os.path.join(root, b"dir-%04o" % mode)
        os.mkdir(folder)
        write(os.path.join(folder, b"inside"), b"inside")
        os.chmod(folder, mode)
    for uid, gid in ((1000, 1000), (33, 33), (65534, 65534), (12345, 54321), (4294967294, 4294967294), (0, 1), (1, 0)):
        path = os.path.join(root, b"owner-%d-%d" % (uid, gid))
        write(path, b"owned", 0o640)
        os.chown(path, uid, gid)
        os.chmod(path, 0o6750)
        link = os.path.join(root, b"link-of-%d" % uid)
        os.symlink(b"x", link)
        os.chown(link, uid, gid, follow_symlinks=False)


def _links(root: bytes, hard_linked_specials: bool) -> None:
    join = os.path.join
    for folder in (b"", b"a", b"b", b"b/c"):
        os.makedirs(join(root, folder), exist_ok=True)
    write(join(root, b"a/one"), b"linked" * 100)
    os.link(join(root, b"a/one"), join(root, b"b/two"))
    os.link(join(root, b"a/one"), join(root, b"b/c/three"))
    write(join(root, b"b/empty-one"), b"")
    os.link(join(root, b"b/empty-one"), join(root, b"a/empty-two"))
    write(join(root, b"a/big"), noise(2 * MIB, "hard link"))
    os.link(join(root, b"a/big"), join(root, b"big"))
    write(join(root, b"outside-twin"), b"its twin lies outside the tree")
    os.symlink(b"a/one", join(root, b"relative"))
    os.symlink(b"/etc/hostname", join(root, b"absolute"))
    os.symlink(b"nowhere/at/all", join(root, b"dangling"))
    os.symlink(b"a", join(root, b"to-directory"))
    os.symlink(b"loop", join(root, b"loop"))
    os.symlink(b"bad\xff\xfetarget", join(root, b"invalid-target"))
    os.symlink("ziel \u00a0\u200b\ufffd <&>\"\\\n".encode(), join(root, b"odd-target"))
    os.symlink(b"x" * 4000, join(root, b"long-target"))
    if hard_linked_specials:
        os.link(join(root, b"relative"), join(root, b"a/relative"), follow_symlinks=False)


def _specials(root: bytes, hard_linked_specials: bool, sockets: bool) -> None:
    join = os.path.join
    os.mkdir(root)
    os.mkfifo(join(root, b"fifo"), 0o640)
    os.mknod(join(root, b"null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(join(root, b"char-large"), stat.S_IFCHR | 0o600, os.makedev(511, 1048575))
    os.mknod(join(root, b"block"), stat.S_IFBLK | 0o660, os.makedev(7, 200))
    os.chmod(join(root, b"null"), 0o4666)
    os.chown(join(root, b"fifo"), 7, 8)
    if hard_linked_specials:
        os.link(join(root, b"null"), join(root, b"null-2"))
        os.link(join(root, b"fifo"), join(root, b"fifo-2"))
    if sockets:
        here = os.getcwd()
        os.chdir(root)  # an address has at most 108 bytes
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("socket")
        finally:
            os.chdir(here)


def _acl(entries: Iterable[tuple[int, int, int]]) -> bytes:
    """The kernel's form of a POSIX ACL: version 2, then (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


_NO_ID = 0xFFFFFFFF
ACCESS_ACL = _acl([(1, 6, _NO_ID), (2, 7, 1000), (2, 4, 54321), (4, 4, _NO_ID), (8, 5, 33), (16, 7, _NO_ID), (32, 4, _NO_ID)])
DEFAULT_ACL = _acl([(1, 7, _NO_ID), (2, 5, 1000), (4, 5, _NO_ID), (16, 5, _NO_ID), (32, 0, _NO_ID)])
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw+ep


def _attributes(root: bytes) -> None:
    join = os.path.join
    os.mkdir(root)
    for name in (b"file", b"empty-value", b"many", b"binary", b"acl", b"capability"):
        write(join(root, name), b"with attributes")
    os.setxattr(join(root, b"file"), b"user.one", b"1")
    os.setxattr(join(root, b"empty-value"), b"user.empty", b"")
    for number in (7, 3, 11, 1, 20, 5):  # the order of the kernel's list is stored, not the sorted one
        os.setxattr(join(root, b"many"), b"user.key%d" % number, b"value %d" % number)
    os.setxattr(join(root, b"binary"), b"user.raw", bytes(range(256)))
    os.setxattr(join(root, b"binary"), b"user.long", noise(2000, "xattr"))
    os.setxattr(join(root, b"binary"), "user.näme <&>".encode(), "wört".encode())
    os.setxattr(join(root, b"acl"), b"system.posix_acl_access", ACCESS_ACL)
    os.setxattr(join(root, b"capability"), b"security.capability", CAPABILITY)
    os.setxattr(join(root, b"capability"), b"trusted.of-root", b"only root sees it")
    os.mkdir(join(root, b"dir"))
    os.setxattr(join(root, b"dir"), b"user.on-dir", b"directories too")
    os.setxattr(join(root, b"dir"), b"system.posix_acl_access", ACCESS_ACL)
    os.setxattr(join(root, b"dir"), b"system.posix_acl_default", DEFAULT_ACL)
    write(join(root, b"dir/heir"), b"inherited the default ACL")
    os.symlink(b"nowhere", join(root, b"link"))
    os.setxattr(join(root, b"link"), b"trusted.on-link", b"symlinks too", follow_symlinks=False)


def _contents(root: bytes, large: int) -> None:
    join = os.path.join
    os.mkdir(root)
    for size in (0, 1, 63, 64, 65, 4095, 4096, 524_287, 524_288, 524_289):
        write(join(root, b"noise-%d" % size), noise(size, size))
    write(join(root, b"text"), text(3 * MIB, "text"))
    write(join(root, b"large"), noise(large, "large"))
    write(join(root, b"large-twin"), noise(large, "large") + b"and a little more")
    write(join(root, b"shifted"), b"shifted" + noise(large, "large"))
    write(join(root, b"zeros"), bytes(9 * MIB + 5))
    write(join(root, b"ones"), b"\xff" * (MIB + 1))
    with open(join(root, b"sparse"), "wb") as file:
        file.seek(5 * MIB + 13)
        file.write(b"island")
        file.seek(12 * MIB)
        file.write(noise(700_000, "sparse"))
        file.truncate(20 * MIB + 1)
    with open(join(root, b"hole"), "wb") as file:
        file.truncate(3 * MIB)


def _structure(root: bytes) -> None:
    os.mkdir(root)
    os.mkdir(os.path.join(root, b"empty"))
    os.makedirs(os.path.join(root, b"d/e/e/p/" + b"/".join([b"down"] * 40)))
    wide = os.path.join(root, b"wide")
    os.mkdir(wide)
    for number in range(300):
        write(os.path.join(wide, b"f%d" % number), b"%d" % (number % 50))


def odd_tree(root: os.PathLike | str, *, hard_linked_specials: bool = True, sockets: bool = True,
             large: int = 20 * MIB) -> pathlib.Path:
    """Makes a tree with everything that restic stores. Needs root.

    `hard_linked_specials`: symlinks, devices and fifos with several names too, which restic stores and doesn't restore as links.
    `sockets`: a socket too, which restic leaves out.
    """
    top = os.fsencode(root)
    os.mkdir(top)
    join = os.path.join
    old_mask = os.umask(0o022)
    try:
        _names(join(top, b"names"))
        _modes(join(top, b"modes"))
        _links(join(top, b"links"), hard_linked_specials)
        _specials(join(top, b"specials"), hard_linked_specials, sockets)
        _attributes(join(top, b"attributes"))
        _contents(join(top, b"contents"), large)
        _structure(join(top, b"structure"))
        _set_times(top, random.Random("times"))
        os.utime(top, ns=(1_600_000_000_000_000_000, 1_600_000_000_000_000_001))
    finally:
        os.umask(old_mask)
    return pathlib.Path(os.fsdecode(top))


def small_tree(root: os.PathLike | str, seed: object = 0, *, files: int = 20, bytes_each: int = 20_000) -> pathlib.Path:
    """A few directories with ordinary files."""
    top = pathlib.Path(root)
    rng = random.Random(repr(seed))
    top.mkdir(parents=True)
    for number in range(files):
        folder = top / f"d{number % 4}"
        folder.mkdir(exist_ok=True)
        write(os.fsencode(folder / f"f{number}"), noise(rng.randint(1, bytes_each * 2), (seed, number)),
              when=(1_600_000_000 + number) * SECOND + 5)
    (top / "empty").mkdir()
    (top / "link").symlink_to("d0/f0")
    return top


class RandomTree:
    """Grows and changes a tree; the same seed makes the same tree."""

    def __init__(self, root: os.PathLike | str, seed: object):
        self.root = os.fsencode(root)
        self.rng = random.Random(repr(seed))
        os.makedirs(self.root)

    def _name(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        if kind < 0.4:
            return bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz0123456789.-_ ", k=rng.randint(1, 12)))
        if kind < 0.6:
            return bytes(b for b in rng.randbytes(rng.randint(1, 20)) if b not in (0, 0x2F)) or b"x"
        if kind < 0.9:
            planes = [(0x20, 0x7F), (0x80, 0x2FF), (0x300, 0x36F), (0x600, 0x6FF), (0x2000, 0x206F), (0x3000, 0x30FF),
                      (0xE000, 0xE010), (0xFFF0, 0xFFFF), (0x1F600, 0x1F64F), (0x10000, 0x100FF), (0xE0000, 0xE007F),
                      (0x1E000, 0x1E2FF), (0x700, 0xFFF), (0x16000, 0x18FFF)]
            chars = [chr(rng.randint(*rng.choice(planes))) for _ in range(rng.randint(1, 12))]
            return "".join(chars).replace("/", "x").encode()
        return rng.choice(ODD_NAMES)

    def _content(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        if kind < 0.2:
            return b""
        if kind < 0.8:
            return rng.randbytes(rng.randint(1, 3000))
        if kind < 0.95:
            return bytes(rng.choices(b"abc\n\0", k=rng.randint(1, 60_000)))
        piece = rng.randbytes(rng.randint(1, 2_000_000))
        return piece + bytes(rng.randint(0, 1_000_000)) + piece[: rng.randint(0, len(piece))]

    def _attributes(self, path: bytes) -> None:
        rng = self.rng
        link = os.path.islink(path)
        if rng.random() < 0.3:
            os.chown(path, rng.choice([0, 1, 33, 1000, 99999]), rng.choice([0, 5, 1000, 77777]), follow_symlinks=False)
        if not link:
            os.chmod(path, rng.choice([0o644, 0o600, 0o755, 0o777, 0o1777, 0o2755, 0o4711, rng.randint(0, 0o7777)]))
            for _ in range(rng.choice([0, 0, 0, 1, 3]) if os.path.isdir(path) or os.path.isfile(path) else 0):
                os.setxattr(path, b"user." + bytes(rng.choices(b"abcdef", k=5)), rng.randbytes(rng.randint(0, 60)))

    def _times(self, path: bytes) -> None:
        when = self.rng.choice(ODD_TIMES) if self.rng.random() < 0.3 else (
            self.rng.randrange(-2_000_000_000, 8_000_000_000) * SECOND + self.rng.randrange(SECOND))
        os.utime(path, ns=(when, when), follow_symlinks=False)

    def _folders(self) -> list[bytes]:
        return [self.root] + sorted(os.path.join(f, d) for f, ds, _ in os.walk(self.root) for d in ds
                                    if not os.path.islink(os.path.join(f, d)))

    def grow(self, entries: int) -> RandomTree:
        rng = self.rng
        folders, files = self._folders(), sorted(self.files())
        for _ in range(entries):
            folder = rng.choice(folders)
            path = os.path.join(folder, self._name())
            if os.path.lexists(path) or path.endswith((b"/.", b"/..")) or len(path) > 3500:
                continue
            kind = rng.random()
            if kind < 0.25:
                os.mkdir(path)
                folders.append(path)
            elif kind < 0.75:
                write(path, self._content())
                files.append(path)
            elif kind < 0.85:
                os.symlink(self._name(), path)
            elif kind < 0.92 and files:
                os.link(rng.choice(files), path)
            elif kind < 0.96:
                os.mkfifo(path)
            else:
                os.mknod(path, rng.choice([stat.S_IFCHR, stat.S_IFBLK]) | 0o600, os.makedev(rng.randint(1, 200), rng.randint(0, 300)))
            self._attributes(path)
        return self._settle()

    def change(self) -> RandomTree:
        """Writes, cuts, touches and removes some files, renames some directories, and adds new entries."""
        rng = self.rng
        for path in sorted(self.files()):
            kind = rng.random()
            if kind < 0.1:
                os.unlink(path)
            elif kind < 0.2:
                with open(path, "ab") as file:
                    file.write(rng.randbytes(rng.randint(1, 5000)))
            elif kind < 0.25:
                with open(path, "r+b") as file:
                    file.truncate(rng.randint(0, os.path.getsize(path)))
            elif kind < 0.3:
                os.rename(path, path + b"x" if len(os.path.basename(path)) < 255 else path)
        return self.grow(20)

    def files(self) -> list[bytes]:
        return [os.path.join(f, n) for f, _, ns in os.walk(self.root) for n in ns
                if stat.S_ISREG(os.lstat(os.path.join(f, n)).st_mode)]

    def _settle(self) -> RandomTree:
        for folder, folders, names in os.walk(self.root, topdown=False):
            for name in sorted(folders + names):
                self._times(os.path.join(folder, name))
        self._times(self.root)
        return self
