"""Server-side apply, against a real API server."""

from __future__ import annotations

import base64
import copy
import time

import pytest

import recoup
from recoup.velero.cluster import Cluster, Outcome
from recoup.velero.cluster.differences import changes
from support.programs import wait_until

pytest_plugins = ["kubernetes_server"]

CREATED, CHANGED, UNCHANGED = Outcome.CREATED, Outcome.CHANGED, Outcome.UNCHANGED
REFUSED, UNCHECKED = Outcome.REFUSED, Outcome.UNCHECKED


def config_map(namespace: str, name: str = "settings", **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def secret(namespace: str, name: str = "password", **data: str) -> dict:
    values = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": values}


def deployment(namespace: str, image: str = "postgres:16", replicas: int = 1) -> dict:
    labels = {"app": "db"}
    container = {"name": "db", "image": image, "ports": [{"name": "sql", "containerPort": 5432}]}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db", "namespace": namespace},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }  # fmt: skip


def claim(namespace: str, storage_class: str = "a") -> dict:
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": storage_class},
    }  # fmt: skip


def definition(group: str, kind: str = "Widget", plural: str = "widgets") -> dict:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }  # fmt: skip


def widget(group: str, namespace: str, name: str = "one", size: object = 1) -> dict:
    return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name, "namespace": namespace}, "spec": {"size": size}}


def new_namespace(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def outcomes(applied) -> list[Outcome]:
    return [each.outcome for each in applied]


class TestApply:
    def test_created_then_unchanged_then_changed(self, server, cluster, namespace):
        objects = [config_map(namespace, a="1"), secret(namespace, key="geheim"), deployment(namespace)]
        assert outcomes(cluster.apply(objects)) == [CREATED] * 3
        versions = [server.get(each)["metadata"]["resourceVersion"] for each in objects]
        time.sleep(1.1)  # a write would have another time in managedFields
        assert outcomes(cluster.apply(objects)) == [UNCHANGED] * 3
        assert [server.get(each)["metadata"]["resourceVersion"] for each in objects] == versions
        applied = list(cluster.apply([config_map(namespace, a="2"), *objects[1:]]))
        assert outcomes(applied) == [CHANGED, UNCHANGED, UNCHANGED]
        assert [str(change) for change in applied[0].changes] == ['~ data.a: "1" -> "2"']
        assert server.get(objects[0])["data"] == {"a": "2"}

    def test_a_second_time_nothing_is_written(self, server, cluster, namespace):
        """Written to again, a claim is stored anew by the server itself, whatever is written."""
        objects = [claim(namespace), config_map(namespace), deployment(namespace)]
        list(cluster.apply(objects))
        before = [server.get(each) for each in objects]
        assert outcomes(cluster.apply(objects)) == [UNCHANGED] * 3
        assert [server.get(each) for each in objects] == before

    def test_who_manages_a_field_is_a_change_to_write(self, server, cluster, namespace):
        settings = config_map(namespace, a="1")
        server.create(settings)
        assert outcomes(cluster.apply([settings])) == [UNCHANGED]
        assert "recoup" in [each["manager"] for each in server.get(settings)["metadata"]["managedFields"]]

    def test_the_field_manager_is_recoup(self, server, cluster, namespace):
        list(cluster.apply([config_map(namespace, a="1")]))
        (managed,) = server.get(config_map(namespace))["metadata"]["managedFields"]
        assert (managed["manager"], managed["operation"]) == ("recoup", "Apply")

    def test_what_comes_from_a_cluster_goes_into_one(self, server, cluster, namespace):
        """With its managedFields, uid, resourceVersion, times and status, as a backup has it."""
        server.create(deployment(namespace))
        document = server.get(deployment(namespace))
        server.delete(deployment(namespace))
        document["status"] = {"replicas": 5, "observedGeneration": 77}
        (applied,) = cluster.apply([document])
        assert (applied.outcome, applied.message) == (CREATED, "")
        found = server.get(deployment(namespace))
        assert found["metadata"]["uid"] != document["metadata"]["uid"] and "replicas" not in found.get("status", {})

    def test_the_status_of_an_object_without_a_subresource_for_it_is_left_alone(self, server, cluster, namespace):
        schedule = {
            "apiVersion": "velero.io/v1", "kind": "Schedule", "metadata": {"name": "daily", "namespace": namespace},
            "spec": {"schedule": "@daily", "template": {}},
        }  # fmt: skip
        server.create(schedule)
        server.patch(schedule, {"status": {"phase": "Enabled", "lastBackup": "2026-11-01T00:00:00Z"}})
        applied = list(cluster.apply([{**schedule, "spec": {"schedule": "@hourly", "template": {}}, "status": {"phase": "New"}}], force_conflicts=True))
        assert outcomes(applied) == [CHANGED]
        assert server.get(schedule)["status"] == {"phase": "Enabled", "lastBackup": "2026-11-01T00:00:00Z"}

    def test_lists_are_what_is_in_them(self, cluster, namespace):
        listed = {"apiVersion": "v1", "kind": "List", "items": [config_map(namespace, "a"), config_map(namespace, "b")]}
        assert outcomes(cluster.apply([listed])) == [CREATED, CREATED]

    def test_names_that_a_path_has_to_quote(self, server, cluster):
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:recoup ä?b#c"}, "rules": []}
        assert outcomes(cluster.apply([role])) == [CREATED]
        assert outcomes(cluster.apply([role])) == [UNCHANGED]

    @pytest.mark.parametrize("name", ["../../secrets/x", "..", "a/b", "a%2fb"])
    def test_names_that_would_lead_elsewhere(self, cluster, namespace, name):
        """A backup is foreign: what it calls an object must not become the path of another one."""
        for metadata in ({"name": name, "namespace": namespace}, {"name": "x", "namespace": name}):
            (refused,) = cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}])
            assert refused.outcome is REFUSED and "cannot be a name" in refused.message

    def test_warnings_of_the_server(self, cluster, namespace):
        (applied,) = cluster.apply([claim(namespace) | {"metadata": {
            "name": "old", "namespace": namespace, "annotations": {"volume.beta.kubernetes.io/storage-class": "a"},
        }}])  # fmt: skip
        assert applied.outcome is CREATED and any("deprecated since v1.8" in warning for warning in applied.warnings)


