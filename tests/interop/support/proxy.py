"""A proxy between a program and an S3 server that goes wrong on purpose, and keeps a log of every request.

    with Proxy(server.endpoint) as proxy:
        proxy.add(slow_down(retry_after=1), method="PUT", key="/data/", times=3)
        program.run("backup", …, env=server.environment() | {"RESTIC_REPOSITORY": server.location("bucket", "repo", proxy.endpoint)})
        assert proxy.duplicates(method="PUT") == []

The program takes the proxy for the server, so Host is the proxy's and is signed; it is passed on as it came, with all other headers, and
the server, which judges the signature by the Host that it was sent, finds it good.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import email.utils
import random
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from typing import Any

from .faults import Fault
from .relay import Relay

CHUNK = 1 << 18
#: An S3 request's head; a policy or a long list of signed headers fits.
HEAD_LIMIT = 1 << 16


# ---- when it goes wrong, and what was asked -----------------------------------------------------------------------------

@dataclasses.dataclass
class Request:
    """One request, as the log keeps it."""

    number: int
    connection: int
    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    begin: float
    #: what the client was sent; 0: no answer at all
    status: int = 0
    #: bytes of the bodies
    up: int = 0
    down: int = 0
    seconds: float = 0
    fault: str | None = None

    def __str__(self) -> str:
        query = "&".join(f"{k}={v}" for k, v in self.query.items())
        return (f"{self.number:5} #{self.connection} {self.method} {self.bucket}/{self.key}{'?' + query if query else ''} {self.status} "
                f"up {self.up} down {self.down} {self.seconds:.3f} s" + (f" [{self.fault}]" if self.fault else ""))


@dataclasses.dataclass
class Rule:
    """Which requests a fault befalls. Patterns are regular expressions, searched for."""

    fault: Fault
    method: str = ""
    key: str = ""
    query: str = ""
    #: the first so many that match are spared
    skip: int = 0
    #: how many are hit, None for all
    times: int | None = 1
    probability: float = 1
    seed: object = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(repr(self.seed))

    def _takes(self, request: Request, raw_query: str) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method and not re.fullmatch(self.method, request.method):
            return False
        if not re.search(self.key, request.key) or not re.search(self.query, raw_query):
            return False
        self.seen += 1
        if self.seen <= self.skip or self._rng.random() >= self.probability:
            return False
        self.hits += 1
        return True


# ---- the proxy ------------------------------------------------------------------------------------------------------------

class _Gone(Exception):
    """The client is gone, or was sent away."""


class _Head:
    """A message's first line and headers, byte for byte."""

    def __init__(self, raw: bytes):
        self.raw = raw
        first, *lines = raw[:-4].split(b"\r\n")
        self.first = first.decode("latin-1")
        self.lines = lines
        self.headers = {name.strip().lower(): value.strip() for name, _, value in (line.decode("latin-1").partition(":") for line in lines)}

    @property
    def length(self) -> int | None:
        return int(self.headers["content-length"]) if "content-length" in self.headers else None

    @property
    def is_chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    def with_length(self, length: int) -> bytes:
        kept = [line for line in self.lines if not line.lower().startswith((b"content-length:", b"transfer-encoding:"))]
        return b"\r\n".join([self.first.encode("latin-1"), *kept, b"Content-Length: %d" % length, b"", b""])


