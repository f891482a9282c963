"""When probes are sent, how many, and which replies count (section 8.4 of ``docs/protocol.md``).

A peer may name any endpoint on the internet as its own. What keeps us from hammering a stranger is
the `ProbeLimiter`, one for the whole process; what keeps a stranger from moving a path is that a
reply counts only from the path to which its nonce was sent.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

from l2mesh.crypto import Random
from l2mesh.datapath.interface import Endpoint, Path

__all__ = ["SCHEDULE_S", "OpenProbe", "OpenProbes", "ProbeLimiter"]

SCHEDULE_S: Final = (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.2, 3.0)
"""Seconds after the start of a round at which a candidate is probed, until it answers."""

LIMIT: Final = 8
"""Probes to an endpoint that has not answered, in `WINDOW_S`, over all peers."""
WINDOW_S: Final = 10.0
_LIMITER_ENDPOINTS: Final = 4096

REPLY_WAIT_S: Final = 3.0
"""A reply after this long counts no more."""
_OPEN_PROBES: Final = 256
_NONCE_BYTES: Final = 8


class ProbeLimiter:
    """At most 8 probes in 10 s to an endpoint that has not answered; shared by all peers.

    It remembers 4,096 endpoints. With more than that many under probe within 10 s it refuses new
    ones: to forget the oldest instead would let a crowd of names undo the limit.
    """

    def __init__(self) -> None:
        self._times: OrderedDict[Endpoint, deque[float]] = OrderedDict()

    def allow(self, endpoint: Endpoint, now: float) -> bool:
        """Whether a probe may go there now; a permitted one is counted."""
        times = self._times.get(endpoint)
        if times is None:
            if not self._has_room(now):
                return False
            times = self._times[endpoint] = deque(maxlen=LIMIT)
        elif len(times) == LIMIT and times[0] > now - WINDOW_S:
            return False
        times.append(now)
        self._times.move_to_end(endpoint)
        return True

    def answered(self, endpoint: Endpoint) -> None:
        """Somebody there answers us: it is counted from zero again."""
        self._times.pop(endpoint, None)

    def _has_room(self, now: float) -> bool:
        if len(self._times) < _LIMITER_ENDPOINTS:
            return True
        oldest, times = next(iter(self._times.items()))
        if times[-1] > now - WINDOW_S:
            return False
        del self._times[oldest]
        return True


class OpenProbe(NamedTuple):
    """A probe that waits for its reply."""

    path: Path
    sent_at: float
    is_heartbeat: bool
    size: int = 0
    """Of the datagram in bytes, where it was padded to try a size."""


class OpenProbes:
    """Nonces that are out, oldest first: at most 256, each for 3 s."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._open: OrderedDict[int, OpenProbe] = OrderedDict()

    def open(self, path: Path, now: float, *, is_heartbeat: bool = False, size: int = 0) -> int:
        """A fresh nonce (u64) for a probe that goes by ``path`` now."""
        if len(self._open) >= _OPEN_PROBES:
            self._open.popitem(last=False)
        nonce = int.from_bytes(self._random(_NONCE_BYTES), "big")
        self._open[nonce] = OpenProbe(path, now, is_heartbeat, size)
        return nonce

    def close(self, nonce: int, path: Path, now: float) -> OpenProbe | None:
        """The probe that this reply answers; None if it is none of ours, late, or from elsewhere.

        A reply from elsewhere does not use the nonce up: the right one may still come.
        """
        probe = self._open.get(nonce)
        if probe is None or probe.path != path or now > probe.sent_at + REPLY_WAIT_S:
            return None
        return self._open.pop(nonce)

    def expire(self, now: float) -> list[OpenProbe]:
        """Those that have waited too long, which are forgotten."""
        late = []
        while self._open:
            nonce, probe = next(iter(self._open.items()))
            if now < probe.sent_at + REPLY_WAIT_S:
                break
            late.append(probe)
            del self._open[nonce]
        return late

    def clear(self) -> None:
        """Forget all of them: their session is gone."""
        self._open.clear()
