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
import datetime
import email.utils
import random
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from typing import Any, Callable, Iterable
from xml.sax.saxutils import escape

CHUNK = 1 << 18
#: An S3 request's head; a policy or a long list of signed headers fits.
HEAD_LIMIT = 1 << 16


# ---- what can go wrong ------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Fault:
    """`kind` says at which point of an exchange; see the functions below, which make them."""

    kind: str
    text: str
    after: int = 0
    seconds: float = 0
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    edit: Callable[[bytes], bytes] | None = None

    def __str__(self) -> str:
        return self.text


def refuse(status: int, code: str, message: str = "made by the test's proxy", headers: Iterable[tuple[str, str]] = (), more: str = "") -> Fault:
    """An error document instead of the server's answer; the server never sees the request. `more`: further elements in it."""
    body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>{more}'
            "<RequestId>0123456789ABCDEF</RequestId><HostId>proxy</HostId></Error>").encode()
    return Fault("refuse", f"{status} {code}", status=status, headers=tuple(headers), body=body)


def server_error() -> Fault:
    return refuse(500, "InternalError", "We encountered an internal error. Please try again.")


def slow_down(retry_after: int | None = None) -> Fault:
    headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
    return refuse(503, "SlowDown", "Please reduce your request rate.", headers)


def expired_token() -> Fault:
    return refuse(403, "ExpiredToken", "The provided token has expired.")


def clock_skew(hours: float = 2) -> Fault:
    """As a server answers whose clock is `hours` ahead."""
    there = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    times = f"<ServerTime>{there:%Y-%m-%dT%H:%M:%SZ}</ServerTime><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>"
    return refuse(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.",
                  [("Date", email.utils.format_datetime(there, usegmt=True))], times)


def other_region(region: str, endpoint: str | None = None, how: int = 301) -> Fault:
    """The bucket lies elsewhere. `how`: 301 PermanentRedirect, 307 TemporaryRedirect with a Location, 400 AuthorizationHeaderMalformed.
    `endpoint`: host:port to go to, named in the first two."""
    named = [("x-amz-bucket-region", region)]
    where = f"<Endpoint>{escape(endpoint)}</Endpoint>" if endpoint else ""
    if how == 301:
        return refuse(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.", named, where)
    if how == 307:
        return refuse(307, "TemporaryRedirect", "Please re-send this request to the specified temporary endpoint.",
                      [*named, ("Location", f"http://{endpoint}/")], where)
    return refuse(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; the region is wrong; expecting '{region}'",
                  named, f"<Region>{escape(region)}</Region>")


def reset_before() -> Fault:
    """The connection is reset as soon as the request's head has come."""
    return Fault("reset before", "reset before the answer")


def reset_in_request(after: int = 1000) -> Fault:
    """…when `after` bytes of the request's body have come; the server gets no whole request."""
    return Fault("reset in request", f"reset after {after} bytes of the request", after)


def reset_in_answer(after: int = 1000) -> Fault:
    return Fault("reset in answer", f"reset after {after} bytes of the answer", after)


def lose_answer() -> Fault:
    """The server does what was asked; the connection is reset before it can say so."""
    return Fault("lose answer", "answer lost")


def truncate(after: int = 1000, honest: bool = False) -> Fault:
    """Only the first `after` bytes of the body: the connection is closed then, or (honest) Content-Length says so few."""
    return Fault("shorten" if honest else "truncate", f"truncated to {after} bytes" + (", Content-Length too" if honest else ""), after)


def flip(at: int = 100) -> Fault:
    """One bit of the body is wrong; `at` beyond its end means its last byte."""
    return Fault("flip", f"bit flipped in byte {at}", at)


def stall(seconds: float, where: str = "before", after: int = 1000) -> Fault:
    """Nothing moves for `seconds`: before the answer, or after `after` bytes of the body of the `request` or of the `answer`."""
    kinds = {"before": "stall before", "request": "stall in request", "answer": "stall in answer"}
    return Fault(kinds[where], f"{seconds} s stall {where}", after, seconds)


def _listed(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    pattern = re.compile(rb"<Contents>.*?</Contents>", re.S)

    def edit(body: bytes) -> bytes:
        found = pattern.findall(body)
        if not found:
            return body
        begin, end = body.index(found[0]), body.rindex(found[-1]) + len(found[-1])
        return body[:begin] + b"".join(change(found)) + body[end:]
    return edit


def duplicate_entries() -> Fault:
    """Every object of a listing's page twice, as when it was written while the pages were read."""
    return Fault("edit", "listed twice", edit=_listed(lambda found: [each for one in found for each in (one, one)]))


def missing_entries(count: int = 1) -> Fault:
    """The last `count` objects of a listing's page are left out, as where listings follow writes late."""
    return Fault("edit", f"{count} not listed", edit=_listed(lambda found: found[:-count]))


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

def end_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancels what still runs in a stopped loop, and closes it. A cancellation that comes just when asyncio.wait_for is done is lost."""
    while waiting := asyncio.all_tasks(loop):
        for task in waiting:
            task.cancel()
        loop.run_until_complete(asyncio.wait(waiting, timeout=0.1))
    loop.close()


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


class Proxy:
    """Listens on 127.0.0.1, in a thread of its own, until its block is left."""

    def __init__(self, upstream: str, *, context: ssl.SSLContext | None = None):
        """`upstream`: an http:// endpoint. `context`: clients must speak TLS, with this certificate; the server behind still gets HTTP."""
        there = urllib.parse.urlsplit(upstream)
        assert there.scheme == "http", "a proxy cannot alter what it cannot read"
        self._there = (there.hostname, there.port)
        self._context = context
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self.log: list[Request] = []
        self._connections = 0
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

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
        """Keys that were asked for more often than once and once more for each injected fault, with how often: work done twice."""
        asked = collections.Counter((r.key, tuple(sorted(r.query.items()))) for r in self.requests(method))
        failed = collections.Counter((r.key, tuple(sorted(r.query.items()))) for r in self.requests(method) if r.fault)
        return [(what[0], count) for what, count in asked.items() if count > 1 + failed[what]]

    def __str__(self) -> str:
        return "\n".join(map(str, self.log))

    # -- serving

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def begin() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20, ssl=self._context)
            self.port = server.sockets[0].getsockname()[1]
            self._started.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        end_all(self._loop)

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
