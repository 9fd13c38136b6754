"""`recoup velero manifests`: to standard output, into a directory, and into a real API server."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pathlib
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from velero_archives import backup_document, manifest, packed, pair
from velero_volumes import file_of, truncate

from support.programs import wait_until

pytest_plugins = ["command_fixture", "kubernetes_server"]

GOOD, NEWEST = "backup-20260102-000000", "backup-20260103-000000"
# Kinds of which objects are left out of a restore.
LEFT_OUT = {
    "APIService", "Backup", "BackupRepository", "ConfigMap", "IPAddress", "Lease", "Node", "PersistentVolume", "PodVolumeBackup", "Service",
    "ServiceCIDR",
}  # fmt: skip

_Key = tuple[str, str, "str | None", str]


def key_of(document: dict[str, Any]) -> _Key:
    metadata = document["metadata"]
    return document["apiVersion"], document["kind"], metadata.get("namespace"), metadata["name"]


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def expected_objects(genuine, backup: str) -> set[_Key]:
    found = next(each for each in genuine.expected["backups"] if each["name"] == backup)
    return {(each["apiVersion"], each["kind"], each["namespace"], each["name"]) for each in found["objects"]}


# ---- to standard output -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backup", [GOOD, NEWEST])
def test_the_objects_of_a_genuine_backup(genuine, command, backup):
    said = command("--bucket", genuine.path, "manifests", backup, "--secrets")
    assert said.code == 0, said.errors
    found = documents(said.output)
    keys = [key_of(each) for each in found]
    there = expected_objects(genuine, backup)
    assert len(keys) == len(set(keys)) and set(keys) <= there
    missing = there - set(keys)
    assert {each[1] for each in missing} == LEFT_OUT
    assert {each for each in there if each[1] in ("Pod", "Secret", "Deployment", "StatefulSet", "PersistentVolumeClaim", "Schedule")} <= set(keys)
    assert said.errors.startswith(f"backup {backup}: {len(found)} objects, {len(missing)} left out, 0 not selected\n")
    for each in found:
        assert not {"uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences"} & set(each["metadata"])
        assert "status" not in each
    kinds = [each["kind"] for each in found]
    order = ["CustomResourceDefinition", "Namespace", "StorageClass", "PersistentVolumeClaim", "Secret", "ConfigMap", "Pod", "Service", "StatefulSet"]
    assert [kinds.index(each) for each in order] == sorted(kinds.index(each) for each in order)


def test_the_latest_is_the_newest_that_can_be_restored(genuine, command):
    said = command("-b", genuine.path, "--json", "manifests", "--list")
    document = said.json()
    assert said.code == 0 and document["backup"] == genuine.expected["backups"][-1]["name"] and document["problems"] == []
    assert len(document["objects"]) == document["count"] and all("document" not in each for each in document["objects"])
    names = {(each["api_version"], each["kind"], each["namespace"], each["name"]) for each in document["objects"]}
    assert len(names) + len(document["left_out"]) == len(expected_objects(genuine, document["backup"]))
    whole = command("-b", genuine.path, "--json", "manifests", "latest").json()
    assert [key_of(each["document"]) for each in whole["objects"]] == [
        (each["api_version"], each["kind"], each["namespace"], each["name"]) for each in document["objects"]
    ]
    assert command("-b", genuine.path, "--json", "manifests", "--list", "latest").json() == document


def test_only_some(first_genuine, command):
    def kinds_and_names(*options: str) -> set[tuple[str, str]]:
        said = command("-b", first_genuine.path, "manifests", *options)
        assert said.code == 0, said.errors
        return {(each["kind"], each["metadata"]["name"]) for each in documents(said.output)}

    assert kinds_and_names("--include", "deploy,statefulsets", "--namespace", "db") == {("Deployment", "pgbouncer"), ("StatefulSet", "postgres"), ("Namespace", "db")}
    assert kinds_and_names("--include", "deploy", "--include", "sts", "--include-namespace", "d*,media", "--exclude-namespace", "media", "--exclude", "ns") == {
        ("Deployment", "pgbouncer"), ("StatefulSet", "postgres"),
    }  # fmt: skip
    db = kinds_and_names("--namespace", "db")
    assert ("Pod", "postgres-0") in db and ("Secret", "postgres-credentials") not in db and ("Deployment", "plex") not in db
    assert kinds_and_names("--namespace", "db", "--secrets") == db | {("Secret", "postgres-credentials")}
    assert kinds_and_names("--include", "secrets", "--namespace", "db") == {("Secret", "postgres-credentials"), ("Namespace", "db")}
    everywhere = kinds_and_names()
    assert ("ClusterRole", "admin") in everywhere and ("ClusterRole", "admin") not in kinds_and_names("--no-cluster-resources")


def test_labels(first_genuine, command):
    said = command("-b", first_genuine.path, "manifests", "--selector", "app=data-postgres-0", "--selector", "team=data")
    found = {(each["kind"], each["metadata"]["name"]) for each in documents(said.output)}
    assert said.code == 0 and found == {("PersistentVolumeClaim", "data-postgres-0"), ("Namespace", "db")}
    said = command("-b", first_genuine.path, "manifests", "-l", "app in web")
    assert said.code not in (0, 3) and "no label selector" in said.errors and said.output == ""


def test_mapping(first_genuine, command):
    options = ("--namespace", "db", "--include", "pvc", "--map-namespace", "db=db-copy", "--map-storage-class", "mayastor-1=local")
    found = documents(command("-b", first_genuine.path, "manifests", *options).output)
    claims = [each for each in found if each["kind"] == "PersistentVolumeClaim"]
    assert len(claims) == 3 and len(found) == 4 and found[0]["metadata"]["name"] == "db-copy"
    assert {each["metadata"]["namespace"] for each in claims} == {"db-copy"}
    assert {each["spec"]["storageClassName"] for each in claims} == {"local"}


def test_kinds_of_which_there_are_none(first_genuine, command):
    said = command("-b", first_genuine.path, "manifests", "--include", "deploy,wigdets")
    assert said.code == 0 and "'wigdets'" in said.errors and len(documents(said.output)) == 6
    for how in ([], ["--list"], ["--apply"]):
        said = command("-b", first_genuine.path, "manifests", "--include", "wigdets", *how)
        assert said.code == 1 and said.output == "" and "'wigdets'" in said.errors and "0 objects" in said.errors
    said = command("-b", first_genuine.path, "--json", "manifests", "--include", "wigdets")
    assert said.code == 1 and said.json()["unmatched"] == ["wigdets"] and said.json()["objects"] == []


@pytest.mark.parametrize(
    "options",
    [
        ("--include", ""), ("--namespace", "a,,b"), ("--list", "--apply"), ("--out", "x", "--list"), ("--replace",), ("--dry-run",),
        ("--force-conflicts",), ("--map-namespace", "db"), ("--map-namespace", "db=X"), ("--map-storage-class", "=x"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(first_genuine, command, tmp_path, options):
    said = command("-b", first_genuine.path, "manifests", *options)
    assert said.code in (1, 2) and said.output == "" and said.errors
    assert not (pathlib.Path.cwd() / "x").exists()


def test_a_backup_that_is_not_there(first_genuine, tmp_path, command):
    said = command("-b", first_genuine.path, "manifests", "gone")
    assert said.code == 1 and "holds no backup 'gone'" in said.errors and GOOD in said.errors
    (tmp_path / "empty/backups").mkdir(parents=True)
    said = command("-b", tmp_path / "empty", "manifests")
    assert said.code == 1 and "holds no backup that can be restored" in said.errors


def test_a_reader_that_has_seen_enough(first_genuine, command):
    process = command.start("-b", first_genuine.path, "manifests")
    assert process.stdout.readline() == "---\n"
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(600) in (0, 1) and errors == ""


def test_a_table(first_genuine, command):
    said = command("-b", first_genuine.path, "manifests", "--namespace", "media", "--list")
    rows = [line.split() for line in said.output.splitlines()]
    assert rows[0] == ["NUMBER", "RESOURCE", "NAMESPACE", "NAME", "BROUGHT", "BY"]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, len(rows))]
    assert ["deployments.apps", "media", "plex"] in [row[1:] for row in rows] and "left out: " in said.errors


# ---- into a directory ---------------------------------------------------------------------------------------------------------


def test_into_a_directory(genuine, command, tmp_path):
    out = tmp_path / "out"
    said = command("-b", genuine.path, "manifests", GOOD, "--out", out)
    assert (said.code, said.output) == (0, "") and f"files in {out}" in said.errors
    files = sorted(out.iterdir())
    assert [yaml.safe_load(each.read_text(encoding="utf-8")) for each in files] == documents(command("-b", genuine.path, "manifests", GOOD).output)
    assert files[0].name.startswith("0001-customresourcedefinitions")
    before = {each.name: each.stat().st_mtime_ns for each in files}
    said = command("-b", genuine.path, "manifests", GOOD, "--out", out)
    assert said.code == 1 and "is not empty" in said.errors
    assert {each.name: each.stat().st_mtime_ns for each in out.iterdir()} == before
    said = command("-b", genuine.path, "--json", "manifests", GOOD, "--out", out, "--replace", "--namespace", "db")
    document = said.json()
    assert said.code == 0 and [each["file"] for each in document["objects"]] == sorted(each.name for each in out.iterdir())
    (out / "mine").write_text("x", encoding="utf-8")
    said = command("-b", genuine.path, "manifests", GOOD, "--out", out, "--replace")
    assert said.code == 1 and "'mine'" in said.errors and (out / "mine").exists()


# ---- damaged backups ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(first_genuine, tmp_path):
    return first_genuine.copy(tmp_path / "bucket")


def test_a_tarball_that_is_cut_off(spoilt, command, tmp_path):
    whole = {key_of(each) for each in documents(command("-b", spoilt.path, "manifests", GOOD).output)}
    truncate(file_of(spoilt.path, GOOD, ".tar.gz"))
    said = command("-b", spoilt.path, "manifests", GOOD)
    found = {key_of(each) for each in documents(said.output)}
    assert said.code == 3 and found and found < whole
    (problem,) = (line for line in said.errors.splitlines() if line.startswith("problem: "))
    assert f"{GOOD}.tar.gz" in problem
    said = command("-b", spoilt.path, "--json", "manifests", GOOD, "--out", tmp_path / "out")
    assert said.code == 3 and len(said.json()["problems"]) == 1 and len(list((tmp_path / "out").iterdir())) == len(found)


def test_a_tarball_that_is_gone(spoilt, command):
    file_of(spoilt.path, NEWEST, ".tar.gz").unlink()
    said = command("-b", spoilt.path, "manifests", NEWEST)
    assert said.code == 1 and said.output == "" and "has no manifests" in said.errors
    said = command("-b", spoilt.path, "--json", "manifests", "--list")
    assert said.code == 0 and said.json()["backup"] == GOOD


def test_a_bomb(spoilt, command):
    """Sixteen gigabytes and more of one file's zeros, in some 17 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with file_of(spoilt.path, GOOD, ".tar.gz").open("wb") as file:
        header = manifest_header("resources/configmaps/namespaces/db/x.json", 17 << 30)
        file.write(packer.compress(header))
        zeros = bytes(1 << 20)
        for _ in range(1 << 9):
            file.write(packer.compress(zeros))
        file.write(packer.flush())
    said = command("-b", spoilt.path, "manifests", GOOD)
    assert said.code == 3 and "problem: " in said.errors and said.output == ""


