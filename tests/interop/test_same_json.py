"""Every message that a command prints as JSON: the same ones in the same order, with the same fields in the same order and of the same
types, and the same values where they do not depend on time, speed or chance.

test_same_output.py compares whole outputs of the commands that only look, byte by byte; here is what programs read while something
happens, and what they read when it goes wrong.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess

import pytest

from support import format, storage, trees
from support.commands import backup
from support.programs import HOST, Repository, wait_until
from support.storage import place
from support.trees import noise, write

pytestmark = pytest.mark.recoup_only

#: fields whose values are not the same twice
CHANGING = {"seconds_elapsed", "seconds_remaining", "total_duration", "duration", "backup_start", "backup_end", "percent_done", "bytes_done", "files_done",
            "current_files", "snapshot_id", "time", "created", "id", "short_id", "program_version", "bytes_restored", "files_restored"}
#: what compression makes of data is each program's own affair
PACKED = {"data_added_packed", "data_size_in_repo", "metadata_size_in_repo"}


def shape(value):
    """The value with its types for its values; a number is a number, whole or not."""
    if isinstance(value, dict):
        return [(key, shape(part)) for key, part in value.items()]
    if isinstance(value, list):
        return [shape(part) for part in value]
    return "number" if type(value) in (int, float) else type(value).__name__


def masked(value, changing=frozenset(CHANGING | PACKED)):
    if isinstance(value, dict):
        return {key: "*" if key in changing else masked(part, changing) for key, part in value.items()}
    return [masked(part, changing) for part in value] if isinstance(value, list) else value


def lines(raw: bytes) -> list:
    """Each line as JSON; one that is none, as text."""
    found = []
    for line in raw.decode("utf-8", "backslashreplace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append(line)
    return found


def kind(message) -> str:
    return message.get("message_type", "") if isinstance(message, dict) else ""


def without(messages, *kinds):
    return [message for message in messages if kind(message) not in kinds]


def assert_same(ours, theirs, edit=lambda messages: messages, values=True):
    """Both outputs of both runs and the exit codes agree. `edit` gets the list of messages of one output."""
    assert ours.code == theirs.code, f"{ours}\n{theirs}"
    for a, b in ((ours.out, theirs.out), (ours.err, theirs.err)):
        a, b = edit(lines(a)), edit(lines(b))
        assert list(map(shape, a)) == list(map(shape, b)), f"{ours}\n{theirs}"
        if values:
            assert list(map(masked, a)) == list(map(masked, b)), f"{ours}\n{theirs}"


class Pair:
    """Both programs, each with a repository of its own that holds the same, below a directory of its own."""

    def __init__(self, programs, repos):
        self.programs, self.repos = programs, repos

    def run(self, *words, code=0, env=None, cwd=None):
        """recoup's result and restic's."""
        return tuple(program.run(*words, "--json", repo=self.repos[program], code=code, env=env, cwd=cwd) for program in self.programs)

    def ids(self, where):
        return [sorted(self.repos[program].ids(where)) for program in self.programs]


@pytest.fixture
def pair(recoup, restic, new_repo, small_tree):
    """Two empty repositories, and a small tree to back up."""
    return Pair((recoup, restic), {recoup: new_repo("ours"), restic: new_repo("theirs")})


@pytest.fixture
def same(recoup, restic, new_repo):
    """One repository for both."""
    repo = new_repo("shared")
    return Pair((recoup, restic), {recoup: repo, restic: repo})


def in_any_order(messages):
    """Files are read by several threads: what is told of each comes in any order. What is told of all keeps its place."""
    loose = {"verbose_status", "error", "excluded_item"}
    strict = [message for message in messages if kind(message) not in loose]
    return strict + sorted((message for message in messages if kind(message) in loose), key=lambda m: json.dumps(masked(m), sort_keys=True))


def told(messages):
    """What does not depend on when it was asked: no status, and not the end of the scan, which a short backup overtakes in either program
    (test_messages.py compares it); 0.19.1 does not tell yet what it excluded. How many whole seconds a restore took is told if there are any."""
    kept = [message for message in without(messages, "status", "excluded_item") if not is_end_of_scan(message)]
    return in_any_order([{k: v for k, v in message.items() if k != "seconds_elapsed"} if isinstance(message, dict) else message for message in kept])


def is_end_of_scan(message) -> bool:
    return kind(message) == "verbose_status" and message["action"] == "scan_finished"


# ---- what works ------------------------------------------------------------------------------------------------------

def test_backup(pair, small_tree, tmp_path):
    words = ("backup", "small", "--host", HOST)
    assert_same(*pair.run(*words, cwd=tmp_path), told)
    assert_same(*pair.run(*words, "-vv", cwd=tmp_path), told)
    write(os.fsencode(small_tree / "d0/f0"), b"changed")
    (small_tree / "d0/f4").unlink()
    (small_tree / "d1/f1").chmod(0o600)
    for more in (["--dry-run", "-vv"], ["-vv"], ["--skip-if-unchanged", "-vv"], ["--skip-if-unchanged", "--dry-run"], ["--force"], ["-q"], ["--exclude=*9", "-vv"],
                 ["--no-scan"], ["--tag=a,b", "--time=2024-01-02 03:04:05"]):
        assert_same(*pair.run(*words, *more, cwd=tmp_path), told)


def test_backup_that_could_not_read_all(pair, small_tree, tmp_path):
    """A target that is not there, and a file that cannot be read to its end."""
    for words in (["small", "missing"], ["small", "/proc/1/mem"], ["missing"]):
        ours, theirs = (program.run("backup", *words, "--json", "--host", HOST, repo=pair.repos[program], cwd=tmp_path, code=None) for program in pair.programs)
        assert ours.code == theirs.code == (1 if words == ["missing"] else 3)
        assert_same(ours, theirs, told, values=words != ["small", "/proc/1/mem"])
        errors = [[(m["during"], m["item"]) for m in run.messages("error")] for run in (ours, theirs)]
        assert errors[0] == errors[1]


def test_status_of_backup(pair, tmp_path):
    """Often enough to see every field; the fields are restic's, none is of another type."""
    (tmp_path / "large").mkdir()
    for number in range(12):
        write(os.fsencode(tmp_path / f"large/{number}"), noise(8_000_000, ("status", number)))
    seen = []
    # Some three seconds, in which the scan comes to its end and there is a status after it.
    for run in pair.run("backup", "large", "--host", HOST, "--limit-upload=30000", cwd=tmp_path, env={"RESTIC_PROGRESS_FPS": "60"}):
        fields = {}
        for message in run.messages("status"):
            assert list(message)[0] == "message_type"
            fields.update({key: shape(value) if key != "current_files" else ["str"] for key, value in message.items()})
        seen.append(fields)
    ours, theirs = seen
    assert {"total_bytes", "bytes_done", "percent_done", "current_files"} <= ours.keys()
    common = ours.keys() & theirs.keys()
    assert {key: ours[key] for key in common} == {key: theirs[key] for key in common}
    assert ours.keys() | theirs.keys() <= {"message_type", "seconds_elapsed", "seconds_remaining", "percent_done", "total_files", "files_done", "total_bytes",
                                           "bytes_done", "error_count", "current_files"}


