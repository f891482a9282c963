"""What `l2mesh netcheck` makes of its findings: advice in plain words, the gravest first."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.node.netcheck import Outside, Reach
from l2mesh.path.mapping import Mapping

__all__ = ["Findings", "advise", "has_family", "udp_state"]

MUCH_LOSS: Final = 0.25
FAR_MS: Final = 150.0
IPV4: Final = 4

_SYMMETRIC: Final = (
    "direct paths need a peer that is open or whose NAT keeps one port; port mapping (PCP, NAT-PMP,"
    " UPnP) or a forwarded UDP port on the router helps"
)
_NO_IPV4: Final = (
    "this host has no IPv4, and its resolver knows no NAT64 prefix (RFC 7050): planets and peers"
    " that have IPv4 alone are out of its reach, the latter but for a relay with both"
)
_NAT: Final = {
    Mapping.RANDOM: (
        "the NAT draws another port for every destination (a symmetric NAT): " + _SYMMETRIC
    ),
    Mapping.SEQUENTIAL: (
        "the NAT counts on to another port for every destination (a symmetric NAT whose ports can"
        " be foretold): " + _SYMMETRIC
    ),
    Mapping.UNKNOWN: (
        "only one endpoint of a planet told where it sees us, which does not show what kind of NAT"
        " there is; a second planet would"
    ),
}


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a check found out."""

    reaches: tuple[Reach, ...]
    nats: Dictionary[int, Outside | None]
    """By family, 4 and 6."""
    local: tuple[Endpoint, ...]
    """This host's own addresses with our port."""
    tcp: Dictionary[Endpoint, str]
    """TCP endpoints of planets: ``open``, ``refused``, ``silent`` or ``no_route``."""
    has_world: bool = True
    is_direct_allowed: bool = True
    has_port: bool = False
    """Whether a router leads a port of its own to ours."""
    lacks_ipv4: bool = False
    """Whether the host has IPv6 alone, and no NAT64."""
    filtered: tuple[str, ...] = ()
    """Uplinks by which the kernel lets nothing in, since its routes choose another one."""


def has_family(findings: Findings, version: int) -> bool:
    """Whether the host has an address of this family (4 or 6) that is more than loopback."""
    return any(ip_address(endpoint.host).version == version for endpoint in findings.local)


def udp_state(reach: Reach, findings: Findings) -> str:
    """``answers``, ``silent``, ``no_session`` or ``no_address`` for one endpoint of a planet."""
    if reach.answers:
        return "answers"
    if not has_family(findings, ip_address(reach.endpoint.host).version):
        return "no_address"
    return "silent" if reach.is_live else "no_session"


def advise(findings: Findings) -> tuple[str, ...]:
    """Sentences for whoever has to repair something; empty when all is as good as it can be."""
    if not findings.has_world:
        return ("no world: give --world FILE to l2meshd, or join with a join string",)
    unreachable = _unreachable(findings)
    found = [unreachable] if unreachable else []
    found += [*_planets(findings), *_nat(findings)]
    found += [
        f"{device}: the kernel drops what comes in by this uplink (rp_filter is 1, strict), so it"
        f" is never used: sysctl net.ipv4.conf.{device}.rp_filter=2"
        for device in findings.filtered
    ]
    if not findings.is_direct_allowed:
        found.append("l2meshd runs with --relay-only: no direct path is used or offered")
    return tuple(found)


def _unreachable(findings: Findings) -> str:
    """Why no planet answers, empty if one does."""
    if any(reach.answers for reach in findings.reaches):
        return ""
    if not findings.local:
        return "this host has no address beyond loopback: is the network up?"
    if "open" in findings.tcp.values():
        return (
            "no planet answers by UDP but TCP reaches one: a firewall drops UDP. TLS carries what"
            f" passes the planet; for direct paths allow UDP to {_ports(findings)} outwards"
        )
    if "refused" in findings.tcp.values():
        return (
            "no planet answers, but a planet's host does: `l2mesh-planet` is not running there,"
            f" or a firewall drops UDP to {_ports(findings)}"
        )
    return "nothing answers at any planet's address: check this host's route to them"


def _planets(findings: Findings) -> list[str]:
    found = []
    by_planet: dict[bytes, list[Reach]] = {}
    for reach in findings.reaches:
        by_planet.setdefault(reach.planet, []).append(reach)
    best = [
        min((reach for reach in reaches if reach.answers), key=_rtt)
        for reaches in by_planet.values()
        if any(reach.answers for reach in reaches)
    ]
    silent = len(by_planet) - len(best)
    if best and silent:
        found.append(f"{silent} of {len(by_planet)} planets do not answer")
    if len(by_planet) == 1:
        found.append("the world has one planet only: while it is down nobody new can be reached")
    if best and min(reach.loss for reach in best) >= MUCH_LOSS:
        share = min(reach.loss for reach in best) * 100
        found.append(f"even the best planet loses {share:.0f} % of the probes: the uplink is bad")
    if best and min(map(_rtt, best)) > FAR_MS:
        found.append(
            f"the nearest planet is {min(map(_rtt, best)):.0f} ms away: relayed traffic is slow;"
            " a planet nearby would help"
        )
    return found


def _nat(findings: Findings) -> list[str]:
    found = []
    if findings.lacks_ipv4:
        found.append(_NO_IPV4)
    ipv4, ipv6 = findings.nats.get(4), findings.nats.get(6)
    if _is_open(ipv6) and not _is_open(ipv4):
        found.append("IPv6 works without a NAT: peers with IPv6 are reached directly by it")
    for version, nat in findings.nats.items():
        if findings.has_port and version == IPV4:
            continue
        if nat is not None and nat.kind in _NAT:
            found.append(f"IPv{version}: {_NAT[nat.kind]}")
    return found


def _is_open(outside: Outside | None) -> bool:
    return outside is not None and outside.kind is Mapping.OPEN


def _rtt(reach: Reach) -> float:
    return min(reach.rtts_ms)


def _ports(findings: Findings) -> str:
    ports = sorted({reach.endpoint.port for reach in findings.reaches})
    return "port " + ", ".join(map(str, ports))
