"""The controller put together: state, identity, store, node, engine, sockets, APIs.

`start` says whatever cannot work before anything is answered; `stop` undoes it in turn. The node
has no port, so nothing here needs a privilege. Store calls block the loop for the time of an fsync.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from controller.api.health import HealthServer
from controller.api.methods import Admin, method_table
from controller.node import ControllerNode
from controller.service.socket import SOCKET
from controller.store.store import Store
from l2mesh.datapath.interface import Endpoint
from l2mesh.identity import address_of
from l2mesh.node.effects import (
    CloseStream,
    Effect,
    OpenScout,
    OpenStream,
    Persist,
    SendOpener,
)
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.streams.dialler import Dialler
from l2mesh.runtime.streams.proxy import Proxy
from l2mesh.runtime.underlay import Listen
from l2mesh.service.addresses import source_towards
from l2mesh.service.api import ApiServer
from l2mesh.service.foundation import DaemonOptions, Foundation

__all__ = ["DATABASE", "RESERVED", "Daemon", "Options"]

log = logging.getLogger(__name__)

DATABASE: Final = "controller.db"
RESERVED: Final = frozenset(
    {SOCKET}
    | {f"{DATABASE}{new}{end}" for new in ("", ".new") for end in ("", "-wal", "-shm", "-journal")}
)
ADDRESSES_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(DaemonOptions):
    """What the operator chose."""

    world: Path
    api: Listen | None = None
    proxy: Proxy | None = None
    """An HTTP proxy for TLS to planets."""


class Daemon:
    """A running controller. Everything happens on the event loop."""

    def __init__(self, options: Options) -> None:
        """Takes state, identity, store and sockets; ConfigError when one of them cannot be had."""
        self.options = options
        self.health: HealthServer | None = None
        self._look: asyncio.TimerHandle | None = None
        with contextlib.ExitStack() as undo:
            self.base = Foundation(options, reserved=RESERVED)
            undo.callback(self.base.close)
            self.clock, identity = self.base.clock, self.base.identity
            self.broken = self.base.broken
            self.address = address_of(identity.fingerprint, self.base.crypto) or bytes(5)
            self.store = Store.open(options.state / DATABASE, identity.fingerprint)
            undo.callback(self.store.close)
            self.node = ControllerNode(self.base.settings(), self.store)
            self.driver: Driver[Effect] = self.base.drive(self.node, self._carry_out)
            admin = Admin(self.node, self.store, self.address, self.refresh)
            self.api = ApiServer(
                options.state / SOCKET, method_table(admin), settled=self.base.writer.settled
            )
            undo.pop_all()
        streams = self.driver.underlay.streams
        self.dialler = Dialler(streams, self._stream_changed, proxy=options.proxy)
        if options.api is not None:
            self.health = HealthServer(options.api, self._check_health)

    async def start(self) -> None:
        """Begins to answer; ConfigError when the world does not fit or an address is taken."""
        now = self.clock()
        self.node.start(now)
        for complaint in self.node.restore(self.base.state.load(), now):
            log.error("%s", complaint)
        self.base.adopt_file(
            self.options.world,
            self.node.planets.world,
            lambda world: self.node.adopt_world(world, now),
        )
        self.driver.start()
        self._look_at_addresses()
        if self.health is not None:
            await self.health.start()
        await self.api.start()
        log.info("address=%s listens on port=%d", self.address.hex(), self.driver.underlay.port)

    async def stop(self) -> None:
        """Tells the peers and lets go of all; also after a failed start."""
        if self._look is not None:
            self._look.cancel()
        await self.dialler.close()
        await self.api.close()
        if self.health is not None:
            await self.health.close()
        self.node.close(self.clock())
        self.driver.pump()
        self.driver.close()
        self.store.close()
        self.base.close()
        log.info("stopped")

    def refresh(self) -> None:
        """After a change: members who are online hear of it now."""
        self.node.refresh(self.clock())
        self.driver.pump()

    # --- inside ---------------------------------------------------------------------------------

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Persist):
            self.base.writer.put(effect)
        elif isinstance(effect, SendOpener):
            self.driver.underlay.send_opener(effect.endpoint)
        elif isinstance(effect, OpenScout):
            self.driver.scout.open(effect.endpoint)
        elif isinstance(effect, OpenStream | CloseStream):
            self.dialler.carry_out(effect)

    def _stream_changed(self, planet: bytes, endpoint: Endpoint | None) -> None:
        self.node.stream_changed(planet, endpoint, self.clock())
        self.driver.pump()

    def _check_health(self) -> dict[str, Any]:
        return {
            "networks": len(self.store.networks()),
            "planets": len(self.node.planets.live()),
            "online": bool(self.node.planets.live()),
            "engine": self.base.engine.name,
            "health": self.base.health(),
        }

    def _look_at_addresses(self) -> None:
        """Addresses come and go; a change is told to peers."""
        self.driver.set_local_endpoints(self._local_endpoints())
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(ADDRESSES_S, self._look_at_addresses)

    def _local_endpoints(self) -> tuple[Endpoint, ...]:
        """The address that we listen on, or those from which we would reach our planets."""
        bound, port = ip_address(self.options.listen.host), self.driver.underlay.port
        if not bound.is_unspecified:
            return (Endpoint(str(bound), port),)
        world = self.node.planets.world
        found: dict[Endpoint, None] = {}
        for planet in world.planets if world is not None else ():
            for endpoint in planet.endpoints:
                source = source_towards(endpoint)
                is_listening = source is not None and (bound.version == 6 or ":" not in source)  # noqa: PLR2004
                if source is not None and is_listening:
                    found[Endpoint(source, port)] = None
        return tuple(found)
