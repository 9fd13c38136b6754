"""Cron expressions as Velero takes them (github.com/robfig/cron v3, ParseStandard), and when they are due.

    30 2 * * 1-5        minute, hour, day of the month, month, day of the week (0 is Sunday; 7 is refused)
    @daily              also @yearly, @annually, @monthly, @weekly, @midnight, @hourly
    @every 6h30m        counted from the last backup
    CRON_TZ=Europe/Berlin 0 2 * * *     or TZ=; otherwise the server's time zone, which is UTC in Velero's image
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from .._engine import InvalidArgumentError
from .fields import parse_duration, printable


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()  # from `least` on


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# February 29 on a given day of the week can be 40 years away; robfig/cron looks five years ahead and then says never.
_YEARS_AHEAD = 5


@dataclass(frozen=True)
class Cron:
    """An expression, and the times that it names."""

    expression: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    days_are_both: bool
    """A day must be in `days` and in `weekdays`: so where one of them is a star. Otherwise one of the two is enough."""
    every: timedelta | None
    zone: tzinfo
    """UTC where the expression names none: the server's own zone, in Velero's image."""

    @staticmethod
    def parse(text: str) -> Cron:
        """Raises InvalidArgumentError, which says what is wrong with `text`, where Velero would refuse it."""
        zone, rest = _zone_of(text)
        if rest.startswith("@every "):
            return _every(text, rest[len("@every ") :], zone)
        if rest.startswith("@"):
            if rest not in _DESCRIPTORS:
                raise _wrong(text, f"{rest} is none of {', '.join(_DESCRIPTORS)}, @every DURATION")
            rest = _DESCRIPTORS[rest]
        parts = rest.split()
        if len(parts) != len(_FIELDS):
            more = " (Velero knows no seconds)" if len(parts) == 6 else ""
            raise _wrong(text, f"it has {len(parts)} fields, not five: minute, hour, day of the month, month, day of the week{more}")
        sets, stars = zip(*(_parse_field(text, part, field) for part, field in zip(parts, _FIELDS)))
        minutes, hours, days, months, weekdays = sets
        return Cron(text, minutes, hours, days, months, weekdays, days_are_both=stars[2] or stars[4], every=None, zone=zone)

    def next(self, after: datetime) -> datetime | None:
        """When it is due next, in UTC. None: not within five years."""
        if self.every is not None:
            return after.astimezone(timezone.utc).replace(microsecond=0) + self.every
        # Minutes are counted in UTC and looked at in the zone: where a clock is put forward, what falls into the hour that is
        # not there is passed over, as robfig/cron does.
        moment = (after.astimezone(timezone.utc) + timedelta(minutes=1)).replace(second=0, microsecond=0)
        latest = moment.year + _YEARS_AHEAD
        while moment.year <= latest:
            local = moment.astimezone(self.zone)
            if local.month not in self.months or not self._is_day(local):
                moment = _midnight_after(local)
            elif local.hour not in self.hours:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                moment += timedelta(minutes=1)
            else:
                return moment
        return None

    def times(self, after: datetime, before: datetime, most: int = 1000) -> Iterator[datetime]:
        """All between two times, the first `most` of them."""
        due = self.next(after)
        while due is not None and due < before and most > 0:
            yield due
            due, most = self.next(due), most - 1

    def _is_day(self, local: datetime) -> bool:
        is_day, is_weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return (is_day and is_weekday) if self.days_are_both else (is_day or is_weekday)


def _every(text: str, duration: str, zone: tzinfo) -> Cron:
    try:
        every = parse_duration(duration)
    except (ValueError, OverflowError) as problem:
        raise _wrong(text, f"{duration!r} is no duration such as 6h or 1h30m (Go has no unit for days: 24h)") from problem
    # Whole seconds, and one at least.
    whole = max(timedelta(seconds=1), timedelta(seconds=every // timedelta(seconds=1)))
    nothing: frozenset[int] = frozenset()
    return Cron(text, nothing, nothing, nothing, nothing, nothing, days_are_both=False, every=whole, zone=zone)


def _zone_of(text: str) -> tuple[tzinfo, str]:
    if not text.strip():
        raise _wrong(text, "it is empty")
    if not text.startswith(("TZ=", "CRON_TZ=")):
        return timezone.utc, text
    name, space, rest = text.partition("=")[2].partition(" ")
    if not space:
        raise _wrong(text, "after the time zone there is no schedule")
    try:
        # Go takes "" for UTC; "Local" is the server's own zone.
        return (timezone.utc if name in ("", "UTC", "Local") else zoneinfo.ZoneInfo(name)), rest.strip()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as problem:
        if not zoneinfo.available_timezones():
            raise _wrong(text, "this machine has no time zones to check it with: install tzdata") from problem
        raise _wrong(text, f"there is no time zone {name!r}; names are such as Europe/Berlin") from problem


def _parse_field(text: str, part: str, field: _Field) -> tuple[frozenset[int], bool]:
    """The values, and whether there was a star without a step."""
    found: set[int] = set()
    is_star = False
    for expression in part.split(","):
        if expression:  # robfig/cron passes over what is empty
            values, star = _parse_range(text, expression, field)
            found |= values
            is_star = is_star or star
    if not found:
        raise _wrong(text, f"the {field.name} {part!r} names nothing")
    return frozenset(found), is_star


def _parse_range(text: str, expression: str, field: _Field) -> tuple[set[int], bool]:
    bounds, *steps = expression.split("/")
    ends = bounds.split("-")
    is_star = ends[0] in ("*", "?")  # whatever follows it up to a slash
    if len(steps) > 1 or (len(ends) > 2 and not is_star):
        raise _wrong(text, f"the {field.name} {expression!r} has too many {'slashes' if len(steps) > 1 else 'hyphens'}")
    first = field.least if is_star else _value(text, ends[0], field)
    last = field.most if is_star else _value(text, ends[-1], field)
    step = 1
    if steps:
        step = _number(text, steps[0], field)
        if len(ends) == 1:
            last = field.most  # "5/10": from 5 on
    if step == 0:
        raise _wrong(text, f"the {field.name} {expression!r} has a step of 0")
    if first < field.least or last > field.most:
        sunday = "; Sunday is 0" if field.names and field.most == 6 and last == 7 else ""
        raise _wrong(text, f"the {field.name} {expression!r} is not within {field.least}-{field.most}{sunday}")
    if first > last:
        raise _wrong(text, f"the {field.name} {expression!r} ends before it begins")
    return set(range(first, last + 1, step)), is_star and step == 1


def _value(text: str, word: str, field: _Field) -> int:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.least
    return _number(text, word, field)


def _number(text: str, word: str, field: _Field) -> int:
    # Go's Atoi takes a sign.
    digits = word[1:] if word[:1] == "+" else word
    if not digits.isascii() or not digits.isdigit():
        raise _wrong(text, f"in the {field.name}, {word!r} is no number")
    return int(digits)


def _midnight_after(local: datetime) -> datetime:
    """In UTC. Where midnight is not there, as a clock is put forward then, the day begins later."""
    following = (local.replace(tzinfo=None, hour=0, minute=0) + timedelta(days=1)).replace(tzinfo=local.tzinfo)
    return following.astimezone(timezone.utc)


def _wrong(text: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{printable(text)!r} is no schedule that Velero takes: {printable(why)}")
