"""What the commands print, as JSON data and as text, how they take passwords, lists and settings: the same as restic's."""

import io
import json
import math
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tarfile
import zipfile

import pytest

from support import format, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.programs import HOST, PASSWORD, Repository, stand_in, wait_until
from support.trees import noise, write


@pytest.fixture(scope="module")
def history(template, tmp_path_factory):
    """A repository with six snapshots of several trees, hosts and tags. Nobody changes it."""
    from support import programs
    home = tmp_path_factory.mktemp("history")
    repo = Repository(home / "repo")
    shutil.copytree(template[2].path, repo.path)
    restic = programs.restic().at(home)
    tree = trees.odd_tree(home / "tree", large=2_000_000)
    save = lambda *args, **kw: backup(restic, repo, *args, cwd=home, **kw).id
    ids = [save("tree", "--tag=first,daily", "--time=2024-01-01 10:00:00")]
    write(os.fsencode(tree / "structure/added.TXT"), b"added")
    (tree / "structure/wide/f1").unlink()
    write(os.fsencode(tree / "contents/text"), b"changed")
    (tree / "modes/file-0644").chmod(0o600)
    os.utime(tree / "structure/wide/f2", ns=(0, 0))
    (tree / "structure/wide/f3").unlink()
    (tree / "structure/wide/f3").mkdir()
    (tree / "structure/wide/f4").unlink()
    (tree / "structure/wide/f4").symlink_to("f5")
    (tree / "links/dangling").unlink()
    (tree / "links/dangling").symlink_to("elsewhere")
    os.setxattr(tree / "attributes/file", "user.one", b"2")
    os.chown(tree / "structure/wide/f6", 5, 5)
    (tree / "structure/fresh/deep").mkdir(parents=True)
    ids.append(save("tree", "--tag=daily", "--time=2024-01-02 10:00:00"))
    trees.small_tree(home / "small")
    ids.append(save("small", "--time=2024-01-03 10:00:00"))
    ids.append(save("small", "small/d0", "--host=second", "--time=2024-01-04 11:12:13", host=None))
    ids.append(save("small", "--host=second", "--tag=daily", "--time=2023-06-01 00:00:00", host=None))
    ids.append(save("--stdin", "--stdin-filename=dump.sql", "--tag=dump", "--time=2024-02-01 00:00:00", stdin=b"select 1;\n" * 1000))
    return repo, ids, home


def same_json(recoup, restic, repo, *args, sort=None, **run):
    """The same JSON documents, line by line; returns recoup's. Without locks, for which restic waits 0.2 s each time."""
    theirs = restic.run(*args, "--json", "--no-lock", repo=repo, code=None, **run)
    ours = recoup.run(*args, "--json", "--no-lock", repo=repo, code=theirs.code, **run)
    a, b = theirs.json_lines(), ours.json_lines()
    if sort:
        a, b = ([sorted(document, key=sort) for document in side] for side in (a, b))
    assert b == a
    return b


def same_text(recoup, restic, repo, *args, edit=lambda text: text, **run):
    theirs = restic.run(*args, "--no-lock", repo=repo, code=None, **run)
    ours = recoup.run(*args, "--no-lock", repo=repo, code=theirs.code, **run)
    assert edit(ours.text) == edit(theirs.text)
    if theirs.code:
        assert ours.errors.strip()
    return ours


def without_times(text):
    return re.sub(r"\[\d+:\d\d\]|in \d+:\d\d|in [\d.]+s|[\d.]+ seconds", "<time>", text)


def without_progress(text):
    """The last counter shows whatever had been counted when the time came."""
    return [line for line in text.splitlines() if not line.startswith("[")]


# ---- snapshots -----------------------------------------------------------------------------------------------------------

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


# ---- ls and find ---------------------------------------------------------------------------------------------------------

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


# ---- cat, list, stats, diff ------------------------------------------------------------------------------------------------

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


# ---- dump ------------------------------------------------------------------------------------------------------------------

