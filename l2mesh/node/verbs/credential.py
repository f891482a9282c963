"""CREDENTIAL: our own membership, signed; the highest serial wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.node.joined import Joined
from l2mesh.node.peer import Peer
from l2mesh.wire.message import Credential

if TYPE_CHECKING:
    from l2mesh.node.networks import Networks

__all__ = ["handle"]


def handle(networks: Networks, peer: Peer, message: Credential, now: float) -> None:
    """Take it over if it is newer, and show it to everybody we have met."""
    joined = networks.from_controller(peer, message.network)
    if joined is None:
        return
    before = joined.state.credential
    try:
        changed = joined.state.take_credential(
            message.object, networks.core.settings.identity.public.fingerprint
        )
    except (CryptoError, MalformedPacket):
        networks.core.refuse("bad_credential")
        return
    if changed:
        networks.refresh(joined)
        if before is not None:
            _meet_again(networks, joined, now)


def _meet_again(networks: Networks, joined: Joined, now: float) -> None:
    """Our MAC or rights may have changed: new indices are announced with the new credential."""
    for fingerprint in list(joined.meetings.accepted):
        peer = networks.core.peers.get(fingerprint)
        joined.meetings.forget(fingerprint)
        if peer is not None and peer.sessions.current is not None:
            networks.run(joined, joined.meetings.open(fingerprint, peer.sessions.current, now), now)
