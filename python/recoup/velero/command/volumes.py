"""Volumes: which a backup has, and what is in one: `volumes`, `ls`, `dump`, `mount`."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import click

from ..._engine import Error, InvalidArgumentError, Node, NoSpaceError, NotFoundError
from ..bucket import Backup
from ..contents import OpenVolume
from ..fields import printable
from ..files import appearing
from ..mounting import check_mount_point, require_fuse
from ..mounting import mount as mount_volume
from ..search import lost_backups
from ..volumes import Volume, read_volumes
from .context import Context, as_bytes, as_time
from .selecting import chosen_backup
from .volume_choice import VolumeChoice, print_notes, volume_options

# Longer than any path.
_WHOLE = 10_000


# ---- volumes ---------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("backup_name", metavar="[BACKUP|latest]", default="latest")
@click.option("--all", "everything", is_flag=True, help="Of all backups, also those that cannot be restored and those of which only snapshots are left.")
@click.pass_obj
def volumes(context: Context, backup_name: str, everything: bool) -> None:
    """List the volumes of a backup: those that were stored, those that failed or were skipped, and why.

    Without BACKUP: the newest that can be restored. STATE is stored; empty (there was nothing in it); failed; skipped (Velero left
    it out); elsewhere (in a snapshot of the storage); unrecorded (Velero says nothing of it).
    """
    if everything and backup_name != "latest":
        raise click.UsageError("--all is for all backups: name none")
    listed = list(_all_listed(context) if everything else [_listed(context, backup_name)])
    if context.as_json:
        context.print_json(listed if everything else listed[0])
        return
    rows = []
    for each in listed:
        print_notes(each["notes"])
        for volume in each["volumes"]:
            rows.append([*([printable(each["backup"])] if everything else []), *_row(volume)])
    if not everything:
        [one] = listed
        context.print_fields([("Backup", f"{printable(one['backup'])} of {as_time(one['time'])}, {one['state']}")])
    context.print_table([*(["BACKUP"] if everything else []), "VOLUME", "STATE", ">SIZE", "UPLOADER", "SNAPSHOT", "POD", "WHY"], rows)


def _row(volume: dict[str, Any]) -> list[str]:
    pod = f"{volume['pod'] or ''}:{volume['volume']}" if volume["volume"] else "-"
    why = "; ".join(each for each in (volume["reason"], volume["message"]) if each)
    return [
        volume["name"], volume["state"], as_bytes(volume["size"]) if volume["size"] else "-", volume["uploader"] or "-",
        printable(volume["snapshot"] or "-")[:8], printable(pod), printable(why, _WHOLE),
    ]  # fmt: skip


def _listed(context: Context, name: str) -> dict[str, Any]:
    if name == "latest":
        try:
            return _of_backup(context, chosen_backup(context.bucket))
        except NotFoundError as problem:
            raise NotFoundError(f"{problem}; --all looks for what is left of backups") from problem
    try:
        return _of_backup(context, context.bucket.backup(name))
    except NotFoundError as problem:
        for lost in reversed(lost_backups(context.bucket, context.repositories, on_problem=_tell)):
            if lost.name == name:
                return _described(lost.name, "lost", lost.time, lost.volumes, [_lost_note(name)])
        raise NotFoundError(f"{problem}; nor is any snapshot left of it") from problem


def _all_listed(context: Context) -> Iterator[dict[str, Any]]:
    backups = context.bucket.backups()
    for backup in backups:
        try:
            yield _of_backup(context, backup)
        except Error as problem:
            yield _described(backup.name, str(backup.state), backup.time, [], [str(problem)])
    for lost in lost_backups(context.bucket, context.repositories, backups=backups, on_problem=_tell):
        yield _described(lost.name, "lost", lost.time, lost.volumes, [_lost_note(lost.name)])


def _of_backup(context: Context, backup: Backup) -> dict[str, Any]:
    read = read_volumes(context.bucket, backup, context.repositories)
    return _described(backup.name, str(backup.state), backup.time, read.volumes, read.notes)


def _tell(problem: str) -> None:
    print_notes([problem])


def _lost_note(name: str) -> str:
    return f"backup {name} is not in the bucket any more: only snapshots are left of it"


def _described(backup: str, state: str, time: datetime | None, found: Iterable[Volume], notes: Iterable[str]) -> dict[str, Any]:
    return {"backup": backup, "state": state, "time": time, "volumes": [_describe(each) for each in found], "notes": list(notes)}


def _describe(volume: Volume) -> dict[str, Any]:
    return {
        "name": volume.name,
        "namespace": volume.namespace,
        "claim": volume.claim,
        "pod": volume.pod or None,
        "volume": volume.volume or None,
        "state": str(volume.state),
        "restorable": volume.has_copy,
        "phase": volume.phase or None,
        "size": volume.size,
        "uploader": str(volume.uploader) if volume.uploader else None,
        "method": volume.method or None,
        "snapshot": volume.snapshot or None,
        "repository": volume.place.prefix if volume.place else None,
        "time": volume.time,
        "reason": volume.reason or None,
        "message": volume.message or None,
        "source": volume.source or None,
    }


# ---- ls --------------------------------------------------------------------------------------------------------------------


@click.command()
@volume_options
@click.argument("path", default="/")
@click.option("--recursive", "-R", is_flag=True, help="Also what is in directories below.")
@click.option("--long", "-l", "is_long", is_flag=True, help="With modes, owners, sizes and times.")
@click.pass_obj
def ls(context: Context, choice: VolumeChoice, path: str, recursive: bool, is_long: bool) -> None:
    """List what is in a volume: a directory (the root, unless PATH names another), or a file itself.

    A name with what would steer a terminal is shown with escapes; --json has it as it is (bytes that are not UTF-8 as \\udcXX).
    """
    chosen = choice.open(context)
    print_notes(chosen.found.notes)
    entries = chosen.opened.ls(path, recursive=recursive)
    if context.as_json:
        context.print_json_array(_describe_node(where, node) for where, node in entries)
        return
    for where, node in entries:
        shown = printable(where, _WHOLE)
        click.echo(f"{_long(node)}{shown}{_link(node)}" if is_long else shown)


def _long(node: Node) -> str:
    size = node.size if node.type == "file" else 0
    return f"{stat.filemode(node.mode)} {node.uid:>5} {node.gid:>5} {size:>12} {as_time(node.mtime)} "


def _link(node: Node) -> str:
    return f" -> {printable(node.link_target, _WHOLE)}" if node.type == "symlink" else ""


def _describe_node(path: str, node: Node) -> dict[str, Any]:
    return {
        "path": path,
        "type": node.type,
        "mode": stat.filemode(node.mode),
        "permissions": oct(stat.S_IMODE(node.mode)),
        "uid": node.uid,
        "gid": node.gid,
        "user": node.user or None,
        "group": node.group or None,
        "size": node.size,
        "mtime": node.mtime,
        "mtime_ns": node.mtime_ns,
        "links": node.links,
        "link_target": node.link_target if node.type == "symlink" else None,
        "extended_attributes": sorted(node.extended_attributes),
    }


# ---- dump ------------------------------------------------------------------------------------------------------------------


@click.command()
@volume_options
@click.argument("path")
@click.option("--output", "-O", metavar="FILE", help="Into this file, which appears when it is whole; only you can read it.  [default: standard output]")
@click.pass_obj
def dump(context: Context, choice: VolumeChoice, path: str, output: str | None) -> None:
    """Print a file of a volume, or write it into FILE."""
    if context.as_json and not output:
        raise click.UsageError("standard output is for the file's content: with --json, give --output FILE")
    if output and os.path.isdir(output):
        raise InvalidArgumentError(f"{printable(output, _WHOLE)} is a directory: name a file to write into")
    chosen = choice.open(context)
    print_notes(chosen.found.notes)
    if not output:
        stream = sys.stdout.buffer
        chosen.opened.dump(path, stream)
        stream.flush()
        return
    count = _dump_into(chosen.opened, path, output)
    if context.as_json:
        context.print_json({**chosen.describe(), "path": path, "output": output, "bytes": count})
    else:
        click.echo(f"{printable(output, _WHOLE)}: {as_bytes(count)}", err=True)


def _dump_into(volume: OpenVolume, path: str, output: str) -> int:
    volume.open(path).close()  # before anything is made
    try:
        with appearing(output, is_private=True) as into:
            return volume.dump(path, into)
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpaceError(f"{printable(output, _WHOLE)}: {problem.strerror}") from problem
        raise InvalidArgumentError(f"{printable(output, _WHOLE)} cannot be written: {problem.strerror or problem}") from problem


# ---- mount -----------------------------------------------------------------------------------------------------------------


@click.command()
@volume_options
@click.argument("directory")
@click.pass_obj
def mount(context: Context, choice: VolumeChoice, directory: str) -> None:
    """Show a volume in the empty DIRECTORY, read-only, until it is unmounted, or until Ctrl-C.

    Only the user who mounts sees it, and all of it. It needs FUSE: pip install 'recoup[mount]', and the package fuse3.
    """
    check_mount_point(directory)
    require_fuse()
    chosen = choice.open(context)
    print_notes(chosen.found.notes)
    said = {**chosen.describe(), "directory": os.path.abspath(directory)} if context.as_json else {}

    def ready() -> None:
        if context.as_json:
            context.print_json(said)
            return
        context.print_fields([*chosen.fields(), ("Directory", printable(os.path.abspath(directory), _WHOLE))])
        click.echo(f"mounted; Ctrl-C or `umount {printable(directory, _WHOLE)}` ends it")
        sys.stdout.flush()

    mount_volume(chosen.opened, directory, on_ready=ready)
