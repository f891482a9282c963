"""A host with ``l2meshd`` on it, and what a test asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from random import Random
from typing import Any

from l2mesh.credential.world import World
from l2mesh.crypto import Crypto
from l2mesh.datapath.interface import Endpoint, Engine, SetUnderlay
from l2mesh.datapath.reference.engine import ReferenceEngine
from l2mesh.identity import Identity
from l2mesh.node.core import Settings
from l2mesh.node.effects import SendBeacon
from l2mesh.node.node import Node
from l2mesh.node.views import NetworkView, PeerView
from tests.simulator.host import Host, Port
from tests.simulator.internet import Internet
from tests.simulator.journal import Journal
from tests.simulator.schedule import Schedule

__all__ = ["Given", "NodeHost", "settings_of"]


@dataclass(frozen=True, slots=True)
class Given:
    """What a simulation gives to each of its daemons."""

    crypto: Crypto
    world: Callable[[], World]
    unix_now: Callable[[], float]
    random: Callable[[str], Random]
    """A source of its own for each name."""


def settings_of(
    given: Given, identity: Identity, engine: Engine, random: Random, *, direct: bool = True
) -> Settings:
    """A core's settings as the daemons make them."""
    return Settings(
        identity=identity,
        crypto=given.crypto,
        random=random.randbytes,
        unix_now=given.unix_now,
        activity=engine.activity,
        direct=direct,
    )


class NodeHost(Host[Node]):
    """A node. What it is and what it knows is on its disk; only the identity is kept beside."""

    def __init__(
        self,
        name: str,
        internet: Internet,
        schedule: Schedule,
        journal: Journal,
        given: Given,
        *,
        direct: bool = True,
    ) -> None:
        super().__init__(name, internet, schedule, journal)
        self.given = given
        self.direct = direct
        self.is_on_lan = False
        """Whether the first interface leads to a LAN, on which beacons pass."""
        self.identity = Identity.generate(given.crypto, given.random(f"{name}/identity").randbytes)
        self.boot = self._boot
        self.has_hosts = False
        """Whether hosts that answer queries for groups are behind the ports."""
        self.tolerates_damage = False
        self.complaints: list[str] = []
        """About files that the last start could not use."""

    @property
    def fingerprint(self) -> bytes:
        """Who the node is."""
        return self.identity.fingerprint

    def _boot(self, files: Mapping[str, bytes], now: float) -> tuple[Engine, Node]:
        random = self.given.random(f"{self.name}/{self.boots}")
        engine = ReferenceEngine(self.given.crypto, random.randbytes)
        settings = settings_of(self.given, self.identity, engine, random, direct=self.direct)
        node = Node(settings, name=self.name, has_hosts=self.has_hosts)
        node.start(now)
        self.complaints = node.restore(files, now)
        assert self.tolerates_damage or not self.complaints, f"{self.name}: {self.complaints}"
        if node.world is None:
            node.adopt_world(self.given.world(), now)
        addresses = frozenset(each.address for each in self.interfaces)
        engine.execute(SetUnderlay(self.port, addresses), now)
        return engine, node

    def start(self) -> None:
        """Start the daemon, which is told of its LAN as the service does it."""
        super().start()
        self.addresses_changed()
        if self.is_on_lan:
            place = IPv4Interface(f"{self.interfaces[0].address}/24")
            self.interfaces[0].hear = self._hear
            self.call(lambda node, now: node.lan.set_places([place], self.port, now))

    def addresses_changed(self) -> None:
        """Tell the daemon what addresses the host has, as the service does it."""
        super().addresses_changed()
        families = frozenset(6 if ":" in each.host else 4 for each in self.endpoints)
        self.call(lambda node, now: node.set_families(families, now))

    def carry_out(self, effect: Any) -> None:
        if isinstance(effect, SendBeacon):
            self.internet.announce(self.interfaces[0], self.port, effect.datagram)
        else:
            super().carry_out(effect)

    def _hear(self, datagram: bytes, source: Endpoint) -> None:
        if self.machine is not None:
            self.call(lambda node, now: node.lan.hear(datagram, source, now))

    def device_made(self, network: int, name: str) -> None:
        self.schedule.after(0.0, lambda: self._tell_device(network, name))

    def _tell_device(self, network: int, name: str) -> None:
        if self.machine is not None and network in self.devices:
            self.call(lambda node, now: node.device_ready(network, name, now))

    # --- verbs ----------------------------------------------------------------------------------

    def join(
        self, network: int, *, token: bytes | None = None, fingerprint: bytes | None = None
    ) -> None:
        """``l2mesh join``."""
        self.call(
            lambda node, now: node.join(network, token=token, fingerprint=fingerprint, now=now)
        )

    def leave(self, network: int) -> None:
        """``l2mesh leave``."""
        self.call(lambda node, now: node.leave(network, now))

    def set_option(self, network: int, key: str, value: str) -> None:
        """``l2mesh set``."""
        self.call(lambda node, now: node.set_option(network, key, value, now))

    # --- questions ------------------------------------------------------------------------------

    def network(self, network: int) -> NetworkView:
        """What ``l2mesh networks`` shows of one network."""
        return next(view for view in self.core.networks() if view.id == network)

    def status(self, network: int) -> str:
        """``ok``, ``requesting`` and so on; ``down`` while the daemon is."""
        return self.network(network).status if self.machine is not None else "down"

    def is_member(self, network: int) -> bool:
        """Whether the node takes part, with a device."""
        return self.status(network) == "ok" and network in self.devices

    def mac(self, network: int) -> bytes:
        """Our signed MAC."""
        mac = self.network(network).mac
        assert mac is not None
        return mac

    def address_in(self, network: int) -> str:
        """Our first IPv4 address in the network."""
        addresses = self.network(network).addresses
        return next(each.partition("/")[0] for each in addresses if ":" not in each)

    def peer(self, other: NodeHost) -> PeerView | None:
        """What ``l2mesh peers`` shows of another node."""
        views = self.core.peers(self.schedule.now)
        return next((view for view in views if view.fingerprint == other.fingerprint), None)

    def path_to(self, other: NodeHost) -> str:
        """``direct``, ``relay`` or ``none``."""
        view = self.peer(other)
        return view.path if view is not None else "none"

    def is_direct_to(self, other: NodeHost) -> bool:
        """Whether frames take a direct path, as far as this node decides."""
        return self.path_to(other) == "direct"

    def members(self, network: int) -> set[bytes]:
        """Fingerprints in the roster."""
        roster = self.core.networks_part.joined[network].state.roster
        return {entry.credential.fingerprint for entry in roster}

    def accepts(self, other: NodeHost, network: int) -> bool:
        """Whether the other node is an accepted member, on a session."""
        view = self.peer(other)
        return view is not None and network in view.networks

    def port_of(self, network: int) -> Port:
        """The network's port in memory."""
        return self.network_port(network)
