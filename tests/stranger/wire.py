"""DATA, FRAG, RELAY and control records: sections 4 to 6."""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.stranger import noise
from tests.stranger.errors import Refused, require

CONTROL, FRAG, CONT, CSUM, ELIDED, GROUP = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ALLOWED_FLAGS = {CONTROL, FRAG, GROUP, GROUP | FRAG} | {
    a | b | c for a in (0, CONT) for b in (0, CSUM) for c in (0, ELIDED)
}
COUNTER_END = 2**32 - 2**16
WINDOW = 32768
ACK, CHUNK, PROBE, PROBE_REPLY, HELD, CLOSE = range(1, 7)
SIZES = {
    ACK: (8, 8),
    CHUNK: (5, 5 + 1024),
    PROBE: (8, 8),
    PROBE_REPLY: (26, 26),
    HELD: (12, 12),
    CLOSE: (1, 1),
}
MAX_RECORDS, MAX_PADDED, PADDING = 1200, 1448, 0x07
OVERHEAD, PIECE_HEAD = 24, 8


def relay_wrap(relay: int, inner: bytes) -> bytes:
    """A RELAY datagram."""
    return b"\x04" + relay.to_bytes(7) + inner


def relay_unwrap(datagram: bytes) -> tuple[int, bytes]:
    """Relay id and what is inside."""
    require(datagram[:1] == b"\x04" and len(datagram) > 8, "no RELAY with something inside")
    relay = int.from_bytes(datagram[1:8])
    require(relay, "relay id 0")
    return relay, datagram[8:]


def data_head(datagram: bytes) -> tuple[int, int, int]:
    """Flags, index and counter of DATA."""
    require(len(datagram) >= OVERHEAD and datagram[0] & 0x80, "no DATA")
    return datagram[0] & 0x7F, int.from_bytes(datagram[1:4]), int.from_bytes(datagram[4:8])


@dataclass
class IndexKey:
    """One index of a session in one direction: seals for it, or opens what comes on it."""

    network: int
    lane: int
    index: int
    aead: noise.Aead
    salt: bytes
    counter: int = 0
    newest: int = -1
    seen: set[int] = field(default_factory=set)
    frames: dict[int, "Pieces"] = field(default_factory=dict)

    @classmethod
    def derive(
        cls, direction: bytes, cipher: int, network: int, lane: int, index: int
    ) -> "IndexKey":
        """From the direction's key."""
        key, salt = noise.index_key(direction, network, lane, index)
        return cls(network, lane, index, noise.aead_of(cipher, key), salt)

    def seal(self, flags: int, plaintext: bytes) -> bytes:
        """The next DATA datagram."""
        head = bytes([0x80 | flags]) + self.index.to_bytes(3) + self.counter.to_bytes(4)
        nonce = self.salt + self.counter.to_bytes(8)
        self.counter += 1
        return head + self.aead.encrypt(nonce, plaintext, head)

    def open(self, datagram: bytes) -> tuple[int, bytes]:
        """Flags and plaintext of an authentic datagram that is no replay."""
        flags, _, counter = data_head(datagram)
        require(counter not in self.seen and counter > self.newest - WINDOW, "replay")
        require(counter < COUNTER_END, "counter_spent")
        nonce = self.salt + counter.to_bytes(8)
        plaintext = noise.open_sealed(self.aead, nonce, datagram[8:], datagram[:8])
        self.newest = max(self.newest, counter)
        self.seen.add(counter)
        if len(self.seen) > 2 * WINDOW:
            self.seen = {old for old in self.seen if old > self.newest - WINDOW}
        require(flags in ALLOWED_FLAGS, "bad_flags")
        require((flags == CONTROL) == (self.network == 0), "bad_flags")
        return flags, plaintext

    def collect(self, plaintext: bytes) -> bytes | None:
        """A piece of a frame; the frame when it is whole."""
        name, offset, total, piece = parse_piece(plaintext)
        pieces = self.frames.setdefault(name, Pieces(total))
        frame = pieces.add(offset, total, piece)
        if frame is not None:
            del self.frames[name]
        elif len(self.frames) > 16:
            del self.frames[next(iter(self.frames))]
        return frame


