"""The side door of the native engine: it carries UDP itself, and hands us what is for streams.

A pair of connected Unix sockets, one end the engine's (``engine/io/src/side.rs``). A message is one
datagram behind its endpoint, 18 bytes as on the wire. What is full drops, counted: neither side
ever waits for the other.
"""

from __future__ import annotations

import socket
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.streams.registry import Streams
from l2mesh.wire.endpoint import ENDPOINT_BYTES, decode_endpoint, encode_endpoint

__all__ = ["SideDoor"]

BATCH: Final = 64
MESSAGE_BYTES: Final = 4096
BUFFER_BYTES: Final = 1024 * 1024


class SideDoor:
    """Our end, and the descriptor of the engine's."""

    def __init__(self, streams: Streams) -> None:
        """Takes what streams bring from now on."""
        self._streams = streams
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (self._ours, self._theirs):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        streams.deliver = self._deliver

    @property
    def engine_fd(self) -> int:
        """The engine's end; it stays ours."""
        return self._theirs.fileno()

    def fileno(self) -> int:
        """Readable when the engine has something for a stream."""
        return self._ours.fileno()

    def receive(self) -> None:
        """Passes on what the engine has for streams, a batch at most."""
        for _ in range(BATCH):
            try:
                message = self._ours.recv(MESSAGE_BYTES)
            except BlockingIOError:
                return
            endpoint = decode_endpoint(message[:ENDPOINT_BYTES])
            if endpoint is not None:
                self._streams.send(message[ENDPOINT_BYTES:], endpoint)

    def close(self) -> None:
        """Closes both ends; may be called twice. The engine has stopped."""
        self._streams.deliver = None
        self._ours.close()
        self._theirs.close()

    def _deliver(self, datagram: bytes, endpoint: Endpoint) -> None:
        try:
            self._ours.send(encode_endpoint(endpoint) + datagram)
        except BlockingIOError:
            self._streams.counters["stream_overflow"] += 1
