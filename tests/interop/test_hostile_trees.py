"""Trees that no honest program writes: nothing outside the target is touched. On some of them restic 0.19.1 panics, hangs,
or changes files outside the target."""

import io
import os
import shutil
import stat
import subprocess
import tarfile

import pytest

from support import format
from support.commands import backup, restore
from support.compare import assert_same, listing
from support.programs import Repository, stand_in
from support.refusals import read_everything
from support.storage import place
from support.trees import write

# Trees and bytes are the same wherever they lie.
pytestmark = pytest.mark.storage_blind


@pytest.fixture
def hostile(tmp_path, recoup):
    """hostile(nodes): a snapshot of a tree made by `nodes(writer)`; restored by recoup it may touch nothing but its target.

    Around the target lie files that an attack would hit. Returns the result and the target.
    """
    made = format.Repo.create(place(tmp_path / "hostile"))
    repo = Repository(made.path)
    yard = tmp_path / "yard"
    (yard / "home/deep").mkdir(parents=True)
    for name in ("victim", "home/victim", "home/deep/victim", "escaped-dir"):
        (yard / name).mkdir() if name.endswith("dir") else write(os.fsencode(yard / name), b"untouched")
    target = yard / "home/deep/target"

    def state():
        found = {}
        for path, info in listing(yard).items():
            if not (path + b"/").startswith(b"home/deep/target/"):
                full = os.path.join(os.fsencode(yard), path)
                content = open(full, "rb").read() if stat.S_ISREG(info.st_mode) else b""
                times = (info.st_mtime_ns, info.st_ctime_ns) if path != b"home/deep" else ()
                found[path] = (info.st_mode, info.st_uid, info.st_size, info.st_nlink if path != b"home/deep" else 0, content, times)
        return found

    def run(nodes, *args, code=(0, 1), prepare=None, others=True):
        writer = made.writer()
        tree = writer.tree(nodes(writer))
        writer.finish()
        snapshot = made.refresh().save_snapshot(tree)
        shutil.rmtree(target, ignore_errors=True)
        if prepare:
            target.mkdir()
            prepare(target)
        before = state()
        result = restore(recoup, repo, snapshot, target, *args, code=code, timeout=300)
        assert state() == before, result
        assert not os.path.lexists("/tmp/recoup-escaped")
        if others:
            for command in (["ls", "--recursive", snapshot], ["find", "*ictim*"], ["stats", snapshot], ["diff", snapshot, snapshot], ["check"],
                            ["ls", "--json", "--long", snapshot], ["cat", "tree", snapshot], ["restore", snapshot, "--target", target, "--delete"],
                            ["restore", snapshot, "--target", target, "--overwrite=if-newer", "--sparse"]):
                again = recoup.run(*command, repo=repo, code=(0, 1), timeout=300)
                assert again.code == 0 or again.errors.strip()
            dumped = recoup.run("dump", snapshot, "/", repo=repo, code=(0, 1))
            if dumped.code == 0:
                for member in tarfile.open(fileobj=io.BytesIO(dumped.out)):
                    assert stand_in() or ".." not in member.name.split("/"), "a tar that escapes when unpacked"
            assert state() == before
        return result, target

    return run


BAD_NAMES = [b"..", b".", b"", b"/", b"a/b", b"../victim", b"../../../victim", b"/tmp/recoup-escaped", b"a/../../victim", b"nul\0byte", b"x\0/../../victim",
             b"./victim", b"victim/", b"//", b"../escaped-dir", b"..\0", b"a//b", b"x" * 256, b"x" * 5000]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda n: repr(n[:24]))
@pytest.mark.parametrize("kind", ["file", "dir", "symlink"])
def test_names_that_lead_elsewhere(hostile, name, kind):
    def nodes(writer):
        good = [writer.file(b"good", b"good")]
        inside = [writer.file(b"victim", b"overwritten"), writer.file(b"recoup-escaped", b"overwritten")]
        bad = {"file": lambda: writer.file(name, b"overwritten"), "dir": lambda: writer.folder(name, inside),
               "symlink": lambda: format.node(name, "symlink", linktarget="/etc")}[kind]()
        return sorted(good + [bad, writer.folder(b"sub", [bad])], key=lambda n: n["name"])

    result, target = hostile(nodes, code=1, others=kind == "dir")
    assert (target / "good").read_bytes() == b"good"
    assert not any(p.is_file() and b"overwritten" in p.read_bytes() for p in target.rglob("victim") if name not in (b"",)) or b"\0" in name or len(name) > 200
    assert result.errors.strip()


