"""The tests' own reader and writer of the format (support/format.py): real restic judges it before it judges anything."""

import pytest

from support import format
from support.commands import check_clean
from support.programs import Repository
from support.storage import place

KEY = format.Key(bytes(range(0x20)), bytes(range(0x20, 0x30)), bytes(range(0x30, 0x40)))
IV = bytes(range(0x40, 0x50))


@pytest.mark.parametrize("plain, iv, sealed", [
    (b"holdfast", IV, "404142434445464748494a4b4c4d4e4fcb11b35bf13bc99b9fb9b510607bb94729c38556e8cc7d28"),
    (b"", IV, "404142434445464748494a4b4c4d4e4f859469c07743c7e45b318d151d3d87e9"),
    (bytes(32), b"\xff" * 16, "ffffffffffffffffffffffffffffffffe999e41d4ca770da5387117b5d8f57eef29000b62a499fd0a9f39a6add2e7780"
                              "8bfb1dea706a3e3b7a2f9728e5e9ea0d"),
])
def test_box_vectors(plain, iv, sealed):
    assert KEY.seal(plain, iv).hex() == sealed
    assert KEY.open(bytes.fromhex(sealed)) == plain


def test_key_derivation_vector():
    key = format.user_key("geheim", bytes(range(0x40)), 128, 8, 1)
    assert key.encrypt.hex() == "08a07217ce3d848085ac27d037295501f1c3153a4708c2685067e009766625b4"
    assert (key.mac_k + key.mac_r).hex() == "1d888c481af4422f7b905d698f2e88ce6303d2c6bf664ea5d2184924fc4636e7"


def vector_nodes():
    """The tree of the written format's appendix: every field that is easy to get wrong."""
    when = {"mtime": "2024-01-02T03:04:05.6Z", "atime": "2024-01-02T03:04:05.6Z", "ctime": "1970-01-01T00:00:00Z",
            "uid": 1000, "gid": 0, "user": "u&g"}
    blob = format.sha256(b"holdfast")
    return [
        format.node(b"<&>.txt", "file", inode=2**64 - 1, device_id=64769, size=8, links=1, content=[blob],
                    extended_attributes=[{"name": "user.z", "value": "AP8="}, {"name": "user.a", "value": ""}], **when),
        format.node(b"bad\xff", "symlink", inode=2, links=1, linktarget="a/<b>", **when),
        format.node(b"dir", "dir", inode=3, subtree=format.EMPTY_TREE, **when),
        format.node(b"empty", "file", mode=0o600, inode=4, links=2, **when),
        format.node("nb\u00a0sp".encode(), "fifo", mode=0o600 | 1 << 25, inode=5, **when),
    ]


def test_tree_vector_and_restic_agrees_with_it(restic, version, tmp_path):
    """`rewrite` decodes and encodes each tree and refuses one that does not come out with the same bytes."""
    raw = format.tree_json(vector_nodes())
    tree = "eca73a6f64b5177e2124a367bca3e13c56c423b0b5cdbc2deabc3ccf1129f092"
    assert (len(raw), format.sha256(raw)) == (1393, tree)

    made = format.Repo.create(place(tmp_path / "repo"), version)
    writer = made.writer()
    writer.add("data", b"holdfast")
    writer.tree([])
    assert writer.tree(vector_nodes()) == tree
    writer.finish()
    made.save_snapshot(tree)
    repo = Repository(made.path, version)
    check_clean(restic, repo)
    # The exclusion touches the deepest entry, so every tree is encoded anew; the others must keep their bytes.
    said = restic.run("rewrite", "--exclude", "/empty", "--forget", repo=repo)
    assert "without losing information" not in said.everything
    (snapshot,) = made.snapshots().values()
    names = [n["name"] for n in made.refresh().tree(snapshot["tree"])]
    assert names == ["<&>.txt", "bad\\xff", "dir", "nb\\u00a0sp"]
    assert made.blob("tree", snapshot["tree"]) == format.tree_json([n for n in vector_nodes() if n["name"] != "empty"])


def test_empty_tree_and_names():
    assert format.sha256(format.tree_json([])) == format.EMPTY_TREE
    for raw in (b'a"b\\c', b"tab\there", b"\x01\x7f", b"bad\xff\xc3(", "\u00a0\u2028😀\U000e0001\ufffd".encode()):
        assert format.go_unquote(format.go_quote(raw)) == raw
    assert format.go_quote(b"bad\xff\xc3(") == r"bad\xff\xc3("
    assert format.go_quote("\U000e0001\u0085".encode()) == r"\U000e0001\u0085"


def test_reader_finds_what_is_wrong(repo, restic, small_tree):
    restic.run("backup", small_tree, repo=repo)
    made = format.Repo(repo.path)
    assert made.problems() == [] and made.stored_twice() == {}
    victim = max(made.packs(), key=lambda p: made.pack_path(p).stat().st_size)
    made.pack_path(victim).unlink()
    assert any(victim in line for line in made.problems())
