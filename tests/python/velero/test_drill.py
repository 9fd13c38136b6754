"""The drill: whole backups are restorable, and no damage goes unnoticed."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from velero_volumes import (
    MadeBucket,
    all_files,
    claim,
    file_of,
    flip,
    noise,
    pod,
    rewrite_json,
    secret,
    truncate,
)

import recoup
from recoup.velero import (
    Check,
    DrillPlan,
    Outcome,
    Repositories,
    VeleroBucket,
    compare,
    drill,
    find_volume,
    open_volume,
)
from recoup.velero.scratch import remove_tree

GOOD = "backup-20260102-000000"
NEWEST = "backup-20260103-000000"
NOW = datetime(2026, 1, 1, 6, tzinfo=timezone.utc)
WHEN_GENUINE = datetime(2026, 11, 23, 21, tzinfo=timezone.utc)


@pytest.fixture
def made(tmp_path):
    """A backup with two volumes of a database and one of a web server."""
    bucket = MadeBucket(tmp_path / "made")

    def tree(writer):
        big = noise(3 << 20)
        return [
            writer.folder(b"base", [writer.file(b"big", big), writer.file(b"again", big)], mode=0o700 | 1 << 31),
            writer.file(b"caf\xe9", b"latin-1"),
        ]

    bucket.volume("b", tree=tree)
    bucket.volume("b", volume="logs", claim="logs")
    bucket.volume("b", "web", "nginx-0", "www", claim="www")
    bucket.record("b", "web", "nginx-0", "empty", "empty", "")
    bucket.finish("b", objects=objects())
    return bucket


def objects():
    return [
        claim("data-postgres-0"),
        claim("logs"),
        claim("www", "web"),
        claim("empty", "web"),
        pod("postgres-0", {"data": "data-postgres-0", "logs": "logs"}),
        secret("static-passw0rd"),
    ]


@pytest.fixture
def plan(tmp_path):
    """plan(…): with a scratch directory of its own, of which nothing may be left."""
    scratch = tmp_path / "scratch"

    def make(**chosen):
        return DrillPlan(**{"scratch": str(scratch), "now": NOW, **chosen})

    yield make
    assert not scratch.exists() or os.listdir(scratch) == []


def checks(report, outcome=Outcome.FAILED):
    return {each.name: each.message for each in report.checks if each.outcome is outcome}


# ---- whole backups --------------------------------------------------------------------------------------------------------


def test_whole_backup_is_restorable(made, plan):
    before = all_files(made.path)
    report = drill(made.bucket, plan())
    assert report.is_restorable, report.failures
    assert {each.name: each.problems for each in report.volumes} == {
        "db/data-postgres-0": (),
        "db/logs": (),
        "web/empty": (),
        "web/www": (),
    }
    data = next(each for each in report.volumes if each.name == "db/data-postgres-0")
    assert (data.entries, data.files, data.bytes) == (4, 3, 2 * (3 << 20) + len("latin-1"))
    assert data.password_origin == "the Secret velero/velero-repo-credentials in backup b"
    assert all_files(made.path) == before


def test_genuine_backup_is_restorable_and_skipped_volumes_are_told(first_genuine, plan):
    report = drill(first_genuine.bucket, plan(backup=GOOD, now=WHEN_GENUINE))
    assert report.is_restorable, report.failures
    assert report.backup == GOOD
    assert len(report.volumes) == report.candidates == 4
    warned = checks(report, Outcome.WARNING)
    assert "opted out due to annotation" in warned["volume media/plex-transcode"]
    assert "no applicable volumesnapshotter found" in warned["volume db/unmounted-claim"]
    sizes = {each.name: each.bytes for each in report.volumes}
    assert sizes["media/plex-config"] == 51380
    # A file with several names counts as often, for Velero too: that is no difference.
    hard_links = next(each for each in report.volumes if each.name == "db/data-postgres-0")
    assert (hard_links.bytes, hard_links.notes) == (11002845, ())


def test_skipped_volumes_can_be_told_to_matter(quick, plan):
    report = drill(quick.bucket, plan(backup=GOOD, now=WHEN_GENUINE, fail_on_skipped=True, without_data=("media/*",)))
    assert set(checks(report)) == {"volume db/unmounted-claim"}
    assert set(checks(report, Outcome.SKIPPED)) == {"volume media/plex-transcode"}
    without = plan(
        backup=GOOD, now=WHEN_GENUINE, fail_on_skipped=True, without_data=("media/plex-transcode", "*/unmounted-claim")
    )
    assert drill(quick.bucket, without).is_restorable


def test_newest_backup_of_the_fixture_has_a_failed_volume(quick, plan):
    report = drill(quick.bucket, plan(now=WHEN_GENUINE))
    assert report.backup == NEWEST
    assert set(checks(report)) == {"volume media/plex-config"}
    assert "expected one matching path" in checks(report)["volume media/plex-config"]
    assert len(report.volumes) == 3


def test_lost_newer_backup_is_told(quick_after_crash, plan):
    report = drill(quick_after_crash.bucket, plan(now=WHEN_GENUINE))
    assert "only snapshots of 2 volumes are left" in checks(report)["lost backup backup-20260104-000000"]
    named = drill(quick_after_crash.bucket, plan(backup=GOOD, now=WHEN_GENUINE))
    assert "lost backup backup-20260104-000000" in checks(named, Outcome.WARNING)
    assert named.is_restorable


# ---- every kind of damage ---------------------------------------------------------------------------------------------------


def pack_with(made, namespace, kind):
    repository = made.repository(namespace)
    return next(
        repository.path / "data" / place.pack[:2] / place.pack
        for (found, _), places in repository.index().items()
        for place in places
        if found == kind
    )


def snapshot_of(made, namespace="db"):
    return min((made.path / "restic" / namespace / "snapshots").iterdir())


def damage_list(made, change):
    rewrite_json(file_of(made.path, "b", "-podvolumebackups.json.gz"), change)


DAMAGES = {
    "list of stored volumes is lost": lambda made: file_of(made.path, "b", "-podvolumebackups.json.gz").unlink(),
    "list of stored volumes is cut off": lambda made: truncate(file_of(made.path, "b", "-podvolumebackups.json.gz")),
    "list of stored volumes is empty": lambda made: damage_list(made, lambda stored: []),
    "a volume is missing in the list": lambda made: damage_list(made, lambda stored: stored[1:]),
    "a volume failed": lambda made: damage_list(made, lambda stored: stored[0]["status"].update(phase="Failed")),
    "a volume was not finished": lambda made: damage_list(
        made, lambda stored: stored[0]["status"].update(phase="InProgress")
    ),
    "another snapshot is named": lambda made: damage_list(
        made, lambda stored: stored[0]["status"].update(snapshotID=stored[1]["status"]["snapshotID"])
    ),
    "no snapshot is named": lambda made: damage_list(
        made, lambda stored: stored[0]["status"].update(snapshotID="0" * 8)
    ),
    "a volume is Kopia's": lambda made: damage_list(
        made, lambda stored: stored[0]["spec"].update(uploaderType="kopia")
    ),
    "list of skipped volumes is cut off": lambda made: truncate(file_of(made.path, "b", "-volumeinfo.json.gz")),
    "manifests are lost": lambda made: file_of(made.path, "b", ".tar.gz").unlink(),
    "manifests are cut off": lambda made: truncate(file_of(made.path, "b", ".tar.gz")),
    "manifests lack an object": lambda made: (
        made.finish("b", objects=objects())
        and rewrite_json(
            file_of(made.path, "b", "-resource-list.json.gz"), lambda names: names["v1/Pod"].append("db/other")
        )
    ),
    "manifests have a claim of which there is no data": lambda made: made.finish(
        "b", objects=[*objects(), claim("forgotten")]
    ),
    "list of manifests is lost": lambda made: file_of(made.path, "b", "-resource-list.json.gz").unlink(),
    "description is lost": lambda made: (made.path / "backups/b/velero-backup.json").unlink(),
    "description is cut off": lambda made: truncate(made.path / "backups/b/velero-backup.json"),
    "backup failed": lambda made: made.finish("b", objects=objects(), phase="Failed"),
    "backup is old": lambda made: made.finish("b", objects=objects(), start="2025-12-30T00:00:00Z"),
    "backup is from the future": lambda made: made.finish("b", objects=objects(), start="2026-01-02T00:00:00Z"),
    "backup is gone": lambda made: shutil.rmtree(made.path / "backups"),
    "repository is gone": lambda made: shutil.rmtree(made.path / "restic/web"),
    "config is gone": lambda made: (made.path / "restic/db/config").unlink(),
    "config is damaged": lambda made: flip(made.path / "restic/db/config", 20),
    "keys are gone": lambda made: shutil.rmtree(made.path / "restic/db/keys"),
    "password is another": lambda made: made.repository("db").replace_keys("another"),
    "index is gone": lambda made: shutil.rmtree(made.path / "restic/db/index"),
    "index is damaged": lambda made: [flip(each, 50) for each in (made.path / "restic/db/index").iterdir()],
    "a snapshot is gone": lambda made: snapshot_of(made).unlink(),
    "a snapshot is damaged": lambda made: flip(snapshot_of(made), 40),
    "a pack of data is gone": lambda made: pack_with(made, "db", "data").unlink(),
    "a pack of data is damaged": lambda made: flip(pack_with(made, "db", "data"), 40),
    "a pack of data is cut off": lambda made: truncate(pack_with(made, "db", "data")),
    "a pack of trees is gone": lambda made: pack_with(made, "web", "tree").unlink(),
    "a pack of trees is damaged": lambda made: flip(pack_with(made, "web", "tree"), 40),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_makes_the_backup_not_restorable(made, plan, damage):
    DAMAGES[damage](made)
    report = drill(made.bucket, plan(max_age=timedelta(hours=24)))
    assert not report.is_restorable
    assert report.failures or not report.volumes
    assert report.summary.endswith("failed")
    assert "NOT restorable" in report.summary
    assert "<failure" in report.to_junit_xml()


def test_undamaged_it_is_restorable(made, plan):
    """Or the test above would show nothing."""
    report = drill(made.bucket, plan(max_age=timedelta(hours=24)))
    assert report.is_restorable, report.failures


@pytest.mark.parametrize(
    "damage",
    [
        "a snapshot is gone",
        "a pack of data is gone",
        "a pack of trees is damaged",
        "another snapshot is named",
        "repository is gone",
    ],
)
def test_damage_is_found_in_volumes_that_are_not_in_the_sample(made, plan, damage):
    DAMAGES[damage](made)
    seeds = [seed for seed in map(str, range(40)) if drill_names(made, plan, seed) == ["web/empty"]]
    assert seeds
    report = drill(made.bucket, plan(count=1, seed=seeds[0]))
    assert not report.is_restorable


def drill_names(made, plan, seed):
    return [each.name for each in drill(made.bucket, plan(count=1, seed=seed)).volumes]


def test_list_of_skipped_volumes_is_missed_only_where_velero_writes_one(made, plan):
    file_of(made.path, "b", "-volumeinfo.json.gz").unlink()
    report = drill(made.bucket, plan())
    assert report.is_restorable  # Velero before 1.13
    assert "Velero before 1.13 tells nobody" in checks(report, Outcome.WARNING)["list of volumes"]
    made.finish("older", start="2025-12-31T00:00:00Z")
    assert not drill(made.bucket, plan()).is_restorable


def test_forged_names_make_it_not_restorable(tmp_path, plan):
    bucket = MadeBucket(tmp_path / "forged")
    bucket.volume("b", tree=lambda writer: [writer.file(b"../../outside", b"x"), writer.file(b"good", b"good")])
    bucket.finish("b", objects=[claim("data-postgres-0")])
    assert not drill(bucket.bucket, plan()).is_restorable
    assert not list(tmp_path.rglob("outside"))


def test_object_where_velero_puts_none_makes_it_not_restorable(made, plan):
    path = file_of(made.path, "b", ".tar.gz")
    extra = claim("x")
    extra["metadata"]["name"] = "../../../../x"
    import velero_volumes

    path.write_bytes(velero_volumes.archive_of([*objects(), extra]))
    assert "manifests" in checks(drill(made.bucket, plan()))


def test_empty_bucket(tmp_path, plan):
    (tmp_path / "empty" / "backups").mkdir(parents=True)
    report = drill(VeleroBucket(recoup.open_objects(tmp_path / "empty")), plan())
    assert not report.is_restorable
    assert report.backup is None
    for text in (json.dumps(report.to_json()), report.to_junit_xml(), report.to_html()):
        assert "holds no backup that can be restored" in text


def test_backup_of_manifests_alone_is_restorable(tmp_path, plan):
    bucket = MadeBucket(tmp_path / "none")
    bucket.finish("b")
    report = drill(bucket.bucket, plan())
    assert report.is_restorable and checks(report, Outcome.WARNING) == {
        "restore": "no volume of the backup needs data: its manifests are all that was tried"
    }


def test_backup_without_the_data_of_its_claims_is_not(tmp_path, plan):
    bucket = MadeBucket(tmp_path / "none")
    bucket.info("b", pvcName="data", pvcNamespace="db", skipped=True, skippedReason="opted out")
    bucket.finish("b")
    report = drill(bucket.bucket, plan())
    assert checks(report) == {"restore": "the backup has no volume that could be restored"}
    assert drill(bucket.bucket, plan(without_data=["*"])).is_restorable


def test_backup_that_is_being_made_is_passed_over(made, plan):
    home = made.path / "backups" / "now"
    home.mkdir()
    (home / "now-logs.gz").write_bytes(b"")
    os.utime(home / "now-logs.gz", (NOW.timestamp() - 600, NOW.timestamp() - 600))
    assert drill(made.bucket, plan()).is_restorable
    os.utime(home / "now-logs.gz", (NOW.timestamp() - 7200, NOW.timestamp() - 7200))
    report = drill(made.bucket, plan())
    assert list(checks(report)) == ["newest backup"]


# ---- samples ----------------------------------------------------------------------------------------------------------------


def test_seed_chooses_the_same_sample_again(made, plan):
    names = [drill_names(made, plan, seed) for seed in ("a", "a", "b", "c", "d", "e")]
    assert names[0] == names[1]
    assert len({tuple(each) for each in names}) > 1
    assert drill(made.bucket, plan(count=1)).seed == "b"


@pytest.mark.parametrize(
    ("chosen", "count"),
    [({"count": 2}, 2), ({"count": 9}, 4), ({"share": 0.5}, 2), ({"share": 0.01}, 1), ({"share": 1}, 4)],
)
def test_size_of_the_sample(made, plan, chosen, count):
    report = drill(made.bucket, plan(**chosen))
    assert (len(report.volumes), report.candidates) == (count, 4)
    assert report.is_restorable


@pytest.mark.parametrize(
    "chosen", [{"count": 0}, {"count": -1}, {"share": 0}, {"share": 1.1}, {"count": 1, "share": 0.5}]
)
def test_samples_that_make_no_sense_are_refused(chosen):
    with pytest.raises(recoup.InvalidArgumentError):
        DrillPlan(**chosen)


def test_named_backup_that_is_not_there_is_an_error(made, plan):
    with pytest.raises(recoup.NotFoundError, match="holds no backup 'c'"):
        drill(made.bucket, plan(backup="c"))


# ---- comparing ----------------------------------------------------------------------------------------------------------------

# Changes, and what must be said of them.
DIFFERENCES = {
    "/uploads/a/hard-c: its content is not": lambda top: overwrite(top / "uploads/a/hard-c", b"x"),
    "/pgdata/PG_VERSION: size is 2": lambda top: overwrite(top / "pgdata/PG_VERSION", b"16", 1),
    "/pgdata/PG_VERSION: mode is 0o644": lambda top: os.chmod(top / "pgdata/PG_VERSION", 0o644),
    "/pgdata/PG_VERSION: owner is 1:1": lambda top: os.chown(top / "pgdata/PG_VERSION", 1, 1),
    "/pgdata/PG_VERSION: modification time is 1000000000": lambda top: os.utime(top / "pgdata/PG_VERSION", (1, 1)),
    "/pgdata: mode is 0o755": lambda top: os.chmod(top / "pgdata", 0o755),
    "/pgdata: modification time is": lambda top: os.utime(top / "pgdata", (1, 1)),
    "/pgdata/PG_VERSION: was not restored": lambda top: (top / "pgdata/PG_VERSION").unlink(),
    "/new: is not in the snapshot": lambda top: (top / "new").write_bytes(b""),
    "/uploads/pipe: is not a fifo": lambda top: instead(top / "uploads/pipe", lambda path: path.write_bytes(b"")),
    "/pgdata/current: links to elsewhere": lambda top: instead(
        top / "pgdata/current", lambda path: path.symlink_to("elsewhere")
    ),
    "/pgdata/current: is not a symlink": lambda top: instead(top / "pgdata/current", pathlib.Path.mkdir),
    "/pgdata: is not a dir": lambda top: (
        shutil.move(top / "pgdata", top.parent / "moved"),
        (top / "pgdata").symlink_to(top.parent / "moved"),
    ),
    "is a file of its own": lambda top: split(top / "uploads/a/hard-c"),
    "extended attribute user.bin differs": lambda top: change_attributes(top, b"other"),
    "extended attribute user.bin was not restored": lambda top: change_attributes(top, None),
}


def overwrite(path, content, times=0):
    """With nothing else changed."""
    status = path.stat()
    path.write_bytes(content * (times or status.st_size))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def instead(path, make):
    path.unlink()
    make(path)


def split(path):
    status, content = path.stat(), path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def change_attributes(top, value):
    for path in top.rglob("*"):
        if path.is_file() and "user.bin" in os.listxattr(path):
            os.removexattr(path, "user.bin") if value is None else os.setxattr(path, "user.bin", value)


@pytest.fixture
def restored(quick, tmp_path):
    volume = open_volume(Repositories(quick.bucket), find_volume(quick.bucket, "db/data-postgres-0").volume)
    volume.restore(tmp_path / "top").raise_for_errors()
    return volume, tmp_path / "top"


def test_what_was_restored_is_the_same(restored):
    volume, top = restored
    found = compare(volume, str(top))
    assert found.problems == []
    assert found.is_same
    assert found.entries == sum(1 for _ in top.rglob("*"))


@pytest.mark.parametrize("said", DIFFERENCES)
def test_every_difference_is_seen(restored, said):
    volume, top = restored
    DIFFERENCES[said](top)
    found = compare(volume, str(top))
    assert not found.is_same
    assert said in "\n".join(found.problems)


def test_content_that_is_cut_in_other_places_is_compared_byte_by_byte(tmp_path):
    def tree(writer):
        pieces = [noise(1 << 20, number) for number in range(3)]
        blobs = [writer.add("data", each) for each in pieces]
        from velero_volumes import format

        return [format.node(b"file", "file", size=3 << 20, content=blobs)]

    bucket = MadeBucket(tmp_path / "bucket")
    bucket.volume("b", tree=tree)
    bucket.finish("b")
    volume = open_volume(Repositories(bucket.bucket), find_volume(bucket.bucket, "db/data-postgres-0").volume)
    volume.restore(tmp_path / "top").raise_for_errors()
    assert compare(volume, str(tmp_path / "top")).is_same
    time = (tmp_path / "top/file").stat().st_mtime_ns
    flip(tmp_path / "top/file", 2 << 20)
    os.utime(tmp_path / "top/file", ns=(time, time))
    assert compare(volume, str(tmp_path / "top")).problems == ["/file: its content is not that of the snapshot"]


def test_without_root_owners_are_not_compared_and_that_is_told(made):
    """As a schedule's own user would run it. Everything else is compared."""
    home = pathlib.Path(tempfile.mkdtemp())
    try:
        os.chmod(home, 0o777)
        shutil.copytree(made.path, home / "bucket")
        subprocess.run(["chown", "-R", "65534:65534", home], check=True)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # a process of its own, as there is no way back to root
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                bucket = VeleroBucket(recoup.open_objects(home / "bucket"))
                report = drill(bucket, DrillPlan(scratch=str(home / "scratch"), now=NOW))
                os.write(writer, json.dumps(report.to_json()).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as told:
            report = json.loads(told.read())
        os.waitpid(child, 0)
        assert report["is_restorable"], [each for each in report["checks"] if each["outcome"] == "failed"]
        data = next(each for each in report["volumes"] if each["name"] == "db/data-postgres-0")
        assert data["notes"] == ["owners were not compared: only root can restore them"]
        assert data["files"] == 3
        assert os.listdir(home / "scratch") == []
    finally:
        shutil.rmtree(home)


# ---- the scratch directory ----------------------------------------------------------------------------------------------------


def test_lack_of_space_is_seen_before_anything_is_written(made, plan, tmp_path):
    scratch = tmp_path / "small"
    scratch.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", scratch], check=True)
    try:
        report = drill(made.bucket, DrillPlan(scratch=str(scratch), now=NOW))
        assert "not tried: it needs" in checks(report)["volume db/data-postgres-0"]
        assert [each.name for each in report.volumes if not each.problems] == ["db/logs", "web/empty", "web/www"]
        assert os.listdir(scratch) == []
    finally:
        subprocess.run(["umount", scratch], check=True)


def test_scratch_directory_goes_away_when_the_drill_is_ended(made, tmp_path):
    def end(_):
        raise KeyboardInterrupt

    scratch = tmp_path / "scratch"
    with pytest.raises(KeyboardInterrupt):
        drill(made.bucket, DrillPlan(scratch=str(scratch), now=NOW), progress=end)
    assert os.listdir(scratch) == []


def test_ctrl_c_leaves_nothing_behind(made, tmp_path):
    code = textwrap.dedent(
        f"""
        import recoup, time
        from recoup.velero import DrillPlan, VeleroBucket, drill
        def tell(now):
            print("restoring", flush=True)
            time.sleep(3600)
        drill(VeleroBucket(recoup.open_objects({str(made.path)!r})), DrillPlan(scratch={str(tmp_path / "scratch")!r}), progress=tell)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "restoring\n"
        assert os.listdir(tmp_path / "scratch") != []
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
    assert os.listdir(tmp_path / "scratch") == []


def test_progress_is_told(made, plan):
    told = []
    drill(made.bucket, plan(), progress=told.append)
    assert {each.volume for each in told} == {"db/data-postgres-0", "db/logs", "web/www"}
    assert {each.total_volumes for each in told} == {4}
    last = [each for each in told if each.volume == "db/data-postgres-0"][-1]
    assert last.bytes_done == last.total_bytes


def test_remove_tree_takes_whatever_there_is(tmp_path):
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").write_text("x", encoding="utf-8")
    os.mkfifo(top / "a" / "pipe")
    (top / "out").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x", encoding="utf-8")
    (top / ".removing-0").mkdir()
    os.mkdir(os.fsencode(top) + b"/caf\xe9")
    os.chmod(top / "a", 0)
    remove_tree(str(top))
    assert not top.exists()
    assert (tmp_path / "kept" / "file").exists()
    remove_tree(str(top))


def test_remove_tree_takes_what_is_deeper_than_any_path(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("directory", dir_fd=here)
        deeper = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    remove_tree(str(top))
    assert not top.exists()


# ---- reports --------------------------------------------------------------------------------------------------------------------


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


HOSTILE = "<script>alert(1)</script>&amp;\"'\x1b[31m\x00\ufffe]]>"


@pytest.fixture
def hostile_report(tmp_path, plan):
    bucket = MadeBucket(tmp_path / "hostile")
    bucket.volume("b")
    bucket.record("b", "db", "postgres-0", "logs", "logs", "", status={"phase": "Failed", "message": HOSTILE})
    bucket.finish("b", objects=[claim("data-postgres-0"), claim("logs")])
    report = drill(bucket.bucket, plan())
    # As file names are that are no UTF-8.
    latin = Check("volume caf\udce9", Outcome.WARNING, "/caf\udce9: \x9b31m")
    return dataclasses.replace(report, checks=(*report.checks, latin))


def test_html_is_one_page_in_which_nothing_runs(hostile_report):
    page = Text()
    page.feed(hostile_report.to_html())
    assert "script" not in [tag for tag, _ in page.tags]
    assert not [attrs for _, attrs in page.tags if {"src", "href", "onload"} & set(attrs)]
    assert "<script>alert(1)</script>" in page.text
    assert "\\x1b[31m\\x00" in page.text
    assert "/caf\\udce9: \\x9b31m" in page.text
    assert "\x1b" not in page.text
    assert "is NOT restorable" in page.text
    hostile_report.to_html().encode("utf-8")


def test_junit_is_read_by_a_parser(hostile_report):
    suite = ElementTree.fromstring(hostile_report.to_junit_xml().encode("utf-8")).find("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases) == len(hostile_report.checks)
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == 1
    failure = suite.find("testcase[@name='volume db/logs']/failure")
    assert "<script>alert(1)</script>" in failure.text


def test_json_says_the_same(hostile_report):
    document = json.loads(json.dumps(hostile_report.to_json()))
    assert document["version"] == 1
    assert document["is_restorable"] is False
    assert document["backup_time"] == "2026-01-01T00:00:00Z"
    failed = [each for each in document["checks"] if each["outcome"] == "failed"]
    assert [each["name"] for each in failed] == ["volume db/logs"]
    assert "\\x00" in failed[0]["message"]
    assert [each["name"] for each in document["volumes"]] == ["db/data-postgres-0"]
    json.dumps(document, ensure_ascii=False).encode()


def test_passwords_are_in_no_report(tmp_path, plan):
    bucket = MadeBucket(tmp_path / "bucket", "geheim-geheim")
    bucket.volume("b")
    bucket.finish("b", objects=[claim("data-postgres-0"), secret("geheim-geheim")])
    report = drill(bucket.bucket, plan())
    assert report.is_restorable
    for text in (json.dumps(report.to_json()), report.to_junit_xml(), report.to_html(), repr(report)):
        assert "geheim-geheim" not in text
