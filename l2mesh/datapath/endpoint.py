"""Where datagrams go: UDP endpoints, and paths of which some lead over a relay."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "Endpoint",
    "Path",
]


class Endpoint(NamedTuple):
    """A UDP address: numeric IPv4 or IPv6 text without scope or brackets, and a port 1..65535."""

    host: str
    port: int


class Path(NamedTuple):
    """One way to a peer: a direct endpoint (relay 0), or a relay id at a planet's endpoint."""

    endpoint: Endpoint
    relay: int = 0
