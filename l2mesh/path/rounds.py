"""Rounds of probes: each candidate by the schedule of section 8.4, and again while there is reason.

A round probes a set of candidates at 0, 0.1, 0.3 ... 3 s from its beginning, so that both ends open
their NATs at about the same time. After a round without success the next one waits 5, 10, 35 and
then 60 s; success begins the count anew. Where a candidate stands in its round is kept in the
candidate itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from l2mesh.path.candidate import Candidate, Opening
from l2mesh.path.opening import WAIT_S
from l2mesh.path.probe import SCHEDULE_S

__all__ = ["SEARCH_S", "Rounds"]

RETRY_S: Final = (5.0, 10.0, 35.0, 60.0)
"""Between rounds while no direct path is in use; the last one repeats. The longer ones outlast what
netfilter remembers of a datagram that nobody answered: 30 s."""
SEARCH_S: Final = 3.5
"""The length of a round, and half a second for the last reply."""
_NEVER: Final = float("-inf")


class Rounds:
    """When which candidate is probed, and when the next round may begin."""

    def __init__(self) -> None:
        self.retry_at = _NEVER
        """When another round may begin."""
        self.search_until = _NEVER
        """Until then an answer of the latest round may still come."""
        self._retries = 0

    def start(self, candidates: Iterable[Candidate], now: float) -> None:
        """Begin a round with these; nothing happens without any."""
        chosen = list(candidates)
        for candidate in chosen:
            candidate.round_at = now
            candidate.step = 0
        if chosen:
            self.search_until = now + SEARCH_S
            pause = RETRY_S[min(self._retries, len(RETRY_S) - 1)]
            self.retry_at = now + SCHEDULE_S[-1] + pause

    def count_retry(self) -> None:
        """One more round had to be begun: wait longer for the next."""
        self._retries += 1

    def forgive(self) -> None:
        """Something answered or has changed: the next round comes soon again."""
        self._retries = 0

    def extend(self, now: float) -> None:
        """Give what is under way another while."""
        self.search_until = max(self.search_until, now + SEARCH_S)

    def due(self, candidates: Iterable[Candidate], now: float) -> Iterator[Candidate]:
        """Candidates whose next probe is due; each steps on by what has been missed."""
        for candidate in candidates:
            if candidate.step is None or now < step_at(candidate):
                continue
            if candidate.probed_at < now:
                yield candidate
            step = candidate.step + 1
            while step < len(SCHEDULE_S) and candidate.round_at + SCHEDULE_S[step] <= now:
                step += 1
            candidate.step = step if step < len(SCHEDULE_S) else None

    @staticmethod
    def peer_begins(candidates: Iterable[Candidate], now: float) -> None:
        """The peer has opened its NAT: what has had an opener gets its first PROBE now."""
        for candidate in candidates:
            if candidate.opening is Opening.DONE:
                candidate.opening = Opening.NONE
                candidate.round_at = now - SCHEDULE_S[1]

    @staticmethod
    def stop(candidates: Iterable[Candidate]) -> None:
        """End the round of these."""
        for candidate in candidates:
            candidate.step = None

    @staticmethod
    def next_timeout(candidates: Iterable[Candidate]) -> float:
        """When the next probe of a round is due, infinite without one."""
        waiting = (step_at(each) for each in candidates if each.step is not None)
        return min(waiting, default=float("inf"))


def step_at(candidate: Candidate) -> float:
    """When the next probe of a candidate's round is due."""
    if candidate.opening is Opening.DONE:
        return candidate.round_at + WAIT_S
    return candidate.round_at + SCHEDULE_S[candidate.step or 0]
