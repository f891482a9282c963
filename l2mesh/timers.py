"""Named deadlines: what a machine free of I/O has instead of a clock.

A machine names its timers by a key of its own, sets and cancels them, answers `next_timeout` with
`next()`, and in `handle_timeout` acts on what `pop_due` gives. Times are those of `now`: monotonic
seconds.
"""

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["TimerTable"]

K = TypeVar("K", bound=Hashable)

_GARBAGE: Final = 64
"""Dead entries that are borne without asking, beside as many as live ones."""


class TimerTable(Generic[K]):
    """At most one deadline a key, kept in a heap.

    A changed or cancelled deadline stays in the heap until it surfaces, or until dead entries
    outnumber the live ones by 64: then the heap is built anew. Setting and popping cost O(log n)
    on average, and memory stays below twice the live timers and 64.
    """

    __slots__ = ("_deadlines", "_heap", "_order")

    def __init__(self) -> None:
        self._deadlines: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, key: K) -> bool:
        return key in self._deadlines

    def set(self, key: K, deadline: float) -> None:
        """The timer `key` is due at `deadline`, and no more at an earlier one that was set."""
        # the order number is unique, so keys themselves are never compared
        self._order += 1
        self._deadlines[key] = deadline, self._order
        heapq.heappush(self._heap, (deadline, self._order, key))
        self._sweep()

    def cancel(self, key: K) -> None:
        """The timer `key` is never due; nothing happens when it was not set."""
        if self._deadlines.pop(key, None) is not None:
            self._sweep()

    def deadline(self, key: K) -> float | None:
        """When `key` is due, None when it is not set."""
        entry = self._deadlines.get(key)
        return None if entry is None else entry[0]

    def pop_due(self, now: float) -> list[K]:
        """Takes out all that is due at `now`, the earliest first, the first set first."""
        due: list[K] = []
        while self._surface() and self._heap[0][0] <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._deadlines[key]
            due.append(key)
        return due

    def next(self) -> float | None:
        """The earliest deadline, None when there is none."""
        return self._heap[0][0] if self._surface() else None

    def _surface(self) -> bool:
        """Drops dead entries from the top; whether a live one is there now."""
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)
        return bool(self._heap)

    def _is_live(self, entry: tuple[float, int, K]) -> bool:
        deadline, order, key = entry
        return self._deadlines.get(key) == (deadline, order)

    def _sweep(self) -> None:
        if len(self._heap) <= 2 * len(self._deadlines) + _GARBAGE:
            return
        self._heap = [(*entry, key) for key, entry in self._deadlines.items()]
        heapq.heapify(self._heap)
