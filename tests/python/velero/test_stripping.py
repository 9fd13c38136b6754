"""Objects as Velero restores them, rule by rule; and that nothing is changed which is not to be."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fields import VALUES
from velero_archives import manifest

from recoup import DamagedError
from recoup.velero.stripping import Changes, stripped, valid_label

MAPPED = Changes(namespaces={"db": "db2"}, storage_classes={"mayastor-1": "longhorn"})


def strip(resource, document, changes=None, **options):
    before = copy.deepcopy(document)
    made = stripped(resource, document, changes, **options)
    assert document == before, "the input was changed"
    assert stripped(resource, made, changes, **options) == made, "a second time changes more"
    return made


def test_metadata_and_status_of_every_kind():
    document = manifest("Widget", "w", "db", "example.com/v1", spec={"a": 1}, status={"b": 2}, metadata={
        "generateName": "w-", "selfLink": "/x", "uid": "u", "resourceVersion": "1", "generation": 2, "creationTimestamp": "x",
        "deletionTimestamp": "x", "deletionGracePeriodSeconds": 1, "ownerReferences": [{}], "labels": {"a": "b"},
        "annotations": {"c": "d"}, "finalizers": ["f"], "managedFields": [{}],
    })  # fmt: skip
    assert strip("widgets.example.com", document) == manifest(
        "Widget", "w", "db", "example.com/v1", spec={"a": 1},
        metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["f"], "managedFields": [{}]},
    )  # fmt: skip


@pytest.mark.parametrize("has_new_volume", [True, False])
def test_claims(has_new_volume):
    annotations = {
        "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.kubernetes.io/storage-provisioner": "x", "volume.beta.kubernetes.io/storage-provisioner": "x",
        "volume.kubernetes.io/selected-node": "n1", "velero.io/volume-snapshot-name": "x", "velero.io/data-upload-name": "x",
    }  # fmt: skip
    spec = {"volumeName": "pvc-1", "storageClassName": "mayastor-1", "resources": {}}
    document = manifest("PersistentVolumeClaim", "data", "db", spec=spec, metadata={"annotations": annotations})
    made = strip("persistentvolumeclaims", document, MAPPED, has_new_volume=has_new_volume)
    assert made["metadata"] == {"name": "data", "namespace": "db2"}
    assert made["spec"] == {**({} if has_new_volume else {"volumeName": "pvc-1"}), "storageClassName": "longhorn", "resources": {}}
    kept = manifest("PersistentVolumeClaim", "data", "db", metadata={"annotations": {**annotations, "mine": "x"}})
    assert strip("persistentvolumeclaims", kept)["metadata"]["annotations"] == {"mine": "x"}


def test_volumes():
    spec = {"claimRef": {"namespace": "db", "name": "data", "uid": "u", "resourceVersion": "1"}, "storageClassName": "mayastor-1"}
    document = manifest("PersistentVolume", "pv", spec=spec, metadata={"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}})
    made = strip("persistentvolumes", document, MAPPED)
    assert made == manifest("PersistentVolume", "pv", spec={"claimRef": {"namespace": "db2", "name": "data"}, "storageClassName": "longhorn"})


def test_claim_templates_of_stateful_sets():
    def of(first: str) -> dict:
        templates = [{"spec": {"storageClassName": first}}, {"spec": {"storageClassName": "other"}}, {"spec": {}}, {}]
        return manifest("StatefulSet", "s", "x", "apps/v1", spec={"volumeClaimTemplates": templates})

    assert strip("statefulsets.apps", of("mayastor-1"), MAPPED) == of("longhorn")


def test_the_old_annotation_with_a_storage_class():
    key = "volume.beta.kubernetes.io/storage-class"
    document = manifest("PersistentVolumeClaim", "data", "x", metadata={"annotations": {key: "mayastor-1"}})
    assert strip("persistentvolumeclaims", document, MAPPED)["metadata"]["annotations"] == {key: "longhorn"}


def test_pods():
    def volumes(*names: str) -> list:
        return [{"name": name} for name in names]

    spec = {
        "nodeName": "n1", "priority": 0, "serviceAccountName": "app", "priorityClassName": "p", "ephemeralContainers": [{"name": "debug"}],
        "volumes": volumes("app-token-x", "data", "kube-api-access-1"),
        "containers": [{"name": "a", "volumeMounts": volumes("data", "app-token-x")}, {"name": "b", "volumeMounts": volumes("app-token-x")}],
        "initContainers": [{"name": "restore-wait"}, {"name": "i", "volumeMounts": volumes("app-token-x", "data")}],
    }  # fmt: skip
    assert strip("pods", manifest("Pod", "p", "db", spec=spec))["spec"] == {
        "serviceAccountName": "app", "priorityClassName": "p", "volumes": volumes("data", "kube-api-access-1"),
        "containers": [{"name": "a", "volumeMounts": volumes("data")}, {"name": "b"}],
        "initContainers": [{"name": "i", "volumeMounts": volumes("data")}],
    }  # fmt: skip
    only_waiting = {"initContainers": [{"name": "restic-wait"}], "containers": [{"name": "a", "volumeMounts": []}]}
    assert strip("pods", manifest("Pod", "p", "db", spec=only_waiting))["spec"] == {"containers": [{"name": "a", "volumeMounts": []}]}


def service(annotation: dict | None = None, managed: dict | None = None, **spec) -> dict:
    metadata: dict = {}
    if annotation is not None:
        metadata["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(annotation)}
    if managed is not None:
        metadata["managedFields"] = [{"fieldsV1": {"f:spec": managed}}, {}]
    return manifest("Service", "s", "db", spec={"type": "NodePort", **spec}, metadata=metadata)


PORTS = [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}, {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}]


def node_ports(made: dict) -> list:
    return [port.get("nodePort") for port in made["spec"]["ports"]]


@pytest.mark.parametrize(
    "document, kept",
    [
        (service(ports=PORTS), [None, None]),
        (service({"spec": {"ports": [{"name": "http", "nodePort": 30080}]}}, ports=PORTS), [30080, None]),
        (service({"spec": {"ports": [{"name": "dns", "nodePort": "30053"}]}}, ports=PORTS), [None, 30053]),
        (service({"spec": {"ports": [{"nodePort": 30080}]}}, ports=[{"port": 80, "nodePort": 30080}]), [30080]),
        (service({"spec": {"ports": [{"nodePort": 30081}]}}, ports=[{"port": 80, "nodePort": 30080}]), [None]),
        (service({"spec": {"ports": [{"port": 80}]}}, {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}}, ports=PORTS),
         [None, None]),
        (service(None, {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}}, ports=PORTS), [30080, None]),
        (service(None, {"f:ports": {'k:{"port":53,"protocol":"TCP"}': {"f:nodePort": {}}}}, ports=PORTS), [None, None]),
        (service({"spec": "odd"}, ports=PORTS), [None, None]),
        (service(type="ExternalName", ports=PORTS), [30080, 30053]),
    ],
)  # fmt: skip
def test_node_ports(document, kept):
    assert node_ports(strip("services", document)) == kept
    assert node_ports(strip("services", document, Changes(keep_node_ports=True))) == [each.get("nodePort") for each in document["spec"]["ports"]]


def test_the_port_of_health_checks():
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    assert "healthCheckNodePort" not in strip("services", service(**local))["spec"]
    for chosen in (service({"spec": {"healthCheckNodePort": 31000}}, **local), service(None, {"f:healthCheckNodePort": {}}, **local)):
        assert strip("services", chosen)["spec"]["healthCheckNodePort"] == 31000
    assert strip("services", service(**local), Changes(keep_node_ports=True))["spec"]["healthCheckNodePort"] == 31000


def test_addresses_of_services():
    assert strip("services", service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"]))["spec"] == {"type": "NodePort"}
    headless = {"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]}
    assert strip("services", service(**headless))["spec"] == headless


def test_jobs():
    uids = {"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u"}
    spec = {"selector": {"matchLabels": {**uids}}, "template": {"metadata": {"labels": {**uids, "a": "b"}}}}
    assert strip("jobs.batch", manifest("Job", "j", "db", "batch/v1", spec=spec))["spec"] == {
        "template": {"metadata": {"labels": {"a": "b"}}}
    }  # fmt: skip


def test_service_accounts():
    secrets = [{"name": "app-token-abc"}, {"name": "pull"}, {"name": "app-token-def"}]
    assert strip("serviceaccounts", manifest("ServiceAccount", "app", "db", secrets=secrets))["secrets"] == [{"name": "pull"}]


def test_tokens():
    token = manifest("Secret", "mine", "db", type="kubernetes.io/service-account-token", data={"token": "x", "ca.crt": "y", "namespace": "z"},
                     metadata={"annotations": {"kubernetes.io/service-account.uid": "u", "kubernetes.io/service-account.name": "app"}})  # fmt: skip
    made = strip("secrets", token)
    assert made["data"] == {"namespace": "z"} and made["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "app"}
    opaque = manifest("Secret", "mine", "db", type="Opaque", data={"token": "x", "ca.crt": "y"})
    assert strip("secrets", opaque) == opaque


@pytest.mark.parametrize("kind", ["rolebindings", "clusterrolebindings"])
def test_role_bindings(kind):
    subjects = [{"kind": "ServiceAccount", "name": "a", "namespace": "db"}, {"kind": "User", "name": "db"}, {"namespace": "other"}]
    document = manifest("RoleBinding", "r", "db", subjects=subjects)
    assert strip(f"{kind}.rbac.authorization.k8s.io", document)["subjects"] == subjects
    made = strip(f"{kind}.rbac.authorization.k8s.io", document, MAPPED)
    assert [each.get("namespace") for each in made["subjects"]] == ["db2", None, "other"]
    assert made["metadata"]["namespace"] == "db2"


def test_namespaces():
    document = manifest("Namespace", "db", spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"}, metadata={
        "labels": {"kubernetes.io/metadata.name": "db", "team": "x"}, "annotations": {"a": "b"}, "finalizers": ["x"], "managedFields": [{}]})  # fmt: skip
    assert strip("namespaces", document, MAPPED) == manifest("Namespace", "db2", spec={"finalizers": ["kubernetes"]}, metadata={
        "labels": {"kubernetes.io/metadata.name": "db2", "team": "x"}, "annotations": {"a": "b"}})  # fmt: skip


def test_webhooks_and_definitions():
    hooks = [{"sideEffects": "Unknown"}, {"sideEffects": "NoneOnDryRun"}, {}]
    for kind in ("mutating", "validating"):
        made = strip(f"{kind}webhookconfigurations.admissionregistration.k8s.io",
                     manifest("X", "h", api="admissionregistration.k8s.io/v1", webhooks=hooks))  # fmt: skip
        assert [each["sideEffects"] for each in made["webhooks"]] == ["None", "NoneOnDryRun", "None"]
    spec = {"preserveUnknownFields": True, "versions": [{"schema": {"openAPIV3Schema": {"type": "object"}}}, {}]}
    made = strip("customresourcedefinitions.apiextensions.k8s.io", manifest("X", "d", api="apiextensions.k8s.io/v1", spec=spec))
    assert made["spec"]["preserveUnknownFields"] is False
    assert made["spec"]["versions"] == [{"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}, {}]


def test_where_snapshots_belong():
    document = manifest("X", "v", spec={"volumeSnapshotRef": {"namespace": "db"}})
    assert strip("volumesnapshotcontents.snapshot.storage.k8s.io", document, MAPPED)["spec"]["volumeSnapshotRef"]["namespace"] == "db2"


def test_labels_of_restores():
    old = {"velero.io/backup-name": "old", "velero.io/restore-name": "old"}
    document = manifest("ConfigMap", "c", "db", metadata={"labels": {**old, "a": "b"}})
    assert strip("configmaps", document)["metadata"]["labels"] == {"a": "b"}
    assert "labels" not in strip("configmaps", manifest("ConfigMap", "c", "db", metadata={"labels": old}))["metadata"]
    made = strip("configmaps", document, Changes(backup_label="new", restore_label="r"))
    assert made["metadata"]["labels"] == {"a": "b", "velero.io/backup-name": "new", "velero.io/restore-name": "r"}
    assert strip("configmaps", manifest("ConfigMap", "c"), Changes(backup_label="n"))["metadata"]["labels"] == {"velero.io/backup-name": "n"}
    assert "labels" not in strip("namespaces", manifest("Namespace", "c"), Changes(backup_label="n"))["metadata"]


def test_labels_that_are_too_long():
    name = "b" * 64
    assert valid_label("b" * 63) == "b" * 63
    # What Velero makes of it: 57 characters, and the SHA-256's first six digits.
    assert valid_label(name) == "b" * 57 + __import__("hashlib").sha256(name.encode()).hexdigest()[:6]


RESOURCES = ["pods", "services", "jobs.batch", "secrets", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "namespaces",
             "statefulsets.apps", "rolebindings.rbac.authorization.k8s.io", "mutatingwebhookconfigurations.admissionregistration.k8s.io",
             "customresourcedefinitions.apiextensions.k8s.io", "volumesnapshotcontents.snapshot.storage.k8s.io", "widgets.example.com"]  # fmt: skip
FIELDS = st.sampled_from(
    ["spec", "status", "metadata", "labels", "annotations", "ports", "nodePort", "volumes", "containers", "initContainers", "volumeMounts",
     "name", "namespace", "secrets", "subjects", "claimRef", "selector", "matchLabels", "template", "volumeClaimTemplates", "webhooks",
     "versions", "schema", "managedFields", "fieldsV1", "f:spec", "f:ports", "type", "clusterIP", "storageClassName", "uid",
     "kubectl.kubernetes.io/last-applied-configuration", "preserveUnknownFields"]
)  # fmt: skip
DOCUMENTS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4), max_leaves=15
)


@settings(max_examples=300)
@given(st.sampled_from(RESOURCES), st.dictionaries(FIELDS, DOCUMENTS, max_size=5), st.booleans())
def test_any_document_is_stripped_once_and_stays_itself(resource, document, labelled):
    document = {"apiVersion": "apiextensions.k8s.io/v1", **document, "metadata": {"name": "x", **(
        document["metadata"] if isinstance(document.get("metadata"), dict) else {})}}  # fmt: skip
    strip(resource, document, Changes(namespaces={"a": "b"}, backup_label="b" if labelled else None))


def test_nests_that_no_object_has_are_damage():
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(DamagedError, match="levels deep"):
        stripped("configmaps", manifest("ConfigMap", "c", data=deep))


def test_every_object_of_the_genuine_backups_is_stripped_once(genuine):
    for backup in genuine.bucket.backups()[-1:]:
        for each in backup.manifests().objects():
            made = strip(each.resource, each.document, MAPPED)
            assert "status" not in made and "uid" not in made["metadata"]
            assert set(made) <= set(each.document)
