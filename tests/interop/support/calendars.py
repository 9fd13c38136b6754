"""Calendar expressions: random ones, and what systemd-analyze, croniter and recoup say of them.

recoup is asked through build/release/tests/read_calendars, many expressions at once; so is systemd-analyze.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import random
import re
import shutil
import subprocess
import zoneinfo

from . import programs

READER = programs.REPOSITORY_ROOT / "build/release/tests/read_calendars"
UTC = datetime.timezone.utc
YEAR = 365 * 86400

#: what clocks do somewhere: nothing, an hour, half an hour, two; at midnight; in Ramadan; winter as the exception
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Europe/Dublin", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe",
         "Africa/Casablanca", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Antarctica/Troll", "America/Asuncion",
         "America/Santiago", "Asia/Tehran", "Africa/Cairo", "Asia/Gaza", "Atlantic/Azores"]


@dataclasses.dataclass
class Answer:
    """What a program says of one expression."""

    normalised: str | None = None  #: None: refused
    times: list[int] = dataclasses.field(default_factory=list)  #: seconds since 1970, fractions cut off
    stuck: bool = False  #: systemd's search for the next time failed
    on_calendar: list[str] = dataclasses.field(default_factory=list)
    cron: str | None = None
    error: str = ""


def require_programs() -> None:
    assert os.access(READER, os.X_OK), f"build the target read_calendars: there is no {READER}"
    assert shutil.which("systemd-analyze"), "install the package systemd: there is no systemd-analyze"


def systemd(expressions: list[str], zone: str, after: int, count: int) -> list[Answer]:
    base = datetime.datetime.fromtimestamp(after, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    ran = subprocess.run(["systemd-analyze", "calendar", f"--iterations={count}", f"--base-time={base}", "--", *expressions],
                         capture_output=True, text=True, env={"TZ": zone, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    refused = re.findall(r"^Failed to parse calendar specification '(.*)': ", ran.stderr, re.M)
    stuck = re.findall(r"^Failed to determine next elapse for '(.*)': ", ran.stderr, re.M)
    blocks = [block for block in ran.stdout.split("\n\n") if "Normalized form:" in block]
    answers = []
    for expression in expressions:
        if refused and refused[0] == expression:
            refused.pop(0)
            answers.append(Answer())
        elif stuck and stuck[0] == expression:
            stuck.pop(0)
            answers.append(Answer(normalised="", stuck=True))
        else:
            answers.append(_answer_of_block(blocks.pop(0)))
    assert not refused and not stuck and not blocks, ran.stderr
    return answers


def _answer_of_block(block: str) -> Answer:
    found = Answer(normalised=re.search(r"Normalized form: (.*)", block).group(1))
    lines = block.split("\n")
    for number, line in enumerate(lines):
        elapse = re.match(r"\s*(?:Next elapse|Iter\. #\d+): (.*)", line)
        if not elapse or elapse.group(1) == "never":
            continue
        shown = elapse.group(1)
        if number + 1 < len(lines) and "(in UTC):" in lines[number + 1]:
            shown = lines[number + 1].split(": ", 1)[1]
        time = datetime.datetime.strptime(shown, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        found.times.append(int(time.timestamp()))
    return found


def recoup(expressions: list[str], zone: str, after: int, count: int, syntax: str = "oncalendar") -> list[Answer]:
    requests = "".join(json.dumps({"expression": expression, "syntax": syntax, "after": after, "count": count, "zone": zone}) + "\n"
                       for expression in expressions)
    ran = subprocess.run([READER], input=requests, capture_output=True, text=True, check=True)
    answers = []
    for line in ran.stdout.splitlines():
        told = json.loads(line)
        if "error" in told:
            answers.append(Answer(error=told["error"], stuck="goes round in a circle" in told["error"]))
        else:
            answers.append(Answer(normalised=told["normalised"], on_calendar=told["on_calendar"], cron=told["cron"],
                                  times=[time // 1_000_000 for time in told["times"]]))
    assert len(answers) == len(expressions)
    return answers


def changes_of_clocks(zone: str, year: int) -> list[int]:
    """The instants in a year at which a zone's offset changes."""
    told = zoneinfo.ZoneInfo(zone)
    offset = lambda at: datetime.datetime.fromtimestamp(at, told).utcoffset()
    start = int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp())
    found = []
    for day in range(start, start + YEAR, 86400):
        before, after = day, day + 86400
        if offset(before) == offset(after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if offset(middle) == offset(day):
                before = middle
            else:
                after = middle
        found.append(after)
    return found


def moment(chance: random.Random, zone: str) -> int:
    """Most of them lie near a change of clocks. Not before 2016: where clocks went back without an end of summer time,
    which has been rarer since, systemd's answer depends on what its process did before."""
    year = chance.choice([chance.randint(2016, 2036), chance.randint(2024, 2032), chance.randint(2040, 2150)])
    changes = changes_of_clocks(zone, year)
    if not changes or chance.random() < 0.2:
        return int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp()) + chance.randrange(YEAR)
    return chance.choice(changes) + chance.choice([0, 1, -1, -3600, 3600, -1800, 1800, chance.randint(-7200, 7200),
                                                   -chance.randint(0, 90000), -chance.randint(0, 40 * 86400)])


