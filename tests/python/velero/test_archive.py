"""The tarball with manifests: genuine ones object by object, and hostile ones, from which nothing but objects or DamagedError comes."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from velero_archives import (
    archive,
    file,
    header,
    manifest,
    packed,
    padded,
    pair,
    path_of,
    tar,
)

from recoup import DamagedError
from recoup.velero import archive as archive_module
from recoup.velero import tar as tar_module
from recoup.velero.archive import Archive

POD = manifest("Pod", "p", "db", spec={"containers": []})
NODE = manifest("Node", "n1")
DEPLOYMENT = manifest("Deployment", "web", "db", "apps/v1")
PATH = path_of("pods", POD)
CONTENT = json.dumps(POD).encode()


def names(found) -> list[str]:
    return [each.reference for each in found]


def read(content: bytes, **options) -> tuple[list, list[str], DamagedError | None]:
    """What comes out: objects, problems, damage."""
    one = archive(content, **options)
    found = []
    try:
        for each in one.objects():
            found.append(each)  # noqa: PERF402
    except DamagedError as damage:
        assert "x.tar.gz" in str(damage)
        return found, [str(each) for each in one.problems], damage
    return found, [str(each) for each in one.problems], None


def test_every_object_of_the_genuine_backups(genuine):
    for backup, expected in zip(genuine.bucket.backups(), genuine.expected["backups"]):
        manifests = backup.manifests()
        found = {
            each.path: {"path": each.path, "apiVersion": each.api_version, "kind": each.kind, "namespace": each.namespace,
                        "name": each.name, "sha256": each.sha256}
            for each in manifests.objects()
        }  # fmt: skip
        assert manifests.problems == []
        wanted = {each["path"]: {key: each[key] for key in each if key != "preferred_path"} for each in expected["objects"]}
        assert found == wanted
        kinds = {f"{each['apiVersion']}/{each['kind']}" for each in expected["objects"]}
        assert kinds == set(backup.resources())


def test_finding_one_object(first_genuine):
    backup = first_genuine.bucket.backup("backup-20260101-000000")
    found = backup.manifests().find("persistentvolumeclaims", "db", "data-postgres-0")
    assert found is not None and found.document["spec"]["storageClassName"] == "mayastor-1"
    assert backup.manifests().find("persistentvolumeclaims", "db", "no-such") is None


def test_an_archive_cut_off_anywhere_gives_what_came_before(first_genuine):
    backup = first_genuine.bucket.backups()[0]
    whole = (first_genuine.path / backup.prefix / f"{backup.name}.tar.gz").read_bytes()
    everything = names(archive(whole).objects())
    counts = []
    for end in range(0, len(whole), 4096):
        found, problems, damage = read(whole[:end])
        assert damage is not None and "cut off" in str(damage)
        assert names(found) == everything[: len(found)] and not problems
        counts.append(len(found))
    assert counts == sorted(counts) and counts[0] == 0
    # What one can see of the archive's last 4 KiB: all but the last few.
    assert counts[-1] > len(everything) * 0.8
    assert read(whole[:-1])[2] is not None, "the end of the checksum is missing"


def test_an_archive_without_its_end_is_cut_off():
    """Nothing in gzip says so: whoever made it was stopped."""
    plain = tar([(PATH, CONTENT)])
    assert read(gzip.compress(plain))[2] is None
    found, _, damage = read(gzip.compress(plain[:1024]))
    assert names(found) == ["pods db/p"] and damage is not None


def test_a_changed_checksum_is_seen_at_the_end():
    whole = bytearray(packed(pair("pods", POD)))
    whole[-5] ^= 1
    assert read(bytes(whole))[2] is not None


@pytest.fixture(scope="session")
def small_genuine(unpacked):
    """A genuine tarball's first objects: small enough for thousands of mutations."""
    bucket = unpacked("velero-1.16.2-restic")
    backup = bucket.bucket.backups()[0]
    path = bucket.path / backup.prefix / f"{backup.name}.tar.gz"
    with tarfile.open(path) as whole:
        members = [each for each in whole if each.size < 6000][:24]
        return [(each.name, whole.extractfile(each).read()) for each in members]


