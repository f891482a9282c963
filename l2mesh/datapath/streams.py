"""How engine, core and runtime name a stream: as an endpoint inside a prefix that nobody routes.

Where UDP is blocked a planet is reached over TLS on TCP, which carries the same datagrams. To the
engine such a connection is an endpoint like any other, so that sessions, relays and the handshake
guard work over it unchanged; whoever sends sees by the address that it is not for a UDP socket.
The address means nothing outside this process and is told to nobody. Each connection has a /64 of
its own, which is what the handshake guard counts by.

Number 0 is the *scout*: no connection, but another UDP socket that lives for a moment.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final

from l2mesh.datapath.interface import Endpoint, Path

__all__ = ["MAX_STREAM", "SCOUT", "is_detour", "is_stream", "stream_endpoint"]

STREAM_PREFIX: Final = "fd6c:326d:6573:"
"""A unique local /48 (RFC 4193) in the canonical text of an address."""
MAX_STREAM: Final = 0xFFFF
"""Streams are numbered from 1."""
_BASE: Final = int(IPv6Address("fd6c:326d:6573::1"))
_SUBNET_SHIFT: Final = 64
_PORT: Final = 443
SCOUT: Final = Endpoint(str(IPv6Address(_BASE)), _PORT)
"""What goes here leaves by the scout, see `l2mesh.node.effects.OpenScout`."""


def stream_endpoint(number: int) -> Endpoint:
    """The endpoint of the stream with this number, 1 to 65,535."""
    return Endpoint(str(IPv6Address(_BASE + (number << _SUBNET_SHIFT))), _PORT)


def is_detour(path: Path) -> bool:
    """Whether a path shows no UDP address of the one at its end: a relay, or a stream."""
    return path.relay != 0 or is_stream(path.endpoint)


def is_stream(endpoint: Endpoint) -> bool:
    """Whether an endpoint is a stream."""
    return endpoint[0].startswith(STREAM_PREFIX)
