"""Relays as a client: wishing for one, agreeing to one, keeping those in use alive (section 7.3).

They are at planets, or at members that carry (section 7.8; `Carriers` asks those).

    wanted --RELAY_REQUEST to the nearest planet--> asked --READY--> leg
       ^                                             |--FAILED--> asked at the next planet
       `------ pause 1, 2, 4 ... 30 s <--- all failed-+

A leg is a relay id at one carrier, a planet or a member, for one peer. It dies with the session of
its carrier and is renewed every 30 s while the peer is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from l2mesh.datapath.interface import AddRelayLeg, Endpoint, Path, RemoveRelayLeg
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
MAX_AT_MEMBERS: Final = 1024
"""Of those, at members, who are trusted less than planets not to fill the table."""
MAX_MEMBERS: Final = 4
"""Members with a relay to one peer."""
FLOWING_S: Final = 5.0
"""A frame within this time: the pair uses its relay."""


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

    carrier: bytes
    """Who relays: a planet, or a member (fingerprint)."""
    peer: bytes
    since: float


def _nobody(carrier: bytes, peer: bytes) -> bool:
    """Planets alone relay for who is in no network."""
    return False


@dataclass(slots=True, eq=False)
class Relays(Part):
    """Our relays, by id, and the wishes for more."""

    core: Core
    planets: Planets
    legs: dict[int, Leg] = field(default_factory=dict)
    wishes: dict[bytes, Wish] = field(default_factory=dict)
    offered: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    """Relays of strangers to which we said yes: id -> (stranger, when)."""
    may_carry: Callable[[bytes, bytes], bool] = _nobody
    """Whether a member (fingerprint) may relay between a peer and us."""
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

    def receive_offer(self, carrier: Peer, offer: RelayOffer, now: float) -> None:
        """Somebody wants to be relayed to us: by planets members and controllers may, and some
        strangers; by members members."""
        try:
            public = PublicIdentity.decode(offer.peer, self.core.settings.crypto)
        except (CryptoError, MalformedPacket):
            self.core.refuse("bad_offer")
            return
        if not self._is_fit(carrier, public.fingerprint, offer.relay, now):
            return
        endpoint = leg_endpoint(carrier)
        if self.planets.is_planet(carrier.fingerprint):
            accept = self._admits(offer.relay, public.fingerprint, now)
        else:
            accept = endpoint is not None
        accept = accept and len(self.legs) < MAX_LEGS
        if accept and endpoint is not None:
            # the first datagram over it may come together with READY: hear it from now on
            self.legs[offer.relay] = Leg(carrier.fingerprint, public.fingerprint, now)
            self.core.emit(AddRelayLeg(offer.relay, endpoint))
        self.core.send(carrier, RelayAnswer(relay=offer.relay, accept=accept), now)

    def receive_ready(self, carrier: Peer, ready: RelayReady, now: float) -> None:
        """A relay stands."""
        if not self._is_fit(carrier, ready.peer, ready.relay, now) or len(self.legs) >= MAX_LEGS:
            return
        peer, wish = self.core.peers.get(ready.peer), self.wishes.get(ready.peer)
        if wish is not None and (peer is None or peer.is_live):
            del self.wishes[ready.peer]
        elif wish is not None:
            wish.due = now + USELESS_S
        self.legs[ready.relay] = Leg(carrier.fingerprint, ready.peer, now)
        self._attach(ready.relay, carrier, now)

    def receive_failed(self, carrier: Peer, failed: RelayFailed, now: float) -> None:
        """This planet cannot; the next one may."""
        wish = self.wishes.get(failed.peer)
        if wish is not None and carrier.fingerprint in wish.asked:
            self._ask(failed.peer, now)

    def receive_gone(self, carrier: Peer, gone: RelayGone, now: float) -> None:
        """The carrier does not know these ids any more."""
        for relay in gone.relays:
            leg = self.legs.get(relay)
            if leg is not None and leg.carrier == carrier.fingerprint:
                self.lose(relay, now)

    # --- hooks ----------------------------------------------------------------------------------

    def peer_added(self, peer: Peer, now: float) -> None:
        for relay, leg in list(self.legs.items()):
            if leg.peer == peer.fingerprint and (carrier := self.core.peers.get(leg.carrier)):
                self._attach(relay, carrier, now)

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
            if leg.carrier == peer.fingerprint:
                self.lose(relay, now)

    def nat64_changed(self, now: float) -> None:
        """The legs are at the same planets, which the engine knows by other addresses."""
        for relay, leg in self.legs.items():
            carrier = self.core.peers.get(leg.carrier)
            endpoint = None if carrier is None else leg_endpoint(carrier)
            if endpoint is not None:
                self.core.emit(AddRelayLeg(relay, endpoint))

    def path_changed(self, peer: Peer, now: float) -> None:
        for relay, leg in list(self.legs.items()):
            if leg.carrier != peer.fingerprint:
                continue
            self._attach(relay, peer, now)
            if peer.path is None:
                self._want_another(leg.peer, now)
            else:
                self._renew_at = now  # by which the planet learns where our legs belong

    def relay_doubted(self, peer: Peer, relay: int, now: float) -> None:
        """Its carrier is gone or knows us by an old endpoint; ask it, and meanwhile a planet."""
        leg = self.legs.get(relay)
        carrier = self.core.peers.get(leg.carrier) if leg is not None else None
        if carrier is not None:
            carrier.paths.challenge(now)
            self.core.touch(carrier, now)
            self._remind(relay, carrier, now)
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

    # --- for other parts ------------------------------------------------------------------------

    def is_used(self, peer: Peer, now: float) -> bool:
        """Whether frames pass between a peer and us, and by a relay."""
        active = peer.paths.active
        if not peer.is_live or active is None or not active.relay:
            return False
        return self.core.settings.activity(peer.fingerprint).frame > now - FLOWING_S

    def lose(self, relay: int, now: float) -> None:
        """Use a leg no more, and wish for another if there is need."""
        peer = self._drop(relay, now)
        if peer is not None and (peer.is_wanted or peer.is_live):
            self.want(peer, now)

    # --- inside ---------------------------------------------------------------------------------

    def _is_fit(self, carrier: Peer, peer: bytes, relay: int, now: float) -> bool:
        """Whether a relay to a peer may be this carrier's, and its id is no other's."""
        is_planet = self.planets.is_planet(carrier.fingerprint)
        if not is_planet and not self.may_carry(carrier.fingerprint, peer):
            self.core.refuse("no_carrier")
            return False
        held = self.legs.get(relay)
        if held is not None and (held.carrier, held.peer) != (carrier.fingerprint, peer):
            self.core.refuse("foreign_relay")
            return False
        return is_planet or held is not None or self._has_room(carrier.fingerprint, peer, now)

    def _has_room(self, carrier: bytes, peer: bytes, now: float) -> bool:
        """Whether there is room for a leg at a member: each has one for each peer, the newest."""
        is_planet = self.planets.is_planet
        legs = [(each, leg) for each, leg in self.legs.items() if not is_planet(leg.carrier)]
        others = [leg for _, leg in legs if leg.peer == peer and leg.carrier != carrier]
        if len(legs) >= MAX_AT_MEMBERS or len(others) >= MAX_MEMBERS:
            self.core.refuse("too_many_relays")
            return False
        for relay, leg in legs:
            if (leg.carrier, leg.peer) == (carrier, peer):
                self._drop(relay, now)
        return True

    def _admits(self, relay: int, peer: bytes, now: float) -> bool:
        """Whether somebody may reach us by a planet: whom we know, and some strangers."""
        known = self.core.peers.get(peer)
        if known is not None and self.core.knows(known):
            return True
        self._forget_old_offers(now)
        if len(self.offered) >= MAX_STRANGERS:
            return False
        self.offered[relay] = (peer, now)
        return True

    def _remind(self, relay: int, carrier: Peer, now: float) -> None:
        """Ask again for a relay that we have: a peer that was started anew knows it no more, and
        the carrier, which forwards on, tells both ends."""
        leg = self.legs[relay]
        if now >= leg.since + USELESS_S:
            self.legs[relay] = replace(leg, since=now)
            self.core.send(carrier, RelayRequest(peer=leg.peer), now)

    def _want_another(self, fingerprint: bytes, now: float) -> None:
        """A relay at a planet that has none for this peer, if there is such a planet."""
        having = {leg.carrier for leg in self.legs.values() if leg.peer == fingerprint}
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

    def _attach(self, relay: int, carrier: Peer, now: float) -> None:
        """Give the leg to the engine and to its peer; again when the carrier's path has changed."""
        endpoint, leg = leg_endpoint(carrier), self.legs[relay]
        if endpoint is None:
            return
        self.core.emit(AddRelayLeg(relay, endpoint))
        peer = self.core.peers.get(leg.peer)
        if peer is not None:
            self._detach(relay, peer, endpoint, now)
            self.core.add_relay(peer, Path(endpoint, relay), now)

    def _detach(self, relay: int, peer: Peer, keep: Endpoint, now: float) -> None:
        """Take away the paths over this relay that go by another endpoint of its carrier."""
        for path in peer.paths.relays:
            if path.relay == relay and path.endpoint != keep:
                peer.paths.remove_relay(path, now)

    def _drop(self, relay: int, now: float) -> Peer | None:
        leg = self.legs.pop(relay)
        self.core.emit(RemoveRelayLeg(relay))
        peer = self.core.peers.get(leg.peer)
        if peer is not None:
            for path in peer.paths.relays:
                if path.relay == relay:
                    peer.paths.remove_relay(path, now)
            self.core.touch(peer, now)
        return peer

    def _renew(self, now: float) -> None:
        """Renew the legs whose peers are kept; let go of those that nobody came to use."""
        relays: dict[bytes, list[int]] = {}
        for relay, leg in list(self.legs.items()):
            if leg.peer not in self.core.peers and now - leg.since > UNUSED_S:
                del self.legs[relay]
                self.core.emit(RemoveRelayLeg(relay))
                continue
            if not self._is_spent(relay, leg):
                relays.setdefault(leg.carrier, []).append(relay)
        for fingerprint, ids in relays.items():
            carrier = self.core.peers.get(fingerprint)
            if carrier is not None and carrier.is_live:
                for start in range(0, len(ids), 256):
                    self.core.send(carrier, RelayRenew(relays=tuple(ids[start : start + 256])), now)

    def _is_spent(self, relay: int, leg: Leg) -> bool:
        """Whether a relay may run out: one at a planet that drains once it has been left, one at a
        member beside a direct path, if it is not the only one."""
        peer = self.core.peers.get(leg.peer)
        if peer is None:
            return False
        active = peer.paths.active
        if leg.carrier in self.planets.draining:
            return active is not None and active.relay != relay
        is_beside = peer.paths.is_direct and len(peer.paths.relays) > 1
        return is_beside and not self.planets.is_planet(leg.carrier)

    def _forget_old_offers(self, now: float) -> None:
        for relay, (_, since) in list(self.offered.items()):
            if now - since > ASK_AGAIN_S[-1]:
                del self.offered[relay]


def leg_endpoint(carrier: Peer) -> Endpoint | None:
    """Where a carrier's relays are reached: as it is itself, if nobody else is in between."""
    path = carrier.path
    return None if path is None or path.relay else path.endpoint
