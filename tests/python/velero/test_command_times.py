"""Times on the command line."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recoup.velero.command.times import parse_when

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-01-31T02:00:00Z", "2026-01-31T02:00:00+00:00"),
        ("2026-01-31T02:00:00.5+02:00", "2026-01-31T00:00:00.500000+00:00"),
        ("2026-01-31", "2026-01-31T22:59:59.999999+00:00"),
        ("2026-07-31", "2026-07-31T21:59:59.999999+00:00"),
        ("2026-01-31 02:00", "2026-01-31T01:00:59.999999+00:00"),
        ("2026-01-31T02:00", "2026-01-31T01:00:59.999999+00:00"),
        ("2026-01-31 02:00:30", "2026-01-31T01:00:30.999999+00:00"),
        # The clock is put forward that night: the day has 23 hours.
        ("2026-03-29", "2026-03-29T21:59:59.999999+00:00"),
        ("2d", "2026-03-08T12:00:00+00:00"),
        ("36h", "2026-03-09T00:00:00+00:00"),
        ("1w2d", "2026-03-01T12:00:00+00:00"),
        ("1.5h", "2026-03-10T10:30:00+00:00"),
        ("90m", "2026-03-10T10:30:00+00:00"),
        ("0s", "2026-03-10T12:00:00+00:00"),
        (" 2d ", "2026-03-08T12:00:00+00:00"),
    ],
)
def test_times_that_people_write(in_berlin, text, wanted):
    assert parse_when(text, NOW) == datetime.fromisoformat(wanted)


@pytest.mark.parametrize("text", ["", "2", "d", "yesterday", "2026-02-30", "2026-1", "-2d", "2d ago", "02:00", "2026-01-31 25:00", "9999999999999w"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="is no time such as|before the calendar begins"):
        parse_when(text, NOW)


@given(st.text(alphabet="0123456789-:. TZwdhms+", max_size=30) | st.text(max_size=12))
def test_any_text_is_a_time_with_a_zone_or_a_value_error(text):
    try:
        assert parse_when(text, NOW).tzinfo is not None
    except ValueError:
        pass


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_local_seconds_are_meant_until_their_end(moment):
    moment = moment.replace(microsecond=0)
    found = parse_when(f"{moment:%Y-%m-%d %H:%M:%S}", NOW)
    assert found - moment.astimezone() == timedelta(seconds=1) - timedelta(microseconds=1)
