"""Faults of ours: each is counted, few are logged, none stops the daemon."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from l2mesh.runtime.clock import Clock

__all__ = ["FaultLog"]

logger = logging.getLogger(__name__)

LOG_EVERY_S: Final = 1.0
"""A fault that every packet brings about must not fill the disk with tracebacks."""


class FaultLog:
    """Counts into ``internal_errors`` and logs a traceback at most once a second."""

    __slots__ = ("_clock", "_counters", "_logged_at")

    def __init__(self, clock: Clock, counters: Counter[str]) -> None:
        self._clock = clock
        self._counters = counters
        self._logged_at = float("-inf")

    def note(self, where: str, error: Exception) -> None:
        """An exception that nothing should have raised; `where` says what was being done."""
        self._counters["internal_errors"] += 1
        now = self._clock()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            logger.error("internal error in %s: %s", where, error, exc_info=error)
