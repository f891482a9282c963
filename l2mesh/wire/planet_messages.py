"""Messages between a node and a planet: the directory (section 7.2) and relays (section 7.3)."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from l2mesh.wire.fields import Address, Fingerprint, PublicBytes, RelayId

__all__ = [
    "MAX_CLAIMS",
    "MAX_RELAYS",
    "Draining",
    "RelayAnswer",
    "RelayFailed",
    "RelayFailure",
    "RelayGone",
    "RelayOffer",
    "RelayReady",
    "RelayRenew",
    "RelayRequest",
    "Whois",
    "WhoisReply",
]

MAX_CLAIMS: Final = 4
"""Identities that a directory keeps for one address."""
MAX_RELAYS: Final = 1024
"""Relays of one client at one planet."""


class Whois(Struct, frozen=True):
    """Node to planet: who claims this address?"""

    VERB: ClassVar[int] = 0x10
    address: Address


class WhoisReply(Struct, frozen=True):
    """Planet to node: the public identities that claim the address, oldest first."""

    VERB: ClassVar[int] = 0x11
    address: Address
    claims: Annotated[tuple[PublicBytes, ...], Meta(max_length=MAX_CLAIMS)]


class RelayRequest(Struct, frozen=True):
    """Node to planet: relay between me and the node with fingerprint `peer`."""

    VERB: ClassVar[int] = 0x12
    peer: Fingerprint


class RelayOffer(Struct, frozen=True):
    """Planet to node: the identity `peer` asks for a relay, which would have this id."""

    VERB: ClassVar[int] = 0x13
    relay: RelayId
    peer: PublicBytes


class RelayAnswer(Struct, frozen=True):
    """Node to planet: whether we take the offer."""

    VERB: ClassVar[int] = 0x14
    relay: RelayId
    accept: bool


class RelayReady(Struct, frozen=True):
    """Planet to both: datagrams of this id now reach `peer` (fingerprint)."""

    VERB: ClassVar[int] = 0x15
    relay: RelayId
    peer: Fingerprint


class RelayFailure(StrEnum):
    """Why there is no relay."""

    ABSENT = "absent"
    REFUSED = "refused"
    LIMIT = "limit"


class RelayFailed(Struct, frozen=True):
    """Planet to node: no relay to `peer` (fingerprint), and why."""

    VERB: ClassVar[int] = 0x16
    peer: Fingerprint
    reason: RelayFailure


class RelayRenew(Struct, frozen=True):
    """Node to planet, every 30 s: these relays are still used."""

    VERB: ClassVar[int] = 0x17
    relays: Annotated[tuple[RelayId, ...], Meta(max_length=MAX_RELAYS)]


class RelayGone(Struct, frozen=True):
    """Planet to node: these relays forward no more."""

    VERB: ClassVar[int] = 0x18
    relays: Annotated[tuple[RelayId, ...], Meta(max_length=MAX_RELAYS)]


class Draining(Struct, frozen=True):
    """Planet to node: whether I am about to stop, so that you go elsewhere while there is time."""

    VERB: ClassVar[int] = 0x19
    draining: bool
