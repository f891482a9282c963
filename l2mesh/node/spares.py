"""A second relay for pairs that stay relayed (section 7.3 of ``docs/protocol.md``).

When frames have passed by a relay for 5 s, either end sees to one at its own home planet and, if
there is still only one after 10 s, to one at its next best. So the pair has the relays that are
good for each of them, measures both from end to end, and has one to go on by when a planet dies. A
planet that could not is asked again after 60 s. A relay at a planet that drains counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from l2mesh.node.core import Core
from l2mesh.node.part import Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.node.relays import Relays
from l2mesh.wire.message import RelayRequest

__all__ = ["Spares"]

LOOK_S: Final = 2.0
SETTLED_S: Final = 5.0
ENOUGH: Final = 2
PATIENCE_S: Final = 10.0
"""How long the other end has to bring the second relay."""
AGAIN_S: Final = 60.0


@dataclass(slots=True)
class _Pair:
    """What was done for one peer."""

    since: float
    """When it was first found relayed."""
    asked: dict[bytes, float] = field(default_factory=dict)
    """planet -> when"""


@dataclass(slots=True, eq=False)
class Spares(Part):
    """Looks after the relays of pairs that use one. Bounded by the relays that we have."""

    core: Core
    planets: Planets
    relays: Relays
    _pairs: dict[bytes, _Pair] = field(default_factory=dict)
    _look_at: float | None = None

    def path_changed(self, peer: Peer, now: float) -> None:
        if peer.paths.active is not None and peer.paths.active.relay:
            self._look_at = self._look_at or now + LOOK_S

    def peer_removed(self, peer: Peer, now: float) -> None:
        self._pairs.pop(peer.fingerprint, None)

    def next_timeout(self) -> float | None:
        return self._look_at

    def handle_timeout(self, now: float) -> None:
        having: dict[bytes, set[bytes]] = {}
        for leg in self.relays.legs.values():
            having.setdefault(leg.peer, set())
            if leg.carrier not in self.planets.draining:
                having[leg.peer].add(leg.carrier)
        for fingerprint, planets in having.items():
            peer = self.core.peers.get(fingerprint)
            if peer is not None and self._is_relayed(peer, now, anyhow=not planets):
                self._look(peer, planets, now)
            else:
                self._pairs.pop(fingerprint, None)
        self._look_at = now + LOOK_S if having else None

    def drained(self, now: float) -> None:
        """Planets begin or end to drain."""
        self._look_at = now

    def _is_relayed(self, peer: Peer, now: float, *, anyhow: bool) -> bool:
        """Whether the pair uses a relay; ``anyhow``: even if no frames pass just now."""
        active = peer.paths.active
        if anyhow:
            return peer.is_live and active is not None and bool(active.relay)
        return self.relays.is_used(peer, now)

    def _look(self, peer: Peer, having: set[bytes], now: float) -> None:
        pair = self._pairs.setdefault(peer.fingerprint, _Pair(now))
        if having and now < pair.since + SETTLED_S:
            return
        wanted = [planet for planet in self.planets.live() if planet.fingerprint not in having]
        is_alone = len(having) < ENOUGH and now >= pair.since + PATIENCE_S
        is_alone = is_alone or not having
        for planet in wanted:
            if planet.fingerprint != self.planets.home and not is_alone:
                continue
            if now >= pair.asked.get(planet.fingerprint, float("-inf")) + AGAIN_S:
                pair.asked[planet.fingerprint] = now
                self.core.send(planet, RelayRequest(peer=peer.fingerprint), now)
                return
