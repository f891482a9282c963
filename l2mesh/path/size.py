"""How large a datagram a path carries (section 4 of ``docs/protocol.md``).

Both ends begin with an underlay MTU of 1500 and take off the IP and UDP headers. Over a relay the
other leg is unknown and may be IPv6, whatever ours is, so a relayed datagram is cut for IPv6 and
leaves 8 bytes for the RELAY header.

While frames flow the size in use is confirmed by a PROBE of that size, at first and each 15 s:
nothing else tells of a path that swallows what is too large (RFC 8899). One without an answer is
followed by PROBEs of all sizes, twice; the largest that is answered is used from then on, and
larger ones are tried again after 120 s.
"""

from __future__ import annotations

import enum
from typing import Final

from l2mesh.datapath.interface import Path

__all__ = ["IPV4_PAYLOAD", "IPV6_PAYLOAD", "RELAY_HEADER", "SizeSearch", "payload_size"]

IPV4_PAYLOAD: Final = 1500 - 20 - 8
IPV6_PAYLOAD: Final = 1500 - 40 - 8
RELAY_HEADER: Final = 8
LADDER: Final = (1472, 1464, 1452, 1444, 1432, 1412, 1392, 1372, 1332, 1252, 1232, 1200)
"""Datagrams that fit MTUs in use: 1500, 1492 (PPPoE), 1480, 1460, 1420 (WireGuard), 1400, 1280 ...,
with IPv4 or IPv6 headers and with or without a RELAY header. Less than 1200 is not used."""
CONFIRM_S: Final = 15.0
RAISE_S: Final = 120.0
_WAIT_S: Final = 0.3
"""For an answer, beside two round trips."""


def payload_size(path: Path) -> int:
    """Bytes of the largest datagram that may go by ``path``, without the RELAY header.

    1472 over IPv4, 1452 over IPv6, 1444 over a relay.
    """
    if path.relay:
        return IPV6_PAYLOAD - RELAY_HEADER
    return IPV6_PAYLOAD if ":" in path.endpoint.host else IPV4_PAYLOAD


class _Stage(enum.Enum):
    RESTING = "resting"
    CONFIRMING = "confirming"
    FIRST = "first"
    """Of two rounds in which all sizes are tried."""
    SECOND = "second"


class SizeSearch:
    """The size of one path: what is assumed, and what is being tried. Bounded: 12 sizes, twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = payload_size(path)
        """Bytes of the largest datagram to send now."""
        self._sizes = tuple(each for each in LADDER if each <= self.size)
        self._stage = _Stage.RESTING
        self._next_at = self._raise_at = float("-inf")
        self._best = 0

    def sizes_due(self, now: float, rtt_s: float | None) -> tuple[int, ...]:
        """Sizes for which a PROBE is due now; asked while frames flow."""
        if now < self._next_at:
            return ()
        wait_until = now + _WAIT_S + 2 * (rtt_s or 0.0)
        if self._stage is _Stage.RESTING:
            may_grow = self.size < self._sizes[0] and now >= self._raise_at
            return self._try(_Stage.FIRST if may_grow else _Stage.CONFIRMING, wait_until)
        if self._stage is _Stage.CONFIRMING:
            return self._try(_Stage.FIRST, wait_until)
        if self._best:
            self.size = self._best
        if self._stage is _Stage.FIRST and self._best < self._sizes[0]:
            return self._try(_Stage.SECOND, wait_until)
        self._rest(now)
        return ()

    def receive_reply(self, size: int, now: float) -> None:
        """A PROBE of this size was answered."""
        self._best = max(self._best, size)
        if self._stage is _Stage.CONFIRMING and size == self.size:
            self._stage, self._next_at = _Stage.RESTING, now + CONFIRM_S
        elif self._stage is not _Stage.RESTING and self._best == self._sizes[0]:
            self.size = self._best
            self._rest(now)

    def _try(self, stage: _Stage, wait_until: float) -> tuple[int, ...]:
        self._stage, self._next_at = stage, wait_until
        if stage is _Stage.CONFIRMING:
            return (self.size,)
        self._best = 0 if stage is _Stage.FIRST else self._best
        return tuple(each for each in self._sizes if each > self._best)

    def _rest(self, now: float) -> None:
        self._stage, self._next_at = _Stage.RESTING, now + CONFIRM_S
        self._raise_at = now + RAISE_S
