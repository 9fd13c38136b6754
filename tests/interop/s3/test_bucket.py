"""`recoup bucket`, judged by boto3, by `mc` and by an HTTP client that does not sign."""

import datetime
import json
import os
import urllib.error
import urllib.request
import uuid

import botocore.exceptions
import pytest

from support import faults
from support.commands import backup

pytestmark = pytest.mark.recoup_only

DAY = datetime.timedelta(days=1)


@pytest.fixture
def run(recoup):
    """run(server, "usage", …): `recoup bucket …` as the server's root."""
    def call(server, *args, env=None, **more):
        return recoup.run("bucket", *args, env=server.environment() | (env or {}), **more)
    return call


@pytest.fixture
def name():
    return f"b{uuid.uuid4().hex[:12]}"


def mc_lines(server, *args):
    return [json.loads(line) for line in server.mc(*args).splitlines()]


def anonymous(method, url, body=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method), timeout=120) as answer:
            return answer.status
    except urllib.error.HTTPError as why:
        return why.code


# ---- making, listing, showing -----------------------------------------------------------------------------------------

def test_create_can_be_repeated(run, each_server, name):
    where = each_server.location(name)
    first = run(each_server, "create", "--versioning", "--json", where).json()
    assert first == {"bucket": name, "location": where, "created": True, "versioning": True, "object_lock": False}
    assert run(each_server, "create", "--versioning", "--json", where).json()["created"] is False
    assert each_server.client().get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert name in [bucket["name"] for bucket in run(each_server, "list", "--json", f"s3:{each_server.endpoint}").json_lines()]
    run(each_server, "remove", where)
    assert name not in [b["Name"] for b in each_server.client().list_buckets()["Buckets"]]


def test_create_with_object_lock(run, minio, name):
    run(minio, "create", "--object-lock", minio.location(name))
    found = minio.client().get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
    assert found["ObjectLockEnabled"] == "Enabled"
    run(minio, "create", "--object-lock", minio.location(name))
    minio.make_bucket(name + "-plain")
    refused = run(minio, "create", "--object-lock", minio.location(name + "-plain"), code=1)
    assert "has no object lock" in refused.errors


def test_show_tells_everything(run, minio, name, bucket_repo):
    bucket = minio.make_bucket(name, retention_days=3)
    bucket.client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "team", "Value": "a+b"}]})
    bucket_repo("deep/er", inside=bucket)
    found = run(minio, "show", "--json", minio.location(name)).json()
    assert found["region"] == "us-east-1" and found["versioning"] == "enabled" and found["policy"] is None
    assert found["object_lock"] == {"enabled": True, "mode": "COMPLIANCE", "days": 3, "years": 0}
    assert found["tags"] == {"team": "a+b"} and found["repositories"] == ["deep/er/"] and found["problems"] == {}
    text = run(minio, "show", minio.location(name)).text
    assert "3 days (COMPLIANCE)" in text and "deep/er/" in text


def test_what_a_server_lacks_is_said(run, second_server, name):
    second_server.make_bucket(name)
    refused = run(second_server, "lifecycle", "show", second_server.location(name), code=1)
    assert "has no such thing as the lifecycle rules of a bucket" in refused.errors
    found = run(second_server, "show", "--json", second_server.location(name)).json()
    assert found["lifecycle"] is None and "no such thing" in found["problems"]["lifecycle"] and found["versioning"] == "never"


def test_listings(run, minio, name):
    bucket = minio.make_bucket(name, versioning=True)
    for key in ("a b+c%=", "deep/one", "deep/two", "ä"):
        bucket.write(key, b"x")
    bucket.write("ä", b"newer")
    bucket.delete("deep/two")
    top = run(minio, "list", "--json", minio.location(name)).json_lines()
    assert {(e["type"], e["key"]) for e in top} == {("object", "a b+c%="), ("object", "ä"), ("prefix", "deep/")}
    everything = run(minio, "list", "--json", "--recursive", "--versions", minio.location(name)).json_lines()
    judged = {(v["Key"], v["VersionId"], v["IsLatest"], v["deleted"]) for v in bucket.versions()}
    assert {(e["key"], e["version_id"], e["is_latest"], e["type"] == "delete_marker") for e in everything} == judged


# ---- usage --------------------------------------------------------------------------------------------------------------

