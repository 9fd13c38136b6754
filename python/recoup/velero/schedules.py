"""Schedules, as the bucket shows them: what their backups tell, and how they are defined where a backup holds their definition."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .._engine import DamagedError, NotFoundError
from .bucket import Backup, BackupState
from .fields import Fields

_SCHEDULES = "schedules.velero.io"
# Each is a list to read, and where backups are of single namespaces, none of thousands has a schedule in it.
_BACKUPS_LOOKED_INTO = 20


@dataclass(frozen=True)
class Schedule:
    """A schedule by whose name there is a backup, or which a backup holds."""

    name: str
    expression: str | None  # five fields, @daily, @every 1h, CRON_TZ=…; None: no backup holds its definition
    is_paused: bool
    ttl: str
    """How long its backups stay, as the definition says it; "" where the server's default counts."""
    backups: int
    good: int
    failed: int  # failed, damaged or incomplete: nothing can be restored from them
    oldest: datetime | None
    newest: datetime | None
    newest_state: BackupState | None
    newest_good: datetime | None
    """Of the newest backup without errors."""
    usual_interval: timedelta | None
    """The median of the times between backups; None with fewer than three."""
    longest_gap: timedelta | None


def schedules_of(backups: Iterable[Backup]) -> list[Schedule]:
    """`backups` as VeleroBucket.backups() gives them, the newest last. Reads the manifests of the newest one that has them."""
    ordered = list(backups)
    by_name: dict[str, list[Backup]] = {}
    for backup in ordered:
        if backup.schedule:
            by_name.setdefault(backup.schedule, []).append(backup)
    found = {name: _from_backups(name, its) for name, its in by_name.items()}
    for name, (expression, is_paused, ttl) in _definitions(ordered).items():
        known = found.get(name) or _from_backups(name, [])
        found[name] = replace(known, expression=expression, is_paused=is_paused, ttl=ttl)
    return [found[name] for name in sorted(found)]


def _from_backups(name: str, backups: list[Backup]) -> Schedule:
    times = [each.time for each in backups if each.time]
    intervals = [later - earlier for earlier, later in zip(times, times[1:])]
    good = [each for each in backups if each.state is BackupState.GOOD]
    return Schedule(
        name=name,
        expression=None,
        is_paused=False,
        ttl="",
        backups=len(backups),
        good=len(good),
        failed=sum(1 for each in backups if each.state in (BackupState.FAILED, BackupState.DAMAGED, BackupState.INCOMPLETE)),
        oldest=times[0] if times else None,
        newest=times[-1] if times else None,
        newest_state=backups[-1].state if backups else None,
        newest_good=good[-1].time if good else None,
        usual_interval=_median(intervals) if len(intervals) > 1 else None,
        longest_gap=max(intervals, default=None),
    )


def _median(intervals: list[timedelta]) -> timedelta:
    return timedelta(seconds=statistics.median(each.total_seconds() for each in intervals))


def _definitions(backups: list[Backup]) -> dict[str, tuple[str, bool, str]]:
    """The newest whole-cluster backup has the schedules themselves; one of a few namespaces has none of them."""
    restorable = [each for each in backups if each.is_restorable]
    for backup in reversed(restorable[-_BACKUPS_LOOKED_INTO:]):
        found: dict[str, tuple[str, bool, str]] = {}
        try:
            if not any(kind.endswith("/Schedule") and kind.startswith("velero.io/") for kind in backup.resources()):
                continue
            for each in backup.manifests().objects():
                if each.resource == _SCHEDULES:
                    spec = Fields(each.document, each.path).fields("spec")
                    found[each.name] = (spec.text("schedule"), spec.flag("paused"), spec.fields("template").text("ttl"))
        except (NotFoundError, DamagedError):
            continue
        return found
    return {}
