"""The volumes of a backup: what Velero says of each, from whichever of its records is left.

backups/NAME/NAME-podvolumebackups.json.gz   what was stored, and where
backups/NAME/NAME-volumeinfo.json.gz         the same in short, and what was skipped and why (since Velero 1.13)
pods and claims in the manifests             which claim a pod's volume is; claims that neither list names
tags of restic's snapshots                   when there is no list at all
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from .._engine import DamagedError, NotFoundError
from .bucket import Backup, BackupState, RepositoryPlace, VeleroBucket
from .fields import Fields, printable
from .model import PodVolumeBackup, Uploader, VolumeInfo
from .repositories import OpenRepository, Repositories, StoredSnapshot


class VolumeState(str, enum.Enum):
    """What there is of a volume."""

    STORED = "stored"
    EMPTY = "empty"  # it held nothing, so there is nothing to store: as good as stored
    FAILED = "failed"  # or Velero was not done with it
    SKIPPED = "skipped"  # Velero left it out, and says why
    ELSEWHERE = "elsewhere"  # in a snapshot of the storage, not in the bucket
    UNRECORDED = "unrecorded"  # a claim in the manifests of which Velero says nothing

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Volume:
    """A volume in a backup. Texts are "" where nothing is known."""

    backup: str
    backup_uid: str
    namespace: str
    claim: str | None  # the PersistentVolumeClaim; None for an emptyDir, and where it is not known
    pod: str
    volume: str  # the pod's name for it
    state: VolumeState
    uploader: Uploader | None  # None: not stored file by file
    phase: str  # as Velero has it: "Completed", "Failed", "InProgress"…
    snapshot: str  # of restic's ID the first 8 digits, or all of them where tags were read
    size: int  # bytes, as Velero counted
    reason: str  # why there is no data
    message: str  # Velero's own
    place: RepositoryPlace | None  # of restic, the default one until it is opened: see `identifier`
    identifier: str = field(default="", repr=False)  # what Velero called the repository
    method: str = field(default="", repr=False)  # "PodVolumeBackup", "CSISnapshot"…
    pod_uid: str = field(default="", repr=False)
    claim_uid: str = field(default="", repr=False)
    time: datetime | None = field(default=None, repr=False)  # when it was stored, or began to be
    is_ephemeral: bool = field(default=False, repr=False)  # an emptyDir: it never had a claim
    source: str = field(
        default="", repr=False
    )  # which record says so: "podvolumebackups", "volumeinfo", "manifests", "tags"

    @property
    def name(self) -> str:
        """NAMESPACE/CLAIM, or NAMESPACE/POD:VOLUME for what has no claim: what `find_volume` takes."""
        name = f"{self.namespace}/{self.claim}" if self.claim else f"{self.namespace}/{self.pod}:{self.volume}"
        return printable(name, 1000)

    @property
    def is_empty(self) -> bool:
        """It held nothing when it was backed up."""
        return self.state is VolumeState.EMPTY

    @property
    def is_skipped(self) -> bool:
        """Velero left it out."""
        return self.state is VolumeState.SKIPPED

    @property
    def has_copy(self) -> bool:
        """Whether it can be restored, as far as Velero's records say."""
        return self.state in (VolumeState.STORED, VolumeState.EMPTY)

    @property
    def trouble(self) -> str:
        """Why it cannot be restored; "" where it can."""
        if self.has_copy:
            return ""
        return "; ".join(printable(each, 1000) for each in (str(self.state), self.reason, self.message) if each)


@dataclass(frozen=True)
class BackupVolumes:
    """What `read_volumes` found, and what was wrong with the records that it is from."""

    volumes: tuple[Volume, ...]
    notes: tuple[str, ...]
    #: Names of claims in the manifests; None where these were not read, or not to their end.
    claims: tuple[str, ...] | None


def volumes_of(bucket: VeleroBucket, backup: Backup, repositories: Repositories | None = None) -> list[Volume]:
    """Every volume of a backup, by name: also those that were skipped, that failed, and claims that Velero does not
    mention. See `read_volumes`."""
    return list(read_volumes(bucket, backup, repositories).volumes)


