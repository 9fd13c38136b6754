"""What one command costs."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import BinaryIO


@dataclasses.dataclass
class Measurement:
    wall: float  # seconds
    cpu: float  # seconds, user + system, of the process and the children it waited for
    memory: int  # bytes: the sum of the peak resident sets of its processes


class CommandFailed(Exception):
    """A measured command ended with an error; the text has its command line and its output."""


#: Finer than the shortest command that is measured; one look costs about 50 µs.
SAMPLE_SECONDS = 0.02


class PeakMemory:
    """Samples the high-water marks of a process and its descendants.

    wait4's ru_maxrss is no substitute: it counts one process where some programs have two, and a fork starts with the mark of
    who forked, so it never says less than this Python has.
    """

    def __init__(self, pid: int):
        self.pid = pid
        self.marks: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def finish(self) -> int:
        self._stop.set()
        self._thread.join()
        return sum(self.marks.values())

    def _watch(self) -> None:
        known, look_for_children = [self.pid], 0
        while True:
            if look_for_children == 0:
                known, look_for_children = descendants(self.pid), 10
            look_for_children -= 1
            for pid in known:
                self.marks[pid] = max(self.marks.get(pid, 0), high_water_mark(pid))
            if self._stop.wait(SAMPLE_SECONDS):
                return


def high_water_mark(pid: int) -> int:
    """Peak resident set of a process, bytes; 0 once it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for each in found:
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                found += map(int, pathlib.Path(f"/proc/{each}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


def measure(command: Sequence[str], environment: Mapping[str, str], cwd: os.PathLike | None = None,
            stdin: BinaryIO | None = None, allowed: Sequence[int] = (0,)) -> tuple[Measurement, str]:
    """Runs a command to its end; also returns what it printed. Raises CommandFailed unless it ends with an allowed code.

    It runs in a session of its own: Ctrl-C reaches this process alone, which ends the command with its children.
    """
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(command, env=dict(environment), cwd=cwd, stdout=output, stderr=output,
                                   stdin=stdin or subprocess.DEVNULL, start_new_session=True)
        memory = PeakMemory(process.pid)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            peak = memory.finish()
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode not in allowed:
        raise CommandFailed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{said[-4000:]}")
    # Above our own mark ru_maxrss is exact, and it sees what came after the last sample.
    if usage.ru_maxrss * 1024 > high_water_mark(os.getpid()):
        peak = max(peak, usage.ru_maxrss * 1024)
    return Measurement(wall, usage.ru_utime + usage.ru_stime, peak), said
