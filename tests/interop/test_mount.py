"""`mount`: what is seen is what real restic's mount shows, from the names of the directories to the last byte; and what happens when
a repository is damaged or hostile, when snapshots come, and when the mount ends."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import stat
import subprocess
import threading

import pytest

from support import format
from support.commands import backup
from support.compare import assert_same, attributes
from support.programs import Repository, wait_until
from support.storage import place
from support.trees import noise, write

SAID = ["Loading snapshots...", "Now serving the repository at {at}", "Use another terminal or tool to browse the contents of this folder.",
        "When finished, quit with Ctrl-c here or umount the mountpoint."]


class Mount:
    def __init__(self, running, at: pathlib.Path):
        self.running, self.at = running, at

    def interrupt(self, number: int = signal.SIGINT, code: int = 0):
        os.kill(self.running.pid, number)
        return self.running.finish(code=code, timeout=180)


@contextlib.contextmanager
def mounted(program, repo, at: pathlib.Path, *args, **how):
    """Mounts, and unmounts at the end if the test has not."""
    at.mkdir(exist_ok=True)
    with program.start("mount", *args, at, repo=repo, **how) as running:
        wait_until(lambda: os.path.ismount(at) or not running.is_running(), what="mounted")
        if not running.is_running():
            raise AssertionError(str(running.finish()))
        mount = Mount(running, at)
        try:
            yield mount
        finally:
            if running.is_running():
                mount.interrupt()  # not killed: a lock would stay
            subprocess.run(["umount", "-l", at], capture_output=True)


def describe(path: bytes) -> tuple:
    """All that lstat() says but the number of the inode, which programs choose; and the content."""
    info = os.lstat(path)
    content: object = None
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            content = file.read()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    # restic shows times before 1970 that are not whole seconds as others; test_what_is_restored_is_what_is_mounted sees ours.
    times = tuple(time if time >= 1_000_000_000 else None for time in (info.st_atime_ns, info.st_mtime_ns, info.st_ctime_ns))
    # restic shows neither device numbers nor attributes of devices and pipes; what is above the snapshots has none.
    held = attributes(path) if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) and info.st_nlink > 1 else {}
    return (oct(info.st_mode), info.st_uid, info.st_gid, info.st_size, info.st_blocks, info.st_blksize, info.st_nlink, times, content, held)


def everything(root: pathlib.Path) -> dict[bytes, tuple]:
    """Everything below; of directories above the snapshots without their times, which are those of the mount."""
    top = os.fsencode(root)
    found, numbers = {}, {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, top)
            found[relative] = describe(path)
            info = os.lstat(path)
            if info.st_nlink == 1 and stat.S_ISDIR(info.st_mode):
                found[relative] = found[relative][:7] + found[relative][8:]
            numbers.setdefault(info.st_ino, set()).add(relative)
    same_file = {path: frozenset(paths) for paths in numbers.values() if len(paths) > 1 for path in paths}
    return {path: (*facts, same_file.get(path)) for path, facts in found.items()}


def assert_equal(ours: dict[bytes, tuple], theirs: dict[bytes, tuple]) -> None:
    assert sorted(ours) == sorted(theirs)
    differing = {path: (ours[path], theirs[path]) for path in ours if ours[path] != theirs[path]}
    assert not differing, f"{len(differing)} differ, ours and theirs: {list(differing.items())[:5]!r}"[:5000]


# ---- what is seen ---------------------------------------------------------------------------------------------------

SETTINGS = [[], ["--host=second"], ["--tag=daily", "--owner-root"], ["--path=/dump.sql"], ["--host=nobody"],
            ["--path-template=%u/%h-%t%%/%I", "--path-template=%T", "--time-template=2006/01/02 Mon Jan _2 3PM .000 MST-07"],
            ["--path-template=all", "--path-template=x/%h", "--path-template=x/%h/%T", "--path-template=%T/%i", "--time-template=Z0700 06 Monday __2"]]


@pytest.mark.parametrize("args", SETTINGS, ids=lambda a: " ".join(a).replace("/", "⁄") or "all")
def test_the_same_as_restic(recoup, restic, history, tmp_path, args):
    repo, _, _ = history
    with mounted(restic, repo, tmp_path / "theirs", "--no-lock", *args) as theirs, mounted(recoup, repo, tmp_path / "ours", *args) as ours:
        assert_equal(everything(ours.at), everything(theirs.at))


def test_what_is_restored_is_what_is_mounted(recoup, history, tmp_path):
    """Device numbers too, which restic's mount does not show."""
    repo, ids, home = history
    recoup.run("restore", ids[0], "--target", tmp_path / "restored", repo=repo)
    with mounted(recoup, repo, tmp_path / "at") as mount:
        assert_same(tmp_path / "restored", mount.at / "ids" / ids[0][:8], ignore=lambda path: path == b".")