def read_volumes(
    bucket: VeleroBucket, backup: Backup, repositories: Repositories | None = None, *, manifests: bool = True
) -> BackupVolumes:
    """Every volume of a backup, by name. Without `manifests` the tarball is not read, which is quick, but then claims
    can be missing that Velero does not mention, and the claims of volumes which Velero before 1.9 stored.

    `repositories` are opened only where both of Velero's lists are lost, and snapshots' tags have to say what there is.
    Raises what opening them raises.
    """
    return _Reading(bucket, backup, repositories).read(manifests)


class _Reading:
    def __init__(self, bucket: VeleroBucket, backup: Backup, repositories: Repositories | None) -> None:
        self._bucket = bucket
        self._backup = backup
        self._repositories = repositories
        self._notes: list[str] = []
        self._found: dict[tuple[str, str, str], Volume] = {}  # by namespace, pod and volume
        self._others: dict[tuple[str, str], Volume] = {}  # by namespace and claim

    def read(self, manifests: bool) -> BackupVolumes:
        has_list = self._read_list()
        has_infos = self._read_infos(has_list)
        if not has_list and not has_infos:
            self._read_tags()
        claims = self._read_manifests() if manifests else None
        volumes = sorted([*self._found.values(), *self._others.values()], key=lambda each: each.name)
        return BackupVolumes(tuple(volumes), tuple(self._notes), claims)

    @property
    def _uid(self) -> str:
        try:
            return self._backup.record.uid
        except (NotFoundError, DamagedError):
            return ""

    def _read_list(self) -> bool:
        problems: list[str] = []
        try:
            stored = self._backup.pod_volume_backups(problems)
        except (NotFoundError, DamagedError) as problem:
            self._notes.append(f"{problem}; other records say what was stored")
            return False
        self._notes += (f"{each}; other records may say what was stored" for each in problems)
        for each in stored:
            key = (each.namespace, each.pod, each.volume)
            # Of several attempts, the one that succeeded counts, or else the last.
            if key not in self._found or not self._found[key].has_copy:
                self._found[key] = _from_list(each, self._backup.name, self._uid)
        return bool(stored) or not problems

    def _read_infos(self, has_list: bool) -> bool:
        problems: list[str] = []
        try:
            infos = self._backup.volume_infos(problems)
        except NotFoundError as problem:
            self._notes.append(
                f"{problem}: which volumes were skipped, and why, is not known (Velero before 1.13 tells nobody)"
            )
            return False
        except DamagedError as problem:
            self._notes.append(f"{problem}; which volumes were skipped, and why, is not known")
            return False
        self._notes += (f"{each}; which volume that is, and whether it was skipped, is not known" for each in problems)
        for info in infos:
            key = (info.pod_namespace, info.pod, info.volume)
            if info.volume and key in self._found:
                self._found[key] = _joined(self._found[key], info)
            elif info.volume:
                self._found[key] = _from_info(info, self._backup.name, self._uid)
                if has_list:
                    self._notes.append(f"{self._found[key].name} is in the list of volumes, but not among those stored")
        stored_claims = {(each.namespace, each.claim) for each in self._found.values() if each.claim}
        for info in infos:
            key_of_claim = (info.claim_namespace, info.claim)
            if not info.volume and info.claim and key_of_claim not in stored_claims:
                self._others[key_of_claim] = _from_info(info, self._backup.name, self._uid)
        return bool(infos) or not problems

    def _read_tags(self) -> None:
        repositories = self._repositories or Repositories(self._bucket)
        uid = self._uid
        for place in repositories.all():
            opened = repositories.open(place, self._backup)
            for each in volumes_by_tags(opened, opened.snapshots()):
                if each.backup == self._backup.name and (not uid or each.backup_uid == uid):
                    self._found[each.namespace, each.pod, each.volume] = each
        self._notes.append(
            "which volumes there are is known from the tags of snapshots only: empty and failed ones leave none"
        )

    def _read_manifests(self) -> tuple[str, ...] | None:
        pods: dict[tuple[str, str, str], str] = {}
        claims: dict[tuple[str, str], str] = {}  # and their UIDs
        is_whole = True
        try:
            for each in self._backup.manifests().objects():
                try:
                    fields = Fields(each.document, f"backup {self._backup.name}: {each.path}")
                    if each.resource == "pods":
                        pods.update(_volumes_of_pod(fields, each.namespace or "", each.name))
                    elif each.resource == "persistentvolumeclaims":
                        claims[each.namespace or "", each.name] = fields.fields("metadata").text("uid")
                except DamagedError as problem:
                    self._notes.append(str(problem))  # one odd object says nothing about the others
        except (NotFoundError, DamagedError) as problem:
            self._notes.append(f"{problem}; which claims have no data is not known")
            is_whole = False
        by_uid = {uid: key for key, uid in claims.items() if uid}
        for key, volume in self._found.items():
            if volume.claim is None and not volume.is_ephemeral:
                named = by_uid.get(volume.claim_uid, ("", ""))
                claim = named[1] if named[0] == volume.namespace else pods.get(key)
                self._found[key] = replace(volume, claim=claim or None)
        self._add_unrecorded(claims, {(namespace, claim) for (namespace, _, _), claim in pods.items()})
        return tuple(f"{namespace}/{name}" for namespace, name in sorted(claims)) if is_whole else None

    def _add_unrecorded(self, claims: Iterable[tuple[str, str]], mounted: set[tuple[str, str]]) -> None:
        known = {(each.namespace, each.claim) for each in self._found.values()} | set(self._others)
        for namespace, claim in claims:
            if (namespace, claim) in known:
                continue
            use = "a pod in the backup uses it" if (namespace, claim) in mounted else "no pod in the backup uses it"
            self._others[namespace, claim] = _without_data(
                self._backup.name, self._uid, namespace, claim, f"Velero says nothing of it; {use}"
            )


