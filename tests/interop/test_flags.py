"""Every command and every flag that restic's help lists is listed by recoup's, means the same kind of thing, and is taken.

The list of commands comes from restic itself. What recoup lacks stands in MISSING and nowhere else: a command of that list which
exists fails the test until it is taken out, and from then on its flags are compared like all others.
"""

from __future__ import annotations

import shutil

import pytest

from support import command_help, programs

#: commands of restic that recoup does not have yet
MISSING: set[str] = set()

#: flags of restic that recoup does not list, with the reason: none
LEFT_OUT: dict[tuple[str, ...], set[str]] = {}

#: flags whose value is checked before the command looks at anything else
VALUES = {"compression": "max", "pack-size": "16", "retry-lock": "5m", "stuck-request-timeout": "5m", "limit-upload": "1000", "limit-download": "1000",
          "option": "local.connections=2", "read-concurrency": "2", "latest": "1", "max-age": "30", "group-by": "host", "sort": "name", "mode": "raw-data",
          "archive": "tar", "overwrite": "always", "repository-version": "2", "read-data-subset": "1/2", "exclude-larger-than": "1M", "verbose": "1",
          "keep-last": "1", "keep-hourly": "1", "keep-daily": "1", "keep-weekly": "1", "keep-monthly": "1", "keep-yearly": "1", "max-unused": "5%", "max-repack-size": "1G",
          "repack-smaller-than": "1M", "time-template": "2006", "path-template": "ids/%i"} | {f"keep-within{part}": "1d" for part in ("", "-hourly", "-daily", "-weekly", "-monthly", "-yearly")}

pytestmark = pytest.mark.storage_blind


def _commands() -> list[tuple[str, ...]]:
    """restic's commands; none where restic is missing, which ends the session anyway."""
    path = programs.restic().path
    return command_help.all_commands(programs.restic()) if shutil.which(path) else []


RESTICS = _commands()
SHARED = [command for command in RESTICS if command[0] not in MISSING]
NAMES = [" ".join(command) for command in SHARED]


def test_what_is_missing_is_missing(recoup):
    """MISSING is exactly what restic has and recoup lacks: whoever builds a command takes it out of the list."""
    ours = set(command_help.all_commands(recoup))
    assert len(RESTICS) > 25
    assert {command[0] for command in RESTICS if command not in ours} == MISSING


@pytest.mark.parametrize("command", SHARED, ids=NAMES)
def test_flags_are_listed(recoup, restic, command):
    theirs, ours = command_help.flags_of(restic, *command), command_help.flags_of(recoup, *command)
    assert len(theirs) > 25  # the global ones at least
    left_out = LEFT_OUT.get(command, set())
    assert left_out <= theirs.keys() - ours.keys()
    for name, flag in theirs.items():
        if name in left_out:
            continue
        assert name in ours, f"--{name} is not listed"
        assert ours[name].short == flag.short, name
        assert bool(ours[name].value) == bool(flag.value), name


@pytest.mark.parametrize("command", SHARED, ids=NAMES)
def test_flags_are_taken(recoup, restic, command):
    """By each of their names. `--help` ends the command before it does anything."""
    for name, flag in command_help.flags_of(restic, *command).items():
        if name in LEFT_OUT.get(command, set()) | {"help"}:
            continue
        value = VALUES.get(name, "x")
        spellings = [[f"--{name}={value}"], [f"--{name}", value]] if flag.value else [[f"--{name}"], [f"--{name}={'1' if name == 'verbose' else 'true'}"]]
        if flag.short:
            spellings += [[f"-{flag.short}", value], [f"-{flag.short}{value}"]] if flag.value else [[f"-{flag.short}"]]
        for spelling in spellings:
            restic.run(*command, *spelling, "--help")
            said = recoup.run(*command, *spelling, "--help").text
            assert f"recoup {' '.join(command)}" in said, spelling


def test_usage_lines(recoup, restic):
    """The same form, with the same arguments; the program's name is the one it was called by."""
    usage = lambda program, command: program.run(*command, "--help").text.split("Usage:\n")[1].splitlines()[0].strip()
    for command in SHARED:
        # check takes snapshots, in both; restic's line does not say so. `list packs snapshotID` is recoup's own.
        if command not in (("check",), ("list",)):
            assert usage(recoup, command) == usage(restic, command).replace("restic ", "recoup ", 1)


def test_words_of_the_command_line(recoup, restic, repo):
    """What is wrong with a command line is said in the same words."""
    for line in (["backup", "--no-such-flag"], ["snapshots", "-Z"], ["--no-such-flag"], ["snapshots", "--latest"], ["ls", "-s"], ["cache", "--max-age=x", "--help"]):
        theirs = restic.run(*line, repo=repo, code=None)
        ours = recoup.run(*line, repo=repo, code=theirs.code)
        assert ours.errors.split(":")[0] == theirs.errors.split(":")[0], f"{ours}\n{theirs}"
