"""Channels of a command in a container, over one WebSocket: standard input goes there, output, errors and the end come back.

Frames are binary; the first byte is the channel (0 stdin, 1 stdout, 2 stderr, 3 how it ended). v5.channel.k8s.io can also close one (255):
API servers since 1.30 speak it. With v4.channel.k8s.io the command's input never ends while the connection lives.

Reading and writing are done by one thread, as one TLS connection bears no two, and in turns: where only written was, a command that says
much would stop and never read on. The connection is made by websocket-client, which the official client for Kubernetes brings.
"""

from __future__ import annotations

import contextlib
import importlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..._engine import InvalidArgumentError, StorageError
from .answers import Refused

STDIN, STDOUT, STDERR, STATUS, _CLOSE = 0, 1, 2, 3, 255
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
_CONNECT_SECONDS = 30.0
# Small enough that what comes meanwhile is not kept waiting.
_FRAME = 64 << 10
# Proxies cut connections on which nothing is said, some after a minute.
_PING_SECONDS = 20.0
# A frame of a server that is one is not larger than what a pipe holds.
_LARGEST_FRAME = 16 << 20


class Cut(Exception):
    """The connection is gone, or nothing goes over it any more."""


class _NothingThere(Exception):
    pass


class Channels:
    """Of one command."""

    def __init__(self, connection: Any, protocol: str) -> None:
        self._connection = connection  # websocket.WebSocket
        self._socket: socket.socket = connection.sock
        self._module = importlib.import_module("websocket")
        self._frames = self._module.frame_buffer(self._receive, True)
        self._waiting = memoryview(b"")
        self._last_ping = time.monotonic()
        self._is_closed_by_server = False
        self._broken: OSError | None = None
        self.can_close_input = protocol == V5
        self._socket.setblocking(False)

    def run(self, source: Iterator[bytes], take: Callable[[int, bytes], None], patience: float) -> None:
        """Sends what `source` has, then closes the input where that can be done, and until the command ends gives to `take` what comes.
        Raises Cut, where for `patience` seconds nothing moves as well; and what `source` and `take` raise."""
        pieces = self._input(source)
        is_sent = False
        moved = time.monotonic()
        while not self._is_closed_by_server:
            if not self._waiting and not is_sent and not self._broken:
                piece = next(pieces, None)
                is_sent = piece is None
                self._waiting = memoryview(piece or b"")
                moved = time.monotonic()  # what the source took is its own affair
            can_read, can_write = self._wait(1.0)
            if can_write and self._waiting and self._send():
                moved = time.monotonic()
            if can_read:
                for channel, content in self._arrived():
                    moved = time.monotonic()
                    if channel == STATUS and content:
                        take(channel, content)
                        return
                    take(channel, content)
            if time.monotonic() - moved > patience:
                raise Cut(f"nothing moved for {patience:.0f} s")
            self._ping()
        raise Cut("the server ended the connection and did not say how the command ended")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._socket.settimeout(1.0)
            self._connection.send_close()
        with contextlib.suppress(Exception):
            self._connection.shutdown()

    # ---- sending ---------------------------------------------------------------------------------------------------------

    def _input(self, source: Iterator[bytes]) -> Iterator[bytes]:
        for content in source:
            for begin in range(0, len(content), _FRAME):
                yield self._frame(bytes([STDIN]) + content[begin : begin + _FRAME])
        if self.can_close_input:
            yield self._frame(bytes([_CLOSE, STDIN]))

    def _frame(self, content: bytes, operation: int | None = None) -> bytes:
        abnf = self._module.ABNF
        made: bytes = abnf.create_frame(content, abnf.OPCODE_BINARY if operation is None else operation).format()
        return made

    def _send(self) -> bool:
        try:
            sent = self._socket.send(self._waiting)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError, InterruptedError):
            return False
        except OSError as problem:
            # What the server has said before is worth more than that it is gone: it is read first.
            self._waiting = memoryview(b"")
            self._broken = problem
            return False
        self._waiting = self._waiting[sent:]
        return sent > 0

    def _ping(self) -> None:
        if not self._waiting and not self._broken and time.monotonic() - self._last_ping > _PING_SECONDS:
            self._last_ping = time.monotonic()
            self._waiting = memoryview(self._frame(b"", self._module.ABNF.OPCODE_PING))

    # ---- receiving -------------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> tuple[bool, bool]:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            seconds = 0.0
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._waiting else 0))
        found = dict(poll.poll(seconds * 1000))
        events = found.get(self._socket.fileno(), 0)
        has_ended = bool(events & (select.POLLHUP | select.POLLERR))
        return seconds == 0.0 or has_ended or bool(events & select.POLLIN), has_ended or bool(events & select.POLLOUT)

    def _receive(self, count: int) -> bytes:
        try:
            content = self._socket.recv(count)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, InterruptedError):
            raise _NothingThere from None
        except OSError as problem:
            raise Cut(f"the connection broke: {problem}") from problem
        if not content:
            raise Cut(f"the connection broke: {self._broken}" if self._broken else "the server closed the connection in the middle")
        return content

    def _arrived(self) -> Iterator[tuple[int, bytes]]:
        """All frames that are there. A part of one is kept until the rest comes."""
        abnf = self._module.ABNF
        while True:
            try:
                frame = self._frames.recv_frame()
            except _NothingThere:
                return
            except (self._module.WebSocketException, ValueError) as problem:
                raise Cut(f"what came is no WebSocket: {problem}") from problem
            if len(frame.data) > _LARGEST_FRAME:
                raise Cut(f"a frame of {len(frame.data)} bytes came")
            if frame.opcode == abnf.OPCODE_CLOSE:
                self._is_closed_by_server = True
                return
            if frame.opcode == abnf.OPCODE_PING:
                self._waiting = memoryview(bytes(self._waiting) + self._frame(frame.data, abnf.OPCODE_PONG))
            elif frame.opcode in (abnf.OPCODE_BINARY, abnf.OPCODE_TEXT, abnf.OPCODE_CONT) and frame.data and frame.data[0] != _CLOSE:
                yield frame.data[0], bytes(frame.data[1:])


