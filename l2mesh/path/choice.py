"""Which usable path is best, and where a handshake goes (section 8.4 of ``docs/protocol.md``)."""

from __future__ import annotations

from typing import Final

from l2mesh.datapath.interface import Path
from l2mesh.path.candidate import Candidate, CandidateTable, Kind

__all__ = ["best_path", "handshake_paths"]

_MAX_WORKED: Final = 2
_TRIED_ALONE: Final = frozenset({Kind.REMEMBERED, Kind.LAN})
"""Endpoints of a member at which a session may begin."""
_BETTER_RELAY: Final = 0.8
_GAIN_S: Final = 0.005
"""Another relay is taken when its cost is below this share of the present one's, and by so much."""


def best_path(
    table: CandidateTable, active: Candidate | None, followed: Path | None = None
) -> Candidate | None:
    """Direct before relay, then answered first; a direct path is left only when it dies, to
    follow the peer, or for one over a better uplink (`Uplinks.better`).

    Where no relay is known to work, one that does not stands in: held frames would die as well. A
    stream never does: anybody may open one and send along it what he has seen elsewhere.
    """
    wanted = None if followed is None else table.get(followed)
    if wanted is not None and wanted.is_direct and wanted.usable:
        return wanted
    if active is not None and active.is_direct and active.usable:
        return active
    direct = [candidate for candidate in table.direct() if candidate.usable]
    if direct:
        return min(direct, key=lambda each: (bool(each.uplink), each.usable_since))
    relays = [relay for relay in table.relays() if relay.usable or relay.kind is Kind.RELAY]
    return _best_relay([relay for relay in relays if relay.usable] or relays, active)


def handshake_paths(
    table: CandidateTable, active: Candidate | None, *, direct: bool, always: bool
) -> tuple[Path, ...]:
    """Where an INIT should go: the path in use, relays, and endpoints that answered last.

    Of a planet or controller (``always``) all endpoints that are known, at once: one of them may be
    of a family that this host has not. Another peer's endpoints are only tried inside a session,
    but for those that worked the last time or announced themselves on our LAN.
    """
    chosen = [] if active is None else [active]
    chosen += [*table.relays(), *table.by_latest_answer()[:_MAX_WORKED]]
    if direct:
        chosen += [c for c in table.direct() if always or c.kind in _TRIED_ALONE]
    return tuple(dict.fromkeys(candidate.path for candidate in chosen))


def _best_relay(relays: list[Candidate], active: Candidate | None) -> Candidate | None:
    """The cheapest; the first added while none is measured, and no change for a small gain.

    A round trip is the same from either end, so that both come to use the same relay.
    """
    if not relays:
        return None
    best = min(relays, key=lambda relay: relay.cost_s)
    if active is None or active not in relays:
        return best
    if best.rtt_s is None or active.rtt_s is None:
        return active
    clear = min(active.cost_s * _BETTER_RELAY, active.cost_s - _GAIN_S)
    return best if best.cost_s < clear else active
