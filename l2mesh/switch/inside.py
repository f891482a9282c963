"""What a frame says inside, as far as guards and limits judge it.

Read are ARP (RFC 826), the five messages of neighbour discovery (RFC 4861), DHCP (RFC 2131, 8415)
as far as it takes to know a server's message, IGMP (RFC 2236, 3376) and MLD (RFC 2710, 3810) as far
as it takes to tell a query from a report, PIM (RFC 7761) as far as it takes to know a hello, and of
any other IP packet its source address.
The work is bounded: at most 8 extension headers and 64 options. What no host would take for valid
IP is `PLAIN`; what one might take but we cannot judge, as neighbour discovery in fragments (which
RFC 6980 forbids) or a header chain that goes on in the next fragment (RFC 7112), is `HIDDEN`.
"""

import enum
from struct import Struct
from typing import Final, NamedTuple

from l2mesh.switch.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header

MAX_EXTENSIONS: Final = 8
MAX_OPTIONS: Final = 64

_ARP_HARDWARE: Final = frozenset({1, 6})
"""Ethernet and IEEE 802, which hosts on Ethernet take for the same."""
_ARP_HEAD_BYTES: Final = 8
_ARP_BYTES: Final = 28
_ARP_SIZES: Final = (6, 4)
_REQUEST: Final = 1

_VERSION_4: Final = 4
_VERSION_6: Final = 6
_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_OFFSET_MASK: Final = 0x1FFF
_IGMP: Final = 2
_UDP: Final = 17
_UDP_BYTES: Final = 8
_ICMPV6: Final = 58
_PIM: Final = 103
_HELLO: Final = 0x20
"""First byte of a PIM hello: version 2, type 0."""
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_EXTENSIONS: Final = frozenset({0, 43, 60, 135, _FRAGMENT, _AUTHENTICATION})
"""Hop-by-hop, routing, destination options, mobility."""

_BOOTP_SERVER: Final = 67
_BOOTP_CLIENT: Final = 68
_BOOTREQUEST: Final = 1
_DHCP6_CLIENT: Final = 546
_DHCP6_SERVER: Final = 547
_DHCP6_FROM_SERVER: Final = frozenset({2, 7, 10, 13})
"""ADVERTISE, REPLY, RECONFIGURE, RELAY-REPL."""

_SOURCE_MAC: Final = 1
_TARGET_MAC: Final = 2
_OPTION_BYTES: Final = 8

_u16 = Struct(">H").unpack_from
_two_u16 = Struct(">HH").unpack_from


class Kind(enum.Enum):
    """What is inside."""

    PLAIN = enum.auto()
    """Nothing that is judged."""
    IP = enum.auto()
    """A packet of which only the source address is judged."""
    ARP_REQUEST = enum.auto()
    ARP_OTHER = enum.auto()
    """A reply, most likely."""
    BAD_ARP = enum.auto()
    """For IPv4 on Ethernet, but of wrong length."""
    SOLICITATION = enum.auto()
    """A neighbour is asked for."""
    ADVERTISEMENT = enum.auto()
    """A neighbour tells of itself."""
    ROUTER_SOLICITATION = enum.auto()
    ROUTER_ADVERTISEMENT = enum.auto()
    REDIRECT = enum.auto()
    HIDDEN = enum.auto()
    """Malformed neighbour discovery, or what could be such."""
    DHCP_SERVER = enum.auto()
    """What only servers and their relays send."""
    GROUP_QUERY = enum.auto()
    """IGMP or MLD: who wants which group?"""
    GROUP_REPORT = enum.auto()
    """IGMP or MLD: this host wants a group, or wants it no longer."""
    PIM_HELLO = enum.auto()
    """A multicast router is there."""


ARP: Final = frozenset({Kind.ARP_REQUEST, Kind.ARP_OTHER})
GROUP_TALK: Final = frozenset({Kind.GROUP_QUERY, Kind.GROUP_REPORT, Kind.PIM_HELLO})
ND: Final = frozenset(
    {
        Kind.SOLICITATION,
        Kind.ADVERTISEMENT,
        Kind.ROUTER_SOLICITATION,
        Kind.ROUTER_ADVERTISEMENT,
        Kind.REDIRECT,
    }
)

