"""Measure again what was measured while the host of a virtual machine took its processors away.

A hypervisor tells its guests the time that their processors were ready to run and did not (proc(5),
the eighth field of ``cpu``). What is stolen falls on one probe and not on the next, so that ratios
within a round suffer as well; no load average of the guest shows it.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from tools.benchmark.cpu import processor_ticks
from tools.benchmark.figures import Figures

__all__ = ["Patience"]

CALM: Final = 0.02
"""Of all processors' time: less than that disturbs nobody."""
TRIES: Final = 3
_STOLEN_FIELD: Final = 7
_GUEST_FIELDS: Final = 2
"""Guests' time, the last fields, is contained in others."""


class Ticks(NamedTuple):
    """Of all processors, since the start."""

    total: int
    stolen: int

    @classmethod
    def now(cls) -> Self:
        """As of now."""
        fields = processor_ticks()
        return cls(sum(fields[:-_GUEST_FIELDS]), fields[_STOLEN_FIELD])


class Patience:
    """Seconds that may be spent on measuring again, and what share of the time was stolen."""

    def __init__(
        self,
        seconds: float,
        ticks: Callable[[], Ticks] = Ticks.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = seconds
        self._ticks = ticks
        self._clock = clock

    def calmest(self, probe: Callable[[], Figures]) -> Figures:
        """What a probe found when least was stolen, and as ``stolen`` what share that was.

        It is tried at most three times, once if little was stolen. What it raises passes.
        """
        best, least = self._once(probe)
        for _ in range(TRIES - 1):
            if least <= CALM or self._left <= 0:
                break
            begun = self._clock()
            found, share = self._once(probe)
            self._left -= self._clock() - begun
            if share < least:
                best, least = found, share
        return best | {"stolen": least}

    def _once(self, probe: Callable[[], Figures]) -> tuple[Figures, float]:
        before = self._ticks()
        found = probe()
        after = self._ticks()
        return found, (after.stolen - before.stolen) / max(after.total - before.total, 1)
