"""The same command line, the same answer: what scripts read from restic they read from recoup, to the byte."""

from __future__ import annotations

import os
import re

import pytest

from support import storage, trees
from support.commands import backup
from support.storage import place

# One repository for all cases: two snapshots that restic made, with names, types and tags that are hard to print.


@pytest.fixture(scope="module")
def answered(request, tmp_path_factory, template, stable_root):
    from support import programs

    home = tmp_path_factory.mktemp("same-output")
    repo = programs.Repository(place(home / "repo"), 2)
    storage.copy_tree(template[2].path, repo.path)
    restic, recoup = programs.restic().at(home), programs.recoup().at(home)
    source = stable_root / "same-output"
    (source / "dir/below").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "dir/text").write_bytes(trees.text(50_000, "same"))
    (source / "dir/below/large").write_bytes(trees.noise(3_000_000, "same"))
    (source / "dir/below/name.c").write_bytes(b"int main;\n")
    os.link(source / "dir/text", source / "linked")
    (source / "link").symlink_to("../some where")
    os.mkfifo(source / "fifo")
    (source / "two\nlines").write_bytes(b"x")
    with open(os.fsencode(source) + b"/bad\xff", "wb") as odd:
        odd.write(b"y")
    (source / "old").write_bytes(b"")
    os.utime(source / "old", (-315619200, -315619200))
    (source / "old").chmod(0o4755)
    first = backup(restic, repo, source, "--tag", "b,a", "--time", "2024-03-04 05:06:07")
    with open(source / "dir/text", "ab") as text:
        text.write(b"more\n")
    (source / "old").unlink()
    (source / "link").unlink()
    (source / "link").mkdir()
    (source / "new").write_bytes(b"new\n")
    second = backup(restic, repo, source, "--tag", "c", "--time", "2024-03-05 05:06:07", "--host", "other", host=None)
    places = {"FIRST": first.id, "SECOND": second.id, "SRC": str(source), "TREE": first.tree,
              "BLOB": restic.run("list", "blobs", repo=repo).text.split("data ")[1][:64],
              "PACK": sorted(repo.ids("data"))[0], "KEY": sorted(repo.ids("keys"))[0],
              "INDEX": sorted(repo.ids("index"))[0]}

    def ask(line: str):
        words = [re.sub(r"\b(" + "|".join(places) + r")\b", lambda m: places[m.group()], word) for word in line.split()]
        return tuple(program.run(*words, repo=repo, code=None) for program in (recoup, restic))

    return ask


SAME = """
snapshots
snapshots --json
snapshots -c
snapshots --compact --json
snapshots -g host,tags FIRST
snapshots --group-by paths --json FIRST
snapshots --tag a
snapshots --tag a,b --tag c
snapshots --tag c,d
snapshots --host other
snapshots --host nobody --json
snapshots --host nobody
snapshots --path SRC
snapshots --latest 1
snapshots --latest 1 -g tags SECOND
snapshots FIRST SECOND
ls latest
ls latest -q
ls -l FIRST
ls --long --human-readable FIRST
ls --json FIRST
ls --json latest SRC/dir
ls latest SRC/dir
ls latest SRC/dir --recursive
ls latest --sort size -l
ls FIRST --sort mtime --reverse -l
ls FIRST --sort extension
ls FIRST -s time
ls --ncdu FIRST
ls latest:SRC/dir -l
ls latest --host other
ls
ls latest relative
ls latest --ncdu --json
find text
find -l text old
find --json text
find --json TEXT -i
find nothing
find nothing --json
find --oldest 2020-01-01 new
find --newest 2000-01-01 --json *
find -R text
find -s SECOND text
find --tree TREE
find --tree TREE --json
find --blob BLOB
find --blob BLOB --json
find --pack PACK
find --blob --tree x
cat config
cat masterkey
cat snapshot FIRST
cat snapshot FIRST --json
cat tree FIRST
cat tree FIRST:SRC/dir
cat blob BLOB
cat pack PACK
cat key KEY
cat index INDEX
cat
cat nonsense x
cat blob
list keys
list locks
diff FIRST SECOND
diff FIRST SECOND --json
diff FIRST SECOND --metadata
diff -q FIRST SECOND
diff FIRST:SRC/dir SECOND:SRC/dir
diff SECOND FIRST --json --metadata
diff FIRST
stats
stats --json
stats latest
stats --mode files-by-contents
stats --mode files-by-contents --json
stats --mode blobs-per-file --json
stats --mode raw-data
stats --mode raw-data --json
stats --mode restore-size --json FIRST
key list
key list --json
check --json
check --no-cache
check --no-cache --read-data
check --no-cache -q
check --read-data-subset 0/2
check --read-data-subset 3/2
check --read-data-subset 1/300
check --read-data-subset 0%
check --read-data-subset x
check --read-data --read-data-subset 1/2
unlock
unlock --remove-all
restore
restore FIRST
restore FIRST SECOND -t x
restore FIRST -t x -e a -i b
restore FIRST -t x --dry-run --verify
backup
backup --stdin something
dump FIRST SRC/dir/below/name.c
dump FIRST
dump FIRST SRC/fifo
snapshots --no-such-flag
snapshots -Z
snapshots --latest
snapshots --quiet --verbose
""".strip().splitlines()

