"""Views of a node's state, computed when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.datapath.streams import is_stream
from l2mesh.node.culprits import describe
from l2mesh.node.joined import Joined
from l2mesh.node.peer import Peer
from l2mesh.node.views import NetworkView, PeerView, PingResult, PlanetView, Relayer
from l2mesh.switch.loops import Loop

if TYPE_CHECKING:
    from l2mesh.node.node import Node

__all__ = [
    "endpoint_of",
    "health",
    "name_of",
    "network",
    "path_kind",
    "peers",
    "ping_result",
    "planets",
    "relayer_of",
    "transport_of",
    "via_of",
]


def network(joined: Joined) -> NetworkView:
    """One joined network."""
    state = joined.state
    credential, config = state.credential, state.config
    return NetworkView(
        id=joined.network,
        name=config.name if config is not None else "",
        status=joined.status.value,
        reason=joined.join.reason,
        mac=credential.mac if credential is not None else None,
        device=joined.device_name if joined.port is not None else None,
        mtu=config.mtu if config is not None else None,
        addresses=tuple(credential.addresses) if credential is not None else (),
        bridge=joined.options.bridge,
        revision=config.revision if config is not None else 0,
    )


def peers(node: Node) -> list[PeerView]:
    """Every peer that is no planet."""
    return [
        _peer(node, peer)
        for peer in node.core.peers.values()
        if not node.planets.is_planet(peer.fingerprint)
    ]


def planets(node: Node) -> list[PlanetView]:
    """Every planet of the world in use."""
    views = []
    for peer in node.planets.members():
        is_up = peer.is_live and peer.paths.active is not None
        path = peer.path if is_up else None
        endpoints = node.planets.endpoints(peer.fingerprint)
        is_tls = path is not None and is_stream(path.endpoint)
        views.append(
            PlanetView(
                address=node.address(peer.fingerprint),
                fingerprint=peer.fingerprint,
                endpoint=path.endpoint if path is not None and not is_tls else endpoints[0],
                rtt_ms=peer.paths.rtt_ms,
                state=_planet_state(node, peer, is_up=is_up),
                transport=transport_of(path),
                loss=peer.paths.loss,
                is_home=peer.fingerprint == node.planets.home,
            )
        )
    return views


def _planet_state(node: Node, peer: Peer, *, is_up: bool) -> str:
    if not is_up:
        return "connecting"
    return "draining" if peer.fingerprint in node.planets.draining else "up"


def ping_result(node: Node, ping: int) -> PingResult | None:
    """The answer to a ping, if it has come."""
    answer = node.core.pings.take(ping)
    if answer is None or answer.rtt_s is None or answer.path is None:
        return None
    return PingResult(
        rtt_ms=answer.rtt_s * 1000,
        path=path_kind(answer.path),
        endpoint=endpoint_of(node, answer.path),
        via=via_of(node, answer.path),
        relayed_by=relayer_of(node, answer.path),
        transport=transport_of(answer.path),
    )


def health(node: Node, now: float) -> list[str]:
    """What an operator should know."""
    complaints: list[str] = []
    if node.world is None:
        complaints.append("no world: give --world FILE or join with a join string that brings one")
    elif not node.is_online:
        complaints.append("no planet can be reached")
    complaints += [
        f"network {joined.network:016x}: {joined.join.reason}"
        for joined in node.networks_part.joined.values()
        if joined.join.reason
    ]
    for network, guard in node.loop_guards.guards.items():
        complaints += [f"network {network:016x}: {_loop(loop)}" for loop in guard.loops.active]
    complaints += [
        f"network {offence.network:016x}: {_who(node, offence.peer)} {describe(offence)}"
        for offence in node.culprits.fresh(now)
    ]
    return complaints


def _loop(loop: Loop) -> str:
    if loop.mac is None:
        return f"the LAN of our port loops in VLAN {loop.vlan}: our own beacons come back"
    return (
        f"station {loop.mac.hex(':')} in VLAN {loop.vlan} is now behind one bridge, now behind"
        " another: are two LANs joined by a second way?"
    )


def _peer(node: Node, peer: Peer) -> PeerView:
    activity = node.core.settings.activity(peer.fingerprint)
    path = peer.paths.active if peer.is_live else None
    cipher = peer.sessions.cipher
    shared = [
        joined.network
        for joined in node.networks_part.joined.values()
        if peer.fingerprint in joined.meetings.accepted
    ]
    return PeerView(
        address=node.address(peer.fingerprint),
        fingerprint=peer.fingerprint,
        name=name_of(node, peer.fingerprint),
        path=path_kind(path),
        endpoint=endpoint_of(node, path) if path is not None else None,
        via=via_of(node, path),
        rtt_ms=peer.paths.rtt_ms,
        loss=peer.paths.loss,
        cipher=cipher.name.lower() if cipher is not None else None,
        tx_bytes=activity.tx_bytes,
        rx_bytes=activity.rx_bytes,
        networks=tuple(shared),
        offences=node.culprits.of(peer.fingerprint),
        relayed_by=relayer_of(node, path),
        spread=tuple(each.endpoint for each in peer.paths.spread) if peer.is_live else (),
        transport=transport_of(path),
    )


def _who(node: Node, peer: bytes | None) -> str:
    """This host, or a peer's address and name."""
    if peer is None:
        return "this host"
    name = name_of(node, peer)
    return f"{node.address(peer).hex()} ({name})" if name else node.address(peer).hex()


def name_of(node: Node, fingerprint: bytes) -> str:
    """What people call a peer; empty if nothing is known."""
    for joined in node.networks_part.joined.values():
        if joined.controller == fingerprint:
            return "controller"
        if (entry := joined.state.roster.get(fingerprint)) is not None:
            return entry.credential.name
    return ""


def path_kind(path: Path | None) -> str:
    """``direct``, ``relay`` or ``none``."""
    if path is None:
        return "none"
    return "relay" if path.relay else "direct"


def endpoint_of(node: Node, path: Path) -> Endpoint:
    """Where a path leads, for people: of a stream the planet's endpoint in the world."""
    if not is_stream(path.endpoint):
        return path.endpoint
    carrier = _carrier(node, path)
    for peer in node.planets.members():
        is_its = any(each.path.endpoint == path.endpoint for each in peer.paths.candidates)
        if is_its or peer.fingerprint == carrier:
            return node.planets.endpoints(peer.fingerprint)[0]
    return path.endpoint


def transport_of(path: Path | None) -> str | None:
    """``udp``, or ``tls`` where UDP is blocked; None where there is no path."""
    if path is None:
        return None
    return "tls" if is_stream(path.endpoint) else "udp"


def via_of(node: Node, path: Path | None) -> bytes | None:
    """The address of the planet or member whose relay a path uses."""
    carrier = _carrier(node, path)
    return None if carrier is None else node.address(carrier)


def relayer_of(node: Node, path: Path | None) -> Relayer | None:
    """Who that is."""
    carrier = _carrier(node, path)
    if carrier is None:
        return None
    is_planet = node.planets.is_planet(carrier)
    return Relayer(is_planet, "" if is_planet else name_of(node, carrier))


def _carrier(node: Node, path: Path | None) -> bytes | None:
    leg = node.relays.legs.get(path.relay) if path is not None and path.relay else None
    return None if leg is None else leg.carrier
