"""Which backups there are, and what can be had from each: genuine buckets, half-uploaded backups, and ten thousand of them."""

from __future__ import annotations

import gzip
import json
import pathlib
import threading
from datetime import datetime, timedelta, timezone

import pytest
from velero_archives import MemoryStore, backup_document, manifest, packed, pair

from recoup import DamagedError, NotFoundError, StorageError
from recoup.velero import Backup, BackupState, Uploader, VeleroBucket, newest
from recoup.velero.bucket import KNOWN_DIRECTORIES
from recoup.velero.fields import parse_time


def files_of(name: str, **status) -> dict[str, bytes]:
    """A backup's files, in the order in which Velero uploads them."""
    prefix = f"backups/{name}/"
    made = {
        f"{name}-logs.gz": gzip.compress(b"level=info\n"),
        "velero-backup.json": json.dumps(backup_document(name, **status)).encode(),
        f"{name}.tar.gz": packed(pair("namespaces", manifest("Namespace", "db"))),
    }
    for rest in ("podvolumebackups.json", "volumesnapshots.json", "itemoperations.json", "resource-list.json", "results",
                 "volumeinfo.json"):  # fmt: skip
        made[f"{name}-{rest}.gz"] = gzip.compress(b"{}" if rest in ("results", "resource-list.json") else b"[]")
    return {prefix + file: content for file, content in made.items()}


def bucket_of(*backups: dict[str, bytes], **others: bytes) -> VeleroBucket:
    return VeleroBucket(MemoryStore({key: content for each in (*backups, others) for key, content in each.items()}))


def test_backups_of_the_genuine_buckets(genuine):
    backups = genuine.bucket.backups()
    expected = genuine.expected["backups"]
    assert [each.name for each in backups] == [each["name"] for each in expected]
    states = {"Completed": BackupState.GOOD, "PartiallyFailed": BackupState.PARTIAL}
    for backup, wanted in zip(backups, expected):
        assert backup.state is states[wanted["phase"]]
        assert backup.is_restorable
        assert backup.time == parse_time(wanted["start"])
        assert sorted(backup.resources()) == sorted(wanted["resource_list_kinds"])
        assert sum(map(len, backup.resources().values())) == len(wanted["objects"])
        assert len(backup.results().errors) == wanted["errors"] and len(backup.results().warnings) == wanted["warnings"]
        lines = list(backup.log())
        assert lines == gzip.decompress((genuine.path / backup.prefix / f"{backup.name}-logs.gz").read_bytes()).decode().splitlines()
        assert backup.size == sum(file.stat().st_size for file in (genuine.path / backup.prefix).iterdir())


def test_repositories_of_the_genuine_buckets(genuine):
    found = [(each.uploader, each.namespace, each.prefix) for each in genuine.bucket.repositories()]
    assert found == [(Uploader.RESTIC, "db", "restic/db"), (Uploader.RESTIC, "media", "restic/media")]
    assert genuine.bucket.foreign_directories() == []


def test_one_backup_by_name(first_genuine):
    assert first_genuine.bucket.backup("backup-20260102-000000").record.phase == "Completed"
    for name in ("no-such", "", "backup-2026", "../backups", "backup-20260102-000000/"):
        with pytest.raises(NotFoundError, match=r"there are 3, among them .*backup-20260103-000000"):
            first_genuine.bucket.backup(name)
    with pytest.raises(NotFoundError, match="no backups at all"):
        bucket_of().backup("x")


@pytest.mark.parametrize(
    "uploaded, state",
    [(1, BackupState.INCOMPLETE), (2, BackupState.INCOMPLETE), *((count, BackupState.GOOD) for count in range(3, 10))],
)
def test_uploads_that_were_cut_off(uploaded, state):
    files = files_of("b")
    assert len(files) == 9
    (backup,) = bucket_of(dict(list(files.items())[:uploaded])).backups()
    assert backup.state is state
    assert backup.is_restorable == (state is BackupState.GOOD)
    assert backup.has_manifests == (uploaded > 2)
    assert backup.time is not None, "without velero-backup.json it is when its files came"
    if uploaded < 2:
        with pytest.raises(NotFoundError, match=r"velero-backup\.json is not there"):
            _ = backup.record
    if uploaded < 3:
        with pytest.raises(NotFoundError, match="no manifests"):
            backup.manifests()
    if uploaded < 4:
        with pytest.raises(NotFoundError, match="podvolumebackups"):
            backup.pod_volume_backups()


