"""One loop timer for many deadlines: the earliest is set, and an early wake costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["Alarm"]

LONGEST_SLEEP_S: Final = 5.0
"""The loop's clock stops in suspend and ours does not: look again at least this often."""
AFTER_ERROR_S: Final = 0.25
"""A deadline that fails stays due; do not spin on it."""


class Alarm:
    """Calls `ring` at or before the earliest deadline it was given since it last rang."""

    __slots__ = ("_armed", "_handle", "_loop", "_ring")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._armed = float("inf")
        self._handle: asyncio.TimerHandle | None = None

    def set(self, engine: float | None, core: float | None, now: float) -> None:
        """Makes sure that it rings in time for both deadlines; None is no deadline."""
        due = now + LONGEST_SLEEP_S
        if engine is not None and engine < due:
            due = engine
        if core is not None and core < due:
            due = core
        if due < self._armed:
            self._arm(due, due - now)

    def hold_off(self) -> None:
        """After a deadline that failed: rings in a while, and not before."""
        self._arm(float("-inf"), AFTER_ERROR_S)

    def cancel(self) -> None:
        """Rings no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self, due: float, delay: float) -> None:
        self.cancel()
        self._armed = due
        self._handle = self._loop.call_later(max(0.0, delay), self._rang)

    def _rang(self) -> None:
        self._armed = float("inf")
        self._ring()
