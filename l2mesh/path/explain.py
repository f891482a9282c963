"""Why a candidate is or is not in use, in one word for programs and one sentence for people."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.candidate import Candidate
from l2mesh.path.known import KnownPaths
from l2mesh.path.opening import is_near
from l2mesh.path.reach import family_of
from l2mesh.path.state import PathState

__all__ = ["CandidateReport", "Standing", "explain", "is_inside"]

_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")


class Standing(enum.Enum):
    """What a candidate is good for now."""

    IN_USE = "in_use"
    RESERVE = "reserve"
    """It works; another one is used."""
    TRYING = "trying"
    SILENT = "silent"
    """It has been tried and has never answered."""
    DEAD = "dead"
    """It answered once and does so no more."""
    UNTRIED = "untried"


_UNPROVEN: Final = frozenset({Standing.TRYING, Standing.SILENT, Standing.DEAD, Standing.UNTRIED})


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """One way to a peer: what was tried there, when, and what came of it. Ages in seconds."""

    path: Path
    source: str
    """How we know of it: a value of `Kind`."""
    standing: Standing
    reason: str
    probes: int
    """PROBEs sent there since it became known."""
    answers: int
    probed_age_s: float | None
    answered_age_s: float | None
    rtt_ms: float | None
    loss: float
    """Share (0..1) of about the last 32 PROBEs."""


def explain(paths: KnownPaths, now: float) -> tuple[CandidateReport, ...]:
    """All candidates of a peer: the one in use, then those that work, then the others."""
    reports = [_report(candidate, paths, now) for candidate in paths.candidates]
    order = list(Standing)
    return tuple(sorted(reports, key=lambda report: order.index(report.standing)))


def is_inside(endpoint: Endpoint) -> bool:
    """Whether an endpoint is one of a home, an office or a carrier, and not of the internet."""
    if family_of(endpoint) == 4:  # noqa: PLR2004 - the version number
        return is_near(endpoint)
    return ip_address(endpoint.host) in _UNIQUE_LOCAL


def _report(candidate: Candidate, paths: KnownPaths, now: float) -> CandidateReport:
    standing = _standing(candidate, paths)
    return CandidateReport(
        path=candidate.path,
        source=candidate.kind.value,
        standing=standing,
        reason=_reason(candidate, paths, now),
        probes=candidate.probes,
        answers=candidate.answers,
        probed_age_s=now - candidate.probed_at if candidate.probes else None,
        answered_age_s=now - candidate.answered_at if candidate.has_worked else None,
        rtt_ms=None if candidate.rtt_s is None else candidate.rtt_s * 1000,
        loss=candidate.loss,
    )


def _standing(candidate: Candidate, paths: KnownPaths) -> Standing:
    if candidate.path == paths.active or candidate.path in paths.spread:
        return Standing.IN_USE
    if candidate.usable:
        return Standing.RESERVE
    if candidate.step is not None:
        return Standing.TRYING
    if candidate.has_worked:
        return Standing.DEAD
    return Standing.SILENT if candidate.probes else Standing.UNTRIED


def _reason(candidate: Candidate, paths: KnownPaths, now: float) -> str:
    standing = _standing(candidate, paths)
    if standing in _UNPROVEN and not paths.reach.of([candidate]):
        return f"out of reach: this host has no IPv{family_of(candidate.path.endpoint)}"
    match standing:
        case Standing.IN_USE:
            return _why_in_use(candidate, paths)
        case Standing.RESERVE:
            return _why_reserve(candidate, paths)
        case Standing.TRYING:
            return "being tried now"
        case Standing.DEAD:
            return f"answered until {now - candidate.answered_at:.0f} s ago, and does not now"
        case Standing.SILENT:
            return _why_silent(candidate)
        case Standing.UNTRIED:
            is_down = paths.state is PathState.DOWN
            return "not tried: there is no session in which to ask" if is_down else "not tried yet"


def _why_silent(candidate: Candidate) -> str:
    if is_inside(candidate.path.endpoint):
        return "never answered: probably inside a LAN that we are not in"
    return "never answered: a NAT or firewall in between, or nobody is there"


def _why_in_use(candidate: Candidate, paths: KnownPaths) -> str:
    if paths.state is PathState.DOWN:
        return "used last; there is no session now"
    if not candidate.is_direct:
        direct = any(each.usable for each in paths.candidates if each.is_direct)
        return "a direct path is about to take over" if direct else "no direct path answers"
    if not candidate.has_worked:
        return "used last; its answer is awaited"
    if paths.spread:
        share = f"a share of the flows: they are spread over {len(paths.spread)} paths"
        return share if candidate.path != paths.active else f"control, and {share}"
    return "the direct path that answered first"


def _why_reserve(candidate: Candidate, paths: KnownPaths) -> str:
    if candidate.is_direct:
        return "works; another direct path answered before it"
    if paths.is_direct:
        return "a direct path is in use"
    return "in reserve: the relay in use is as quick, or nearly so"
