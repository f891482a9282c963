"""Spreading the flows to one peer over several of its direct paths (section 8.7 of
``docs/protocol.md``), where the operator wants it.

The path in use stays what it is: control goes by it, and it is chosen as without this. Frames go by
it and by each other direct path that leads over an uplink of its own, or by which the peer spreads
its flows as well, and that is about as good. A flow stays at its place, and a place at its path
while that takes part; so nothing is reordered in a flow but when a path comes or goes.

Each path that takes part is watched like the one in use while frames flow. Around a change, and
while one is late, copies leave by another (`l2mesh.path.redundancy`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from l2mesh.datapath.interface import Path
from l2mesh.path.asking import Asking
from l2mesh.path.candidate import Candidate, CandidateTable
from l2mesh.path.heartbeat import Heartbeat
from l2mesh.path.outputs import PathOutput, SendingChanged
from l2mesh.path.redundancy import Copies

__all__ = ["MAX_PATHS", "Bond"]

MAX_PATHS: Final = 4
"""As many as a host has uplinks."""
PLACES: Final = 12
"""Flows are shared out by places, which so many paths divide evenly."""
SETTLED_S: Final = 3.0
"""A path has to work for so long before it takes part, and `AGAIN_S` after it has left."""
AGAIN_S: Final = 10.0
FRESH_S: Final = 1.5
"""And it has to have answered within this time."""
ASK_S: Final = 1.0
"""Between PROBEs by a path that may come to take part, while frames flow; `DEAD_ASK_S` by one that
does not work now."""
DEAD_ASK_S: Final = 5.0
JOIN_LOSS: Final = 0.05
"""Takes part what loses less than this, and goes what loses more than `LEAVE_LOSS`."""
LEAVE_LOSS: Final = 0.10
JOIN_RTT_S: Final = 0.05
"""Takes part what has a round trip this much longer than the quickest one, at most; goes what has
one longer by `LEAVE_RTT_S`: a queue of its own makes a path slower."""
LEAVE_RTT_S: Final = 0.15
ASKED_S: Final = 3.0
"""A path that takes part because the peer uses it has been asked by the peer within this time."""
_LATE_BEATS: Final = 2


class Bond:
    """The paths by which frames go to one peer. Bounded by `MAX_PATHS`, and the table's caps."""

    def __init__(
        self, table: CandidateTable, asking: Asking, copies: Copies, outputs: deque[PathOutput]
    ) -> None:
        self.wanted = False
        """Whether flows are to be spread at all."""
        self._table = table
        self._asking = asking
        self._copies = copies
        self._outputs = outputs
        self._members: dict[Path, Heartbeat] = {}
        """Who takes part, with how they answer; among them the path in use, unless it is alone."""
        self._places: list[Path] = []
        self._told: SendingChanged | None = None

    @property
    def members(self) -> tuple[Path, ...]:
        """The paths that take part; none where all frames go by the path in use."""
        return tuple(self._members)

    def sending(self, active: Candidate) -> SendingChanged:
        """How frames go from now on, after whatever has happened to paths; it counts as told."""
        self._prune(active)
        size = min(each.size.size for each in (active, *self._candidates()))
        self._places = share_places(self._places, self.members)
        spread = tuple(path.endpoint for path in self._places)
        self._told = SendingChanged(active.path, size, spread)
        return self._told

    def tell(self, active: Candidate | None) -> None:
        """Say how frames go, if that is not what was said last."""
        before = self._told
        if active is not None and self.sending(active) != before and self._told is not None:
            self._outputs.append(self._told)

    def answered(self, path: Path, now: float) -> None:
        """A PROBE_REPLY came by ``path``."""
        if (heartbeat := self._members.get(path)) is not None:
            heartbeat.answered(now)

    def handle_timeout(self, active: Candidate | None, now: float, *, is_flowing: bool) -> None:
        """Watch those that take part, and see who else might; as often as the path in use is."""
        if not self.wanted or active is None or not active.is_direct or not is_flowing:
            for heartbeat in self._members.values():
                heartbeat.moved(now)
            return
        for path, heartbeat in list(self._members.items()):
            member = self._table.get(path)
            if member is not None and member is not active:
                self._watch(member, heartbeat, active, now)
        for prospect in self._prospects(active, now):
            pause_s = ASK_S if prospect.usable else DEAD_ASK_S
            if now >= prospect.probed_at + pause_s:
                self._asking.probe(prospect, now)
        self._admit(active, now)
        self.tell(active)

    # --- who takes part ---------------------------------------------------------------------------

    def _watch(
        self, member: Candidate, heartbeat: Heartbeat, active: Candidate, now: float
    ) -> None:
        heartbeat.is_flowing = True
        alarms = member.false_alarms(now)
        if heartbeat.doubted_since(now, member.rtt_s, false_alarms=alarms) is not None:
            member.usable, member.doubted_at = False, now
            self._leave(member, active, now)
            self._asking.start_round([member], now)
        elif not self._stays(member, active, now):
            self._leave(member, active, now)
        elif not heartbeat.has_just_beaten(now):
            heartbeat.beat(now)
            self._asking.probe(member, now)
            if heartbeat.unanswered >= _LATE_BEATS:
                self._copies.cover(active, now)
        elif not heartbeat.unanswered:
            self._asking.try_sizes(member, now)

    def _leave(self, member: Candidate, active: Candidate, now: float) -> None:
        del self._members[member.path]
        member.left_at = now
        self.tell(active)
        self._copies.send_by(member, now)

    def _admit(self, active: Candidate, now: float) -> None:
        """Take in those that are fit, one after the other: an endpoint that no other leads to goes
        before one that costs less, since the peer may have several uplinks, too."""
        while len(self._members) < MAX_PATHS:
            fit = [each for each in self._prospects(active, now) if self._is_fit(each, active, now)]
            if not fit:
                return
            taken = {path.endpoint.address for path in (active.path, *self._members)}
            best = min(fit, key=lambda each: (each.path.endpoint.address in taken, each.cost_s))
            for path in (active.path, best.path):
                self._members.setdefault(path, Heartbeat())
            self.tell(active)
            self._copies.send_by(active, now)

    def _prospects(self, active: Candidate, now: float) -> list[Candidate]:
        """Those that have worked and are another way than all that take part."""
        taken = {active.uplink, *(path.endpoint.uplink for path in self._members)}
        others = [
            each
            for each in self._table.direct()
            if each.has_worked and each is not active and each.path not in self._members
        ]
        return [
            each for each in others if each.uplink not in taken or _is_shared(each, active, now)
        ]

    def _is_fit(self, candidate: Candidate, active: Candidate, now: float) -> bool:
        return (
            candidate.usable
            and candidate.usable_since <= now - SETTLED_S
            and candidate.left_at <= now - AGAIN_S
            and candidate.answered_at > now - FRESH_S
            and self._is_good(candidate, active, loss=JOIN_LOSS, rtt_s=JOIN_RTT_S)
        )

    def _stays(self, member: Candidate, active: Candidate, now: float) -> bool:
        others = [active.uplink, *(path.endpoint.uplink for path in self._members)]
        others.remove(member.uplink)
        if member.uplink in others and member.asked_at <= now - ASKED_S:
            return False
        return self._is_good(member, active, loss=LEAVE_LOSS, rtt_s=LEAVE_RTT_S)

    def _is_good(
        self, candidate: Candidate, active: Candidate, *, loss: float, rtt_s: float
    ) -> bool:
        known = [each.rtt_s for each in (active, *self._candidates()) if each.rtt_s is not None]
        quickest = min(known, default=0.0)
        return candidate.loss <= loss and (candidate.rtt_s or 0.0) <= quickest + rtt_s

    def _candidates(self) -> list[Candidate]:
        found = (self._table.get(path) for path in self._members)
        return [candidate for candidate in found if candidate is not None]

    def _prune(self, active: Candidate) -> None:
        """Whoever works no more is none; the path in use is one while there are others."""
        works = [each.path for each in self._candidates() if each.usable]
        if not self.wanted or not active.is_direct or set(works) <= {active.path}:
            works = []
        elif active.path not in works:
            works.append(active.path)
        self._members = {path: self._members.get(path, Heartbeat()) for path in works}


def _is_shared(candidate: Candidate, active: Candidate, now: float) -> bool:
    """Whether the peer spreads flows over both: they are different uplinks of its own, then."""
    return candidate.is_asked_steadily(now) and active.is_asked_steadily(now)


def share_places(places: Sequence[Path], paths: Sequence[Path]) -> list[Path]:
    """`PLACES` shared out evenly, as few as possible moved; none for fewer than two paths."""
    if len(paths) < 2:  # noqa: PLR2004 - one path has them all
        return []
    fair, counts, kept = PLACES // len(paths), Counter[Path](), list[Path | None]()
    for place in places or [paths[0]] * PLACES:
        keeps = place in paths and counts[place] < fair
        counts[place] += keeps
        kept.append(place if keeps else None)
    missing = [path for path in paths for _ in range(fair - counts[path])]
    return [missing.pop() if place is None else place for place in kept]
