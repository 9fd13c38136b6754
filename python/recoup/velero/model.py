"""What Velero writes about a backup, as values (Velero 1.9 to 1.18; velero.io/v1 and internal/volume/volumes_information.go)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .._engine import DamagedError
from .fields import Fields, parse_duration


@dataclass(frozen=True)
class BackupRecord:
    """velero-backup.json: the Backup as it was when Velero had finished with it."""

    name: str
    namespace: str  # Velero's own
    uid: str  # as in the tags of restic's snapshots; a cluster that reads the bucket gives its own copy another one
    schedule: str | None
    phase: str
    created: datetime | None
    started: datetime | None
    completed: datetime | None
    expires: datetime | None
    ttl: timedelta | None
    errors: int
    warnings: int
    items: int
    items_backed_up: int
    failure_reason: str
    validation_errors: tuple[str, ...]
    storage_location: str
    kubernetes_version: str
    labels: Mapping[str, str] = field(repr=False)
    annotations: Mapping[str, str] = field(repr=False)
    spec: Mapping[str, Any] = field(repr=False)

    @staticmethod
    def parse(document: Any, where: str) -> BackupRecord:
        whole = Fields(document, where)
        if whole.text("kind", "Backup") != "Backup":
            raise DamagedError(f"{where} describes a {whole.text('kind')}, not a Backup")
        metadata, spec, status = whole.fields("metadata"), whole.fields("spec"), whole.fields("status")
        labels, annotations = metadata.texts("labels"), metadata.texts("annotations")
        progress = status.fields("progress")
        name = metadata.text("name")
        if not name:
            raise DamagedError(f"{where} names no backup")
        return BackupRecord(
            name=name,
            namespace=metadata.text("namespace", "velero"),
            uid=metadata.text("uid"),
            schedule=labels.get("velero.io/schedule-name"),
            phase=status.text("phase", "New"),
            created=metadata.time("creationTimestamp"),
            started=status.time("startTimestamp"),
            completed=status.time("completionTimestamp"),
            expires=status.time("expiration"),
            ttl=_duration(spec, "ttl", where),
            errors=status.number("errors"),
            warnings=status.number("warnings"),
            items=progress.number("totalItems"),
            items_backed_up=progress.number("itemsBackedUp"),
            failure_reason=status.text("failureReason"),
            validation_errors=tuple(str(each) for each in status.list("validationErrors")),
            storage_location=spec.text("storageLocation"),
            kubernetes_version=annotations.get("velero.io/source-cluster-k8s-gitversion", ""),
            labels=labels,
            annotations=annotations,
            spec=spec.raw(),
        )


def _duration(fields: Fields, name: str, where: str) -> timedelta | None:
    text = fields.text(name)
    try:
        return parse_duration(text) if text else None
    except (ValueError, OverflowError) as problem:
        raise DamagedError(f"{where}: {name} is no duration: {text!r}") from problem


class Uploader(str, enum.Enum):
    """What has stored a volume file by file."""

    RESTIC = "restic"
    KOPIA = "kopia"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class PodVolumeBackup:
    """One volume of one pod, as the node agent has stored it."""

    name: str
    namespace: str  # the pod's
    pod: str
    pod_uid: str
    volume: str  # the pod's name for it
    claim: str | None  # the PersistentVolumeClaim, unless it is an emptyDir or Velero is older than 1.9
    claim_uid: str | None
    backup: str
    backup_uid: str
    uploader: Uploader
    phase: str
    snapshot: str  # the first 8 digits of restic's ID; "" where nothing was stored
    repository: str  # as the cluster reaches it: s3:http://host:9000/bucket/prefix/restic/namespace; "" with kopia
    path: str
    message: str
    node: str
    started: datetime | None
    completed: datetime | None
    size: int  # bytes
    tags: Mapping[str, str] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        """Velero stores nothing of an empty volume, and says that it is complete."""
        return self.phase == "Completed" and not self.snapshot

    @staticmethod
    def parse(document: Any, where: str) -> PodVolumeBackup:
        whole = Fields(document, where)
        metadata, spec, status = whole.fields("metadata"), whole.fields("spec"), whole.fields("status")
        labels, annotations, tags = metadata.texts("labels"), metadata.texts("annotations"), spec.texts("tags")
        pod = spec.fields("pod")
        uploader = spec.text("uploaderType") or "restic"  # before 1.10 there was no other
        if uploader not in (Uploader.RESTIC.value, Uploader.KOPIA.value):
            raise DamagedError(f"{where}: uploaderType is {uploader!r}, neither restic nor kopia")
        return PodVolumeBackup(
            name=metadata.text("name"),
            namespace=pod.text("namespace"),
            pod=pod.text("name"),
            pod_uid=pod.text("uid"),
            volume=spec.text("volume"),
            claim=annotations.get("velero.io/pvc-name") or None,
            claim_uid=labels.get("velero.io/pvc-uid") or tags.get("pvc-uid") or None,
            backup=labels.get("velero.io/backup-name", ""),
            backup_uid=labels.get("velero.io/backup-uid", ""),
            uploader=Uploader(uploader),
            phase=status.text("phase", "New"),
            snapshot=status.text("snapshotID"),
            repository=spec.text("repoIdentifier"),
            path=status.text("path"),
            message=status.text("message"),
            node=spec.text("node"),
            started=status.time("startTimestamp"),
            completed=status.time("completionTimestamp"),
            size=status.fields("progress").number("totalBytes"),
            tags=tags,
        )


@dataclass(frozen=True)
class VolumeInfo:
    """What Velero did about a volume, and the only record of those that it passed over (since 1.13)."""

    claim: str
    claim_namespace: str
    persistent_volume: str
    method: str  # "PodVolumeBackup", "CSISnapshot", "NativeSnapshot", or "" where it was skipped
    is_skipped: bool
    skipped_reason: str
    result: str  # "succeeded", "failed", or "" in old versions
    pod: str
    pod_namespace: str
    volume: str
    snapshot: str
    size: int  # bytes
    uploader: str
    is_moved: bool  # a CSI snapshot whose data went into the bucket

    @staticmethod
    def parse(document: Any, where: str) -> VolumeInfo:
        whole = Fields(document, where)
        pod_volume, moved = whole.fields("pvbInfo"), whole.fields("snapshotDataMovementInfo")
        return VolumeInfo(
            claim=whole.text("pvcName"),
            claim_namespace=whole.text("pvcNamespace"),
            persistent_volume=whole.text("pvName"),
            method=whole.text("backupMethod"),
            is_skipped=whole.flag("skipped"),
            skipped_reason=whole.text("skippedReason").rstrip("; "),
            result=whole.text("result"),
            pod=pod_volume.text("podName"),
            pod_namespace=pod_volume.text("podNamespace"),
            volume=pod_volume.text("volumeName"),
            snapshot=pod_volume.text("snapshotHandle") or moved.text("snapshotHandle"),
            size=pod_volume.number("size") or moved.number("size"),
            uploader=pod_volume.text("uploaderType") or moved.text("uploaderType"),
            is_moved=whole.flag("snapshotDataMoved"),
        )


@dataclass(frozen=True)
class Results:
    """Errors and warnings, each with whose they are: "velero", "cluster", or a namespace."""

    errors: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]

    @staticmethod
    def parse(document: Any, where: str) -> Results:
        whole = Fields(document, where)
        return Results(errors=_messages(whole.fields("errors")), warnings=_messages(whole.fields("warnings")))


def _messages(fields: Fields) -> tuple[tuple[str, str], ...]:
    found = [(whose, str(text).strip()) for whose in ("velero", "cluster") for text in fields.list(whose)]
    namespaces = fields.fields("namespaces")
    for namespace in sorted(namespaces.raw()):
        found += [(namespace, str(text).strip()) for text in namespaces.list(namespace)]
    return tuple(found)
