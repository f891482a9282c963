"""DATA: what carries frames and control (section 4).

    0  u8   0x80 | flags
    1  u24  receiver index
    4  u32  counter
    8  ...  ciphertext | tag 16

The eight bytes of the header are the AAD. Flags are judged after the tag has verified. The
plaintext of a FRAG datagram is one piece of a frame:

    0  u32  frame id
    4  u16  offset
    6  u16  total: length of the whole frame, 15 to 65535
    8  ...  at least one byte, all of it inside `total`

Engines handle a million of these a minute, so numbers here are plain ints and tuples.
"""

from enum import IntFlag
from struct import Struct, error
from typing import Final, NamedTuple

from l2mesh.errors import MalformedPacket
from l2mesh.wire.datagram import DATA_BIT

__all__ = [
    "ALLOWED_FLAGS",
    "DATA_BIT",
    "HEADER",
    "HEADER_BYTES",
    "MAX_COUNTER",
    "MAX_FRAME",
    "MAX_INDEX",
    "MIN_FRAME",
    "OVERHEAD",
    "PIECE_HEAD",
    "PIECE_HEAD_BYTES",
    "TAG",
    "Flag",
    "Piece",
    "decode_header",
    "decode_piece",
    "encode_header",
    "encode_piece",
]


class Flag(IntFlag):
    """The low seven bits of the first byte; 0x40 must be zero."""

    CONTROL = 0x01
    FRAG = 0x02
    CONT = 0x04
    CSUM = 0x08
    ELIDED = 0x10
    GROUP = 0x20


ALLOWED_FLAGS: Final[frozenset[int]] = frozenset(
    [int(Flag.CONTROL), int(Flag.FRAG), int(Flag.GROUP), int(Flag.GROUP | Flag.FRAG)]
    + [cont | csum | elided for cont in (0, 0x04) for csum in (0, 0x08) for elided in (0, 0x10)]
)
"""No flag, CONTROL alone, FRAG or GROUP or both, or any set of CONT, CSUM and ELIDED."""

HEADER: Final = Struct(">II")
"""`(0x80 | flags) << 24 | index`, counter."""
HEADER_BYTES: Final = HEADER.size
TAG: Final = 16
"""Bytes that sealing adds."""
OVERHEAD: Final = HEADER_BYTES + TAG
"""Bytes of a datagram beyond its plaintext, and the length of the shortest one: 24."""
MAX_INDEX: Final = 2**24 - 1
MAX_COUNTER: Final = 2**32 - 1

PIECE_HEAD: Final = Struct(">IHH")
"""Frame id, offset, total."""
PIECE_HEAD_BYTES: Final = PIECE_HEAD.size
MIN_FRAME: Final = 15
"""A frame that is cut has an Ethernet header and something in it."""
MAX_FRAME: Final = 65535

_FIRST_BIT: Final = DATA_BIT << 24
_FLAG_BITS: Final = 0x7F


class Piece(NamedTuple):
    """One piece of the frame `frame`, which is `total` bytes long."""

    frame: int
    offset: int
    total: int
    data: bytes


def encode_header(flags: int, index: int, counter: int) -> bytes:
    """The 8 bytes of a header, which are also the AAD; MalformedPacket for what does not fit."""
    if not 0 <= flags <= _FLAG_BITS or not 0 <= index <= MAX_INDEX:
        raise MalformedPacket(f"flags {flags:#x} or index {index} do not fit the header")
    try:
        return HEADER.pack(_FIRST_BIT | flags << 24 | index, counter)
    except error:
        raise MalformedPacket(f"counter {counter} does not fit the header") from None


def decode_header(datagram: bytes) -> tuple[int, int, int]:
    """(flags, index, counter) of a whole datagram, flags without the DATA bit.

    MalformedPacket when it is no DATA or shorter than 24 bytes.
    """
    if len(datagram) < OVERHEAD:
        raise MalformedPacket(f"{len(datagram)} bytes are too few for DATA")
    word, counter = HEADER.unpack_from(datagram)
    if not word & _FIRST_BIT:
        raise MalformedPacket("not a DATA datagram")
    return word >> 24 & _FLAG_BITS, word & MAX_INDEX, counter


def encode_piece(piece: Piece) -> bytes:
    """The plaintext of a FRAG datagram; MalformedPacket for a piece that nobody would take."""
    _check_piece(piece)
    try:
        return PIECE_HEAD.pack(piece.frame, piece.offset, piece.total) + piece.data
    except error:
        raise MalformedPacket("a number of the piece does not fit its field") from None


def decode_piece(plaintext: bytes) -> Piece:
    """Undoes `encode_piece`. Whether pieces overlap is for whoever gathers them to see."""
    if len(plaintext) < PIECE_HEAD_BYTES:
        raise MalformedPacket(f"{len(plaintext)} bytes are too few for a piece")
    frame, offset, total = PIECE_HEAD.unpack_from(plaintext)
    piece = Piece(frame, offset, total, plaintext[PIECE_HEAD_BYTES:])
    _check_piece(piece)
    return piece


def _check_piece(piece: Piece) -> None:
    if not MIN_FRAME <= piece.total <= MAX_FRAME:
        raise MalformedPacket(f"no frame of {piece.total} bytes is ever cut")
    if not piece.data or piece.offset + len(piece.data) > piece.total:
        raise MalformedPacket("the piece is empty or reaches beyond its frame")
