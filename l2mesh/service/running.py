"""A running node: its engine, sockets and state on the event loop, whatever its ports are.

`Daemon` adds TAP devices and the local API, `open_port` a socket for one program. `start` says what
cannot work before anything is changed; `stop` undoes it: peers are told, ports go, the lock is let
go last.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from l2mesh.credential.world import World
from l2mesh.datapath.interface import Endpoint, SetUnderlay
from l2mesh.node.effects import (
    CloseStream,
    ConfigureDevice,
    Effect,
    NetworkChanged,
    OpenScout,
    OpenStream,
    Persist,
    RemoveDevice,
    SendBeacon,
    SendOpener,
)
from l2mesh.node.node import Node
from l2mesh.path.nat64 import Nat64
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.streams.dialler import Dialler
from l2mesh.runtime.streams.proxy import Proxy
from l2mesh.service.addresses import families_of, local_addresses, source_towards, to_endpoints
from l2mesh.service.foundation import DaemonOptions, Foundation, relay_bounds
from l2mesh.service.lansocket import LanSocket, lan_places
from l2mesh.service.nat64 import Nat64Finder, has_ipv6_alone
from l2mesh.service.netlink import LinkWatch, Netlink, NetlinkFailure
from l2mesh.service.portmap.exchange import map_by_pcp
from l2mesh.service.portmap.gateway import ipv4_gateway, ipv6_gateway
from l2mesh.service.portmap.mapper import Place, PortMapper
from l2mesh.service.portmap.pcp import NONCE_BYTES, PORT
from l2mesh.service.uplinks import UplinkTable, default_routes

__all__ = ["NodeOptions", "RunningNode"]

logger = logging.getLogger(__name__)

R = TypeVar("R")

DRAIN_S: Final = 2.0
"""Those for whom a node relays have so long to go elsewhere before it leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions(DaemonOptions):
    """What whoever starts a node chose."""

    world: Path | None
    """None: no world file was found at the default place."""
    relay_only: bool = False
    lan_beacons: bool = True
    """Announce ourselves on LANs to members, and listen for them; never where `relay_only`."""
    proxy: Proxy | None = None
    """An HTTP proxy for TLS to planets."""
    port_mapping: bool = False
    """Whether the router is asked for a port of its own."""
    name: str = ""
    """What others see; "": this host's name."""
    carry: bool = True
    """Relay for other members where a controller has given us the right to."""
    relay_rate: int | None = None
    """Datagrams a second, at most, that are relayed for one of them."""


