"""Recognising our own outer datagrams inside a frame, so that the mesh never carries itself.

When the node's underlay address lies on a bridge that our TAP belongs to, the datagrams that we
send and those that are sent to us may be flooded into the TAP. A frame counts as ours when it is
UDP over IPv4 or IPv6, under at most two tags, and its source or its destination is our UDP address.
We send neither IP fragments nor IPv6 extension headers, so such a frame is somebody else's.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse_header

_UDP: Final = 17
_OFFSET_MASK: Final = 0x1FFF
_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40


class OwnDatagrams:
    """Knows our underlay: one UDP port at several addresses."""

    __slots__ = ("_addresses", "_port")

    def __init__(self, port: int = 0, addresses: Iterable[str] = ()) -> None:
        self._port = port.to_bytes(2, "big")
        self._addresses = frozenset(_packed(address) for address in addresses) - {b""}

    def is_own(self, frame: bytes) -> bool:
        """Whether `frame` carries a datagram from or to our UDP socket."""
        if not self._addresses:
            return False
        header = parse_header(frame)
        if header is None:
            return False
        if header.ethertype == ETHERTYPE_IPV4:
            return self._is_own_ipv4(frame, header.payload)
        if header.ethertype == ETHERTYPE_IPV6:
            return self._is_own_ipv6(frame, header.payload)
        return False

    def _is_own_ipv4(self, frame: bytes, at: int) -> bool:
        if len(frame) < at + _IPV4_BYTES or frame[at + 9] != _UDP:
            return False
        if int.from_bytes(frame[at + 6 : at + 8], "big") & _OFFSET_MASK:
            return False
        ports = at + (frame[at] & 0x0F) * 4
        return self._matches(frame, at + 12, 4, ports)

    def _is_own_ipv6(self, frame: bytes, at: int) -> bool:
        if len(frame) < at + _IPV6_BYTES or frame[at + 6] != _UDP:
            return False
        return self._matches(frame, at + 8, 16, at + _IPV6_BYTES)

    def _matches(self, frame: bytes, addresses: int, width: int, ports: int) -> bool:
        middle = addresses + width
        if frame[ports : ports + 2] == self._port and frame[addresses:middle] in self._addresses:
            return True
        if frame[ports + 2 : ports + 4] != self._port:
            return False
        return frame[middle : middle + width] in self._addresses


def _packed(address: str) -> bytes:
    """4 or 16 bytes, nothing for text that is no address."""
    try:
        return ip_address(address).packed
    except ValueError:
        return b""
