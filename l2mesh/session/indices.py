"""Receive indices: the numbers by which peers name a direction of a session to us.

An index is a u24: the low 16 bits are the slot of an engine's table, the high 8 bits random, so
that a guess or a late datagram rarely hits (protocol section 3.6). One allocator serves all peers
of a process, because all share the engine's table. A number that was released rests for 540 s,
three times the life of a session; its slot may be used at once under another number.

Memory: at most 65,536 numbers in use and 262,144 at rest. Nothing is evicted; who asks too much is
refused a new session.
"""

from collections import deque
from typing import Final

from l2mesh.crypto import Random
from l2mesh.errors import StateError

SLOTS: Final = 1 << 16
REST_S: Final = 540.0
"""No number comes back earlier."""
MAX_RESTING: Final = 1 << 18

_GENERATIONS: Final = 1 << 8
_SLOT_MASK: Final = SLOTS - 1
_SLOTS_TRIED: Final = 8


class IndexAllocator:
    """Gives out receive indices and takes them back."""

    __slots__ = ("_free", "_fresh", "_random", "_resting", "_used", "_wakes")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._fresh = 0
        """Slots from here on were never used."""
        self._free: deque[int] = deque()
        """Slots that were, longest free first."""
        self._used: set[int] = set()
        self._resting: set[int] = set()
        self._wakes: deque[tuple[float, int]] = deque()
        """When each resting number's rest ends, the earliest first."""

    def __len__(self) -> int:
        """How many numbers are in use."""
        return len(self._used)

    def allocate(self, now: float) -> int:
        """A number 1 .. 2^24 - 1 that is neither in use nor at rest.

        Raises StateError when there is none, changing nothing.
        """
        self._wake(now)
        if len(self._resting) >= MAX_RESTING:
            raise StateError("too many indices were used in the last nine minutes")
        for _ in range(min(_SLOTS_TRIED, SLOTS - len(self._used))):
            slot = self._take_slot()
            index = self._number(slot)
            if index is not None:
                self._used.add(index)
                return index
            self._free.append(slot)
        raise StateError("all receive indices are in use")

    def release(self, index: int, now: float) -> None:
        """Takes a number back. One that is not in use is ignored."""
        if index not in self._used:
            return
        self._used.remove(index)
        self._free.append(index & _SLOT_MASK)
        self._resting.add(index)
        self._wakes.append((now + REST_S, index))

    def _take_slot(self) -> int:
        """A slot never used while there is one, else the one that has been free longest."""
        if self._fresh < SLOTS:
            self._fresh += 1
            return self._fresh - 1
        return self._free.popleft()

    def _number(self, slot: int) -> int | None:
        """A number for `slot` with a random upper byte, None if every one of them rests."""
        start = self._random(1)[0]
        for step in range(_GENERATIONS):
            index = ((start + step) % _GENERATIONS) << 16 | slot
            if index and index not in self._resting:
                return index
        return None

    def _wake(self, now: float) -> None:
        """Ends the rest of those whose time has come."""
        while self._wakes and self._wakes[0][0] <= now:
            self._resting.remove(self._wakes.popleft()[1])
