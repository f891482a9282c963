"""Messages between the planets of a world: relays whose ends are at two of them (section 7.6)."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from l2mesh.wire.fields import Fingerprint, PublicBytes, RelayId

__all__ = ["LinkAnswer", "LinkGone", "LinkRequest"]

MAX_LINKS: Final = 1024
"""Named by one LINK_GONE."""


class LinkRequest(Struct, frozen=True):
    """My client `asker` wants a relay, which would have this id, to `peer` if that is yours."""

    VERB: ClassVar[int] = 0x1A
    relay: RelayId
    asker: PublicBytes
    peer: Fingerprint


class LinkAnswer(Struct, frozen=True):
    """Whether the peer is here and has taken the offer."""

    VERB: ClassVar[int] = 0x1B
    relay: RelayId
    accept: bool


class LinkGone(Struct, frozen=True):
    """These relays between us forward no more."""

    VERB: ClassVar[int] = 0x1C
    relays: Annotated[tuple[RelayId, ...], Meta(max_length=MAX_LINKS)]
