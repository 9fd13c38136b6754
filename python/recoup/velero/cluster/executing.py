"""Commands in containers, through the Kubernetes API (pods/exec): with standard input of any length, in bounded memory.

An API server that loses the connection to the node tells the client that the command has ended well (seen of 1.36: what its
client of the kubelet takes an error stream without a word for). So every command is run by a shell, which says at the end that it was
reached.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..._engine import Error, InvalidArgumentError, NotFoundError, StorageError, UnsupportedError
from ..fields import printable
from .answers import Refused
from .api import KubernetesApi, Unreachable
from .channels import STATUS, STDERR, STDOUT, V4, V5, Cut, checked_protocols

# For this long a command may take nothing and say nothing.
PATIENCE_SECONDS = 300.0
# Of what a command says, so much is kept: what is wrong stands at the beginning.
_KEPT = 64 << 10
_TOLD = 1000
_NO_PROGRAM = ("executable file not found", "no such file or directory", "not found")
_SCRIPT = '"$@"; code=$?; printf "%s:%s\\n" "$0" "$code"; exit "$code"'


class NoSuchProgram(UnsupportedError):
    """The container has no such program."""


@dataclass(frozen=True)
class Ended:
    """How a command has ended."""

    code: int
    output: bytes
    """The first 64 KiB; b"" where something else took it."""
    errors: str
    """What it wrote to standard error, the first 64 KiB."""
    has_end_of_input: bool
    """False: the server speaks the older protocol, in which a command's input has no end."""

    @property
    def words(self) -> str:
        """For messages: what it said, or its exit code."""
        text = printable(self.errors.strip(), _TOLD)
        return f"exit code {self.code}: {text}" if text else f"exit code {self.code}, and it said nothing"


@dataclass(frozen=True)
class Container:
    """A container in which commands are run."""

    api: KubernetesApi
    namespace: str
    pod: str
    name: str
    patience: float = PATIENCE_SECONDS
    """Seconds for which a command may take nothing and say nothing."""
    protocols: Sequence[str] = field(default=(V5, V4))

    def __str__(self) -> str:
        return f"container {self.name} of pod {self.namespace}/{self.pod}"

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{quote(self.namespace, safe='')}/pods/{quote(self.pod, safe='')}"

    def run(
        self,
        command: Sequence[str],
        source: Iterable[bytes] | None = None,
        *,
        output: Callable[[bytes], None] | None = None,
        patience: float | None = None,
    ) -> Ended:
        """Runs a command to its end. `source` is its input, which ends only where the server can say so (has_end_of_input); `output`
        is given what it writes, as it comes.

        Raises NotFoundError where the pod or container is not there, or goes meanwhile; NoSuchProgram; AccessDeniedError where the
        server refuses pods/exec; InvalidArgumentError where the container does not run; StorageError where the connection breaks, or
        nothing moves for so long. What `source` raises goes through.
        """
        token = f"recoup-{secrets.token_hex(8)}"
        words = _Words(output, token.encode())
        doing = f"run {command[0]} in {self}"
        query = [("container", self.name), ("stdout", "true"), ("stderr", "true"), ("stdin", "true" if source is not None else "false")]
        query += [("command", each) for each in ("sh", "-c", _SCRIPT, token, *command)]
        try:
            channels = self.api.channels(f"{self.path}/exec", query, checked_protocols(self.protocols))
        except Refused as problem:
            raise self._refused(problem, doing) from problem
        except Unreachable as problem:
            raise StorageError(f"cannot {doing}: the Kubernetes API server {self.api} cannot be reached: {problem}") from problem
        try:
            channels.run(iter(source or ()), words.take, self.patience if patience is None else patience)
            if words.status()[0] == 0 and not words.end():
                raise Cut("the connection between the API server and the node broke")
        except Cut as problem:
            raise self._cut(problem, doing, words) from problem
        finally:
            channels.close()
        return self._ended(words, command[0], doing, channels.can_close_input)

    def _ended(self, words: _Words, program: str, doing: str, has_end_of_input: bool) -> Ended:
        code, message = words.status()
        words.end()
        errors = bytes(words.errors).decode(errors="replace")
        if code is None or code in (126, 127, 255):
            # Container runtimes say it in their own words, and not all by the same way.
            said = message if code is None else errors
            missing = next((each for each in ("sh", program) if f"{each}:" in said or f'"{each}"' in said), None)
            if missing and any(each in said for each in _NO_PROGRAM):
                missing = program if code == 127 else missing
                raise NoSuchProgram(f"cannot {doing}: there is no program {missing} in its image")
        if code is None:
            raise StorageError(f"cannot {doing}: {printable(message, _TOLD)}. Does the node's kubelet run, and the container?")
        return Ended(code, bytes(words.output), errors, has_end_of_input)

    def _refused(self, problem: Refused, doing: str) -> Error:
        if problem.is_missing:
            return NotFoundError(f"cannot {doing}: {problem.message}. Was the pod deleted, or is it another cluster ({self.api})?")
        if problem.status == 400:
            return InvalidArgumentError(f"cannot {doing}: {problem.message}")
        return problem.error(doing)

    def _cut(self, problem: Cut, doing: str, words: _Words) -> Error:
        """With what can be said of the pod: a connection breaks as well where that is deleted or evicted."""
        said = printable(bytes(words.errors).decode(errors="replace").strip(), _TOLD)
        text = f"cannot {doing} to its end: {problem}"
        if said:
            text += f". Until then it said: {said}"
        try:
            document = self.api.get(self.path)
        except Refused as refused:
            if refused.is_missing:
                return NotFoundError(f"{text}. The pod is gone: it was deleted meanwhile, or its node was drained")
            return StorageError(text)
        except Error as unreachable:
            return StorageError(f"{text}. The Kubernetes API server cannot be reached now: {unreachable}")
        return StorageError(f"{text}. {self._state(document)}")

    def _state(self, document: Any) -> str:
        status = document.get("status") or {}
        if document["metadata"].get("deletionTimestamp"):
            return "The pod is being deleted"
        if status.get("phase") != "Running":
            why = status.get("message") or status.get("reason") or ""
            return f"The pod is {status.get('phase')} now{f': {printable(str(why))}' if why else ''}"
        return "The pod still runs: look at its node's kubelet, the network, and the volume (a full or hanging disk takes nothing)"


