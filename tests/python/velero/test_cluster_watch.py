"""What recoup.velero.cluster tells of changes, against a real API server, with objects that a real Velero has left.

No Velero runs: the tests write what its server would, as patches.
"""

from __future__ import annotations

import json
import os
import pathlib
import queue
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
import yaml
from click.testing import CliRunner

import recoup
from recoup.velero.cluster import KINDS, Cluster, Event, Watch
from recoup.velero.cluster.states import state_of
from recoup.velero.cluster.watching import due_of
from recoup.velero.command import main
from support.programs import wait_until

pytest_plugins = ["kubernetes_server"]

FIXTURES = pathlib.Path(os.environ.get("RECOUP_FIXTURES") or pathlib.Path(__file__).resolve().parents[4] / "shared/fixtures")
MONITORING = ("after-good-1", "after-good-2", "after-failed-pvb", "after-failed-validation", "before-crash", "after-server-crash", "after-restic-exit3", "after-restore")


def genuine(name: str, namespace: str) -> list[dict]:
    """The objects of a real cluster, moved into the namespace."""
    file = FIXTURES / "velero" / name
    if not file.exists():
        pytest.skip(f"the fixtures are no part of the project and not at {FIXTURES}")
    found = [each for each in yaml.safe_load(file.read_text())["items"] if each["apiVersion"] == "velero.io/v1"]
    for each in found:
        each["metadata"]["namespace"] = namespace
        for key in ("finalizers", "ownerReferences"):
            each["metadata"].pop(key, None)
    return found


def key_of(document: dict) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def backup(namespace: str, name: str = "b1", phase: str = "", schedule: str = "", **status) -> dict:
    labels = {"velero.io/schedule-name": schedule} if schedule else {}
    document = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {}}
    return {**document, "status": {"phase": phase, **status}} if phase else document


def volume(namespace: str, name: str, of: str, phase: str = "New") -> dict:
    return {
        "apiVersion": "velero.io/v1", "kind": "PodVolumeBackup",
        "metadata": {"name": name, "namespace": namespace, "labels": {"velero.io/backup-name": of}},
        "spec": {
            "backupStorageLocation": "default", "node": "n1", "repoIdentifier": "s3:x", "volume": "data",
            "pod": {"kind": "Pod", "name": "postgres-0", "namespace": "db"},
        },
        "status": {"phase": phase},
    }  # fmt: skip


def schedule(namespace: str, expression: str = "0 2 * * *", **status) -> dict:
    return {
        "apiVersion": "velero.io/v1", "kind": "Schedule", "metadata": {"name": "daily", "namespace": namespace},
        "spec": {"schedule": expression, "template": {}}, "status": {"phase": "Enabled", **status},
    }  # fmt: skip


def location(namespace: str, phase: str = "Available", **status) -> dict:
    return {
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation", "metadata": {"name": "default", "namespace": namespace},
        "spec": {"provider": "aws", "objectStorage": {"bucket": "b"}}, "status": {"phase": phase, **status},
    }  # fmt: skip


class Watching:
    """Events of a watch, collected in a thread of its own."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._events: queue.Queue[Event] = queue.Queue()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self.problem: recoup.Error | None = None
        self._thread.start()
        wait_until(lambda: watch.is_listed or self.problem is not None, what="the first lists")

    def _collect(self) -> None:
        try:
            for event in self._watch:
                self._events.put(event)
        except recoup.Error as problem:
            self.problem = problem

    def next(self, seconds: float = 300) -> Event:
        return self._events.get(timeout=seconds)

    def nothing(self, seconds: float = 1.5) -> None:
        with pytest.raises(queue.Empty):
            raise AssertionError(f"unexpected: {self._events.get(timeout=seconds)}")

    def close(self) -> None:
        self._watch.close()
        self._thread.join(300)
        assert not self._thread.is_alive()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Schedules are looked at more often than anybody needs."""
    monkeypatch.setattr("recoup.velero.cluster.watching._TICK_SECONDS", 0.5)


