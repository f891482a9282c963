"""Relays as a client: wishing for one, agreeing to one, keeping those in use alive (section 7.3).

    wanted --RELAY_REQUEST to the nearest planet--> asked --READY--> leg
       ^                                             |--FAILED--> asked at the next planet
       `------ pause 1, 2, 4 ... 30 s <--- all failed-+

A leg is a relay id at one planet for one peer. It dies with the session of its planet and is
renewed every 30 s while the peer is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from l2mesh.datapath.interface import AddRelayLeg, Path, RemoveRelayLeg
from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.identity import PublicIdentity
from l2mesh.node.core import Core
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.wire.message import (
    RelayAnswer,
    RelayFailed,
    RelayGone,
    RelayOffer,
    RelayReady,
    RelayRenew,
    RelayRequest,
)

__all__ = ["Relays"]

RENEW_S: Final = 30.0
ASK_AGAIN_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
ANSWER_WITHIN_S: Final = 1.5
"""A planet that has not answered a request by then is passed over."""
USELESS_S: Final = 5.0
"""A leg over which no session came by then is asked for again."""
UNUSED_S: Final = 15.0
"""A leg whose peer is forgotten is let go after this time: it may yet call."""
MAX_STRANGERS: Final = 64
MAX_LEGS: Final = 4096


@dataclass(slots=True)
class Wish:
    """A peer for which a relay is wanted."""

    asked: set[bytes] = field(default_factory=set)
    """Planets asked in this round."""
    round: int = 0
    due: float = 0.0
    """When to ask on."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A relay that is ready."""

    planet: bytes
    peer: bytes
    since: float


