"""`restore-pvc`: one volume, out of the bucket, into a place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Optional, cast

import click

from ..._engine import IncompleteError
from ...arguments import Overwrite
from ...repository import OnRestoreProgress
from ...results import RestoreProgress, RestoreResult
from ..contents import OpenVolume, VolumeRestore, check_target
from ..fields import printable
from .context import Context, as_bytes
from .progress import ByteProgress
from .volume_choice import VolumeChoice, print_notes, volume_options

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

    def restore(self, volume: OpenVolume, progress: OnRestoreProgress) -> VolumeRestore:
        chosen = self.settings
        return volume.restore(
            self.path, include=chosen.include, exclude=chosen.exclude, overwrite=chosen.overwrite, delete=chosen.delete,
            sparse=chosen.sparse, verify=chosen.verify, dry_run=chosen.dry_run, progress=progress,
        )  # fmt: skip


def _chosen_target(directory: str | None, settings: RestoreSettings) -> DirectoryTarget:
    """Where it goes: here, and only here, is decided which kind of place that is."""
    if not directory:
        raise click.UsageError("where to? Give --target DIR")
    return DirectoryTarget(directory, settings)


@click.command("restore-pvc")
@volume_options
@click.option("--target", "-t", "directory", metavar="DIR", help="The directory to restore into: an empty one, or one that is made.")
@click.option("--include", "-i", multiple=True, metavar="PATTERN", help="Only this: a path in the volume, or restic's patterns; several times.")
@click.option("--exclude", "-e", multiple=True, metavar="PATTERN", help="All but this; several times.")
@click.option("--overwrite", type=click.Choice(["always", "if-changed", "if-newer", "never"]),
              help="What to do with files that are there. Without it, a directory with something in it is refused.")  # fmt: skip
@click.option("--delete", is_flag=True, help="Remove what is in the directory and not in the volume; with --overwrite.")
@click.option("--sparse", is_flag=True, help="Leave holes where there are zeros.")
@click.option("--verify", is_flag=True, help="Read everything again, and compare.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.pass_obj
def restore_pvc(
    context: Context, choice: VolumeChoice, directory: str | None, include: tuple[str, ...], exclude: tuple[str, ...],
    overwrite: str | None, delete: bool, sparse: bool, verify: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Restore one volume: content, owners, modes, times, extended attributes, hard links.

    NAMESPACE/PVC names its claim; NAMESPACE/POD:VOLUME is the name of a volume without one. Without --backup and --at it comes
    from the newest backup that has a copy of it; if the backup's own files are gone, from what the snapshots say of themselves.

    The exit code is 3 if not everything could be restored.
    """
    how = cast(Optional[Overwrite], overwrite)
    target = _chosen_target(directory, RestoreSettings(include, exclude, how, delete, sparse, verify, dry_run))
    target.check()
    chosen = choice.open(context)
    if not context.as_json:
        context.print_fields([*chosen.fields(), ("Target", printable(str(target), 4000))])
        print_notes([*chosen.found.notes, *chosen.newer_notes()])
    done = _restored(context, target, chosen.opened)
    if context.as_json:
        said = chosen.describe()
        result = asdict(done.result)
        errors = [{"path": each.path, "message": each.message} for each in done.result.errors]
        notes = [*said["notes"], *chosen.newer_notes(), *done.notes]
        newer = [{"backup": each.backup, "snapshot": each.id, "time": each.time} for each in chosen.newer_copies]
        place = {"target": str(target), "dry_run": dry_run}
        context.print_json({**said, **place, **result, "errors": errors, "notes": notes, "newer_copies": newer})
    else:
        context.print_fields(_counts(done.result, dry_run))
        print_notes(done.notes)
        _print_errors(done.result)
    if done.result.errors:
        sys.exit(IncompleteError.exit_code)


def _restored(context: Context, target: DirectoryTarget, volume: OpenVolume) -> VolumeRestore:
    name = volume.volume.name
    try:
        with ByteProgress(is_shown=not context.as_json) as progress:
            return target.restore(volume, _telling(progress, name))
    except (KeyboardInterrupt, SystemExit):
        if not target.settings.dry_run:
            click.echo(
                f"stopped: {printable(str(target), 4000)} may hold only part of {name}. The same command with --overwrite if-changed goes on "
                "from there",
                err=True,
            )
        raise


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


__all__ = ["DirectoryTarget", "RestoreSettings", "restore_pvc"]
