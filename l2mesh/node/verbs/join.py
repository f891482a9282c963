"""JOIN, our side: ask the controller for membership, saying what we hold already (section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.node.joined import Joined
from l2mesh.node.peer import Peer
from l2mesh.wire.message import Join

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["ask"]


def ask(networks: Networks, joined: Joined, peer: Peer, now: float) -> None:
    """Once in every session with the controller."""
    state = joined.state
    held_epoch = state.revocations.minimum_epoch if state.revocations is not None else 0
    own_epoch = state.credential.epoch if state.credential is not None else 0
    message = Join(
        network=joined.network,
        name=networks.name,
        token=joined.token,
        config=state.config.revision if state.config is not None else 0,
        roster=state.roster.revision,
        serial=state.credential.serial if state.credential is not None else 0,
        epoch=max(held_epoch, own_epoch),
        revocations=state.revocation_revision,
    )
    networks.core.send(peer, message, now)
