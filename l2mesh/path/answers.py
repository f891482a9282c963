"""Which PROBEs are answered (section 8.4 of ``docs/protocol.md``).

A member seals what it likes and may write any source address on it: each answer to its PROBEs would
then go to somebody who asked for nothing. A source that has answered a PROBE of ours has shown that
it wants what we send. Any other gets answers enough to find a path with, and no more.
"""

from __future__ import annotations

from typing import Final

from l2mesh.bucket import TokenBucket, TokenBuckets
from l2mesh.datapath.endpoint import prefix_of
from l2mesh.datapath.interface import Endpoint

__all__ = ["PEER_BURST", "PEER_RATE", "AnswerLimiter"]

PEER_BURST: Final = 32
PEER_RATE: Final = 4.0
"""Answers a second to one peer at sources that have not answered: four rounds of PROBEs at once."""
HOST_BURST: Final = 128
HOST_RATE: Final = 16.0
"""To one host (a /32 of IPv4, a /64 of IPv6), whoever asks: many members may be behind a NAT."""
BURST: Final = 1024
RATE: Final = 256.0
"""To all of them together."""
_HOSTS: Final = 4096


class AnswerLimiter:
    """How many PROBEs are answered at hosts that have not answered; shared by all peers."""

    def __init__(self) -> None:
        self._hosts: TokenBuckets[bytes] = TokenBuckets(HOST_RATE, HOST_BURST, _HOSTS)
        self._all = TokenBucket(RATE, BURST, 0.0)

    def allow(self, endpoint: Endpoint, now: float) -> bool:
        """Whether one more answer may go there; a permitted one is counted."""
        return self._hosts.take(prefix_of(endpoint.host), now) and self._all.take(now)
