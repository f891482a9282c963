"""The switch of a network: its port and members, what it lets pass, what is seen of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from l2mesh.datapath.offload import PortOffloads

__all__ = [
    "AnnounceStations",
    "CaptureSide",
    "ClosePort",
    "FlushPeer",
    "Limits",
    "OpenPort",
    "RemoveMember",
    "SetBlocked",
    "SetGroups",
    "SetLimits",
    "SetMember",
    "SetPortOffloads",
    "SetStaticEntries",
    "StartCapture",
    "StopCapture",
    "WriteFrame",
]


@dataclass(frozen=True, slots=True)
class OpenPort:
    """Attach the local port of a network: our signed MAC, the MTU above Ethernet, our rights.

    ``addresses`` are our signed IP addresses, of 4 or 16 bytes, without prefix length.
    """

    network: int
    mac: bytes
    mtu: int
    bridge: bool = False
    router: bool = False
    dhcp: bool = False
    ra: bool = False
    addresses: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosePort:
    """Detach a port with its FDB, members and limits."""

    network: int


@dataclass(frozen=True, slots=True)
class SetPortOffloads:
    """What the reader of an open port understands from now on; a port opens without any."""

    network: int
    offloads: PortOffloads


@dataclass(frozen=True, slots=True)
class SetMember:
    """Add or replace a member: it is flooded to, its signed MAC becomes a static FDB entry.

    Rights and ``addresses`` are those of its credential, as in `OpenPort`.
    """

    network: int
    peer: bytes
    mac: bytes
    bridge: bool = False
    router: bool = False
    dhcp: bool = False
    ra: bool = False
    addresses: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Forget a member with its static and learned entries."""

    network: int
    peer: bytes


@dataclass(frozen=True, slots=True)
class FlushPeer:
    """Forget what was learned behind a peer in a network; None: behind this node."""

    network: int
    peer: bytes | None


@dataclass(frozen=True, slots=True)
class SetStaticEntries:
    """Replace the operator's static entries of a network: (VLAN, MAC, peer or None for our port).

    The first 1,024 count, and of those about one station the last. They win over what is learned,
    stay when the peer is flushed or removed, and its frames from elsewhere are dropped as
    ``static_entry``; what is for a station behind one who is no member is dropped, too.
    """

    network: int
    entries: tuple[tuple[int, bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network lets pass, per source: None = no limit, 0 = drop, else frames a second.

    The burst is twice the rate. ``bpdu`` says what becomes of 01-80-C2-00-00-00..0F: ``block``,
    ``pass``, or ``tunnel`` from bridges to bridges. Each frame to several
    counts in one class only: ``arp``, ``nd`` and ``discovery`` (mDNS, SSDP, LLMNR) are taken out of
    ``broadcast`` and ``multicast`` (section 10). ``floods_groups``: an IP group that nobody lists
    goes to everyone, otherwise only to ports that list none.
    """

    broadcast: int | None = 500
    multicast: int | None = 500
    unknown_unicast: int | None = 500
    bpdu: str = "block"
    guard: str = "default"
    arp: int | None = 500
    nd: int | None = 500
    discovery: int | None = 500
    floods_groups: bool = True


@dataclass(frozen=True, slots=True)
class SetLimits:
    """Replace the limits of a network's port."""

    network: int
    limits: Limits


class CaptureSide(enum.StrEnum):
    """Where frames are seen."""

    PORT = "port"  # between the switch and whoever is behind the port
    MESH = "mesh"  # between the switch and another member, in the clear
    DROPS = "drops"  # what the switch did not let pass, with the reason


@dataclass(frozen=True, slots=True)
class StartCapture:
    """Keep what is seen of a network's frames for `Engine.captured`; a capture before ends.

    Not more than `Bounds.capture_frames` and `capture_bytes` wait; further ones are counted only.
    ``snap``: as many bytes of each frame are kept.
    """

    network: int
    sides: frozenset[CaptureSide]
    snap: int = 65535


@dataclass(frozen=True, slots=True)
class StopCapture:
    """Keep nothing more, and forget what waits."""

    network: int


@dataclass(frozen=True, slots=True)
class SetBlocked:
    """In these VLANs the port carries nothing but unicast between signed MACs and our own MAC.

    From the port passes what our signed MAC sends to another member's, from the mesh what is for
    our signed MAC (section 10.1).
    """

    network: int
    vlans: frozenset[int]


@dataclass(frozen=True, slots=True)
class SetGroups:
    """Replace what the port of a member (None: our own) wants of IP groups (section 10.2).

    ``listed`` are segments, (VLAN, 4 or 6), in which it wants only ``groups``, (VLAN, address of 4
    or 16 bytes); in those of ``reports`` it hears what other ports report all the same. In all
    other segments it wants everything. Both sets empty: as if it had never told.
    """

    network: int
    peer: bytes | None
    listed: frozenset[tuple[int, int]] = frozenset()
    reports: frozenset[tuple[int, int]] = frozenset()
    groups: frozenset[tuple[int, bytes]] = frozenset()


@dataclass(frozen=True, slots=True)
class WriteFrame:
    """Write one frame of ours to the port of a network; blocked VLANs do not stop it."""

    network: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class AnnounceStations:
    """Write a notice for each station in a VLAN that is behind a peer (section 10.1).

    The port's LAN learns from them that these are reached by us: signed MACs, then learned ones,
    1,024 at most, and none behind one of `neighbours` (fingerprints), who are on that LAN.
    """

    network: int
    vlan: int
    neighbours: frozenset[bytes] = frozenset()
