"""Volumes of a backup written into a cluster: a real API server, and real tar in containers that are processes here (kubelet.py)."""

from __future__ import annotations

import os
import time
import types

import pytest
from kubelet import BUSYBOX, NO_TAR, NODE, claim_in, pod_in, pod_is_gone
from velero_volumes import MadeBucket, expected_entries, noise, on_disk

import recoup
from recoup.velero import Repositories, find_volume, open_volume, volumes_of
from recoup.velero.cluster import Cluster, HelperSettings
from recoup.velero.cluster.filling import FILLED, FILLING
from recoup.velero.cluster.helper_pod import helper_name
from support.programs import wait_until

pytest_plugins = ["kubernetes_server", "kubelet"]
DATA = "db/data-postgres-0"


@pytest.fixture
def opened(quick):
    """The newest copy of db/data-postgres-0."""
    return open_volume(Repositories(quick.bucket), find_volume(quick.bucket, DATA).volume)


@pytest.fixture
def expected(quick, opened):
    return expected_of(quick, opened)


def expected_of(genuine, opened):
    backup = next(each for each in genuine.expected["backups"] if each["name"] == opened.volume.backup)
    found = next(each for each in backup["volumes"] if (each["pod"], each["volume"]) == (opened.volume.pod, opened.volume.volume))
    return expected_entries(genuine.expected, found)


