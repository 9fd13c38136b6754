"""`recoup velero restore` into a real API server, beside which what stands for a kubelet runs the helper pods."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from test_command_manifests import GOOD, documents, key_of, versions
from velero_volumes import expected_entries, on_disk

from recoup.velero import Repositories
from recoup.velero.restore import VolumeOutcome, restore_into_cluster, wanted

pytest_plugins = ["command_fixture", "kubernetes_server", "kubelet"]

MAPPED = ("--map-storage-class", "mayastor-1=standard")


@pytest.fixture(scope="module")
def fresh() -> Iterator[Any]:
    """A new cluster with a node."""
    from kubelet import Kubelet, needs_kubelet
    from kubernetes_server import KubernetesServer

    needs_kubelet()
    server = KubernetesServer()
    kubelet = Kubelet(server)
    try:
        yield kubelet
    finally:
        kubelet.stop()
        server.stop()


@pytest.fixture
def restore(fresh, quick, command):
    """restore(options…): the command, on the backup GOOD unless `backup` says another."""

    def run(*options: object, bucket: Any = None, backup: str = GOOD, as_json: bool = True):
        front = ["--bucket", bucket or quick.path, *(["--json"] if as_json else [])]
        return command(*front, "restore", backup, *options, "--kubeconfig", fresh.server.kubeconfig)

    return run


def stored(genuine, namespaces=("db", "media")) -> list[dict[str, Any]]:
    backup = next(each for each in genuine.expected["backups"] if each["name"] == GOOD)
    return [each for each in backup["volumes"] if each["pvc"] and each["namespace"] in namespaces]


def outcomes(said, what: str) -> dict[str, str]:
    key = "reference" if what == "objects" else "name"
    return {each[key]: each["outcome"] for each in said.json()[what]}


def pod_names(fresh, namespace: str) -> list[str]:
    return [each["metadata"]["name"] for each in fresh.server.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]]


def get(fresh, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = fresh.server.get({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace, "name": name}})
    return found


class StopAt:
    """Ctrl-C in the first volume with data after so many."""

    def __init__(self, number: int) -> None:
        self.left = number

    def object_done(self, done: object) -> None: ...

    def volume_begun(self, name: str, total_bytes: int) -> None: ...

    def volume_progress(self, name: str, bytes_done: int, total_bytes: int) -> None:
        if self.left <= 0:
            raise KeyboardInterrupt

    def volume_done(self, done: object) -> None:
        self.left -= 1


class TestRestore:
    """In this order, on one cluster."""

    def test_nobody_is_asked_nothing_is_done(self, fresh, quick, restore):
        said = restore(*MAPPED)
        assert said.code not in (0, 3) and "say --yes where nobody can be asked, or --dry-run" in said.errors
        assert f"restore {GOOD} of " in said.errors and "data of 3 claims" in said.errors
        assert pod_names(fresh, "db") == []

    def test_a_dry_run_keeps_nothing(self, fresh, quick, restore, command):
        objects = documents(command("-b", quick.path, "manifests", GOOD, "--secrets").output)
        before = versions(fresh.server, objects)
        said = restore(*MAPPED, "--dry-run")
        assert said.code == 0, said.errors
        assert {key: value for key, value in outcomes(said, "volumes").items() if value == "would be restored"}.keys() == {
            "db/data-postgres-0", "db/empty-claim", "media/plex-config",
        }  # fmt: skip
        assert outcomes(said, "objects")["StorageClass mayastor-1"] == "created"
        assert outcomes(said, "objects")["Pod db/postgres-0"] == "unchecked"
        assert versions(fresh.server, objects) == before and not fresh.pods_seen

    def test_a_restore_that_is_stopped(self, fresh, quick):
        from recoup.velero.cluster import Cluster
        from recoup.velero.manifests import Selection
        from recoup.velero.stripping import Changes

        repositories = Repositories(quick.bucket)
        want = wanted(
            quick.bucket, quick.bucket.backup(GOOD), repositories, Selection(secrets=True), Changes(storage_classes={"mayastor-1": "standard"})
        )
        with Cluster.connect(fresh.server.kubeconfig) as cluster, pytest.raises(KeyboardInterrupt):
            restore_into_cluster(want, repositories, cluster, observer=StopAt(1))
        assert pod_names(fresh, "db") == pod_names(fresh, "media") == [], "the helper pod, or a workload that should wait, is there"
        with pytest.raises(OSError):
            get(fresh, "apps/v1", "StatefulSet", "db", "postgres")

    def test_it_goes_on_and_all_is_there(self, fresh, quick, restore, command, tmp_path):
        said = restore(*MAPPED, "--yes", "--verify", "--report", tmp_path / "report.json")
        assert said.code == 0, (said.errors, [each for each in said.json()["objects"] if each["outcome"] == "refused"])
        assert json.loads((tmp_path / "report.json").read_text()) == said.json()
        assert said.json()["is_complete"] is True
        volumes = outcomes(said, "volumes")
        assert set(volumes.values()) == {"restored", "already", "without data"}
        assert list(volumes.values()).count("already") == 2
        # What is not in the bucket is told, with Velero's reason.
        [skipped] = [each for each in said.json()["volumes"] if each["name"] == "media/plex-transcode"]
        assert skipped["outcome"] == "without data" and "opted out" in skipped["message"]
        objects = documents(command("-b", quick.path, "manifests", GOOD, "--secrets", *MAPPED).output)
        assert set(versions(fresh.server, objects)) == {key_of(each) for each in objects}
        for each in stored(quick):
            assert on_disk(fresh.volume(each["namespace"], each["pvc"])) == expected_entries(quick.expected, each), each["pvc"]
            claim = get(fresh, "v1", "PersistentVolumeClaim", each["namespace"], each["pvc"])
            assert claim["spec"]["storageClassName"] == "standard"
        # Data came before what works on it.
        claim, workload = get(fresh, "v1", "PersistentVolumeClaim", "db", "data-postgres-0"), get(fresh, "apps/v1", "StatefulSet", "db", "postgres")
        assert int(claim["metadata"]["resourceVersion"]) < int(workload["metadata"]["resourceVersion"])
        assert not [name for namespace in ("db", "media") for name in pod_names(fresh, namespace) if name.startswith("recoup")]
        assert "postgres-0" in pod_names(fresh, "db")

    def test_a_second_run_changes_nothing(self, fresh, quick, restore):
        before = [on_disk(fresh.volume(each["namespace"], each["pvc"])) for each in stored(quick)]
        fresh.pods_seen.clear()
        said = restore(*MAPPED, "--yes")
        assert said.code == 0, said.errors
        assert set(outcomes(said, "objects").values()) == {"unchanged"}
        assert set(outcomes(said, "volumes").values()) == {"already", "without data"}
        assert before == [on_disk(fresh.volume(each["namespace"], each["pvc"])) for each in stored(quick)]
        assert not any("recoup" in name for name in fresh.pods_seen)

    def test_into_another_namespace(self, fresh, quick, restore):
        said = restore(*MAPPED, "--namespace", "db", "--map-namespace", "db=db-copy", "--yes", as_json=False)
        assert said.code == 0, said.errors
        for each in stored(quick, ("db",)):
            assert on_disk(fresh.volume("db-copy", each["pvc"])) == expected_entries(quick.expected, each)
        assert "postgres-0" in pod_names(fresh, "db-copy")
        assert "restored       volume db/data-postgres-0, " in said.output and f"restore of {GOOD} is complete" in said.output

    def test_what_has_no_data_is_not_started(self, fresh, quick, restore, tmp_path):
        spoilt = quick.copy(tmp_path / "bucket")
        shutil.rmtree(spoilt.path / "restic/media/data")
        options = (*MAPPED, "--namespace", "media", "--map-namespace", "media=media-copy", "--yes")
        said = restore(*options, bucket=spoilt.path)
        assert said.code == 3
        assert outcomes(said, "volumes")["media/plex-config"] == "failed"
        pod = "Pod media-copy/plex-7d9c-xyz12"
        objects = outcomes(said, "objects")
        assert objects[pod] == "held back" and objects["PersistentVolumeClaim media-copy/plex-config"] == "created"
        [held] = [each for each in said.json()["objects"] if each["reference"] == pod]
        assert "it works on claim media-copy/plex-config, whose data is not there: " in held["message"]
        assert pod_names(fresh, "media-copy") == []
        # Somebody who knows better.
        said = restore(*options, "--start-without-data", bucket=spoilt.path)
        assert said.code == 3 and outcomes(said, "objects")[pod] == "created"

    def test_once_it_is_mended_the_rest_comes(self, fresh, quick, restore):
        for name in pod_names(fresh, "media-copy"):
            fresh.server.request("DELETE", f"/api/v1/namespaces/media-copy/pods/{name}?gracePeriodSeconds=0")
        said = restore(*MAPPED, "--namespace", "media", "--map-namespace", "media=media-copy", "--yes")
        assert said.code == 0, said.json()["volumes"]
        [data] = stored(quick, ("media",))
        assert on_disk(fresh.volume("media-copy", data["pvc"])) == expected_entries(quick.expected, data)
        assert outcomes(said, "volumes")["media/plex-config"] == VolumeOutcome.RESTORED.value


def test_it_is_ended_while_a_helper_pod_is_waited_for(fresh, quick, command):
    options = ("--namespace", "db", "--map-namespace", "db=ended", "--node-selector", "disk=none", "--yes", "--kubeconfig", fresh.server.kubeconfig)
    with command.start("--bucket", quick.path, "restore", GOOD, *options) as process:
        end = time.monotonic() + 600
        while pod_names(fresh, "ended") != ["recoup-fill-data-postgres-0"]:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        process.terminate()
        errors = process.communicate(timeout=600)[1]
    assert process.returncode == 143 and "The same command goes on from there" in errors, errors
    assert pod_names(fresh, "ended") == []


def test_options_that_cannot_be(fresh, restore):
    said = restore("--at", "2d", "--yes")
    assert said.code not in (0, 3) and "BACKUP names one backup" in said.errors
    said = restore("--toleration", "x:Never", "--yes")
    assert said.code not in (0, 3) and "KEY[=VALUE][:EFFECT]" in said.errors
