"""Spreading the flows to one peer over several of its direct paths (section 8.7 of
``docs/protocol.md``), where the operator wants it.

The path in use stays what it is: control goes by it, and it is chosen as without this. Frames go by
it and by others that are about as good: as many as it takes to use each uplink of ours, and each of
the peer's that it spreads flows over itself (`needed`). A flow stays at its place, and a place at
its path while that takes part; so nothing is reordered in a flow but when a path comes or goes.

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

__all__ = ["MAX_PATHS", "Bond", "needed", "share_places"]

MAX_PATHS: Final = 4
"""As many as a host has uplinks."""
PLACES: Final = 12
"""Flows are shared out by places, which so many paths over any number of uplinks divide evenly."""
SETTLED_S: Final = 3.0
"""A path has to work for so long before it takes part, and `AGAIN_S` after it has left."""
AGAIN_S: Final = 10.0
FRESH_S: Final = 1.5
"""And it has to have answered within this time."""
ASK_S: Final = 1.0
"""Between PROBEs by a path that may come to take part, while frames flow; `DEAD_ASK_S` by one that
does not work now."""
DEAD_ASK_S: Final = 5.0
JOIN: Final = (0.05, 0.05)
"""Takes part what loses no more than this, and has a round trip longer than the quickest one by so
many seconds at most."""
LEAVE: Final = (0.10, 0.15)
"""Goes what exceeds this: a queue of its own makes a path slower."""
USED_S: Final = 5.0
"""For so long a path counts as the peer's after the last sign of that, once it takes part."""
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
        for member in self._others(active):
            self._watch(member, self._members[member.path], active, now)
        prospects = self._prospects(active, now)
        for prospect in prospects:
            pause_s = ASK_S if prospect.usable else DEAD_ASK_S
            if now >= prospect.probed_at + pause_s:
                self._asking.probe(prospect, now)
        self._choose(active, [each for each in prospects if self._is_fit(each, active, now)], now)
        self.tell(active)

    # --- who takes part ---------------------------------------------------------------------------

    def _watch(
        self, member: Candidate, heartbeat: Heartbeat, active: Candidate, now: float
    ) -> None:
        heartbeat.is_flowing = True
        alarms = member.false_alarms(now)
        if heartbeat.doubted_since(now, member.rtt_s, false_alarms=alarms) is not None:
            member.usable, member.doubted_at = False, now
            self._asking.start_round([member], now)
        elif not heartbeat.has_just_beaten(now):
            heartbeat.beat(now)
            self._asking.probe(member, now)
            if heartbeat.unanswered >= _LATE_BEATS:
                self._copies.cover(active, now)
        elif not heartbeat.unanswered:
            self._asking.try_sizes(member, now)

    def _choose(self, active: Candidate, fit: list[Candidate], now: float) -> None:
        """Each that is needed takes part from now on, of those that do and those fit to, and no
        other."""
        members = self._others(active)
        stay = [each for each in members if each.usable and self._is_good(each, active, *LEAVE)]
        fit.sort(key=lambda each: each.cost_s)
        chosen = needed(active, [*stay, *fit], self._spread_by_peer(now))
        new = [each for each in chosen if each not in (active, *members)]
        gone = [each for each in members if each not in chosen]
        if not new and not gone:
            return
        for each in gone:
            each.left_at = now
        paths = [each.path for each in chosen]
        self._members = {path: self._members.get(path, Heartbeat()) for path in paths}
        self.tell(active)
        self._copies.send_by(active if new else gone[0], now)

    def _prospects(self, active: Candidate, now: float) -> list[Candidate]:
        """Those that have worked and would be needed, were they fit."""
        members, spread = self._others(active), self._spread_by_peer(now)
        others = (each for each in self._table.direct() if each.has_worked)
        return [
            each
            for each in others
            if each is not active
            and each.path not in self._members
            and each in needed(active, [*members, each], spread)
        ]

    def _spread_by_peer(self, now: float) -> list[Candidate]:
        """The paths by which the peer spreads its flows."""
        used = [
            each
            for each in self._table.direct()
            if each.is_used(now, USED_S if each.path in self._members else 1.0)
        ]
        return used if len(used) > 1 else []

    def _is_fit(self, candidate: Candidate, active: Candidate, now: float) -> bool:
        return (
            candidate.usable
            and candidate.usable_since <= now - SETTLED_S
            and candidate.left_at <= now - AGAIN_S
            and candidate.answered_at > now - FRESH_S
            and self._is_good(candidate, active, *JOIN)
        )

    def _is_good(self, candidate: Candidate, active: Candidate, loss: float, rtt_s: float) -> bool:
        known = [each.rtt_s for each in (active, *self._candidates()) if each.rtt_s is not None]
        quickest = min(known, default=0.0)
        return candidate.loss <= loss and (candidate.rtt_s or 0.0) <= quickest + rtt_s

    def _candidates(self) -> list[Candidate]:
        found = (self._table.get(path) for path in self._members)
        return [candidate for candidate in found if candidate is not None]

    def _others(self, active: Candidate) -> list[Candidate]:
        return [candidate for candidate in self._candidates() if candidate is not active]

    def _prune(self, active: Candidate) -> None:
        """Whoever works no more is none; the path in use is one while there are others."""
        works = [each.path for each in self._candidates() if each.usable]
        if not self.wanted or not active.is_direct or set(works) <= {active.path}:
            works = []
        elif active.path not in works:
            works.append(active.path)
        self._members = {path: self._members.get(path, Heartbeat()) for path in works}


def needed(
    active: Candidate, others: Sequence[Candidate], spread: Sequence[Candidate]
) -> list[Candidate]:
    """The path in use and those that it takes to lead over each of our uplinks, and to each
    endpoint of the peer's to which it spreads flows itself, by one of ``spread``.

    One by which a further uplink leads to a further endpoint goes first, since it stands for two
    others; then the one named first, so that whoever takes part already stays.
    """
    chosen = [active]
    while len(chosen) < MAX_PATHS:
        best = max(others, key=lambda each: _gain(each, chosen, spread), default=active)
        if not _gain(best, chosen, spread):
            break
        chosen.append(best)
    return chosen


def _gain(way: Candidate, chosen: Sequence[Candidate], spread: Sequence[Candidate]) -> int:
    is_further = all(way.path.endpoint.address != each.path.endpoint.address for each in chosen)
    if all(way.uplink != each.uplink for each in chosen):
        return 3 if is_further else 2
    return int(is_further and way in spread)


def share_places(places: Sequence[Path], paths: Sequence[Path]) -> list[Path]:
    """`PLACES` shared out evenly among uplinks, and those of an uplink among its paths, as few as
    possible moved; none for fewer than two paths."""
    if len(paths) < 2:  # noqa: PLR2004 - one path has them all
        return []
    each_has = Counter(path.endpoint.uplink for path in paths)
    fair = {path: PLACES // len(each_has) // each_has[path.endpoint.uplink] for path in paths}
    counts, kept = Counter[Path](), list[Path | None]()
    for place in places or [paths[0]] * PLACES:
        keeps = counts[place] < fair.get(place, 0)
        counts[place] += keeps
        kept.append(place if keeps else None)
    missing = [path for path in paths for _ in range(fair[path] - counts[path])]
    return [missing.pop() if place is None else place for place in kept]
