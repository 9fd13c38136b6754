"""Options of `recoup velero` itself, before and after a subcommand's name."""

from __future__ import annotations

import pytest
from velero_volumes import MadeBucket

from recoup.velero.command import main

pytest_plugins = ["command_fixture"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    made = MadeBucket(tmp_path_factory.mktemp("made") / "bucket", "geheim-pw")
    made.volume("b")
    made.finish("b")
    return made


@pytest.mark.parametrize("arguments", [["backups"], ["describe", "b"], ["volumes"], ["schedules"], ["manifests", "--list"]])
def test_they_mean_the_same_before_and_after(command, made, arguments):
    before = command("--bucket", made.path, "--json", *arguments)
    after = command(*arguments, "--json", "-b", made.path)
    assert before.output.startswith(("{", "[")) and (after.code, after.output) == (before.code, before.output)


def test_what_stands_after_counts_and_several_add_up(command, made, tmp_path):
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    wrong.write_text("wrong-pw\n", encoding="utf-8")
    right.write_text("geheim-pw\n", encoding="utf-8")
    said = command("--bucket", tmp_path / "nothing", "-p", wrong, "ls", "db/data-postgres-0", "--bucket", made.path, "--password-file", right)
    assert said.code == 0 and said.output == "/hello\n", said.errors
    said = command("-p", wrong, "ls", "db/data-postgres-0", "--bucket", made.path)
    assert said.code == 12 and "1 that was given" in said.errors


def test_environment_comes_after_both(command, made, tmp_path):
    assert command("backups", RECOUP_VELERO_BUCKET=str(made.path)).code == 0
    assert command("backups", "-b", made.path, RECOUP_VELERO_BUCKET=str(tmp_path / "nothing")).code == 0
    assert command("backups", RECOUP_VELERO_BUCKET=str(tmp_path / "nothing")).code != 0


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_names_those_that_may_stand_there(command, name):
    said = command(name, "--help")
    told = said.output.rpartition("may stand here, too:")[2]
    assert "--bucket" in told and "--json" in told
    # --namespace is that of objects where objects are chosen: Velero's own cannot be meant there, by no word.
    objects = name in ("manifests", "restore")
    assert ("--namespace" in told) is not objects
    if objects:
        said = command(name, "-n", "db")
        assert said.code == 2 and "-n" in said.errors
