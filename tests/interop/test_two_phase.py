"""prune --two-phase: restic's backups go on meanwhile, and nothing that a snapshot needs goes.

RECOUP_ROUNDS says how many rounds with backups (40), RECOUP_SEED which ones.
"""

import json
import os
import random
import time

import pytest

from support import format, trees
from support.commands import backup, check_clean
from support.programs import HOST
from support.trees import noise, write
from test_random_rounds import is_excused

ROUNDS = int(os.environ.get("RECOUP_ROUNDS", "40"))
SEED = int(os.environ.get("RECOUP_SEED", "1"))
LOCKED = 11
NOW = ("prune", "--two-phase", "--delete-after=0s", "--max-unused=0")


def everything(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.fixture
def worn(recoup, restic, repo, tmp_path):
    """A repository whose first snapshot is forgotten, and the tree of the second one."""
    tree = trees.small_tree(tmp_path / "tree", ("two phases", SEED), files=12, bytes_each=60_000)
    first = backup(restic, repo, "tree", cwd=tmp_path).id
    old = everything(tree)
    for number in range(0, 12, 2):
        write(os.fsencode(tree / f"d{number % 4}/f{number}"), noise(50_000, ("new", number)))
    backup(restic, repo, "tree", cwd=tmp_path)
    restic.run("forget", first, repo=repo)
    return repo, tree, old


def stored_of(repo):
    stored = format.Repo(repo.path)
    stored.reads_marked = True
    return stored


def summary_of(result):
    return json.loads(result.text.splitlines()[-1])["packs_to_delete"]


def test_marks_and_deletes(recoup, restic, worn):
    repo, _, _ = worn
    packs = set(format.Repo(repo.path).packs())
    told = summary_of(recoup.run(*NOW, "--json", "--dry-run", repo=repo))
    assert told["mark"]["packs"] > 0 and format.Repo(repo.path).marks() == {}
    first = summary_of(recoup.run(*NOW, "--json", repo=repo))
    assert first == told
    stored = format.Repo(repo.path)
    marks = stored.marks()
    assert len(marks) == first["mark"]["packs"] and first["delete"]["packs"] == 0
    assert packs <= set(stored.packs())
    for mark in marks.values():
        assert mark["holders"] == [] and mark["time"].startswith("20")
    # To restic they are packs that it knows nothing of, to us they are what they are.
    assert "additional files" in check_clean(restic, repo).text
    ours = check_clean(recoup, repo).text
    assert "additional files" not in ours and f"{len(marks)} packs are marked for deletion" in ours
    waiting = summary_of(recoup.run("prune", "--two-phase", "--json", "--max-unused=0", repo=repo))
    assert waiting["wait"]["packs"] == len(marks) and waiting["delete"]["packs"] == 0
    assert waiting["wait_until"][:10] >= time.strftime("%Y-%m-%d", time.gmtime())
    text = recoup.run("prune", "--two-phase", "--dry-run", "--max-unused=0", repo=repo).text
    assert "waiting for deletion:" in text and "at the latest" in text
    second = summary_of(recoup.run(*NOW, "--json", repo=repo))
    assert second["delete"]["packs"] == len(marks)
    stored = format.Repo(repo.path)
    assert stored.marks() == {} and stored.problems() == [] and not set(marks) & set(stored.packs())
    assert "additional files" not in check_clean(restic, repo).text
    check_clean(recoup, repo)


def test_forget_prunes_in_two_phases(recoup, restic, worn, tmp_path):
    repo, tree, _ = worn
    backup(restic, repo, "tree", cwd=tmp_path)
    recoup.run("forget", "--keep-last=1", "--prune", "--two-phase", "--max-unused=0", repo=repo)
    stored = format.Repo(repo.path)
    assert len(stored.names("snapshots")) == 1 and stored.marks() and stored.names("locks") == []
    check_clean(restic, repo)


def test_who_holds_a_lock_keeps_what_it_may_rely_on(recoup, restic, worn):
    repo, _, _ = worn
    stored = format.Repo(repo.path)
    lock = stored.save_lock(4711, host="elsewhere")
    assert summary_of(recoup.run(*NOW, "--json", repo=repo))["mark"]["packs"] > 0
    second = summary_of(recoup.run(*NOW, "--json", repo=repo))
    assert second["wait_for"] == [{"hostname": "elsewhere", "username": "root", "pid": 4711, "packs": second["wait"]["packs"]}]
    text = recoup.run(*NOW, repo=repo).text
    assert "PID 4711 on elsewhere" in text
    assert summary_of(recoup.run(*NOW, "--json", repo=repo))["delete"]["packs"] == 0
    # Old as it gets, it may be of a machine that is asleep.
    (repo.path / "locks" / lock).unlink()
    lock = stored.save_lock(4711, host="elsewhere", age=7200)
    assert summary_of(recoup.run(*NOW, "--json", repo=repo))["delete"]["packs"] == 0
    assert recoup.run("prune", repo=repo, code=LOCKED)
    restic.run("unlock", repo=repo)
    for _ in range(2):
        recoup.run(*NOW, repo=repo)
    assert format.Repo(repo.path).marks() == {}
    check_clean(restic, repo)


def test_two_at_once(recoup, worn):
    repo, _, _ = worn
    with recoup.start(*NOW, repo=repo) as first, recoup.start(*NOW, repo=repo) as second:
        codes = sorted(each.finish((0, LOCKED)).code for each in (first, second))
    assert codes[0] == 0
    assert stored_of(repo).problems() == []


@pytest.mark.parametrize("in_two_phases", [True, False])
def test_a_backup_that_was_under_way(recoup, restic, worn, tmp_path, in_two_phases):
    """restic has loaded the index when the packs are marked, and finds there what no snapshot needs."""
    repo, tree, old = worn
    content = old["d0/f0"]
    assert content != (tree / "d0" / "f0").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    command = f"exec 3<{tmp_path}/pipe; cat <&3"
    with restic.start("backup", "--json", "--host", HOST, "--stdin-from-command", "--", "sh", "-c", command, repo=repo) as waiting:
        with open(tmp_path / "pipe", "wb") as pipe:
            # That the pipe is open says that the command runs, which restic starts when it has loaded the index.
            assert format.Repo(repo.path).names("locks")
            recoup.run(*NOW, repo=repo)
            assert format.Repo(repo.path).marks()
            pipe.write(content)
        done = waiting.finish(0)
    assert done.summary["snapshot_id"]
    assert format.Repo(repo.path).problems() != [], "restic has relied on nothing that was marked"
    assert stored_of(repo).problems() == []
    assert "the next `recoup prune` keeps" in check_clean(recoup, repo).text
    recoup.run(*(NOW if in_two_phases else ("prune", "--max-unused=0")), repo=repo)
    assert format.Repo(repo.path).problems() == []
    check_clean(restic, repo)
    for _ in range(2):
        recoup.run(*NOW, repo=repo)
    assert format.Repo(repo.path).problems() == [] and format.Repo(repo.path).marks() == {}
    check_clean(restic, repo)
    assert restic.run("dump", done.summary["snapshot_id"], "stdin", repo=repo).out == content


def rustic_marks(stored, time_of_mark, packs):
    """Moves packs as rustic does: `time` with an offset in both lists, `size` of packs that no index listed."""
    for name in stored.names("index"):
        file = stored.load("index", name)
        keep = [pack | {"time": time_of_mark} for pack in file["packs"] if pack["id"] not in packs]
        gone = [pack | {"time": time_of_mark} for pack in file["packs"] if pack["id"] in packs]
        if gone:
            stored.save("index", {"packs": keep, "packs_to_delete": gone})
            (stored.path / "index" / name).unlink()


@pytest.mark.parametrize("program", ["recoup", "recoup in two phases", "restic"])
def test_marks_of_rustic(recoup, restic, repo, tmp_path, program):
    tree = trees.small_tree(tmp_path / "tree", ("rustic", SEED), files=12, bytes_each=60_000)
    kept = backup(restic, repo, "tree", cwd=tmp_path)
    write(os.fsencode(tree / "d1/other"), noise(90_000, "other"))
    gone = backup(restic, repo, "tree", cwd=tmp_path)
    stored = format.Repo(repo.path)
    needed = {place.pack for places in stored.index().values() for place in places}
    restic.run("forget", gone.id, repo=repo)
    first = {stored.index()["tree", kept.tree][0].pack}
    # What the snapshot needs is marked too, as by a prune that it overlapped.
    rustic_marks(stored, "2024-05-06T07:08:09.123456+02:00", needed)
    assert set(format.Repo(repo.path).marks()) == needed and first <= needed
    check_clean(recoup, repo)
    recoup.run("restore", kept.id, "--target", tmp_path / "out", repo=repo)
    if program == "restic":
        # It refuses; what it calls missing is found again.
        restic.run("prune", repo=repo, code=1)
        assert set(format.Repo(repo.path).packs()) >= needed
        restic.run("repair", "index", repo=repo)
    elif program == "recoup":
        assert "recover" in recoup.run("prune", repo=repo).text
    else:
        recoup.run("prune", "--two-phase", "--max-unused=unlimited", repo=repo)
    stored = format.Repo(repo.path)
    assert stored.problems() == []
    check_clean(restic, repo)
    check_clean(recoup, repo)
    if program != "restic":
        recoup.run("prune", "--max-unused=0", repo=repo)
        assert format.Repo(repo.path).marks() == {}
        check_clean(restic, repo)


def test_backups_go_on(recoup, restic, repo, tmp_path):
    """Both programs make backups, in three trees that change, while one prune in two phases follows the other."""
    rng = random.Random(SEED)
    owners = [trees.small_tree(tmp_path / f"tree{number}", (SEED, number), files=12, bytes_each=40_000) for number in range(3)]
    states, replaced = {}, 0
    prune = ["prune", "--two-phase", "--max-unused=0", "--retry-lock=10m"]
    for number in range(ROUNDS):
        for tree in owners:
            # Contents come back, so that backups find what nobody needed for a while.
            for _ in range(4):
                file = rng.randrange(12)
                write(os.fsencode(tree / f"d{file % 4}/f{file}"), noise(30_000, rng.randrange(12)))
        running = []
        for tree in rng.sample(owners, rng.randint(1, 3)):
            program = rng.choice([restic, restic, recoup])
            command = ["backup", tree.name, "--host", HOST, "--json", "--no-cache", "--retry-lock=10m"]
            running.append((program.start(*command, repo=repo, cwd=tmp_path), tree))
        time.sleep(rng.random() / 2)
        recoup.run(*prune, f"--delete-after={rng.choice(['0s', '1s'])}", "--no-cache", repo=repo, code=0)
        for each, tree in running:
            result = each.finish()
            if result.code == 1 and is_excused(result):
                replaced += 1
                continue
            assert result.code == 0, result
            states[result.summary["snapshot_id"]] = everything(tree)
        assert stored_of(repo).problems() == [], f"round {number}"
        recoup.run("check", "--read-data", "--no-cache", repo=repo)
        if rng.random() < 0.5:
            recoup.run("forget", "--keep-last", str(rng.randint(1, 2)), "--group-by=paths", repo=repo)
    assert len(states) > ROUNDS // 2
    print(f"{len(states)} backups, {replaced} replaced")
    assert replaced <= ROUNDS // 5
    recoup.run("prune", "--max-unused=0", repo=repo)
    assert format.Repo(repo.path).problems() == [] and format.Repo(repo.path).marks() == {}
    check_clean(restic, repo)
    check_clean(recoup, repo)
    for name, snapshot in format.Repo(repo.path).snapshots().items():
        out = tmp_path / "out"
        restic.run("restore", name, "--target", out, "--delete", repo=repo)
        assert everything(next(out.glob("tree*"))) == states[name]
