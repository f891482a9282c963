"""Frames kept for somebody who looks: a bounded queue for each network that is captured.

Whoever reads too slowly loses frames, and learns how many; nothing waits for him.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from l2mesh.datapath.interface import (
    Captured,
    CaptureSide,
    DropReason,
    StartCapture,
    StopCapture,
)
from l2mesh.datapath.reference.bounds import Bounds

TAKEN_FRAMES: Final = 256
TAKEN_BYTES: Final = 1024 * 1024
"""Given out at once, or one frame."""


@dataclass(slots=True, eq=False)
class Capture:
    """What is seen of one network."""

    sides: frozenset[CaptureSide]
    snap: int
    bounds: Bounds
    _queue: deque[Captured] = field(default_factory=deque)
    _bytes: int = 0
    _lost: int = 0

    def see(
        self,
        side: CaptureSide,
        frame: bytes,
        now: float,
        *,
        inward: bool = True,
        peer: bytes | None = None,
        reason: DropReason | None = None,
    ) -> None:
        """One frame."""
        if side not in self.sides:
            return
        kept = frame[: self.snap]
        bounds = self.bounds
        if (
            len(self._queue) >= bounds.capture_frames
            or self._bytes + len(kept) > bounds.capture_bytes
        ):
            self._lost += 1
            return
        seen = Captured(now, side, inward, peer, reason, len(frame), kept, self._lost)
        self._queue.append(seen)
        self._bytes += len(kept)
        self._lost = 0

    def take(self) -> list[Captured]:
        """The oldest, out of the queue."""
        taken: list[Captured] = []
        size = 0
        while self._queue and len(taken) < TAKEN_FRAMES:
            size += len(self._queue[0].frame)
            if taken and size > TAKEN_BYTES:
                break
            taken.append(self._queue.popleft())
            self._bytes -= len(taken[-1].frame)
        return taken


class Captures:
    """All captures. While there is none, a frame costs one look at `table`."""

    __slots__ = ("_bounds", "table")

    table: dict[int, Capture]
    """By network ID."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.table = {}

    def start(self, command: StartCapture, now: float) -> None:
        """Begin to keep, or begin anew."""
        self.table[command.network] = Capture(command.sides, command.snap, self._bounds)

    def stop(self, command: StopCapture, now: float) -> None:
        """Keep nothing more."""
        self.table.pop(command.network, None)

    def take(self, network: int) -> list[Captured]:
        """What a network's capture has for its reader."""
        capture = self.table.get(network)
        return capture.take() if capture is not None else []
