"""What `snapshots`, `ls`, `find`, `cat`, `list`, `stats` and `diff` print, as JSON data and as text: the same as restic's."""

import json
import re

import pytest

from support import format
from support.commands import backup
from support.programs import HOST
from support.same import same_json, same_text, without_progress

# ---- snapshots -------------------------------------------------------------------------------------------------------

FILTERS = [[], ["--latest=1"], ["--latest=2"], ["--host=second"], ["-H", "second", "-H", HOST], ["--host=nobody"], ["--tag=daily"], ["--tag=daily,first"],
           ["--tag=first", "--tag=dump"], ["--tag="], ["--path={home}/small"], ["--path={home}/small", "--path={home}/small/d0"], ["--path=/dump.sql"],
           ["--host=second", "--tag=daily", "--latest=1"], ["{id0}"], ["{short1}", "{id2}"], ["latest"], ["latest", "--host=second"]]


@pytest.mark.parametrize("args", FILTERS, ids=lambda a: " ".join(a) or "all")
def test_snapshots(recoup, restic, history, args):
    repo, ids, home = history
    filled = [a.format(home=home, id0=ids[0], short1=ids[1][:8], id2=ids[2]) for a in args]
    same_json(recoup, restic, repo, "snapshots", *filled)
    same_text(recoup, restic, repo, "snapshots", *filled)
    same_text(recoup, restic, repo, "snapshots", "--compact", *filled)


@pytest.mark.parametrize("groups", ["host", "paths", "tags", "host,paths", "tags,host,paths", ""])
def test_snapshots_in_groups(recoup, restic, history, groups):
    """restic gives the groups in no order, and sorts the tags of the snapshots themselves where it groups by tags."""
    repo, _, _ = history

    def ordered(result):
        (found,) = result.json_lines()
        for group in found:
            for snapshot in group.get("snapshots", [group]):
                snapshot.get("tags", []).sort()
        return sorted(found, key=lambda group: json.dumps(group.get("group_key"), sort_keys=True)) if groups else found

    for flags in ([], ["--latest=1"]):
        theirs, ours = (p.run("snapshots", f"--group-by={groups}", "--json", "--no-lock", *flags, repo=repo) for p in (restic, recoup))
        assert ordered(ours) == ordered(theirs)
    same_text(recoup, restic, repo, "snapshots", f"--group-by={groups}",
              edit=lambda text: sorted(line.replace("first,daily", "daily,first") for line in text.splitlines()))


def test_snapshots_in_another_zone(recoup, restic, history):
    repo, _, _ = history
    same_text(recoup, restic, repo, "snapshots", env={"TZ": "America/St_Johns"})


def test_snapshots_of_an_empty_repository(recoup, restic, repo):
    assert same_json(recoup, restic, repo, "snapshots") == [[]]
    same_text(recoup, restic, repo, "snapshots")
    same_json(recoup, restic, repo, "snapshots", "--group-by=host")


# ---- ls and find -----------------------------------------------------------------------------------------------------

LS = [["latest"], ["{id0}"], ["{short1}"], ["{id1}", "/tree"], ["{id1}", "/tree/structure"], ["{id1}", "/tree/structure", "--recursive"], ["{id1}", "--recursive"],
      ["{id1}", "/tree/structure", "/tree/links"], ["{id1}", "/tree/contents/text"], ["{id1}", "/nowhere"], ["{id1}:/tree/links"], ["{id1}:tree/structure", "/d"], ["{id1}:/nowhere"],
      ["latest", "--host=second"], ["latest", "--path={home}/small"], ["latest", "--tag=daily"], ["{id1}", "relative"], ["{id1}", "/"], ["{id1}", "/tree/"], ["{id1}", "/tree/*"], ["00000000"]]


