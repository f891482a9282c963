"""UPnP-IGD: first whether the router is such a gateway, then a port of it.

The library behind `igd` takes half a second and 15 MB to load: that is done in a thread, and only
where a gateway has answered.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, Final

from l2mesh.service.portmap.lease import Lease, NoAnswer, Wish
from l2mesh.service.portmap.ssdp import find_location

__all__ = ["Upnp"]

WAIT_S: Final = 10.0
"""For everything after the gateway was found."""


class Upnp:
    """One router's internet gateway; found at the first request and remembered."""

    def __init__(self) -> None:
        self._gateway: str | None = None
        """The router to which `_service` belongs."""
        self._service: Any = None

    async def map(self, wish: Wish) -> Lease:
        """Asks for a port, renews it, or with lifetime 0 gives it back.

        Raises NoAnswer where there is no such gateway, Refused when it does not grant a port.
        """
        location = None
        if self._service is None or self._gateway != wish.gateway:
            location = await find_location(wish.gateway, wish.own.host)
        igd = await asyncio.to_thread(import_module, "l2mesh.service.portmap.igd")
        try:
            async with asyncio.timeout(WAIT_S):
                if location is not None:
                    self._service = await igd.open_service(wish.gateway, location)
                    self._gateway = wish.gateway
                lease: Lease = await igd.map_port(self._service, wish)
        except (igd.UpnpError, TimeoutError, ValueError) as error:
            self._service = None
            raise NoAnswer(f"{error}") from error
        return lease