def big(tmp_path, size=24 << 20):
    made = MadeBucket(tmp_path / "big")
    made.volume("b", tree=lambda writer: [writer.file(b"%d" % number, noise(size // 8, number)) for number in range(8)])
    bucket = made.finish("b").bucket
    return open_volume(Repositories(bucket), find_volume(bucket, DATA).volume)


def annotations(server, claim):
    return server.get(claim)["metadata"].get("annotations") or {}


def pods(server, namespace):
    return [each["metadata"]["name"] for each in server.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]]


# ---- claims --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quick", "quick_after_crash"])
def test_every_stored_volume_is_filled_as_it_was(server, namespace, kubelet, cluster, request, name):
    genuine = request.getfixturevalue(name)
    backup = next(each for each in reversed(genuine.expected["backups"]) if each["phase"] == "Completed")
    repositories = Repositories(genuine.bucket)
    count = 0
    for volume in volumes_of(genuine.bucket, genuine.bucket.backup(backup["name"])):
        if not volume.has_copy:
            continue
        to = f"claim-{count}"
        claim = claim_in(server, namespace, to)
        told = []
        opened = open_volume(repositories, volume)
        done = cluster.fill_claim(opened, namespace, to, verify=True, progress=lambda *how_far, told=told: told.append(how_far))
        assert on_disk(kubelet.volume(namespace, to)) == expected_of(genuine, opened), volume.name
        assert done.is_new and done.where == f"claim {namespace}/{to}"
        if not volume.is_empty:
            assert done.notes == () and told[-1] == (done.totals.size, done.totals.size)
        assert annotations(server, claim)[FILLED] == (done.snapshot_id or "empty") and FILLING not in annotations(server, claim)
        count += 1
    assert count >= 3 and pods(server, namespace) == []


def test_helper_pod_asks_for_no_more_than_it_needs(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    toleration = {"key": "storage", "operator": "Exists"}
    cluster.fill_claim(opened, namespace, "data", settings=HelperSettings(tolerations=[toleration], node_selector={"kubernetes.io/hostname": NODE}))
    pod = kubelet.pods_seen[f"{namespace}/{helper_name('data')}"]
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "recoup" and toleration in spec["tolerations"]
    assert spec["activeDeadlineSeconds"] == 86400 and spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["volumeMounts"] == [{"name": "volume", "mountPath": "/volume"}]


def enforce(server, namespace, level):
    """The server heeds a new label a moment after it has stored it: a pod that is no more than baseline tells."""
    server.patch({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": {"containers": [{"name": "main", "image": "x"}]}}

    def is_refused() -> bool:
        try:
            server.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        except OSError as problem:
            assert "violates PodSecurity" in str(problem), problem
            return True
        return False

    wait_until(lambda: is_refused() == (level == "restricted"), step=0.05, what=f"{level} is in force")


def test_pod_security_baseline_takes_it_and_restricted_says_why_not(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    enforce(server, namespace, "restricted")
    with pytest.raises(recoup.InvalidArgumentError, match="violates PodSecurity.*enforce=baseline"):
        cluster.fill_claim(opened, namespace, "data")
    enforce(server, namespace, "baseline")
    assert cluster.fill_claim(opened, namespace, "data").is_new


def test_a_second_run_passes_over_what_is_filled(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    cluster.fill_claim(opened, namespace, "data")
    kubelet.pods_seen.clear()
    again = cluster.fill_claim(opened, namespace, "data")
    assert not again.is_new and "filled with it before" in again.notes[0] and not kubelet.pods_seen


def test_what_is_there_is_not_written_over_unless_asked(server, namespace, kubelet, cluster, opened, expected):
    claim = claim_in(server, namespace, "data")
    folder = kubelet.volume(namespace, "data")
    (folder / "lost+found").mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(recoup.InvalidArgumentError, match="is not empty.*mine.*nothing was written"):
        cluster.fill_claim(opened, namespace, "data")
    assert annotations(server, claim) == {} and sorted(os.listdir(folder)) == ["lost+found", "mine"] and pods(server, namespace) == []
    cluster.fill_claim(opened, namespace, "data", overwrite=True)
    found = on_disk(folder)
    assert (folder / "mine").read_text() == "mine" and found.items() >= expected.items()


def test_lost_and_found_is_no_content(server, namespace, kubelet, cluster, opened, expected):
    claim_in(server, namespace, "data")
    (kubelet.volume(namespace, "data") / "lost+found").mkdir()
    cluster.fill_claim(opened, namespace, "data")
    found = on_disk(kubelet.volume(namespace, "data"))
    assert found.pop(b"lost+found") and found == expected


def test_a_claim_in_use_is_refused(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    pod_in(server, namespace, "postgres-0", {"/data": "data"})
    with pytest.raises(recoup.InvalidArgumentError, match=r"used by pod postgres-0.*Scale"):
        cluster.fill_claim(opened, namespace, "data")


def test_no_claim(namespace, kubelet, cluster, opened):
    with pytest.raises(recoup.NotFoundError, match=f"there is no claim {namespace}/data in the cluster .*create it first"):
        cluster.fill_claim(opened, namespace, "data")


# ---- interrupted ---------------------------------------------------------------------------------------------------------


def test_a_claim_that_has_lost_its_volume_is_refused_at_once(server, namespace, kubelet, cluster, opened):
    # Of a class for which the test's node binds nothing.
    claim = claim_in(server, namespace, "data", storageClassName="no-such-class", volumeName="pv-gone")
    server.request("PATCH", f"{server.path_of(claim)}/status", {"status": {"phase": "Lost"}}, "application/merge-patch+json")
    with pytest.raises(recoup.InvalidArgumentError, match="is Lost: its volume pv-gone is gone.*Delete the claim, create it anew"):
        cluster.fill_claim(opened, namespace, "data")
    assert pods(server, namespace) == []


def test_an_interrupted_run_is_done_again_over_what_it_left(server, namespace, kubelet, cluster, tmp_path):
    volume = big(tmp_path)
    claim = claim_in(server, namespace, "data")

    def stop(sent, size):
        if sent > size // 2:
            # What was sent may still be on its way.
            wait_until(lambda: os.listdir(kubelet.volume(namespace, "data")), what="files in the volume")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cluster.fill_claim(volume, namespace, "data", progress=stop)
    assert pods(server, namespace) == [] and annotations(server, claim) == {FILLING: volume.snapshot.id}
    assert os.listdir(kubelet.volume(namespace, "data"))
    done = cluster.fill_claim(volume, namespace, "data", verify=True)
    assert done.is_new and annotations(server, claim) == {FILLED: volume.snapshot.id}
    assert len(os.listdir(kubelet.volume(namespace, "data"))) == 8


def test_a_node_that_dies_in_the_middle_is_no_success(server, namespace, kubelet, cluster, tmp_path):
    kubelet.more = {"cut_after": 10_000_000}
    claim = claim_in(server, namespace, "data")
    with pytest.raises(recoup.StorageError, match="cannot run tar in container fill of pod"):
        cluster.fill_claim(big(tmp_path), namespace, "data")
    assert FILLED not in annotations(server, claim) and pods(server, namespace) == []


def test_a_volume_that_takes_nothing_does_not_hang_for_ever(server, namespace, kubelet, cluster, tmp_path):
    kubelet.more = {"stall_after": 5_000_000}
    claim_in(server, namespace, "data")
    with pytest.raises(recoup.StorageError, match="nothing moved for 2 s"):
        cluster.fill_claim(big(tmp_path), namespace, "data", patience=2)
    assert pods(server, namespace) == []


def test_damage_in_the_bucket_stops_it(server, namespace, kubelet, cluster, tmp_path):
    claim = claim_in(server, namespace, "data")
    volume = big(tmp_path)
    for file in (tmp_path / "big/restic/db/data").rglob("*"):
        if file.is_file() and file.stat().st_size > 1 << 20:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(bytes(content))
    with pytest.raises(recoup.DamagedError):
        cluster.fill_claim(volume, namespace, "data")
    assert FILLED not in annotations(server, claim) and pods(server, namespace) == []


def test_a_pod_that_an_earlier_run_left_is_replaced(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    left = pod_in(server, namespace, helper_name("data"), {"/volume": "data"})
    server.patch(left, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "recoup"}}})
    assert cluster.fill_claim(opened, namespace, "data").is_new and pods(server, namespace) == []


def test_a_pod_of_that_name_which_is_not_ours_is_left_alone(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    pod_in(server, namespace, helper_name("data"), {})
    with pytest.raises(recoup.InvalidArgumentError, match="not recoup's"):
        cluster.fill_claim(opened, namespace, "data")
    assert pods(server, namespace) == [helper_name("data")]


def test_something_else_that_writes_meanwhile_is_found(server, namespace, kubelet, cluster, opened):
    claim = claim_in(server, namespace, "data")
    with pytest.raises(recoup.IncompleteError, match="does not hold what .* does: there are .* files and not"):
        cluster.fill_claim(opened, namespace, "data", progress=lambda sent, size: (kubelet.volume(namespace, "data") / "intruder").write_text("x"))
    assert FILLED not in annotations(server, claim)


def test_other_content_is_found_when_verified(server, namespace, kubelet, cluster, opened, monkeypatch):
    from recoup.velero.cluster.unpacking import Unpacker

    claim_in(server, namespace, "data")
    count = Unpacker._count

    def spoil(self, has_others):
        file = kubelet.volume(namespace, "data") / "pgdata/PG_VERSION"
        file.write_bytes(bytes(len(file.read_bytes())))
        return count(self, has_others)

    monkeypatch.setattr(Unpacker, "_count", spoil)
    with pytest.raises(recoup.IncompleteError, match="holds other content"):
        cluster.fill_claim(opened, namespace, "data", verify=True)


class ClockThatWaits:
    """Stands until something has happened: however long that takes, it counts for nothing."""

    def __init__(self, has_happened, seconds=300) -> None:
        self._has_happened = has_happened
        self._begin = time.monotonic()
        self._end = self._begin + seconds
        self._since = None

    def __call__(self) -> float:
        now = time.monotonic()
        if self._since is None and (now > self._end or self._has_happened()):
            self._since = time.monotonic()
        return self._begin + (0 if self._since is None else max(0.0, now - self._since))


def reasons_of_events(server, namespace) -> set[str]:
    return {each["reason"] for each in server.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]}


# ---- pods that do not run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "settings", "message"),
    [
        ({}, {"image": "no-such-image:1", "patience": 300.0}, "cannot run: .*Back-off pulling image"),
        ({}, {"node_selector": {"disk": "ssd"}}, "does not run after 1 s: .*didn't match Pod's node affinity/selector.*--node-selector"),
        (
            {"storageClassName": "no-such-class"}, {},
            'does not run after 1 s: .*unbound immediate PersistentVolumeClaims.*claim data is Pending.*storageclass.storage.k8s.io "no-such-class" not found',
        ),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_run_says_why(server, namespace, kubelet, cluster, opened, claim, settings, message, monkeypatch):
    claim_in(server, namespace, "data", **claim)
    wanted = {"FailedScheduling", *(["ProvisioningFailed"] if claim else [])}
    clock = ClockThatWaits(lambda: wanted <= reasons_of_events(server, namespace))
    if "patience" not in settings:
        monkeypatch.setattr("recoup.velero.cluster.helper_pod.time", types.SimpleNamespace(monotonic=clock, sleep=time.sleep))
    with pytest.raises(recoup.StorageError, match=message):
        cluster.fill_claim(opened, namespace, "data", settings=HelperSettings(**{"patience": 1.0, **settings}))
    assert pods(server, namespace) == []


def test_who_may_not_make_pods_is_told(server, namespace, kubelet, opened):
    claim_in(server, namespace, "data")
    rule = {"apiGroups": [""], "resources": ["pods", "persistentvolumeclaims"], "verbs": ["get", "list"]}
    denied = pytest.raises(recoup.AccessDeniedError, match="create the helper pod .*A Role or ClusterRole has to allow create on pods")
    with Cluster.connect(server.user(f"viewer-{namespace}", rule), namespace=namespace) as cluster, denied:
        cluster.fill_claim(opened, namespace, "data")


def test_long_names_of_claims_make_names_of_pods():
    names = {helper_name("x" * 240 + str(number)) for number in range(10)} | {helper_name("x" * 51)}
    assert len(names) == 11 and all(len(name) <= 63 for name in names)


# ---- containers that run -------------------------------------------------------------------------------------------------


def test_a_running_pod_is_filled_where_it_mounts_the_claim(server, namespace, kubelet, cluster, opened, expected):
    claim = claim_in(server, namespace, "data-postgres-0")
    claim_in(server, namespace, "other")
    pod_in(server, namespace, "postgres-0", {"/other": "other", "/var/lib/data": "data-postgres-0"})
    done = cluster.fill_pod(opened, namespace, "postgres-0", verify=True)
    assert done.where == f"/var/lib/data in container main of pod {namespace}/postgres-0" and done.notes == ()
    assert on_disk(kubelet.volume(namespace, "data-postgres-0")) == expected and not os.listdir(kubelet.volume(namespace, "other"))
    assert annotations(server, claim)[FILLED] == opened.snapshot.id


def test_a_directory_in_it(server, namespace, kubelet, cluster, opened, expected):
    claim = claim_in(server, namespace, "other")
    pod_in(server, namespace, "box", {"/data": "other"})
    with pytest.raises(recoup.InvalidArgumentError, match="there is no directory /data/sub"):
        cluster.fill_pod(opened, namespace, "box", "main", "/data/sub")
    (kubelet.volume(namespace, "other") / "sub").mkdir()
    cluster.fill_pod(opened, namespace, "box", "main", "/data/sub/")
    assert on_disk(kubelet.volume(namespace, "other") / "sub") == expected and annotations(server, claim) == {}


@pytest.mark.parametrize("protocols", [("v5.channel.k8s.io",), ("v4.channel.k8s.io",)])
@pytest.mark.parametrize("image", ["debian:12-slim", BUSYBOX])
def test_with_either_protocol_and_tar(server, namespace, kubelet, cluster, opened, expected, protocols, image, monkeypatch):
    """An older server has no end of input: tar would wait for ever."""
    from recoup.velero.cluster import filling

    made = filling.Container
    monkeypatch.setattr(filling, "Container", lambda *given: made(*given, patience=300, protocols=protocols))
    claim_in(server, namespace, "data")
    pod_in(server, namespace, "box", {"/data": "data"}, image=image)
    done = cluster.fill_pod(opened, namespace, "box", path="/data", verify=True)
    found = on_disk(kubelet.volume(namespace, "data"))
    if image == BUSYBOX:
        assert [path for path in found if found[path].get("sha256") != expected[path].get("sha256")] == [] and set(found) == set(expected)
        assert "extended attributes of 1 entries were left out" in done.notes[1] and "to the second" in done.notes[0]
    else:
        assert found == expected and done.notes == ()


def test_a_container_that_is_not_root_gets_what_it_may_have(server, namespace, kubelet, cluster, tmp_path):
    kubelet.more = {"user": 1000}
    made = MadeBucket(tmp_path / "made")
    made.volume("b", tree=lambda writer: [writer.folder(b"d", [writer.file(b"x", b"x", uid=7, gid=7, mode=0o640)], uid=7)])
    bucket = made.finish("b").bucket
    claim_in(server, namespace, "data")
    os.chown(kubelet.volume(namespace, "data"), 1000, 1000)
    os.chmod(kubelet.directory, 0o755)
    pod_in(server, namespace, "box", {"/data": "data"})
    done = cluster.fill_pod(open_volume(Repositories(bucket), find_volume(bucket, DATA).volume), namespace, "box", path="/data")
    found = on_disk(kubelet.volume(namespace, "data"))
    assert {facts["uid"] for facts in found.values()} == {1000} and found[b"d/x"]["mode"] == "0o640"
    assert "all belongs to user 1000" in done.notes[0]


def test_a_full_volume_is_told(server, namespace, kubelet, cluster, tmp_path):
    import subprocess

    claim_in(server, namespace, "data")
    folder = kubelet.volume(namespace, "data")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    try:
        with pytest.raises(recoup.IncompleteError, match="No space left on device.*The volume is too small"):
            cluster.fill_claim(big(tmp_path), namespace, "data")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    ("container", "path", "message"),
    [
        (None, "/etc", "in no volume of container main.*gone with the container. Its mounts: /data"),
        (None, "data", "no absolute path"),
        (None, "/data/../etc", "no absolute path"),
        ("other", "/data", "has no container other; it has: main"),
        (None, None, r"mounts db/data-postgres-0 not: say where it goes.*Its mounts: /data \(data\)"),
    ],
)
def test_places_that_make_no_sense(server, namespace, kubelet, cluster, opened, container, path, message):
    claim_in(server, namespace, "data")
    pod_in(server, namespace, "box", {"/data": "data"})
    with pytest.raises((recoup.InvalidArgumentError, recoup.NotFoundError), match=message):
        cluster.fill_pod(opened, namespace, "box", container, path)
    assert os.listdir(kubelet.volume(namespace, "data")) == []


def test_pods_that_cannot_be_written_into(server, namespace, kubelet, cluster, opened):
    claim_in(server, namespace, "data")
    with pytest.raises(recoup.NotFoundError, match="there is no pod"):
        cluster.fill_pod(opened, namespace, "nobody")
    pod_in(server, namespace, "bare", {"/data": "data"}, image=NO_TAR)
    with pytest.raises(recoup.UnsupportedError, match=r"there is no program (ls|tar) in its image"):
        cluster.fill_pod(opened, namespace, "bare", path="/data")


def test_a_pod_that_is_deleted_while_it_is_filled(server, namespace, kubelet, cluster, tmp_path):
    volume = big(tmp_path)
    kubelet.more = {"stall_after": 5_000_000}
    claim_in(server, namespace, "data")
    pod = pod_in(server, namespace, "box", {"/data": "data"})
    is_deleted = False

    def delete(sent, size):
        nonlocal is_deleted
        if not is_deleted:
            is_deleted = True
            server.delete(pod)
            wait_until(lambda: pod_is_gone(server, pod), step=0.05, what="the pod is gone")

    with pytest.raises(recoup.NotFoundError, match="The pod is gone"):
        cluster.fill_pod(volume, namespace, "box", path="/data", patience=10, progress=delete)
    assert is_deleted