@pytest.mark.parametrize("args", LS, ids=lambda a: " ".join(a).replace("/", "⁄"))
def test_ls(recoup, restic, history, args):
    repo, ids, home = history
    filled = [a.format(home=home, id0=ids[0], id1=ids[1], short1=ids[1][:8]) for a in args]
    same_json(recoup, restic, repo, "ls", *filled)
    same_text(recoup, restic, repo, "ls", *filled)
    same_text(recoup, restic, repo, "ls", "--long", *filled)


@pytest.mark.parametrize("order", ["name", "size", "time", "mtime", "atime", "ctime", "extension"])
def test_ls_sorted(recoup, restic, history, order):
    repo, ids, _ = history
    for flags in ([], ["--reverse"]):
        same_text(recoup, restic, repo, "ls", ids[2], f"--sort={order}", "-l", *flags)
        same_json(recoup, restic, repo, "ls", ids[2], f"--sort={order}", *flags)


def test_ls_in_other_forms(recoup, restic, history):
    repo, ids, _ = history
    for snapshot in (ids[1], ids[2], f"{ids[1]}:/tree/links"):
        same_text(recoup, restic, repo, "ls", snapshot, "--long", "--human-readable")
        theirs, ours = (p.run("ls", snapshot, "--ncdu", repo=repo) for p in (restic, recoup))
        assert without_program(ours.json()) == without_program(theirs.json())
    same_text(recoup, restic, repo, "ls", ids[1], "-l", env={"TZ": "Asia/Kathmandu"})


def without_program(ncdu):
    ncdu[2].pop("time", None), ncdu[2].pop("progver", None)
    return ncdu


FIND = [["text"], ["*.TXT"], ["-i", "*.txt"], ["f1*"], ["/tree/structure/wide/f1*"], ["tree/structure"], ["structure/**/f10"], ["text", "added*"], ["nothing-like-it"],
        ["-l", "f1"], ["-l", "--human-readable", "noise*"], ["--newest=2000-01-01", "f*"], ["--oldest=2024-01-01", "*"], ["--oldest=2010-01-01", "--newest=2020-01-01 12:00:00", "*"],
        ["-s", "{id0}", "f1"], ["-s", "{short2}", "-s", "{id3}", "f1"], ["--host=second", "f1"], ["--tag=first", "f1"], ["--path={home}/small", "f1"], ["-R", "f1"], ["[bad"],
        ["-s", "latest", "*"], ["with space"], ["*\n*"], ["😀"]]


@pytest.mark.parametrize("args", FIND, ids=lambda a: " ".join(a).replace("/", "⁄"))
def test_find(recoup, restic, history, args):
    repo, ids, home = history
    filled = [a.format(home=home, id0=ids[0], short2=ids[2][:8], id3=ids[3]) for a in args]
    same_json(recoup, restic, repo, "find", *filled)
    same_text(recoup, restic, repo, "find", *filled)


def test_find_by_id(recoup, restic, history):
    """Blobs, trees and packs, by full ids and by prefixes."""
    repo, ids, _ = history
    made = format.Repo(repo.path)
    tree = made.load("snapshots", ids[2])["tree"]
    small = made.tree(made.tree(tree)[0]["subtree"])
    subtree = next(n["subtree"] for n in small if n["type"] == "dir")
    blob = next(n["content"][0] for n in made.tree(subtree) if n["type"] == "file")
    pack = made.index()["data", blob][0].pack
    in_order = lambda text: sorted(text.splitlines())
    for args in (["--blob", blob], ["--blob", blob[:8]], ["--blob", blob, "--show-pack-id"], ["--tree", subtree], ["--tree", subtree[:8]], ["--tree", tree], ["--pack", pack],
                 ["--pack", pack[:8]], ["--blob", "0" * 64], ["--pack", "0" * 64], ["--blob", "--tree", blob, subtree], ["--blob", blob, "-s", ids[2]]):
        theirs = restic.run("find", *args, repo=repo, code=None)
        ours = recoup.run("find", *args, repo=repo, code=theirs.code)
        assert in_order(ours.text) == in_order(theirs.text), args
        theirs = restic.run("find", "--json", *args, repo=repo, code=None)
        ours = recoup.run("find", "--json", *args, repo=repo, code=theirs.code)
        order = lambda r: sorted(json.dumps(m, sort_keys=True) for line in r.text.splitlines() if line.startswith("[") for m in json.loads(line))
        assert order(ours) == order(theirs), args


