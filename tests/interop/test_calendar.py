"""Calendar expressions beside the programs that they come from: what systemd-analyze says of calendar events, in every kind of
time zone, and what croniter, another implementation of cron, says of cron's.

croniter stands for Vixie cron, which cannot be asked for its next times: it has its day fields' rule (implement_cron_bug).
It differs in what happens when clocks change, so it is asked in UTC.

The seed is printed with a failure; RECOUP_SEED repeats it. What is compared is systemd 252 with its faults
(include/recoup/schedule/next_run.hpp names them)."""

from __future__ import annotations

import datetime
import os
import random
import re

import croniter
import pytest

from support import calendars
from support.calendars import UTC, ZONES

SEED = int(os.environ.get("RECOUP_SEED") or random.SystemRandom().randrange(2**32))
pytestmark = pytest.mark.storage_blind


@pytest.fixture(autouse=True, scope="module")
def the_programs():
    calendars.require_programs()


def compare(expressions: list[str], zone: str, after: int, count: int = 5) -> int:
    """Returns how many of the expressions were good."""
    good = 0
    for expression, theirs, ours in zip(expressions, calendars.systemd(expressions, zone, after, count),
                                        calendars.recoup(expressions, zone, after, count)):
        where = f"{expression!r} in {zone} after {after} (seed {SEED}): {ours.error}"
        if theirs.stuck:
            assert ours.stuck, where
            continue
        assert not ours.stuck, where
        assert ours.normalised == theirs.normalised or loses_fractions(ours, theirs), where
        if any(time <= before for before, time in zip([after - 1, *theirs.times], theirs.times)):
            continue  # systemd went back in time, where a clock was put back; recoup never does
        assert ours.times == theirs.times, where
        good += theirs.normalised is not None
    return good


def loses_fractions(ours: calendars.Answer, theirs: calendars.Answer) -> bool:
    """systemd writes * for every second, and so loses the fractions in the same list. Its timer keeps them, as does recoup."""
    return ours.normalised is not None and theirs.normalised is not None and (
        re.sub(r":00/1,[^ ]*\.[^ ]*", ":*", ours.normalised) == theirs.normalised)


@pytest.mark.parametrize("part", range(4))
def test_random_events_are_as_systemd_has_them(part):
    chance = random.Random(f"{SEED} {part}")
    events = calendars.RandomEvents(chance)
    good = 0
    for _ in range(30):
        zone = chance.choice(ZONES)
        good += compare([events.expression() for _ in range(100)], zone, calendars.moment(chance, zone))
    assert good > 1500, "most of the expressions have to be good ones"


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_clocks(zone):
    """Each in four years, from before it and from within it, for what schedules look like."""
    expressions = ["daily", "hourly", "*:0/15", "*:0..45/15", "00:30", "01:30", "02:30", "0..23/3:00", "0/6:00", "0..18/6:00", "Sun 02:00",
                   "*-*-1 00:00", "*-*~1 23:30", "Sat,Sun *:30", "weekly", "monthly", "*:*:0/20"]
    for year in (2024, 2027, 2031, 2040):
        for change in calendars.changes_of_clocks(zone, year):
            for before in (86400 + 7, 3600, 1800, 1, 0, -1, -1800, -3599):
                compare(expressions, zone, change - before, 8)


def test_what_never_comes_ends():
    chance = random.Random(SEED)
    for zone in ZONES:
        compare(["2-30", "*-4,6,9,11-31", "Mon *-2-30", "Mon 2030-1-1", "2020-1-1", "2199-12-31", "Fri *-2-29", "Wed 2100-2-28"], zone,
                calendars.moment(chance, zone))


def cron_times(expression: str, after: int, count: int) -> list[int]:
    due = croniter.croniter(expression, datetime.datetime.fromtimestamp(after, UTC), implement_cron_bug=True, max_years_between_matches=100)
    found = []
    try:
        for _ in range(count):
            found.append(int(due.get_next()))
    except croniter.CroniterBadDateError:  # never again
        pass
    return found


def says_any_day_without_a_star(expression: str, ours: calendars.Answer) -> bool:
    """"1-31" or "5,*/1" for a day, beside a restricted other: any day to Vixie cron and recoup, as either is enough; croniter
    takes it for a star and so for the other's days."""
    fields = expression.split()
    return any(not fields[number].startswith("*") and ours.normalised.split()[number] == "*" for number in (2, 4))


def random_crons(name: str, count: int) -> tuple[int, list[str]]:
    chance = random.Random(f"{SEED} {name}")
    crons = calendars.RandomCrons(chance)
    return 1_700_000_000 + chance.randrange(10 * calendars.YEAR), [crons.expression() for _ in range(count)]


def test_cron_is_due_when_cron_says():
    after, expressions = random_crons("cron", 1500)
    due = 0
    for expression, ours in zip(expressions, calendars.recoup(expressions, "UTC", after, 6, "cron")):
        if says_any_day_without_a_star(expression, ours):
            continue
        theirs = cron_times(expression, after, 6)
        assert ours.times == theirs, f"{expression!r} after {after} (seed {SEED}): {ours}"
        due += len(theirs)
    assert due > 6000, "most of the expressions have to be due"


def test_cron_as_timers_is_due_when_cron_says():
    """What a timer with the OnCalendar= lines does, by systemd itself: the earliest of its lines' times."""
    after, expressions = random_crons("timers", 600)
    answers = calendars.recoup(expressions, "UTC", after, 4, "cron")
    lines = [line for ours in answers for line in ours.on_calendar]
    by_line = dict(zip(lines, calendars.systemd(lines, "UTC", after, 4)))
    for expression, ours in zip(expressions, answers):
        if says_any_day_without_a_star(expression, ours):
            continue
        due = sorted({time for line in ours.on_calendar for time in by_line[line].times})[:4]
        assert due == cron_times(expression, after, 4), f"{expression!r} after {after} (seed {SEED}): {ours}"
        assert all(by_line[line].normalised == line for line in ours.on_calendar), f"{ours} is not in systemd's normal form"


def test_events_as_cron_are_due_when_systemd_says():
    """An open range that passes over the beginning of a day is left out: that is systemd's fault, not what it means."""
    chance = random.Random(f"{SEED} back")
    events = calendars.RandomEvents(chance)
    expressions = [expression for expression in (events.expression() for _ in range(6000)) if " " not in expression or expression[-1].isdigit()]
    after = 1_700_000_000 + chance.randrange(10 * calendars.YEAR)
    converted = 0
    for expression, ours in zip(expressions, calendars.recoup(expressions, "UTC", after, 4)):
        if ours.cron is None or "=" in ours.cron or open_ranges(ours.normalised):
            continue
        converted += 1
        theirs = cron_times(ours.cron, after, 4)
        assert ours.times == theirs, f"{expression!r} as {ours.cron!r} after {after} (seed {SEED})"
    assert converted > 150


def open_ranges(normalised: str) -> bool:
    return any("/" in entry and ".." not in entry for part in normalised.replace("-", " ").replace(":", " ").split() for entry in part.split(","))
