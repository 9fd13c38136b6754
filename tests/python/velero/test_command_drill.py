"""`recoup velero drill`: its verdict, its reports, and that nothing stays behind."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pathlib
import signal
import stat
import time
from xml.etree import ElementTree

import pytest
from velero_volumes import MadeBucket, all_files, claim, file_of, format, noise, rewrite_json, secret, truncate

pytest_plugins = ["command_fixture"]

GOOD = "backup-20260102-000000"


@pytest.fixture
def made(tmp_path) -> MadeBucket:
    """A backup with two volumes, the only one of its bucket."""
    bucket = MadeBucket(tmp_path / "made")
    bucket.volume("b", tree=lambda writer: [writer.file("big", noise(2 << 20)), writer.file("small", b"x")])
    bucket.volume("b", "web", "nginx-1", "www", claim="www", tree=lambda writer: [writer.file("index.html", b"<p>")])
    bucket.finish("b", objects=[claim("data-postgres-0"), claim("www", "web")])
    return bucket


@pytest.fixture
def scratch(tmp_path) -> pathlib.Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_good_backup_of_a_genuine_bucket(genuine, command, scratch):
    said = command("-b", genuine.path, "drill", "--backup", GOOD, "--scratch", scratch)
    assert said.code == 0, said.output
    stored = [each for each in _backup(genuine, GOOD)["volumes"] if each["phase"] == "Completed"]
    assert f"backup {GOOD} is restorable: {len(stored)} of {len(stored)} volumes restored, 0 of " in said.output.splitlines()[-1]
    warned = {" ".join(line.split()[1:3]) for line in said.output.splitlines() if line.startswith("warning")}
    assert {f"volume {each['namespace']}/{each['pvc']}" for each in _backup(genuine, GOOD)["skipped"]} <= warned
    assert "passed" not in said.output and list(scratch.iterdir()) == []


def _backup(genuine, name: str) -> dict:
    return next(each for each in genuine.expected["backups"] if each["name"] == name)


def test_the_newest_of_a_genuine_bucket_has_a_volume_that_failed(genuine, command, scratch):
    said = command("-b", genuine.path, "--json", "drill", "--scratch", scratch)
    report = said.json()
    assert said.code == 1 and report["is_restorable"] is False and report["backup"] == genuine.expected["backups"][-1]["name"]
    failed = {each["name"] for each in report["checks"] if each["outcome"] == "failed"}
    assert "volume media/plex-config" in failed
    files = {each["name"]: each["files"] for each in report["volumes"]}
    for each in genuine.expected["backups"][-1]["volumes"]:
        if each["phase"] == "Completed":
            listed = [one for one in genuine.expected["file_lists"][each["file_list"]] if one["type"] == "file"]
            assert files[f"{each['namespace']}/{each['pvc'] or each['pod'] + ':' + each['volume']}"] == len(listed)
    assert list(scratch.iterdir()) == []


def test_skipped_volumes_can_count(quick, command):
    assert command("-b", quick.path, "drill", "--backup", GOOD).code == 0
    said = command("-b", quick.path, "drill", "--backup", GOOD, "--fail-on-skipped")
    assert said.code == 1 and "NOT restorable" in said.output
    said = command("-b", quick.path, "drill", "--backup", GOOD, "--fail-on-skipped", "--without-data", "db/unmounted-*", "--without-data", "media/plex-transcode")
    assert said.code == 0 and said.output.count("skipped  volume ") == 2


def test_a_sample(quick, command):
    one = command("-b", quick.path, "--json", "drill", "--backup", GOOD, "--count", 1, "--seed", "a").json()
    same = command("-b", quick.path, "--json", "drill", "--backup", GOOD, "--share", "20%", "--seed", "a").json()
    assert len(one["volumes"]) == 1 and one["candidates"] == 4 and one["seed"] == "a"
    assert [each["name"] for each in one["volumes"]] == [each["name"] for each in same["volumes"]]
    chosen = {command("-b", quick.path, "--json", "drill", "--backup", GOOD, "--count", 1, "--seed", each).json()["volumes"][0]["name"] for each in "abcdef"}
    assert len(chosen) > 1


@pytest.mark.parametrize(
    "options", [("--share", "much"), ("--share", "1.5"), ("--count", "0"), ("--count", "1", "--share", "0.5"), ("--max-age", "soon"), ("--json-file", "/nowhere/x")]
)
def test_options_that_cannot_be(made, command, options):
    said = command("-b", made.path, "drill", *options)
    assert said.code in (1, 2) and said.output == "" and said.errors and "Traceback" not in said.errors


def test_a_backup_that_is_too_old(made, command):
    said = command("-b", made.path, "drill", "--max-age", "26h")
    assert said.code == 1 and "failed" in said.output and "26 hours" in said.output
    assert command("-b", made.path, "drill", "--max-age", "900000h").code == 0


def test_reports(made, command, tmp_path):
    home = tmp_path / "reports"
    home.mkdir()
    os.symlink(home / "page.html", home / "link.html")
    options = ("--json-file", home / "drill.json", "--junit", home / "drill.xml", "--html", home / "link.html")
    said = command("-b", made.path, "drill", *options)
    assert said.code == 0 and sorted(each.name for each in home.iterdir()) == ["drill.json", "drill.xml", "link.html", "page.html"]
    document = json.loads((home / "drill.json").read_text(encoding="utf-8"))
    assert document["is_restorable"] is True and document["summary"] == said.output.splitlines()[-1]
    suite = ElementTree.parse(home / "drill.xml").getroot().find("testsuite")
    assert suite is not None and suite.get("failures") == "0" and int(suite.get("tests", 0)) == len(document["checks"])
    assert '<h1 class="passed">' in (home / "page.html").read_text(encoding="utf-8") and (home / "link.html").is_symlink()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((home / "drill.json").stat().st_mode) == 0o666 & ~mask
    # And the next one, of a bucket that has been spoilt, takes its place.
    truncate(file_of(made.path, "b", ".tar.gz"))
    assert command("-b", made.path, "drill", *options).code == 1
    assert json.loads((home / "drill.json").read_text(encoding="utf-8"))["is_restorable"] is False
    assert '<h1 class="failed">' in (home / "page.html").read_text(encoding="utf-8")
    assert len(list(home.iterdir())) == 4


def test_no_report_of_yesterday_says_that_all_is_well(made, command, tmp_path):
    report = tmp_path / "drill.json"
    assert command("-b", made.path, "drill", "--json-file", report).code == 0
    said = command("-b", made.path, "drill", "--backup", "gone", "--json-file", report)
    assert said.code not in (0, 2) and "holds no backup 'gone'" in said.errors
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["is_restorable"] is False and document["backup"] == "gone"
    assert [(each["name"], each["outcome"]) for each in document["checks"]] == [("drill", "failed")]
    assert "holds no backup 'gone'" in document["checks"][0]["message"]
    said = command("-b", tmp_path / "nowhere", "drill", "--json-file", report)
    assert said.code not in (0, 2) and "nowhere" in json.loads(report.read_text(encoding="utf-8"))["checks"][0]["message"]


def test_a_report_into_a_pipe(made, command):
    said = command("-b", made.path, "--json", "drill", "--junit", "/dev/stderr")
    assert said.code == 0 and said.json()["is_restorable"] is True and "<testsuites>" in said.errors


# ---- damaged buckets ----------------------------------------------------------------------------------------------------------


def test_undamaged(made, command):
    said = command("-b", made.path, "drill")
    assert (said.code, said.errors) == (0, "") and "backup b is restorable: 2 of 2 volumes restored" in said.output


def _bomb(made) -> None:
    file_of(made.path, "b", "-podvolumebackups.json.gz").write_bytes(gzip.compress(b"[" + b" " * (600 << 20) + b"]", 1))


DAMAGES = {
    "manifests are cut off": lambda made: truncate(file_of(made.path, "b", ".tar.gz")),
    "manifests are gone": lambda made: file_of(made.path, "b", ".tar.gz").unlink(),
    "the list of what was stored is gone": lambda made: file_of(made.path, "b", "-podvolumebackups.json.gz").unlink(),
    "the list of what was stored is a bomb": _bomb,
    "a pack is gone": lambda made: max((made.path / "restic/db/data").rglob("*"), key=lambda each: each.stat().st_size if each.is_file() else 0).unlink(),
    "a password is another": lambda made: format.Repo(made.path / "restic/web", made.password).replace_keys("other"),
    "a snapshot is another's": lambda made: rewrite_json(
        file_of(made.path, "b", "-podvolumebackups.json.gz"), lambda listed: [{**each, "status": {**each["status"], "snapshotID": "00000000"}} for each in listed]
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen(made, command, scratch, damage):
    DAMAGES[damage](made)
    said = command("-b", made.path, "drill", "--scratch", scratch)
    assert said.code == 1, said.output
    assert any(line.startswith("failed ") for line in said.output.splitlines()) and "NOT restorable" in said.output.splitlines()[-1]
    assert list(scratch.iterdir()) == []


def test_a_password_that_is_given(made, command, tmp_path):
    for each in ("db", "web"):
        format.Repo(made.path / "restic" / each, made.password).replace_keys("of-our-own")
    said = command("-b", made.path, "drill", RESTIC_PASSWORD="wrong")
    assert said.code == 1 and "no known password opens" in said.output and "0 of 0 volumes" in said.output
    (tmp_path / "password").write_text("of-our-own\n", encoding="utf-8")
    assert command("-b", made.path, "-p", tmp_path / "password", "drill").code == 0
    made.finish("b", objects=[claim("data-postgres-0"), claim("www", "web"), secret("of-our-own")])
    said = command("-b", made.path, "--json", "drill")
    assert said.code == 0 and "of-our-own" not in said.output
    assert {each["password_origin"] for each in said.json()["volumes"]} == {"the Secret velero/velero-repo-credentials in backup b"}


def test_nothing_is_written_into_the_bucket(made, command):
    before = all_files(made.path)
    assert command("-b", made.path, "drill").code == 0
    assert all_files(made.path) == before


def test_what_strangers_wrote_does_not_steer_the_terminal(made, command):
    made.record("b", "db", "p", "v", claim="\x1b[2Jx", snapshot="12345678", status={"phase": "Failed", "message": "\x1b]0;x\x07\nnext"})
    made.finish("b", objects=[claim("data-postgres-0"), claim("www", "web")])
    said = command("-b", made.path, "drill")
    assert said.code == 1 and "\x1b" not in said.output + said.errors and "\x07" not in said.output and "\\x1b]0;x" in said.output


# ---- ended in the middle ------------------------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path) -> MadeBucket:
    """Restoring it takes a while."""
    bucket = MadeBucket(tmp_path / "large")
    for number in range(4):
        bucket.volume("b", volume=f"data-{number}", claim=f"data-{number}",
                      tree=lambda writer, number=number: [writer.file(f"file-{each}", noise(1 << 20, (number, each))) for each in range(30)])  # fmt: skip
    bucket.finish("b", objects=[claim(f"data-{number}") for number in range(4)])
    return bucket


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_in_the_middle_leaves_nothing_behind(large, command, scratch, tmp_path, sent, code):
    report = tmp_path / "drill.json"
    report.write_text('{"is_restorable": true}', encoding="utf-8")
    process = command.start("-b", large.path, "drill", "--scratch", scratch, "--json-file", report)
    try:
        _stop_while_it_restores(process, scratch)
        process.send_signal(sent)
        process.send_signal(signal.SIGCONT)
        output, errors = process.communicate(timeout=600)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code, errors
    assert list(scratch.iterdir()) == []
    assert "restorable" not in output and "Traceback" not in errors
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["is_restorable"] is False and document["checks"][0]["message"] == "the drill was interrupted"


def _is_restoring(scratch: pathlib.Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return any(each.stat().st_size for each in scratch.rglob("file-*"))
    return False


def _is_stopped(process) -> bool:
    return pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"


def _stop_while_it_restores(process, scratch: pathlib.Path) -> None:
    """Stopped in the middle of a volume, so that it cannot come to its end before the signal is sent."""
    end = time.monotonic() + 600
    while time.monotonic() < end and process.poll() is None:
        if _is_restoring(scratch):
            process.send_signal(signal.SIGSTOP)
            while process.poll() is None and not _is_stopped(process):
                time.sleep(0.002)
            if _is_restoring(scratch):
                return
            process.send_signal(signal.SIGCONT)  # it was faster: there are more volumes
        time.sleep(0.002)
    raise AssertionError(f"it never began to restore: {process.poll()}")
