"""How many foretold endpoints may be probed at one host (section 8.4 of ``docs/protocol.md``).

A CALL may name any host on the internet. Whatever members say, and however many of them, one host
gets no more from us than this, which is what two rounds of ordinary candidates bring.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

__all__ = ["SearchQuota"]

PER_MINUTE: Final = 128
PER_HOUR: Final = 512
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_MAX_HOSTS: Final = 256


class SearchQuota:
    """At most 128 probes of searches in a minute and 512 in an hour to a host, over all peers.

    It remembers 256 hosts. With more than that many searched within an hour it refuses new ones.
    """

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allow(self, host: str, now: float) -> bool:
        """Whether one more probe may go to this host now; a permitted one is counted."""
        times = self._times.get(host)
        if times is None:
            if not self._has_room(now):
                return False
            times = self._times[host] = deque(maxlen=PER_HOUR)
        if len(times) >= PER_MINUTE and times[-PER_MINUTE] > now - _MINUTE_S:
            return False
        if len(times) == PER_HOUR and times[0] > now - _HOUR_S:
            return False
        times.append(now)
        self._times.move_to_end(host)
        return True

    def _has_room(self, now: float) -> bool:
        if len(self._times) < _MAX_HOSTS:
            return True
        oldest, times = next(iter(self._times.items()))
        if times[-1] > now - _HOUR_S:
            return False
        del self._times[oldest]
        return True