@pytest.mark.parametrize("gone", range(9))
def test_a_deletion_that_has_begun(gone):
    """Files go in no certain order."""
    files = files_of("b")
    del files[list(files)[gone]]
    (backup,) = bucket_of(files).backups()
    assert backup.state is (BackupState.INCOMPLETE if gone in (1, 2) else BackupState.GOOD)


# The provider for Terraform is tried with the same cases.
STATES = pathlib.Path(__file__).parents[2] / "data/velero/backup_states.jsonl"


@pytest.mark.parametrize("case", [json.loads(line) for line in STATES.read_text(encoding="utf-8").splitlines()], ids=lambda case: case["case"])
def test_states(case):
    files = files_of("b", **case["status"])
    if not case["has_manifests"]:
        del files["backups/b/b.tar.gz"]
    (backup,) = bucket_of(files).backups()
    assert backup.state is BackupState(case["state"])


def test_a_description_is_read_again_where_it_has_changed():
    store = MemoryStore({**files_of("a"), **files_of("b", phase="InProgress")})
    bucket = VeleroBucket(store)
    described = "backups/b/velero-backup.json"

    def states():
        store.reads.clear()
        return {each.name: str(each.state) for each in bucket.backups()}, sorted(store.reads)

    assert states() == ({"a": "good", "b": "running"}, ["backups/a/velero-backup.json", described])
    assert bucket.backup("a").record is bucket.backup("a").record
    assert states() == ({"a": "good", "b": "running"}, [])
    store.objects[described] = files_of("b", phase="Completed")[described]
    assert states() == ({"a": "good", "b": "good"}, [described])
    store.objects[described] = b"{"
    assert states() == ({"a": "good", "b": "damaged"}, [described])
    assert states() == ({"a": "good", "b": "damaged"}, [])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"kind": "Restore"}', b"\xff", json.dumps(backup_document("other")).encode(), b'{"metadata": {}}'],
)
def test_descriptions_that_are_damaged(content):
    (backup,) = bucket_of({**files_of("b"), "backups/b/velero-backup.json": content}).backups()
    assert backup.state is BackupState.DAMAGED and not backup.is_restorable
    assert backup.time is not None
    with pytest.raises(DamagedError, match=r"backups/b/velero-backup\.json"):
        _ = backup.record


# gzip writes the time: two runs would not have the same names of tests.
@pytest.mark.parametrize("content", [b"", b"{", b"\x1f\x8b", *(gzip.compress(each, mtime=0) for each in (b"{", b'{"a": 1}', b"[1]"))])
def test_lists_that_are_damaged(content):
    (backup,) = bucket_of({**files_of("b"), **{f"backups/b/b-{name}.gz": content for name in
                          ("podvolumebackups.json", "volumeinfo.json", "results", "resource-list.json")}}).backups()  # fmt: skip
    for read in (backup.pod_volume_backups, backup.volume_infos):
        with pytest.raises(DamagedError, match="backups/b/b-"):
            read()
    for read in (backup.results, backup.resources):
        try:
            read()
        except DamagedError as problem:
            assert "backups/b/b-" in str(problem)
        else:
            assert gzip.decompress(content) == b'{"a": 1}' and read == backup.results


def test_lists_that_velero_leaves_empty():
    null = {f"backups/b/b-{name}.gz": gzip.compress(b"null") for name in ("podvolumebackups.json", "volumeinfo.json", "resource-list.json")}
    (backup,) = bucket_of({**files_of("b"), **null}).backups()
    assert backup.pod_volume_backups() == [] and backup.volume_infos() == [] and backup.resources() == {}


def test_what_lies_beside_and_below_backups_is_no_backup():
    bucket = bucket_of(
        files_of("b"), **{"backups/stray.txt": b"", "backups/marker/": b"", "backups//x": b"", "backups/b/": b"", "backups/b/deep/er": b""}
    )
    (backup,) = bucket.backups()
    assert backup.name == "b" and "" not in backup.files and "er" not in backup.files
    assert set(bucket.backup("b").files) - {""} == set(backup.files)


def test_names_that_begin_alike_are_kept_apart():
    """In the order of keys, a-b/ comes before a/."""
    found = bucket_of(files_of("a"), files_of("a-b"), files_of("a.b"), files_of("a0")).backups()
    assert {each.name for each in found} == {"a", "a-b", "a.b", "a0"}
    assert all(len(each.files) == 9 for each in found)


