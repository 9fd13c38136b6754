"""Schedules and backups made, paused, run and deleted through a real API server with Velero's definitions.

No Velero runs: what its server would write (status, skipImmediately) is written by the tests, as patches.
"""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import datetime, timezone

import pytest
from click.testing import CliRunner

import recoup
from recoup.velero.cluster import Cluster
from recoup.velero.command import main

pytest_plugins = ["kubernetes_server"]


def schedule(namespace: str, name: str = "daily", **spec) -> dict:
    return {
        "apiVersion": "velero.io/v1", "kind": "Schedule", "metadata": {"name": name, "namespace": namespace},
        "spec": {"schedule": "0 2 * * *", "template": {"ttl": "168h0m0s"}, **spec},
    }  # fmt: skip


def backup(namespace: str, name: str) -> dict:
    return {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": name, "namespace": namespace}, "spec": {}}


class TestCreating:
    def test_a_schedule(self, server, cluster, namespace):
        cluster.create_schedule(
            "weekly", "CRON_TZ=Europe/Berlin 0 2 * * 0", {"ttl": "672h", "defaultVolumesToFsBackup": True}, labels={"by": "recoup"},
            skip_immediately=True,
        )  # fmt: skip
        found = server.get(schedule(namespace, "weekly"))
        assert found["spec"] == {
            "schedule": "CRON_TZ=Europe/Berlin 0 2 * * 0", "paused": False, "skipImmediately": True,
            "template": {"includedNamespaces": ["*"], "ttl": "672h", "defaultVolumesToFsBackup": True},
        }  # fmt: skip
        assert found["metadata"]["labels"] == {"by": "recoup"} and "status" not in found
        assert [each["metadata"]["name"] for each in cluster.schedules()] == ["weekly"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("x", "0 2 * *"), "four|4 fields"),
            (("x", "@every 1d"), "24h"),
            (("x", "0 0 31 4 *"), "would never run"),
            (("Bad_Name", "@daily"), "is no name"),
            (("a" * 64, "@daily"), "63 are the most"),
            (("x", "@daily", {"ttl": "7d"}), "ttl '7d' is no duration"),
            (("x", "@daily", {"csiSnapshotTimeout": 5}), "csiSnapshotTimeout 5 is no duration"),
            (("x", "@daily", {"includedResources": ["pods"], "excludedClusterScopedResources": ["nodes"]}), "cannot be used together"),
            (("x", "@daily", {"labelSelector": {}, "orLabelSelectors": [{}]}), "cannot be used together"),
            (("x", "@daily", {"tll": "168h"}), 'unknown field "spec.template.tll"'),
            (("x", "@daily", {"includedNamespaces": "db"}), "includedNamespaces"),
        ],
    )
    def test_what_velero_would_not_take_is_not_created(self, server, cluster, namespace, arguments, words):
        with pytest.raises(recoup.InvalidArgumentError, match=words):
            cluster.create_schedule(*arguments)
        assert cluster.schedules() == []

    def test_a_storage_location_that_is_not_there(self, server, cluster, namespace):
        with pytest.raises(recoup.NotFoundError, match=f"no backupstoragelocation {namespace}/nas; there are: none"):
            cluster.create_schedule("x", "@daily", {"storageLocation": "nas"})

    def test_twice(self, cluster):
        cluster.create_schedule("daily", "@daily")
        with pytest.raises(recoup.InvalidArgumentError, match="is a Schedule .*/daily already"):
            cluster.create_schedule("daily", "@daily")

    def test_a_namespace_that_is_not_there(self, server):
        with Cluster.connect(server.kubeconfig, namespace="nowhere") as elsewhere, pytest.raises(recoup.Error, match="nowhere"):
            elsewhere.create_schedule("daily", "@daily")


class TestPausing:
    def test_only_the_spec_is_written(self, server, cluster, namespace):
        server.create(schedule(namespace))
        server.patch(schedule(namespace), {"status": {"phase": "Enabled", "lastBackup": "2026-11-01T02:00:00Z"}, "spec": {"skipImmediately": False}})
        before = server.get(schedule(namespace))
        assert cluster.pause("daily") is True
        paused = server.get(schedule(namespace))
        assert paused["spec"]["paused"] is True
        assert (paused["status"], paused["spec"]["template"]) == (before["status"], before["spec"]["template"])
        assert cluster.pause("daily") is False
        assert server.get(schedule(namespace))["metadata"]["resourceVersion"] == paused["metadata"]["resourceVersion"]

    @pytest.mark.parametrize("skip", [True, False, None])
    def test_whether_it_runs_at_once_is_chosen(self, server, cluster, namespace, skip):
        server.create(schedule(namespace, paused=True, skipImmediately=False))
        assert cluster.unpause("daily", skip_immediately=skip) is True
        # None: it is taken away, as the command velero does, and the server puts its own setting there.
        assert server.get(schedule(namespace))["spec"].get("skipImmediately") is skip
        assert server.get(schedule(namespace))["spec"]["paused"] is False
        assert cluster.unpause("daily") is False

    def test_one_that_is_not_there(self, server, cluster, namespace):
        server.create(schedule(namespace, "weekly"))
        with pytest.raises(recoup.NotFoundError, match="no schedule .*/daily; there are: weekly"):
            cluster.pause("daily")

    def test_a_user_who_may_not(self, server, namespace):
        server.create(schedule(namespace))
        reader = server.user(f"looker-{namespace}", {"apiGroups": ["velero.io"], "resources": ["schedules"], "verbs": ["get", "list"]})
        with Cluster.connect(reader, namespace=namespace) as cluster, pytest.raises(recoup.AccessDeniedError, match="has to allow patch on schedules"):
            cluster.pause("daily")