def test_usage_is_what_mc_counts(run, minio, name):
    bucket = minio.make_bucket(name, versioning=True)
    for i in range(230):
        bucket.write(f"data/{i % 7:02x}/{i}", os.urandom(i))
    bucket.write("config", b"c" * 155)
    bucket.write("data/00/0", b"a second version")
    bucket.delete("data/01/1", "config")
    upload = bucket.client.create_multipart_upload(Bucket=name, Key="data/big")["UploadId"]
    bucket.client.upload_part(Bucket=name, Key="data/big", UploadId=upload, PartNumber=1, Body=b"u" * 1234)
    found = run(minio, "usage", "--depth", 2, "--json", minio.location(name)).json()

    judged = {line["prefix"]: line for line in mc_lines(minio, "du", "--depth", "3", f"x/{name}")}
    ours = {f"{name}/{p['prefix'].rstrip('/')}": p for p in found["prefixes"]} | {name: found["total"]}
    assert judged.keys() == ours.keys() and len(judged) == 9
    for prefix, line in judged.items():
        assert (line["size"], line["objects"]) == (ours[prefix]["bytes"], ours[prefix]["objects"]), prefix
    all_versions = mc_lines(minio, "du", "--versions", f"x/{name}")[-1]
    total = found["total"]
    assert all_versions["size"] == total["bytes"] + total["old_version_bytes"]
    assert total["old_versions"] == 3 and total["delete_markers"] == 2
    assert (total["incomplete_uploads"], total["incomplete_upload_bytes"]) == (1, 1234)

    below = run(minio, "usage", "--json", minio.location(name, "data/03")).json()
    assert below["total"]["objects"] == judged[f"{name}/data/03"]["objects"] and below["prefixes"] == []


def test_usage_without_the_right_to_list_versions(run, minio, bucket, proxy):
    bucket.write("key", b"12345")
    # MinIO's own policies let whoever may list objects list versions too.
    for query in ("versions", "uploads"):
        proxy.add(faults.refuse(403, "AccessDenied"), method="GET", query=query, times=None)
    found = run(minio, "usage", "--json", f"s3:{proxy.endpoint}/{bucket.name}").json()
    assert found["total"]["bytes"] == 5 and not found["versions_known"] and not found["incomplete_uploads_known"]


def test_usage_of_a_whole_server(run, minio, name):
    bucket = minio.make_bucket(name)
    for key in ("a/b", "a/c", "d"):
        bucket.write(key, b"123")
    found = run(minio, "usage", "--depth", 2, "--json", f"s3:{minio.endpoint}").json()
    assert found["bucket"] == found["prefix"] == ""
    counts = {p["prefix"]: (p["objects"], p["bytes"]) for p in found["prefixes"] if p["prefix"].startswith(f"{name}/")}
    assert counts == {f"{name}/": (3, 9), f"{name}/a/": (2, 6)}
    assert found["total"]["objects"] == sum(p["objects"] for p in found["prefixes"] if p["prefix"].count("/") == 1)


def test_usage_of_the_other_server(run, second_server, name):
    bucket = second_server.make_bucket(name)
    for key in ("a/b/c", "a/d", "e"):
        bucket.write(key, b"123")
    found = run(second_server, "usage", "--depth", 1, "--json", second_server.location(name)).json()
    assert found["total"]["bytes"] == 9 and [(p["prefix"], p["objects"]) for p in found["prefixes"]] == [("a/", 2)]


# ---- versioning -----------------------------------------------------------------------------------------------------------

def test_versioning(run, each_server, name):
    bucket = each_server.make_bucket(name)
    status = lambda: bucket.client.get_bucket_versioning(Bucket=name).get("Status")
    for command, judged, said in (("enable", "Enabled", "enabled"), ("suspend", "Suspended", "suspended"), ("enable", "Enabled", "enabled")):
        assert run(each_server, "versioning", command, "--json", each_server.location(name)).json()["versioning"] == said
        assert status() == judged
    assert "enabled" in run(each_server, "versioning", "show", each_server.location(name)).text


def test_prefixes_without_versions_survive(run, minio, name):
    minio.make_bucket(name)
    minio.mc("version", "enable", "--excluded-prefixes", "tmp/*,logs/*", "--exclude-folders", f"x/{name}")
    said = run(minio, "versioning", "show", "--json", minio.location(name)).json()
    assert said["excluded_prefixes"] == ["tmp/*", "logs/*"] and said["exclude_folders"]
    run(minio, "versioning", "enable", minio.location(name))
    run(minio, "create", "--versioning", minio.location(name))
    judged = mc_lines(minio, "version", "info", f"x/{name}")[0]["versioning"]
    assert judged["status"] == "Enabled" and judged["ExcludedPrefixes"] == ["tmp/*", "logs/*"] and judged["ExcludeFolders"]
    # MinIO keeps them for as long as it is enabled only.
    assert run(minio, "versioning", "suspend", "--json", minio.location(name)).json()["versioning"] == "suspended"