def _volumes_of_pod(pod: Fields, namespace: str, name: str) -> dict[tuple[str, str, str], str]:
    """The claims of a pod's volumes."""
    found = {}
    for volume in pod.fields("spec").each("volumes"):
        claim = volume.fields("persistentVolumeClaim").text("claimName")
        if not claim and "ephemeral" in volume:
            claim = f"{name}-{volume.text('name')}"  # so Kubernetes calls the claim that it makes for the pod
        if claim:
            found[namespace, name, volume.text("name")] = claim
    return found


def _from_list(each: PodVolumeBackup, backup: str, uid: str) -> Volume:
    state = VolumeState.FAILED
    if each.phase == "Completed":
        state = VolumeState.EMPTY if each.is_empty else VolumeState.STORED
    reason = "" if each.phase in ("Completed", "Failed") else f"Velero was not done with it: {each.phase}"
    return Volume(
        backup=backup,
        # The cluster that wrote the list had the UID of which the tags speak.
        backup_uid=each.tags.get("backup-uid") or each.backup_uid or uid,
        namespace=each.namespace,
        claim=each.claim,
        pod=each.pod,
        volume=each.volume,
        state=state,
        uploader=each.uploader,
        phase=each.phase,
        snapshot=each.snapshot,
        size=each.size,
        reason=reason,
        message=each.message,
        place=_default_place(each.uploader, each.namespace),
        identifier=each.repository,
        method="PodVolumeBackup",
        pod_uid=each.pod_uid,
        claim_uid=each.claim_uid or "",
        time=each.started or each.completed,
        is_ephemeral="/kubernetes.io~empty-dir/" in each.path,
        source="podvolumebackups",
    )


def _from_info(info: VolumeInfo, backup: str, uid: str) -> Volume:
    namespace = info.pod_namespace or info.claim_namespace
    uploader = None
    if info.volume or info.is_moved:
        uploader = Uploader.KOPIA if info.uploader == Uploader.KOPIA.value or info.is_moved else Uploader.RESTIC
    state, reason = _state_of(info, uploader)
    return Volume(
        backup=backup,
        backup_uid=uid,
        namespace=namespace,
        claim=info.claim or None,
        pod=info.pod,
        volume=info.volume,
        state=state,
        uploader=uploader,
        phase={"succeeded": "Completed", "failed": "Failed"}.get(info.result, ""),
        snapshot=info.snapshot,
        size=info.size,
        reason=reason,
        message="",
        place=_default_place(uploader, namespace) if uploader else None,
        method=info.method,
        source="volumeinfo",
    )


