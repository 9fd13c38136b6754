"""Tries whether a backup can be restored, and says so by its exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import click

from ..._engine import Error, StorageError
from ..drill import DrillPlan, DrillProgress
from ..drill import drill as drill_backup
from ..drill_report import Check, DrillReport, Outcome
from ..fields import printable
from .cluster import duration
from .context import Context
from .progress import ByteProgress
from .report_files import check_writable, json_text, write_file

_MOST = 4000
_REPORT = click.Path(dir_okay=False, writable=True)


def share(text: str) -> float:
    """0.2 or 20%."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as problem:
        raise click.BadParameter(f"{text!r} is no share such as 0.2 or 20%") from problem


@click.command()
@click.option("--backup", metavar="NAME", help="[default: the newest]")
@click.option("--count", type=int, metavar="N", help="Restore so many of its volumes.  [default: all]")
@click.option("--share", type=share, metavar="SHARE", help="Restore this share of them: 0.2 or 20%.")
@click.option("--seed", metavar="TEXT", help="With --count or --share, the same text chooses the same volumes.  [default: the backup's name]")
@click.option("--max-age", type=duration, metavar="DURATION", help="How old the backup may be: 26h.")
@click.option("--scratch", metavar="DIR", type=click.Path(file_okay=False),
              help="Where to restore. A directory is made in it, and removed at the end.  [default: where temporary files go]")
@click.option("--fail-on-skipped", is_flag=True, help="Volumes that Velero has skipped, and says so, make the backup not restorable.")
@click.option("--without-data", multiple=True, metavar="PATTERN", help="Volumes that need no data: 'media/*-cache'. May be given several times.")
@click.option("--json-file", type=_REPORT, metavar="FILE", help="Write the report as JSON.")
@click.option("--junit", type=_REPORT, metavar="FILE", help="Write it as JUnit's XML.")
@click.option("--html", type=_REPORT, metavar="FILE", help="Write it as a page.")
@click.pass_obj
def drill(
    context: Context, backup: str | None, count: int | None, share: float | None, seed: str | None, max_age: float | None, scratch: str | None,
    fail_on_skipped: bool, without_data: tuple[str, ...], json_file: str | None, junit: str | None, html: str | None,
) -> None:  # fmt: skip
    """Restore volumes of the newest backup into a scratch directory, compare them with what the backup says, and remove them again.

    The exit code is 0 where the backup is restorable: every volume that should have data has it, what was restored is as it was
    stored, all repositories are whole for it, the manifests are complete. It is 1 where it is not. Where no drill is possible, as
    without an answer from the bucket, it is that of the error, and the reports say "failed".

    Ctrl-C and SIGTERM remove the scratch directory.
    """
    plan = DrillPlan(
        backup=None if backup == "latest" else backup,
        count=count,
        share=share,
        seed=seed,
        max_age=None if max_age is None else timedelta(seconds=max_age),
        scratch=scratch,
        fail_on_skipped=fail_on_skipped,
        without_data=without_data,
    )
    reports: list[tuple[str, Callable[[DrillReport], str]]] = [
        (path, make)
        for path, make in ((json_file, json_text), (junit, DrillReport.to_junit_xml), (html, DrillReport.to_html))
        if path is not None
    ]
    check_writable(path for path, _ in reports)
    report = _drill(context, plan, reports)
    for path, make in reports:
        write_file(path, make(report))
    if context.as_json:
        context.print_json(report.to_json())
    else:
        _print(context, report)
    if not report.is_restorable:
        sys.exit(1)


def _drill(context: Context, plan: DrillPlan, reports: list[tuple[str, Callable[[DrillReport], str]]]) -> DrillReport:
    started = datetime.now(timezone.utc)
    location = ""
    try:
        location = context.bucket.location
        with ByteProgress(is_shown=not context.as_json) as bar:

            def show(now: DrillProgress) -> None:
                bar.show(f"{now.volumes_done + 1} of {now.total_volumes}: {now.volume}", now.bytes_done, now.total_bytes)

            return drill_backup(context.bucket, plan, repositories=context.repositories, progress=show)
    except (Error, SystemExit, KeyboardInterrupt) as problem:
        # What a report of an earlier drill says is not so any more, and nobody may be there to see the exit code.
        why = str(problem) if isinstance(problem, Error) else "the drill was interrupted"
        seconds = (datetime.now(timezone.utc) - started).total_seconds()
        failed = DrillReport(location, plan.backup, None, started, seconds, plan.seed or "", 0, (Check("drill", Outcome.FAILED, why),), ())
        for path, make in reports:
            with contextlib.suppress(StorageError):
                write_file(path, make(failed))
        raise


def _print(context: Context, report: DrillReport) -> None:
    rows = [[each.outcome.value, printable(each.name), _lines(each.message)] for each in report.checks if each.outcome is not Outcome.PASSED]
    if rows:
        context.print_table(["OUTCOME", "CHECK", "WHAT WAS FOUND"], rows)
        click.echo()
    click.echo(report.summary)


def _lines(text: str) -> str:
    return "\n".join(printable(line, _MOST) for line in text.split("\n"))
