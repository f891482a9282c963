"""INDICES: an accepted peer says on which indices it receives a network's frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.node.peer import Peer
from l2mesh.wire.message import Indices

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, message: Indices, now: float) -> None:
    """Frames may flow to it from now on; an empty list means that it has left the network.

    The indices are those of the session that carried the message, whichever is the current one.
    """
    joined = networks.joined.get(message.network)
    if joined is None:
        return
    if not message.indices:
        networks.part_from(joined, peer, now)
        return
    peer.sessions.announced(peer.hearing, message.network, message.indices, now)
    networks.core.touch(peer, now)
    networks.met(joined, peer, now)
