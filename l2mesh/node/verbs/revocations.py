"""REVOCATIONS: what does not count any more, from the controller or any member that knows more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.errors import CryptoError, MalformedPacket, StateError
from l2mesh.node.peer import Peer
from l2mesh.wire.message import Revocations

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, message: Revocations, now: float) -> None:
    """Who brings them does not matter, the signature does. Then everybody is judged again."""
    joined = networks.joined.get(message.network)
    if joined is None:
        return
    try:
        changed = joined.state.take_revocations(message.object)
    except (CryptoError, MalformedPacket, StateError):
        networks.core.refuse("bad_revocations")
        return
    if not changed:
        return
    networks.refresh(joined)
    unix_now = networks.core.settings.unix_now()
    networks.run(joined, joined.meetings.revocations_changed(now, unix_now), now)