def test_restore(same, small_tree, tmp_path):
    backup(same.programs[1], same.repos[same.programs[1]], "small", cwd=tmp_path)
    for more in (["-vv"], ["-vv"], [], ["--dry-run", "-vv"], ["--overwrite=never", "-vv"], ["--verify"], ["--include=*1", "-vv"], ["--delete", "-vv"], ["-q"]):
        runs = tuple(program.run("restore", "latest", "--target", tmp_path / f"to-{program.name}", "--json", *more, repo=same.repos[program]) for program in same.programs)
        assert_same(*runs, lambda messages: told([{**m, "item": re.sub("/to-[a-z]+/", "/<target>/", m["item"])} if "item" in m else m for m in messages]))
        for program in same.programs:
            write(os.fsencode(tmp_path / f"to-{program.name}/small/d0/f4"), b"other content")
            write(os.fsencode(tmp_path / f"to-{program.name}/small/more"), b"to be deleted")


def test_status_of_restore(same, tmp_path):
    write(os.fsencode(tmp_path / "large"), noise(60_000_000, "restore status"))
    backup(same.programs[1], same.repos[same.programs[1]], "large", cwd=tmp_path)
    seen = []
    for program in same.programs:
        run = program.run("restore", "latest", "--target", tmp_path / f"to-{program.name}", "--json", "--limit-download=30000", repo=same.repos[program],
                          env={"RESTIC_PROGRESS_FPS": "60"})
        seen.append({key: shape(value) for message in run.messages("status") for key, value in message.items()})
    ours, theirs = seen
    assert ours and {key: theirs[key] for key in ours.keys() & theirs.keys()} == {key: ours[key] for key in ours.keys() & theirs.keys()}
    assert ours.keys() | theirs.keys() <= {"message_type", "seconds_elapsed", "percent_done", "total_files", "files_restored", "files_skipped", "files_deleted",
                                           "total_bytes", "bytes_restored", "bytes_skipped"}


