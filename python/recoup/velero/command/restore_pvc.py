"""`restore-pvc`: one volume, out of the bucket, into a directory or a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Optional, Protocol, cast

import click

from ..._engine import IncompleteError
from ...arguments import Overwrite
from ...results import RestoreProgress, RestoreResult
from ..cluster import Cluster, Filled, HelperSettings
from ..contents import OpenVolume, VolumeRestore, check_target
from ..fields import printable
from .connection import Connection
from .context import Context, as_bytes
from .helper_options import helper_options
from .progress import ByteProgress
from .volume_choice import ChosenVolume, VolumeChoice, print_notes, volume_options

# All of them are in the JSON document.
_ERRORS_SHOWN = 100


@dataclass(frozen=True)
class RestoreSettings:
    """As given on the command line."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    overwrite: Overwrite | None = None
    delete: bool = False
    sparse: bool = False
    verify: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.include and self.exclude:
            raise click.UsageError("--include says what is wanted and --exclude what is not: give one kind of them")
        if self.delete and self.overwrite is None:
            raise click.UsageError("--delete is for directories with something in them: say with --overwrite what happens to files there")


class Target(Protocol):
    """Where a volume goes."""

    def check(self) -> None:
        """Before anything is looked for. Raises InvalidArgumentError."""

    def restore(self, context: Context, chosen: ChosenVolume) -> None:
        """And prints what was done."""


@dataclass(frozen=True)
class DirectoryTarget:
    """A directory on this machine."""

    path: str
    settings: RestoreSettings

    def __str__(self) -> str:
        return self.path

    def check(self) -> None:
        """Before anything is looked for. Raises InvalidArgumentError."""
        check_target(self.path, self.settings.overwrite, self.settings.delete)

    def restore(self, context: Context, chosen: ChosenVolume) -> None:
        done = self._restored(context, chosen.opened)
        if context.as_json:
            said = chosen.describe()
            result = asdict(done.result)
            errors = [{"path": each.path, "message": each.message} for each in done.result.errors]
            notes = [*said["notes"], *chosen.newer_notes(), *done.notes]
            newer = [{"backup": each.backup, "snapshot": each.id, "time": each.time} for each in chosen.newer_copies]
            place = {"target": str(self), "dry_run": self.settings.dry_run}
            context.print_json({**said, **place, **result, "errors": errors, "notes": notes, "newer_copies": newer})
        else:
            context.print_fields(_counts(done.result, self.settings.dry_run))
            print_notes(done.notes)
            _print_errors(done.result)
        if done.result.errors:
            sys.exit(IncompleteError.exit_code)

    def _restored(self, context: Context, volume: OpenVolume) -> VolumeRestore:
        name, how = volume.volume.name, self.settings
        try:
            with ByteProgress(is_shown=not context.as_json) as progress:
                return volume.restore(
                    self.path, include=how.include, exclude=how.exclude, overwrite=how.overwrite, delete=how.delete,
                    sparse=how.sparse, verify=how.verify, dry_run=how.dry_run, progress=_telling(progress, name),
                )  # fmt: skip
        except (KeyboardInterrupt, SystemExit):
            if not how.dry_run:
                click.echo(
                    f"stopped: {printable(str(self), 4000)} may hold only part of {name}. The same command with --overwrite if-changed goes on "
                    "from there",
                    err=True,
                )
            raise


@dataclass(frozen=True)
class ClusterTarget:
    """A claim, or a directory of a running container."""

    cluster: Cluster
    settings: RestoreSettings
    helper: HelperSettings
    namespace: str
    claim: str = ""
    pod: str = ""
    container: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        if self.claim:
            return f"claim {self.namespace}/{self.claim}"
        return ", ".join(each for each in (f"pod {self.namespace}/{self.pod}", self.container, self.path) if each)

    def check(self) -> None:
        how = self.settings
        if how.include or how.exclude or how.delete or how.sparse or how.dry_run or how.overwrite not in (None, "always"):
            raise click.UsageError(
                "into a cluster a volume goes whole: of --include, --exclude, --overwrite and so on there is only --overwrite always. "
                "Restore into a directory, and copy from there (kubectl cp)"
            )

    def restore(self, context: Context, chosen: ChosenVolume) -> None:
        done = self._filled(context, chosen.opened)
        totals, notes = done.totals, done.notes
        if context.as_json:
            said = chosen.describe()
            place = {"target": done.where, "was_filled_before": not done.is_new, **asdict(totals)}
            context.print_json({**said, **place, "notes": [*said["notes"], *chosen.newer_notes(), *notes]})
            return
        if done.is_new:
            entries = totals.files + totals.directories + totals.symlinks + totals.others
            context.print_fields([("Restored", f"{entries} entries, {as_bytes(totals.content)}, into {printable(done.where, 4000)}")])
        print_notes(notes)

    def _filled(self, context: Context, volume: OpenVolume) -> Filled:
        name, overwrite, verify = volume.volume.name, self.settings.overwrite is not None, self.settings.verify
        with ByteProgress(is_shown=not context.as_json) as progress:

            def tell(sent: int, size: int) -> None:
                progress.show(name, sent, size)

            if self.claim:
                return self.cluster.fill_claim(
                    volume, self.namespace, self.claim, settings=self.helper, overwrite=overwrite, verify=verify, progress=tell
                )
            return self.cluster.fill_pod(
                volume, self.namespace, self.pod, self.container, self.path, overwrite=overwrite, verify=verify, progress=tell
            )