def test_mutations_of_a_genuine_archive(small_genuine):
    plain = tar(small_genuine)
    genuine_digests = {each.sha256 for each in archive(gzip.compress(plain)).objects()}

    @settings(max_examples=250)
    @given(st.data())
    def mutate(data):
        changed = bytearray(plain)
        for _ in range(data.draw(st.integers(1, 4))):
            # Headers are where it hurts.
            block = data.draw(st.integers(0, len(changed) // 512 - 1)) * 512
            at = block + data.draw(st.sampled_from([0, 100, 124, 125, 135, 148, 156, 257, 345]) | st.integers(0, 511))
            changed[at] = data.draw(st.integers(0, 255))
            if data.draw(st.booleans()):  # with a checksum that is right
                changed[block + 148 : block + 156] = b" " * 8
                changed[block + 148 : block + 156] = b"%06o\0 " % sum(changed[block : block + 512])
        found, problems, damage = read(gzip.compress(bytes(changed), 1))
        for each in found:
            assert each.document["metadata"]["name"] == each.name
        whole = [each for each in found if each.sha256 in genuine_digests]
        assert len(whole) >= len(found) - 4 and len(found) <= len(genuine_digests) + 4
        assert damage or problems or len(found) >= len(genuine_digests) - 4

    mutate()


@settings(max_examples=200)
@given(st.binary(max_size=3000), st.sampled_from([lambda x: x, gzip.compress, lambda x: gzip.compress(padded(x) + bytes(1024))]))
def test_any_bytes_are_damage_and_no_objects(content, wrap):
    found, _, damage = read(wrap(content))
    assert not found
    assert damage or not content.strip(b"\0")


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd.json", "/etc/cron.d/x.json", "resources/pods/namespaces/../p.json", "resources/pods/namespaces/./p.json",
     "resources//namespaces/db/p.json", "resources/pods/namespaces/db/", "resources/pods/namespaces/db/p.yaml",
     "resources/pods/namespaces/db/.json", "resources/pods/p.json", "resources/pods/cluster/db/p.json", "resources/p.json",
     "resources/pods/v1-preferredversion/p.json", "other/pods/namespaces/db/p.json", "resources/pods/namespaces/db/x/p.json"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_passed_over(path):
    found, problems, damage = read(packed([(path, CONTENT), *pair("pods", POD)]))
    assert names(found) == ["pods db/p"] and damage is None
    assert len(problems) == (0 if path.endswith("db/") else 1)


@pytest.mark.parametrize(
    "kind, word",
    [(tarfile.SYMTYPE, "a symlink"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device"), (tarfile.BLKTYPE, "a device"),
     (tarfile.FIFOTYPE, "a pipe"), (b"7", "of the kind"), (b"Z", "of the kind")],
)  # fmt: skip
def test_what_is_no_file_is_passed_over(kind, word):
    link = file(PATH, b"", kind, linkname="/etc/shadow")
    found, problems, damage = read(packed([link, *pair("nodes", NODE)]))
    assert names(found) == ["nodes n1"] and damage is None
    assert len(problems) == 1 and word in problems[0]


def test_devices_that_claim_a_size_have_no_content():
    content = gzip.compress(header(b"dev", 1 << 30, b"3") + tar(pair("pods", POD)))
    assert names(read(content)[0]) == ["pods db/p"]


def test_directories_are_no_problem():
    found, problems, _ = read(packed([file("resources/pods", b"", tarfile.DIRTYPE), *pair("pods", POD)]))
    assert names(found) == ["pods db/p"] and not problems


def test_a_name_that_disagrees_with_the_path_is_passed_over():
    other = json.dumps(manifest("Pod", "q", "db")).encode()
    elsewhere = json.dumps(manifest("Pod", "p", "kube-system")).encode()
    nameless = json.dumps({"metadata": {}}).encode()
    clusterwide = json.dumps(manifest("Pod", "p")).encode()
    for content in (other, elsewhere, nameless, clusterwide, b"[]", b"null", b'{"metadata":[]}', b"{", b""):
        found, problems, damage = read(packed([(PATH, content), *pair("nodes", NODE)]))
        assert names(found) == ["nodes n1"] and damage is None
        assert len(problems) == 1 and problems[0].startswith(PATH)


def test_what_steers_terminals_is_not_in_problems():
    _, problems, _ = read(packed([("resources/\x1b[2J/cluster/x.yaml", b""), (b"resources/\xff".decode(errors="surrogateescape"), b"")]))
    assert len(problems) == 2
    assert all(each.isprintable() for each in problems)


def test_entries_that_are_only_there_with_a_version_are_taken():
    (versioned, content), _ = pair("deployments.apps", DEPLOYMENT)
    found, problems, damage = read(packed([(versioned, content), *pair("pods", POD)]))
    assert names(found) == ["pods db/p", "deployments.apps db/web"]
    assert not problems and damage is None


def test_a_damaged_entry_is_replaced_by_its_copy():
    versioned, plain = pair("pods", POD)
    for entries in ([versioned, (plain[0], b"{")], [(plain[0], b"{"), versioned]):
        found, problems, _ = read(packed(entries))
        assert names(found) == ["pods db/p"] and len(problems) == 1


def test_the_copy_of_what_was_cut_off_is_taken():
    versioned, plain = pair("pods", {**POD, "data": "x" * 5000})
    found, _, damage = read(gzip.compress(tar([*pair("nodes", NODE), versioned, plain])[:-9000]))
    assert names(found) == ["nodes n1", "pods db/p"] and damage is not None


def test_other_versions_are_the_same_object():
    old = ("resources/deployments.apps/v1beta1/namespaces/db/web.json", b'{"old": true}')
    found, problems, _ = read(packed([old, *pair("deployments.apps", DEPLOYMENT)]))
    assert [each.api_version for each in found] == ["apps/v1"] and not problems
    found, problems, _ = read(packed([old]))
    assert not found and len(problems) == 1 and "another version" in problems[0]


def test_entries_that_are_there_twice_count_once():
    changed = json.dumps({**POD, "spec": {"hostNetwork": True}}).encode()
    found, problems, _ = read(packed([*pair("pods", POD), *pair("pods", POD)]))
    assert len(found) == 1 and not problems
    found, problems, _ = read(packed([*pair("pods", POD), (PATH, changed)]))
    assert [each.document for each in found] == [POD] and len(problems) == 1
    versioned = path_of("pods", POD, "v1-preferredversion")
    for entries in ([(versioned, changed), (PATH, CONTENT)], [(PATH, CONTENT), (versioned, changed)]):
        found, problems, _ = read(packed(entries))
        assert [each.document for each in found] == [POD] and len(problems) == 1 and "differs" in problems[0]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_in_each_format(format):
    long = manifest("Pod", "p" * 90, "n" * 63)
    found, problems, damage = read(packed(pair("pods", long), format))
    assert names(found) == [f"pods {'n' * 63}/{'p' * 90}"] and not problems and damage is None


def test_names_longer_than_ustar_has_and_not_ascii():
    for name in ("p" * 253, "größe" * 30):
        document = manifest("Pod", name, "db")
        for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            assert names(read(packed(pair("pods", document), format))[0]) == [f"pods db/{name}"]


def _extension(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return header(b"h", len(content) if size is None else size, kind) + padded(content)


def _pax(*records: tuple[str, str]) -> bytes:
    made = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        made += str(length).encode() + rest
    return made


@pytest.mark.parametrize(
    "bomb",
    [_extension(b"x", b"", 8 << 30), _extension(b"L", b"", 8 << 30), _extension(b"g", b"", (1 << 20) + 1),
     _extension(b"x", b"30 path=x\n"), _extension(b"x", b"path=x\n"), _extension(b"x", b"0 a=b\n"), _extension(b"x", b"-6 a=b\n"),
     _extension(b"x", b"6 a=b\n" + b"9" * 30), _extension(b"x", _pax(("size", "-1"))) + header(),
     _extension(b"x", _pax(("size", "9" * 30))) + header(), _extension(b"x", _pax(("size", "9" * 18))) + header(),
     header(size_field=b"\xff" * 12), header(size_field=b"\x80" + b"\xff" * 11), header(size_field=b"99999999999\0"),
     header(size=1 << 32, kind=b"0"), b"\x01" * 512],
)  # fmt: skip
def test_headers_that_lie_are_damage(bomb):
    tracemalloc.start()
    try:
        found, _, damage = read(gzip.compress(tar(pair("pods", POD))[:2048] + bomb))
        assert names(found) == ["pods db/p"] and damage is not None
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


def test_thousands_of_headers_for_one_entry_need_no_stack():
    chain = _extension(b"x", _pax(("comment", "x"))) * 20_000 + _extension(b"g", _pax(("path", "evil"))) * 1000
    found, problems, damage = read(gzip.compress(chain + tar(pair("pods", POD))))
    assert names(found) == ["pods db/p"] and not problems and damage is None


def test_sparse_files_are_passed_over_however_long_their_maps_are():
    in_blocks = header(b"s", 0, b"S", tail=b"\1" + bytes(29))
    block = bytearray(512)
    block[504] = 1
    in_blocks += bytes(block) * 50_000 + bytes(512)
    in_header = _extension(b"x", _pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9" * 15)))
    in_header += header(b"s2", 1024) + b"999999999999\n" + b"1\n" * 505 + b"\n"
    content = gzip.compress(in_blocks + in_header + tar(pair("pods", POD)))
    tracemalloc.start()
    try:
        found, problems, damage = read(content)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()
    assert names(found) == ["pods db/p"] and damage is None
    assert len(problems) == 2 and all("a sparse file" in each for each in problems)


def test_objects_that_no_cluster_can_hold_are_not_read(monkeypatch):
    monkeypatch.setattr(archive_module, "LARGEST_OBJECT", 10_000)
    large = manifest("ConfigMap", "large", "db", data={"x": "x" * 10_000})
    found, problems, damage = read(packed([*pair("configmaps", large), *pair("pods", POD)]))
    assert names(found) == ["pods db/p"] and damage is None
    assert len(problems) == 2 and "no object that a cluster can hold" in problems[0]


def test_what_unpacks_to_more_than_the_limit_is_damage():
    bomb = gzip.compress(header(b"zeros", 100 << 20) + bytes(100 << 20), 1)
    tracemalloc.start()
    try:
        _, _, damage = read(bomb, limit=1 << 20)
        assert damage is not None and "unpacks to more than" in str(damage)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_more_entries_than_a_cluster_has_are_damage(monkeypatch):
    monkeypatch.setattr(tar_module, "MOST_ENTRIES", 3)
    found, _, damage = read(packed([*pair("pods", POD), *pair("nodes", NODE)]))
    assert names(found) == ["pods db/p"] and "more than 3 entries" in str(damage)


def test_a_list_of_problems_ends():
    _, problems, damage = read(packed([(f"x{number}", b"") for number in range(1500)]))
    assert len(problems) == 1000 and damage is None


def test_a_hundred_thousand_entries():
    one = archive(gzip.compress(_many(50_000), 1))
    assert sum(1 for _ in one.objects()) == 50_000
    assert not one.problems


def test_many_entries_fill_no_memory():
    one = archive(gzip.compress(_many(5_000), 1))
    tracemalloc.start()
    try:
        assert sum(1 for _ in one.objects()) == 5_000
        # What is remembered of each: its name and a digest.
        assert tracemalloc.get_traced_memory()[1] < 2 << 20 | 5_000 * 800
    finally:
        tracemalloc.stop()


def _many(count: int) -> bytes:
    made = io.BytesIO()
    for number in range(count):
        content = b'{"metadata":{"name":"c%d","namespace":"n"},"data":{"x":"%s"}}' % (number, b"x" * 100)
        for version in (b"v1-preferredversion/", b""):
            made.write(header(b"resources/configmaps/%snamespaces/n/c%d.json" % (version, number), len(content)) + padded(content))
    made.write(bytes(1024))
    return made.getvalue()


def test_documents_that_are_only_there_with_a_version_fill_no_memory():
    """Tens of megabytes of them, one at a time."""
    noise = random.Random(1)
    documents = [manifest("ConfigMap", f"c{number}", "n", data={"x": noise.randbytes(250_000).hex()}) for number in range(40)]
    content = packed([pair("configmaps", each)[0] for each in documents])
    del documents
    tracemalloc.start()
    try:
        count = sum(1 for _ in archive(content).objects())
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert count == 40


def test_the_file_is_closed_when_nobody_reads_on():
    opened: list[io.BytesIO] = []

    def opener() -> io.BytesIO:
        opened.append(io.BytesIO(packed([*pair("pods", POD), *pair("nodes", NODE)])))
        return opened[-1]

    assert Archive(opener, "x").find("pods", "db", "p") is not None
    assert len(opened) == 1 and opened[0].closed
