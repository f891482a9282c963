"""INIT, RESPONSE, COOKIE, and the payload that the first two carry encrypted (section 3).

    INIT, 384 to 1200 bytes                RESPONSE, 205 to 1200 bytes
     0  u8   type = 1                       0  u8   type = 2
     1  u8   version = 1                    1  u8   version = 1
     2  u16  zero                           2  u16  zero
     4  u32  handshake                      4  u32  handshake
     8  32   Noise e                        8  32   Noise e
    40  48   Noise s, encrypted            40  n+16 Noise payload, encrypted
    88  n+16 Noise payload, encrypted      ..  16   mac1
    ..  16   mac1
    ..  16   mac2, zero without a cookie

    COOKIE, 64 bytes                       payload
     0  u8   type = 3                        0  128  public identity of the sender
     1  u8   version = 1                   128  u8   highest version that the sender speaks
     2  u16  zero                          129  u8   ciphers: bit 0 AES-256-GCM,
     4  u32  handshake                               bit 1 ChaCha20-Poly1305
     8  24   nonce                         130  u24  control index
    32  32   sealed cookie                 133  ...  extensions: u8 type | u16 length | value

Nothing here is secret or judged: whether a MAC is right, an identity true or an unknown critical
extension to be borne is for `l2mesh.session` to say.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias, TypeVar

from l2mesh.crypto import TAG_BYTES
from l2mesh.errors import MalformedPacket
from l2mesh.wire.cursor import Reader, Writer
from l2mesh.wire.datagram import DatagramType

__all__ = [
    "MAX_LANES",
    "Announcement",
    "Cookie",
    "Extension",
    "Indices",
    "Init",
    "Lanes",
    "Padding",
    "Payload",
    "Response",
    "Software",
    "UnknownExtension",
]

VERSION: Final = 1
HEAD_BYTES: Final = 8
MAC_BYTES: Final = 16
NONCE_BYTES: Final = 24
SEALED_COOKIE_BYTES: Final = 16 + TAG_BYTES
IDENTITY_BYTES: Final = 128
PAYLOAD_HEAD_BYTES: Final = IDENTITY_BYTES + 5
EXTENSION_HEAD_BYTES: Final = 3
ANNOUNCEMENT_BYTES: Final = 12
MAX_SOFTWARE_BYTES: Final = 32

INIT_OVERHEAD_BYTES: Final = HEAD_BYTES + 32 + 48 + TAG_BYTES + 2 * MAC_BYTES
"""An INIT is that much longer than its payload."""
RESPONSE_OVERHEAD_BYTES: Final = HEAD_BYTES + 32 + TAG_BYTES + MAC_BYTES
"""A RESPONSE is that much longer than its payload."""
MIN_INIT_BYTES: Final = 384
MIN_RESPONSE_BYTES: Final = RESPONSE_OVERHEAD_BYTES + PAYLOAD_HEAD_BYTES
MAX_HANDSHAKE_BYTES: Final = 1200
COOKIE_BYTES: Final = HEAD_BYTES + NONCE_BYTES + SEALED_COOKIE_BYTES

MAX_LANES: Final = 8
"""Of one network in a session."""
CRITICAL: Final = 0x80
"""The bit of an extension's type that says: whoever does not know me must not go on."""


# --- datagrams ----------------------------------------------------------------------------------


def _open(datagram: bytes, kind: DatagramType, shortest: int, longest: int) -> Reader:
    """A reader behind `type | version | zero`, once these and the length are right."""
    if not shortest <= len(datagram) <= longest:
        raise MalformedPacket(f"{kind.name} of {len(datagram)} bytes")
    reader = Reader(datagram)
    if (reader.u8(), reader.u8(), reader.u16()) != (kind, VERSION, 0):
        raise MalformedPacket(f"not {kind.name} of version {VERSION}")
    return reader


def _begin(kind: DatagramType, handshake: int) -> Writer:
    writer = Writer()
    writer.u8(kind)
    writer.u8(VERSION)
    writer.u16(0)
    writer.u32(handshake)
    return writer


@dataclass(frozen=True, slots=True)
class Init:
    """Message 1. `noise` is e | s | payload; `handshake` (u32) names the initiator's attempt."""

    handshake: int
    noise: bytes
    mac1: bytes = bytes(MAC_BYTES)
    mac2: bytes = bytes(MAC_BYTES)

    @property
    def encoded_len(self) -> int:
        """Bytes of the datagram."""
        return HEAD_BYTES + len(self.noise) + 2 * MAC_BYTES

    def encode(self) -> bytes:
        """The datagram."""
        writer = _begin(DatagramType.INIT, self.handshake)
        writer.put(self.noise + self.mac1 + self.mac2)
        return writer.getvalue()

    @classmethod
    def decode(cls, datagram: bytes) -> Self:
        """Reads a whole datagram; MalformedPacket for another type, version or length."""
        reader = _open(datagram, DatagramType.INIT, MIN_INIT_BYTES, MAX_HANDSHAKE_BYTES)
        handshake = reader.u32()
        noise = reader.take(reader.remaining - 2 * MAC_BYTES)
        return cls(handshake, noise, reader.take(MAC_BYTES), reader.take(MAC_BYTES))


