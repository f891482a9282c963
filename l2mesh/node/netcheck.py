"""`l2mesh netcheck`: PROBEs to every endpoint of every planet, and what the answers tell.

A check sends a few PROBEs inside the session with each planet to each of its endpoints. What comes
back says which families work, how far the planets are, how much is lost, and from which endpoint
each of them saw us: that tells what kind of NAT is in between (RFC 4787 section 4.1). The caller
keeps time: it calls `probe` a few times, waits, and then asks for `results`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.node import control
from l2mesh.node.core import Core
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.path.mapping import Mapping, Mappings
from l2mesh.wire.control import Probe, encode_records

__all__ = ["Netcheck", "Outside", "Reach", "outside"]

MAX_ENDPOINTS: Final = 4
"""Of one planet: two of each family."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is known of one endpoint of a planet."""

    planet: bytes
    """Fingerprint."""
    endpoint: Endpoint
    is_live: bool
    """Whether there is a session with the planet, without which nothing can be asked."""
    sent: int
    rtts_ms: tuple[float, ...]
    """Of the answers, in the order of the PROBEs."""
    observed: Endpoint | None
    """Where the planet sees us."""

    @property
    def answers(self) -> bool:
        """Whether any PROBE came back."""
        return bool(self.rtts_ms)

    @property
    def loss(self) -> float:
        """Share (0..1) of the PROBEs that were not answered; 0 while none was sent."""
        return 1 - len(self.rtts_ms) / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class Outside:
    """How we look to planets, in one family."""

    kind: Mapping
    keeps_port: bool
    """Whether the port outside is our own."""
    public: tuple[Endpoint, ...]
    """Where planets see us."""


@dataclass(slots=True, eq=False)
class Netcheck:
    """One check. It takes at most `MAX_ENDPOINTS` endpoints of each planet."""

    core: Core
    planets: Planets
    _sent: dict[tuple[bytes, Endpoint], list[int]] = field(default_factory=dict)
    """PROBE nonces, oldest first."""

    def probe(self, now: float) -> None:
        """Send one PROBE to each endpoint of each planet with a session."""
        for peer, endpoint in self._endpoints():
            nonces = self._sent.setdefault((peer.fingerprint, endpoint), [])
            if not peer.is_live or not self._may_probe(peer, endpoint, now):
                continue
            nonce = self.core.pings.open(now)
            nonces.append(nonce)
            control.say(self.core, peer, encode_records([Probe(nonce)]), path=Path(endpoint))

    def results(self) -> list[Reach]:
        """What came back; call it once."""
        return [
            self._result(peer, endpoint, self._sent.get((peer.fingerprint, endpoint), []))
            for peer, endpoint in self._endpoints()
        ]

    def _result(self, peer: Peer, endpoint: Endpoint, nonces: list[int]) -> Reach:
        answers = [ping for nonce in nonces if (ping := self.core.pings.take(nonce)) is not None]
        return Reach(
            planet=peer.fingerprint,
            endpoint=endpoint,
            is_live=peer.is_live,
            sent=len(nonces),
            rtts_ms=tuple(ping.rtt_s * 1000 for ping in answers if ping.rtt_s is not None),
            observed=next((ping.observed for ping in reversed(answers) if ping.observed), None),
        )

    def _endpoints(self) -> Iterable[tuple[Peer, Endpoint]]:
        world = self.planets.world
        for planet in world.planets if world is not None else ():
            peer = self.core.peers.get(planet.identity.fingerprint)
            if peer is not None:
                for endpoint in planet.endpoints[:MAX_ENDPOINTS]:
                    yield peer, endpoint

    def _may_probe(self, peer: Peer, endpoint: Endpoint, now: float) -> bool:
        """An endpoint that answers may be asked; any other within the limit for all probes."""
        active = peer.paths.active
        if active is not None and active.endpoint == endpoint:
            return True
        return self.core.limiter.allow(endpoint, now)


def outside(reaches: Iterable[Reach], local: Iterable[Endpoint], *, family: int) -> Outside | None:
    """How we look from outside in one family (4 or 6); None if nobody told."""
    mappings = Mappings()
    for reach in reaches:
        if reach.observed is not None:
            mappings.observe(reach.endpoint, reach.observed, 0.0)
    public = tuple(seen for seen in mappings.endpoints() if ip_address(seen.host).version == family)
    if not public:
        return None
    ours = tuple(local)
    keeps_port = {each.port for each in public} <= {each.port for each in ours}
    kind = mappings.kind({each.host for each in ours}, family=family)
    return Outside(kind, keeps_port, tuple(reversed(public)))