def test_snapshots_of_one_second(recoup, restic, repo, small_tree, tmp_path):
    for tag in ("a", "b", "a", "a/b", "..", "."):
        backup(restic, repo, ".", f"--tag={tag}", "--time=2024-05-06 07:08:09", cwd=small_tree)
    backup(restic, repo, ".", "--tag=..,a/b,c", "--time=2024-05-06 07:08:09", cwd=small_tree)
    backup(restic, repo, ".", "--time=2023-05-06 07:08:09", cwd=small_tree)
    names = lambda at: {os.path.relpath(os.path.join(folder, name), at): os.path.islink(os.path.join(folder, name)) and os.readlink(os.path.join(folder, name))
                        for folder, folders, files in os.walk(at) for name in folders + files}
    with mounted(restic, repo, tmp_path / "theirs", "--no-lock") as theirs, mounted(recoup, repo, tmp_path / "ours") as ours:
        assert set(os.listdir(ours.at / "tags/a")) == {"2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z-1", "latest", "b"}
        assert (ours.at / "snapshots/2024-05-06T07:08:09Z-6").is_dir() and os.readlink(ours.at / "snapshots/latest") == "2024-05-06T07:08:09Z-6"
        assert names(ours.at) == names(theirs.at)


def test_random_reads_of_several_threads(recoup, restic, repo, tmp_path):
    size = 20_000_000
    content = noise(size, "reads")
    (tmp_path / "source").mkdir()
    write(os.fsencode(tmp_path / "source/large"), content)
    backup(restic, repo, ".", cwd=tmp_path / "source")
    wrong: list[str] = []

    def read(file: int, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(60):
            offset = rng.choice([rng.randrange(size), rng.randrange(size), size - 10, size, size + 5000])
            length = rng.choice([1, 4096, 100_000, 1_500_000])
            if os.pread(file, length, offset) != content[offset:offset + length]:
                wrong.append(f"{length} bytes at {offset}")

    with mounted(recoup, repo, tmp_path / "at") as mount:
        file = os.open(mount.at / "snapshots/latest/large", os.O_RDONLY)
        threads = [threading.Thread(target=read, args=(file, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(file, 0, os.SEEK_SET)
        with open(file, "rb") as whole:
            assert whole.read() == content


def test_handles_last_as_long_as_somebody_uses_them(recoup, repo, tmp_path):
    """The kernel forgets, and comes back; an open file and a working directory stay what they are."""
    source = tmp_path / "source"
    for number in range(300):
        (source / f"d{number % 10}").mkdir(parents=True, exist_ok=True)
        write(os.fsencode(source / f"d{number % 10}/f{number}"), str(number).encode())
    backup(recoup, repo, ".", cwd=source)
    with mounted(recoup, repo, tmp_path / "at") as mount:
        top = mount.at / "snapshots/latest"
        inodes = lambda: {path.relative_to(top): path.lstat().st_ino for path in top.rglob("*")}
        before = inodes()
        folder = os.open(top / "d3", os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(3):
            subprocess.run(["sysctl", "-qw", "vm.drop_caches=2"], check=True)
            assert inodes() == before and len(before) == 310
            assert os.stat("f13", dir_fd=folder).st_size == 2 and len(os.listdir(folder)) == 30
        os.close(folder)


def test_nothing_can_be_changed(recoup, history, tmp_path):
    repo, ids, _ = history
    with mounted(recoup, repo, tmp_path / "at") as mount:
        file = mount.at / "ids" / ids[0][:8] / "tree/contents/text"
        for attempt in (lambda: file.write_bytes(b"x"), lambda: file.unlink(), lambda: file.chmod(0o600), lambda: os.utime(file), lambda: (mount.at / "new").mkdir(),
                        lambda: file.rename(file.parent / "y"), lambda: os.setxattr(file, "user.x", b"y"), lambda: os.link(file, file.parent / "z"),
                        lambda: os.symlink("x", file.parent / "s"), lambda: os.open(file, os.O_RDWR)):
            with pytest.raises(OSError) as refused:
                attempt()
            assert refused.value.errno == 30, refused.value  # EROFS


def test_other_users(recoup, history, tmp_path):
    """Without --allow-other nobody else sees anything, with it what modes allow, with --no-default-permissions all."""
    repo, ids, _ = history
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder != pathlib.Path("/"):
            folder.chmod(folder.stat().st_mode | 0o111)
    at = tmp_path / "at"
    secret = at / "ids" / ids[1][:8] / "tree/modes/file-0644"  # changed to 0600

    def as_nobody(path) -> int:
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", path], capture_output=True).returncode

    with mounted(recoup, repo, at):
        assert as_nobody(secret) != 0
        assert subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls", at], capture_output=True).returncode != 0
    with mounted(recoup, repo, at, "--allow-other"):
        assert as_nobody(secret) != 0 and as_nobody(at / "ids" / ids[0][:8] / "tree/modes/file-0644") == 0
    with mounted(recoup, repo, at, "--allow-other", "--no-default-permissions"):
        assert as_nobody(secret) == 0


# ---- repositories that are not as they should be ---------------------------------------------------------------------

def test_damage_is_an_error_and_is_told(recoup, tmp_path):
    made = format.Repo.create(place(tmp_path / "repo"))
    writer = made.writer()
    missing_tree, missing_blob = "ab" * 32, "cd" * 32
    gone = {**writer.file(b"gone", b"x" * 10), "content": [missing_blob]}
    tree = writer.tree([writer.file(b"good", b"whole"), gone, format.node(b"lost", "dir", mode=0o755 | 1 << 31, subtree=missing_tree)])
    writer.finish()
    made.save_snapshot(tree, time="2024-01-01T00:00:00Z")
    writer = made.writer()  # a pack of its own
    tree = writer.tree([writer.file(b"bad", b"never" * 1000)])
    writer.finish()
    made.refresh().save_snapshot(tree, time="2024-01-02T00:00:00Z")
    (bad,) = made.tree(tree)[0]["content"]
    (where,) = made.index()[("data", bad)]
    pack = made.pack_path(where.pack)
    raw = bytearray(pack.read_bytes())
    raw[where.offset + 20] ^= 1
    pack.unlink()
    pack.write_bytes(bytes(raw))
    with mounted(recoup, Repository(made.path), tmp_path / "at") as mount:
        top = mount.at / "snapshots/2024-01-01T00:00:00Z"
        assert sorted(os.listdir(top)) == ["gone", "good", "lost"] and (top / "good").read_bytes() == b"whole"
        for attempt in (lambda: (top / "gone").read_bytes(), lambda: os.listdir(top / "lost"), lambda: (mount.at / "snapshots/latest/bad").read_bytes()):
            for _ in range(2):
                with pytest.raises(OSError) as failed:
                    attempt()
                assert failed.value.errno == 5, failed.value  # EIO
        assert (top / "good").read_bytes() == b"whole"
        said = mount.interrupt().errors
    for what in (missing_tree, missing_blob, bad):
        assert what in said, said


def test_names_that_no_directory_can_have(recoup, tmp_path):
    made = format.Repo.create(place(tmp_path / "repo"))
    writer = made.writer()
    names = [b"..", b".", b"", b"/etc/passwd", b"a/b", b"zero\0byte", b"l" * 1025]
    inner = writer.folder(b"/", [writer.file(b"inside", b"1"), writer.file(b"../out", b"2")])
    tree = writer.tree([writer.file(name, b"evil") for name in names] + [inner, writer.file(b"twice", b"first"), writer.file(b"twice", b"second"), writer.file(b"z" * 255, b"long")])
    writer.finish()
    made.refresh().save_snapshot(tree, hostname="../../h/\0", tags=["..", "x\0y", "fine"])
    with mounted(recoup, Repository(made.path), tmp_path / "at") as mount:
        top = mount.at / "snapshots/latest"
        assert sorted(os.listdir(top)) == ["inside", "twice", "z" * 255]
        assert (top / "twice").read_bytes() == b"second" and (top / "inside").read_bytes() == b"1"
        assert sorted(os.listdir(mount.at / "tags")) == ["__", "fine"]
        for folder, _, files in os.walk(mount.at):
            for name in files:
                os.lstat(os.path.join(folder, name))
        assert tree in mount.interrupt().errors


# ---- beginning and end ----------------------------------------------------------------------------------------------

@pytest.mark.local_only
def test_a_snapshot_that_comes_is_seen(recoup, restic, repo, small_tree, tmp_path):
    """Not at once, but a minute after the last look, as with restic; with new packs, and `latest` leads to it."""
    backup(restic, repo, ".", "--time=2024-01-01 00:00:00", cwd=small_tree)
    with mounted(recoup, repo, tmp_path / "at") as mount:
        assert os.listdir(mount.at / "ids") and os.readlink(mount.at / "snapshots/latest") == "2024-01-01T00:00:00Z"
        write(os.fsencode(small_tree / "new"), b"new content")
        made = backup(restic, repo, ".", "--time=2024-01-02 00:00:00", cwd=small_tree).id
        wait_until(lambda: made[:8] in os.listdir(mount.at / "ids"), step=0.5, what="the new snapshot is seen")
        wait_until(lambda: os.readlink(mount.at / "snapshots/latest") == "2024-01-02T00:00:00Z", timeout=30, what="latest")
        assert (mount.at / "snapshots/latest/new").read_bytes() == b"new content"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "umount"], ids=str)
def test_the_end_of_a_mount(recoup, restic, history, tmp_path, how):
    """The same exit codes and the same words; while it lasts there is a shared lock, and then none."""
    repo, _, _ = history
    said = {}
    for program in (restic, recoup):
        with mounted(program, repo, tmp_path / "at") as mount:
            os.listdir(mount.at)
            wait_until(lambda: len(repo.ids("locks")) == 1, what="locked")
            assert format.Repo(repo.path).load("locks", *repo.ids("locks"))["exclusive"] is False
            if how == "umount":
                subprocess.run(["umount", mount.at], check=True)
                result = mount.running.finish(code=0, timeout=180)
            else:
                result = mount.interrupt(how)
            assert not os.path.ismount(mount.at) and not repo.ids("locks")
            said[program.name] = [line for line in result.text.splitlines() if "signal" not in line]
    assert said["recoup"] == said["restic"] == [line.format(at=tmp_path / "at") for line in SAID]


def test_a_mount_in_use_is_detached(recoup, history, tmp_path):
    """restic ends and leaves a dead mount behind."""
    repo, _, _ = history
    with mounted(recoup, repo, tmp_path / "at") as mount:
        folder = os.open(mount.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            result = mount.interrupt()
            assert "unable to umount (maybe already umounted or still in use?)" in result.errors and not os.path.ismount(mount.at)
            with pytest.raises(OSError):
                os.listdir(folder)
            assert os.listdir(mount.at) == []
        finally:
            os.close(folder)
    assert not repo.ids("locks")


def test_what_is_refused(recoup, restic, history, tmp_path):
    repo, _, _ = history
    file = tmp_path / "file"
    file.write_bytes(b"")
    (tmp_path / "at").mkdir()
    cases = [[], [tmp_path / "absent"], [file], [tmp_path / "at", "--time-template="], [tmp_path / "at", "--time-template=/x"]]
    if isinstance(repo.path, pathlib.Path):
        cases += [[repo.path], [repo.path / "data"], [repo.path.parent]]
    for args in cases:
        theirs, ours = (program.run("mount", *args, repo=repo, code=1, timeout=180) for program in (restic, recoup))
        assert ours.errors == theirs.errors, args
    with mounted(recoup, repo, tmp_path / "busy") as mount:  # what is mounted is not writable
        theirs, ours = (program.run("mount", mount.at, repo=repo, code=1) for program in (restic, recoup))
        assert ours.errors == theirs.errors
    recoup.run("mount", tmp_path / "at", repo=Repository(tmp_path / "none"), code=10)
    recoup.run("mount", tmp_path / "at", repo=Repository(repo.path, password="wrong"), code=12)


def test_a_locked_repository(recoup, repo, tmp_path):
    (tmp_path / "at").mkdir()
    format.Repo(repo.path).save_lock(os.getpid(), exclusive=True, host="elsewhere")
    recoup.run("mount", tmp_path / "at", repo=repo, code=11)
    with mounted(recoup, repo, tmp_path / "at", "--no-lock") as mount:
        assert sorted(os.listdir(mount.at)) == ["hosts", "ids", "snapshots", "tags"] and len(repo.ids("locks")) == 1


def test_without_the_kernels_fuse(recoup, history, tmp_path):
    """In a container that was not given the device: says what is missing."""
    repo, _, _ = history
    (tmp_path / "at").mkdir()
    result = recoup.run("mount", tmp_path / "at", repo=repo, code=1,
                        wrap=["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev && exec "$@"', "sh"])
    assert "/dev/fuse" in result.errors