def cannot_be_created(server, document: dict) -> bool:
    try:
        server.request("POST", server.path_of(document, name=False) + "?dryRun=All", document)
    except OSError:
        return True
    return False


class TestRefused:
    def test_one_does_not_stop_the_rest(self, cluster, namespace):
        objects = [config_map(namespace, "first"), config_map("no-such-namespace"), config_map(namespace, "In Valid"), config_map(namespace, "last")]
        applied = list(cluster.apply(objects))
        assert outcomes(applied) == [CREATED, REFUSED, REFUSED, CREATED]
        assert "no namespace no-such-namespace: create it first" in applied[1].message
        assert "lowercase" in applied[2].message

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ([], "no object, but list"),
            ({}, "no apiVersion"),
            ({"apiVersion": "v1"}, "no kind"),
            ({"apiVersion": "v1", "kind": "ConfigMap"}, "no name"),
            ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 5}}, "no name"),
            ({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "x-"}}, "generateName"),
            ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, "needs a namespace"),
            ({"apiVersion": "nowhere.example/v1", "kind": "Thing", "metadata": {"name": "x"}}, "no group nowhere.example: install the operator"),
            ({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}}, "no Thing in v1"),
            ({"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "x"}}, "Deployment as apps/v1, not as apps/v1beta1"),
            ({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {"name": "x"}}, "a question to the server"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_what_is_no_object(self, cluster, document, words, dry_run):
        (applied,) = cluster.apply([document], dry_run=dry_run)
        assert applied.outcome is REFUSED and words in applied.message

    def test_fields_of_others_are_left_unless_forced(self, server, cluster, namespace):
        server.create(deployment(namespace, replicas=3))  # by this program's name for itself
        (refused,) = cluster.apply([deployment(namespace, replicas=1)])
        assert refused.outcome is REFUSED
        assert ".spec.replicas belongs to" in refused.message and "--force-conflicts" in refused.message
        assert server.get(deployment(namespace))["spec"]["replicas"] == 3
        (forced,) = cluster.apply([deployment(namespace, replicas=1)], force_conflicts=True)
        assert forced.outcome is CHANGED and server.get(deployment(namespace))["spec"]["replicas"] == 1

    def test_what_cannot_be_changed(self, cluster, namespace):
        assert outcomes(cluster.apply([claim(namespace)])) == [CREATED]
        (refused,) = cluster.apply([claim(namespace, "b")])
        assert refused.outcome is REFUSED and "immutable" in refused.message and "delete the object first" in refused.message

    def test_a_namespace_that_is_being_deleted(self, server, cluster, namespace):
        """No controller ends that here, so it stays so."""
        server.create(config_map(namespace, "before"))
        server.delete(new_namespace(namespace))
        whole, inside = cluster.apply([new_namespace(namespace), config_map(namespace, "late")])
        assert whole.outcome is REFUSED and "it is being deleted since" in whole.message and "kubernetes" in whole.message
        assert inside.outcome is REFUSED and "its namespace is being deleted" in inside.message

    def test_an_object_that_is_being_deleted(self, server, cluster, namespace):
        held = config_map(namespace, "held")
        held["metadata"]["finalizers"] = ["recoup.test/hold"]
        server.create(held)
        server.delete(held)
        (refused,) = cluster.apply([config_map(namespace, "held")])
        assert refused.outcome is REFUSED and "recoup.test/hold" in refused.message

    def test_a_user_who_may_not(self, server, namespace):
        rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}
        with Cluster.connect(server.user(f"limited-{namespace}", rule)) as limited:
            applied = list(limited.apply([secret(namespace, key="x"), config_map(namespace, "mine"), deployment(namespace)]))
        assert outcomes(applied) == [REFUSED, CREATED, REFUSED]
        assert "A Role or ClusterRole has to allow get on secrets" in applied[0].message
        assert 'get on deployments in API group "apps"' in applied[2].message

    def test_a_quota(self, server, cluster, namespace):
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": namespace}, "spec": {"hard": {"count/secrets": "0"}}}
        server.create(quota)
        # A controller would say that the quota is in force.
        server.request("PATCH", server.path_of(quota) + "/status", {"status": {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}}}, "application/merge-patch+json")
        # The server heeds it a moment after it has stored it.
        wait_until(lambda: cannot_be_created(server, secret(namespace, "tried", key="x")), step=0.05, what="the quota is in force")
        (refused,) = cluster.apply([secret(namespace, key="x")])
        assert refused.outcome is REFUSED and "exceeded quota" in refused.message

    def test_a_schema(self, cluster, namespace):
        _, refused = cluster.apply([definition("schema.recoup.test"), widget("schema.recoup.test", namespace, size="large")], patience=300)
        assert refused.outcome is REFUSED and "size" in refused.message
        (unknown,) = cluster.apply([widget("schema.recoup.test", namespace) | {"spec": {"colour": "red"}}])
        assert unknown.outcome is REFUSED and ".spec.colour: field not declared in schema" in unknown.message
        (unserved,) = cluster.apply([{**widget("schema.recoup.test", namespace), "apiVersion": "schema.recoup.test/v7"}])
        assert unserved.outcome is REFUSED and "has Widget as schema.recoup.test/v1, not as schema.recoup.test/v7" in unserved.message


class TestWaiting:
    def test_definitions_and_namespaces_and_what_needs_them_in_one_go(self, server, cluster, namespace):
        group, inner = "waiting.recoup.test", f"{namespace}-inner"
        objects = [definition(group), new_namespace(inner), widget(group, inner), config_map(inner)]
        assert outcomes(cluster.apply(objects, patience=300)) == [CREATED] * 4
        assert outcomes(cluster.apply(objects)) == [UNCHANGED] * 4

    def test_a_new_version_of_a_definition(self, cluster, namespace):
        group = "versions.recoup.test"
        first = definition(group)
        assert outcomes(cluster.apply([first, widget(group, namespace)], patience=300)) == [CREATED, CREATED]
        second = copy.deepcopy(first)
        second["spec"]["versions"].append({**second["spec"]["versions"][0], "name": "v2", "storage": False})
        newer = {**widget(group, namespace, "two"), "apiVersion": f"{group}/v2"}
        assert outcomes(cluster.apply([second, newer], patience=300)) == [CHANGED, CREATED]

    def test_names_that_another_definition_has(self, cluster, namespace):
        group = "names.recoup.test"
        other = definition(group, "Gadget", "gadgets")
        other["spec"]["names"]["shortNames"] = ["widgets"]
        list(cluster.apply([other]))
        applied = list(cluster.apply([definition(group), widget(group, namespace)], patience=300))
        assert applied[1].outcome is REFUSED and "does not accept the names" in applied[1].message

    def test_a_pod_in_a_new_namespace_waits_for_its_account(self, server, namespace):
        """The admission that says so is off here, so only that these words are taken for what passes is looked at."""
        from recoup.velero.cluster.answers import Refused
        from recoup.velero.cluster.api import KubernetesApi
        from recoup.velero.cluster.apply import Applier
        from recoup.velero.cluster.resources import Resource, Resources

        api = KubernetesApi.connect(server.kubeconfig)
        applier = Applier(api, Resources(api))
        list(applier.apply([new_namespace(f"{namespace}-new")]))
        pod = Resource("v1", "Pod", "pods", True, frozenset({"get", "patch"}))
        said = Refused(403, "Forbidden", f'pods "x" is forbidden: error looking up service account {namespace}-new/default: serviceaccount "default" not found')
        assert applier._will_settle(said, pod, f"{namespace}-new")
        assert not applier._will_settle(said, pod, namespace)


class TestDryRun:
    def test_it_says_what_would_change_and_changes_nothing(self, server, cluster, namespace):
        list(cluster.apply([config_map(namespace, a="1", b="2"), deployment(namespace)]))
        before = [server.get(each)["metadata"]["resourceVersion"] for each in (config_map(namespace), deployment(namespace))]
        wanted = [config_map(namespace, a="1", c="3"), deployment(namespace, image="postgres:17"), config_map(namespace, "fresh", x="y")]
        applied = list(cluster.apply(wanted, dry_run=True))
        assert outcomes(applied) == [CHANGED, CHANGED, CREATED] and all(each.is_dry_run for each in applied)
        assert [str(change) for change in applied[0].changes] == ['- data.b: "2"', '+ data.c: "3"']
        (change,) = applied[1].changes
        assert str(change) == '~ spec.template.spec.containers[name=db].image: "postgres:16" -> "postgres:17"'
        assert [str(change) for change in applied[2].changes] == ['+ data: {"x": "y"}']
        assert [server.get(each)["metadata"]["resourceVersion"] for each in (config_map(namespace), deployment(namespace))] == before
        with pytest.raises(OSError, match="404"):
            server.get(config_map(namespace, "fresh"))
        assert outcomes(cluster.apply([config_map(namespace, a="1", b="2")], dry_run=True)) == [UNCHANGED]

    def test_values_of_secrets_are_nowhere(self, cluster, namespace):
        def all_of(applied) -> str:
            return repr(applied) + applied.message + "".join(map(str, applied.changes)) + "".join(map(repr, applied.changes)) + repr([vars(each) for each in applied.changes])

        (created,) = cluster.apply([secret(namespace, password="old-geheim", user="admin-geheim")], dry_run=True)
        assert created.outcome is CREATED
        assert [str(each) for each in created.changes] == ["+ data.password: (hidden)", "+ data.user: (hidden)", '+ type: "Opaque"']
        list(cluster.apply([secret(namespace, password="old-geheim", user="admin-geheim")]))
        (changed,) = cluster.apply([secret(namespace, password="new-geheim", token="more-geheim")], dry_run=True)
        assert [str(each) for each in changed.changes] == ["~ data.password: (hidden), another value", "- data.user: (hidden)", "+ data.token: (hidden)"]
        plain = secret(namespace)
        wrong = {**plain, "data": {"password": "this-is-no-base64-geheim!"}}
        (refused,) = cluster.apply([wrong], dry_run=True)
        (number,) = cluster.apply([{**plain, "data": {"password": 1234567890123}}], dry_run=True)
        assert refused.outcome is REFUSED and number.outcome is REFUSED
        for each in (created, changed, refused, number):
            text = all_of(each)
            assert "geheim" not in text and "1234567890123" not in text
            for value in ("old-geheim", "new-geheim", "admin-geheim", "more-geheim"):
                assert base64.b64encode(value.encode()).decode() not in text

    def test_what_cannot_be_checked_yet(self, server, cluster, namespace):
        group, inner = "dry.recoup.test", f"{namespace}-inner"
        objects = [definition(group), new_namespace(inner), widget(group, namespace), config_map(inner), config_map("no-such-namespace")]
        applied = list(cluster.apply(objects, dry_run=True))
        assert outcomes(applied) == [CREATED, CREATED, UNCHECKED, UNCHECKED, REFUSED]
        assert f"widgets.{group}, which defines Widget, is not in the cluster yet" in applied[2].message
        assert f"namespace {inner} does not exist yet" in applied[3].message
        with pytest.raises(OSError, match="404"):
            server.get(new_namespace(inner))


def volume(name: str, namespace: str) -> dict:
    spec = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
        "nfs": {"server": "nas", "path": "/a"}, "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": "data"},
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def binding(name: str, *namespaces: str) -> dict:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": each} for each in namespaces],
    }  # fmt: skip


