"""The line between slow path and fast path: commands down, outputs and upcalls up.

The control plane decides *who* may talk, *which keys* a direction uses and *which path* a peer is
reached on; an engine carries the frames. Both engines (the reference in Python, the native one in
Rust) take the same commands, raise the same upcalls, send the same bytes and name the same drop
reasons. An engine does no I/O and reads no clock: ``now`` is monotonic seconds, passed in.

Sections named in docstrings are those of ``docs/protocol.md``.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from l2mesh.crypto import Cipher

__all__ = [
    "GSO_NONE",
    "GSO_TCP4",
    "GSO_TCP6",
    "GSO_UDP",
    "Activity",
    "AddRelayLeg",
    "AnnounceStations",
    "BeaconHeard",
    "CaptureSide",
    "Captured",
    "ClosePort",
    "Command",
    "ControlReceived",
    "Deliver",
    "DropReason",
    "Endpoint",
    "Engine",
    "FdbEntry",
    "FlushPeer",
    "HandshakeReceived",
    "InstallReceive",
    "InstallSend",
    "KeySpent",
    "Limits",
    "MacLearned",
    "NeedSession",
    "Offence",
    "Offload",
    "OpenPort",
    "Output",
    "Path",
    "PortOffloads",
    "Received",
    "RemoveMember",
    "RemoveReceive",
    "RemoveRelay",
    "RemoveRelayLeg",
    "RemoveSend",
    "RemoveSession",
    "SendControl",
    "SendDatagram",
    "SessionConfirmed",
    "SetBlocked",
    "SetGuard",
    "SetLimits",
    "SetMember",
    "SetPath",
    "SetPortOffloads",
    "SetRelay",
    "SetUnderlay",
    "SourceSeen",
    "StartCapture",
    "StopCapture",
    "Transmit",
    "TransmitTrain",
    "Upcall",
    "WriteFrame",
]


class Endpoint(NamedTuple):
    """A UDP address: numeric IPv4 or IPv6 text without scope or brackets, and a port 1..65535."""

    host: str
    port: int


class Path(NamedTuple):
    """One way to a peer: a direct endpoint (relay 0), or a relay id at a planet's endpoint."""

    endpoint: Endpoint
    relay: int = 0


# --- offloads -----------------------------------------------------------------------------------

# Kinds of super-frames: VIRTIO_NET_HDR_GSO_* of include/uapi/linux/virtio_net.h.
GSO_NONE: Final = 0
GSO_TCP4: Final = 1
GSO_TCP6: Final = 4
GSO_UDP: Final = 5


class Offload(NamedTuple):
    """What the kernel says of a frame, or is told: a virtio_net_hdr without its useless hdr_len.

    A super-frame (`gso_type` not GSO_NONE) is one frame with up to 64 KiB behind its headers, to be
    cut into segments of `gso_size` bytes of L4 payload. No `Offload` at all says the same as
    `Offload()`: one frame, checksums complete.
    """

    gso_type: int = GSO_NONE
    """Without the ECN bit; unknown bits stay, and the engine refuses the frame for them."""
    gso_size: int = 0
    csum_start: int = 0
    """Where the L4 header begins, from the start of the frame, tags included."""
    csum_offset: int = 0
    """Of the checksum field, from `csum_start`: 16 in TCP, 6 in UDP."""
    needs_csum: bool = False
    """The checksum field holds the sum of the pseudo header only (folded, not inverted)."""
    ecn: bool = False
    """A TCP super-frame with CWR, which belongs on the first segment only."""


class PortOffloads(NamedTuple):
    """What whoever reads a port understands; without any it gets plain, complete frames."""

    checksum: bool = False
    """`needs_csum`. The others need it."""
    tso: bool = False
    """Super-frames of TCP."""
    uso: bool = False
    """Super-frames of UDP."""


# --- what an engine gives out -------------------------------------------------------------------


class Transmit(NamedTuple):
    """Send one datagram from the node's UDP socket."""

    datagram: bytes
    endpoint: Endpoint


class TransmitTrain(NamedTuple):
    """Send several datagrams by one UDP_SEGMENT call, or one by one where that is not possible.

    Each is `stride` bytes long, the last one perhaps shorter. At least 2 and at most 63 of them
    (some kernels count a header, so 64 are one too many), at most 65,000 bytes together.
    """

    datagrams: bytes
    stride: int
    endpoint: Endpoint


class Deliver(NamedTuple):
    """Write one Ethernet frame (no FCS) to the port of a network.

    Checksums are complete unless `offload` says otherwise, which it does only on ports of which
    `SetPortOffloads` said that they understand.
    """

    network: int
    frame: bytes
    offload: Offload | None = None


