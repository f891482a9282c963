"""The node: a core with planets, relays, candidates and networks as its parts.

This is what ``l2meshd`` runs, what the simulator runs by the thousand, and what a controller builds
on. It only puts parts together and answers questions; what happens, happens in the parts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from l2mesh.credential.world import World
from l2mesh.errors import ConfigError, StateError
from l2mesh.node import control, explain, show, statics
from l2mesh.node.carriers import Carriers
from l2mesh.node.carrying import Carrying
from l2mesh.node.core import Settings
from l2mesh.node.culprits import Culprits
from l2mesh.node.face import ReachableFace
from l2mesh.node.files import read_network
from l2mesh.node.groups import MulticastGroups
from l2mesh.node.groupview import GroupsView, groups_view
from l2mesh.node.guardview import GuardView, guard_view
from l2mesh.node.joined import Joined, Options, change_option
from l2mesh.node.lan import Lan
from l2mesh.node.loopguards import LoopGuards
from l2mesh.node.netcheck import Netcheck
from l2mesh.node.networks import Networks
from l2mesh.node.peer import Peer
from l2mesh.node.replication import Replication
from l2mesh.node.views import NetworkView, PathView, PeerView, PingResult, PlanetView
from l2mesh.wire.control import Probe, encode_records

__all__ = ["Node"]

log = logging.getLogger(__name__)


class Node(ReachableFace):
    """A member of networks; the sans-I/O face of ``l2meshd``."""

    def __init__(
        self, settings: Settings, *, name: str = "", has_hosts: bool = False, carries: bool = True
    ) -> None:
        """`has_hosts`: what is behind our ports speaks IGMP and MLD, as operating systems do.

        `carries`: whether we relay for other members, where that is our right.
        """
        super().__init__(settings)
        generation = max(1, int(settings.unix_now() * 1000))
        self.networks_part = Networks(
            self.core,
            self.planets,
            self.relays,
            self.candidates,
            generation=generation,
            name=name,
        )
        self.core.add_part(self.networks_part)
        self.replication = Replication(self.core, self.networks_part, generation)
        self.core.add_part(self.replication)
        self.carriers = Carriers(self.core, self.networks_part, self.relays)
        self.carrying = Carrying(self.core, self.networks_part, willing=carries)
        for part in (self.carriers, self.carrying):
            self.core.add_part(part)
        self.loop_guards = LoopGuards(self.core, self.networks_part)
        self.core.add_part(self.loop_guards)
        self.groups = MulticastGroups(
            self.core, self.networks_part, self.loop_guards, has_hosts=has_hosts
        )
        self.core.add_part(self.groups)
        self.culprits = Culprits()
        self.core.add_part(self.culprits)
        self.lan = Lan(self.core, self.candidates, self.networks_part.members)
        self.core.add_part(self.lan)
        self.planets.on_claims = self.networks_part.receive_claims
        self.planets.on_live.append(self.networks_part.planet_live)

    def close(self, now: float) -> None:
        """Leave in good order: keep what is worth keeping, tell the peers."""
        self.networks_part.keep_all()
        super().close(now)

    # --- the operator's verbs -------------------------------------------------------------------

    def join(
        self,
        network: int,
        *,
        fingerprint: bytes | None = None,
        token: bytes | None = None,
        device: str | None = None,
        now: float,
    ) -> None:
        """Begin or repeat a join; its progress is seen in :meth:`networks`."""
        options = Options(device=device)
        self.networks_part.add(network, wanted=fingerprint, token=token, options=options, now=now)

    def leave(self, network: int, now: float) -> None:
        """Leave a network; StateError if it is not joined."""
        self.networks_part.leave(network, now)

    def withdraw(self, now: float, network: int | None = None) -> bool:
        """We are about to leave a network, or all: have those go elsewhere whom we carry. Whether
        there is anybody; then a moment's wait spares them a gap."""
        return self.carrying.withdraw(now, network)

    def set_option(self, network: int, key: str, value: str, now: float) -> None:
        """Change a local choice of a network; ConfigError names what is wrong."""
        joined = self.networks_part.require(network)
        carried, joined.options = joined.options.carry, change_option(joined.options, key, value)
        self.networks_part.bond_all(now)
        self.networks_part.refresh(joined)
        if carried and not joined.options.carry:
            self.carrying.withdraw(now, network)

    def add_static(self, network: int, vlan: int, mac: bytes, who: str, now: float) -> None:
        """Say where a station is (``statics``); ConfigError or StateError tells why not."""
        joined = self.networks_part.require(network)
        statics.add_static(joined, vlan, mac, who)
        self.networks_part.refresh(joined)

    def remove_static(self, network: int, vlan: int, mac: bytes, now: float) -> None:
        """Take that back; StateError if it was not said."""
        joined = self.networks_part.require(network)
        statics.remove_static(joined, vlan, mac)
        self.networks_part.refresh(joined)

    def device_ready(self, network: int, name: str, now: float) -> None:
        """The host has made the network's device."""
        joined = self.networks_part.joined.get(network)
        if joined is not None:
            joined.device_name = name

    def ping(self, who: str, now: float) -> int:
        """Send one PROBE to a member (10-digit address, fingerprint text or name); its id.

        Raises ConfigError when nobody or more than one is meant, StateError while there is no path.
        """
        peer = self._connect(who, now)
        if not peer.is_live or peer.path is None:
            raise StateError(f"no session with {who} yet", hint="it is being set up; try again")
        nonce = self.core.pings.open(now)
        control.say(self.core, peer, encode_records([Probe(nonce)]))
        return nonce

    def ping_result(self, ping: int) -> PingResult | None:
        """The answer to a ping, if it has come."""
        return show.ping_result(self, ping)

    def netcheck(self) -> Netcheck:
        """A check of what planets answer, to be driven by the caller."""
        return Netcheck(self.core, self.planets)

    # --- questions ------------------------------------------------------------------------------

    @property
    def world(self) -> World | None:
        """The world in use."""
        return self.planets.world

    @property
    def is_online(self) -> bool:
        """Whether any planet can be reached."""
        return bool(self.planets.live())

    @property
    def carried_relays(self) -> int:
        """Pairs of members for whom we relay now."""
        return self.carrying.relays

    def networks(self) -> list[NetworkView]:
        """All joined networks."""
        return [show.network(joined) for joined in self.networks_part.joined.values()]

    def peers(self, now: float) -> list[PeerView]:
        """All peers but the planets."""
        return show.peers(self)

    def path(self, who: str, now: float) -> PathView:
        """All ways to a peer, and why each is or is not in use; ConfigError as in `ping`."""
        return explain.path(self, who, now)

    def planet_views(self) -> list[PlanetView]:
        """All planets of the world."""
        return show.planets(self)

    def guard_views(self, now: float) -> list[GuardView]:
        """The loop guards of all networks that are up."""
        return [guard_view(guard, now) for guard in self.loop_guards.guards.values()]

    def group_views(self) -> list[GroupsView]:
        """Who wants which IP group, in all networks that are up."""
        joined = self.networks_part.joined.values()
        return [groups_view(self.groups, one.network) for one in joined if one.port is not None]

    def health(self, now: float) -> list[str]:
        """What is wrong, one sentence each; empty when all is well."""
        return show.health(self, now)

    def address(self, fingerprint: bytes) -> bytes:
        """The 40-bit address of a fingerprint (costs 2 MiB of hashing the first time)."""
        return self.core.address(fingerprint)

    def find(self, who: str) -> tuple[Joined, bytes]:
        """The one member that is called so, and a network that it is in.

        Raises ConfigError when nobody or more than one is meant.
        """
        found = {}
        for joined in self.networks_part.joined.values():
            for entry in joined.state.roster.find(who):
                found[entry.credential.fingerprint] = joined
        if not found:
            raise ConfigError(
                f"no member of our networks has the name or address {who!r}",
                hint="`l2mesh peers` shows who has been met",
            )
        if len(found) > 1:
            raise ConfigError(
                f"{len(found)} members are called {who!r}", hint="name it by its address"
            )
        fingerprint, joined = next(iter(found.items()))
        return joined, fingerprint

    # --- inside ---------------------------------------------------------------------------------

    def _restore_file(self, name: str, data: bytes, now: float) -> None:
        if not name.startswith("networks/"):
            super()._restore_file(name, data, now)
            return
        settings = self.core.settings
        joined = read_network(data, settings.crypto, settings.identity.public.fingerprint)
        self.networks_part.restore(joined, now)

    def _overlay_prefixes(self) -> Iterable[str]:
        for joined in self.networks_part.joined.values():
            if joined.state.config is not None:
                yield from joined.state.config.pools
                yield from (
                    route.destination
                    for route in joined.state.config.routes
                    if not route.destination.endswith("/0")
                )
            if joined.state.credential is not None:
                yield from joined.state.credential.addresses

    def _connect(self, who: str, now: float) -> Peer:
        joined, fingerprint = self.find(who)
        self.networks_part.connect_member(joined, fingerprint, now)
        peer = self.core.peers.get(fingerprint)
        if peer is None:
            raise ConfigError(f"{who} is this node itself")
        return peer
