"""Times that somebody gives on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

from ..fields import parse_time, printable

_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+", re.ASCII)
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
# A day is meant until its end, and so is a minute: whoever names one wants the backup that was made then.
_LOCAL = (
    ("%Y-%m-%d", timedelta(days=1)),
    ("%Y-%m-%d %H:%M", timedelta(minutes=1)),
    ("%Y-%m-%d %H:%M:%S", timedelta(seconds=1)),
)


def parse_when(text: str, now: datetime | None = None) -> datetime:
    """RFC 3339, or YYYY-MM-DD [HH:MM[:SS]] in local time, or how long ago: 2d, 36h, 1w2d. The result is aware. Raises ValueError."""
    stripped = text.strip()
    if _SPAN.fullmatch(stripped):
        return _ago(stripped, now or datetime.now().astimezone())
    try:
        return parse_time(stripped)
    except ValueError:
        pass
    for form, length in _LOCAL:
        try:
            begin = datetime.strptime(stripped.replace("T", " "), form)
            return (begin + length - timedelta(microseconds=1)).astimezone()
        except (ValueError, OverflowError, OSError):
            continue
    raise ValueError(f"{printable(text)!r} is no time such as 2026-01-31, '2026-01-31 02:00', 2026-01-31T02:00:00Z, or 2d for two days ago")


def _ago(span: str, now: datetime) -> datetime:
    try:
        return now - sum((timedelta(**{_UNITS[unit]: float(count)}) for count, unit in _SPAN_PART.findall(span)), timedelta())
    except OverflowError as problem:
        raise ValueError(f"{printable(span)} ago is before the calendar begins") from problem


def when(text: str) -> datetime:
    """For options: `parse_when`."""
    try:
        return parse_when(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem
