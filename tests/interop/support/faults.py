"""What can go wrong between a program and an S3 server: what support/proxy.py is told to do to a request."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import re
from collections.abc import Iterable
from typing import Callable
from xml.sax.saxutils import escape


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