_ND: Final = {
    133: (Kind.ROUTER_SOLICITATION, 8, _SOURCE_MAC),
    134: (Kind.ROUTER_ADVERTISEMENT, 16, _SOURCE_MAC),
    135: (Kind.SOLICITATION, 24, _SOURCE_MAC),
    136: (Kind.ADVERTISEMENT, 24, _TARGET_MAC),
    137: (Kind.REDIRECT, 40, 0),
}
"""ICMPv6 type -> (kind, bytes before the options, option that tells the sender's MAC)."""
_IGMP_KINDS: Final = {
    0x11: Kind.GROUP_QUERY,
    0x12: Kind.GROUP_REPORT,
    0x16: Kind.GROUP_REPORT,
    0x17: Kind.GROUP_REPORT,
    0x22: Kind.GROUP_REPORT,
}
_MLD_KINDS: Final = {
    130: Kind.GROUP_QUERY,
    131: Kind.GROUP_REPORT,
    132: Kind.GROUP_REPORT,
    143: Kind.GROUP_REPORT,
}
"""Type of an IGMP or ICMPv6 message -> kind."""


class Inside(NamedTuple):
    """What is told. Addresses are of 4 or 16 bytes, MACs of 6; empty where there are none."""

    kind: Kind
    sender: bytes = b""
    """IP address of who says it."""
    target: bytes = b""
    """IP address that an ARP, a solicitation or an advertisement is about."""
    told: bytes = b""
    """MAC that others shall believe to be the sender's, or the target's of an advertisement."""

    def claim(self) -> tuple[bytes, bytes] | None:
        """The IP address, and the MAC, that a station says are its own."""
        if self.kind in ARP and any(self.sender):
            return self.sender, self.told
        if self.kind is Kind.ADVERTISEMENT and self.told:
            return self.target, self.told
        return None


_PLAIN: Final = Inside(Kind.PLAIN)
_BAD_ARP: Final = Inside(Kind.BAD_ARP)


def look_inside(frame: bytes, header: Header) -> Inside:
    """What the payload behind `header` says; total for any bytes."""
    at = header.payload
    if header.ethertype == ETHERTYPE_IPV4:
        return _in_ipv4(frame, at)
    if header.ethertype == ETHERTYPE_IPV6:
        return _in_ipv6(frame, at)
    if header.ethertype == ETHERTYPE_ARP:
        return _in_arp(frame, at)
    return _PLAIN


def _in_arp(frame: bytes, at: int) -> Inside:
    if len(frame) < at + _ARP_HEAD_BYTES:
        return _BAD_ARP
    hardware, protocol = _two_u16(frame, at)
    if hardware not in _ARP_HARDWARE or protocol != ETHERTYPE_IPV4:
        return _PLAIN
    if (frame[at + 4], frame[at + 5]) != _ARP_SIZES or len(frame) < at + _ARP_BYTES:
        return _BAD_ARP
    (operation,) = _u16(frame, at + 6)
    return Inside(
        Kind.ARP_REQUEST if operation == _REQUEST else Kind.ARP_OTHER,
        sender=frame[at + 14 : at + 18],
        target=frame[at + 24 : at + 28],
        told=frame[at + 8 : at + 14],
    )


def _in_ipv4(frame: bytes, at: int) -> Inside:
    if len(frame) < at + _IPV4_BYTES or frame[at] >> 4 != _VERSION_4:
        return _PLAIN
    header = (frame[at] & 0x0F) * 4
    if header < _IPV4_BYTES:
        return _PLAIN
    sender = frame[at + 12 : at + 16]
    kind, l4 = Kind.IP, at + header
    (fragment,) = _u16(frame, at + 6)
    if fragment & _OFFSET_MASK:
        return Inside(kind, sender)
    if frame[at + 9] == _UDP and _is_dhcp4(frame, l4):
        kind = Kind.DHCP_SERVER
    elif frame[at + 9] == _IGMP and len(frame) > l4:
        kind = _IGMP_KINDS.get(frame[l4], kind)
    elif frame[at + 9] == _PIM and len(frame) > l4 and frame[l4] == _HELLO:
        kind = Kind.PIM_HELLO
    return Inside(kind, sender)


