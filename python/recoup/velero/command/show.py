"""What there is: backups, one of them, its log, the schedules."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import click

from ..._engine import DamagedError, NotFoundError
from ..bucket import Backup, BackupState
from ..fields import printable
from ..schedules import schedules_of
from .context import Context, as_bytes, as_duration, as_time
from .selecting import chosen_backup


def _describe(backup: Backup) -> dict[str, Any]:
    """For JSON."""
    said: dict[str, Any] = {
        "name": backup.name,
        "state": backup.state.value,
        "restorable": backup.is_restorable,
        "time": backup.time,
        "files": len(backup.files),
        "bytes": backup.size,
    }
    try:
        record = backup.record
    except (NotFoundError, DamagedError) as problem:
        return {**said, "problem": str(problem)}
    return {
        **said,
        "uid": record.uid,
        "namespace": record.namespace,
        "schedule": record.schedule,
        "phase": record.phase,
        "started": record.started,
        "completed": record.completed,
        "expires": record.expires,
        "errors": record.errors,
        "warnings": record.warnings,
        "items": record.items,
        "items_backed_up": record.items_backed_up,
        "failure_reason": record.failure_reason or None,
        "validation_errors": list(record.validation_errors),
        "storage_location": record.storage_location,
        "kubernetes_version": record.kubernetes_version or None,
    }


def _phase(backup: Backup) -> str:
    try:
        return backup.record.phase
    except NotFoundError:
        return "no velero-backup.json"
    except DamagedError:
        return "unreadable"


@click.command()
@click.option("--schedule", metavar="NAME", help="Only backups of this schedule.")
@click.option("--restorable", is_flag=True, help="Only backups from which something can be restored.")
@click.pass_obj
def backups(context: Context, schedule: str | None, restorable: bool) -> None:
    """List the backups, the newest last.

    STATE is what can be had: good; partial (Velero had errors: what it says was stored can be restored); failed; running
    (or Velero's server died meanwhile); incomplete (files are missing); damaged. PHASE is Velero's word.
    """
    there = context.bucket.backups()
    if not there:
        _tell_empty(context)
    found = [each for each in there if each.is_restorable or not restorable]
    if schedule is not None:
        found = [each for each in found if _describe(each).get("schedule") == schedule]
    if context.as_json:
        context.print_json([_describe(each) for each in found])
        return
    now = datetime.now(timezone.utc)
    rows = []
    for each in found:
        said = _describe(each)
        expires = said.get("expires")
        rows.append([
            each.name, each.state.value, _phase(each), as_time(each.time), str(said.get("errors", "-")), str(said.get("warnings", "-")),
            said.get("schedule") or "-", "-" if not expires else "expired" if expires <= now else f"in {as_duration(expires - now)}",
        ])  # fmt: skip
    context.print_table(["NAME", "STATE", "PHASE", "STARTED", ">ERRORS", ">WARNINGS", "SCHEDULE", "EXPIRES"], rows)


def _tell_empty(context: Context) -> None:
    click.echo(f"note: {printable(context.bucket.location, 4000)}: {printable(context.bucket.why_empty(), 4000)}", err=True)


def _file_problems(backup: Backup) -> list[str]:
    if backup.state is BackupState.INCOMPLETE and not backup.has_manifests:
        return [f"the manifests, {backup.name}.tar.gz, are not there"]
    return []


@click.command()
@click.argument("name", metavar="BACKUP|latest")
@click.pass_obj
def describe(context: Context, name: str) -> None:
    """Show what a backup says of itself: times, what it includes, errors and warnings, its files."""
    backup = chosen_backup(context.bucket, name)
    said = _describe(backup)
    problems = _file_problems(backup)
    try:
        results = backup.results()
    except DamagedError as problem:
        problems.append(str(problem))
        results = None
    spec = backup.record.spec if "problem" not in said else {}
    if context.as_json:
        context.print_json({
            **said,
            "spec": dict(spec),
            "problems": problems,
            "error_messages": [{"namespace": whose, "message": text} for whose, text in (results.errors if results else ())],
            "warning_messages": [{"namespace": whose, "message": text} for whose, text in (results.warnings if results else ())],
            "objects": {name: file.size for name, file in sorted(backup.files.items())},
        })  # fmt: skip
        return
    if "problem" in said:
        problems.insert(0, said["problem"])
    fields = [
        ("Name", backup.name),
        ("State", f"{backup.state} ({_phase(backup)})"),
        ("Schedule", said.get("schedule") or ""),
        ("Started", as_time(said.get("started"))),
        ("Completed", as_time(said.get("completed"))),
        ("Expires", as_time(said.get("expires"))),
        ("Items", f"{said['items_backed_up']} of {said['items']}" if said.get("items") else ""),
        ("Kubernetes", said.get("kubernetes_version") or ""),
        ("Failure", said.get("failure_reason") or ""),
        ("Refused", "\n".join(said.get("validation_errors") or [])),
        ("Problems", "\n".join(problems)),
        ("Includes", _selection(spec)),
        ("Errors", _messages(results.errors if results else ())),
        ("Warnings", _messages(results.warnings if results else ())),
        ("Files", "\n".join(f"{as_bytes(file.size):>10}  {file_name}" for file_name, file in sorted(backup.files.items()))),
    ]
    context.print_fields(fields)


def _selection(spec: Any) -> str:
    """What of a Backup's spec says which objects it takes."""
    said = []
    for key in sorted(spec):
        if key.startswith(("included", "excluded", "labelSelector", "orLabelSelectors")) and spec[key]:
            value = spec[key]
            said.append(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return "\n".join(said) or "everything"


def _messages(messages: Any) -> str:
    return "\n".join(f"{whose}: {text}" for whose, text in messages)


@click.command()
@click.argument("name", metavar="BACKUP|latest")
@click.pass_obj
def logs(context: Context, name: str) -> None:
    """Print Velero's log of a backup."""
    lines = chosen_backup(context.bucket, name).log()
    if context.as_json:
        context.print_json_array(lines)
        return
    for line in lines:
        # Whatever the log quotes steers no terminal.
        click.echo("\t".join(printable(part, len(part)) for part in line.split("\t")))


@click.command()
@click.pass_obj
def schedules(context: Context) -> None:
    """List the schedules that the bucket knows of, and how well their backups follow them."""
    there = context.bucket.backups()
    if not there:
        _tell_empty(context)
    found = schedules_of(there)
    if context.as_json:
        context.print_json([
            {
                "name": each.name, "expression": each.expression, "paused": each.is_paused, "ttl": each.ttl or None,
                "backups": each.backups, "good": each.good, "failed": each.failed, "oldest": each.oldest, "newest": each.newest,
                "newest_state": each.newest_state and each.newest_state.value, "newest_good": each.newest_good,
                "usual_interval": each.usual_interval, "longest_gap": each.longest_gap,
            }
            for each in found
        ])  # fmt: skip
        return
    context.print_table(
        ["NAME", "SCHEDULE", ">BACKUPS", ">GOOD", "NEWEST", "STATE", "NEWEST GOOD", "USUALLY EVERY", "LONGEST GAP", "TTL"],
        [
            [
                each.name, (each.expression or "-") + (" (paused)" if each.is_paused else ""), str(each.backups), str(each.good),
                as_time(each.newest), str(each.newest_state or "-"), as_time(each.newest_good), as_duration(each.usual_interval),
                as_duration(each.longest_gap), each.ttl or "-",
            ]
            for each in found
        ],
    )  # fmt: skip