def test_init_and_keys(pair, recoup, restic, tmp_path):
    """`init`, and each of `key`'s commands; the keys that are made differ in nothing that is told but ids and times."""
    (tmp_path / "other").write_text("other\n")
    runs = tuple(program.run("init", "--json", repo=Repository(place(tmp_path / f"new-{program.name}"))) for program in (recoup, restic))
    edit = lambda messages: [{**m, "repository": "*"} if isinstance(m, dict) and "repository" in m else m for m in messages]
    assert_same(*runs, edit)
    for words in (["key", "list"], ["key", "add", "--new-password-file", tmp_path / "other", "--user=someone", "--host=somewhere"], ["key", "list"],
                  ["key", "passwd", "--new-password-file", tmp_path / "other"]):
        no_ids = lambda messages: [re.sub(r"[0-9a-f]{8,64}", "<id>", m) if isinstance(m, str) else m for m in messages]
        runs = tuple(program.run(*words, "--json", repo=pair.repos[program]) for program in (recoup, restic))
        assert_same(*runs, lambda messages: [sorted(no_ids(messages), key=str)] if words == ["key", "list"] else no_ids(messages), values=words[1] == "add")


@pytest.fixture(scope="module")
def looked_at(template, tmp_path_factory, stable_root):
    """A repository that restic made, for the commands that only look."""
    from support import programs

    home = tmp_path_factory.mktemp("same-json")
    repo = programs.Repository(place(home / "repo"), 2)
    storage.copy_tree(template[2].path, repo.path)
    restic, recoup = programs.restic().at(home), programs.recoup().at(home)
    tree = trees.small_tree(stable_root / "same-json")
    first = backup(restic, repo, tree, "--tag", "b,a", "--time", "2024-03-04 05:06:07")
    (tree / "d0/f0").write_bytes(b"changed")
    (tree / "d1/f1").unlink()
    (tree / "new").write_bytes(b"")
    second = backup(restic, repo, tree, "--tag", "c", "--time", "2024-03-05 05:06:07", "--host", "other", host=None)
    third = backup(restic, repo, tree / "d0", "--tag", "c", "--time", "2024-03-06 05:06:07")
    inside = format.Repo(repo.path)
    words = {"FIRST": first.id, "SECOND": second.id, "THIRD": third.id, "SRC": str(tree), "TREE": first.tree, "KEY": sorted(repo.ids("keys"))[0],
             "BLOB": next(name for (kind_, name) in sorted(inside.index()) if kind_ == "data"), "PACK": sorted(repo.ids("data"))[0], "INDEX": sorted(repo.ids("index"))[0]}
    return repo, recoup, restic, words


LOOKING = """
snapshots
snapshots -g host
snapshots -g host,tags,paths
snapshots -g host,paths --latest 1
snapshots FIRST THIRD -g paths
snapshots --host nobody -g host
snapshots nonsense
ls FIRST
ls FIRST SRC/d0
ls FIRST SRC --recursive
ls FIRST:SRC
ls THIRD --sort size --reverse
ls FIRST nowhere
find f0
find f0 f1 -l
find -i F0 --host other
find F0
find nothing
find f0 -R
find f0 -s FIRST
find f0 --tag c --path SRC/d0
find --oldest 2020-01-01 --newest 2030-01-01 new
find --blob BLOB
find --tree TREE
find --pack PACK
find --show-pack-id --blob BLOB
find --blob 00000000
stats
stats FIRST
stats FIRST SECOND
stats --tag c
stats --host nobody
stats latest --path SRC/d0
stats --mode restore-size SECOND
stats --mode files-by-contents
stats --mode files-by-contents FIRST
stats --mode blobs-per-file
stats --mode blobs-per-file SECOND
stats --mode raw-data
stats --mode raw-data FIRST
stats --mode nonsense
diff FIRST SECOND
diff SECOND FIRST --metadata
diff FIRST FIRST
diff FIRST:SRC/d0 SECOND:SRC/d0
diff FIRST THIRD
diff FIRST nonsense
key list
list keys
list snapshots
list index
list locks
list nonsense
cat config
cat masterkey
cat snapshot SECOND
cat tree FIRST:SRC
cat index INDEX
cat key KEY
cat blob BLOB
cat snapshot nonsense
dump FIRST SRC/new
dump SECOND SRC/new
check
check --read-data
check --read-data-subset 1/1
unlock
cache nonsense
""".strip().splitlines()


