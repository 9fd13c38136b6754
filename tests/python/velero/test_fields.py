"""JSON, times and gzip as strangers may have written them: a value, or DamagedError, and nothing else."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tracemalloc
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recoup import DamagedError
from recoup.velero.fields import (
    Fields,
    in_words,
    parse_duration,
    parse_json,
    parse_time,
    printable,
)
from recoup.velero.unpacking import open_unzipped, unzip

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_a_field_of_any_value_is_read_or_called_damaged(value):
    readers = ("text", "number", "flag", "time", "fields", "texts", "list")
    for reader in readers:
        try:
            getattr(Fields({"field": value}, "x.json"), reader)("field")
        except DamagedError as problem:
            assert "x.json" in str(problem) and "field" in str(problem)
    with contextlib.suppress(DamagedError):
        list(Fields({"field": value}, "x.json").each("field"))


def test_what_is_absent_or_null_has_the_default():
    fields = Fields({"null": None, "no": False, "labels": {"a": None, "b": "c"}}, "x")
    assert fields.text("null") == fields.text("absent") == ""
    assert fields.number("null", 7) == 7
    assert fields.time("null") is None
    assert "null" not in fields and "no" in fields
    assert fields.texts("labels") == {"a": "", "b": "c"}


def test_truth_is_no_number():
    with pytest.raises(DamagedError, match="count is a truth value"):
        Fields({"count": True}, "x").number("count")


@pytest.mark.parametrize(
    "text, time",
    [
        ("2026-11-23T20:05:52Z", datetime(2026, 11, 23, 20, 5, 52, tzinfo=timezone.utc)),
        ("2026-11-23T20:05:52.123456789Z", datetime(2026, 11, 23, 20, 5, 52, 123456, tzinfo=timezone.utc)),
        ("2026-11-23T20:05:52.5+02:00", datetime(2026, 11, 23, 18, 5, 52, 500000, tzinfo=timezone.utc)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_times(text, time):
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-23", "2026-11-23T20:05:52", "2026-13-01T00:00:00Z", "2026-11-23T20:05:52.Z", "2026-W01-1T00:00:00Z",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "٢٠٢٦-11-23T20:05:52Z"],
)  # fmt: skip
def test_no_times(text):
    with pytest.raises(ValueError):
        parse_time(text)
    if text:
        with pytest.raises(DamagedError, match="is no time"):
            Fields({"time": text}, "x").time("time")


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_any_text_is_a_time_in_utc_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert parse_time(text).utcoffset() == timedelta(0)


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_times_come_back(time):
    assert parse_time(time.isoformat(timespec="microseconds").replace("+00:00", "Z")) == time


@pytest.mark.parametrize(
    "text, seconds",
    [("168h0m0s", 604800), ("1h30m", 5400), ("1.5h", 5400), ("300ms", 0.3), ("1m1ms", 60.001), ("2us", 2e-6), ("1µs", 1e-6),
     ("0", None), ("", 0), ("h", None), ("1", None), ("1d", None), ("-1h", None), ("1.2.3s", None), ("1h x", None),
     ("9" * 400 + "h", None), ("9" * 20 + "h", None)],
)  # fmt: skip
def test_durations(text, seconds):
    if seconds is None:
        with pytest.raises(ValueError):
            parse_duration(text)
    else:
        assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_json_or_damaged_and_can_be_written_again(content):
    try:
        found = parse_json(content, "x.json")
    except DamagedError as problem:
        assert str(problem).startswith("x.json is not JSON")
        return
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"a":' * 200_000, b"NaN", b"[Infinity]", b"1e999", b'"\\ud800"', b'{"\\udfff":1}', b'"\xed\xa0\x80"',
     b"9" * 5000, b'{"a":1', b"", b"\xff\xfe[\x00]\x00"],
)  # fmt: skip
def test_json_that_would_harm_later_is_damaged(content):
    with pytest.raises(DamagedError):
        parse_json(content, "x.json")


def test_pairs_of_surrogates_are_a_character():
    assert parse_json(b'"\\ud83d\\ude00"', "x") == "\N{GRINNING FACE}"


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_printed_neither_steers_a_terminal_nor_fails(text):
    shown = printable(text, most=10)
    assert shown.isprintable()
    shown.encode()
    assert len(shown) <= 11 * 10


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
def test_members_of_gzip_are_joined(members):
    whole = b"".join(members)
    packed = b"".join(gzip.compress(each) for each in members)
    assert unzip(packed, "x.gz") == whole
    assert unzip(packed, "x.gz", limit=len(whole)) == whole
    if whole:
        with pytest.raises(DamagedError, match="unpacks to more than"):
            unzip(packed, "x.gz", limit=len(whole) - 1)


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_gzip_that_was_cut_or_changed_gives_no_other_content(content, data):
    packed = bytearray(gzip.compress(content))
    if data.draw(st.booleans()):
        packed = packed[: data.draw(st.integers(0, len(packed) - 1))]
    else:
        at = data.draw(st.integers(0, len(packed) - 1))
        packed[at] ^= data.draw(st.integers(1, 255))
    try:
        found = unzip(bytes(packed), "x.gz")
    except DamagedError as problem:
        assert "x.gz" in str(problem)
    else:
        assert found == content  # a bit of the header that says nothing about the content


def test_bytes_behind_the_last_member_are_damage():
    with pytest.raises(DamagedError):
        unzip(gzip.compress(b"x") + b"rest", "x.gz")


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(200 << 20), 1)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="unpacks to more than 1000000 bytes"):
            unzip(bomb, "x.gz", limit=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_bomb_is_unpacked_once():
    inner = gzip.compress(bytes(50 << 20), 9)
    assert unzip(gzip.compress(inner), "x.gz", limit=len(inner)) == inner


class _Counting(io.BytesIO):
    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


def test_thousands_of_empty_members_end_early():
    source = _Counting(gzip.compress(b"") * 500_000)
    with pytest.raises(DamagedError, match="more than 1000 parts"), open_unzipped(source, "x.gz", 1000) as unpacked:
        unpacked.read()
    assert source.count < 200_000


def test_a_name_in_the_header_of_gzip_without_end_fills_no_memory():
    source = io.BytesIO(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (20 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="cut off"), open_unzipped(source, "x.gz", 1000) as unpacked:
            unpacked.read()
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-5), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=119), "119 seconds"),
        (timedelta(minutes=2), "2 minutes"),
        (timedelta(hours=26), "26 hours"),
        (timedelta(hours=47, minutes=30), "47.5 hours"),
        (timedelta(days=7), "7 days"),
        (timedelta(days=1095.5), "1095.5 days"),
    ],
)
def test_durations_in_words(span, text):
    assert in_words(span) == text
