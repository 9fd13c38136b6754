"""What goes wrong between program and server: nothing is lost, nothing is done twice but what failed, and the message says what it was.

Everything runs against a real MinIO behind support/proxy.py. A fault befalls single requests; what is restored afterwards is compared byte by
byte, and the repository is judged by our own reader and by restic.
"""

import os
import signal
import time

import pytest

from support import faults, format, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.programs import HOST, Repository, wait_until
from support.storage import BucketPath, files_below
from support.trees import noise, write

SEED = os.environ.get("RECOUP_SEED", "1")

#: what a program must survive while it uploads
UPLOAD = {
    "500": faults.server_error(), "503": faults.slow_down(), "503 with Retry-After": faults.slow_down(1), "reset before": faults.reset_before(),
    "reset in the request": faults.reset_in_request(100_000), "answer lost": faults.lose_answer(), "stall": faults.stall(1.5, "request", 100_000),
    "late answer": faults.stall(1.5), "race of directories": faults.refuse(409, "ExistingObjectIsDirectory"),
}
#: and while it reads
DOWNLOAD = {
    "500": faults.server_error(), "503": faults.slow_down(), "503 with Retry-After": faults.slow_down(1), "reset before": faults.reset_before(),
    "reset in the answer": faults.reset_in_answer(50_000), "cut off": faults.truncate(50_000), "cut off at once": faults.truncate(0),
    "shorter than asked for": faults.truncate(50_000, honest=True), "wrong byte": faults.flip(40), "stall": faults.stall(1.5, "answer", 50_000),
}


@pytest.fixture
def tree(tmp_path):
    """Enough for several packs of data at --pack-size=4."""
    top = trees.small_tree(tmp_path / "tree", files=40, bytes_each=20_000)
    for number in range(3):
        write(os.fsencode(top / f"large{number}"), noise(6_000_000, ("faults", number)))
    return top


def judge(repo, restic):
    """The repository as it is, not as the proxy shows it."""
    straight = Repository(BucketPath(repo.path.server, repo.path.bucket, repo.path.key), repo.version)
    made = format.Repo(straight.path)
    assert made.problems() == []
    check_clean(restic, straight)
    return made


# ---- single requests --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", UPLOAD)
@pytest.mark.parametrize("what", ["data", "index", "snapshots", "locks"])
def test_upload(recoup, restic, bucket_repo, proxy, tree, tmp_path, kind, what):
    repo = bucket_repo().through(proxy.endpoint)
    rule = proxy.add(UPLOAD[kind], method="PUT", key=f"/{what}/", times=2 if what == "data" else 1)
    made = backup(recoup, repo, "tree", "--pack-size=4", cwd=tmp_path)
    assert rule.hits == rule.times, f"{proxy}"
    slow = "stall" in UPLOAD[kind].kind
    assert proxy.duplicates("PUT") == [] or slow, proxy
    assert not slow or max(r.seconds for r in proxy.requests("PUT") if r.fault) >= 1.5, "a slow request is waited for"
    assert len(judge(repo, restic).snapshots()) == 1
    assert repo.ids("locks") == set()
    restore(restic, repo, made.id, tmp_path / "out")
    assert_same(tree, tmp_path / "out/tree")


@pytest.mark.parametrize("kind", DOWNLOAD)
@pytest.mark.parametrize("what", ["data", "index", "snapshots", "keys", "config"])
def test_download(recoup, restic, bucket_repo, proxy, tree, tmp_path, kind, what):
    """Wrong bytes are seen by what is checked anyway: ids and seals. They are asked for again, as other failures are."""
    repo = bucket_repo()
    made = backup(restic, repo, "tree", "--pack-size=4", cwd=tmp_path)
    repo = repo.through(proxy.endpoint)
    # What was wrong once may be an accident on the way; what is wrong again lies so in the bucket.
    rule = proxy.add(DOWNLOAD[kind], method="GET", key=f"/{what}(/|$)", times=2 if what == "data" and kind != "wrong byte" else 1)
    restore(recoup, repo, made.id, tmp_path / "out", "--no-cache")
    assert_same(tree, tmp_path / "out/tree")
    assert rule.hits == rule.times, f"{proxy}"
    assert repo.ids("locks") == set()


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", DOWNLOAD)
def test_no_more_is_read_again_than_failed(recoup, restic, bucket_repo, proxy, tree, tmp_path, kind):
    """restic reads a pack in other parts when it tries again."""
    repo = bucket_repo()
    made = backup(restic, repo, "tree", "--pack-size=4", cwd=tmp_path)
    repo = repo.through(proxy.endpoint)
    restore(recoup, repo, made.id, tmp_path / "undisturbed", "--no-cache")
    needed = sum(r.down for r in proxy.requests("GET", "/data/"))
    largest = max(r.down for r in proxy.requests("GET", "/data/"))
    proxy.clear()
    proxy.add(DOWNLOAD[kind], method="GET", key="/data/", times=1 if kind == "wrong byte" else 3)
    restore(recoup, repo, made.id, tmp_path / "out", "--no-cache")
    assert_same(tree, tmp_path / "out/tree")
    assert sum(r.down for r in proxy.requests("GET", "/data/")) <= needed + 3 * largest, proxy


