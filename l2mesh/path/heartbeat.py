"""Whether the path in use still answers (the heartbeat of section 8.4 of ``docs/protocol.md``).

While something was sent and nothing came back a PROBE goes out every second; three of them without
an answer, over three seconds, and the path is dead. Without traffic one PROBE each 25 s keeps NATs
open and is judged in the same way.

Under load that is too slow. While frames flow, or the peer has gone elsewhere, PROBEs follow each
other more quickly, and a path that leaves three unanswered is *doubtful* after 0.45 s or two round
trips: reason enough to leave it for one that answers meanwhile.

What counts as an answer: a PROBE_REPLY by this path, or anything authentic, unless the peer's
packets come by another path just now. Three replies lost in a row are no proof on a bad link across
which the peer's frames arrive. Should only our direction be dead, then the peer hears no answer
itself and moves away; from then on its packets no longer speak for this path.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from l2mesh.datapath.interface import Path

__all__ = ["BEAT_S", "DEAD_S", "KEEPALIVE_S", "Heartbeat", "Verdict"]

BEAT_S: Final = 1.0
"""Between two heartbeats."""
DEAD_S: Final = 3.0
"""Without an answer for so long, the path is dead."""
KEEPALIVE_S: Final = 25.0
FLOW_S: Final = 2.0
"""A frame within this time: frames flow."""
FLOW_BEAT_S: Final = 0.45
"""Between two heartbeats while frames flow, and a third of it while the last is not answered."""
DOUBT_S: Final = 0.45
"""Without an answer for so long (or two round trips and 0.3 s), a path under load is doubtful."""
_DOUBT_BEATS: Final = 3
_OTHERS_AT: Final = 2
"""With this one of the unanswered heartbeats, and those after it, what else works is asked."""
_LOSSY: Final = 0.1
"""A path that loses this share of its heartbeats is not doubted for silence of a moment."""
_ANSWER_S: Final = 0.05
"""What is sent within this time of hearing from the peer is taken for an answer to it (PROBE_REPLY,
ACK) and calls for none itself; else two idle nodes would keep each other awake."""
_ELSEWHERE_S: Final = 1.5
"""For so long after an arrival by another path the peer is taken to use that one; such arrivals are
reported once a second."""
_OUTCOMES: Final = 32
_NEVER_DUE: Final = float("inf")


class Verdict(enum.Enum):
    """What to do at a tick."""

    REST = "rest"
    SEND = "send"
    DEAD = "dead"


class Heartbeat:
    """The heartbeat of the path in use; `moved` starts it anew for another path."""

    def __init__(self) -> None:
        never = float("-inf")
        self.sent = never
        self.received = never
        self.answered_at = never
        """The last PROBE_REPLY by the path in use."""
        self.elsewhere_at = never
        """The last arrival by another path, `elsewhere_path`."""
        self.elsewhere_path: Path | None = None
        self.beside_at = never
        """The last arrival by another path that may be just a PROBE or the answer to one: it tells
        nothing of where the peer's packets come by, and nothing for the path in use."""
        self.waiting_since: float | None = None
        """When the first of the unanswered heartbeats was sent."""
        self.unanswered = 0
        self.others_asked_at = _NEVER_DUE
        """When what else works was first asked as well."""
        self.last_beat = never
        self.is_flowing = False
        """Whether frames passed within `FLOW_S` when traffic was last looked at."""
        self._moved_at = never
        self._lost: deque[bool] = deque(maxlen=_OUTCOMES)

    @property
    def loss(self) -> float:
        """Share (0..1) of the last 32 heartbeats that were not answered within 3 s."""
        return sum(self._lost) / len(self._lost) if self._lost else 0.0

    @property
    def is_lossy(self) -> bool:
        """Whether so many heartbeats are lost that some missing answers say nothing."""
        return self.loss > _LOSSY

    @property
    def is_answered(self) -> bool:
        """Whether the path has answered, and no heartbeat waits."""
        return self.waiting_since is None and self.answered_at > float("-inf")

    @property
    def pace_s(self) -> float:
        """Seconds between two heartbeats, as things are."""
        if not self.is_flowing and not self.is_elsewhere():
            return BEAT_S
        return FLOW_BEAT_S if self.waiting_since is None else FLOW_BEAT_S / 3

    @property
    def tick_s(self) -> float:
        """Seconds between two looks at traffic, as things are."""
        return FLOW_BEAT_S / 3 if self.is_flowing else BEAT_S

    def note(self, sent: float, received: float, frame: float, now: float) -> None:
        """When the engine last sent to and heard from the peer, and the last frame passed."""
        self.sent = max(self.sent, sent)
        self.received = max(self.received, received)
        self.is_flowing = frame > now - FLOW_S
        self._forget_answered()

    def doubted_since(self, now: float, rtt_s: float | None, *, false_alarms: int) -> float | None:
        """Since when a path under load has not answered, if that is long enough to doubt it.

        It takes two thirds of that if the peer's newest packets come by another path, which says
        as much as a heartbeat lost. Each false alarm doubles the patience, up to `DEAD_S`.
        """
        if not self.is_flowing or self.waiting_since is None or self.unanswered < _DOUBT_BEATS:
            return None
        if self.is_lossy:
            return None
        slack_s = DOUBT_S / 3 if self.is_elsewhere() else 2 * DOUBT_S / 3
        patience_s = max(slack_s + DOUBT_S / 3, 2 * (rtt_s or 0.0) + slack_s)
        patience_s *= 2.0 ** min(false_alarms, 8)
        return self.waiting_since if now >= self.waiting_since + patience_s else None

    def moved(self, now: float) -> None:
        """Another path is in use: nothing is known of it yet."""
        self.waiting_since = None
        self.unanswered = 0
        self.answered_at = self.elsewhere_at = self.last_beat = float("-inf")
        self.elsewhere_path = None
        self._moved_at = now
        self._lost.clear()

    def answered(self, now: float) -> None:
        """A PROBE_REPLY came by the path in use."""
        self.answered_at = now
        self.waiting_since = None
        self.unanswered = 0

    def record(self, sent_at: float, *, lost: bool) -> None:
        """What became of one heartbeat. Those of an earlier use of the path tell of an outage then,
        not of what it loses now."""
        if sent_at >= self._moved_at:
            self._lost.append(lost)

    def beat(self, now: float) -> None:
        """A heartbeat is sent now."""
        if self.waiting_since is None:
            self.waiting_since = now
        self.unanswered += 1
        if self.unanswered <= _OTHERS_AT:
            self.others_asked_at = now if self.unanswered == _OTHERS_AT else _NEVER_DUE
        self.last_beat = now

    def has_just_beaten(self, now: float) -> bool:
        """Whether the next heartbeat is not due yet."""
        return now < self.last_beat + self.pace_s

    def elsewhere(self, path: Path, now: float) -> None:
        """Something authentic came by ``path``, which is not in use."""
        self.elsewhere_path = path
        self.elsewhere_at = now

    def beside(self, now: float) -> None:
        """A PROBE, or the answer to one, came by a path that is not in use."""
        self.beside_at = now

    def is_elsewhere(self) -> bool:
        """Whether the peer's newest packets came by another path since this one last answered."""
        return self.elsewhere_at > self.answered_at

    def next_beat(self, *, keep_alive: bool) -> float:
        """When `tick` next has something to say, if nobody reports traffic before that."""
        if self.waiting_since is not None or self.sent > self._heard() + _ANSWER_S:
            return self.last_beat + self.pace_s
        return self._keep_alive_at() if keep_alive else _NEVER_DUE

    def tick(self, now: float, *, patience_s: float, keep_alive: bool) -> Verdict:
        """Judge the path; called as often as `pace_s` tells.

        ``patience_s`` is how long to wait for an answer before the path is dead. A jump of the
        clock (suspend) kills nothing: as many heartbeats as seconds must have gone out.
        """
        self._forget_answered()
        heard = self._heard()
        if self.waiting_since is None:
            is_due = keep_alive and now >= self._keep_alive_at()
            return Verdict.SEND if is_due or self.sent > heard + _ANSWER_S else Verdict.REST
        if now >= self.waiting_since + patience_s and self.unanswered >= patience_s:
            return Verdict.DEAD
        return Verdict.SEND

    def _forget_answered(self) -> None:
        heard = self._heard() if self.received > self.beside_at else self.answered_at
        if self.waiting_since is not None and heard > self.waiting_since:
            self.waiting_since = None
            self.unanswered = 0

    def _keep_alive_at(self) -> float:
        """A beat early, since the caller may look only once a beat."""
        return max(self.sent, self.last_beat) + KEEPALIVE_S - BEAT_S

    def _heard(self) -> float:
        if self.received > self.elsewhere_at + _ELSEWHERE_S:
            return max(self.received, self.answered_at)
        return self.answered_at
