"""The programs in examples/python do what they say."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from samples import PASSWORD

import recoup

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples/python"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, "RESTIC_PASSWORD": PASSWORD}, capture_output=True, text=True)


def test_nightly(new_location, tree, tmp_path):
    location = new_location()
    done = run("nightly.py", location, tree)
    assert (done.returncode, "5 new" in done.stdout) == (0, True), done
    assert "100% 5 files" in done.stderr
    assert run("nightly.py", location, tree, tree / "missing").returncode == 3
    assert run("nightly.py", tmp_path / "nowhere", tree).returncode == 10
    assert len(recoup.open(location, PASSWORD).snapshots(tags="nightly")) == 2


def test_dump_database(new_location):
    location = new_location()
    assert run("dump_database.py", location, "out", "echo", "rows").returncode == 0
    repository = recoup.open(location, PASSWORD)
    assert repository.snapshot(tags="database").read_bytes("out") == b"rows\n"
    failed = run("dump_database.py", location, "out", "sh", "-c", "echo half; exit 3")
    assert failed.returncode == 1 and "exit code 3" in failed.stderr
    assert len(repository.snapshots()) == 1
