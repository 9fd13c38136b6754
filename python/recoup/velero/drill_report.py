"""What a drill found, as JSON, JUnit's XML, and a page of HTML."""

from __future__ import annotations

import enum
import html
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from .fields import format_time, printable

#: Raised by one when something in the JSON changes its meaning or goes away; new fields may come at any time.
REPORT_VERSION = 1


class Outcome(str, enum.Enum):
    """Of one check."""

    PASSED = "passed"
    WARNING = "warning"  # worth a look, but the backup can be restored
    FAILED = "failed"  # it cannot, or nobody knows
    SKIPPED = "skipped"  # has no data, and needs none

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    outcome: Outcome
    message: str
    seconds: float = 0.0


@dataclass(frozen=True)
class VolumeDrill:
    """One volume that was restored, and read again; `bytes` are those of its files' contents."""

    name: str
    snapshot: str
    password_origin: str  # where the password was found; never the password
    entries: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrillReport:
    """The outcome of a drill."""

    location: str
    backup: str | None
    backup_time: datetime | None
    started: datetime
    seconds: float
    seed: str
    candidates: int  # volumes of the backup that have data
    checks: tuple[Check, ...]
    volumes: tuple[VolumeDrill, ...]  # those of them that were restored

    @property
    def is_restorable(self) -> bool:
        """Whether nothing failed, and something was tried."""
        return bool(self.checks) and not any(each.outcome is Outcome.FAILED for each in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks for which the backup is not restorable."""
        return tuple(each for each in self.checks if each.outcome is Outcome.FAILED)

    @property
    def summary(self) -> str:
        """One line."""
        name = f"backup {self.backup}" if self.backup else "no backup"
        verdict = "is restorable" if self.is_restorable else "is NOT restorable"
        whole = sum(not each.problems for each in self.volumes)
        damaged = f", {len(self.volumes) - whole} not as they were" if whole < len(self.volumes) else ""
        tried = f"{whole} of {self.candidates} volumes restored{damaged}"
        return _printable(f"{name} {verdict}: {tried}, {len(self.failures)} of {len(self.checks)} checks failed")

    def to_json(self) -> dict[str, Any]:
        """Only dictionaries, lists, texts and numbers; times as RFC 3339 in UTC, sizes in bytes."""
        document = {
            "version": REPORT_VERSION,
            "is_restorable": self.is_restorable,
            "summary": self.summary,
            "location": self.location,
            "backup": self.backup,
            "backup_time": format_time(self.backup_time) if self.backup_time else None,
            "started": format_time(self.started),
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "candidates": self.candidates,
            "checks": [{**asdict(each), "outcome": each.outcome.value} for each in self.checks],
            "volumes": [asdict(each) for each in self.volumes],
        }
        return {name: _all_printable(value) for name, value in document.items()}

    def to_junit_xml(self) -> str:
        """A test suite with a test case for each check, as CI servers show them."""
        suite = ElementTree.Element(
            "testsuite",
            name="recoup velero drill",
            tests=str(len(self.checks)),
            failures=str(len(self.failures)),
            errors="0",
            skipped=str(sum(each.outcome is Outcome.SKIPPED for each in self.checks)),
            time=f"{self.seconds:.3f}",
            timestamp=self.started.strftime("%Y-%m-%dT%H:%M:%S"),
        )
        properties = ElementTree.SubElement(suite, "properties")
        for name in ("location", "backup", "seed"):
            value = _printable(str(getattr(self, name) or ""))
            ElementTree.SubElement(properties, "property", name=name, value=value)
        for check in self.checks:
            suite.append(_test_case(check, self.backup or ""))
        document = ElementTree.Element("testsuites")
        document.append(suite)
        text = ElementTree.tostring(document, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'

    def to_html(self) -> str:
        """A page that needs nothing else and runs nothing."""
        checks = ((each.outcome.value, each.name, each.message, f"{each.seconds:.1f}") for each in self.checks)
        volumes = (
            (
                Outcome.FAILED.value if each.problems else Outcome.PASSED.value,
                each.name,
                each.snapshot[:8],
                str(each.entries),
                str(each.bytes),
                f"{each.seconds:.1f}",
                each.password_origin,
            )
            for each in self.volumes
        )
        facts = (
            ("Bucket", self.location),
            ("Backup", self.backup or "none"),
            ("Made", f"{self.backup_time:%Y-%m-%d %H:%M:%S} UTC" if self.backup_time else "unknown"),
            ("Drill", f"{self.started:%Y-%m-%d %H:%M:%S} UTC, {self.seconds:.1f} s, seed {self.seed}"),
        )
        verdict = "passed" if self.is_restorable else "failed"
        return _PAGE.format(
            title=_escaped(self.summary),
            verdict=verdict,
            facts="".join(f"<tr><th>{_escaped(name)}</th><td>{_escaped(value)}</td></tr>" for name, value in facts),
            checks=_table(("Outcome", "Check", "What was found", "Seconds"), checks),
            volumes=_table(("Outcome", "Volume", "Snapshot", "Entries", "Bytes", "Seconds", "Password"), volumes),
        )


def _test_case(check: Check, backup: str) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=_printable(f"velero.{backup}"), name=_printable(check.name), time=f"{check.seconds:.3f}"
    )
    message = _printable(check.message)
    if check.outcome is Outcome.FAILED:
        failure = ElementTree.SubElement(case, "failure", message=message.partition("\n")[0])
        failure.text = message
    elif check.outcome is Outcome.SKIPPED:
        ElementTree.SubElement(case, "skipped", message=message)
    elif message:
        ElementTree.SubElement(case, "system-out").text = f"{check.outcome}: {message}"
    return case


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{_escaped(title)}</th>" for title in titles)
    body = ""
    for row in rows:
        outcome, *others = row
        cells = "".join(f"<td>{_escaped(cell)}</td>" for cell in others)
        body += f'<tr class="{_escaped(outcome)}"><td>{_escaped(outcome)}</td>{cells}</tr>\n'
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _escaped(text: str) -> str:
    return html.escape(_printable(text), quote=True)


def _printable(text: str) -> str:
    """Names come from volumes and may hold any bytes: what XML cannot hold, or a terminal would obey, is shown as an
    escape."""
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


def _all_printable(value: Any) -> Any:
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, dict):
        return {name: _all_printable(each) for name, each in value.items()}
    return [_all_printable(each) for each in value] if isinstance(value, (list, tuple)) else value


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c1c1c }}
h1 {{ font-size: 1.3rem; padding: .7rem 1rem; border-left: .5rem solid #2c7a2c; background: #eef6ee }}
h1.failed {{ border-color: #b3261e; background: #fbeceb }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd;
  white-space: pre-wrap; overflow-wrap: anywhere }}
tr.failed td:first-child {{ color: #b3261e; font-weight: bold }}
tr.warning td:first-child {{ color: #8a5a00; font-weight: bold }}
tr.passed td:first-child {{ color: #2c7a2c }}
tr.skipped td:first-child {{ color: #666 }}
</style></head><body>
<h1 class="{verdict}">{title}</h1>
<table>{facts}</table>
<h2>Checks</h2>
{checks}
<h2>Volumes that were restored</h2>
{volumes}
</body></html>
"""
