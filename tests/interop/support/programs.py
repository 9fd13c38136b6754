"""Runs recoup and restic and keeps what they said.

Every program runs in a clean environment: nothing of the caller's RESTIC_*, AWS_* or XDG_* settings reaches it, the zone is
UTC, the host name in snapshots is fixed by --host where it matters, and each test has its own cache directory.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import storage

REPOSITORY_ROOT = pathlib.Path(__file__).resolve().parents[3]
PASSWORD = "geheim"
HOST = "interop"
#: seconds until what has not happened is taken for something that never will: on a machine that ten others use, too
PATIENCE = 600

#: settings of sanitizers, of the loader and of recoup's own dispatch survive; all else is ours to choose
_KEPT_PREFIXES = ("ASAN_", "UBSAN_", "LSAN_", "TSAN_", "LD_", "RECOUP_", "GCOV_", "LLVM_PROFILE_")


def _program_path(variable: str, default: pathlib.Path) -> pathlib.Path:
    path = pathlib.Path(os.environ.get(variable) or default).expanduser()
    return path if path.is_absolute() else (pathlib.Path.cwd() / path).resolve()


@dataclasses.dataclass
class Repository:
    """Where a repository lies and what opens it."""

    path: storage.Place
    version: int = 2
    password: str = PASSWORD

    def files(self, kind: str | None = None) -> dict[str, int]:
        """Relative name -> size of all files (of one kind); temporary files of local saves included."""
        start = self.path / kind if kind else self.path
        return {f"{kind}/{name}" if kind else name: size for name, size in storage.files_below(start).items()}

    def through(self, endpoint: str) -> Repository:
        """The same repository in a bucket, reached by way of a proxy or a line."""
        return dataclasses.replace(self, path=self.path.through(endpoint))

    def ids(self, kind: str) -> set[str]:
        return {name for name in (pathlib.PurePath(path).name for path in self.files(kind)) if len(name) == 64}


@dataclasses.dataclass
class Result:
    """What one run of a program left: exit code and both outputs."""

    args: Sequence[str | bytes]
    code: int
    out: bytes
    err: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "backslashreplace")

    @property
    def errors(self) -> str:
        return self.err.decode("utf-8", "backslashreplace")

    @property
    def everything(self) -> str:
        return self.text + self.errors

    def json(self) -> Any:
        return json.loads(self.out)

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def json_errors(self) -> list[Any]:
        """JSON objects on standard error; other lines there are left out."""
        found = []
        for line in self.err.splitlines():
            if line.startswith(b"{"):
                found.append(json.loads(line))
        return found

    def messages(self, kind: str) -> list[dict]:
        return [m for m in self.json_lines() + self.json_errors()
                if isinstance(m, dict) and m.get("message_type") == kind]

    @property
    def summary(self) -> dict:
        found = self.messages("summary")
        assert len(found) == 1, f"{len(found)} summaries\n{self}"
        return found[0]

    def __str__(self) -> str:
        shown = " ".join(os.fsencode(a).decode("utf-8", "backslashreplace") for a in self.args)
        return (f"$ {shown}\nexit code {self.code} after {self.seconds:.2f} s\n"
                f"--- standard output\n{_clip(self.text)}\n--- standard error\n{_clip(self.errors)}")


def _clip(text: str, limit: int = 6000) -> str:
    return text if len(text) <= limit else text[: limit // 2] + "\n[…]\n" + text[-limit // 2:]


class Program:
    """One executable with restic's command line."""

    def __init__(self, name: str, path: pathlib.Path):
        self.name = name
        self.path = path
        self.home = pathlib.Path("/nonexistent")

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def at(self, home: pathlib.Path) -> Program:
        """The same program with its own home and cache directory."""
        copy = Program(self.name, self.path)
        copy.home = home / f"home-{self.name}"
        copy.home.mkdir(parents=True, exist_ok=True)
        return copy

    def environment(self, repo: Repository | None, extra: Mapping[str, str | None] | None) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if key.startswith(_KEPT_PREFIXES)}
        env.update(PATH=os.environ.get("PATH", "/usr/bin:/bin"), HOME=str(self.home), TZ="UTC", LANG="C.UTF-8",
                   RESTIC_CACHE_DIR=str(self.home / "cache"), TMPDIR=os.environ.get("TMPDIR", "/tmp"), **storage.environment())
        if repo is not None:
            env["RESTIC_REPOSITORY"] = str(repo.path)
            env["RESTIC_PASSWORD"] = repo.password
            if isinstance(repo.path, storage.BucketPath):
                env.update(repo.path.environment())
        for key, value in (extra or {}).items():
            if value is None:
                env.pop(key, None)
            else:
                env[key] = str(value)
        return env

    def command(self, args: Iterable[Any]) -> list[str | bytes]:
        return [str(self.path)] + [a if isinstance(a, bytes) else str(a) for a in args]

    def run(self, *args: Any, repo: Repository | None = None, env: Mapping[str, str | None] | None = None,
            cwd: os.PathLike | str | None = None, stdin: bytes | None = None, code: int | Sequence[int] | None = 0,
            timeout: float = PATIENCE, wrap: Sequence[str] = ()) -> Result:
        """Runs to the end. `code`: the exit code (or codes) that are right, None for any. `wrap`: a command in front."""
        command = list(wrap) + self.command(args)
        begin = time.monotonic()
        done = subprocess.run(command, env=self.environment(repo, env), cwd=cwd, timeout=timeout,
                              capture_output=True, **({"input": stdin} if stdin is not None
                                                      else {"stdin": subprocess.DEVNULL}))
        result = Result(command, done.returncode, done.stdout, done.stderr, time.monotonic() - begin)
        if code is not None:
            allowed = [code] if isinstance(code, int) else list(code)
            assert result.code in allowed, f"exit code {result.code}, expected {allowed}\n{result}"
        return result

    def start(self, *args: Any, repo: Repository | None = None, env: Mapping[str, str | None] | None = None,
              cwd: os.PathLike | str | None = None, stdin: int | None = subprocess.DEVNULL,
              wrap: Sequence[str] = ()) -> Running:
        command = list(wrap) + self.command(args)
        return Running(command, subprocess.Popen(
            command, env=self.environment(repo, env), cwd=cwd, stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True))


