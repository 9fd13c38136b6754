"""Who may do what, and what is said when it is not enough; regions; versioned and locked buckets; TLS."""

import os

import pytest

from support import format, s3
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.programs import Repository, stand_in
from support.proxy import Proxy
from support.storage import BucketPath

DENIED = "denied"


@pytest.fixture
def filled(bucket_repo, restic, small_tree, tmp_path):
    """A repository with one snapshot of `small`."""
    repo = bucket_repo()
    backup(restic, repo, "small", cwd=tmp_path)
    return repo


def user_with(repo, policy):
    server = repo.path.server
    return server.environment(server.add_user(policy(repo.path.bucket.name)))


# ---- credentials ------------------------------------------------------------------------------------------------------

@pytest.mark.recoup_only
@pytest.mark.parametrize("spoil", ["access key", "secret key", "none"])
def test_wrong_keys(recoup, filled, tmp_path, spoil):
    env = filled.path.environment()
    env = {"access key": env | {"AWS_ACCESS_KEY_ID": "nobody"}, "secret key": env | {"AWS_SECRET_ACCESS_KEY": "wrong" * 5},
           "none": dict.fromkeys(env)}[spoil]
    for command in (["snapshots"], ["backup", "small"], ["init"]):
        result = recoup.run(*command, repo=filled, env=env | {"AWS_EC2_METADATA_DISABLED": "true"}, cwd=tmp_path, code=(1, 10), timeout=180)
        assert "key" in result.errors.lower() or "credential" in result.errors.lower(), result
        assert filled.path.server.root.secret_key not in result.everything


@pytest.mark.recoup_only
def test_read_only(recoup, filled, small_tree, tmp_path):
    """Reading works, without a lock; a backup is refused before a byte of the source is read. restic tries for 15 minutes."""
    env = user_with(filled, s3.READ_ONLY)
    restore(recoup, filled, "latest", tmp_path / "out", env=env)
    assert_same(small_tree, tmp_path / "out/small")
    for command in (["snapshots"], ["ls", "latest"], ["stats"], ["find", "f1"], ["check", "--read-data", "--no-lock"]):
        recoup.run(*command, repo=filled, env=env)
    before = set(filled.files())
    begun = os.stat(small_tree / "d0/f0").st_atime_ns
    result = recoup.run("backup", "small", repo=filled, env=env, cwd=tmp_path, code=1, timeout=180)
    assert DENIED in result.errors.lower() and "PutObject" in result.errors, result
    assert os.stat(small_tree / "d0/f0").st_atime_ns == begun and set(filled.files()) == before


@pytest.mark.recoup_only
@pytest.mark.parametrize("policy, permission", [(s3.PUT_ONLY, "GetObject"), (s3.NO_LIST, "ListBucket")], ids=["put-only", "no-list"])
def test_not_enough_for_a_backup(recoup, filled, tmp_path, policy, permission):
    result = recoup.run("backup", "small", repo=filled, env=user_with(filled, policy), cwd=tmp_path, code=1, timeout=180)
    assert DENIED in result.errors.lower() and (permission in result.errors or "ListBucket" in result.errors), result


def test_append_only(recoup, restic, filled, small_tree, tmp_path):
    """All but locks may only be added: enough for backups."""
    bucket = filled.path.bucket.name
    env = filled.path.server.environment(filled.path.server.add_user(s3.APPEND_ONLY(bucket, "repo/")))
    (small_tree / "new").write_bytes(b"new")
    made = backup(recoup, filled, "small", cwd=tmp_path, env=env)
    assert filled.ids("locks") == set()
    restore(restic, filled, made.id, tmp_path / "out")
    assert_same(small_tree, tmp_path / "out/small")


@pytest.mark.recoup_only
def test_no_delete_at_all(recoup, restic, filled, small_tree, tmp_path):
    """The backup is made; that its lock stays is said."""
    env = user_with(filled, s3.NO_DELETE)
    (small_tree / "new").write_bytes(b"new")
    result = recoup.run("backup", "small", repo=filled, env=env, cwd=tmp_path, code=(0, 1, 3), timeout=180)
    assert len(filled.ids("snapshots")) == 2 and "lock" in result.errors.lower(), result


