"""recoup-velero volumes, restore-pvc: run as a program, on buckets that Velero wrote and on spoiled ones."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone

import pytest
from velero_commands import good, restore_all, run, volume_of
from velero_volumes import (
    MadeBucket,
    all_files,
    claim,
    entries_of,
    expected_entries,
    file_of,
    on_disk,
    secret,
)

DB = "db/data-postgres-0"
PLEX = "media/plex-config"
FIRST, SECOND, THIRD = (f"backup-2026010{number}-000000" for number in (1, 2, 3))


@pytest.fixture
def made(tmp_path):
    return MadeBucket(tmp_path / "made")


def lines_of(table):
    """The rows of a table by their first word."""
    return {line.split()[0]: line for line in table.splitlines() if line.strip()}


# ---- volumes ---------------------------------------------------------------------------------------------------------------


def test_volumes_are_those_of_each_backup(quick, quick_after_crash):
    for genuine in (quick, quick_after_crash):
        for backup in genuine.expected["backups"]:
            said = good("--json", "volumes", backup["name"], bucket=genuine.path).document
            assert said["backup"] == backup["name"]
            if not backup["volumes"]:
                continue
            found = {(each["namespace"], each["pod"], each["volume"]): each for each in said["volumes"] if each["volume"]}
            assert set(found) == {(each["namespace"], each["pod"], each["volume"]) for each in backup["volumes"]}
            for each in backup["volumes"]:
                volume = found[each["namespace"], each["pod"], each["volume"]]
                assert (volume["claim"], volume["snapshot"], volume["size"], volume["phase"]) == (
                    each["pvc"], each["snapshot_id"] or None, each["total_bytes"], each["phase"],
                )  # fmt: skip
                assert (volume["uploader"], volume["restorable"]) == ("restic", each["phase"] == "Completed")
                assert (volume["message"] or "") == (each["message"] or "")
            skipped = {(each["namespace"], each["claim"]): each["reason"] for each in said["volumes"] if each["state"] == "skipped"}
            assert skipped == {(each["namespace"], each["pvc"]): each["reason"].rstrip(";") for each in backup["skipped"]}


def test_without_a_name_it_is_the_newest_that_can_be_restored(quick_after_crash):
    table = good("volumes", bucket=quick_after_crash.path)
    assert table.output.splitlines()[0].startswith(f"Backup: {THIRD} of ")
    rows = lines_of(table.output)
    assert rows[DB].split()[1:4] == ["stored", "10.5", "MiB"] and "89133493" in rows[DB]
    assert rows["media/plex-transcode"].split()[1] == "skipped" and "opted out due to annotation in pod" in rows["media/plex-transcode"]
    assert rows[PLEX].split()[1] == "failed" and "expected one matching path" in rows[PLEX]
    assert rows["db/empty-claim"].split()[1] == "empty"
    assert good("volumes", "latest", bucket=quick_after_crash.path).output == table.output


def test_all_backups_with_those_that_are_lost(quick_after_crash):
    said = good("--json", "volumes", "--all", bucket=quick_after_crash.path).document
    assert [each["backup"] for each in said][:3] == [FIRST, SECOND, THIRD]
    lost = said[-1]
    assert (lost["backup"], lost["state"]) == ("backup-20260104-000000", "lost")
    assert {(each["volume"], each["source"]) for each in lost["volumes"]} == {("data", "tags"), ("cache", "tags")}
    table = good("volumes", "--all", bucket=quick_after_crash.path)
    assert table.output.splitlines()[0].split()[:2] == ["BACKUP", "VOLUME"]
    assert sum(line.startswith("backup-20260104-000000 ") for line in table.output.splitlines()) == 2
    assert "backup-20260104-000000 is not in the bucket any more" in table.errors


def test_lost_backup_is_listed_by_name(quick_after_crash):
    done = good("--json", "volumes", "backup-20260104-000000", bucket=quick_after_crash.path)
    assert done.document["state"] == "lost" and len(done.document["volumes"]) == 2
    missing = run("volumes", "backup-x", bucket=quick_after_crash.path)
    assert missing.code == 1 and "holds no backup 'backup-x'" in missing.errors and "nor is any snapshot left of it" in missing.errors


def test_missing_list_is_a_note_and_no_volume_is_lost(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    file_of(spoiled.path, SECOND, "-podvolumebackups.json.gz").unlink()
    done = good("volumes", SECOND, bucket=spoiled.path)
    assert f"note: {spoiled.path}: backups/{SECOND}/{SECOND}-podvolumebackups.json.gz is not there" in done.errors
    assert lines_of(done.output)[PLEX].split()[1] == "stored"


def test_claim_that_velero_does_not_mention_is_listed(made):
    made.volume("b")
    made.finish("b", objects=[claim("data-postgres-0"), claim("forgotten")])
    row = lines_of(good("volumes", bucket=made.path).output)["db/forgotten"]
    assert row.split()[1] == "unrecorded" and "no pod in the backup uses it" in row


def test_bucket_without_backups_says_so(tmp_path):
    (tmp_path / "backups").mkdir()
    done = run("volumes", bucket=tmp_path)
    assert done.code == 1 and "holds no backup that can be restored" in done.errors
    assert good("--json", "volumes", "--all", bucket=tmp_path).document == []


# ---- restore-pvc -----------------------------------------------------------------------------------------------------------


def test_every_volume_of_every_backup_is_restored_as_it_was(quick, quick_after_crash, tmp_path):
    for number, genuine in enumerate((quick, quick_after_crash)):
        before = all_files(genuine.path)
        assert restore_all(genuine.path, genuine.expected, tmp_path / str(number)) == 11
        assert all_files(genuine.path) == before  # no lock, no cache, nothing


def test_genuine_keys_and_what_is_told(first_genuine, tmp_path):
    done = good("restore-pvc", DB, "--target", tmp_path / "target", bucket=first_genuine.path)
    assert on_disk(tmp_path / "target") == expected_entries(first_genuine.expected, volume_of(first_genuine, THIRD, "data-postgres-0"))
    said = dict(line.split(":", 1) for line in done.output.splitlines())
    said = {name: value.strip() for name, value in said.items()}
    assert said["Volume"] == f"{DB} (pod postgres-0, volume data)"
    local = datetime(2026, 11, 23, 20, 7, 39, tzinfo=timezone.utc).astimezone()
    assert said["Backup"] == f"{THIRD} of {local:%Y-%m-%d %H:%M:%S}"
    assert said["Snapshot"].startswith("89133493 of ") and said["Repository"] == "restic/db"
    assert said["Password"] == f"the Secret velero/velero-repo-credentials in backup {THIRD}"
    assert said["Restored"] == "54 of 54 entries, 10.5 MiB of 10.5 MiB"
    assert "static-passw0rd" not in done.output + done.errors and "note:" not in done.errors


def test_newest_copy_is_taken_and_why_no_newer_one_is_told(quick, tmp_path):
    done = good("--json", "restore-pvc", PLEX, "-t", tmp_path / "target", bucket=quick.path).document
    assert done["backup"] == SECOND and done["password_origin"].startswith("the Secret velero/")
    [note] = done["notes"]
    assert f"backup {THIRD}" in note and "has no copy of media/plex-config: failed" in note
    assert on_disk(tmp_path / "target") == expected_entries(quick.expected, volume_of(quick, SECOND, "plex-config"))
    insisted = run("restore-pvc", PLEX, "--backup", "latest", "-t", tmp_path / "other", bucket=quick.path)
    assert insisted.code == 1 and f"The newest backup with a copy of it is {SECOND}" in insisted.errors
    assert not (tmp_path / "other").exists()


def test_newer_copy_of_a_lost_backup_is_hinted_at_and_restored(quick_after_crash, tmp_path):
    lost = "backup-20260104-000000"
    done = good("restore-pvc", DB, "-t", tmp_path / "good", bucket=quick_after_crash.path)
    assert f"--backup {lost} takes it" in done.errors
    # Whoever asks for an older one knows that there are newer ones.
    older = good("--json", "restore-pvc", DB, "--backup", FIRST, "-t", tmp_path / "older", bucket=quick_after_crash.path)
    assert older.document["newer_copies"] == [] and older.document["notes"] == []
    taken = good("--json", "restore-pvc", DB, "--backup", lost, "-t", tmp_path / "lost", bucket=quick_after_crash.path).document
    assert taken["snapshot"].startswith("d06d1d62") and "is not in the bucket any more" in taken["notes"][-1]
    assert taken["backup_time"].startswith("2026-11-23T20:17:45")
    assert on_disk(tmp_path / "lost") == entries_of(quick_after_crash.expected, "074739955746", "restic/db@d06d1d62")


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        ("2026-11-23T20:07:38Z", SECOND),
        ("2026-11-23T20:07:39Z", THIRD),
        ("2026-11-23 20:07:38", SECOND),
        ("2026-11-23 20:07", THIRD),
        ("2026-11-23", THIRD),
    ],
)
def test_at_a_time_it_is_the_backup_of_then(quick, tmp_path, at, wanted):
    said = good("--json", "restore-pvc", DB, "--at", at, "-t", tmp_path / "target", bucket=quick.path, env={"TZ": "UTC"}).document
    assert said["backup"] == wanted
    assert on_disk(tmp_path / "target") == expected_entries(quick.expected, volume_of(quick, wanted, "data-postgres-0"))


def test_time_in_the_users_zone_and_before_everything(quick, tmp_path):
    berlin = {"TZ": "Europe/Berlin"}
    arguments = ("--json", "restore-pvc", DB, "--dry-run", "-t", tmp_path / "target", "--at")
    assert good(*arguments, "2026-11-23 21:07:39", bucket=quick.path, env=berlin).document["backup"] == THIRD
    assert good(*arguments, "2026-11-23 21:07:38", bucket=quick.path, env=berlin).document["backup"] == SECOND
    none = run(*arguments, "2026-11-22", bucket=quick.path, env=berlin)
    assert none.code == 1 and "until 2026-11-22 22:59:59 UTC has a copy" in none.errors


def test_time_back_from_now_and_schedule(made, tmp_path):
    made.volume("old")
    made.finish("old", start="2020-01-01T00:00:00Z")
    made.volume("new")
    made.finish("new", start="2099-01-01T00:00:00Z")
    arguments = ("--json", "restore-pvc", DB, "--dry-run", "-t", tmp_path / "target")
    assert good(*arguments, bucket=made.path).document["backup"] == "new"
    assert good(*arguments, "--at", "2d", bucket=made.path).document["backup"] == "old"
    none = run(*arguments, "--schedule", "daily", bucket=made.path)
    assert none.code == 1 and "no backup of schedule daily has a copy" in none.errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["restore-pvc", DB], "Give one of --target DIR"),
        (["restore-pvc"], "Missing argument 'NAMESPACE/PVC'"),
        (["restore-pvc", "data-postgres-0", "-t", "@"], "'data-postgres-0' is no volume's name: say NAMESPACE/CLAIM"),
        (["restore-pvc", DB, "-t", "@", "--at", "yesterday"], "'yesterday' is no time such as"),
        (["restore-pvc", DB, "-t", "@", "--backup", "x", "--at", "2d"], "--backup names the backup"),
        (["restore-pvc", DB, "-t", "@", "--backup", "x", "--schedule", "y"], "--backup names the backup"),
        (["restore-pvc", DB, "-t", "@", "-i", "x", "-e", "y"], "give one kind of them"),
        (["restore-pvc", DB, "-t", "@", "--delete"], "say with --overwrite what happens"),
        (["restore-pvc", DB, "-t", "@", "--overwrite", "sometimes"], "'sometimes' is not one of"),
        (["restore-pvc", "db/data-postgres-1", "-t", "@"], "is it db/data-postgres-0"),
        (["restore-pvc", "db/unmounted-claim", "-t", "@"], "skipped; volumeSnapshot: no applicable volumesnapshotter found"),
        (["restore-pvc", DB, "-t", "@", "--backup", "no"], "holds no backup 'no'"),
        (["volumes", "x", "--all"], "--all is for all backups"),
        (["ls", DB, "/no/such"], "/no"),
        (["dump", DB, "/no"], "/no"),
        (["dump", DB, "/pgdata"], "/pgdata is a directory: restore it"),
        (["dump", DB, "/pgdata/current"], "is a symlink to base/../base/13395"),
        (["dump", DB, "/"], "root"),
        (["--json", "dump", DB, "/pgdata/PG_VERSION"], "with --json, give --output FILE"),
        (["dump", DB, "/pgdata/PG_VERSION", "-O", "@/deep/file"], "@/deep/file cannot be written: No such file"),
        (["dump", DB, "/pgdata/PG_VERSION", "-O", "/tmp"], "/tmp is a directory"),
        (["mount", DB, "@"], "@ is not there: make an empty directory"),
    ],
)
def test_what_cannot_be_done_is_told_and_makes_nothing(quick, tmp_path, arguments, said):
    target = str(tmp_path / "target")
    done = run(*(each.replace("@", target) for each in arguments), bucket=quick.path)
    assert done.code in (1, 2) and said.replace("@", target) in done.errors, done
    assert done.raw == b"" and os.listdir(tmp_path) == []


def test_target_with_something_in_it(quick, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("mine", encoding="utf-8")
    refused = run("restore-pvc", DB, "-t", target, bucket=quick.path)
    assert refused.code == 1 and "is not empty (1 entries, such as mine): nothing was restored" in refused.errors
    assert os.listdir(target) == ["mine"]
    wanted = expected_entries(quick.expected, volume_of(quick, THIRD, "data-postgres-0"))
    good("restore-pvc", DB, "-t", target, "--overwrite", "always", bucket=quick.path)
    assert set(on_disk(target)) == {*wanted, b"mine"}
    (target / "pgdata/PG_VERSION").write_text("spoiled", encoding="utf-8")
    kept = good("--json", "restore-pvc", DB, "-t", target, "--overwrite", "never", bucket=quick.path).document
    assert kept["bytes_restored"] == 0 and (target / "pgdata/PG_VERSION").read_text(encoding="utf-8") == "spoiled"
    planned = good("restore-pvc", DB, "-t", target, "--overwrite", "if-changed", "--delete", "--dry-run", bucket=quick.path)
    assert "Would delete:  1" in planned.output and (target / "mine").exists()
    done = good("restore-pvc", DB, "-t", target, "--overwrite", "if-changed", "--delete", "--verify", bucket=quick.path)
    said = lines_of(done.output)
    assert said["Deleted:"].split() == ["Deleted:", "1"] and int(said["Verified:"].split()[1]) > 0
    assert on_disk(target) == wanted


def test_a_part_is_restored(quick, tmp_path):
    good("restore-pvc", DB, "-t", tmp_path / "in", "--include", "/uploads/a", bucket=quick.path)
    assert {path.split(b"/")[0] for path in on_disk(tmp_path / "in")} == {b"uploads"}
    assert b"uploads/a/hard-c" in on_disk(tmp_path / "in")
    good("restore-pvc", DB, "-t", tmp_path / "out", "--exclude", "/uploads", "--sparse", bucket=quick.path)
    wanted = expected_entries(quick.expected, volume_of(quick, THIRD, "data-postgres-0"))
    assert on_disk(tmp_path / "out") == {path: facts for path, facts in wanted.items() if not path.startswith(b"uploads")}
    sparse = (tmp_path / "out/pgdata/sparse.img").stat()
    assert sparse.st_blocks * 512 < sparse.st_size
    nothing = good("restore-pvc", DB, "-t", tmp_path / "none", "--include", "/x", bucket=quick.path)
    assert "nothing in db/data-postgres-0 matches what was to be included" in nothing.errors


def test_empty_volume_and_dry_run(quick, tmp_path):
    planned = good("restore-pvc", DB, "-t", tmp_path / "target", "--dry-run", bucket=quick.path)
    assert "Would restore: 54 of 54 entries" in planned.output and not (tmp_path / "target").exists()
    done = good("restore-pvc", "db/empty-claim", "-t", tmp_path / "target", bucket=quick.path)
    assert "none: the volume was empty" in done.output and "is an empty directory" in done.errors
    assert os.listdir(tmp_path / "target") == []


def test_damaged_pack_is_an_error_for_what_needs_it(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    packs = [each for each in (spoiled.path / "restic/db/data").rglob("*") if each.is_file()]
    max(packs, key=lambda each: each.stat().st_size).unlink()
    done = run("--json", "restore-pvc", DB, "-t", tmp_path / "target", bucket=spoiled.path)
    assert done.code == 3
    failed = {each["path"] for each in done.document["errors"]}
    assert failed and all(each["message"] for each in done.document["errors"])
    wanted, there = expected_entries(quick.expected, volume_of(quick, THIRD, "data-postgres-0")), on_disk(tmp_path / "target")
    wrong = {path for path, facts in wanted.items() if facts.get("sha256") != there.get(path, {}).get("sha256")}
    assert wrong and all(any(each.endswith(os.fsdecode(path)) for each in failed) for path in wrong)
    assert len(wanted) - len(wrong) > 20  # the rest is there
    plain = run("restore-pvc", DB, "-t", tmp_path / "plain", bucket=spoiled.path)
    assert plain.code == 3 and plain.errors.count("error: ") == len(done.document["errors"])
    read = run("dump", DB, "/pgdata/base/13395/random.bin", "-O", tmp_path / "out.bin", bucket=spoiled.path)
    assert read.code != 0 and read.errors and sorted(os.listdir(tmp_path)) == ["bucket", "plain", "target"]


# ---- passwords -------------------------------------------------------------------------------------------------------------


def password_file(tmp_path, text):
    (tmp_path / "password").write_text(f"{text}\n", encoding="utf-8")
    return tmp_path / "password"


def test_wrong_password_alone_falls_back_to_what_the_bucket_holds(quick, tmp_path):
    file = password_file(tmp_path, "wrong")
    said = good("-p", file, "--json", "restore-pvc", DB, "-t", tmp_path / "target", bucket=quick.path).document
    assert said["password_origin"].startswith("the Secret velero/velero-repo-credentials in backup")
    assert said["errors"] == [] and on_disk(tmp_path / "target")


def test_given_password_opens_and_is_told_by_no_word(tmp_path):
    made = MadeBucket(tmp_path / "made", "geheim-pw")
    made.volume("b")
    made.finish("b")
    done = good("-p", password_file(tmp_path, "geheim-pw"), "restore-pvc", DB, "-t", tmp_path / "one", bucket=made.path)
    assert lines_of(done.output)["Password:"].split() == ["Password:", "given"] and "geheim-pw" not in done.output + done.errors
    by_environment = good("ls", DB, bucket=made.path, env={"RESTIC_PASSWORD": "geheim-pw"})
    assert by_environment.output == "/hello\n"
    none = run("restore-pvc", DB, "-t", tmp_path / "two", bucket=made.path, env={"RESTIC_PASSWORD": "wrong-pw"})
    assert none.code == 12 and "no known password opens" in none.errors and "1 that was given" in none.errors
    assert "wrong-pw" not in none.errors and not (tmp_path / "two").exists()


def test_secret_in_the_backup_opens(tmp_path):
    made = MadeBucket(tmp_path / "made", "geheim-pw")
    made.volume("b")
    made.finish("b", objects=[secret("geheim-pw")])
    assert good("dump", DB, "/hello", bucket=made.path).raw == b"content of b"


# ---- backups that are gone -------------------------------------------------------------------------------------------------


def test_backup_that_is_gone_is_restored_by_its_snapshots_tags(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    shutil.rmtree(spoiled.path / "backups" / SECOND)
    said = good("--json", "restore-pvc", PLEX, "--backup", SECOND, "-t", tmp_path / "target", bucket=spoiled.path).document
    assert said["backup"] == SECOND and "only snapshots are left of it" in said["notes"][-1]
    assert on_disk(tmp_path / "target") == expected_entries(quick.expected, volume_of(quick, SECOND, "plex-config"))


def test_volume_is_restored_when_every_backup_is_gone(quick, tmp_path):
    spoiled = quick.copy(tmp_path / "bucket")
    shutil.rmtree(spoiled.path / "backups")
    said = good("--json", "restore-pvc", "db/postgres-0:data", "-t", tmp_path / "target", bucket=spoiled.path).document
    assert said["backup"] == THIRD and said["password_origin"] == "Velero's default"
    assert on_disk(tmp_path / "target") == expected_entries(quick.expected, volume_of(quick, THIRD, "data-postgres-0"))


def test_kopia_is_told(made, tmp_path):
    moved = {"snapshotHandle": "k" * 32, "size": 5, "uploaderType": "kopia"}
    made.info("b", pvcName="moved", pvcNamespace="db", backupMethod="CSISnapshot", snapshotDataMoved=True,
              snapshotDataMovementInfo=moved, result="succeeded")  # fmt: skip
    made.finish("b")
    assert lines_of(good("volumes", bucket=made.path).output)["db/moved"].split()[1:5] == ["stored", "5", "B", "kopia"]
    done = run("restore-pvc", "db/moved", "-t", tmp_path / "target", bucket=made.path)
    assert done.code == 1 and "was stored with Kopia, of which recoup reads nothing yet" in done.errors
    assert not (tmp_path / "target").exists()
