"""RELAY: a datagram on its way through a planet (section 5).

    0  u8   type = 4
    1  u56  relay id, never 0
    8  ...  the datagram itself, untouched

Both legs carry the same bytes, so a planet needs no copy and no key to forward one.
"""

from struct import Struct
from typing import Final

from l2mesh.errors import MalformedPacket
from l2mesh.wire.datagram import DatagramType

__all__ = ["MAX_RELAY", "RELAY_HEADER_BYTES", "frame_relay", "split_relay"]

RELAY_HEADER_BYTES: Final = 8
MAX_RELAY: Final = 2**56 - 1

_HEADER: Final = Struct(">Q")
_TYPE: Final = DatagramType.RELAY << 56


def frame_relay(relay: int, datagram: bytes) -> bytes:
    """`datagram` in a RELAY header; MalformedPacket for a relay id outside 1..2^56-1."""
    if not 0 < relay <= MAX_RELAY:
        raise MalformedPacket(f"relay id {relay} is not in 1..2^56-1")
    return _HEADER.pack(_TYPE | relay) + datagram


def split_relay(datagram: bytes) -> tuple[int, bytes]:
    """(relay id, the datagram inside); MalformedPacket when it is no RELAY or nothing is inside.

    The inside is not looked at, since planets do not either: a node itself refuses RELAY in RELAY.
    """
    if len(datagram) <= RELAY_HEADER_BYTES or datagram[0] != DatagramType.RELAY:
        raise MalformedPacket("not a RELAY datagram")
    relay = int(_HEADER.unpack_from(datagram)[0]) ^ _TYPE
    if not relay:
        raise MalformedPacket("relay id 0 names no relay")
    return relay, datagram[RELAY_HEADER_BYTES:]
