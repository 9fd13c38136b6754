"""A config, key, index, snapshot or pack that is no good, though sealed with the right key: a clear message, never a crash."""

import hashlib
import json
import struct

import pytest

from support import format
from support.commands import backup, check_clean, restore
from support.programs import Repository
from support.refusals import LITTLE_MEMORY, READERS, TOLERABLE, read_everything
from support.storage import place

# Trees and bytes are the same wherever they lie.
pytestmark = pytest.mark.storage_blind


# ---- config and keys -------------------------------------------------------------------------------------------------

GOOD_CONFIG = {"version": 2, "id": "ab" * 32, "chunker_polynomial": "3da3358b4dc173"}
CONFIGS = {
    "version 0": GOOD_CONFIG | {"version": 0}, "version 3": GOOD_CONFIG | {"version": 3}, "version 99": GOOD_CONFIG | {"version": 99},
    "huge version": GOOD_CONFIG | {"version": 2**64}, "negative version": GOOD_CONFIG | {"version": -1}, "text version": GOOD_CONFIG | {"version": "2"},
    "no version": {k: v for k, v in GOOD_CONFIG.items() if k != "version"},
    "no polynomial": {k: v for k, v in GOOD_CONFIG.items() if k != "chunker_polynomial"}, "reducible": GOOD_CONFIG | {"chunker_polynomial": "3da3358b4dc174"},
    "small degree": GOOD_CONFIG | {"chunker_polynomial": "b"}, "zero polynomial": GOOD_CONFIG | {"chunker_polynomial": "0"},
    "no hex": GOOD_CONFIG | {"chunker_polynomial": "xyz"}, "number polynomial": GOOD_CONFIG | {"chunker_polynomial": 17},
    "too long": GOOD_CONFIG | {"chunker_polynomial": "3da3358b4dc173" * 3}, "array": [GOOD_CONFIG], "null": None,
}


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", CONFIGS)
def test_config_that_is_no_good(recoup, tmp_path, kind):
    made = format.Repo.create(place(tmp_path / "repo"))
    made.write_config(json.dumps(CONFIGS[kind]).encode())
    repo = Repository(made.path)
    for command in (["snapshots"], ["backup", "/etc/hostname"], ["check"]):
        result = recoup.run(*command, repo=repo, code=1)
        assert "config" in result.errors.lower() or "version" in result.errors.lower() or "polynomial" in result.errors.lower(), result
    if "version" in kind:
        assert "version" in result.errors.lower()
    assert repo.ids("snapshots") == set()


@pytest.mark.recoup_only
@pytest.mark.parametrize("raw", [b"", b"{", b"{}", b"\x00" * 100, b'{"version":2,', b"[" * 100_000, b'{"version":2,"id":"' + b"a" * 10_000_000 + b'"}', b"\xff\xfe"],
                         ids=["empty", "open", "object", "zeros", "cut", "nested", "long", "no UTF-8"])
def test_config_that_is_no_json(recoup, tmp_path, raw):
    made = format.Repo.create(place(tmp_path / "repo"))
    made.write_config(raw)
    result = recoup.run("snapshots", repo=Repository(made.path), code=1)
    assert "config" in result.errors.lower() and len(result.errors) < 5000


def test_unknown_keys_in_the_config_are_tolerated(recoup, restic, tmp_path):
    """Other programs keep settings there."""
    extra = {"compression": 3, "append_only": False, "is_hot": None, "treepack_size": 4194304, "nested": {"a": [1, 2, {"b": "c"}]}}
    made = format.Repo.create(place(tmp_path / "repo"), config=extra)
    repo = Repository(made.path)
    (tmp_path / "f").write_text("x")
    backup(recoup, repo, "f", cwd=tmp_path)
    check_clean(restic, repo)
    assert extra.items() <= json.loads(recoup.run("cat", "config", repo=repo).out).items() or "compression" not in recoup.run("cat", "config", repo=repo).text


KEYS = {
    "N is huge": {"N": 2**40}, "N is no power of two": {"N": 1000}, "N is 1": {"N": 1}, "N is 0": {"N": 0}, "N is negative": {"N": -128},
    "r is huge": {"r": 2**30}, "p is huge": {"p": 2**30}, "r is 0": {"r": 0}, "p is 0": {"p": 0}, "memory": {"N": 2**30, "r": 8}, "other kdf": {"kdf": "argon2"},
    "no salt": {"salt": ""}, "broken salt": {"salt": "%%%"}, "no data": {"data": ""}, "short data": {"data": "AAAA"}, "broken data": {"data": "*"},
    "N is text": {"N": "128"}, "N is beyond 64 bits": {"N": 2**70}, "data is a number": {"data": 5},
}


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", KEYS)
def test_key_that_is_no_good(recoup, tmp_path, kind):
    """Refused at once, without gigabytes of memory or minutes of time; the message names the key file or says that none fits."""
    made = format.Repo.create(place(tmp_path / "repo"))
    repo = Repository(made.path)
    (name,) = repo.ids("keys")
    value = json.loads((made.path / "keys" / name).read_bytes()) | KEYS[kind]
    raw = json.dumps(value).encode()
    (made.path / "keys" / name).unlink()
    new = format.sha256(raw)
    (made.path / "keys" / new).write_bytes(raw)
    result = recoup.run("snapshots", repo=repo, code=(1, 12), timeout=60, wrap=LITTLE_MEMORY)
    assert new[:8] in result.errors or "key" in result.errors


