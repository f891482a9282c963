"""MEET: a peer shows its credential for a network (section 8.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.node.peer import Peer
from l2mesh.wire.message import Meet, Refuse

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, meet: Meet, now: float) -> None:
    """A network that we are not in, and a credential that does not count, get the same answer."""
    joined = networks.joined.get(meet.network)
    session = peer.sessions.current
    if joined is None or joined.port is None or session is None:
        networks.core.send(peer, Refuse(network=meet.network), now)
        return
    unix_now = networks.core.settings.unix_now()
    actions = joined.meetings.receive_meet(
        peer.fingerprint, session, meet, now=now, unix_now=unix_now
    )
    networks.run(joined, actions, now)
    is_accepted = peer.fingerprint in joined.meetings.accepted
    if is_accepted and joined.generations.get(peer.fingerprint, 0) != meet.generation:
        joined.generations[peer.fingerprint] = meet.generation
        joined.tellings += 1
