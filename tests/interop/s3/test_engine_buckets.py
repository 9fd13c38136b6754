"""`recoup engine` on the buckets of real servers, judged by boto3."""

import contextlib
import json
import socket
import time
import uuid

import pytest

from support import faults, s3
from support.commands import backup
from support.engine import Engine, Refused
from support.programs import wait_until

pytestmark = pytest.mark.recoup_only

RULE = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_path) as made:
        yield made


@pytest.fixture
def name():
    return f"e{uuid.uuid4().hex[:12]}"


def of(server, user=None, **more) -> dict:
    user = user or server.root
    return {"endpoint": f"{server.scheme}://127.0.0.1:{server.port}", "access_key": user.access_key, "secret_key": user.secret_key} | more


def refused(engine, method, code, attribute, **params):
    with pytest.raises(Refused) as why:
        engine.call(method, **params)
    assert (why.value.code, why.value.attribute) == (code, attribute), why.value
    return why.value


@pytest.fixture
def made(engine, minio, name):
    """A bucket on the session's MinIO, made by the engine and removed by it."""
    assert engine.call("bucket.create", s3=of(minio), bucket=name) == {"created": True}
    yield name
    with contextlib.suppress(Refused):
        engine.call("bucket.delete", s3=of(minio), bucket=name, force=True)


def test_made_seen_and_removed(engine, each_server, name):
    where = {"s3": of(each_server), "bucket": name}
    assert engine.call("bucket.get", **where) == {"exists": False}
    assert engine.call("bucket.create", **where) == {"created": True}
    assert engine.call("bucket.create", **where) == {"created": False}
    found = engine.call("bucket.get", **where)
    assert found["exists"] and found["versioning"] in ("off", None) and not found["object_lock_enabled"]
    assert found["lifecycle"] is None and found["policy"] is None and found["object_lock"] is None
    each_server.client().put_object(Bucket=name, Key="a/b", Body=b"123")
    usage = engine.call("bucket.usage", **where)
    assert (usage["objects"], usage["bytes"]) == (1, 3)
    assert engine.call("bucket.usage", prefix="b/", **where)["objects"] == 0
    refused(engine, "bucket.delete", "not_empty", "force", **where)
    assert each_server.client().head_object(Bucket=name, Key="a/b")["ContentLength"] == 3
    assert engine.call("bucket.delete", force=True, **where) == {"deleted": True, "objects": 1}
    assert engine.call("bucket.delete", **where) == {"deleted": False, "objects": 0}
    refused(engine, "bucket.usage", "not_found", "bucket", **where)
    refused(engine, "bucket.apply", "not_found", "bucket", tags={}, **where)


def test_applied_and_not_applied_again(engine, minio, made):
    where = {"s3": of(minio), "bucket": made}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                                                       "Resource": f"arn:aws:s3:::{made}/public/*"}]}
    wanted = {"versioning": "enabled", "lifecycle": {"Rules": [RULE]}, "policy": json.dumps(policy), "tags": {"a": "b", "c": "d e"}}
    first = engine.call("bucket.apply", **wanted, **where)
    assert first["versioning"] == "enabled" and first["tags"] == wanted["tags"] and first["lifecycle"] == wanted["lifecycle"]
    assert minio.client().get_bucket_versioning(Bucket=made)["Status"] == "Enabled"
    assert json.loads(minio.client().get_bucket_policy(Bucket=made)["Policy"])["Statement"][0]["Action"] == ["s3:GetObject"]
    assert {t["Key"]: t["Value"] for t in minio.client().get_bucket_tagging(Bucket=made)["TagSet"]} == wanted["tags"]
    assert engine.call("bucket.get", **where) == first
    assert engine.call("bucket.apply", **where) == first  # nothing given, nothing changed
    nothing = engine.call("bucket.apply", versioning=None, lifecycle=None, policy=None, tags=None, object_lock=None, **where)
    assert nothing["versioning"] == "suspended" and nothing["lifecycle"] is None and nothing["policy"] is None and nothing["tags"] == {}


def test_what_is_so_already_is_not_written(engine, minio, made, proxy):
    where = {"s3": of(minio) | {"endpoint": proxy.endpoint}, "bucket": made}
    wanted = {"versioning": "enabled", "lifecycle": {"Rules": [{k: v for k, v in RULE.items() if k != "ID"}]}, "tags": {"a": "b"},
              "policy": json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": [
                  "s3:GetObject"], "Resource": f"arn:aws:s3:::{made}/*"}})}
    first = engine.call("bucket.apply", **wanted, **where)
    before = len(proxy.log)
    assert engine.call("bucket.apply", **wanted, **where) == first
    assert {each.method for each in proxy.log[before:]} <= {"GET", "HEAD"}


