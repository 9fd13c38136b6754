"""A pod that mounts a claim, so that its volume can be filled: made, waited for, and taken away whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import quote

from ..._engine import Error, InvalidArgumentError, StorageError
from ..fields import printable
from .answers import Refused
from .api import KubernetesApi, Uncertain, sleep_until
from .executing import Container

_log = logging.getLogger("recoup")

# Small, for every architecture, kept up to date, and with GNU tar: BusyBox's restores neither extended attributes (ACLs are such) nor
# fractions of seconds.
IMAGE = "debian:12-slim"
MANAGED_BY = "app.kubernetes.io/managed-by"
MOUNTED_AT = "/volume"
CONTAINER = "fill"
_RUN = "recoup.velero/run"
_GONE_SECONDS = 90.0
# What tar needs to give files to others; all of it is allowed by the Pod Security Standard "baseline".
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP")
# What does not become better by itself. A pull has been tried twice before it is "backed off".
_HOPELESS = ("InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError")


@dataclass(frozen=True)
class HelperSettings:
    """How a helper pod is made."""

    image: str = IMAGE
    """With sh, tar (GNU's, or BusyBox's with less), find, stat, ls, id, head and sleep."""
    image_pull_secrets: Sequence[str] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    """None by default: a claim that is bound as it is first used is bound for ever to the node to which this pod comes, and there its own
    pods must be able to run. Those of its workload are what is meant here."""
    affinity: Mapping[str, Any] | None = None
    deadline: int = 86400
    """Seconds after which Kubernetes ends the pod, whatever has become of recoup."""
    patience: float = 300.0
    """Seconds within which it has to run."""


def helper_name(claim: str) -> str:
    """The same for the same claim."""
    name = f"recoup-fill-{claim}"
    return name if len(name) <= 63 else f"{name[:54].rstrip('-.')}-{hashlib.sha256(claim.encode()).hexdigest()[:8]}"


class HelperPod:
    """with HelperPod(…) as container: its container runs."""

    def __init__(self, api: KubernetesApi, namespace: str, claim: str, settings: HelperSettings) -> None:
        self._api = api
        self._namespace = namespace
        self._claim = claim
        self._settings = settings
        self._token = secrets.token_hex(8)
        self.name = helper_name(claim)

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{quote(self._namespace, safe='')}/pods"

    @property
    def _path(self) -> str:
        return f"{self._pods}/{quote(self.name, safe='')}"

    def __str__(self) -> str:
        return f"the helper pod {self._namespace}/{self.name}"

    def __enter__(self) -> Container:
        self._remove_older()
        try:
            self._create()
            self._wait()
        except BaseException:
            self.remove()
            raise
        return Container(self._api, self._namespace, self.name, CONTAINER)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.remove()

    def document(self) -> dict[str, Any]:
        settings = self._settings
        container = {
            "name": CONTAINER,
            "image": settings.image,
            # Kubernetes ends it at its deadline, or recoup before.
            "command": ["sleep", str(settings.deadline)],
            "volumeMounts": [{"name": "volume", "mountPath": MOUNTED_AT}],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": list(_CAPABILITIES)},
            },
        }
        spec: dict[str, Any] = {
            "containers": [container],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": self._claim}}],
            "restartPolicy": "Never",
            "activeDeadlineSeconds": settings.deadline,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # Owners of files are given by root only.
            "securityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
            "nodeSelector": dict(settings.node_selector) or None,
            "tolerations": [dict(each) for each in settings.tolerations] or None,
            "affinity": dict(settings.affinity) if settings.affinity else None,
            "imagePullSecrets": [{"name": each} for each in settings.image_pull_secrets] or None,
        }
        labels = {MANAGED_BY: "recoup", "app.kubernetes.io/name": "recoup-fill", "velero.io/exclude-from-backup": "true"}
        metadata = {"name": self.name, "namespace": self._namespace, "labels": labels, "annotations": {_RUN: self._token}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {key: value for key, value in spec.items() if value is not None}}

    # ---- made ------------------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        try:
            self._api.request("POST", self._pods, query={"fieldManager": "recoup"}, body=self.document())
        except Uncertain:
            found = self._get()
            if found is None or (found["metadata"].get("annotations") or {}).get(_RUN) != self._token:
                raise
        except Refused as problem:
            if problem.status == 403 and "violates PodSecurity" in problem.message:
                raise InvalidArgumentError(
                    f"cannot create {self}: {problem.message}. Files get their owners from root only: let the namespace be "
                    f"pod-security.kubernetes.io/enforce=baseline meanwhile, or fill the volume in its own pod (restore-pvc --pod)"
                ) from problem
            raise problem.error(f"create {self}") from problem

    def _get(self) -> Mapping[str, Any] | None:
        try:
            return self._api.get(self._path)
        except Refused as problem:
            if problem.is_missing:
                return None
            raise problem.error(f"read {self}") from problem

    def _remove_older(self) -> None:
        """What a run has left that was killed."""
        found = self._get()
        if found is None:
            return
        if (found["metadata"].get("labels") or {}).get(MANAGED_BY) != "recoup":
            raise InvalidArgumentError(f"there is a pod {self._namespace}/{self.name} which is not recoup's: its name is needed. Delete or rename it")
        self._delete(str(found["metadata"]["uid"]))
        if not sleep_until(lambda: self._get() is None, _GONE_SECONDS):
            raise StorageError(f"{self} of an earlier run is still being deleted after {_GONE_SECONDS:.0f} s: does its node's kubelet run?")

    # ---- waited for ------------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        end, pause = time.monotonic() + self._settings.patience, 0.1
        while True:
            found = self._get()
            if found is None:
                raise StorageError(f"{self} was deleted by somebody while it was waited for")
            status = found.get("status") or {}
            waiting = [each.get("state", {}).get("waiting") or {} for each in status.get("containerStatuses") or []]
            if status.get("phase") == "Running" and not any(waiting):
                return
            if status.get("phase") in ("Failed", "Succeeded") or any(each.get("reason") in _HOPELESS for each in waiting):
                raise StorageError(f"{self} cannot run: {self._why(found)}")
            if time.monotonic() >= end:
                raise StorageError(f"{self} does not run after {self._settings.patience:.0f} s: {self._why(found)}")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)

    def _why(self, pod: Mapping[str, Any]) -> str:
        """What the scheduler, the kubelet and the provisioner have said."""
        status = pod.get("status") or {}
        said: list[str] = []
        if status.get("phase") in ("Failed", "Succeeded"):
            said.append(f"it ended as {status['phase']} ({status.get('reason') or 'no reason'}): {status.get('message') or ''}")
        said += [str(each.get("message")) for each in status.get("conditions") or [] if each.get("status") == "False" and each.get("message")]
        for each in status.get("containerStatuses") or []:
            waiting = each.get("state", {}).get("waiting") or {}
            if waiting.get("reason"):
                said.append(f"{waiting['reason']}: {waiting.get('message') or ''} (another image: --image)")
        said += self._claims_state()
        said += self._events(str(pod["metadata"]["uid"]))
        distinct = list(dict.fromkeys(printable(each.strip(), 500) for each in said if each.strip()))
        if not distinct:
            return "nothing has said why. Does the cluster have a scheduler, and a node that is ready?"
        if any("affinity/selector" in each or "taint" in each for each in distinct):
            distinct.append("where it may run is given by --node-selector and --toleration")
        return "; ".join(distinct)

    def _claims_state(self) -> list[str]:
        path = f"/api/v1/namespaces/{quote(self._namespace, safe='')}/persistentvolumeclaims/{quote(self._claim, safe='')}"
        with contextlib.suppress(Refused, Error):
            claim = self._api.get(path)
            phase = (claim.get("status") or {}).get("phase")
            if phase != "Bound":
                storage_class = (claim.get("spec") or {}).get("storageClassName") or "the default one"
                told = f"the claim {self._claim} is {phase}, not Bound (storage class: {storage_class})"
                return [told, *self._events(str(claim["metadata"]["uid"]))]
        return []

    def _events(self, uid: str) -> list[str]:
        """Warnings about an object, the last ones."""
        query = {"fieldSelector": f"involvedObject.uid={uid},type=Warning", "limit": "50"}
        with contextlib.suppress(Refused, Error):
            found = self._api.get(f"/api/v1/namespaces/{quote(self._namespace, safe='')}/events", query).get("items") or []
            return [f"{each.get('reason')}: {each.get('message')}" for each in found[-5:]]
        return []

    # ---- taken away ------------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Also where it is not certain that it was made. Does not raise: what went wrong before is worth more; Kubernetes ends the pod
        at its deadline in any case."""
        try:
            found = self._get()
            if found is None or (found["metadata"].get("annotations") or {}).get(_RUN) != self._token:
                return
            self._delete(str(found["metadata"]["uid"]))
            # A volume for one node is free for its own pods only then.
            if not sleep_until(self._is_gone, _GONE_SECONDS):
                _log.warning("%s is still being deleted after %.0f s", self, _GONE_SECONDS)
        except (Error, Refused) as problem:
            _log.warning("%s could not be deleted: %s. Delete it: kubectl delete pod -n %s %s", self, problem, self._namespace, self.name)

    def _is_gone(self) -> bool:
        found = self._get()
        return found is None or (found["metadata"].get("annotations") or {}).get(_RUN) != self._token

    def _delete(self, uid: str) -> None:
        try:
            self._api.request("DELETE", self._path, body={"preconditions": {"uid": uid}})
        except Refused as problem:
            if not problem.is_missing and problem.status != 409:
                raise problem.error(f"delete {self}") from problem