@pytest.fixture
def watching(cluster):
    begun = []

    def begin(**options) -> Watching:
        begun.append(Watching(cluster.watch(**options)))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


class TestEvents:
    def test_one_for_each_change_that_can_be_seen(self, server, namespace, watching):
        watch = watching()
        server.create(backup(namespace))
        assert str(watch.next()) == "Backup b1: New"
        server.patch(backup(namespace), {"status": {"phase": "InProgress"}})
        assert str(watch.next()) == "Backup b1: New -> InProgress"
        for count in range(5):
            server.patch(backup(namespace), {"status": {"progress": {"totalItems": 10, "itemsBackedUp": count}}})
        server.patch(backup(namespace), {"status": {"phase": "Completed", "warnings": 3}})
        event = watch.next()
        assert str(event) == "Backup b1: InProgress -> Completed, warnings: 3" and not event.is_failure and not event.is_initial
        server.delete(backup(namespace))
        assert str(watch.next()) == "Backup b1: deleted"
        watch.nothing()

    @pytest.mark.parametrize("phase", ["PartiallyFailed", "Failed", "FailedValidation"])
    def test_a_backup_that_fails(self, server, namespace, watching, phase):
        server.create(backup(namespace, phase="InProgress"))
        watch = watching()
        assert watch.next().is_initial
        server.patch(backup(namespace), {"status": {"phase": phase, "errors": 1, "failureReason": "no space", "validationErrors": ["no location"]}})
        event = watch.next()
        assert event.is_failure and str(event) == f"Backup b1: InProgress -> {phase}, errors: 1, no space; no location"

    def test_a_volume_that_fails(self, server, namespace, watching):
        server.create(volume(namespace, "b1-x", "b1"))
        watch = watching()
        assert watch.next().phase == "New"
        server.patch(volume(namespace, "b1-x", "b1"), {"status": {"phase": "InProgress", "progress": {"bytesDone": 5}}})
        assert watch.next().phase == "InProgress"
        server.patch(volume(namespace, "b1-x", "b1"), {"status": {"phase": "Failed", "message": "restic: exit status 1"}})
        event = watch.next()
        assert event.is_failure and str(event) == "PodVolumeBackup b1-x: InProgress -> Failed, volume data of db/postgres-0, restic: exit status 1"

    def test_a_storage_location_that_goes_and_comes(self, server, namespace, watching):
        server.create(location(namespace))
        watch = watching()
        server.patch(location(namespace), {"status": {"lastValidationTime": "2026-11-01T00:00:00Z", "lastSyncedTime": "2026-11-01T00:00:00Z"}})
        watch.nothing()
        server.patch(location(namespace), {"status": {"phase": "Unavailable", "message": "connection refused"}})
        assert (event := watch.next()).is_failure and "connection refused" in str(event)
        server.patch(location(namespace), {"status": {"phase": "Available", "message": None}})
        assert not watch.next().is_failure

    def test_what_is_wrong_or_under_way_is_told_first(self, server, namespace, watching):
        server.create(backup(namespace, "done", phase="Completed"))
        server.create(backup(namespace, "failed-long-ago", phase="Failed"))
        server.create(backup(namespace, "running", phase="InProgress"))
        server.create(location(namespace, phase="Unavailable"))
        watch = watching()
        told = sorted(((event := watch.next()).name, event.is_failure, event.is_initial) for _ in range(2))
        assert told == [("default", True, True), ("running", False, True)]
        watch.nothing(0.5)

    def test_everything_is_told_if_asked_for(self, server, namespace, watching):
        server.create(backup(namespace, "done", phase="Completed"))
        server.create(backup(namespace, "failed-long-ago", phase="Failed"))
        watch = watching(everything=True)
        # What has failed before is no failure of now.
        assert sorted(((event := watch.next()).name, event.is_failure) for _ in range(2)) == [("done", False), ("failed-long-ago", False)]

    def test_other_namespaces_are_not_watched(self, server, namespace, watching):
        watch = watching()
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-other"}})
        server.create(backup(f"{namespace}-other"))
        watch.nothing()

    def test_a_kind_that_there_is_not(self, cluster):
        with pytest.raises(recoup.InvalidArgumentError, match="podvolumebackups"):
            cluster.watch(["pods"])

    def test_a_cluster_without_velero(self, server, namespace, monkeypatch):
        monkeypatch.setattr("recoup.velero.cluster.requests.API_VERSION", "elsewhere.recoup.test/v1")
        with Cluster.connect(server.kubeconfig, namespace=namespace) as bare, pytest.raises(recoup.NotFoundError, match="Velero is not installed"):
            list(bare.watch(["backups"], timeout=30))

    def test_a_user_who_may_not(self, server, namespace):
        kubeconfig = server.user(f"blind-{namespace}")
        with Cluster.connect(kubeconfig, namespace=namespace) as blind, pytest.raises(recoup.AccessDeniedError, match="to allow list on"):
            list(blind.watch(timeout=30))


