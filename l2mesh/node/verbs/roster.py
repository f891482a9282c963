"""ROSTER: who else is a member, as a delta from the revision that we hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.node import port
from l2mesh.node.joined import Joined
from l2mesh.node.peer import Peer
from l2mesh.node.verbs import join
from l2mesh.wire.message import Roster

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, message: Roster, now: float) -> None:
    """Apply the delta. Base 0 is a whole roster; a base that we do not hold asks for one."""
    joined = networks.from_controller(peer, message.network)
    if joined is None:
        return
    roster = joined.state.roster
    if message.base == 0:
        told = {public for _, public in message.members}
        gone = [entry for entry in roster if entry.public.encode() not in told]
        _remove(networks, joined, [entry.credential.fingerprint for entry in gone], now)
    elif message.base != roster.revision:
        roster.revision = 0
        join.ask(networks, joined, peer, now)
        return
    for data, public in message.members:
        _put(networks, joined, data, public, now)
    _remove(networks, joined, message.removed, now)
    roster.revision = message.revision
    networks.keep_roster(joined, now)


def _put(networks: Networks, joined: Joined, data: bytes, public: bytes, now: float) -> None:
    try:
        entry = joined.state.roster_entry(data, public)
    except (CryptoError, MalformedPacket):
        networks.core.refuse("bad_roster_entry")
        return
    if joined.state.roster.put(entry):
        port.set_member(networks.core, joined, entry.credential)
        fingerprint, credential = entry.credential.fingerprint, entry.credential
        networks.run(joined, joined.meetings.credential_changed(fingerprint, credential), now)


def _remove(networks: Networks, joined: Joined, fingerprints: Iterable[bytes], now: float) -> None:
    for entry in joined.state.roster.remove(fingerprints):
        fingerprint = entry.credential.fingerprint
        port.remove_member(networks.core, joined, fingerprint)
        networks.run(joined, joined.meetings.expel(fingerprint), now)
