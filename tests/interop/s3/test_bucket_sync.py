"""`recoup bucket sync`: copies compared object by object, by boto3, with what was to be copied."""

import hashlib
import io
import os
import signal
import time
import uuid

import boto3.s3.transfer
import pytest

from support import faults
from support.commands import backup
from support.compare import assert_same
from support.programs import wait_until

pytestmark = pytest.mark.recoup_only

MEBIBYTE = 1 << 20
ODD_KEYS = ["a b", "a+b", "a=b&c", "a%b%20c", "ä/ö 漢", "q?x#y", "deep/er/still", "quote'\"<>", "back\\slash", "~tilde", "-dash", "*star",
            "/".join(["s" * 200] * 5) + "/" + "k" * 19, "dir.with.dots/...", "e\u0301", "\u00e9"]


@pytest.fixture
def second_credentials(tmp_path, minio):
    """A profile for MinIO, so that the environment can have the other server's."""
    file = tmp_path / "credentials"
    file.write_text(f"[old]\naws_access_key_id = {minio.root.access_key}\naws_secret_access_key = {minio.root.secret_key}\n")
    return {"AWS_SHARED_CREDENTIALS_FILE": str(file)}


@pytest.fixture
def sync(recoup, minio):
    def call(*args, env=None, **more):
        return recoup.run("bucket", "sync", *args, env=minio.environment() | (env or {}), **more)
    return call


@pytest.fixture
def summary(sync):
    """The figures of a run."""
    def call(*args, **more):
        return sync("--json", *args, **more).summary
    return call


def write_in_parts(bucket, key, content):
    parts = boto3.s3.transfer.TransferConfig(multipart_threshold=6 * MEBIBYTE, multipart_chunksize=6 * MEBIBYTE, max_concurrency=2)
    bucket.client.upload_fileobj(io.BytesIO(content), bucket.name, key, Config=parts)


def fill(bucket):
    for number, key in enumerate(ODD_KEYS):
        bucket.write(key, os.urandom(1000 + number), ContentType="text/x-odd", CacheControl="no-cache", Metadata={"one": "1", "two": "b c"},
                     Tagging="a=b&c=d%20e%2B")
    bucket.write("empty", b"")
    large = os.urandom(70 * MEBIBYTE)
    bucket.write("large", large)
    write_in_parts(bucket, "in parts", large[: 20 * MEBIBYTE])


def contents(bucket):
    return {key: hashlib.sha256(bucket.read(key)).hexdigest() for key in bucket.keys()}


@pytest.fixture
def filled(bucket):
    fill(bucket)
    return bucket


@pytest.fixture
def target(minio):
    made = minio.make_bucket(f"to-{uuid.uuid4().hex[:12]}")
    yield made
    made.delete_below("")


def test_every_object_arrives(summary, minio, filled, target):
    where = minio.location(filled.name), minio.location(target.name)
    planned = summary("-n", *where)
    assert planned["to_copy"] == len(ODD_KEYS) + 3 and target.keys() == []
    done = summary(*where)
    assert done["copied"] == done["verified_by_etag"] == len(ODD_KEYS) + 3 and done["failed"] == 0
    assert contents(target) == contents(filled)
    for key in filled.keys():
        one, two = filled.head(key), target.head(key)
        for field in ("ContentType", "CacheControl", "Metadata", "ContentLength", "ETag"):
            assert one.get(field) == two.get(field), (key, field)
    tags = target.client.get_object_tagging(Bucket=target.name, Key=ODD_KEYS[0])["TagSet"]
    assert sorted((t["Key"], t["Value"]) for t in tags) == [("a", "b"), ("c", "d e+")]
    assert target.uploads() == []
    again = summary(*where)
    assert again["copied"] == 0 and again["equal"] == len(ODD_KEYS) + 3
    read_back = summary("--checksum", *where)
    assert read_back["copied"] == 0 and read_back["equal"] == len(ODD_KEYS) + 3


