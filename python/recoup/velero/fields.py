"""JSON that somebody else wrote: looked at field by field, so that what is not as expected is an error that names its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from .._engine import DamagedError


class Fields:
    """A JSON object and where it was found. What is absent or null has the default; what has another type raises DamagedError."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise DamagedError(f"{where} is {_kind(value)}, not an object")
        self._value = value
        self._where = where

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def _get(self, name: str, wanted: type | tuple[type, ...], default: Any) -> Any:
        value = self._value.get(name)
        if value is None:
            return default
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise DamagedError(f"{self._where}: {name} is {_kind(value)}")
        return value

    def text(self, name: str, default: str = "") -> str:
        value: str = self._get(name, str, default)
        return value

    def number(self, name: str, default: int = 0) -> int:
        value: int = self._get(name, int, default)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value: bool = self._get(name, bool, default)
        return value

    def time(self, name: str) -> datetime | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_time(text)
        except ValueError as problem:
            raise DamagedError(f"{self._where}: {name} is no time: {printable(text)}") from problem

    def fields(self, name: str) -> Fields:
        return Fields(self._get(name, Mapping, {}), f"{self._where}: {name}")

    def texts(self, name: str) -> dict[str, str]:
        """Names and values, as labels are."""
        found = self._get(name, Mapping, {})
        for key, value in found.items():
            if value is not None and not isinstance(value, str):
                raise DamagedError(f"{self._where}: {name}: {printable(key)} is {_kind(value)}, not text")
        return {key: value or "" for key, value in found.items()}

    def list(self, name: str) -> list[Any]:
        value: list[Any] = self._get(name, list, [])
        return value

    def each(self, name: str) -> Iterator[Fields]:
        for number, value in enumerate(self.list(name)):
            yield Fields(value, f"{self._where}: {name}[{number}]")

    def raw(self) -> Mapping[str, Any]:
        return self._value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def printable(text: str, most: int = 200) -> str:
    """For messages: what a stranger wrote, without what would steer a terminal, and not longer than fits a line or two."""
    cut = text if len(text) <= most else text[:most] + "…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode() for each in cut)


_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def parse_time(text: str) -> datetime:
    """RFC 3339, as Go writes it: up to nanoseconds, of which Python keeps microseconds. Raises ValueError."""
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError("no time such as 2026-01-31T02:00:00Z")
    day, clock, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '')[:6]:0<6}{zone}").astimezone(timezone.utc)
    except OverflowError as problem:  # in the first hours of the year 1, or the last ones of the year 9999
        raise ValueError(str(problem)) from problem


def format_time(time: datetime) -> str:
    """The other way round: RFC 3339 in UTC, as every document that recoup writes has it."""
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


_DURATION = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|μs|ns))", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> timedelta:
    """A duration as Go writes it: "168h0m0s". Raises ValueError."""
    seconds, position = 0.0, 0
    while position < len(text):
        part = _DURATION.match(text, position)
        if not part:
            raise ValueError(f"{printable(text)} is no duration such as 168h0m0s")
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    try:
        return timedelta(seconds=seconds)
    except OverflowError as problem:
        raise ValueError(f"{printable(text)} is longer than the calendar") from problem


def in_words(span: timedelta) -> str:
    """For sentences and tables: "26 hours", "3.5 days"; the largest unit of which there are two. Less than nothing, between clocks
    that differ, is nothing."""
    seconds = max(round(span.total_seconds()), 0)
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def parse_json(content: bytes, where: str) -> Any:
    """Raises DamagedError. Numbers that JSON has no word for, and halves of surrogate pairs, which nothing could print or store
    again, are damage too."""
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    # RecursionError: thousands of opening brackets.
    except (ValueError, RecursionError) as problem:
        raise DamagedError(f"{where} is not JSON: {printable(str(problem))}") from problem
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number
