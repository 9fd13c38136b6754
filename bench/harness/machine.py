"""What figures belong to: without machine, versions and date they say nothing."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence

from .programs import HERE, Program


def machine() -> dict[str, object]:
    said = subprocess.run(["lscpu"], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in said.splitlines())}
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) * 1024
    release = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    return {"processor": facts.get("Model name", platform.machine()),
            "family": "/".join(facts.get(key, "?") for key in ("CPU family", "Model", "Stepping")),
            "instructions": [name for name in ("sha_ni", "gfni", "vaes", "vpclmulqdq", "avx2", "avx512bw")
                             if name in facts.get("Flags", "").split()],
            "cores": len(os.sched_getaffinity(0)), "virtual": facts.get("Hypervisor vendor"), "memory": memory,
            "kernel": platform.release(), "system": release.get("PRETTY_NAME", platform.system())}


def date() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def commit() -> str | None:
    """The commit of this clone, with + where files differ from it."""
    said = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True)
    return said.stdout.strip() or None


def facts(programs: Sequence[Program]) -> dict[str, object]:
    return {"date": date(), "commit": commit(), "machine": machine(),
            "versions": {program.name: program.version() for program in programs}}
