"""What a router granted, for how long, and whether it still knows of it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import L2meshError

__all__ = ["LIFETIME_S", "RENEW_S", "Epoch", "Lease", "NoAnswer", "Refused", "Wish", "renew_at"]

LIFETIME_S: Final = 1200
"""Asked for: a port that nobody gives back is free again after so long."""
RENEW_S: Final = 120.0
"""Between two renewals at most: each shows whether the router was started anew."""
_LEAST_S: Final = 4.0
"""RFC 6887, section 11.2.1: no renewal sooner."""
_SLACK_S: Final = 2.0
_DRIFT: Final = 1 / 16


class NoAnswer(L2meshError):
    """The router does not speak this protocol, or nobody is there."""


class Refused(L2meshError):
    """The router answered, and grants nothing."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: own UDP port, and the one outside that would be liked."""

    gateway: str
    """Address of the router inside, with its device where it is link-local: ``fe80::1%eth0``."""
    own: Endpoint
    nonce: bytes
    """12 bytes that only we know (RFC 6887, section 11.1)."""
    outside: Endpoint | None = None
    """What was granted before."""
    lifetime_s: int = LIFETIME_S


@dataclass(frozen=True, slots=True)
class Lease:
    """A port outside that leads to ours."""

    outside: Endpoint
    lifetime_s: int
    epoch_s: int | None
    """The router's age when it answered; None where the protocol tells none."""


def renew_at(lease: Lease, now: float) -> float:
    """When to renew a lease of this moment: after half of it, two minutes at most."""
    return now + max(_LEAST_S, min(RENEW_S, lease.lifetime_s / 2))


class Epoch:
    """The router's age against our clock (RFC 6887, section 8.5; RFC 6886, section 3.6)."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def is_broken_by(self, epoch_s: int, now: float) -> bool:
        """Whether the router has been started anew since it was heard last."""
        before, self._last = self._last, (epoch_s, now)
        if before is None:
            return False
        if epoch_s < before[0] - 1:
            return True
        theirs, ours = epoch_s - before[0], now - before[1]
        return ours + _SLACK_S < theirs * (1 - _DRIFT) or theirs + _SLACK_S < ours * (1 - _DRIFT)
