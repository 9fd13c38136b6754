"""What an audit sees in the times of backups: schedules with gaps, overdue ones, and how far back backups really go."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta

from .._engine import InvalidArgumentError
from .audit_backups import Seen
from .audit_report import Finding, Retention, Severity, counted
from .bucket import Backup
from .cron import Cron
from .fields import in_words
from .schedules import Schedule, schedules_of

# A backup begins up to a minute late, and behind others that run; and the next one may be as punctual as that.
_LEAST_GRACE, _MOST_GRACE = timedelta(minutes=10), timedelta(hours=12)
# Gaps that are older say nothing about the cluster of today.
_GAPS_SHOWN = 20


def findings(seen: Seen, now: datetime) -> Iterator[Finding]:
    for schedule in schedules_of(seen.backups):
        backups = _of(seen, schedule.name)
        if schedule.is_paused:
            yield Finding(
                "schedule-paused", Severity.WARNING, "the schedule is paused", schedule.name,
                "Velero makes no backups then, and says nothing about it, for ever", f"recoup velero unpause {schedule.name}",
            )  # fmt: skip
        rhythm = _Rhythm.of(schedule, backups, seen)
        if rhythm is None:
            continue
        yield from _gaps(schedule, backups, rhythm)
        if not schedule.is_paused:
            yield from _overdue(schedule, backups, rhythm, now)


class _Rhythm:
    """When backups are due: by the schedule's expression, or as they have usually come."""

    def __init__(self, cron: Cron | None, interval: timedelta, words: str) -> None:
        self.cron = cron
        self.interval = interval
        self.words = words
        self.grace = min(max(interval / 4, _LEAST_GRACE), _MOST_GRACE)

    @staticmethod
    def of(schedule: Schedule, backups: list[Backup], seen: Seen) -> _Rhythm | None:
        """None where nobody can tell."""
        times = [each.time for each in backups if each.time]
        if schedule.expression and times:
            try:
                cron = Cron.parse(schedule.expression)
            except InvalidArgumentError as problem:
                seen.unexamined.append(f"schedule {schedule.name}: {problem}")
            else:
                following = cron.next(times[-1])
                second = cron.next(following) if following else None
                if following and second:
                    return _Rhythm(cron, second - following, f"it is due at {schedule.expression!r}")
        intervals = [later - earlier for earlier, later in zip(times, times[1:])]
        if len(intervals) < 2:
            return None
        # Of two in the middle the shorter one: gaps only make intervals longer.
        usual = timedelta(seconds=statistics.median_low([each.total_seconds() for each in intervals]))
        return _Rhythm(None, usual, f"its backups usually come every {in_words(usual)}")

    def missed(self, earlier: datetime, later: datetime) -> int:
        """How many backups there should have been between two."""
        if self.cron is not None:
            return sum(1 for _ in self.cron.times(earlier + self.grace, later - self.grace))
        return max(0, round((later - earlier) / self.interval) - 1) if self.interval else 0

    def due(self, newest: datetime) -> datetime:
        following = self.cron.next(newest + self.grace) if self.cron is not None else None
        return following or newest + self.interval


def _of(seen: Seen, name: str) -> list[Backup]:
    return [each for each in seen.backups if each.schedule == name]


def _gaps(schedule: Schedule, backups: list[Backup], rhythm: _Rhythm) -> Iterator[Finding]:
    times = [each.time for each in backups if each.time]
    gaps = [(earlier, later, missed) for earlier, later in zip(times, times[1:]) if (missed := rhythm.missed(earlier, later))]
    if gaps:
        count = sum(missed for _, _, missed in gaps)
        first, last = gaps[0], gaps[-1]
        yield Finding(
            "schedule-gap", Severity.WARNING, f"{counted(count, 'backup')} did not come: {rhythm.words}, and between {first[0]:%Y-%m-%d %H:%M} and "
            f"{last[1]:%Y-%m-%d %H:%M} UTC there {'is a gap' if len(gaps) == 1 else f'are {len(gaps)} gaps'}", schedule.name,
            "Velero catches up on one of those it has missed, and does not tell about the others",
            "see what happened then: the server was down, the schedule paused, or a backup stuck, which holds up those after it",
            {"missed": count, "gaps": [{"from": earlier, "until": later, "missed": missed} for earlier, later, missed in gaps[-_GAPS_SHOWN:]]},
        )  # fmt: skip


def _overdue(schedule: Schedule, backups: list[Backup], rhythm: _Rhythm, now: datetime) -> Iterator[Finding]:
    times = [each.time for each in backups if each.time]
    due = rhythm.due(times[-1])
    if due + rhythm.grace < now:
        yield Finding(
            "backup-overdue", Severity.CRITICAL, f"the newest backup is {in_words(now - times[-1])} old: {rhythm.words}", schedule.name,
            "what has changed since then is in no backup",
            f"velero schedule get {schedule.name}; velero backup-location get; kubectl logs -n velero deployment/velero",
            {"newest": times[-1], "newest_backup": backups[-1].name, "due": due},
        )  # fmt: skip
        return
    good = [each.time for each in backups if each.is_restorable and each.time]
    if not good or rhythm.due(good[-1]) + rhythm.grace < now:
        yield Finding(
            "backup-overdue", Severity.CRITICAL, "its newest backups cannot be restored"
            + (f"; the last one that can is {in_words(now - good[-1])} old" if good else ""), schedule.name,
            "what has changed since then is in no backup", "recoup velero logs NAME shows why they fail",
            {"newest": good[-1] if good else None, "newest_backup": backups[-1].name, "due": rhythm.due(good[-1]) if good else None},
        )  # fmt: skip


def retention(seen: Seen) -> Iterator[Retention]:
    names = sorted({name for each in seen.backups if (name := each.schedule) is not None})
    for name in names:
        backups = _of(seen, name)
        times = [each.time for each in backups if each.is_restorable and each.time]
        spans = sorted({each.record.ttl for each in backups if each.record.ttl is not None})
        yield Retention(
            name, len(backups), sum(1 for each in backups if each.is_restorable), times[0] if times else None,
            times[-1] if times else None, tuple(f"{span.total_seconds() / 3600:g}h" for span in spans),
        )  # fmt: skip
