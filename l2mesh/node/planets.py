"""The planets of our world: a session with each, what they observe of us, and whom they know.

Every node keeps a session with every planet, so that members homed on different ones meet
(section 7.2). A planet names only the endpoint from which it sees us; it is never asked about
anybody's endpoints but ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from l2mesh.credential.world import World
from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import CryptoError, MalformedPacket, StateError
from l2mesh.identity import PublicIdentity
from l2mesh.node import control
from l2mesh.node.core import Core
from l2mesh.node.effects import Persist
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.path.candidate import Candidate, Kind
from l2mesh.path.mapping import Mappings
from l2mesh.session.handshake import Role
from l2mesh.wire.control import Close, CloseReason, encode_records
from l2mesh.wire.message import Whois, WhoisReply

__all__ = ["WORLD_FILE", "Planets"]

log = logging.getLogger(__name__)

LEAVE_S: Final = 10.0
"""A planet that the world names no more is kept so long: it hears of it, and relays move."""

WORLD_FILE = "world"
"""The state file that keeps the newest world seen."""

Claims = Callable[[bytes, list[PublicIdentity], float], None]


@dataclass(slots=True, eq=False)
class Planets(Part):
    """Sessions with planets, and the directory behind them."""

    core: Core
    world: World | None = None
    home: bytes | None = None
    """The planet (fingerprint) that is asked first; see `Home`."""
    mappings: Mappings = field(default_factory=Mappings)
    """As what the planets see us, at each of their endpoints."""
    on_claims: Claims | None = None
    """Hears WHOIS_REPLY: address, claims, now."""
    on_live: list[Callable[[Peer, float], None]] = field(default_factory=list)
    """Hears that a planet can be asked."""
    on_observed: list[Callable[[float], None]] = field(default_factory=list)
    """Hears that what planets see of us has changed."""
    on_adopted: list[Callable[[float], None]] = field(default_factory=list)
    """Hears that the world is another one."""
    draining: set[bytes] = field(default_factory=set)
    """Planets that are about to stop, and members that are about to carry no more; see `Drains`."""
    on_drained: list[Callable[[float], None]] = field(default_factory=list)
    """Hears that `draining` has changed."""
    leaving: dict[bytes, float] = field(default_factory=dict)
    """Planets that the world names no more, and until when their sessions are kept."""
    _reached: set[bytes] = field(default_factory=set)
    """Planets with a session, whatever its age: a renewal is no news."""

    def handlers(self) -> dict[type, Handler]:
        return {WhoisReply: self.receive_whois_reply}

    def adopt(self, world: World, now: float) -> bool:
        """Use a world if it is our first or an update of ours; False when it is what we have.

        Raises StateError for a foreign or older world: nothing changes then.
        """
        if self.world is not None:
            if world.encode() == self.world.encode():
                return False
            if not world.is_update_of(self.world):
                raise StateError(
                    "this world is older than, or no successor of, the one in use",
                    hint="leave all networks and remove the state file 'world' to change worlds",
                )
        removed = self._only_in(self.world, world)
        self.world = world
        self.core.emit(Persist(WORLD_FILE, world.encode()))
        self._connect_all(now)
        for peer in removed:
            self.leaving[peer.fingerprint] = now + LEAVE_S
        for hear in self.on_adopted:
            hear(now)
        return True

    def restore(self, world: World, now: float) -> None:
        """Use the world that was saved, without saving it again."""
        self.world = world
        self._connect_all(now)

    def members(self) -> list[Peer]:
        """The planets as peers, whether live or not."""
        if self.world is None:
            return []
        peers = (self.core.peers.get(planet.identity.fingerprint) for planet in self.world.planets)
        return [peer for peer in peers if peer is not None]

    def live(self) -> list[Peer]:
        """Planets that can be asked: home, then the others, the best first; those that drain only
        where there is no other."""
        ready = [peer for peer in self.members() if peer.is_live and peer.path is not None]
        ready = [each for each in ready if each.fingerprint not in self.draining] or ready
        return sorted(ready, key=lambda p: (p.fingerprint != self.home, p.paths.cost_s))

    def is_planet(self, fingerprint: bytes) -> bool:
        """Whether a peer is a planet of our world."""
        return self.world is not None and any(
            planet.identity.fingerprint == fingerprint for planet in self.world.planets
        )

    def whois(self, address: bytes, now: float) -> None:
        """Ask every live planet who is at an address; answers come to ``on_claims``."""
        for peer in self.live():
            self.core.send(peer, Whois(address=address), now)

    def receive_whois_reply(self, peer: Peer, reply: WhoisReply, now: float) -> None:
        """A planet's claims; only planets are heard, and what does not verify is skipped."""
        if not self.is_planet(peer.fingerprint) or self.on_claims is None:
            return
        claims = []
        for data in reply.claims:
            try:
                claims.append(PublicIdentity.decode(data, self.core.settings.crypto))
            except (CryptoError, MalformedPacket):
                self.core.refuse("bad_claim")
        self.on_claims(reply.address, claims, now)

    def knows(self, peer: Peer) -> bool:
        return peer.fingerprint in self.leaving or self.is_planet(peer.fingerprint)

    def next_timeout(self) -> float | None:
        return min(self.leaving.values(), default=None)

    def handle_timeout(self, now: float) -> None:
        for fingerprint, until in list(self.leaving.items()):
            peer = self.core.peers.get(fingerprint)
            if self.is_planet(fingerprint) or peer is None:
                del self.leaving[fingerprint]
            elif now >= until:
                self._drop(peer, now)

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        if self.is_planet(peer.fingerprint):
            if peer.fingerprint not in self._reached:
                self._reached.add(peer.fingerprint)
                log.info("planet reached: planet=%s", self.text(peer))
            for hear in self.on_live:
                hear(peer, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        if self.is_planet(peer.fingerprint):
            self._reached.discard(peer.fingerprint)
            log.info("planet lost: planet=%s", self.text(peer))
            self.mappings.forget([each.path.endpoint for each in peer.paths.candidates])

    def peer_removed(self, peer: Peer, now: float) -> None:
        self.mappings.forget([each.path.endpoint for each in peer.paths.candidates])

    def observed(self, peer: Peer, by: Endpoint, seen: Endpoint, now: float) -> None:
        if not self.is_planet(peer.fingerprint):
            return
        if self.mappings.observe(by, seen, now):
            for hear in self.on_observed:
                hear(now)

    def over(self, uplink: int) -> list[Candidate]:
        """The quickest working path to each planet that answers over an uplink."""
        found = []
        for peer in self.members():
            ways = [c for c in peer.paths.candidates if c.is_direct and c.uplink == uplink]
            ways = [c for c in ways if c.usable and c.has_worked]
            found += [min(ways, key=lambda each: each.cost_s)] if ways else []
        return found

    def uplinks_changed(self, now: float) -> None:
        if self.mappings.keep((0, *self.core.uplinks)):
            for hear in self.on_observed:
                hear(now)

    def endpoints(self, fingerprint: bytes) -> list[Endpoint]:
        """Where the world says that a planet is."""
        if self.world is None:
            return []
        return [
            endpoint
            for planet in self.world.planets
            if planet.identity.fingerprint == fingerprint
            for endpoint in planet.endpoints
        ]

    def _only_in(self, old: World | None, new: World) -> list[Peer]:
        """Peers that the old world names and the new one does not."""
        kept = {planet.identity.fingerprint for planet in new.planets}
        named = [] if old is None else [planet.identity.fingerprint for planet in old.planets]
        gone = (self.core.peers.get(each) for each in named if each not in kept)
        return [peer for peer in gone if peer is not None]

    def text(self, planet: Peer) -> str:
        """A planet's address, for logs."""
        return self.core.address(planet.fingerprint).hex()

    def _drop(self, peer: Peer, now: float) -> None:
        """A planet that the world names no more: its session and its relays go."""
        log.info("planet dropped: planet=%s", self.text(peer))
        self._reached.discard(peer.fingerprint)
        self.leaving.pop(peer.fingerprint, None)
        control.say(self.core, peer, encode_records([Close(CloseReason.LEAVING)]))
        self.core.remove_peer(peer, now)

    def _connect_all(self, now: float) -> None:
        if self.world is None:
            return
        for planet in self.world.planets:
            if planet.identity.fingerprint == self.core.settings.identity.public.fingerprint:
                continue
            peer = self.core.add_peer(planet.identity, now, role=Role.PLANET, always=True)
            peer.paths.keep_all_open()
            peer.paths.add_candidates(planet.endpoints, Kind.TOLD, now)
            self.core.connect(peer, now)
