"""A queue that stands, and telling its senders so: CoDel's control law (RFC 8289).

A queue that is empty now and then takes up bursts, and is good. One that was not for a whole
interval makes everybody wait and carries no more for it: its senders have more under way than the
way holds. They are told by a super-frame of TCP, and again at ever shorter times until the queue
was empty once. CoDel asks whether the least wait of an interval was short; that nothing was left at
the end of a batch needs no clock for each frame, and is as good.

A sender that takes marks (ECN, RFC 3168) is told early, since that costs nothing but speed that is
too much. Others lose a super-frame, and so late that only a queue that does not go away by itself
is meant; RFC 8311, 3.1 allows for such a difference. Only super-frames of TCP are touched: they are
bulk, and they answer.

Law and counters are those of the native engine. The intervals are longer, since so are the round
trips of this loop under load, and with short queues TCP makes short super-frames, which cost it
twice as much for a byte.
"""

from __future__ import annotations

from collections import Counter
from math import inf, sqrt
from typing import Final

from l2mesh.datapath.interface import GSO_TCP4, GSO_TCP6, Offload
from l2mesh.datapath.reference.superframe.ecn import mark

__all__ = ["Standing"]

MARK_INTERVAL_S: Final = 0.2
"""So long a queue stands before it is marked: some of its own round trips."""
DROP_INTERVAL_S: Final = 1.0
"""So long it stands before something is dropped."""
IDLE_S: Final = MARK_INTERVAL_S
"""A queue that was not read for so long was empty, though nobody looked."""
REMEMBERED: Final = 16.0
"""After a pause of fewer intervals than this the last pace is taken up again (RFC 8289, 5.4)."""
_TCP: Final = frozenset({GSO_TCP4, GSO_TCP6})


class Standing:
    """What is known of one queue: a port's, or a socket's."""

    __slots__ = ("_counters", "_drops", "_marks", "_read")

    def __init__(self, counters: Counter[str]) -> None:
        """`counters` gets `congestion_marks` and `congestion_drops`."""
        self._counters = counters
        self._marks, self._drops = _Pace(MARK_INTERVAL_S), _Pace(DROP_INTERVAL_S)
        self._read = -inf

    def emptied(self) -> None:
        """The queue is empty."""
        self._marks.stop()
        self._drops.stop()

    def pass_on(self, frame: bytes, offload: Offload | None, now: float) -> bytes | None:
        """What goes on of a frame that came from this queue, which was not seen empty since.

        The frame, the frame with a mark, or None: it is dropped.
        """
        if now - self._read > IDLE_S:
            self.emptied()
        self._read = now
        if offload is None or offload.gso_type not in _TCP:
            return frame
        if self._marks.is_due(now) and (marked := mark(frame)) is not None:
            self._marks.step(now)
            self._counters["congestion_marks"] += 1
            return marked
        if not self._drops.is_due(now):
            return frame
        self._drops.step(now)
        self._counters["congestion_drops"] += 1
        return None


class _Pace:
    """When to tell: after one interval, and then each time after interval / sqrt(count)."""

    __slots__ = ("_count", "_interval", "_last", "_next", "_since")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._since: float | None = None
        self._next: float | None = None
        self._last = -inf
        self._count = 0

    def stop(self) -> None:
        self._since = self._next = None

    def is_due(self, now: float) -> bool:
        if self._since is None:
            self._since = now
        due = self._since + self._interval if self._next is None else self._next
        return now >= due

    def step(self, now: float) -> None:
        if self._next is None:
            is_row = now - self._last < REMEMBERED * self._interval
            self._count = max(self._count - 2, 0) if is_row else 0
        self._count += 1
        self._last = now
        begun = now if self._next is None else self._next
        self._next = begun + self._interval / sqrt(self._count)
