"""The genuine buckets in a real MinIO, below a prefix: the same as from a directory, in few requests, and nothing is written."""

from __future__ import annotations

import concurrent.futures
import json
import uuid

import pytest
from test_audit import NOW
from velero_archives import backup_document

import recoup
from recoup.velero import VeleroBucket
from recoup.velero.audit import audit
from recoup.velero.manifests import Selection, plan_restore
from support.proxy import Proxy

PREFIX = "cluster-1/"


@pytest.fixture(scope="module")
def proxy(minio):
    with Proxy(minio.endpoint) as made:
        yield made


@pytest.fixture
def uploaded(minio, proxy, monkeypatch):
    """uploaded(files): a bucket with these files below a prefix, through a proxy that sees each request."""
    for name, value in minio.environment().items():
        monkeypatch.setenv(name, value)

    def upload(files: dict[str, bytes]) -> VeleroBucket:
        bucket = minio.make_bucket(f"velero-{uuid.uuid4().hex[:12]}")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: bucket.write(PREFIX + key, files[key]), files))
        proxy.clear()
        return VeleroBucket(recoup.open_objects(minio.location(bucket.name, PREFIX.rstrip("/"), proxy.endpoint)))

    return upload


def files_of(genuine) -> dict[str, bytes]:
    return {
        str(path.relative_to(genuine.path)): path.read_bytes() for path in genuine.path.rglob("*") if path.is_file()
    }


def test_a_bucket_is_the_same_as_its_copy(genuine, uploaded, proxy):
    bucket, copy = uploaded(files_of(genuine)), genuine.bucket
    assert [(each.name, each.state, each.time, each.size) for each in bucket.backups()] == [
        (each.name, each.state, each.time, each.size) for each in copy.backups()
    ]
    assert bucket.repositories() == copy.repositories() and bucket.foreign_directories() == []
    for backup, same in zip(bucket.backups(), copy.backups()):
        assert backup.record == same.record and backup.volume_infos() == same.volume_infos() and list(backup.log()) == list(same.log())
        assert backup.pod_volume_backups() == same.pod_volume_backups() and backup.results() == same.results()
        assert plan_restore(backup, Selection(secrets=True)) == plan_restore(same, Selection(secrets=True))
    found, expected = audit(bucket, now=NOW).to_json(), audit(copy, now=NOW).to_json()
    assert found.pop("location") != expected.pop("location")
    assert found == expected
    assert {each.method for each in proxy.log} <= {"GET", "HEAD"}, "something was written"
    assert not any("/locks/" in each.key for each in proxy.log if each.method != "GET")


def test_hundreds_of_backups_take_a_listing_and_a_request_each(uploaded, proxy):
    files: dict[str, bytes] = {}
    for number in range(700):
        name = f"hourly-{number:05}"
        files[f"backups/{name}/velero-backup.json"] = json.dumps(backup_document(name)).encode()
        files[f"backups/{name}/{name}.tar.gz"] = b"x"
    bucket = uploaded(files)
    assert len(bucket.backups()) == 700
    listings = proxy.requests(query="list-type")
    assert len(listings) == 2 and len(proxy.log) == 702