def test_what_the_server_takes_for_wrong(engine, minio, made):
    assert "TagValue" in refused(engine, "bucket.apply", "invalid_argument", "tags", s3=of(minio), bucket=made, tags={"a": "ä"}).message
    no_principal = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "x"}]})
    refused(engine, "bucket.apply", "invalid_argument", "policy", s3=of(minio), bucket=made, policy=no_principal)


def test_a_wrong_parameter_changes_nothing(engine, minio, made):
    refused(engine, "bucket.apply", "invalid_argument", "policy", s3=of(minio), bucket=made, versioning="enabled", policy="{}")
    assert "Status" not in minio.client().get_bucket_versioning(Bucket=made)


def test_object_lock(engine, minio, name, made):
    where = {"s3": of(minio), "bucket": name + "-locked"}
    assert engine.call("bucket.create", object_lock=True, **where) == {"created": True}
    assert engine.call("bucket.create", object_lock=True, **where) == {"created": False}
    found = engine.call("bucket.apply", object_lock={"mode": "GOVERNANCE", "days": 1}, **where)
    assert found["object_lock"] == {"mode": "GOVERNANCE", "days": 1, "years": 0}
    assert found["object_lock_enabled"] and found["versioning"] == "enabled"
    assert minio.client().get_object_lock_configuration(Bucket=where["bucket"])["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Days"] == 1
    refused(engine, "bucket.apply", "unsupported", "versioning", versioning="suspended", **where)
    minio.client().put_object(Bucket=where["bucket"], Key="k", Body=b"x")
    stays = refused(engine, "bucket.delete", "incomplete", None, force=True, **where)
    assert stays.exit_code == 3 and "GOVERNANCE" in stays.message
    assert engine.call("bucket.delete", force=True, bypass_governance=True, **where)["deleted"]

    plain = {"s3": of(minio), "bucket": made}
    for method, more in (("bucket.create", {"object_lock": True}), ("bucket.apply", {"object_lock": {"mode": "COMPLIANCE", "years": 1}})):
        assert "bucket sync" in refused(engine, method, "unsupported", "object_lock", **more, **plain).message
    assert engine.call("bucket.apply", object_lock=None, **plain)["object_lock"] is None


def test_rules_that_would_destroy_backups_or_are_not_kept(engine, minio, bucket_repo, bucket):
    repo = bucket_repo("restic")
    where = {"s3": of(minio), "bucket": bucket.name}
    expire = {"Rules": [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}]}
    assert "REMOVES THE FILES" in refused(engine, "bucket.apply", "invalid_argument", "lifecycle", lifecycle=expire, **where).message
    assert engine.call("bucket.get", **where)["lifecycle"] is None
    elsewhere = {"Rules": [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}]}
    assert engine.call("bucket.apply", lifecycle=elsewhere, **where)["lifecycle"] == elsewhere
    assert engine.call("bucket.apply", lifecycle=expire, lifecycle_may_destroy_backups=True, **where)["lifecycle"] == expire
    # MinIO takes a rule that aborts uploads and forgets that part of it.
    both = {"Rules": [RULE | {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}]}
    assert "AbortIncompleteMultipartUpload" in refused(engine, "bucket.apply", "unsupported", "lifecycle", lifecycle=both, **where).message
    assert engine.call("bucket.get", **where)["lifecycle"] == expire  # as it was
    assert repo.files("keys")


def test_wrong_keys(engine, minio, made):
    for method in ("bucket.get", "bucket.create", "bucket.usage", "bucket.delete"):
        refused(engine, method, "access_denied", "s3.secret_key", s3=of(minio, secret_key="wrong-secret"), bucket=made)
        refused(engine, method, "access_denied", "s3.access_key", s3=of(minio, access_key="nobody"), bucket=made)
    refused(engine, "repository.get", "access_denied", "s3.secret_key", s3=of(minio, secret_key="wrong-secret"),
            repository={"location": f"s3:{minio.scheme}://127.0.0.1:{minio.port}/{made}/r", "password": "x"})
    assert "wrong-secret" not in engine.output.decode() + engine.errors()


