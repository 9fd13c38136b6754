"""Stands before a real API server, and fails as networks and load balancers do: everything else is the server's own answer."""

from __future__ import annotations

import collections
import contextlib
import http.client
import http.server
import json
import pathlib
import ssl
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubernetes_server import KubernetesServer


class FlakyProxy:
    """`plan` says for a method what happens to its next requests, in order:

    an int      that status is the answer, and the server is not asked
    "reset"     the connection is closed before the server is asked
    "lost"      the server is asked, and then the connection is closed

    "WATCH" in place of a method is for watches: after that many events, in the middle of the next one, the connection is closed.
    """

    def __init__(self, server: KubernetesServer) -> None:
        self.plan: dict[str, collections.deque[int | str]] = collections.defaultdict(collections.deque)
        self.retry_after = ""
        self.seen: list[str] = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append(f"{self.command} {self.path.partition('?')[0]}")
                step = proxy.plan[self.command].popleft() if proxy.plan[self.command] else None
                if isinstance(step, int):
                    status = {"kind": "Status", "status": "Failure", "message": f"no answer today ({step})", "reason": "Busy", "code": step}
                    return self._answer(step, json.dumps(status).encode())
                if step == "reset":
                    return self._hang_up()
                headers = {key: self.headers[key] for key in ("Content-Type", "Accept") if self.headers[key]}
                if "watch=true" in self.path:
                    return self._watch(proxy.plan["WATCH"].popleft() if proxy.plan["WATCH"] else 1 << 30)
                request = urllib.request.Request(server.address + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, context=server._context, timeout=300) as answer:
                        status_code, content = answer.status, answer.read()
                except urllib.error.HTTPError as problem:
                    status_code, content = problem.code, problem.read()
                return self._hang_up() if step == "lost" else self._answer(status_code, content)

            do_GET = do_POST = do_PATCH = do_DELETE = _handle

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if status >= 400 and proxy.retry_after:
                    self.send_header("Retry-After", proxy.retry_after)
                self.end_headers()
                self.wfile.write(content)

            def _watch(self, events: int | str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.close_connection = True
                request = urllib.request.Request(server.address + self.path)
                with contextlib.suppress(OSError, http.client.HTTPException):
                    with urllib.request.urlopen(request, context=server._context, timeout=60) as answer:
                        for number, line in enumerate(answer):
                            part = line if number < int(events) else line[:20]
                            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                            self.wfile.flush()
                            if number >= int(events):
                                return
                    self.wfile.write(b"0\r\n\r\n")

            def _hang_up(self) -> None:
                self.close_connection = True

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.directory / "kube-apiserver.crt", server.directory / "kube-apiserver.key")
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        address = f"https://127.0.0.1:{self._http.server_address[1]}"
        self.kubeconfig: pathlib.Path = server.write_kubeconfig("admin", file=f"proxy-{self._http.server_address[1]}.kubeconfig", server=address)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