def _in_namespace(text: str, option: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name:
        raise click.UsageError(f"{option} {text}: it has the form NAMESPACE/NAME")
    return namespace, name


def _chosen_target(
    directory: str | None, claim: str | None, pod: str | None, settings: RestoreSettings, helper: HelperSettings, connection: Connection
) -> Target:
    """Where it goes: here, and only here, is decided which kind of place that is."""
    if sum(bool(each) for each in (directory, claim, pod)) != 1:
        raise click.UsageError("where to? Give one of --target DIR, --claim NAMESPACE/NAME, --pod NAMESPACE/POD[:CONTAINER][:PATH]")
    if directory:
        return DirectoryTarget(directory, settings)
    if claim:
        namespace, name = _in_namespace(claim, "--claim")
        return ClusterTarget(connection.cluster, settings, helper, namespace, claim=name)
    namespace, rest = _in_namespace(str(pod), "--pod")
    name, *others = rest.split(":", 2)
    path = others.pop() if others and others[-1].startswith("/") else None
    if len(others) > 1 or not name:
        raise click.UsageError(f"--pod {pod}: it has the form NAMESPACE/POD[:CONTAINER][:PATH], and PATH begins with a slash")
    return ClusterTarget(connection.cluster, settings, helper, namespace, pod=name, container=others[0] if others else None, path=path)


@click.command("restore-pvc")
@volume_options
@click.option("--target", "-t", "directory", metavar="DIR", help="The directory to restore into: an empty one, or one that is made.")
@click.option("--claim", metavar="NAMESPACE/NAME", help="A claim in the cluster: it must be empty, and no pod may use it.")
@click.option("--pod", metavar="NAMESPACE/POD[:CONTAINER][:PATH]", help="A running container.")
@click.option("--include", "-i", multiple=True, metavar="PATTERN", help="Only this: a path in the volume, or restic's patterns; several times.")
@click.option("--exclude", "-e", multiple=True, metavar="PATTERN", help="All but this; several times.")
@click.option("--overwrite", type=click.Choice(["always", "if-changed", "if-newer", "never"]),
              help="What to do with files that are there. Without it, a directory with something in it is refused.")  # fmt: skip
@click.option("--delete", is_flag=True, help="Remove what is in the directory and not in the volume; with --overwrite.")
@click.option("--sparse", is_flag=True, help="Leave holes where there are zeros.")
@click.option("--verify", is_flag=True, help="Read everything again, and compare.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@helper_options
@click.pass_obj
def restore_pvc(
    context: Context, /, choice: VolumeChoice, directory: str | None, claim: str | None, pod: str | None, include: tuple[str, ...],
    exclude: tuple[str, ...], overwrite: str | None, delete: bool, sparse: bool, verify: bool, dry_run: bool, helper: HelperSettings,
) -> None:  # fmt: skip
    """Restore one volume: content, owners, modes, times, extended attributes, hard links.

    NAMESPACE/PVC names its claim; NAMESPACE/POD:VOLUME is the name of a volume without one. Without --backup and --at it comes
    from the newest backup that has a copy of it; if the backup's own files are gone, from what the snapshots say of themselves.

    \b
      --target DIR                            into a directory of this machine
      --claim NAMESPACE/NAME                  into a claim that no pod uses, through a helper pod
      --pod NAMESPACE/POD[:CONTAINER][:PATH]  into a running container, where it mounts the volume or at PATH

    The exit code is 3 if not everything could be restored.
    """
    how = cast(Optional[Overwrite], overwrite)
    settings = RestoreSettings(include, exclude, how, delete, sparse, verify, dry_run)
    target = _chosen_target(directory, claim, pod, settings, helper, context.connection)
    target.check()
    chosen = choice.open(context)
    if not context.as_json:
        context.print_fields([*chosen.fields(), ("Target", printable(str(target), 4000))])
        print_notes([*chosen.found.notes, *chosen.newer_notes()])
    target.restore(context, chosen)


def _telling(progress: ByteProgress, name: str) -> Callable[[RestoreProgress], None]:
    return lambda now: progress.show(name, now.bytes_done, now.total_bytes)


def _counts(result: RestoreResult, dry_run: bool) -> list[tuple[str, str]]:
    done = f"{result.files_restored} of {result.total_files} entries, {as_bytes(result.bytes_restored)} of {as_bytes(result.total_bytes)}"
    return [
        ("Would restore" if dry_run else "Restored", done),
        ("Left alone", f"{result.files_skipped} entries, {as_bytes(result.bytes_skipped)}" if result.files_skipped else ""),
        ("Would delete" if dry_run else "Deleted", str(result.files_deleted) if result.files_deleted else ""),
        ("Verified", f"{result.files_verified} files" if result.files_verified else ""),
        ("Errors", str(len(result.errors)) if result.errors else ""),
    ]


def _print_errors(result: RestoreResult) -> None:
    for each in result.errors[:_ERRORS_SHOWN]:
        # The engine's messages begin with the path where they have one.
        text = each.message if each.path in each.message else f"{each.path}: {each.message}"
        click.echo(f"error: {printable(text, 4000)}", err=True)
    if len(result.errors) > _ERRORS_SHOWN:
        click.echo(f"error: and {len(result.errors) - _ERRORS_SHOWN} more; --json has them all", err=True)


__all__ = ["restore_pvc"]
