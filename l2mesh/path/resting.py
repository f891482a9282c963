"""When direct paths rest: without frames a relay has to do (section 8.4 of ``docs/protocol.md``).

Nothing keeps their NATs open then, so these may close unseen, and what worked has to answer anew
once there are frames again. Without a relay the path in use stays in use.
"""

from __future__ import annotations

import enum

from l2mesh.path.candidate import Candidate, CandidateTable
from l2mesh.path.need import Need

__all__ = ["Resting", "Turn"]


class Turn(enum.Enum):
    """What has just begun."""

    REST = enum.auto()  # direct paths are left: no endpoint is usable any more
    SEARCH = enum.auto()  # the first frame after a pause


class Resting:
    """Of one peer."""

    def __init__(self, need: Need, table: CandidateTable) -> None:
        self._need = need
        self._table = table

    @property
    def is_on(self) -> bool:
        """Whether direct paths are left alone."""
        relays = self._table.relays()
        return self._need.is_idle and any(each.path.relay and each.usable for each in relays)

    def is_worth_asking(self, candidate: Candidate, now: float) -> bool:
        """Not if it has just answered, nor an endpoint while a relay has to do."""
        return not (candidate.is_direct and self.is_on) and not candidate.has_just_answered(now)

    def turn(self, now: float, *, is_direct: bool) -> Turn | None:
        """What begins now, if anything; ``is_direct`` says what is in use."""
        was_idle, self._need.is_idle = self._need.is_idle, not self._need.is_awake(now)
        if was_idle and not self._need.is_idle:
            return Turn.SEARCH
        if is_direct and self.is_on:
            self._table.drop_direct()
            return Turn.REST
        return None
