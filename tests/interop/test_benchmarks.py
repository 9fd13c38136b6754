"""bench/peers, growth, worst_cases, maintenance and mount on data so small that the figures say nothing: that they still run, that
their reports are whole, that they notice a wrong restore, and that they leave nothing behind."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from support import programs
from support.programs import REPOSITORY_ROOT

sys.path.insert(0, str(REPOSITORY_ROOT / "bench"))
from harness import data, growth, measure, report, stream, targets
from harness.programs import OPERATIONS

pytestmark = [pytest.mark.local_only, pytest.mark.recoup_only]


@pytest.fixture
def bench(tmp_path):
    """bench("peers", …): runs it; returns its report, read again from the file, and its Markdown."""
    (tmp_path / "scratch").mkdir()

    def run(name: str, *arguments: str, code: int = 0, **environment: str):
        done = subprocess.run(command(tmp_path, name, *arguments), env=settings(**environment), capture_output=True, text=True, timeout=600)
        assert done.returncode == code, done.stdout + done.stderr
        assert list((tmp_path / "scratch").iterdir()) == []
        if code != 0:
            return done.stderr
        written = tmp_path / "report"
        return json.loads((written / "report.json").read_text()), (written / "report.md").read_text()

    return run


def command(home: pathlib.Path, name: str, *arguments: str) -> list[str]:
    return [str(REPOSITORY_ROOT / "bench" / name), "--scratch", str(home / "scratch"), "--output", str(home / "report"), *arguments]


def settings(**changed: str) -> dict[str, str]:
    return {**os.environ, "RECOUP": str(programs.recoup().path), "RESTIC": str(programs.restic().path), **changed}


def assert_measured(cell: dict, runs: int = 1) -> None:
    assert len(cell["runs"]) == runs
    assert 0 < cell["wall"] < 600 and 0 < cell["cpu"] < 60
    # It is looked at fifty times a second: a run that is over sooner than a busy machine lets somebody look is seen too small.
    assert cell["memory"] > 4e6 or cell["cpu"] < 0.3, "no program of these needs less"
    assert cell["memory"] < 2e9, "none needs so much for so little"


def assert_describes_machine(made: dict, *names: str) -> None:
    assert list(made["versions"]) == list(names)
    assert all(name in version for name, version in made["versions"].items())
    assert made["machine"]["processor"] and made["machine"]["cores"] >= 1 and made["machine"]["kernel"] and made["date"].endswith("UTC")


# ---- whole runs -----------------------------------------------------------------------------------------------------

def test_peers(bench, small_tree, tmp_path):
    made, text = bench("peers", "--quick", "--programs", "recoup,restic", "--tree", str(small_tree))
    assert_describes_machine(made, "recoup", "restic")
    (each,) = made["data"]
    found = data.census(small_tree)
    assert (each["files"], each["directories"], each["bytes"]) == (found.files, found.directories, found.bytes) and found.files > 5
    assert list(each["operations"]) == list(OPERATIONS)
    for operation, row in each["operations"].items():
        assert set(row) == {"recoup", "restic"}
        for cell in row.values():
            assert_measured(cell)
        assert f"| {operation} | recoup |" in text
    assert all(size > 1000 for size in each["repository"].values()) and set(each["repository"]) == {"recoup", "restic"}
    assert (tmp_path / "report/report.svg").read_text().startswith("<?xml")


def test_growth(bench, tmp_path):
    made, text = bench("growth", "--quick", "--programs", "recoup", "--series", "files,stream,sparse,blobs,snapshots", "--max-files", "20",
                       "--max-stream", "100000", "--max-sparse", "1000000", "--max-snapshots", "2", "--index-generator", "/nonexistent")
    assert_describes_machine(made, "recoup")
    series = {each["name"]: each for each in made["series"]}
    assert {name: list(each["operations"]) for name, each in series.items()} == {
        "files": ["first backup", "backup again", "restore", "check"], "stream": ["first backup", "backup again", "dump", "check --read-data"],
        "sparse": ["first backup", "backup again", "restore", "check --read-data"],
        "snapshots": ["backup", "snapshots", "check", "restore latest"]}
    for each in series.values():
        for row in each["operations"].values():
            assert len(row["recoup"]) == len(each["sizes"])
            for cell in row["recoup"]:
                assert_measured(cell)
    assert series["snapshots"]["sizes"] == [1, 2]
    for fits in series["snapshots"]["exponents"].values():
        assert all(isinstance(fits["recoup"][field]["all"], float) for field in ("wall", "cpu", "memory"))
    assert [reason.split(":")[0] for reason in made["left_out"]] == ["blobs"] and "left out: blobs" in text
    assert (tmp_path / "report/report.svg").read_text().startswith("<?xml")


def test_maintenance(bench):
    made, text = bench("maintenance", "--snapshots", "6", "--files", "200", "--changed", "50")
    assert made["blobs"] > 200 and set(made["pruned"]) == {"recoup", "restic"}
    assert list(made["operations"]) == ["stats", "dry run", "forget", "prune", "check", "copy"]
    for row in made["operations"].values():
        for name in ("recoup", "restic"):
            assert_measured(row[name])
    assert_describes_machine(made, "recoup", "restic")
    assert "| prune | recoup |" in text


def test_mount(bench):
    made, text = bench("mount", "--files", "300", "--size", "3000000", "--runs", "1")
    for operation in ("find", "ls -lR", "read"):
        for name in ("recoup", "restic"):
            assert_measured(made["operations"][operation][name])
    assert "| find | recoup |" in text


def test_worst_cases(bench):
    made, text = bench("worst_cases", "--programs", "recoup", "--files", "50", "--links", "20", "--sparse", "5000000", "--levels", "15")
    assert_describes_machine(made, "recoup")
    assert [(each["case"], each["files"], each["directories"]) for each in made["cases"]] == [
        ("directory", 50, 0), ("links", 20, 0), ("sparse", 1, 0), ("deep", 15, 15)]
    for each in made["cases"]:
        assert each["failed"] == {} and list(each["operations"]) == list(OPERATIONS)
        for row in each["operations"].values():
            assert_measured(row["recoup"])
        assert f"## {each['name']}" in text


# ---- what goes wrong ------------------------------------------------------------------------------------------------

def imposter(path: pathlib.Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_restores_less_is_no_result(bench, small_tree, tmp_path):
    loser = imposter(tmp_path / "loser", f'''"{programs.recoup().path}" "$@" || exit
[ "$2" != restore ] || find "$5" -type f | head -n 1 | xargs rm''')
    said = bench("peers", "--quick", "--programs", "recoup", "--no-plot", "--tree", str(small_tree), code=1, RECOUP=loser)
    assert "recoup restored" in said and "instead of" in said


def test_a_program_that_fails_is_quoted(bench, small_tree, tmp_path):
    failing = imposter(tmp_path / "failing", '[ "$1" = version ] && echo recoup 1 || { echo out of order >&2; exit 9; }')
    said = bench("peers", "--quick", "--programs", "recoup", "--no-plot", "--tree", str(small_tree), code=1, RECOUP=failing)
    assert "ended with 9" in said and "out of order" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(small_tree, tmp_path, number):
    """Neither files nor the program that was just being measured."""
    (tmp_path / "scratch").mkdir()
    hanging = imposter(tmp_path / "hanging", f'[ "$1" = version ] && echo recoup 1 && exit; echo $$ > {tmp_path}/pid; exec sleep 600')
    process = subprocess.Popen(command(tmp_path, "peers", "--quick", "--programs", "recoup", "--no-plot", "--tree", str(small_tree)),
                               env=settings(RECOUP=hanging), stderr=subprocess.DEVNULL)
    programs.wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), what="the program has started")
    process.send_signal(number)
    assert process.wait(timeout=180) == 130
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("arguments, said", [
    (["--data", "X"], "--data X: there are R, B and T"), (["--programs", "tar"], "no program 'tar'"), (["--tree", "/nonexistent"], "no such directory"),
    (["--rtt", "0.05"], "--rtt and --bandwidth are for --s3")])
def test_wrong_arguments(tmp_path, arguments, said):
    done = subprocess.run([str(REPOSITORY_ROOT / "bench/peers"), "--scratch", str(tmp_path), *arguments], env=settings(), capture_output=True, text=True)
    assert done.returncode != 0 and said in done.stderr and "Traceback" not in done.stderr


# ---- the parts ------------------------------------------------------------------------------------------------------

def test_exponents():
    sizes = [10, 100, 1000, 10000]
    assert growth.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert growth.exponent(sizes, [7] * 4) == pytest.approx(0)
    with_start = [5 + size for size in sizes]
    assert growth.exponent(sizes, with_start) < growth.upper_exponent(sizes, with_start) < 1
    assert growth.exponent([10], [1]) is None and growth.exponent([10, 10], [1, 2]) is None
    assert growth.steps(1, 1000, 10) == [1, 10, 100, 1000] and growth.steps(1, 500, 10) == [1, 10, 100, 500] and growth.steps(5, 5, 4) == [5]


def test_targets_are_judged_beside_restic():
    row = lambda wall: report.cell([measure.Measurement(wall, 1, 10)])
    each = {"name": "R", "operations": {"first backup": {"recoup": row(2), "restic": row(10)}, "restore": {"recoup": row(2.1), "restic": row(10)},
                                        "check --read-data": {"recoup": row(1)}}, "repository": {"recoup": 1, "restic": 1}}
    assert [(one["operation"], round(one["reached"], 3), one["is_reached"]) for one in targets.judge([each])] == [
        ("first backup", 0.2, True), ("restore", 0.21, False)]
    assert {target.operation for target in targets.TARGETS} <= set(OPERATIONS)


def test_memory_of_two_processes_is_added():
    """What wait4 says is the larger of the two."""
    hog = "import time; held = b'1' * 60_000_000; time.sleep(3)"
    both = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {hog!r}]); {hog}; child.wait()"
    one, _ = measure.measure([sys.executable, "-c", hog], os.environ)
    two, _ = measure.measure([sys.executable, "-c", both], os.environ)
    assert 60e6 < one.memory < 100e6 and two.memory > one.memory + 50e6


def test_memory_of_a_small_program_is_its_own():
    """Not that of this Python, which a fork of it begins with."""
    took, said = measure.measure(["sleep", "2"], os.environ)
    assert 0 < took.memory < 8e6 and took.wall >= 2 and said == ""


def test_a_stream_repeats_and_has_its_size(tmp_path):
    for size in (0, 1, 15, 3_000_000, stream.REPEATS * stream.PIECE):
        with stream.stream(size) as source:
            got = source.read()
        block = -(-size // stream.REPEATS)
        assert len(got) == size and (size < 16 or got == (got[:block] * 16)[:size])


def test_the_tree_keeps_its_limits(tmp_path, monkeypatch):
    """No more files, directories or bytes than asked for, whatever lies there; no links, no inode twice."""
    source = tmp_path / "source"
    for directory in range(40):
        (source / f"d{directory}").mkdir(parents=True)
        for number in range(10):
            (source / f"d{directory}/f{number}").write_bytes(bytes(1000 * number))
    (source / "d0/huge").write_bytes(bytes(20_000_000))
    (source / "d0/link").symlink_to("f1")
    os.link(source / "d0/f1", source / "d0/second")
    monkeypatch.setattr(data, "TREE_ROOTS", (str(source), str(tmp_path / "absent")))
    for name, value in (("TREE_FILES", 300), ("TREE_DIRECTORIES", 25), ("TREE_BYTES", 10_000_000)):
        monkeypatch.setattr(data, name, value)
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        data.make_tree(tmp_path / name, 1)
        made.append({path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()})
    assert made[0] == made[1]
    found = data.census(tmp_path / "one")
    assert 200 < found.files <= 300 and found.directories == 25 and found.bytes <= 10_000_000
    assert not any(path.name in ("huge", "link", "second") for path in made[0])


def test_the_tar_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        data.make_tar(tmp_path / name, 0.002)
    first, second = ((tmp_path / name / "files.tar").read_bytes() for name in ("one", "two"))
    assert first == second and 3_000_000 <= len(first) < 25_000_000
