"""What a node shows of itself: frozen values for the local API, in the words of the command
line."""

from __future__ import annotations

from dataclasses import dataclass

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.explain import CandidateReport

__all__ = ["CandidateView", "NetworkView", "PathView", "PeerView", "PingResult", "PlanetView"]


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A joined network."""

    id: int
    name: str
    status: str
    """``requesting``, ``ok``, ``denied``, ``not_found`` or ``error``."""
    reason: str
    """Why, for people; may be empty."""
    mac: bytes | None
    device: str | None
    mtu: int | None
    addresses: tuple[str, ...]
    bridge: str | None
    revision: int
    """Of the config."""


@dataclass(frozen=True, slots=True)
class Relayer:
    """Who relays: a planet, or a member that carries."""

    is_planet: bool
    name: str
    """A member's name; empty where it has none, and of planets."""


@dataclass(frozen=True, slots=True)
class PeerView:
    """A peer with which there is, or is wanted, a session. Planets are shown by ``PlanetView``."""

    address: bytes
    fingerprint: bytes
    name: str
    path: str
    """``direct``, ``relay`` or ``none``."""
    endpoint: Endpoint | None
    via: bytes | None
    """The address of who relays, a planet or a member."""
    rtt_ms: float | None
    loss: float
    cipher: str | None
    tx_bytes: int
    rx_bytes: int
    networks: tuple[int, ...]
    """Those in which it is accepted."""
    offences: dict[str, int]
    """How often a guard or limit had to stop it, by reason."""
    relayed_by: Relayer | None = None
    """Who relays, in words."""
    spread: tuple[Endpoint, ...] = ()
    """Where frames go, where they are spread over several paths."""
    transport: str | None = None
    """``udp``, or ``tls`` where UDP is blocked; None where there is no path."""


@dataclass(frozen=True, slots=True)
class PlanetView:
    """A planet of the world in use."""

    address: bytes
    fingerprint: bytes
    endpoint: Endpoint | None
    rtt_ms: float | None
    state: str
    """``up``, ``draining`` or ``connecting``."""
    transport: str | None = None
    """``udp``, or ``tls`` where UDP is blocked; None while it is not reached."""
    loss: float = 0.0
    """Share (0..1) of about the last 32 PROBEs."""
    is_home: bool = False
    """Whether it is asked first for relays."""


@dataclass(frozen=True, slots=True)
class PingResult:
    """One answered ping."""

    rtt_ms: float
    path: str
    endpoint: Endpoint
    via: bytes | None
    relayed_by: Relayer | None = None
    transport: str | None = None
    """As of a peer."""


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One way to a peer."""

    report: CandidateReport
    endpoint: Endpoint
    """Where it leads: of a stream the planet's endpoint in the world."""
    via: bytes | None
    """The address of who relays, where it is a relay."""
    relayed_by: Relayer | None = None
    nat64: Endpoint | None = None
    """Where datagrams are sent for it, if that is through NAT64."""
    transport: str | None = None
    """As of a peer."""


@dataclass(frozen=True, slots=True)
class PathView:
    """All ways to a peer, and which is in use."""

    address: bytes
    fingerprint: bytes
    name: str
    session: str
    """``live``, ``connecting`` or ``none``."""
    path: str
    """``direct``, ``relay`` or ``none``."""
    endpoint: Endpoint | None
    via: bytes | None
    rtt_ms: float | None
    loss: float
    retry_s: float | None
    """When other endpoints are tried again; None while nothing is to be gained by it."""
    summary: str
    """One sentence for people."""
    told: tuple[Endpoint, ...]
    """Our own endpoints that the peer has heard."""
    candidates: tuple[CandidateView, ...]
    relayed_by: Relayer | None = None
    transport: str | None = None
    """As of a peer."""