@pytest.mark.parametrize("line", LOOKING)
def test_looking(looked_at, line):
    """To the last value: what is in a repository does not depend on who looks."""
    repo, recoup, restic, places = looked_at
    words = [re.sub(r"\b(" + "|".join(places) + r")\b", lambda m: places[m.group()], word) for word in line.split()]
    theirs = restic.run(*words, "--json", repo=repo, code=None)
    ours = recoup.run(*words, "--json", repo=repo, code=theirs.code)
    a, b = lines(ours.out), lines(theirs.out)
    if words[0] == "list":  # in whatever order the storage lists
        a, b = sorted(a), sorted(b)
    if "-g" in words and a and isinstance(a[0], list):  # restic's groups come in a random order
        a, b = ([sorted(groups, key=lambda group: json.dumps(group.get("group_key"))) for groups in side] for side in (a, b))
    assert a == b, f"{ours}\n{theirs}"
    assert list(map(shape, a)) == list(map(shape, b))
    assert list(map(shape, lines(ours.err))) == list(map(shape, lines(theirs.err))), f"{ours}\n{theirs}"
    assert [kind(m) for m in lines(ours.err)] == [kind(m) for m in lines(theirs.err)]


def test_version(recoup, restic, tmp_path):
    """Called as restic: restic's fields first, in restic's order."""
    os.symlink(recoup.path, tmp_path / "restic")
    theirs = restic.run("version", "--json").json()
    ours = json.loads(subprocess.run([tmp_path / "restic", "version", "--json"], capture_output=True, check=True, env={}).stdout)
    assert list(ours)[:len(theirs)] == list(theirs)
    assert {k: v for k, v in ours.items() if k in theirs and k != "go_version"} == {k: v for k, v in theirs.items() if k != "go_version"}


def test_copy(recoup, restic, new_repo, small_tree, tmp_path):
    source = new_repo("source")
    backup(restic, source, "small", cwd=tmp_path)
    runs = []
    for program in (recoup, restic):
        target = new_repo(f"target-{program.name}")
        words = ["copy", "--from-repo", source.path, "--json"]
        runs.append([program.run(*words, *more, repo=target, env={"RESTIC_FROM_PASSWORD": source.password}, code=None) for more in ([], [], ["-v"], ["nonsense"])])
    for ours, theirs in list(zip(*runs))[:3]:
        assert_same(ours, theirs, values=False)


# ---- what goes wrong ---------------------------------------------------------------------------------------------------

def exit_errors(*runs, code):
    """The last line on standard error is the message; its fields and code are restic's."""
    for run in runs:
        assert run.code == code
        assert lines(run.err)[-1].keys() == {"message_type", "code", "message"}, run
    ours, theirs = (lines(run.err)[-1] for run in runs)
    assert list(map(shape, (ours,))) == list(map(shape, (theirs,)))
    assert ours["message_type"] == theirs["message_type"] == "exit_error" and ours["code"] == theirs["code"] == code
    return ours["message"], theirs["message"]


def test_exit_code_1(same):
    for words in (["ls", "nonsense"], ["restore", "latest", "--target", "/nonexistent"], ["cat", "blob", "0" * 64], ["backup"],
                  ["diff", "a"], ["dump", "a"], ["key", "remove", "00"], ["find"]):
        exit_errors(*same.run(*words, code=1), code=1)


def test_exit_code_3(pair, small_tree, tmp_path):
    ours, theirs = exit_errors(*pair.run("backup", "small", "missing", code=3, cwd=tmp_path), code=3)
    assert ours == theirs


def test_exit_code_10(recoup, restic, tmp_path):
    runs = tuple(program.run("snapshots", "--json", repo=Repository(place(tmp_path / "nowhere")), code=10) for program in (recoup, restic))
    ours, theirs = exit_errors(*runs, code=10)
    assert ours.split(":")[:2] == theirs.split(":")[:2]


