"""Updates of the world, from whoever has one to whoever has none (section 7.5).

Peers that know each other say which revision they hold, when they meet and when theirs changes.
Who holds a newer one sends it; who holds an older one answers with what it holds. An update counts
by its signatures alone, so it does not matter from whom it comes. It never goes back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.credential.world import World
from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.node.core import Core
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.wire.message import HaveWorld, WorldUpdate

__all__ = ["Worlds"]

log = logging.getLogger(__name__)

CHECKS_A_SECOND: Final = 2.0
CHECKS_BURST: Final = 8.0
"""Updates whose signatures are looked at: each costs some milliseconds."""


@dataclass(slots=True, eq=False)
class Worlds(Part):
    """Tells of our world and takes newer ones."""

    core: Core
    planets: Planets
    _sent: dict[bytes, int] = field(default_factory=dict)
    """peer -> the revision that it was sent in this session"""
    _checks: TokenBucket = field(
        default_factory=lambda: TokenBucket(CHECKS_A_SECOND, CHECKS_BURST, 0.0)
    )

    def handlers(self) -> dict[type, Handler]:
        return {HaveWorld: self.receive_have, WorldUpdate: self.receive_update}

    def adopted(self, now: float) -> None:
        """Our world is new: everybody who has a session with us hears of it."""
        for peer in list(self.core.peers.values()):
            if peer.is_live and self.core.knows(peer):
                self._tell(peer, now)

    # --- verbs ----------------------------------------------------------------------------------

    def receive_have(self, peer: Peer, have: HaveWorld, now: float) -> None:
        """A peer says what it holds: one of us may have something for the other."""
        ours = self.planets.world
        if ours is None or not self.core.knows(peer):
            return
        if have.id != ours.id:
            self.core.refuse("foreign_world")
        elif have.revision > ours.revision:
            self._tell(peer, now)
        elif have.revision < ours.revision and self._sent.get(peer.fingerprint) != ours.revision:
            self._sent[peer.fingerprint] = ours.revision
            self.core.send(peer, WorldUpdate(ours.encode()), now)

    def receive_update(self, peer: Peer, update: WorldUpdate, now: float) -> None:
        """A peer has a newer world, as it says."""
        held = self.planets.world
        if held is None or not self.core.knows(peer) or not self._checks.take(now):
            self.core.refuse("world_unasked")
            return
        try:
            world = World.parse(update.object, self.core.settings.crypto)
        except (CryptoError, MalformedPacket):
            self.core.refuse("bad_world")
            return
        if world.is_update_of(held):
            log.info("world updated: revision=%d", world.revision)
            self.planets.adopt(world, now)
        elif world.id == held.id and world.revision == held.revision:
            return  # several peers have sent it
        else:
            self.core.refuse("old_world" if world.revision < held.revision else "unsigned_world")

    # --- hooks ----------------------------------------------------------------------------------

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        if initiator and len(peer.channels) == 1 and self.core.knows(peer):
            self._tell(peer, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        self._sent.pop(peer.fingerprint, None)

    def peer_removed(self, peer: Peer, now: float) -> None:
        self._sent.pop(peer.fingerprint, None)

    # --- inside ---------------------------------------------------------------------------------

    def _tell(self, peer: Peer, now: float) -> None:
        world = self.planets.world
        if world is not None:
            self.core.send(peer, HaveWorld(world.id, world.revision), now)
