"""A wrong password, no repository, sources and targets that are no good: each has its own clear message and exit code."""

import os
import shutil
import subprocess

import pytest

from support import format, storage, trees
from support.commands import backup, restore
from support.compare import assert_same, listing
from support.programs import Repository
from support.refusals import NOBODY, exit_error
from support.storage import place

# ---- which repository, which password --------------------------------------------------------------------------------

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
    repo = Repository(place(tmp_path / where))
    result = recoup.run(*command, repo=repo, cwd=tmp_path, code=10)
    assert str(repo.path) in result.errors
    assert str(repo.path) in exit_error(recoup.run(*command, "--json", repo=repo, cwd=tmp_path, code=10))
    assert list((tmp_path / "empty").iterdir()) == [] and not (tmp_path / "nowhere").exists()


@pytest.mark.local_only
@pytest.mark.recoup_only
@pytest.mark.parametrize("command", COMMANDS[:3] + [["init"]], ids=lambda c: c[0])
@pytest.mark.parametrize("where", ["a-file", "a-file/below"])
def test_repository_is_a_file(recoup, tmp_path, command, where):
    """Refused at once; restic tries again for 15 minutes."""
    (tmp_path / "a-file").write_text("no directory")
    result = recoup.run(*command, repo=Repository(tmp_path / where), cwd=tmp_path, code=(1, 10), timeout=180)
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


# ---- sources ---------------------------------------------------------------------------------------------------------

def give_to_nobody(*places):
    """A bucket belongs to whoever has its credentials."""
    subprocess.run(["chown", "-R", "65534:65534", *(p for p in places if isinstance(p, os.PathLike))], check=True)


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
    give_to_nobody(stable / "home", repo.path)
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


# ---- targets ---------------------------------------------------------------------------------------------------------

def test_target_that_cannot_be_written(recoup, restic, for_everybody, tmp_path):
    repo, tree = for_everybody
    backup(restic, repo, "tree", cwd=tree.parent)
    give_to_nobody(tree.parent / "home", repo.path)
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


@pytest.mark.local_only
def test_init_where_nothing_can_be_written(recoup, for_everybody):
    repo, tree = for_everybody
    result = recoup.run("init", repo=Repository(tree.parent / "new"), wrap=NOBODY, code=1)
    assert "permission denied" in result.errors.lower()
    assert not (tree.parent / "new").exists()


def test_init_twice(recoup, restic, tmp_path, repo):
    before = storage.read_all(repo.path)
    result = recoup.run("init", repo=repo, code=1)
    assert "already" in result.errors
    assert "already" in exit_error(recoup.run("init", "--json", repo=repo, code=1))
    for leftover in ("config", "keys"):  # half a repository is none, but not to be overwritten either
        half = Repository(place(tmp_path / f"half-{leftover}"))
        storage.copy_tree(repo.path, half.path)
        storage.remove_tree(half.path / "keys") if leftover == "config" else (half.path / "config").unlink()
        theirs = restic.run("init", repo=half, code=None)
        recoup.run("init", repo=half, code=theirs.code)
    assert storage.read_all(repo.path) == before


def test_dump_to_a_target_that_cannot_be_written(recoup, repo, small_tree, tmp_path):
    backup(recoup, repo, "small", cwd=tmp_path)
    result = recoup.run("dump", "latest", "/small/d0/f0", "--target", tmp_path / "no/where", repo=repo, code=1)
    assert "no/where" in result.errors