@dataclass(frozen=True, slots=True)
class Response:
    """Message 2. `noise` is e | payload, `handshake` is copied from the INIT."""

    handshake: int
    noise: bytes
    mac1: bytes = bytes(MAC_BYTES)

    @property
    def encoded_len(self) -> int:
        """Bytes of the datagram."""
        return HEAD_BYTES + len(self.noise) + MAC_BYTES

    def encode(self) -> bytes:
        """The datagram."""
        writer = _begin(DatagramType.RESPONSE, self.handshake)
        writer.put(self.noise + self.mac1)
        return writer.getvalue()

    @classmethod
    def decode(cls, datagram: bytes) -> Self:
        """Reads a whole datagram; MalformedPacket for another type, version or length."""
        reader = _open(datagram, DatagramType.RESPONSE, MIN_RESPONSE_BYTES, MAX_HANDSHAKE_BYTES)
        handshake = reader.u32()
        noise = reader.take(reader.remaining - MAC_BYTES)
        return cls(handshake, noise, reader.take(MAC_BYTES))


@dataclass(frozen=True, slots=True)
class Cookie:
    """What a responder under load says instead: a cookie of 16 bytes, sealed into 32."""

    handshake: int
    nonce: bytes
    sealed: bytes

    @property
    def encoded_len(self) -> int:
        """Bytes of the datagram."""
        return COOKIE_BYTES

    def encode(self) -> bytes:
        """The datagram."""
        writer = _begin(DatagramType.COOKIE, self.handshake)
        writer.put(self.nonce + self.sealed)
        return writer.getvalue()

    @classmethod
    def decode(cls, datagram: bytes) -> Self:
        """Reads a whole datagram; MalformedPacket for another type, version or length."""
        reader = _open(datagram, DatagramType.COOKIE, COOKIE_BYTES, COOKIE_BYTES)
        return cls(reader.u32(), reader.take(NONCE_BYTES), reader.take(SEALED_COOKIE_BYTES))


# --- extensions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Announcement:
    """One receive index: network u64 (not 0), lane u8, index u24 (not 0)."""

    network: int
    lane: int
    index: int


@dataclass(frozen=True, slots=True)
class Indices:
    """Receive indices of the sender, 12 bytes each."""

    TYPE: ClassVar[int] = 0x01
    announcements: tuple[Announcement, ...]

    def __post_init__(self) -> None:
        if not all(one.network and one.index for one in self.announcements):
            raise MalformedPacket("network 0 and index 0 are not announced")

    @property
    def encoded_len(self) -> int:
        """Bytes of the extension, its head included."""
        return EXTENSION_HEAD_BYTES + ANNOUNCEMENT_BYTES * len(self.announcements)

    def emit(self, writer: Writer) -> None:
        """Writes the value."""
        for one in self.announcements:
            writer.u64(one.network)
            writer.u8(one.lane)
            writer.u24(one.index)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Reads the whole value."""
        announcements = []
        while reader.remaining:
            announcements.append(Announcement(reader.u64(), reader.u8(), reader.u24()))
        return cls(tuple(announcements))


@dataclass(frozen=True, slots=True)
class Padding:
    """`size` zero bytes."""

    TYPE: ClassVar[int] = 0x02
    size: int

    @property
    def encoded_len(self) -> int:
        """Bytes of the extension, its head included."""
        return EXTENSION_HEAD_BYTES + self.size

    def emit(self, writer: Writer) -> None:
        """Writes the value."""
        writer.put(bytes(self.size))

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Reads the whole value."""
        value = reader.rest()
        if any(value):
            raise MalformedPacket("padding is not zero")
        return cls(len(value))


