"""Control records: the plaintext of a CONTROL datagram (section 6).

    0  u8   type
    1  u16  length of the value
    3  ...  value

Zero or more records follow each other, 1200 bytes at most; none at all means "I am here". PADDING
may stand behind them and fill the datagram. A type that nobody knows yet is skipped. A length that
does not fit its type or the datagram drops the whole datagram.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import ClassVar, Final, Self, TypeAlias

from l2mesh.errors import MalformedPacket
from l2mesh.wire.cursor import Reader, Writer
from l2mesh.wire.endpoint import ENDPOINT_BYTES, Endpoint, decode_endpoint, encode_endpoint

__all__ = [
    "CONTROL_OVERHEAD",
    "MAX_CHUNK_BYTES",
    "MAX_PADDED_BYTES",
    "MAX_RECORDS_BYTES",
    "RECORD_HEAD_BYTES",
    "Ack",
    "Chunk",
    "ChunkFlag",
    "Close",
    "CloseReason",
    "Held",
    "Probe",
    "ProbeReply",
    "Record",
    "decode_records",
    "encode_records",
    "pad_records",
]

MAX_RECORDS_BYTES: Final = 1200
"""Of all records in one datagram: fits every path without a piece."""
CONTROL_OVERHEAD: Final = 24
"""Of a datagram: header and tag around the records."""
MAX_PADDED_BYTES: Final = 1472 - CONTROL_OVERHEAD
"""Of all records together with PADDING: the largest datagram that any path carries."""
PADDING: Final = 0x07
MAX_CHUNK_BYTES: Final = 1024
"""Of a message in one CHUNK."""
RECORD_HEAD_BYTES: Final = 3


class ChunkFlag(IntFlag):
    """Where in its message a chunk stands; a short message is one chunk with both."""

    FIRST = 1
    LAST = 2


_ALL_CHUNK_FLAGS: Final = int(ChunkFlag.FIRST | ChunkFlag.LAST)


class CloseReason(IntEnum):
    """Why the sender dropped the session. A reason that is not here is still a CLOSE."""

    LEAVING = 0
    NO_SHARED_NETWORK = 1
    REPLACED = 2


@dataclass(frozen=True, slots=True)
class Ack:
    """All chunks below `next` have arrived; bit i of `bits` (u32): `next`+1+i has, too."""

    TYPE: ClassVar[int] = 0x01
    next: int
    bits: int

    @property
    def encoded_len(self) -> int:
        """Bytes of the record, its head included."""
        return RECORD_HEAD_BYTES + 8

    def emit(self, writer: Writer) -> None:
        writer.u32(self.next)
        writer.u32(self.bits)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.u32(), reader.u32())


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a message on the reliable channel: at most 1024 bytes."""

    TYPE: ClassVar[int] = 0x02
    number: int
    flags: int
    data: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.flags <= _ALL_CHUNK_FLAGS:
            raise MalformedPacket(f"chunk flags {self.flags:#x} have no meaning")
        if len(self.data) > MAX_CHUNK_BYTES:
            raise MalformedPacket(f"a chunk of {len(self.data)} bytes is too long")

    @property
    def encoded_len(self) -> int:
        """Bytes of the record, its head included."""
        return RECORD_HEAD_BYTES + 5 + len(self.data)

    def emit(self, writer: Writer) -> None:
        writer.u32(self.number)
        writer.u8(self.flags)
        writer.put(self.data)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.u32(), reader.u8(), reader.rest())


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks for a PROBE_REPLY with the same nonce (u64) at the source from which this came."""

    TYPE: ClassVar[int] = 0x03
    nonce: int

    @property
    def encoded_len(self) -> int:
        """Bytes of the record, its head included."""
        return RECORD_HEAD_BYTES + 8

    def emit(self, writer: Writer) -> None:
        writer.u64(self.nonce)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.u64())


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """Answers a PROBE; `observed` is where that came from, None when it was relayed."""

    TYPE: ClassVar[int] = 0x04
    nonce: int
    observed: Endpoint | None

    @property
    def encoded_len(self) -> int:
        """Bytes of the record, its head included."""
        return RECORD_HEAD_BYTES + 8 + ENDPOINT_BYTES

    def emit(self, writer: Writer) -> None:
        writer.u64(self.nonce)
        writer.put(encode_endpoint(self.observed))

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.u64(), decode_endpoint(reader.take(ENDPOINT_BYTES)))


@dataclass(frozen=True, slots=True)
class Held:
    """The newest revision (u32) of a network's revocations that the sender holds, 0 = none."""

    TYPE: ClassVar[int] = 0x05
    network: int
    revision: int

    @property
    def encoded_len(self) -> int:
        """Bytes of the record, its head included."""
        return RECORD_HEAD_BYTES + 12

    def emit(self, writer: Writer) -> None:
        writer.u64(self.network)
        writer.u32(self.revision)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.u64(), reader.u32())


@dataclass(frozen=True, slots=True)
class Close:
    """The sender has dropped the session; `reason` (u8) is a CloseReason or a later one."""

    TYPE: ClassVar[int] = 0x06
    reason: int

    @property
    def encoded_len(self) -> int:
        """Bytes of the record, its head included."""
        return RECORD_HEAD_BYTES + 1

    def emit(self, writer: Writer) -> None:
        writer.u8(self.reason)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        return cls(reader.u8())


Record: TypeAlias = Ack | Chunk | Probe | ProbeReply | Held | Close

_RECORDS: Final[dict[int, type[Record]]] = {
    kind.TYPE: kind for kind in (Ack, Chunk, Probe, ProbeReply, Held, Close)
}


def encode_records(records: Iterable[Record]) -> bytes:
    """The plaintext of one CONTROL datagram; MalformedPacket beyond 1200 bytes."""
    writer = Writer()
    for record in records:
        writer.u8(record.TYPE)
        writer.u16(record.encoded_len - RECORD_HEAD_BYTES)
        record.emit(writer)
    if len(writer) > MAX_RECORDS_BYTES:
        raise MalformedPacket(f"{len(writer)} bytes of records are too many for a datagram")
    return writer.getvalue()


def pad_records(plaintext: bytes, size: int) -> bytes:
    """Records and PADDING, ``size`` bytes together; unchanged where there is no room for any."""
    room = min(size, MAX_PADDED_BYTES) - len(plaintext) - RECORD_HEAD_BYTES
    if room < 0:
        return plaintext
    return plaintext + bytes([PADDING]) + room.to_bytes(2, "big") + bytes(room)


def decode_records(plaintext: bytes) -> list[Record]:
    """The records of a CONTROL datagram in their order, without those of unknown types."""
    if len(plaintext) > MAX_PADDED_BYTES:
        raise MalformedPacket(f"{len(plaintext)} bytes of records are too many for a datagram")
    reader = Reader(plaintext)
    records: list[Record] = []
    padding = 0
    while reader.remaining:
        number = reader.u8()
        content = reader.take(reader.u16())
        kind, value = _RECORDS.get(number), Reader(content)
        if kind is not None:
            records.append(kind.parse(value))
            value.done()
        elif number == PADDING:
            padding += RECORD_HEAD_BYTES + len(content)
    if len(plaintext) - padding > MAX_RECORDS_BYTES:
        raise MalformedPacket(f"{len(plaintext) - padding} bytes of records beside padding")
    return records
