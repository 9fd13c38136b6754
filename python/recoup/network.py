"""How storage behind a network is reached."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ._engine import InvalidArgumentError
from .arguments import Path, Paths, at_least, paths


@dataclass(frozen=True)
class Network:
    """Certificates, rates and patience. The defaults trust what the system trusts and limit nothing.

    `root_certificates` are PEM files to trust instead of the system's; `client_certificate` is a PEM file with a certificate and
    its private key; `insecure_tls` accepts any certificate. The limits are bytes per second of all connections together, 0 for
    none; they hold for local directories too. A request during which no byte moves for `stall_timeout` seconds is given up and
    made again.
    """

    root_certificates: Paths = ()
    client_certificate: Path | None = None
    insecure_tls: bool = False
    upload_limit: int = 0
    download_limit: int = 0
    stall_timeout: float = 300
    user_agent: str = ""

    def settings(self) -> dict[str, Any]:
        """For the engine. Raises InvalidArgumentError for what makes no sense."""
        if not self.stall_timeout > 0:
            raise InvalidArgumentError(f"stall_timeout is more than 0 seconds, not {self.stall_timeout}")
        return {
            "root_certificates": [os.fsencode(file) for file in paths(self.root_certificates)],
            "client_certificate": os.fsencode(self.client_certificate or ""),
            "insecure_tls": self.insecure_tls,
            "upload_limit": at_least(0, self.upload_limit, "upload_limit"),
            "download_limit": at_least(0, self.download_limit, "download_limit"),
            "stall_timeout": float(self.stall_timeout),
            "user_agent": self.user_agent,
        }
