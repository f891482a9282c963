"""The daemon: the planet's core, an engine and UDP sockets, put together.

`__init__` takes everything that may not be had (state, port, world) and says so before anything is
served; `stop` lets go of it in the reverse order, the state's lock last.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import compress
from typing import Any, Final

from l2mesh.address import format_address, format_fingerprint
from l2mesh.credential.world import World
from l2mesh.errors import ConfigError
from l2mesh.identity import address_of
from l2mesh.node.effects import Persist
from l2mesh.node.planets import WORLD_FILE
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.streams.server import StreamServer, bind
from l2mesh.runtime.underlay import Listen, Underlay
from l2mesh.service.addresses import source_towards
from l2mesh.service.api import ApiServer, Method
from l2mesh.service.foundation import DaemonOptions, Foundation, relay_bounds
from l2mesh.session.handshake import Role
from l2mesh.wire.endpoint import Endpoint, format_endpoint
from planet.core import PlanetCore, PlanetEffect, RememberClaims
from planet.service.certificate import tls_context
from planet.service.claims import ClaimsFile
from planet.service.worlds import own_endpoints_world, own_world

__all__ = ["SOCKET", "Daemon", "Options"]

logger = logging.getLogger(__name__)

SOCKET: Final = "planet.sock"
_ROUTE_PROBES: Final = (Endpoint("192.0.2.1", 9), Endpoint("2001:db8::1", 9))
"""Addresses for documentation: nothing is sent there, but the kernel picks a source for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(DaemonOptions):
    """What the operator chose."""

    advertise: tuple[Endpoint, ...] = ()
    """Where nodes find us, for a world that is made now; empty: our own addresses."""
    tls: tuple[Listen, ...] = ()
    """Where to take TLS, beside the TCP port of the same number as ours."""
    relay_rate: int | None = None
    """Datagrams a second that are relayed for one client at most; None: as the engine has it."""


