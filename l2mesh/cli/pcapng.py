"""Capture files that Wireshark, tcpdump and scapy read: pcapng, draft-ietf-opsawg-pcapng.

Blocks are in the byte order of this host, as the format allows: a section header, one interface
description for each side, and an enhanced packet block a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Packet", "file_header", "packet_block"]

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
ENHANCED_PACKET: Final = 6
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
VERSION: Final = (1, 0)
UNKNOWN_LENGTH: Final = -1
LINKTYPE_ETHERNET: Final = 1

OPT_COMMENT: Final = 1
SHB_USERAPPL: Final = 4
IF_NAME: Final = 2
IF_DESCRIPTION: Final = 3
IF_TSRESOL: Final = 9
EPB_FLAGS: Final = 2
EPB_DROPCOUNT: Final = 4

NANOSECONDS: Final = b"\x09"
"""if_tsresol: ten to the power of minus nine."""
INBOUND: Final = 0b01
OUTBOUND: Final = 0b10

Option = tuple[int, bytes]


class Packet(NamedTuple):
    """One frame as a block shows it."""

    interface: int
    """Number of its description, from 0."""
    nanoseconds: int
    """Since 1970."""
    is_inbound: bool
    length: int
    """Of the whole frame."""
    frame: bytes
    """As much of it as was kept."""
    comment: str = ""
    lost: int = 0
    """Frames that were not kept since the one before."""


def file_header(program: str, interfaces: Iterable[tuple[str, str]]) -> bytes:
    """The begin of a file; `interfaces` are name and description of each, all Ethernet."""
    section = struct.pack("=IHHq", BYTE_ORDER_MAGIC, *VERSION, UNKNOWN_LENGTH)
    blocks = [_block(SECTION_HEADER, section, [(SHB_USERAPPL, program.encode())])]
    for name, description in interfaces:
        options = [
            (IF_NAME, name.encode()),
            (IF_DESCRIPTION, description.encode()),
            (IF_TSRESOL, NANOSECONDS),
        ]
        body = struct.pack("=HHI", LINKTYPE_ETHERNET, 0, 0)
        blocks.append(_block(INTERFACE_DESCRIPTION, body, options))
    return b"".join(blocks)


def packet_block(packet: Packet) -> bytes:
    """One frame with its direction, and a comment and count of lost frames if there are any."""
    high, low = divmod(packet.nanoseconds, 1 << 32)
    kept = len(packet.frame)
    body = struct.pack("=IIIII", packet.interface, high, low, kept, packet.length)
    flags = INBOUND if packet.is_inbound else OUTBOUND
    options = [(EPB_FLAGS, struct.pack("=I", flags))]
    if packet.lost:
        options.append((EPB_DROPCOUNT, struct.pack("=Q", packet.lost)))
    if packet.comment:
        options.append((OPT_COMMENT, packet.comment.encode()))
    return _block(ENHANCED_PACKET, body + _padded(packet.frame), options)


def _block(kind: int, body: bytes, options: Iterable[Option]) -> bytes:
    texts = [struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options]
    content = body + b"".join(texts) + bytes(4)  # opt_endofopt
    length = struct.pack("=I", 12 + len(content))
    return struct.pack("=I", kind) + length + content + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