def manifest_header(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def test_many_small_documents_that_are_large(spoilt, command):
    """An object that no API server would take is passed over; the others come."""
    large = manifest("ConfigMap", "large", "db", data={"x": "x" * (20 << 20)})
    content = [*pair("configmaps", manifest("ConfigMap", "small", "db")), *pair("configmaps", large), *pair("configmaps", manifest("ConfigMap", "after", "db"))]
    file_of(spoilt.path, GOOD, ".tar.gz").write_bytes(packed(content))
    said = command("-b", spoilt.path, "manifests", GOOD)
    assert said.code == 3 and "large.json" in said.errors
    assert [each["metadata"]["name"] for each in documents(said.output)] == ["db", "after", "small"]


def test_lists_that_are_missing(spoilt, command):
    """Which volumes are made anew is then not known for sure."""
    file_of(spoilt.path, GOOD, "-podvolumebackups.json.gz").unlink()
    said = command("-b", spoilt.path, "manifests", GOOD)
    assert said.code == 3 and "-podvolumebackups.json.gz is not there" in said.errors
    assert ("v1", "Pod", "db", "postgres-0") in {key_of(each) for each in documents(said.output)}
    file_of(spoilt.path, NEWEST, "-volumeinfo.json.gz").write_bytes(gzip.compress(b"[")[:-3])
    assert command("-b", spoilt.path, "manifests", NEWEST).code == 3


def test_a_backup_that_velero_gave_up(spoilt, command):
    path = file_of(spoilt.path, NEWEST, ".tar.gz").parent / "velero-backup.json"
    document = json.loads(path.read_bytes())
    document["status"].update(phase="Failed", failureReason="gave up")
    path.write_text(json.dumps(document), encoding="utf-8")
    said = command("-b", spoilt.path, "manifests", NEWEST, "--include", "deploy")
    assert said.code == 3 and len(documents(said.output)) == 6 and "cannot be restored: failed: gave up" in said.errors


def test_what_strangers_wrote_does_not_steer_the_terminal(tmp_path, command):
    evil = "\x1b[2J\x07evil"
    home = tmp_path / "bucket/backups/b"
    home.mkdir(parents=True)
    (home / "velero-backup.json").write_text(json.dumps(backup_document("b")), encoding="utf-8")
    (home / "b-podvolumebackups.json.gz").write_bytes(gzip.compress(b"[]"))
    objects = [
        ("configmaps", manifest("ConfigMap", evil, "db", data={evil: evil})), ("secrets", manifest("Secret", evil, "db")),
        ("configmaps", manifest("ConfigMap", "good", "db", data={"key": evil})), ("events", manifest("Event", evil, "db")),
    ]  # fmt: skip
    (home / "b.tar.gz").write_bytes(packed([entry for each in objects for entry in pair(*each)]))
    for how in ((), ("--list",), ("--out", tmp_path / "out")):
        said = command("-b", tmp_path / "bucket", "manifests", *how)
        assert "\x1b" not in said.output + said.errors and "\x07" not in said.output + said.errors
    said = command("-b", tmp_path / "bucket", "manifests", "--include", "cm")
    assert {"key": evil} in [each.get("data") for each in documents(said.output)]
    (good,) = (each for each in command("-b", tmp_path / "bucket", "--json", "manifests").json()["objects"] if each["name"] == "good")
    assert good["document"]["data"] == {"key": evil}


# ---- into a cluster -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh() -> Iterator[Any]:
    """A cluster in which nobody has done anything: without Velero as well."""
    from kubernetes_server import KubernetesServer, needs_server

    needs_server()
    server = KubernetesServer()
    try:
        yield server
    finally:
        server.stop()


def applied(said) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in said.json()["objects"]:
        name = f"{each['namespace']}/{each['name']}" if each["namespace"] else each["name"]
        found.setdefault(each["outcome"], []).append(f"{each['kind']} {name}")
    return found


def versions(server, objects) -> dict[_Key, str]:
    found = {}
    for each in objects:
        with contextlib.suppress(OSError):
            found[key_of(each)] = server.get(each)["metadata"]["resourceVersion"]
    return found


def is_established(definition) -> bool:
    """The server has written all that it has to say of it."""
    return any(each["type"] == "Established" and each["status"] == "True" for each in definition.get("status", {}).get("conditions", []))


class TestApply:
    """In this order: the second needs what the first has done."""

    def test_a_dry_run_writes_nothing(self, fresh, first_genuine, command):
        objects = documents(command("-b", first_genuine.path, "manifests", GOOD, "--secrets").output)
        before = versions(fresh, objects)
        said = command("-b", first_genuine.path, "manifests", GOOD, "--secrets", "--apply", "--dry-run", "--kubeconfig", fresh.kubeconfig)
        assert said.code == 0, said.output
        assert "created    StorageClass mayastor-1\n" in said.output and '+ provisioner: "io.openebs.csi-mayastor"' in said.output
        assert "unchecked  Pod db/postgres-0: its namespace db does not exist yet" in said.output
        assert said.errors.splitlines()[-1].startswith("dry run: ")
        assert versions(fresh, objects) == before and ("v1", "Namespace", None, "db") not in before

    def test_all_objects_arrive(self, fresh, first_genuine, command):
        objects = documents(command("-b", first_genuine.path, "manifests", GOOD, "--secrets").output)
        said = command("-b", first_genuine.path, "--json", "manifests", GOOD, "--secrets", "--apply", "--kubeconfig", fresh.kubeconfig)
        document = said.json()
        assert said.code == 0, [each for each in document["objects"] if each["outcome"] == "refused"]
        assert set(applied(said)) == {"created", "unchanged"} and document["backup"] == GOOD and document["cluster"] == fresh.address
        assert len(applied(said)["created"]) > 40 and len(document["objects"]) == len(objects)
        found = versions(fresh, objects)
        assert set(found) == {key_of(each) for each in objects}
        for each in objects:
            if each["kind"] in ("ConfigMap", "Secret"):
                assert fresh.get(each)["data"] == each["data"]
        assert {"CustomResourceDefinition schedules.velero.io", "Schedule velero/daily", "StatefulSet db/postgres", "Secret db/postgres-credentials"} <= set(
            applied(said)["created"]
        )

    def test_a_second_run_changes_nothing(self, fresh, first_genuine, command):
        objects = documents(command("-b", first_genuine.path, "manifests", GOOD, "--secrets").output)
        definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
        wait_until(lambda: all(is_established(fresh.get(each)) for each in definitions), step=0.05, what="all definitions are established")
        before = versions(fresh, objects)
        said = command("-b", first_genuine.path, "--json", "manifests", GOOD, "--secrets", "--apply", "--kubeconfig", fresh.kubeconfig)
        assert said.code == 0 and set(applied(said)) == {"unchanged"} and len(before) == len(objects)
        assert versions(fresh, objects) == before

    def test_a_dry_run_shows_what_differs(self, fresh, first_genuine, command):
        settings = manifest("ConfigMap", "postgres-config", "db")
        (wanted,) = (each for each in documents(command("-b", first_genuine.path, "manifests", GOOD).output) if key_of(each) == key_of(settings))
        key = min(wanted["data"])
        fresh.patch(settings, {"data": {key: "other"}})
        changed = fresh.get(settings)
        options = ("manifests", GOOD, "--include", "cm", "--namespace", "db", "--apply", "--kubeconfig", fresh.kubeconfig)
        said = command("-b", first_genuine.path, *options, "--dry-run")
        # Somebody else owns it now.
        assert said.code == 3 and "refused    ConfigMap db/postgres-config: " in said.output and "--force-conflicts" in said.output
        said = command("-b", first_genuine.path, *options, "--dry-run", "--force-conflicts")
        assert said.code == 0 and "changed    ConfigMap db/postgres-config\n" in said.output and '"other" -> ' in said.output
        assert fresh.get(settings) == changed
        assert command("-b", first_genuine.path, *options, "--force-conflicts").code == 0
        assert fresh.get(settings)["data"] == wanted["data"]

    def test_into_another_namespace(self, fresh, first_genuine, command):
        options = ("--namespace", "db", "--map-namespace", "db=db-copy", "--map-storage-class", "mayastor-1=local", "--kubeconfig", fresh.kubeconfig)
        said = command("-b", first_genuine.path, "--json", "manifests", GOOD, "--apply", *options)
        assert said.code == 0, said.output
        assert "Namespace db-copy" in applied(said)["created"] and "StatefulSet db-copy/postgres" in applied(said)["created"]
        claim = fresh.get(manifest("PersistentVolumeClaim", "data-postgres-0", "db-copy"))
        assert claim["spec"]["storageClassName"] == "local" and "volumeName" not in claim["spec"]
        assert fresh.get(manifest("StatefulSet", "postgres", "db-copy", "apps/v1"))["spec"]["replicas"] >= 1
        with pytest.raises(OSError, match="404"):
            fresh.get(manifest("Secret", "postgres-credentials", "db-copy"))

    def test_what_is_refused_does_not_stop_the_rest(self, fresh, first_genuine, command):
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
        rules = ({"apiGroups": ["", "apps"], "resources": ["namespaces", "pods", "services", "statefulsets"], "verbs": ["create", "patch"]}, everything)
        kubeconfig = fresh.user("limited", *rules)
        options = ("--namespace", "db", "--exclude", "sa", "--map-namespace", "db=limited", "--apply", "--kubeconfig", kubeconfig)
        said = command("-b", first_genuine.path, "--json", "manifests", GOOD, *options)
        found = applied(said)
        assert said.code == 3 and set(found) == {"created", "refused"}
        # Claims and settings come before them.
        assert {"Pod limited/postgres-0", "StatefulSet limited/postgres", "Service limited/postgres"} <= set(found["created"])
        assert {"ConfigMap limited/postgres-config", "PersistentVolumeClaim limited/data-postgres-0", "Deployment limited/pgbouncer"} <= set(found["refused"])
        for each in said.json()["objects"]:
            assert ("has to allow" in (each["message"] or "")) == (each["outcome"] == "refused")

    def test_a_damaged_backup_is_told_after_what_is_left_was_applied(self, fresh, spoilt, command):
        content = packed([*pair("configmaps", manifest("ConfigMap", "left", "damaged", data={"a": "b"})), *pair("pods", manifest("Pod", "cut", "damaged"))])
        # A header and a block of content for each of five entries: the last but one is cut off.
        file_of(spoilt.path, GOOD, ".tar.gz").write_bytes(gzip.compress(gzip.decompress(content)[: 3 * 1024 + 600]))
        said = command("-b", spoilt.path, "manifests", GOOD, "--apply", "--kubeconfig", fresh.kubeconfig)
        assert said.code == 3 and "problem: " in said.errors
        assert fresh.get(manifest("ConfigMap", "left", "damaged"))["data"] == {"a": "b"}

    def test_no_cluster(self, first_genuine, command, tmp_path):
        said = command("-b", first_genuine.path, "manifests", GOOD, "--apply", "--kubeconfig", tmp_path / "nothing")
        assert said.code not in (0, 2, 3) and "nothing" in said.errors and said.output == ""


def test_nothing_is_written_into_the_bucket(first_genuine, command):
    def state() -> dict[str, int]:
        return {os.path.join(top, name): os.stat(os.path.join(top, name)).st_mtime_ns for top, _, names in os.walk(first_genuine.path) for name in names}

    before = state()
    assert command("-b", first_genuine.path, "manifests").code == 0
    assert state() == before
