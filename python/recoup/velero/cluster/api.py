"""A Kubernetes API server, reached through the official client for Python: its kubeconfig, credentials, TLS and connections.

Of the client's own types, which do not hold over its versions, none leaves this file. Requests are made by path, because what is applied
has kinds that no generated class knows.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from ..._engine import AccessDeniedError, StorageError
from .answers import Answer, Refused
from .certificates import expiry_of
from .channels import Channels, Cut, connect
from .kubeconfig import client_module, configure

_log = logging.getLogger("recoup")

_CONNECT_SECONDS = 10.0
# Admission webhooks have up to 30 seconds, and an object may pass several.
_READ_SECONDS = 90.0
_ATTEMPTS = 6
_PATIENCE_SECONDS = 60.0
_LONGEST_WAIT = 8.0
# A server that never answered is likelier not there than restarting.
_ATTEMPTS_TO_CONNECT = 3

_OBJECT = re.compile(r"^(<[^>]*>|\w+\([^)]*\)): ")

Query = Mapping[str, str]


class Unreachable(Exception):
    """No answer. `was_sent`: the request may have been carried out."""

    def __init__(self, message: str, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class Uncertain(StorageError):
    """The answer to a creation was lost: whether the object is there has to be looked up."""


class Stream:
    """Documents as the server sends them, one a line, until it ends the answer. close() may be called from another thread."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._is_closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rest = b""
        errors = importlib.import_module("urllib3.exceptions")
        try:
            for piece in self._response.stream(1 << 16):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except (errors.HTTPError, OSError, ValueError, AttributeError) as problem:
            # AttributeError: closed under the reader's hands.
            if not self._is_closed:
                raise Unreachable(f"the connection broke: {problem}", was_sent=True) from problem
        finally:
            self.close()

    def close(self) -> None:
        self._is_closed = True
        with contextlib.suppress(Exception):
            # Ends a read in another thread at once. Older versions of urllib3 cannot: there it ends with the read's time limit.
            self._response.shutdown()
        with contextlib.suppress(Exception):
            self._response.close()