@pytest.mark.parametrize("quoted", ["\\q", "\\", "\\x", "\\x4", "\\u12", "\\U00110000", "\\ud800", "a\\\"", "\"", "\\'", "\\400", "\\101", "\n", "\\x2e\\x2e", "\\x2e\\x2e\\x2fvictim", "\\u002e\\u002e"],
                         ids=repr)
def test_names_with_odd_escapes(hostile, quoted):
    """Escapes that Go's Unquote refuses, and escapes that hide `..`."""
    hostile(lambda writer: [format.node(quoted, "file", content=[]), writer.file(b"good", b"good"), writer.folder(b"sub", [format.node(quoted, "dir", subtree=writer.tree([writer.file(b"victim", b"overwritten")]))])],
            others=False)


def test_symlink_and_directory_of_the_same_name(hostile):
    """First a symlink to the outside, then a directory of that name whose contents would land there."""
    for link in ("..", "../..", "/tmp", "../../victim"):
        for first, second in (("symlink", "dir"), ("dir", "symlink")):
            def nodes(writer):
                made = {"symlink": format.node(b"a", "symlink", linktarget=link),
                        "dir": writer.folder(b"a", [writer.file(b"victim", b"overwritten"), writer.file(b"recoup-escaped", b"overwritten")])}
                return [made[first], made[second], writer.file(b"good", b"good")]
            hostile(nodes, others=False)


@pytest.mark.recoup_only
def test_file_through_a_symlink_of_the_same_snapshot(hostile):
    """`a` is a symlink out, and a file of the same name would be written through it."""
    def nodes(writer):
        return [format.node(b"a", "symlink", linktarget="../victim"), writer.file(b"a", b"overwritten"), format.node(b"b", "symlink", linktarget="/tmp/recoup-escaped"),
                writer.file(b"b", b"overwritten"), writer.file(b"good", b"good")]
    hostile(nodes)
    hostile(lambda writer: list(reversed(nodes(writer))))
    hostile(nodes, "--sparse", others=False)


def test_hard_link_to_a_symlink_out(hostile):
    """Nodes that claim to be one file: the first is a symlink to the outside, the second would be written through it."""
    def nodes(writer):
        same = {"inode": 7, "device_id": 3, "links": 3}
        return [format.node(b"a", "symlink", linktarget="../victim", **same), writer.file(b"b", b"overwritten", **same), writer.file(b"c", b"other content", **same),
                writer.folder(b"d", [writer.file(b"e", b"overwritten", **same), format.node(b"f", "fifo", **same)])]
    hostile(nodes)


def test_symlinks_that_wait_in_the_target(hostile):
    """Somebody put symlinks into the target before the restore: none is followed."""
    def prepare(target):
        (target / "d").symlink_to("../../../escaped-dir")
        (target / "f").symlink_to("../victim")
        (target / "g").symlink_to("../nothing-yet")
        (target / "e").mkdir()
        (target / "e/sub").symlink_to("../../../../escaped-dir")

    def nodes(writer):
        inside = [writer.file(b"planted", b"overwritten")]
        return [writer.folder(b"d", inside), writer.folder(b"e", [writer.folder(b"sub", inside)]), writer.file(b"f", b"overwritten"), writer.file(b"g", b"overwritten")]

    result, target = hostile(nodes, code=0, prepare=prepare)
    assert (target / "d/planted").read_bytes() == (target / "e/sub/planted").read_bytes() == b"overwritten"
    assert not os.path.lexists(target.parent / "nothing-yet")
    for flags in (["--overwrite=never"], ["--overwrite=if-newer"], ["--overwrite=if-changed"], ["--delete"], ["--sparse"], ["--dry-run"]):
        hostile(nodes, *flags, prepare=prepare, others=False)


def test_attributes_through_a_symlink(hostile):
    """Mode, owner, times and attributes of a node are never applied to what its symlink points to."""
    attributes = [{"name": "user.x", "value": "AAAA"}]
    hostile(lambda writer: [format.node(b"link", "symlink", linktarget="../victim", mode=0o777 | 1 << 27, uid=1234, gid=1234, extended_attributes=attributes),
                            format.node(b"setuid", "symlink", linktarget="../victim", mode=0o4777 | 1 << 23 | 1 << 27),
                            format.node(b"mode-says-file", "symlink", linktarget="../victim", mode=0o777)])


