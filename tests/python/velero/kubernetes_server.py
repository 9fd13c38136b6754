"""A real Kubernetes API server with its etcd, for tests: its programs are what tools/kubernetes.sh prints.

    KUBE_APISERVER=…  ETCD=…  VELERO_CRDS=…

There is nothing else: no controllers, no kubelet, no Velero. So namespaces are never deleted to their end, nothing has a default
service account (its admission is off), and what Velero's server would write, tests write themselves, and say so.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import http.client
import ipaddress
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import yaml

from support import s3
from support.programs import wait_until

PROGRAMS = ("KUBE_APISERVER", "ETCD", "VELERO_CRDS")
_MERGE = "application/merge-patch+json"


class Authority:
    """Signs the server's certificate and its users'."""

    def __init__(self, directory: pathlib.Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        self._x509, self._ec = x509, ec
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = self._subject("recoup's tests")
        self._write("ca", self._build(self._name, self._key.public_key(), is_ca=True), self._key)

    def _subject(self, name: str, *groups: str) -> Any:
        oid = self._x509.NameOID
        attributes = [self._x509.NameAttribute(oid.COMMON_NAME, name)]
        attributes += [self._x509.NameAttribute(oid.ORGANIZATION_NAME, group) for group in groups]
        return self._x509.Name(attributes)

    def _build(self, subject: Any, public_key: Any, *, is_ca: bool = False, days: float = 1, addresses: tuple[str, ...] = ()) -> Any:
        from cryptography.hazmat.primitives import hashes

        now = datetime.datetime.now(datetime.timezone.utc)
        builder = self._x509.CertificateBuilder(self._name, subject, public_key, self._x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=30)).not_valid_after(now + datetime.timedelta(days=days))
        builder = builder.add_extension(self._x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        if addresses:
            names = [self._x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
            builder = builder.add_extension(self._x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: Any, key: Any) -> None:
        from cryptography.hazmat.primitives import serialization

        pem = serialization.Encoding.PEM
        (self.directory / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        (self.directory / f"{name}.key").write_bytes(private)

    def issue(self, name: str, *groups: str, days: float = 1, addresses: tuple[str, ...] = (), file: str = "") -> None:
        """NAME.crt and NAME.key in the directory. With `days` below 0 it has run out."""
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        self._write(file or name, self._build(self._subject(name, *groups), key.public_key(), days=days, addresses=addresses), key)


class KubernetesServer:
    """An API server of its own, with RBAC. `admin` may do everything."""

    def __init__(self) -> None:
        self._programs = {name: os.environ[name] for name in PROGRAMS}
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="recoup-kubernetes-"))
        self._running: list[subprocess.Popen[bytes]] = []
        self.authority = Authority(self.directory)
        self.authority.issue("kube-apiserver", addresses=("127.0.0.1",))
        self.authority.issue("admin", "system:masters")
        self.authority.issue("service-accounts")
        self._has_velero = False
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        self.kubeconfig = self.write_kubeconfig("admin")

    def _start_all(self) -> None:
        attempts = 5
        for attempt in range(1, attempts + 1):
            self.port, self._etcd_port = s3.free_port(), s3.free_port()
            try:
                self._start_etcd()
                self.start()
                self._wait()
                return
            except RuntimeError as problem:
                # Somebody else took a port after it was found to be free.
                if "address already in use" not in str(problem) or attempt == attempts:
                    raise
                self._end_all()
                for each in [self.directory / "etcd", *self.directory.glob("*.log")]:
                    shutil.rmtree(each) if each.is_dir() else each.unlink()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        log = open(self.directory / f"{pathlib.Path(command[0]).name}.log", "ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=s3.die_with_parent)
        log.close()
        self._running.append(process)
        return process

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{s3.free_port()}"
        self._start(
            self._programs["ETCD"], f"--data-dir={self.directory / 'etcd'}", "--unsafe-no-fsync", f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}", "--log-level=error",
        )  # fmt: skip

    def start(self) -> None:
        """The API server alone; after kill() it comes back at the same place, with what etcd holds."""
        file = self.directory
        self._apiserver = self._start(
            self._programs["KUBE_APISERVER"],
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={file}/kube-apiserver.crt", f"--tls-private-key-file={file}/kube-apiserver.key", f"--client-ca-file={file}/ca.crt",
            "--service-account-issuer=https://recoup.test", f"--service-account-key-file={file}/service-accounts.crt",
            f"--service-account-signing-key-file={file}/service-accounts.key", "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", f"--cert-dir={file}/generated",
            "--endpoint-reconciler-type=none", "--profiling=false",
        )  # fmt: skip

    def kill(self) -> None:
        """The API server, as a crash ends it."""
        self._apiserver.kill()
        self._apiserver.wait()

    def _wait(self, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self.request("GET", "/readyz") == "ok" and self._is_settled():
                    return
            ended = next((each for each in self._running if each.poll() is not None), None)
            if ended is not None or time.monotonic() > end:
                logs = "\n".join(file.read_text(errors="replace")[-3000:] for file in self.directory.glob("*.log"))
                raise RuntimeError(f"the API server does not start: {ended.args[0] if ended else 'no answer'}\n{logs}")
            time.sleep(0.1)

    def _is_settled(self) -> bool:
        """What the server makes by itself, and kinds that were defined: it may be ready a moment before."""
        if self._has_velero:
            self.request("GET", "/apis/velero.io/v1/backups")
        names = {each["metadata"]["name"] for each in self.request("GET", "/api/v1/namespaces")["items"]}
        return names >= {"default", "kube-node-lease", "kube-public", "kube-system"}

    def wait_until_ready(self) -> None:
        self._running = [each for each in self._running if each.poll() is None]
        self._wait()

    def _end_all(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()
        self._running = []

    def stop(self) -> None:
        self._end_all()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- users -----------------------------------------------------------------------------------------------------------

    def write_kubeconfig(self, user: str, *, file: str = "", server: str = "", authority: str = "ca.crt") -> pathlib.Path:
        """For a user of whom the authority has issued a certificate."""
        path = self.directory / (file or f"{user}.kubeconfig")
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server or self.address, "certificate-authority": str(self.directory / authority)}}],
            "users": [{"name": user, "user": {"client-certificate": str(self.directory / f"{user}.crt"), "client-key": str(self.directory / f"{user}.key")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }))  # fmt: skip
        return path

    def user(self, name: str, *rules: dict[str, Any]) -> pathlib.Path:
        """The kubeconfig of a user who may do what the `rules` of a ClusterRole allow."""
        self.authority.issue(name)
        self.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)})
        self.create({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}],
        })  # fmt: skip
        self.wait_until_allowed(name, *rules)
        return self.write_kubeconfig(name)

    def wait_until_allowed(self, user: str, *rules: dict[str, Any], namespace: str = "") -> None:
        """The server heeds new roles a moment after it has stored them."""
        for rule in rules:
            resource, _, subresource = rule["resources"][0].partition("/")
            attributes = {"group": rule["apiGroups"][0], "resource": resource, "subresource": subresource, "verb": rule["verbs"][0]}
            review = {
                "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                "spec": {"user": user, "resourceAttributes": {**attributes, "namespace": namespace}},
            }  # fmt: skip
            path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
            wait_until(lambda path=path, review=review: self.request("POST", path, review)["status"].get("allowed"), what=f"{user} is allowed {rule}")

    # ---- as the administrator, without anything of recoup's ----------------------------------------------------------------

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        return context

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, content, headers, method=method)
        try:
            try:
                with urllib.request.urlopen(request, context=self._context, timeout=120) as answer:
                    text = answer.read().decode()
            except urllib.error.HTTPError as problem:
                raise OSError(f"{method} {path}: {problem.code} {problem.read().decode(errors='replace')}") from problem
        except http.client.HTTPException as problem:
            raise OSError(f"{method} {path}: {problem!r}: the server ended in the middle of its answer") from problem
        return json.loads(text) if text.startswith("{") else text

    def path_of(self, document: dict[str, Any], *, name: bool = True) -> str:
        group = document["apiVersion"]
        plural = document["kind"].lower() + ("es" if document["kind"].endswith("ss") else "s")
        plural = plural.removesuffix("ys") + "ies" if plural.endswith("ys") else plural
        namespace = document["metadata"].get("namespace")
        parts = ["/apis" if "/" in group else "/api", group, *(["namespaces", namespace] if namespace else []), plural]
        return "/".join([*parts, document["metadata"]["name"]] if name else parts)

    def create(self, document: dict[str, Any]) -> dict[str, Any]:
        """With its status, if its kind has no subresource for that."""
        metadata = {key: value for key, value in document["metadata"].items() if key not in ("resourceVersion", "uid", "generation", "managedFields")}
        return self.request("POST", self.path_of(document, name=False), {**document, "metadata": metadata})

    def get(self, document: dict[str, Any]) -> dict[str, Any]:
        return self.request("GET", self.path_of(document))

    def patch(self, document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
        """A merge patch: so a server of Velero's writes its objects."""
        return self.request("PATCH", self.path_of(document), change, _MERGE)

    def delete(self, document: dict[str, Any]) -> dict[str, Any]:
        return self.request("DELETE", self.path_of(document))

    def install_velero(self) -> None:
        """Its definitions, until they are served."""
        names = []
        for file in sorted(pathlib.Path(self._programs["VELERO_CRDS"]).glob("*/bases/*.yaml")):
            definition = yaml.safe_load(file.read_text())
            self.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
            names.append(definition["spec"]["names"]["plural"])

        def are_served() -> bool:
            with contextlib.suppress(OSError):
                served = {each["name"] for version in ("v1", "v2alpha1") for each in self.request("GET", f"/apis/velero.io/{version}")["resources"]}
                return served >= set(names)
            return False

        wait_until(are_served, step=0.05, what="Velero's definitions are served")
        self._has_velero = True


@functools.cache
def shared_server() -> KubernetesServer:
    """One for all tests of this process: it takes some seconds to start."""
    server = KubernetesServer()
    atexit.register(server.stop)
    server.install_velero()
    return server


def needs_server() -> None:
    """Skips where the programs are not there."""
    missing = [name for name in PROGRAMS if not os.environ.get(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not set: eval $(tools/kubernetes.sh)")
    pytest.importorskip("kubernetes")


_namespaces = 0


@pytest.fixture(scope="session")
def server() -> KubernetesServer:
    needs_server()
    return shared_server()


@pytest.fixture
def namespace(server: KubernetesServer) -> str:
    """A new one, with nothing in it."""
    global _namespaces
    _namespaces += 1
    name = f"test-{_namespaces}"
    server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def cluster(server: KubernetesServer, namespace: str) -> Any:
    """As the administrator, with Velero in the namespace."""
    from recoup.velero.cluster import Cluster

    with Cluster.connect(server.kubeconfig, namespace=namespace) as connected:
        yield connected