class TestGenuineObjects:
    """What a real Velero 1.16.2 left after good, failed, crashed and incomplete backups."""

    @pytest.mark.parametrize("name", MONITORING)
    def test_each_object_is_told_once(self, server, namespace, watching, name):
        documents = genuine(f"monitoring/{name}-crs.yaml", namespace)
        kinds = {"Backup", "Restore", "Schedule", "PodVolumeBackup", "BackupStorageLocation"}
        expected = {key_of(each) for each in documents if each["kind"] in kinds}
        assert expected
        for each in documents:
            server.create(each)
        watch = watching(everything=True)
        told = []
        while len(told) < len(expected):
            event = watch.next()
            if not event.note:  # its schedules are of another year
                told.append((event.kind, event.name))
        assert sorted(told) == sorted(expected)

    def test_failures_of_a_run_are_told_as_it_goes(self, server, namespace, watching):
        """From the cluster as it was after a good backup to what it was after a volume had failed: each new object comes as it is
        created, without its status, and then with it."""
        before = {key_of(each): each for each in genuine("monitoring/after-good-2-crs.yaml", namespace)}
        after = {key_of(each): each for each in genuine("monitoring/after-failed-pvb-crs.yaml", namespace)}
        for each in before.values():
            server.create(each)
        watch = watching(kinds=["backups", "podvolumebackups"])
        while True:  # what was under way then
            try:
                watch.next(1.5)
            except queue.Empty:
                break
        new = [each for key, each in after.items() if key not in before and key[0] in ("Backup", "PodVolumeBackup")]
        failed = {key_of(each) for each in new if state_of(each).is_failure}
        assert {kind for kind, _ in failed} == {"Backup", "PodVolumeBackup"}
        for each in new:
            server.create({key: value for key, value in each.items() if key != "status"})
            server.patch(each, {"status": each["status"]})
        told, ended = set(), set()
        while len(ended) < len(new):
            event = watch.next()
            if event.is_failure:
                told.add((event.kind, event.name))
            if event.after.is_final:
                ended.add((event.kind, event.name))
        assert told == failed


