"""When what goes to a peer leaves by two paths (section 8.4 of ``docs/protocol.md``).

For a second after a switch of paths that both work, so that nothing is lost should the new one not
carry what its PROBEs did; and while frames flow and the path in use is late with its answers, until
it has answered or is given up. The engine bounds each time in seconds and bytes; the receiver's
replay window drops what comes twice.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from l2mesh.path.candidate import Candidate, CandidateTable
from l2mesh.path.heartbeat import Heartbeat
from l2mesh.path.outputs import PathOutput, SendCopies

__all__ = ["COPIES_BYTES", "COPIES_S", "Copies", "second_path"]

COPIES_S: Final = 1.0
"""So long copies leave by a second path."""
COPIES_BYTES: Final = 1 << 20
"""So many bytes of them in that time, at most: a relay is not to carry a bulk transfer twice."""
_NEVER: Final = float("-inf")
_LATE_BEATS: Final = 2
"""With so many heartbeats unanswered the path in use is late."""


class Copies:
    """When copies were asked for last; what asks goes to the set's ``outputs``."""

    def __init__(self, outputs: deque[PathOutput]) -> None:
        self._outputs = outputs
        self._asked_at = _NEVER

    def send(self, second: Candidate | None, active: Candidate | None, now: float) -> None:
        """Let frames leave by ``second`` as well, unless it is the path in use."""
        if second is not None and active is not None and second is not active:
            self.send_by(second, now)

    def send_by(self, second: Candidate, now: float) -> None:
        """Let frames that leave by another path leave by ``second`` as well."""
        self._asked_at = now
        self._outputs.append(SendCopies(second.path, second.size.size))

    def cover(self, second: Candidate, now: float) -> None:
        """The same, unless copies leave already."""
        if now >= self._asked_at + COPIES_S:
            self.send_by(second, now)

    def send_while_late(
        self, active: Candidate, heartbeat: Heartbeat, table: CandidateTable, now: float
    ) -> None:
        """The same while the path in use is late, and copies do not leave already."""
        if now >= self._asked_at + COPIES_S:
            self.send(second_path(active, heartbeat, table), active, now)


def second_path(active: Candidate, heartbeat: Heartbeat, table: CandidateTable) -> Candidate | None:
    """By which path copies should leave, because the one in use is late; None: by none.

    Another path of the peer's that works, the latest to answer; else the quickest relay.
    """
    if not heartbeat.is_flowing or heartbeat.unanswered < _LATE_BEATS or heartbeat.is_lossy:
        return None
    others = [each for each in table if each is not active and each.usable]
    answered = [each for each in others if each.answered_at >= (heartbeat.waiting_since or 0.0)]
    if answered:
        return min(answered, key=lambda each: (not each.is_direct, each.rtt_s or 0.0))
    relays = [each for each in others if not each.is_direct]
    return min(relays, key=lambda each: each.rtt_s or float("inf"), default=None)
