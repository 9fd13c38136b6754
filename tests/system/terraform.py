"""Runs Terraform or OpenTofu on a copy of an example, and keeps everything that must not contain a secret: logs at TRACE, plans, and
what each process on the machine was called with meanwhile."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Mapping

import roots


class Processes:
    """The arguments of every process that there was, of containers too, as `ps` would have shown them."""

    def __init__(self):
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        known: dict[str, float] = {}
        while not self._stop.is_set():
            for process in os.listdir("/proc"):
                # One may become another program meanwhile: those of the last moments are looked at again.
                if process.isdigit() and known.setdefault(process, time.monotonic()) > time.monotonic() - 2:
                    try:
                        raw = pathlib.Path("/proc", process, "cmdline").read_bytes()
                    except OSError:
                        continue
                    self.seen.add(raw.replace(b"\0", b" ").decode(errors="replace"))
            time.sleep(0.01)


class Terraform:
    def __init__(self, program: str, folder: pathlib.Path, example: str, configuration: pathlib.Path, environment: Mapping[str, str]):
        """`configuration`: the CLI's. The folder is made."""
        self.program, self.folder = program, folder
        shutil.copytree(roots.REPOSITORY_ROOT / "examples/terraform", folder / "examples")
        self.directory = folder / "examples" / example
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CLI_CONFIG_FILE": str(configuration), "TF_IN_AUTOMATION": "1",
                            "TF_INPUT": "0", "TF_LOG": "TRACE", "CHECKPOINT_DISABLE": "1", **environment}
        self.settings: dict[str, object] = {}
        self.said: list[str] = []
        self.processes = Processes()
        self._count = 0

    def set(self, **settings: object) -> None:
        """Values of variables, from now on."""
        self.settings |= settings
        (self.directory / "terraform.tfvars.json").write_text(json.dumps(self.settings))

    def run(self, *arguments: str, code: int = 0, timeout: float = 1200) -> str:
        self._count += 1
        env = self.environment | {"TF_LOG_PATH": str(self.logs / f"{self._count:02}-{arguments[0]}.log")}
        done = subprocess.run([self.program, f"-chdir={self.directory}", *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout)
        said = done.stdout + done.stderr
        self.said.append(said)
        assert done.returncode == code, f"{' '.join(arguments)}: ended with {done.returncode}, not {code}:\n{said}"
        return said

    def apply(self) -> str:
        return self.run("apply", "-no-color", "-auto-approve")

    def plan(self) -> dict[str, list[str]]:
        """Address of each resource that would change -> what would be done with it. The plan is kept."""
        file = self.folder / f"plan-{self._count:02}"
        self.run("plan", "-no-color", f"-out={file}")
        text = self.run("show", "-json", str(file))
        changes = json.loads(text).get("resource_changes", [])
        return {each["address"]: each["change"]["actions"] for each in changes if each["change"]["actions"] not in (["no-op"], ["read"], ["open"])}

    def is_settled(self) -> None:
        """The next plan is empty, by the CLI's own word."""
        self.run("plan", "-no-color", "-detailed-exitcode")

    def output(self, name: str):
        return json.loads(self.run("output", "-json", name))

    def forget(self) -> None:
        for file in self.directory.glob("terraform.tfstate*"):
            file.unlink()

    def everything(self) -> dict[str, str]:
        """By name: all that was said, logged, planned or kept."""
        found = {f"output {i}": text for i, text in enumerate(self.said)}
        for file in [*self.logs.iterdir(), *self.folder.glob("plan-*"), *self.directory.rglob("*")]:
            if file.is_file():
                found[str(file.relative_to(self.folder))] = file.read_bytes().decode(errors="replace")
        found["processes"] = "\n".join(sorted(self.processes.seen))
        return found


def forms(secret: str) -> dict[str, str]:
    """How programs write a text: as it is, in JSON, in a URL, and in base64, where the bytes before it shift it."""
    found = {"as it is": secret, "in JSON": json.dumps(secret)[1:-1], "in a URL": urllib.parse.quote(secret, safe=""),
             "in JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1]}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + secret.encode()).decode()
        found[f"in base64 after {shift} bytes"] = whole[(shift * 8 + 5) // 6:(shift + len(secret.encode())) * 8 // 6]
    return found


def leaks(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """A sentence for each secret in a text; without the secret."""
    return [f"{name} is {how} in {place}" for place, text in texts.items() for name, secret in secrets.items()
            for how, form in forms(secret).items() if form in text]
