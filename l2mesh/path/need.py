"""Why a path is kept: frames that pass, or a peer that is always wanted (section 8.4).

Without frames for 600 s there is no keep-alive, and none but by a relay to a controller; with one
in the last 60 s before a round could begin another search is worth its probes.
"""

from __future__ import annotations

from typing import Final

__all__ = ["IDLE_S", "Need"]

TRAFFIC_S: Final = 60.0
"""A frame within this time is traffic: worth another round."""
IDLE_S: Final = 600.0
"""Without frames for so long there is no keep-alive, and a NAT may have closed."""
_NEVER: Final = float("-inf")
_NOT_DUE: Final = float("inf")


class Need:
    """When there was a frame last, and since when there is a session."""

    def __init__(self) -> None:
        self.always = False
        """A planet or a controller: needed without any frame."""
        self.rests = False
        """Of those, a controller: while nobody sends frames a relay will do."""
        self.live_at: float | None = None
        """When the first of the sessions came to life; None without a session."""
        self.frame = _NEVER
        self.is_idle = False
        """Whether there were no frames for so long that a relay has to do."""

    def begin(self, now: float) -> None:
        """A session after none."""
        self.live_at = now
        self.is_idle = False

    def note_frame(self, at: float) -> None:
        """The latest frame, in either direction."""
        self.frame = max(self.frame, at)

    @property
    def keeps_alive(self) -> bool:
        """Whether keep-alives are due."""
        return self.always or not self.is_idle

    def is_awake(self, now: float) -> bool:
        """Whether a direct path is worth keeping now."""
        return self._is_pinned or now < self._until(now)

    def has_traffic(self, at: float) -> bool:
        """Whether a frame passed in the last while before a moment."""
        return self._is_pinned or self.frame > at - TRAFFIC_S

    def idle_at(self) -> float:
        """When that ends; infinite where it does not, or has ended."""
        if self.is_idle or self._is_pinned or self.live_at is None:
            return _NOT_DUE
        return self._until(self.live_at)

    @property
    def _is_pinned(self) -> bool:
        return self.always and not self.rests

    def _until(self, live_at: float) -> float:
        since = live_at if self.live_at is None else self.live_at
        return max(self.frame, since) + IDLE_S
