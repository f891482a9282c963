"""Simple NATs: what they map a source to, and what they let in.

| kind | mapping | who is let in |
|---|---|---|
| PRESERVING (``nft masquerade``) | the port stays, for all destinations | the endpoint sent to |
| FULL_CONE | the port stays, for all destinations | anybody, once something went out |
| ADDRESS | the port stays, for all destinations | any port of an address sent to |
| SYMMETRIC | a random port for each destination | the endpoint sent to |

A mapping lives 120 s after the last datagram in either direction. What is not solicited is dropped,
as is what the inside sends to the outside address (no hairpin).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from random import Random
from typing import Final

from l2mesh.datapath.interface import Endpoint

__all__ = ["Nat", "NatKind"]

IDLE_S: Final = 120.0
_FIRST_RANDOM: Final = 20_000
_LAST_RANDOM: Final = 60_000


class NatKind(enum.Enum):
    """See the table at the top of this file."""

    PRESERVING = "preserving"
    FULL_CONE = "full_cone"
    ADDRESS = "address"
    SYMMETRIC = "symmetric"


@dataclass(slots=True)
class _Mapping:
    inside: Endpoint
    used: float
    contacted: dict[Endpoint, float] = field(default_factory=dict)


@dataclass(slots=True)
class Nat:
    """One box with one outside address."""

    kind: NatKind
    address: str
    random: Random
    idle_s: float = IDLE_S
    _ports: dict[int, _Mapping] = field(default_factory=dict)
    _by_source: dict[tuple[Endpoint, Endpoint | None], int] = field(default_factory=dict)

    def outbound(self, source: Endpoint, destination: Endpoint, now: float) -> Endpoint:
        """The outside endpoint as which a datagram from the inside goes on."""
        key = (source, destination if self.kind is NatKind.SYMMETRIC else None)
        port = self._by_source.get(key)
        if port is None or now - self._ports[port].used > self.idle_s:
            port = self._map(key, now)
        mapping = self._ports[port]
        mapping.used = mapping.contacted[destination] = now
        return Endpoint(self.address, port)

    def inbound(self, source: Endpoint, port: int, now: float) -> Endpoint | None:
        """Who inside gets a datagram that came to a port of ours; None: nobody asked for it."""
        mapping = self._ports.get(port)
        if mapping is None or now - mapping.used > self.idle_s:
            return None
        if not self._admits(mapping, source, now):
            return None
        mapping.used = now
        if source in mapping.contacted:
            mapping.contacted[source] = now
        return mapping.inside

    def reboot(self) -> None:
        """Forget every mapping."""
        self._ports.clear()
        self._by_source.clear()

    def _map(self, key: tuple[Endpoint, Endpoint | None], now: float) -> int:
        port = self._by_source.pop(key, None)
        if port is not None:
            del self._ports[port]
        wanted = key[0].port
        while self.kind is NatKind.SYMMETRIC or wanted in self._ports:
            wanted = self.random.randrange(_FIRST_RANDOM, _LAST_RANDOM)
            if wanted not in self._ports:
                break
        self._ports[wanted] = _Mapping(key[0], now)
        self._by_source[key] = wanted
        return wanted

    def _admits(self, mapping: _Mapping, source: Endpoint, now: float) -> bool:
        if self.kind is NatKind.FULL_CONE:
            return True
        if self.kind is NatKind.ADDRESS:
            contacted = [at for end, at in mapping.contacted.items() if end.host == source.host]
            return any(now - at <= self.idle_s for at in contacted)
        at = mapping.contacted.get(source)
        return at is not None and now - at <= self.idle_s