def test_the_request_wins_over_the_environment(minio, made, tmp_path):
    wrong = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}
    with Engine(tmp_path, wrong) as engine:
        assert engine.call("bucket.get", s3=of(minio), bucket=made)["exists"]
        alone = {key: value for key, value in of(minio).items() if key == "endpoint"}
        refused(engine, "bucket.get", "access_denied", "s3.access_key", s3=alone, bucket=made)
    with Engine(tmp_path, minio.environment() | {"RESTIC_REPOSITORY": minio.location("some-bucket", "r")}) as engine:
        assert engine.call("bucket.get", bucket=made)["exists"]


def test_a_user_who_may_not_see_everything(engine, minio, made):
    user = minio.add_user(s3.READ_ONLY(made))
    found = engine.call("bucket.get", s3=of(minio, user), bucket=made)
    assert found["exists"] and found["region"] and found["policy"] is None and "policy" in found["problems"]
    nobody = minio.add_user(s3.READ_ONLY("another-bucket"))
    refused(engine, "bucket.get", "access_denied", None, s3=of(minio, nobody), bucket=made)
    refused(engine, "bucket.create", "access_denied", None, s3=of(minio, nobody), bucket=made)


@contextlib.contextmanager
def listener(answers: bool):
    """Takes connections and says nothing, or does not even take them."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0 if not answers else 16)
        fillers = []
        if not answers:
            for _ in range(4):  # the queue is full, so that further ones are not answered at all
                each = socket.socket()
                each.setblocking(False)
                each.connect_ex(server.getsockname())
                fillers.append(each)
            time.sleep(0.1)
        yield server.getsockname()[1]
        for each in fillers:
            each.close()


@pytest.mark.parametrize("what", ["refuses", "drops", "no such name"])
def test_a_server_that_is_not_there_is_given_up_soon(engine, what):
    with listener(answers=False) as dropping:
        endpoint = {"refuses": "http://127.0.0.1:1", "drops": f"http://127.0.0.1:{dropping}", "no such name": "http://no-such-host.invalid:9000"}[what]
        for method, params, attribute in (("bucket.get", {"bucket": "abc"}, "s3.endpoint"),
                                          ("repository.get", {"repository": {"location": f"s3:{endpoint}/abc/r", "password": "x"}}, "repository.location")):
            began = time.monotonic()
            why = refused(engine, method, "unreachable", attribute, s3={"endpoint": endpoint, "access_key": "a", "secret_key": "b"}, **params)
            assert time.monotonic() - began < 60, why
            assert endpoint.split("//")[1].split(":")[0] in why.message


@pytest.mark.parametrize("gone", ["snapshots", "index", "data", "config"])
def test_a_removal_that_is_killed_is_done_again(minio, bucket_repo, bucket, recoup, restic, proxy, tmp_path, small_tree, gone):
    """Killed when some part of the repository is gone: what goes later is still there, and the rest goes the next time."""
    repo = bucket_repo("r")
    backup(restic, repo, small_tree)
    order = ["snapshots", "index", "data", "config", "keys"]
    later = order[order.index(gone) + 1:]
    proxy.add(faults.stall(3600), method="DELETE", key=f"^r/{later[0]}", times=None)  # until it is killed
    about = {"s3": of(minio), "repository": {"location": str(repo.path), "password": repo.password, "no_cache": True}}
    slow = about | {"repository": about["repository"] | {"location": str(repo.through(proxy.endpoint).path)}}
    with Engine(tmp_path) as engine:
        found = engine.call("repository.get", **about)
        engine.ask("repository.delete", confirm_id=found["id"], **slow)
        wait_until(lambda: not bucket.keys(f"r/{gone}"), what=f"{gone} are gone")
        engine.process.kill()
        engine.process.wait()
    left = {key.split("/")[1] for key in bucket.keys("r/")}
    assert left >= set(later), left
    if "config" in left:
        recoup.run("unlock", "--remove-all", repo=repo)
    with Engine(tmp_path) as engine:
        engine.call("repository.delete", confirm_id=found["id"], **about)
        assert engine.call("repository.get", **about) == {"exists": False}
    assert [key for key in bucket.keys("r/") if not key.startswith("r/locks/")] == []


def test_a_certificate_that_is_not_trusted(engine, new_minio, certificates, tmp_path, name):
    server = new_minio(certificate=certificates.valid)
    where = {"bucket": name}
    refused(engine, "bucket.get", "tls", "s3.ca_file", s3=of(server), **where)
    assert engine.call("bucket.get", s3=of(server, ca_file=str(certificates.authority)), **where) == {"exists": False}
    assert engine.call("bucket.get", s3=of(server, insecure_tls=True), **where) == {"exists": False}
