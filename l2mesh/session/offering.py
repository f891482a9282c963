"""How one end shakes hands with one peer: its identity, ciphers and what it announces.

Protocol section 3: an offer names the receive index for control, and as many other receive indices
as the datagram has room for; the others are told by INDICES once the session is live.
"""

from dataclasses import dataclass

from l2mesh.crypto import Cipher, Crypto, Random
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.session.connecting import Connecting
from l2mesh.session.handshake import (
    Established,
    Initiation,
    Offer,
    OpenedInit,
    Role,
    respond,
    room_in_init,
    room_in_response,
)
from l2mesh.session.session import LANE
from l2mesh.wire.handshake import Announcement


@dataclass(frozen=True, slots=True)
class Offering:
    """What all handshakes of one end with one peer have in common."""

    local: Identity
    peer: PublicIdentity
    role: Role
    """The one in which we address the peer."""
    crypto: Crypto
    random: Random
    ciphers: frozenset[Cipher]
    software: str = ""
    """What we say we run."""
    lanes: int = 1
    """With how many lanes we would send."""

    def initiate(self, connecting: Connecting, cookie: bytes | None) -> Initiation:
        """Another INIT. CryptoError where the peer's key is of low order."""
        announcements = connecting.announcements(room_in_init(self.software, self.lanes))
        return Initiation(
            local=self.local,
            peer=self.peer,
            role=self.role,
            crypto=self.crypto,
            random=self.random,
            offer=self._offer(connecting.control_index, announcements),
            cookie=cookie,
        )

    def answer(
        self, opened: OpenedInit, control_index: int, receive: dict[int, int]
    ) -> tuple[bytes, Established, tuple[Announcement, ...]]:
        """The RESPONSE, what is shared from then on, and which of ``receive`` it announced.

        HandshakeError without a common cipher.
        """
        room = room_in_response(opened, self.software, self.lanes)
        announcements = tuple(
            Announcement(network, LANE, index) for network, index in list(receive.items())[:room]
        )
        offer = self._offer(control_index, announcements)
        return *respond(opened, local=self.local, offer=offer), announcements

    def _offer(self, control_index: int, announcements: tuple[Announcement, ...]) -> Offer:
        return Offer(
            ciphers=self.ciphers,
            control_index=control_index,
            announcements=announcements,
            software=self.software,
            lanes=self.lanes,
        )
