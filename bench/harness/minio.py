"""A MinIO for the repositories, near or far away."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

from .measure import Measurement, measure

HERE = pathlib.Path(__file__).resolve().parents[2]


class Minio:
    """A MinIO with its data below `scratch`; `rtt` seconds away, where that is more than none. Ends with its block."""

    def __init__(self, scratch: pathlib.Path, rtt: float, bandwidth: float | None):
        found = subprocess.run([str(HERE / "tools/s3-servers.sh")], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.programs = dict(line.split("=", 1) for line in shlex.split(found))
        self.scratch, self.rtt, self.bandwidth = scratch, rtt, bandwidth
        self.data = scratch / "minio"
        self.data.mkdir()
        key, secret = "benchmark", secrets.token_hex(16)
        self.credentials = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.mc_environment = dict(os.environ, MC_HOST_bench=f"http://{key}:{secret}@127.0.0.1:{self.port}",
                                   MC_CONFIG_DIR=str(scratch / "mc"))
        self.link = None

    def __enter__(self) -> Minio:
        self.process = subprocess.Popen(
            [self.programs["MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{self.port}", str(self.data)],
            env=dict(os.environ, MINIO_ROOT_USER=self.credentials["AWS_ACCESS_KEY_ID"],
                     MINIO_ROOT_PASSWORD=self.credentials["AWS_SECRET_ACCESS_KEY"]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            while self.mc("ls", "bench", check=False).returncode != 0:
                if self.process.poll() is not None:
                    raise SystemExit(f"MinIO ended with {self.process.returncode} before it answered")
                time.sleep(0.2)
            if self.rtt > 0 or self.bandwidth:
                sys.path.insert(0, str(HERE / "tests/interop"))
                from support.link import Link
                self.link = Link(("127.0.0.1", self.port), rtt=self.rtt, bandwidth=self.bandwidth).__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.link:
            self.link.__exit__(None, None, None)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __str__(self) -> str:
        parts = ["MinIO on the same machine"]
        if self.rtt:
            parts.append(f"{self.rtt * 1000:.0f} ms away")
        if self.bandwidth:
            parts.append(f"{self.bandwidth / 1e6:.0f} MB/s")
        return ", ".join(parts)

    def location(self, bucket: str) -> str:
        return f"s3:http://127.0.0.1:{self.link.port if self.link else self.port}/{bucket}/repository"

    def mc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run([self.programs["MC"], "--quiet", *arguments], env=self.mc_environment, check=check,
                              capture_output=True, text=True)

    def empty(self, bucket: str) -> None:
        self.mc("rb", "--force", f"bench/{bucket}", check=False)

    def size(self, bucket: str) -> int:
        lines = self.mc("ls", "--recursive", "--json", f"bench/{bucket}").stdout.splitlines()
        return sum(json.loads(line)["size"] for line in lines)

    def raw_upload(self, bucket: str) -> Measurement:
        """`mc cp` of a bucket's objects into an empty bucket, straight to MinIO whatever --rtt says: what MinIO itself can take.
        No backup program can be faster than that."""
        self.empty("raw")
        self.mc("mb", "bench/raw")
        with tempfile.TemporaryDirectory(dir=self.scratch) as copy:
            self.mc("cp", "--recursive", f"bench/{bucket}/", copy)
            took, _ = measure([self.programs["MC"], "--quiet", "cp", "--recursive", f"{copy}/", "bench/raw"], self.mc_environment)
        self.empty("raw")
        return took
