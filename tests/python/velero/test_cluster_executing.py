"""Commands in containers: through a real API server, to processes of this machine (kubelet.py)."""

from __future__ import annotations

import hashlib
import itertools
import time

import pytest
from kubelet import NO_TAR, pod_in, pod_is_gone

import recoup
from recoup.velero.cluster import Cluster
from recoup.velero.cluster.executing import Container, NoSuchProgram
from support.programs import wait_until

pytest_plugins = ["kubernetes_server", "kubelet"]
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


@pytest.fixture
def container(server, namespace, kubelet, cluster):
    pod_in(server, namespace, "box", {})
    return Container(cluster._api, namespace, "box", "main", patience=120)


def noise(count):
    block = bytes(range(256)) * 1024
    return itertools.repeat(block, count)


def test_output_errors_and_exit_code(container):
    ended = container.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (ended.code, ended.output, ended.errors, ended.has_end_of_input) == (3, b"out\n", "err\n", True)
    assert ended.words == "exit code 3: err"


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 40 << 20])
def test_input_comes_whole_and_ends(container, size):
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    pieces = [content[at : at + 300_000] for at in range(0, size, 300_000)]
    ended = container.run(["sha256sum"], iter(pieces))
    assert ended.output.decode().split()[0] == hashlib.sha256(content).hexdigest()


def test_in_the_older_protocol_input_has_no_end_but_comes_whole(server, namespace, kubelet, cluster, container):
    old = Container(cluster._api, namespace, "box", "main", patience=120, protocols=(V4,))
    content = bytes(range(256)) * 40_000
    ended = old.run(["sh", "-c", f"head -c {len(content)} | sha256sum"], iter([content]))
    assert ended.output.decode().split()[0] == hashlib.sha256(content).hexdigest() and not ended.has_end_of_input
    with pytest.raises(recoup.StorageError, match="nothing moved for 3 s"):
        old.run(["sha256sum"], iter([content]), patience=3)


def test_what_comes_back_is_read_while_input_goes(container):
    """A command that says as much as it is told: with either left unread, both would wait for ever."""
    digest, length = hashlib.sha256(), 0

    def take(content):
        nonlocal length
        digest.update(content)
        length += len(content)

    ended = container.run(["tee", "/dev/stderr"], noise(80), output=take)
    assert ended.code == 0 and length == 80 << 18
    assert digest.digest() == hashlib.sha256(b"".join(noise(80))).digest()
    assert len(ended.errors) == 64 << 10


def test_input_that_is_not_wanted_is_not_waited_for(container):
    ended = container.run(["sh", "-c", "exit 7"], noise(1_000_000))
    assert ended.code == 7


def test_input_is_made_no_faster_than_it_is_taken(container):
    made = 0

    def source():
        nonlocal made
        for block in noise(1000):
            made += len(block)
            yield block

    container.run(["sh", "-c", "sleep 3; exit 0"], source())
    assert made < 64 << 20  # of 256 MiB: what is on the way is in buffers of the system and of the server


def test_what_the_source_raises_goes_through(container):
    def source():
        yield b"x"
        raise recoup.DamagedError("a pack is missing")

    with pytest.raises(recoup.DamagedError, match="a pack is missing"):
        container.run(["cat"], source())


def test_no_such_program(server, namespace, kubelet, cluster):
    pod_in(server, namespace, "bare", {}, image=NO_TAR)
    with pytest.raises(NoSuchProgram, match=f"run tar in container main of pod {namespace}/bare: there is no program tar"):
        Container(cluster._api, namespace, "bare", "main").run(["tar", "--version"])


def test_no_such_pod_or_container(container, cluster, namespace):
    with pytest.raises(recoup.NotFoundError, match="nobody.*not found.*Was the pod deleted"):
        Container(cluster._api, namespace, "nobody", "main").run(["true"])
    with pytest.raises(recoup.InvalidArgumentError, match="container other is not valid"):
        Container(cluster._api, namespace, "box", "other").run(["true"])


