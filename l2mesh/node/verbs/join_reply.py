"""JOIN_REPLY: the controller's answer, at once or whenever an operator has decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.network.join import JoinState
from l2mesh.node import port
from l2mesh.node.peer import Peer
from l2mesh.wire.message import JoinReply

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, reply: JoinReply, now: float) -> None:
    """An explicit refusal closes the port; anything else leaves a member what it is."""
    joined = networks.from_controller(peer, reply.network)
    if joined is None:
        return
    changed = joined.join.receive_reply(reply.status, reply.reason)
    match joined.join.state:
        case JoinState.MEMBER:
            joined.token = None
            networks.refresh(joined)
            networks.candidates.offer(peer, now)
        case JoinState.DENIED | JoinState.NOT_FOUND:
            _expel_all(networks, reply.network, now)
            port.close(networks.core, joined)
        case _:
            pass
    if changed:
        networks.keep(joined)


def _expel_all(networks: Networks, network: int, now: float) -> None:
    joined = networks.joined[network]
    for fingerprint in list(joined.meetings.accepted):
        networks.run(joined, joined.meetings.expel(fingerprint), now)
