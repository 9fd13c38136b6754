"""`tag`, `rewrite`, `repair snapshots` and `recover`: both programs do the same to copies of one repository, and then the two
hold the same trees and, but for the ids of the files, the same snapshots."""

import json
import os
import random
import re
import tarfile

import pytest

from support import format, storage, trees
from support.commands import backup, check_clean
from support.programs import Repository, fixtures_folder
from support.storage import place
from support.trees import noise

SEED = int(os.environ.get("RECOUP_SEED", "1"))


@pytest.fixture
def twins(tmp_path):
    """twins(repo): two copies of it, one for each program."""
    def make(repo):
        copies = [Repository(place(tmp_path / name), repo.version, repo.password) for name in ("ours", "theirs")]
        for copy in copies:
            storage.copy_tree(repo.path, copy.path)
        return copies
    return make


def values(repo):
    """All snapshots as stored, without their own names; those that are named are the same in both copies."""
    return sorted((format.Repo(repo.path, repo.password).snapshots().values()), key=lambda each: json.dumps(each, sort_keys=True))


def said(result):
    """Output by snapshots, in the order of their names: restic takes them as they come. New names are another matter."""
    lines = [line for line in result.text.splitlines() if not line.startswith("[")]
    text = re.sub(r"(saved new snapshot) [0-9a-f]{8}", r"\1 NEW", "\n".join(lines))
    head, *blocks = re.split(r"\n(?=snapshot [0-9a-f]{8} of)", "\n" + text)
    tail = ""
    if blocks:  # the count at the end comes after an empty line
        blocks[-1], _, tail = blocks[-1].rpartition("\n\n")
    return head.strip(), sorted(block.strip() for block in blocks), tail.strip()


def both(recoup, restic, ours, theirs, *args, code=0, edit=lambda answer: answer, **run):
    a = recoup.run(*args, repo=ours, code=code, **run)
    b = restic.run(*args, repo=theirs, code=code, **run)
    assert edit(said(a)) == edit(said(b))
    assert values(ours) == values(theirs)
    assert ours.ids("locks") == set()
    return a, b


# ---- rewrite ------------------------------------------------------------------------------------------------------------

REWRITES = [
    "-e *.TXT -vv",
    "--exclude /tree/structure --exclude f1* --forget -v",
    "--iexclude *.txt --iexclude F2 -e /tree/names/*",
    "-e contents -e !contents/text --new-host elsewhere",
    "-e nothing-is-called-so",
    "-e /**",
    "-i *.TXT -vv",
    "--iinclude *.txt --forget",
    "-i /tree/structure/wide -i d0 -vv",
    "-i nothing-is-called-so",
    "--exclude-file=patterns",
    "--iexclude-file=patterns --new-time 2020-02-03T04:05:06",
    "--include-file=patterns",
    "--iinclude-file=patterns -vv",
    "--exclude-file=empty",
    "--new-host other",
    "--new-time 2020-02-03T04:05:06 --forget",
    "-s",
    "-s --forget --tag daily",
    "-n -e *.TXT",
    "-n --forget -e *.TXT --new-host h --new-time 2020-02-03T04:05:06",
    "-n -e nothing-is-called-so",
    "-e f1 --host second",
    "-e f1 --tag daily --path /nowhere",
    "-e f1 latest",
    "-e f1 latest FIRST",
    "--json -e f1 FIRST",
    "-q -e f1 FIRST",
]


@pytest.mark.parametrize("line", REWRITES)
def test_rewrite(recoup, restic, history, twins, tmp_path, line):
    repo, ids, _ = history
    ours, theirs = twins(repo)
    (tmp_path / "patterns").write_text("# what goes\n  *.TXT  \n\n/tree/structure/wide/f*\n$HOME/never\nlinks\n")
    (tmp_path / "empty").write_text("# nothing\n")
    words = [word.replace("FIRST", ids[0]).replace("T04:05", " 04:05") for word in line.split()]
    both(recoup, restic, ours, theirs, "rewrite", *words, cwd=tmp_path)
    made = format.Repo(ours.path)
    assert made.problems() == [] and made.stored_twice() == {}
    if "-n" in words:
        assert {n: s for n, s in ours.files().items() if not n.startswith("locks")} == repo.files()