def test_foreign_directories():
    bucket = bucket_of(files_of("b"), **{"lost+found/x": b"", "file": b"", "metadata/revision": b"", "kopia/db/x": b"", "plugins/a": b""})
    assert bucket.foreign_directories() == ["lost+found"]
    assert "backups" in KNOWN_DIRECTORIES
    assert [(each.uploader, each.namespace) for each in bucket.repositories()] == [(Uploader.KOPIA, "db")]


def test_the_newest_backup_that_can_be_restored():
    def at(day: int, name: str, **status) -> dict[str, bytes]:
        return files_of(name, startTimestamp=f"2026-01-{day:02}T00:00:00Z", **status)

    bucket = bucket_of(at(1, "z"), at(2, "y", phase="PartiallyFailed"), at(3, "x", phase="Failed"), at(4, "w", phase="InProgress"))
    backups = bucket.backups()
    assert [each.name for each in backups] == ["z", "y", "x", "w"]
    assert newest(backups).name == "y"
    assert newest(backups, at=datetime(2026, 1, 1, 12, tzinfo=timezone.utc)).name == "z"
    assert newest(backups, at=datetime(2026, 1, 1, 12)).name == "z", "a time without a zone is local"
    assert newest(backups, at=datetime(2025, 1, 1, tzinfo=timezone.utc)) is None
    assert newest(backups, schedule="daily") is None
    assert newest([]) is None


class _Latency(MemoryStore):
    """Counts how many requests are in flight, as a server far away sees them."""

    most = now = 0

    def _piece(self, key, offset, count, version):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            threading.Event().wait(0.001)
            return super()._piece(key, offset, count, version)
        finally:
            with self._lock:
                self.now -= 1


def test_ten_thousand_backups_take_a_listing_and_a_request_each():
    start = datetime(2000, 1, 1, tzinfo=timezone.utc)
    store = _Latency({})
    for number in range(10_000):
        time = (start + timedelta(hours=number)).isoformat().replace("+00:00", "Z")
        prefix = f"backups/hourly-{number:05}/"
        document = backup_document(f"hourly-{number:05}", startTimestamp=time)
        store.objects[prefix + "velero-backup.json"] = json.dumps(document).encode()
        store.objects[prefix + f"hourly-{number:05}.tar.gz"] = b"never read"
    backups = VeleroBucket(store).backups()
    assert len(backups) == 10_000 and all(each.state is BackupState.GOOD for each in backups)
    assert [each.time for each in backups] == sorted(each.time for each in backups)
    assert store.listings == 1
    assert len(store.reads) == 10_000 and all(key.endswith("velero-backup.json") for key in store.reads)
    assert store.most > 4, "requests wait for one another"
    for each in backups[:100]:
        _ = each.state, each.time, each.record
    assert len(store.reads) == 10_000, "what was read is remembered"


class _Breaking(MemoryStore):
    def _piece(self, key, offset, count, version):
        super()._piece(key, offset, count, version)
        threading.Event().wait(0.01)  # as long as it takes to see that nobody answers: there is time to hear of it
        raise StorageError("the line is down")


def test_when_the_line_is_down_it_is_not_tried_ten_thousand_times():
    store = _Breaking({f"backups/b{number}/velero-backup.json": b"{}" for number in range(10_000)})
    with pytest.raises(StorageError, match="the line is down"):
        VeleroBucket(store).backups()
    assert len(store.reads) < 5000


def test_a_backup_reads_its_lists_once():
    store = MemoryStore(files_of("b"))
    (backup,) = VeleroBucket(store).backups()
    before = len(store.reads)
    for _ in range(3):
        backup.pod_volume_backups().append("not in what is remembered")
        backup.volume_infos()
    assert len(store.reads) == before + 2
    assert backup.pod_volume_backups() == []


def test_files_that_are_too_large_are_not_read(monkeypatch):
    store = MemoryStore(files_of("b"))
    monkeypatch.setattr("recoup.velero.bucket.LARGEST_DOCUMENT", 10)
    backup = Backup(store, "b", store.list("backups/b/"))
    assert backup.state is BackupState.DAMAGED
    with pytest.raises(DamagedError):
        backup.pod_volume_backups()
