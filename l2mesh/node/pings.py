"""PROBEs that somebody waits for: `l2mesh ping` and `l2mesh netcheck` (section 6, PROBE)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from l2mesh.crypto import Random
from l2mesh.datapath.interface import Endpoint, Path

__all__ = ["Ping", "Pings"]

MAX_PINGS: Final = 1024
_NONCE_BYTES: Final = 8


@dataclass(slots=True)
class Ping:
    """One PROBE and, once it has come, its answer; times are monotonic seconds."""

    sent_at: float
    rtt_s: float | None = None
    path: Path | None = None
    """By which the answer came."""
    observed: Endpoint | None = None
    """Where the peer saw the PROBE come from; None by a relay."""


@dataclass(slots=True)
class Pings:
    """Pings by nonce, at most 1,024; the oldest is forgotten first."""

    random: Random
    _open: OrderedDict[int, Ping] = field(default_factory=OrderedDict)

    def open(self, now: float) -> int:
        """The nonce of a PROBE that is sent now."""
        if len(self._open) >= MAX_PINGS:
            self._open.popitem(last=False)
        nonce = int.from_bytes(self.random(_NONCE_BYTES), "big")
        self._open[nonce] = Ping(now)
        return nonce

    def answer(self, nonce: int, path: Path, observed: Endpoint | None, now: float) -> bool:
        """A PROBE_REPLY has come; whether it is for one of these. The first answer counts."""
        ping = self._open.get(nonce)
        if ping is not None and ping.rtt_s is None:
            ping.rtt_s, ping.path, ping.observed = now - ping.sent_at, path, observed
        return ping is not None

    def take(self, nonce: int) -> Ping | None:
        """The ping, forgotten hereby, if its answer has come."""
        ping = self._open.get(nonce)
        if ping is None or ping.rtt_s is None:
            return None
        return self._open.pop(nonce)
