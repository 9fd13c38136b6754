"""`recoup engine` on repositories, judged by real restic, in directories and in a bucket."""

import concurrent.futures
import os
import signal
import time

import pytest

from support import format, storage
from support.commands import backup
from support.engine import Engine, Refused
from support.programs import PASSWORD
from support.storage import place

pytestmark = pytest.mark.recoup_only

SECOND = "zweites-geheimnis"


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_path) as made:
        yield made


def s3_of(path) -> dict:
    """The parameter `s3` for a place: nothing for a directory."""
    if not storage.is_bucket():
        return {}
    server = path.server
    return {"s3": {"access_key": server.root.access_key, "secret_key": server.root.secret_key}}


def about(path, password=PASSWORD, **more) -> dict:
    return s3_of(path) | {"repository": {"location": str(path), "password": password, "no_cache": True}} | more


def refused(engine, method, code, attribute=None, **params):
    with pytest.raises(Refused) as why:
        engine.call(method, **params)
    assert why.value.code == code, why.value
    assert why.value.attribute == attribute, why.value
    return why.value


def test_created_and_used_by_restic(engine, restic, new_repo, tmp_path, small_tree):
    repo = new_repo()
    made_at = place(tmp_path / "made")
    made = engine.call("repository.create", **about(made_at))
    assert made["created"] and made["exists"] and made["version"] == 2 and made["locks"] == 0
    again = engine.call("repository.create", **about(made_at))
    assert again == made | {"created": False}
    here = type(repo)(made_at, 2)
    assert restic.run("cat", "config", repo=here).json()["id"] == made["id"]
    backup(restic, here, small_tree)
    restic.run("check", repo=here)
    found = engine.call("repository.get", **about(made_at))
    assert found["id"] == made["id"] and [key["current"] for key in found["keys"]] == [True]
    assert [each["id"] for each in restic.run("key", "list", "--json", repo=here).json()] == [found["keys"][0]["id"]]


def test_version_1_and_the_chunker_parameters_of_another(engine, restic, repo, tmp_path):
    where = place(tmp_path / "old")
    made = engine.call("repository.create", **about(where, version=1, copy_chunker_parameters_from=about(repo.path)["repository"]))
    assert made["created"] and made["version"] == 1 and "chunker_polynomial" not in made
    theirs = restic.run("cat", "config", repo=repo).json()
    ours = restic.run("cat", "config", repo=type(repo)(where, 1)).json()
    assert ours["version"] == 1 and ours["chunker_polynomial"] == theirs["chunker_polynomial"]


def test_snapshots_files_and_stats_are_the_commands(engine, recoup, restic, repo, small_tree):
    backup(restic, repo, small_tree, "--tag", "a,b", "--host", "one")
    backup(recoup, repo, small_tree, "--tag", "c", "--host", "two")
    everything = engine.call("snapshots.list", **about(repo.path))["snapshots"]
    assert everything == recoup.run("snapshots", "--json", repo=repo).json()
    assert [each["hostname"] for each in engine.call("snapshots.list", filter={"hosts": ["two"]}, **about(repo.path))["snapshots"]] == ["two"]
    assert [each["hostname"] for each in engine.call("snapshots.list", filter={"tags": ["a,b"]}, **about(repo.path))["snapshots"]] == ["one"]
    assert engine.call("snapshots.list", filter={"paths": ["/none"]}, **about(repo.path))["snapshots"] == []
    assert len(engine.call("snapshots.list", latest=1, **about(repo.path))["snapshots"]) == 2

    lines = recoup.run("ls", "latest", "--json", repo=repo).json_lines()
    listed = engine.call("snapshots.files", snapshot="latest", **about(repo.path))
    assert listed["files"] == lines[1:] and not listed["truncated"]
    assert listed["snapshot"]["id"] == lines[0]["id"]
    few = engine.call("snapshots.files", snapshot="latest", limit=2, **about(repo.path))
    assert few["files"] == lines[1:3] and few["truncated"]
    refused(engine, "snapshots.files", "not_found", "snapshot", snapshot="abcdef", **about(repo.path))
    for mode in ("restore-size", "raw-data", "files-by-contents", "blobs-per-file"):
        assert engine.call("repository.stats", mode=mode, **about(repo.path)) == recoup.run("stats", "--json", "--mode", mode, repo=repo).json()
    assert repo.ids("locks") == set()