# ---- lifecycle --------------------------------------------------------------------------------------------------------------

def rules_of(bucket):
    return bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]


def test_lifecycle_rules(run, minio, name):
    bucket = minio.make_bucket(name, versioning=True)
    where = minio.location(name)
    run(minio, "lifecycle", "add", "--id", "old", "--noncurrent-days", 30, "--keep-versions", 2, "--remove-delete-markers", where)
    run(minio, "lifecycle", "add", "--id", "tmp", "--prefix", "tmp/ä &<", "--tag", "a=b", "--tag", "c=d", "--expire-days", 7, "--disabled", where)
    assert rules_of(bucket) == [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": True},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 2}},
        {"ID": "tmp", "Status": "Disabled", "Expiration": {"Days": 7},
         "Filter": {"And": {"Prefix": "tmp/ä &<", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}]}}}]
    # What we print is what AWS's tools print, and what we read.
    assert run(minio, "lifecycle", "show", "--json", where).json()["Rules"] == rules_of(bucket)
    run(minio, "lifecycle", "add", "--id", "old", "--noncurrent-days", 9, where)  # the same id: replaced
    assert [r["ID"] for r in rules_of(bucket)] == ["old", "tmp"] and rules_of(bucket)[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 9}
    run(minio, "lifecycle", "remove", "--id", "old", where)
    assert [r["ID"] for r in rules_of(bucket)] == ["tmp"]
    assert "no lifecycle rule with the id" in run(minio, "lifecycle", "remove", "--id", "old", where, code=1).errors
    run(minio, "lifecycle", "remove", "--all", where)
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        rules_of(bucket)


def test_lifecycle_rules_of_others_stay_whole(run, minio, name, tmp_path):
    bucket = minio.make_bucket(name, versioning=True)
    minio.mc("ilm", "rule", "add", "--prefix", "x/", "--expire-days", "5", "--expire-all-object-versions", f"x/{name}")
    before = mc_lines(minio, "ilm", "rule", "export", f"x/{name}")[0]
    run(minio, "lifecycle", "add", "--id", "ours", "--noncurrent-days", 3, minio.location(name))
    after = mc_lines(minio, "ilm", "rule", "export", f"x/{name}")[0]
    theirs = lambda export: [r for r in export.get("config", export)["Rules"] if r["ID"] != "ours"]
    assert theirs(before) == theirs(after) and len(theirs(after)) == 1 and "ExpiredObjectAllVersions" in json.dumps(after)
    # mc's own export goes back in by way of us.
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(after.get("config", after)))
    run(minio, "lifecycle", "remove", "--all", minio.location(name))
    run(minio, "lifecycle", "set", file, minio.location(name))
    assert sorted(r["ID"] for r in rules_of(bucket)) == sorted(r["ID"] for r in after.get("config", after)["Rules"])


def test_what_the_server_forgets_of_a_rule_is_said(run, minio, name):
    minio.make_bucket(name, versioning=True)
    done = run(minio, "lifecycle", "add", "--id", "both", "--abort-upload-days", 7, "--noncurrent-days", 3, minio.location(name))
    assert 'does not keep this: rule "both": AbortIncompleteMultipartUpload' in done.errors


def test_rules_that_would_eat_a_repository_are_refused(run, minio, name, bucket_repo):
    bucket = minio.make_bucket(name)
    bucket_repo("backups/restic", inside=bucket)
    where = minio.location(name)
    for prefix in ("", "back", "backups/", "backups/restic/data/"):
        refused = run(minio, "lifecycle", "add", "--id", "x", "--expire-days", 90, "--prefix", prefix, where, code=1)
        assert "REMOVES THE FILES of the restic repository" in refused.errors and "backups/restic" in refused.errors
    with pytest.raises(botocore.exceptions.ClientError):
        rules_of(bucket)
    for harmless in ("other/", "backups/restic/locks/"):
        run(minio, "lifecycle", "add", "--id", harmless, "--expire-days", 90, "--prefix", harmless, where)
    warned = run(minio, "lifecycle", "add", "--id", "x", "--expire-days", 90, "--force", where)
    assert "REMOVES THE FILES" in warned.errors and len(rules_of(bucket)) == 3


