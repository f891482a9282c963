"""One WebSocket connection as a carrier of datagrams, the same at both ends."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.streams.registry import Streams

__all__ = ["IDLE_S", "SETTINGS", "Link"]

MAX_DATAGRAM: Final = 2048
"""Above the largest datagram of the protocol; a longer message ends the connection."""
QUEUE: Final = 128
"""Datagrams that wait for the connection: about 180 kB. More are dropped: a queue on TCP only
makes the tunnel's own TCP slower to notice."""
WRITE_BYTES: Final = 64 * 1024
"""What waits below the queue before the sender is held back."""
IDLE_S: Final = 90.0
"""A stream that brings nothing for so long is closed; whoever uses it says something each 25 s."""
SETTINGS: Final[dict[str, Any]] = {
    "compression": None,
    "max_size": MAX_DATAGRAM,
    "max_queue": 16,
    "write_limit": WRITE_BYTES,
    "open_timeout": 5.0,
    "close_timeout": 1.0,
    "ping_interval": None,
}
"""Of `websockets`, at both ends. Random bytes do not compress, and sessions have heartbeats."""


class Link:
    """A connection that takes datagrams without waiting and gives out what it brings."""

    def __init__(self, connection: Connection, streams: Streams) -> None:
        """Names the stream, which is open until `run` returns."""
        self._connection = connection
        self._streams = streams
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self.endpoint: Endpoint = streams.add(self)

    def offer(self, datagram: bytes) -> bool:
        """Take a datagram to be sent; False when too many wait."""
        try:
            self._queue.put_nowait(datagram)
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Carries until the connection ends or is idle, and closes it."""
        sender = asyncio.create_task(self._send_all(), name="stream sender")
        try:
            await self._receive_all()
        finally:
            self._streams.remove(self.endpoint)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            await self._connection.close()

    async def _send_all(self) -> None:
        try:
            while True:
                await self._connection.send(await self._queue.get())
        except ConnectionClosed:
            pass  # the receiver learns the same

    async def _receive_all(self) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    message = await self._connection.recv()
                if isinstance(message, bytes):
                    self._streams.receive(message, self.endpoint)
        except (ConnectionClosed, TimeoutError):
            pass
