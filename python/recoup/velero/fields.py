"""JSON that somebody else wrote: looked at field by field, so that what is not as expected is an error that names its place."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from .._engine import DamagedError

# A Kubernetes API server takes objects of some 1.5 MiB; what Velero writes about a backup of 100,000 objects has 20 MiB.
LARGEST_DOCUMENT = 256 << 20


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
            raise DamagedError(f"{self._where}: {name} is no time: {text!r}") from problem

    def fields(self, name: str) -> Fields:
        return Fields(self._get(name, Mapping, {}), f"{self._where}: {name}")

    def texts(self, name: str) -> dict[str, str]:
        """Names and values, as labels are."""
        found = self._get(name, Mapping, {})
        for key, value in found.items():
            if not isinstance(value, str):
                raise DamagedError(f"{self._where}: {name}: {key} is {_kind(value)}, not text")
        return dict(found)

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


def parse_time(text: str) -> datetime:
    """RFC 3339, as Go writes it: up to nanoseconds, of which Python keeps microseconds. Raises ValueError."""
    whole, _, rest = text.partition(".")
    if not rest:
        return _aware(datetime.fromisoformat(text.replace("Z", "+00:00")))
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if not digits:
        raise ValueError("a fraction without digits")
    return _aware(datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{rest[len(digits):].replace('Z', '+00:00')}"))


def _aware(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time.astimezone(timezone.utc)


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> timedelta:
    """A duration as Go writes it: "168h0m0s". Raises ValueError."""
    seconds, rest = 0.0, text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("hmsnuµ"))]
        # "1m30s" has no separator between units: the longest known one counts.
        unit = next((known for known in ("ms", "us", "µs", "ns", "h", "m", "s") if unit.startswith(known)), "")
        if not number or not unit:
            raise ValueError(f"{text!r} is no duration such as 168h0m0s")
        seconds += float(number) * _UNITS[unit]
        rest = rest[len(unit) :]
    return timedelta(seconds=seconds)


def parse_json(content: bytes, where: str) -> Any:
    try:
        return json.loads(content)
    # RecursionError: thousands of opening brackets.
    except (ValueError, RecursionError) as problem:
        raise DamagedError(f"{where} is not JSON: {problem}") from problem


def unzip(content: bytes, where: str, limit: int = LARGEST_DOCUMENT) -> bytes:
    """What gzip holds, in one member or several. Raises DamagedError where that is more than `limit` bytes, or is cut off."""
    members: list[bytes] = []
    room, rest = limit, content
    while rest or not members:
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            members.append(unpacking.decompress(rest, room + 1))
        except zlib.error as problem:
            raise DamagedError(f"{where} is not gzip: {problem}") from problem
        room -= len(members[-1])
        if room < 0:
            raise DamagedError(f"{where} unpacks to more than {limit} bytes: a damaged or malicious file")
        if not unpacking.eof:
            raise DamagedError(f"{where} is cut off: {len(content)} bytes are there")
        rest = unpacking.unused_data
    return b"".join(members)
