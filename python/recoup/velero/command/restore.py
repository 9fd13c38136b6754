"""restore: a whole backup, into a cluster or into a directory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..._engine import IncompleteError
from ..bucket import Backup
from ..cluster import Cluster, HelperSettings
from ..fields import printable
from ..restore import (
    ObjectOutcome,
    Observer,
    RestoredObject,
    RestoredVolume,
    RestoreReport,
    VolumeOutcome,
    Wanted,
    restore_into_cluster,
    restore_into_directory,
    wanted,
)
from ..volumes import what_velero_missed
from .context import Context, as_bytes, as_time
from .helper_options import helper_options
from .progress import ByteProgress
from .report_files import check_writable, json_text, write_file
from .selecting import chosen_backup, make_selection, selection_options
from .times import when

if TYPE_CHECKING:
    from typing_extensions import Self

_REASONS_SHOWN = 30


@click.command()
@click.argument("backup", required=False)
@click.option("--at", type=when, metavar="TIME", help="The newest backup that is not later: 2026-11-20, '2026-11-20 14:00', 2d (ago).")
@click.option("--schedule", metavar="NAME", help="The newest backup of this schedule.")
@click.option("--target", metavar="DIR", help="No cluster: manifests and volumes into this directory.")
@click.option("--verify", is_flag=True, help="Read every volume again, and compare it with what was backed up.")
@selection_options(secrets=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done. The cluster is asked what it would say; nothing is kept.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before a cluster is changed.")
@click.option("--force-conflicts", is_flag=True, help="Take over fields of objects that another program manages in the cluster.")
@click.option("--older-data", is_flag=True, help="Take volumes that this backup failed to store from the newest one before it that has them.")
@click.option("--start-without-data", is_flag=True, help="Also start what works on a volume whose data could not be restored.")
@click.option("--report", type=click.Path(dir_okay=False), metavar="FILE", help="Write what was done as JSON, also if the restore is incomplete.")
@helper_options
@click.pass_obj
def restore(
    context: Context, /, backup: str | None, at: datetime | None, schedule: str | None, target: str | None, verify: bool, dry_run: bool, yes: bool,
    force_conflicts: bool, older_data: bool, start_without_data: bool, report: str | None,
    helper: HelperSettings, **chosen: Any,
) -> None:  # fmt: skip
    """Restore a whole backup: the newest one that can be, or BACKUP.

    Into the cluster of the kubeconfig: namespaces, definitions, storage classes, claims, roles and Secrets; then the volumes' data,
    each through a helper pod; then pods and everything that starts some. A claim whose data cannot be brought back keeps what works
    on it from starting. Or, with --target, into a directory: manifests/, volumes/NAMESPACE/CLAIM/.

    What fails does not stop the rest, and is told at the end, with the exit code 3. The same command run again goes on where it
    stopped, and changes nothing that is done.
    """
    if report is not None:
        check_writable([report])
    selection, changes = make_selection(chosen)
    found = _find(context, backup, at, schedule)
    if target is None:
        cluster = context.connection.cluster
    want = wanted(context.bucket, found, context.repositories, selection, changes, older_data=older_data)
    for name in want.plan.unmatched:
        click.echo(f"warning: the backup has no {printable(name)}", err=True)
    missed = what_velero_missed(found)
    if missed:
        click.echo(f"note: {printable(missed, 1000)}", err=True)
    with _telling_how_to_go_on(dry_run), _Teller(is_silent=context.as_json) as teller:
        if target is not None:
            teller.begin(want, target, dry_run)
            done = restore_into_directory(want, context.repositories, target, verify=verify, dry_run=dry_run, observer=teller)
        else:
            if not dry_run and not yes:
                _confirm(want, cluster)
            teller.begin(want, cluster.address, dry_run)
            done = restore_into_cluster(
                want, context.repositories, cluster, helper=helper, verify=verify, dry_run=dry_run, force_conflicts=force_conflicts,
                start_without_data=start_without_data, observer=teller,
            )  # fmt: skip
    if report is not None:
        write_file(report, json_text(done))
    if context.as_json:
        context.print_json(done.to_json())
    else:
        _print_end(done)
    if not done.is_complete:
        sys.exit(IncompleteError.exit_code)


@contextlib.contextmanager
def _telling_how_to_go_on(dry_run: bool) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if not dry_run:
            click.echo("stopped: not everything is restored. The same command goes on from there", err=True)
        raise


def _find(context: Context, name: str | None, at: datetime | None, schedule: str | None) -> Backup:
    if name not in (None, "latest") and (at is not None or schedule is not None):
        raise click.UsageError("BACKUP names one backup: leave --at and --schedule out")
    return chosen_backup(context.bucket, name or "latest", at=at, schedule=schedule)


def _confirm(want: Wanted, cluster: Cluster) -> None:
    data = sum(1 for each in want.volumes if not each.trouble and each.volume.claim is not None)
    question = (
        f"restore {want.backup.name} of {as_time(want.backup.time)} into {cluster.address}: {len(want.plan.objects)} objects, "
        f"data of {data} claims"
    )
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question}: say --yes where nobody can be asked, or --dry-run")
    click.confirm(f"{question}?", abort=True, err=True)


class _Teller(Observer):
    """A line for each thing that is done, and a bar for what is under way."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent = is_silent
        self._bar = ByteProgress(is_shown=not is_silent)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)

    def begin(self, want: Wanted, target: str, dry_run: bool) -> None:
        self._say(f"{'dry run: ' if dry_run else ''}restoring {want.backup.name} of {as_time(want.backup.time)} into {target}")

    def object_done(self, done: RestoredObject) -> None:
        # Hundreds of files in a directory need no line each.
        if done.outcome is not ObjectOutcome.WRITTEN:
            self._say(f"{done.outcome.value:<13}  {printable(done.reference, 1000)}{_after(done.message)}")

    def volume_begun(self, name: str, total_bytes: int) -> None:
        self._bar.show(name, 0, total_bytes)

    def volume_progress(self, name: str, bytes_done: int, total_bytes: int) -> None:
        self._bar.show(name, bytes_done, total_bytes)

    def volume_done(self, done: RestoredVolume) -> None:
        amount = f", {as_bytes(done.bytes)} in {done.seconds:.0f} s" if done.outcome is VolumeOutcome.RESTORED and done.files else ""
        self._say(f"{done.outcome.value:<13}  volume {done.name}{amount}{_after(done.message or done.note)}")

    def _say(self, text: str) -> None:
        if not self._is_silent:
            click.echo(text)


def _after(message: str) -> str:
    return ": " + "\n               ".join(printable(line, 1000) for line in message.splitlines()) if message else ""


def _print_end(done: RestoreReport) -> None:
    reasons: dict[str, list[str]] = {}
    for each in done.left_out:
        reasons.setdefault(each.reason, []).append(each.reference)
    if reasons:
        click.echo("\nleft out:")
    for reason, references in list(reasons.items())[:_REASONS_SHOWN]:
        more = f" and {len(references) - 3} more" if len(references) > 3 else ""
        click.echo(f"  {printable(', '.join(references[:3]), 1000)}{more}: {printable(reason, 1000)}")
    if done.problems:
        click.echo("\nproblems of the backup itself:")
    for problem in done.problems:
        click.echo(f"  {printable(problem, 1000)}")
    click.echo(f"\n{done.summary}")
    if done.failed_objects or done.failed_volumes:
        click.echo(f"{len(done.failed_objects)} objects and {len(done.failed_volumes)} volumes are not there: see above, mend it, and run this again")


__all__ = ["restore"]