def test_temporary_credentials(recoup, filled, tmp_path):
    env = filled.path.server.environment(filled.path.server.temporary())
    recoup.run("snapshots", repo=filled, env=env)
    backup(recoup, filled, "small", cwd=tmp_path, env=env)


# ---- buckets ----------------------------------------------------------------------------------------------------------

@pytest.mark.recoup_only
def test_no_such_bucket(recoup, minio, tmp_path):
    for command in (["snapshots"], ["backup", "."], ["check"]):
        result = recoup.run(*command, repo=Repository(BucketPath(minio, minio.bucket("not-made-yet"), "repo")), cwd=tmp_path, code=(1, 10), timeout=180)
        assert "not-made-yet" in result.errors, result


def test_init_makes_the_bucket(recoup, restic, minio):
    name = f"made-{os.urandom(4).hex()}"
    repo = Repository(BucketPath(minio, minio.bucket(name), "deep/er"))
    recoup.run("init", repo=repo)
    restic.run("cat", "config", repo=repo)
    assert all(key.startswith("deep/er/") for key in minio.bucket(name).keys())


@pytest.mark.parametrize("prefix", ["", "with space", "a+b=c", "per%20cent", "ümläut/日本", "quote'\"", "a&b;c", "a~b(c)!*"])
def test_prefixes(recoup, restic, each_server, prefix, small_tree, tmp_path):
    """Each program finds the other's repository below prefixes that have to be escaped."""
    bucket = each_server.make_bucket(f"prefix-{os.urandom(4).hex()}")
    repo = Repository(BucketPath(each_server, bucket, prefix))
    if not prefix:
        repo = Repository(WholeBucket(each_server, bucket, ""))
    recoup.run("init", repo=repo)
    backup(restic, repo, "small", cwd=tmp_path)
    made = backup(recoup, repo, "small", "--force", cwd=tmp_path)
    restore(restic, repo, made.id, tmp_path / "out")
    assert_same(small_tree, tmp_path / "out/small")
    check_clean(recoup, repo)
    assert all(key.startswith(f"{prefix}/" if prefix else ("config", "data/", "index/", "keys/", "snapshots/")) for key in bucket.keys())


def test_doubled_slashes(recoup, restic, each_server, small_tree, tmp_path):
    """Both programs take them for one."""
    bucket = each_server.make_bucket(f"slashes-{os.urandom(4).hex()}")
    as_written, repo = (Repository(BucketPath(each_server, bucket, prefix)) for prefix in ("in//side/", "in/side"))
    recoup.run("init", repo=as_written)
    for program in (recoup, restic):
        program.run("backup", "small", repo=as_written, cwd=tmp_path)
        program.run("check", repo=as_written)
    assert len(repo.ids("snapshots")) == 2
    check_clean(restic, repo)
    assert all(key.startswith("in/side/") for key in bucket.keys())


@pytest.mark.recoup_only
def test_a_place_that_the_server_does_not_list(recoup, minio):
    """MinIO takes objects below a prefix that begins with a slash, and then lists none: restic makes repositories there that nobody can
    open."""
    bucket = minio.make_bucket(f"slash-{os.urandom(4).hex()}")
    repo = Repository(BucketPath(minio, bucket, "/first"))
    assert "does not list it" in recoup.run("init", repo=repo, code=1).errors
    assert bucket.keys() == []


class WholeBucket(BucketPath):
    """The bucket itself, no prefix."""

    def __truediv__(self, part):
        return BucketPath(self.server, self.bucket, str(part))


def test_versioned_bucket(recoup, restic, minio, bucket_repo, small_tree, tmp_path):
    bucket = minio.make_bucket(f"versioned-{os.urandom(4).hex()}", versioning=True)
    repo = bucket_repo(inside=bucket)
    backup(recoup, repo, "small", cwd=tmp_path)
    check_clean(restic, repo)
    check_clean(recoup, repo)
    assert repo.ids("locks") == set()
    counted = {}
    for version in bucket.versions("repo/"):
        counted[version["Key"]] = counted.get(version["Key"], 0) + (not version["deleted"])
    assert set(counted.values()) == {1}, "something was written twice"