class TestBesideTheOriginals:
    """What is copied into another namespace takes nothing from the one that it came from."""

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_volume_stays_its_claims(self, server, cluster, namespace, dry_run, force):
        name = f"{namespace}-static"
        assert outcomes(cluster.apply([volume(name, namespace)])) == [CREATED]
        before = server.get(volume(name, namespace))
        (refused,) = cluster.apply([volume(name, "copy")], dry_run=dry_run, force_conflicts=force)
        assert refused.outcome is REFUSED and f"it is the volume of claim {namespace}/data, which would lose it to copy/data" in refused.message
        assert server.get(volume(name, namespace)) == before
        assert outcomes(cluster.apply([volume(name, namespace)])) == [UNCHANGED]

    def test_a_volume_whose_claim_is_gone_may_be_had(self, server, cluster, namespace):
        static = volume(f"{namespace}-static", namespace)
        list(cluster.apply([static]))
        server.request("PATCH", f"{server.path_of(static)}/status", {"status": {"phase": "Released"}}, "application/merge-patch+json")
        assert outcomes(cluster.apply([volume(static["metadata"]["name"], "copy")])) == [CHANGED]

    def test_an_account_keeps_its_rights(self, server, cluster, namespace):
        name = f"{namespace}-viewers"
        list(cluster.apply([binding(name, namespace, "others")]))
        copied = {namespace: "copy"}
        # What is in the mapped namespaces alone: others' subjects are as the backup says.
        assert outcomes(cluster.apply([binding(name, "copy")], copied=copied)) == [CHANGED]
        assert server.get(binding(name))["subjects"] == binding(name, namespace, "copy")["subjects"]
        assert outcomes(cluster.apply([binding(name, "copy")], copied=copied)) == [UNCHANGED]
        assert outcomes(cluster.apply([binding(name, "copy")])) == [CHANGED]
        assert server.get(binding(name))["subjects"] == binding(name, "copy")["subjects"]


