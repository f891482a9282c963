"""`l2mesh path`: all ways to a peer, and why each is or is not in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.streams import is_detour, is_stream
from l2mesh.errors import ConfigError
from l2mesh.node import show
from l2mesh.node.peer import Peer
from l2mesh.node.views import CandidateView, PathView
from l2mesh.path.candidate import Kind
from l2mesh.path.explain import CandidateReport, Standing, is_inside
from l2mesh.path.explain import explain as explain_paths
from l2mesh.path.mapping import Mapping
from l2mesh.path.reach import family_of

if TYPE_CHECKING:
    from l2mesh.node.node import Node

__all__ = ["path"]


def path(node: Node, who: str, now: float) -> PathView:
    """The ways to a member, a planet (by address) or ``controller``; begins no session."""
    fingerprint = _planet(node, who) or _controller(node, who) or node.find(who)[1]
    if fingerprint == node.core.settings.identity.public.fingerprint:
        raise ConfigError(f"{who} is this node itself", hint="name another member")
    peer = node.core.peers.get(fingerprint)
    if peer is None:
        return _no_peer(node, fingerprint)
    reports = explain_paths(peer.paths, now)
    active = peer.paths.active
    session = "live" if peer.is_live else "connecting" if peer.is_wanted else "none"
    told = node.candidates.told.get(fingerprint, ())
    retry_at = peer.paths.retry_at
    return PathView(
        address=node.address(fingerprint),
        fingerprint=fingerprint,
        name=_name(node, fingerprint),
        session=session,
        path=show.path_kind(active) if peer.is_live else "none",
        endpoint=show.endpoint_of(node, active) if active is not None and peer.is_live else None,
        via=show.via_of(node, active) if peer.is_live else None,
        rtt_ms=peer.paths.rtt_ms,
        loss=peer.paths.loss,
        retry_s=None if retry_at is None else max(0.0, retry_at - now),
        summary=_summary(node, peer, reports, told),
        told=told,
        candidates=tuple(
            CandidateView(
                report,
                show.endpoint_of(node, report.path),
                show.via_of(node, report.path),
                show.relayer_of(node, report.path),
                _by_nat64(node, report.path.endpoint),
                show.transport_of(report.path),
            )
            for report in reports
        ),
        relayed_by=show.relayer_of(node, active) if peer.is_live else None,
        transport=show.transport_of(active) if peer.is_live else None,
    )


def _by_nat64(node: Node, endpoint: Endpoint) -> Endpoint | None:
    nat64 = node.core.nat64
    is_by_it = nat64 is not None and nat64.stands_for(endpoint)
    return nat64.synthesise(endpoint) if nat64 is not None and is_by_it else None


def _no_peer(node: Node, fingerprint: bytes) -> PathView:
    return PathView(
        address=node.address(fingerprint),
        fingerprint=fingerprint,
        name=_name(node, fingerprint),
        session="none",
        path="none",
        endpoint=None,
        via=None,
        rtt_ms=None,
        loss=0.0,
        retry_s=None,
        summary="no session: nothing was sent to it lately; a frame or `l2mesh ping` begins one",
        told=(),
        candidates=(),
    )


def _summary(
    node: Node, peer: Peer, reports: tuple[CandidateReport, ...], told: tuple[Endpoint, ...]
) -> str:
    """What stands in the way of something better, as far as it is known."""
    if not peer.is_live:
        return _why_no_session(node, peer)
    if peer.paths.active is None:
        return "there is a session, but no path answers just now; all of them are being tried"
    if node.planets.is_planet(peer.fingerprint):
        return "the planet answers"
    if peer.paths.is_direct:
        return "direct: no planet sees this traffic"
    if not node.core.direct:
        return "relayed, as --relay-only wants it"
    return f"relayed{_by_whom(node, peer)}: {_why_relayed(node, reports, told)}"


def _by_whom(node: Node, peer: Peer) -> str:
    relayer = show.relayer_of(node, peer.paths.active)
    if relayer is None or relayer.is_planet:
        return ""
    return f" by the member {relayer.name}" if relayer.name else " by a member"


def _why_relayed(
    node: Node, reports: tuple[CandidateReport, ...], told: tuple[Endpoint, ...]
) -> str:
    direct = [report for report in reports if not is_detour(report.path)]
    if not direct:
        heard = "" if told else ", and it has heard none of ours"
        return f"the peer has named no endpoint of its own yet{heard}"
    if _is_udp_blocked(node):
        return (
            "UDP gets nowhere from this host, which reaches its planets by TLS (`l2mesh netcheck`)"
        )
    if not any(node.core.reach.leads_to(report.path.endpoint) for report in direct):
        missing = f"IPv{family_of(direct[0].path.endpoint)}"
        return f"the peer has {missing} alone, which this host has not"
    if any(report.standing is Standing.TRYING for report in direct):
        return "direct paths are being tried now"
    if any(report.standing is Standing.DEAD for report in direct):
        return "the direct path stopped answering; it is tried again while frames pass"
    count = f"{len(direct)} endpoints answer" if len(direct) > 1 else "endpoint answers"
    return f"none of the peer's {count}: {_what_is_in_the_way(node, direct)}"


def _is_udp_blocked(node: Node) -> bool:
    paths = [peer.paths.active for peer in node.planets.live()]
    return bool(paths) and all(path is not None and is_stream(path.endpoint) for path in paths)


def _what_is_in_the_way(node: Node, direct: list[CandidateReport]) -> str:
    """As far as the mappings of both ends' NATs tell."""
    named = {report.path.endpoint for report in direct if report.source == Kind.TOLD.value}
    outside = [endpoint.host for endpoint in named if not is_inside(endpoint)]
    if named and not outside:
        return "all are inside its own network; UDP to planets is probably blocked there"
    own = {endpoint.host for endpoint in node.core.local_endpoints}
    ours = node.planets.mappings.kind(own) in {Mapping.RANDOM, Mapping.SEQUENTIAL}
    theirs = len(outside) > len(set(outside))
    whose = {(True, True): "both NATs use", (True, False): "our NAT uses"}
    whose |= {(False, True): "the peer's NAT uses"}
    if (by := whose.get((ours, theirs))) is not None:
        return f"{by} another port for every destination (see `l2mesh netcheck` at that end)"
    return "a NAT or firewall on either side is in the way (see `l2mesh netcheck` on both)"


def _why_no_session(node: Node, peer: Peer) -> str:
    if node.planets.is_planet(peer.fingerprint):
        return "the planet does not answer: it is down, or UDP to it is blocked"
    if not node.is_online:
        return "no session: no planet can be reached, and the peer's last endpoints do not answer"
    if not peer.paths.relays:
        return "no session: no planet has a relay to the peer; it is probably offline"
    return "no session: the peer does not answer by the relay; it is probably just gone"


def _planet(node: Node, who: str) -> bytes | None:
    for peer in node.planets.members():
        if node.address(peer.fingerprint).hex() == who.lower():
            return peer.fingerprint
    return None


def _controller(node: Node, who: str) -> bytes | None:
    for joined in node.networks_part.joined.values():
        known = joined.controller
        if known is not None and who.lower() in {"controller", node.address(known).hex()}:
            return known
    return None


def _name(node: Node, fingerprint: bytes) -> str:
    if node.planets.is_planet(fingerprint):
        return "planet"
    return show.name_of(node, fingerprint)