class Daemon:
    """A running planet, on the event loop's thread."""

    def __init__(self, options: Options) -> None:
        """Takes state, identity, port and world; ConfigError when one of them cannot be had."""
        with contextlib.ExitStack() as undo:
            self.base = Foundation(options, bounds=relay_bounds(options.relay_rate))
            undo.callback(self.base.close)
            self.clock, self.identity = self.base.clock, self.base.identity
            self.engine = self.base.engine
            self.broken = self.base.broken
            held = own_world(self.base.state, self.identity, self.base.crypto)
            world = held or self._make_world(options)
            self.claims = ClaimsFile(self.base.state, self.base.writer)
            settings = self.base.settings(role=Role.PLANET, watch=False)
            self.core = PlanetCore(settings, self.claims.read())
            self._first_world = world
            self.driver: Driver[PlanetEffect] = self.base.drive(self.core, self._carry_out)
            underlay = self.driver.underlay
            sockets = _tls_sockets(options, underlay)
            self.tls = StreamServer(underlay.streams, sockets, tls_context(self.base.state))
            underlay.streams.on_closed = self._stream_closed
            self.api = ApiServer(
                options.state / SOCKET,
                {
                    "status": Method(self._status, writes=True),
                    "drain": Method(self._drain, writes=True),
                    "world_install": Method(self._install_world, writes=True),
                },
                settled=self.base.writer.settled,
            )
            undo.pop_all()
        self.address = address_of(self.identity.fingerprint, self.base.crypto) or b""
        if held is not None and options.advertise:
            _warn_of_others(held, self.identity.fingerprint, options.advertise)

    async def start(self) -> None:
        """Begins to serve."""
        self.core.start(self.clock())
        self.core.serve_world(self._first_world, self.clock())
        self.driver.start()
        await self.tls.start()
        await self.api.start()
        shown = ", ".join(map(format_endpoint, self._endpoints()))
        logger.info(
            "address=%s listens on port=%d, the world names %s",
            format_address(self.address),
            self.driver.underlay.port,
            shown,
        )

    async def stop(self) -> None:
        """Tells the clients and lets go of everything; also after a failed start."""
        await self.api.close()
        await self.tls.close()
        self.core.close(self.clock())
        self.driver.pump()
        self.driver.close()
        self.base.close()
        logger.info("stopped")

    async def _status(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        del arguments
        counters = self.engine.counters()
        return {
            "schema": "l2mesh.planet_status/1",
            "address": format_address(self.address),
            "engine": self.engine.name,
            "workers": self.base.carrier.workers,
            "offloads": self.base.offloads.view(),
            "sessions": self.core.sessions,
            "relays": self.core.relays,
            "links": self.core.links,
            "draining": self.core.is_draining,
            "streams": len(self.driver.underlay.streams),
            "relayed_bytes": counters.get("relayed_bytes", 0),
            "relayed_packets": counters.get("relayed_packets", 0),
            "directory": len(self.core.directory),
            "world_revision": self.world.revision,
            "planets": self._planets(),
            "counters": {**counters, **self.driver.counters(), **self.core.core.refused},
            "drops": {str(reason): count for reason, count in self.engine.drops().items()},
            "health": [*self.base.health(), *self._world_health()],
        }

    async def _drain(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`{"draining": bool}`: clients go elsewhere, or come back."""
        self.core.drain(self.clock(), draining=bool(arguments.get("draining", True)))
        self.driver.pump()
        return await self._status({})

    async def _install_world(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`{"world": text}`: an update, for us and for everybody whom we reach."""
        try:
            world = World.from_text(str(arguments.get("world", "")), self.base.crypto)
            is_new = self.core.adopt_world(world, self.clock())
        finally:
            self.driver.pump()
        return {
            "schema": "l2mesh.world_install/1",
            "revision": self.world.revision,
            "changed": is_new,
        }

    @property
    def world(self) -> World:
        """The world in use."""
        return self.core.world or self._first_world

    def _planets(self) -> list[dict[str, Any]]:
        """The other planets of the world."""
        return [
            {
                "address": format_address(address_of(peer.fingerprint, self.base.crypto) or b""),
                "fingerprint": format_fingerprint(peer.fingerprint),
                "state": "up" if peer.is_live and peer.paths.active is not None else "connecting",
                "rtt_ms": peer.paths.rtt_ms,
            }
            for peer in self.core.planets.members()
        ]

    def _world_health(self) -> list[str]:
        found = []
        if self.core.is_draining:
            left = self.core.relays
            found.append(f"draining: {left} relays are left; it may stop when there are none")
        named = {planet.identity.fingerprint for planet in self.world.planets}
        if self.identity.fingerprint not in named:
            found.append("the world does not name this planet any more: nodes have left it")
        return found

    def _carry_out(self, effect: PlanetEffect) -> None:
        if isinstance(effect, RememberClaims):
            self.claims.append(effect.rows)
        elif isinstance(effect, Persist) and effect.name == WORLD_FILE:
            text = f"{self.world.text()}\n".encode("ascii")
            self.base.writer.put(Persist(WORLD_FILE, text))

    def _stream_closed(self, endpoint: Endpoint) -> None:
        self.core.core.stream_closed(endpoint, self.clock())
        self.driver.pump()

    def _make_world(self, options: Options) -> World:
        endpoints = options.advertise or _own_endpoints(options.listen, self.base.underlay)
        state, crypto = self.base.state, self.base.crypto
        return own_endpoints_world(state, self.identity, endpoints, crypto, os.urandom)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        for planet in self.world.planets:
            if planet.identity.fingerprint == self.identity.fingerprint:
                return planet.endpoints
        return ()


def _tls_sockets(options: Options, underlay: Underlay) -> list[socket.socket]:
    """Listening sockets; that of our own port is done without where somebody else has it."""
    sockets = [sock for listen in options.tls for sock in bind(listen)]
    own = Listen(options.listen.host, underlay.port)
    if own in options.tls:
        return sockets
    try:
        return sockets + bind(own)
    except ConfigError as error:
        logger.warning("no TLS at our own port: %s", error)
        return sockets


def _own_endpoints(listen: Listen, underlay: Underlay) -> tuple[Endpoint, ...]:
    """Where nodes may find us if nobody says: the address listened on, or those we send from."""
    if not ip_address(listen.host).is_unspecified:
        return (Endpoint(listen.host, underlay.port),)
    has = (underlay.has_ipv4, underlay.has_ipv6)
    hosts = [source_towards(probe) for probe in compress(_ROUTE_PROBES, has)]
    endpoints = tuple(Endpoint(host, underlay.port) for host in hosts if host is not None)
    if not endpoints:
        raise ConfigError(
            "this host has no route from which its own address could be told",
            hint="say where nodes find this planet: --advertise ADDR:PORT",
        )
    return endpoints


def _warn_of_others(world: World, own: bytes, advertised: tuple[Endpoint, ...]) -> None:
    for planet in world.planets:
        if planet.identity.fingerprint == own and set(planet.endpoints) != set(advertised):
            logger.warning(
                "the world file names %s, not what --advertise says; see `world create`",
                ", ".join(map(format_endpoint, planet.endpoints)),
            )
