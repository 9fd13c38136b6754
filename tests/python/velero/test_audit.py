"""Each finding of an audit: in a bucket that was made so, and not in one where there is nothing to find."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
from datetime import datetime, timedelta, timezone

import pytest
from velero_archives import MemoryStore, backup_document, manifest, packed, pair
from velero_volumes import format

import recoup
from recoup.velero import AuditReport, Repositories, Severity, VeleroBucket, audit

NOW = datetime(2026, 11, 24, 3, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def ids(report: AuditReport) -> set[str]:
    return {each.id for each in report.findings}


def orphans(expected: dict) -> dict[str, set[str]]:
    found = {each["path"]: {one["short_id"] for one in each["snapshots"] if one["orphan"]} for each in expected["repositories"]}
    return {path: each for path, each in found.items() if each}


# The genuine buckets, as they are.


def test_a_genuine_bucket(genuine):
    report = audit(genuine.bucket, now=NOW)
    assert report.unexamined == () and report.backups == 3
    known = {"cloud-credentials-readable", "default-password", "failed-volume", "repository-password-readable", "secrets-readable", "skipped-volume"}
    assert ids(report) == (known | {"orphaned-snapshots"} if orphans(genuine.expected) else known)
    assert report.worst is Severity.CRITICAL
    (failed,) = report.of("failed-volume")
    assert failed.where == "media/plex-config" and failed.details["last_copy"] == "backup-20260102-000000"
    assert failed.details["since_backup"] == "backup-20260103-000000" and "expected one matching path" in failed.what
    skipped = {each.where: each for each in report.of("skipped-volume")}
    assert set(skipped) == {"db/unmounted-claim", "media/plex-transcode"}
    for each in skipped.values():
        assert each.details["since_backup"] == "backup-20260101-000000" and each.details["last_copy"] is None
    assert "opted out due to annotation" in skipped["media/plex-transcode"].what
    (others,) = report.of("secrets-readable")
    assert others.details["secrets"] == ["db/postgres-credentials"]
    (kept,) = report.retention
    assert (kept.schedule, kept.backups, kept.restorable, kept.ttl) == ("daily", 3, 3, ("168h",))
    assert kept.oldest < kept.newest


def test_orphans_after_a_crash(after_crash):
    wanted = orphans(after_crash.expected)
    assert wanted
    found = {each.where: {one["id"][:8] for one in each.details["snapshots"]} for each in audit(after_crash.bucket, now=NOW).of("orphaned-snapshots")}
    assert found == wanted


def test_what_is_printed_for_programs(genuine):
    report = audit(genuine.bucket, now=NOW)
    document = json.loads(json.dumps(report.to_json()))
    assert document["time"] == "2026-11-24T03:00:00Z" and document["worst"] == "critical"
    assert [each["id"] for each in document["findings"]] == [each.id for each in report.findings]
    ranks = ["critical", "warning", "notice"]
    order = [ranks.index(each["severity"]) for each in document["findings"]]
    assert order == sorted(order)
    for each in document["findings"]:
        assert each["what"] and each["where"] and each["why"] and each["remedy"]


def test_nothing_is_written(first_genuine, tmp_path):
    copy = first_genuine.copy(tmp_path / "bucket")
    before = {path: path.stat().st_mtime_ns for path in sorted(copy.path.rglob("*"))}
    audit(copy.bucket, now=NOW)
    assert {path: path.stat().st_mtime_ns for path in sorted(copy.path.rglob("*"))} == before


# Copies of a genuine one, spoilt.


@pytest.fixture
def spoilt(first_genuine, tmp_path):
    return first_genuine.copy(tmp_path / "bucket")


def rewrite(path, change) -> None:
    document = change(json.loads(gzip.decompress(path.read_bytes())))
    path.write_bytes(gzip.compress(json.dumps(document).encode()))


def folder(copy, number: int):
    return copy.path / f"backups/backup-2026010{number}-000000"


def test_snapshots_of_a_backup_that_is_gone(spoilt):
    for file in folder(spoilt, 1).iterdir():
        file.unlink()
    found = {each.where: each for each in audit(spoilt.bucket, now=NOW).of("orphaned-snapshots")}
    assert set(found) == {"restic/db", "restic/media"}
    assert found["restic/db"].details["backups"] == ["backup-20260101-000000"]
    assert {one["id"][:8] for one in found["restic/db"].details["snapshots"]} == {"68804a66", "74859322"}
    assert "may be of a backup that runs" not in found["restic/db"].what
    young = audit(spoilt.bucket, now=datetime(2026, 11, 23, 21, tzinfo=timezone.utc)).of("orphaned-snapshots")
    assert all("may be of a backup that runs" in each.what for each in young)


def test_snapshots_that_their_backup_does_not_list(spoilt):
    path = next(folder(spoilt, 2).glob("*-podvolumebackups.json.gz"))
    rewrite(path, lambda listed: [each for each in listed if each["status"].get("snapshotID") != "3a615bf7"])
    (found,) = audit(spoilt.bucket, now=NOW).of("orphaned-snapshots")
    assert [one["id"][:8] for one in found.details["snapshots"]] == ["3a615bf7"] and "does not list" in found.what


def test_snapshots_are_no_orphans_where_the_list_cannot_be_read(spoilt):
    next(folder(spoilt, 2).glob("*-podvolumebackups.json.gz")).unlink()
    (folder(spoilt, 1) / "velero-backup.json").write_bytes(b"{")
    report = audit(spoilt.bucket, now=NOW)
    assert not report.of("orphaned-snapshots")
    assert any("podvolumebackups" in each for each in report.unexamined)


def test_snapshots_that_are_missing(spoilt):
    for file in (spoilt.path / "restic/db/snapshots").glob("89133493*"):
        file.unlink()
    (found,) = audit(spoilt.bucket, now=NOW).of("missing-snapshots")
    assert found.details["volumes"] == ["backup-20260103-000000: db/data-postgres-0"] and found.severity is Severity.CRITICAL


def test_a_repository_that_does_not_open(spoilt):
    for key in (spoilt.path / "restic/db/keys").iterdir():
        key.unlink()
    bucket = spoilt.bucket
    report = audit(bucket, repositories=Repositories(bucket, passwords=["wrong"]), now=NOW)
    assert [each.partition(":")[0] for each in report.unexamined] == ["restic/db"]


def test_repositories_with_a_password_of_their_own(spoilt):
    """With the one that is given they open, and they have no default password; without, nobody knows."""
    for repository in (spoilt.path / "restic").iterdir():
        format.Repo(repository, "static-passw0rd").replace_keys("of-our-own")
    bucket = spoilt.bucket
    report = audit(bucket, repositories=Repositories(bucket, passwords=["wrong", "of-our-own"]), now=NOW)
    assert report.unexamined == ()
    # What the Secret in the backups says is still Velero's default.
    assert [each.where for each in report.of("default-password")] == ["the Secret velero/velero-repo-credentials in backup backup-20260103-000000"]
    without = audit(spoilt.bucket, now=NOW)
    assert [each.partition(":")[0] for each in without.unexamined] == ["restic/db", "restic/media"]
    assert not without.of("orphaned-snapshots") and not without.of("missing-snapshots")


def test_a_repository_that_is_gone(spoilt):
    shutil.rmtree(spoilt.path / "restic/media")
    report = audit(spoilt.bucket, now=NOW)
    (found,) = report.of("missing-repository")
    assert found.where == "restic/media" and found.severity is Severity.CRITICAL and report.unexamined == ()
    assert found.details["volumes"] == ["backup-20260101-000000: media/plex-config", "backup-20260102-000000: media/plex-config"]


def test_what_the_manifests_should_hold_and_do_not(spoilt):
    archive = folder(spoilt, 3) / "backup-20260103-000000.tar.gz"
    archive.write_bytes(archive.read_bytes()[:100])
    report = audit(spoilt.bucket, now=NOW)
    (missing,) = (each for each in report.unexamined if "velero/velero-repo-credentials" in each)
    assert missing.startswith("backup-20260103-000000: ")
    # An older backup has it as well.
    assert [each.where for each in report.of("default-password")] == ["the Secret velero/velero-repo-credentials in backup backup-20260102-000000"]


def test_snapshots_of_others_are_no_orphans_of_velero(spoilt):
    mine = recoup.open(spoilt.path / "restic/db", "static-passw0rd", cache=False)
    (spoilt.path.parent / "file").write_text("mine")
    mine.backup([spoilt.path.parent / "file"])
    assert not audit(spoilt.bucket, now=NOW).of("orphaned-snapshots")


def test_stale_locks(spoilt):
    assert not audit(spoilt.bucket, now=NOW).of("stale-locks")
    locks = spoilt.path / "restic/media/locks"
    locks.mkdir(exist_ok=True)
    for name, minutes in (("a" * 64, 90), ("b" * 64, 3)):
        (locks / name).write_bytes(b"encrypted")
        time = (NOW - timedelta(minutes=minutes)).timestamp()
        os.utime(locks / name, (time, time))
    (found,) = audit(spoilt.bucket, now=NOW).of("stale-locks")
    assert found.where == "restic/media" and [each["id"] for each in found.details["locks"]] == ["a" * 64]
    assert "90 minutes" in found.what and "/restic/media" in found.remedy


def test_foreign_directories(spoilt):
    (spoilt.path / "lost+found").mkdir()
    (spoilt.path / "lost+found" / "x").write_bytes(b"")
    (found,) = audit(spoilt.bucket, now=NOW).of("foreign-directory")
    assert found.where == "lost+found"


def test_expired_backups(first_genuine):
    late = datetime(2026, 11, 30, 22, 7, tzinfo=timezone.utc)
    (found,) = audit(first_genuine.bucket, now=late).of("expired-backups")
    assert found.details["backups"] == ["backup-20260101-000000", "backup-20260102-000000"]
    assert not audit(first_genuine.bucket, now=late - timedelta(minutes=10)).of("expired-backups"), "Velero looks once an hour"


def test_a_schedule_of_which_nothing_comes_any_more(first_genuine):
    report = audit(first_genuine.bucket, now=NOW + 3 * DAY)
    (found,) = report.of("backup-overdue")
    assert found.where == "daily" and found.details["newest_backup"] == "backup-20260103-000000"


# Buckets made by hand.


class Made:
    """Backups of a schedule "nightly", a day apart, each with one claim whose data is stored."""

    def __init__(self, count: int = 4, **spec) -> None:
        self.objects: dict[str, bytes] = {}
        self.names = []
        self.secrets: list[dict] = []
        for number in range(count):
            self.add(number, **spec)

    def add(self, number: float, **spec) -> str:
        name = f"nightly-{len(self.names)}"
        time = (NOW - timedelta(hours=1) - DAY * (3 - number)).isoformat().replace("+00:00", "Z")
        document = backup_document(name, startTimestamp=time)
        document["metadata"].update(uid=f"u-{name}", labels={"velero.io/schedule-name": "nightly"})
        document["spec"] = {"ttl": "720h0m0s", **spec}
        self.put(name, "velero-backup.json", document)
        self.put(name, f"{name}.tar.gz", [])
        self.put(name, f"{name}-podvolumebackups.json.gz", [])
        self.put(name, f"{name}-volumeinfo.json.gz", [self.info()])
        self.put(name, f"{name}-resource-list.json.gz", {"v1/PersistentVolumeClaim": ["db/data"], "v1/Secret": []})
        self.names.append(name)
        return name

    def info(self, **fields) -> dict:
        return {"pvcNamespace": "db", "pvcName": "data", "pvName": "pv", "backupMethod": "PodVolumeBackup", "result": "succeeded", **fields}

    def put(self, backup: str, file: str, content) -> None:
        if file.endswith("tar.gz"):
            data = packed([entry for document in content for entry in pair(*document)])
        else:
            data = json.dumps(content).encode()
            data = gzip.compress(data) if file.endswith(".gz") else data
        self.objects[f"backups/{backup}/{file}"] = data

    def audit(self, now: datetime = NOW) -> AuditReport:
        return audit(VeleroBucket(MemoryStore(self.objects)), now=now)


def test_nothing_to_find():
    report = Made().audit()
    assert report.findings == () and report.unexamined == () and report.worst is None
    assert [(each.schedule, each.backups, each.ttl) for each in report.retention] == [("nightly", 4, ("720h",))]
    assert json.loads(json.dumps(report.to_json()))["worst"] is None


def test_a_volume_that_is_skipped_of_late_and_one_that_fails():
    made = Made()
    for name in made.names[2:]:
        infos = [made.info(skipped=True, skippedReason="because", backupMethod="", result=""), made.info(pvcName="logs", result="failed")]
        made.put(name, f"{name}-volumeinfo.json.gz", infos)
    report = made.audit()
    (skipped,) = report.of("skipped-volume")
    assert skipped.details["since_backup"] == "nightly-2" and skipped.details["last_copy"] == "nightly-1"
    assert "because" in skipped.what and "nightly-1" in skipped.why
    (failed,) = report.of("failed-volume")
    assert failed.where == "db/logs" and "no copy of it in any backup" in failed.why


def test_a_volume_that_was_skipped_once_is_no_finding():
    made = Made()
    made.put("nightly-1", "nightly-1-volumeinfo.json.gz", [made.info(skipped=True)])
    assert not made.audit().of("skipped-volume")


def test_backups_without_data():
    made = Made()
    for name in made.names[-2:]:
        made.put(name, f"{name}-volumeinfo.json.gz", [])
    (found,) = made.audit().of("no-data")
    assert found.details["backups"] == ["nightly-2", "nightly-3"] and found.severity is Severity.CRITICAL
    for name in made.names:  # without claims there is nothing to store
        made.put(name, f"{name}-resource-list.json.gz", {"v1/Secret": []})
        made.put(name, f"{name}-volumeinfo.json.gz", [])
    assert not made.audit().of("no-data")


def test_a_missing_backup_and_one_that_is_late():
    made = Made()
    for name in ("nightly-1",):
        for key in [key for key in made.objects if key.startswith(f"backups/{name}/")]:
            del made.objects[key]
    report = made.audit()
    (gap,) = report.of("schedule-gap")
    assert gap.details["missed"] == 1 and gap.where == "nightly" and not report.of("backup-overdue")
    made = Made(8)
    assert not made.audit(NOW + 4 * DAY).of("backup-overdue")
    (late,) = made.audit(NOW + 6 * DAY).of("backup-overdue")
    assert late.severity is Severity.CRITICAL and "usually come every 24 hours" in late.what


def schedule(expression: str, **spec) -> tuple[str, dict]:
    return "schedules.velero.io", manifest("Schedule", "nightly", "velero", "velero.io/v1", spec={"schedule": expression, **spec})


def with_schedule(expression: str, **spec) -> Made:
    made = Made()
    made.put("nightly-3", "nightly-3.tar.gz", [schedule(expression, **spec)])
    made.put("nightly-3", "nightly-3-resource-list.json.gz", {"velero.io/v1/Schedule": ["velero/nightly"]})
    return made


def test_the_expression_of_a_schedule_counts_where_it_is_known():
    assert not with_schedule("0 2 * * *").audit().findings
    (gap,) = with_schedule("0 2,14 * * *").audit().of("schedule-gap")
    assert gap.details["missed"] == 3 and "'0 2,14 * * *'" in gap.what
    weekly = with_schedule("0 2 * * 2")
    assert not weekly.audit(NOW + 6 * DAY).of("backup-overdue")
    assert weekly.audit(NOW + 9 * DAY).of("backup-overdue")
    broken = with_schedule("whenever").audit()
    assert any("whenever" in each for each in broken.unexamined) and not broken.of("schedule-gap")


def test_a_paused_schedule():
    report = with_schedule("0 2 * * *", paused=True).audit(NOW + 9 * DAY)
    assert report.of("schedule-paused") and not report.of("backup-overdue")


def test_backups_that_cannot_be_restored():
    made = Made()
    document = json.loads(made.objects["backups/nightly-3/velero-backup.json"])
    document["status"]["phase"] = "Failed"
    made.put("nightly-3", "velero-backup.json", document)
    del made.objects["backups/nightly-2/nightly-2.tar.gz"]
    report = made.audit(NOW + DAY)
    found = {each.details["state"]: each.details["backups"] for each in report.of("unusable-backups")}
    assert found == {"failed": ["nightly-3"], "incomplete": ["nightly-2"]}
    assert not report.of("nothing-restorable")
    (overdue,) = report.of("backup-overdue")
    assert "cannot be restored" in overdue.what and overdue.details["newest_backup"] == "nightly-3"
    for name in ("nightly-0", "nightly-1"):
        del made.objects[f"backups/{name}/{name}.tar.gz"]
    assert made.audit().of("nothing-restorable")
    assert Made(0).audit().of("nothing-restorable")


def secret(name: str, password: bytes = b"") -> tuple[str, dict]:
    return "secrets", manifest("Secret", name, "velero", data={"repository-password": base64.b64encode(password).decode()})


@pytest.mark.parametrize("name", ["velero-repo-credentials", "velero-restic-credentials", "ark-restic-credentials"])
@pytest.mark.parametrize("is_default", [True, False])
def test_passwords_in_the_manifests(name, is_default):
    made = Made()
    made.put("nightly-3", "nightly-3.tar.gz", [secret(name, b"static-passw0rd" if is_default else b"of-our-own")])
    made.put("nightly-3", "nightly-3-resource-list.json.gz", {"v1/Secret": [f"velero/{name}", "db/a", "db/b"]})
    report = made.audit()
    expected = {"repository-password-readable", "secrets-readable", *(["default-password"] if is_default else [])}
    assert ids(report) == expected
    (others,) = report.of("secrets-readable")
    assert others.details["count"] == 2
    assert "of-our-own" not in json.dumps(report.to_json())


def test_volumes_of_kopia():
    made = Made()
    volume = {"metadata": {"name": "v", "annotations": {"velero.io/pvc-name": "data"}}, "status": {"phase": "Completed", "snapshotID": "k"},
              "spec": {"uploaderType": "kopia", "volume": "data", "pod": {"namespace": "db", "name": "p"}}}  # fmt: skip
    made.put("nightly-3", "nightly-3-podvolumebackups.json.gz", [volume])
    made.objects["kopia/db/kopia.repository"] = b""
    report = made.audit()
    (found,) = report.of("kopia-volumes")
    assert found.details["volumes"] == ["db/data"] and found.severity is Severity.NOTICE and report.unexamined == ()


def test_lists_that_are_damaged_are_told():
    made = Made()
    made.objects["backups/nightly-2/nightly-2-podvolumebackups.json.gz"] = b"x"
    made.objects["restic/db/config"] = b""
    report = made.audit()
    assert len(report.unexamined) == 2 and "podvolumebackups" in report.unexamined[0] and report.unexamined[1].startswith("restic/db")


def test_an_audit_asks_for_little():
    made = Made(100)
    store = MemoryStore(made.objects)
    audit(VeleroBucket(store), now=NOW + 97 * DAY)
    # Each backup's description and three lists; no manifests, as no Secret is in them; a handful of listings; and schedules are
    # looked for in the newest backups.
    assert len(store.reads) <= 4 * 100 + 20 and store.listings < 10
