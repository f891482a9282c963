"""Keeps a port of the router for ours: asks, renews, notices a restart, gives it back.

| state   | event                                  | next    | what is done                      |
|---------|----------------------------------------|---------|-----------------------------------|
| looking | a protocol grants a port               | mapped  | peers are told                    |
| looking | none does                              | looking | again after 10 min, or a change   |
| mapped  | due, or a change                       | mapped  | renewed; peers told what is new   |
| mapped  | three renewals fail, or one is refused | looking | peers are told                    |
| mapped  | another router, or own address         | looking | peers are told                    |
| mapped  | no router any more, or relays alone    | looking | given back, peers are told        |
| any     | close                                  | -       | given back, within a second       |

A *change* is one of the host's addresses, or of what planets see of us: so a router that was
started anew is asked at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap.exchange import map_by_natpmp, map_by_pcp
from l2mesh.service.portmap.lease import Epoch, Lease, NoAnswer, Refused, Wish, renew_at
from l2mesh.service.portmap.upnp import Upnp

__all__ = ["Place", "PortMapper", "Status"]

logger = logging.getLogger(__name__)

RETRY_S: Final = 600.0
"""After nobody granted anything."""
SOON_S: Final = 5.0
"""After a renewal that failed, and between any two rounds."""
MAX_FAILURES: Final = 3
CLOSE_S: Final = 1.0

_NAMES: Final = {"pcp": "PCP", "nat-pmp": "NAT-PMP", "upnp": "UPnP"}

Ask = Callable[[Wish], Awaitable[Lease]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where we are: the router (as in `Wish`), and our own endpoint towards it."""

    gateway: str
    own: Endpoint
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """What `l2mesh netcheck` shows."""

    protocol: str | None = None
    """``pcp``, ``nat-pmp`` or ``upnp`` while there is a port."""
    gateway: str | None = None
    outside: Endpoint | None = None
    lifetime_s: int | None = None
    problem: str | None = None
    """Why there is none."""
    restarts: int = 0
    """How often the router was started anew."""


class PortMapper:
    """One port; its task lives on the event loop."""

    def __init__(
        self,
        find: Callable[[], Awaitable[Place | None]],
        on_change: Callable[[Endpoint | None], None],
        clock: Callable[[], float],
        methods: Mapping[str, Ask] | None = None,
    ) -> None:
        """`find` says where we are, `on_change` hears what is outside; `methods` are for tests."""
        self.status = Status(problem="not tried yet")
        self._find = find
        self._on_change = on_change
        self._clock = clock
        self._methods: Mapping[str, Ask] = methods or {
            "pcp": map_by_pcp,
            "nat-pmp": map_by_natpmp,
            "upnp": Upnp().map,
        }
        self._place: Place | None = None
        self._protocol: str | None = None
        self._lease: Lease | None = None
        self._epoch = Epoch()
        self._failures = 0
        self._change = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for a router."""
        self._task = asyncio.create_task(self._run(), name="port mapping")
        self._task.add_done_callback(self._report)

    def look_again(self) -> None:
        """Something has changed: ask at once."""
        self._change.set()

    async def close(self) -> None:
        """Give the port back and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._give_back()
        self._lease = None

    # --- inside ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._change.clear()
            wait_s = await self.round()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._change.wait()
                    await asyncio.sleep(SOON_S)

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("port mapping has ended", exc_info=fault)
            self._lose(f"a fault: {fault}")

    async def round(self) -> float:
        """Ask once all that there is to ask; seconds until the next time."""
        place = await self._find()
        if place is None or _is_public(place):
            await self._give_back()
            self._lose("there is no router to ask" if place is None else "our address is public")
            return RETRY_S
        if self._place != place:
            self._lose(None)
            self._place = place
        if self._protocol is not None:
            return await self._renew(place, self._protocol)
        problems = []
        for protocol in self._methods:
            try:
                return await self._ask(place, protocol)
            except (NoAnswer, Refused) as failure:
                problems.append(_say(protocol, failure))
        self._lose("; ".join(problems))
        return RETRY_S

    async def _renew(self, place: Place, protocol: str) -> float:
        try:
            return await self._ask(place, protocol)
        except NoAnswer as failure:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                self._lose(_say(protocol, failure))
        except Refused as failure:
            self._lose(_say(protocol, failure))
        return SOON_S

    async def _ask(self, place: Place, protocol: str) -> float:
        lease = await self._methods[protocol](self._wish(place))
        now = self._clock()
        if ip_address(lease.outside.host).is_unspecified or not lease.outside.port:
            raise Refused("the router has no address outside")
        restarts = self.status.restarts
        if lease.epoch_s is not None and self._epoch.is_broken_by(lease.epoch_s, now):
            restarts += 1
            logger.info("the router %s was started anew", place.gateway)
        before, self._lease = self._lease, lease
        self._protocol, self._failures = protocol, 0
        self.status = Status(
            protocol, place.gateway, lease.outside, lease.lifetime_s, restarts=restarts
        )
        if before is None or before.outside != lease.outside:
            logger.info("port outside: %s by %s from %s", lease.outside, protocol, place.gateway)
            self._on_change(lease.outside)
        return renew_at(lease, now) - now

    async def _give_back(self) -> None:
        if self._lease is not None and self._place is not None and self._protocol is not None:
            wish = replace(self._wish(self._place), lifetime_s=0)
            with contextlib.suppress(NoAnswer, Refused, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._methods[self._protocol](wish)

    def _wish(self, place: Place) -> Wish:
        outside = self._lease.outside if self._lease is not None else None
        return Wish(place.gateway, place.own, place.nonce, outside)

    def _lose(self, problem: str | None) -> None:
        had, self._lease = self._lease, None
        self._protocol, self._failures, self._epoch = None, 0, Epoch()
        self.status = Status(problem=problem, restarts=self.status.restarts)
        if had is not None:
            logger.info("the port outside is gone: %s", problem or "we are elsewhere")
            self._on_change(None)


def _say(protocol: str, failure: Exception) -> str:
    return f"{_NAMES.get(protocol, protocol)}: {failure}"


def _is_public(place: Place) -> bool:
    """Whether no router is between us and the rest; of IPv6 every one may have a firewall."""
    address = ip_address(place.own.host)
    return address.version == 4 and address.is_global  # noqa: PLR2004
