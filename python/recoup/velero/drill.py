"""A drill: restores volumes of the newest backup into a scratch directory, and says whether that backup is restorable.

Velero says "Completed" of backups that hold no data of some volumes, and never reads what it has stored. This does.
"""

from __future__ import annotations

import fnmatch
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from .._engine import DamagedError, Error, InvalidArgumentError, NotFoundError
from ..results import RestoreProgress
from .bucket import Backup, BackupState, VeleroBucket
from .comparison import Comparison, compare
from .contents import OpenVolume, open_volume
from .drill_report import Check, DrillReport, Outcome, VolumeDrill
from .fields import in_words
from .repositories import Repositories
from .scratch import remove_tree
from .search import lost_backups
from .volumes import BackupVolumes, Volume, VolumeState, read_volumes, why_not_restorable

# A backup that is being made looks like one that was cut off; after this it is one.
_LONGEST_UPLOAD = timedelta(hours=1)
_CLOCK_MAY_DIFFER = timedelta(hours=1)
# What a file costs on the disk beside its content.
_BYTES_PER_ENTRY = 4096
_MESSAGES_KEPT = 20


@dataclass(frozen=True)
class DrillProgress:
    """Which volume is being restored, and how far that is; bytes of the volume."""

    volume: str
    volumes_done: int
    total_volumes: int
    bytes_done: int
    total_bytes: int


@dataclass(frozen=True)
class DrillPlan:
    """What a drill is to do. The defaults restore every volume of the newest backup."""

    backup: str | None = None  # a name; None: the newest
    count: int | None = None  # restore so many volumes
    share: float | None = None  # or this share of them, above 0 and up to 1; at least one
    seed: str | None = None  # the same one chooses the same volumes; None: the backup's name
    max_age: timedelta | None = None
    now: datetime | None = None
    scratch: str | None = None  # the directory to make the scratch directory in; None: where temporary files go
    fail_on_skipped: bool = False  # whether volumes that Velero skipped, and says so, make the backup not restorable
    without_data: tuple[str, ...] = ()  # names or patterns ("media/*-cache") of volumes that need no data

    def __post_init__(self) -> None:
        if self.count is not None and self.share is not None:
            raise InvalidArgumentError("say how many volumes to restore, or which share of them, not both")
        if self.count is not None and self.count < 1:
            raise InvalidArgumentError(f"a drill restores at least one volume, not {self.count}")
        if self.share is not None and not 0 < self.share <= 1:
            raise InvalidArgumentError(f"the share of volumes to restore is above 0 and at most 1, not {self.share}")


def drill(
    bucket: VeleroBucket,
    plan: DrillPlan | None = None,
    *,
    repositories: Repositories | None = None,
    progress: Callable[[DrillProgress], Any] | None = None,
) -> DrillReport:
    """Tries whether a backup can be restored. Volumes go into a scratch directory, one after the other, and are removed
    again, also if this is ended by an exception or Ctrl-C. Damage is in the report; only what makes a drill impossible
    is raised: NotFoundError for a backup that was named and is not there, StorageError for a bucket that does not
    answer.
    """
    return _Drill(bucket, plan or DrillPlan(), repositories or Repositories(bucket), progress).run()


