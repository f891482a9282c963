"""The reliable channel inside one session: messages arrive once and in order (protocol section 6).

    send -> waiting, by priority -> cut into chunks -> in flight, at most 32 -> acknowledged
    CHUNK -> out of order, at most 32 -> in order -> put together -> poll_message

A message is cut only when the window has room for its first chunk, so that a revocation that is
sent late still overtakes what waits. Chunks of one message follow each other. What is not
acknowledged is repeated after 0.25 s, and then after twice as long each time, at most 4 s, while
the session lives.

The channel makes and takes records; sealing them into datagrams, and learning when to ask it for
some, is the node's part: after every verb, `poll_records` until it gives nothing.

Memory: 256 messages and 4 MiB to send, 32 chunks of 1 KiB out of order, and one message of at most
1 MiB half received. A peer that breaks the rules makes the channel `is_broken`: close its session.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from l2mesh.errors import StateError
from l2mesh.wire.control import MAX_CHUNK_BYTES, Ack, Chunk, ChunkFlag

WINDOW: Final = 32
"""Chunks in flight, and chunks kept out of order."""
MAX_MESSAGE_BYTES: Final = 1 << 20
MAX_WAITING: Final = 256
"""Messages that we were given and that are not acknowledged to their last chunk."""
MAX_WAITING_BYTES: Final = 4 << 20
MAX_RECEIVED: Final = 256
"""Messages that nobody has polled; further chunks are not taken, and so come again."""
FIRST_RTO_S: Final = 0.25
MAX_RTO_S: Final = 4.0


@dataclass(slots=True)
class _Message:
    """One message that we owe the peer."""

    priority: int
    data: bytes
    is_bound: bool
    """It means something in this session alone."""
    last_chunk: int = -1
    """Number of its last chunk, -1 while not every chunk has been made."""
    is_handed_over: bool = False


@dataclass(slots=True)
class _InFlight:
    """One chunk that was sent; `due` None: to be repeated as soon as there is a datagram for it."""

    chunk: Chunk
    due: float | None
    rto: float


@dataclass(slots=True)
class _Assembly:
    """The message whose chunks are arriving."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    is_open: bool = False


