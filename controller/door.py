"""What strangers may cost a controller.

A JOIN of somebody new costs 2 MiB of hashing and an fsync, so such JOINs are taken at 20 a second
after a burst of 100; 1,000 more wait in a queue and beyond that they are refused. Of one peer, no
more than 5 JOINs a second are heard at all.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.wire.message import Join

__all__ = ["Door", "Verdict"]

NEW_PER_S: Final = 20
NEW_BURST: Final = 100
MAX_QUEUE: Final = 1000
JOINS_PER_S: Final = 5
JOINS_BURST: Final = 20


class Verdict(enum.Enum):
    """What becomes of a JOIN."""

    ENTER = enum.auto()
    WAIT = enum.auto()
    FULL = enum.auto()


class Door:
    """Limits, and the queue of those who are new. Peers are named by fingerprint."""

    def __init__(self) -> None:
        self._new = TokenBucket(NEW_PER_S, NEW_BURST, 0.0)
        self._peers: dict[bytes, TokenBucket] = {}
        self._queue: deque[tuple[bytes, Join]] = deque()
        self.due: float | None = None
        """When the queue goes on; None while it is empty."""

    def hears(self, peer: bytes, now: float) -> bool:
        """Whether a peer may say JOIN again."""
        bucket = self._peers.get(peer)
        if bucket is None:
            bucket = self._peers[peer] = TokenBucket(JOINS_PER_S, JOINS_BURST, now)
        return bucket.take(now)

    def forget(self, peer: bytes) -> None:
        """A peer is gone."""
        self._peers.pop(peer, None)

    def knock(self, peer: bytes, join: Join, now: float) -> Verdict:
        """Somebody new says JOIN: now, in its turn, or not at all."""
        if not self._queue and self._new.take(now):
            return Verdict.ENTER
        if len(self._queue) >= MAX_QUEUE:
            return Verdict.FULL
        self._queue.append((peer, join))
        self.due = self.due or now + 1 / NEW_PER_S
        return Verdict.WAIT

    def next_in(self, now: float) -> tuple[bytes, Join] | None:
        """Whose turn it is."""
        if self._queue and self._new.take(now):
            return self._queue.popleft()
        self.due = now + 1 / NEW_PER_S if self._queue else None
        return None