class _Drill:
    def __init__(
        self,
        bucket: VeleroBucket,
        plan: DrillPlan,
        repositories: Repositories,
        progress: Callable[[DrillProgress], Any] | None,
    ) -> None:
        self._bucket = bucket
        self._plan = plan
        self._repositories = repositories
        self._progress = progress
        self._started = datetime.now(timezone.utc)
        self._now = (plan.now or self._started).astimezone()  # naive is local, as everywhere
        self._clock = time.monotonic()
        self._checks: list[Check] = []
        self._volumes: list[VolumeDrill] = []
        self._candidates = 0
        self._seed = ""

    def run(self) -> DrillReport:
        backups = self._bucket.backups()
        backup = self._choose(backups)
        if backup is not None:
            self._seed = self._plan.seed if self._plan.seed is not None else backup.name
            self._check_age(backup)
            self._check_manifests(backup)
            read = self._read_volumes(backup)
            if read is not None:
                self._check_records(backup, backups, read)
                self._check_volumes(read.volumes)
            # Last: then what opens the repositories is known from this backup, if it knows.
            self._check_lost(backup, backups)
        return DrillReport(
            location=self._bucket.location,
            backup=backup.name if backup else None,
            backup_time=backup.time if backup else None,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            seed=self._seed,
            candidates=self._candidates,
            checks=tuple(self._checks),
            volumes=tuple(self._volumes),
        )

    def _add(self, name: str, outcome: Outcome, message: str, since: float | None = None) -> None:
        self._checks.append(Check(name, outcome, message, time.monotonic() - since if since is not None else 0.0))

    # ---- which backup

    def _choose(self, backups: list[Backup]) -> Backup | None:
        if self._plan.backup is not None:
            named = self._bucket.backup(self._plan.backup)
            why = why_not_restorable(named)
            self._add("backup", Outcome.FAILED if why else Outcome.PASSED, why or f"{named.name} is complete")
            return named
        whole = [each for each in backups if each.is_restorable]
        chosen = whole[-1] if whole else None
        newer = backups[backups.index(chosen) + 1 :] if chosen else backups
        broken = [each for each in newer if not self._is_being_made(each)]
        for each in broken:
            self._add("newest backup", Outcome.FAILED, f"{each.name} is {why_not_restorable(each)}")
        if chosen is None:
            self._add("backup", Outcome.FAILED, f"{self._bucket.location} holds no backup that can be restored")
        elif not broken:
            self._add("newest backup", Outcome.PASSED, f"{chosen.name} is {chosen.state}")
        return chosen

    def _is_being_made(self, backup: Backup) -> bool:
        if backup.state not in (BackupState.RUNNING, BackupState.INCOMPLETE) or backup.time is None:
            return False
        return self._now - backup.time < _LONGEST_UPLOAD

    def _check_age(self, backup: Backup) -> None:
        begun = backup.time
        if begun is None:
            self._add("age", Outcome.FAILED, f"when {backup.name} was made is not known")
            return
        age = self._now - begun
        text = f"{backup.name} began {begun:%Y-%m-%d %H:%M:%S} UTC, {in_words(age)} ago"
        if age < -_CLOCK_MAY_DIFFER:
            self._add(
                "age",
                Outcome.FAILED,
                f"{backup.name} began {begun:%Y-%m-%d %H:%M:%S} UTC, in the future: one of the clocks is wrong",
            )
        elif self._plan.max_age is not None and age > self._plan.max_age:
            self._add("age", Outcome.FAILED, f"{text}: more than the {in_words(self._plan.max_age)} that are allowed")
        else:
            self._add("age", Outcome.PASSED, text)

    def _check_lost(self, backup: Backup, backups: list[Backup]) -> None:
        begin, problems = time.monotonic(), list[str]()
        lost = lost_backups(self._bucket, self._repositories, backups=backups, on_problem=problems.append)
        for problem in problems:
            self._add("repositories", Outcome.FAILED, problem)
        for each in lost:
            is_newer = backup.time is None or each.time > backup.time
            self._add(
                f"lost backup {each.name}",
                Outcome.FAILED if is_newer and self._plan.backup is None else Outcome.WARNING,
                f"of {each.name}, {each.time:%Y-%m-%d %H:%M:%S} UTC, only snapshots of {len(each.volumes)} volumes are "
                "left: Velero was stopped before it had uploaded the rest, or the backup was deleted without them",
            )
        if not problems and not lost:
            self._add(
                "repositories", Outcome.PASSED, "all can be opened, and every snapshot belongs to a backup", begin
            )

    # ---- what the backup says

    def _check_manifests(self, backup: Backup) -> None:
        begin = time.monotonic()
        objects: set[tuple[str, str]] = set()
        problems: list[str] = []
        try:
            archive = backup.manifests()
            for each in archive.objects():
                name = f"{each.namespace}/{each.name}" if each.namespace else each.name
                objects.add((f"{each.api_version}/{each.kind}", name))
            problems += map(str, archive.problems)
        except (NotFoundError, DamagedError) as problem:
            problems.append(str(problem))
        try:
            listed = {(kind, name) for kind, names in backup.resources().items() for name in names}
            missing = sorted(listed - objects)
            if missing:
                few = ", ".join(" ".join(each) for each in missing[:3])
                problems.append(
                    f"{len(missing)} of {len(listed)} objects that Velero lists are not in the manifests: {few}"
                )
        except (NotFoundError, DamagedError, ValueError, TypeError) as problem:
            problems.append(f"whether the manifests are complete is not known: {problem}")
        if problems:
            self._add("manifests", Outcome.FAILED, _few(problems), begin)
        else:
            self._add("manifests", Outcome.PASSED, f"{len(objects)} objects, as Velero lists them", begin)

    def _read_volumes(self, backup: Backup) -> BackupVolumes | None:
        try:
            return read_volumes(self._bucket, backup, self._repositories)
        except Error as problem:
            self._add("list of volumes", Outcome.FAILED, str(problem))
            return None

    def _check_records(self, backup: Backup, backups: list[Backup], read: BackupVolumes) -> None:
        problems = list(read.notes)
        outcome = Outcome.FAILED
        # Velero before 1.13 writes no list of what it skipped: then no other backup has one either.
        has_skipped = any(f"{each.name}-volumeinfo.json.gz" in each.files for each in [*backups, backup])
        if not has_skipped and len(problems) == 1:
            outcome = Outcome.WARNING
        if problems:
            self._add("list of volumes", outcome, _few(problems))
        else:
            self._add("list of volumes", Outcome.PASSED, f"{len(read.volumes)} volumes")

    def _check_volumes(self, volumes: tuple[Volume, ...]) -> None:
        opened: list[OpenVolume] = []
        for volume in volumes:
            if not volume.has_copy:
                self._add(f"volume {volume.name}", self._outcome_without_data(volume), volume.trouble)
                continue
            try:
                opened.append(open_volume(self._repositories, volume))
            except Error as problem:
                self._add(f"volume {volume.name}", Outcome.FAILED, str(problem))
        self._candidates = len(opened)
        self._check_repositories(opened)
        if all(not each.has_copy and self._outcome_without_data(each) is Outcome.SKIPPED for each in volumes):
            self._add("restore", Outcome.WARNING, "no volume of the backup needs data: its manifests are all that was tried")
            return
        self._restore_all(self._sample(opened))

    def _outcome_without_data(self, volume: Volume) -> Outcome:
        if any(fnmatch.fnmatchcase(volume.name, pattern) for pattern in self._plan.without_data):
            return Outcome.SKIPPED
        if volume.state in (VolumeState.SKIPPED, VolumeState.ELSEWHERE) and not self._plan.fail_on_skipped:
            return Outcome.WARNING
        return Outcome.FAILED

    def _check_repositories(self, opened: list[OpenVolume]) -> None:
        """That everything is there which the snapshots need, also those that are not restored now."""
        by_place: dict[str, list[OpenVolume]] = {}
        for each in opened:
            if each.repository is not None:
                by_place.setdefault(each.repository.place.prefix, []).append(each)
        for prefix, volumes in sorted(by_place.items()):
            begin = time.monotonic()
            first = volumes[0].repository
            snapshots = [each.snapshot for each in volumes if each.snapshot is not None]
            if first is None:
                continue
            try:
                result = first.repository.check(snapshots=snapshots)
            except Error as problem:
                self._add(f"repository {prefix}", Outcome.FAILED, str(problem), begin)
                continue
            if result.errors:
                self._add(f"repository {prefix}", Outcome.FAILED, _few(result.errors), begin)
            else:
                self._add(f"repository {prefix}", Outcome.PASSED, f"whole for {len(snapshots)} snapshots", begin)

    # ---- restoring

    def _sample(self, opened: list[OpenVolume]) -> list[OpenVolume]:
        ordered = sorted(opened, key=lambda each: (each.volume.name, each.volume.snapshot))
        wanted = len(ordered)
        if self._plan.count is not None:
            wanted = min(self._plan.count, wanted)
        elif self._plan.share is not None and ordered:
            wanted = max(1, round(self._plan.share * wanted))
        chosen = set(random.Random(self._seed).sample(range(len(ordered)), wanted))
        return [each for number, each in enumerate(ordered) if number in chosen]

    def _restore_all(self, sample: list[OpenVolume]) -> None:
        if not sample:
            self._add("restore", Outcome.FAILED, "the backup has no volume that could be restored")
            return
        if self._plan.scratch is not None:
            os.makedirs(self._plan.scratch, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix="recoup-drill-", dir=self._plan.scratch)
        try:
            for number, volume in enumerate(sample):
                target = os.path.join(scratch, str(number))
                self._restore(volume, target, self._telling(volume, number, len(sample)))
                remove_tree(target)
        finally:
            remove_tree(scratch)

    def _telling(self, volume: OpenVolume, done: int, total: int) -> Callable[[RestoreProgress], None]:
        def tell(now: RestoreProgress) -> None:
            if self._progress is not None:
                self._progress(DrillProgress(volume.volume.name, done, total, now.bytes_done, now.total_bytes))

        return tell

    def _restore(self, volume: OpenVolume, target: str, tell: Callable[[RestoreProgress], None]) -> None:
        begin = time.monotonic()
        done = VolumeDrill(
            volume.volume.name, volume.volume.snapshot, volume.password.origin if volume.password else ""
        )
        try:
            lacking = _lacking_space(volume, target)
            if lacking:
                done = replace(done, problems=(lacking,))
            else:
                restored = volume.restore(target, progress=tell)
                errors = [": ".join(each) for each in restored.result.errors]
                found = compare(volume, target)
                done = _with(done, found, errors, self._wrong_size(volume, found))
        except (Error, OSError) as problem:
            done = replace(done, problems=(*done.problems, str(problem)))
        done = replace(done, seconds=time.monotonic() - begin)
        self._volumes.append(done)
        outcome = Outcome.FAILED if done.problems else Outcome.WARNING if done.notes else Outcome.PASSED
        counts = f"{done.files} files, {done.bytes} bytes restored and compared"
        name = f"volume {done.name}"
        if volume.snapshot is None:
            counts = "was empty, and that is how it was restored"
        self._checks.append(Check(name, outcome, _few([*done.problems, *done.notes]) or counts, done.seconds))

    def _wrong_size(self, volume: OpenVolume, found: Comparison) -> str:
        """restic counted a file as often as it has hard links, as the comparison does."""
        said = volume.volume.size
        if not said or said == found.bytes or not found.is_same:
            return ""
        return f"Velero counted {said} bytes, {found.bytes} were stored: files were changing while the backup read them"


