"""Running the command `recoup-velero`, as a process of its own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

PROGRAM = "from recoup.velero.command import run; run()"


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    raw: bytes
    errors: str

    @property
    def output(self) -> str:
        return self.raw.decode()

    @property
    def document(self) -> Any:
        return json.loads(self.raw)


def environment(**more: str) -> dict[str, str]:
    """That of the test, but for what would choose a bucket or a password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RESTIC_", "RECOUP_VELERO"))}
    return {**kept, "PYTHONWARNINGS": "error::ResourceWarning", **more}


def start(*arguments: object, bucket: os.PathLike[str] | str | None = None, **more: Any) -> subprocess.Popen[bytes]:
    """`env` is what is added to the environment."""
    command = [sys.executable, "-c", PROGRAM, *(["--bucket", os.fspath(bucket)] if bucket else [])]
    command += [each if isinstance(each, bytes) else str(each) for each in arguments]  # type: ignore[misc]
    return subprocess.Popen(
        command,
        env=environment(**more.pop("env", {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def run(*arguments: object, bucket: os.PathLike[str] | str | None = None, **more: Any) -> Done:
    process = start(*arguments, bucket=bucket, **more)
    try:
        output, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    said = errors.decode(errors="surrogateescape")
    assert "Traceback" not in said, said
    return Done(process.returncode, output, said)


def good(*arguments: object, **more: Any) -> Done:
    """One that must succeed."""
    done = run(*arguments, **more)
    assert done.code == 0, (arguments, done)
    return done


def restore_all(bucket: os.PathLike[str] | str, expected: dict[str, Any], home: pathlib.Path, **more: Any) -> int:
    """Restores every volume that was stored by `restore-pvc`, and compares; returns how many there were."""
    from velero_volumes import expected_entries, on_disk

    count = 0
    for number, backup in enumerate(expected["backups"]):
        for each in backup["volumes"]:
            if each["phase"] != "Completed":
                continue
            name = f"{each['namespace']}/{each['pvc']}" if each["pvc"] else f"{each['namespace']}/{each['pod']}:{each['volume']}"
            target = home / f"{number}-{each['namespace']}-{each['pod']}-{each['volume']}"
            done = good("--json", "restore-pvc", name, "--backup", backup["name"], "--target", target, bucket=bucket, **more)
            said = done.document
            assert (said["backup"], said["name"], said["errors"]) == (backup["name"], name, [])
            assert (said["snapshot"] or "").startswith(each["snapshot_id"])
            wanted = expected_entries(expected, each)
            assert on_disk(target) == wanted, (backup["name"], name)
            assert said["files_restored"] == len(wanted)
            count += 1
    return count


def volume_of(genuine: Any, backup: str, claim_name: str) -> dict[str, Any]:
    """What expected.json says of it."""
    found = next(each for each in genuine.expected["backups"] if each["name"] == backup)
    volume: dict[str, Any] = next(each for each in found["volumes"] if each["pvc"] == claim_name)
    return volume