@dataclass(slots=True, eq=False)
class Relays(Part):
    """Our relays, by id, and the wishes for more."""

    core: Core
    planets: Planets
    legs: dict[int, Leg] = field(default_factory=dict)
    wishes: dict[bytes, Wish] = field(default_factory=dict)
    offered: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    """Relays of strangers to which we said yes: id -> (stranger, when)."""
    _renew_at: float = 0.0

    def handlers(self) -> dict[type, Handler]:
        return {
            RelayOffer: self.receive_offer,
            RelayReady: self.receive_ready,
            RelayFailed: self.receive_failed,
            RelayGone: self.receive_gone,
        }

    def want(self, peer: Peer, now: float) -> None:
        """Have a relay to this peer, now or as soon as a planet has both of us."""
        fingerprint = peer.fingerprint
        has_leg = any(leg.peer == fingerprint for leg in self.legs.values())
        if fingerprint in self.wishes or (has_leg and peer.is_live):
            return
        self.wishes[fingerprint] = Wish(due=now + USELESS_S if has_leg else now)
        if not has_leg:
            self._ask(fingerprint, now)

    # --- verbs ----------------------------------------------------------------------------------

    def receive_offer(self, planet: Peer, offer: RelayOffer, now: float) -> None:
        """Somebody wants to be relayed to us. Members and controllers may, and some strangers."""
        if not self.planets.is_planet(planet.fingerprint):
            return
        try:
            public = PublicIdentity.decode(offer.peer, self.core.settings.crypto)
        except (CryptoError, MalformedPacket):
            self.core.refuse("bad_offer")
            return
        known = self.core.peers.get(public.fingerprint)
        accept = known is not None and self.core.knows(known)
        if not accept:
            self._forget_old_offers(now)
            accept = len(self.offered) < MAX_STRANGERS
            if accept:
                self.offered[offer.relay] = (public.fingerprint, now)
        accept = accept and len(self.legs) < MAX_LEGS
        if accept and planet.path is not None:
            # the first datagram over it may come together with READY: hear it from now on
            self.legs[offer.relay] = Leg(planet.fingerprint, public.fingerprint, now)
            self.core.emit(AddRelayLeg(offer.relay, planet.path.endpoint))
        self.core.send(planet, RelayAnswer(relay=offer.relay, accept=accept), now)

    def receive_ready(self, planet: Peer, ready: RelayReady, now: float) -> None:
        """A relay stands."""
        if not self.planets.is_planet(planet.fingerprint) or len(self.legs) >= MAX_LEGS:
            return
        peer, wish = self.core.peers.get(ready.peer), self.wishes.get(ready.peer)
        if wish is not None and (peer is None or peer.is_live):
            del self.wishes[ready.peer]
        elif wish is not None:
            wish.due = now + USELESS_S
        self.legs[ready.relay] = Leg(planet.fingerprint, ready.peer, now)
        self._attach(ready.relay, planet, now)

    def receive_failed(self, planet: Peer, failed: RelayFailed, now: float) -> None:
        """This planet cannot; the next one may."""
        wish = self.wishes.get(failed.peer)
        if wish is not None and planet.fingerprint in wish.asked:
            self._ask(failed.peer, now)

    def receive_gone(self, planet: Peer, gone: RelayGone, now: float) -> None:
        """The planet does not know these ids any more."""
        for relay in gone.relays:
            leg = self.legs.get(relay)
            if leg is not None and leg.planet == planet.fingerprint:
                self._lose(relay, now)

    # --- hooks ----------------------------------------------------------------------------------

    def peer_added(self, peer: Peer, now: float) -> None:
        for relay, leg in list(self.legs.items()):
            if leg.peer == peer.fingerprint and (planet := self.core.peers.get(leg.planet)):
                self._attach(relay, planet, now)

    def peer_removed(self, peer: Peer, now: float) -> None:
        self.wishes.pop(peer.fingerprint, None)
        for relay, leg in self.legs.items():
            if leg.peer == peer.fingerprint:
                self.legs[relay] = replace(leg, since=now)

    def connect_failed(self, peer: Peer, now: float) -> None:
        if not peer.sessions.always:
            self.wishes.pop(peer.fingerprint, None)

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        for relay in [r for r, (who, _) in self.offered.items() if who == peer.fingerprint]:
            del self.offered[relay]  # it came; from now on it counts among the core's strangers
        if any(leg.peer == peer.fingerprint for leg in self.legs.values()):
            self.wishes.pop(peer.fingerprint, None)
        if self.planets.is_planet(peer.fingerprint):
            for fingerprint, wish in list(self.wishes.items()):
                wish.asked.discard(peer.fingerprint)
                self._ask(fingerprint, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        if peer.sessions.always and not self.planets.is_planet(peer.fingerprint):
            self.want(peer, now)
        for relay, leg in list(self.legs.items()):
            if leg.planet == peer.fingerprint:
                self._lose(relay, now)

    def path_changed(self, peer: Peer, now: float) -> None:
        for relay, leg in list(self.legs.items()):
            if leg.planet != peer.fingerprint:
                continue
            self._attach(relay, peer, now)
            if peer.path is None:
                self._want_another(leg.peer, now)

    def relay_doubted(self, peer: Peer, relay: int, now: float) -> None:
        """Its planet is gone or knows us by an old endpoint; ask it, and meanwhile another one."""
        leg = self.legs.get(relay)
        planet = self.core.peers.get(leg.planet) if leg is not None else None
        if planet is not None:
            planet.paths.challenge(now)
            self.core.touch(planet, now)
            self._remind(relay, planet, now)
            self._want_another(peer.fingerprint, now)

    def next_timeout(self) -> float | None:
        due = [wish.due for wish in self.wishes.values()]
        if self.legs:
            due.append(self._renew_at)
        return min(due, default=None)

    def handle_timeout(self, now: float) -> None:
        for fingerprint, wish in list(self.wishes.items()):
            if now >= wish.due:
                self._ask(fingerprint, now)
        if self.legs and now >= self._renew_at:
            self._renew_at = now + RENEW_S
            self._renew(now)

    # --- inside ---------------------------------------------------------------------------------

    def _remind(self, relay: int, planet: Peer, now: float) -> None:
        """Ask again for a relay that we have: a peer that was started anew knows it no more, and
        the planet, which forwards on, tells both ends."""
        leg = self.legs[relay]
        if now >= leg.since + USELESS_S:
            self.legs[relay] = replace(leg, since=now)
            self.core.send(planet, RelayRequest(peer=leg.peer), now)

    def _want_another(self, fingerprint: bytes, now: float) -> None:
        """A relay at a planet that has none for this peer, if there is such a planet."""
        having = {leg.planet for leg in self.legs.values() if leg.peer == fingerprint}
        if fingerprint in self.wishes or fingerprint not in self.core.peers:
            return
        if any(planet.fingerprint not in having for planet in self.planets.live()):
            self.wishes[fingerprint] = Wish(asked=having, due=now)
            self._ask(fingerprint, now)

    def _ask(self, fingerprint: bytes, now: float) -> None:
        """Ask the nearest planet not asked in this round, or pause and begin a new round."""
        wish = self.wishes[fingerprint]
        planets = [p for p in self.planets.live() if p.fingerprint not in wish.asked]
        if planets:
            wish.asked.add(planets[0].fingerprint)
            wish.due = now + ANSWER_WITHIN_S
            self.core.send(planets[0], RelayRequest(peer=fingerprint), now)
            return
        wish.due = now + ASK_AGAIN_S[min(wish.round, len(ASK_AGAIN_S) - 1)]
        wish.round += 1
        wish.asked.clear()

    def _attach(self, relay: int, planet: Peer, now: float) -> None:
        """Give the leg to the engine and to its peer; again when the planet's path has changed."""
        path, leg = planet.path, self.legs[relay]
        if path is None:
            return
        self.core.emit(AddRelayLeg(relay, path.endpoint))
        peer = self.core.peers.get(leg.peer)
        if peer is not None:
            self._detach(relay, peer, path, now)
            self.core.add_relay(peer, Path(path.endpoint, relay), now)

    def _detach(self, relay: int, peer: Peer, keep: Path, now: float) -> None:
        """Take away the paths over this relay that go by another endpoint of its planet."""
        for path in peer.paths.relays:
            if path.relay == relay and path.endpoint != keep.endpoint:
                peer.paths.remove_relay(path, now)

    def _lose(self, relay: int, now: float) -> None:
        leg = self.legs.pop(relay)
        self.core.emit(RemoveRelayLeg(relay))
        peer = self.core.peers.get(leg.peer)
        if peer is None:
            return
        for path in peer.paths.relays:
            if path.relay == relay:
                peer.paths.remove_relay(path, now)
        self.core.touch(peer, now)
        if peer.is_wanted or peer.is_live:
            self.want(peer, now)

    def _renew(self, now: float) -> None:
        """Renew the legs whose peers are kept; let go of those that nobody came to use."""
        relays: dict[bytes, list[int]] = {}
        for relay, leg in list(self.legs.items()):
            if leg.peer not in self.core.peers and now - leg.since > UNUSED_S:
                del self.legs[relay]
                self.core.emit(RemoveRelayLeg(relay))
                continue
            if not self._is_spent(relay, leg):
                relays.setdefault(leg.planet, []).append(relay)
        for fingerprint, ids in relays.items():
            planet = self.core.peers.get(fingerprint)
            if planet is not None and planet.is_live:
                for start in range(0, len(ids), 256):
                    self.core.send(planet, RelayRenew(relays=tuple(ids[start : start + 256])), now)

    def _is_spent(self, relay: int, leg: Leg) -> bool:
        """Whether a relay at a planet that drains has been left: then it may run out."""
        peer = self.core.peers.get(leg.peer)
        if leg.planet not in self.planets.draining or peer is None:
            return False
        active = peer.paths.active
        return active is not None and active.relay != relay

    def _forget_old_offers(self, now: float) -> None:
        for relay, (_, since) in list(self.offered.items()):
            if now - since > ASK_AGAIN_S[-1]:
                del self.offered[relay]
