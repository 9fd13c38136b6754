"""A directory for sources, repositories, caches and restored files, in memory, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from .measure import descendants


def remove(path: os.PathLike | str) -> None:
    """Python's rmtree recurses, and a thousand levels are too deep for it."""
    subprocess.run(["rm", "-rf", "--", str(path)], check=True)


@contextlib.contextmanager
def scratch_directory(below: str) -> Iterator[pathlib.Path]:
    """A new directory below `below`, removed at the end, after Ctrl-C and after SIGTERM too; all children end before that."""
    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, stop)
    path = pathlib.Path(tempfile.mkdtemp(dir=below, prefix="recoup-bench-"))
    try:
        yield path
    finally:
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        end_children()
        remove(path)
        signal.signal(signal.SIGINT, ignored[signal.SIGINT])
        signal.signal(signal.SIGTERM, before)


def end_children() -> None:
    """A signal may come just after a program was started, when nobody has its process yet."""
    for pid in descendants(os.getpid())[1:]:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)  # grandchildren are somebody else's to wait for


def free_bytes(path: os.PathLike | str) -> int:
    """What may be written there; in memory no more than the machine has left."""
    room = os.statvfs(path)
    free = room.f_bavail * room.f_frsize
    if is_in_memory(path):
        with open("/proc/meminfo") as file:
            free = min(free, next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:")))
    return free


def is_in_memory(path: os.PathLike | str) -> bool:
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True).stdout.strip()
    return kind == "tmpfs"


def touch_memory(scratch: pathlib.Path, size: int) -> None:
    """Writes and removes `size` bytes: in a virtual machine the first touch of a page is slow, and the first program would pay."""
    if not is_in_memory(scratch):
        return
    block = b"\1" * (1 << 20)
    path = scratch / "touched"
    with open(path, "wb", buffering=0) as file:
        for _ in range(min(size, int(free_bytes(scratch) * 0.8)) >> 20):
            file.write(block)
    path.unlink()


def say(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)
