"""Planets that are about to stop, or that the world names no more (section 7.7).

Members that carry for us say so, too, when they carry no more (section 7.8).

Nobody is asked there as long as another planet answers. Relays at such a planet are avoided: each
pair gets one elsewhere (`Spares`), moves to it once that has answered, and the old one runs out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from l2mesh.node.core import Core
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.node.relays import Relays
from l2mesh.wire.message import Draining

__all__ = ["Drains"]

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Drains(Part):
    """Keeps `Planets.draining`, and has the relays there avoided."""

    core: Core
    planets: Planets
    relays: Relays

    def handlers(self) -> dict[type, Handler]:
        return {Draining: self.receive}

    def receive(self, carrier: Peer, message: Draining, now: float) -> None:
        """A planet begins to drain, or serves again, or a member carries us no more. Nobody else is
        heard."""
        carriers = {leg.carrier for leg in self.relays.legs.values()}
        if carrier.fingerprint not in carriers and not self.planets.is_planet(carrier.fingerprint):
            self.core.refuse("no_planet")
            return
        address = self.core.address(carrier.fingerprint).hex()
        log.info("%s: peer=%s", "drains" if message.draining else "serves again", address)
        self._set(carrier.fingerprint, now, draining=message.draining)

    def world_adopted(self, now: float) -> None:
        """Planets that the world names no more are as good as draining."""
        for fingerprint in self.planets.leaving:
            self._set(fingerprint, now, draining=True)

    def session_lost(self, peer: Peer, now: float) -> None:
        self.planets.draining.discard(peer.fingerprint)  # started anew, it may serve again

    def peer_removed(self, peer: Peer, now: float) -> None:
        self.planets.draining.discard(peer.fingerprint)

    def _set(self, carrier: bytes, now: float, *, draining: bool) -> None:
        if draining:
            self.planets.draining.add(carrier)
        else:
            self.planets.draining.discard(carrier)
        for relay, leg in self.relays.legs.items():
            peer = self.core.peers.get(leg.peer)
            if leg.carrier == carrier and peer is not None:
                peer.paths.avoid_relay(relay, now, avoided=draining)
                self.core.touch(peer, now)
        for hear in self.planets.on_drained:
            hear(now)