def test_dump_of_a_file(recoup, restic, history, tmp_path):
    repo, ids, home = history
    for args in ([ids[0], "/tree/contents/large"], [ids[1], "/tree/contents/text"], ["latest", "dump.sql"], ["latest", "/dump.sql"], [ids[0], "tree/contents/noise-0"],
                 [f"{ids[0]}:/tree/contents", "/zeros"], [ids[0], "/tree/names/with space"], [ids[0], "/tree/contents/none"], [ids[0], "/tree/links/dangling"], [ids[0], "/tree/specials/fifo"],
                 ["latest", "--host=second", "/small/d0/f0"], [ids[0], "/tree/links/relative"], [ids[0]]):
        theirs = restic.run("dump", *args, repo=repo, code=None)
        ours = recoup.run("dump", *args, repo=repo, code=theirs.code)
        assert ours.out == theirs.out, args
        assert theirs.code == 0 or ours.errors.strip()
    recoup.run("dump", ids[0], "/tree/contents/large", "--target", tmp_path / "out", repo=repo)
    assert (tmp_path / "out").read_bytes() == noise(2_000_000, "large")


def tar_as_data(raw):
    """Times in whole seconds, rounded as restic rounds them: it writes no more."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            content = archive.extractfile(member).read() if member.isreg() else b""
            pax = {k: v for k, v in member.pax_headers.items() if k not in ("path", "linkpath", "size", "mtime")}
            found.append((member.name, member.type, member.mode, member.uid, member.gid, member.uname, member.gname, member.linkname,
                          member.devmajor, member.devminor, math.floor(member.mtime + 0.5), pax, content))
    return found


@pytest.mark.parametrize("what", ["/tree", "/tree/links", "/tree/names", "/tree/attributes", "/", "/tree/structure/empty", "/tree/modes"], ids=lambda w: w.replace("/", "⁄"))
def test_dump_of_a_directory_as_tar(recoup, restic, history, tmp_path, what):
    """The same entries with the same headers; and GNU tar unpacks it."""
    repo, ids, home = history
    theirs = restic.run("dump", ids[0], what, repo=repo)
    ours = recoup.run("dump", ids[0], what, "--archive=tar", repo=repo)
    assert tar_as_data(ours.out) == tar_as_data(theirs.out)
    for who, raw in (("restic", theirs.out), ("recoup", ours.out)):
        (tmp_path / who).mkdir()
        done = subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--same-owner", "-xpf", "-", "-C", tmp_path / who], input=raw, capture_output=True)
        assert done.returncode == 0 or who == "restic", done.stderr
    if not subprocess.run(["tar", "-tf", "-"], input=theirs.out, capture_output=True).returncode:
        above = [os.fsencode(str(folder)).lstrip(b"/") for folder in [pathlib.Path(what), *pathlib.Path(what).parents]]
        assert_same(tmp_path / "restic", tmp_path / "recoup", times=False, ignore=lambda path: path in above)  # no entries: made by tar


def test_dump_of_device_nodes_as_tar(recoup, restic, history):
    """restic leaves them out, but for those directly in the dumped directory: these it makes empty files. We leave out all."""
    repo, ids, _ = history
    assert {entry[1] for entry in tar_as_data(restic.run("dump", ids[0], "/tree/specials", repo=repo).out)} == {tarfile.REGTYPE}
    assert tar_as_data(recoup.run("dump", ids[0], "/tree/specials", repo=repo).out) == []


def zip_as_data(raw):
    """Without times: what lies before 1980 has none in a zip archive, and restic writes some day 128 years later."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        return [(i.filename, i.external_attr, i.create_system, i.file_size, i.is_dir(), archive.read(i)) for i in archive.infolist()]


@pytest.mark.parametrize("what", ["/tree/contents", "/tree/structure", "/tree/links", "/tree/names", "/"], ids=lambda w: w.replace("/", "⁄"))
def test_dump_of_a_directory_as_zip(recoup, restic, history, what):
    repo, ids, _ = history
    theirs = restic.run("dump", ids[1], what, "-a", "zip", repo=repo)
    ours = recoup.run("dump", ids[1], what, "-a", "zip", repo=repo)
    assert zip_as_data(ours.out) == zip_as_data(theirs.out)


# ---- init, keys, version, cache ------------------------------------------------------------------------------------------------

