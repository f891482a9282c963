"""A NAT64 gateway (RFC 6146): IPv6 inside, IPv4 outside, one mapping for all destinations.

It keeps the port where that is free, lets in only the endpoint that was sent to, and is a firewall
of its network's IPv6.
"""

from __future__ import annotations

from ipaddress import IPv6Network
from random import Random
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.nat64 import Nat64
from tests.simulator.nat import Nat, NatKind

__all__ = ["PREFIX", "Nat64Gateway"]

PREFIX: Final = IPv6Network("2001:db8:64::/96")
"""Of a network of its own: the well-known one stands for no address that a simulation has."""


class Nat64Gateway:
    """Stands where a segment's IPv6 firewall does."""

    hairpin = False

    def __init__(self, address: str, random: Random) -> None:
        self.address = address
        self._wall = Nat(NatKind.FIREWALL, "", random)
        self._nat = Nat(NatKind.PRESERVING, address, random)
        self.form = Nat64(PREFIX)

    def destination(self, destination: Endpoint) -> Endpoint:
        """Where a datagram from the inside goes outside."""
        return self.form.original(destination)

    def source(self, source: Endpoint) -> Endpoint:
        """Who sent a datagram, as it looks inside."""
        return self.form.synthesise(source)

    def outbound(self, source: Endpoint, destination: Endpoint, now: float) -> Endpoint | None:
        """As `Nat.outbound`; ``destination`` is the one outside."""
        return self._side(destination).outbound(source, destination, now)

    def inbound(self, source: Endpoint, destination: Endpoint, now: float) -> Endpoint | None:
        """As `Nat.inbound`; ``source`` is the one outside."""
        return self._side(destination).inbound(source, destination, now)

    def reboot(self) -> None:
        """Forget every mapping."""
        self._wall.reboot()
        self._nat.reboot()

    def _side(self, outside: Endpoint) -> Nat:
        return self._wall if ":" in outside.host else self._nat
