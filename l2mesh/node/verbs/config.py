"""CONFIG: the network's signed settings; the highest revision wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.node.peer import Peer
from l2mesh.wire.message import Config

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, message: Config, now: float) -> None:
    """Take it over if it is newer, and bring the device to it."""
    joined = networks.from_controller(peer, message.network)
    if joined is None:
        return
    try:
        changed = joined.state.take_config(message.object)
    except (CryptoError, MalformedPacket):
        networks.core.refuse("bad_config")
        return
    if changed:
        networks.refresh(joined)