class Channel:
    """Both directions of the reliable channel of one session."""

    def __init__(self) -> None:
        self.is_broken = False
        """The peer sent what no channel sends, or more than 1 MiB in a message."""
        # sending
        self._waiting: list[tuple[int, int, _Message]] = []
        self._order = 0
        self._begun: deque[_Message] = deque()
        self._cut_at = 0
        self._bytes = 0
        self._in_flight: dict[int, _InFlight] = {}
        self._next_number = 0
        # receiving
        self._expected = 0
        self._early: dict[int, Chunk] = {}
        self._owes_ack = False
        self._assembly = _Assembly()
        self._received: deque[bytes] = deque()

    @property
    def is_heard(self) -> bool:
        """Whether the peer has acknowledged every message."""
        return not self._waiting and not self._begun

    # --- sending ----------------------------------------------------------------------------------

    def send(self, message: bytes, priority: int, now: float, *, is_bound: bool = False) -> None:
        """Sends a message after those of a lower `priority` number and those given before.

        One that `is_bound` means something in this session alone: no other ever carries it.

        Raises StateError when 256 messages or 4 MiB wait, or the message exceeds 1 MiB.
        """
        if len(message) > MAX_MESSAGE_BYTES:
            raise StateError(f"a message of {len(message)} bytes is too long for a channel")
        if len(self._waiting) + len(self._begun) >= MAX_WAITING:
            raise StateError(f"{MAX_WAITING} messages wait for the peer already")
        if self._bytes + len(message) > MAX_WAITING_BYTES:
            raise StateError(f"{self._bytes} bytes wait for the peer already")
        self._bytes += len(message)
        self._order += 1
        heapq.heappush(
            self._waiting, (priority, self._order, _Message(priority, message, is_bound))
        )

    def unacknowledged(self) -> list[tuple[int, bytes]]:
        """Hands over (priority, message) of all that is owed, for a newer session; each once.

        What has not begun leaves this channel; what has goes on here too, since the peer waits for
        its other chunks. What is bound to this session stays.
        """
        owed = [each for each in self._begun if not (each.is_handed_over or each.is_bound)]
        for each in owed:
            each.is_handed_over = True
        waiting = sorted(self._waiting)
        self._waiting = [entry for entry in waiting if entry[2].is_bound]
        for *_, message in waiting:
            if not message.is_bound:
                self._bytes -= len(message.data)
                owed.append(message)
        return [(each.priority, each.data) for each in owed]

    def receive_ack(self, ack: Ack, now: float) -> None:
        """The peer has these chunks. Numbers never sent mean nothing."""
        if ack.next > self._next_number:
            return
        for number in list(self._in_flight):
            bit = number - ack.next - 1
            if number < ack.next or (0 <= bit < WINDOW and ack.bits >> bit & 1):
                del self._in_flight[number]
        base = self._base()
        while self._begun and 0 <= self._begun[0].last_chunk < base:
            self._bytes -= len(self._begun.popleft().data)

    def poll_records(self, limit_bytes: int, now: float) -> list[Ack | Chunk]:
        """Records for one datagram, at most `limit_bytes` with their heads; empty: nothing to send.

        First the acknowledgement that is owed, then what is to be repeated, then new chunks.
        """
        self.handle_timeout(now)
        records: list[Ack | Chunk] = []
        room = limit_bytes
        if self._owes_ack:
            ack = self._ack()
            if ack.encoded_len <= room:
                self._owes_ack = False
                records.append(ack)
                room -= ack.encoded_len
        for each in self._in_flight.values():
            if each.due is None and each.chunk.encoded_len <= room:
                each.rto = min(2 * each.rto, MAX_RTO_S)
                each.due = now + each.rto
                records.append(each.chunk)
                room -= each.chunk.encoded_len
        while (chunk := self._new_chunk(room)) is not None:
            self._in_flight[chunk.number] = _InFlight(chunk, now + FIRST_RTO_S, FIRST_RTO_S)
            records.append(chunk)
            room -= chunk.encoded_len
        return records

    def handle_timeout(self, now: float) -> None:
        """Marks what is to be repeated; `poll_records` then gives it."""
        for each in self._in_flight.values():
            if each.due is not None and each.due <= now:
                each.due = None

    def path_changed(self) -> None:
        """What is in flight went by a dead path: it is repeated at once, as if first sent."""
        for each in self._in_flight.values():
            each.due = None
            each.rto = FIRST_RTO_S / 2

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed, None: not at all."""
        due = (each.due for each in self._in_flight.values() if each.due is not None)
        return min(due, default=None)

    def _base(self) -> int:
        """The lowest chunk that is not acknowledged."""
        return min(self._in_flight, default=self._next_number)

    def _new_chunk(self, room: int) -> Chunk | None:
        """Cuts the next chunk if the window and `room` bytes have place for it."""
        if self._next_number >= self._base() + WINDOW:
            return None
        is_first = not self._begun or self._begun[-1].last_chunk >= 0
        if is_first and not self._waiting:
            return None
        message = self._waiting[0][2] if is_first else self._begun[-1]
        start = 0 if is_first else self._cut_at
        end = min(start + MAX_CHUNK_BYTES, len(message.data))
        flags = ChunkFlag.FIRST * is_first | ChunkFlag.LAST * (end == len(message.data))
        chunk = Chunk(self._next_number, int(flags), message.data[start:end])
        if chunk.encoded_len > room:
            return None
        if is_first:
            heapq.heappop(self._waiting)
            self._begun.append(message)
        if chunk.flags & ChunkFlag.LAST:
            message.last_chunk = chunk.number
        self._cut_at = end
        self._next_number += 1
        return chunk

    # --- receiving --------------------------------------------------------------------------------

    def receive_chunk(self, chunk: Chunk, now: float) -> None:
        """A piece of a message has come, perhaps again or early."""
        if self.is_broken or len(self._received) >= MAX_RECEIVED:
            return
        self._owes_ack = True
        if self._expected <= chunk.number <= self._expected + WINDOW:
            self._early.setdefault(chunk.number, chunk)
        while (next_ := self._early.pop(self._expected, None)) is not None:
            self._expected += 1
            self._assemble(next_)

    def poll_message(self) -> bytes | None:
        """The next message that is complete, None without one."""
        return self._received.popleft() if self._received else None

    def _ack(self) -> Ack:
        bits = 0
        for number in self._early:
            bits |= 1 << (number - self._expected - 1)
        return Ack(self._expected, bits)

    def _assemble(self, chunk: Chunk) -> None:
        """Adds the next chunk in order; the peer's errors break the channel."""
        assembly = self._assembly
        is_first = bool(chunk.flags & ChunkFlag.FIRST)
        size = assembly.size + len(chunk.data)
        if is_first is assembly.is_open or size > MAX_MESSAGE_BYTES:
            self.is_broken = True
            self._early.clear()
            self._assembly = _Assembly()
            return
        assembly.is_open = True
        assembly.size = size
        assembly.parts.append(chunk.data)
        if chunk.flags & ChunkFlag.LAST:
            self._received.append(b"".join(assembly.parts))
            self._assembly = _Assembly()
