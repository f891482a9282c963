"""REFUSE: a peer does not accept us in a network; it does not say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.node.peer import Peer
from l2mesh.wire.message import Refuse

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, refuse: Refuse, now: float) -> None:
    """Counted. The next frame for the peer asks for a session, and so for another meeting."""
    joined = networks.joined.get(refuse.network)
    if joined is not None:
        networks.core.refuse("refused_by_peer")
        joined.meetings.forget(peer.fingerprint)
