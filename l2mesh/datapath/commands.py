"""What the control plane has an engine do. A command about something unknown is ignored."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

from l2mesh.crypto import Cipher
from l2mesh.datapath.endpoint import Endpoint, Path
from l2mesh.datapath.offload import PortOffloads

__all__ = [
    "AddRelayLeg",
    "AnnounceStations",
    "CaptureSide",
    "ClosePort",
    "Command",
    "FlushPeer",
    "InstallReceive",
    "InstallSend",
    "Limits",
    "OpenPort",
    "RemoveMember",
    "RemoveReceive",
    "RemoveRelay",
    "RemoveRelayLeg",
    "RemoveSend",
    "RemoveSession",
    "RemoveSource",
    "SendControl",
    "SendDatagram",
    "SendTwice",
    "SetAssignment",
    "SetBlocked",
    "SetGroups",
    "SetGuard",
    "SetLimits",
    "SetMember",
    "SetPath",
    "SetPortOffloads",
    "SetRelay",
    "SetReplication",
    "SetSource",
    "SetStaticEntries",
    "SetUnderlay",
    "StartCapture",
    "StopCapture",
    "StopReplication",
    "WriteFrame",
]


@dataclass(frozen=True, slots=True)
class InstallReceive:
    """Accept DATA on ``index`` (u24) from ``peer``.

    ``network`` 0 is control. ``elided`` = destination MAC | source MAC (12 bytes) for ELIDED
    frames, None when there are none to assume (section 4).
    """

    peer: bytes
    session: int
    network: int
    index: int
    cipher: Cipher
    key: bytes
    salt: bytes
    elided: bytes | None = None


@dataclass(frozen=True, slots=True)
class InstallSend:
    """From now on frames for (peer, network) leave with this index and key.

    For network 0 the key is kept for each session apart, because control names its session.
    Frames held for (peer, network) leave at once if there is a path. ``elided`` = destination MAC |
    source MAC (12 bytes) of the frames that may leave ELIDED on this index, None when none may.

    ``lane`` is the number of the thread that sends with it, so that none waits for another's
    counter. Lane 0 is for every thread that has none of its own, and takes the place of all lanes
    before; another lane counts only beside it. An engine of one thread needs lane 0 alone.
    """

    peer: bytes
    session: int
    network: int
    index: int
    cipher: Cipher
    key: bytes
    salt: bytes
    elided: bytes | None = None
    lane: int = 0


@dataclass(frozen=True, slots=True)
class RemoveReceive:
    """Forget a receive index; DATA on it meets silence."""

    index: int


@dataclass(frozen=True, slots=True)
class RemoveSend:
    """Send no frames to (peer, network) any more; held ones are dropped."""

    peer: bytes
    network: int


@dataclass(frozen=True, slots=True)
class RemoveSession:
    """Erase every key of a session, both directions, all networks."""

    peer: bytes
    session: int


@dataclass(frozen=True, slots=True)
class SetPath:
    """Reach ``peer`` by ``path`` (None: not at all; frames are held).

    ``size`` is the largest DATA datagram in bytes that fits, without a RELAY header (section 4).

    With ``spread`` each flow of frames leaves for one of these endpoints instead, directly: that at
    place ``hash * len(spread) >> 32`` (`l2mesh.datapath.reference.flow`), so that a flow stays
    where it is as long as its place does. ``size`` fits all of them. The first 16 count, and none
    where ``path`` is not direct. Control and GROUP go by ``path``.
    """

    peer: bytes
    path: Path | None
    size: int = 1472
    spread: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class SendTwice:
    """For `seconds` from now send each datagram with frames of ``peer`` by ``path``, too.

    At most ``budget`` bytes, in place of what was asked before; None: no longer. Frames are cut to
    what both paths carry: ``size`` is that of ``path``, as in `SetPath`. Copies leave singly behind
    the datagrams of their frame, and none by the path by which these left.
    """

    peer: bytes
    path: Path | None
    size: int = 1472
    seconds: float = 1.0
    budget: int = 1 << 20


@dataclass(frozen=True, slots=True)
class AddRelayLeg:
    """As a client: accept RELAY datagrams of this id from that planet endpoint."""

    relay: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class RemoveRelayLeg:
    """As a client: accept this relay id no more."""

    relay: int


@dataclass(frozen=True, slots=True)
class SetRelay:
    """As a planet: forward RELAY datagrams of this id between two endpoints, unchanged.

    ``left_client`` and ``right_client`` are fingerprints, for the rate limit of each client.
    """

    relay: int
    left: Endpoint
    right: Endpoint
    left_client: bytes
    right_client: bytes


@dataclass(frozen=True, slots=True)
class RemoveRelay:
    """As a planet: forward this id no more."""

    relay: int


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
class SetReplication:
    """Frames for every member leave as GROUP from now on (section 4.1), signed with ``secret``.

    ``secret`` is an Ed25519 one (64 bytes: seed | public key), ``source`` our fingerprint. A new
    ``generation`` begins to count anew. ``targets`` are those to whom we send ourselves, with the
    assignment under which they carry it on (0: not at all). None: frames wait for them, and
    `NeedReplicators` tells. Who is new in ``targets`` also gets the frames of the last 4 s, at most
    256 and 256 KiB; receivers take each once.
    """

    network: int
    source: bytes
    secret: bytes = field(repr=False)
    generation: int
    targets: tuple[tuple[bytes, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class StopReplication:
    """Frames for every member leave for each of them again."""

    network: int


@dataclass(frozen=True, slots=True)
class SetAssignment:
    """Carry broadcasts of ``source`` that name assignment ``number`` on to ``members``.

    The assignment before it goes on; older ones end. No members: both end.
    """

    network: int
    source: bytes
    number: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SetSource:
    """Believe broadcasts that this member signed with its Ed25519 key ``signing`` (32 bytes).

    ``relay``: it may bring those of others. ``generation`` is what it told us itself, 0: nothing.
    """

    network: int
    peer: bytes
    signing: bytes
    relay: bool = False
    generation: int = 0


@dataclass(frozen=True, slots=True)
class RemoveSource:
    """Believe its broadcasts no more, nor those that it brings."""

    network: int
    peer: bytes


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


@dataclass(frozen=True, slots=True)
class SetGuard:
    """Whose handshakes to let up (section 3.5): our X25519 public key, and a secret for cookies.

    ``secret`` (32 bytes) is the seed from which the engine derives a new cookie secret each 120 s.
    """

    public: bytes
    secret: bytes
    inits_per_second: int = 20


@dataclass(frozen=True, slots=True)
class SetUnderlay:
    """Our own UDP port and addresses, so that our own datagrams never travel inside a network."""

    port: int
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class SendControl:
    """Seal ``payload`` (control records) on a session's network-0 index and send it by ``path``."""

    peer: bytes
    session: int
    payload: bytes
    path: Path


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send a handshake datagram as it is, framed as RELAY where ``path`` says so."""

    datagram: bytes
    path: Path


Command: TypeAlias = (
    InstallReceive
    | InstallSend
    | RemoveReceive
    | RemoveSend
    | RemoveSession
    | SetPath
    | SendTwice
    | AddRelayLeg
    | RemoveRelayLeg
    | SetRelay
    | RemoveRelay
    | OpenPort
    | ClosePort
    | SetPortOffloads
    | SetMember
    | RemoveMember
    | FlushPeer
    | SetLimits
    | StartCapture
    | StopCapture
    | SetStaticEntries
    | SetBlocked
    | SetGroups
    | WriteFrame
    | AnnounceStations
    | SetReplication
    | StopReplication
    | SetAssignment
    | SetSource
    | RemoveSource
    | SetGuard
    | SetUnderlay
    | SendControl
    | SendDatagram
)
