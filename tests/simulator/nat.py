"""NATs and firewalls: what they map a source to, and what they let in.

The words are those of RFC 4787. Every kind keeps one mapping for all destinations or makes one for
each, and lets in whom its filter admits.

| kind | mapping | who is let in |
|---|---|---|
| FULL_CONE | the port stays, for all destinations | anybody, once something went out |
| ADDRESS | the port stays, for all destinations | any port of an address sent to |
| PRESERVING (``nft masquerade``) | the port stays, for all destinations | the endpoint sent to |
| SYMMETRIC | a random port (of ``ports``) for each destination | the endpoint sent to |
| SEQUENTIAL | the next port for each destination | the endpoint sent to |
| FIREWALL | none: addresses pass as they are (IPv6) | the endpoint sent to |

A mapping lives 120 s after the last datagram in either direction. What is not solicited is dropped,
or taken by the box itself where it ``accepts``, as netfilter without an input filter does: it then
remembers the stray for 30 s, and what the inside sends to its source meanwhile leaves by another
port, since the answers could not be told apart, for as long as no more than 30 s pass without a
datagram. What the inside sends to the outside address comes back in only where the NAT hairpins.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from random import Random
from typing import Final

from l2mesh.datapath.interface import Endpoint

__all__ = ["Nat", "NatKind"]

IDLE_S: Final = 120.0
STRAY_S: Final = 30.0
"""What was accepted and not answered is remembered so long (nf_conntrack_udp_timeout)."""
_FIRST_RANDOM: Final = 20_000
_LAST_RANDOM: Final = 60_000


class NatKind(enum.Enum):
    """See the table at the top of this file."""

    FULL_CONE = "full_cone"
    ADDRESS = "address"
    PRESERVING = "preserving"
    SYMMETRIC = "symmetric"
    SEQUENTIAL = "sequential"
    FIREWALL = "firewall"

    @property
    def is_symmetric(self) -> bool:
        """Whether each destination sees another mapping."""
        return self in (NatKind.SYMMETRIC, NatKind.SEQUENTIAL)


@dataclass(slots=True)
class _Mapping:
    inside: Endpoint
    used: float
    contacted: dict[Endpoint, float] = field(default_factory=dict)


@dataclass(slots=True)
class Nat:
    """One box with one outside address (a FIREWALL has none of its own)."""

    kind: NatKind
    address: str
    random: Random
    idle_s: float = IDLE_S
    hairpin: bool = False
    """Whether the inside reaches the inside by the outside address."""
    only_to: frozenset[str] | None = None
    """Hosts to which UDP may go; None: all."""
    only_from: frozenset[int] | None = None
    """Inside ports from which UDP may go; None: all."""
    strangers_per_s: float = 0.0
    """How many mappings others behind this NAT make, at random times (SEQUENTIAL)."""
    ports: range = range(_FIRST_RANDOM, _LAST_RANDOM)
    """From which random ports are drawn."""
    step: int = 1
    """From one port to the next (SEQUENTIAL)."""
    accepts: bool = False
    """Whether the box itself takes what is not solicited."""
    _strays: dict[tuple[Endpoint, Endpoint], float] = field(default_factory=dict)
    """(Outside endpoint, sender) -> when the sender's last stray datagram came."""
    _ports: dict[Endpoint, _Mapping] = field(default_factory=dict)
    """By the outside endpoint."""
    _by_source: dict[tuple[Endpoint, Endpoint | None], Endpoint] = field(default_factory=dict)
    _last_port: int = 0
    _last_at: float = 0.0

    def destination(self, destination: Endpoint) -> Endpoint:
        """Where a datagram from the inside goes outside: to whom it was sent."""
        return destination

    def source(self, source: Endpoint) -> Endpoint:
        """Who sent a datagram, as it looks inside."""
        return source

    def outbound(self, source: Endpoint, destination: Endpoint, now: float) -> Endpoint | None:
        """The outside endpoint as which a datagram from the inside goes on; None: it may not."""
        if self.only_to is not None and destination.host not in self.only_to:
            return None
        if self.only_from is not None and source.port not in self.only_from:
            return None
        key = self._key(source, destination, now)
        outside = self._by_source.get(key)
        if outside is None or not self._is_alive(key, now):
            outside = self._map(key, now)
        mapping = self._ports[outside]
        mapping.used = mapping.contacted[destination] = now
        return outside

    def inbound(self, source: Endpoint, destination: Endpoint, now: float) -> Endpoint | None:
        """Who inside gets a datagram that came to an endpoint of ours; None: nobody asked."""
        mapping = self._ports.get(destination)
        is_old = mapping is None or now - mapping.used > self.idle_s
        if mapping is None or is_old or not self._admits(mapping, source, now):
            if self.accepts:
                self._strays[destination, source] = now
            return None
        mapping.used = now
        if source in mapping.contacted:
            mapping.contacted[source] = now
        return mapping.inside

    def take_block(self, size: int) -> None:
        """Draw from one aligned block of so many ports, as carriers give them to a customer."""
        first = self.random.randrange(_FIRST_RANDOM // size + 1, _LAST_RANDOM // size) * size
        self.ports = range(first, first + size)

    def reboot(self) -> None:
        """Forget every mapping."""
        self._ports.clear()
        self._by_source.clear()
        self._strays.clear()

    def _key(
        self, source: Endpoint, destination: Endpoint, now: float
    ) -> tuple[Endpoint, Endpoint | None]:
        """What a mapping is for: all destinations, or one that has a mapping of its own."""
        own, shared = (source, destination), (source, None)
        if self.kind.is_symmetric or self._is_alive(own, now):
            return own
        if self._is_alive(shared, now):
            outside = self._by_source[shared]
            contacted_at = self._ports[outside].contacted.get(destination, float("-inf"))
            if now - contacted_at <= self.idle_s:
                return shared
            return own if self._is_stray(outside, destination, now) else shared
        outside = Endpoint(self.address, source.port)
        return own if self._is_stray(outside, destination, now) else shared

    def _is_alive(self, key: tuple[Endpoint, Endpoint | None], now: float) -> bool:
        outside = self._by_source.get(key)
        limit_s = self.idle_s if key[1] is None or not self.accepts else STRAY_S
        return outside is not None and now - self._ports[outside].used <= limit_s

    def _is_stray(self, outside: Endpoint, sender: Endpoint, now: float) -> bool:
        """Whether the box itself talks to this sender there."""
        return now - self._strays.get((outside, sender), float("-inf")) <= STRAY_S

    def _map(self, key: tuple[Endpoint, Endpoint | None], now: float) -> Endpoint:
        old = self._by_source.pop(key, None)
        if old is not None:
            del self._ports[old]
        outside = self._choose(*key, now)
        self._ports[outside] = _Mapping(key[0], now)
        self._by_source[key] = outside
        return outside

    def _choose(self, source: Endpoint, destination: Endpoint | None, now: float) -> Endpoint:
        """A free outside endpoint."""
        if self.kind is NatKind.FIREWALL:
            return source
        if self.kind is NatKind.SEQUENTIAL:
            return Endpoint(self.address, self._next_port(now))
        wanted = Endpoint(self.address, source.port)
        draws = self.kind is NatKind.SYMMETRIC or destination is not None
        while draws or wanted in self._ports:
            wanted = Endpoint(self.address, self.random.choice(self.ports))
            if wanted not in self._ports:
                break
        return wanted

    def _next_port(self, now: float) -> int:
        """The one after the last, those passed over that others have taken meanwhile."""
        taken = 1
        if not self._last_port:
            self._last_port = self.random.randrange(_FIRST_RANDOM, _LAST_RANDOM)
        elif self.strangers_per_s:
            at = self._last_at + self.random.expovariate(self.strangers_per_s)
            while at < now:
                taken += 1
                at += self.random.expovariate(self.strangers_per_s)
        self._last_at = now
        span = _LAST_RANDOM - _FIRST_RANDOM
        offset = (self._last_port - _FIRST_RANDOM + taken * self.step) % span
        self._last_port = _FIRST_RANDOM + offset
        return self._last_port

    def _admits(self, mapping: _Mapping, source: Endpoint, now: float) -> bool:
        if self.kind is NatKind.FULL_CONE:
            return True
        if self.kind is NatKind.ADDRESS:
            contacted = [at for end, at in mapping.contacted.items() if end.host == source.host]
            return any(now - at <= self.idle_s for at in contacted)
        at = mapping.contacted.get(source)
        return at is not None and now - at <= self.idle_s
