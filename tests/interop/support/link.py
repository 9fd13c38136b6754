"""A long line between a program and a server: latency and bandwidth as a real one has, in front of any TCP port.

    with Link(("127.0.0.1", server.port), rtt=0.05, bandwidth=20e6) as link:
        … link.port …

A model of TCP, because sch_netem, which would delay the real one, is in few kernels of virtual machines: connecting costs a round trip, what
is sent arrives half of one later, and a connection may have no more in flight than its window, which starts at ten segments, grows by what
was acknowledged, and starts again after a pause, as Linux does it. So many small connections pay here what they pay on a real line.
Standing alone:   python3 -m support.link HOST:PORT --rtt 0.05 [--bandwidth BYTES_PER_SECOND] -- COMMAND…    (with {} for the port)
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import subprocess
import sys

from .relay import Relay

#: RFC 6928: ten segments, of the usual Ethernet size.
INITIAL_WINDOW = 10 * 1460
#: What Linux lets a socket's buffers grow to (net.ipv4.tcp_wmem); 80 MB/s at 50 ms.
LARGEST_WINDOW = 4 << 20
PIECE = 1 << 16


class _Line:
    """One direction's bandwidth, which all connections share."""

    def __init__(self, bandwidth: float | None):
        self.bandwidth, self.free = bandwidth, 0.0

    def leaves(self, now: float, length: int) -> float:
        """When the last of so many bytes is on the line."""
        if self.bandwidth is None:
            return now
        self.free = max(now, self.free) + length / self.bandwidth
        return self.free


class Link(Relay):
    """Relays 127.0.0.1:port to `there` until its block is left. `rtt` in seconds; `bandwidth` in bytes per second, each way."""

    def __init__(self, there: tuple[str, int], rtt: float = 0.05, bandwidth: float | None = None, window: int = LARGEST_WINDOW):
        super().__init__(limit=PIECE)
        self.there, self.rtt, self.window = there, rtt, window
        self.connections, self.up, self.down = 0, 0, 0
        self._lines = {"up": _Line(bandwidth), "down": _Line(bandwidth)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await asyncio.sleep(self.rtt)  # SYN and its answer
            far_reader, far_writer = await asyncio.open_connection(*self.there, limit=PIECE)
            await asyncio.gather(self._carry("up", reader, far_writer), self._carry("down", far_reader, writer), return_exceptions=True)
            far_writer.close()
        except (OSError, asyncio.CancelledError):  # nobody there, or the block is left
            writer.transport.abort()
        writer.close()

    async def _carry(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, line = self._loop, self._lines[way]
        window, in_flight, last = INITIAL_WINDOW, 0, loop.time()
        room = asyncio.Event()
        arriving: collections.deque[tuple[float, bytes]] = collections.deque()
        more = asyncio.Event()

        def acknowledged(length: int) -> None:
            nonlocal window, in_flight
            in_flight -= length
            window = min(self.window, window + length)
            room.set()

        async def deliver() -> None:
            while True:
                while not arriving:
                    more.clear()
                    await more.wait()
                due, piece = arriving.popleft()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if not piece:
                    writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            while True:
                while in_flight >= window:
                    room.clear()
                    await room.wait()
                piece = await reader.read(min(PIECE, window - in_flight))
                now = loop.time()
                if not in_flight and now - last > self.rtt + 0.2:  # a retransmission timeout: the window is forgotten
                    window = INITIAL_WINDOW
                last = line.leaves(now, len(piece))
                arriving.append((last + self.rtt / 2, piece))
                more.set()
                if not piece:
                    break
                in_flight += len(piece)
                setattr(self, way, getattr(self, way) + len(piece))
                loop.call_at(last + self.rtt, acknowledged, len(piece))
            await delivering
        except ConnectionError:
            writer.transport.abort()
            raise
        finally:
            delivering.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("there", metavar="HOST:PORT")
    parser.add_argument("--rtt", type=float, default=0.05)
    parser.add_argument("--bandwidth", type=float)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    host, _, port = given.there.rpartition(":")
    with Link((host, int(port)), given.rtt, given.bandwidth) as link:
        return subprocess.run([word.replace("{}", str(link.port)) for word in given.command]).returncode


if __name__ == "__main__":
    sys.exit(main())
