"""IGMP and MLD as a snooping switch hears them: queries, and what hosts want of groups.

::

    IGMPv1/v2  type u8 | max response u8 | checksum u16 | group 4       0x11 0x12 0x16 0x17
    IGMPv3     query:  ... the same, and | flags u8 | interval u8 | sources u16 | ...  0x11
               report: 0x22 | 0 u8 | checksum u16 | 0 u16 | records u16 | records
    MLDv1      type u8 | 0 u8 | checksum u16 | max response u16 | 0 u16 | group 16  130 131 132
    MLDv2      query:  ... the same, and | flags u8 | interval u8 | sources u16 | ...  130
               report: 143 | 0 u8 | checksum u16 | 0 u16 | records u16 | records
    record     type u8 | auxiliary words u8 | sources u16 | group | sources | auxiliary data

RFC 1112, 2236 and 3376, RFC 2710 and 3810. What those have a host ignore is refused here: a wrong
checksum, MLD that is not from a link-local address (a report may be from ::), without hop limit 1
or without router alert. Sources are not kept: who wants any source of a group wants the group.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

from l2mesh.errors import MalformedPacket
from l2mesh.switch.groups import IPV4, IPV6, is_for_all, is_group

__all__ = ["Change", "GroupTalk", "Query", "Report", "internet_checksum", "parse_group_talk"]

MAX_RECORDS: Final = 512
"""Of one report; a full one of 1,500 bytes has 184."""

IGMP: Final = 2
HOP_BY_HOP: Final = 0
ICMPV6: Final = 58
QUERY4: Final = 0x11
QUERY6: Final = 130
_REPORT_V1: Final = 0x12
_REPORT_V2: Final = 0x16
_LEAVE: Final = 0x17
_REPORT_V3: Final = 0x22
_REPORT6_V1: Final = 131
_DONE: Final = 132
_REPORT6_V2: Final = 143
_JOINS: Final = frozenset({_REPORT_V1, _REPORT_V2, _REPORT6_V1})
_LEAVES: Final = frozenset({_LEAVE, _DONE})

_INCLUDES: Final = frozenset({1, 3})
"""MODE_IS_INCLUDE and CHANGE_TO_INCLUDE: without sources, nothing is wanted."""
_EXCLUDES: Final = frozenset({2, 4})
_ALLOW: Final = 5
_BLOCK: Final = 6

_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_ROUTER_ALERT: Final = b"\x05\x02\0\0"
_LINK_LOCAL: Final = bytes.fromhex("fe80")
_NO_IPV6: Final = bytes(16)
_V1_WAIT_S: Final = 10.0
"""RFC 2236 section 4: what a query of IGMPv1 means."""
_IGMPV3_BYTES: Final = 12
_MLDV2_BYTES: Final = 28
"""Of a query without sources."""
_FLOATING: Final = 128
_FLOATING6: Final = 0x8000

_u16 = Struct(">H").unpack_from
_two_u16 = Struct(">HH").unpack_from


@dataclass(frozen=True, slots=True)
class Query:
    """Somebody asks who wants `group`, or any group where that is empty."""

    version: int
    """Of IP: 4 or 6."""
    source: bytes
    """IP address of 4 or 16 bytes."""
    group: bytes
    wait_s: float
    """Hosts answer within so long."""
    suppresses: bool = False
    """Other routers are not to lower their timers (the flag S)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One group that a host wants, or does not want any more."""

    group: bytes
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a host wants."""

    version: int
    changes: tuple[Change, ...]


GroupTalk: TypeAlias = Query | Report


def parse_group_talk(packet: bytes) -> GroupTalk:
    """The message in an IP packet. Raises MalformedPacket for anything that hosts would ignore."""
    version = packet[0] >> 4 if packet else 0
    if version == IPV4:
        source, message = _unwrap4(packet)
    elif version == IPV6:
        source, message = _unwrap6(packet)
    else:
        raise MalformedPacket("neither IPv4 nor IPv6")
    kind = message[0]
    if kind in (QUERY4, QUERY6):
        return _query(version, source, message)
    if kind in (_REPORT_V3, _REPORT6_V2):
        return Report(version, tuple(_records(version, message)))
    group = message[4:8] if version == IPV4 else message[8:24]
    if len(group) != _size(version) or kind not in _JOINS | _LEAVES:
        raise MalformedPacket(f"a message of type {kind}")
    changes = (Change(group, kind in _JOINS),) if _is_reportable(group) else ()
    return Report(version, changes)


def internet_checksum(data: bytes) -> int:
    """RFC 1071; 0 of data that includes a right checksum."""
    value = int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF
    return 0xFFFF - value if value else 0


def _size(version: int) -> int:
    """Bytes of an address."""
    return 4 if version == IPV4 else 16


