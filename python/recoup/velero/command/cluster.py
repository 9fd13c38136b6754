"""Schedules and backups through the Kubernetes API: create, pause, unpause, run, delete-schedule, watch; and what `manifests --apply` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import yaml

from ..._engine import IncompleteError, InvalidArgumentError
from ..cluster import KINDS, Applied, Cluster, Event, Outcome, State, Watch
from ..fields import format_time, parse_duration, printable
from .context import Context, as_time
from .pairs import pairs

# Of one line that is printed.
_MOST = 4000
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


def duration(text: str) -> float:
    """Go's way of writing, 168h or 1h30m, in seconds."""
    try:
        return parse_duration(text).total_seconds()
    except (ValueError, OverflowError) as problem:
        raise click.BadParameter(f"{text!r} is no duration such as 30m or 1h30m") from problem


# ---- what a backup takes ---------------------------------------------------------------------------------------------------


def _backup_options(command: Any) -> Any:
    for option in (
        click.option("--template", type=_FILE, metavar="FILE", help="The backup's spec as YAML; other options come before it."),
        click.option("--storage-location", metavar="NAME", help="Where to store."),
        click.option("--fs-backup/--no-fs-backup", default=None, help="Whether the node agent stores volumes that say nothing of it."),
        click.option("--ttl", metavar="DURATION", help="How long to keep: 168h. Without it, the server's default: 720h."),
        click.option("--exclude-namespace", "excluded", multiple=True, metavar="NAME"),
        click.option("--include-namespace", "included", multiple=True, metavar="NAME", help="Only these; without it, all."),
        click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Of the object itself."),
    ):
        command = option(command)
    return command


