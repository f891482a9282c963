"""Messages between bridges of one network, and from them to all members (section 10.1)."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from l2mesh.wire.fields import Fingerprint, Network

__all__ = ["MAX_RELEARNED", "Relearn", "Sighted", "SightingConfirmed", "Vlan"]

MAX_RELEARNED: Final = 16
TAG_BYTES: Final = 16

Vlan = Annotated[int, Meta(ge=0, le=4095)]
Tag = Annotated[bytes, Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]


class Sighted(Struct, frozen=True):
    """I heard a beacon in this VLAN; `tag` proves to its sender, and to nobody else, which."""

    VERB: ClassVar[int] = 0x38
    network: Network
    vlan: Vlan
    tag: Tag


class SightingConfirmed(Struct, frozen=True):
    """That beacon was mine; `tag` proves it."""

    VERB: ClassVar[int] = 0x39
    network: Network
    vlan: Vlan
    tag: Tag


class Relearn(Struct, frozen=True):
    """Forget what you learned behind these members: their LAN is reached by another now."""

    VERB: ClassVar[int] = 0x3A
    network: Network
    behind: Annotated[tuple[Fingerprint, ...], Meta(min_length=1, max_length=MAX_RELEARNED)]
