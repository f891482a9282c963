"""The open streams by endpoint, and the way of their datagrams to and from the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import MAX_STREAM, stream_endpoint

__all__ = ["Outgoing", "Streams"]


class Outgoing(Protocol):
    """What takes datagrams for one stream."""

    def offer(self, datagram: bytes) -> bool:
        """Take a datagram to be sent; False when the queue is full."""


class Streams:
    """All open streams of a process; at most 65,535."""

    def __init__(self, counters: Counter[str]) -> None:
        self.counters = counters
        self.on_closed: Callable[[Endpoint], None] | None = None
        """Hears of a stream that is no more."""
        self.deliver: Callable[[bytes, Endpoint], None] | None = None
        """Takes what streams bring: datagram, endpoint. Set by the driver."""
        self._open: dict[Endpoint, Outgoing] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, outgoing: Outgoing) -> Endpoint:
        """Names a new stream. A number is taken up again as late as possible."""
        while True:
            self._last = self._last % MAX_STREAM + 1
            endpoint = stream_endpoint(self._last)
            if endpoint not in self._open:
                self._open[endpoint] = outgoing
                return endpoint

    def put(self, endpoint: Endpoint, outgoing: Outgoing) -> None:
        """Takes up what has a name of its own."""
        self._open[endpoint] = outgoing

    def remove(self, endpoint: Endpoint) -> None:
        """Forgets a stream that was closed."""
        if self._open.pop(endpoint, None) is not None and self.on_closed is not None:
            self.on_closed(endpoint)

    def send(self, datagram: bytes, endpoint: Endpoint) -> None:
        """Hands a datagram to a stream, or counts why not; never waits."""
        outgoing = self._open.get(endpoint)
        if outgoing is None:
            self.counters["stream_closed"] += 1
        elif not outgoing.offer(datagram):
            self.counters["stream_overflow"] += 1

    def receive(self, datagram: bytes, endpoint: Endpoint) -> None:
        """A stream brought a datagram."""
        if self.deliver is not None:
            self.deliver(datagram, endpoint)
