"""recoup-velero backups, describe, logs, schedules: run as a program."""

from __future__ import annotations

import gzip
import json

import pytest
from velero_archives import manifest
from velero_commands import good, run
from velero_volumes import MadeBucket, file_of, rewrite_json

HOSTILE = "evil\x1b[2J\x07\x9b2J\r\u202e"


@pytest.fixture
def hostile(tmp_path):
    made = MadeBucket(tmp_path / "made").finish("daily", failureReason=HOSTILE, validationErrors=[HOSTILE])

    def change(document):
        document["metadata"]["labels"] = {"velero.io/schedule-name": HOSTILE}
        document["spec"]["includedNamespaces"] = [HOSTILE]

    home = made.path / "backups/daily"
    rewrite_json(home / "velero-backup.json", change)
    results = {"errors": {"velero": [HOSTILE], "namespaces": {HOSTILE: [HOSTILE]}}, "warnings": {}}
    (home / "daily-results.gz").write_bytes(gzip.compress(json.dumps(results).encode()))
    (home / "daily-logs.gz").write_bytes(gzip.compress(f"level=info\tmsg={HOSTILE}\nlast\n".encode()))
    return made.path


@pytest.mark.parametrize("arguments", [("backups",), ("describe", "daily"), ("logs", "daily"), ("schedules",)])
def test_what_strangers_wrote_does_not_steer_the_terminal(hostile, arguments):
    # rich would take colours away where there is no terminal, and click too: what is left of them shows that it was not they.
    said = good(*arguments, bucket=hostile).output
    assert "evil\\x1b[2J\\x07\\x9b2J\\r\\u202e" in said
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(said)


def test_a_log_for_programs(hostile):
    assert good("--json", "logs", "daily", bucket=hostile).document == [f"level=info\tmsg={HOSTILE}", "last"]
    assert good("logs", "daily", bucket=hostile).output.startswith("level=info\tmsg=evil")


def test_a_log_that_is_cut_off_gives_what_came_before(hostile):
    log = file_of(hostile, "daily", "-logs.gz")
    log.write_bytes(gzip.compress(b"first\nsecond\n")[:-4])
    plain, for_programs = run("logs", "daily", bucket=hostile), run("--json", "logs", "daily", bucket=hostile)
    assert (plain.code, plain.output) == (1, "first\nsecond\n") and "cut off" in plain.errors
    assert (for_programs.code, for_programs.document) == (1, ["first", "second"])


def test_a_log_without_line_ends_fills_no_memory(hostile):
    file_of(hostile, "daily", "-logs.gz").write_bytes(gzip.compress(b"x" * (3 << 20)))
    lines = good("--json", "logs", "daily", bucket=hostile).document
    assert "".join(lines) == "x" * (3 << 20) and max(map(len, lines)) <= 1 << 20


@pytest.mark.parametrize("arguments", [["describe", "latest"], ["volumes"], ["manifests", "--list"], ["logs", "latest"]])
def test_newer_backups_that_cannot_be_restored_are_told(tmp_path, arguments):
    made = MadeBucket(tmp_path / "made")
    made.volume("b")
    made.finish("b", objects=[manifest("ConfigMap", "c", "db")])
    (made.path / "backups/b/b-logs.gz").write_bytes(gzip.compress(b"a line\n"))
    for number, phase in enumerate(["Failed", "InProgress", "Completed"], 2):
        made.finish(f"newer-{number}", start=f"2026-01-0{number}T00:00:00Z", phase=phase)
    (made.path / "backups/newer-4/newer-4.tar.gz").unlink()
    told = good(*arguments, bucket=made.path).errors
    assert "note: b is the newest backup that can be restored; newer ones cannot: newer-2 (failed), newer-3 (running), newer-4 (incomplete)\n" in told
    assert "newer" not in good(arguments[0], "b", *arguments[1:2] if "--list" in arguments else [], bucket=made.path).errors