class RandomEvents:
    """Calendar events as systemd.time(7) has them, of which some are wrong."""

    WEEKDAYS = "Mon Tue Wed Thu Fri Sat Sun Monday Tuesday WEDNESDAY thu friday sat SunDay".split()
    SHORTHANDS = ("minutely hourly daily weekly monthly quarterly semiannually yearly annually anually bi-annually BiAnnually "
                  "semi-annually Weekly").split()

    def __init__(self, chance: random.Random):
        self.chance = chance

    def likely(self, probability: float) -> bool:
        return self.chance.random() < probability

    def value(self, number: int, may_be_fraction: bool) -> str:
        text = f"{number:02d}" if self.likely(0.5) else str(number)
        if may_be_fraction and self.likely(0.3):
            text += "." + "".join(self.chance.choice("0123456789") for _ in range(self.chance.randint(1, 8)))
        return text

    def entry(self, lowest: int, highest: int, may_be_fraction: bool) -> str:
        if self.likely(0.03):
            lowest, highest = max(0, lowest - 2), highest + 3
        first = self.chance.randint(lowest, highest)
        last = self.chance.randint(first if self.likely(0.95) else lowest, highest)
        step = self.chance.randint(1, max(1, (highest - lowest) // self.chance.choice([1, 2, 3, 5]))) if self.likely(0.97) else 0
        repeated = f"/{step}" + (self.chance.choice([".5", ".25", ".001", ".3333333"]) if may_be_fraction and self.likely(0.3) else "")
        begin, end = self.value(first, may_be_fraction), self.value(last, may_be_fraction)
        return self.chance.choice([begin, begin, begin + ".." + end, begin + repeated, begin + ".." + end + repeated])

    def part(self, lowest: int, highest: int, any_value: float, may_be_fraction: bool = False) -> str:
        if self.likely(any_value):
            return "*"
        entries = 1 if self.likely(0.75) else self.chance.randint(2, 4)
        return ",".join(self.entry(lowest, highest, may_be_fraction) for _ in range(entries))

    def weekdays(self) -> str:
        days = []
        for _ in range(1 if self.likely(0.7) else self.chance.randint(2, 3)):
            day = self.chance.choice(self.WEEKDAYS)
            days.append(day + self.chance.choice(["..", "..", "-"]) + self.chance.choice(self.WEEKDAYS) if self.likely(0.4) else day)
        return ",".join(days) + ("," if self.likely(0.05) else "")

    def year(self) -> str:
        if self.likely(0.8):
            return "*"
        return self.chance.choice([self.part(2020, 2035, 0), self.part(1970, 2199, 0), self.part(0, 99, 0)])

    def words(self) -> list[str]:
        words = [self.weekdays()] if self.likely(0.3) else []
        if self.likely(0.8):
            separator, highest = ("~", 28) if self.likely(0.2) else ("-", 31)
            date = self.part(1, 12, 0.6) + separator + self.part(1, highest, 0.5)
            words.append(self.year() + "-" + date if self.likely(0.7) else date)
        if self.likely(0.85) or not words:
            time = self.part(0, 23, 0.4) + ":" + self.part(0, 59, 0.3)
            words.append(time + ":" + self.part(0, 59, 0.2, True) if self.likely(0.4) else time)
        return words

    def expression(self) -> str:
        if self.likely(0.03):
            text = self.chance.choice(self.SHORTHANDS)
        elif self.likely(0.02):
            text = "@" + str(self.chance.randint(0, 5 * 10**9))
        else:
            text = ("  " if self.likely(0.03) else " ").join(self.words())
        if self.likely(0.1):
            text += " " + self.chance.choice(["UTC", "utc", *ZONES])
        if self.likely(0.05):
            at = self.chance.randrange(len(text) + 1)
            text = text[:at] + self.chance.choice("0123456789*-~:.,/ MonT") + text[at + self.chance.randint(0, 1):]
        # systemd reads numbers with strtoul(), which passes over a blank; recoup takes none in a number.
        return text.strip().replace("@ ", "@") or "daily"


class RandomCrons:
    """Cron expressions that every cron takes, but for their day fields, which follow Vixie cron's rule."""

    MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
    WEEKDAYS = "sun mon tue wed thu fri sat".split()

    def __init__(self, chance: random.Random):
        self.chance = chance

    def entry(self, lowest: int, highest: int, names: list[str]) -> str:
        span = highest - lowest
        # A range of one value ("tue-tue") is every value to croniter, and that value to Vixie cron and recoup.
        first = self.chance.randint(lowest, highest - 1)
        last = self.chance.randint(first + 1, highest)
        step = self.chance.randint(1, max(1, span // self.chance.choice([1, 2, 4])))
        if names and self.chance.random() < 0.3:
            named = lambda value: names[(value - lowest) % len(names)]
            return self.chance.choice([named(last), f"{named(first)}-{named(last)}"])
        return self.chance.choice([f"{first}", f"{last}", f"{first}-{last}", f"{first}-{last}/{step}", f"*/{step}"])

    def field(self, lowest: int, highest: int, any_value: float, names: list[str] | None = None) -> str:
        if self.chance.random() < any_value:
            return "*"
        entries = 1 if self.chance.random() < 0.7 else self.chance.randint(2, 4)
        return ",".join(self.entry(lowest, highest, names or []) for _ in range(entries))

    def expression(self) -> str:
        return " ".join([self.field(0, 59, 0.2), self.field(0, 23, 0.3), self.field(1, 31, 0.5), self.field(1, 12, 0.6, self.MONTHS),
                         self.field(0, 6, 0.5, self.WEEKDAYS)])