def test_keys(engine, restic, repo):
    added = engine.call("key.add", new_password=SECOND, user="u", host="h", **about(repo.path))["id"]
    second = type(repo)(repo.path, repo.version, SECOND)
    listed = restic.run("key", "list", "--json", repo=second).json()
    assert any(each["current"] and each["userName"] == "u" and added.startswith(each["id"]) for each in listed)
    first = next(key["id"] for key in engine.call("repository.get", **about(repo.path))["keys"] if key["current"])
    refused(engine, "key.remove", "invalid_argument", "id", id=first, **about(repo.path))
    assert engine.call("key.remove", id=first, **about(repo.path, SECOND)) == {"removed": True}
    assert engine.call("key.remove", id=first, **about(repo.path, SECOND)) == {"removed": False}
    restic.run("snapshots", repo=repo, code=12)
    changed = engine.call("key.change_password", new_password="drittes", **about(repo.path, SECOND))
    assert changed["changed"]
    assert engine.call("key.change_password", new_password="drittes", **about(repo.path, SECOND)) == changed | {"changed": False}
    restic.run("snapshots", repo=second, code=12)
    restic.run("snapshots", repo=type(repo)(repo.path, repo.version, "drittes"))
    assert repo.ids("locks") == set()


def test_locks_of_others_are_respected(engine, restic, repo, small_tree):
    backup(restic, repo, small_tree)
    config = engine.call("repository.get", **about(repo.path))
    lock = format.Repo(repo.path, PASSWORD).save_lock(os.getpid())
    before = repo.files()
    assert engine.call("repository.get", **about(repo.path))["locks"] == 1
    assert refused(engine, "repository.delete", "locked", confirm_id=config["id"], **about(repo.path)).exit_code == 11
    refused(engine, "key.remove", "locked", id="0" * 64, **about(repo.path))
    assert repo.files() == before and repo.ids("locks") == {lock}
    assert len(engine.call("snapshots.list", **about(repo.path))["snapshots"]) == 1


def test_deleted_with_nothing_else(engine, restic, repo, small_tree):
    backup(restic, repo, small_tree)
    (repo.path / "neighbour").write_bytes(b"not a part of it")
    (repo.path / "data" / "notes").write_bytes(b"nor this")
    found = engine.call("repository.get", **about(repo.path))
    before = len(repo.files())
    refused(engine, "repository.delete", "invalid_argument", "confirm_id", **about(repo.path))
    refused(engine, "repository.delete", "invalid_argument", "confirm_id", confirm_id="0" * 64, **about(repo.path))
    refused(engine, "repository.delete", "wrong_password", "repository.password", confirm_id=found["id"], **about(repo.path, "falsch"))
    assert len(repo.files()) == before
    assert engine.call("repository.delete", confirm_id=found["id"], **about(repo.path)) == {"objects": before - 2}
    assert set(repo.files()) == {"neighbour", "data/notes"}
    assert engine.call("repository.get", **about(repo.path)) == {"exists": False}
    assert engine.call("repository.delete", confirm_id=found["id"], **about(repo.path)) == {"objects": 0}
    made = engine.call("repository.create", **about(repo.path))
    assert made["created"] and made["id"] != found["id"]


@pytest.mark.parametrize("kept", ["config", "keys"])
def test_an_interrupted_removal_is_done_again(engine, restic, repo, small_tree, kept):
    """The last steps: what went before is gone, config and keys, or keys alone, are there."""
    backup(restic, repo, small_tree)
    found = engine.call("repository.get", **about(repo.path))
    for name in repo.files():
        if not name.startswith("keys/") and not (kept == "config" and name == "config"):
            (repo.path / name).unlink()
    engine.call("repository.delete", confirm_id=found["id"], **about(repo.path))
    assert repo.files() == {}


def test_an_interrupted_creation_is_completed(engine, restic, repo):
    """The key was stored and the config was not."""
    (repo.path / "config").unlink()
    refused(engine, "repository.create", "wrong_password", "repository.password", **about(repo.path, "falsch"))
    made = engine.call("repository.create", **about(repo.path))
    assert made["created"] and len(made["keys"]) == 1
    assert restic.run("cat", "config", repo=repo).json()["id"] == made["id"]


def test_a_lost_config_is_no_empty_place(engine, restic, repo, small_tree):
    backup(restic, repo, small_tree)
    (repo.path / "config").unlink()
    before = repo.files()
    refused(engine, "repository.create", "damaged", None, **about(repo.path))
    refused(engine, "repository.delete", "damaged", "force", confirm_id="0" * 64, **about(repo.path))
    assert repo.files() == before
    engine.call("repository.delete", force=True, **about(repo.path))
    assert repo.files() == {}


