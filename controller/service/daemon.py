"""The controller put together: state, identity, store, node, engine, sockets, APIs.

`start` says whatever cannot work before anything is answered; `stop` undoes it in turn. The node
has no port, so nothing here needs a privilege. Store calls block the loop for the time of an fsync.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from controller.api.health import HealthServer
from controller.api.methods import Admin, method_table
from controller.node import ControllerNode
from controller.service.socket import SOCKET, socket_path
from controller.store.store import Store
from l2mesh.credential.world import World
from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Endpoint, Engine
from l2mesh.datapath.reference.engine import ReferenceEngine
from l2mesh.errors import ConfigError, L2meshError
from l2mesh.identity import address_of
from l2mesh.node.core import Settings
from l2mesh.node.effects import Effect, Persist
from l2mesh.runtime.clock import boot_clock
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.underlay import Listen, Underlay
from l2mesh.service.addresses import source_towards
from l2mesh.service.api import ApiServer
from l2mesh.service.state import StateDirectory

__all__ = ["DATABASE", "RESERVED", "Daemon", "Options"]

log = logging.getLogger(__name__)

DATABASE: Final = "controller.db"
RESERVED: Final = frozenset(
    {SOCKET}
    | {f"{DATABASE}{new}{end}" for new in ("", ".new") for end in ("", "-wal", "-shm", "-journal")}
)
ADDRESSES_S: Final = 15.0
MAX_WORLD_CHARACTERS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator chose."""

    state: Path
    world: Path
    listen: Listen
    api: Listen | None = None


class Daemon:
    """A running controller. Everything happens on the event loop."""

    def __init__(self, options: Options) -> None:
        """Takes state, identity, store and sockets; ConfigError when one of them cannot be had."""
        self.options = options
        self.clock = boot_clock
        self.crypto = SodiumCrypto()
        self.health: HealthServer | None = None
        self._look: asyncio.TimerHandle | None = None
        self._kept = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            self.state = StateDirectory(options.state, reserved=RESERVED)
            self.state.lock()
            undo.callback(self.state.close)
            self.identity = self.state.identity(self.crypto, os.urandom)
            self.address = address_of(self.identity.fingerprint, self.crypto) or bytes(5)
            self.store = Store.open(options.state / DATABASE, self.identity.fingerprint)
            undo.callback(self.store.close)
            self.underlay = Underlay(options.listen)
            undo.callback(self.underlay.close)
            self.engine: Engine = ReferenceEngine(self.crypto, os.urandom)
            self.node = ControllerNode(self._settings(), self.store)
            self.driver: Driver[Effect] = Driver(
                self.engine, self.node, self.underlay, self.clock, self._carry_out
            )
            admin = Admin(self.node, self.store, self.address, self.refresh)
            short = self._kept.enter_context(socket_path(options.state))
            undo.callback(self._kept.close)
            self.api = ApiServer(short, method_table(admin))
            undo.pop_all()
        if options.api is not None:
            self.health = HealthServer(options.api, self._check_health)

    async def start(self) -> None:
        """Begins to answer; ConfigError when the world does not fit or an address is taken."""
        now = self.clock()
        self.node.start(now)
        for complaint in self.node.restore(self.state.load(), now):
            log.error("%s", complaint)
        self._adopt_file(self.options.world)
        self.driver.start()
        self._look_at_addresses()
        if self.health is not None:
            await self.health.start()
        await self.api.start()
        log.info("address=%s listens on port=%d", self.address.hex(), self.underlay.port)

    async def stop(self) -> None:
        """Tells the peers and lets go of all; also after a failed start."""
        if self._look is not None:
            self._look.cancel()
        await self.api.close()
        self._kept.close()
        if self.health is not None:
            await self.health.close()
        self.node.close(self.clock())
        self.driver.pump()
        self.driver.close()
        self.underlay.close()
        self.store.close()
        self.state.close()
        log.info("stopped")

    def refresh(self) -> None:
        """After a change: members who are online hear of it now."""
        self.node.refresh(self.clock())
        self.driver.pump()

    # --- inside ---------------------------------------------------------------------------------

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Persist):
            if effect.data is None:
                self.state.delete(effect.name)
            else:
                self.state.write(effect.name, effect.data)

    def _check_health(self) -> dict[str, Any]:
        return {
            "networks": len(self.store.networks()),
            "planets": len(self.node.planets.live()),
            "online": bool(self.node.planets.live()),
        }

    def _adopt_file(self, path: Path) -> None:
        try:
            with path.open(encoding="ascii") as file:
                text = file.read(MAX_WORLD_CHARACTERS)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(
                f"cannot read the world file {path}: {reason}",
                hint="copy the file `world` from a planet's state directory",
            ) from error
        try:
            world, held = World.from_text(text, self.crypto), self.node.planets.world
            if held is None or held.id != world.id or held.revision < world.revision:
                self.node.adopt_world(world, self.clock())
        except L2meshError as error:
            raise ConfigError(
                f"the world file {path} cannot be used: {error}", hint=error.hint
            ) from error

    def _look_at_addresses(self) -> None:
        """Addresses come and go; a change is told to peers."""
        self.driver.set_local_endpoints(self._local_endpoints())
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(ADDRESSES_S, self._look_at_addresses)

    def _local_endpoints(self) -> tuple[Endpoint, ...]:
        """The address that we listen on, or those from which we would reach our planets."""
        bound, port = ip_address(self.options.listen.host), self.underlay.port
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

    def _settings(self) -> Settings:
        return Settings(
            identity=self.identity,
            crypto=self.crypto,
            random=os.urandom,
            unix_now=time.time,
            activity=self.engine.activity,
        )
