#!/usr/bin/env python3
"""Times recoup beside restic: first backup, second backup, restore and check, of a tree and of one big file.

    bench/side_by_side.py --tree /usr/lib --tree /usr/share --runs 3
    bench/side_by_side.py --tree /usr/lib --s3                          # the repositories in a MinIO on this machine
    bench/side_by_side.py --tree /usr/share/doc --s3 --rtt 0.05         # and that one 50 ms away

Both programs work alternately on the same data, so that a machine that gets slower meanwhile slows both. Sources are read
once before, and repositories lie in memory (/dev/shm by default), because otherwise the disk is what is measured. What
counts is the ratio in the last column, not the seconds; CI asserts neither.

Prints a Markdown table: wall seconds, CPU seconds (user + system) and peak memory of the process, medians over the runs. With
--s3 also how long `mc cp` takes to upload the same repository, which is what MinIO itself can take: no backup program can be
faster than that. `mc` and MinIO are those of tools/s3-servers.sh.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


HERE = pathlib.Path(__file__).resolve().parent.parent


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

    def __init__(self, name: str, executable: str, scratch: pathlib.Path, store: "Minio | None"):
        self.name = name
        self.executable = executable
        self.store = store
        self.repository = store.data / name if store else scratch / f"repository-{name}"
        self.restored = scratch / f"restored-{name}"
        self.cache = scratch / f"cache-{name}"
        location = store.location(name) if store else str(self.repository)
        self.environment = dict(os.environ, RESTIC_PASSWORD="benchmark", RESTIC_REPOSITORY=location, TZ="UTC",
                                RESTIC_CACHE_DIR=str(self.cache), **(store.credentials if store else {}))

    def run(self, *arguments: str) -> Measurement:
        return measure([self.executable, "--quiet", *arguments], self.environment)

    def clear(self) -> None:
        if self.store:
            self.store.empty(self.name)
        else:
            shutil.rmtree(self.repository, ignore_errors=True)
        for directory in (self.restored, self.cache):
            shutil.rmtree(directory, ignore_errors=True)

    def repository_size(self) -> int:
        return self.store.size(self.name) if self.store else directory_size(self.repository)

    def rounds(self, sources: list[str]):
        """Yields the name of each operation and what it took, in the order in which a user meets them."""
        self.clear()
        self.run("init")
        yield "first backup", self.run("backup", *sources)
        yield "second backup", self.run("backup", *sources)
        shutil.rmtree(self.cache, ignore_errors=True)  # a restore is for the machine that lost everything
        yield "restore", self.run("restore", "latest", "--target", str(self.restored))
        shutil.rmtree(self.restored)
        yield "check", self.run("check")
        yield "check --read-data", self.run("check", "--read-data")


class Minio:
    """A MinIO with its data below `scratch`; `rtt` seconds away, where that is more than none."""

    def __init__(self, scratch: pathlib.Path, rtt: float, bandwidth: float | None):
        found = subprocess.run([str(HERE / "tools/s3-servers.sh")], capture_output=True, text=True, check=True).stdout
        self.programs = dict(line.split("=", 1) for line in found.split())
        self.data = scratch / "minio"
        self.data.mkdir()
        key, secret = "benchmark", secrets.token_hex(16)
        self.credentials = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [self.programs["MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{self.port}", str(self.data)],
            env=dict(os.environ, MINIO_ROOT_USER=key, MINIO_ROOT_PASSWORD=secret), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.mc_environment = dict(os.environ, MC_HOST_bench=f"http://{key}:{secret}@127.0.0.1:{self.port}",
                                   MC_CONFIG_DIR=str(scratch / "mc"))
        while self.mc("ls", "bench", check=False).returncode != 0:
            time.sleep(0.2)
        self.link = None
        if rtt > 0 or bandwidth:
            sys.path.insert(0, str(HERE / "tests/interop"))
            from support.link import Link
            self.link = Link(("127.0.0.1", self.port), rtt=rtt, bandwidth=bandwidth).__enter__()

    def location(self, bucket: str) -> str:
        return f"s3:http://127.0.0.1:{self.link.port if self.link else self.port}/{bucket}/repository"

    def mc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run([self.programs["MC"], "--quiet", *arguments], env=self.mc_environment, check=check, capture_output=True,
                              text=True)

    def empty(self, bucket: str) -> None:
        self.mc("rb", "--force", f"bench/{bucket}", check=False)

    def size(self, bucket: str) -> int:
        lines = self.mc("ls", "--recursive", "--json", f"bench/{bucket}").stdout.splitlines()
        return sum(json.loads(line)["size"] for line in lines)

    def raw_upload(self, source: pathlib.Path) -> Measurement:
        """`mc cp` of a directory into a bucket that is empty; straight to MinIO, whatever --rtt says."""
        self.empty("raw")
        self.mc("mb", "bench/raw")
        took = measure([self.programs["MC"], "--quiet", "cp", "--recursive", f"{source}/", "bench/raw"], self.mc_environment)
        self.empty("raw")
        return took

    def download(self, bucket: str, target: pathlib.Path) -> None:
        self.mc("cp", "--recursive", f"bench/{bucket}/", str(target))

    def close(self) -> None:
        if self.link:
            self.link.__exit__(None, None, None)
        self.process.kill()
        self.process.wait()


def compare(what: str, sources: list[str], programs: list[Program], runs: int) -> None:
    results: dict[tuple[str, str], list[Measurement]] = {}
    sizes = {}
    raw = []
    for _ in range(runs):
        for round_of in zip(*(program.rounds(sources) for program in programs)):
            for program, (operation, took) in zip(programs, round_of):
                results.setdefault((operation, program.name), []).append(took)
        for program in programs:
            sizes[program.name] = program.repository_size()
            if program.store and program.name == "recoup":
                with tempfile.TemporaryDirectory(dir=program.restored.parent) as copy:
                    program.store.download(program.name, pathlib.Path(copy))
                    raw.append(program.store.raw_upload(pathlib.Path(copy)))
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
    if raw:
        print(f"\n`mc cp` of recoup's repository into the same MinIO, with no line between: "
              f"{statistics.median(took.wall for took in raw):.2f} s")


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recoup", default=str(HERE / "build/release/recoup"))
    parser.add_argument("--restic", default=os.path.expanduser("~/.cache/recoup-test/restic-0.19.1/usr/bin/restic"))
    parser.add_argument("--scratch", default="/dev/shm", help="where repositories and restored files lie meanwhile")
    parser.add_argument("--tree", action="append", default=[], help="a directory to back up; repeat for more of them")
    parser.add_argument("--file-size", type=int, default=2 << 30, help="bytes of the one big file of random bytes; 0: none")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--s3", action="store_true", help="repositories in a MinIO that is started for it")
    parser.add_argument("--rtt", type=float, default=0, help="seconds of latency in front of MinIO (a model of TCP: support/link.py)")
    parser.add_argument("--bandwidth", type=float, help="bytes per second each way, in front of MinIO")
    chosen = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=chosen.scratch, prefix="recoup-bench-") as scratch_name:
        scratch = pathlib.Path(scratch_name)
        store = Minio(scratch, chosen.rtt, chosen.bandwidth) if chosen.s3 else None
        programs = [Program("recoup", chosen.recoup, scratch, store), Program("restic", chosen.restic, scratch, store)]
        try:
            run(chosen, scratch, programs)
        finally:
            if store:
                store.close()


def run(chosen: argparse.Namespace, scratch: pathlib.Path, programs: list[Program]) -> None:
    where = f" into MinIO, {chosen.rtt * 1000:.0f} ms away" if chosen.s3 else ""
    if chosen.tree:
        files, size = warm(chosen.tree)
        compare(f"{files:,} files, {size / 1e6:,.0f} MB: {' '.join(chosen.tree)}{where}", chosen.tree, programs, chosen.runs)
    if chosen.file_size:
        source = scratch / "source"
        source.mkdir()
        generator = random.Random(1)
        with open(source / "random", "wb") as file:
            for _ in range(chosen.file_size >> 20):
                file.write(generator.randbytes(1 << 20))
        compare(f"one file of {chosen.file_size >> 20} MiB of random bytes{where}", [str(source)], programs, chosen.runs)


if __name__ == "__main__":
    main()
