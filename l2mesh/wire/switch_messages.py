"""Messages about the switch: of bridges (section 10.1), and about IP groups (section 10.2)."""

from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from l2mesh.errors import MalformedPacket
from l2mesh.wire.fields import Fingerprint, Network, Revision

__all__ = [
    "MAX_LISTED",
    "MAX_RELEARNED",
    "MAX_WANTED",
    "Listed",
    "Relearn",
    "Sighted",
    "SightingConfirmed",
    "Vlan",
    "WantedGroup",
    "WantedGroups",
]

MAX_RELEARNED: Final = 16
MAX_LISTED: Final = 256
MAX_WANTED: Final = 1024
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


class Listed(NamedTuple):
    """In this VLAN, for IP `version`, I want the groups that I name, and reports or not."""

    vlan: Vlan
    version: Literal[4, 6]
    reports: bool


class WantedGroup(NamedTuple):
    """A group of 4 or 16 bytes."""

    vlan: Vlan
    group: Annotated[bytes, Meta(min_length=4, max_length=16)]


class WantedGroups(Struct, frozen=True):
    """All that my port wants of IP groups; in VLANs that are not listed it wants everything.

    `revision` rises with each such message to one peer in one session.
    """

    VERB: ClassVar[int] = 0x3B
    network: Network
    revision: Revision
    listed: Annotated[tuple[Listed, ...], Meta(max_length=MAX_LISTED)]
    groups: Annotated[tuple[WantedGroup, ...], Meta(max_length=MAX_WANTED)]

    def __post_init__(self) -> None:
        if not all(_is_group(each.group) for each in self.groups):
            raise MalformedPacket("what is wanted is no IP group")


def _is_group(group: bytes) -> bool:
    """224.0.0.0/4 or ff00::/8."""
    return (len(group), group[0] >> 4) == (4, 0xE) or (len(group), group[0]) == (16, 0xFF)