def test_exit_code_11(same, restic, small_tree, tmp_path):
    """Somebody's lock that is in the way: who, since when, and what helps, as resticprofile reads it."""
    repo = same.repos[restic]
    format.Repo(repo.path).save_lock(os.getpid(), exclusive=True)
    for words in (["backup", "small"], ["check"], ["snapshots"], ["key", "list"]):
        ours, theirs = exit_errors(*same.run(*words, code=11, cwd=tmp_path), code=11)
        ago = lambda text: re.sub(r"\([^)]* ago\)", "(<time> ago)", text)
        assert ago(ours) == ago(theirs)
    text = [program.run("check", repo=repo, code=11).errors for program in same.programs]
    for said in text:
        assert re.search(r"unable to create lock.+already locked.+?by (.+)$", said, re.M)
        assert re.search(r"lock was created at.+\(([^()]+)\s+ago\)", said)
        assert re.search(r"the\W+unlock\W+command can be used to remove stale locks", said)


def test_exit_code_12(same):
    ours, theirs = exit_errors(*same.run("snapshots", env={"RESTIC_PASSWORD": "wrong"}, code=12), code=12)
    assert ours == theirs


def test_exit_code_130(pair):
    runs = []
    for program in pair.programs:
        # Slow, because the input ends as soon as the signal is sent: what was read is not stored before that is taken.
        with program.start("backup", "--stdin", "--json", "--limit-upload=50", repo=pair.repos[program], stdin=subprocess.PIPE) as running:
            running.process.stdin.write(noise(100_000, "interrupted"))
            running.process.stdin.flush()
            wait_until(lambda: pair.repos[program].ids("locks"), what="the backup works")
            os.kill(running.pid, signal.SIGINT)
            runs.append(running.finish())
        assert not pair.repos[program].ids("locks")
    exit_errors(*runs, code=130)


@pytest.mark.parametrize("damage", ["missing pack", "broken pack", "missing index", "missing tree"])
def test_check_of_a_damaged_repository(new_repo, recoup, restic, small_tree, tmp_path, damage):
    repo = new_repo("damaged")
    backup(restic, repo, "small", cwd=tmp_path)
    made = format.Repo(repo.path)
    packs = {}
    for (blob_kind, _), entries in made.index().items():
        packs.setdefault(blob_kind, set()).update(entry.pack for entry in (entries if isinstance(entries, list) else [entries]))
    (data, *_), (tree, *_) = sorted(packs["data"]), sorted(packs["tree"])
    file = lambda name: repo.path / "data" / name[:2] / name
    if damage == "missing pack":
        file(data).unlink()
    elif damage == "missing tree":
        file(tree).unlink()
    elif damage == "missing index":
        (repo.path / "index" / sorted(repo.ids("index"))[0]).unlink()
    else:
        raw = bytearray(file(data).read_bytes())
        raw[100] ^= 1
        file(data).write_bytes(bytes(raw))
    for more in ([], ["--read-data"]):
        runs = tuple(program.run("check", "--json", *more, repo=repo, code=None, env={"RESTIC_CACHE_DIR": str(tmp_path / f"cache-{program.name}")})
                     for program in (recoup, restic))
        ours, theirs = runs
        assert ours.code == theirs.code == (0 if damage == "broken pack" and not more else 1)
        # A pack that is missing is broken too, as in restic after 0.19.1; and one with several things wrong counts for each.
        # Which snapshots and files need it, only recoup tells, unless it is called as restic (test_verify.py).
        edit = lambda messages: [{**m, "num_errors": min(m["num_errors"], 1), "broken_packs": "*"} if kind(m) == "summary" else m
                                 for m in without(messages, "error", "affected", "affected_snapshot")]
        assert_same(ours, theirs, edit)
        assert ours.summary["num_errors"] >= theirs.summary["num_errors"]
        broken = [set(run.summary["broken_packs"] or []) for run in runs]
        assert broken[0] >= broken[1] and broken[0] - broken[1] <= {data, tree}
        kinds = [sorted({kind(m) for m in lines(run.err)}) for run in runs]
        assert kinds[0] == kinds[1], f"{ours}\n{theirs}"
        for run in runs:
            for message in run.messages("error"):
                assert list(message) == ["message_type", "message"], run
