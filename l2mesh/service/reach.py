"""The local API's verbs that explain: `path` and `netcheck` (documents as in ``methods.py``)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from l2mesh.address import format_fingerprint
from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError
from l2mesh.node.advice import Findings, advise, has_family, udp_state
from l2mesh.node.netcheck import Netcheck, Reach, outside
from l2mesh.node.views import CandidateView, Relayer
from l2mesh.runtime.dial import tcp_state
from l2mesh.service.api import ApiError
from l2mesh.service.nat64 import Nat64Status
from l2mesh.service.portmap.mapper import PortMapper
from l2mesh.service.reversepath import strict_uplinks
from l2mesh.wire.endpoint import format_endpoint

if TYPE_CHECKING:
    from l2mesh.service.daemon import Daemon

__all__ = ["netcheck", "path", "relayer", "uplinks"]

PROBES: Final = 5
PROBE_EVERY_S: Final = 0.2
LAST_ANSWER_S: Final = 1.0
"""After the last PROBE."""
TCP_WAIT_S: Final = 1.5
HTTPS_PORT: Final = 443


async def path(daemon: Daemon, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All ways to a peer, and why each is or is not in use."""
    who = arguments.get("who")
    if not isinstance(who, str):
        raise ApiError("usage", "the request has no 'who'")
    try:
        view = daemon.node.path(who, daemon.clock())
    except ConfigError as error:
        raise ApiError("not_found", str(error), hint=error.hint) from None
    return {
        "schema": "l2mesh.path/1",
        "who": who,
        "address": view.address.hex(),
        "fingerprint": format_fingerprint(view.fingerprint),
        "name": view.name,
        "session": view.session,
        "path": view.path,
        "endpoint": _endpoint(view.endpoint),
        "via": view.via.hex() if view.via is not None else None,
        **relayer(view.relayed_by),
        "transport": view.transport,
        "rtt_ms": view.rtt_ms,
        "loss": view.loss,
        "retry_s": view.retry_s,
        "summary": view.summary,
        "told": [format_endpoint(endpoint) for endpoint in view.told],
        "candidates": [_candidate(daemon, candidate) for candidate in view.candidates],
    }


async def netcheck(daemon: Daemon, _: Mapping[str, Any]) -> dict[str, Any]:
    """Asks every planet a few times; what answers, what stands in between, and what to do."""
    findings = await _find_out(daemon)
    return {
        "schema": "l2mesh.netcheck/1",
        "address": daemon.address.hex(),
        "online": daemon.node.is_online,
        "udp": any(reach.answers for reach in findings.reaches),
        "ipv4": _family(findings, 4),
        "ipv6": _family(findings, 6),
        "planets": [_reach(daemon, reach, findings) for reach in findings.reaches],
        "lan": _lan(daemon),
        "uplinks": uplinks(daemon),
        "nat64": _nat64(daemon.nat64.status),
        "port_mapping": _port_mapping(daemon.mapper),
        "pinhole": _port_mapping(daemon.pinhole),
        "blocked": _blocked(findings),
        "advice": list(advise(findings)),
    }


async def _find_out(daemon: Daemon) -> Findings:
    check = daemon.node.netcheck()
    tcp, reaches = await asyncio.gather(_try_tcp(daemon), _probe(daemon, check))
    local = tuple(daemon.node.core.local_endpoints)
    return Findings(
        reaches=tuple(reaches),
        nats={family: outside(reaches, local, family=family) for family in (4, 6)},
        local=local,
        tcp=tcp,
        has_world=daemon.node.world is not None,
        is_direct_allowed=daemon.node.core.direct,
        lacks_ipv4=daemon.nat64.status.is_needed and daemon.node.core.nat64 is None,
        has_port=daemon.mapper is not None and daemon.mapper.status.outside is not None,
        filtered=strict_uplinks(daemon.uplinks),
    )


async def _probe(daemon: Daemon, check: Netcheck) -> list[Reach]:
    for _ in range(PROBES):
        daemon.call(check.probe)
        await asyncio.sleep(PROBE_EVERY_S)
    await asyncio.sleep(LAST_ANSWER_S - PROBE_EVERY_S)
    return check.results()


async def _try_tcp(daemon: Daemon) -> dict[Endpoint, str]:
    """Whether planets can be reached by TCP, at their own port and at that of HTTPS."""
    world = daemon.node.world
    endpoints = [each for planet in world.planets for each in planet.endpoints] if world else []
    wanted = dict.fromkeys(
        Endpoint(endpoint.host, port)
        for endpoint in endpoints
        for port in (endpoint.port, HTTPS_PORT)
    )
    nat64 = daemon.node.core.nat64
    places = wanted if nat64 is None else map(nat64.synthesise, wanted)
    states = await asyncio.gather(*(tcp_state(each, TCP_WAIT_S) for each in places))
    return dict(zip(wanted, states, strict=True))


# --- forms --------------------------------------------------------------------------------------


