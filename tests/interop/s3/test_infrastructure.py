"""The servers, the proxy, the line and the certificates do what the other tests believe of them. boto3 and restic are the judges."""

import concurrent.futures
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import botocore.exceptions
import pytest

from support import faults, s3
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.link import Link
from support.programs import REPOSITORY_ROOT
from support.proxy import Proxy

CONTENT = bytes(range(256)) * 4000


def asked(server, bucket, endpoint):
    """A client of boto3's that goes by way of `endpoint`."""
    return s3.Bucket(server.client(endpoint=endpoint), bucket.name)


def error_code(call):
    with pytest.raises(botocore.exceptions.ClientError) as why:
        call()
    return why.value.response["ResponseMetadata"]["HTTPStatusCode"], why.value.response["Error"]["Code"]


# ---- servers --------------------------------------------------------------------------------------------------------

def test_versions_and_retention(each_server):
    name = f"kept-{time.time_ns()}"
    bucket = each_server.make_bucket(name, retention_days=1)
    bucket.write("key", b"one")
    bucket.write("key", b"two")
    bucket.delete("key")
    assert [v["deleted"] for v in bucket.versions("key")].count(True) == 1 and len(bucket.versions("key")) == 3
    version = next(v["VersionId"] for v in bucket.versions("key") if not v["deleted"])
    status, _ = error_code(lambda: bucket.client.delete_object(Bucket=name, Key="key", VersionId=version))
    assert status in (400, 403)


@pytest.mark.parametrize("policy, may", [(s3.READ_ONLY, "list read"), (s3.PUT_ONLY, "write"), (s3.NO_LIST, "read write delete"),
                                         (s3.NO_DELETE, "list read write"), (s3.APPEND_ONLY, "list read write unlock"), (s3.FULL, "list read write delete unlock")],
                         ids="read-only put-only no-list no-delete append-only full".split())
def test_policies(each_server, policy, may):
    name = f"policy-{time.time_ns()}"
    each_server.make_bucket(name).write("key", b"x")
    each_server.bucket(name).write("locks/1", b"x")
    user = each_server.bucket(name, each_server.add_user(policy(name)))
    tries = {"list": user.keys, "read": lambda: user.read("key"), "write": lambda: user.write("new", b"x"), "delete": lambda: user.delete("key"),
             "unlock": lambda: user.delete("locks/1")}
    for what, call in tries.items():
        if what in may.split() or what == "unlock" and "delete" in may:
            call()
        else:
            assert error_code(call) == (403, "AccessDenied"), what


def test_temporary_credentials(minio, bucket):
    bucket.write("key", b"x")
    given = minio.temporary()
    assert given.session_token and minio.bucket(bucket.name, given).read("key") == b"x"
    spoiled = s3.Credentials(given.access_key, given.secret_key, given.session_token[:-6] + "AAAAAA")
    assert error_code(lambda: minio.bucket(bucket.name, spoiled).read("key"))[0] in (400, 403)


@pytest.mark.parametrize("which", ["new_minio", "new_second_server"])
def test_killed_and_back(request, which):
    server = request.getfixturevalue(which)()
    bucket = server.make_bucket("kept")
    bucket.write("key", CONTENT)
    server.kill()
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        bucket.keys()
    server.start()
    assert bucket.read("key") == CONTENT


# ---- certificates -----------------------------------------------------------------------------------------------------

def trusts(endpoint, authority, shown=None):
    """What OpenSSL, through Python, thinks of a server: None for nothing wrong."""
    context = ssl.create_default_context(cafile=authority)
    if shown:
        context.load_cert_chain(shown.chain, shown.key)
    host, _, port = endpoint.partition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=120) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return None if secure.recv(12).startswith(b"HTTP/1.1") else "no answer"
    except ssl.SSLCertVerificationError as why:
        return why.verify_message
    except (ssl.SSLError, ConnectionError) as why:
        return str(why)


def test_certificates(new_second_server, certificates):
    for name, said in (("valid", None), ("self_signed", None), ("expired", "expired"), ("not_yet", "not yet valid"), ("wrong_host", "mismatch")):
        made = getattr(certificates, name)
        server = new_second_server(certificate=made)
        found = trusts(server.endpoint, made.authority)
        assert (found is None) if said is None else (found and said in found), (name, found)
        assert "self" in (trusts(server.endpoint, certificates.unknown_authority) or "") or name != "self_signed"
        assert trusts(server.endpoint, certificates.unknown_authority), name
        server.kill()


