"""How long a silent path is borne (section 8.4 of ``docs/protocol.md``).

Three seconds, where nothing else is known. Less when the peer itself has gone to another path that
is fit for use (unless it spreads its frames over both), and under load, when another path answers
while this one does not.
"""

from __future__ import annotations

from typing import Final

from l2mesh.path.candidate import Candidate, CandidateTable
from l2mesh.path.heartbeat import DEAD_S, Heartbeat

__all__ = ["drop_silent", "has_better", "patience_s"]

MOVED_S: Final = 1.0
"""Patience, at most, with the path in use when the peer's newest packets come from another usable
endpoint: three round trips there, a quarter of this at least. Twice this when they come by a relay.
"""
FRESH_S: Final = 5.0
"""An endpoint that answered within this time goes before the relay when another one dies and
nothing has answered since."""


def patience_s(active: Candidate, heartbeat: Heartbeat, table: CandidateTable, now: float) -> float:
    """Seconds without an answer after which the path in use is dead."""
    elsewhere = heartbeat.elsewhere_path
    if elsewhere is None or not heartbeat.is_elsewhere() or active.is_used(now):
        return DEAD_S
    other = table.get(elsewhere)
    if other is None or not other.usable:
        return DEAD_S
    if not other.is_direct:
        return 2 * MOVED_S
    return min(MOVED_S, max(MOVED_S / 4, 3 * (other.rtt_s or MOVED_S)))


def has_better(active: Candidate, heartbeat: Heartbeat, table: CandidateTable, now: float) -> bool:
    """Whether the path in use is doubtful, and another has answered since it fell silent."""
    alarms = active.false_alarms(now)
    since = heartbeat.doubted_since(now, active.rtt_s, false_alarms=alarms)
    if since is None:
        return False
    others = (each for each in table if each is not active and each.usable)
    return any(each.answered_at >= since for each in others)


def drop_silent(heartbeat: Heartbeat, table: CandidateTable, now: float) -> None:
    """The path in use is dead: endpoints that may have died with it are usable no more.

    When it was late the others were asked. If any has answered that, those that have not are
    dropped; else, where there is a relay, those that have not answered for 5 s.
    """
    asked_at = heartbeat.others_asked_at
    has_relay = any(relay.usable for relay in table.relays())
    if not any(each.answered_at >= asked_at for each in table):
        asked_at = now - FRESH_S if has_relay else float("-inf")
    for candidate in table.direct():
        candidate.usable &= candidate.answered_at >= asked_at
