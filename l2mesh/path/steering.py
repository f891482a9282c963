"""Leading a peer to the uplink that we use (section 8.4 of ``docs/protocol.md``).

Which of our uplinks the peer's packets come by is the peer's choice, and it knows nothing of what
they cost. A peer that stays on another one while we use a path that works hears no PROBE_REPLY by
its own for a moment, and follows: the reason why a path is left for one by which packets come.

It may have reasons to stay, or be led by uplinks of its own. So each further attempt waits twice as
long as the one before, and no frame is ever refused.
"""

from __future__ import annotations

from typing import Final

from l2mesh.datapath.interface import Path
from l2mesh.path.candidate import Candidate

__all__ = ["Steering"]

STAYS_S: Final = 5.0
"""So long the peer's packets have to come by another uplink, told at least each `GAP_S`."""
GAP_S: Final = 2.5
SILENCE_S: Final = 3.0
"""So long its PROBEs there are not answered."""
PAUSE_S: Final = 10.0
"""From one attempt to the next, then twice as long each time, up to `LONGEST_S`."""
LONGEST_S: Final = 600.0
_NEVER: Final = float("-inf")


class Steering:
    """What one peer does with our uplinks, and whether it is being led."""

    def __init__(self) -> None:
        self._uplink = 0
        self._since = self._seen_at = self._silent_until = self._next_at = _NEVER
        self._pause_s = PAUSE_S

    def note(self, candidate: Candidate, active: Candidate | None, now: float) -> None:
        """The peer's newest packet came by ``candidate``, and ``active`` is in use."""
        if active is None or not active.is_direct or not candidate.is_direct:
            return
        if candidate.uplink == active.uplink:
            return
        if candidate.uplink != self._uplink or now > self._seen_at + GAP_S:
            self._uplink, self._since = candidate.uplink, now
        self._seen_at = now
        if now >= max(self._since + STAYS_S, self._next_at) and active.answered_at > now - GAP_S:
            self._silent_until = now + SILENCE_S
            self._next_at = self._silent_until + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_S)
            self._since = now

    def uses_both(self) -> None:
        """The peer's frames come by the path in use as well: there is nowhere to lead it."""
        self._seen_at = _NEVER

    def is_silent(self, path: Path, active: Path | None, now: float) -> bool:
        """Whether a PROBE by this path is left unanswered."""
        if now >= self._silent_until or active is None or path.relay:
            return False
        return path.endpoint.uplink == self._uplink != active.endpoint.uplink
