"""A backup that goes on from an interrupted one: it reads the rest, and what it makes is what an undisturbed backup makes."""

import ctypes
import os
import pathlib
import random
import shutil
import signal
import struct
import time

import pytest

from support import format
from support.commands import backup, check_clean, explain, restore
from support.compare import assert_same
from support.programs import HOST, wait_until
from support.trees import noise, write

SEED = int(os.environ.get("RECOUP_SEED", "1"))

pytestmark = pytest.mark.recoup_only

#: slows a backup down, so that it can be interrupted at a moment that is known: to look at what a bucket holds may take a second
SLOW = ("--limit-upload", "3000")
#: what a run reads more than the files: of two packs of 16 MiB that are joined in the end the smaller one, and this and that
READ_BESIDES = (8 << 20) + 1_000_000


def make_source(top: pathlib.Path, seed: object, files: int = 3000, large: int = 3) -> pathlib.Path:
    rng = random.Random(repr(seed))
    for number in range(files):
        folder = top / f"d{number % 23}"
        folder.mkdir(parents=True, exist_ok=True)
        write(os.fsencode(folder / f"f{number}"), rng.randbytes(rng.randint(0, 20_000)))
    for number in range(large):
        write(os.fsencode(top / f"large{number}"), rng.randbytes(12_000_000))
    for folder, _, _ in os.walk(top, topdown=False):
        os.utime(folder, ns=(1_700_000_000_000_000_000,) * 2)
    return top


def size_of(top: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in top.rglob("*") if path.is_file())


class Opened:
    """Which files below a directory were opened meanwhile, by inotify: what a program says of itself is no proof."""

    IN_OPEN, IN_ISDIR, IN_Q_OVERFLOW = 0x20, 0x40000000, 0x4000

    def __init__(self, top: pathlib.Path):
        limit = pathlib.Path("/proc/sys/fs/inotify/max_queued_events")
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.fd >= 0 and int(limit.read_text()) >= 16384
        self.folders = {}
        for folder, _, _ in os.walk(top):
            number = self.libc.inotify_add_watch(self.fd, os.fsencode(folder), self.IN_OPEN)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self.folders[number] = pathlib.Path(folder)
        self.files: set[pathlib.Path] = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            while True:
                events = os.read(self.fd, 1 << 20)
                while events:
                    number, mask, _, length = struct.unpack_from("iIII", events)
                    assert not mask & self.IN_Q_OVERFLOW
                    name = events[16:16 + length].rstrip(b"\0")
                    if name and not mask & self.IN_ISDIR:
                        self.files.add(self.folders[number] / os.fsdecode(name))
                    events = events[16 + length:]
        except BlockingIOError:
            pass
        os.close(self.fd)