def test_init(recoup, restic, tmp_path):
    for args, version in (([], 2), (["--repository-version=1"], 1)):
        said = {}
        for program in (restic, recoup):
            repo = Repository(tmp_path / f"{program.name}{version}{len(args)}{args and args[0][-1]}")
            said[program.name] = result = program.run("init", "--json", *args, repo=repo)
            made = format.Repo(repo.path)
            assert result.json()["id"] == made.config["id"] and made.config["version"] == version
            assert list(made.config) == ["version", "id", "chunker_polynomial"]
            (name,) = made.names("keys")
            key = json.loads((repo.path / "keys" / name).read_bytes())
            assert list(key) == ["created", "username", "hostname", "kdf", "N", "r", "p", "salt", "data"]
            assert key["N"] >= 8192 and key["hostname"] == os.uname().nodename and key["username"] == "root"
        assert said["recoup"].json().keys() == said["restic"].json().keys()
        assert said["recoup"].json()["message_type"] == "initialized"
    text = recoup.run("init", "--repository-version=latest", repo=Repository(tmp_path / "text")).text
    assert str(tmp_path / "text") in text and "password" in text


def test_init_with_the_chunker_of_another_repository(recoup, repo, tmp_path):
    other = Repository(tmp_path / "other", password="another")
    recoup.run("init", "--copy-chunker-params", "--from-repo", repo.path, repo=other, env={"RESTIC_FROM_PASSWORD": PASSWORD})
    assert format.Repo(other.path, "another").config["chunker_polynomial"] == format.Repo(repo.path).config["chunker_polynomial"]
    (tmp_path / "pw").write_text(PASSWORD + "\n")
    third = Repository(tmp_path / "third")
    recoup.run("init", "--copy-chunker-params", "--from-repo", repo.path, "--from-password-file", tmp_path / "pw", repo=third)
    assert format.Repo(third.path).config["chunker_polynomial"] == format.Repo(repo.path).config["chunker_polynomial"]


def test_keys(recoup, restic, repo, tmp_path):
    """Each program adds, lists, changes and removes what the other made."""
    (tmp_path / "second").write_text("zweites\n")
    (tmp_path / "third").write_text("drittes\n")
    first = format.Repo(repo.path).key_id
    for program, other, file, password in ((recoup, restic, "second", "zweites"), (restic, recoup, "third", "drittes")):
        said = program.run("key", "add", "--new-password-file", tmp_path / file, "--user", "ursula", "--host", "somewhere", repo=repo)
        (name,) = re.findall(r"saved new key with ID ([0-9a-f]{64})", said.text)
        made = Repository(repo.path, password=password)
        other.run("snapshots", repo=made)
        listed = other.run("key", "list", "--json", repo=made).json()
        (entry,) = [k for k in listed if k["id"] == name]
        assert entry["current"] is True and (entry["userName"], entry["hostName"]) == ("ursula", "somewhere")
        same_json(recoup, restic, made, "key", "list", sort=lambda key: key["id"])
        refused = other.run("key", "remove", name, repo=made, code=1)  # the one in use
        assert "current" in refused.errors or "in use" in refused.errors
    assert len(repo.ids("keys")) == 3
    second = Repository(repo.path, password="zweites")
    (tmp_path / "fourth").write_text("viertes")
    recoup.run("key", "passwd", "--new-password-file", tmp_path / "fourth", repo=second)
    assert len(repo.ids("keys")) == 3
    recoup.run("snapshots", repo=second, code=12)
    fourth = Repository(repo.path, password="viertes")
    restic.run("snapshots", repo=fourth)
    recoup.run("key", "remove", first[:8], repo=fourth)
    assert first not in repo.ids("keys")
    restic.run("snapshots", repo=repo, code=12)
    made = format.Repo(repo.path, "viertes")
    made.replace_keys("viertes")
    for args in (["key", "remove", "00000000"], ["key", "remove"], ["key", "add", "--new-password-file", tmp_path / "missing"], ["key", "add", "--new-password-file", "/dev/null"]):
        theirs = restic.run(*args, repo=fourth, code=None)
        recoup.run(*args, repo=fourth, code=theirs.code)
    recoup.run("key", "add", "--new-insecure-no-password", repo=fourth)
    restic.run("snapshots", "--insecure-no-password", repo=repo, env={"RESTIC_PASSWORD": None})
    recoup.run("snapshots", "--insecure-no-password", repo=repo, env={"RESTIC_PASSWORD": None})


def test_words_of_key_list(recoup, restic, repo):
    for number in range(3):
        hint = format.Repo(repo.path).add_key(f"password {number}")
    same_text(recoup, restic, repo, "key", "list", edit=lambda text: sorted(text.splitlines()))
    for program in (recoup, restic):
        program.run("cat", "config", "--key-hint", hint, repo=repo, env={"RESTIC_PASSWORD": "password 2"})