@dataclass(frozen=True, slots=True)
class Software:
    """What the sender runs, for people: at most 32 bytes of UTF-8."""

    TYPE: ClassVar[int] = 0x03
    text: str

    def __post_init__(self) -> None:
        if len(self.text.encode()) > MAX_SOFTWARE_BYTES:
            raise MalformedPacket(f"the name of a software has {MAX_SOFTWARE_BYTES} bytes at most")

    @property
    def encoded_len(self) -> int:
        """Bytes of the extension, its head included."""
        return EXTENSION_HEAD_BYTES + len(self.text.encode())

    def emit(self, writer: Writer) -> None:
        """Writes the value."""
        writer.put(self.text.encode())

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Reads the whole value."""
        try:
            return cls(reader.rest().decode())
        except UnicodeDecodeError:
            raise MalformedPacket("the name of a software is not UTF-8") from None


@dataclass(frozen=True, slots=True)
class Lanes:
    """With how many lanes the sender would send frames of a network: u8, not 0."""

    TYPE: ClassVar[int] = 0x04
    count: int

    def __post_init__(self) -> None:
        if not self.count:
            raise MalformedPacket("nobody sends with no lane")

    @property
    def encoded_len(self) -> int:
        """Bytes of the extension, its head included."""
        return EXTENSION_HEAD_BYTES + 1

    def emit(self, writer: Writer) -> None:
        """Writes the value."""
        writer.u8(self.count)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Reads the whole value."""
        count = reader.u8()
        if reader.remaining:
            raise MalformedPacket("a number of lanes is one byte")
        return cls(count)


@dataclass(frozen=True, slots=True)
class UnknownExtension:
    """A type that version 1 gives no meaning (PSK, 0x84, among them)."""

    type: int
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.type in _EXTENSIONS:
            raise MalformedPacket(f"extension {self.type:#x} is a known one")

    @property
    def is_critical(self) -> bool:
        """Whether who does not know it must meet the handshake with silence."""
        return bool(self.type & CRITICAL)

    @property
    def encoded_len(self) -> int:
        """Bytes of the extension, its head included."""
        return EXTENSION_HEAD_BYTES + len(self.value)

    def emit(self, writer: Writer) -> None:
        """Writes the value."""
        writer.put(self.value)


_KnownExtension: TypeAlias = Indices | Padding | Software | Lanes
Extension: TypeAlias = _KnownExtension | UnknownExtension

_EXTENSIONS: Final[dict[int, type[_KnownExtension]]] = {
    kind.TYPE: kind for kind in (Indices, Padding, Software, Lanes)
}
_E = TypeVar("_E", Indices, Padding, Software, Lanes, UnknownExtension)


# --- payload ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payload:
    """What INIT and RESPONSE carry encrypted; `extensions` keep their order, unknown ones too."""

    identity: bytes
    """128 bytes, not verified."""
    version: int
    """Highest protocol version that the sender speaks, u8."""
    ciphers: int
    """u8: the sum of `Cipher` values, bits of later versions included."""
    control_index: int
    """Receive index of the sender for network 0, lane 0; u24, not 0."""
    extensions: tuple[Extension, ...] = ()

    def __post_init__(self) -> None:
        if len(self.identity) != IDENTITY_BYTES or not self.control_index:
            raise MalformedPacket("a handshake payload without an identity or a control index")

    @property
    def announcements(self) -> tuple[Announcement, ...]:
        """All receive indices that the sender announces, in their order."""
        return tuple(one for each in self._all(Indices) for one in each.announcements)

    @property
    def software(self) -> str:
        """What the sender runs, "" if it does not say."""
        return next((each.text for each in self._all(Software)), "")

    @property
    def lanes(self) -> int:
        """With how many lanes the sender would send, 1 to 8; what is above counts as 8."""
        return min(next((each.count for each in self._all(Lanes)), 1), MAX_LANES)

    @property
    def has_unknown_critical(self) -> bool:
        """Whether there is an extension that we must know and do not."""
        return any(each.is_critical for each in self._all(UnknownExtension))

    @property
    def encoded_len(self) -> int:
        """Bytes before encryption."""
        return PAYLOAD_HEAD_BYTES + sum(each.encoded_len for each in self.extensions)

    def encode(self) -> bytes:
        """The plaintext for Noise."""
        writer = Writer()
        writer.put(self.identity)
        writer.u8(self.version)
        writer.u8(self.ciphers)
        writer.u24(self.control_index)
        for each in self.extensions:
            writer.u8(each.type if isinstance(each, UnknownExtension) else each.TYPE)
            writer.u16(each.encoded_len - EXTENSION_HEAD_BYTES)
            each.emit(writer)
        return writer.getvalue()

    @classmethod
    def decode(cls, plaintext: bytes) -> Self:
        """Reads a whole plaintext; MalformedPacket if it is not a payload to its last byte."""
        reader = Reader(plaintext)
        identity = reader.take(IDENTITY_BYTES)
        version, ciphers, control_index = reader.u8(), reader.u8(), reader.u24()
        extensions: list[Extension] = []
        while reader.remaining:
            type_, value = reader.u8(), reader.take(reader.u16())
            kind = _EXTENSIONS.get(type_)
            extensions.append(kind.parse(Reader(value)) if kind else UnknownExtension(type_, value))
        return cls(identity, version, ciphers, control_index, tuple(extensions))

    def _all(self, kind: type[_E]) -> list[_E]:
        return [each for each in self.extensions if isinstance(each, kind)]