def _state_of(info: VolumeInfo, uploader: Uploader | None) -> tuple[VolumeState, str]:
    if info.is_skipped:
        return VolumeState.SKIPPED, info.skipped_reason
    if info.result == "failed":
        return VolumeState.FAILED, "Velero says that it failed"
    if uploader is None:
        return (
            VolumeState.ELSEWHERE,
            f"its data is not in the bucket but where {info.method or 'another method'} keeps it",
        )
    if info.snapshot:
        return VolumeState.STORED, ""
    if info.result == "succeeded":
        return VolumeState.EMPTY, ""
    return VolumeState.FAILED, "Velero names no snapshot of it"


def _joined(volume: Volume, info: VolumeInfo) -> Volume:
    """Velero's list of what was stored is the better record; the other knows claims that have no annotation."""
    return replace(volume, claim=volume.claim or info.claim or None, size=volume.size or info.size)


def _without_data(backup: str, uid: str, namespace: str, claim: str, reason: str) -> Volume:
    return Volume(
        backup=backup,
        backup_uid=uid,
        namespace=namespace,
        claim=claim,
        pod="",
        volume="",
        state=VolumeState.UNRECORDED,
        uploader=None,
        phase="",
        snapshot="",
        size=0,
        reason=reason,
        message="",
        place=None,
        source="manifests",
    )


def volumes_by_tags(opened: OpenRepository, snapshots: Iterable[StoredSnapshot]) -> list[Volume]:
    """What snapshots say of themselves: one volume for each of a backup, from the newest of its snapshots."""
    found: dict[tuple[str, str, str, str, str], Volume] = {}
    for each in snapshots:
        if each.namespace == opened.place.namespace:
            key = (each.backup, each.backup_uid, each.namespace, each.pod, each.volume)
            found[key] = _from_tags(each, opened.place)
    return list(found.values())


def _from_tags(each: StoredSnapshot, place: RepositoryPlace) -> Volume:
    summary = each.snapshot.summary
    return Volume(
        backup=each.backup,
        backup_uid=each.backup_uid,
        namespace=each.namespace,
        claim=None,
        pod=each.pod,
        volume=each.volume,
        state=VolumeState.STORED,
        uploader=Uploader.RESTIC,
        phase="",
        snapshot=each.id,
        size=summary.total_bytes_processed if summary else 0,
        reason="",
        message="known from its snapshot's tags only: whether Velero could read everything in it is not known",
        place=place,
        method="PodVolumeBackup",
        pod_uid=each.pod_uid,
        claim_uid=each.claim_uid,
        time=each.time,
        is_ephemeral=any("/kubernetes.io~empty-dir/" in path for path in each.snapshot.paths),
        source="tags",
    )


def _default_place(uploader: Uploader, namespace: str) -> RepositoryPlace:
    return RepositoryPlace(uploader, namespace, f"{uploader}/{namespace}")


def what_velero_missed(backup: Backup) -> str:
    """For messages: that what Velero could not back up is missing in a backup that can be restored; "" if it had no errors."""
    if backup.state is not BackupState.PARTIAL:
        return ""
    errors = backup.record.errors
    count = f"{errors} error{'' if errors == 1 else 's'}" if errors else "errors"
    return f"Velero had {count} when it made {backup.name}: what these are about is not in it; `recoup velero describe {backup.name}` shows them"


def why_not_restorable(backup: Backup) -> str:
    """For messages: what is wrong with a backup as a whole; "" if nothing is."""
    state = backup.state
    if state in (BackupState.GOOD, BackupState.PARTIAL):
        return ""
    try:
        detail = backup.record.failure_reason or "; ".join(backup.record.validation_errors)
        if not backup.has_manifests and not detail:
            detail = "its manifests are missing"
        elif state in (BackupState.RUNNING, BackupState.INCOMPLETE):
            detail = f"Velero was in phase {backup.record.phase} when it was uploaded"
    except (NotFoundError, DamagedError) as problem:
        detail = str(problem)
    return f"{state}: {detail}" if detail else str(state)