def _with(done: VolumeDrill, found: Comparison, errors: Iterable[str], wrong_size: str) -> VolumeDrill:
    problems = [*errors, *found.problems]
    if found.problem_count > len(found.problems):
        problems.append(f"and {found.problem_count - len(found.problems)} more differences")
    notes = [*found.notes, *([wrong_size] if wrong_size else [])]
    return replace(
        done,
        entries=found.entries,
        files=found.files,
        bytes=found.bytes,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _lacking_space(volume: OpenVolume, target: str) -> str:
    """Why the volume does not fit; "" if it does."""
    parent = os.path.dirname(target)
    needs = volume.restore(target, dry_run=True).result
    free = shutil.disk_usage(parent).free
    wanted = needs.total_bytes + needs.total_files * _BYTES_PER_ENTRY
    if wanted > free:
        return f"not tried: it needs {wanted} bytes, and {free} are free in {parent}. Name a larger scratch directory"
    status = os.statvfs(parent)
    if status.f_files and needs.total_files > status.f_favail:
        return f"not tried: it has {needs.total_files} entries, and {parent} has room for {status.f_favail} more"
    return ""


def _few(messages: Iterable[str]) -> str:
    found = list(messages)
    more = [f"and {len(found) - _MESSAGES_KEPT} more"] if len(found) > _MESSAGES_KEPT else []
    return "\n".join([*found[:_MESSAGES_KEPT], *more])