@pytest.mark.recoup_only
def test_device_nodes_and_modes_at_odds(hostile):
    """Types that contradict modes, devices with absurd numbers, unknown types."""
    result, target = hostile(lambda writer: [
        format.node(b"a", "file", mode=0o644 | 1 << 31), format.node(b"b", "dir", mode=0o644, subtree=writer.tree([])),
        format.node(b"c", "chardev", device=2**64 - 1), format.node(b"d", "dev", device=0), format.node(b"e", "socket"), format.node(b"f", "irregular"),
        format.node(b"g", "cream"), format.node(b"h", ""), format.node(b"i", "fifo", mode=2**32 - 1), format.node(b"j", "file", uid=2**32 - 1, gid=2**32 - 1),
        format.node(b"k", "dir"), format.node(b"l", "symlink"), format.node(b"m", "symlink", linktarget=""), writer.file(b"z", b"last")], code=None)
    assert result.code in (0, 1)


BAD_FIELDS = {
    "size at 2^63": {"size": 2**63 - 1}, "size at 2^64": {"size": 2**64 - 1}, "size 1 EiB": {"size": 2**60}, "negative size": {"size": -1}, "size 0": {"size": 0},
    "size too small": {"size": 2}, "missing blob": {"content": ["ab" * 32]}, "content is text": {"content": "ab" * 32}, "short blob id": {"content": ["ab"]},
    "content is null": {"content": None}, "no time": {"mtime": None}, "time is text": {"mtime": "soon"}, "year 10000": {"mtime": "10000-01-01T00:00:00Z"},
    "year 0": {"mtime": "0000-01-01T00:00:00Z"}, "uid beyond 32 bits": {"uid": 2**40}, "mode beyond 32 bits": {"mode": 2**40}, "attributes are text": {"extended_attributes": "x"},
    "attribute without a name": {"extended_attributes": [{"name": "", "value": "AA=="}]}, "attribute no base64": {"extended_attributes": [{"name": "user.a", "value": "*"}]},
    "attribute null": {"extended_attributes": [{"name": "user.a", "value": None}]}, "attribute of a foreign space": {"extended_attributes": [{"name": "nonsense", "value": "AA=="}]},
    "huge attribute": {"extended_attributes": [{"name": "user.a", "value": "A" * 400_000}]}, "links 0": {"links": 0}, "nested content": {"content": [[[]]]},
    "subtree on a file": {"subtree": "00" * 32}, "error field": {"error": "was unreadable"}, "unknown field": {"flavour": {"a": [1, 2]}},
}


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", BAD_FIELDS)
def test_fields_out_of_range(hostile, kind):
    """The file concerned may be lost or odd; its neighbours are restored, the disk is not filled, the program does not die."""
    def nodes(writer):
        bad = writer.file(b"bad", b"0123456789")
        bad.update(BAD_FIELDS[kind])
        return [writer.file(b"a-good", b"good"), bad, writer.file(b"z-good", b"good")]

    result, target = hostile(nodes)
    if (target / "bad").exists() and kind.startswith("size"):
        assert (target / "bad").stat().st_blocks < 10_000
    if result.code == 0:
        assert (target / "a-good").read_bytes() == (target / "z-good").read_bytes() == b"good"


@pytest.mark.recoup_only
@pytest.mark.parametrize("body", [b'{"nodes":[null]}\n', b'{"nodes":null}\n', b"{}", b"[]", b"", b"null", b'{"nodes":[', b'{"nodes":[{}]}\n', b'{"nodes":"x"}', b'{"nodes":[5]}',
                                  b'{"before":{"a":[]},"nodes":[],"after":"x"}\n', b"[" * 200_000, b'{"nodes":[{"name":"a","type":"dir"}]}', b'{"nodes":[]}{"nodes":[]}'], ids=range(14))
def test_trees_that_are_no_trees(recoup, sound, tmp_path, body):
    made, repo, _ = sound()
    writer = made.writer()
    bad = writer.add("tree", body)
    tree = writer.tree([writer.file(b"a", b"good"), format.node(b"bad", "dir", subtree=bad), writer.file(b"z", b"good")])
    writer.finish()
    snapshot = made.refresh().save_snapshot(tree)
    result = restore(recoup, repo, snapshot, tmp_path / "out", code=(0, 1))
    assert (tmp_path / "out/a").read_bytes() == b"good" and ((tmp_path / "out/z").exists() or result.code == 1)
    recoup.run("check", repo=repo, code=(0, 1))
    recoup.run("ls", "--recursive", snapshot, repo=repo, code=(0, 1))
    recoup.run("stats", snapshot, repo=repo, code=(0, 1))
    made.save_snapshot(bad)
    read_everything(recoup, repo, tmp_path, readers=[["ls", "latest"], ["check"], ["restore", "latest", "--target", "out"]])