@pytest.mark.parametrize("kind", ["500", "503", "reset before", "cut off", "wrong byte", "stall"])
def test_check_of_all_data(recoup, restic, bucket_repo, proxy, tree, tmp_path, kind):
    """What went wrong on the way is no damage."""
    repo = bucket_repo()
    backup(restic, repo, "tree", "--pack-size=4", cwd=tmp_path)
    rule = proxy.add(DOWNLOAD[kind], method="GET", key="/data/", times=1 if kind == "wrong byte" else 2)
    check_clean(recoup, repo.through(proxy.endpoint), "--no-cache")
    assert rule.hits == rule.times


@pytest.mark.parametrize("kind", ["500", "503", "reset before", "answer lost"])
def test_removing_locks(recoup, bucket_repo, proxy, small_tree, tmp_path, kind):
    """A delete that was done and then repeated finds nothing: that is no failure."""
    repo = bucket_repo().through(proxy.endpoint)
    proxy.add(UPLOAD[kind], method="DELETE|POST", key="locks/|^$")
    backup(recoup, repo, "small", cwd=tmp_path)
    assert repo.ids("locks") == set() and sum(proxy.faults().values()) == 1


@pytest.mark.parametrize("kind", ["500", "503", "reset before", "reset in the answer", "cut off"])
def test_listing(recoup, restic, bucket_repo, proxy, small_tree, tmp_path, kind):
    repo = bucket_repo()
    made = backup(restic, repo, "small", cwd=tmp_path)
    proxy.add(faults.truncate(300) if kind == "cut off" else DOWNLOAD[kind], method="GET", query="prefix", times=2)
    found = recoup.run("snapshots", "--json", "--no-cache", repo=repo.through(proxy.endpoint)).json()
    assert [s["id"] for s in found] == [made.id] and sum(proxy.faults().values()) == 2


def test_listed_twice(recoup, restic, bucket_repo, proxy, tree, tmp_path):
    """As S3 may list what is written while the pages are read."""
    repo = bucket_repo()
    first = backup(restic, repo, "tree", "--pack-size=4", cwd=tmp_path)
    through = repo.through(proxy.endpoint)
    proxy.add(faults.duplicate_entries(), query="prefix", times=None)
    assert [s["id"] for s in recoup.run("snapshots", "--json", "--no-cache", repo=through).json()] == [first.id]
    packs = recoup.run("list", "packs", "--no-cache", repo=through).text.split()
    assert sorted(packs) == sorted(repo.ids("data"))
    check_clean(recoup, through, "--no-cache")
    second = backup(recoup, through, "tree", cwd=tmp_path)
    assert second.tree == first.tree and second.summary["data_blobs"] == 0
    judge(repo, restic)


@pytest.mark.parametrize("what", ["data", "index", "snapshots"])
def test_not_listed(recoup, restic, bucket_repo, proxy, tree, tmp_path, what):
    """What a listing leaves out may be missed, and is reported where it is needed; nothing is deleted, nothing restored wrong."""
    repo = bucket_repo()
    first = backup(restic, repo, "tree", "--pack-size=4", cwd=tmp_path)
    before = set(repo.files())
    through = repo.through(proxy.endpoint)
    proxy.add(faults.missing_entries(1), query=f"prefix=.*{what}/", times=None)
    checked = recoup.run("check", "--no-cache", repo=through, code=None)
    assert (checked.code == 1) == (what in ("data", "index")), checked
    if what == "data":
        assert any(pack in checked.everything or pack[:8] in checked.everything for pack in repo.ids("data"))
    result = restore(recoup, through, first.id, tmp_path / "out", "--no-cache", code=None)
    assert result.code == 0 or what == "index" and result.errors.strip()
    if result.code == 0:
        assert_same(tree, tmp_path / "out/tree")
    backup(recoup, through, "tree", "--no-cache", cwd=tmp_path, code=(0, 3))
    assert before <= set(repo.files())
    proxy.clear()
    judge(repo, restic)