class TestRunning:
    def test_the_backup_is_the_one_that_velero_makes(self, server, cluster, namespace):
        """V:pkg/builder/backup_builder.go FromSchedule: the schedule's labels and annotations, its template, its name and the time."""
        made = schedule(namespace)
        made["metadata"] |= {"labels": {"team": "home"}, "annotations": {"note": "x"}}
        server.create(made)
        server.patch(made, {"status": {"phase": "Enabled", "lastBackup": "2026-11-01T02:00:00Z"}})
        name = cluster.run_schedule("daily")
        match = re.fullmatch(r"daily-(\d{14})", name)
        said = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
        assert abs((datetime.now(timezone.utc) - said).total_seconds()) < 60
        found = server.get(backup(namespace, name))
        assert found["metadata"]["labels"] == {"team": "home", "velero.io/schedule-name": "daily"}
        assert found["metadata"]["annotations"] == {"note": "x"}
        assert found["spec"] == {"ttl": "168h0m0s"} and "ownerReferences" not in found["metadata"] and "status" not in found
        assert server.get(made)["status"]["lastBackup"] == "2026-11-01T02:00:00Z"

    def test_labels_of_the_template_stand_in_place_of_the_schedules(self, server, cluster, namespace):
        made = schedule(namespace, template={"metadata": {"labels": {"kind": "nightly"}}}, useOwnerReferencesInBackup=True)
        made["metadata"]["labels"] = {"team": "home"}
        uid = server.create(made)["metadata"]["uid"]
        found = server.get(backup(namespace, cluster.run_schedule("daily", "by-hand")))
        assert found["metadata"]["labels"] == {"kind": "nightly", "velero.io/schedule-name": "daily"}
        assert found["spec"] == {"metadata": {"labels": {"kind": "nightly"}}}
        assert found["metadata"]["ownerReferences"] == [
            {"apiVersion": "velero.io/v1", "kind": "Schedule", "name": "daily", "uid": uid, "controller": True}
        ]

    def test_two_in_the_same_second_have_different_names(self, server, cluster, namespace):
        server.create(schedule(namespace))
        assert len({cluster.run_schedule("daily") for _ in range(3)}) == 3

    def test_a_backup_of_its_own(self, server, cluster, namespace):
        assert cluster.run_backup("before-upgrade", {"ttl": "24h", "includedNamespaces": ["db"]}, labels={"why": "upgrade"}) == "before-upgrade"
        found = server.get(backup(namespace, "before-upgrade"))
        assert found["spec"] == {"ttl": "24h", "includedNamespaces": ["db"]} and found["metadata"]["labels"] == {"why": "upgrade"}
        with pytest.raises(recoup.InvalidArgumentError, match="already"):
            cluster.run_backup("before-upgrade", {"ttl": "48h"})


class TestDeleting:
    def test_its_backups_stay(self, server, cluster, namespace):
        server.create(schedule(namespace))
        name = cluster.run_schedule("daily")
        cluster.delete_schedule("daily")
        assert cluster.schedules() == [] and server.get(backup(namespace, name))
        with pytest.raises(recoup.NotFoundError):
            cluster.delete_schedule("daily")

    def test_backups_that_it_owns_go_only_if_that_is_said(self, server, cluster, namespace):
        server.create(schedule(namespace, useOwnerReferencesInBackup=True))
        with pytest.raises(recoup.InvalidArgumentError, match="owns its backups.*--with-backups"):
            cluster.delete_schedule("daily")
        cluster.delete_schedule("daily", with_backups=True)
        assert cluster.schedules() == []


