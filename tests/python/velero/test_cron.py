"""Cron expressions, compared with what Velero's own parser makes of them: cron_cases.jsonl was printed by tests/support/robfig_cron."""

from __future__ import annotations

import json
import pathlib
from datetime import datetime, timedelta, timezone

import hypothesis
import hypothesis.strategies as st
import pytest

import recoup
from recoup.velero.cron import Cron
from recoup.velero.fields import parse_time

CASES = [json.loads(line) for line in (pathlib.Path(__file__).parent / "cron_cases.jsonl").read_text(encoding="utf-8").splitlines()]
ACCEPTED = [case for case in CASES if "error" not in case]
NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: f"{case['expression']} after {case['after']}")
def test_times_are_those_of_veleros_parser(case):
    cron, time = Cron.parse(case["expression"]), parse_time(case["after"])
    for expected in case["next"]:
        time = cron.next(time)
        assert time == (None if expected == "never" else parse_time(expected))


@pytest.mark.parametrize("case", [case for case in CASES if case not in ACCEPTED], ids=lambda case: case["expression"] or "empty")
def test_what_veleros_parser_refuses_is_refused(case):
    with pytest.raises(recoup.InvalidArgumentError, match="no schedule that Velero takes"):
        Cron.parse(case["expression"])


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 2 * * * *", "knows no seconds"),
        ("0 2 * * 7", "Sunday is 0"),
        ("@every 1d", "24h"),
        ("@every -1h", "no duration"),
        ("CRON_TZ=Europe/Berln 0 2 * * *", "Europe/Berlin"),
        (", * * * *", "names nothing"),
        ("TZ=../../etc/passwd 0 2 * * *", "no time zone"),
    ],
)
def test_errors_say_what_is_wrong(expression, words):
    with pytest.raises(recoup.InvalidArgumentError, match=words):
        Cron.parse(expression)


def test_times_between_two():
    cron = Cron.parse("0 */6 * * *")
    assert [each.hour for each in cron.times(NOW, NOW + timedelta(days=1))] == [18, 0, 6]
    assert len(list(cron.times(NOW, NOW + timedelta(days=1000), most=7))) == 7


@hypothesis.settings(deadline=None)
@hypothesis.given(st.text(max_size=40) | st.text("*/,-0123456789 @jan").map(lambda text: text + " * * *"))
def test_whatever_is_written_is_parsed_or_refused(text):
    try:
        cron = Cron.parse(text)
    except recoup.InvalidArgumentError:
        return
    due = cron.next(NOW)
    assert due is None or due > NOW


@hypothesis.settings(deadline=None)
@hypothesis.given(
    st.tuples(*(st.integers(low, high) for low, high in ((0, 59), (0, 23), (1, 28), (1, 12)))), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))
)
def test_a_time_of_the_year_comes_once_a_year(fields, after):
    cron = Cron.parse(" ".join(map(str, fields)) + " *")
    first = cron.next(after.replace(tzinfo=timezone.utc))
    assert (first.minute, first.hour, first.day, first.month) == fields
    assert cron.next(first).year == first.year + 1