@pytest.mark.parametrize("number", range(4))
def test_much_goes_wrong(recoup, restic, bucket_repo, proxy, tree, tmp_path, number):
    """Every twelfth request, by chance, in every way that is survived."""
    repo = bucket_repo(version=1 + number % 2)
    through = repo.through(proxy.endpoint)
    some = [faults.server_error(), faults.slow_down(), faults.reset_before(), faults.reset_in_request(1000), faults.reset_in_answer(1000), faults.lose_answer(),
            faults.truncate(500), faults.stall(0.3)]
    for at, fault in enumerate(some):
        proxy.add(fault, times=None, probability=1 / 12 / len(some), seed=(SEED, number, at))
    made = backup(recoup, through, "tree", "--pack-size=4", cwd=tmp_path)
    restore(recoup, through, made.id, tmp_path / "out", "--no-cache")
    assert_same(tree, tmp_path / "out/tree")
    check_clean(recoup, through, "--no-cache", read_data=False)
    print(proxy.faults())
    judge(repo, restic)


# ---- for good -----------------------------------------------------------------------------------------------------------

@pytest.mark.recoup_only
@pytest.mark.parametrize("kind, fault, words", [
    ("expired", faults.expired_token(), ["expired"]), ("denied", faults.refuse(403, "AccessDenied"), ["denied"]),
    ("wrong key", faults.refuse(403, "InvalidAccessKeyId"), ["key"]), ("signature", faults.refuse(403, "SignatureDoesNotMatch"), ["secret"]),
    ("clock", faults.clock_skew(2), ["clock"]), ("elsewhere", faults.other_region("mars-1", how=301), ["mars-1"]),
    ("not here", faults.refuse(404, "NoSuchBucket"), ["bucket"])], ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("command", [["backup", "tree"], ["snapshots"], ["check"]], ids=lambda c: c[0])
def test_refused_for_good(recoup, bucket_repo, proxy, tree, tmp_path, kind, fault, words, command):
    """No trying for minutes what cannot succeed; the message names the cause and the object. restic tries most of these for 15 minutes."""
    repo = bucket_repo()
    proxy.add(fault, times=None)
    begin = time.monotonic()
    result = recoup.run(*command, "--no-cache", repo=repo.through(proxy.endpoint), cwd=tmp_path, code=(1, 10, 12), timeout=180)
    assert time.monotonic() - begin < 120 and len(proxy.log) < 20, proxy
    for word in words:
        assert word in result.errors.lower(), result
    assert repo.path.bucket.name in result.errors and len(result.errors) < 3000
    secret = repo.path.server.root.secret_key
    assert secret not in result.everything


@pytest.mark.recoup_only
@pytest.mark.parametrize("kind", ["expired", "denied"])
def test_refused_in_the_middle(recoup, restic, bucket_repo, proxy, tree, tmp_path, kind):
    """Credentials end while packs are uploaded: no snapshot, nothing broken, and the message says on which object."""
    repo = bucket_repo()
    fault = {"expired": faults.expired_token(), "denied": faults.refuse(403, "AccessDenied")}[kind]
    proxy.add(fault, method="PUT", key="/data/", skip=1, times=None)
    result = recoup.run("backup", "tree", "--pack-size=4", repo=repo.through(proxy.endpoint), cwd=tmp_path, code=1, timeout=180)
    assert kind in result.errors.lower() and "data/" in result.errors or "pack" in result.errors, result
    assert repo.ids("snapshots") == set() and repo.ids("locks") == set()
    proxy.clear()
    backup(recoup, repo, "tree", cwd=tmp_path)
    judge(repo, restic)


@pytest.mark.recoup_only
def test_clock_that_is_wrong_is_corrected_or_told(recoup, bucket_repo, proxy, small_tree, tmp_path):
    """The server says once what time it has: either that is used, or the message says that the clocks differ."""
    repo = bucket_repo()
    proxy.add(faults.clock_skew(0.001))
    result = recoup.run("backup", "small", "--host", HOST, repo=repo.through(proxy.endpoint), cwd=tmp_path, code=(0, 1), timeout=180)
    assert result.code == 0 or "clock" in result.errors.lower(), result


@pytest.mark.recoup_only
def test_a_stalled_request_is_given_up_and_made_again(recoup, restic, bucket_repo, proxy, tree, tmp_path):
    repo = bucket_repo()
    through = repo.through(proxy.endpoint)
    for where, key in (("before", "/data/"), ("request", "/data/"), ("before", "/index/")):
        proxy.add(faults.stall(500, where), method="PUT", key=key)
    begin = time.monotonic()
    made = backup(recoup, through, "tree", "--pack-size=4", "--stuck-request-timeout=2s", cwd=tmp_path)
    assert time.monotonic() - begin < 300 and sum(proxy.faults().values()) == 3
    proxy.add(faults.stall(500, "answer"), method="GET", key="/data/")
    restore(recoup, through, made.id, tmp_path / "out", "--no-cache", "--stuck-request-timeout=2s")
    assert time.monotonic() - begin < 400
    assert_same(tree, tmp_path / "out/tree")
    judge(repo, restic)


# ---- the server goes away ------------------------------------------------------------------------------------------------

@pytest.fixture
def own_server(new_minio, template, bucket_repo):
    """A MinIO to be killed, and a repository on it."""
    server = new_minio()
    bucket = server.make_bucket("backups")
    return server, bucket_repo(server=server, inside=bucket)


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_backup_while_the_server_is_away(recoup, restic, own_server, tree, tmp_path, how):
    server, repo = own_server
    with recoup.start("backup", "tree", "--json", "--pack-size=4", "--host", HOST, "--limit-upload=6000", repo=repo, cwd=tmp_path) as running:
        wait_until(lambda: len(repo.ids("data")) >= 1, what="a pack is there")
        if how == "killed":
            server.restart(down=2)
        else:
            server.pause()
            time.sleep(3)
            server.resume()
        result = running.finish(0)
    judge(repo, restic)
    restore(restic, repo, result.summary["snapshot_id"], tmp_path / "out")
    assert_same(tree, tmp_path / "out/tree")


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_restore_while_the_server_is_away(recoup, restic, own_server, tree, tmp_path, how):
    server, repo = own_server
    made = backup(restic, repo, "tree", "--pack-size=4", cwd=tmp_path)
    with recoup.start("restore", made.id, "--target", tmp_path / "out", "--no-cache", "--limit-download=6000", repo=repo) as running:
        wait_until(lambda: (tmp_path / "out").exists() and sum(files_below(tmp_path / "out").values()) > 0, what="it writes")
        if how == "killed":
            server.restart(down=2)
        else:
            server.pause()
            time.sleep(3)
            server.resume()
        running.finish(0)
    assert_same(tree, tmp_path / "out/tree")


@pytest.mark.recoup_only
def test_no_server_at_all(recoup, own_server, tmp_path, small_tree):
    """A wrong address is said soon; restic tries for 15 minutes."""
    server, repo = own_server
    server.kill()
    begin = time.monotonic()
    result = recoup.run("backup", "small", repo=repo, cwd=tmp_path, code=1, timeout=180)
    assert time.monotonic() - begin < 120
    assert f"127.0.0.1:{server.port}" in result.errors and "connect" in result.errors, result


@pytest.mark.recoup_only
def test_interrupted_while_it_waits_to_try_again(recoup, own_server, tree, tmp_path):
    """Ctrl-C ends it soon; restic tries on until its 15 minutes are over."""
    server, repo = own_server
    with recoup.start("backup", "tree", "--pack-size=4", "--limit-upload=2000", repo=repo, cwd=tmp_path) as running:
        wait_until(lambda: len(repo.ids("data")) >= 1, what="a pack is there")
        server.kill()
        time.sleep(1)
        begin = time.monotonic()
        running.kill(signal.SIGINT)
        running.finish(130, timeout=180)
        # The lock cannot be removed; trying to must not take long either.
        assert time.monotonic() - begin < 120
    server.start()
    assert repo.ids("snapshots") == set()
