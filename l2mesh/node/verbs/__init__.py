"""One verb, one file: what a message about networks does when it arrives.

Every ``handle`` takes the networks of the node, the peer that sent the message over its session,
the decoded message and the time. Verbs of planets and relays stand with their machines
(``planets.py``, ``relays.py``, ``candidates.py``).
"""

from __future__ import annotations

from typing import Any, Final

from l2mesh.node.verbs import (
    config,
    credential,
    indices,
    join_reply,
    meet,
    refuse,
    revocations,
    roster,
    want,
)
from l2mesh.wire import message

__all__ = ["TABLE"]

TABLE: Final[dict[type, Any]] = {
    message.Config: config.handle,
    message.Credential: credential.handle,
    message.Indices: indices.handle,
    message.JoinReply: join_reply.handle,
    message.Meet: meet.handle,
    message.Refuse: refuse.handle,
    message.Revocations: revocations.handle,
    message.Roster: roster.handle,
    message.Want: want.handle,
}
"""Message type -> ``handle(networks, peer, message, now)``."""