def _is_reportable(group: bytes) -> bool:
    """Whether somebody may want it: a group, and none that all hear."""
    return is_group(group) and not is_for_all(group)


def _unwrap4(packet: bytes) -> tuple[bytes, bytes]:
    """Source and IGMP message of an IPv4 packet."""
    if len(packet) < _IPV4_BYTES:
        raise MalformedPacket("an IPv4 header that is cut off")
    header, (total, _) = (packet[0] & 0x0F) * 4, _two_u16(packet, 2)
    (fragment,) = _u16(packet, 6)
    if header < _IPV4_BYTES or not header + 8 <= total <= len(packet):
        raise MalformedPacket("lengths of IPv4 that cannot be")
    if packet[9] != IGMP or fragment & 0x3FFF or internet_checksum(packet[:header]):
        raise MalformedPacket("no whole IGMP, or a wrong checksum")
    message = packet[header:total]
    if internet_checksum(message):
        raise MalformedPacket("a wrong checksum of IGMP")
    return packet[12:16], message


def _unwrap6(packet: bytes) -> tuple[bytes, bytes]:
    """Source and MLD message of an IPv6 packet, behind hop-by-hop options with a router alert."""
    if len(packet) < _IPV6_BYTES + 8:
        raise MalformedPacket("an IPv6 header that is cut off")
    end = _IPV6_BYTES + _u16(packet, 4)[0]
    at = _IPV6_BYTES + (packet[_IPV6_BYTES + 1] + 1) * 8
    if packet[6] != HOP_BY_HOP or packet[_IPV6_BYTES] != ICMPV6 or packet[7] != 1:
        raise MalformedPacket("no MLD, or one from beyond the link")
    if _ROUTER_ALERT not in packet[_IPV6_BYTES + 2 : at] or not at + 8 <= end <= len(packet):
        raise MalformedPacket("no router alert, or lengths that cannot be")
    source, message = packet[8:24], packet[at:end]
    pseudo = packet[8:40] + len(message).to_bytes(4, "big") + bytes((0, 0, 0, ICMPV6))
    if internet_checksum(pseudo + message):
        raise MalformedPacket("a wrong checksum of MLD")
    may_be_from_nobody = message[0] in (_REPORT6_V1, _REPORT6_V2) and source == _NO_IPV6
    if not (_is_link_local(source) or may_be_from_nobody):
        raise MalformedPacket("MLD from an address that is not link-local")
    return source, message


def _is_link_local(address: bytes) -> bool:
    return address[0] == _LINK_LOCAL[0] and address[1] & 0xC0 == _LINK_LOCAL[1]


def _query(version: int, source: bytes, message: bytes) -> Query:
    if version == IPV4:
        group, code = message[4:8], message[1]
        is_v3, flags = len(message) >= _IGMPV3_BYTES, message[8:9]
        wait_s = _floating(code, _FLOATING, 4) / 10 if code else _V1_WAIT_S
    else:
        group, (code,) = message[8:24], _u16(message, 4)
        if len(group) != _size(IPV6):
            raise MalformedPacket("a query that is cut off")
        is_v3, flags = len(message) >= _MLDV2_BYTES, message[24:25]
        wait_s = _floating(code, _FLOATING6, 12) / 1000
    asked = group if any(group) else b""
    if asked and not _is_reportable(asked):
        raise MalformedPacket("a query for what is no group")
    return Query(version, source, asked, wait_s, is_v3 and bool(flags[0] & 8))


def _floating(code: int, first: int, mantissa_bits: int) -> int:
    """RFC 3376 section 4.1.1 and RFC 3810 section 5.1.3: large times have an exponent."""
    if code < first:
        return code
    mantissa, exponent = code & (1 << mantissa_bits) - 1, code >> mantissa_bits & 7
    return (mantissa | 1 << mantissa_bits) << exponent + 3


def _records(version: int, message: bytes) -> list[Change]:
    (count,) = _u16(message, 6)
    if count > MAX_RECORDS:
        raise MalformedPacket(f"a report of {count} groups")
    size, at, changes = _size(version), 8, list[Change]()
    for _ in range(count):
        head = message[at : at + 4 + size]
        if len(head) != 4 + size:
            raise MalformedPacket("a record that is cut off")
        kind, (sources,), group = head[0], _u16(head, 2), head[4:]
        at += len(head) + sources * size + head[1] * 4
        if at > len(message):
            raise MalformedPacket("a record that is cut off")
        wants = _wants(kind, sources)
        if wants is not None and _is_reportable(group):
            changes.append(Change(group, wants))
    return changes


def _wants(kind: int, sources: int) -> bool | None:
    """Whether a record's host wants its group; None: it does not say."""
    if kind in _INCLUDES:
        return sources > 0
    if kind in _EXCLUDES or (kind == _ALLOW and sources):
        return True
    return None
