"""Streams that others dial: TLS and WebSocket on the TCP ports of a planet."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from l2mesh.errors import ConfigError
from l2mesh.runtime.streams.client import PATH
from l2mesh.runtime.streams.link import SETTINGS, Link
from l2mesh.runtime.streams.registry import Streams
from l2mesh.runtime.underlay import Listen

__all__ = ["StreamServer", "bind"]

logger = logging.getLogger(__name__)

MAX_STREAMS: Final = 4096
MAX_FROM_ONE: Final = 64
"""Of one source address: a company's NAT has many behind it, a flood comes from few."""
BACKLOG: Final = 128


class StreamServer:
    """Takes streams on listening sockets until closed."""

    def __init__(
        self, streams: Streams, sockets: list[socket.socket], context: ssl.SSLContext
    ) -> None:
        """The sockets become the server's."""
        self._streams = streams
        self._sockets = sockets
        self._context = context
        self._from: Counter[str] = Counter()
        self._servers: list[Server] = []

    async def start(self) -> None:
        """Begins to take streams."""
        for sock in self._sockets:
            server = await serve(
                self._carry,
                sock=sock,
                ssl=self._context,
                process_request=self._admit,
                server_header=None,
                logger=_quiet(),
                **SETTINGS,
            )
            self._servers.append(server)

    async def close(self) -> None:
        """Ends all streams and lets go of the sockets; also after a failed start."""
        for server in self._servers:
            server.close()
        await asyncio.gather(*(server.wait_closed() for server in self._servers))
        for sock in self._sockets:
            sock.close()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuses what is no stream of ours, and too many of them."""
        source = _source(connection)
        if request.path != PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, "")
        if len(self._streams) >= MAX_STREAMS or self._from[source] >= MAX_FROM_ONE:
            self._streams.counters["stream_refused"] += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        return None

    async def _carry(self, connection: ServerConnection) -> None:
        source = _source(connection)
        self._from[source] += 1
        self._streams.counters["streams_taken"] += 1
        try:
            await Link(connection, self._streams).run()
        finally:
            self._from[source] -= 1
            self._from += Counter()  # forgets who has none


def bind(listen: Listen) -> list[socket.socket]:
    """Listening TCP sockets, for ``::`` one a family; ConfigError when there is none."""
    hosts = ["::", "0.0.0.0"] if listen.host == "::" else [listen.host]
    found: list[socket.socket] = []
    reason = ""
    for host in hosts:
        family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            reason = error.strerror or str(error)
            continue
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, listen.port))
            sock.listen(BACKLOG)
            found.append(sock)
        except OSError as error:
            sock.close()
            reason = error.strerror or str(error)
    if not found:
        raise ConfigError(
            f"cannot listen for TLS on TCP {listen}: {reason}",
            hint="another program has the port, or it needs the right to bind it",
        )
    return found


def _source(connection: ServerConnection) -> str:
    address = connection.remote_address
    return str(address[0]) if address else ""


def _quiet() -> logging.Logger:
    """Scanners fail at our door all day: that is no news."""
    quiet = logging.getLogger(f"{__name__}.connections")
    quiet.setLevel(logging.CRITICAL)
    return quiet
