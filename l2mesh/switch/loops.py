"""Signs of loops that the election cannot break, for people to read (section 10.1).

Two are watched: a beacon of ours that comes back into our own port (the LAN itself loops), and a
station that is now behind one bridge, now behind another (LANs joined by a second way that beacons
do not take, such as another overlay). One move is what stations do; five in 10 s are a loop.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Loop", "LoopKind", "LoopWatch"]

MOVES: Final = 5
MOVES_S: Final = 10.0
"""So many moves of one station in so many seconds."""
ACTIVE_S: Final = 30.0
"""A loop is over when nothing was seen of it for so long."""
MAX_LOOPS: Final = 16
MAX_STATIONS: Final = 256
"""Whose moves are remembered."""


class LoopKind(StrEnum):
    """What was seen."""

    BEACON_RETURNED = "beacon_returned"
    STATION_FLAPS = "station_flaps"


@dataclass(slots=True)
class Loop:
    """One loop, as it was seen in one VLAN."""

    kind: LoopKind
    vlan: int
    first: float
    last: float
    count: int = 1
    mac: bytes | None = None
    """The station that flapped last."""


class LoopWatch:
    """What was seen of loops in one network: at most 16, the oldest is forgotten."""

    def __init__(self) -> None:
        self._loops: dict[tuple[LoopKind, int], Loop] = {}
        self._moves: dict[tuple[int, bytes], deque[float]] = {}

    def beacon_returned(self, vlan: int, now: float) -> None:
        """A beacon of ours came back."""
        self._note(LoopKind.BEACON_RETURNED, vlan, None, now)

    def station_moved(self, vlan: int, mac: bytes, now: float) -> None:
        """A station was behind another bridge before."""
        moves = self._moves.pop((vlan, mac), None) or deque(maxlen=MOVES)
        if len(self._moves) >= MAX_STATIONS:
            del self._moves[next(iter(self._moves))]
        self._moves[vlan, mac] = moves
        moves.append(now)
        if len(moves) == MOVES and now - moves[0] < MOVES_S:
            self._note(LoopKind.STATION_FLAPS, vlan, mac, now)

    @property
    def active(self) -> list[Loop]:
        """Loops of which something was seen in the last 30 s before `expire`."""
        return list(self._loops.values())

    def expire(self, now: float) -> None:
        """Forget loops that are over."""
        for key, loop in list(self._loops.items()):
            if now - loop.last >= ACTIVE_S:
                del self._loops[key]

    def _note(self, kind: LoopKind, vlan: int, mac: bytes | None, now: float) -> None:
        loop = self._loops.get((kind, vlan))
        if loop is None:
            if len(self._loops) >= MAX_LOOPS:
                del self._loops[min(self._loops, key=lambda one: self._loops[one].last)]
            self._loops[kind, vlan] = Loop(kind, vlan, now, now, 1, mac)
            return
        loop.last, loop.mac = now, mac
        loop.count += 1
