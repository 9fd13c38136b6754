"""Volumes mounted through FUSE, really: each file read and compared; how a mount ends; what is refused."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from velero_commands import environment, run, start
from velero_volumes import MadeBucket, entries_of, expected_entries, flip, noise, on_disk

import recoup
from recoup.velero import Repositories, find_volume, mounting, open_volume

DB = "db/data-postgres-0"


def test_this_machine_can_mount():
    """Or the tests below would show nothing."""
    assert mounting.require_fuse().FUSE and os.access("/dev/fuse", os.R_OK | os.W_OK)


@pytest.fixture
def mounted(tmp_path):
    """mounted(bucket, *arguments): the directory where the command shows a volume, and its process."""
    started = []

    def mount(bucket, *arguments, as_json=True):
        where = tmp_path / f"mount-{len(started)}"
        where.mkdir()
        process = start(*(["--json"] if as_json else []), "mount", *arguments, where, bucket=bucket)
        started.append((where, process))
        said = b""
        while not said.endswith(b"}\n" if as_json else b"ends it\n"):
            ready, _, _ = select.select([process.stdout], [], [], 600)
            assert ready, (said, "nothing came for ten minutes")
            more = os.read(process.stdout.fileno(), 1 << 16)
            assert more, (said, process.wait(600), process.stderr.read())
            said += more
        return where, process, json.loads(said) if as_json else said.decode()

    yield mount
    for where, process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=600)
        assert not os.path.ismount(where), "a mount was left behind"


def test_every_file_of_every_volume_is_as_it_was(quick, quick_after_crash, mounted):
    """The volumes of the last backups in both buckets: of a complete one, an incomplete one, and one that is lost."""
    count = 0
    for genuine, backup in ((quick, "backup-20260102-000000"), (quick_after_crash, "backup-20260103-000000")):
        expected = next(each for each in genuine.expected["backups"] if each["name"] == backup)
        for each in expected["volumes"]:
            if each["phase"] != "Completed":
                continue
            name = f"{each['namespace']}/{each['pvc']}" if each["pvc"] else f"{each['namespace']}/{each['pod']}:{each['volume']}"
            where, process, said = mounted(genuine.path, name, "--backup", backup)
            assert (said["backup"], said["name"], said["directory"]) == (backup, name, str(where))
            found = on_disk(where)
            # A mount shows what the snapshot has, also what a restore leaves out.
            extra = {path: found.pop(path) for path in set(found) - set(expected_entries(genuine.expected, each))}
            assert all(facts["type"] == "socket" for facts in extra.values()), extra
            assert found == expected_entries(genuine.expected, each), name
            process.send_signal(signal.SIGINT)
            assert process.wait(600) == 0
            count += 1
    assert count == 7
    where, _, said = mounted(quick_after_crash.path, DB, "--backup", "backup-20260104-000000")
    found = {path: facts for path, facts in on_disk(where).items() if facts["type"] != "socket"}
    wanted = entries_of(quick_after_crash.expected, "074739955746", "restic/db@d06d1d62")
    assert found == {path: facts for path, facts in wanted.items() if facts["type"] != "socket"}
    assert "only snapshots are left of it" in said["notes"][-1]


def test_nothing_can_be_written(quick, mounted):
    where, _, _ = mounted(quick.path, DB)
    file = where / "pgdata/PG_VERSION"
    for attempt in (
        lambda: file.write_text("x", encoding="utf-8"), lambda: (where / "new").mkdir(), file.unlink, lambda: os.chmod(file, 0o777),
        lambda: os.utime(file), lambda: os.rename(file, where / "x"), lambda: os.setxattr(file, "user.x", b"x"), lambda: os.truncate(file, 0),
    ):  # fmt: skip
        with pytest.raises(OSError) as problem:
            attempt()
        assert problem.value.errno == errno.EROFS
    assert file.read_text(encoding="utf-8") == "16\n"


def test_files_are_read_anywhere_by_several_at_once(tmp_path, mounted):
    parts = [noise(700_000, number) for number in range(5)]
    content = b"".join(parts)
    made = MadeBucket(tmp_path / "made")

    def tree(writer):
        blobs = [writer.add("data", part) for part in parts]
        return [{**writer.file(b"large", parts[0]), "size": len(content), "content": blobs}, writer.file(b"z", b"z")]

    made.volume("b", tree=tree)
    made.finish("b")
    where, _, _ = mounted(made.path, DB)
    wrong = []

    def read(seed):
        import random

        chosen = random.Random(seed)
        with open(where / "large", "rb", buffering=0) as file:
            for _ in range(100):
                begin, length = chosen.randrange(len(content) + 10), chosen.choice([1, 4096, 100_000, 1_000_000])
                file.seek(begin)
                if file.read(length) != content[begin : begin + length]:
                    wrong.append((seed, begin, length))

    threads = [threading.Thread(target=read, args=[seed]) for seed in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == [] and (where / "large").read_bytes() == content
    assert (where / "large").stat().st_blocks == -(-len(content) // 512)


def test_links_devices_and_odd_names(tmp_path, mounted):
    made = MadeBucket(tmp_path / "made")
    link = {"inode": 7, "device_id": 9, "links": 2, "mtime": "2026-01-01T00:00:00Z"}

    def tree(writer):
        inner = writer.folder(b"sub", [writer.file(b"b", b"same", **link)], mode=0o755)
        return [
            writer.file(b"..", b"hostile"), writer.file(b"", b"hostile"), writer.file(b"a", b"same", **link), writer.file(b"a/b", b"hostile"),
            writer.file(b"other", b"another", inode=7, device_id=9, links=2), writer.file(b"\xff\xfe\n", b"odd"), inner,
            {"name": "null", "type": "chardev", "mode": 0o666 | 1 << 26 | 1 << 21, "device": os.makedev(1, 3), "uid": 0, "gid": 0},
        ]  # fmt: skip

    made.volume("b", tree=lambda writer: sorted(tree(writer), key=lambda each: each["name"]))
    made.finish("b")
    where, _, _ = mounted(made.path, DB)
    assert sorted(os.listdir(os.fsencode(where))) == [b"a", b"null", b"other", b"sub", b"\xff\xfe\n"]
    assert (where / os.fsdecode(b"\xff\xfe\n")).read_bytes() == b"odd"
    first, second, other = os.stat(where / "a"), os.stat(where / "sub/b"), os.stat(where / "other")
    assert first.st_ino == second.st_ino != other.st_ino and first.st_nlink == 2
    numbers = {entry.name: entry.inode() for entry in os.scandir(where)}
    assert numbers["a"] == first.st_ino
    device = os.stat(where / "null")
    assert stat.S_ISCHR(device.st_mode) and device.st_rdev == os.makedev(1, 3)
    with pytest.raises(PermissionError):  # nodev
        (where / "null").read_bytes()
    with pytest.raises(FileNotFoundError):
        os.stat(where / "no")
    with pytest.raises(OSError) as problem:
        os.getxattr(where / "a", "user.none")
    assert problem.value.errno == errno.ENODATA


def test_damage_is_an_error_for_who_reads_and_told(quick, tmp_path, mounted):
    spoiled = quick.copy(tmp_path / "bucket")
    packs = [each for each in (spoiled.path / "restic/db/data").rglob("*") if each.is_file()]
    flip(max(packs, key=lambda each: each.stat().st_size), 1000)
    where, process, _ = mounted(spoiled.path, DB, "--backup", "backup-20260101-000000")
    wanted, failed = 0, 0
    expected = next(each for each in quick.expected["backups"][0]["volumes"] if each["pvc"] == "data-postgres-0")
    for path, facts in expected_entries(quick.expected, expected).items():
        if facts["type"] != "file":
            continue
        try:
            assert len((where / os.fsdecode(path)).read_bytes()) == facts["size"]
            wanted += 1
        except OSError as problem:
            assert problem.errno == errno.EIO
            failed += 1
    assert wanted > 20 and failed >= 1
    process.terminate()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0 and errors.decode().count("cannot be read:") >= failed and "Traceback" not in errors.decode()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "umount", "busy"])
def test_it_ends_by_a_signal_and_when_it_is_unmounted(quick, mounted, end):
    where, process, said = mounted(quick.path, DB, as_json=False)
    assert "Ctrl-C or `umount " in said and "Backup:     backup-20260103-000000" in said
    with open(f"/proc/{process.pid}/mounts", encoding="utf-8") as table:
        [line] = [each for each in table if str(where) in each]
    assert line.startswith("recoup:backup-20260103-000000/db/data-postgres-0 ") and "fuse.recoup ro,nosuid,nodev" in line
    if end == "umount":
        subprocess.run(["umount", where], check=True)
    elif end == "busy":
        used = os.open(where / "pgdata/PG_VERSION", os.O_RDONLY)
        process.terminate()
        assert process.wait(600) == 0
        with pytest.raises(OSError) as problem:
            os.close(used)
        assert problem.value.errno == errno.ENOTCONN  # whoever uses it still is told, and keeps nobody waiting
    else:
        process.send_signal(end)
    assert process.wait(600) == 0
    assert not os.path.ismount(where) and os.listdir(where) == []
    assert process.stderr.read() == b""


def test_directory_that_cannot_be_used_is_refused(quick, tmp_path, mounted):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine", encoding="utf-8")
    inside = quick.copy(tmp_path / "bucket")
    (inside.path / "restic/db/empty").mkdir()
    where, _, _ = mounted(quick.path, DB)
    for place, said in (
        (tmp_path / "no", "is not there: make an empty directory"), (tmp_path / "full", "is not empty (1 entries, such as mine)"),
        (tmp_path / "full/mine", "is not a directory"), (where, "is not empty"), (inside.path / "restic/db/empty", "is within the repository"),
    ):  # fmt: skip
        done = run("mount", DB, place, bucket=inside.path)
        assert done.code == 1 and f"{place} {said}" in done.errors, done
    assert os.listdir(tmp_path / "full") == ["mine"]
    done = run("mount", "db/no", tmp_path / "full", bucket=quick.path)
    assert "is not empty" in done.errors  # before a bucket far away is looked through


def test_what_is_missing_is_told(made_volume, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setitem(sys.modules, "mfusepy", None)
    with pytest.raises(recoup.UnsupportedError, match=r"pip install 'recoup\[mount\]'"):
        mounting.mount(made_volume, tmp_path / "empty")
    monkeypatch.undo()
    real = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/dev/fuse" and real(path))
    with pytest.raises(recoup.UnsupportedError, match="needs /dev/fuse"):
        mounting.mount(made_volume, tmp_path / "empty")


def test_library_of_fuse_that_is_missing_or_broken_is_told(tmp_path):
    script = "from recoup.velero.mounting import require_fuse; require_fuse()"
    for library in ("/no/libfuse.so", "libc.so.6"):
        done = subprocess.run([sys.executable, "-c", script], env=environment(FUSE_LIBRARY_PATH=library), capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "UnsupportedError: mounting needs libfuse: " in done.stderr, done.stderr


def test_user_without_rights_is_told(made_volume, tmp_path):
    """/dev/fuse is root's alone here, so that nobody else can mount."""
    if os.stat("/dev/fuse").st_mode & stat.S_IROTH:
        pytest.skip("everybody may use /dev/fuse here")
    where = tmp_path / "empty"
    where.mkdir()
    for each in (where, *where.parents):
        if each.owner() == "root" and each != each.parent and str(each).startswith("/tmp/"):
            os.chmod(each, 0o755)
    os.chown(where, 65534, 65534)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            mounting.mount(made_volume, where)
        except recoup.UnsupportedError as problem:
            code = 7 if "cannot be mounted" in str(problem) and "fusermount3" in str(problem) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert not os.path.ismount(where)


def test_handlers_of_signals_are_put_back(made_volume, tmp_path):
    (tmp_path / "empty").mkdir()
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    seen = []

    def end():
        seen.append(os.path.ismount(tmp_path / "empty"))
        # Until the kernel has its answer, it waits.
        threading.Thread(target=lambda: (time.sleep(0.2), subprocess.run(["umount", tmp_path / "empty"], check=True))).start()

    mounting.mount(made_volume, tmp_path / "empty", on_ready=end)
    assert seen == [True]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_only_the_main_thread_mounts(made_volume, tmp_path):
    (tmp_path / "empty").mkdir()
    found = []

    def attempt():
        try:
            mounting.mount(made_volume, tmp_path / "empty")
        except recoup.InvalidArgumentError as problem:
            found.append(str(problem))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "main thread" in found[0]


@pytest.fixture
def made_volume(tmp_path):
    made = MadeBucket(tmp_path / "made")
    made.volume("b")
    made.finish("b")
    return open_volume(Repositories(made.bucket), find_volume(made.bucket, DB).volume)
