"""Cron expressions, as Velero's server takes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recoup import InvalidArgumentError
from recoup.velero.cron import Cron


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "expression, after, due",
    [
        ("0 2 * * *", "2026-01-01T01:59:59", "2026-01-01T02:00"),
        ("0 2 * * *", "2026-01-01T02:00:00", "2026-01-02T02:00"),
        ("*/15 * * * *", "2026-01-01T00:07:30", "2026-01-01T00:15"),
        ("5/20 * * * *", "2026-01-01T00:26:00", "2026-01-01T00:45"),
        ("0 2 * * 0", "2026-01-01T00:00:00", "2026-01-04T02:00"),
        ("0 2 * * SUN", "2026-01-01T00:00:00", "2026-01-04T02:00"),
        ("0 3 1 * *", "2026-01-01T03:00:00", "2026-02-01T03:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00"),
        ("0 0 1,15 * ?", "2026-01-02T00:00:00", "2026-01-15T00:00"),
        ("30 4 1 * 5", "2026-01-01T05:00:00", "2026-01-02T04:30"),  # the 1st, or a Friday
        ("30 4 */2 * 5", "2026-01-01T05:00:00", "2026-01-02T04:30"),
        ("0 9-17/4 * jan-mar mon-fri", "2026-01-02T13:30:00", "2026-01-02T17:00"),
        ("0 0 1 1 *", "2026-01-01T00:00:00", "2027-01-01T00:00"),
        ("@daily", "2026-01-01T00:00:00", "2026-01-02T00:00"),
        ("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00"),
        ("@monthly", "2026-01-31T00:00:00", "2026-02-01T00:00"),
        ("@yearly", "2026-01-31T00:00:00", "2027-01-01T00:00"),
        ("@hourly", "2026-01-31T23:00:00", "2026-02-01T00:00"),
        ("@every 6h", "2026-01-01T01:00:00", "2026-01-01T07:00"),
        ("CRON_TZ=Europe/Berlin 0 2 * * *", "2026-01-01T00:00:00", "2026-01-01T01:00"),
        ("TZ=Europe/Berlin 0 2 * * *", "2026-07-01T00:00:00", "2026-07-02T00:00"),
    ],
)
def test_when_it_is_due(expression, after, due):
    assert Cron.parse(expression).next(utc(after)) == utc(due)


def test_never():
    assert Cron.parse("0 0 31 2 *").next(utc("2026-01-01T00:00:00")) is None


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "a * * * *", "*/0 * * * *", "5-1 * * * *",
     "@often", "@every", "@every x", "TZ=Nowhere/Town 0 2 * * *", "TZ=../../etc/passwd 0 2 * * *", "1,, * * * *", "-1 * * * *", "1-2-3 * * * *"],
)  # fmt: skip
def test_what_is_no_schedule(expression):
    with pytest.raises(InvalidArgumentError, match="is no schedule"):
        Cron.parse(expression)


@given(st.text() | st.text("*/,-0123456789 @jan").map(lambda text: text + " * * *"))
def test_any_text_is_a_schedule_or_refused(text):
    try:
        due = Cron.parse(text).next(utc("2026-01-01T00:00:00"))
    except InvalidArgumentError:
        return
    assert due is None or due > utc("2026-01-01T00:00:00")


def test_times_between_two():
    times = list(Cron.parse("@hourly").times(utc("2026-01-01T00:30:00"), utc("2026-01-01T03:00:00")))
    assert times == [utc("2026-01-01T01:00"), utc("2026-01-01T02:00")]
    assert len(list(Cron.parse("* * * * *").times(utc("2026-01-01T00:00:00"), utc("2027-01-01T00:00:00"), most=50))) == 50


def test_the_nights_when_clocks_change():
    berlin = Cron.parse("CRON_TZ=Europe/Berlin 30 2 * * *")
    times = list(berlin.times(utc("2026-03-27T12:00:00"), utc("2026-03-31T12:00:00")))
    assert len(times) in (3, 4) and all(later - earlier >= timedelta(hours=23) for earlier, later in zip(times, times[1:]))
