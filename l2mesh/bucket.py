"""Token buckets: what strangers and members may cause us to do in a while, one or by key.

No clock is read: `now` is monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["TokenBucket", "TokenBuckets"]

REMEMBERED_S: Final = 60.0
"""A bucket of a full table that was asked so recently is not forgotten for another."""

KeyT = TypeVar("KeyT", bound=Hashable)


class TokenBucket:
    """Lets `rate` events a second pass on average, and at most `burst` at once."""

    __slots__ = ("__weakref__", "_burst", "_filled", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled = now

    @property
    def asked_at(self) -> float:
        """When it was asked last."""
        return self._filled

    def take(self, now: float, count: int = 1) -> bool:
        """Whether `count` more events may pass now; if so they are paid for."""
        tokens = self._tokens
        if now > self._filled:
            tokens = min(self._burst, tokens + (now - self._filled) * self._rate)
            self._filled = now
        passes = tokens >= count
        self._tokens = tokens - count if passes else tokens
        return passes

    def take_some(self, now: float, count: int) -> int:
        """How many of `count` events may pass now, one after the other; they are paid for."""
        self.take(now, 0)
        passing = min(count, int(self._tokens))
        self._tokens -= passing
        return passing

    def is_full(self, now: float) -> bool:
        """Whether it has forgotten all that happened: a new bucket would do the same."""
        return self._tokens + (now - self._filled) * self._rate >= self._burst


class TokenBuckets(Generic[KeyT]):
    """A bucket for each key, at most `size`.

    A full table gives up the bucket that was asked longest ago, but none that was asked within
    60 s: then a new key is refused, so that a crowd of keys undoes no limit.
    """

    def __init__(self, rate: float, burst: float, size: int) -> None:
        self._rate = rate
        self._burst = burst
        self._size = size
        self._buckets: OrderedDict[KeyT, TokenBucket] = OrderedDict()

    def take(self, key: KeyT, now: float) -> bool:
        """Whether one more event of this key may pass now; if so it is paid for."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if not self._has_room(now):
                return False
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
        self._buckets.move_to_end(key)
        return bucket.take(now)

    def forget(self, key: KeyT) -> None:
        """This key needs no limit any more."""
        self._buckets.pop(key, None)

    def clear(self) -> None:
        """Forget all that happened."""
        self._buckets.clear()

    def _has_room(self, now: float) -> bool:
        if len(self._buckets) < self._size:
            return True
        oldest, bucket = next(iter(self._buckets.items()))
        if bucket.asked_at > now - REMEMBERED_S:
            return False
        del self._buckets[oldest]
        return True
