"""A real API server behind a proxy that refuses, hangs up, and loses answers."""

from __future__ import annotations

import threading
import time

import pytest
from flaky_proxy import FlakyProxy

import recoup
from recoup.velero.cluster import Cluster, Outcome

pytest_plugins = ["kubernetes_server"]


def config_map(namespace: str, name: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"a": "b"}}


@pytest.fixture
def proxy(server):
    made = FlakyProxy(server)
    yield made
    made.close()


@pytest.fixture
def behind(proxy, namespace):
    with Cluster.connect(proxy.kubeconfig, namespace=namespace) as cluster:
        yield cluster


@pytest.mark.parametrize("step", [429, 502, 503, 504, "reset", "lost"])
def test_what_may_pass_is_asked_again(server, proxy, behind, namespace, step):
    proxy.plan["GET"].extend([step, step])
    proxy.plan["PATCH"].extend([step, step])
    (applied,) = behind.apply([config_map(namespace, "x")])
    assert applied.outcome is Outcome.CREATED and server.get(config_map(namespace, "x"))
    assert sum(line.startswith("PATCH") for line in proxy.seen) == 3


def test_as_late_as_the_server_asks(proxy, behind, namespace):
    proxy.retry_after = "2"
    proxy.plan["PATCH"].append(429)
    began = time.monotonic()
    (applied,) = behind.apply([config_map(namespace, "x")])
    assert applied.outcome is Outcome.CREATED and 2 <= time.monotonic() - began < 60


def test_a_server_that_asks_for_an_hour_is_not_waited_for(proxy, behind, namespace):
    proxy.retry_after = "3600"
    proxy.plan["PATCH"].append(503)
    (refused,) = behind.apply([config_map(namespace, "x")])
    assert refused.outcome is Outcome.REFUSED and "no answer today (503)" in refused.message


def test_it_is_not_asked_for_ever(proxy, behind, namespace, monkeypatch):
    monkeypatch.setattr("recoup.velero.cluster.api._LONGEST_WAIT", 0.05)
    proxy.plan["PATCH"].extend([503] * 1000)
    told = []
    with pytest.raises(recoup.StorageError, match="cannot apply ConfigMap .*/x4, as some before it: no answer today"):
        for each in behind.apply(config_map(namespace, f"x{number}") for number in range(100)):
            told.append(each.outcome)
    assert told == [Outcome.REFUSED] * 4
    assert sum(line.startswith("PATCH") for line in proxy.seen) == 5 * 6


def test_an_outage_is_waited_for_as_long_as_a_server_takes_to_start(server, proxy, behind, namespace, monkeypatch):
    monkeypatch.setattr("recoup.velero.cluster.api._LONGEST_WAIT", 0.05)
    configuration = behind._api._configuration
    address, configuration.host = configuration.host, "https://127.0.0.1:1"
    comes_back = threading.Timer(2, lambda: setattr(configuration, "host", address))
    comes_back.start()
    try:
        (applied,) = behind.apply([config_map(namespace, "x")])
    finally:
        comes_back.join()
    assert applied.outcome is Outcome.CREATED


def test_a_webhook_that_is_down_is_waited_for_once(server, proxy, behind, namespace, monkeypatch):
    monkeypatch.setattr("recoup.velero.cluster.api._LONGEST_WAIT", 0.05)
    hook = {
        "name": "down.recoup.test", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "failurePolicy": "Fail",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
    }  # fmt: skip
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": namespace}, "webhooks": [hook],
    }  # fmt: skip
    server.create(configuration)
    try:
        end = time.monotonic() + 300
        # The server heeds a new webhook after a moment.
        while [each.outcome for each in behind.apply([config_map(namespace, "first")])] != [Outcome.REFUSED]:
            assert time.monotonic() < end
            server.delete(config_map(namespace, "first"))
        proxy.seen.clear()
        told = list(behind.apply(config_map(namespace, name) for name in "abc"))
        assert [each.outcome for each in told] == [Outcome.REFUSED] * 3
        assert all("apply again when its pods run" in each.message for each in told)
        assert sum(line.startswith("PATCH") for line in proxy.seen) == 6 + 1 + 1
    finally:
        server.delete(configuration)


def test_what_does_not_pass_is_asked_once(proxy, behind, namespace):
    proxy.plan["PATCH"].extend([500, 403, 422])
    assert [each.outcome for each in behind.apply(config_map(namespace, name) for name in "abc")] == [Outcome.REFUSED] * 3
    assert sum(line.startswith("PATCH") for line in proxy.seen) == 3


@pytest.mark.parametrize("step", ["lost", "reset", 502, 503, 429])
def test_a_backup_is_made_once(server, proxy, behind, namespace, step):
    """Also where the answer to its creation was lost: else there would be two, or an error about one that is being made."""
    behind.create_schedule("daily", "@daily")
    proxy.plan["POST"].append(step)
    name = behind.run_schedule("daily")
    found = server.request("GET", f"/apis/velero.io/v1/namespaces/{namespace}/backups")["items"]
    assert [each["metadata"]["name"] for each in found] == [name]


def test_a_backup_of_that_name_which_is_another_one_is_not_taken_for_ours(server, proxy, behind, namespace):
    behind.run_backup("b", {"ttl": "1h"})
    proxy.plan["POST"].append("reset")
    with pytest.raises(recoup.InvalidArgumentError, match="already"):
        behind.run_backup("b", {"ttl": "2h"})


def test_a_watch_that_breaks_goes_on_where_it_was(server, proxy, behind, namespace):
    """Every event comes, once, and in order, though each connection ends in the middle of the second one."""
    proxy.plan["WATCH"].extend([1] * 30)
    backup = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": "b", "namespace": namespace}}
    phases = ["InProgress", "WaitingForPluginOperations", "Finalizing", "Completed", "Deleting"]
    with behind.watch(["backups"], timeout=280) as watch:
        events = iter(watch)
        server.create({**backup, "spec": {}})
        assert next(events).phase == "New"
        for phase in phases:
            server.patch(backup, {"status": {"phase": phase}})
        assert [next(events).phase for _ in phases] == phases
        server.delete(backup)
        assert next(events).phase == "deleted"
    watches = 30 - len(proxy.plan["WATCH"])
    assert 5 <= watches <= 15  # each went on after what the one before it had brought
    lists = [line for line in proxy.seen if line.endswith("/backups")]
    assert len(lists) - watches <= 2  # it was watched on, not listed again