def test_to_another_server_and_back(sync, minio, filled, second_server, second_credentials, target):
    other = second_server.make_bucket(f"o{uuid.uuid4().hex[:10]}")
    env = second_server.environment() | second_credentials
    there = second_server.location(other.name)
    out = sync("--json", "--from-profile", "old", minio.location(filled.name), there, env=env)
    assert out.summary["copied"] == len(ODD_KEYS) + 3
    assert contents(other) == contents(filled)
    assert sync("--json", "--from-profile", "old", minio.location(filled.name), there, env=env).summary["copied"] == 0

    # Damaged behind the gateway's back, in one byte: size and ETag say nothing, reading does.
    file = second_server.data / other.name / "a b"
    raw = bytearray(file.read_bytes())
    raw[500] ^= 1
    file.write_bytes(raw)
    found = sync("--json", "--checksum", "--from-profile", "old", minio.location(filled.name), there, env=env).summary
    assert found["copied"] == 1 and other.read("a b") == filled.read("a b")

    back = sync("--json", "-o", "s3.profile=old", "--from-option", "s3.profile=", there, minio.location(target.name), env=env).summary
    assert back["copied"] == len(ODD_KEYS) + 3 and contents(target) == contents(filled)


def test_only_what_changed(summary, minio, filled, target):
    where = minio.location(filled.name), minio.location(target.name)
    summary(*where)
    time.sleep(1.1)
    filled.write("a b", b"changed")
    filled.write("new", b"new")
    filled.delete("a+b")
    target.write("extra", b"")
    done = summary(*where)
    assert done["copied"] == 2 and done["extra"] == 2 and done["removed"] == 0 and target.exists("a+b")
    done = summary("--delete", *where)
    assert done["removed"] == 2 and contents(target) == contents(filled)


def test_a_prefix_of_it(summary, minio, filled, target):
    done = summary(minio.location(filled.name, "deep"), minio.location(target.name, "x/y"))
    assert done["copied"] == 1 and target.keys() == ["x/y/er/still"]


def test_nothing_is_emptied_by_accident(sync, minio, bucket, filled, target, tmp_path):
    target.write("precious", b"x")
    nothing = minio.make_bucket(f"n{uuid.uuid4().hex[:10]}")
    (tmp_path / "unmounted").mkdir()
    for source in (minio.location(nothing.name), tmp_path / "unmounted"):
        refused = sync("--delete", source, minio.location(target.name), code=1)
        assert "is that the right source?" in refused.errors and target.exists("precious")
    sync("--delete", "--allow-emptying", minio.location(nothing.name), minio.location(target.name))
    assert target.keys() == []
    refused = sync(minio.location(filled.name), minio.location(filled.name, "inside"), code=1)
    assert "one lies in the other" in refused.errors


# ---- directories --------------------------------------------------------------------------------------------------------

def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_into_a_directory_and_back(summary, minio, filled, target, tmp_path):
    filled.write("folder/", b"")
    here = tmp_path / "here"
    done = summary(minio.location(filled.name), here)
    assert done["verified_by_reading"] == len(ODD_KEYS) + 4
    found = files_below(here)
    assert {k: hashlib.sha256(v).hexdigest() for k, v in found.items()} == {k: v for k, v in contents(filled).items() if k != "folder/"}
    assert (here / "folder").is_dir() and summary(minio.location(filled.name), here)["copied"] == 0
    assert (here / "a b").stat().st_mtime == filled.head("a b")["LastModified"].timestamp()
    (here / "a b").write_bytes(b"longer and newer than it was")
    (here / "link").symlink_to("/etc/passwd")
    os.mkfifo(here / "pipe")
    left = summary(here, minio.location(target.name), code=3)
    assert left["failed"] == 2 and left["copied"] == len(ODD_KEYS) + 3  # link and pipe are said, and left out
    assert target.read("a b") == b"longer and newer than it was" and not target.exists("link")
    (here / "link").unlink()
    (here / "pipe").unlink()
    assert summary(here, minio.location(target.name))["copied"] == 0


def test_keys_that_are_no_file_names(sync, minio, bucket, target, tmp_path):
    # MinIO itself refuses `..`, `//` and a beside a/b; what it takes and a directory does not are long names.
    keys = {"plain": b"1", "s" * 255: b"2", "100%": b"3", "%_": b"4", "a/b": b"5", "marker/": b""}
    for key, content in keys.items():
        bucket.write(key, content)
    here = tmp_path / "here"
    sync("--escape-names", minio.location(bucket.name), here)
    assert sync("--escape-names", "--json", minio.location(bucket.name), here).summary["copied"] == 0
    assert (here / "100%25").read_bytes() == b"3" and (here / "marker/%_").read_bytes() == b""
    sync("--escape-names", here, minio.location(target.name))
    assert contents(target) == contents(bucket)


# ---- what goes wrong on the way -----------------------------------------------------------------------------------------------

