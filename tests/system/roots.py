"""Root directories of systems that have next to nothing, for programs to be started in by chroot.

No image of Alpine is to be had where these tests run. What makes Alpine special for a program from elsewhere is that it has musl
for a C library and no glibc, and busybox for everything else; that is made here from Debian's packages musl and busybox-static.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile

REPOSITORY_ROOT = pathlib.Path(__file__).resolve().parents[2]
CHROOT = shutil.which("chroot") or "chroot"
_PASSWD = "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n"
_GROUP = "root:x:0:\npostgres:x:70:\n"


class Root:
    def __init__(self, path: pathlib.Path):
        self.path = path

    def install(self, archive: pathlib.Path) -> None:
        """As the README says, with a link for restic's name too."""
        for folder in ("usr/local/lib", "usr/local/bin"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", self.path / "usr/local/lib", "-xzf", archive], check=True)
        for name in ("recoup", "restic"):
            (self.path / "usr/local/bin" / name).symlink_to("../lib/recoup/recoup")

    def run(self, *command: str, code: int | None = 0, **environment: str) -> str:
        """Standard output, and standard error too with code None."""
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", **environment}
        done = subprocess.run([CHROOT, self.path, *command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        assert code is None or done.returncode == code, f"{' '.join(command)}: ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code is None else "")

    def write(self, path: str, content: str) -> None:
        """Never through a link: an absolute one, as in /usr/lib/ssl, would lead out to this machine's own files."""
        file = self.path / path.lstrip("/")
        inside = self.path.resolve()
        assert file.parent.resolve().is_relative_to(inside), f"{file.parent} leads out of {inside}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(content)


def cache() -> pathlib.Path:
    return pathlib.Path(os.environ.get("RECOUP_TEST_CACHE") or "~/.cache/recoup-test").expanduser()


def _packages(suite: str, *names: str) -> pathlib.Path:
    """Debian packages of a suite, unpacked side by side in the tests' cache; nothing is installed on this machine."""
    folder = cache() / "system-roots" / f"{suite}-{'-'.join(names)}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    script = """. tools/private-apt.sh
        private_apt_need_lists; private_apt_prepare "$1" "$2"; cd "$1"
        private_apt "$PWD" download -qq "${@:3}"
        for each in *.deb; do dpkg -x "$each" tree; done"""
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        done = subprocess.run(["bash", "-ec", script, "-", work, suite, *names], cwd=REPOSITORY_ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"cannot fetch {names} of Debian {suite}: {done.stdout}{done.stderr}"
        os.rename(f"{work}/tree", folder)
    return folder


def _skeleton(path: pathlib.Path, busybox: pathlib.Path) -> Root:
    for folder in ("bin", "dev", "etc", "lib", "proc", "root", "tmp", "usr/bin", "var"):
        (path / folder).mkdir(parents=True)
    shutil.copy(busybox, path / "bin/busybox")
    subprocess.run([CHROOT, path, "/bin/busybox", "--install", "-s", "/bin"], check=True)
    (path / "etc/passwd").write_text(_PASSWD)
    (path / "etc/group").write_text(_GROUP)
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(path / "dev" / name, 0o666 | 0o020000, os.makedev(1, minor))
    return Root(path)


def musl(folder: pathlib.Path) -> Root:
    """Like Alpine: musl, busybox, and no file of glibc."""
    tree = _packages("bookworm", "musl", "busybox-static")
    root = _skeleton(folder / "root", tree / "bin/busybox")
    shutil.copy(next(tree.glob("lib/*-linux-musl/libc.so")), root.path / f"lib/ld-musl-{os.uname().machine}.so.1")
    assert not list(root.path.rglob("libc.so.6"))
    return root


def newer_glibc(folder: pathlib.Path) -> Root:
    """What the bundle meets on a distribution that is newer than the one it was built on: that one's glibc, in its usual places."""
    tree = _packages("trixie", "libc6", "busybox-static")
    busybox = next(each for each in (tree / "bin/busybox", tree / "usr/bin/busybox") if each.exists())
    root = _skeleton(folder / "root", busybox)
    shutil.copytree(tree / "usr/lib", root.path / "usr/lib", symlinks=True)
    for name in ("lib", "lib64"):
        if (tree / name).is_dir() and not (tree / name).is_symlink():
            shutil.copytree(tree / name, root.path / name, symlinks=True, dirs_exist_ok=True)
    (root.path / "lib").rmdir()
    (root.path / "lib").symlink_to("usr/lib")
    if not (root.path / "lib64").exists():
        (root.path / "lib64").symlink_to("usr/lib64")
    return root


def debian(folder: pathlib.Path) -> Root:
    """What debootstrap's minbase makes: the container image of tools/incus.sh."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-C", folder, "-xzf", cache() / "incus-image/rootfs.tar.gz"], check=True)
    with open(folder / "etc/passwd", "a") as file:
        file.write("postgres:x:70:70::/var/lib/postgresql:/bin/sh\n")
    with open(folder / "etc/group", "a") as file:
        file.write("postgres:x:70:\n")
    return Root(folder)