class KubernetesApi:
    """One server, with the credentials for it. Threads may share one."""

    def __init__(self, client: Any, place: str) -> None:
        """`place`: for messages, "context homelab in /home/u/.kube/config"."""
        self._client = client
        self._configuration = client.configuration
        self._place = place
        self._was_reached = False
        # Wakes whoever waits for the next attempt.
        self._closing = threading.Event()

    @classmethod
    def connect(cls, kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None) -> KubernetesApi:
        """Asks the server nothing yet. Raises InvalidArgumentError for a configuration that cannot be used, NotFoundError where
        there is none, UnsupportedError where the client is not installed."""
        configuration, place = configure(kubeconfig, context)
        return cls(client_module("client").ApiClient(configuration), place)

    @property
    def address(self) -> str:
        return str(self._configuration.host)

    def __str__(self) -> str:
        return f"{self.address} ({self._place})"

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(Exception):
            self._client.rest_client.pool_manager.clear()

    # ---- requests --------------------------------------------------------------------------------------------------------

    def get(self, path: str, query: Query | None = None) -> Mapping[str, Any]:
        return self.request("GET", path, query=query).document

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
        is_hopeless: Callable[[Refused], bool] = lambda problem: False,
    ) -> Answer:
        """Raises Refused for the server's no, recoup's errors where it cannot be asked. What may pass is asked again, for a minute
        at most, unless `is_hopeless` says no; a creation (POST) only where it has certainly not been carried out, else Uncertain is raised.
        """
        attempt, end = 0, time.monotonic() + _PATIENCE_SECONDS
        while True:
            attempt += 1
            try:
                return self._answer(self._send(method, path, query, body, content_type, _READ_SECONDS))
            except Refused as problem:
                if method == "POST" and problem.status in (502, 504):
                    raise Uncertain(f"{self}: {problem}") from problem
                is_certain = method != "POST" or problem.status != 500
                may_pass = problem.is_passing and not is_hopeless(problem)
                if not may_pass or not is_certain or attempt >= _ATTEMPTS or time.monotonic() + problem.retry_after > end:
                    raise
                self._wait(attempt, str(problem), problem.retry_after)
            except Unreachable as problem:
                if method == "POST" and problem.was_sent:
                    raise Uncertain(f"{self}: {problem}") from problem
                # One that was there restarts, likely, which takes some seconds, and during which it answers nothing at once.
                has_waited = attempt >= _ATTEMPTS and time.monotonic() >= end
                if has_waited or (attempt >= _ATTEMPTS_TO_CONNECT and not self._was_reached):
                    raise StorageError(
                        f"cannot reach the Kubernetes API server {self}: {problem}. Is the cluster running, and is it this one?"
                    ) from problem
                self._wait(attempt, str(problem), 0)

    def stream(self, path: str, query: Query, read_seconds: float) -> Stream:
        """One attempt. Raises Refused, Unreachable; where more than `read_seconds` pass without a byte, the stream does."""
        response = self._send("GET", path, query, None, "application/json", read_seconds)
        if response.status >= 400:
            self._answer(response)
        self._was_reached = True
        return Stream(response)

    def channels(self, path: str, query: Sequence[tuple[str, str]], protocols: Sequence[str]) -> Channels:
        """The channels of a command. One attempt. Raises Refused, Unreachable, recoup's errors."""
        headers = [f"{key}: {value}" for key, value in {"User-Agent": "recoup", **self._credentials()}.items()]
        # http becomes ws, https wss.
        url = "ws" + self.address.rstrip("/")[len("http") :] + path + "?" + urlencode(query)
        options: dict[str, Any] = {"http_no_proxy": ["*"]}
        if self._certificate_name():
            options["server_name"] = self._certificate_name()
        proxy = getattr(self._client.rest_client.pool_manager, "proxy", None)
        if proxy is not None:
            options.update(http_no_proxy=None, http_proxy_host=proxy.host, http_proxy_port=proxy.port or 80)
            if proxy.auth:
                options["http_proxy_auth"] = tuple(proxy.auth.split(":", 1))
        try:
            return connect(url, headers, protocols, self._tls() if url.startswith("wss") else None, **options)
        except ssl.SSLError as problem:
            raise self._tls_problem(str(problem)) from problem
        except Cut as problem:
            raise Unreachable(str(problem), was_sent=False) from problem
        except Refused as problem:
            if problem.status == 401:
                raise self._unauthorised(problem.message) from problem
            raise

    def _certificate_name(self) -> str:
        """The name in the server's certificate, where the kubeconfig gives another one than the address has."""
        return str(getattr(self._configuration, "tls_server_name", None) or "")

    def _tls(self) -> ssl.SSLContext:
        """As the client's own connections have it."""
        found = self._configuration
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = bool(found.verify_ssl) and found.assert_hostname is not False
        context.verify_mode = ssl.CERT_REQUIRED if found.verify_ssl else ssl.CERT_NONE
        if found.ssl_ca_cert:
            context.load_verify_locations(found.ssl_ca_cert)
        else:
            context.load_default_certs()
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file or None)
        return context

    def _credentials(self) -> dict[str, str]:
        try:
            settings = self._configuration.auth_settings().values()
            # In a pod and with credential plugins this fetches a new token where the old one runs out. A file often ends with a line break.
            found = {each["key"]: str(each["value"]).strip() for each in settings if each["in"] == "header" and each.get("value")}
        except client_module("config").ConfigException as problem:
            raise AccessDeniedError(f"no credentials for the Kubernetes API server {self}: {problem}") from problem
        if not all(value.isascii() and value.isprintable() for value in found.values()):
            # Whoever sends it would quote it.
            raise AccessDeniedError(f"no credentials for the Kubernetes API server {self}: the token has a line break or a letter in it that no token has")
        return found

    def _send(self, method: str, path: str, query: Query | None, body: Any, content_type: str, read_seconds: float) -> Any:
        urllib3 = importlib.import_module("urllib3")
        errors = importlib.import_module("urllib3.exceptions")
        headers = {"Accept": "application/json", "User-Agent": "recoup", **self._credentials()}
        if body is not None:
            headers["Content-Type"] = content_type
        url = self.address.rstrip("/") + path + ("?" + urlencode(query) if query else "")
        try:
            return self._client.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body, ensure_ascii=False).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except errors.SSLError as problem:
            raise self._tls_problem(str(problem)) from problem
        except (errors.NewConnectionError, errors.ConnectTimeoutError, errors.ProxyError) as problem:
            raise Unreachable(_last_words(problem), was_sent=False) from problem
        except (errors.HTTPError, OSError) as problem:
            raise Unreachable(_last_words(problem), was_sent=True) from problem

    def _answer(self, response: Any) -> Answer:
        errors = importlib.import_module("urllib3.exceptions")
        try:
            content: bytes = response.read()
            response.release_conn()
        except (errors.HTTPError, OSError) as problem:
            raise Unreachable(_last_words(problem), was_sent=True) from problem
        self._was_reached = True
        if response.status == 401:
            raise self._unauthorised(Refused.parse(401, content).message)
        if response.status >= 300:
            raise Refused.parse(response.status, content, _seconds(response.headers.get("Retry-After")))
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as problem:
            raise StorageError(f"{self} answered no JSON: it is no Kubernetes API server, or a proxy stands before it") from problem
        warnings = tuple(_warning_text(each) for each in response.headers.getlist("Warning"))
        return Answer(response.status, document, warnings)

    def _wait(self, attempt: int, why: str, at_least: float) -> None:
        seconds = max(at_least, min(_LONGEST_WAIT, 0.25 * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))
        _log.info("%s: %s; trying again in %.1f s", self.address, why, seconds)
        if self._closing.wait(seconds):
            raise StorageError(f"{self.address}: closed while waiting for it")

    # ---- what goes wrong -------------------------------------------------------------------------------------------------

    def _tls_problem(self, text: str) -> StorageError | AccessDeniedError:
        client_certificate = self._expired_certificate()
        if client_certificate:
            return AccessDeniedError(f"{self}: {client_certificate}")
        if "certificate has expired" in text:
            return StorageError(
                f"the certificate of the Kubernetes API server {self} has expired: renew it there (kubeadm certs renew all; k3s renews when "
                f"it is restarted)"
            )
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
            return StorageError(
                f"the certificate of the Kubernetes API server {self} is not trusted ({text}): the kubeconfig's certificate authority is "
                f"another cluster's, or the server goes by another name there"
            )
        return StorageError(f"no TLS with the Kubernetes API server {self}: {text}")

    def _unauthorised(self, message: str) -> AccessDeniedError:
        certificate = self._expired_certificate()
        why = certificate or "the token or certificate is wrong, has run out, or belongs to another cluster; log in again"
        return AccessDeniedError(f"the Kubernetes API server {self} does not know who asks ({message}): {why}")

    def _expired_certificate(self) -> str:
        file = self._configuration.cert_file
        expiry = expiry_of(file) if file else None
        if expiry is None or expiry > datetime.now(timezone.utc):
            return ""
        return (
            f"the client certificate has expired on {expiry:%Y-%m-%d %H:%M} UTC; get a new kubeconfig (kubeadm kubeconfig user; k3s: restart the "
            f"server and copy k3s.yaml again)"
        )


def _last_words(problem: BaseException) -> str:
    """urllib3 puts its objects before the reason: "HTTPSConnection(host=…, port=…): Failed to establish …"."""
    return _OBJECT.sub("", str(problem))


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0


def _warning_text(header: str) -> str:
    """'299 - "policy/v1beta1 is deprecated"' (RFC 7234)."""
    text = header.partition('"')[2].rpartition('"')[0]
    return (text or header).replace('\\"', '"').replace("\\\\", "\\")


def sleep_until(condition: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Asks `condition` until it is true. False: that took longer than `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)
    return True
