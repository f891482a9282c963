"""What asks a peer by its candidates: rounds of PROBEs, heartbeats, keep-alives, sizes.

One place sends every PROBE of a peer, so that the limit on what has not answered and the nonces
that are out hold for all of them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.crypto import Random
from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path import answers
from l2mesh.path.candidate import Candidate, CandidateTable, Opening
from l2mesh.path.opening import choose
from l2mesh.path.outputs import PathOutput, SendOpener, SendProbe, TellAgain
from l2mesh.path.probe import PEER_BURST, PEER_RATE, OpenProbe, OpenProbes, ProbeLimiter
from l2mesh.path.reach import Reach
from l2mesh.path.rounds import Rounds

__all__ = ["Asking"]

PROVEN_S: Final = 60.0
"""An endpoint that answered within this time is the peer's: what it asks is answered."""
SPARE_S: Final = 5.0
"""Between two PROBEs by a relay that is not in use, while frames pass by another one."""


class Asking:
    """The PROBEs to one peer; they go to the set's ``outputs``. Bounded by 256 open ones."""

    def __init__(
        self,
        table: CandidateTable,
        outputs: deque[PathOutput],
        *,
        random: Random,
        limiter: ProbeLimiter,
        reach: Reach,
    ) -> None:
        """``limiter`` and ``reach`` are the process's."""
        self.reach = reach
        self.rounds = Rounds()
        self._table = table
        self._outputs = outputs
        self._limiter = limiter
        self._unanswered = TokenBucket(PEER_RATE, PEER_BURST, 0.0)
        self._answers = TokenBucket(answers.PEER_RATE, answers.PEER_BURST, 0.0)
        self._open = OpenProbes(random)

    def probe(
        self,
        candidate: Candidate,
        now: float,
        *,
        is_heartbeat: bool = False,
        is_back: bool = False,
    ) -> None:
        """Send a PROBE, unless the limit forbids it: what has answered is beyond the limit.

        ``is_back``: the peer's PROBE came from there just now.
        """
        has_limit = candidate.is_direct and not candidate.usable
        if has_limit and not self._may_probe(candidate.path.endpoint, now, is_back=is_back):
            return
        candidate.probed_at = now
        candidate.probes += 1
        nonce = self._open.open(candidate.path, now, is_heartbeat=is_heartbeat)
        self._outputs.append(SendProbe(nonce, candidate.path))

    def may_answer(self, path: Path, now: float) -> bool:
        """Whether a PROBE that came from an endpoint is answered there."""
        candidate = self._table.get(path)
        if candidate is not None and candidate.answered_at > now - PROVEN_S:
            return True
        return self._answers.take(now) and self._limiter.answers.allow(path.endpoint, now)

    def close(self, nonce: int, path: Path, now: float) -> OpenProbe | None:
        """The probe that a reply answers; see `OpenProbes`."""
        return self._open.close(nonce, path, now)

    def answered(self, endpoint: Endpoint, now: float) -> None:
        """Somebody answers us there: the limit begins anew."""
        self._limiter.answered(endpoint, now)

    def expire(self, now: float) -> list[OpenProbe]:
        """Those that waited too long for their reply; each counts as lost where it went."""
        late = self._open.expire(now)
        for probe in late:
            candidate = self._table.get(probe.path)
            if candidate is not None and candidate.has_worked and not probe.size:
                candidate.unanswered(probe.sent_at)  # one that tried a size was too large, perhaps
        return late

    def measure_spares(self, active: Candidate | None, now: float) -> None:
        """While frames pass by a relay, the other relays are asked now and then: one may be better,
        and one must be fit to take over."""
        for relay in self._table.relays():
            if relay is not active and now >= relay.probed_at + SPARE_S:
                self.probe(relay, now)

    def stop(self) -> None:
        """The session is gone: nothing is asked any more, no answer awaited."""
        self._open.clear()
        self.rounds.stop(self._table)

    def _may_probe(self, endpoint: Endpoint, now: float, *, is_back: bool) -> bool:
        """Whether somewhere may be asked that has not answered: not too often, whoever named it."""
        return self._unanswered.take(now) and self._limiter.allow(endpoint, now, is_back=is_back)

    # --- rounds -----------------------------------------------------------------------------------

    def start_round(self, candidates: list[Candidate], now: float, *, opens: bool = False) -> None:
        """Probe these by the schedule, the first time at once; ``opens``: where the peer is behind
        a NAT an opener goes first, see `peer_begins`."""
        chosen = self.reach.of(candidates)
        choose(self._table, chosen, opens=opens)
        self.rounds.start(chosen, now)
        self.continue_round(now)

    def search(self, candidates: list[Candidate], now: float, *, opens: bool = False) -> None:
        """Something has changed: a round of these, and the next one comes soon."""
        self.rounds.forgive()
        self.start_round(candidates, now, opens=opens)

    def retry(self, candidates: list[Candidate], now: float) -> None:
        """A round by the clock. Behind openers the peer is asked to begin as well: its clock is
        another one, and unsolicited PROBEs would shut its NAT anew each time."""
        self.rounds.count_retry()
        self.start_round(candidates, now, opens=True)
        if any(each.opening is not Opening.NONE for each in candidates):
            self._outputs.append(TellAgain())

    def heard(self, named: list[Candidate], now: float, *, opens: bool) -> None:
        """The peer has named these. If it had named all of them before, then it tries us by its
        clock, and that stands for our next round, too."""
        if named and all(each.probes for each in named) and now >= self.rounds.search_until:
            self.rounds.count_retry()
        self.start_round(named, now, opens=opens)

    def continue_round(self, now: float) -> None:
        """Probe what is due."""
        for candidate in self.rounds.due(self._table, now):
            if candidate.opening is Opening.DUE:
                self._open_nat(candidate, now)
            else:
                candidate.opening = Opening.NONE
                self.probe(candidate, now)

    def peer_begins(self, now: float) -> None:
        """The peer has opened its NAT by now, so PROBEs follow the openers."""
        self.rounds.peer_begins(self._table, now)
        self.continue_round(now)

    def _open_nat(self, candidate: Candidate, now: float) -> None:
        candidate.opening = Opening.DONE
        if self._may_probe(candidate.path.endpoint, now, is_back=False):
            self._outputs.append(SendOpener(candidate.path.endpoint))

    # --- sizes ------------------------------------------------------------------------------------

    def try_sizes(self, candidate: Candidate, now: float) -> None:
        """See how large a datagram a path carries by which frames go."""
        path = candidate.path
        for size in candidate.size.sizes_due(now, candidate.rtt_s):
            nonce = self._open.open(path, now, size=size)
            self._outputs.append(SendProbe(nonce, path, size))