@pytest.mark.recoup_only
@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[]", b"\xff" * 500, b"{" * 200_000, b'{"kdf":"scrypt"}'], ids=range(7))
def test_key_that_is_no_json(recoup, tmp_path, raw):
    made = format.Repo.create(place(tmp_path / "repo"))
    repo = Repository(made.path)
    for name in repo.ids("keys"):
        (made.path / "keys" / name).unlink()
    new = format.sha256(raw)
    (made.path / "keys" / new).write_bytes(raw)
    result = recoup.run("snapshots", repo=repo, code=(1, 12))
    assert new[:8] in result.errors or "key" in result.errors


# ---- index, snapshot, pack: sealed with the right key, and wrong -----------------------------------------------------

BODIES = [b"", b"{", b"[]", b"{}", b"null", b"[" * 100_000, b'{"packs":null}', b'{"packs":[null]}', b'{"packs":[{"id":"00","blobs":[]}]}', b'{"packs":5}',
          b'{"packs":[{"id":"%s","blobs":[{}]}]}' % (b"0" * 64), b"\x02", b"\x02\x28\xb5\x2f\xfd", b"\x03abc", b"\xff" * 50, b'{"packs":[{"blobs":[]}]}']


@pytest.mark.recoup_only
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_index_that_is_no_index(recoup, sound, tmp_path, body):
    made, repo, _ = sound()
    name = made.save_body("index", body)
    said = read_everything(recoup, repo, tmp_path, readers=READERS[:10])
    if body not in (b"{}", b'{"packs":null}', b"null") and said["check"].code:
        assert name[:8] in said["check"].everything


def bomb(size):
    """`size` zeros as a small zstd frame."""
    import zstandard
    return zstandard.ZstdCompressor(level=19).compress(bytes(size))


@pytest.mark.recoup_only
def test_index_and_snapshot_that_unpack_to_gigabytes(recoup, sound, tmp_path):
    made, repo, _ = sound()
    frame = bomb(1 << 30)
    made.save_body("index", b"\x02" + frame)
    made.save_body("snapshots", b"\x02" + frame)
    for command in (["check"], ["snapshots"], ["ls", "latest"]):
        recoup.run(*command, repo=repo, code=TOLERABLE, timeout=300, wrap=LITTLE_MEMORY)


ENTRIES = {
    "offset beyond the pack": {"offset": 10_000_000}, "offset at 2^32": {"offset": 2**32 - 10}, "offset at 2^63": {"offset": 2**63 - 10},
    "offset at 2^64": {"offset": 2**64 - 10}, "negative offset": {"offset": -5}, "length 0": {"length": 0}, "length 31": {"length": 31},
    "length 32": {"length": 32}, "length beyond the pack": {"length": 10_000_000}, "length at 2^32": {"length": 2**32 - 1}, "length at 2^64": {"length": 2**64 - 1},
    "negative length": {"length": -1}, "uncompressed 1": {"uncompressed_length": 1}, "uncompressed 4 GiB": {"uncompressed_length": 2**32 - 1},
    "uncompressed 2^63": {"uncompressed_length": 2**63 - 1}, "negative uncompressed": {"uncompressed_length": -1}, "other type": {"type": "tree"},
    "unknown type": {"type": "cream"}, "no type": {"type": None}, "text offset": {"offset": "0"}, "fraction": {"length": 55.5}, "short id": {"id": "abcd"},
    "no hex id": {"id": "z" * 64}, "upper case id": {"id": "AB" * 32},
}


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", ENTRIES)
def test_index_with_absurd_entries(recoup, sound, tmp_path, kind):
    """One blob's place is nonsense. check reports it; the other files come back."""
    made, repo, _ = sound()
    (name,) = made.names("index")
    value = made.load("index", name)
    (made.path / "index" / name).unlink()
    pack = next(p for p in value["packs"] if p["blobs"][0]["type"] == "data")
    pack["blobs"][0].update(ENTRIES[kind])
    made.save_body("index", json.dumps(value).encode())
    said = read_everything(recoup, repo, tmp_path, readers=READERS[:10])
    assert said["check --read-data"].code == 1


def test_index_naming_a_pack_that_is_not_there(recoup, sound, tmp_path):
    made, repo, _ = sound()
    made.save("index", {"packs": [{"id": "ab" * 32, "blobs": [{"id": "cd" * 32, "type": "data", "offset": 0, "length": 50, "uncompressed_length": 10}]}]})
    said = read_everything(recoup, repo, tmp_path, readers=READERS[:4])
    assert said["check"].code == 1 and "ab" * 32 in said["check"].everything


def test_compressed_blobs_in_a_version_1_repository(recoup, sound, tmp_path):
    """Such a repository was put together wrongly: every command refuses, as with restic."""
    made, repo, _ = sound(1)
    (name,) = made.names("index")
    value = made.load("index", name)
    value["packs"][0]["blobs"][0]["uncompressed_length"] = 5
    (made.path / "index" / name).unlink()
    made.save("index", value)
    recoup.run("ls", "latest", repo=repo, code=1)


SNAPSHOTS = [b"{}", b"[]", b"null", b"5", b'{"tree":"00"}', b'{"time":"never","tree":"%s"}' % (b"0" * 64), b'{"time":"2024-01-02T03:04:05Z"}', b'{"tree":null}',
             b'{"time":"2024-01-02T03:04:05Z","tree":"%s","paths":"x"}' % (b"0" * 64), b'{"time":"2024-01-02T03:04:05Z","tree":"%s","paths":null,"tags":null}' % (b"0" * 64),
             b'{"time":"9999999-01-02T03:04:05Z","tree":"%s"}' % (b"0" * 64), b'{"time":"2024-01-02T03:04:05Z","tree":"%s","uid":-1}' % (b"0" * 64),
             b'{"time":"2024-01-02T03:04:05Z","tree":"%s","paths":["%s"]}' % (b"0" * 64, b"x" * 1_000_000), b'{"a":' * 50_000]


@pytest.mark.recoup_only
@pytest.mark.parametrize("body", SNAPSHOTS, ids=range(len(SNAPSHOTS)))
def test_snapshot_that_is_no_snapshot(recoup, sound, tmp_path, body):
    made, repo, _ = sound()
    name = made.save_body("snapshots", body)
    said = read_everything(recoup, repo, tmp_path, readers=[["check"], ["snapshots", "--json"], ["snapshots"], ["ls", name], ["restore", name, "--target", "out"],
                                                             ["cat", "snapshot", name], ["stats"], ["diff", name, "latest"]])
    assert said["check"].code == 1
    assert not any((tmp_path / "out").rglob("*")) if (tmp_path / "out").exists() else True


def pack_with_header(made, header, trailer=None, body=b""):
    sealed = made.key.seal(header)
    raw = body + sealed + (struct.pack("<I", len(sealed)) if trailer is None else trailer)
    name = format.sha256(raw)
    path = made.pack_path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    return name


HEADERS = {
    "empty header": (b"", None), "length beyond the file": (b"\0" * 37, struct.pack("<I", 2**32 - 1)), "length 0": (b"\0" * 37, struct.pack("<I", 0)),
    "length 31": (b"\0" * 37, struct.pack("<I", 31)), "cut entry": (b"\0" * 36, None), "unknown type": (b"\x09" + struct.pack("<I", 50) + b"\1" * 32, None),
    "blob beyond the file": (b"\0" + struct.pack("<I", 2**32 - 1) + b"\1" * 32, None), "lengths overflow": ((b"\0" + struct.pack("<I", 2**32 - 1) + b"\1" * 32) * 3, None),
    "blob of length 0": (b"\0" + struct.pack("<I", 0) + b"\1" * 32, None), "no trailer": (b"\0" * 37, b""),
}


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", HEADERS)
def test_pack_with_an_absurd_header(recoup, sound, tmp_path, kind):
    """Known to the index with its true size, so check --read-data has to read the header."""
    made, repo, _ = sound()
    header, trailer = HEADERS[kind]
    sealed = made.key.seal(b"content")
    pack = pack_with_header(made, header, trailer, sealed)
    made.save("index", {"packs": [{"id": pack, "blobs": [{"id": format.sha256(b"content"), "type": "data", "offset": 0, "length": len(sealed)}]}]})
    said = read_everything(recoup, repo, tmp_path, readers=READERS[:4])
    assert said["check --read-data"].code == 1 and pack in said["check --read-data"].everything


@pytest.mark.recoup_only
@pytest.mark.parametrize("claimed", [10, 1 << 20, (1 << 20) - 1, (1 << 32) - 1])
def test_blob_that_unpacks_to_another_length(recoup, sound, tmp_path, claimed):
    """64 MB of zeros behind a claim of less or more."""
    made, repo, _ = sound()
    frame = bomb(64 << 20)
    sealed = made.key.seal(frame)
    name = hashlib.sha256(bytes(64 << 20)).hexdigest()
    entry = struct.pack("<BII", 2, len(sealed), claimed) + bytes.fromhex(name)
    pack = pack_with_header(made, entry, body=sealed)
    made.save("index", {"packs": [{"id": pack, "blobs": [{"id": name, "type": "data", "offset": 0, "length": len(sealed), "uncompressed_length": claimed}]}]})
    writer = made.writer()
    tree = writer.tree([writer.file(b"a", b"aaaa" * 100), format.node(b"bomb", "file", size=64 << 20, content=[name])])
    writer.finish()
    snapshot = made.refresh().save_snapshot(tree)
    result = recoup.run("check", "--read-data", repo=repo, code=1)
    assert pack in result.everything
    result = restore(recoup, repo, snapshot, tmp_path / "out2", code=1)
    assert "bomb" in result.errors and (tmp_path / "out2/a").read_bytes() == b"aaaa" * 100
    recoup.run("dump", snapshot, "/bomb", repo=repo, code=1)
