"""To which flow a frame belongs, as a number: what is sent over several uplinks is spread by it.

A flow is what must stay in order: for IP both addresses, the protocol and, of unfragmented TCP and
UDP, both ports; else both MAC addresses and the ethertype. IPv6 extension headers are a protocol to
us. Nothing of this is on the wire, but both engines choose alike.

The hash takes what names the flow as 64-bit words: each is added by XOR, the sum is multiplied by
2^64 divided by the golden ratio, and its upper half added to its lower one. The upper half counts.
"""

from struct import Struct
from typing import Final

from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse_header

__all__ = ["way_of"]

_FACTOR: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1
_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_FRAGMENT_MASK: Final = 0x3FFF
"""More fragments, and the fragment offset."""
_WITH_PORTS: Final = (6, 17)
"""TCP and UDP."""

_stations_at = Struct(">QI").unpack_from
_ipv4_at = Struct(">6xHxB2xQ").unpack_from
_ipv6_at = Struct(">6xBxQQQQ").unpack_from
_ports_at = Struct(">I").unpack_from


def way_of(frame: bytes, count: int) -> int:
    """Which of ``count`` ways the flow of a frame takes; 0 for one that ends inside its header."""
    mixed = 0
    for word in _words(frame):
        mixed = (mixed ^ word) * _FACTOR & _WORD
        mixed ^= mixed >> 32
    return (mixed >> 32) * count >> 32


def _words(frame: bytes) -> tuple[int, ...]:
    """What names the flow; all zero for a frame that ends inside its header."""
    header = parse_header(frame)
    if header is None:
        return (0,)
    at, room = header.payload, len(frame) - header.payload
    version = frame[at] >> 4 if room else 0
    if header.ethertype == ETHERTYPE_IPV4 and version == 4 and room >= _IPV4_BYTES:  # noqa: PLR2004
        fragment, protocol, addresses = _ipv4_at(frame, at)
        behind = at + (frame[at] & 0x0F) * 4
        ports = 0 if fragment & _FRAGMENT_MASK else _ports(frame, protocol, behind)
        return addresses, protocol << 32 | ports
    if header.ethertype == ETHERTYPE_IPV6 and version == 6 and room >= _IPV6_BYTES:  # noqa: PLR2004
        protocol, *addresses = _ipv6_at(frame, at)
        return *addresses, protocol << 32 | _ports(frame, protocol, at + _IPV6_BYTES)
    first, rest = _stations_at(frame)
    return first, rest << 16 | header.ethertype


def _ports(frame: bytes, protocol: int, at: int) -> int:
    """Both ports behind an IP header, 0 where there are none."""
    if protocol not in _WITH_PORTS or len(frame) < at + 4:
        return 0
    ports: int = _ports_at(frame, at)[0]
    return ports