def relayer(by: Relayer | None) -> dict[str, Any]:
    """Beside `via`: whether a planet or a member relays, and the member's name."""
    if by is None:
        return {"via_kind": None, "via_name": None}
    return {"via_kind": "planet" if by.is_planet else "member", "via_name": by.name or None}


def _candidate(daemon: Daemon, candidate: CandidateView) -> dict[str, Any]:
    report = candidate.report
    return {
        "path": "tls" if report.source == "stream" else "relay" if report.path.relay else "direct",
        "endpoint": format_endpoint(candidate.endpoint),
        "nat64": _endpoint(candidate.nat64),
        "via": candidate.via.hex() if candidate.via is not None else None,
        **relayer(candidate.relayed_by),
        "transport": candidate.transport,
        "uplink": daemon.uplinks.device(report.path.endpoint.uplink),
        "source": report.source,
        "state": report.standing.value,
        "reason": report.reason,
        "probes": report.probes,
        "answers": report.answers,
        "probed_s_ago": report.probed_age_s,
        "answered_s_ago": report.answered_age_s,
        "rtt_ms": report.rtt_ms,
        "loss": report.loss,
    }


def uplinks(daemon: Daemon) -> list[dict[str, Any]]:
    """The host's uplinks, its own choice first, and what planets say over each."""
    table = daemon.uplinks
    own = table.all[:1]
    return [
        {
            "device": each.device,
            "families": list(each.families),
            "metric": each.metric,
            "up": each.is_up,
            "own_choice": each in own,
            "used": each in own or each.number in table.named,
            **_planets_over(daemon, each.number if each.number in table.named else 0),
        }
        for each in table.all
    ]


def _planets_over(daemon: Daemon, uplink: int) -> dict[str, Any]:
    found = daemon.node.planets.over(uplink)
    rtts = [each.rtt_s * 1000 for each in found if each.rtt_s is not None]
    return {"planets": len(found), "rtt_ms": min(rtts, default=None)}


def _lan(daemon: Daemon) -> dict[str, str]:
    """Members that announced themselves on a LAN of ours: address -> endpoint."""
    heard = daemon.node.lan.heard(daemon.clock())
    return {
        daemon.node.address(fingerprint).hex(): format_endpoint(endpoint)
        for fingerprint, endpoint in heard.items()
    }


def _family(findings: Findings, version: int) -> dict[str, Any]:
    nat = findings.nats[version]
    return {
        "works": any(
            reach.answers
            for reach in findings.reaches
            if ip_address(reach.endpoint.host).version == version
        ),
        "has_address": has_family(findings, version),
        "local": _texts(each for each in findings.local if _version(each) == version),
        "public": _texts(nat.public) if nat is not None else [],
        "nat": nat.kind.value if nat is not None else None,
        "keeps_port": nat.keeps_port if nat is not None else None,
    }


def _reach(daemon: Daemon, reach: Reach, findings: Findings) -> dict[str, Any]:
    host = reach.endpoint.host
    tcp = {
        str(port): findings.tcp.get(Endpoint(host, port), "silent")
        for port in dict.fromkeys((reach.endpoint.port, HTTPS_PORT))
    }
    return {
        "address": daemon.node.address(reach.planet).hex(),
        "endpoint": format_endpoint(reach.endpoint),
        "state": "up" if reach.is_live else "connecting",
        "udp": udp_state(reach, findings),
        "tcp": tcp,
        "rtt_ms": min(reach.rtts_ms, default=None),
        "rtt_max_ms": max(reach.rtts_ms, default=None),
        "loss": reach.loss,
        "sent": reach.sent,
        "observed": _endpoint(reach.observed),
        "home": reach.planet == daemon.node.planets.home,
    }


def _port_mapping(mapper: PortMapper | None) -> dict[str, Any]:
    if mapper is None:
        return {"enabled": False}
    status = mapper.status
    return {
        "enabled": True,
        "protocol": status.protocol,
        "gateway": status.gateway,
        "outside": _endpoint(status.outside),
        "lifetime_s": status.lifetime_s,
        "restarts": status.restarts,
        "problem": status.problem,
    }


def _nat64(status: Nat64Status) -> dict[str, Any]:
    prefix = status.prefix
    return {
        "needed": status.is_needed,
        "prefix": None if prefix is None else str(prefix),
        "problem": status.problem,
    }


def _blocked(findings: Findings) -> list[str]:
    """What something in between drops, as far as that can be told apart from a dead planet."""
    is_udp_silent = not any(reach.answers for reach in findings.reaches)
    is_tcp_open = "open" in findings.tcp.values()
    ports = sorted({reach.endpoint.port for reach in findings.reaches})
    return [f"udp/{port}" for port in ports] if is_udp_silent and is_tcp_open else []


def _version(endpoint: Endpoint) -> int:
    return ip_address(endpoint.host).version


def _texts(endpoints: Iterable[Endpoint]) -> list[str]:
    return [format_endpoint(endpoint) for endpoint in endpoints]


def _endpoint(endpoint: Endpoint | None) -> str | None:
    return format_endpoint(endpoint) if endpoint is not None else None
