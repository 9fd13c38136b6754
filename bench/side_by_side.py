#!/usr/bin/env python3
"""Times recoup beside restic: first backup, second backup, restore and check, of a tree and of one big file.

    bench/side_by_side.py --tree /usr/lib --tree /usr/share --runs 3

Both programs work alternately on the same data, so that a machine that gets slower meanwhile slows both. Sources are read
once before, and repositories lie in memory (/dev/shm by default), because otherwise the disk is what is measured. What
counts is the ratio in the last column, not the seconds; CI asserts neither.

Prints a Markdown table: wall seconds, CPU seconds (user + system) and peak memory of the process, medians over the runs.
"""

import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass
class Measurement:
    wall: float  # seconds
    cpu: float  # seconds, user + system
    memory: int  # peak resident set, KiB


def measure(command: list[str], environment: dict[str, str]) -> Measurement:
    """Runs a command to its end; raises if it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{output.read().decode(errors='replace')}")
    return Measurement(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


class Program:
    """One of the two programs with a repository of its own; both take the same arguments."""

    def __init__(self, name: str, executable: str, scratch: pathlib.Path):
        self.name = name
        self.executable = executable
        self.repository = scratch / f"repository-{name}"
        self.restored = scratch / f"restored-{name}"
        self.environment = dict(os.environ, RESTIC_PASSWORD="benchmark", RESTIC_REPOSITORY=str(self.repository), TZ="UTC",
                                RESTIC_CACHE_DIR=str(scratch / f"cache-{name}"))

    def run(self, *arguments: str) -> Measurement:
        return measure([self.executable, "--quiet", *arguments], self.environment)

    def clear(self) -> None:
        for directory in (self.repository, self.restored):
            shutil.rmtree(directory, ignore_errors=True)

    def rounds(self, sources: list[str]):
        """Yields the name of each operation and what it took, in the order in which a user meets them."""
        self.clear()
        self.run("init")
        yield "first backup", self.run("backup", *sources)
        yield "second backup", self.run("backup", *sources)
        yield "restore", self.run("restore", "latest", "--target", str(self.restored))
        shutil.rmtree(self.restored)
        yield "check", self.run("check")
        yield "check --read-data", self.run("check", "--read-data")


def compare(what: str, sources: list[str], programs: list[Program], runs: int) -> None:
    results: dict[tuple[str, str], list[Measurement]] = {}
    sizes = {}
    for _ in range(runs):
        for round_of in zip(*(program.rounds(sources) for program in programs)):
            for program, (operation, took) in zip(programs, round_of):
                results.setdefault((operation, program.name), []).append(took)
        for program in programs:
            sizes[program.name] = directory_size(program.repository)
            program.clear()

    def median(operation: str, program: Program, field: str) -> float:
        return statistics.median(getattr(took, field) for took in results[operation, program.name])

    recoup, restic = programs
    print(f"\n{what}; repository {sizes['recoup'] / 1e6:.0f} MB, restic's {sizes['restic'] / 1e6:.0f} MB; median of {runs}\n")
    print("| operation | recoup: wall s | CPU s | MB | restic: wall s | CPU s | MB | wall, recoup / restic |")
    print("|---|---|---|---|---|---|---|---|")
    for operation in dict.fromkeys(operation for operation, _ in results):
        cells = [operation]
        for program in programs:
            cells += [f"{median(operation, program, 'wall'):.2f}", f"{median(operation, program, 'cpu'):.2f}",
                      f"{median(operation, program, 'memory') * 1024 / 1e6:.0f}"]
        cells.append(f"{median(operation, recoup, 'wall') / median(operation, restic, 'wall'):.2f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def directory_size(directory: pathlib.Path) -> int:
    return sum(entry.stat().st_size for entry in directory.rglob("*") if entry.is_file())


def warm(sources: list[str]) -> tuple[int, int]:
    """Reads everything once, so that no run pays for the disk. Returns the number of files and bytes."""
    files = size = 0
    for source in sources:
        for directory, _, names in os.walk(source):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    files += 1
                    with open(path, "rb", buffering=0) as file:
                        while block := file.read(1 << 20):
                            size += len(block)
    return files, size


def main() -> None:
    here = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recoup", default=str(here / "build/release/recoup"))
    parser.add_argument("--restic", default=os.path.expanduser("~/.cache/recoup-test/restic-0.19.1/usr/bin/restic"))
    parser.add_argument("--scratch", default="/dev/shm", help="where repositories and restored files lie meanwhile")
    parser.add_argument("--tree", action="append", default=[], help="a directory to back up; repeat for more of them")
    parser.add_argument("--file-size", type=int, default=2 << 30, help="bytes of the one big file of random bytes; 0: none")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=chosen.scratch, prefix="recoup-bench-") as scratch_name:
        scratch = pathlib.Path(scratch_name)
        programs = [Program("recoup", chosen.recoup, scratch), Program("restic", chosen.restic, scratch)]
        if chosen.tree:
            files, size = warm(chosen.tree)
            compare(f"{files:,} files, {size / 1e6:,.0f} MB: {' '.join(chosen.tree)}", chosen.tree, programs, chosen.runs)
        if chosen.file_size:
            source = scratch / "source"
            source.mkdir()
            generator = random.Random(1)
            with open(source / "random", "wb") as file:
                for _ in range(chosen.file_size >> 20):
                    file.write(generator.randbytes(1 << 20))
            compare(f"one file of {chosen.file_size >> 20} MiB of random bytes", [str(source)], programs, chosen.runs)


if __name__ == "__main__":
    main()
