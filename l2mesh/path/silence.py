"""When no path to a peer answers: told once, then now and then, and asked now and then."""

from collections import deque
from typing import Final

from l2mesh.path.heartbeat import Heartbeat
from l2mesh.path.outputs import PathOutput, PeerSilent

__all__ = ["Silence"]

BEAT_S: Final = 5.0
"""Between heartbeats, and `AGAIN_S` between reports, once no path answers."""
AGAIN_S: Final = 30.0


class Silence:
    """Of one peer; it ends with an answer or another session."""

    def __init__(self, outputs: deque[PathOutput]) -> None:
        self._outputs = outputs
        self._told_at: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether it lasts and its owner knows."""
        return self._told_at is not None

    def end(self) -> None:
        """Something answered, or may."""
        self._told_at = None

    def tell(self, now: float) -> None:
        """No path answers, and nobody was told of it in the last half minute."""
        if now >= self.tell_at():
            self._told_at = now
            self._outputs.append(PeerSilent())

    def tell_at(self) -> float:
        """From when on `tell` does something."""
        return float("-inf") if self._told_at is None else self._told_at + AGAIN_S

    def beat_at(self, heartbeat: Heartbeat) -> float:
        """When the next heartbeat is due, if it lasts."""
        return heartbeat.last_beat + BEAT_S if self.is_told else float("-inf")
