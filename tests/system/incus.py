"""Containers of the Incus that tools/incus.sh starts, driven by its own client: what the tests look at and break with is not
the code that they test.

    guest = launch()
    guest.run("systemctl", "is-active", "cron.timer"); guest.push(local, "/etc/x"); guest.delete()
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import pathlib
import socket
import subprocess
import time

import claim


def setting(name: str) -> str:
    """RECOUP_TEST_INCUS_…, as `eval $(tools/incus.sh)` sets them."""
    return os.environ[f"RECOUP_TEST_INCUS_{name}"]


def client(*arguments: str, code: int | None = 0, stdin: bytes | None = None, timeout: float = 600) -> str:
    directory = str(pathlib.Path(setting("SOCKET")).parent)
    env = {"PATH": os.environ["PATH"], "INCUS_DIR": directory, "INCUS_CONF": f"{directory}/client", "HOME": "/root"}
    done = subprocess.run(["incus", *arguments], env=env, input=stdin if stdin is not None else b"", capture_output=True, timeout=timeout)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert code is None or done.returncode == code, f"incus {' '.join(arguments)}: ended with {done.returncode}\n{out}{err}"
    return out + (err if code is None else "")


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(setting("SOCKET"))


def request(method: str, path: str, body: dict | None = None, timeout: float = 600) -> bytes:
    """What the server's own interface answers."""
    connection = _Connection("incus", timeout=timeout)
    try:
        connection.request(method, path, body=json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    assert answer.status < 400, f"{method} {path}: {answer.status} {said.decode(errors='replace')}"
    return said


@dataclasses.dataclass
class Guest:
    name: str
    project: str = "default"

    def _client(self, command: str, *arguments: str, **more) -> str:
        return client("--project", self.project, *command.split(), *arguments, **more)

    def run(self, *command: str, code: int | None = 0, env: dict[str, str] | None = None, timeout: float = 600) -> str:
        """What the program wrote. code None: whatever it ends with, and standard error too.

        The server keeps the output in files: its client, which has it sent, loses the end of it now and then on a busy machine.
        """
        if code is None and (self.info() or {}).get("status") != "Running":
            return "not running"
        where = f"/1.0/instances/{self.name}"
        begun = json.loads(request("POST", f"{where}/exec?project={self.project}", {
            "command": command, "environment": env or {}, "record-output": True, "wait-for-websocket": False, "interactive": False}))
        answer = json.loads(request("GET", f"{begun['operation']}/wait?project={self.project}&timeout={timeout:.0f}", timeout=timeout + 30))
        if code is None and answer["error"]:
            return answer["error"]
        assert not answer["error"], f"{' '.join(command)}: {answer['error']}"
        ended = answer["metadata"]["metadata"]
        out, err = (request("GET", f"{ended['output'][stream]}?project={self.project}").decode(errors="replace") for stream in "12")
        assert code is None or ended["return"] == code, f"{' '.join(command)}: ended with {ended['return']}\n{out}{err}"
        return out + (err if code is None else "")

    def shell(self, script: str, **more) -> str:
        return self.run("sh", "-ec", script, **more)

    def read(self, path: str) -> str:
        return self._client("file pull", f"{self.name}{path}", "-")

    def push(self, local: os.PathLike | str, path: str) -> None:
        self._client("file push", "--quiet", "--create-dirs", str(local), f"{self.name}{path}")

    def write(self, path: str, content: str, mode: str = "0644") -> None:
        self._client("file push", "--quiet", "--create-dirs", "--mode", mode, "-", f"{self.name}{path}", stdin=content.encode())

    def unit(self, name: str, *properties: str) -> dict[str, str]:
        """systemctl show."""
        said = self.run("systemctl", "show", name, *(f"--property={each}" for each in properties))
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def info(self) -> dict | None:
        """What Incus says of it; None: there is none."""
        listed = json.loads(self._client("list", "--format", "json"))
        return next((each for each in listed if each["name"] == self.name), None)

    def start(self) -> None:
        self._client("start", self.name)

    def stop(self) -> None:
        """As a power failure would."""
        self._client("stop", self.name, "--force")

    def delete(self) -> None:
        self._client("delete", "--force", self.name)

    def wait_running(self, seconds: float = 300) -> None:
        """Until systemd has started everything."""
        up = ("running", "degraded")
        wait_for(lambda: self.run("systemctl", "is-system-running", code=None).strip() in up, seconds,
                 f"systemd of container {self.name} to be up")


def launch() -> Guest:
    """A container of the tests' image, up and with an address."""
    guest = Guest(claim.name())
    client("launch", setting("IMAGE"), guest.name)
    guest.wait_running()
    return guest


def wait_for(condition, seconds: float, what: str, pause: float = 0.3):
    """What `condition` gives once that is true."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(pause)