def test_a_run_that_was_interrupted_goes_on(recoup, summary, minio, bucket, target):
    for number in range(40):
        bucket.write(f"k{number:02}", os.urandom(200_000))
    where = minio.location(bucket.name), minio.location(target.name)
    with recoup.start("bucket", "sync", *where, "--limit-upload", "500", env=minio.environment()) as running:
        wait_until(lambda: len(target.keys()) >= 3, what="some objects are there")
        running.kill(signal.SIGINT)
        running.finish(code=130)
    some = len(target.keys())
    assert 3 <= some < 40
    done = summary(*where)
    assert done["copied"] == 40 - some and done["equal"] == some and contents(target) == contents(bucket)


def test_an_interrupted_large_object_leaves_no_parts(recoup, minio, bucket, target):
    write_in_parts(bucket, "large", os.urandom(70 * MEBIBYTE))
    with recoup.start("bucket", "sync", minio.location(bucket.name), minio.location(target.name), "--limit-upload", "4000",
                      env=minio.environment()) as running:
        wait_until(lambda: target.uploads(), what="the upload has begun")
        time.sleep(1)
        running.kill(signal.SIGINT)
        running.finish(code=130)
    assert target.uploads() == [] and target.keys() == []


def test_bytes_that_change_on_the_way(sync, minio, bucket, target, proxy):
    for key in ("a", "b", "c"):
        bucket.write(key, os.urandom(3000))
    proxy.add(faults.flip(100), method="GET", key="^b$", times=1)
    through = f"s3:{proxy.endpoint}/{bucket.name}"
    done = sync("--json", through, minio.location(target.name), code=3)
    assert [e["key"] for e in done.messages("error")] == ["b"] and "other bytes when it was read again" in done.messages("error")[0]["message"]
    assert target.keys() == ["a", "c"]
    assert sync("--json", through, minio.location(target.name)).summary["copied"] == 1
    assert contents(target) == contents(bucket)


def test_a_copy_that_is_wrong_is_noticed_and_removed(sync, minio, bucket, target, proxy):
    """The ETag is no proof where it is none of the contents: then what is read back has to be right."""
    bucket.write("a", os.urandom(3000))
    proxy.add(faults.flip(100), method="GET", key="^a$", times=1)
    through = f"s3:{proxy.endpoint}/{target.name}"
    done = sync("--json", "--read-back", minio.location(bucket.name), through, code=3)
    assert "read back is not what was copied" in done.messages("error")[0]["message"] and target.keys() == []
    assert sync("--json", "--read-back", minio.location(bucket.name), through).summary["verified_by_reading"] == 1


def test_passing_faults_do_not_matter(sync, minio, bucket, target, proxy):
    for number in range(12):
        bucket.write(f"k{number}", os.urandom(50_000))
    proxy.add(faults.slow_down(), method="GET", times=2)
    proxy.add(faults.reset_in_answer(), method="GET", key="^k", times=2)
    proxy.add(faults.truncate(), method="GET", key="^k", times=2)
    done = sync("--json", f"s3:{proxy.endpoint}/{bucket.name}", minio.location(target.name))
    assert done.summary["copied"] == 12 and contents(target) == contents(bucket)


def test_one_object_that_cannot_be_read(sync, minio, filled, target, proxy):
    proxy.add(faults.refuse(403, "AccessDenied"), method="GET|HEAD", key="^empty$", times=None)
    target.write("extra", b"")
    target.write("a b", b"an old one")
    done = sync("--json", "--delete", f"s3:{proxy.endpoint}/{filled.name}", minio.location(target.name), code=3)
    assert [e["key"] for e in done.messages("error")] == ["empty"]
    assert done.summary["copied"] == len(ODD_KEYS) + 2 and done.summary["removed"] == 0 and target.exists("extra")


def test_a_repository_moves(sync, restic, minio, bucket, bucket_repo, second_server, second_credentials, small_tree, tmp_path):
    repo = bucket_repo("old")
    snapshot = backup(restic, repo, small_tree).id
    other = second_server.make_bucket(f"o{uuid.uuid4().hex[:10]}")
    env = second_server.environment() | second_credentials
    sync("--from-profile", "old", minio.location(bucket.name, "old"), second_server.location(other.name, "new"), env=env)
    moved = {"RESTIC_REPOSITORY": second_server.location(other.name, "new"), "RESTIC_PASSWORD": repo.password} | second_server.environment()
    restic.run("check", "--read-data", env=moved)
    restic.run("restore", snapshot, "--target", tmp_path / "back", env=moved)
    assert_same(small_tree, tmp_path / "back" / small_tree.relative_to("/"))
