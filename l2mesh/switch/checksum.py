"""Completing an L4 checksum of which only the pseudo-header sum is there (flag CSUM).

Allowed on frames with at most two tags, IPv4 that is no fragment or IPv6 without extension headers,
and TCP or UDP (section 4). The receiver finds the offsets itself, so that a sender cannot make it
write elsewhere. The sum is that of RFC 1071; UDP writes a result of 0 as 0xffff (RFC 768).
"""

from typing import Final, NamedTuple

from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse_header

_VERSION_4: Final = 4
_VERSION_6: Final = 6
_TCP: Final = 6
_UDP: Final = 17
_FIELD_AT: Final = {_TCP: 16, _UDP: 6}
_HEADER_BYTES: Final = {_TCP: 20, _UDP: 8}
_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_FRAGMENT_MASK: Final = 0x3FFF
"""More fragments, and the fragment offset."""
_ONES: Final = 0xFFFF


class Segment(NamedTuple):
    """Where a TCP or UDP segment lies in a frame, in bytes from its start."""

    start: int
    end: int
    """Ethernet padding lies behind it."""
    field: int
    """Of the checksum, two bytes."""
    protocol: int
    ip: int
    """Start of the IP header."""


def find_segment(frame: bytes) -> Segment | None:
    """The segment whose checksum may be left open, None where there is none."""
    header = parse_header(frame)
    if header is None:
        return None
    at = header.payload
    if header.ethertype == ETHERTYPE_IPV4:
        return _in_ipv4(frame, at)
    if header.ethertype == ETHERTYPE_IPV6:
        return _in_ipv6(frame, at)
    return None


def complete_checksum(frame: bytes) -> bytes | None:
    """`frame` with its checksum complete, None when it cannot have one to complete."""
    segment = find_segment(frame)
    if segment is None:
        return None
    start, end, field, protocol, _ = segment
    checksum = _ONES - _sum(frame[start:end])
    if protocol == _UDP and not checksum:
        checksum = _ONES
    return b"".join((frame[:field], checksum.to_bytes(2, "big"), frame[field + 2 :]))


def open_checksum(frame: bytes, segment: Segment) -> bytes:
    """`frame` with the sum of the pseudo header, not inverted, in place of the L4 checksum."""
    start, end, field, protocol, ip = segment
    first, last = (12, 20) if frame[ip] >> 4 == _VERSION_4 else (8, 40)
    value = int.from_bytes(frame[ip + first : ip + last], "big") + protocol + end - start
    value = value % _ONES or _ONES
    return b"".join((frame[:field], value.to_bytes(2, "big"), frame[field + 2 :]))


def complete_at(frame: bytes, start: int, offset: int) -> bytes | None:
    """`frame` with a checksum completed where the kernel says, whatever the protocol.

    The field, at `start` + `offset`, holds what the sum from `start` to the end begins with. None
    when it is not inside the frame.
    """
    field = start + offset
    if offset < 0 or start < 0 or field + 2 > len(frame):
        return None
    checksum = _ONES - _sum(frame[start:])
    if offset == _FIELD_AT[_UDP] and not checksum:  # of all that kernels leave open only UDP's
        checksum = _ONES
    return b"".join((frame[:field], checksum.to_bytes(2, "big"), frame[field + 2 :]))


def _in_ipv4(frame: bytes, at: int) -> Segment | None:
    if len(frame) < at + _IPV4_BYTES or frame[at] >> 4 != _VERSION_4:
        return None
    if int.from_bytes(frame[at + 6 : at + 8], "big") & _FRAGMENT_MASK:
        return None
    header = (frame[at] & 0x0F) * 4
    if header < _IPV4_BYTES:
        return None
    total = int.from_bytes(frame[at + 2 : at + 4], "big")
    return _segment(frame, at, at + header, at + total)


def _in_ipv6(frame: bytes, at: int) -> Segment | None:
    if len(frame) < at + _IPV6_BYTES or frame[at] >> 4 != _VERSION_6:
        return None
    start = at + _IPV6_BYTES
    length = int.from_bytes(frame[at + 4 : at + 6], "big")
    return _segment(frame, at, start, start + length)


def _segment(frame: bytes, ip: int, start: int, end: int) -> Segment | None:
    protocol = frame[ip + (9 if frame[ip] >> 4 == _VERSION_4 else 6)]
    field = _FIELD_AT.get(protocol)
    if field is None or end > len(frame) or end - start < _HEADER_BYTES[protocol]:
        return None
    return Segment(start, end, start + field, protocol, ip)


def _sum(data: bytes) -> int:
    """The ones' complement sum of 16-bit words, folded: modulo 0xffff, but never a false 0.

    One division of a long integer is some ten times as fast as adding the words.
    """
    if len(data) & 1:
        data += b"\0"
    value = int.from_bytes(data, "big")
    return value % _ONES or (_ONES if value else 0)
