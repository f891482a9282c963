"""Virtual time: a heap of things that happen, in the order of their times, then of their making."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Final

__all__ = ["START_S", "Schedule"]

START_S: Final = 1000.0
"""The first reading of the clock: any time, but not zero, which often means `never`."""

Happening = Callable[[], None]


class Schedule:
    """The clock of a simulated world. It moves only by :meth:`run` and :meth:`run_until`."""

    def __init__(self) -> None:
        self.now = START_S
        self.events = 0
        """How many things have happened."""
        self._heap: list[tuple[float, int, Happening]] = []
        self._order = count()

    def at(self, time: float, happening: Happening) -> None:
        """Let something happen at a time; in the past means now, after what is due already."""
        heapq.heappush(self._heap, (max(time, self.now), next(self._order), happening))

    def after(self, seconds: float, happening: Happening) -> None:
        """Let something happen so many seconds from now."""
        self.at(self.now + seconds, happening)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while self._step(end):
            pass
        self.now = end

    def run_until(self, is_true: Callable[[], bool], limit_s: float) -> float | None:
        """Let time pass until something is true; the seconds that took, None beyond the limit.

        The predicate is asked after every event, so the answer is exact.
        """
        begun, end = self.now, self.now + limit_s
        while not is_true():
            if not self._step(end):
                self.now = end
                return None
        return self.now - begun

    def _step(self, end: float) -> bool:
        """The next event, if it is not later than ``end``."""
        if not self._heap or self._heap[0][0] > end:
            return False
        self.now, _, happening = heapq.heappop(self._heap)
        self.events += 1
        happening()
        return True
