"""Lets restic back up one directory of difficult names, times and kinds of files in several time zones, and stores the
tree blobs it writes under tests/data/restic_trees: what our trees are compared with, byte by byte.

    python3 tools/restic_trees.py RESTIC tests/data/restic_trees        (as root: it makes devices)
"""

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

NAMES = [b"<&>.txt", b"bad\xff", "nb\u00a0sp".encode(), b'a"b\\c', b"tab\there", b"\x01\x7f", b"bad\xff\xc3(",
         "\u2028".encode(), "\u0085".encode(), "\U0001f600\U000e0001".encode(), "\ufffd".encode(), b"it's", b"nl\n",
         b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b" ", b"\xc0\xaf", "\u180e".encode(), "cafe\u0301".encode(), b"\xe2\x80"]
NANOSECONDS = [0, 1704164645600000000, -1, 1, -2208988800123456789, 1720000000123456789, 31000000000001000]
MODES = [0o644, 0o600, 0o4755, 0o2755, 0o1777, 0o7777, 0]
ZONES = {"utc": "UTC", "st_johns": "America/St_Johns", "monrovia": "Africa/Monrovia"}


def fill(root: bytes) -> None:
    def path(name: bytes) -> bytes:
        return os.path.join(root, name)

    for i, name in enumerate(NAMES):
        with open(path(name), "wb") as file:
            file.write(b"x" * i)
        os.chmod(path(name), MODES[i % len(MODES)])
        os.chown(path(name), i * 4_000_000, 65534 - i)
        os.utime(path(name), ns=(NANOSECONDS[i % 7], NANOSECONDS[(i + 3) % 7]))
    os.symlink(b"a/<b>", path(b"link"))
    os.symlink(b"bad\xff\xfe&\xe2\x80\xa9", path(b"link to bytes"))
    os.link(path(b"bad\xff"), path(b"hard link"))
    os.mkfifo(path(b"fifo"))
    os.mknod(path(b"block"), stat.S_IFBLK | 0o660, os.makedev(7, 3))
    os.mknod(path(b"char"), stat.S_IFCHR | 0o666, os.makedev(1, 300))
    os.mkdir(path(b"dir"))
    os.mkdir(path(b"sticky"))
    os.chmod(path(b"sticky"), 0o3777)
    os.setxattr(path(b"dir"), "user.z", b"\x00\xff")
    os.setxattr(path(b"dir"), "user.a<\u00e9>", b"")


def main(restic: str, target: pathlib.Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        os.mkdir(f"{place}/source")
        fill(os.fsencode(f"{place}/source"))
        environment = os.environ | {"RESTIC_REPOSITORY": f"{place}/repository", "RESTIC_PASSWORD": "x"}

        def run(*arguments: str, zone: str = "UTC") -> bytes:
            return subprocess.run([restic, "--no-cache", "-q", *arguments], env=environment | {"TZ": zone}, check=True,
                                  cwd=place, stdout=subprocess.PIPE).stdout

        run("init")
        for name, zone in ZONES.items():
            summary = run("backup", "--json", "--with-atime", "--host", "host", "source", zone=zone).splitlines()[-1]
            root = json.loads(run("cat", "snapshot", json.loads(summary)["snapshot_id"]))["tree"]
            tree = json.loads(run("cat", "blob", root))["nodes"][0]["subtree"]
            (target / f"{name}.json").write_bytes(run("cat", "blob", tree))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
