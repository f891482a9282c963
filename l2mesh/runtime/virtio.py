"""The header before each frame of a TAP opened with IFF_VNET_HDR.

::

    0  u8   flags       1 NEEDS_CSUM; 2 DATA_VALID, of which we make nothing
    1  u8   gso_type    0 none, 1 TCP/IPv4, 4 TCP/IPv6, 5 UDP; 0x80 with CWR among its flags
    2  u16  hdr_len     bytes of all headers; a mere hint, which may be any number when read
    4  u16  gso_size    bytes of L4 payload in a segment
    6  u16  csum_start  where the L4 header begins, from the start of the frame with its tags
    8  u16  csum_offset of the checksum field, from csum_start

Integers in the machine's order. From include/uapi/linux/virtio_net.h.
"""

from struct import Struct
from typing import Final

from l2mesh.datapath.interface import GSO_UDP, Offload

__all__ = ["HEADER_BYTES", "PLAIN", "emit_header", "parse_header"]

_HEADER: Final = Struct("=BBHHHH")
HEADER_BYTES: Final = _HEADER.size
PLAIN: Final = bytes(HEADER_BYTES)
"""Says: one frame, checksums complete or not looked at."""

_NEEDS_CSUM: Final = 1
_ECN: Final = 0x80
_TCP_HEADER_BYTES_AT: Final = 12
_UDP_HEADER_BYTES: Final = 8


def parse_header(data: bytes) -> Offload | None:
    """What the header at the start of `data` says, None when that is nothing.

    Whether it agrees with the frame behind it is for the engine to judge.
    """
    flags, kind, _, size, start, offset = _HEADER.unpack_from(data)
    if not flags & _NEEDS_CSUM and not kind:
        return None
    return Offload(kind & ~_ECN, size, start, offset, bool(flags & _NEEDS_CSUM), bool(kind & _ECN))


def emit_header(offload: Offload, frame: bytes) -> bytes:
    """The header that goes before `frame`."""
    start, length = offload.csum_start, 0
    if offload.gso_type == GSO_UDP:
        length = start + _UDP_HEADER_BYTES
    elif offload.gso_type:
        length = start + (frame[start + _TCP_HEADER_BYTES_AT] >> 4) * 4
    flags = _NEEDS_CSUM if offload.needs_csum else 0
    kind = offload.gso_type | (_ECN if offload.ecn else 0)
    return _HEADER.pack(flags, kind, length, offload.gso_size, start, offload.csum_offset)
