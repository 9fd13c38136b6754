"""The command `recoup-velero`, which `recoup velero` runs."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from ..._engine import Error
from ..fields import printable
from .audit import audit
from .cluster import create, delete_schedule, pause, unpause, watch
from .cluster import run as run_backup
from .context import Context
from .drill import drill
from .everywhere import Commands, given_in, option_everywhere
from .manifests import manifests
from .restore import restore
from .restore_pvc import restore_pvc
from .show import backups, describe, logs, schedules
from .volumes import dump, ls, mount, volumes


class _ReaderGone(Exception):
    """Whoever reads our output has seen enough. click would end with 1."""


class _Commands(Commands):
    def invoke(self, click_context: click.Context) -> Any:
        try:
            return super().invoke(click_context)
        except BrokenPipeError as problem:
            raise _ReaderGone from problem


@click.group(name="recoup velero", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@option_everywhere("--bucket", "-b", metavar="LOCATION", envvar="RECOUP_VELERO_BUCKET",
                   help="Velero's bucket: s3:http://host:9000/velero-backups[/prefix], or a directory with a copy of it.  "
                        "[env: RECOUP_VELERO_BUCKET]")  # fmt: skip
@option_everywhere("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
@option_everywhere("--option", "-o", "options", multiple=True, metavar="KEY=VALUE", help="As in `recoup`, for S3: -o s3.region=…")
@option_everywhere("--password-file", "-p", "password_files", multiple=True, metavar="FILE",
                   help="A file with the repositories' password; several are all tried. Without any: what the Secret in the backups holds, and "
                        "Velero's default.  [env: RESTIC_PASSWORD_FILE, or the password itself in RESTIC_PASSWORD]")  # fmt: skip
@option_everywhere("--password-command", metavar="COMMAND", envvar="RESTIC_PASSWORD_COMMAND",
                   help="A program that prints the repositories' password.  [env: RESTIC_PASSWORD_COMMAND]")  # fmt: skip
@option_everywhere("--kubeconfig", metavar="FILE", help="In place of KUBECONFIG and ~/.kube/config.")
@option_everywhere("--context", metavar="NAME", help="Of the kubeconfig, in place of its current one.")
@option_everywhere("--namespace", "-n", "velero_namespace", metavar="NAME", envvar="VELERO_NAMESPACE",
                   help="Velero's namespace.  [default: velero]")  # fmt: skip
@option_everywhere("--location", metavar="NAME", help="Without --bucket: the BackupStorageLocation in the cluster.  [default: its default one]")
@click.version_option(package_name="recoup", message="recoup %(version)s")
@click.pass_context
def main(click_context: click.Context) -> None:
    """Velero's backups, read from the bucket alone: no cluster and no Velero are needed.

    Without --bucket, the cluster of the kubeconfig says which bucket it is, and which credentials open it.

    Nothing is written into the bucket, and no lock is taken there. Credentials for S3 come from where `recoup` takes them:
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, ~/.mc, or the machine's role.

    The options below may also stand after the command.
    """
    # The subcommand's own share of them is added to it when that is read.
    click_context.obj = Context(given_in(click_context))


for _command in (
    backups, describe, logs, volumes, schedules,
    restore_pvc, ls, dump, mount, manifests, restore,
    audit, drill,
    create, pause, unpause, delete_schedule, run_backup, watch,
):  # fmt: skip
    main.add_command(_command)


def run() -> None:
    """The entry point: errors of the engine are a line on standard error and restic's exit code."""
    # What is half done is cleared away, as after Ctrl-C: a timer's service is ended so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except _ReaderGone:
        # Python would fail once more when it writes what is left in its buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Error as problem:
        # What a stranger called a file or a backup does not steer the terminal.
        said = "\n".join(printable(line, 10_000) for line in str(problem).split("\n"))
        click.echo(f"recoup velero: {said}", err=True)
        sys.exit(problem.exit_code)