#: what differs from run to run or is a matter of taste: the seconds that something took
TIMES = re.compile(rb"\[\d+:\d\d\]")


@pytest.mark.recoup_only
@pytest.mark.parametrize("line", SAME)
def test_same_answer(answered, line):
    ours, theirs = answered(line)
    assert ours.code == theirs.code, f"{ours}\n{theirs}"
    assert TIMES.sub(b"", ours.out) == TIMES.sub(b"", theirs.out), f"{ours}\n{theirs}"
    assert TIMES.sub(b"", ours.err) == TIMES.sub(b"", theirs.err), f"{ours}\n{theirs}"


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", ["blobs", "packs", "snapshots", "index"])
def test_same_lists(answered, kind):
    """restic lists in whatever order the storage gives."""
    ours, theirs = answered(f"list {kind}")
    assert sorted(ours.out.splitlines()) == sorted(theirs.out.splitlines())


# Messages that a backup and a restore print as JSON: the same kinds, with the same keys in the same order.

def shape(value):
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return type(value).__name__.replace("int", "number").replace("float", "number")


def shapes(result, kind):
    """Whole seconds are left out: both programs tell them only if there are any."""
    return [[(key, shape(value)) for key, value in message.items() if key != "seconds_elapsed"] for message in result.messages(kind)]


@pytest.mark.recoup_only
def test_same_json_of_backup_and_restore(recoup, restic, new_repo, small_tree, tmp_path):
    repos = {recoup: new_repo("ours"), restic: new_repo("theirs")}
    said = {}
    for program, repo in repos.items():
        # Relative: directories above, such as /tmp, change while this runs.
        def run(*words, code=0, env=None):
            return program.run(*words, repo=repo, code=code, env=env, cwd=small_tree.parent)

        runs = [run("init", "--json", "--repository-version", "2", "-r", place(tmp_path / f"new-{program.name}")),
                run("backup", "--json", "-vv", small_tree.name),
                run("backup", "--json", "-vv", small_tree.name, "--dry-run"),
                run("backup", "--json", small_tree.name, "missing", code=3),
                run("backup", "--json", "--skip-if-unchanged", small_tree.name),
                run("restore", "latest", "--json", "-vv", "-t", tmp_path / f"out-{program.name}"),
                run("restore", "latest", "--json", "-vv", "-t", tmp_path / f"out-{program.name}"),
                run("snapshots", "--json", env={"RESTIC_PASSWORD": "wrong"}, code=12),
                run("snapshots", "--json", "-r", place(tmp_path / "nowhere"), code=10)]
        said[program] = runs
    for ours, theirs in zip(said[recoup], said[restic]):
        for kind in ("initialized", "summary", "exit_error"):
            assert shapes(ours, kind) == shapes(theirs, kind), f"{ours}\n{theirs}"
        # A scan that a short backup has overtaken is broken off, by either program, and says nothing.
        actions = [{m["action"] for m in run.messages("verbose_status")} for run in (ours, theirs)]
        overtaken = actions[0] ^ actions[1] == {"scan_finished"}
        told = [[m for m in run.messages("verbose_status") if not (overtaken and m["action"] == "scan_finished")] for run in (ours, theirs)]
        described = [sorted(str([(key, shape(value)) for key, value in m.items()]) for m in messages) for messages in told]
        assert described[0] == described[1], f"{ours}\n{theirs}"
        assert sorted((m["action"], m["item"]) for m in told[0]) == sorted((m["action"], m["item"]) for m in told[1]), f"{ours}\n{theirs}"
        assert sorted(map(str, shapes(ours, "excluded_item"))) == sorted(map(str, shapes(theirs, "excluded_item"))), f"{ours}\n{theirs}"