class Running:
    """A program that was started and not yet waited for; killed with its children when the block is left early."""

    def __init__(self, command: Sequence[str | bytes], process: subprocess.Popen):
        self.command = command
        self.process = process
        self.begin = time.monotonic()
        self._said = {pipe: b"" for pipe in (process.stdout, process.stderr) if pipe is not None}
        self._open = list(self._said)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
            self.finish()

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.poll() is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def listen(self, seconds: float) -> bool:
        """Takes what it says meanwhile, so long at most; False for nothing. A pipe that nobody empties would hold it up."""
        if not self._open:
            time.sleep(seconds)
        ready = select.select(self._open, [], [], seconds)[0] if self._open else []
        for pipe in ready:
            more = os.read(pipe.fileno(), 1 << 16)
            self._said[pipe] += more
            if not more:
                self._open.remove(pipe)
        return bool(ready)

    def wait_for(self, text: str) -> None:
        """Until it has said that, on either output."""
        end = time.monotonic() + PATIENCE
        while not any(text.encode() in said for said in self._said.values()):
            assert self._open and time.monotonic() < end, f"has not said {text!r}, but {list(self._said.values())}"
            self.listen(1)

    def finish(self, code: int | Sequence[int] | None = None, timeout: float = PATIENCE) -> Result:
        out, err = self.process.communicate(timeout=timeout)
        out, err = (self._said.get(pipe, b"") + (more or b"") for pipe, more in ((self.process.stdout, out), (self.process.stderr, err)))
        result = Result(self.command, self.process.returncode, out, err, time.monotonic() - self.begin)
        if code is not None:
            allowed = [code] if isinstance(code, int) else list(code)
            assert result.code in allowed, f"exit code {result.code}, expected {allowed}\n{result}"
        return result


def wait_until(condition, timeout: float = PATIENCE, step: float = 0.01, what: str = "condition") -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(step)


def recoup() -> Program:
    return Program("recoup", _program_path("RECOUP", REPOSITORY_ROOT / "build/release/recoup"))


def restic() -> Program:
    return Program("restic", _program_path("RESTIC", pathlib.Path("~/.cache/recoup-test/restic-0.19.1/usr/bin/restic")))


def restic_old() -> Program:
    return Program("restic-old", _program_path("RESTIC_OLD", pathlib.Path("/usr/bin/restic")))


def fixtures_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("RECOUP_FIXTURES") or REPOSITORY_ROOT.parent / "shared/fixtures").resolve()


def stand_in() -> bool:
    """True while real restic plays recoup's part, to try the tests themselves: what only recoup can do is left out then."""
    return recoup().path.exists() and os.path.samefile(recoup().path, restic().path)
