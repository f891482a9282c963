"""Looking where a NAT that counts its ports up stands now (section 8.5 of ``docs/protocol.md``).

What planets saw of such a NAT is as old as our sessions with them, and others behind it take ports
all the while. So before a CALL a PROBE goes to a planet by another socket, the scout: the NAT gives
it the next port, and the answer tells which that is. It is a PROBE inside our session like any
other; planets need to know nothing of it. What else comes by the scout is not answered, so that no
planet takes it for a path to us.

One scout at a time, for all peers, and for 1 s at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from l2mesh.datapath.interface import ControlReceived, Endpoint, Path, Upcall
from l2mesh.datapath.streams import SCOUT
from l2mesh.errors import MalformedPacket
from l2mesh.node import control
from l2mesh.node.core import Core
from l2mesh.node.effects import OpenScout
from l2mesh.node.part import Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.path.mapping import Mapping
from l2mesh.wire.control import Probe, ProbeReply, Record, decode_records, encode_records

__all__ = ["Scouts"]

FRESH_S: Final = 2.0
"""A mapping that planets first saw so long ago still tells where the NAT stands."""
PATIENCE_S: Final = 1.0
"""Without an answer for so long we go by what planets saw before."""
AGAIN_S: Final = 0.3
"""Between PROBEs by one scout."""


@dataclass(slots=True)
class _Scout:
    """Whom it asks, and until when; times are monotonic seconds."""

    planet: bytes
    nonce: int
    until: float
    probe_at: float


@dataclass(slots=True, eq=False)
class Scouts(Part):
    """The scout, and what it found."""

    core: Core
    planets: Planets
    on_done: Callable[[float], None] | None = None
    """Hears that the scout is back, or will not come."""
    _out: _Scout | None = None
    """One that is out."""

    def begin(self, now: float) -> bool:
        """Whether `on_done` is to be waited for: a scout is out, sent just now if it was needed."""
        planet = None if self._out is not None else self._whom(now)
        if planet is not None:
            peer, endpoint = planet
            nonce = int.from_bytes(self.core.settings.random(8), "big")
            self._out = _Scout(peer.fingerprint, nonce, now + PATIENCE_S, now)
            self.core.emit(OpenScout(endpoint))
            self._probe(self._out, now)
        return self._out is not None

    # --- hooks ----------------------------------------------------------------------------------

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        scout = self._out
        if scout is None or not isinstance(upcall, ControlReceived) or upcall.path != Path(SCOUT):
            return
        seen = _answer(upcall.payload, scout.nonce) if upcall.peer == scout.planet else None
        if seen is not None:
            self.planets.mappings.scouted(seen, now)
            self._end(now)

    def next_timeout(self) -> float | None:
        return None if self._out is None else min(self._out.until, self._out.probe_at)

    def handle_timeout(self, now: float) -> None:
        if self._out is not None and now >= self._out.until:
            self._end(now)
        elif self._out is not None:
            self._probe(self._out, now)

    # --- inside ---------------------------------------------------------------------------------

    def _whom(self, now: float) -> tuple[Peer, Endpoint] | None:
        """A planet that sees us by IPv4, and where; None where there is nothing to be looked at."""
        mappings = self.planets.mappings
        own = {each.host for each in self.core.local_endpoints}
        latest = mappings.latest()
        if mappings.kind(own) is not Mapping.SEQUENTIAL or latest is None:
            return None
        if now < latest[1] + FRESH_S:
            return None
        seen_at = {at for at, seen in mappings.observed.items() if ":" not in seen.host}
        for peer in self.planets.live():
            usable = (each.path.endpoint for each in peer.paths.candidates if each.usable)
            found = next((at for at in usable if at in seen_at and not at.uplink), None)
            if found is not None:
                return peer, found
        return None

    def _probe(self, scout: _Scout, now: float) -> None:
        scout.probe_at = now + AGAIN_S
        peer = self.core.peers.get(scout.planet)
        if peer is not None:
            control.say(self.core, peer, encode_records([Probe(scout.nonce)]), path=Path(SCOUT))

    def _end(self, now: float) -> None:
        self._out = None
        if self.on_done is not None:
            self.on_done(now)


def _answer(payload: bytes, nonce: int) -> Endpoint | None:
    """As what the planet saw the PROBE with this nonce; None if this is no answer to it."""
    try:
        records: list[Record] = list(decode_records(payload))
    except MalformedPacket:
        return None
    for record in records:
        if isinstance(record, ProbeReply) and record.nonce == nonce:
            return record.observed
    return None
