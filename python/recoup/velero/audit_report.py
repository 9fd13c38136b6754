"""What an audit of a bucket found, and how that is said."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .fields import format_time

#: Raised by one when something in the JSON changes its meaning or goes away; new fields may come at any time.
REPORT_VERSION = 1


class Severity(str, enum.Enum):
    """How grave a finding is, the gravest first."""

    CRITICAL = "critical"  # data is lost or open to others, or nothing is backed up any more
    WARNING = "warning"  # it will cost data or money one day
    NOTICE = "notice"  # to know

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Finding:
    """Something to be done, or to be known."""

    id: str
    """The kind, as "default-password"."""
    severity: Severity
    what: str
    where: str
    """A backup, a repository, a claim ("db/data"), a schedule, a directory."""
    why: str
    """Why it matters."""
    remedy: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """For programs: lists of names, times."""


@dataclass(frozen=True)
class Retention:
    """How far back a schedule's backups really go."""

    schedule: str
    """"" for backups that no schedule has made."""
    backups: int
    restorable: int
    oldest: datetime | None
    newest: datetime | None
    """Of those that can be restored."""
    ttl: tuple[str, ...]
    """For how long they were made to stay, each duration once: "168h"."""


@dataclass(frozen=True)
class AuditReport:
    """What `audit` found. Times are aware."""

    location: str
    time: datetime
    backups: int
    findings: tuple[Finding, ...]
    """The gravest first."""
    retention: tuple[Retention, ...]
    unexamined: tuple[str, ...]
    """What could not be looked into, and why: there may be more to find."""

    @property
    def worst(self) -> Severity | None:
        """Of all findings; None where there is none."""
        return self.findings[0].severity if self.findings else None

    def of(self, id: str) -> list[Finding]:
        """The findings of one kind: "skipped-volume"."""
        return [each for each in self.findings if each.id == id]

    def to_json(self) -> dict[str, Any]:
        """Only dictionaries, lists, texts and numbers; times as RFC 3339 in UTC."""
        return {
            "version": REPORT_VERSION,
            "location": self.location,
            "time": as_json(self.time),
            "backups": self.backups,
            "worst": self.worst.value if self.worst else None,
            "findings": [as_json(vars(each)) for each in self.findings],
            "retention": [as_json(vars(each)) for each in self.retention],
            "unexamined": list(self.unexamined),
        }


def as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in value]
    return value


def listed(names: Sequence[str], most: int = 3) -> str:
    """For sentences: "a, b, c and 4 more"."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def counted(count: int, one: str, many: str | None = None) -> str:
    """ "1 backup", "3 backups"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
