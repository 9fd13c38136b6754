"""What a restore of a whole backup did."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from ..fields import format_time, printable
from ..manifests import LeftOut

#: Raised by one when something in the JSON changes its meaning or goes away; new fields may come at any time.
REPORT_VERSION = 1


class VolumeOutcome(str, enum.Enum):
    """What became of a volume."""

    RESTORED = "restored"
    ALREADY = "already"  # an earlier run of this restore has done it
    WITHOUT_DATA = "without data"  # the backup has none, and Velero meant it so
    FAILED = "failed"
    WOULD_BE = "would be restored"  # in a dry run

    def __str__(self) -> str:
        return self.value


class ObjectOutcome(str, enum.Enum):
    """What became of an object."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    HELD_BACK = "held back"  # it would start without its data
    UNCHECKED = "unchecked"  # in a dry run: known only when what it depends on is there
    WRITTEN = "written"  # as a file

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class RestoredObject:
    """An object, and what the server said to it."""

    reference: str
    outcome: ObjectOutcome
    message: str = ""


@dataclass(frozen=True)
class RestoredVolume:
    """A volume; `files` are all its entries, `bytes` those of their contents."""

    name: str
    """NAMESPACE/CLAIM or NAMESPACE/POD:VOLUME, as in the backup."""
    outcome: VolumeOutcome
    target: str = ""
    """A directory, or "claim NAMESPACE/NAME" in the cluster."""
    snapshot: str = ""
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    message: str = ""
    note: str = ""
    """Where the data is from, if not from this backup."""


@dataclass(frozen=True)
class RestoreReport:
    """What was restored, what not, and why. Times are aware."""

    location: str
    backup: str
    backup_time: datetime | None
    target: str
    """The directory, or the API server."""
    started: datetime
    seconds: float
    is_dry_run: bool
    objects: tuple[RestoredObject, ...]
    volumes: tuple[RestoredVolume, ...]
    left_out: tuple[LeftOut, ...]
    problems: tuple[str, ...]
    """What is wrong with the backup's own files: there may be more in it than was restored."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that was wanted, and that the backup has, is there now."""
        return not self.problems and not self.failed_objects and not self.failed_volumes

    @property
    def failed_objects(self) -> tuple[RestoredObject, ...]:
        bad = (ObjectOutcome.REFUSED, ObjectOutcome.HELD_BACK)
        return tuple(each for each in self.objects if each.outcome in bad)

    @property
    def failed_volumes(self) -> tuple[RestoredVolume, ...]:
        return tuple(each for each in self.volumes if each.outcome is VolumeOutcome.FAILED)

    @property
    def summary(self) -> str:
        """One line."""
        parts = [_counts("objects", Counter(str(each.outcome) for each in self.objects))]
        parts.append(_counts("volumes", Counter(str(each.outcome) for each in self.volumes)))
        if self.problems:
            parts.append(f"{len(self.problems)} problems of the backup")
        verdict = "complete" if self.is_complete else "NOT complete"
        begin = "dry run" if self.is_dry_run else f"restore of {self.backup} is {verdict}"
        return printable(f"{begin}: {'; '.join(parts)}; {self.seconds:.0f} s", 1000)

    def to_json(self) -> dict[str, Any]:
        """Only dictionaries, lists, texts and numbers; times as RFC 3339 in UTC."""
        return {
            "version": REPORT_VERSION,
            "is_complete": self.is_complete,
            "summary": self.summary,
            "location": self.location,
            "backup": self.backup,
            "backup_time": format_time(self.backup_time) if self.backup_time else None,
            "target": self.target,
            "started": format_time(self.started),
            "seconds": round(self.seconds, 3),
            "dry_run": self.is_dry_run,
            "objects": [{**asdict(each), "outcome": str(each.outcome)} for each in self.objects],
            "volumes": [{**asdict(each), "outcome": str(each.outcome)} for each in self.volumes],
            "left_out": [asdict(each) for each in self.left_out],
            "problems": list(self.problems),
        }


class Observer(Protocol):
    """Is told while it goes on."""

    def object_done(self, done: RestoredObject) -> None: ...

    def volume_begun(self, name: str, total_bytes: int) -> None: ...

    def volume_progress(self, name: str, bytes_done: int, total_bytes: int) -> None: ...

    def volume_done(self, done: RestoredVolume) -> None: ...


class SilentObserver:
    """Wants to know nothing."""

    def object_done(self, done: RestoredObject) -> None:
        pass

    def volume_begun(self, name: str, total_bytes: int) -> None:
        pass

    def volume_progress(self, name: str, bytes_done: int, total_bytes: int) -> None:
        pass

    def volume_done(self, done: RestoredVolume) -> None:
        pass


def _counts(what: str, counted: Counter[str]) -> str:
    return f"{what}: {', '.join(f'{count} {name}' for name, count in counted.items()) or 'none'}"
