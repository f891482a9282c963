"""Where the headers of a TCP or UDP segment lie: Ethernet with tags, IPv4 or IPv6, TCP or UDP.

IPv4 from RFC 791, IPv6 from RFC 8200, TCP from RFC 9293, UDP from RFC 768, sums from RFC 1071.
"""

from struct import Struct
from typing import Final, NamedTuple

from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse_header

IPV4_BYTES: Final = 20
IPV6_BYTES: Final = 40
TCP_BYTES: Final = 20
UDP_BYTES: Final = 8

IPV4: Final = 4
IPV6: Final = 6
TCP: Final = 6
UDP: Final = 17

CHECKSUM_AT: Final = {TCP: 16, UDP: 6}
"""Where the checksum lies in the L4 header."""

FLAGS_AT: Final = 13
"""Where the flags lie in the TCP header."""
FIN: Final = 0x01
PSH: Final = 0x08
ACK: Final = 0x10
URG: Final = 0x20
ECE: Final = 0x40
CWR: Final = 0x80

DONT_FRAGMENT: Final = 0x4000
FRAGMENT_MASK: Final = 0x3FFF
"""More fragments, and the fragment offset."""
EXTENSIONS: Final = frozenset({0, 43, 60})
"""IPv6 headers that may stand before TCP or UDP: hop-by-hop, routing, destination options."""
ONES: Final = 0xFFFF
_LAST_SEQUENCE: Final = 0xFFFF_FFFF
_UNBOUNDED: Final = 0xFFFF
"""Above the number of segments that any super-frame has."""

_u16_at = Struct(">H").unpack_from
_u32_at = Struct(">I").unpack_from


class Layout(NamedTuple):
    """Offsets from the start of the frame."""

    l3: int
    l4: int
    payload: int
    end: int
    """As the IP header says; behind it there may be Ethernet padding."""
    version: int
    protocol: int


def find_layout(frame: bytes) -> Layout | None:
    """The layout of a TCP or UDP segment, all of which is there; None for anything else.

    IPv4 options and IPv6 extension headers are passed over. Fragments are no segments.
    """
    header = parse_header(frame)
    if header is None:
        return None
    if header.ethertype == ETHERTYPE_IPV4:
        return _in_ipv4(frame, header.payload)
    if header.ethertype == ETHERTYPE_IPV6:
        return _in_ipv6(frame, header.payload)
    return None


def is_plain(layout: Layout) -> bool:
    """Whether there are no IPv4 options and no IPv6 extension headers."""
    return layout.l4 - layout.l3 == (IPV4_BYTES if layout.version == IPV4 else IPV6_BYTES)


def pseudo_sum(frame: bytes | bytearray, layout: Layout, length: int) -> int:
    """The folded sum of the pseudo header of an L4 segment of `length` bytes, not inverted.

    Wrong behind an IPv6 routing header, which replaces the destination.
    """
    first, last = (12, 20) if layout.version == IPV4 else (8, 40)
    addresses = frame[layout.l3 + first : layout.l3 + last]
    return fold(int.from_bytes(addresses, "big") + layout.protocol + length)


def sum_of(data: bytes | bytearray | memoryview) -> int:
    """The folded sum of 16-bit words; an odd last byte counts as if a zero followed."""
    value = int.from_bytes(data, "big")
    return fold(value << 8 if len(data) & 1 else value)


def find_step(header: bytes | bytearray, layout: Layout, size: int) -> tuple[int, int]:
    """How the headers of one super-frame's segments differ, each read as one number.

    What to add for the next segment of `size` bytes, and how often that holds until a field wraps
    around: an identification of IPv4 is one more, so its checksum is one less, and a sequence
    number of TCP is `size` more. Lengths, an open L4 checksum and all else are equal.
    """
    l3, l4, payload, _, version, protocol = layout
    step, often = 0, _UNBOUNDED
    if version == IPV4:
        step += _byte(payload - l3 - 6) - _byte(payload - l3 - 12)
        often = min(ONES - u16(header, l3 + 4), u16(header, l3 + 10))
    if protocol == TCP:
        step += size * _byte(payload - l4 - 8)
        often = min(often, (_LAST_SEQUENCE - u32(header, l4 + 4)) // size)
    return step, often


def _byte(place: int) -> int:
    """One, in a number of bytes, at a place counted from its end."""
    return 1 << 8 * place


def fold(value: int) -> int:
    """The ones' complement sum of the 16-bit words of a number: 0 only for 0.

    One division of a long integer is some ten times as fast as adding the words.
    """
    return value % ONES or (ONES if value else 0)


def u16(frame: bytes | bytearray, at: int) -> int:
    """Two bytes, network order; the caller knows that they are there."""
    number: int = _u16_at(frame, at)[0]
    return number


def u32(frame: bytes | bytearray, at: int) -> int:
    """Four bytes."""
    number: int = _u32_at(frame, at)[0]
    return number


def _in_ipv4(frame: bytes, l3: int) -> Layout | None:
    if len(frame) < l3 + IPV4_BYTES or frame[l3] >> 4 != IPV4:
        return None
    header = (frame[l3] & 0x0F) * 4
    if header < IPV4_BYTES or u16(frame, l3 + 6) & FRAGMENT_MASK:
        return None
    return _in_l4(frame, l3, l3 + header, l3 + u16(frame, l3 + 2), frame[l3 + 9])


def _in_ipv6(frame: bytes, l3: int) -> Layout | None:
    at = l3 + IPV6_BYTES
    if len(frame) < at or frame[l3] >> 4 != IPV6:
        return None
    end, following = at + u16(frame, l3 + 4), frame[l3 + 6]
    while following in EXTENSIONS and at + 2 <= len(frame):
        following, at = frame[at], at + 8 + 8 * frame[at + 1]
    return _in_l4(frame, l3, at, end, following)


def _in_l4(frame: bytes, l3: int, l4: int, end: int, protocol: int) -> Layout | None:
    if end > len(frame):
        return None
    if protocol == TCP and end - l4 >= TCP_BYTES:
        payload = l4 + (frame[l4 + 12] >> 4) * 4
        shortest = l4 + TCP_BYTES
    elif protocol == UDP and end - l4 >= UDP_BYTES:
        payload = shortest = l4 + UDP_BYTES
    else:
        return None
    if not shortest <= payload <= end:
        return None
    return Layout(l3, l4, payload, end, frame[l3] >> 4, protocol)