@dataclass
class Pieces:
    """An unfinished frame."""

    total: int
    parts: dict[int, bytes] = field(default_factory=dict)

    def add(self, offset: int, total: int, piece: bytes) -> bytes | None:
        """The frame, if this was the last piece; Refused if it does not fit."""
        require(total == self.total and len(self.parts) < 64, "bad_fragment")
        for start, part in self.parts.items():
            apart = offset + len(piece) <= start or start + len(part) <= offset
            require(apart, "bad_fragment")
        self.parts[offset] = piece
        if sum(map(len, self.parts.values())) < total:
            return None
        return b"".join(part for _, part in sorted(self.parts.items()))


def parse_piece(plaintext: bytes) -> tuple[int, int, int, bytes]:
    """Frame id, offset, total and bytes."""
    require(len(plaintext) > PIECE_HEAD, "bad_fragment")
    name, offset, total = struct.unpack_from(">IHH", plaintext)
    piece = plaintext[PIECE_HEAD:]
    require(total >= 15 and offset + len(piece) <= total, "bad_fragment")
    return name, offset, total, piece


def cut(frame: bytes, datagram_size: int, name: int) -> Iterator[tuple[int, bytes]]:
    """Flags and plaintexts that carry a frame over a path."""
    if len(frame) + OVERHEAD <= datagram_size:
        yield 0, frame
        return
    room = datagram_size - OVERHEAD - PIECE_HEAD
    for offset in range(0, len(frame), room):
        head = struct.pack(">IHH", name, offset, len(frame))
        yield FRAG, head + frame[offset : offset + room]


def record(kind: int, value: bytes) -> bytes:
    """A control record."""
    return struct.pack(">BH", kind, len(value)) + value


def records(plaintext: bytes) -> list[tuple[int, bytes]]:
    """The known records of a CONTROL datagram; Refused if one is broken."""
    require(len(plaintext) <= MAX_PADDED, "more than any path carries")
    found, at, padding = [], 0, 0
    while at < len(plaintext):
        require(at + 3 <= len(plaintext), "a broken head")
        kind, size = struct.unpack_from(">BH", plaintext, at)
        value = plaintext[at + 3 : at + 3 + size]
        at += 3 + size
        require(len(value) == size, "a length beyond the datagram")
        padding += 3 + size if kind == PADDING else 0
        if kind not in SIZES:
            continue
        low, high = SIZES[kind]
        require(low <= size <= high, "a broken length")
        require(kind != CHUNK or value[4] <= 3, "an unknown flag")
        if kind == PROBE_REPLY:
            observed(value)
        found.append((kind, value))
    require(at - padding <= MAX_RECORDS, "more than 1200 bytes")
    return found


def observed(value: bytes) -> tuple[str, int] | None:
    """The endpoint in a PROBE_REPLY, None if it was relayed."""
    if not any(value[8:]):
        return None
    host, port = ipaddress.IPv6Address(value[8:24]), int.from_bytes(value[24:])
    require(port, "port 0")
    return str(host.ipv4_mapped or host), port


def pack_endpoint(endpoint: tuple[str, int] | None) -> bytes:
    """Address 16 and port 2, all zero for None."""
    if endpoint is None:
        return bytes(18)
    address = ipaddress.ip_address(endpoint[0])
    raw = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    return raw + endpoint[1].to_bytes(2)


def endpoint_of(text: str) -> tuple[str, int]:
    """`192.0.2.1:9993` or `[2001:db8::1]:9993`."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise Refused("no endpoint") from None
    require(len(text) <= 64 and 0 < number < 65536, "no endpoint")
    require(host.startswith("[") == (address.version == 6), "no endpoint")
    return str(address), number