# ---- cat, list, stats, diff ------------------------------------------------------------------------------------------

def test_cat(recoup, restic, history):
    repo, ids, _ = history
    made = format.Repo(repo.path)
    tree = made.load("snapshots", ids[1])["tree"]
    (_, data), (place, *_) = next((k, v) for k, v in made.index().items() if k[0] == "data")
    for what in (["config"], ["masterkey"], ["snapshot", ids[0]], ["snapshot", ids[0][:8]], ["index", made.names("index")[0]],
                 ["key", made.names("keys")[0]], ["tree", ids[1]], ["tree", f"{ids[1]}:/tree/links"],
                 ["blob", tree], ["blob", data], ["pack", place.pack], ["snapshot", "0000"], ["blob", "0" * 64], ["index", "zz"], ["tree", f"{ids[1]}:/nothing"], ["pack", "0" * 64]):
        theirs = restic.run("cat", *what, repo=repo, code=None)
        ours = recoup.run("cat", *what, repo=repo, code=theirs.code)
        assert ours.out == theirs.out, what
        assert theirs.code == 0 or ours.errors.strip()


@pytest.mark.parametrize("kind", ["packs", "index", "snapshots", "keys", "locks", "blobs"])
def test_list(recoup, restic, history, kind):
    repo, _, _ = history
    order = lambda text: sorted(text.splitlines())
    same_text(recoup, restic, repo, "list", kind, edit=order)
    same_text(recoup, restic, repo, "list", kind, "--no-lock", edit=order)


@pytest.mark.parametrize("mode", ["restore-size", "files-by-contents", "blobs-per-file", "raw-data"])
def test_stats(recoup, restic, history, mode):
    repo, ids, home = history
    for args in ([], [ids[0]], ["latest"], [ids[1][:8], ids[2]], ["--host=second"], ["--tag=daily"], [f"--path={home}/small"], ["--host=nobody"]):
        same_json(recoup, restic, repo, "stats", f"--mode={mode}", *args)
        same_text(recoup, restic, repo, "stats", f"--mode={mode}", *args, edit=without_progress)


def test_diff(recoup, restic, history):
    repo, ids, _ = history
    for args in ([ids[0], ids[1]], [ids[1], ids[0]], [ids[0], ids[0]], [ids[0][:8], ids[2][:8]], [ids[3], ids[4]], [f"{ids[0]}:/tree/structure", f"{ids[1]}:/tree/structure"],
                 [f"{ids[2]}:/small", f"{ids[3]}:/small"], [ids[0], "0000"], [ids[0]], [f"{ids[0]}:/nowhere", ids[1]]):
        for flags in ([], ["--metadata"])[:2 if args[0] == ids[0] else 1]:
            same_json(recoup, restic, repo, "diff", *flags, *args)
            same_text(recoup, restic, repo, "diff", *flags, *args)


def test_diff_finds_rotten_bits(recoup, restic, new_repo, tmp_path):
    """Contents differ and no metadata does: marked with a question mark."""
    repo = new_repo()
    (tmp_path / "f").write_bytes(b"1" * 1000)
    first = backup(restic, repo, "f", cwd=tmp_path)
    made = format.Repo(repo.path)
    writer = made.writer()
    (node,) = made.tree(first.tree)
    node["content"] = [writer.add("data", b"2" * 1000)]
    second = made.save_snapshot(writer.tree([node]))
    writer.finish()
    said = same_text(recoup, restic, repo, "diff", first.id, second)
    assert re.search(r"^M\?\s+/f$", said.text, re.M), said
    same_json(recoup, restic, repo, "diff", first.id, second)