def test_wrong_password_and_none(engine, repo):
    assert refused(engine, "repository.get", "wrong_password", "repository.password", **about(repo.path, "falsch")).exit_code == 12
    assert refused(engine, "repository.create", "wrong_password", "repository.password", **about(repo.path, "falsch")).exit_code == 12
    bare = s3_of(repo.path) | {"repository": {"location": str(repo.path)}}
    assert engine.call("repository.get", **bare) == {"exists": True}
    refused(engine, "snapshots.list", "invalid_argument", "repository.password", **bare)


def test_passwords_by_file_and_command(engine, repo, tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    base = {"location": str(repo.path), "no_cache": True}
    by_file = engine.call("repository.get", **s3_of(repo.path), repository=base | {"password_file": str(tmp_path / "password")})
    by_command = engine.call("repository.get", **s3_of(repo.path), repository=base | {"password_command": f"cat {tmp_path / 'password'}"})
    assert by_file == by_command and by_file["exists"]


def test_no_secret_is_seen_anywhere(engine, repo, tmp_path):
    """Searched for by value: in answers, on stderr, in /proc."""
    secrets = [PASSWORD, SECOND, "a-secret-key-in-a-request"]
    engine.call("repository.get", **about(repo.path))
    engine.call("key.add", new_password=SECOND, **about(repo.path))
    refused(engine, "repository.get", "wrong_password", "repository.password", **about(repo.path, SECOND + "-not"))
    refused(engine, "bucket.get", "unreachable", "s3.endpoint", bucket="abc",
            s3={"endpoint": "http://127.0.0.1:1", "access_key": "a", "secret_key": secrets[2], "session_token": secrets[2]})
    for line in ('{"v":1,"id":"x","method":"repository.get","params":{"repository":{"password":"%s"' % PASSWORD,
                 '{"v":1,"id":"x","method":"repository.get","params":{"repository":{"password":"%s"}}}' % PASSWORD,
                 '{"v":1,"id":"x","method":"repository.get","params":{"repository":{"password":["%s"],"location":"/x"}}}' % PASSWORD,
                 '{"v":1,"id":"x","method":"repository.get","params":{"repository":{"location":"s3:http://u:%s@127.0.0.1:1/abc","password":"%s"}}}' % (PASSWORD, PASSWORD)):
        engine.send(line)
        assert engine.read()["type"] == "error"
    pid = engine.process.pid
    seen = engine.output + engine.errors().encode()
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            seen += file.read()
    for secret in secrets:
        assert secret.encode() not in seen


def memory_of(pid: int) -> bytes:
    """All that the process can write to, as far as it may be read."""
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(each, 16) for each in span.split("-"))
            if not rights.startswith("rw") or end - start > 1 << 28:
                continue
            try:
                memory.seek(start)
                found += memory.read(end - start)
            except OSError:
                continue
    return found


@pytest.mark.local_only
def test_secrets_do_not_stay_in_memory(engine, repo):
    secret = "only-in-this-one-request-7731"
    refused(engine, "repository.get", "wrong_password", "repository.password", **about(repo.path, secret))
    assert secret.encode() not in memory_of(engine.process.pid)


def test_several_engines_at_once(repo, tmp_path):
    """Each adds a key; none gets in the way of another, and all keys are there."""
    def add(number: int) -> str:
        with Engine(tmp_path) as one:
            return one.call("key.add", new_password=f"password-{number}", **about(repo.path))["id"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        added = list(pool.map(add, range(4)))
    with Engine(tmp_path) as last:
        assert {key["id"] for key in last.call("repository.get", **about(repo.path))["keys"]} >= set(added)


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ended_in_the_middle_of_a_request(engine, restic, recoup, repo, number, code, small_tree, tmp_path):
    """A removal that is stopped while it runs is done again to the end, and the lock does not stay for ever."""
    backup(restic, repo, small_tree)
    found = engine.call("repository.get", **about(repo.path))
    engine.ask("repository.delete", confirm_id=found["id"], **about(repo.path))
    time.sleep(0.7)
    os.kill(engine.process.pid, number)
    assert engine.process.wait(30) == code
    if engine.process.returncode == -signal.SIGKILL and "config" in repo.files():
        recoup.run("unlock", "--remove-all", repo=repo)
    with Engine(tmp_path) as again:
        again.call("repository.delete", confirm_id=found["id"], **about(repo.path))
    assert {name for name in repo.files() if not name.startswith("locks/")} == set()


def test_long_lines_and_bad_ones_between_good_ones(engine, repo):
    for line in (b"", b"x" * (5 << 20), b"{" * 100_000, b"\xff\xfe", b'{"v":1,"id":"1","method":"repository.get","params":{"a":' + b"[" * 2000):
        engine.send(line)
        if line:
            assert engine.read()["type"] == "error"
    assert engine.call("repository.get", **about(repo.path))["exists"]
    assert engine.finish() == 0
