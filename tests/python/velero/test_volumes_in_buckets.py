"""Volumes read from a real MinIO; what is the same in a directory is in test_volumes.py. tools/s3-servers.sh builds the
server."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from test_volumes import restore_all
from velero_volumes import file_of, on_disk

import recoup
from recoup.velero import (
    DrillPlan,
    Repositories,
    VeleroBucket,
    drill,
    find_volume,
    lost_backups,
    open_volume,
)

WHEN = datetime(2026, 11, 23, 21, tzinfo=timezone.utc)


@pytest.fixture
def uploaded(minio, readable_bucket, monkeypatch):
    """uploaded(directory, prefix): the bucket's location after it was uploaded, read with rights to read only."""

    def upload(directory, prefix=""):
        bucket, user = readable_bucket(directory, prefix)
        for name, value in minio.environment(user).items():
            monkeypatch.setenv(name, value)
        return bucket, minio.location(bucket.name, prefix.rstrip("/"))

    return upload


@pytest.mark.parametrize("prefix", ["", "clusters/home/"])
def test_every_volume_of_every_backup_is_restored_as_it_was(after_crash, uploaded, tmp_path, prefix):
    bucket, location = uploaded(after_crash.path, prefix)
    before = bucket.sizes()
    with recoup.open_objects(location) as store:
        assert restore_all(VeleroBucket(store), after_crash.expected, tmp_path) == 11
        [lost] = lost_backups(VeleroBucket(store))
        assert lost.name == "backup-20260104-000000"
    assert bucket.sizes() == before  # and nobody had the right to write


def test_nothing_is_kept_on_this_machine_unless_asked_for(first_genuine, uploaded, tmp_path, monkeypatch):
    _, location = uploaded(first_genuine.path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/cache"))
    monkeypatch.delenv("RESTIC_CACHE_DIR", raising=False)
    with recoup.open_objects(location) as store:
        bucket = VeleroBucket(store)
        found = find_volume(bucket, "db/data-postgres-0")
        open_volume(Repositories(bucket), found.volume).restore(tmp_path / "one").raise_for_errors()
        assert not (tmp_path / "home").exists()
        asked = Repositories(bucket, cache=True, cache_dir=tmp_path / "cache")
        open_volume(asked, found.volume).restore(tmp_path / "two").raise_for_errors()
        assert any((tmp_path / "cache").rglob("*"))
    assert on_disk(tmp_path / "one") == on_disk(tmp_path / "two")


def test_drill_from_the_bucket(first_genuine, uploaded, tmp_path):
    bucket, location = uploaded(first_genuine.path)
    with recoup.open_objects(location) as store:
        plan = DrillPlan(backup="backup-20260102-000000", scratch=str(tmp_path / "scratch"), now=WHEN)
        report = drill(VeleroBucket(store), plan)
        assert report.is_restorable, report.failures
        key = file_of(first_genuine.path, "backup-20260102-000000", ".tar.gz").relative_to(first_genuine.path)
        bucket.delete(str(key))
        assert not drill(VeleroBucket(store), plan).is_restorable
