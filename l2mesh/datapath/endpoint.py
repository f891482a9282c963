"""Where datagrams go: UDP endpoints, and paths of which some lead over a relay."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import Final, NamedTuple

__all__ = [
    "Endpoint",
    "Path",
    "prefix_of",
]

_IPV6_PREFIX_BYTES: Final = 8


class Endpoint(NamedTuple):
    """A UDP address: numeric IPv4 or IPv6 text without scope or brackets, and a port 1..65535.

    ``uplink`` says by which interface of ours it is reached, or a datagram came from it: 0 leaves
    that to the host's routes, else it is the index of a named uplink (`l2mesh.path.uplinks`). It
    means nothing to other hosts and is never on the wire.
    """

    host: str
    port: int
    uplink: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """For a socket."""
        return self[:2]


class Path(NamedTuple):
    """One way to a peer: a direct endpoint (relay 0), or a relay id at a planet's endpoint."""

    endpoint: Endpoint
    relay: int = 0


def prefix_of(host: str) -> bytes:
    """What one party has for itself, and is limited by: the whole of an IPv4 address (4 bytes), the
    first half of an IPv6 one (8 bytes)."""
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        return address.packed
    mapped = address.ipv4_mapped
    return mapped.packed if mapped else address.packed[:_IPV6_PREFIX_BYTES]
