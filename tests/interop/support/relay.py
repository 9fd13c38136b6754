"""A server in a thread of its own, for what stands between a program and the server that it talks to."""

from __future__ import annotations

import asyncio
import ssl
import threading


class Relay:
    """Listens on 127.0.0.1 until its block is left. Who derives from it says what is done with a connection: `_serve`."""

    def __init__(self, *, limit: int, context: ssl.SSLContext | None = None):
        """`limit`: bytes of a line or head at the most. `context`: clients must speak TLS, with this certificate."""
        self._limit, self._context = limit, context
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def begin() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=self._limit, ssl=self._context)
            self.port = server.sockets[0].getsockname()[1]
            self._started.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        self._end_all()

    def _end_all(self) -> None:
        """Cancels what still runs in the stopped loop, and closes it. A cancellation that comes just when asyncio.wait_for is done is lost."""
        while waiting := asyncio.all_tasks(self._loop):
            for task in waiting:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(waiting, timeout=0.1))
        self._loop.close()