def bytes_read(running) -> int:
    """All that the process has read, by the kernel's count; waits for its end."""
    while os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        running.listen(0.05)  # it says as much as its pipes hold in some seconds, and would wait for a reader then
    text = pathlib.Path(f"/proc/{running.pid}/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


def journals(program) -> list[pathlib.Path]:
    return sorted((program.home / "cache").glob("*/backup-journals/*"))


def blobs_stored(repo) -> int:
    return sum(repo.files("data").values())


def interrupt(program, repo, *args, after: float, number=signal.SIGINT, **run):
    """Ends a backup once it has stored so many bytes."""
    start = blobs_stored(repo)
    with program.start("backup", *SLOW, "--host", HOST, "--pack-size=4", *args, repo=repo, **run) as running:
        wait_until(lambda: blobs_stored(repo) - start > after or not running.is_running(), what="packs")
        assert running.is_running(), running.finish()
        running.kill(number)
        return running.finish(code=130 if number == signal.SIGINT else -number)


def put_into_index(program, repo, where: pathlib.Path) -> None:
    """What was stored without getting into an index is read whole by the next backup, here of something else: where a rate is
    limited, being interrupted leaves no time for an index file."""
    other = where / "other"
    other.mkdir()
    write(os.fsencode(other / "f"), b"other")
    backup(program, repo, "other", cwd=where)


def test_interrupted(recoup, restic, new_repo, tmp_path, version):
    """SIGINT: what is read afterwards is the rest, by the kernel's count of bytes and by the files opened."""
    source = make_source(tmp_path / "source", (SEED, version))
    total = size_of(source)
    repo, undisturbed, by_restic = new_repo(version=version), new_repo("undisturbed", version), new_repo("restic", version)
    expected = backup(restic, by_restic, "source", cwd=tmp_path)
    with recoup.start("backup", "--host", HOST, "source", repo=undisturbed, cwd=tmp_path) as running:
        usual = bytes_read(running)
        running.finish(code=0)

    said = interrupt(recoup, repo, "source", after=total * 0.5, cwd=tmp_path)
    assert "the next backup of the same goes on from there" in said.text
    assert len(journals(recoup)) == 1
    put_into_index(recoup, repo, tmp_path)
    with Opened(source) as opened:
        with recoup.start("backup", "--json", "--host", HOST, "source", repo=repo, cwd=tmp_path) as running:
            read = bytes_read(running)
            result = running.finish(code=0)
    summary = result.summary
    print(f"{total} bytes in all, {usual} read by an undisturbed run, {read} by the second one; {summary}")
    made = format.Repo(repo.path).load("snapshots", summary["snapshot_id"])
    assert made["tree"] == expected.tree, explain(repo, made["tree"], by_restic, expected.tree)
    files = 3003
    assert summary["files_new"] == files and summary["total_bytes_processed"] == total
    # Half of it is stored. Of the large file only what is stored without a gap counts, and threads store in any order.
    assert summary["bytes_taken_over"] > total * 0.15
    assert read < usual - summary["bytes_taken_over"] + READ_BESIDES
    assert summary["files_taken_over"] + len(opened.files) == files
    assert journals(recoup) == []
    check_clean(restic, repo)
    restore(restic, repo, summary["snapshot_id"], tmp_path / "out")
    assert_same(source, tmp_path / "out/source")


def test_killed(recoup, restic, new_repo, tmp_path):
    """SIGKILL at random moments: each run has less to read than the one before, and nothing is lost."""
    rng = random.Random(f"resume {SEED}")
    source = make_source(tmp_path / "source", (SEED, "killed"), large=0)
    total = size_of(source)
    repo, by_restic = new_repo(), new_repo("restic")
    expected = backup(restic, by_restic, "source", cwd=tmp_path)
    opened_before: set[pathlib.Path] = set()
    again = 0
    for _ in range(4):
        with Opened(source) as opened:
            interrupt(recoup, repo, "source", after=rng.uniform(0.1, 0.22) * total, number=signal.SIGKILL, cwd=tmp_path)
        again += len(opened.files & opened_before)
        opened_before |= opened.files
        assert format.Repo(repo.path).problems() == []
    with Opened(source) as opened:
        last = backup(recoup, repo, "source", cwd=tmp_path)
    again += len(opened.files & opened_before)
    print(f"{last.summary}; {len(opened.files)} opened in the end, {again} more than once")
    assert last.tree == expected.tree, explain(repo, last.tree, by_restic, expected.tree)
    assert last.summary["files_taken_over"] + len(opened.files) in range(3000, 3005)
    # Read again is what was in packs that were lost with the process: two of 4 MiB that were open, and what was on its way.
    assert len(opened.files) < 3000 * 0.85
    restic.run("unlock", repo=repo)
    check_clean(restic, repo)
    assert format.Repo(repo.path).stored_twice() == {}


def test_killed_at_any_moment(recoup, restic, repo, tmp_path):
    """Quick backups, killed as they come: whatever the journal is then, the next backup is right."""
    rng = random.Random(f"any moment {SEED}")
    source = make_source(tmp_path / "source", (SEED, "any"), files=2500, large=1)
    for number in range(24):
        with recoup.start("backup", "source", "--host", HOST, "--pack-size=4", repo=repo, cwd=tmp_path) as running:
            time.sleep(rng.uniform(0, 0.8))
            running.kill()
            running.finish()
        if number % 6 == 5:
            made = backup(recoup, repo, "source", cwd=tmp_path)
            assert journals(recoup) == []
            restored = tmp_path / f"out{number}"
            restore(restic, repo, made.id, restored)
            assert_same(source, restored / "source")
            for path in rng.sample(sorted(source.rglob("f*")), 1200):
                if path.is_file():
                    write(os.fsencode(path), rng.randbytes(rng.randint(0, 20_000)), when=time.time_ns())
    restic.run("unlock", repo=repo)
    check_clean(restic, repo)


def test_one_large_file(recoup, restic, new_repo, tmp_path):
    """What was stored of a file that was being read is not read again."""
    source = tmp_path / "source"
    source.mkdir()
    write(os.fsencode(source / "image"), noise(64 << 20, SEED))
    repo, by_restic = new_repo(), new_repo("restic")
    expected = backup(restic, by_restic, "source", cwd=tmp_path)
    interrupt(recoup, repo, "source", after=20 << 20, cwd=tmp_path)
    interrupt(recoup, repo, "source", after=16 << 20, number=signal.SIGKILL, cwd=tmp_path)
    put_into_index(recoup, repo, tmp_path)
    with recoup.start("backup", "--json", "--host", HOST, "source", repo=repo, cwd=tmp_path) as running:
        read = bytes_read(running)
        summary = running.finish(code=0).summary
    print(f"{summary['bytes_taken_over']} taken over, {read} read")
    assert read < (64 << 20) - summary["bytes_taken_over"] + READ_BESIDES
    # The rest was in packs that were open when the process ended.
    assert summary["bytes_taken_over"] > 12 << 20
    assert format.Repo(repo.path).load("snapshots", summary["snapshot_id"])["tree"] == expected.tree
    restic.run("unlock", repo=repo)
    check_clean(restic, repo)


def test_changed_meanwhile(recoup, restic, repo, tmp_path):
    source = make_source(tmp_path / "source", (SEED, "changed"), large=0)
    interrupt(recoup, repo, "source", after=size_of(source) * 0.5, cwd=tmp_path)
    with Opened(source) as opened:
        interrupt(recoup, repo, "source", after=size_of(source) * 0.1, cwd=tmp_path)
    known = sorted(path for path in source.rglob("f*") if path.is_file() and path not in opened.files)
    changed = set(random.Random(SEED).sample(known, 200))
    for path in changed:
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # only ctime tells
    with Opened(source) as opened:
        made = backup(recoup, repo, "source", cwd=tmp_path)
    assert {path for path in changed if path.stat().st_size} <= opened.files
    restore(restic, repo, made.id, tmp_path / "out")
    assert_same(source, tmp_path / "out/source")


def test_force_reads_all(recoup, repo, tmp_path):
    source = make_source(tmp_path / "source", (SEED, "force"), large=0)
    interrupt(recoup, repo, "source", after=size_of(source) * 0.5, cwd=tmp_path)
    with Opened(source) as opened:
        backup(recoup, repo, "--force", "source", cwd=tmp_path)
    assert len(opened.files) == 3000


def test_packs_are_gone(recoup, restic, repo, tmp_path):
    """What the journal says counts for nothing without the blobs."""
    source = make_source(tmp_path / "source", (SEED, "gone"), large=0)
    interrupt(recoup, repo, "source", after=size_of(source) * 0.5, cwd=tmp_path)
    for kind in ("data", "index"):
        for name in repo.files(kind):
            (repo.path / name).unlink()
    made = backup(recoup, repo, "source", cwd=tmp_path)
    assert "files_taken_over" not in made.summary
    check_clean(restic, repo)
    restore(restic, repo, made.id, tmp_path / "out")
    assert_same(source, tmp_path / "out/source")


def test_without_a_cache(recoup, repo, tmp_path):
    source = make_source(tmp_path / "source", (SEED, "none"), large=0)
    said = interrupt(recoup, repo, "--no-cache", "source", after=size_of(source) * 0.3, cwd=tmp_path)
    assert "goes on from there" not in said.text
    assert journals(recoup) == []
    assert "files_taken_over" not in backup(recoup, repo, "source", cwd=tmp_path).summary


def test_what_is_said(recoup, repo, tmp_path):
    source = make_source(tmp_path / "source", (SEED, "said"), large=0)
    said = interrupt(recoup, repo, "--json", "source", after=size_of(source) * 0.3, cwd=tmp_path)
    kinds = {message["message_type"] for message in said.json_lines()}
    assert kinds <= {"status", "verbose_status"}, said
    link = tmp_path / "bin/restic"
    link.parent.mkdir()
    link.symlink_to(recoup.path)
    restic_named = type(recoup)("restic", link)
    restic_named.home = recoup.home
    interrupt(restic_named, repo, "source", after=size_of(source) * 0.2, cwd=tmp_path)
    summary = restic_named.run("backup", "--json", "--host", HOST, "source", repo=repo, cwd=tmp_path).summary
    assert not [name for name in summary if "taken" in name]

    write(os.fsencode(source / "more"), noise(100, 1))
    shutil.rmtree(source / "d1")
    make_source(source, (SEED, "said more"))
    interrupt(recoup, repo, "source", after=size_of(source) * 0.3, cwd=tmp_path)
    said = recoup.run("backup", "-v", "--host", HOST, "source", repo=repo, cwd=tmp_path).text
    assert "an interrupted backup has read " in said
    assert "taken over from an interrupted backup, not read again: " in said


def test_restic_shares_the_directory(recoup, restic, repo, tmp_path):
    """restic goes on using the cache, and clears it with the journal when it is old."""
    source = make_source(tmp_path / "source", (SEED, "shared"), large=0)
    interrupt(recoup, repo, "source", after=size_of(source) * 0.3, cwd=tmp_path)
    (journal,) = journals(recoup)
    before = journal.read_bytes()
    cache = recoup.home / "cache"
    said = restic.run("snapshots", "--cache-dir", cache, repo=repo)
    assert "unable" not in said.everything
    check_clean(restic, repo, "--with-cache", "--cache-dir", cache)
    assert journal.read_bytes() == before
    restic.run("cache", "--cleanup", "--cache-dir", cache)
    assert journal.exists()
    old = time.time() - 31 * 86400
    os.utime(journal, (old, old))
    recoup.run("cache", "--cleanup", "--cache-dir", cache)
    assert not journal.exists() and journal.parents[1].exists()
    journal.write_bytes(before)
    os.utime(journal.parents[1], (old, old))
    restic.run("cache", "--cleanup", "--cache-dir", cache)
    assert not journal.parents[1].exists()
    backup(recoup, repo, "source", cwd=tmp_path)


@pytest.mark.local_only
def test_the_cache_is_left_out(recoup, restic, new_repo, tmp_path):
    """As restic leaves its own out, for a local repository too; in a dry run as well, which notes nothing."""
    top = tmp_path / "top"
    make_source(top / "source", (SEED, "left out"), files=50, large=0)
    cache = top / "cache"
    repos = new_repo("one"), new_repo("two")
    for program, repo in zip((restic, recoup), repos):
        cache.mkdir()
        os.utime(top, ns=(1_700_000_000_000_000_000,) * 2)
        dry = program.run("backup", "--json", "--dry-run", "--cache-dir", cache, "top", repo=repo, cwd=tmp_path).summary
        assert dry["total_files_processed"] == 50
        assert backup(program, repo, "--cache-dir", cache, "top", cwd=tmp_path).summary["total_files_processed"] == 50
        assert journals(recoup) == []
        shutil.rmtree(cache)


def test_two_at_once(recoup, restic, repo, tmp_path):
    """The second of two equal backups has no journal; both are right."""
    source = make_source(tmp_path / "source", (SEED, "two"), large=0)
    interrupt(recoup, repo, "source", after=size_of(source) * 0.3, cwd=tmp_path)
    put_into_index(recoup, repo, tmp_path)
    command = ("backup", "-v", *SLOW, "--host", HOST, "source")
    with recoup.start(*command, repo=repo, cwd=tmp_path) as one, recoup.start(*command, repo=repo, cwd=tmp_path) as two:
        texts = [running.finish(code=0).text for running in (one, two)]
    assert sum("taken over from an interrupted backup" in text for text in texts) >= 1
    assert journals(recoup) == []
    check_clean(restic, repo)
    trees = {format.Repo(repo.path).load("snapshots", name)["tree"] for name in repo.ids("snapshots")}
    assert len(trees) == 2  # of both, and of the other thing