def _spec(
    template: str | None, storage_location: str | None, fs_backup: bool | None, ttl: str | None, excluded: tuple[str, ...], included: tuple[str, ...]
) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if template is not None:
        try:
            read = yaml.safe_load(sys.stdin.read() if template == "-" else Path(template).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as problem:
            raise InvalidArgumentError(f"{template} is not YAML: {problem}") from problem
        if not isinstance(read, Mapping):
            raise InvalidArgumentError(f"{template} holds no spec of a Backup, such as `ttl: 168h`")
        spec.update(read)
    given = {
        "storageLocation": storage_location,
        "defaultVolumesToFsBackup": fs_backup,
        "ttl": ttl,
        "excludedNamespaces": list(excluded) or None,
        "includedNamespaces": list(included) or None,
    }
    return {**spec, **{key: value for key, value in given.items() if value is not None}}


_SKIP_HELP = "What to do where its time has passed: wait for its next one, or run at once.  [default: as the server is set up, which runs]"


@click.command()
@click.argument("name")
@click.argument("expression")
@_backup_options
@click.option("--paused", is_flag=True, help="Do not run it yet.")
@click.option("--skip-immediately/--run-if-due", default=None, help=_SKIP_HELP)
@click.pass_obj
def create(
    context: Context, /, name: str, expression: str, labels: tuple[str, ...], paused: bool, skip_immediately: bool | None, **chosen: Any,
) -> None:  # fmt: skip
    """Create the schedule NAME.

    EXPRESSION is '0 2 * * *', @daily, '@every 6h', 'CRON_TZ=Europe/Berlin 0 2 * * *': times are UTC unless it says otherwise.
    """
    spec = _spec(**chosen)
    cluster = context.connection.cluster
    cluster.create_schedule(name, expression, spec, labels=pairs(labels, "--label"), paused=paused, skip_immediately=skip_immediately)
    _report(context, [{"schedule": name, "namespace": cluster.namespace, "expression": expression, "paused": paused, "done": "created"}], "schedule")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.pass_obj
def pause(context: Context, names: tuple[str, ...]) -> None:
    """Pause schedules: they make no backups until they are unpaused."""
    cluster = context.connection.cluster
    _do_each(context, names, lambda name: "paused" if cluster.pause(name) else "was paused already")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--skip-immediately/--run-if-due", default=None, help=_SKIP_HELP)
@click.pass_obj
def unpause(
    context: Context, names: tuple[str, ...], skip_immediately: bool | None
) -> None:
    """Let paused schedules run again."""
    cluster = context.connection.cluster
    _do_each(context, names, lambda name: "unpaused" if cluster.unpause(name, skip_immediately=skip_immediately) else "was not paused")


@click.command("delete-schedule")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--with-backups", is_flag=True, help="Also where the schedule owns its backups, which then go from the cluster with it.")
@click.pass_obj
def delete_schedule(
    context: Context, names: tuple[str, ...], with_backups: bool
) -> None:
    """Delete schedules. Their backups stay."""
    cluster = context.connection.cluster

    def delete(name: str) -> str:
        cluster.delete_schedule(name, with_backups=with_backups)
        return "deleted"

    _do_each(context, names, delete)


@click.command()
@click.argument("schedule", required=False)
@click.option("--name", "backup_name", metavar="NAME", help="Of the backup.  [default: SCHEDULE-YYYYMMDDhhmmss]")
@_backup_options
@click.option("--wait", is_flag=True, help="Until it has ended; 3 is the exit code where it is partly failed, 1 where it has failed.")
@click.option("--timeout", type=duration, metavar="DURATION", help="With --wait: no longer than this.")
@click.pass_obj
def run(
    context: Context, /, schedule: str | None, backup_name: str | None, labels: tuple[str, ...], wait: bool, timeout: float | None, **chosen: Any,
) -> None:  # fmt: skip
    """Make a backup now: as the schedule SCHEDULE would, or, without one, as the options say.

    It is the Backup that `velero backup create --from-schedule` makes: with the schedule's labels and retention.
    """
    spec = _spec(**chosen)
    if schedule and (spec or labels):
        raise click.UsageError("with a schedule, the backup is as that says: leave the other options out")
    if not schedule and not backup_name:
        raise click.UsageError("give a SCHEDULE, or --name for a backup without one")
    cluster = context.connection.cluster
    if schedule:
        name = cluster.run_schedule(schedule, backup_name)
    else:
        name = cluster.run_backup(str(backup_name), spec, labels=pairs(labels, "--label"))
    if not wait:
        _report(context, [{"backup": name, "namespace": cluster.namespace, "done": "asked for"}], "backup")
        return
    if not context.as_json:
        click.echo(f"backup {name}: asked for", err=True)
    state = cluster.wait(name, timeout=timeout)
    done = {"backup": name, "namespace": cluster.namespace, "done": str(state), "phase": state.phase, "failed": state.is_failure}
    _report(context, [done], "backup")
    _exit({state.phase} if state.is_failure else set())


# ---- watch -----------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--backup", metavar="NAME", help="Only this backup and its volumes, until it has ended.")
@click.option("--until-done", is_flag=True, help="Until no backup, restore or volume is under way.")
@click.option("--timeout", type=duration, metavar="DURATION", help="No longer than this.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only these, several times.")
@click.option("--all", "everything", is_flag=True, help="Begin with all that is there, not only with what is under way or wrong.")
@click.pass_obj
def watch(
    context: Context, backup: str | None, until_done: bool, timeout: float | None, kinds: tuple[str, ...], everything: bool,
) -> None:  # fmt: skip
    """Tell what happens to backups, restores, volumes, schedules and storage locations: a line for each change.

    A line that begins with "!" is a failure; also a schedule that is overdue or whose backup is skipped, about which Velero says
    nothing. Where it ends by itself (--backup, --until-done, --timeout), the exit code is 3 if something was partly stored, 1 if
    something failed, and 0 otherwise. With --json each line is a document.
    """
    if backup and (until_done or kinds or everything):
        raise click.UsageError("--backup says itself what is watched and for how long")
    cluster = context.connection.cluster
    if backup:
        watched = cluster.watch_backup(backup, timeout=timeout)
    else:
        watched = cluster.watch(kinds or KINDS, everything=everything, until_done=until_done, timeout=timeout)
    failures = _follow(context, watched, backup)
    if backup and not any(each.get("kind") == "Backup" for each in watched.documents):
        raise IncompleteError(f"the backup {cluster.namespace}/{backup} was deleted")
    if (backup or until_done) and not watched.is_done:
        raise IncompleteError(f"not done after {timeout:g} s")
    _exit(failures)


def _follow(context: Context, watched: Watch, backup: str | None) -> set[str]:
    """The phases in which something failed."""
    failures = set()
    with watched:
        for event in watched:
            # Whoever asks for one backup wants to know how it ended, also where it had ended before.
            is_failure = event.is_failure or bool(backup and event.after is not None and event.after.is_failure)
            if is_failure:
                # A volume is a part; whether more is lost, its backup says itself.
                failures.add("PartiallyFailed" if event.kind.startswith("PodVolume") else event.phase)
            if context.as_json:
                click.echo(json.dumps(_event_as_json(event, is_failure), ensure_ascii=False))
            else:
                click.echo(f"{'!' if is_failure else ' '} {as_time(event.time)}  {event}")
            sys.stdout.flush()
    return failures


def _event_as_json(event: Event, is_failure: bool) -> dict[str, Any]:
    def said(state: State | None) -> Any:
        return state and {"phase": state.phase, "details": list(state.details), "message": state.message or None}

    return {
        "time": format_time(event.time),
        "kind": event.kind,
        "namespace": event.namespace,
        "name": event.name,
        "failure": is_failure,
        "initial": event.is_initial,
        "before": said(event.before),
        "after": said(event.after),
        "note": event.note or None,
    }


def _exit(failed_phases: set[str]) -> None:
    if failed_phases:
        sys.exit(IncompleteError.exit_code if failed_phases == {"PartiallyFailed"} else 1)


def _do_each(context: Context, schedules: Iterable[str], do: Callable[[str], str]) -> None:
    """What was done is told also where one of them cannot be."""
    done: list[dict[str, Any]] = []
    try:
        for name in dict.fromkeys(schedules):
            done.append({"schedule": name, "done": do(name)})
    finally:
        if done:
            _report(context, done, "schedule")


def _report(context: Context, done: list[dict[str, Any]], kind: str) -> None:
    if context.as_json:
        context.print_json(done if len(done) > 1 else done[0])
        return
    for each in done:
        click.echo(f"{kind} {each[kind]}: {each['done']}")


# ---- apply -----------------------------------------------------------------------------------------------------------------


def apply_and_report(
    context: Context,
    cluster: Cluster,
    documents: Iterable[Mapping[str, Any]],
    *,
    dry_run: bool = False,
    force_conflicts: bool = False,
    copied: Mapping[str, str] | None = None,
    also: Mapping[str, Any] | None = None,
) -> None:
    """Applies the objects and prints a line for each, with what changes in a dry run. Exits with 3 where some were refused.

    `copied` is as for Cluster.apply; `also` is what else the JSON document says.
    """
    counts = dict.fromkeys(Outcome, 0)
    told: list[dict[str, Any]] = []
    began = datetime.now(timezone.utc)
    for each in cluster.apply(documents, dry_run=dry_run, force_conflicts=force_conflicts, copied=copied):
        counts[each.outcome] += 1
        if context.as_json:
            told.append(_applied_as_json(each))
        else:
            _print_applied(each)
    if context.as_json:
        summary = {outcome.value: count for outcome, count in counts.items()}
        context.print_json({**(also or {}), "dry_run": dry_run, "cluster": cluster.address, "summary": summary, "objects": told})
    else:
        said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "nothing to apply"
        seconds = (datetime.now(timezone.utc) - began).total_seconds()
        click.echo(f"{'dry run: ' if dry_run else ''}{said}, in {seconds:.0f} s", err=True)
    if counts[Outcome.REFUSED]:
        sys.exit(IncompleteError.exit_code)


def _print_applied(each: Applied) -> None:
    said = f"{each.reference}: {each.message}" if each.message else each.reference
    click.echo(f"{each.outcome.value:<9}  {printable(said, _MOST)}")
    for warning in each.warnings:
        click.echo(f"           warning: {printable(warning, _MOST)}")
    if each.is_dry_run:
        for change in each.changes:
            click.echo(f"           {printable(str(change), _MOST)}")


def _applied_as_json(each: Applied) -> dict[str, Any]:
    return {
        "api_version": each.api_version,
        "kind": each.kind,
        "namespace": each.namespace,
        "name": each.name,
        "outcome": each.outcome.value,
        "message": each.message or None,
        "warnings": list(each.warnings),
        "changes": [
            {"path": change.path, "before": change.before, "after": change.after, "hidden": change.is_hidden} for change in each.changes
        ],
    }
