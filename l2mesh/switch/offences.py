"""Who makes guards and limits work, and how often: so that a culprit has a name (section 10)."""

from typing import Final

from l2mesh.datapath.interface import DropReason
from l2mesh.switch.fdb import Owner

TOLD_EACH_S: Final = 10.0


class Offences:
    """Counts of one network by source and reason: no more than members times reasons."""

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: dict[tuple[Owner, DropReason], tuple[int, float]] = {}

    def note(self, source: Owner, reason: DropReason, now: float) -> int | None:
        """One more; how often there was one if that is to be told now."""
        count, told = self._noted.get((source, reason), (0, float("-inf")))
        is_told = now - told >= TOLD_EACH_S
        self._noted[source, reason] = count + 1, now if is_told else told
        return count + 1 if is_told else None

    def forget(self, source: Owner) -> None:
        """A source has gone."""
        for key in [key for key in self._noted if key[0] == source]:
            del self._noted[key]
