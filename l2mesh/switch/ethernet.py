"""What a switch reads of an Ethernet frame: the addresses, the VLAN and where the payload begins.

::

     0  6   destination MAC
     6  6   source MAC
    12  4   802.1Q tag: 0x8100 or 0x88a8 u16 | priority and VID u16   (up to two of them)
    ..  2   ethertype
    ..      payload

Ethertypes from the IEEE registry, tags from IEEE 802.1Q-2022 clause 9, reserved groups from its
clause 8.6.3. A third tag is payload to us.
"""

import enum
from struct import Struct
from typing import Final, NamedTuple

HEADER_BYTES: Final = 14
TAG_BYTES: Final = 4
MAX_TAGS: Final = 2

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_IPV6: Final = 0x86DD
ETHERTYPE_QINQ: Final = 0x88A8

BROADCAST: Final = b"\xff" * 6
_LINK_LOCAL_PREFIX: Final = bytes.fromhex("0180c20000")
_LINK_LOCAL_LAST: Final = 0x0F
MAC_CONTROL: Final = frozenset({_LINK_LOCAL_PREFIX + b"\x01", _LINK_LOCAL_PREFIX + b"\x04"})
"""Of the link alone, as PAUSE: no relay of any kind passes them on, IEEE 802.1Q-2022 tables 8-1 to
8-3."""
_DISCOVERY: Final = frozenset(
    bytes.fromhex(mac)
    for mac in (
        "01005e0000fb",  # mDNS, 224.0.0.251
        "01005e0000fc",  # LLMNR, 224.0.0.252
        "01005e7ffffa",  # SSDP, 239.255.255.250
        "3333000000fb",  # mDNS, ff02::fb
        "333300010003",  # LLMNR, ff02::1:3
        "33330000000c",  # SSDP, ff02::c and ff05::c
    )
)
_MAX_PAYLOAD_OFFSET: Final = HEADER_BYTES + MAX_TAGS * TAG_BYTES
_GROUP_BIT: Final = 1
_VID_MASK: Final = 0x0FFF
_NO_MAC: Final = bytes(6)

_ethertype_at = Struct(">H").unpack_from
_tag_at = Struct(">HH").unpack_from


class Header(NamedTuple):
    """What the tags say: `vlan` is 0 for untagged and priority-tagged frames."""

    vlan: int
    """VID of the outer tag, 0 to 4095."""
    ethertype: int
    """The one behind the tags."""
    payload: int
    """Offset of what follows the ethertype: 14, 18 or 22 bytes."""


class Class(enum.Enum):
    """Where a destination MAC points to, as limits and flooding see it."""

    UNICAST = enum.auto()
    BROADCAST = enum.auto()
    ARP = enum.auto()
    """Of those to everybody: ethertype 0x0806."""
    MULTICAST = enum.auto()
    ND = enum.auto()
    """Of those to groups: neighbour discovery (RFC 4861), which only a look inside tells."""
    DISCOVERY = enum.auto()
    """Of those to groups: mDNS (RFC 6762), LLMNR (RFC 4795) and SSDP, told by the group's MAC."""
    LINK_LOCAL = enum.auto()
    """01-80-C2-00-00-00..0F: meant for the neighbour on the wire; a bridge keeps it."""


def parse_header(frame: bytes) -> Header | None:
    """The header, or None for a frame that ends inside it."""
    length = len(frame)
    if length < HEADER_BYTES:
        return None
    (ethertype,) = _ethertype_at(frame, 12)
    payload, vlan = HEADER_BYTES, 0
    while ethertype in (ETHERTYPE_VLAN, ETHERTYPE_QINQ) and payload < _MAX_PAYLOAD_OFFSET:
        if length < payload + TAG_BYTES:
            return None
        control, ethertype = _tag_at(frame, payload)
        if payload == HEADER_BYTES:
            vlan = control & _VID_MASK
        payload += TAG_BYTES
    return Header(vlan, ethertype, payload)


def classify(destination: bytes, ethertype: int) -> Class:
    """The class of a destination MAC of 6 bytes. ND counts as MULTICAST here."""
    if not destination[0] & _GROUP_BIT:
        return Class.UNICAST
    if destination == BROADCAST:
        return Class.ARP if ethertype == ETHERTYPE_ARP else Class.BROADCAST
    if destination[:5] == _LINK_LOCAL_PREFIX and destination[5] <= _LINK_LOCAL_LAST:
        return Class.LINK_LOCAL
    return Class.DISCOVERY if destination in _DISCOVERY else Class.MULTICAST


def is_learnable(source: bytes) -> bool:
    """Whether a source MAC names one station: neither a group nor all zero."""
    return not source[0] & _GROUP_BIT and source != _NO_MAC
