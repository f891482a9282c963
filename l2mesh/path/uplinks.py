"""Several uplinks: a peer's paths over each of them, and which uplink is the better one.

A host has an uplink for each interface with a default route. Whatever the host's own routes choose
is uplink 0 and needs no name; the others are *named* by their interface's index, and a path over
one of them leaves by it whatever the routes say. With a single uplink nothing here does anything.

The host's own choice is used unless another uplink is clearly better, so that a line that is paid
for by the byte rests while the better one works. Costs are compared as those of relays are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.asking import Asking
from l2mesh.path.candidate import Candidate, CandidateTable, Kind
from l2mesh.path.heartbeat import KEEPALIVE_S

__all__ = ["MAX_NAMED", "Uplinks"]

MAX_NAMED: Final = 3
"""Named uplinks: four with the host's own choice."""
SETTLED_S: Final = 10.0
"""A path over another uplink has to work for so long before it takes over from one that works."""
FRESH_S: Final = 6.0
"""And it has to have answered within this time."""
ACTIVE_S: Final = 2.0
"""Between PROBEs on the path in use while frames flow: its loss shows by nothing else."""
OTHER_S: Final = 5.0
"""Between PROBEs over another uplink while there is reason to change; else `KEEPALIVE_S`."""
REPLY_S: Final = 1.0
"""For so long an arrival over another uplink may be the answer to our own PROBE there."""
_KNOWN: Final = 4
"""Answers after which another uplink's round trip counts as known."""
_TROUBLED: Final = 0.02
"""A path that loses this share gives reason to look at the others."""
_BETTER: Final = 0.8
_GAIN_S: Final = 0.005
"""To be left for another, a path must cost more by a fifth and by this much (as with relays); the
host's own choice is taken again as soon as it costs less than half of that more."""
_SPREAD: Final = frozenset({Kind.TOLD, Kind.REMEMBERED})
"""What is tried over every uplink; an endpoint on a LAN is not."""


class Uplinks:
    """The uplinks in one peer's paths. Bounded by the table's caps."""

    def __init__(self, table: CandidateTable, asking: Asking) -> None:
        self.named: tuple[int, ...] = ()
        """Beside uplink 0, at most `MAX_NAMED`."""
        self.keeps_all = False
        """Whether every endpoint that has answered is kept open (planets)."""
        self._table = table
        self._asking = asking

    def add(self, endpoints: Iterable[Endpoint], kind: Kind, now: float) -> list[Candidate]:
        """The paths to try to these endpoints: new ones, and known ones that do not work though the
        peer names them once more."""
        uplinks = (0, *self.named) if kind in _SPREAD else (0,)
        ways = [Path(each._replace(uplink=uplink)) for each in endpoints for uplink in uplinks]
        found = [
            self._table.add(path, kind, now) or self._table.silent(path, kind) for path in ways
        ]
        return [candidate for candidate in found if candidate is not None]

    def change(self, named: tuple[int, ...], now: float) -> list[Candidate]:
        """There are these named uplinks now: the paths to try over new ones.

        Those over uplinks that are gone are forgotten.
        """
        new = [uplink for uplink in named if uplink not in self.named]
        self.named = named[:MAX_NAMED]
        for candidate in list(self._table):
            if candidate.uplink and candidate.uplink not in self.named:
                self._table.remove(candidate.path)
        spread = [c for c in self._table.direct() if not c.uplink and c.kind in _SPREAD]
        ways = [(c, c.path.endpoint._replace(uplink=uplink)) for c in spread for uplink in new]
        added = [self._table.add(Path(endpoint), c.kind, now) for c, endpoint in ways]
        return [candidate for candidate in added if candidate is not None]

    def better(self, active: Candidate | None, now: float) -> Candidate | None:
        """What is in use, or where that is direct a path over another uplink to be used instead."""
        if active is None or not active.is_direct:
            return active
        ready = [each for each in self._others(active) if _is_ready(each, now)]
        best = min(ready, key=lambda each: each.cost_s, default=None)
        return best if best is not None and _is_better(best, active) else active

    def is_down(self, active: Candidate, *, lost: bool) -> bool:
        """Whether the path in use is to be left at once: its uplink is gone, or ``lost`` was the
        host's own choice and a direct path over another uplink can take over."""
        if active.uplink:
            return active.uplink not in self.named
        others = (each for uplink in self.named for each in self._table.direct(uplink))
        return lost and any(each.usable for each in others)

    def is_reply(self, candidate: Candidate, now: float) -> bool:
        """Whether an arrival over another uplink may be just the answer to our own PROBE."""
        return bool(self.named) and candidate.answered_at < candidate.probed_at > now - REPLY_S

    # --- PROBEs beside the path in use ------------------------------------------------------------

    def ask(self, active: Candidate | None, now: float, *, is_idle: bool, is_flowing: bool) -> None:
        """What is not in use is kept open unless the pair is idle, and while frames flow it is
        asked whether it is better."""
        for candidate in [] if is_idle else self._kept(active):
            if now >= candidate.probed_at + KEEPALIVE_S:
                self._asking.probe(candidate, now)
                candidate.probed_at = now  # though the limit may have forbidden it
        if is_flowing and active is not None and active.is_direct:
            self._measure(active, now)
        elif is_flowing:
            self._asking.measure_spares(active, now)

    def next_timeout(self, active: Candidate | None, *, is_idle: bool) -> float:
        """When something has to be kept open, infinite without that."""
        due = (each.probed_at + KEEPALIVE_S for each in ([] if is_idle else self._kept(active)))
        return min(due, default=float("inf"))

    def _measure(self, active: Candidate, now: float) -> None:
        if self.named and now >= active.probed_at + ACTIVE_S:
            self._asking.probe(active, now)
        for other in self._others(active):
            if now >= other.probed_at + _pause_s(other, active):
                self._asking.probe(other, now)

    def _kept(self, active: Candidate | None) -> list[Candidate]:
        if self.keeps_all:
            direct = self._table.direct()
            kept = [each for each in direct if each.has_worked and each is not active]
            return self._asking.reach.of(kept)
        if not self.named or active is None or not active.is_direct:
            return []
        return self._others(active)

    def _others(self, active: Candidate) -> list[Candidate]:
        """The best path over each uplink that is not in use, of those that have ever answered."""
        best: dict[int, Candidate] = {}
        for each in self._table.direct() if self.named else ():
            if not each.has_worked or each.uplink == active.uplink:
                continue
            known = best.setdefault(each.uplink, each)
            if (not each.usable, each.cost_s) < (not known.usable, known.cost_s):
                best[each.uplink] = each
        return list(best.values())


def _is_ready(candidate: Candidate, now: float) -> bool:
    is_settled = candidate.usable and candidate.usable_since <= now - SETTLED_S
    return is_settled and candidate.answered_at > now - FRESH_S


def _is_better(other: Candidate, active: Candidate) -> bool:
    if active.uplink and not other.uplink:
        half = (1 + _BETTER) / 2
        return active.cost_s >= min(other.cost_s * half, other.cost_s - _GAIN_S / 2)
    return other.cost_s < min(active.cost_s * _BETTER, active.cost_s - _GAIN_S)


def _pause_s(other: Candidate, active: Candidate) -> float:
    is_calm = not active.uplink and active.loss < _TROUBLED and other.answers >= _KNOWN
    return KEEPALIVE_S if is_calm and not _is_better(other, active) else OTHER_S
