"""The scout: another UDP socket for a moment, which shows where our NAT stands (`OpenScout`).

It is a stream to the engine: what is for `SCOUT` comes here, and what comes here goes up as from
there. The socket is connected, so that the kernel drops what anybody else sends to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import SCOUT
from l2mesh.runtime.underlay import SO_MARK, SOCKET_MARK, Underlay

__all__ = ["LIVES_S", "Scout"]

LIVES_S: Final = 1.0
DATAGRAM_BYTES: Final = 2048
BATCH: Final = 8
"""Datagrams read at a wake; the planet sends two or three."""


class Scout:
    """The one socket, if it is open."""

    def __init__(self, underlay: Underlay) -> None:
        """Opens none yet; each is one more socket beside those of the underlay."""
        self._streams = underlay.streams
        self._host = underlay.listen.host
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.TimerHandle | None = None

    def open(self, endpoint: Endpoint) -> None:
        """Opens another one in place of the last; where that fails nothing will come back."""
        self.close()
        self._loop = loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # no route there, or no descriptor left
            self._socket = sock = _open_socket(self._host, endpoint)
            loop.add_reader(sock.fileno(), self._receive, sock)
            self._streams.put(SCOUT, self)
            self._end = loop.call_later(LIVES_S, self.close)

    def offer(self, datagram: bytes) -> bool:
        """Sends a datagram; False where the kernel does not take it."""
        assert self._socket is not None
        try:
            self._socket.send(datagram)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Closes the socket; may be called twice."""
        if self._loop is None or self._socket is None:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._streams.remove(SCOUT)
        self._socket.close()
        self._socket = None
        if self._end is not None:
            self._end.cancel()

    def _receive(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # nothing more, or ICMP says that nobody is there
            for _ in range(BATCH):
                self._streams.receive(sock.recv(DATAGRAM_BYTES), SCOUT)


def _open_socket(host: str, endpoint: Endpoint) -> socket.socket:
    """A socket on a port that nobody has, connected to the endpoint; OSError when there is none."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, SOCKET_MARK)
        if not ip_address(host).is_unspecified:
            sock.bind((host, 0))
        sock.connect(endpoint.address)
    except OSError:
        sock.close()
        raise
    return sock