async def _read_head(reader: asyncio.StreamReader) -> _Head | None:
    try:
        return _Head(await reader.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def _body(reader: asyncio.StreamReader, head: _Head, empty: bool = False):
    """Yields (content, as it came): these differ in a chunked body."""
    if empty:
        return
    if head.is_chunked:
        while True:
            line = await reader.readuntil(b"\n")
            size = int(line.split(b";")[0], 16)
            rest = await reader.readexactly(size + 2) if size else b""
            if not size:
                while (trailer := await reader.readuntil(b"\n")) != b"\r\n":
                    line += trailer
                yield b"", line + b"\r\n"
                return
            yield rest[:-2], line + rest
    left = head.length
    while left is None or left > 0:
        piece = await reader.read(CHUNK if left is None else min(CHUNK, left))
        if not piece:
            if left:
                raise ConnectionError(f"{left} bytes too few")
            return
        if left is not None:
            left -= len(piece)
        yield piece, piece


class Proxy(Relay):
    """Passes requests on, and does to them what its rules say."""

    def __init__(self, upstream: str, *, context: ssl.SSLContext | None = None):
        """`upstream`: an http:// endpoint. `context`: clients must speak TLS, with this certificate; the server behind still gets HTTP."""
        there = urllib.parse.urlsplit(upstream)
        assert there.scheme == "http", "a proxy cannot alter what it cannot read"
        super().__init__(limit=1 << 20, context=context)
        self._there = (there.hostname, there.port)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self.log: list[Request] = []
        self._connections = 0

    # -- rules and log

    def add(self, fault: Fault, **when: Any) -> Rule:
        """The fields of Rule; the first rule that takes a request decides. By default one request is hit, the next that matches."""
        rule = Rule(fault, **when)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """No rules and an empty log."""
        with self._lock:
            self._rules, self.log = [], []

    def requests(self, method: str = "", key: str = "", query: str = "") -> list[Request]:
        return [r for r in self.log if re.fullmatch(method or ".*", r.method) and re.search(key, r.key)
                and re.search(query, urllib.parse.urlencode(r.query))]

    def faults(self) -> collections.Counter:
        return collections.Counter(r.fault for r in self.log if r.fault)

    def duplicates(self, method: str = "PUT") -> list[tuple[str, int]]:
        """Keys that were asked for (with one query and one range) more often than once and once more for each injected fault, with how
        often: work done twice."""
        same = lambda r: (r.key, tuple(sorted(r.query.items())), r.headers.get("range"))
        asked = collections.Counter(map(same, self.requests(method)))
        failed = collections.Counter(same(r) for r in self.requests(method) if r.fault)
        return [(what[0], count) for what, count in asked.items() if count > 1 + failed[what]]

    def __str__(self) -> str:
        return "\n".join(map(str, self.log))

    # -- serving

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        exchange = _Exchange(self, self._connections, reader, writer)
        try:
            while await exchange.next():
                pass
        except (_Gone, ConnectionError, asyncio.CancelledError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            exchange.close()

    def _admit(self, head: _Head, connection: int) -> tuple[Request, Fault | None]:
        method, target, _ = head.first.split(" ", 2)
        path, _, raw_query = target.partition("?")
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        query = dict(urllib.parse.parse_qsl(raw_query, keep_blank_values=True))
        with self._lock:
            request = Request(len(self.log) + 1, connection, method, bucket, key, query, head.headers, time.monotonic())
            self.log.append(request)
            rule = next((rule for rule in self._rules if rule._takes(request, urllib.parse.unquote(raw_query))), None)
        if rule:
            request.fault = str(rule.fault)
        return request, rule.fault if rule else None


class _Exchange:
    """A client's connection, and the one to the server that serves it."""

    def __init__(self, proxy: Proxy, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.proxy, self.number, self.reader, self.writer = proxy, number, reader, writer
        self.upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        self.writer.close()
        self._drop_upstream()

    def _drop_upstream(self) -> None:
        if self.upstream:
            self.upstream[1].transport.abort()
            self.upstream = None

    def _reset(self) -> None:
        """Ends with RST, not FIN, as a broken machine on the way does."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        self._drop_upstream()
        raise _Gone

    async def next(self) -> bool:
        """One request and its answer; False when the connection is to end."""
        head = await _read_head(self.reader)
        if head is None:
            return False
        request, fault = self.proxy._admit(head, self.number)
        try:
            return await self._exchange(head, request, fault)
        finally:
            request.seconds = time.monotonic() - request.begin

    async def _exchange(self, head: _Head, request: Request, fault: Fault | None) -> bool:
        kind = fault.kind if fault else ""
        if kind == "reset before":
            self._reset()
        if kind == "refuse":
            return await self._refuse(head, request, fault)
        if kind == "stall before":
            await asyncio.sleep(fault.seconds)
        if self.upstream is None or self.upstream[0].at_eof():
            self._drop_upstream()
            try:
                self.upstream = await asyncio.open_connection(*self.proxy._there, limit=1 << 20)
            except ConnectionError:  # the server is down
                self._reset()
        reader, writer = self.upstream
        writer.write(head.raw)
        sending = asyncio.ensure_future(self._send_body(head, request, fault, writer))
        try:
            answer = await self._answer_head(reader, sending)
            if kind == "lose answer":
                async for _ in _body(reader, answer, self._is_empty(request, answer)):
                    pass
                self._reset()
            await self._relay(reader, answer, request, fault)
            if not sending.done() and "expect" in head.headers:
                return False  # whether the client still sends its body is for it to choose
            await asyncio.wait_for(asyncio.shield(sending), 60)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._reset()
        finally:
            sending.cancel()
        closes = "close" in (head.headers.get("connection", "").lower(), answer.headers.get("connection", "").lower())
        return not closes

    async def _refuse(self, head: _Head, request: Request, fault: Fault) -> bool:
        waits = "expect" in head.headers
        if not waits:
            async for piece, _ in _body(self.reader, head, head.length is None and not head.is_chunked):
                request.up += len(piece)
        names = {name.lower() for name, _ in fault.headers}
        lines = [f"HTTP/1.1 {fault.status} Made", f"Content-Length: {len(fault.body)}", "Content-Type: application/xml", "Server: proxy"]
        lines += [f"{name}: {value}" for name, value in fault.headers]
        lines += [] if "date" in names else [f"Date: {email.utils.formatdate(usegmt=True)}"]
        lines += ["Connection: close"] if waits else []
        body = b"" if request.method == "HEAD" else fault.body
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await self.writer.drain()
        request.status, request.down = fault.status, len(body)
        return not waits

    async def _send_body(self, head: _Head, request: Request, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        limit = None
        if fault and fault.kind in ("reset in request", "stall in request"):
            limit = fault.after if head.length is None else min(fault.after, head.length)
        async for content, raw in _body(self.reader, head, head.length is None and not head.is_chunked):
            request.up += len(content)
            if limit is not None and request.up >= limit:
                limit = None
                if fault.kind == "reset in request":
                    self._reset()
                await asyncio.sleep(fault.seconds)
            try:
                writer.write(raw)
                await writer.drain()
            except ConnectionError:  # answered early and gone: the rest still has to be taken
                pass

    async def _answer_head(self, reader: asyncio.StreamReader, sending: asyncio.Future) -> _Head:
        while True:
            reading = asyncio.ensure_future(_read_head(reader))
            await asyncio.wait([reading, sending], return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and sending.exception():
                reading.cancel()
                raise sending.exception()
            answer = await reading
            if answer is None:
                self._reset()
            if not answer.first.split()[1].startswith("1"):
                return answer
            self.writer.write(answer.raw)  # 100 Continue

    @staticmethod
    def _is_empty(request: Request, answer: _Head) -> bool:
        return request.method == "HEAD" or answer.first.split()[1] in ("204", "304")

    async def _relay(self, reader: asyncio.StreamReader, answer: _Head, request: Request, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        empty = self._is_empty(request, answer)
        request.status = int(answer.first.split()[1])
        if not kind or empty:
            self.writer.write(answer.raw)
            async for content, raw in _body(reader, answer, empty):
                self.writer.write(raw)
                request.down += len(content)
                await self.writer.drain()
            await self.writer.drain()
            return
        if kind in ("edit", "shorten") or answer.length is None:
            whole = b"".join([content async for content, _ in _body(reader, answer)])
            whole = fault.edit(whole) if fault.edit else whole[:fault.after] if kind == "shorten" else whole
            self.writer.write(answer.with_length(len(whole)))
            await self._send_pieces(_once(whole), len(whole), request, fault)
        else:
            self.writer.write(answer.raw)
            await self._send_pieces(_body(reader, answer), answer.length, request, fault)

    async def _send_pieces(self, pieces: Any, length: int, request: Request, fault: Fault) -> None:
        """An answer's body with the fault in it."""
        # A fault that was asked for must come: in a shorter body at its end.
        at = min(fault.after, max(length - 1, 0))
        async for content, _ in pieces:
            before, request.down = request.down, request.down + len(content)
            if fault.kind in ("reset in answer", "truncate", "stall in answer") and before <= at < request.down:
                self.writer.write(content[:at - before])
                await self.writer.drain()
                if fault.kind == "stall in answer":
                    await asyncio.sleep(fault.seconds)
                    content = content[at - before:]
                else:
                    request.down = at
                    await self._flush()
                    if fault.kind == "truncate":
                        self._drop_upstream()
                        raise _Gone
                    self._reset()
            if fault.kind == "flip" and before <= at < request.down:
                content = content[:at - before] + bytes([content[at - before] ^ 0x10]) + content[at - before + 1:]
            self.writer.write(content)
            await self.writer.drain()

    async def _flush(self) -> None:
        """What was written has left this process: an RST would take it back."""
        transport = self.writer.transport
        while transport.get_write_buffer_size() and not transport.is_closing():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)


async def _once(whole: bytes):
    yield whole, whole
