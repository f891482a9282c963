"""What planets see of us, and what that tells about the NATs before us (RFC 4787's words).

Each planet endpoint with which we speak shows us one mapping of our socket. Do all show the same,
then the mapping is independent of the destination, and whoever knows it may try it. Do they differ,
the NAT makes a mapping for each destination (it is symmetric). By the distance of the ports we tell
those that count up from those that draw.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from l2mesh.datapath.interface import Endpoint

__all__ = ["Forecast", "Mapping", "Mappings"]

MAX_OBSERVERS: Final = 64
"""Planet endpoints that are remembered; the oldest goes first."""
MAX_SEEN: Final = 4
"""Endpoints in a forecast."""
MAX_STEP: Final = 16
"""Ports between two neighbouring mappings, at most, for a NAT to count as sequential."""


class Mapping(enum.Enum):
    """How a family's mapping depends on the destination."""

    UNKNOWN = "unknown"  # fewer than two observers
    OPEN = "open"  # what is seen is an address of our own
    INDEPENDENT = "independent"
    SEQUENTIAL = "sequential"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Forecast:
    """How one end's mappings behave, as far as planets have shown: what a CALL tells."""

    mapping: Mapping
    seen: tuple[Endpoint, ...] = ()
    """As what planets see this end, the mapping made last first; at most 4."""
    step: int = 0
    """Ports from one mapping to the next, of a sequential NAT."""


@dataclass(frozen=True, slots=True)
class _Sight:
    seen: Endpoint
    since: float


class Mappings:
    """Observer (a planet's endpoint) -> the endpoint as which it sees us, and since when.

    A planet that is asked over several uplinks is as many observers; the NAT that is judged here is
    that of the host's own choice.
    """

    def __init__(self) -> None:
        self._sights: dict[Endpoint, _Sight] = {}
        self._scouted: _Sight | None = None

    def observe(self, observer: Endpoint, seen: Endpoint, now: float) -> bool:
        """A planet told what it sees; whether that is news."""
        known = self._sights.get(observer)
        if known is not None and known.seen == seen:
            return False
        self._sights.pop(observer, None)
        self._sights[observer] = _Sight(seen, now)
        while len(self._sights) > MAX_OBSERVERS:
            del self._sights[next(iter(self._sights))]
        return True

    def scouted(self, seen: Endpoint, now: float) -> None:
        """As what a planet saw another socket of ours, whose mapping was made just now."""
        self._scouted = _Sight(seen, now)

    def forget(self, observers: Collection[Endpoint]) -> None:
        """These planet endpoints see us no more."""
        for observer in observers:
            self._sights.pop(observer, None)

    def keep(self, uplinks: Collection[int]) -> bool:
        """Forget what was seen over other uplinks than these; whether there was any of that."""
        gone = [observer for observer in self._sights if observer.uplink not in uplinks]
        self.forget(gone)
        return bool(gone)

    @property
    def observed(self) -> dict[Endpoint, Endpoint]:
        """Observer -> seen, the latest news first."""
        return {observer: self._sights[observer].seen for observer in reversed(self._sights)}

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All that is seen of us, each once, the latest first."""
        return tuple(dict.fromkeys(self.observed.values()))

    def kind(self, own_hosts: Collection[str], *, family: int = 4) -> Mapping:
        """How the mapping behaves for IPv4 or IPv6. ``own_hosts`` are the host's own addresses."""
        seen = [sight.seen for sight in self._of(family)]
        if not seen:
            return Mapping.UNKNOWN
        if all(each.host in own_hosts for each in seen):
            return Mapping.OPEN
        if len(seen) < 2:  # noqa: PLR2004 - one cannot differ
            return Mapping.UNKNOWN
        if len(set(seen)) == 1:
            return Mapping.INDEPENDENT
        return Mapping.RANDOM if self.step(family=family) is None else Mapping.SEQUENTIAL

    def step(self, *, family: int = 4) -> int | None:
        """Ports from one mapping to the next one made, where the NAT counts up; else None.

        Strangers behind the same NAT take ports between ours, so the smallest distance is it.
        """
        sights = self._of(family)
        if len({sight.seen.host for sight in sights}) != 1:
            return None
        ports = sorted({sight.seen.port for sight in sights})
        gaps = [higher - lower for lower, higher in pairwise(ports)]
        return min(gaps) if gaps and min(gaps) <= MAX_STEP else None

    def latest(self, *, family: int = 4) -> tuple[Endpoint, float] | None:
        """The youngest mapping of a family and when it was first seen.

        What a scout found counts where its mapping is one of the same outside address.
        """
        sights = self._of(family)
        if not sights:
            return None
        scouted = self._scouted
        if scouted is not None and any(each.seen.host == scouted.seen.host for each in sights):
            sights.append(scouted)
        youngest = max(sights, key=lambda sight: sight.since)
        at_once = [each for each in sights if each.since > youngest.since - 1.0]
        highest = max(at_once, key=lambda sight: sight.seen.port)
        return highest.seen, highest.since

    def forecast(self, own_hosts: Collection[str], *, family: int = 4) -> Forecast:
        """What a peer may be told, so that it can foretell our next mappings."""
        latest = self.latest(family=family)
        if latest is None:
            return Forecast(Mapping.UNKNOWN)
        seen = dict.fromkeys([latest[0], *(sight.seen for sight in reversed(self._of(family)))])
        kind, step = self.kind(own_hosts, family=family), self.step(family=family)
        is_sequential = kind is Mapping.SEQUENTIAL
        return Forecast(kind, tuple(seen)[:MAX_SEEN], (step or 0) if is_sequential else 0)

    def _of(self, family: int) -> list[_Sight]:
        is_ipv6 = family != 4  # noqa: PLR2004 - the version number
        return [
            sight
            for observer, sight in self._sights.items()
            if not observer.uplink and (":" in sight.seen.host) == is_ipv6
        ]