class TestServerThatFails:
    def test_it_is_asked_again_when_it_comes_back(self, server, cluster, namespace):
        list(cluster.apply([config_map(namespace, "before")]))
        server.kill()
        server.start()
        try:
            deadline = time.monotonic() + 200
            while True:
                try:
                    # It starts slowly here: one call's own patience may not be enough.
                    applied = list(cluster.apply([config_map(namespace, "after")]))
                    break
                except recoup.StorageError as problem:
                    assert "cannot reach" in str(problem) and time.monotonic() < deadline
            assert outcomes(applied) in ([CREATED], [UNCHANGED], [REFUSED])  # while it starts, roles are not there yet
        finally:
            server.wait_until_ready()
        assert outcomes(cluster.apply([config_map(namespace, "after")])) in ([CREATED], [UNCHANGED])

    def test_it_stays_away(self, server, namespace, monkeypatch):
        monkeypatch.setattr("recoup.velero.cluster.api._PATIENCE_SECONDS", 1)
        cluster = Cluster.connect(server.kubeconfig)
        cluster._api._configuration.host = "https://127.0.0.1:1"
        began = time.monotonic()
        with pytest.raises(recoup.StorageError, match="cannot reach"):
            list(cluster.apply([config_map(namespace)]))
        assert time.monotonic() - began < 60