@pytest.mark.parametrize("number", range(4))
def test_rewrite_by_patterns_made_up(recoup, restic, history, twins, number):
    """Components of paths that are there, cut, joined and with stars in them."""
    repo, ids, _ = history
    ours, theirs = twins(repo)
    rng = random.Random(f"{SEED} {number}")
    made = format.Repo(repo.path)
    paths = [entry.path.decode("utf-8", "replace") for name in ids for entry in made.walk(made.load("snapshots", name)["tree"])]
    paths = [path for path in paths if path.isascii() and not set(path) & set("[]\\*?!")]

    def pattern():
        parts = rng.choice(paths).split("/")[1:]
        first = rng.randrange(len(parts))
        parts = parts[first:rng.randint(first + 1, len(parts))]
        parts = [rng.choice([part, part, part[:2] + "*", "*" + part[-2:], "?" + part[1:], "**", "*"]) for part in parts]
        return rng.choice(["", "/", "!"]) + "/".join(parts)

    kind = "include" if number % 2 else "exclude"
    args = [f"--{rng.choice(['', 'i'])}{kind}={pattern()}" for _ in range(rng.randint(1, 6))]
    both(recoup, restic, ours, theirs, "rewrite", *args)
    if number == 0:
        check_clean(restic, ours)


def test_rewritten_snapshots_share_their_trees(recoup, restic, history, twins):
    """A second rewriting by the other program finds nothing left to do."""
    ours, theirs = twins(history[0])
    both(recoup, restic, ours, theirs, "rewrite", "--forget", "-e", "*.TXT")
    for program in (restic, recoup):
        for repo in (ours, theirs):
            assert "no snapshots were modified" in program.run("rewrite", "--forget", "-e", "*.TXT", repo=repo).text
    check_clean(restic, ours)


def test_what_makes_no_sense_is_refused_by_both(recoup, restic, history):
    repo, ids, _ = history
    for args in (["rewrite"], ["rewrite", ids[0]], ["rewrite", "-e", "a", "-i", "b"], ["rewrite", "-e", "["], ["rewrite", "--new-time", "2020"],
                 ["rewrite", "--exclude-file", "/not/there"], ["tag"], ["tag", "--set", "a", "--add", "b"], ["tag", "--set", "a", "--add="]):
        a, b = (program.run(*args, repo=repo, code=1) for program in (recoup, restic))
        assert a.errors.strip(), a
        if args[0] == "tag" or len(args) < 3:
            assert a.errors.replace("recoup", "restic") == b.errors


@pytest.mark.recoup_only
def test_a_snapshot_that_does_not_exist_stops_before_anything_is_done(recoup, history, twins):
    """restic 0.19.1 ignores the name and succeeds; later ones fail too."""
    repo = twins(history[0])[0]
    before = repo.files("snapshots")
    for args in (["tag", "--add=x"], ["rewrite", "-e", "*"], ["repair", "snapshots"]):
        assert "ffffffff" in recoup.run(*args, history[1][0], "ffffffff", repo=repo, code=1).errors
    assert repo.files("snapshots") == before


