"""Which cluster is meant: the options for it, and the connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import click

from ...network import Network
from ..cluster import BucketPlace, Cluster

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Choice:
    """As given on the command line; None: not given."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    location: str | None = None


class Connection:
    """Connects when it is first needed, and closes with the command."""

    def __init__(self, choice: Choice | None = None) -> None:
        self._choice = choice or Choice()

    def choose(self, **given: str | None) -> None:
        """What a subcommand was given comes before what stood in front of it."""
        self._choice = replace(self._choice, **{key: value for key, value in given.items() if value is not None})

    @cached_property
    def cluster(self) -> Cluster:
        choice = self._choice
        connected = Cluster.connect(choice.kubeconfig, choice.context, choice.namespace or "velero")
        click.get_current_context().find_root().call_on_close(connected.close)
        return connected

    def place(self) -> tuple[BucketPlace, Network]:
        """Velero's bucket, opened for the rest of this process: credentials are in its environment."""
        found = self.cluster.bucket_location(self._choice.location)
        certificates = click.get_current_context().find_root().with_resource(found.as_environment())
        return found, Network(root_certificates=certificates, insecure_tls=found.insecure_tls)


def connection_options(command: _Command) -> _Command:
    """For the group, and for each subcommand that needs a cluster with Velero."""
    velero = click.option("--namespace", "-n", metavar="NAME", envvar="VELERO_NAMESPACE", help="Velero's namespace.  [default: velero]")
    return cluster_options(velero(command))


def cluster_options(command: _Command) -> _Command:
    """For subcommands to which only the cluster matters."""
    for option in (
        click.option("--context", "context_name", metavar="NAME", help="Of the kubeconfig, in place of its current one."),
        click.option("--kubeconfig", metavar="FILE", help="In place of KUBECONFIG and ~/.kube/config."),
    ):
        command = option(command)
    return command