def test_version(recoup):
    assert re.match(r"\S+ \d+\.\d+", recoup.run("version").text)
    said = recoup.run("version", "--json").json()
    assert said["message_type"] == "version" and re.match(r"\d+\.\d+", said["version"])
    assert {"go_os", "go_arch"} <= said.keys() and said["go_os"] == "linux"


def test_help(recoup):
    """Every command of the first stage is listed and explains itself."""
    listed = recoup.run("help").everything + recoup.run("--help").everything
    for command in "init backup restore snapshots ls find dump cat list check stats diff key unlock version cache".split():
        assert re.search(rf"^\s+{command}\b", listed, re.M), command
        said = recoup.run(command, "--help").everything
        assert command in said and "--json" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(recoup, tmp_path, shell):
    flag = f"--{shell}-completion"
    recoup.run("generate", flag, tmp_path / "completion")
    text = (tmp_path / "completion").read_text()
    assert len(text) > 500
    if shell == "bash":
        subprocess.run(["bash", "-n", tmp_path / "completion"], check=True)


def test_cache(recoup, restic, repo, small_tree, tmp_path):
    """restic's cache directories, listed alike, cleaned alike, and harmless."""
    env = {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    backup(recoup, repo, "small", cwd=tmp_path, env=env)
    restic.run("ls", "latest", repo=repo, env=env)
    recoup.run("ls", "latest", repo=repo, env=env)
    identity = format.Repo(repo.path).config["id"]
    same_text(recoup, restic, None, "cache", env=env)
    same_text(recoup, restic, None, "cache", "--no-size", env=env)
    old = tmp_path / "cache" / ("ab" * 32)
    shutil.copytree(tmp_path / "cache" / identity, old)
    os.utime(old, (0, 0))
    same_text(recoup, restic, None, "cache", env=env)
    recoup.run("cache", "--cleanup", "--max-age=30", env=env)
    assert not old.exists() and (tmp_path / "cache" / identity).exists()
    assert not (tmp_path / "none").exists()
    theirs = restic.run("cache", env={"RESTIC_CACHE_DIR": str(tmp_path / "none")}, code=None)
    recoup.run("cache", env={"RESTIC_CACHE_DIR": str(tmp_path / "none")}, code=theirs.code)


# ---- what backup says --------------------------------------------------------------------------------------------------------

def messages_of(result):
    return {m["message_type"] for m in result.json_lines()}


def test_messages_of_backup(recoup, restic, new_repo, tmp_path):
    """The same kinds with the same fields; verbose messages for the same items with the same actions."""
    tree = trees.small_tree(tmp_path / "small", files=30, bytes_each=50_000)
    said = {}
    for program in (restic, recoup):
        repo = new_repo(program.name)
        rounds = [program.run("backup", "small", "--json", "-vv", "--host", HOST, repo=repo, cwd=tmp_path, env={"RESTIC_PROGRESS_FPS": "60"})]
        said[program.name] = [repo, rounds]
    write(os.fsencode(tree / "d0/f0"), b"changed")
    (tree / "d1/f1").unlink()
    write(os.fsencode(tree / "new"), b"new")
    (tree / "d2").chmod(0o700)
    for program in (restic, recoup):
        repo, rounds = said[program.name]
        rounds.append(program.run("backup", "small", "--json", "-vv", "--host", HOST, "--exclude=*9", repo=repo, cwd=tmp_path))
        rounds.append(program.run("backup", "small", "--json", "--host", HOST, "--dry-run", repo=repo, cwd=tmp_path))
    for theirs, ours in zip(said["restic"][1], said["recoup"][1]):
        verbose = lambda r: sorted((m["action"], m["item"], m["data_size"], m["metadata_size"]) for m in r.messages("verbose_status") if m["action"] != "scan_finished")
        assert verbose(ours) == verbose(theirs)
        finished = lambda r: [(m["total_files"], m["data_size"]) for m in r.messages("verbose_status") if m["action"] == "scan_finished"]
        assert finished(ours) == finished(theirs)
        for kind in messages_of(theirs) & messages_of(ours):
            fields = lambda r: set().union(*(m.keys() for m in r.messages(kind)))
            if kind != "status":
                assert fields(ours) == fields(theirs), kind
            else:
                allowed = set("message_type seconds_elapsed seconds_remaining percent_done total_files files_done total_bytes bytes_done error_count current_files dry_run".split())
                assert fields(ours) <= allowed
        numbers = lambda r: {k: v for k, v in r.summary.items() if k not in ("total_duration", "backup_start", "backup_end", "snapshot_id", "data_added_packed")}
        assert numbers(ours) == numbers(theirs)
        # 0.19.1 does not yet tell what it excluded
        assert messages_of(ours) - {"status", "excluded_item"} == messages_of(theirs) - {"status", "excluded_item"}


def test_text_of_backup(recoup, restic, new_repo, tmp_path):
    tree = trees.small_tree(tmp_path / "small")
    outs = {}
    for program in (restic, recoup):
        repo = new_repo(program.name, 1)
        outs[program.name] = [program.run("backup", "small", "--host", HOST, *flags, repo=repo, cwd=tmp_path).text
                              for flags in ([], ["-v"], ["--dry-run"], ["-q"], ["--force"], ["--tag=x", "-q", "--force"])]
    edit = lambda text: re.sub(r"snapshot [0-9a-f]{8}", "snapshot <id>", without_times(text))
    for ours, theirs in zip(outs["recoup"], outs["restic"]):
        assert sorted(edit(ours).splitlines()) == sorted(edit(theirs).splitlines())
    del tree


def test_silence_in_a_pipe(recoup, repo, tmp_path):
    """No progress, no colours, no carriage returns where nobody looks."""
    write(os.fsencode(tmp_path / "large"), noise(40_000_000, "pipe"))
    result = recoup.run("backup", "large", repo=repo, cwd=tmp_path)
    assert "\r" not in result.everything and "\x1b" not in result.everything and result.errors == ""
    assert recoup.run("backup", "large", "--force", "-q", repo=repo, cwd=tmp_path).everything == ""
    result = recoup.run("restore", "latest", "--target", tmp_path / "out", repo=repo)
    assert "\x1b" not in result.everything
    assert recoup.run("check", "-q", repo=repo).everything == ""


def test_progress_as_json(recoup, repo, tmp_path):
    """Status lines come as often as RESTIC_PROGRESS_FPS says, with numbers that only grow."""
    with open(tmp_path / "large", "wb") as file:
        for number in range(20):
            file.write(noise(10_000_000, ("progress", number)))
    result = recoup.run("backup", "large", "--json", repo=repo, cwd=tmp_path, env={"RESTIC_PROGRESS_FPS": "60"})
    status = result.messages("status")
    assert status, result
    done = [m.get("bytes_done", 0) for m in status]
    assert done == sorted(done) and done[-1] <= 200_000_000
    assert all(0 <= m["percent_done"] <= 1 for m in status)


def test_sigusr1_prints_a_status(recoup, repo, tmp_path):
    import signal
    with recoup.start("backup", "--stdin", repo=repo, stdin=subprocess.PIPE) as running:
        running.process.stdin.write(noise(3_000_000, "usr1"))
        running.process.stdin.flush()
        wait_until(lambda: repo.ids("locks"), what="the backup works")
        import time
        time.sleep(0.5)
        os.kill(running.pid, signal.SIGUSR1)
        time.sleep(0.5)
        assert running.is_running()
        result = running.finish(0)
    assert "MiB" in result.everything


# ---- which files, which snapshot ------------------------------------------------------------------------------------------------

def test_dry_run_writes_nothing(recoup, restic, repo, small_tree, tmp_path):
    before = repo.files()
    result = recoup.run("backup", "small", "--dry-run", "--json", repo=repo, cwd=tmp_path)
    assert repo.files() == before
    assert result.summary["dry_run"] is True and result.summary["files_new"] == 20 and result.summary["data_added"] > 100_000
    assert result.summary.keys() == restic.run("backup", "small", "--dry-run", "--json", repo=repo, cwd=tmp_path).summary.keys()
    assert "Would add to the repository" in recoup.run("backup", "small", "-n", repo=repo, cwd=tmp_path).text
    assert repo.files() == before


def test_skip_if_unchanged(recoup, restic, repo, small_tree, tmp_path):
    flags = ["--skip-if-unchanged", "--host", HOST]
    first = recoup.run("backup", "small", "--json", *flags, repo=repo, cwd=tmp_path)
    assert len(first.summary["snapshot_id"]) == 64
    for program in (recoup, restic):
        result = program.run("backup", "small", "--json", *flags, repo=repo, cwd=tmp_path)
        assert "snapshot_id" not in result.summary and result.summary["files_unmodified"] == 20
    assert len(repo.ids("snapshots")) == 1
    assert "skipped" in recoup.run("backup", "small", *flags, repo=repo, cwd=tmp_path).text
    (small_tree / "d0/f0").chmod(0o600)
    assert "snapshot_id" in recoup.run("backup", "small", "--json", *flags, repo=repo, cwd=tmp_path).summary
    result = recoup.run("backup", "small", "--json", *flags, "--tag=other", repo=repo, cwd=tmp_path)
    theirs = restic.run("backup", "small", "--json", *flags, "--tag=another", repo=repo, cwd=tmp_path)
    assert ("snapshot_id" in result.summary) == ("snapshot_id" in theirs.summary)


def test_what_a_snapshot_says(recoup, restic, new_repo, small_tree, tmp_path):
    """Stored as restic stores it: the same fields in the same order, and the program's own version."""
    stored = {}
    for program in (restic, recoup):
        repo = new_repo(program.name)
        args = ["small", "--host", HOST, "--tag=a,b", "--tag=c", "--time=2024-01-02 03:04:05", "--exclude=x", "--exclude=y z", "--iexclude=W"]
        program.run("backup", *args, repo=repo, cwd=tmp_path)
        (name,) = format.Repo(repo.path).names("snapshots")
        stored[program.name] = format.Repo(repo.path).load("snapshots", name)
    ours, theirs = stored["recoup"], stored["restic"]
    assert list(ours) == list(theirs) and list(ours["summary"]) == list(theirs["summary"])
    changing = ("program_version", "summary")
    assert {k: v for k, v in ours.items() if k not in changing} == {k: v for k, v in theirs.items() if k not in changing}
    assert ours["program_version"].startswith("restic" if stand_in() else "recoup")
    numbers = lambda s: {k: v for k, v in s["summary"].items() if not k.startswith("backup_") and k != "data_added_packed"}
    assert numbers(ours) == numbers(theirs)


def test_times(recoup, restic, repo, small_tree, tmp_path):
    for text, zone in (("2024-01-02 03:04:05", "UTC"), ("2024-07-02 03:04:05", "Europe/Berlin"), ("2024-01-02 03:04", "UTC"), ("2024-01-02", "UTC"), ("now", "UTC"),
                       ("2024-13-02 03:04:05", "UTC"), ("2024-01-02T03:04:05Z", "UTC"), ("1", "UTC"), ("0001-01-01 00:00:00", "UTC"), ("9999-12-31 23:59:59", "UTC")):
        theirs = restic.run("backup", "small", "--time", text, repo=repo, cwd=tmp_path, env={"TZ": zone}, code=None)
        before = repo.ids("snapshots")
        recoup.run("backup", "small", "--time", text, repo=repo, cwd=tmp_path, env={"TZ": zone}, code=theirs.code)
        if theirs.code == 0:
            made = format.Repo(repo.path)
            (new,) = repo.ids("snapshots") - before
            times = [s["time"] for n, s in made.snapshots().items()]
            assert text == "now" or times.count(made.load("snapshots", new)["time"]) >= 2, text


# ---- settings from the environment ------------------------------------------------------------------------------------------------

PASSWORDS = [
    ([], {"RESTIC_PASSWORD": PASSWORD}), (["--password-file", "{d}/pw"], {}), (["-p", "{d}/pw"], {}), ([], {"RESTIC_PASSWORD_FILE": "{d}/pw"}),
    (["--password-file", "{d}/pw-crlf"], {}), (["--password-file", "{d}/pw-spaces"], {}), (["--password-file", "{d}/pw-bom"], {}), (["--password-file", "{d}/pw-utf16"], {}),
    (["--password-command", "echo geheim"], {}), ([], {"RESTIC_PASSWORD_COMMAND": "printf geheim"}), (["--password-command", "sh -c 'echo \"ge\"heim'"], {}),
    (["--password-command", "cat {d}/pw"], {}), (["--password-file", "{d}/pw"], {"RESTIC_PASSWORD": "wrong"}), (["--password-command", "echo geheim"], {"RESTIC_PASSWORD": "wrong"}),
    (["--password-file", "{d}/pw"], {"RESTIC_PASSWORD_FILE": "{d}/missing"}), (["--password-file", "{d}/wrong"], {"RESTIC_PASSWORD": PASSWORD}),
    ([], {"RESTIC_PASSWORD": "wrong", "RESTIC_PASSWORD_FILE": "{d}/pw"}), ([], {"RESTIC_PASSWORD": PASSWORD, "RESTIC_PASSWORD_COMMAND": "echo wrong"}),
    ([], {"RESTIC_PASSWORD_FILE": "{d}/pw", "RESTIC_PASSWORD_COMMAND": "echo wrong"}), ([], {"RESTIC_PASSWORD": " geheim "}), ([], {"RESTIC_PASSWORD": "geheim\n"}),
]


@pytest.mark.parametrize("args, env", PASSWORDS, ids=range(len(PASSWORDS)))
def test_password_sources(recoup, restic, repo, tmp_path, args, env):
    for name, content in (("pw", b"geheim\n"), ("pw-crlf", b"geheim\r\n"), ("pw-spaces", b"  geheim \t\n\n"), ("pw-bom", b"\xef\xbb\xbfgeheim\n"),
                          ("pw-utf16", "geheim\n".encode("utf-16")), ("wrong", b"falsch\n")):
        (tmp_path / name).write_bytes(content)
    args = [a.format(d=tmp_path) for a in args]
    env = {"RESTIC_PASSWORD": None} | {k: v.format(d=tmp_path) for k, v in env.items()}
    theirs = restic.run("cat", "config", *args, repo=repo, env=env, code=None)
    recoup.run("cat", "config", *args, repo=repo, env=env, code=theirs.code)


def test_password_from_standard_input(recoup, repo):
    """No terminal: the first line is the password."""
    for text, code in ((b"geheim\n", 0), (b"geheim", 0), (b"geheim\r\n", 0), (b"falsch\n", 12)):
        recoup.run("cat", "config", repo=repo, env={"RESTIC_PASSWORD": None}, stdin=text, code=code)


def test_password_is_nowhere_to_be_seen(recoup, repo, tmp_path):
    (tmp_path / "f").write_text("x")
    with recoup.start("backup", "--stdin", repo=repo, stdin=subprocess.PIPE) as running:
        wait_until(lambda: repo.ids("locks"), what="the backup works")
        assert PASSWORD.encode() not in open(f"/proc/{running.pid}/cmdline", "rb").read()
        running.process.stdin.write(b"x")
        result = running.finish(0)
    assert PASSWORD not in result.everything
    for args in (["snapshots", "-vv"], ["backup", "f", "-vv", "--json"], ["key", "list", "--json"], ["check", "-vv"]):
        assert PASSWORD not in recoup.run(*args, repo=repo, cwd=tmp_path).everything


def test_repository_sources(recoup, restic, repo, tmp_path):
    env = {"RESTIC_REPOSITORY": None}
    (tmp_path / "where").write_text(f"{repo.path}\n")
    (tmp_path / "nowhere").write_text("/nonexistent\n")
    for args, more in ((["-r", repo.path], {}), (["--repo", repo.path], {}), ([f"--repo={repo.path}"], {}), (["-r", f"local:{repo.path}"], {}), (["--repository-file", tmp_path / "where"], {}),
                       ([], {"RESTIC_REPOSITORY": str(repo.path)}), ([], {"RESTIC_REPOSITORY_FILE": str(tmp_path / "where")}), (["-r", repo.path], {"RESTIC_REPOSITORY": "/nonexistent"}),
                       (["--repository-file", tmp_path / "where"], {"RESTIC_REPOSITORY_FILE": str(tmp_path / "nowhere")}), (["-r", repo.path, "--repository-file", tmp_path / "where"], {}),
                       (["-r", repo.path], {"RESTIC_REPOSITORY_FILE": str(tmp_path / "nowhere")}), ([], {"RESTIC_REPOSITORY": str(repo.path), "RESTIC_REPOSITORY_FILE": str(tmp_path / "where")}),
                       (["--repository-file", tmp_path / "missing"], {})):
        theirs = restic.run("cat", "config", *args, repo=repo, env=env | more, code=None)
        recoup.run("cat", "config", *args, repo=repo, env=env | more, code=theirs.code)
    recoup.run("cat", "config", "-r", os.path.relpath(repo.path, tmp_path), repo=repo, cwd=tmp_path, env=env)
    recoup.run("-r", repo.path, "cat", "config", repo=repo, env=env)
    recoup.run("cat", "-r", repo.path, "config", repo=repo, env=env)


def test_settings_that_a_local_repository_does_not_need(recoup, repo, small_tree, tmp_path):
    """Scripts and unit files carry them: they must be taken."""
    flags = ["-o", "s3.connections=8", "-o", "local.connections=4", "--limit-upload=100000", "--limit-download=100000", "--no-extra-verify", "--pack-size=8",
             "--insecure-tls", "--http-user-agent=x", "--stuck-request-timeout=1m", "--key-hint=00000000", "--no-cache", "--cleanup-cache", "--compression=auto"]
    env = {"RESTIC_FEATURES": "", "RESTIC_CACERT": "", "RESTIC_TLS_CLIENT_CERT": "", "RESTIC_KEY_HINT": "abcd", "RESTIC_HTTP_USER_AGENT": "x", "AWS_ACCESS_KEY_ID": "a",
           "AWS_SECRET_ACCESS_KEY": "b", "RESTIC_READ_CONCURRENCY": "4", "GOMAXPROCS": "1", "RESTIC_PROGRESS_FPS": "0.016"}
    recoup.run("backup", "small", "--read-concurrency=3", "--no-scan", *flags, repo=repo, cwd=tmp_path, env=env)
    restore(recoup, repo, "latest", tmp_path / "out", *flags, env=env)
    assert_same(small_tree, tmp_path / "out/small")


def test_short_and_joined_flags(recoup, repo, small_tree, tmp_path):
    """As pflag takes them."""
    recoup.run("backup", "-vHanother", "-eexcluded", "--tag", "a", "-n", "small", repo=repo, cwd=tmp_path)
    recoup.run("backup", "small", "-fxq", "-H=equals", "--", repo=repo, cwd=tmp_path)
    recoup.run("backup", "--verbose=2", "--no-scan=true", "--json=false", "--", "small", repo=repo, cwd=tmp_path)
    recoup.run("backup", "-v", "-v", "--quiet=false", "small", "--host", HOST, repo=repo, cwd=tmp_path)
    hosts = {s["hostname"] for s in recoup.run("snapshots", "--json", repo=repo).json()}
    assert hosts == {"equals", os.uname().nodename, HOST}
    assert len(recoup.run("snapshots", "-cHequals", "--json", repo=repo).json()) == 1


def test_filters_from_the_environment(recoup, restic, history):
    repo, ids, _ = history
    for env in ({"RESTIC_HOST": "second"}, {"RESTIC_HOST": "nobody"}, {}):
        same_json(recoup, restic, repo, "snapshots", env=env)
        same_json(recoup, restic, repo, "ls", "latest", env=env)
        same_json(recoup, restic, repo, "snapshots", "--host=", env=env)
        same_json(recoup, restic, repo, "snapshots", f"--host={HOST}", env=env)


# ---- restore's and check's words --------------------------------------------------------------------------------------------------

def test_messages_of_restore(recoup, restic, history, tmp_path):
    repo, ids, _ = history
    said = {p.name: restore(p, repo, ids[2], tmp_path / p.name, "--json", "-vv") for p in (restic, recoup)}
    verbose = lambda r: sorted((m["action"], m["item"], m["size"]) for m in r.messages("verbose_status"))
    assert verbose(said["recoup"]) == verbose(said["restic"])
    drop = lambda m: {k: v for k, v in m.items() if k not in ("seconds_elapsed",)}
    assert drop(said["recoup"].summary) == drop(said["restic"].summary)
    again = {p.name: restore(p, repo, ids[2], tmp_path / p.name, "--json", "-vv") for p in (restic, recoup)}
    assert verbose(again["recoup"]) == verbose(again["restic"])
    text = {p.name: without_times(restore(p, repo, ids[2], tmp_path / f"text-{p.name}").text).replace(str(tmp_path / f"text-{p.name}"), "<target>") for p in (restic, recoup)}
    assert text["recoup"] == text["restic"]


def test_words_of_check(recoup, restic, history):
    repo, _, _ = history
    edit = lambda text: [line for line in without_times(text).splitlines() if not line.startswith("using temporary cache")]
    same_text(recoup, restic, repo, "check", edit=edit)
    same_text(recoup, restic, repo, "check", "--read-data", edit=edit)
    same_json(recoup, restic, repo, "check")


def test_no_lock(recoup, repo, history):
    made, _, _ = history
    lock = format.Repo(repo.path).save_lock(1, exclusive=True, host="elsewhere")
    for args in (["snapshots"], ["stats"], ["list", "packs"], ["check"], ["key", "list"]):
        recoup.run(*args, "--no-lock", repo=repo)
    assert repo.ids("locks") == {lock}
    del made