def test_locked_bucket(recoup, restic, minio, bucket_repo, small_tree, tmp_path):
    """Default retention: every PUT must carry a checksum, and what is deleted is only marked so."""
    bucket = minio.make_bucket(f"locked-{os.urandom(4).hex()}", retention_days=1)
    repo = bucket_repo(inside=bucket)
    made = backup(recoup, repo, "small", cwd=tmp_path)
    check_clean(restic, repo)
    check_clean(recoup, repo)
    assert repo.ids("locks") == set()
    pack = next(key for key in bucket.keys("repo/data/"))
    assert bucket.retention(pack)["Mode"] == "COMPLIANCE"
    restore(restic, repo, made.id, tmp_path / "out")
    assert_same(small_tree, tmp_path / "out/small")


@pytest.mark.parametrize("said", [None, "eu-central-7"], ids=["found out", "given"])
def test_region(recoup, restic, new_minio, small_tree, tmp_path, said):
    server = new_minio(region="eu-central-7")
    repo = Repository(BucketPath(server, server.make_bucket("backups"), "repo"))
    env = {"AWS_DEFAULT_REGION": said}
    recoup.run("init", repo=repo, env=env)
    backup(recoup, repo, "small", cwd=tmp_path, env=env)
    check_clean(restic, repo)


@pytest.mark.recoup_only
def test_wrong_region(recoup, new_minio, tmp_path):
    """Given, and wrong: used the right one all the same, or said which is right."""
    server = new_minio(region="eu-central-7")
    repo = Repository(BucketPath(server, server.make_bucket("backups"), "repo"))
    result = recoup.run("init", repo=repo, env={"AWS_DEFAULT_REGION": "us-east-1"}, code=(0, 1), timeout=180)
    assert result.code == 0 or "eu-central-7" in result.errors, result


# ---- TLS ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("which, flags, words", [
    ("valid", ["--cacert={authority}"], None), ("self_signed", ["--cacert={authority}"], None), ("self_signed", ["--insecure-tls"], None),
    ("expired", ["--insecure-tls"], None), ("wrong_host", ["--insecure-tls"], None),
    ("valid", [], "certificate"), ("self_signed", [], "certificate"), ("valid", ["--cacert={unknown}"], "certificate"),
    ("expired", ["--cacert={authority}"], "expired"), ("not_yet", ["--cacert={authority}"], "valid"), ("wrong_host", ["--cacert={authority}"], "127.0.0.1"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else str(v))
def test_certificates(recoup, new_second_server, certificates, small_tree, tmp_path, which, flags, words):
    made = getattr(certificates, which)
    server = new_second_server(certificate=made)
    repo = Repository(BucketPath(server, server.make_bucket("backups"), "repo"))
    flags = [f.format(authority=made.authority, unknown=certificates.unknown_authority) for f in flags]
    env = {"RESTIC_CACERT": None}
    if words is None:
        recoup.run("init", *flags, repo=repo, env=env)
        backup(recoup, repo, "small", *flags, cwd=tmp_path, env=env)
    elif not stand_in():  # restic tries for 15 minutes
        result = recoup.run("init", *flags, repo=repo, env=env, code=1, timeout=180)
        assert "certificate" in result.errors.lower() and words in result.errors, result
        assert server.bucket("backups").keys() == []


def test_client_certificate(recoup, minio, bucket_repo, certificates, small_tree, tmp_path):
    """A server that lets in only who shows a certificate."""
    context = certificates.valid.server_context(ask_for=certificates.authority)
    with Proxy(minio.endpoint, context=context) as secure:
        repo = bucket_repo().through(secure.endpoint)
        flags = [f"--cacert={certificates.authority}", f"--tls-client-cert={certificates.client_combined}"]
        backup(recoup, repo, "small", *flags, cwd=tmp_path)
        assert len(repo.ids("snapshots")) == 1
        if not stand_in():
            result = recoup.run("snapshots", flags[0], repo=repo, code=1, timeout=180)
            assert "certificate" in result.errors.lower(), result


@pytest.mark.recoup_only
def test_no_secret_is_seen(recoup, filled, tmp_path):
    """In no message, however much is asked for."""
    secrets = [filled.path.server.root.secret_key]
    for command in (["snapshots", "-vv"], ["backup", "small", "-vv", "--json"], ["check", "-vv"]):
        result = recoup.run(*command, repo=filled, cwd=tmp_path, code=None)
        assert not any(secret in result.everything for secret in secrets)
    assert format.Repo(filled.path).problems() == []