def _is_dhcp4(frame: bytes, udp: int) -> bool:
    """Whether a server or relay sends it, for all that this fragment shows."""
    if len(frame) < udp + 4:
        return False
    source, destination = _two_u16(frame, udp)
    if destination == _BOOTP_CLIENT:
        return True
    if (source, destination) != (_BOOTP_SERVER, _BOOTP_SERVER):
        return False
    return frame[udp + _UDP_BYTES : udp + _UDP_BYTES + 1] != bytes((_BOOTREQUEST,))


def _in_ipv6(frame: bytes, at: int) -> Inside:
    if len(frame) < at + _IPV6_BYTES or frame[at] >> 4 != _VERSION_6:
        return _PLAIN
    sender = frame[at + 8 : at + 24]
    protocol, cursor, is_fragment = frame[at + 6], at + _IPV6_BYTES, False
    extensions = 0
    while protocol in _EXTENSIONS:
        extensions += 1
        if extensions > MAX_EXTENSIONS or len(frame) < cursor + 8:
            return Inside(Kind.HIDDEN, sender)
        if protocol == _FRAGMENT:
            if _u16(frame, cursor + 2)[0] >> 3:
                return Inside(Kind.IP, sender)  # what it continues has been judged
            is_fragment, size = True, 8
        elif protocol == _AUTHENTICATION:
            size = (frame[cursor + 1] + 2) * 4
        else:
            size = (frame[cursor + 1] + 1) * 8
        protocol = frame[cursor]
        cursor += size
    if protocol == _UDP:
        return Inside(_udp6_kind(frame, cursor), sender)
    if protocol == _ICMPV6:
        end = at + _IPV6_BYTES + _u16(frame, at + 4)[0]
        return _in_icmpv6(frame, cursor, end, sender, is_fragment=is_fragment)
    is_hello = protocol == _PIM and len(frame) > cursor and frame[cursor] == _HELLO
    return Inside(Kind.PIM_HELLO if is_hello else Kind.IP, sender)


def _udp6_kind(frame: bytes, udp: int) -> Kind:
    if len(frame) < udp + 4:
        return Kind.HIDDEN
    destination = _u16(frame, udp + 2)[0]
    if destination == _DHCP6_CLIENT:
        return Kind.DHCP_SERVER
    if destination != _DHCP6_SERVER:
        return Kind.IP
    if len(frame) <= udp + _UDP_BYTES:
        return Kind.HIDDEN
    return Kind.DHCP_SERVER if frame[udp + _UDP_BYTES] in _DHCP6_FROM_SERVER else Kind.IP


def _in_icmpv6(frame: bytes, at: int, end: int, sender: bytes, *, is_fragment: bool) -> Inside:
    """`end` is where the packet ends by its own word."""
    hidden = Inside(Kind.HIDDEN, sender)
    if len(frame) <= at:
        return hidden
    if frame[at] not in _ND:
        return Inside(_MLD_KINDS.get(frame[at], Kind.IP), sender)
    kind, head, wanted = _ND[frame[at]]
    if is_fragment or end > len(frame) or at + head > end:
        return hidden
    told = _find_mac(frame, at + head, end, wanted)
    if told is None:
        return hidden
    about_one = kind is Kind.SOLICITATION or kind is Kind.ADVERTISEMENT
    return Inside(kind, sender, frame[at + 8 : at + 24] if about_one else b"", told)


def _find_mac(frame: bytes, at: int, end: int, wanted: int) -> bytes | None:
    """The MAC in the options of one type, empty if there is none; None where they are malformed.

    Two that differ are malformed: nobody knows which of them a host believes.
    """
    told = b""
    for _ in range(MAX_OPTIONS):
        if at == end:
            return told
        if at + 2 > end:
            return None
        size = frame[at + 1] * 8
        if not size or at + size > end:
            return None
        if wanted and frame[at] == wanted:
            mac = frame[at + 2 : at + _OPTION_BYTES]
            if size != _OPTION_BYTES or told not in (b"", mac):
                return None
            told = mac
        at += size
    return told if at == end else None
