"""Plans for restoring manifests: against what Velero itself has restored, rule by rule, and as files."""

from __future__ import annotations

import gzip
import json
import os
import stat

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fields import VALUES
from velero_archives import manifest, path_of

from recoup import InvalidArgumentError, NotFoundError, StorageError
from recoup.velero.archive import ManifestObject
from recoup.velero.left_out import Fates
from recoup.velero.manifest_files import file_name, stream, to_yaml, write_directory
from recoup.velero.manifests import (
    PlannedObject,
    Selection,
    parse_mapping,
    plan,
    plan_restore,
)
from recoup.velero.model import PodVolumeBackup, VolumeInfo
from recoup.velero.selectors import LabelSelector
from recoup.velero.stripping import Changes


def of(resource: str, document: dict) -> ManifestObject:
    metadata = document["metadata"]
    return ManifestObject(resource, metadata.get("namespace"), metadata["name"], document, path_of(resource, document), "")


def labelled(kind: str, name: str, namespace: str | None = None, **fields) -> dict:
    return manifest(kind, name, namespace, metadata={"labels": {"app": name}}, **fields)


POD = of("pods", labelled("Pod", "p", "db", spec={
    "priorityClassName": "high", "volumes": [{"persistentVolumeClaim": {"claimName": "data"}}, {"emptyDir": {}}]}))  # fmt: skip
