"""The objects of a backup: as YAML, as files, or applied to a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from ..._engine import IncompleteError, NotFoundError
from ..bucket import Backup
from ..fields import printable
from ..manifest_files import stream, write_directory
from ..manifests import Plan, PlannedObject, plan_restore
from ..volumes import what_velero_missed, why_not_restorable
from .cluster import apply_and_report
from .context import Context
from .selecting import chosen_backup, make_selection, selection_options

_NAMES_SHOWN = 3
_MOST = 2000


@click.command()
@click.argument("backup", default="latest", metavar="[BACKUP|latest]")
@selection_options()
@click.option("--list", "as_list", is_flag=True, help="Show a table of the objects in place of them.")
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Write a file for each object, in the order of the restore.")
@click.option("--replace", is_flag=True, help="With --out: in place of the files that an earlier run has written there.")
@click.option("--apply", is_flag=True, help="Create and change them in the cluster, by server-side apply.")
@click.option("--dry-run", is_flag=True, help="With --apply: only ask the API server, and show what would change.")
@click.option("--force-conflicts", is_flag=True, help="With --apply: take over fields that others manage.")
@click.pass_obj
def manifests(
    context: Context, /, backup: str, as_list: bool, out: str | None, replace: bool, apply: bool, dry_run: bool, force_conflicts: bool, **chosen: Any,
) -> None:  # fmt: skip
    """Print a backup's objects as YAML, in Velero's order and stripped as Velero strips them.

    \b
      recoup velero manifests --namespace db | kubectl apply --server-side -f -
      recoup velero manifests --include deployments,services --map-namespace db=db-copy --apply --dry-run

    What is left out, and why, is told on standard error. The exit code is 3 where the backup's files are damaged, so that objects may
    be missing, or where the API server has refused some, and 1 where nothing is selected.

    --namespace is the objects'. Velero's own, where the cluster says which bucket it is, stands before: recoup velero -n velero manifests.
    """
    if sum((as_list, out is not None, apply)) > 1:
        raise click.UsageError("--list, --out and --apply exclude each other")
    if replace and out is None:
        raise click.UsageError("--replace is for --out")
    if (dry_run or force_conflicts) and not apply:
        raise click.UsageError("--dry-run and --force-conflicts are for --apply")
    selection, changes = make_selection(chosen)
    found = chosen_backup(context.bucket, backup)
    plan = plan_restore(found, selection, changes)
    problems = _problems(found, plan)
    if not plan.objects and not context.as_json:
        _tell(found, plan, problems)
    elif apply:
        _apply(context, found, plan, problems, dry_run=dry_run, force_conflicts=force_conflicts)
    elif out is not None:
        _write(context, found, plan, problems, out, replace=replace)
    else:
        _print(context, found, plan, problems, as_list)
    if problems:
        sys.exit(IncompleteError.exit_code)
    if not plan.objects:
        sys.exit(NotFoundError.exit_code)


def _problems(backup: Backup, plan: Plan) -> list[str]:
    why = why_not_restorable(backup)
    return [*([f"backup {backup.name} as a whole cannot be restored: {why}"] if why else []), *plan.problems]


def _apply(
    context: Context, backup: Backup, plan: Plan, problems: list[str], *, dry_run: bool, force_conflicts: bool
) -> None:
    cluster = context.connection.cluster
    if not context.as_json:
        _tell(backup, plan, problems)
    apply_and_report(
        context, cluster, (each.document for each in plan.objects), dry_run=dry_run, force_conflicts=force_conflicts, copied=plan.namespaces,
        also=_about(backup, plan, problems),
    )  # fmt: skip


def _write(context: Context, backup: Backup, plan: Plan, problems: list[str], out: str, *, replace: bool) -> None:
    names = write_directory(plan.objects, out, replace=replace)
    if context.as_json:
        objects = [{**_row(each), "file": name} for each, name in zip(plan.objects, names)]
        context.print_json({**_about(backup, plan, problems), "directory": out, "objects": objects})
        return
    _tell(backup, plan, problems)
    click.echo(f"{len(names)} files in {printable(out, _MOST)}; apply them in the order of their names: kubectl apply --server-side -f DIR", err=True)


def _print(context: Context, backup: Backup, plan: Plan, problems: list[str], as_list: bool) -> None:
    if context.as_json:
        objects = [_row(each) if as_list else {**_row(each), "document": each.document} for each in plan.objects]
        context.print_json({**_about(backup, plan, problems), "objects": objects})
        return
    if as_list:
        context.print_table(
            [">NUMBER", "RESOURCE", "NAMESPACE", "NAME", "BROUGHT BY"],
            [
                [str(number), *(printable(part, _MOST) for part in (each.resource, each.namespace or "-", each.name, each.brought_by))]
                for number, each in enumerate(plan.objects, 1)
            ],
        )
    else:
        # Whatever the terminal's encoding is: YAML is UTF-8.
        for text in stream(plan.objects):
            sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    _tell(backup, plan, problems)


# ---- what is said about a plan ----------------------------------------------------------------------------------------------


def _row(each: PlannedObject) -> dict[str, Any]:
    return {
        "resource": each.resource, "api_version": each.api_version, "kind": each.kind, "namespace": each.namespace, "name": each.name,
        "source": each.source or None, "brought_by": each.brought_by or None,
    }  # fmt: skip


def _about(backup: Backup, plan: Plan, problems: list[str]) -> dict[str, Any]:
    return {
        "backup": backup.name,
        "count": len(plan.objects),
        "left_out": [{"object": each.reference, "reason": each.reason} for each in plan.left_out],
        "not_selected": plan.not_selected,
        "unmatched": list(plan.unmatched),
        "problems": problems,
    }


def _tell(backup: Backup, plan: Plan, problems: Iterable[str]) -> None:
    """On standard error, as standard output may go into kubectl."""
    counts = f"{_objects(len(plan.objects))}, {len(plan.left_out)} left out, {plan.not_selected} not selected"
    click.echo(f"backup {printable(backup.name)}: {counts}", err=True)
    missed = what_velero_missed(backup)
    if missed:
        click.echo(f"note: {printable(missed, _MOST)}", err=True)
    by_reason: dict[str, list[str]] = {}
    for each in plan.left_out:
        by_reason.setdefault(each.reason, []).append(each.reference)
    for reason, references in sorted(by_reason.items(), key=lambda each: (-len(each[1]), each[0])):
        shown = ", ".join(printable(each) for each in references[:_NAMES_SHOWN])
        more = f" and {len(references) - _NAMES_SHOWN} more" if len(references) > _NAMES_SHOWN else ""
        click.echo(f"left out: {shown}{more}: {printable(reason, _MOST)}", err=True)
    for name in plan.unmatched:
        click.echo(f"no object: the backup has none of the kind {printable(name)!r}; `recoup velero manifests --list` shows what there is", err=True)
    for problem in problems:
        click.echo(f"problem: {printable(problem, _MOST)}", err=True)


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
