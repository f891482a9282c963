"""Members that may carry for us (section 7.8 of ``docs/protocol.md``): which, and when to ask them.

A pair that stays relayed, or for which no planet can be asked, looks for a member with the right
``relay`` in a network of both. Both ends take the same four of them, and ask each that they reach
without a relay. What comes of it is a leg like one at a planet: it is measured from end to end, and
taken where it is clearly better, or the only one that answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from l2mesh.credential.membership import Right
from l2mesh.node.core import Core
from l2mesh.node.joined import Joined
from l2mesh.node.networks import Networks
from l2mesh.node.part import Part
from l2mesh.node.peer import Peer
from l2mesh.node.relays import MAX_MEMBERS, Relays
from l2mesh.wire.message import RelayRequest

__all__ = ["Carriers"]

LOOK_S: Final = 2.0
REST_S: Final = 5.0
"""Between looks while no member of ours may carry."""
SETTLED_S: Final = 5.0
"""A pair is left to its planets so long."""
AGAIN_S: Final = (5.0, 15.0, 60.0)
"""Between two requests to one of them for one peer; the last one repeats."""


@dataclass(slots=True)
class _Pair:
    """What was done for one peer."""

    since: float
    """When it was first found in need."""
    asked: dict[bytes, tuple[int, float]] = field(default_factory=dict)
    """carrier -> how often, and when it may be asked again"""


@dataclass(slots=True, eq=False)
class Carriers(Part):
    """Looks after legs at members. Bounded by our relays and wishes, four members for each."""

    core: Core
    networks: Networks
    relays: Relays
    _pairs: dict[bytes, _Pair] = field(default_factory=dict)
    _kept: set[bytes] = field(default_factory=set)
    """Members at whom legs of ours are."""
    _sought: set[bytes] = field(default_factory=set)
    """Members with whom a session was begun, only to ask them."""
    _look_at: float = 0.0
    _found: dict[int, tuple[tuple[int, int], frozenset[bytes]]] = field(default_factory=dict)
    """network -> roster (its revision and length) and those in it who have the right"""

    def __post_init__(self) -> None:
        self.relays.may_carry = self.may_carry
        self.networks.on_parted.append(self._parted)

    def may_carry(self, carrier: bytes, peer: bytes) -> bool:
        """Whether a member may relay between a peer and us: it has the right, in a network in which
        the peer is, too."""
        return any(
            (credential := joined.meetings.accepted.get(carrier)) is not None
            and credential.has_right(Right.RELAY)
            and (peer in joined.meetings.accepted or joined.state.roster.get(peer) is not None)
            for joined in self.networks.joined.values()
        )

    def is_carrier(self, fingerprint: bytes) -> bool:
        """Whether legs of ours are at this member."""
        return fingerprint in self._kept

    # --- hooks ----------------------------------------------------------------------------------

    def peer_removed(self, peer: Peer, now: float) -> None:
        self._pairs.pop(peer.fingerprint, None)

    def _parted(self, joined: Joined, fingerprint: bytes) -> None:
        """Somebody and we share a network no longer: perhaps one who carries."""
        self._look_at = 0.0

    def next_timeout(self) -> float | None:
        return self._look_at if self.relays.legs or self.relays.wishes or self._kept else None

    def handle_timeout(self, now: float) -> None:
        self._drop_unfit(now)
        volunteers = {joined.network: self._volunteers(joined) for joined in self._joined()}
        self._found = {each: self._found[each] for each in volunteers}
        needy = self._in_need(now)
        self._sought.clear()
        for fingerprint in needy:
            pair = self._pairs.setdefault(fingerprint, _Pair(now))
            if now >= pair.since + SETTLED_S or fingerprint in self.relays.wishes:
                self._look(fingerprint, pair, volunteers, now)
        self._keep()
        self._look_at = now + (LOOK_S if any(volunteers.values()) else REST_S)

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _me(self) -> bytes:
        return self.core.settings.identity.public.fingerprint

    def _joined(self) -> Iterator[Joined]:
        return iter(self.networks.joined.values())

    def _drop_unfit(self, now: float) -> None:
        """Use no leg at a member that may not carry any more."""
        is_planet = self.relays.planets.is_planet
        for relay, leg in list(self.relays.legs.items()):
            if is_planet(leg.carrier) or leg.carrier in self.relays.planets.leaving:
                continue
            if not self.may_carry(leg.carrier, leg.peer):
                self.relays.lose(relay, now)

    def _in_need(self, now: float) -> list[bytes]:
        """Peers whose frames pass by a relay, and those to whom no planet had one. Who is wanted
        only to carry is no such peer."""
        relayed = {leg.peer for leg in self.relays.legs.values()}
        peers = [self.core.peers[each] for each in relayed if each in self.core.peers]
        used = [each.fingerprint for each in peers if self.relays.is_used(each, now)]
        wishes = self.relays.wishes.items()
        missed = [each for each, wish in wishes if wish.round and each not in self._sought]
        needy = dict.fromkeys([*used, *missed])
        for fingerprint in self._pairs.keys() - needy.keys():
            del self._pairs[fingerprint]
        return list(needy)

    def _look(
        self, peer: bytes, pair: _Pair, volunteers: dict[int, frozenset[bytes]], now: float
    ) -> None:
        having = {leg.carrier for leg in self.relays.legs.values() if leg.peer == peer}
        for joined in self._joined():
            if peer not in joined.state.roster.entries:
                continue
            for fingerprint in self._chosen(volunteers[joined.network], peer):
                if fingerprint in having:
                    pair.asked.pop(fingerprint, None)  # it is asked at once should that be lost
                else:
                    self._ask(joined, fingerprint, peer, pair, now)

    def _chosen(self, volunteers: frozenset[bytes], peer: bytes) -> list[bytes]:
        """Those whom this pair asks; the other end comes to the same ones."""
        pair = min(self._me, peer) + max(self._me, peer)
        able = volunteers - {self._me, peer}
        if len(able) <= MAX_MEMBERS:
            return sorted(able)
        weight = {each: blake2b(pair + each, digest_size=8).digest() for each in able}
        return sorted(able, key=lambda each: weight[each], reverse=True)[:MAX_MEMBERS]

    def _ask(self, joined: Joined, carrier: bytes, peer: bytes, pair: _Pair, now: float) -> None:
        """Ask one that is reached directly; have a session with one that is not met yet."""
        known = self.core.peers.get(carrier)
        if known is None or not known.is_live or carrier not in joined.meetings.accepted:
            self._sought.add(carrier)
            self.networks.connect_member(joined, carrier, now)
            return
        times, due = pair.asked.get(carrier, (0, now))
        if known.paths.is_direct and now >= due:
            pause = AGAIN_S[min(times, len(AGAIN_S) - 1)]
            pair.asked[carrier] = times + 1, now + pause
            self.core.send(known, RelayRequest(peer=peer), now)

    def _keep(self) -> None:
        """Keep what leads to those who carry: no frames pass between them and us."""
        planets = self.relays.planets
        legs = self.relays.legs.values()
        carriers = {leg.carrier for leg in legs if not planets.is_planet(leg.carrier)}
        for fingerprint in carriers | self._kept:
            if (peer := self.core.peers.get(fingerprint)) is not None:
                peer.keep("carrier", wanted=fingerprint in carriers)
        self._kept = carriers - planets.leaving.keys()
        planets.draining &= {
            each for each in planets.draining if planets.is_planet(each)
        } | carriers

    def _volunteers(self, joined: Joined) -> frozenset[bytes]:
        """Members of a network with the right to relay, looked for once in each roster."""
        roster = joined.state.roster
        seen = roster.revision, len(roster)
        if joined.network not in self._found or self._found[joined.network][0] != seen:
            able = (entry.credential for entry in roster if entry.credential.has_right(Right.RELAY))
            found = frozenset(credential.fingerprint for credential in able)
            self._found[joined.network] = seen, found
        return self._found[joined.network][1]
