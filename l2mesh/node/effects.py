"""What a core asks of the host around it, beside engine commands.

A core (node, controller or planet) gives out :class:`l2mesh.datapath.interface.Command` values for
its engine and the effects below for its service. The simulator answers effects with a few lines of
memory; ``l2meshd`` answers them with netlink, TAP devices and files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from l2mesh.datapath.interface import Command, Endpoint

__all__ = [
    "CloseStream",
    "ConfigureDevice",
    "CoreOutput",
    "Effect",
    "NetworkChanged",
    "OpenScout",
    "OpenStream",
    "Persist",
    "RemoveDevice",
    "SendBeacon",
    "SendOpener",
]


@dataclass(frozen=True, slots=True)
class ConfigureDevice:
    """Make the TAP of a network if there is none, and bring it to this state."""

    network: int
    name: str | None
    """Wanted interface name; None: derived from the network ID."""
    mac: bytes
    mtu: int
    """Bytes above Ethernet."""
    addresses: tuple[str, ...]
    """``ip/prefixlen``; set when the list changes, never while the device has a master."""
    routes: tuple[tuple[str, str | None], ...]
    """(destination, via) that the operator consented to."""
    bridge: str | None
    """Linux bridge to attach to, a local choice."""
    broadcast_route: bool
    """Send 255.255.255.255 and 224.0.0.0/4 by this device."""
    dns: tuple[str, ...] = ()
    """Name servers that the operator consented to."""


@dataclass(frozen=True, slots=True)
class RemoveDevice:
    """Take a network's device away."""

    network: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Write a state file atomically (``data`` None: delete it). ``name`` is a relative path."""

    name: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """A network's status or what it shows has changed; wakes those who wait for it."""

    network: int


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Reach a planet over TLS, at these hosts; `stream_changed` hears what came of it."""

    planet: bytes
    """Fingerprint."""
    endpoints: tuple[Endpoint, ...]
    """Where UDP was tried; the same ports, and 443, are tried by TCP."""


@dataclass(frozen=True, slots=True)
class CloseStream:
    """A stream is not needed any more."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class SendBeacon:
    """Send a LAN beacon (section 8.6) by our UDP socket from one of our addresses."""

    address: str
    """IPv4; what `Lan.set_places` was told."""
    datagram: bytes


@dataclass(frozen=True, slots=True)
class SendOpener:
    """Send an opener (section 8.4) by our UDP socket, which opens our NAT and gets no further."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class OpenScout:
    """Have what is for `l2mesh.datapath.streams.SCOUT` leave by a new UDP socket for this endpoint.

    What comes back to that socket from there came from `SCOUT`. It is closed after 1 s, or when the
    next one is opened.
    """

    endpoint: Endpoint


Effect: TypeAlias = (
    ConfigureDevice
    | RemoveDevice
    | Persist
    | NetworkChanged
    | OpenStream
    | CloseStream
    | SendBeacon
    | SendOpener
    | OpenScout
)
CoreOutput: TypeAlias = Command | Effect
