"""What stands for a node, a scheduler and a provisioner beside a real Kubernetes API server (kubernetes_server.py): pods get a node and
run, claims are bound to directories of this machine, and commands in containers are real processes, each in a root of its own.

The streams of pods/exec are Kubernetes' own code (tests/support/kubelet; KUBELET, which tools/kubernetes.sh prints). What is not here:
images, probes, users other than root, and whatever a cluster does by itself.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
from typing import Any

import pytest
from kubernetes_server import KubernetesServer, needs_server, shared_server

from support import s3
from support.programs import wait_until

NODE = "node-1"
GNU, BUSYBOX, NO_TAR = "debian:12-slim", "busybox:1.35", "no-tar:1"
_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
)  # fmt: skip
_DEFAULT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "MKNOD", "SETFCAP")


class Kubelet:
    """One node. What its pods get to see can be spoiled: see the fields."""

    def __init__(self, server: KubernetesServer) -> None:
        self.server = server
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="recoup-kubelet-"))
        for each in ("containers", "claims", "images"):
            (self.directory / each).mkdir()
        server.authority.issue("kubelet", addresses=("127.0.0.1",))
        self.more: dict[str, Any] = {}
        """Goes into the description of each container that starts: cut_after, stall_after, user."""
        self.pods_seen: dict[str, dict[str, Any]] = {}
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._turn = threading.Lock()
        self._start_program()
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}}
        server.create(node)
        self._announce()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _start_program(self) -> None:
        log = open(self.directory / "kubelet.log", "ab")
        keys = self.server.directory
        self._program = subprocess.Popen(
            [os.environ["KUBELET"], "-certificate", keys / "kubelet.crt", "-key", keys / "kubelet.key", "-containers", self.directory / "containers"],
            stdout=subprocess.PIPE, stderr=log, preexec_fn=s3.die_with_parent,
        )  # fmt: skip
        log.close()
        assert self._program.stdout
        self.port = int(self._program.stdout.readline())

    def restart(self) -> None:
        """After it was cut, on another port."""
        self._program.kill()
        self._program.wait()
        self._start_program()
        self._announce()

    def _announce(self) -> None:
        self.server.request("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}],
        }}, "application/merge-patch+json")  # fmt: skip

    def pause(self) -> None:
        """Where nobody needs it, it takes neither the machine's time nor memory that others measure."""
        self._awake.clear()
        with self._turn:  # until this one is over
            pass

    def resume(self) -> None:
        self._awake.set()

    def stop(self) -> None:
        self._stopping.set()
        self._awake.set()
        self._thread.join()
        self._program.kill()
        self._program.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- what there is ---------------------------------------------------------------------------------------------------

    def volume(self, namespace: str, claim: str) -> pathlib.Path:
        """Where a claim's data is."""
        path = self.directory / "claims" / f"{namespace}_{claim}"
        path.mkdir(exist_ok=True)
        return path

    @functools.cached_property
    def _images(self) -> dict[str, tuple[pathlib.Path, list[dict[str, str]]]]:
        home = self.directory / "images"
        for name in ("gnu", "busybox", "no-tar"):
            for each in ("dev", "proc", "tmp", "etc", "usr"):
                (home / name / each).mkdir(parents=True)
        for each in ("bin", "sbin", "lib", "lib64"):
            if os.path.lexists(f"/{each}"):
                (home / "gnu" / each).symlink_to(f"usr/{each}")
        (home / "busybox/bin").mkdir()
        shutil.copy("/usr/bin/busybox", home / "busybox/bin/busybox")
        applets = subprocess.run(["/usr/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in set(applets) - {"busybox"}:
            (home / "busybox/bin" / applet).symlink_to("busybox")
        # A shell and nothing else: BusyBox's own one has all its programs in it.
        linked = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout.split()
        for file in ["/bin/sh", *(each for each in linked if each.startswith("/"))]:
            (home / "no-tar" / file.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, home / "no-tar" / file.lstrip("/"))
        devices = [{"source": each, "target": each} for each in ("/dev", "/proc")]
        return {
            GNU: (home / "gnu", [*devices, {"source": "/usr", "target": "/usr"}]),
            BUSYBOX: (home / "busybox", devices),
            NO_TAR: (home / "no-tar", devices),
        }

    # ---- the loop --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.wait(0.05):
            self._awake.wait()
            # The server is killed in some tests.
            with self._turn, contextlib.suppress(OSError):
                if self._awake.is_set():
                    self._look()

    def _look(self) -> None:
        for claim in self.server.request("GET", "/api/v1/persistentvolumeclaims")["items"]:
            self._bind(claim)
        for pod in self.server.request("GET", "/api/v1/pods")["items"]:
            with contextlib.suppress(OSError):  # 404, 409: it went, or changed
                self._sync(pod)

    def _bind(self, claim: dict[str, Any]) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        if claim["status"].get("phase") == "Bound":
            return
        path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}"
        if spec.get("storageClassName") == "no-such-class":
            self._tell(claim, "PersistentVolumeClaim", "ProvisioningFailed", 'storageclass.storage.k8s.io "no-such-class" not found')
            return
        merge = "application/merge-patch+json"
        self.server.request("PATCH", path, {"spec": {"volumeName": f"pv-{metadata['uid']}"}}, merge)
        self.server.request("PATCH", f"{path}/status", {"status": {"phase": "Bound"}}, merge)

    def _sync(self, pod: dict[str, Any]) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp") or (pod["status"].get("phase") in ("Failed", "Succeeded")):
            for file in (self.directory / "containers").glob(f"{metadata['namespace']}_{metadata['name']}_*.json"):
                file.unlink()
            if metadata.get("deletionTimestamp"):
                self.server.request("DELETE", f"{path}?gracePeriodSeconds=0")
        elif not spec.get("nodeName"):
            self._schedule(pod, path)
        elif spec["nodeName"] == NODE and pod["status"].get("phase") == "Pending":
            self._start(pod, path)

    def _schedule(self, pod: dict[str, Any], path: str) -> None:
        why = ""
        if any(pod["spec"].get("nodeSelector", {}).get(key) not in (None, NODE) for key in ("kubernetes.io/hostname", "disk")):
            why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        for name in _claims_of(pod).values():
            found = self.server.request("GET", f"{path.rsplit('/', 2)[0]}/persistentvolumeclaims/{name}")
            if found["status"].get("phase") != "Bound":
                why = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
        if not why:
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": NODE}}
            self.server.request("POST", f"{path}/binding", binding)
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
        self.server.request("PATCH", f"{path}/status", {"status": {"conditions": [condition]}}, "application/merge-patch+json")
        self._tell(pod, "Pod", "FailedScheduling", why)

    def _start(self, pod: dict[str, Any], path: str) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        self.pods_seen[f"{metadata['namespace']}/{metadata['name']}"] = pod
        statuses, phase = [], "Running"
        for each in spec["containers"]:
            status = {"name": each["name"], "image": each["image"], "imageID": "", "ready": True, "restartCount": 0}
            if each["image"] in self._images:
                self._describe(pod, each)
                state: dict[str, Any] = {"running": {"startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}
            else:
                phase, message = "Pending", f'Back-off pulling image "{each["image"]}": not found'
                state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
                self._tell(pod, "Pod", "Failed", message)
            statuses.append({**status, "state": state, "ready": phase == "Running"})
        if pod["status"].get("containerStatuses") and phase == "Pending":
            return
        change = {"phase": phase, "containerStatuses": statuses, "conditions": [{"type": "Ready", "status": str(phase == "Running")}]}
        self.server.request("PATCH", f"{path}/status", {"status": change}, "application/merge-patch+json")

    def _describe(self, pod: dict[str, Any], container: dict[str, Any]) -> None:
        namespace = pod["metadata"]["namespace"]
        image, mounts = self._images[container["image"]]
        claims = _claims_of(pod)
        # Mount points are made in the image; each claim is mounted in a namespace of mounts of its own.
        mounts = list(mounts)
        for each in container.get("volumeMounts", []):
            source = self.volume(namespace, claims.get(each["name"], f"{pod['metadata']['uid']}-{each['name']}"))
            (image / each["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
            mounts.append({"source": str(source), "target": each["mountPath"]})
        context = container.get("securityContext", {})
        wanted = context.get("capabilities", {})
        names = set() if wanted.get("drop") == ["ALL"] else set(_DEFAULT)
        numbers = [_CAPABILITIES.index(name) for name in names | set(wanted.get("add", []))]
        name = f"{namespace}_{pod['metadata']['name']}_{container['name']}.json"
        content = {"root": str(image), "mounts": mounts, "capabilities": numbers, **self.more}
        (self.directory / "containers" / name).write_text(json.dumps(content), encoding="utf-8")

    def _tell(self, document: dict[str, Any], kind: str, reason: str, message: str) -> None:
        """An event, once."""
        metadata = document["metadata"]
        name = f"{metadata['name']}.{reason.lower()}.{metadata['uid'][:8]}"
        about = {"kind": kind, "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"], "apiVersion": "v1"}
        with contextlib.suppress(OSError):  # it is there
            self.server.create({
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": metadata["namespace"]}, "involvedObject": about,
                "reason": reason, "message": message, "type": "Warning", "lastTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            })  # fmt: skip


def _claims_of(pod: dict[str, Any]) -> dict[str, str]:
    """Names of claims, by names of volumes."""
    return {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in pod["spec"].get("volumes", []) if "persistentVolumeClaim" in each}


@functools.cache
def shared_kubelet() -> Kubelet:
    kubelet = Kubelet(shared_server())
    atexit.register(kubelet.stop)
    return kubelet


def needs_kubelet() -> None:
    needs_server()
    if not os.environ.get("KUBELET"):
        pytest.skip("KUBELET not set: eval $(tools/kubernetes.sh)")
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    if not os.path.exists("/usr/bin/busybox"):
        pytest.skip("no BusyBox: apt install busybox-static")


@pytest.fixture
def kubelet() -> Kubelet:
    """The node, unspoiled."""
    needs_kubelet()
    found = shared_kubelet()
    found.more = {}
    found.resume()
    yield found
    found.pause()
    if "cut_after" in found.more:
        # Whoever was connected may know a moment earlier that it is gone.
        with contextlib.suppress(subprocess.TimeoutExpired):
            found._program.wait(10)
    found.more = {}
    if found._program.poll() is not None:
        found.restart()


def claim_in(server: KubernetesServer, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Makes a claim."""
    return server.create({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec},
    })  # fmt: skip


def pod_in(server: KubernetesServer, namespace: str, name: str, claims: dict[str, str], *, image: str = GNU, **spec: Any) -> dict[str, Any]:
    """Makes a pod with claims (names by mount paths), and waits until it runs."""
    volumes = [{"name": f"v{number}", "persistentVolumeClaim": {"claimName": claim}} for number, claim in enumerate(claims.values())]
    mounts = [{"name": f"v{number}", "mountPath": path} for number, path in enumerate(claims)]
    pod = server.create({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": image, "volumeMounts": mounts}], "volumes": volumes, **spec},
    })  # fmt: skip
    wait_until(lambda: server.get(pod)["status"].get("phase") == "Running", step=0.05, what=f"pod {name} runs")
    return pod


def pod_is_gone(server: KubernetesServer, pod: dict[str, Any]) -> bool:
    try:
        server.get(pod)
    except OSError as problem:
        return ": 404 " in str(problem)
    return False
