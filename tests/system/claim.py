"""Names and networks that no other run on this machine uses, for as long as this process lives.

What has a test's name and no holder is left from a run that was killed: tools/container-daemon.sh removes it. The directory and
the form of the names are also there and in terraform-provider/internal/guesttest/claim.go.
"""

from __future__ import annotations

import fcntl
import pathlib
import uuid

_DIRECTORY = pathlib.Path("/run/lock/recoup-test.d")
_held = []  # a file that nobody refers to would be closed


def claim(name: str) -> bool:
    """False: another run holds it."""
    _DIRECTORY.mkdir(exist_ok=True)
    file = (_DIRECTORY / name).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _held.append(file)
    return True


def name() -> str:
    """For an instance, a project or a network interface."""
    made = f"test-{uuid.uuid4().hex[:8]}"
    assert claim(made), made
    return made


def network(address: str) -> str:
    """"10.99.61", for a network beside the one of this address."""
    prefix = address.rsplit(".", 2)[0]
    return next(network for network in (f"{prefix}.{third}" for third in range(60, 250)) if claim(network))