CLAIM = of("persistentvolumeclaims", labelled("PersistentVolumeClaim", "data", "db", spec={"volumeName": "pv"}))
VOLUME = of("persistentvolumes", labelled("PersistentVolume", "pv", spec={
    "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "db", "name": "data"}}))  # fmt: skip
PRIORITY = of("priorityclasses.scheduling.k8s.io", labelled("PriorityClass", "high", api="scheduling.k8s.io/v1"))
DEPLOYMENT = of("deployments.apps", labelled("Deployment", "web", "shop", api="apps/v1"))
SECRET = of("secrets", labelled("Secret", "s", "db", type="Opaque"))
ROLE = of("clusterroles.rbac.authorization.k8s.io", labelled("ClusterRole", "c", api="rbac.authorization.k8s.io/v1"))
NAMESPACE = of("namespaces", manifest("Namespace", "db"))
OBJECTS = [DEPLOYMENT, SECRET, POD, ROLE, PRIORITY, CLAIM, VOLUME, NAMESPACE]


def references(planned) -> list[str]:
    return [each.reference for each in planned.objects]


def test_the_plan_is_what_velero_restored(after_crash):
    """The bucket has the report of a restore by Velero itself: some kinds of one namespace, mapped into another."""
    report = next((after_crash.path / "restores").rglob("*-resource-list.json.gz"))
    created = {
        (kind, name.partition("(")[0])
        for kind, names in json.loads(gzip.decompress(report.read_bytes())).items() for name in names
    }  # fmt: skip
    found = plan_restore(
        after_crash.bucket.backup("backup-20260101-000000"),
        Selection(include=("configmaps", "secrets", "services"), namespaces=("db",)),
        Changes(namespaces={"db": "db-restored"}),
    )
    planned = {
        (f"{each.api_version}/{each.kind}", f"{each.namespace}/{each.name}" if each.namespace else each.name) for each in found.objects
    }
    assert planned == created
    assert not found.left_out and not found.unmatched and not found.problems


def test_the_whole_of_a_genuine_backup(first_genuine):
    backup = first_genuine.bucket.backup("backup-20260103-000000")
    whole = {each.path: each for each in backup.manifests().objects()}
    found = plan_restore(backup)
    assert len(found.objects) + len(found.left_out) == len(whole) and found.not_selected == 0
    assert all(each.source in whole for each in found.objects)
    reasons = {}
    for each in found.left_out:
        reasons.setdefault(each.reason.partition(":")[0].partition(",")[0], []).append(each.reference)
    made = {each.partition(" ")[0] for each in reasons["the API server makes it itself"]}
    assert len(reasons["the API server makes it itself"]) == 31 and made == {
        "apiservices.apiregistration.k8s.io", "configmaps", "ipaddresses.networking.k8s.io", "leases.coordination.k8s.io",
        "servicecidrs.networking.k8s.io", "services",
    }  # fmt: skip
    assert len(reasons["an order to the old cluster's Velero"]) == 8
    assert len(reasons["Secrets are restored only when asked for"]) == 3
    assert reasons["nodes join a cluster themselves"] == ["nodes n1"]
    assert len(reasons["its data is in the backup"]) == 3 and len(reasons["no data of it was stored"]) == 2
    claims = [each for each in found.objects if each.resource == "persistentvolumeclaims"]
    assert len(claims) == 5 and not any("volumeName" in each.document["spec"] for each in claims)
    assert not any("managedFields" in each.document["metadata"] for each in found.objects)
    order = [each.resource for each in found.objects]
    ranked = ["customresourcedefinitions.apiextensions.k8s.io", "namespaces", "storageclasses.storage.k8s.io", "persistentvolumeclaims",
              "clusterroles.rbac.authorization.k8s.io", "serviceaccounts", "configmaps", "pods", "services", "daemonsets.apps",
              "deployments.apps", "statefulsets.apps"]  # fmt: skip
    assert [order.index(each) for each in ranked] == sorted(order.index(each) for each in ranked)
    for each in found.objects:
        assert whole[each.source].kind == each.kind


def test_order():
    resources = ["zoos.example.com", "services", "pods", "apps.kappctrl.k14s.io", "deployments.apps", "persistentvolumes",
                 "clusterbootstraps.run.tanzu.vmware.com", "customresourcedefinitions.apiextensions.k8s.io", "namespaces", "replicasets.apps"]  # fmt: skip
    found = plan([of(each, manifest("X", name, "b" if name == "a" else "a")) for each in resources for name in ("b", "a")],
                 selection=Selection(exclude=("namespaces",)))  # fmt: skip
    expected = ["customresourcedefinitions.apiextensions.k8s.io", "persistentvolumes", "pods", "replicasets.apps", "services",
                "deployments.apps", "zoos.example.com", "clusterbootstraps.run.tanzu.vmware.com", "apps.kappctrl.k14s.io"]  # fmt: skip
    assert references(found) == [f"{resource} {name}" for resource in expected for name in ("a/b", "b/a")]


def test_a_namespace_comes_with_what_is_in_it():
    found = plan(OBJECTS, selection=Selection(include=("pods", "deployments")), changes=Changes(namespaces={"db": "db2"}))
    assert references(found) == ["namespaces db2", "namespaces shop", "pods db2/p", "deployments.apps shop/web"]
    assert [each.source for each in found.objects[:2]] == [NAMESPACE.path, ""]
    assert found.objects[1].brought_by == "deployments.apps shop/web"
    found = plan(OBJECTS, selection=Selection(include=("pods",), exclude=("ns",)))
    assert references(found) == ["pods db/p"]


@pytest.mark.parametrize("name", ["pods", "Pod", "pod", "po", "PODS", " pods "])
def test_names_of_core_kinds(name):
    assert "pods db/p" in references(plan(OBJECTS, selection=Selection(include=(name,))))


@pytest.mark.parametrize("name", ["deployments", "deployments.apps", "Deployment", "deployment.apps", "deploy", "deploy.apps", "*.apps"])
def test_names_of_kinds_in_groups(name):
    found = plan(OBJECTS, selection=Selection(include=(name,)))
    assert references(found) == ["namespaces shop", "deployments.apps shop/web"] and not found.unmatched


@pytest.mark.parametrize("name", ["clusterroles.rbac", "clusterrole.rbac.authorization", "*.rbac", "ClusterRole.rbac.authorization.k8s.io"])
def test_short_names_of_groups(name):
    assert references(plan(OBJECTS, selection=Selection(include=(name,)))) == ["clusterroles.rbac.authorization.k8s.io c"]


@pytest.mark.parametrize("name", ["deploymints", "deployments.app", "pods.apps", "", "deployments.apps.x"])
def test_kinds_of_which_there_are_none_are_told(name):
    found = plan(OBJECTS, selection=Selection(include=(name, "pods")))
    assert found.unmatched == (name,) and "deployments.apps shop/web" not in references(found)


def test_short_names_that_definitions_have_made():
    names = {"plural": "certificates", "singular": "certificate", "shortNames": ["cert", "certs"]}
    definition = of("customresourcedefinitions.apiextensions.k8s.io", manifest(
        "CustomResourceDefinition", "certificates.cert-manager.io", spec={"group": "cert-manager.io", "names": names}))  # fmt: skip
    certificate = of("certificates.cert-manager.io", manifest("Certificate", "tls", "shop", "cert-manager.io/v1"))
    for name in ("cert", "certs", "certs.cert-manager", "certificate", "certificates", "*.cert-manager.io"):
        found = plan([definition, certificate], selection=Selection(include=(name,)))
        assert references(found) == ["namespaces shop", "certificates.cert-manager.io shop/tls"], name


def test_kinds_that_are_excluded():
    found = plan(OBJECTS, selection=Selection(exclude=("po", "*.rbac", "Secret", "namespaces")))
    assert references(found) == ["persistentvolumes pv", "persistentvolumeclaims db/data", "priorityclasses.scheduling.k8s.io high",
                                 "deployments.apps shop/web"]  # fmt: skip


def test_only_some_namespaces():
    """As with Velero: of what is in no namespace only what belongs to the selected objects."""
    found = plan(OBJECTS, selection=Selection(namespaces=("d?",)))
    assert references(found) == ["namespaces db", "persistentvolumes pv", "persistentvolumeclaims db/data",
                                 "priorityclasses.scheduling.k8s.io high", "pods db/p"]  # fmt: skip
    brought = {each.reference: each.brought_by for each in found.objects}
    assert brought["persistentvolumes pv"] == "persistentvolumeclaims db/data"
    assert brought["priorityclasses.scheduling.k8s.io high"] == "pods db/p" and brought["pods db/p"] == ""
    assert references(plan(OBJECTS, selection=Selection(exclude_namespaces=("db",)))) == ["namespaces shop", "deployments.apps shop/web"]
    assert len(plan(OBJECTS, selection=Selection(namespaces=("*",))).objects) == len(plan(OBJECTS).objects) == 8


def test_objects_in_no_namespace():
    everything = plan(OBJECTS, selection=Selection(namespaces=("shop",), cluster_resources=True))
    assert "clusterroles.rbac.authorization.k8s.io c" in references(everything)
    none = plan(OBJECTS, selection=Selection(cluster_resources=False))
    assert references(none) == ["namespaces db", "namespaces shop", "persistentvolumeclaims db/data", "pods db/p", "deployments.apps shop/web"]


def test_labels():
    """The pod is selected; its claim, the claim's volume and the pod's priority come along, as with Velero."""
    found = plan(OBJECTS, selection=Selection(selectors=(LabelSelector.parse("app=p"),)))
    assert references(found) == ["namespaces db", "persistentvolumes pv", "persistentvolumeclaims db/data",
                                 "priorityclasses.scheduling.k8s.io high", "pods db/p"]  # fmt: skip
    either = plan(OBJECTS, selection=Selection(selectors=(LabelSelector.parse("app=web"), LabelSelector.parse("app in (c)"))))
    assert references(either) == ["namespaces shop", "clusterroles.rbac.authorization.k8s.io c", "deployments.apps shop/web"]
    assert either.not_selected == 6
    only_pods = plan(OBJECTS, selection=Selection(include=("pods",), selectors=(LabelSelector.parse("app=p"),)))
    assert references(only_pods) == ["namespaces db", "pods db/p"]


def test_secrets_only_when_asked_for():
    assert [each.reference for each in plan(OBJECTS).left_out] == ["secrets db/s"]
    for selection in (Selection(secrets=True), Selection(include=("secrets",)), Selection(include=("pods", "Secret"))):
        found = plan(OBJECTS, selection=selection)
        assert "secrets db/s" in references(found) and not found.left_out
    assert "secrets db/s" not in references(plan(OBJECTS, selection=Selection(include=("*",))))


@pytest.mark.parametrize(
    "resource, document, reason",
    [
        ("pods", manifest("Pod", "x", "db", status={"phase": "Succeeded"}), "has ended"),
        ("pods", manifest("Pod", "x", "db", status={"phase": "Failed"}), "has ended"),
        ("pods", manifest("Pod", "x", "db", metadata={"annotations": {"kubernetes.io/config.mirror": "h"}}), "mirror pod"),
        ("jobs.batch", manifest("Job", "x", "db", status={"completionTime": "2026-01-01T00:00:00Z"}), "is done"),
        ("apiservices.apiregistration.k8s.io",
         manifest("APIService", "x", metadata={"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}}), "itself"),
        ("ipaddresses.networking.k8s.io",
         manifest("IPAddress", "10.96.0.1", metadata={"labels": {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}}), "itself"),
        ("leases.coordination.k8s.io",
         manifest("Lease", "apiserver-x", "kube-system", metadata={"labels": {"apiserver.kubernetes.io/identity": "kube-apiserver"}}), "itself"),
        ("services", manifest("Service", "kubernetes", "default"), "itself"),
        ("servicecidrs.networking.k8s.io", manifest("ServiceCIDR", "kubernetes"), "itself"),
        ("configmaps", manifest("ConfigMap", "extension-apiserver-authentication", "kube-system"), "itself"),
        ("secrets", manifest("Secret", "default-token-x", "db", type="kubernetes.io/service-account-token"), "makes a new one"),
        ("secrets", manifest("Secret", "app-token-x", "db", type="kubernetes.io/service-account-token"), "makes a new one"),
        *((kind, manifest("X", "x", "velero"), "") for kind in (
            "nodes", "events", "events.events.k8s.io", "backups.velero.io", "restores.velero.io", "resticrepositories.velero.io",
            "backuprepositories.velero.io", "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io",
            "deletebackuprequests.velero.io", "podvolumebackups.velero.io", "podvolumerestores.velero.io", "datauploads.velero.io")),
    ],
)  # fmt: skip
def test_what_is_not_restored(resource, document, reason):
    found = plan([of(resource, document), of("serviceaccounts", manifest("ServiceAccount", "app", "db"))],
                 selection=Selection(include=(resource,), secrets=True, exclude=("namespaces",)))  # fmt: skip
    assert not found.objects
    (left,) = found.left_out
    assert left.reference.startswith(resource) and reason in left.reason and left.reason


@pytest.mark.parametrize(
    "resource, document",
    [("pods", manifest("Pod", "x", "db", status={"phase": "Running"})), ("jobs.batch", manifest("Job", "x", "db", status={"failed": 3})),
     ("apiservices.apiregistration.k8s.io", manifest("APIService", "x")), ("ipaddresses.networking.k8s.io", manifest("IPAddress", "10.0.0.1")),
     ("leases.coordination.k8s.io", manifest("Lease", "x", "db")), ("services", manifest("Service", "kubernetes", "db")),
     ("servicecidrs.networking.k8s.io", manifest("ServiceCIDR", "more")),
     ("secrets", manifest("Secret", "own-token", "db", type="kubernetes.io/service-account-token")),
     ("secrets", manifest("Secret", "default-token-x", "db", type="Opaque")), ("schedules.velero.io", manifest("Schedule", "x", "velero")),
     ("backupstoragelocations.velero.io", manifest("BackupStorageLocation", "x", "velero"))],
)  # fmt: skip
def test_what_is_restored_nevertheless(resource, document):
    found = plan([of(resource, document)], selection=Selection(secrets=True, exclude=("namespaces",)))
    assert len(found.objects) == 1 and not found.left_out


def info(**fields) -> VolumeInfo:
    return VolumeInfo.parse({"pvName": "pv", "pvcName": "data", "pvcNamespace": "db", **fields}, "x")


def stored(claim: str) -> PodVolumeBackup:
    document = {"metadata": {"annotations": {"velero.io/pvc-name": claim}}, "spec": {"pod": {"namespace": "db"}}}
    return PodVolumeBackup.parse(document, "x")


def volume(policy: str) -> ManifestObject:
    spec = {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": "db", "name": "data"}}
    return of("persistentvolumes", manifest("PersistentVolume", "pv", spec=spec))


@pytest.mark.parametrize(
    "policy, fates, reason",
    [
        ("Retain", Fates(), ""),
        ("Delete", Fates(), "no data of it was stored"),
        ("Retain", Fates([info(backupMethod="PodVolumeBackup")]), "its data is in the backup"),
        ("Retain", Fates([info(backupMethod="CSISnapshot")]), "its data is in a snapshot"),
        ("Retain", Fates([info(backupMethod="NativeSnapshot")]), "from which only its provider"),
        ("Retain", Fates([info(skipped=True)]), ""),
        ("Delete", Fates([info(skipped=True)]), "no data of it was stored"),
        ("Retain", Fates([], [stored("data")]), "its data is in the backup"),
        ("Retain", Fates([], [stored("other")]), ""),
        ("Retain", Fates([info(pvName="another", backupMethod="PodVolumeBackup")]), ""),
    ],
)
def test_volumes_that_are_made_anew(policy, fates, reason):
    found = plan([CLAIM, volume(policy)], fates, Selection(exclude=("namespaces",)))
    restored = [each.resource for each in found.objects]
    assert restored == (["persistentvolumeclaims"] if reason else ["persistentvolumes", "persistentvolumeclaims"])
    assert [reason in each.reason for each in found.left_out] == [True] * bool(reason)
    assert ("volumeName" in found.objects[-1].document["spec"]) == (not reason)
    # It is the same volume when it was not selected, or is not in the archive.
    claim = plan([CLAIM, volume(policy)], fates, Selection(include=("pvc",), exclude=("namespaces",))).objects[0]
    assert ("volumeName" in claim.document["spec"]) == (not reason)
    if policy == "Retain":
        claim = plan([CLAIM], fates, Selection(exclude=("namespaces",))).objects[0]
        assert ("volumeName" in claim.document["spec"]) == (not reason)


def test_two_namespaces_in_one():
    same = [of("configmaps", manifest("ConfigMap", "c", namespace)) for namespace in ("a", "b")]
    found = plan(same, changes=Changes(namespaces={"a": "x", "b": "x"}))
    assert references(found) == ["namespaces x", "configmaps x/c"]
    assert [each.reference for each in found.left_out] == ["configmaps x/c"] and "already becomes" in found.left_out[0].reason


@pytest.mark.parametrize("name", ["", "A", "x/y", "../x", "-x", "x" * 64, "x\n"])
def test_namespaces_that_cannot_be(name):
    with pytest.raises(InvalidArgumentError, match="can be no namespace"):
        plan(OBJECTS, changes=Changes(namespaces={"db": name}))


def test_mappings():
    assert parse_mapping(["a=b", " c = d", "a=b"], "--map-namespace") == {"a": "b", "c": "d"}
    for wrong in (["a"], ["a="], ["=b"], ["a=b", "a=c"]):
        with pytest.raises(InvalidArgumentError, match="--map-namespace"):
            parse_mapping(wrong, "--map-namespace")


def test_an_object_that_cannot_be_is_left_out():
    deep: dict = {}
    for _ in range(300):
        deep = {"a": deep}
    found = plan([of("configmaps", manifest("ConfigMap", "c", "db", data=deep)), POD])
    assert "pods db/p" in references(found) and "levels deep" in found.left_out[0].reason


def test_a_damaged_backup_gives_what_is_left(first_genuine, tmp_path):
    spoilt = first_genuine.copy(tmp_path / "bucket")
    folder = spoilt.path / "backups/backup-20260101-000000"
    archive = folder / "backup-20260101-000000.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-30_000])
    (folder / "backup-20260101-000000-podvolumebackups.json.gz").unlink()
    (folder / "backup-20260101-000000-volumeinfo.json.gz").write_bytes(b"no gzip")
    found = plan_restore(spoilt.bucket.backup("backup-20260101-000000"))
    assert len(found.objects) > 50
    assert [word in problem for problem, word in zip(found.problems, ("podvolumebackups", "volumeinfo", "cut off"))] == [True] * 3
    archive.unlink()
    with pytest.raises(NotFoundError, match="no manifests"):
        plan_restore(spoilt.bucket.backup("backup-20260101-000000"))


def test_files_of_a_genuine_backup(first_genuine, tmp_path):
    found = plan_restore(first_genuine.bucket.backup("backup-20260102-000000"), Selection(secrets=True))
    names = write_directory(found.objects, tmp_path / "out" / "manifests")
    assert sorted(os.listdir(tmp_path / "out" / "manifests")) == names == sorted(names)
    for name, each in zip(names, found.objects):
        assert yaml.safe_load((tmp_path / "out" / "manifests" / name).read_text(encoding="utf-8")) == each.document
    assert list(yaml.safe_load_all("".join(stream(found.objects)))) == [each.document for each in found.objects]
    assert "secrets-db-postgres-credentials.yaml" in " ".join(names)
    assert stat.S_IMODE((tmp_path / "out" / "manifests").stat().st_mode) == 0o700, "there are Secrets in it"
    write_directory(plan_restore(first_genuine.bucket.backup("backup-20260102-000000")).objects, tmp_path / "public")
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


def planned(name: str, namespace: str | None = None, resource: str = "configmaps") -> PlannedObject:
    return PlannedObject(resource, namespace, name, manifest("ConfigMap", name, namespace), "")


def test_directories_that_are_in_use(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    assert write_directory([planned("a"), planned("b")], target) == ["0001-configmaps-a.yaml", "0002-configmaps-b.yaml"]
    with pytest.raises(InvalidArgumentError, match="is not empty"):
        write_directory([planned("c")], target)
    assert write_directory([planned("c")], target, replace=True) == os.listdir(target) == ["0001-configmaps-c.yaml"]
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match=r"notes\.txt"):
        write_directory([planned("d")], target, replace=True)
    with pytest.raises(InvalidArgumentError, match="is a file"):
        write_directory([planned("d")], target / "notes.txt")
    assert sorted(os.listdir(target)) == ["0001-configmaps-c.yaml", "notes.txt"]
    assert os.listdir(tmp_path) == ["out"], "nothing half-written is left"


def test_a_directory_comes_whole_or_not_at_all(tmp_path):
    write_directory([planned("a")], tmp_path / "out")

    def breaking():
        yield planned("b")
        yield PlannedObject("x", None, "x", {"a": object()}, "")

    with pytest.raises(yaml.YAMLError):
        write_directory(breaking(), tmp_path / "out", replace=True)
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == ["0001-configmaps-a.yaml"]
    with pytest.raises(StorageError, match="cannot write"):
        write_directory([planned("a")], "/proc/no/such")


@given(st.text(min_size=1), st.none() | st.text(min_size=1), st.text(min_size=1))
def test_names_of_files_are_harmless(resource, namespace, name):
    made = file_name(7, planned(name, namespace, resource))
    assert made.startswith("0007-") and made.endswith(".yaml")
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert len(made) < 250


AMBIGUOUS = ["yes", "no", "on", "off", "y", "N", "true", "null", "~", "", "0123", "0o17", "0x1F", "1e3", "12345e7", "1_000", "12:30:45", ".5",
             "-1", "+1", ".inf", ".NaN", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "<<", "=", "*a", "&a", "!a", "%a", "@a", "`a", "a: b",
             "a #b", "- a", "? a", "[a]", "{a}", "a,b", "'", '"', "\\", "|", ">", "---", "...", "a\nb", "\na", "a\n", "a\n\n", " a", "a ", "\ta",
             "a\n b\n", " a\nb", "a \nb", "a\tb", "a\r\nb", "\x00", "\x85", "a\u2028b", "\ufeff", "\U0001f600", "ä", "a\x7fb", "0b1", "1.0", "01e5"]  # fmt: skip


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_text_stays_text(text):
    document = {"a": text, "list": [text], text: "key", "deep": {"b": {text: [text]}}}
    made = to_yaml(document)
    assert yaml.safe_load(made) == document
    # Readers of YAML 1.2, or of a bit of both, take other words for numbers and truth: what could be one is quoted.
    line = made.splitlines()[0]
    if text.strip() and text.isascii() and text.isprintable() and not text[0].isalpha():
        assert line.startswith(("a: '", 'a: "')), line
    if text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "null"):
        assert line == f"a: '{text}'"


def test_words_and_scripts_are_easy_to_read():
    made = to_yaml({"a": "plain words", "script": "#!/bin/sh\nset -e\n  echo x\n", "count": 1, "f": 1e20, "t": True, "z": None, "image": "x/y:1"})
    assert made.splitlines() == [
        "a: plain words", "script: |", "  #!/bin/sh", "  set -e", "    echo x", "count: 1", "f: 1.0e+20", "t: true", "z: null", "image: x/y:1",
    ]  # fmt: skip


@settings(max_examples=400)
@given(st.dictionaries(st.text(), VALUES | st.text("a\n\t #:-'\"|>") | st.sampled_from(AMBIGUOUS), max_size=4))
def test_any_document_comes_back(document):
    document = json.loads(json.dumps(document))
    assert yaml.safe_load(to_yaml(document)) == document