Output: TypeAlias = Transmit | TransmitTrain | Deliver


class HandshakeReceived(NamedTuple):
    """INIT (past the guard), RESPONSE or COOKIE; ``path`` is where the answer goes."""

    datagram: bytes
    path: Path


class ControlReceived(NamedTuple):
    """An authentic CONTROL datagram; ``payload`` is zero or more records (section 6)."""

    peer: bytes
    session: int
    payload: bytes
    path: Path


class SessionConfirmed(NamedTuple):
    """The first authentic DATA of any kind on a session; comes before what it carried."""

    peer: bytes
    session: int


class NeedSession(NamedTuple):
    """A frame waits for ``peer`` in ``network``: at most one such upcall a second for a pair."""

    peer: bytes
    network: int


class SourceSeen(NamedTuple):
    """An authentic packet with the newest counter came by a path that is not the one in use.

    At most one upcall a second for a (peer, path).
    """

    peer: bytes
    session: int
    path: Path


class MacLearned(NamedTuple):
    """A source MAC was first seen behind ``peer`` (None: this node), or moved there."""

    network: int
    vlan: int
    mac: bytes
    peer: bytes | None
    moved: bool


class BeaconHeard(NamedTuple):
    """A beacon of a bridge came in from the port (section 10.1); at most 64 a second, burst 128."""

    network: int
    vlan: int
    nonce: bytes


class Offence(NamedTuple):
    """A guard or limit stopped a frame from ``peer`` (None: from our own port) for ``reason``.

    At most one in 10 s for a (network, peer, reason); ``times`` is how often so far. ``vlan`` and
    ``mac`` are where the frame said it came from, ``address`` is the IP address that it claimed to
    be from or told of, empty where there is none.
    """

    network: int
    peer: bytes | None
    reason: DropReason
    vlan: int
    mac: bytes
    address: bytes
    times: int


class KeySpent(NamedTuple):
    """A send counter passed 2^31: rekey now."""

    peer: bytes
    session: int


Upcall: TypeAlias = (
    HandshakeReceived
    | ControlReceived
    | SessionConfirmed
    | NeedSession
    | SourceSeen
    | MacLearned
    | BeaconHeard
    | Offence
    | KeySpent
)


