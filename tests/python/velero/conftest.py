"""Fixtures for the tests of recoup.velero: buckets that Velero itself has written, as directories."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

import recoup
from recoup.velero import VeleroBucket
from support import s3

pytest.register_assert_rewrite("kubelet", "kubernetes_server", "command_fixture")

# How long an example takes says more about what else the machine does.
hypothesis.settings.register_profile("recoup", deadline=None)
hypothesis.settings.load_profile("recoup")

FIXTURES = pathlib.Path(
    os.environ.get("RECOUP_FIXTURES") or pathlib.Path(__file__).resolve().parents[4] / "shared/fixtures"
)
GENUINE = ("velero-1.16.2-restic", "velero-1.16.2-restic-aftercrash")


@dataclass(frozen=True)
class Genuine:
    """A bucket of Velero, and what is known to be in it."""

    path: pathlib.Path
    expected: dict[str, Any]

    @property
    def bucket(self) -> VeleroBucket:
        return VeleroBucket(recoup.open_objects(self.path))

    def copy(self, into: pathlib.Path) -> Genuine:
        """One to spoil."""
        shutil.copytree(self.path, into)
        return Genuine(into, self.expected)


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """unpacked(name): a genuine bucket. Not to be changed."""
    done: dict[str, Genuine] = {}

    def unpack(name: str) -> Genuine:
        packed = FIXTURES / "velero" / f"{name}.tar.zst"
        if not packed.exists():
            pytest.skip(f"the fixtures are no part of the project and not at {FIXTURES}")
        if name not in done:
            home = tmp_path_factory.mktemp(name)
            subprocess.run(["tar", "--zstd", "-xf", packed, "-C", home], check=True)
            expected = json.loads(packed.with_name(f"{name}.expected.json").read_text(encoding="utf-8"))
            done[name] = Genuine(home / expected["bucket"], expected)
        return done[name]

    return unpack


@pytest.fixture(params=GENUINE)
def genuine(request, unpacked) -> Genuine:
    """Each of the genuine buckets."""
    return unpacked(request.param)


@pytest.fixture
def first_genuine(unpacked) -> Genuine:
    return unpacked(GENUINE[0])


@pytest.fixture
def after_crash(unpacked) -> Genuine:
    """The bucket of a Velero that was killed in the middle of a backup."""
    return unpacked(GENUINE[1])


@pytest.fixture(scope="session")
def quickly_opened(unpacked, tmp_path_factory):
    """quickly_opened(name): a copy of a genuine bucket whose repositories have other keys, which cost nothing to open. Not to
    be changed."""
    from velero_volumes import replace_keys

    done: dict[str, Genuine] = {}

    def copy(name: str) -> Genuine:
        if name not in done:
            done[name] = unpacked(name).copy(tmp_path_factory.mktemp(f"quick-{name}") / "bucket")
            replace_keys(done[name].path)
        return done[name]

    return copy


@pytest.fixture
def quick(quickly_opened) -> Genuine:
    return quickly_opened(GENUINE[0])


@pytest.fixture
def quick_after_crash(quickly_opened) -> Genuine:
    return quickly_opened(GENUINE[1])


@pytest.fixture
def readable_bucket(minio):
    """readable_bucket(directory, prefix): a bucket of MinIO's with what is in the directory, until the test's end, and somebody who
    may do nothing but read it."""
    made = []

    def upload(directory: pathlib.Path, prefix: str = ""):
        bucket = minio.make_bucket(f"velero-{uuid.uuid4().hex[:12]}")
        made.append(bucket)
        files = [path for path in directory.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda path: bucket.write(f"{prefix}{path.relative_to(directory)}", path.read_bytes()), files))
        return bucket, minio.add_user(s3.READ_ONLY(bucket.name))

    yield upload
    for bucket in made:
        bucket.delete_below("")
        bucket.client.delete_bucket(Bucket=bucket.name)
