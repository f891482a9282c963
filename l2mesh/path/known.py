"""The paths to one peer as others see them: what is known, and which is in use.

`l2mesh.path.paths` has what changes them. Nothing here does.
"""

from __future__ import annotations

from collections import deque

from l2mesh.crypto import Random
from l2mesh.datapath.interface import Path
from l2mesh.path.asking import Asking
from l2mesh.path.bond import Bond
from l2mesh.path.candidate import Candidate, CandidateTable
from l2mesh.path.choice import handshake_paths
from l2mesh.path.heartbeat import Heartbeat
from l2mesh.path.need import Need
from l2mesh.path.outputs import PathOutput
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.reach import Reach
from l2mesh.path.redundancy import Copies
from l2mesh.path.resting import Resting
from l2mesh.path.silence import Silence
from l2mesh.path.state import PathState
from l2mesh.path.steering import Steering
from l2mesh.path.uplinks import Uplinks

__all__ = ["KnownPaths"]


class KnownPaths:
    """The machines behind the paths to one peer, to be asked and not to be changed."""

    def __init__(
        self,
        *,
        random: Random,
        limiter: ProbeLimiter,
        reach: Reach | None = None,
        direct: bool = True,
    ) -> None:
        """``limiter`` and ``reach`` (everything, by default) are the process's; ``direct`` False
        neither uses nor probes direct paths."""
        reach = reach if reach is not None else Reach()
        self._direct = direct
        self._table = CandidateTable()
        self._outputs: deque[PathOutput] = deque()
        self._asking = Asking(
            self._table, self._outputs, random=random, limiter=limiter, reach=reach
        )
        self._rounds = self._asking.rounds
        self._heartbeat = Heartbeat()
        self._doubted: dict[Path, None] = {}
        self._active: Candidate | None = None
        self._followed: Path | None = None
        self._need = Need()
        self._rest = Resting(self._need, self._table)
        self._uplinks = Uplinks(self._table, self._asking)
        self._steering = Steering()
        self._silence = Silence(self._outputs)
        self._copies = Copies(self._outputs)
        self._bond = Bond(self._table, self._asking, self._copies, self._outputs)

    @property
    def state(self) -> PathState:
        """The row of the table that holds now."""
        if self._need.live_at is None:
            return PathState.DOWN
        if self._active is None:
            return PathState.SEARCHING
        return PathState.DIRECT if self._active.is_direct else PathState.RELAYED

    @property
    def active(self) -> Path | None:
        """The path in use; it outlives the session, so that the next handshake finds it."""
        return None if self._active is None else self._active.path

    @property
    def proven(self) -> Path | None:
        """The path in use, if it has answered and owes no answer now."""
        return self.active if self._heartbeat.is_answered else None

    @property
    def is_direct(self) -> bool:
        """Whether the path in use passes no relay."""
        return self._active is not None and self._active.is_direct

    @property
    def rtt_ms(self) -> float | None:
        """Smoothed round trip of the path in use in milliseconds; None before its first reply."""
        rtt_s = None if self._active is None else self._active.rtt_s
        return None if rtt_s is None else rtt_s * 1000

    @property
    def size(self) -> int:
        """Bytes of the largest datagram on the path in use; 0 where there is none."""
        return 0 if self._active is None else self._active.size.size

    @property
    def cost_s(self) -> float:
        """What the path in use costs, see `Candidate`; infinite where there is none."""
        return float("inf") if self._active is None else self._active.cost_s

    @property
    def loss(self) -> float:
        """Share (0..1) of the last 32 heartbeats by the path in use that were not answered."""
        return self._heartbeat.loss

    @property
    def relays(self) -> tuple[Path, ...]:
        """Relays to the peer, in the order in which they were added."""
        return tuple(relay.path for relay in self._table.relays())

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All ways to the peer that are known; to be read, not changed."""
        return tuple(self._table)

    @property
    def reach(self) -> Reach:
        """What this host can send to at all."""
        return self._asking.reach

    @property
    def spread(self) -> tuple[Path, ...]:
        """The paths over which frames are spread; none where all go by the path in use."""
        return self._bond.members

    @property
    def retry_at(self) -> float | None:
        """When endpoints are tried again; None while that is of no use."""
        is_live = self._need.live_at is not None
        return self._rounds.retry_at if is_live and self._may_retry() else None

    @property
    def tick_s(self) -> float:
        """How often the owner should tell of traffic, in seconds: quicker while frames flow."""
        return self._heartbeat.tick_s

    def handshake_paths(self) -> tuple[Path, ...]:
        """Where an INIT should go."""
        always = self._need.always
        known = handshake_paths(self._table, self._active, direct=self._direct, always=always)
        return tuple(each for each in known if each.relay or self.reach.leads_to(each.endpoint))

    def _may_retry(self) -> bool:
        has_traffic = self._active is None or self._need.has_traffic(self._rounds.retry_at)
        return self._direct and not self.is_direct and has_traffic and bool(self._untried())

    def _untried(self) -> list[Candidate]:
        return self.reach.of(each for each in self._table if each is not self._active)
