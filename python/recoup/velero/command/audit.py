"""What is wrong with a bucket, the gravest first."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from ..._engine import IncompleteError
from ..audit import audit as audit_bucket
from ..audit_report import AuditReport, Finding, Severity, counted
from ..fields import printable
from .context import Context, as_duration, as_time

_MOST = 4000
_NEVER = "never"
_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}


@click.command()
@click.option("--fail-on", type=click.Choice([*(each.value for each in Severity), _NEVER]), default=Severity.CRITICAL.value, show_default=True,
              help="The least grave finding that makes the exit code 1.")  # fmt: skip
@click.pass_obj
def audit(context: Context, fail_on: str) -> None:
    """Tell what is wrong with the bucket that Velero does not tell: volumes that no backup holds, snapshots that nobody knows or that
    are missing, passwords that everybody knows, gaps, stale locks; and how far back backups really go.

    Volumes' data is not read: `recoup velero drill` does that.

    The exit code is 1 where a finding is at least as grave as --fail-on says, 3 where there is none but something could not be
    examined, as a repository that no known password opens, and 0 otherwise. With --fail-on never it is 0 in all these cases.
    """
    report = audit_bucket(context.bucket, repositories=context.repositories)
    if context.as_json:
        context.print_json(report.to_json())
    else:
        _print(context, report)
    code = _exit_code(report, fail_on)
    if code:
        sys.exit(code)


def _exit_code(report: AuditReport, fail_on: str) -> int:
    if fail_on == _NEVER:
        return 0
    order = list(Severity)
    if report.worst is not None and order.index(report.worst) <= order.index(Severity(fail_on)):
        return 1
    return IncompleteError.exit_code if report.unexamined else 0


def _print(context: Context, report: AuditReport) -> None:
    for each in report.findings:
        _print_finding(each)
    if report.retention:
        context.print_table(
            ["SCHEDULE", ">BACKUPS", ">RESTORABLE", "OLDEST", "NEWEST", "REACHES BACK", "KEPT FOR"],
            [
                [
                    printable(each.schedule) or "(none)", str(each.backups), str(each.restorable), as_time(each.oldest), as_time(each.newest),
                    as_duration(max(report.time - each.oldest, timedelta()) if each.oldest else None), ", ".join(map(printable, each.ttl)) or "-",
                ]
                for each in report.retention
            ],
        )  # fmt: skip
        click.echo()
    for problem in report.unexamined:
        click.echo(f"not examined: {printable(problem, _MOST)}")
    counts = [counted(sum(each.severity is severity for each in report.findings), severity.value, severity.value) for severity in Severity]
    unexamined = f"; {len(report.unexamined)} not examined" if report.unexamined else ""
    click.echo(f"{counted(report.backups, 'backup')} in {printable(report.location, _MOST)}: {', '.join(counts)}{unexamined}")


def _print_finding(each: Finding) -> None:
    click.secho(f"{each.severity.value}: {each.id}", fg=_COLOURS[each.severity], bold=True)
    for name, value in (("what", each.what), ("where", each.where), ("why", each.why), ("remedy", each.remedy)):
        click.echo(f"  {name + ':':<8}{printable(value, _MOST)}")
    click.echo()