@pytest.mark.parametrize("text, part", [('{"Rules":[{"ID":"x","Status":"Enabled"}]}', "does nothing"), ("[]", "must be a JSON object"),
                                        ('{"Rules":{}}', "must be a list"), ('{"Rules":[{"Expiration":{"Days":1.5}}]}', "whole number"),
                                        ('{"Rules":[{"Expiration":{"Days":"x"}}]}', "x"), ("{", "not valid JSON"), ('{"Rulez":[]}', "Rulez")])
def test_bad_files_with_rules(run, minio, bucket, tmp_path, text, part):
    file = tmp_path / "rules.json"
    file.write_text(text)
    refused = run(minio, "lifecycle", "set", file, minio.location(bucket.name), code=1)
    assert part in refused.errors


# ---- policy -----------------------------------------------------------------------------------------------------------------

def test_anonymous_access(run, minio, name):
    bucket = minio.make_bucket(name)
    for key in ("pub/one", "drop/one", "else"):
        bucket.write(key, b"x")
    base = f"{minio.endpoint}/{name}/"
    run(minio, "policy", "set", "download", minio.location(name, "pub"))
    assert [anonymous("GET", base + key) for key in ("pub/one", "drop/one", "else")] == [200, 403, 403]
    assert anonymous("PUT", base + "pub/two", b"x") == 403
    run(minio, "policy", "set", "upload", minio.location(name, "drop"))
    assert anonymous("PUT", base + "drop/two", b"x") == 200 and anonymous("GET", base + "drop/two") == 403
    assert anonymous("GET", base + "pub/one") == 200
    assert mc_lines(minio, "anonymous", "get", f"x/{name}/pub/")[0]["permission"] == "download"
    assert mc_lines(minio, "anonymous", "get", f"x/{name}/drop/")[0]["permission"] == "upload"
    said = run(minio, "policy", "show", "--json", minio.location(name)).json()
    assert said["anonymous_access"] == [{"prefix": "drop/", "access": "upload"}, {"prefix": "pub/", "access": "download"}]
    assert said["other_public_statements"] == 0
    run(minio, "policy", "set", "private", minio.location(name, "pub"))
    run(minio, "policy", "set", "private", minio.location(name, "drop"))
    assert [anonymous("GET", base + key) for key in ("pub/one", "drop/one")] == [403, 403]
    assert run(minio, "policy", "show", "--json", minio.location(name)).json()["policy"] is None


@pytest.mark.parametrize("kind", ["download", "upload", "public"])
def test_what_mc_lets_everyone_do(run, minio, name, kind):
    bucket = minio.make_bucket(name)
    bucket.write("one", b"x")
    minio.mc("anonymous", "set", kind, f"x/{name}")
    said = run(minio, "policy", "show", "--json", minio.location(name)).json()
    assert said["anonymous_access"] == [{"prefix": "", "access": kind}] and said["other_public_statements"] == 0
    run(minio, "policy", "set", "private", minio.location(name))
    assert anonymous("GET", f"{minio.endpoint}/{name}/one") == 403
    assert mc_lines(minio, "anonymous", "get", f"x/{name}")[0]["permission"] == "private"
    run(minio, "policy", "set", kind, minio.location(name))
    assert mc_lines(minio, "anonymous", "get", f"x/{name}")[0]["permission"] == kind


def test_policy_statements_of_others_stay(run, minio, name, tmp_path):
    minio.make_bucket(name)
    statement = {"Sid": "Mine", "Effect": "Deny", "Principal": {"AWS": ["*"]}, "Action": ["s3:DeleteObject"],
                 "Resource": [f"arn:aws:s3:::{name}/keep/*"], "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    run(minio, "policy", "set", "--file", file, minio.location(name))
    run(minio, "policy", "set", "public", minio.location(name))
    run(minio, "policy", "set", "private", minio.location(name))
    kept = json.loads(minio.client().get_bucket_policy(Bucket=name)["Policy"])
    assert kept["Statement"] == [statement]
    run(minio, "policy", "remove", minio.location(name))
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchBucketPolicy"):
        minio.client().get_bucket_policy(Bucket=name)


# ---- object lock --------------------------------------------------------------------------------------------------------------

def test_default_retention(run, each_server, name):
    bucket = each_server.make_bucket(name, object_lock=True)
    judged = lambda: bucket.client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"].get("Rule")
    where = each_server.location(name)
    run(each_server, "lock", "set", "--mode", "compliance", "--days", 2, where)
    assert judged() == {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}
    run(each_server, "lock", "set", "--years", 1, where)
    assert judged() == {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 1}}
    assert run(each_server, "lock", "show", "--json", where).json() == {
        "bucket": name, "enabled": True, "default_retention": {"mode": "GOVERNANCE", "days": 0, "years": 1}}
    run(each_server, "lock", "clear", where)
    assert not (judged() or {}).get("DefaultRetention")


