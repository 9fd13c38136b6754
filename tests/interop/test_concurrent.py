"""Several programs at one repository at the same time, and the locks that keep them apart."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from support import format, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.programs import HOST, stand_in, wait_until
from support.trees import noise, write

LOCKED = 11


@pytest.fixture(params=["recoup", "restic"])
def other(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def held_open(tmp_path):
    """held_open(program, repo): a backup from standard input that runs until its block is left; then it must succeed."""
    class HeldOpen:
        def __init__(self, program, repo, *args):
            self.repo, before = repo, repo.ids("locks")
            self.running = program.start("backup", "--stdin", "--stdin-filename=held", "--host", HOST, *args, repo=repo, stdin=subprocess.PIPE)
            self.running.process.stdin.write(noise(100_000, "held"))
            self.running.process.stdin.flush()
            wait_until(lambda: repo.ids("locks") - before or not self.running.is_running(), what="the backup's lock")
            assert self.running.is_running(), self.running.finish()
            (self.lock,) = repo.ids("locks") - before

        def __enter__(self):
            return self

        def __exit__(self, kind, *_):
            if kind is None:
                assert self.running.is_running()
                self.running.finish(0)
            else:
                self.running.__exit__()

    return HeldOpen


@pytest.fixture
def alive():
    """A process that lives as long as the test, and survives restic's asking: that is a SIGHUP."""
    process = subprocess.Popen(["sh", "-c", "trap '' HUP; echo ready; exec sleep 600"], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process.pid
    process.kill()
    process.wait()


def ended() -> int:
    """The number of a process that has just ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


# ---- at the same time ----------------------------------------------------------------------------------------------------

def test_two_backups_at_once(recoup, other, restic, repo, tmp_path):
    """Each with files of its own and files in common; four rounds, each program first in turn."""
    for turn in range(4):
        sources = []
        for who in ("a", "b"):
            tree = trees.small_tree(tmp_path / f"{who}{turn}", (who, turn), files=40, bytes_each=100_000)
            for number in range(20):
                write(os.fsencode(tree / f"common{number}"), noise(50_000, ("common", turn, number)))
            sources.append(tree)
        first = recoup.start("backup", "--json", "--host", HOST, f"a{turn}", repo=repo, cwd=tmp_path)
        second = other.start("backup", "--json", "--host", HOST, f"b{turn}", repo=repo, cwd=tmp_path)
        for running, tree in ((first, sources[0]), (second, sources[1])):
            made = running.finish(0).summary["snapshot_id"]
            restore(restic, repo, made, tmp_path / "out")
            assert_same(tree, tmp_path / "out" / tree.name)
            shutil.rmtree(tmp_path / "out")
        assert format.Repo(repo.path).problems() == []
    check_clean(restic, repo)
    assert repo.ids("locks") == set() and len(repo.ids("snapshots")) == 8


def test_five_backups_and_readers(recoup, restic, repo, tmp_path):
    for number in range(5):
        trees.small_tree(tmp_path / f"t{number}", number)
    backup(restic, repo, "t0", cwd=tmp_path)
    if stand_in():  # restic fails if two make its cache at the same time
        recoup.run("snapshots", repo=repo)
    running = [recoup.start("backup", f"t{n}", "--host", HOST, repo=repo, cwd=tmp_path) for n in range(5)]
    readers = [recoup.start(*command, repo=repo) for command in
               (["snapshots", "--json"], ["ls", "latest"], ["restore", "latest", "--target", str(tmp_path / "out")], ["stats"], ["list", "packs"])]
    for each in running + readers:
        each.finish(0)
    check_clean(restic, repo)
    assert len(repo.ids("snapshots")) == 6 and repo.ids("locks") == set()


def test_a_source_that_changes_all_the_time(recoup, restic, repo, tmp_path):
    """Files grow, shrink and vanish while they are read: the snapshot holds one state of each, and restores."""
    tree = trees.small_tree(tmp_path / "tree", files=60, bytes_each=100_000)
    stop = threading.Event()

    def disturb():
        turn = 0
        while not stop.is_set():
            turn += 1
            path = tree / f"d{turn % 4}/f{turn % 60}"
            with open(path, "ab" if turn % 2 else "wb") as file:
                file.write(noise(turn * 997 % 200_000, turn))
            gone = tree / f"gone{turn % 5}"
            gone.unlink() if gone.exists() else gone.write_bytes(b"x" * 1000)

    worker = threading.Thread(target=disturb)
    worker.start()
    try:
        results = [recoup.run("backup", "tree", "--json", "--host", HOST, repo=repo, cwd=tmp_path, code=(0, 3)) for _ in range(3)]
    finally:
        stop.set()
        worker.join()
    check_clean(restic, repo)
    for result in results:
        stored = format.Repo(repo.path)
        made = stored.load("snapshots", result.summary["snapshot_id"])
        for entry in stored.walk(made["tree"]):
            if entry.node["type"] == "file":
                assert sum(len(stored.blob("data", blob)) for blob in entry.node["content"]) == entry.node.get("size", 0)
        restore(restic, repo, result.summary["snapshot_id"], tmp_path / "out", "--delete")
    last = backup(recoup, repo, "tree", cwd=tmp_path)
    restore(restic, repo, last.id, tmp_path / "out", "--delete")
    assert_same(tree, tmp_path / "out/tree")


# ---- a backup beside check -----------------------------------------------------------------------------------------------

def test_check_beside_a_backup(recoup, other, repo, held_open):
    """check wants the repository for itself: it is refused, names the holder, and leaves nothing behind."""
    for holder, checker in ((recoup, other), (other, recoup)):
        with held_open(holder, repo) as held:
            result = checker.run("check", repo=repo, code=LOCKED)
            assert f"PID {held.running.pid}" in result.errors and "lock" in result.errors and "unlock" in result.errors
            report = checker.run("check", "--json", repo=repo, code=LOCKED)
            (message,) = [m for m in report.json_errors() if m["message_type"] == "exit_error"]
            assert message["code"] == LOCKED and "lock" in message["message"]
            checker.run("check", "--no-lock", repo=repo)
            checker.run("snapshots", repo=repo)
            assert repo.ids("locks") == {held.lock}
        assert repo.ids("locks") == set()
    check_clean(recoup, repo)


def test_check_waits_for_a_backup(recoup, other, repo, held_open):
    """--retry-lock: waits, then does its work."""
    for holder, checker in ((recoup, other), (other, recoup)):
        with held_open(holder, repo):
            waiting = checker.start("check", "--retry-lock=10m", repo=repo)
            waiting.wait_for("waiting up to 10m0s for the lock")
            assert waiting.is_running()
        waiting.finish(0)


def test_waiting_has_an_end(recoup, repo, held_open):
    with held_open(recoup, repo):
        begin = time.monotonic()
        result = recoup.run("check", "--retry-lock=2s", repo=repo, code=LOCKED)
        assert 1.8 < time.monotonic() - begin < 120
        assert "lock" in result.errors
        recoup.run("check", "--retry-lock=soon", repo=repo, code=1)


@pytest.mark.parametrize("command", [["backup", "."], ["restore", "latest", "--target", "out"], ["ls", "latest"], ["snapshots"], ["stats"],
                                     ["find", "x"], ["key", "list"], ["list", "packs"], ["diff", "latest", "latest"], ["dump", "latest", "/"],
                                     ["cat", "snapshot", "latest"], ["check"], ["key", "remove", "0000"], ["list", "locks"],
                                     ["unlock"], ["cache"], ["version"], ["cat", "config"]], ids=lambda c: " ".join(c[:2]))
def test_who_respects_an_exclusive_lock(recoup, restic, repo, tmp_path, small_tree, alive, command):
    """An exclusive lock of a live process stops what restic would stop, and nothing else."""
    backup(restic, repo, small_tree)
    lock = format.Repo(repo.path).save_lock(alive, exclusive=True)
    work = tmp_path / "work"
    work.mkdir()
    (work / "file").write_text("x")
    theirs = restic.run(*command, repo=repo, cwd=work, code=None)
    ours = recoup.run(*command, repo=repo, cwd=work, code=theirs.code)
    assert ("locked" in ours.errors) == (theirs.code == LOCKED)
    if theirs.code == LOCKED:
        assert "exclusively" in ours.errors and f"PID {alive}" in ours.errors
    if command != ["unlock"]:
        assert repo.ids("locks") == {lock}


# ---- what a lock says -----------------------------------------------------------------------------------------------------

def test_lock_file(recoup, restic, repo, held_open):
    with held_open(recoup, repo) as held:
        stored = format.Repo(repo.path).load("locks", held.lock)
        assert stored["pid"] == held.running.pid and stored["exclusive"] is False
        assert stored["hostname"] == os.uname().nodename and stored["username"] == "root"
        assert abs(time.time() - time.mktime(time.strptime(stored["time"][:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone) < 600
        assert "uid" not in stored and "gid" not in stored  # 0 is left out
        for program in (recoup, restic):
            assert program.run("list", "locks", "--no-lock", repo=repo).text.split() == [held.lock]
            assert program.run("cat", "lock", held.lock, "--no-lock", repo=repo).json() == stored
        assert restic.run("cat", "lock", held.lock, "--no-lock", repo=repo).out == recoup.run("cat", "lock", held.lock, "--no-lock", repo=repo).out


def test_the_holder_of_a_lock_survives_being_asked(recoup, restic, repo, held_open):
    """restic's `unlock` asks with SIGHUP whether the process of a lock still lives: that must not end it."""
    with held_open(recoup, repo) as held:
        for program in (restic, recoup):
            program.run("unlock", repo=repo)
            assert repo.ids("locks") == {held.lock} and held.running.is_running()
    assert len(repo.ids("snapshots")) == 1


def test_exclusive_lock_of_check(recoup, restic, repo, tmp_path):
    write(os.fsencode(tmp_path / "large"), noise(150_000_000, "large"))
    backup(restic, repo, "large", cwd=tmp_path)
    running = recoup.start("check", "--read-data", "--limit-download=20000", repo=repo)  # so that it lasts
    wait_until(lambda: repo.ids("locks"), what="check's lock", step=0.001)
    running.kill(signal.SIGSTOP)
    try:
        (name,) = repo.ids("locks")
        stored = format.Repo(repo.path).load("locks", name)
        assert stored["exclusive"] is True and stored["pid"] == running.pid
        result = restic.run("backup", "large", repo=repo, cwd=tmp_path, code=LOCKED)
        assert "exclusively" in result.errors
    finally:
        running.kill(signal.SIGCONT)
    running.finish(0)
    assert repo.ids("locks") == set()


def test_no_lock_is_left_after_any_command(recoup, repo, small_tree, tmp_path):
    backup(recoup, repo, "small", cwd=tmp_path)
    for command in (["restore", "latest", "--target", "out"], ["restore", "nonsense", "--target", "out"], ["ls", "latest"], ["ls", "latest:/no"],
                    ["check"], ["check", "--read-data-subset=x"], ["find", "f*"], ["diff", "latest"], ["dump", "latest", "/none"], ["stats"],
                    ["backup", "nowhere"], ["backup", "small", "--parent=0000"], ["key", "list"], ["key", "remove", "0000"]):
        recoup.run(*command, repo=repo, cwd=tmp_path, code=None)
        assert repo.ids("locks") == set(), command


# ---- stale, foreign, unreadable --------------------------------------------------------------------------------------------

def stale_locks(made, alive):
    return [made.save_lock(exclusive=True, pid=ended()), made.save_lock(pid=ended()),
            made.save_lock(alive, exclusive=True, age=31 * 60), made.save_lock(host="elsewhere", pid=1, age=31 * 60),
            made.save_lock(exclusive=True, host="elsewhere", pid=1, age=90_000)]


def fresh_locks(made, alive):
    return [made.save_lock(pid=alive), made.save_lock(exclusive=True, host="elsewhere", pid=ended()),
            made.save_lock(host="elsewhere", pid=1, age=27 * 60)]


def test_unlock_removes_stale_locks_only(recoup, repo, alive):
    made = format.Repo(repo.path)
    stale, fresh = stale_locks(made, alive), fresh_locks(made, alive)
    result = recoup.run("unlock", repo=repo)
    assert repo.ids("locks") == set(fresh)
    assert "removed 5 locks" in result.everything
    assert set(recoup.run("list", "locks", repo=repo).text.split()) == set(fresh)
    result = recoup.run("unlock", "--remove-all", repo=repo)
    assert repo.ids("locks") == set() and "removed 3 locks" in result.everything
    assert "locks" not in recoup.run("unlock", repo=repo).everything
    del stale


def test_unlock_agrees_with_restic(recoup, restic, new_repo, alive):
    left = {}
    for program in (recoup, restic):
        repo = new_repo(program.name)
        made = format.Repo(repo.path)
        names = stale_locks(made, alive) + fresh_locks(made, alive)
        (repo.path / "locks" / ("0" * 64)).write_bytes(b"")
        (repo.path / "locks" / format.sha256(b"junk" * 20)).write_bytes(b"junk" * 20)
        result = program.run("unlock", repo=repo)
        left[program.name] = [name in repo.ids("locks") for name in names], len(repo.ids("locks")), result.text
    assert left["recoup"] == left["restic"]


@pytest.mark.parametrize("which", ["dead", "old"])
def test_stale_locks_do_not_stop_a_backup_after_unlock(recoup, repo, small_tree, tmp_path, alive, which):
    made = format.Repo(repo.path)
    made.save_lock(exclusive=True, **({"pid": ended()} if which == "dead" else {"pid": alive, "age": 31 * 60}))
    recoup.run("unlock", repo=repo)
    backup(recoup, repo, "small", cwd=tmp_path)
    made.save_lock(**({"pid": ended()} if which == "dead" else {"pid": alive, "age": 31 * 60}))
    backup(recoup, repo, "small", cwd=tmp_path)  # a stale lock that is not exclusive stops no backup at all
    recoup.run("unlock", repo=repo)
    check_clean(recoup, repo)


def test_foreign_lock(recoup, restic, repo, small_tree, tmp_path, held_open):
    """A machine with another name holds the repository: its process cannot be seen, the lock counts while it is fresh."""
    foreign = format.Repo(repo.path).save_lock(exclusive=True, host="far-away", pid=ended())
    result = recoup.run("backup", "small", repo=repo, cwd=tmp_path, code=LOCKED)
    assert "far-away" in result.errors and "exclusively" in result.errors
    recoup.run("unlock", repo=repo)
    assert repo.ids("locks") == {foreign}
    recoup.run("backup", "small", repo=repo, cwd=tmp_path, code=LOCKED)
    recoup.run("unlock", "--remove-all", repo=repo)
    backup(recoup, repo, "small", cwd=tmp_path)


def test_lock_made_by_restic_on_another_host(recoup, restic, repo, tmp_path, small_tree):
    """restic in a UTS namespace of its own, killed: for this host a fresh foreign lock."""
    running = restic.start("backup", "--stdin", repo=repo, stdin=subprocess.PIPE,
                           wrap=["unshare", "--uts", "sh", "-c", 'hostname far-away && exec "$@"', "sh"])
    wait_until(lambda: repo.ids("locks"), what="restic's lock")
    running.kill()
    running.finish()
    result = recoup.run("check", repo=repo, code=LOCKED)
    assert "far-away" in result.errors
    backup(recoup, repo, "small", cwd=tmp_path)  # two backups may run beside each other
    recoup.run("unlock", repo=repo)
    assert len(repo.ids("locks")) == 1
    # On the other host the process is seen to be dead.
    recoup.run("unlock", repo=repo, wrap=["unshare", "--uts", "sh", "-c", 'hostname far-away && exec "$@"', "sh"])
    assert repo.ids("locks") == set()


@pytest.mark.recoup_only
def test_a_living_process_that_cannot_be_seen_keeps_its_lock(recoup, repo, tmp_path, small_tree):
    """Two containers with one host name and process namespaces of their own: to each the other's process looks dead."""
    unseen = 'echo $(($(cat /proc/sys/kernel/pid_max) - 100)) > /proc/sys/kernel/ns_last_pid && "$@"; exit $?'
    running = recoup.start("backup", "--stdin", repo=repo, stdin=subprocess.PIPE,
                           wrap=["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", unseen, "sh"])
    wait_until(lambda: repo.ids("locks"), what="the lock")
    (held,) = repo.ids("locks")
    result = recoup.run("check", repo=repo, code=LOCKED)
    assert "container" in result.errors and "unlock" in result.errors
    backup(recoup, repo, "small", cwd=tmp_path)
    assert repo.ids("locks") == {held}
    running.kill()
    running.finish()
    recoup.run("unlock", repo=repo)
    check_clean(recoup, repo)


UNREADABLE = {
    "junk": lambda repo: (repo.path / "locks" / format.sha256(b"junk" * 20)).write_bytes(b"junk" * 20),
    "short": lambda repo: (repo.path / "locks" / format.sha256(b"x")).write_bytes(b"x"),
    "broken JSON": lambda repo: format.Repo(repo.path).save_body("locks", b'{"time":'),
    "other JSON": lambda repo: format.Repo(repo.path).save_body("locks", b"[1,2]"),
    "wrong time": lambda repo: format.Repo(repo.path).save_body("locks", b'{"time":"yesterday","pid":1}'),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_lock(recoup, repo, small_tree, tmp_path, kind):
    """Whose it is cannot be known: nobody goes on until it is removed, and the message says how. (restic tries for 35 s.)"""
    UNREADABLE[kind](repo)
    if stand_in() and kind != "junk":
        return  # one is enough for restic
    result = recoup.run("backup", "small", repo=repo, cwd=tmp_path, code=(1, LOCKED), timeout=300)
    assert stand_in() or "unlock --remove-all" in result.errors, result
    assert len(repo.ids("snapshots")) == 0 and len(repo.ids("locks")) == 1
    recoup.run("unlock", repo=repo)
    assert len(repo.ids("locks")) == 1
    recoup.run("snapshots", "--no-lock", repo=repo)
    recoup.run("unlock", "--remove-all", repo=repo)
    assert repo.ids("locks") == set()
    backup(recoup, repo, "small", cwd=tmp_path)


def test_empty_lock(recoup, repo, small_tree, tmp_path):
    """Nobody's lock: left by a file system that lost its contents. As restic, go on."""
    (repo.path / "locks" / ("0" * 64)).write_bytes(b"")
    backup(recoup, repo, "small", cwd=tmp_path)
    check_clean(recoup, repo)
    recoup.run("unlock", "--remove-all", repo=repo)
    assert repo.ids("locks") == set()


def test_foreign_files_among_the_locks(recoup, restic, repo, small_tree, tmp_path):
    """Names that are no ids are none of ours: left by another program's interrupted save, say."""
    for name in ("README", "0" * 63, "g" * 64, "0" * 64 + "-tmp-123456"):
        (repo.path / "locks" / name).write_bytes(b"junk")
    backup(recoup, repo, "small", cwd=tmp_path)
    check_clean(recoup, repo)
    recoup.run("unlock", repo=repo)
    assert json.loads(recoup.run("snapshots", "--json", repo=repo).out)