def test_who_may_not_is_told_what_is_missing(server, namespace, container):
    kubeconfig = server.user(f"reader-{namespace}", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]})
    denied = pytest.raises(recoup.AccessDeniedError, match="pods/exec.*A Role or ClusterRole has to allow")
    with Cluster.connect(kubeconfig, namespace=namespace) as cluster, denied:
        Container(cluster._api, namespace, "box", "main").run(["true"])


def test_a_node_that_dies_in_the_middle(server, namespace, kubelet, cluster):
    kubelet.more = {"cut_after": 3_000_000}
    pod_in(server, namespace, "box", {})
    with pytest.raises(recoup.StorageError, match=f"cannot run cat in container main of pod {namespace}/box"):
        Container(cluster._api, namespace, "box", "main", patience=30).run(["cat"], noise(100), output=lambda content: None)


def test_what_takes_no_more_does_not_hang_for_ever(server, namespace, kubelet, cluster):
    kubelet.more = {"stall_after": 3_000_000}
    pod_in(server, namespace, "box", {})
    began = time.monotonic()
    with pytest.raises(recoup.StorageError, match="nothing moved for 2 s.*The pod still runs"):
        Container(cluster._api, namespace, "box", "main", patience=2).run(["cat"], noise(1000), output=lambda content: None)
    assert time.monotonic() - began < 120


def test_a_pod_that_is_deleted_in_the_middle(server, namespace, kubelet, cluster):
    kubelet.more = {"cut_after": 3_000_000}
    pod = pod_in(server, namespace, "box", {})

    def source():
        yield from noise(8)
        server.delete(pod)
        wait_until(lambda: pod_is_gone(server, pod), step=0.05, what="the pod is gone")
        yield from noise(100)

    with pytest.raises(recoup.NotFoundError, match="The pod is gone"):
        Container(cluster._api, namespace, "box", "main", patience=30).run(["cat"], source(), output=lambda content: None)


def test_a_token_in_place_of_a_certificate(server, namespace, kubelet, container):
    """As a pod's service account comes: with a token and no certificate."""
    import yaml

    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "filler", "namespace": namespace}}
    server.create(account)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/filler/token"
    token = server.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})["status"]["token"]
    rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]}, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "filler", "namespace": namespace}, "rules": rules}
    server.create(role)
    server.create({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "filler", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "filler"},
        "subjects": [{"kind": "ServiceAccount", "name": "filler", "namespace": namespace}],
    })  # fmt: skip
    server.wait_until_allowed(f"system:serviceaccount:{namespace}:filler", *rules, namespace=namespace)
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = server.directory / f"token-{namespace}.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    with Cluster.connect(file, namespace=namespace) as cluster:
        assert Container(cluster._api, namespace, "box", "main").run(["echo", "x"]).output == b"x\n"
    config["users"][0]["user"] = {"token": token + "x"}
    file.write_text(yaml.safe_dump(config))
    from recoup.velero.cluster.api import KubernetesApi

    with pytest.raises(recoup.AccessDeniedError, match="does not know who asks"):
        Container(KubernetesApi.connect(file), namespace, "box", "main").run(["true"])


def test_a_certificate_of_another_authority_is_not_trusted(server, namespace, container, tmp_path):
    from kubernetes_server import Authority

    from recoup.velero.cluster.api import KubernetesApi

    Authority(tmp_path)
    file = server.write_kubeconfig("admin", file=f"other-{namespace}.kubeconfig", authority=str(tmp_path / "ca.crt"))
    with pytest.raises(recoup.StorageError, match="is not trusted"):
        Container(KubernetesApi.connect(file), namespace, "box", "main").run(["true"])


def test_an_api_server_that_dies_in_the_middle(server, namespace, kubelet, container):
    def source():
        yield from noise(20)
        server.kill()
        yield from noise(100)

    try:
        with pytest.raises(recoup.StorageError, match=r"cannot run cat in .* to its end: .*"):
            container.run(["cat"], source(), output=lambda content: None)
    finally:
        server.start()
        server.wait_until_ready()
    end = time.monotonic() + 300
    while True:  # the node's own view of things comes back a moment later
        try:
            assert container.run(["echo", "x"]).output == b"x\n"
            return
        except recoup.Error:
            assert time.monotonic() < end
            time.sleep(0.5)