def test_retention_of_a_repository(run, restic, minio, name, bucket_repo, small_tree):
    bucket = minio.make_bucket(name, object_lock=True)
    repo = bucket_repo("in/here", inside=bucket)
    first = backup(restic, repo, small_tree).id
    where = minio.location(name, "in/here")
    bucket.write("beside", b"not ours")
    bucket.write("in/here/locks/" + "0" * 64, b"a lock")
    kept = [k for k in bucket.keys("in/here") if "/locks/" not in k]
    bytes_kept = sum(bucket.sizes()[k] for k in kept)

    now = datetime.datetime.now(datetime.timezone.utc)
    dry = run(minio, "lock", "extend-retention", "--for", "3d", "-n", "--json", where).json()
    assert dry["extended"] == len(kept) and bucket.retention(kept[0]) is None
    done = run(minio, "lock", "extend-retention", "--for", "3d", "--json", where).json()
    assert (done["extended"], done["extended_bytes"], done["long_enough"]) == (len(kept), bytes_kept, 0)
    for key in kept:
        lock = bucket.retention(key)
        assert lock["Mode"] == "GOVERNANCE" and abs(lock["RetainUntilDate"] - now - 3 * DAY) < datetime.timedelta(minutes=5)
    assert bucket.retention("beside") is None and bucket.retention("in/here/locks/" + "0" * 64) is None

    # Neither shortened nor weakened; what is new is added.
    bucket.delete("in/here/locks/" + "0" * 64)
    small_tree.joinpath("new").write_bytes(os.urandom(5000))
    backup(restic, repo, small_tree)
    again = run(minio, "lock", "extend-retention", "--for", "2d", "--json", where).json()
    assert again["long_enough"] == len(kept) and again["extended"] > 0
    stronger = run(minio, "lock", "extend-retention", "--for", "1d", "--mode", "compliance", "--json", where).json()
    assert stronger["locked"]["governance"]["objects"] == 0 and stronger["failed"] == 0
    assert bucket.retention(kept[0])["RetainUntilDate"] - now > 2.9 * DAY and bucket.retention(kept[0])["Mode"] == "COMPLIANCE"

    # What prune then removes is hidden, and the report says so.
    restic.run("forget", "--prune", first, repo=repo)
    report = run(minio, "lock", "show", "--objects", "--json", where).json()
    is_locked = lambda v: "ObjectLockRetainUntilDate" in bucket.head(v["Key"], VersionId=v["VersionId"])
    hidden = [v for v in bucket.versions("in/here") if not v["deleted"] and not v["IsLatest"] and is_locked(v)]
    assert len(hidden) > 0 and report["hidden"]["objects"] == len(hidden) and report["hidden"]["bytes"] == sum(v["Size"] for v in hidden)
    text = run(minio, "lock", "show", "--objects", where).text
    assert "`prune` cannot free what is locked" in text and "deleted, yet stored" in text


def test_retention_needs_a_locked_bucket_and_a_repository(run, minio, bucket, name, bucket_repo):
    bucket_repo("repo")
    assert "has no object lock" in run(minio, "lock", "extend-retention", "--for", "1d", minio.location(bucket.name, "repo"), code=1).errors
    minio.make_bucket(name, object_lock=True)
    assert "there is no repository" in run(minio, "lock", "extend-retention", "--for", "1d", minio.location(name, "repo"), code=10).errors
    assert "--for" in run(minio, "lock", "extend-retention", "--for", "soon", minio.location(name), code=1).errors


