"""Limits on flooded frames: a token bucket for each class and source (section 10).

A bucket holds at most two seconds' worth of frames and starts full. The sender limits what its own
port floods, the receiver what each peer floods into its port, by the same numbers.
"""

from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.datapath.interface import DropReason, Limits
from l2mesh.switch.ethernet import Class

BURST_S: Final = 2
"""The burst is this many seconds of the rate."""


class StormLimits:
    """The limits of one network. At most seven buckets for each source that floods."""

    __slots__ = ("_buckets", "_rates", "limits")

    limits: Limits

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._rates = {
            Class.UNICAST: limits.unknown_unicast,
            Class.BROADCAST: limits.broadcast,
            Class.ARP: limits.arp,
            Class.MULTICAST: limits.multicast,
            Class.ND: limits.nd,
            Class.DISCOVERY: limits.discovery,
            Class.LINK_LOCAL: limits.multicast,
        }
        self._buckets: dict[tuple[Class, bytes | None], TokenBucket] = {}

    def judge(
        self, kind: Class, source: bytes | None, now: float, frames: int = 1
    ) -> DropReason | None:
        """Why `source` (None: this node) may not flood this many more frames of this class.

        UNICAST stands for unknown unicast; a link-local group that may pass counts apart from, but
        like, other multicast.
        """
        rate = self._rates[kind]
        if rate is None:
            return None
        if rate <= 0:
            return DropReason.CLASS_REFUSED
        bucket = self._buckets.get((kind, source))
        if bucket is None:
            bucket = self._buckets[kind, source] = TokenBucket(rate, rate * BURST_S, now)
        return None if bucket.take(now, frames) else DropReason.STORM

    def forget(self, source: bytes | None) -> None:
        """A source has gone."""
        for key in [key for key in self._buckets if key[1] == source]:
            del self._buckets[key]
