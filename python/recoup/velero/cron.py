"""When a schedule of Velero is due: cron expressions as robfig/cron's ParseStandard takes them, which is what Velero uses."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from .._engine import InvalidArgumentError
from .fields import parse_duration, printable

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_NAMED = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
# Of minute, hour, day of the month, month, day of the week.
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
# Nothing is due less often than on a 29th of February.
_LONGEST = timedelta(days=5 * 366)


@dataclass(frozen=True)
class Cron:
    """An expression. Times are reckoned in its zone, which is UTC unless it names another: as on Velero's server."""

    expression: str
    zone: tzinfo
    every: timedelta | None
    """Of "@every 6h"; the rest says nothing then."""
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day_counts: bool = True
    """Where day of the month and of the week are both given, one of them is enough."""

    @staticmethod
    def parse(expression: str) -> Cron:
        """Raises InvalidArgumentError."""
        try:
            return _parse(expression)
        except (ValueError, zoneinfo.ZoneInfoNotFoundError, OSError) as problem:
            raise InvalidArgumentError(
                f"{printable(expression)!r} is no schedule such as '0 2 * * *' or '@daily': {printable(str(problem))}"
            ) from problem

    def next(self, after: datetime) -> datetime | None:
        """The first time later than `after` at which it is due; None if there is none within five years."""
        if self.every is not None:
            return after + self.every
        local = after.astimezone(self.zone).replace(second=0, microsecond=0, tzinfo=None) + timedelta(minutes=1)
        end = local + _LONGEST
        while local < end:
            if local.month not in self.months or not self._is_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                found = local.replace(tzinfo=self.zone).astimezone(timezone.utc)
                # An hour that the clock skips or has twice in a night of the year.
                if found > after and found.astimezone(self.zone).replace(tzinfo=None) == local:
                    return found
                local += timedelta(minutes=1)
        return None

    def times(self, after: datetime, before: datetime, most: int = 1000) -> Iterator[datetime]:
        """All within two times, the first `most` of them."""
        due = self.next(after)
        while due is not None and due < before and most > 0:
            yield due
            due, most = self.next(due), most - 1

    def _is_day(self, local: datetime) -> bool:
        is_day, is_weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return (is_day and is_weekday) if self.any_day_counts else (is_day or is_weekday)


def _parse(expression: str) -> Cron:
    text = expression.strip()
    zone: tzinfo = timezone.utc
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, text = text.partition(" ")
        zone, text = zoneinfo.ZoneInfo(head.partition("=")[2]), text.strip()
    if text.startswith("@every "):
        every = parse_duration(text[len("@every ") :].strip())
        return Cron(expression, zone, max(every, timedelta(seconds=1)))
    if text.startswith("@"):
        if text not in _NAMED:
            raise ValueError(f"there is no {text}")
        text = _NAMED[text]
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"it has {len(fields)} fields, not 5")
    names: tuple[dict[str, int], ...] = ({}, {}, {}, _MONTHS, _DAYS)
    minutes, hours, days, months, weekdays = (
        _field(each, *bounds, known) for each, bounds, known in zip(fields, _BOUNDS, names)
    )
    any_day_counts = any(part in ("*", "?", "*/1") for position in (2, 4) for part in fields[position].split(","))
    return Cron(expression, zone, None, minutes, hours, days, months, weekdays, any_day_counts)


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            begin, end = low, high
        else:
            begin = _number(first, names)
            # "5/15" is 5, 20, 35 and 50.
            end = _number(last, names) if dash else high if slash else begin
        step = int(step_text) if slash else 1
        if not low <= begin <= end <= high or step < 1:
            raise ValueError(f"{part} is not within {low}-{high}")
        found.update(range(begin, end + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise ValueError(f"{text} is no number")
    return int(text)