class TestWaiting:
    def test_until_it_has_ended(self, server, cluster, namespace):
        name = cluster.run_backup("b", {})

        def velero() -> None:
            for phase in ("InProgress", "Finalizing", "PartiallyFailed"):
                time.sleep(0.5)
                server.patch(backup(namespace, name), {"status": {"phase": phase, "errors": 2}})

        worker = threading.Thread(target=velero)
        worker.start()
        state = cluster.wait(name, timeout=600)
        worker.join()
        assert (state.phase, state.is_failure, state.details) == ("PartiallyFailed", True, ("errors: 2",))
        assert cluster.wait(name, timeout=600).phase == "PartiallyFailed"

    def test_nobody_begins_it(self, cluster):
        cluster.run_backup("b", {})
        with pytest.raises(recoup.IncompleteError, match="still New after 3 s: Velero's server has not begun it"):
            cluster.wait("b", timeout=3)

    def test_it_is_deleted_meanwhile(self, server, cluster, namespace, monkeypatch):
        cluster.run_backup("b", {})
        requests = type(cluster._velero)
        get = requests.get

        def get_and_delete_soon(self, plural, name):
            found = get(self, plural, name)  # it is there when it is begun to be waited for
            threading.Timer(1.0, lambda: server.delete(backup(namespace, "b"))).start()
            return found

        with monkeypatch.context() as patch, pytest.raises(recoup.NotFoundError, match="was deleted"):
            patch.setattr(requests, "get", get_and_delete_soon)
            cluster.wait("b", timeout=600)
        with pytest.raises(recoup.NotFoundError, match="there are: none"):
            cluster.wait("b")


class TestCommand:
    @pytest.fixture
    def recoup_velero(self, server, namespace):
        def run(*arguments: str, code: int = 0, as_json: bool = False, **more):
            options = [*(["--json"] if as_json else []), "--kubeconfig", str(server.kubeconfig)]
            said = CliRunner().invoke(main, [*options, *arguments, "--namespace", namespace], **more)
            if said.exception is not None and not isinstance(said.exception, SystemExit):
                assert isinstance(said.exception, recoup.Error), said.exception
                return said.exception
            assert said.exit_code == code, said.output
            return json.loads(said.stdout) if as_json else said.stdout

        return run

    def test_the_life_of_a_schedule(self, server, namespace, recoup_velero):
        said = recoup_velero("create", "daily", "0 2 * * *", "--ttl", "168h", "--fs-backup", "--label", "a=b", "--exclude-namespace", "tmp", "--paused")
        assert said == "schedule daily: created\n"
        found = server.get(schedule(namespace))
        assert found["spec"]["template"] == {"includedNamespaces": ["*"], "excludedNamespaces": ["tmp"], "ttl": "168h", "defaultVolumesToFsBackup": True}
        assert found["spec"]["paused"] is True and found["metadata"]["labels"] == {"a": "b"}
        assert recoup_velero("unpause", "daily", "--skip-immediately") == "schedule daily: unpaused\n"
        assert server.get(schedule(namespace))["spec"]["skipImmediately"] is True
        assert recoup_velero("unpause", "daily", as_json=True) == {"schedule": "daily", "done": "was not paused"}
        assert recoup_velero("pause", "daily") == "schedule daily: paused\n"
        assert recoup_velero("run", "daily", as_json=True)["backup"].startswith("daily-")
        assert recoup_velero("delete-schedule", "daily") == "schedule daily: deleted\n"

    @pytest.mark.parametrize(("command", "done"), [("pause", "paused"), ("unpause", "was not paused"), ("delete-schedule", "deleted")])
    def test_what_was_done_before_a_mistake_is_told(self, server, namespace, command, done):
        for name in "ab":
            server.create(schedule(namespace, name))
        said = CliRunner().invoke(main, ["--kubeconfig", str(server.kubeconfig), command, "a", "a", "nothing", "b", "--namespace", namespace])
        assert isinstance(said.exception, recoup.NotFoundError) and said.stdout == f"schedule a: {done}\n"

    def test_a_template_from_a_file(self, server, namespace, recoup_velero):
        recoup_velero("create", "x", "@daily", "--template", "-", "--ttl", "24h", input="ttl: 1h\nincludedResources: [pods]\n")
        assert server.get(schedule(namespace, "x"))["spec"]["template"] == {"includedNamespaces": ["*"], "includedResources": ["pods"], "ttl": "24h"}
        assert "no spec of a Backup" in str(recoup_velero("create", "y", "@daily", "--template", "-", input="[]"))
        assert "is not YAML" in str(recoup_velero("create", "y", "@daily", "--template", "-", input="{"))

    def test_run_and_wait(self, server, namespace, recoup_velero):
        def velero(name: str, phase: str) -> None:
            for _ in range(6000):
                time.sleep(0.1)
                try:
                    server.patch(backup(namespace, name), {"status": {"phase": phase}})
                    return
                except OSError:
                    continue

        for phase, code in (("Completed", 0), ("PartiallyFailed", 3), ("Failed", 1), ("FailedValidation", 1)):
            worker = threading.Thread(target=velero, args=(phase.lower(), phase))
            worker.start()
            said = recoup_velero("run", "--name", phase.lower(), "--ttl", "1h", "--wait", "--timeout", "10m", code=code, as_json=True)
            worker.join()
            assert (said["phase"], said["failed"]) == (phase, code > 0)

    def test_what_does_not_go_together(self, recoup_velero):
        recoup_velero("run", code=2)
        recoup_velero("run", "daily", "--ttl", "1h", code=2)
        recoup_velero("create", "x", "@daily", "--label", "a", code=2)
        recoup_velero("watch", "--backup", "b", "--until-done", code=2)
        recoup_velero("watch", "--timeout", "soon", code=2)
