"""A running `recoup engine`, spoken to as the Terraform provider does it (docs/engine.md)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from . import programs


class Refused(Exception):
    """An `error` answer: code, message, attribute, exit_code."""

    def __init__(self, error: Mapping[str, Any]):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: str = error["code"]
        self.message: str = error["message"]
        self.attribute: str | None = error.get("attribute")
        self.exit_code: int = error["exit_code"]


class Engine:
    """`call` asks and waits. Whatever was printed is in `output`, and on stderr in `errors()`."""

    def __init__(self, folder, env: Mapping[str, str] | None = None, *arguments: str):
        self._stderr = open(folder / f"engine-{id(self)}.err", "w+b")
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "UTC", "AWS_EC2_METADATA_DISABLED": "true"}
        self.process = subprocess.Popen([programs.recoup().path, "engine", *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self._stderr, env=clean | dict(env or {}))
        self.output = b""
        self._unread = b""
        self._count = 0
        self.progress: list[Any] = []
        self.hello = self.read()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self._stderr.close()

    def send(self, line: str | bytes) -> None:
        self.process.stdin.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
        self.process.stdin.flush()

    def read(self, seconds: float = programs.PATIENCE) -> Any:
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(f"no answer within {seconds} s; on stderr: {self.errors()}")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise EOFError(f"the engine has ended; on stderr: {self.errors()}")
            self.output += more
            self._unread += more
        line, self._unread = self._unread.split(b"\n", 1)
        return json.loads(line)

    def ask(self, method: str, **params: Any) -> str:
        self._count += 1
        self.send(json.dumps({"v": 1, "id": str(self._count), "method": method, "params": params}))
        return str(self._count)

    def answer(self, request: str, seconds: float = programs.PATIENCE) -> Any:
        while True:
            message = self.read(seconds)
            assert message["v"] == 1 and message["id"] == request
            if message["type"] == "result":
                return message["result"]
            if message["type"] == "error":
                raise Refused(message["error"])
            self.progress.append(message["progress"])

    def call(self, method: str, **params: Any) -> Any:
        return self.answer(self.ask(method, **params))

    def finish(self) -> int:
        self.process.stdin.close()
        return self.process.wait(programs.PATIENCE)

    def errors(self) -> str:
        self._stderr.flush()
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "backslashreplace")