def connect(url: str, headers: Sequence[str], protocols: Sequence[str], context: ssl.SSLContext | None, server_name: str = "", **options: Any) -> Channels:
    """`options` are those of websocket.create_connection. Raises Refused for the server's no, Cut where it cannot be reached,
    ssl.SSLError."""
    module = importlib.import_module("websocket")
    try:
        connection = module.create_connection(
            url,
            timeout=_CONNECT_SECONDS,
            header=list(headers),
            subprotocols=list(protocols),
            sslopt={"context": context, "check_hostname": context.check_hostname, "server_hostname": server_name} if context else None,
            sockopt=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
            suppress_origin=True,
            enable_multithread=False,
            redirect_limit=0,
            **options,
        )
    except module.WebSocketBadStatusException as problem:
        content = getattr(problem, "resp_body", None) or str(problem).encode()
        raise Refused.parse(int(problem.status_code), content) from problem
    except ssl.SSLError:
        raise
    except (module.WebSocketException, OSError, ValueError) as problem:
        raise Cut(str(problem) or type(problem).__name__) from problem
    protocol = getattr(connection, "subprotocol", None) or ""
    if protocol not in protocols:
        connection.shutdown()
        raise StorageError(f"{url.partition('?')[0]}: the server speaks {protocol or 'no protocol'}, not {' or '.join(protocols)}: what stands between takes WebSockets apart")
    return Channels(connection, protocol)


def checked_protocols(protocols: Sequence[str]) -> tuple[str, ...]:
    unknown = [each for each in protocols if each not in (V4, V5)]
    if unknown or not protocols:
        raise InvalidArgumentError(f"{', '.join(unknown) or 'no protocol'}: there are {V5} and {V4}")
    return tuple(protocols)
