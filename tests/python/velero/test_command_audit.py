"""`recoup velero audit`: what it prints, and its exit code."""

from __future__ import annotations

import gzip
import json

import pytest
from velero_archives import backup_document, manifest, packed, pair
from velero_volumes import MadeBucket, file_of, format, truncate

pytest_plugins = ["command_fixture"]


def test_a_genuine_bucket(genuine, command):
    said = command("--bucket", genuine.path, "audit")
    assert said.code == 1 and said.errors == ""
    assert "critical: failed-volume\n" in said.output and "  where:  media/plex-config\n" in said.output
    assert "warning: skipped-volume\n" in said.output and "notice: secrets-readable\n" in said.output
    order = [line.partition(":")[0] for line in said.output.splitlines() if line.startswith(("critical:", "warning:", "notice:"))]
    assert order == sorted(order, key=["critical", "warning", "notice"].index) and len(order) >= 7
    for expected in ("SCHEDULE  BACKUPS  RESTORABLE", "3 backups in "):
        assert expected in said.output
    (row,) = (line.split() for line in said.output.splitlines() if line.startswith("daily"))
    assert row[1:3] == ["3", "3"] and row[-1] == "168h"
    orphaned = [each["path"] for each in genuine.expected["repositories"] if any(one["orphan"] for one in each["snapshots"])]
    assert said.output.count("orphaned-snapshots") == len(orphaned)


def test_for_programs(genuine, command):
    said = command("-b", genuine.path, "--json", "audit")
    report = said.json()
    assert said.code == 1 and report["worst"] == "critical" and report["backups"] == 3 and report["unexamined"] == []
    found = {each["where"] for each in report["findings"] if each["id"] == "orphaned-snapshots"}
    assert found == {each["path"] for each in genuine.expected["repositories"] if any(one["orphan"] for one in each["snapshots"])}
    skipped = {each["where"] for each in report["findings"] if each["id"] == "skipped-volume"}
    newest = genuine.expected["backups"][-1]
    assert skipped == {f"{each['namespace']}/{each['pvc']}" for each in newest["skipped"]}


def notices_only(path) -> MadeBucket:
    """Of long ago and without a schedule, so nothing is overdue; one Secret is readable."""
    made = MadeBucket(path)
    made.volume("b", tree=lambda writer: [writer.file("file", b"x")])
    made.finish("b", objects=[manifest("Secret", "mine", "db")])
    format.Repo(path / "restic/db", made.password).replace_keys("of-our-own")
    return made


@pytest.mark.parametrize(("fail_on", "code"), [("critical", 0), ("warning", 0), ("notice", 1), ("never", 0)])
def test_the_least_grave_finding_that_counts(tmp_path, command, fail_on, code):
    made = notices_only(tmp_path / "bucket")
    said = command("-b", made.path, "--json", "audit", "--fail-on", fail_on, RESTIC_PASSWORD="of-our-own")
    assert [(each["severity"], each["id"]) for each in said.json()["findings"]] == [("notice", "secrets-readable")]
    assert said.json()["unexamined"] == [] and said.code == code


@pytest.mark.parametrize(("fail_on", "code"), [("critical", 3), ("notice", 1), ("never", 0)])
def test_what_could_not_be_examined(tmp_path, command, fail_on, code):
    made = notices_only(tmp_path / "bucket")
    said = command("-b", made.path, "audit", "--fail-on", fail_on, RESTIC_PASSWORD="wrong")
    assert said.code == code
    (line,) = (line for line in said.output.splitlines() if line.startswith("not examined: "))
    assert "restic/db" in line and "Tried: 1 that was given" in line
    assert said.output.endswith("0 critical, 0 warning, 1 notice; 1 not examined\n")


def test_never_says_nothing_about_graver_ones_either(first_genuine, command):
    assert command("-b", first_genuine.path, "audit", "--fail-on", "never").code == 0
    said = command("-b", first_genuine.path, "audit", "--fail-on", "sometimes")
    assert said.code == 2 and "never" in said.errors


def test_lists_that_are_missing_or_damaged(first_genuine, tmp_path, command):
    copy = first_genuine.copy(tmp_path / "bucket")
    file_of(copy.path, "backup-20260101-000000", "-podvolumebackups.json.gz").unlink()
    truncate(file_of(copy.path, "backup-20260102-000000", "-volumeinfo.json.gz"))
    truncate(file_of(copy.path, "backup-20260103-000000", ".tar.gz"), 0.1)
    said = command("-b", copy.path, "--json", "audit")
    unexamined = "\n".join(said.json()["unexamined"])
    assert "backup-20260101-000000-podvolumebackups.json.gz is not there" in unexamined
    assert "backup-20260102-000000-volumeinfo.json.gz" in unexamined
    assert "velero/velero-repo-credentials" in unexamined
    # An older backup tells the password, and so nothing of the rest is missed.
    assert "missing-snapshots" not in {each["id"] for each in said.json()["findings"]}
    assert any(each["id"] == "default-password" and "backup-20260102-000000" in each["where"] for each in said.json()["findings"])


def test_a_bomb_instead_of_a_list(first_genuine, tmp_path, command):
    copy = first_genuine.copy(tmp_path / "bucket")
    bomb = gzip.compress(b"[" + b" " * (600 << 20) + b"]", 1)
    file_of(copy.path, "backup-20260102-000000", "-volumeinfo.json.gz").write_bytes(bomb)
    said = command("-b", copy.path, "audit")
    assert said.code == 1
    assert any(line.startswith("not examined: ") and "backup-20260102-000000-volumeinfo.json.gz" in line for line in said.output.splitlines())


def test_what_strangers_wrote_does_not_steer_the_terminal(tmp_path, command):
    made = MadeBucket(tmp_path / "bucket")
    made.info("b", pvcNamespace="db", pvcName="data", skipped=True, skippedReason="\x1b[2Jgone\nfake: line")
    made.finish("b", objects=[manifest("PersistentVolumeClaim", "data", "db")])
    said = command("-b", made.path, "audit")
    assert "\x1b" not in said.output and "\\x1b[2Jgone\\nfake: line" in said.output
    (found,) = (each for each in command("-b", made.path, "--json", "audit").json()["findings"] if each["id"] == "skipped-volume")
    assert found["details"]["reason"] == "\x1b[2Jgone\nfake: line"


def test_there_is_no_bucket(tmp_path, command):
    said = command("-b", tmp_path / "nowhere", "audit")
    assert said.code not in (0, 2) and "nowhere" in said.errors and said.output == ""


def test_a_bucket_without_a_good_backup(tmp_path, command):
    path = tmp_path / "bucket/backups/b"
    path.mkdir(parents=True)
    (path / "velero-backup.json").write_text(json.dumps(backup_document("b", phase="Failed")), encoding="utf-8")
    (path / "b.tar.gz").write_bytes(packed(pair("secrets", manifest("Secret", "s", "db"))))
    said = command("-b", tmp_path / "bucket", "audit")
    assert said.code == 1 and "critical: nothing-restorable" in said.output