class TestChanges:
    """What is told of two states, without a server."""

    def test_lists_with_names_are_compared_by_name(self):
        def with_env(*names):
            return {"spec": {"env": [{"name": name, "value": name} for name in names]}}

        assert [str(each) for each in changes(with_env("a", "b"), with_env("b", "c"))] == [
            '- spec.env[name=a]: {"name": "a", "value": "a"}',
            '+ spec.env[name=c]: {"name": "c", "value": "c"}',
        ]

    def test_others_by_position(self):
        found = changes({"spec": {"args": ["a", "b"]}}, {"spec": {"args": ["a", "c", "d"]}})
        assert [str(each) for each in found] == ['~ spec.args[1]: "b" -> "c"', '+ spec.args[2]: "d"']

    def test_keys_that_are_no_words_are_quoted(self):
        before, after = ({"metadata": {"annotations": {"a.b/c": value}}} for value in ("1", "2"))
        assert [each.path for each in changes(before, after)] == ['metadata.annotations["a.b/c"]']

    def test_truth_is_no_number(self):
        assert [str(each) for each in changes({"spec": {"x": 1}}, {"spec": {"x": True}})] == ["~ spec.x: 1 -> true"]

    def test_what_the_server_keeps_is_left_out(self):
        before = {"metadata": {"name": "x", "resourceVersion": "1", "managedFields": [1], "generation": 1}, "status": {"a": 1}}
        after = {"metadata": {"name": "x", "resourceVersion": "2", "managedFields": [2], "generation": 2}, "status": {"a": 2}}
        assert changes(before, after) == ()

    def test_a_long_value_is_cut(self):
        (change,) = changes({"data": {"x": "a"}}, {"data": {"x": "b" * 1000}})
        assert len(str(change)) < 300 and "(1002 characters)" in str(change)
