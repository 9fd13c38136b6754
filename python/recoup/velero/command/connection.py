"""The connection to the cluster that is meant."""

from __future__ import annotations

from functools import cached_property

import click

from ...network import Network
from ..cluster import BucketPlace, Cluster
from .everywhere import Given


class Connection:
    """Connects when it is first needed, and closes with the command."""

    def __init__(self, given: Given) -> None:
        self._given = given

    @cached_property
    def cluster(self) -> Cluster:
        given = self._given
        connected = Cluster.connect(given.kubeconfig, given.context, given.velero_namespace or "velero")
        click.get_current_context().find_root().call_on_close(connected.close)
        return connected

    def place(self) -> tuple[BucketPlace, Network]:
        """Velero's bucket, opened for the rest of this process: credentials are in its environment."""
        found = self.cluster.bucket_location(self._given.location)
        certificates = click.get_current_context().find_root().with_resource(found.as_environment())
        return found, Network(root_certificates=certificates, insecure_tls=found.insecure_tls)