# --- commands -----------------------------------------------------------------------------------


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
    """

    peer: bytes
    path: Path | None
    size: int = 1472


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
class Limits:
    """What a network lets pass, per source: None = no limit, 0 = drop, else frames a second.

    The burst is twice the rate. ``bpdu`` lets 01-80-C2-00-00-00..0F pass. Each frame to several
    counts in one class only: ``arp``, ``nd`` and ``discovery`` (mDNS, SSDP, LLMNR) are taken out of
    ``broadcast`` and ``multicast`` (section 10).
    """

    broadcast: int | None = 500
    multicast: int | None = 500
    unknown_unicast: int | None = 500
    bpdu: bool = False
    guard: str = "default"
    arp: int | None = 500
    nd: int | None = 500
    discovery: int | None = 500


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
    | SetBlocked
    | WriteFrame
    | AnnounceStations
    | SetGuard
    | SetUnderlay
    | SendControl
    | SendDatagram
)


# --- what an engine knows -----------------------------------------------------------------------


class DropReason(enum.StrEnum):
    """Why a datagram or frame was dropped; the names are shown by ``l2mesh counters``."""

    MALFORMED = "malformed"  # too short, impossible length, bad flag set before authentication
    UNKNOWN_TYPE = "unknown_type"
    BAD_MAC1 = "bad_mac1"
    COOKIE_REQUIRED = "cookie_required"
    HANDSHAKE_RATE = "handshake_rate"
    UNKNOWN_INDEX = "unknown_index"
    REPLAY = "replay"
    FORGED = "forged"  # the tag did not verify
    BAD_FLAGS = "bad_flags"  # authentic, but a flag or combination that has no meaning
    BAD_FRAGMENT = "bad_fragment"
    FRAGMENT_LOST = "fragment_lost"  # unfinished after 1 s, or displaced
    BAD_OFFLOAD = "bad_offload"  # CSUM, ELIDED or kernel metadata that the frame cannot have
    BAD_FRAME = "bad_frame"  # runt, giant or truncated tag stack
    UNKNOWN_RELAY = "unknown_relay"
    RELAY_RATE = "relay_rate"
    COUNTER_SPENT = "counter_spent"
    NO_PORT = "no_port"  # authentic frame for a network that is not open here
    NOT_A_MEMBER = "not_a_member"
    SOURCE_MAC = "source_mac"  # a MAC that the sender has no right to
    SOURCE_IP = "source_ip"  # an IP address that the sender has no right to
    ARP_GUARD = "arp_guard"  # malformed, or tells of a MAC or an address of another
    ND_GUARD = "nd_guard"  # the same of neighbour discovery, or hides whether it is such
    RA_GUARD = "ra_guard"  # a router's word without the right `ra`
    DHCP_GUARD = "dhcp_guard"  # a DHCP server's word without the right `dhcp`
    UNKNOWN_UNICAST = "unknown_unicast"  # nobody to flood it to
    SAME_PORT = "same_port"  # destination is where it came from
    LINK_LOCAL_GROUP = "link_local_group"
    STORM = "storm"  # above the limit of its class
    CLASS_REFUSED = "class_refused"  # the network lets nothing of its class pass
    OWN_DATAGRAM = "own_datagram"
    LOOP_BLOCKED = "loop_blocked"  # another bridge forwards for this LAN
    HELD_TOO_LONG = "held_too_long"
    HELD_OVERFLOW = "held_overflow"
    FDB_FULL = "fdb_full"  # not learned; the frame itself went on
    MAC_FLAPPING = "mac_flapping"  # not moved in the FDB; the frame itself went on
    UPCALL_OVERFLOW = "upcall_overflow"


class FdbEntry(NamedTuple):
    """One entry of the forwarding database; ``peer`` None is this node, ``age`` in seconds."""

    network: int
    vlan: int
    mac: bytes
    peer: bytes | None
    age: float
    static: bool


class Captured(NamedTuple):
    """One frame that was seen, as it was there: checksums open, super-frames whole."""

    at: float
    side: CaptureSide
    inward: bool
    """Into the switch: from the port, or from a member. So is every frame that was dropped."""
    peer: bytes | None
    """The member it came from or went to; None: the port."""
    reason: DropReason | None
    length: int
    """Of the whole frame."""
    frame: bytes
    lost: int
    """Frames seen since the one before it in this capture for which there was no room."""


@dataclass(slots=True)
class Activity:
    """Traffic with one peer; times are the engine's ``now``, 0.0 = never.

    ``sent`` and ``received`` hear frames and control, ``frame`` only frames in either direction.
    """

    sent: float = 0.0
    received: float = 0.0
    frame: float = 0.0
    tx_bytes: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    rx_packets: int = 0


class Received(NamedTuple):
    """What one receive call of the UDP socket gave: one datagram, or several merged by UDP_GRO."""

    datagrams: bytes
    stride: int
    """Length of each datagram but the last; 0 when there is only one."""
    source: Endpoint


class Engine(Protocol):
    """What both engines are to the rest of the program. No method blocks or raises on input."""

    name: str
    """``reference`` or ``native``."""

    def execute(self, command: Command, now: float) -> None:
        """Carry out one command. A command about something unknown is ignored."""

    def handle_frame(
        self, network: int, frame: bytes, now: float, offload: Offload | None = None
    ) -> None:
        """One Ethernet frame or super-frame read from the port of ``network``."""

    def handle_datagram(self, datagram: bytes, source: Endpoint, now: float) -> None:
        """One datagram received by the UDP socket: a batch of one."""

    def handle_datagrams(self, batch: Sequence[Received], now: float) -> None:
        """What one wake received. Frames merge within a batch, never beyond it."""

    def handle_timeout(self, now: float) -> None:
        """Age tables; call when ``next_timeout`` has come."""

    def next_timeout(self) -> float | None:
        """When ``handle_timeout`` is next needed, or None."""

    def poll_output(self) -> Output | None:
        """The next datagram or frame to send out, in order; None when there is none."""

    def poll_upcall(self) -> Upcall | None:
        """The next upcall: control first, then events, then handshakes of strangers."""

    def fdb(self, network: int, now: float) -> list[FdbEntry]:
        """The forwarding database of a network, static entries included."""

    def captured(self, network: int) -> list[Captured]:
        """The oldest frames that a capture keeps, taken out: at most 256, and 1 MiB or one."""

    def activity(self, peer: bytes) -> Activity:
        """Traffic with a peer (a fresh zero value for an unknown one)."""

    def counters(self) -> dict[str, int]:
        """Totals: frames_in/out, datagrams_in/out, bytes, relayed_packets, relayed_bytes, ..."""

    def drops(self) -> dict[DropReason, int]:
        """How often each reason has dropped something; only reasons that occurred."""
