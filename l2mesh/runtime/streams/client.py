"""Dialling planets over TLS, at their own port and at that of HTTPS, through a proxy or not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from l2mesh.datapath.interface import Endpoint
from l2mesh.node.effects import CloseStream, OpenStream
from l2mesh.runtime.dial import dial
from l2mesh.runtime.streams import proxy as proxies
from l2mesh.runtime.streams.link import SETTINGS, Link
from l2mesh.runtime.streams.proxy import Proxy, ProxyError
from l2mesh.runtime.streams.registry import Streams
from l2mesh.wire.endpoint import format_endpoint

__all__ = ["PATH", "Dialler"]

logger = logging.getLogger(__name__)

PATH: Final = "/l2mesh"
HTTPS_PORT: Final = 443
DIAL_S: Final = 5.0
MAX_TARGETS: Final = 8
"""Endpoints tried for one planet in a row."""
_FAILURES: Final = (OSError, TimeoutError, InvalidHandshake, ProxyError)

Told = Callable[[bytes, Endpoint | None], None]


class Dialler:
    """Opens and closes streams as the core wants it; one for each planet at most.

    `on_change` hears (planet's fingerprint, its stream), the stream None when there is none or no
    more.
    """

    def __init__(self, streams: Streams, on_change: Told, *, proxy: Proxy | None = None) -> None:
        self._streams = streams
        self._on_change = on_change
        self._proxy = proxy
        self._complaint = ""
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._planets: dict[Endpoint, bytes] = {}

    def carry_out(self, effect: OpenStream | CloseStream) -> None:
        """What the core wants."""
        if isinstance(effect, OpenStream):
            if effect.planet not in self._tasks:
                task = asyncio.create_task(self._keep(effect), name="stream to a planet")
                self._tasks[effect.planet] = task
        elif (planet := self._planets.get(effect.endpoint)) is not None:
            self._tasks[planet].cancel()

    async def close(self) -> None:
        """Ends all streams."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, effect: OpenStream) -> None:
        """One stream from being dialled to its end."""
        try:
            connection = await self._dial(effect.endpoints)
            if connection is not None:
                await self._carry(connection, effect.planet)
        finally:
            del self._tasks[effect.planet]
            self._on_change(effect.planet, None)

    async def _carry(self, connection: ClientConnection, planet: bytes) -> None:
        link = Link(connection, self._streams)
        self._planets[link.endpoint] = planet
        try:
            self._on_change(planet, link.endpoint)
            await link.run()
        finally:
            del self._planets[link.endpoint]

    async def _dial(self, endpoints: tuple[Endpoint, ...]) -> ClientConnection | None:
        targets = dict.fromkeys(
            Endpoint(endpoint.host, port)
            for endpoint in endpoints
            for port in (endpoint.port, HTTPS_PORT)
        )
        for target in list(targets)[:MAX_TARGETS]:
            try:
                async with asyncio.timeout(DIAL_S):
                    connection = await self._connect(target)
            except _FAILURES as error:
                logger.debug("no stream to %s: %s", format_endpoint(target), error)
                self._complain(error)
            else:
                logger.info("stream to %s is open", format_endpoint(target))
                return connection
        return None

    async def _connect(self, target: Endpoint) -> ClientConnection:
        if self._proxy is None:
            sock = await dial(target)
        else:
            sock = await proxies.connect(self._proxy, target)
        url = f"wss://{format_endpoint(target)}{PATH}"
        try:
            return await connect(url, sock=sock, ssl=_context(), proxy=None, **SETTINGS)
        except BaseException:
            sock.close()
            raise

    def _complain(self, error: Exception) -> None:
        """Say once what the operator has to see to."""
        if isinstance(error, ProxyError) and str(error) != self._complaint:
            self._complaint = str(error)
            logger.warning("no way out: %s%s", error, f"; {error.hint}" if error.hint else "")


def _context() -> ssl.SSLContext:
    """TLS that asks nobody who they are: the handshake inside does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