def test_governance_can_be_lifted(run, minio, name):
    bucket = minio.make_bucket(name, object_lock=True)
    until = datetime.datetime.now(datetime.timezone.utc) + DAY
    for key, mode in (("a/one", "GOVERNANCE"), ("a/two", "COMPLIANCE"), ("b", "GOVERNANCE")):
        bucket.write(key, b"x", ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    where = minio.location(name, "a")
    assert "--confirm" in run(minio, "lock", "clear-governance", where, code=1).errors
    assert run(minio, "lock", "clear-governance", "--confirm", name, "--json", where).json()["cleared"] == 1
    assert bucket.retention("a/one") is None and bucket.retention("a/two")["Mode"] == "COMPLIANCE" and bucket.retention("b")


# ---- removing -------------------------------------------------------------------------------------------------------------------

def test_remove_has_to_be_told_twice(run, minio, name, bucket_repo):
    bucket = minio.make_bucket(name, versioning=True)
    for i in range(1100):
        bucket.client.put_object(Bucket=name, Key=f"k{i}", Body=b"")
    bucket.write("k1", b"second")
    bucket.delete("k2")
    bucket.client.create_multipart_upload(Bucket=name, Key="begun")
    bucket_repo("some/repo", inside=bucket)
    where = minio.location(name)
    everything = len(bucket.versions())
    assert "say so twice" in run(minio, "remove", where, code=1).errors
    assert "say so twice" in run(minio, "remove", "--delete-all-objects", where, code=1).errors
    assert "say so twice" in run(minio, "remove", "--delete-all-objects", "--confirm", "another", where, code=1).errors
    both = ("--delete-all-objects", "--confirm", name)
    assert f"--delete-repository {name}/some/repo" in run(minio, "remove", *both, where, code=1).errors
    assert "prefix" in run(minio, "remove", *both, minio.location(name, "some"), code=1).errors
    assert "expects one location" in run(minio, "remove", *both, env={"RESTIC_REPOSITORY": where}, code=1).errors
    planned = run(minio, "remove", "-n", "--json", where).json()
    assert planned["repositories"] == [f"{name}/some/repo"] and planned["contents"]["incomplete_uploads"] == 1 and not planned["removed"]
    assert len(bucket.versions()) == everything
    done = run(minio, "remove", *both, "--delete-repository", f"{name}/some/repo", "--json", where).json()
    assert done["removed"] and done["removed_versions"] == everything and done["aborted_uploads"] == 1
    assert name not in [b["Name"] for b in minio.client().list_buckets()["Buckets"]]
    assert "there is no bucket" in run(minio, "remove", where, code=1).errors


def test_locked_versions_stay(run, minio, name):
    bucket = minio.make_bucket(name, object_lock=True)
    until = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + DAY
    bucket.write("free", b"x")
    bucket.write("governed", b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    bucket.write("fixed", b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    flags = ("--delete-all-objects", "--confirm", name)
    left = run(minio, "remove", *flags, minio.location(name), code=3)
    assert "2 versions in it cannot be removed" in left.errors and f"fixed: locked (COMPLIANCE) until {until:%Y-%m-%d %H:%M:%S}" in left.errors
    assert bucket.keys() == ["fixed", "governed"]
    left = run(minio, "remove", *flags, "--bypass-governance", "--json", minio.location(name), code=3)
    assert [s["key"] for s in left.json()["stuck"]] == ["fixed"] and bucket.keys() == ["fixed"]


# ---- the repository's own location; who may not -----------------------------------------------------------------------------------

def test_goes_by_the_repository(run, minio, name):
    minio.make_bucket(name).write("in/here/x", b"1")
    env = {"RESTIC_REPOSITORY": minio.location(name, "in/here")}
    assert run(minio, "usage", "--json", env=env).json()["total"]["objects"] == 1
    assert "never" in run(minio, "versioning", "show", env=env).text
    assert "no location in S3" in run(minio, "show", env={"RESTIC_REPOSITORY": "/srv/backup"}, code=1).errors


def test_messages(run, minio, name):
    gone = minio.location(name)
    for args in (("show",), ("usage",), ("list",), ("versioning", "enable"), ("lifecycle", "show"), ("lock", "show"), ("policy", "show")):
        refused = run(minio, *args, gone, code=1)
        assert name in refused.errors and ("no such bucket" in refused.errors or "there is no bucket" in refused.errors), args
    minio.make_bucket(name)
    user = minio.add_user()
    refused = run(minio, "versioning", "enable", gone, env=user.environment(), code=1)
    assert "AccessDenied" in refused.errors and "these credentials do not allow it" in refused.errors
    assert user.secret_key not in refused.everything
