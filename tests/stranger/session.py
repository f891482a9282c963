"""A session: its index keys and the reliable channel (sections 3.6 and 6)."""

import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.stranger import messages, wire
from tests.stranger.errors import require
from tests.stranger.identity import Public
from tests.stranger.wire import IndexKey

FIRST, LAST = 1, 2
PIECE, IN_FLIGHT, MAX_MESSAGE = 1024, 32, 1 << 20
CHUNK_HEAD = struct.Struct(">IB")


@dataclass(frozen=True)
class Path:
    """A UDP endpoint, or a relay id at a planet's endpoint."""

    endpoint: tuple[str, int]
    relay: int = 0

    @property
    def datagram_size(self) -> int:
        """How large a datagram it carries, without the RELAY header (IPv4 only here)."""
        return 1444 if self.relay else 1472


class Channel:
    """The reliable channel of one session."""

    def __init__(self) -> None:
        """Nothing sent, nothing received."""
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.flying: dict[int, list[float]] = {}
        self.chunks: dict[int, bytes] = {}
        self.next_out = self.next_in = 0
        self.early: dict[int, tuple[int, bytes]] = {}
        self.message: bytearray | None = None

    def send(self, message: bytes) -> None:
        """Queue a message."""
        parts = [message[at : at + PIECE] for at in range(0, len(message), PIECE)]
        for number, part in enumerate(parts):
            flags = (FIRST if number == 0 else 0) | (LAST if number == len(parts) - 1 else 0)
            self.waiting.append((flags, part))

    def due(self, now: float) -> list[bytes]:
        """The CHUNK records to send now, new ones and those to repeat."""
        while self.waiting and len(self.flying) < IN_FLIGHT:
            flags, part = self.waiting.popleft()
            chunk = CHUNK_HEAD.pack(self.next_out, flags) + part
            self.chunks[self.next_out] = wire.record(wire.CHUNK, chunk)
            self.flying[self.next_out] = [now, 0.25]
            self.next_out += 1
        ready = []
        for number, timer in self.flying.items():
            if timer[0] <= now:
                timer[:] = [now + timer[1], min(2 * timer[1], 4.0)]
                ready.append(self.chunks[number])
        return ready

    def on_ack(self, value: bytes) -> None:
        """Forget what has arrived."""
        start, bits = struct.unpack(">II", value)
        for number in list(self.flying):
            ahead = number - start - 1
            if number < start or (0 <= ahead < 32 and bits >> ahead & 1):
                del self.flying[number], self.chunks[number]

    def on_chunk(self, value: bytes) -> list[bytes]:
        """The messages that are whole now, in order."""
        number, flags = CHUNK_HEAD.unpack_from(value)
        if self.next_in <= number <= self.next_in + 32:
            self.early.setdefault(number, (flags, value[CHUNK_HEAD.size :]))
        done = []
        while self.next_in in self.early:
            flags, part = self.early.pop(self.next_in)
            self.next_in += 1
            require((self.message is None) == bool(flags & FIRST), "a chunk out of place")
            self.message = (self.message or bytearray()) + part
            require(len(self.message) <= MAX_MESSAGE, "a message beyond 1 MiB")
            if flags & LAST:
                done.append(bytes(self.message))
                self.message = None
        return done

    def ack(self) -> bytes:
        """The ACK record for what has come so far."""
        bits = sum(1 << number - self.next_in - 1 for number in self.early)
        return wire.record(wire.ACK, struct.pack(">II", self.next_in, bits))


@dataclass(eq=False)
class Session:
    """Keys shared with one identity; `live` once something authentic has come."""

    peer: Public
    initiator: bool
    cipher: int
    send_key: bytes
    receive_key: bytes
    control: IndexKey
    ephemeral: bytes = b""
    response: bytes = b""
    live: bool = False
    heard: bool = False
    born: float = field(default_factory=time.monotonic)
    channel: Channel = field(default_factory=Channel)
    own: dict[int, IndexKey] = field(default_factory=dict)
    theirs: dict[int, IndexKey] = field(default_factory=dict)
    begun: set[tuple[int, int]] = field(default_factory=set)
    met: set[int] = field(default_factory=set)

    def announce(self, network: int, index: int) -> IndexKey:
        """An index that we told the peer, for what it sends."""
        key = IndexKey.derive(self.receive_key, self.cipher, network, 0, index)
        self.own[network] = key
        return key

    def learn(self, network: int, lane: int, index: int) -> None:
        """An index that the peer told us; the same again keeps its counter, one left is lost."""
        known = self.theirs.get(network)
        if known is None or known.index != index:
            require((network, index) not in self.begun, "an index that was left before")
            self.begun.add((network, index))
            key = IndexKey.derive(self.send_key, self.cipher, network, lane, index)
            self.theirs[network] = key

    def tell(self, verb: str, /, **fields: Any) -> None:
        """Queue a message on this very session."""
        self.channel.send(messages.encode(verb, **fields))

    def control_datagram(self, *records: bytes) -> bytes:
        """A CONTROL datagram."""
        return self.control.seal(wire.CONTROL, b"".join(records))