class RunningNode(abc.ABC):
    """A node at work. Everything but the netlink thread runs on the event loop."""

    def __init__(
        self,
        options: NodeOptions,
        *,
        reserved: frozenset[str] = frozenset(),
        has_hosts: bool = False,
    ) -> None:
        """Takes state, identity and sockets; ConfigError when one of them cannot be had.

        `reserved` are the names of state files that are not the node's; `has_hosts`: behind the
        ports are hosts that speak IGMP and MLD.
        """
        self.options = options
        with contextlib.ExitStack() as undo:
            self.base = Foundation(
                options, reserved=reserved, bounds=relay_bounds(options.relay_rate)
            )
            undo.callback(self.base.close)
            self.clock, self.crypto, self.state = self.base.clock, self.base.crypto, self.base.state
            self.identity, self.engine = self.base.identity, self.base.engine
            self.broken = self.base.broken
            settings = self.base.settings(direct=not options.relay_only)
            name = options.name or socket.gethostname().partition(".")[0]
            self.node = Node(settings, name=name, has_hosts=has_hosts, carries=options.carry)
            self.driver: Driver[Effect] = self.base.drive(self.node, self._carry_out)
            undo.pop_all()
        self.dialler = Dialler(
            self.driver.underlay.streams, self._stream_changed, proxy=options.proxy
        )
        self.netlink = Netlink()
        self.mapper: PortMapper | None = None
        """Of IPv4; None where no port mapping is wanted."""
        self.pinhole: PortMapper | None = None
        """The same of IPv6, whose router lets in what is for our own port."""
        if options.port_mapping:
            told, clock = self._port_mapped, self.clock
            self.mapper = PortMapper(self._find_router, told, clock)
            self.pinhole = PortMapper(self._find_ipv6_router, told, clock, {"pcp": map_by_pcp})
            self.node.planets.on_observed.append(lambda _: self.look_for_router())
        self.nat64 = Nat64Finder(self._has_ipv6_alone, self._nat64_changed)
        self.address = self.node.address(self.identity.fingerprint)
        self.uplinks = UplinkTable()
        """The host's uplinks, as netlink tells."""
        self.captures: set[int] = set()
        """Networks whose frames somebody is looking at."""
        self._complaints: list[str] = []
        self._change = asyncio.Event()
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: LinkWatch | None = None
        self._lan: LanSocket | None = None

    # --- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begins to carry frames; ConfigError when the world does not fit."""
        now = self.clock()
        self.node.start(now)
        self._complaints = self.node.restore(self.state.load(), now)
        for complaint in self._complaints:
            logger.error("%s", complaint)
        if self.options.world is not None:
            self.base.adopt_file(self.options.world, self.node.world, self.adopt_world)
        if self.options.lan_beacons and not self.options.relay_only:
            self._lan = LanSocket(self.driver.underlay, self._beacon_heard)
        self._watch = LinkWatch(self._links_changed)
        await self._look_at_addresses()
        self.driver.start()
        for mapper in self._mappers():
            mapper.start()
        self.nat64.start()
        logger.info("address=%s listens on port=%d", self.address.hex(), self.driver.underlay.port)

    async def stop(self) -> None:
        """Tells the peers, takes ports away, lets go of all; also after a failed start."""
        self._is_stopping = True
        await self.withdraw()
        await self.dialler.close()
        if self._watch is not None:
            self._watch.close()
        if self._lan is not None:
            self._lan.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(mapper.close() for mapper in self._mappers()))
        await self.nat64.close()
        self.node.close(self.clock())
        self.driver.pump()
        self.driver.close()
        await self._take_down()
        await self.netlink.close()
        self.base.close()
        logger.info("stopped")

    async def withdraw(self, network: int | None = None) -> None:
        """Has those go elsewhere for whom we relay in a network, or in all, and lets them."""
        if self.call(partial(self.node.withdraw, network=network)):
            await asyncio.sleep(DRAIN_S)

    def release(self) -> None:
        """Lets go of what `__init__` took; for whoever cannot go on before `start`."""
        self.base.close()

    # --- from outside ---------------------------------------------------------------------------

    def call(self, function: Callable[..., R], *args: Any) -> R:
        """Calls the node with the time, and carries out what it wants because of that."""
        try:
            return function(*args, now=self.clock())
        finally:
            self.driver.pump()

    def adopt_world(self, world: World) -> None:
        """Uses a world that a join string brought, unless ours is as new."""
        if world.is_news_to(self.node.world):
            self.call(self.node.adopt_world, world)

    async def network_changed(self) -> None:
        """Waits until some network changes."""
        await self._change.wait()

    # --- effects --------------------------------------------------------------------------------

    @abc.abstractmethod
    def _change_port(self, effect: ConfigureDevice | RemoveDevice) -> None:
        """Makes, changes or removes the port of a network; not called while stopping."""

    @abc.abstractmethod
    async def _take_down(self) -> None:
        """Takes away all ports: nobody reads or writes them any more."""

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Persist():
                self.base.writer.put(effect)
            case ConfigureDevice() | RemoveDevice():
                if not self._is_stopping:
                    self._change_port(effect)
            case NetworkChanged():
                self._wake()
            case SendBeacon(address, datagram):
                if self._lan is not None:
                    self._lan.send(address, datagram)
            case SendOpener(endpoint):
                self.driver.underlay.send_opener(endpoint)
            case OpenScout(endpoint):
                self.driver.scout.open(endpoint)
            case OpenStream() | CloseStream():
                if not self._is_stopping:
                    self.dialler.carry_out(self._by_nat64(effect))

    def _stream_changed(self, planet: bytes, endpoint: Endpoint | None) -> None:
        if not self._is_stopping:
            self.call(self.node.stream_changed, planet, endpoint)

    def _beacon_heard(self, datagram: bytes, source: Endpoint) -> None:
        if not self._is_stopping:
            self.call(self.node.lan.hear, datagram, source)

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    # --- the host -------------------------------------------------------------------------------

    def _links_changed(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._look_at_addresses(), name="addresses"))

    async def _look_at_addresses(self) -> None:
        """Tells engine and node under which addresses this host can be reached."""
        try:
            addresses = await self.netlink.run(local_addresses)
            places = await self.netlink.run(lan_places)
            found = await self.netlink.run(default_routes)
        except NetlinkFailure as error:
            logger.warning("cannot list the host's addresses: %s", error)
            return
        lost = self.uplinks.update(found)
        if self.uplinks.named != self.node.core.uplinks:
            self.driver.name_uplinks(self.uplinks.named)
        self.call(partial(self.node.set_uplinks, self.uplinks.named, lost=lost))
        port = self.driver.underlay.port
        command = SetUnderlay(port, frozenset(addresses))
        self.engine.execute(command, self.clock())
        local = to_endpoints(addresses, self.options.listen, port)
        self.call(self.node.set_families, families_of(local))
        self.driver.set_local_endpoints(local)
        if self._lan is not None:
            hosts = {endpoint.host for endpoint in local}
            places = tuple(place for place in places if str(place.address.ip) in hosts)
            self._lan.set_places(places)
            self.call(self.node.lan.set_places, [place.address for place in places], port)
        self.look_for_router()
        self.nat64.look_again()

    async def _find_router(self) -> Place | None:
        """Whom to ask for a port, and for which; None while peers may not come by it anyway."""
        if not self.node.core.direct:
            return None
        try:
            gateway = await self.netlink.run(ipv4_gateway)
        except NetlinkFailure:
            return None
        host = source_towards(Endpoint(gateway, PORT)) if gateway is not None else None
        if gateway is None or host is None:
            return None
        return self._place(gateway, host)

    async def _find_ipv6_router(self) -> Place | None:
        """The same for IPv6; None also where no address of ours can be reached from elsewhere."""
        if not self.node.core.direct:
            return None
        try:
            found = await self.netlink.run(ipv6_gateway)
        except NetlinkFailure:
            return None
        local = {endpoint.host for endpoint in self.node.core.local_endpoints}
        return self._place(*found) if found is not None and found[1] in local else None

    def _place(self, gateway: str, host: str) -> Place:
        # the same after a restart, and known to nobody else
        secret = self.identity.sign("port mapping", 0, gateway.encode(), self.crypto)
        return Place(gateway, Endpoint(host, self.driver.underlay.port), secret[:NONCE_BYTES])

    def _mappers(self) -> tuple[PortMapper, ...]:
        return tuple(each for each in (self.mapper, self.pinhole) if each is not None)

    def look_for_router(self) -> None:
        """Something has changed that matters to port mapping."""
        for mapper in self._mappers():
            mapper.look_again()

    def _port_mapped(self, _: Endpoint | None) -> None:
        outside = (mapper.status.outside for mapper in self._mappers())
        if not self._is_stopping:
            granted = tuple(each for each in outside if each is not None)
            self.call(self.node.set_mapped_endpoints, granted)

    def _has_ipv6_alone(self) -> bool:
        return has_ipv6_alone(self.node.core.local_endpoints)

    def _nat64_changed(self, nat64: Nat64 | None) -> None:
        if not self._is_stopping:
            self.call(self.node.set_nat64, nat64)

    def _by_nat64(self, effect: OpenStream | CloseStream) -> OpenStream | CloseStream:
        """Where to dial; a proxy has ways of its own."""
        nat64 = self.node.core.nat64
        if nat64 is None or self.options.proxy is not None or isinstance(effect, CloseStream):
            return effect
        return replace(effect, endpoints=tuple(map(nat64.synthesise, effect.endpoints)))
