"""What tests of the package have in common that is no fixture."""

from __future__ import annotations

import random

PASSWORD = "geheim"
MIB = 1 << 20


def noise(size: int, seed: object = 0) -> bytes:
    """Bytes that do not compress; the same seed gives the same ones."""
    return random.Random(repr(seed)).randbytes(size)