@pytest.mark.parametrize("which", ["valid", "self_signed"])
def test_restic_over_tls(restic, new_minio, certificates, tmp_path, which):
    server = new_minio(certificate=getattr(certificates, which))
    server.make_bucket("backups")
    env = server.environment() | {"RESTIC_REPOSITORY": server.location("backups", "r"), "RESTIC_PASSWORD": "x"}
    restic.run("init", env=env)
    assert server.bucket("backups").exists("r/config")


def test_a_proxy_that_asks_who_is_calling(minio, certificates):
    context = certificates.valid.server_context(ask_for=certificates.authority)
    with Proxy(minio.endpoint, context=context) as secure:
        assert trusts(secure.endpoint, certificates.authority, certificates.client) is None
        assert trusts(secure.endpoint, certificates.authority)


# ---- the proxy ----------------------------------------------------------------------------------------------------------

def test_what_passes_is_not_touched(minio, bucket, proxy):
    """Signatures stay good with keys that need escaping, and every kind of request comes through."""
    through = asked(minio, bucket, proxy.endpoint)
    for key in ("plain", "with space", "a+b=c&d", "per%cent", "ümläut/日本", "a/b/c"):
        through.write(key, CONTENT)
        assert through.read(key) == CONTENT and through.read(key, 300, 5) == CONTENT[300:305]
    assert through.sizes() == bucket.sizes()
    assert not through.exists("nothing")
    parts = [through.client.create_multipart_upload(Bucket=bucket.name, Key="parts")["UploadId"]]
    done = through.client.upload_part(Bucket=bucket.name, Key="parts", UploadId=parts[0], PartNumber=1, Body=CONTENT)
    through.client.complete_multipart_upload(Bucket=bucket.name, Key="parts", UploadId=parts[0],
                                             MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": done["ETag"]}]})
    through.delete_below("")
    assert bucket.keys() == []
    assert {r.key for r in proxy.requests("PUT")} >= {"with space", "a+b=c&d", "per%cent", "ümläut/日本"}
    (put,) = proxy.requests("PUT", "^plain$")
    got = proxy.requests("GET", "^plain$")
    assert (put.status, put.up, got[0].status, got[0].down, got[1].status, got[1].down) == (200, len(CONTENT), 200, len(CONTENT), 206, 5)


REFUSED = {
    "500": (faults.server_error(), (500, "InternalError")), "503": (faults.slow_down(), (503, "SlowDown")), "retry-after": (faults.slow_down(7), (503, "SlowDown")),
    "expired": (faults.expired_token(), (403, "ExpiredToken")), "skew": (faults.clock_skew(), (403, "RequestTimeTooSkewed")),
    "400": (faults.other_region("eu-x", how=400), (400, "AuthorizationHeaderMalformed")),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_refusals(minio, bucket, proxy, kind, method):
    fault, expected = REFUSED[kind]
    bucket.write("key", b"before")
    rule = proxy.add(fault, method=method, key="^key$")
    through = asked(minio, bucket, proxy.endpoint)
    call = {"GET": lambda: through.read("key"), "PUT": lambda: through.write("key", CONTENT)}[method]
    assert error_code(call) == expected
    assert bucket.read("key") == b"before" and rule.hits == 1
    call()  # once is once, and the connection goes on
    assert proxy.log[-1].fault is None and proxy.log[-1].status == 200
    # Who asked before sending a body must be let go: nobody knows whether it still comes.
    assert (proxy.log[-1].connection == proxy.log[-2].connection) == ("expect" not in proxy.log[-2].headers)


def test_headers_of_refusals(minio, bucket, proxy):
    def answer(fault):
        proxy.clear()
        proxy.add(fault)
        with pytest.raises(urllib.error.HTTPError) as why:
            urllib.request.build_opener(NoRedirect).open(f"{proxy.endpoint}/{bucket.name}/key", timeout=120)
        return why.value
    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_): return None
    assert answer(faults.slow_down(7)).headers["Retry-After"] == "7"
    assert answer(faults.other_region("eu-x", "h:1")).headers["x-amz-bucket-region"] == "eu-x"
    assert answer(faults.other_region("eu-x", "h:1", 307)).headers["Location"] == "http://h:1/"
    assert time.mktime(time.strptime(answer(faults.clock_skew(2)).headers["Date"], "%a, %d %b %Y %H:%M:%S %Z")) - time.time() > 3600


@pytest.mark.parametrize("fault", [faults.reset_before(), faults.reset_in_answer(5000), faults.truncate(5000)], ids=str)
def test_broken_answers(minio, bucket, proxy, fault):
    bucket.write("key", CONTENT)
    proxy.add(fault, method="GET")
    through = asked(minio, bucket, proxy.endpoint)
    with pytest.raises(Exception) as why:
        through.read("key")
    assert not isinstance(why.value, (botocore.exceptions.ClientError, AssertionError)), why.value
    assert proxy.log[-1].fault == str(fault)
    assert through.read("key") == CONTENT


def test_broken_requests(minio, bucket, proxy):
    bucket.write("key", b"before")
    proxy.add(faults.reset_in_request(100_000), method="PUT")
    through = asked(minio, bucket, proxy.endpoint)
    with pytest.raises(botocore.exceptions.HTTPClientError):
        through.write("key", CONTENT)
    assert bucket.read("key") == b"before"
    proxy.clear()
    proxy.add(faults.lose_answer(), method="PUT")
    with pytest.raises(botocore.exceptions.HTTPClientError):
        through.write("key", CONTENT)
    assert bucket.read("key") == CONTENT, "the server did it"


def test_wrong_contents(minio, bucket, proxy):
    bucket.write("key", CONTENT)
    through = asked(minio, bucket, proxy.endpoint)
    proxy.add(faults.truncate(5000, honest=True), method="GET")
    assert through.read("key") == CONTENT[:5000]
    for at in (0, 300_000, 10**9):
        proxy.add(faults.flip(at), method="GET")
        got = through.read("key")
        assert len(got) == len(CONTENT) and [i for i in range(len(got)) if got[i] != CONTENT[i]] == [min(at, len(CONTENT) - 1)]


def test_wrong_listings(minio, bucket, proxy):
    for number in range(10):
        bucket.write(f"k{number}", b"x")
    through = asked(minio, bucket, proxy.endpoint)
    listed = lambda: [o["Key"] for o in through.client.list_objects_v2(Bucket=bucket.name)["Contents"]]
    proxy.add(faults.duplicate_entries(), query="list-type=2")
    assert len(listed()) == 20
    proxy.add(faults.missing_entries(3), query="list-type=2")
    assert listed() == [f"k{n}" for n in range(7)]
    assert len(listed()) == 10


@pytest.mark.parametrize("where", ["before", "request", "answer"])
def test_stalls(minio, bucket, proxy, where):
    bucket.write("key", CONTENT)
    proxy.add(faults.stall(0.7, where, 50_000))
    through = asked(minio, bucket, proxy.endpoint)
    begin = time.monotonic()
    if where == "request":
        through.write("key", CONTENT)
    assert through.read("key") == CONTENT
    assert 0.7 <= time.monotonic() - begin < 60


def test_which_requests_are_hit(minio, bucket, proxy):
    through = asked(minio, bucket, proxy.endpoint)
    proxy.add(faults.server_error(), method="PUT", key="/b$", skip=2, times=2)
    said = []
    for number in range(6):
        through.write("x/a", b"x")
        try:
            through.write("x/b", b"x")
            said.append("ok")
        except botocore.exceptions.ClientError:
            said.append("failed")
    assert said == ["ok", "ok", "failed", "failed", "ok", "ok"]
    assert proxy.faults() == {"500 InternalError": 2}
    hits = []
    for _ in range(2):
        proxy.clear()
        rule = proxy.add(faults.server_error(), times=None, probability=0.3, seed="same")
        for number in range(40):
            try:
                through.write("y", b"x")
            except botocore.exceptions.ClientError:
                pass
        hits.append((rule.hits, [r.number for r in proxy.log if r.fault]))
    assert hits[0] == hits[1] and 3 < hits[0][0] < 25


def test_duplicates_are_found(minio, bucket, proxy):
    through = asked(minio, bucket, proxy.endpoint)
    proxy.add(faults.slow_down(), method="PUT", key="^one$")
    with pytest.raises(botocore.exceptions.ClientError):
        through.write("one", b"x")
    through.write("one", b"x")
    through.write("two", b"x")
    assert proxy.duplicates() == []
    through.write("two", b"x")
    assert proxy.duplicates() == [("two", 2)]


def test_restic_through_the_proxy(restic, bucket_repo, proxy, small_tree, tmp_path):
    """A client of its own kind, that waits for 100 Continue and keeps connections."""
    repo = bucket_repo().through(proxy.endpoint)
    made = backup(restic, repo, "small", cwd=tmp_path)
    check_clean(restic, repo)
    restore(restic, repo, made.id, tmp_path / "out")
    assert_same(small_tree, tmp_path / "out/small")
    assert proxy.duplicates() == [] and not proxy.faults()


def megabytes_per_second(minio, bucket, endpoint):
    """Four connections at once, 16 MB each way for each, the better of three: (up, down). Seconds of this process's own work, in which
    clients, proxy and line are: how fast they are where they have a processor to themselves, however many others want it now."""
    content = bytes(16_000_000)
    clients = [s3.Bucket(s3.Server.client(minio, minio.root, endpoint), bucket.name) for _ in range(4)]
    best = [0.0, 0.0]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for way, call in enumerate((lambda n: clients[n].write(f"k{n}", content), lambda n: clients[n].read(f"k{n}"))):
                begin = time.process_time()
                list(pool.map(call, range(4)))
                best[way] = max(best[way], 64 / (time.process_time() - begin))
    return best


def test_the_proxy_and_the_line_are_no_bottleneck(minio, bucket, proxy):
    """Beside 10 MB/s, which is what fits into 50 ms at the windows that programs use, or a line to a home."""
    with Link(("127.0.0.1", minio.port), rtt=0) as line:
        for name, endpoint in (("straight", minio.endpoint), ("proxy", proxy.endpoint), ("line", line.endpoint)):
            up, down = megabytes_per_second(minio, bucket, endpoint)
            print(f"{name}: {up:.0f} MB/s up, {down:.0f} MB/s down")
            assert min(up, down) > 10


# ---- the line -----------------------------------------------------------------------------------------------------------

def seconds(call):
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def test_latency(minio, bucket, link):
    bucket.write("key", b"x")
    line = link(rtt=0.5)  # so long that what else the machine does is nothing beside it
    through = asked(minio, bucket, line.endpoint)
    first, *others = (seconds(lambda: through.read("key")) for _ in range(5))
    assert 1 <= first and 0.5 <= min(others) < 0.9, (first, others)


def test_slow_start_and_bandwidth(minio, bucket, link):
    """A megabyte on a fresh connection takes seven round trips (14.6 kB doubled until it is through); on a warm one, two."""
    bucket.write("key", bytes(1_000_000))
    through = asked(minio, bucket, link(rtt=0.4).endpoint)
    first = seconds(lambda: through.read("key"))
    warm = min(seconds(lambda: through.read("key")) for _ in range(3))
    assert 2.4 < first < 7.2 and warm < first / 2, (first, warm)
    through = asked(minio, bucket, link(rtt=0.0, bandwidth=1e6).endpoint)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        taken = seconds(lambda: list(pool.map(lambda _: through.read("key"), range(4))))
    assert 4 <= taken < 12, taken


def test_the_line_as_a_command(minio):
    ask = "import sys, time, http.client as h; t = time.time(); c = h.HTTPConnection('127.0.0.1', int(sys.argv[1])); c.request('GET', '/nowhere/');" \
          "print(c.getresponse().status, time.time() - t)"
    done = subprocess.run([sys.executable, "-m", "support.link", f"127.0.0.1:{minio.port}", "--rtt", "0.1", "--", sys.executable, "-c", ask, "{}"],
                          cwd=REPOSITORY_ROOT / "tests/interop", capture_output=True, text=True, timeout=180)
    status, seconds = done.stdout.split()
    assert status == "403" and float(seconds) >= 0.2, done