def test_duplicate_and_unsorted_names(hostile):
    def nodes(writer):
        return [writer.file(b"b", b"first"), writer.file(b"a", b"out of order"), writer.file(b"b", b"second"),
                writer.folder(b"d", [writer.file(b"x", b"1")]), writer.folder(b"d", [writer.file(b"y", b"2")])]
    result, target = hostile(nodes)
    assert result.code == 1 or (target / "b").read_bytes() in (b"first", b"second")


@pytest.mark.parametrize("depth", [100, 1500, 10_000])
def test_deep_nesting(recoup, tmp_path, tmpfs, depth):
    """Longer paths than any system call takes, deeper than any stack should be trusted for."""
    made = format.Repo.create(place(tmp_path / "repo"))
    writer = made.writer()
    tree = writer.tree([writer.file(b"bottom", b"bottom")])
    for _ in range(depth):
        tree = writer.tree([format.node(b"d", "dir", subtree=tree), writer.file(b"f", b"beside")])
    writer.finish()
    snapshot = made.save_snapshot(tree)
    repo = Repository(made.path)
    recoup.run("check", repo=repo, timeout=300)
    listed = recoup.run("ls", "--recursive", snapshot, repo=repo, timeout=300)
    assert "/d/d/d/d/f" in listed.text
    target = tmpfs("memory", "size=200m")  # unmounted in the end: removing 10,000 levels takes rm half a minute
    result = restore(recoup, repo, snapshot, target / "out", code=(0, 1), timeout=300)
    path = target / "out"
    for _ in range(min(depth - 1, 1000)):
        path /= "d"
    assert (path / "f").read_bytes() == b"beside"
    for command in (["stats", snapshot], ["find", "bottom"], ["diff", snapshot, snapshot]):
        recoup.run(*command, repo=repo, code=(0, 1), timeout=300)
    if not stand_in() or depth == 100:
        assert result.code == 0 and int(subprocess.run(["find", target, "-name", "f", "-printf", "x"], capture_output=True).stdout.count(b"x")) == depth


@pytest.mark.recoup_only
def test_wide_tree_shared_many_times(recoup, tmp_path):
    """Ten levels of ten references to the same subtree: 10^10 paths in eleven small blobs. Commands that need not walk them must not."""
    made = format.Repo.create(place(tmp_path / "repo"))
    writer = made.writer()
    tree = writer.tree([writer.file(b"f", b"x")])
    for _ in range(10):
        tree = writer.tree([format.node(b"%d" % n, "dir", subtree=tree) for n in range(10)])
    writer.finish()
    snapshot = made.save_snapshot(tree)
    repo = Repository(made.path)
    recoup.run("check", "--read-data", repo=repo, timeout=180)
    recoup.run("stats", "--mode=raw-data", repo=repo, timeout=180)
    assert recoup.run("ls", snapshot, "/0", repo=repo, timeout=180).text.strip()
    recoup.run("diff", snapshot, snapshot, repo=repo, timeout=180)
    (tmp_path / "f").write_text("x")
    recoup.run("backup", "f", "--parent", snapshot, repo=repo, cwd=tmp_path, timeout=180)


def test_backup_on_top_of_a_hostile_parent(recoup, restic, tmp_path, small_tree):
    """The parent's trees only say what is unchanged: whatever they claim, the new snapshot holds what is on the disk."""
    made = format.Repo.create(place(tmp_path / "repo"))
    repo = Repository(made.path)
    first = backup(recoup, repo, "small", cwd=tmp_path)
    stored = made.refresh()
    writer = made.writer()
    nodes = stored.tree(stored.tree(first.tree)[0]["subtree"])
    lies = []
    for node in nodes:
        if node["type"] == "dir":
            inside = stored.tree(node["subtree"])
            for file in inside:
                file["content"] = ["ab" * 32]  # unknown blobs
            node = node | {"subtree": writer.tree(inside)}
        lies.append(node)
    lies = [lies[0]] + lies[:1] + lies[1:] + [format.node(b"../up", "dir", subtree=lies[0].get("subtree", format.EMPTY_TREE))]
    root = writer.tree([format.node(b"small", "dir", subtree=writer.tree(lies))])
    writer.finish()
    parent = made.save_snapshot(root, first.snapshot["paths"], time="2040-01-01T00:00:00Z")
    again = backup(recoup, repo, "small", "--parent", parent, cwd=tmp_path, code=(0, 3))
    assert again.tree == first.tree
    (made.path / "snapshots" / parent).unlink()
    restore(restic, repo, again.id, tmp_path / "out")
    assert_same(small_tree, tmp_path / "out/small")
