"""What is inside a DATA datagram once it is open: frames, pieces of frames, control.

Frames that travel in pieces and messages that travel in chunks are put together again across
datagrams, without the limits that a node sets itself: a capture has an end.
"""

from dataclasses import dataclass, field
from typing import Final

from scapy.layers.all import Ether
from scapy.packet import Packet

from l2mesh.errors import MalformedPacket
from l2mesh.wire.control import Chunk, ChunkFlag, Record, decode_records
from l2mesh.wire.data import Flag, Piece, decode_piece
from l2mesh.wire.message import Message, decode_message
from tools.dissect.keys import Opened

__all__ = ["Assembler", "Inside"]

_ETHERTYPES: Final = {4: b"\x08\x00", 6: b"\x86\xdd"}
"""By the version nibble of an IP packet whose Ethernet header is left out."""


@dataclass(slots=True)
class Inside:
    """The inside of one datagram; what does not occur in it is empty."""

    network: int
    """0 is control."""
    records: list[Record] = field(default_factory=list)
    """Control records."""
    messages: list[Message] = field(default_factory=list)
    """Messages whose last missing chunk came with this datagram."""
    piece: Piece | None = None
    """A piece of a frame."""
    frame: Packet | None = None
    """An Ethernet frame: this datagram's own, or the one that its piece completes."""
    fault: str = ""
    """Why it cannot be read, "" if it can."""


class Assembler:
    """Reads open datagrams one after another, in the order of the capture."""

    def __init__(self) -> None:
        self._chunks: dict[int, dict[int, Chunk]] = {}
        self._pieces: dict[tuple[int, int], dict[int, Piece]] = {}

    def read(self, opened: Opened) -> Inside:
        """Look into one datagram. Nothing is raised: `fault` says what is wrong."""
        inside = Inside(opened.key.network)
        try:
            if opened.flags & Flag.CONTROL:
                self._read_control(opened, inside)
            elif opened.flags & Flag.FRAG:
                self._read_piece(opened, inside)
            else:
                inside.frame = Ether(_whole_frame(opened))
        except MalformedPacket as error:
            inside.fault = str(error)
        return inside

    def _read_control(self, opened: Opened, inside: Inside) -> None:
        inside.records = decode_records(opened.text)
        chunks = self._chunks.setdefault(opened.index, {})
        for record in inside.records:
            if not isinstance(record, Chunk) or record.number in chunks:
                continue
            chunks[record.number] = record
            if (message := _joined(chunks, record.number)) is not None:
                inside.messages.append(decode_message(message))

    def _read_piece(self, opened: Opened, inside: Inside) -> None:
        inside.piece = piece = decode_piece(opened.text)
        key = (opened.index, piece.frame)
        pieces = self._pieces.setdefault(key, {})
        pieces[piece.offset] = piece
        if sum(len(each.data) for each in pieces.values()) == piece.total:
            del self._pieces[key]
            inside.frame = Ether(b"".join(pieces[offset].data for offset in sorted(pieces)))


def _whole_frame(opened: Opened) -> bytes:
    """The frame with the Ethernet header that ELIDED left out (section 4)."""
    if not opened.flags & Flag.ELIDED:
        return opened.text
    ethertype = _ETHERTYPES.get(opened.text[0] >> 4) if opened.text else None
    if ethertype is None:
        raise MalformedPacket("ELIDED, and no IP packet")
    return (opened.key.elided or bytes(12)) + ethertype + opened.text


def _joined(chunks: dict[int, Chunk], number: int) -> bytes | None:
    """The message that chunk `number` belongs to, None while a part of it is missing."""
    first = last = number
    while not chunks[first].flags & ChunkFlag.FIRST:
        first -= 1
        if first not in chunks:
            return None
    while not chunks[last].flags & ChunkFlag.LAST:
        last += 1
        if last not in chunks:
            return None
    return b"".join(chunks[each].data for each in range(first, last + 1))
