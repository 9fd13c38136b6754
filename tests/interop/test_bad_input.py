"""Bad input gets a clear message and its own exit code, and a hostile repository touches nothing outside the target.

Much of it is recoup's alone: on the same input restic 0.19.1 panics, hangs, or changes files outside the target.
"""

import hashlib
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import tarfile

import pytest

from support import format, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same, listing
from support.programs import PASSWORD, Repository, stand_in
from support.trees import noise, write

#: what an ordinary run needs and a few gigabytes more
LITTLE_MEMORY = ["sh", "-c", 'ulimit -v 4000000; exec "$@"', "sh"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def exit_error(result):
    """The one JSON message that tells why; it repeats the exit code."""
    (message,) = [m for m in result.json_errors() if m.get("message_type") == "exit_error"]
    assert message["code"] == result.code and message["message"].strip()
    return message["message"]


# ---- which repository, which password ------------------------------------------------------------------------------------

COMMANDS = [["snapshots"], ["backup", "."], ["restore", "latest", "--target", "out"], ["check"], ["ls", "latest"], ["stats"], ["key", "list"],
            ["list", "packs"], ["cat", "config"], ["find", "x"], ["dump", "latest", "/"], ["diff", "a", "b"], ["unlock"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_wrong_password(recoup, repo, tmp_path, command):
    env = {"RESTIC_PASSWORD": "falsch"}
    result = recoup.run(*command, repo=repo, cwd=tmp_path, env=env, code=12)
    assert "password" in result.errors
    assert result.text == "" or command == ["check"]
    assert "password" in exit_error(recoup.run(*command, "--json", repo=repo, cwd=tmp_path, env=env, code=12))
    assert repo.ids("locks") == set() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
@pytest.mark.parametrize("where", ["nowhere", "empty"])
def test_no_repository(recoup, tmp_path, command, where):
    (tmp_path / "empty").mkdir()
    repo = Repository(tmp_path / where)
    result = recoup.run(*command, repo=repo, cwd=tmp_path, code=10)
    assert str(repo.path) in result.errors
    assert str(repo.path) in exit_error(recoup.run(*command, "--json", repo=repo, cwd=tmp_path, code=10))
    assert list((tmp_path / "empty").iterdir()) == [] and not (tmp_path / "nowhere").exists()


@pytest.mark.recoup_only
@pytest.mark.parametrize("command", COMMANDS[:3] + [["init"]], ids=lambda c: c[0])
@pytest.mark.parametrize("where", ["a-file", "a-file/below"])
def test_repository_is_a_file(recoup, tmp_path, command, where):
    """Refused at once; restic tries again for 15 minutes."""
    (tmp_path / "a-file").write_text("no directory")
    result = recoup.run(*command, repo=Repository(tmp_path / where), cwd=tmp_path, code=(1, 10), timeout=20)
    assert "a-file" in result.errors


def test_repository_not_given(recoup, restic):
    for args in (["snapshots"], ["backup", "."], ["init"], ["check", "--json"]):
        theirs = restic.run(*args, env={"RESTIC_PASSWORD": "x"}, code=None)
        ours = recoup.run(*args, env={"RESTIC_PASSWORD": "x"}, code=theirs.code)
        assert "repository" in ours.errors.lower()


@pytest.mark.parametrize("args, env", [
    ([], {}), (["--password-file", "missing"], {}), (["--password-command", "false"], {}), (["--password-command", "no-such-program"], {}),
    (["--password-command", ""], {}), ([], {"RESTIC_PASSWORD": ""}), (["--insecure-no-password"], {"RESTIC_PASSWORD": "x"}),
    (["--insecure-no-password"], {}), (["--password-file", "empty"], {}), ([], {"RESTIC_PASSWORD_FILE": "missing"}),
    (["--password-command", "printf geheim", "--password-file", "empty"], {}), (["--password-command", "sh -c 'exit 3'"], {}),
    (["--password-command", "echo 'unclosed"], {}),
])
def test_password_not_to_be_had(recoup, restic, repo, tmp_path, args, env):
    (tmp_path / "empty").write_text("")
    env = {"RESTIC_PASSWORD": None} | env
    theirs = restic.run("snapshots", *args, repo=repo, env=env, cwd=tmp_path, code=None)
    assert theirs.code != 0
    ours = recoup.run("snapshots", *args, repo=repo, env=env, cwd=tmp_path, code=theirs.code)
    assert "password" in ours.errors.lower()


def test_unknown_commands_and_flags(recoup, restic, repo):
    for args in (["nonsense"], ["snapshots", "--nonsense"], ["backup"], ["restore"], ["cat"], ["cat", "nonsense"], ["list"], ["list", "nonsense"],
                 ["key"], ["find"], ["dump", "latest"], ["diff", "latest"], ["ls"], ["stats", "--mode=nonsense"],
                 ["init", "--repository-version=3"], ["init", "--repository-version=x"], ["backup", ".", "--compression=most"],
                 ["backup", ".", "--pack-size=3"], ["backup", ".", "--pack-size=129"], ["backup", ".", "--read-concurrency=x"],
                 ["backup", ".", "--time=yesterday"], ["snapshots", "--latest=x"], ["snapshots", "--group-by=size"], ["backup", ".", "--group-by=x"],
                 ["ls", "latest", "--sort=x"], ["dump", "latest", "/", "--archive=rar"], ["backup", ".", "--stdin", "--files-from=-"],
                 ["backup", "--stdin", "x"], ["backup", "--stdin-from-command"], ["cache", "x"], ["version", "x"], ["unlock", "x"],
                 ["snapshots", "--json=maybe"], ["snapshots", "-v", "-q"], ["backup", ".", "--parent=0000"]):
        theirs = restic.run(*args, repo=repo, code=None)
        ours = recoup.run(*args, repo=repo, code=None)
        assert (ours.code == 0) == (theirs.code == 0), f"{args}: {ours}\n{theirs}"
        if theirs.code and theirs.code != 1:
            assert ours.code == theirs.code
        if theirs.code:
            assert ours.errors.strip(), args
    assert len(repo.ids("snapshots")) == len(format.Repo(repo.path).names("snapshots"))


# ---- sources ---------------------------------------------------------------------------------------------------------------

@pytest.fixture
def for_everybody(stable, new_repo, recoup, restic):
    """Executables, a repository and a tree that an ordinary user can reach; some of the tree it cannot read."""
    for program in (recoup, restic):
        shutil.copy2(program.path, stable / program.name)
        program.path, program.home = stable / program.name, stable / "home"
    (stable / "home").mkdir()
    repo = new_repo(where=stable)
    tree = trees.small_tree(stable / "tree")
    (tree / "d1/f1").chmod(0o000)
    (tree / "d2").chmod(0o000)
    (tree / "d3").chmod(0o711)
    (tree / "d0/f4").chmod(0o200)
    os.utime(stable, ns=(1, 1_500_000_000_000_000_000))
    subprocess.run(["chown", "-R", "65534:65534", repo.path, stable / "home"], check=True)
    return repo, tree


def test_unreadable_sources(recoup, restic, for_everybody, tmp_path):
    """Exit code 3, a message for each, and a snapshot of all the rest: the same one that restic makes."""
    repo, tree = for_everybody
    made = {}
    for program in (restic, recoup):
        result = program.run("backup", "tree", "--json", "--host=interop", "--force", repo=repo, cwd=tree.parent, wrap=NOBODY, code=3)
        items = sorted(m["item"] for m in result.messages("error") if m["during"] == "archival")
        assert [os.path.basename(i) for i in items] == ["f4", "f1", "d2", "d3"], result
        assert all(m["error"]["message"] and m["during"] in ("archival", "scan") for m in result.messages("error"))
        assert exit_error(result)
        made[program.name] = [os.path.basename(i) for i in items], result.summary
        stored = format.Repo(repo.path).load("snapshots", result.summary["snapshot_id"])
        made[program.name + " tree"] = stored["tree"]
        assert stored["username"] == "nobody" and stored["uid"] == stored["gid"] == 65534
    assert made["recoup"][0] == made["restic"][0] and made["recoup tree"] == made["restic tree"]
    for key in ("files_new", "dirs_new", "total_files_processed", "total_bytes_processed"):
        assert made["recoup"][1][key] == made["restic"][1][key]
    paths = {e.path for e in format.Repo(repo.path).walk(made["recoup tree"])}
    assert b"/tree/d0/f0" in paths and b"/tree/d1/f5" in paths and b"/tree/d1/f1" not in paths
    result = recoup.run("backup", "tree", repo=repo, cwd=tree.parent, wrap=NOBODY, code=3)
    assert "d1/f1" in result.errors and "permission denied" in result.errors.lower() and "snapshot" in result.text
    # root reads what was missing
    again = backup(recoup, repo, "tree", cwd=tree.parent)
    restore(restic, repo, again.id, tmp_path / "out")
    assert_same(tree, tmp_path / "out/tree")


def test_missing_sources(recoup, restic, repo, small_tree, tmp_path):
    for targets, code in ((["small", "missing"], 3), (["missing"], 1), (["missing", "also-missing"], 1), (["small/d0", "missing", "small/d1"], 3),
                          ([""], 1), (["small", ""], 3), (["small/d0/f0/below"], 1)):
        theirs = restic.run("backup", *targets, repo=repo, cwd=tmp_path, code=None)
        result = recoup.run("backup", *targets, repo=repo, cwd=tmp_path, code=theirs.code)
        assert "missing" in result.errors or "missing" not in targets
        ours = recoup.run("backup", *targets, "--json", repo=repo, cwd=tmp_path, code=theirs.code)
        if theirs.code == 3:
            assert len(ours.summary["snapshot_id"]) == 64
        assert theirs.code in (code, 0, 1, 3)


def test_command_that_fails_makes_no_snapshot(recoup, repo):
    for command in (["sh", "-c", "echo half a dump; exit 1"], ["no-such-program"], ["sh", "-c", "kill -9 $$"]):
        result = recoup.run("backup", "--stdin-from-command", "--", *command, repo=repo, code=1)
        assert result.errors.strip()
        assert repo.ids("snapshots") == set() and repo.ids("locks") == set()


def test_parent_that_does_not_exist(recoup, repo, small_tree):
    result = recoup.run("backup", small_tree, "--parent=00000000", repo=repo, code=1)
    assert "00000000" in result.errors and repo.ids("snapshots") == set()


# ---- targets ----------------------------------------------------------------------------------------------------------------

def test_target_that_cannot_be_written(recoup, restic, for_everybody, tmp_path):
    repo, tree = for_everybody
    backup(restic, repo, "tree", cwd=tree.parent)
    subprocess.run(["chown", "-R", "65534:65534", repo.path, tree.parent / "home"], check=True)
    locked_up = tree.parent / "locked-up"
    locked_up.mkdir(mode=0o755)
    before = listing(tree.parent / "locked-up")
    result = restore(recoup, repo, "latest", locked_up / "out", wrap=NOBODY, code=1)
    assert "permission denied" in result.errors.lower() and "locked-up" in result.errors
    result = restore(recoup, repo, "latest", locked_up, wrap=NOBODY, code=1)
    assert "permission denied" in result.errors.lower()
    assert listing(locked_up).keys() == before.keys()
    (tmp_path / "file").write_text("in the way")
    for target in ("file", "file/below"):
        result = restore(recoup, repo, "latest", tmp_path / target, code=1)
        assert "file" in result.errors and (tmp_path / "file").read_text() == "in the way"
    assert repo.ids("locks") == set()


def test_init_where_nothing_can_be_written(recoup, for_everybody):
    repo, tree = for_everybody
    result = recoup.run("init", repo=Repository(tree.parent / "new"), wrap=NOBODY, code=1)
    assert "permission denied" in result.errors.lower()
    assert not (tree.parent / "new").exists()


def test_init_twice(recoup, restic, tmp_path, repo):
    before = {name: (repo.path / name).read_bytes() for name in repo.files()}
    result = recoup.run("init", repo=repo, code=1)
    assert "already" in result.errors
    assert "already" in exit_error(recoup.run("init", "--json", repo=repo, code=1))
    for leftover in ("config", "keys"):  # half a repository is none, but not to be overwritten either
        half = Repository(tmp_path / f"half-{leftover}")
        shutil.copytree(repo.path, half.path)
        shutil.rmtree(half.path / "keys") if leftover == "config" else (half.path / "config").unlink()
        theirs = restic.run("init", repo=half, code=None)
        recoup.run("init", repo=half, code=theirs.code)
    assert {name: (repo.path / name).read_bytes() for name in repo.files()} == before


def test_dump_to_a_target_that_cannot_be_written(recoup, repo, small_tree, tmp_path):
    backup(recoup, repo, "small", cwd=tmp_path)
    result = recoup.run("dump", "latest", "/small/d0/f0", "--target", tmp_path / "no/where", repo=repo, code=1)
    assert "no/where" in result.errors


# ---- config and keys ---------------------------------------------------------------------------------------------------------

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
    made = format.Repo.create(tmp_path / "repo")
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
    made = format.Repo.create(tmp_path / "repo")
    made.write_config(raw)
    result = recoup.run("snapshots", repo=Repository(made.path), code=1)
    assert "config" in result.errors.lower() and len(result.errors) < 5000


def test_unknown_keys_in_the_config_are_tolerated(recoup, restic, tmp_path):
    """Other programs keep settings there."""
    extra = {"compression": 3, "append_only": False, "is_hot": None, "treepack_size": 4194304, "nested": {"a": [1, 2, {"b": "c"}]}}
    made = format.Repo.create(tmp_path / "repo", config=extra)
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
    made = format.Repo.create(tmp_path / "repo")
    repo = Repository(made.path)
    (name,) = repo.ids("keys")
    value = json.loads((made.path / "keys" / name).read_bytes()) | KEYS[kind]
    raw = json.dumps(value).encode()
    (made.path / "keys" / name).unlink()
    new = format.sha256(raw)
    (made.path / "keys" / new).write_bytes(raw)
    result = recoup.run("snapshots", repo=repo, code=(1, 12), timeout=20, wrap=LITTLE_MEMORY)
    assert new[:8] in result.errors or "key" in result.errors


@pytest.mark.recoup_only
@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[]", b"\xff" * 500, b"{" * 200_000, b'{"kdf":"scrypt"}'], ids=range(7))
def test_key_that_is_no_json(recoup, tmp_path, raw):
    made = format.Repo.create(tmp_path / "repo")
    repo = Repository(made.path)
    for name in repo.ids("keys"):
        (made.path / "keys" / name).unlink()
    new = format.sha256(raw)
    (made.path / "keys" / new).write_bytes(raw)
    result = recoup.run("snapshots", repo=repo, code=(1, 12))
    assert new[:8] in result.errors or "key" in result.errors


# ---- index, snapshot, pack: sealed with the right key, and wrong --------------------------------------------------------------

#: no crash, no other code than these: recoup says what is wrong
TOLERABLE = (0, 1)
READERS = [["check"], ["check", "--read-data"], ["snapshots", "--json"], ["ls", "latest"], ["stats"], ["find", "*"], ["list", "blobs"], ["list", "index"],
           ["dump", "latest", "/"], ["restore", "latest", "--target", "out"], ["stats", "--mode=raw-data"], ["diff", "latest", "latest"],
           ["snapshots"], ["ls", "--long", "--json", "--recursive", "latest"], ["backup", "/etc/hostname"], ["stats", "--mode=files-by-contents"]]


def read_everything(recoup, repo, tmp_path, codes=TOLERABLE, readers=READERS):
    """Runs all reading commands; returns what check said. None may crash, hang or write outside its target."""
    said = {}
    for command in readers:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        result = recoup.run(*command, "--no-cache", repo=repo, cwd=tmp_path, code=codes, timeout=60)
        assert result.code == 0 or result.errors.strip(), result
        said[" ".join(command)] = result
    return said


@pytest.fixture
def sound(tmp_path):
    """sound(version=2): a small repository written by our own writer, with one snapshot of three files."""
    def make(version=2):
        made = format.Repo.create(tmp_path / "sound", version)
        writer = made.writer()
        tree = writer.tree([writer.file(b"a", b"aaaa" * 100), writer.folder(b"d", [writer.file(b"b", b"bb")]), writer.file(b"z", b"zzz" * 50)])
        writer.finish()
        made.save_snapshot(tree)
        return made, Repository(made.path, version), tree
    return make


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
        recoup.run(*command, repo=repo, code=TOLERABLE, timeout=100, wrap=LITTLE_MEMORY)


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


# ---- hostile trees -------------------------------------------------------------------------------------------------------------

@pytest.fixture
def hostile(tmp_path, recoup):
    """hostile(nodes): a snapshot of a tree made by `nodes(writer)`; restored by recoup it may touch nothing but its target.

    Around the target lie files that an attack would hit. Returns the result and the target.
    """
    made = format.Repo.create(tmp_path / "hostile")
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
        result = restore(recoup, repo, snapshot, target, *args, code=code, timeout=100)
        assert state() == before, result
        assert not os.path.lexists("/tmp/recoup-escaped")
        if others:
            for command in (["ls", "--recursive", snapshot], ["find", "*ictim*"], ["stats", snapshot], ["diff", snapshot, snapshot], ["check"],
                            ["ls", "--json", "--long", snapshot], ["cat", "tree", snapshot], ["restore", snapshot, "--target", target, "--delete"],
                            ["restore", snapshot, "--target", target, "--overwrite=if-newer", "--sparse"]):
                again = recoup.run(*command, repo=repo, code=(0, 1), timeout=100)
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
    made = format.Repo.create(tmp_path / "repo")
    writer = made.writer()
    tree = writer.tree([writer.file(b"bottom", b"bottom")])
    for _ in range(depth):
        tree = writer.tree([format.node(b"d", "dir", subtree=tree), writer.file(b"f", b"beside")])
    writer.finish()
    snapshot = made.save_snapshot(tree)
    repo = Repository(made.path)
    recoup.run("check", repo=repo, timeout=100)
    listed = recoup.run("ls", "--recursive", snapshot, repo=repo, timeout=100)
    assert "/d/d/d/d/f" in listed.text
    target = tmpfs("memory", "size=200m")  # unmounted in the end: removing 10,000 levels takes rm half a minute
    result = restore(recoup, repo, snapshot, target / "out", code=(0, 1), timeout=100)
    path = target / "out"
    for _ in range(min(depth - 1, 1000)):
        path /= "d"
    assert (path / "f").read_bytes() == b"beside"
    for command in (["stats", snapshot], ["find", "bottom"], ["diff", snapshot, snapshot]):
        recoup.run(*command, repo=repo, code=(0, 1), timeout=100)
    if not stand_in() or depth == 100:
        assert result.code == 0 and int(subprocess.run(["find", target, "-name", "f", "-printf", "x"], capture_output=True).stdout.count(b"x")) == depth


@pytest.mark.recoup_only
def test_wide_tree_shared_many_times(recoup, tmp_path):
    """Ten levels of ten references to the same subtree: 10^10 paths in eleven small blobs. Commands that need not walk them must not."""
    made = format.Repo.create(tmp_path / "repo")
    writer = made.writer()
    tree = writer.tree([writer.file(b"f", b"x")])
    for _ in range(10):
        tree = writer.tree([format.node(b"%d" % n, "dir", subtree=tree) for n in range(10)])
    writer.finish()
    snapshot = made.save_snapshot(tree)
    repo = Repository(made.path)
    recoup.run("check", "--read-data", repo=repo, timeout=20)
    recoup.run("stats", "--mode=raw-data", repo=repo, timeout=20)
    assert recoup.run("ls", snapshot, "/0", repo=repo, timeout=20).text.strip()
    recoup.run("diff", snapshot, snapshot, repo=repo, timeout=20)
    (tmp_path / "f").write_text("x")
    recoup.run("backup", "f", "--parent", snapshot, repo=repo, cwd=tmp_path, timeout=20)


def test_backup_on_top_of_a_hostile_parent(recoup, restic, tmp_path, small_tree):
    """The parent's trees only say what is unchanged: whatever they claim, the new snapshot holds what is on the disk."""
    made = format.Repo.create(tmp_path / "repo")
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