class _Words:
    """What comes of a command."""

    def __init__(self, output: Callable[[bytes], None] | None, token: bytes) -> None:
        self._given = output
        self._token = token
        self._longest_end = len(token) + len(b":255\n")
        # Not given away before it is known that it is not the end.
        self._held = b""
        self._has_end: bool | None = None
        self.output = bytearray()
        self.errors = bytearray()
        self._status = b""

    def take(self, channel: int, content: bytes) -> None:
        if channel == STATUS:
            self._status += content
        elif channel == STDERR:
            self.errors += content[: max(0, _KEPT - len(self.errors))]
        elif channel == STDOUT:
            whole = self._held + content
            split = max(0, len(whole) - self._longest_end)
            self._held = whole[split:]
            self._give(whole[:split])

    def end(self) -> bool:
        """Gives away what is left. Whether the shell has said that the command ended."""
        if self._has_end is None:
            rest, token, _ = self._held.rpartition(self._token + b":")
            self._has_end = bool(token)
            self._give(rest if token else self._held)
            self._held = b""
        return self._has_end

    def _give(self, content: bytes) -> None:
        if self._given is None:
            self.output += content[: max(0, _KEPT - len(self.output))]
        elif content:
            self._given(content)

    def status(self) -> tuple[int | None, str]:
        """The exit code, None where the command was not run or its end is not known; then why."""
        try:
            said = json.loads(self._status)
            if said.get("status") == "Success":
                return 0, ""
            causes = (said.get("details") or {}).get("causes") or []
            code = next((int(each["message"]) for each in causes if each.get("reason") == "ExitCode"), None)
            return code, str(said.get("message") or "")
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            return None, f"the server said how it ended in words that mean nothing: {self._status[:200]!r}"
