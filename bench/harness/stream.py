"""Writes a file of a given size to a pipe:   stream.py BYTES

Sixteen times the same random bytes, so that its repository is a sixteenth at every size, and 64 GiB of it fit into memory. The
same size gives the same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO

REPEATS = 16
PIECE = 1 << 20


def write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data):]


def write_stream(size: int, descriptor: int) -> None:
    generator = random.Random(size)
    with contextlib.suppress(OSError):  # fewer turns between the two processes; a limit of the system's is no reason to stop
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIECE)
    block = -(-size // REPEATS)
    pieces, left = [], size
    for start in range(0, block, PIECE):
        pieces.append(memoryview(generator.randbytes(min(PIECE, block - start))))
        write_all(descriptor, pieces[-1][:left])
        left -= min(left, len(pieces[-1]))
    while left:
        for piece in pieces:
            write_all(descriptor, piece[:left])
            left -= min(left, len(piece))


@contextlib.contextmanager
def stream(size: int) -> Iterator[BinaryIO]:
    """The reading end of such a stream, written by another process, whose processor time nobody counts."""
    writer = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).resolve()), str(size)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield writer.stdout
    finally:
        writer.stdout.close()
        writer.kill()
        writer.wait()


if __name__ == "__main__":
    write_stream(int(sys.argv[1]), 1)
