"""When probes are sent, how many, and which replies count (section 8.4 of ``docs/protocol.md``).

A peer may name any endpoint on the internet as its own. What keeps us from hammering a stranger is
the `ProbeLimiter`, one for the whole process; what keeps a stranger from moving a path is that a
reply counts only from the path to which its nonce was sent.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

from l2mesh.bucket import TokenBuckets
from l2mesh.crypto import Random
from l2mesh.datapath.endpoint import prefix_of
from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.answers import AnswerLimiter

__all__ = ["SCHEDULE_S", "OpenProbe", "OpenProbes", "ProbeLimiter"]

SCHEDULE_S: Final = (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.2, 3.0)
"""Seconds after the start of a round at which a candidate is probed, until it answers."""

LIMIT: Final = 8
"""Probes to an endpoint that has not answered, in `WINDOW_S`, over all peers."""
WINDOW_S: Final = 10.0
_ENDPOINTS: Final = 4096

HOST_BURST: Final = 128
HOST_RATE: Final = 24 / 60
"""Probes a second, over all peers, to all endpoints of a host none of which has answered."""
HOST_ANSWERED_S: Final = 3600.0
"""A host from which somebody answered within this time is no bystander."""
_HOSTS: Final = 16_384

PEER_BURST: Final = 192
PEER_RATE: Final = 4.0
"""Probes a second to what one peer has named, or seemed to come from, and has not answered there:
a round to all of its candidates at once, and no more than it has by honest means afterwards."""

REPLY_WAIT_S: Final = 3.0
"""A reply after this long counts no more."""
_OPEN_PROBES: Final = 256
_NONCE_BYTES: Final = 8


class ProbeLimiter:
    """How much of ours comes to places that have not answered; shared by all peers.

    At most 8 probes in 10 s to an endpoint; 128 at once and 24 a minute to a host (a /32 of IPv4, a
    /64 of IPv6). Those that go back to where an authentic PROBE just came from have eight of their
    own: by then our search may have used up the others, and no place is more promising.

    It remembers 4,096 endpoints and 16,384 hosts. With more than so many under probe
    it refuses new ones: to forget the oldest instead would let a crowd of names undo the limit.
    """

    def __init__(self) -> None:
        self.answers = AnswerLimiter()
        self._times: OrderedDict[tuple[Endpoint, bool], deque[float]] = OrderedDict()
        self._hosts: TokenBuckets[bytes] = TokenBuckets(HOST_RATE, HOST_BURST, _HOSTS)
        self._answered: OrderedDict[bytes, float] = OrderedDict()

    def allow(self, endpoint: Endpoint, now: float, *, is_back: bool = False) -> bool:
        """Whether a probe may go there now; a permitted one is counted."""
        key = (endpoint, is_back)
        if not self._may(key, now) or not self._may_host(endpoint, now):
            return False
        self._count(key, now)
        return True

    def allow_foretold(self, endpoint: Endpoint, now: float) -> bool:
        """The same for a probe of a search, whose host has a quota of its own (`SearchQuota`)."""
        if not self._may((endpoint, False), now):
            return False
        self._count((endpoint, False), now)
        return True

    def answered(self, endpoint: Endpoint, now: float) -> None:
        """Somebody there answers us: it is counted from zero again, and its host not at all."""
        for is_back in (False, True):
            self._times.pop((endpoint, is_back), None)
        host = prefix_of(endpoint.host)
        self._hosts.forget(host)
        self._answered[host] = now
        self._answered.move_to_end(host)
        if len(self._answered) > _HOSTS:
            self._answered.popitem(last=False)

    def moved(self) -> None:
        """We are elsewhere ourselves: what was silent may answer now, and all are asked anew."""
        self._hosts.clear()

    def _may(self, key: tuple[Endpoint, bool], now: float) -> bool:
        times = self._times.get(key)
        if times is None:
            return self._has_room(now)
        return len(times) < LIMIT or times[0] <= now - WINDOW_S

    def _may_host(self, endpoint: Endpoint, now: float) -> bool:
        host = prefix_of(endpoint.host)
        answered_at = self._answered.get(host, float("-inf"))
        return now < answered_at + HOST_ANSWERED_S or self._hosts.take(host, now)

    def _count(self, key: tuple[Endpoint, bool], now: float) -> None:
        self._times.setdefault(key, deque(maxlen=LIMIT)).append(now)
        self._times.move_to_end(key)

    def _has_room(self, now: float) -> bool:
        if len(self._times) < _ENDPOINTS:
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