class TestNothingIsMissed:
    def test_a_server_that_goes_and_comes_back(self, server, cluster, namespace, watching):
        server.create(backup(namespace, phase="InProgress"))
        watch = watching(kinds=["backups"])
        watch.next()
        server.kill()
        time.sleep(0.5)
        server.start()
        server.wait_until_ready()
        server.patch(backup(namespace), {"status": {"phase": "Completed"}})
        assert str(watch.next()) == "Backup b1: InProgress -> Completed"
        watch.nothing()

    def test_a_version_that_the_server_has_forgotten(self, server, namespace, watching, monkeypatch):
        """410 Gone, as after a compaction: it lists again, and tells what has changed meanwhile, and what is gone."""
        from recoup.velero.cluster import following

        server.create(backup(namespace, "stays", phase="InProgress"))
        server.create(backup(namespace, "goes", phase="InProgress"))
        real = following.Follower._watch
        holding = threading.Event()
        versions = []

        def watch_old(self, version):
            versions.append(version)
            if len(versions) == 1:
                holding.wait(300)
                version = "1"  # before all that is there
            return real(self, version)

        monkeypatch.setattr(following.Follower, "_watch", watch_old)
        watch = watching(kinds=["backups"])
        assert {watch.next().name, watch.next().name} == {"stays", "goes"}
        self._compact(server)
        server.delete(backup(namespace, "goes"))
        server.patch(backup(namespace, "stays"), {"status": {"phase": "Completed"}})
        holding.set()
        assert {str(watch.next()), str(watch.next())} == {"Backup goes: deleted", "Backup stays: InProgress -> Completed"}
        assert len(versions) >= 2

    @staticmethod
    def _compact(server) -> None:
        """Makes etcd forget, by its own JSON gateway."""
        import base64
        import urllib.request

        def ask(path: str, body: dict) -> dict:
            url = f"http://127.0.0.1:{server._etcd_port}/v3/kv/{path}"
            request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)

        revision = ask("range", {"key": base64.b64encode(b"none").decode()})["header"]["revision"]
        ask("compaction", {"revision": revision, "physical": True})

    def test_what_no_watch_tells_is_found_by_listing_again(self, server, namespace, watching, monkeypatch):
        from recoup.velero.cluster import following

        def deaf(self, version):
            self._stopping.wait(0.3)

        monkeypatch.setattr(following.Follower, "_watch", deaf)
        watch = watching(kinds=["backups"])
        server.create(backup(namespace, phase="InProgress"))
        assert watch.next().phase == "InProgress"
        server.delete(backup(namespace))
        assert watch.next().phase == "deleted"

    def test_more_than_a_page(self, server, namespace, watching, monkeypatch):
        from recoup.velero.cluster import following

        monkeypatch.setattr(following, "_PAGE", "3")
        for number in range(10):
            server.create(backup(namespace, f"b{number}", phase="InProgress"))
        watch = watching(kinds=["backups"])
        assert {watch.next().name for _ in range(10)} == {f"b{number}" for number in range(10)}

    def test_a_name_that_is_used_again(self, server, namespace, watching):
        server.create(backup(namespace, phase="Completed"))
        watch = watching(kinds=["backups"])
        server.delete(backup(namespace))
        server.create(backup(namespace, phase="InProgress"))
        assert [str(watch.next()), str(watch.next())] == ["Backup b1: deleted", "Backup b1: InProgress"]

    def test_closing_ends_the_threads(self, cluster, namespace):
        before = set(threading.enumerate())
        watch = cluster.watch()
        iterator = iter(watch)
        threading.Timer(0.5, watch.close).start()
        began = time.monotonic()
        assert list(iterator) == []
        assert time.monotonic() - began < 60
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("recoup watches"):
                thread.join(40)
                assert not thread.is_alive()


    def test_closing_ends_a_watch_that_only_connects(self, cluster, namespace, monkeypatch):
        """There is no stream yet that could be closed. Not ended, it would last until the server ends it, after a minute."""
        from recoup.velero.cluster.api import KubernetesApi

        connecting, is_closed = threading.Event(), threading.Event()
        connect = KubernetesApi.stream

        def connect_late(*arguments):
            connecting.set()
            is_closed.wait(300)
            return connect(*arguments)

        monkeypatch.setattr(KubernetesApi, "stream", connect_late)
        watch = cluster.watch(["backups"])
        assert connecting.wait(300)
        watch.close()
        is_closed.set()
        (follower,) = watch._followers
        follower.join(40)
        assert not follower.is_alive()


