"""The clock of the daemons."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Clock", "boot_clock"]

Clock: TypeAlias = Callable[[], float]
"""Gives seconds that only rise; the origin means nothing."""


def boot_clock() -> float:
    """Seconds since boot, suspend included: keys must age while a laptop sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
