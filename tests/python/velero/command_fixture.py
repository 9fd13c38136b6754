"""The fixture `command`: runs `recoup-velero` without any setting of whoever runs the tests."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from velero_commands import PROGRAM

import recoup

_FOREIGN = ("RESTIC_", "RECOUP_", "VELERO_", "KUBE", "AWS_")


@dataclass(frozen=True)
class Said:
    code: int
    output: str
    errors: str

    def json(self) -> Any:
        return json.loads(self.output)


class Command:
    """Without settings of whoever runs the tests."""

    def __init__(self, home: pathlib.Path) -> None:
        self._home = home
        package = pathlib.Path(recoup.__file__).parents[1]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        self.environment.update(HOME=str(home), PYTHONPATH=str(package), PYTHONDONTWRITEBYTECODE="1")

    def line(self, *arguments: object) -> list[str]:
        return [sys.executable, "-c", PROGRAM, *map(str, arguments)]

    def __call__(self, *arguments: object, **environment: str) -> Said:
        done = subprocess.run(
            self.line(*arguments), env={**self.environment, **environment}, stdin=subprocess.DEVNULL, capture_output=True, timeout=900, check=False
        )
        output, errors = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in errors, errors
        return Said(done.returncode, output, errors)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(self.line(*arguments), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def command(tmp_path: pathlib.Path) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    return Command(home)