class TestSchedules:
    def test_one_that_velero_refuses(self, server, namespace, watching):
        server.create(schedule(namespace))
        watch = watching(kinds=["schedules"])
        server.patch(schedule(namespace), {"status": {"phase": "FailedValidation", "validationErrors": ["invalid schedule: unknown time zone"]}})
        while (event := watch.next()).note:
            pass
        assert event.is_failure and "unknown time zone" in str(event)

    def test_overdue_is_told_once_for_each_time(self, server, namespace, watching):
        hours_ago = datetime.now(timezone.utc) - timedelta(hours=3)
        server.create(schedule(namespace, "@every 1h", lastBackup=f"{hours_ago:%Y-%m-%dT%H:%M:%SZ}"))
        watch = watching(kinds=["schedules", "backups"])
        event = watch.next()
        assert event.is_failure and "overdue since" in str(event) and "does Velero's server run?" in str(event)
        watch.nothing(2)
        # Its server comes back, and makes a backup.
        server.patch(schedule(namespace), {"status": {"lastBackup": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"}})
        assert "last backup" in str(event := watch.next()) and not event.is_failure
        watch.nothing(2)

    def test_skipped_as_an_earlier_backup_still_runs(self, server, namespace, watching):
        hours_ago = datetime.now(timezone.utc) - timedelta(hours=3)
        server.create(schedule(namespace, "@every 1h", lastBackup=f"{hours_ago:%Y-%m-%dT%H:%M:%SZ}"))
        server.create(backup(namespace, "daily-1", phase="InProgress", schedule="daily"))
        watch = watching(kinds=["schedules", "backups"])
        events = [watch.next(), watch.next()]
        (skipped,) = [event for event in events if event.note]
        assert skipped.is_failure and "is skipped, as daily-1 is still InProgress" in str(skipped)

    def test_paused_ones_are_told_and_not_overdue(self, server, namespace, watching):
        paused = schedule(namespace, lastBackup="2020-01-01T00:00:00Z")
        paused["spec"]["paused"] = True
        server.create(paused)
        watch = watching(kinds=["schedules"])
        event = watch.next()
        assert "paused" in str(event) and not event.is_failure
        watch.nothing(2)

    def test_skipped_once_as_asked(self, server, namespace, watching):
        """skipImmediately: Velero's server writes the time, and takes the wish away."""
        now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        asked = schedule(namespace, "@every 24h")
        asked["spec"]["skipImmediately"] = True
        server.create(asked)
        watch = watching(kinds=["schedules"])
        server.patch(asked, {"spec": {"skipImmediately": False}, "status": {"lastSkipped": now}})
        assert "skipped as asked" in str(event := watch.next()) and not event.is_failure

    @pytest.mark.parametrize(
        ("spec", "status", "due"),
        [
            ({"schedule": "0 2 * * *"}, {}, "2026-11-02T02:00:00"),
            ({"schedule": "0 2 * * *"}, {"lastBackup": "2026-11-05T02:00:07Z"}, "2026-11-06T02:00:00"),
            ({"schedule": "0 2 * * *"}, {"lastBackup": "2026-11-05T02:00:07Z", "lastSkipped": "2026-11-07T12:00:00Z"}, "2026-11-08T02:00:00"),
            ({"schedule": "@every 6h"}, {"lastBackup": "2026-11-05T02:00:07Z"}, "2026-11-05T08:00:07"),
            ({"schedule": "0 2 * * *", "paused": True}, {}, None),
            ({"schedule": "0 2 * * *"}, {"phase": "FailedValidation"}, None),
            ({"schedule": "nonsense"}, {}, None),
            ({}, {"lastBackup": "never"}, None),
        ],
    )
    def test_when_it_is_due(self, spec, status, due):
        document = {"metadata": {"creationTimestamp": "2026-11-01T12:00:00Z"}, "spec": spec, "status": status}
        found = due_of(document)
        assert (found and found.replace(tzinfo=None).isoformat()) == due


class Followed:
    """How far the watches have come that a command has begun."""

    def __init__(self, monkeypatch) -> None:
        from recoup.velero.cluster.following import Follower

        self.lists = 0
        self.names: set[str] = set()
        watch, put = Follower._watch, Follower._put

        def counted(follower, version):
            self.lists += 1
            return watch(follower, version)

        def noted(follower, document):
            put(follower, document)
            self.names.add(document["metadata"]["name"])

        monkeypatch.setattr(Follower, "_watch", counted)
        monkeypatch.setattr(Follower, "_put", noted)

    def wait_for_lists(self, count: int) -> None:
        wait_until(lambda: self.lists >= count, what=f"{count} lists")

    def wait_for_names(self, *names: str) -> None:
        """They will be told before whatever happens from now on."""
        wait_until(lambda: self.names >= set(names), what=f"{names} are seen")


@pytest.fixture
def followed(monkeypatch) -> Followed:
    return Followed(monkeypatch)


class TestCommand:
    @pytest.fixture
    def watch_command(self, server, namespace):
        def run(*arguments: str):
            options = ["--kubeconfig", str(server.kubeconfig), "--namespace", namespace]
            return CliRunner().invoke(main, ["--json", "watch", *options, *arguments])

        return run

    @pytest.mark.parametrize(("phase", "code"), [("Completed", 0), ("PartiallyFailed", 3), ("Failed", 1)])
    def test_one_backup(self, server, namespace, watch_command, followed, phase, code):
        server.create(backup(namespace, phase="InProgress"))
        server.create(backup(namespace, "other", phase="InProgress"))

        def velero() -> None:
            followed.wait_for_lists(2)
            server.create(volume(namespace, "b1-x", "b1", "Completed" if phase == "Completed" else "Failed"))
            server.create(volume(namespace, "other-x", "other", "Failed"))
            followed.wait_for_names("b1-x", "other-x")
            server.patch(backup(namespace), {"status": {"phase": phase}})

        worker = threading.Thread(target=velero)
        worker.start()
        said = watch_command("--backup", "b1", "--timeout", "10m")
        worker.join()
        assert said.exit_code == code, (said.output, said.exception)
        events = [json.loads(line) for line in said.stdout.splitlines()]
        assert {each["name"] for each in events} == {"b1", "b1-x"}
        assert [each["after"]["phase"] for each in events if each["name"] == "b1"] == ["InProgress", phase]
        assert [each["failure"] for each in events if each["name"] == "b1"] == [False, code > 0]

    def test_a_backup_that_had_failed_before(self, server, namespace, watch_command):
        server.create(backup(namespace, phase="Failed"))
        assert watch_command("--backup", "b1").exit_code == 1

    def test_until_done_ends_at_once_where_nothing_runs(self, server, namespace, watch_command):
        server.create(backup(namespace, phase="Failed"))
        said = watch_command("--until-done", "--timeout", "10m")
        assert said.exit_code == 0 and said.stdout == ""

    def test_until_done(self, server, namespace, watch_command, followed):
        server.create(backup(namespace, "a", phase="InProgress"))
        server.create(backup(namespace, "b", phase="InProgress"))

        def velero() -> None:
            followed.wait_for_lists(len(KINDS))
            for name, phase in (("a", "Failed"), ("b", "Completed")):
                server.patch(backup(namespace, name), {"status": {"phase": phase}})

        worker = threading.Thread(target=velero)
        worker.start()
        said = watch_command("--until-done", "--timeout", "10m")
        worker.join()
        assert said.exit_code == 1, (said.output, said.exception)
        assert [(line := json.loads(each))["name"] for each in said.stdout.splitlines()][-1] == "b" and not line["failure"]

    def test_time_runs_out(self, server, namespace, watch_command):
        server.create(backup(namespace, phase="InProgress"))
        said = watch_command("--until-done", "--timeout", "2s")
        assert isinstance(said.exception, recoup.IncompleteError) and "not done after 2 s" in str(said.exception)
        assert watch_command("--timeout", "1s").exit_code == 0

    def test_lines_for_people(self, server, namespace):
        server.create(location(namespace, "Unavailable", message="no such bucket"))
        options = ["--kubeconfig", str(server.kubeconfig), "--namespace", namespace]
        # It ends when all has been listed: how long that takes says the machine.
        said = CliRunner().invoke(main, ["watch", *options, "--until-done", "--timeout", "10m"])
        (line,) = said.stdout.splitlines()
        assert line.startswith("! ") and line.endswith("BackupStorageLocation default: Unavailable, no such bucket")
        assert said.exit_code == 1
