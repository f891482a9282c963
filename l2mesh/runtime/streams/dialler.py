"""Who is dialled over TLS: a stream for each planet that the core wants to reach by one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from l2mesh.datapath.interface import Endpoint
from l2mesh.node.effects import CloseStream, OpenStream
from l2mesh.runtime.streams.proxy import Proxy, ProxyError
from l2mesh.runtime.streams.registry import Streams

if TYPE_CHECKING:
    from l2mesh.runtime.streams.link import Link

__all__ = ["Dialler"]

logger = logging.getLogger(__name__)

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
        from l2mesh.runtime.streams.client import open_link  # noqa: PLC0415 - few hosts need TLS

        try:
            link = await open_link(effect.endpoints, self._streams, self._proxy, self._complain)
            if link is not None:
                await self._carry(link, effect.planet)
        finally:
            del self._tasks[effect.planet]
            self._on_change(effect.planet, None)

    async def _carry(self, link: Link, planet: bytes) -> None:
        self._planets[link.endpoint] = planet
        try:
            self._on_change(planet, link.endpoint)
            await link.run()
        finally:
            del self._planets[link.endpoint]

    def _complain(self, error: Exception) -> None:
        """Say once what the operator has to see to."""
        if isinstance(error, ProxyError) and str(error) != self._complaint:
            self._complaint = str(error)
            logger.warning("no way out: %s%s", error, f"; {error.hint}" if error.hint else "")