@pytest.mark.skipif(not fixtures_folder().is_dir(), reason="the fixtures are no part of the project")
def test_trees_that_would_lose_something_are_refused(recoup, restic, twins, tmp_path):
    """rustic writes trees in a way that restic's encoder does not."""
    with tarfile.open(fixtures_folder() / "rustic/rustic-repo.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="tar")
    moved = Repository(place(tmp_path / "moved"), password="rustic")
    storage.copy_tree(place(tmp_path / "unpacked/repo") if not storage.is_bucket() else tmp_path / "unpacked/repo", moved.path)
    ours, theirs = twins(moved)
    for args in (["-e", "x"], ["-s"]):
        a, b = (program.run("rewrite", *args, repo=repo, code=1) for program, repo in ((recoup, ours), (restic, theirs)))
        why = r'Fatal: unable to rewrite snapshot ID "[0-9a-f]{8}": cannot encode tree at ".*" without losing information'
        assert re.search(why, a.errors) and re.search(why, b.errors), (a, b)
        assert values(ours) == values(theirs) == values(moved)
    both(recoup, restic, ours, theirs, "rewrite", "--new-host", "h")  # reads no tree


# ---- tag ----------------------------------------------------------------------------------------------------------------

TAGS = ["--add a,b --add b", "--add c --host second", "--remove daily", "--remove a,nothing --add d,e", "--set x,y,x --tag e", "--set=",
        "--remove x --json", "--set q --json latest", "--add q --json", "--add=", "--add new --path /nowhere", "--remove x,y,d,b -v"]


def test_tags(recoup, restic, history, twins):
    """One after the other: what one leaves the next one finds."""
    ours, theirs = twins(history[0])
    edit = lambda text: sorted(re.sub(r"\b[0-9a-f]{64}\b", "ID", text).splitlines())
    for line in TAGS:
        before = format.Repo(ours.path).snapshots()
        a, b = (program.run("tag", *line.split(), repo=repo) for program, repo in ((recoup, ours), (restic, theirs)))
        assert edit(a.text) == edit(b.text), line
        assert values(ours) == values(theirs), line
        after = format.Repo(ours.path).snapshots()
        for message in a.messages("changed") if "--json" in line else []:
            old, new = before[message["old_snapshot_id"]], after[message["new_snapshot_id"]]
            assert new["original"] == old.get("original", message["old_snapshot_id"]) and message["old_snapshot_id"] not in after
    check_clean(restic, ours, read_data=False)


# ---- repair snapshots ---------------------------------------------------------------------------------------------------

@pytest.fixture
def damaged(new_repo):
    """One of everything that can be wrong, in six snapshots."""
    repo = new_repo("damaged")
    made = format.Repo(repo.path)
    writer = made.writer()
    missing, absent_tree = format.sha256(b"not there"), format.sha256(b"nor this")
    whole = writer.file(b"whole", b"whole" * 100)
    half = format.node(b"half", "file", size=515, content=[whole["content"][0], missing, writer.add("data", b"and the rest..")])
    shared = writer.folder(b"shared", [half, format.node(b"wrong size", "file", size=7, content=whole["content"])])
    lost = format.node(b"lost\xff", "dir", subtree=absent_tree)
    wrong = [format.node(b"irregular", "irregular"), format.node(b"invalid", ""), format.node(b"link", "symlink", linktarget="x")]
    by_name = lambda nodes: sorted(nodes, key=lambda each: format.go_unquote(each["name"]))
    roots = [writer.tree(by_name(nodes)) for nodes in (
        [whole], [whole, shared], [shared, lost], [writer.folder(b"deep", [writer.folder(b"deeper", by_name([lost, *wrong]))]), shared],
        [format.node(b"empty", "file", content=None), format.node(b"no tree", "dir")])]
    writer.finish()
    for number, root in enumerate([*roots, absent_tree]):
        made.save_snapshot(root, time=f"2024-01-0{number + 1}T00:00:00Z", hostname="h", tags=["first"] if number % 2 else None)
    return repo


@pytest.mark.parametrize("line", ["", "--forget", "-n", "-n --forget", "--tag first --forget", "latest", "--json -q"])
def test_repair(recoup, restic, damaged, twins, line):
    ours, theirs = twins(damaged)
    # A tree that several snapshots have is told of once, with the first that restic happens to take.
    all_lines = lambda answer: sorted("\n".join([answer[0], *answer[1], answer[2]]).splitlines())
    both(recoup, restic, ours, theirs, "repair", "snapshots", *line.split(), edit=all_lines)
    if line == "--forget":
        check_clean(restic, ours)
        for program, repo in ((recoup, ours), (restic, ours), (recoup, theirs)):
            assert "no snapshots were modified" in program.run("repair", "snapshots", repo=repo).text


def test_repair_of_each_snapshot_in_the_same_words(recoup, restic, damaged, twins):
    ours, theirs = twins(damaged)
    for name in format.Repo(damaged.path).names("snapshots"):
        both(recoup, restic, ours, theirs, "repair", "snapshots", name)


def test_repair_after_packs_were_lost(recoup, restic, new_repo, twins, tmp_path):
    repo = new_repo("grown")
    tree = trees.RandomTree(tmp_path / "tree", SEED).grow(60)
    large = tmp_path / "tree/large"
    for number in range(3):
        large.write_bytes(noise(6_000_000, number))
        backup(recoup, repo, "tree", "--pack-size=4", cwd=tmp_path)
        tree.change()
    made = format.Repo(repo.path)
    packs = {kind: sorted({places[0].pack for (k, _), places in made.index().items() if k == kind}) for kind in ("data", "tree")}
    for pack in (random.Random(SEED).choice(packs["data"]), packs["tree"][1]):
        made.pack_path(pack).unlink()
    restic.run("repair", "index", repo=repo)
    ours, theirs = twins(repo)
    for name in format.Repo(repo.path).names("snapshots"):
        both(recoup, restic, ours, theirs, "repair", "snapshots", "--forget", name)
    check_clean(restic, ours)
    check_clean(recoup, theirs)


@pytest.mark.recoup_only
def test_trees_of_others_in_which_nothing_is_wrong_keep_their_bytes(recoup, new_repo):
    """restic encodes every tree again, and loses what it does not know."""
    repo = new_repo("foreign")
    made = format.Repo(repo.path)
    writer = made.writer()
    fine = writer.add("tree", b'{"nodes":[{"name":"f","type":"symlink","mtime":"2024-01-01T00:00:00Z","label":1}]}')
    root = writer.tree([format.node(b"broken", "file", size=5, content=[format.sha256(b"no")]), format.node(b"fine", "dir", subtree=fine)])
    writer.finish()
    made.save_snapshot(root)
    recoup.run("repair", "snapshots", "--forget", repo=repo)
    (snapshot,) = format.Repo(repo.path).snapshots().values()
    broken, kept = format.Repo(repo.path).tree(snapshot["tree"])
    assert kept["subtree"] == fine and broken["content"] == []


# ---- recover ------------------------------------------------------------------------------------------------------------

def recovered(repo):
    (snapshot,) = [each for each in format.Repo(repo.path).snapshots().values() if each.get("tags") == ["recovered"]]
    nodes = format.Repo(repo.path).tree(snapshot["tree"])
    for part in [snapshot, *nodes]:
        for time in ("time", "atime", "mtime", "ctime"):
            part.pop(time, None)
    del snapshot["tree"]
    return snapshot, nodes


def test_recover(recoup, restic, history, twins):
    repo, ids, _ = history
    (repo_copy, theirs) = twins(repo)
    for each in (repo_copy, theirs):
        (each.path / "snapshots" / ids[5]).unlink()
    a, b = (program.run("recover", "-v", repo=each) for program, each in ((recoup, repo_copy), (restic, theirs)))
    about = lambda result: [re.sub("[0-9a-f]{8}", "ID", line) for line in result.text.splitlines() if re.match("found|saved|load \\d|done", line)]
    assert about(a) == about(b)
    assert recovered(repo_copy) == recovered(theirs)
    check_clean(restic, repo_copy)
    for program in (recoup, restic):
        again = program.run("recover", repo=repo_copy)
        assert "found 0 unreferenced roots" in again.text and "no snapshot to write" in again.text
    assert len(repo_copy.ids("snapshots")) == len(ids)


@pytest.mark.recoup_only
def test_recover_many_roots(recoup, restic, history, twins):
    """restic 0.19.1 puts them into the tree in the order of a hash table, and mostly fails then."""
    repo, ids, _ = history
    ours = twins(repo)[0]
    storage.remove_tree(ours.path / "snapshots")
    recoup.run("recover", repo=ours)
    made = format.Repo(repo.path)
    roots = {made.load("snapshots", name)["tree"] for name in ids}
    _, nodes = recovered(ours)
    assert {node["subtree"] for node in nodes} == roots
    assert [node["name"] for node in nodes] == sorted(root[:8] for root in roots)
    check_clean(restic, ours)
