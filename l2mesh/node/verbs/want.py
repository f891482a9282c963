"""WANT: a member asks for newer revocations than it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.node.peer import Peer
from l2mesh.wire.message import Want

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, want: Want, now: float) -> None:
    """Answered with REVOCATIONS if we hold newer ones. They are signed and name no secrets."""
    joined = networks.joined.get(want.network)
    if joined is None or not networks.knows(peer):
        return
    networks.run(joined, joined.meetings.receive_want(peer.fingerprint, want.revocations), now)
