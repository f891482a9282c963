"""The line between slow path and fast path: commands down, outputs and upcalls up.

The control plane decides *who* may talk, *which keys* a direction uses and *which path* a peer is
reached on; an engine carries the frames. Both engines (the reference in Python, the native one in
Rust) take the same commands, raise the same upcalls, send the same bytes and name the same drop
reasons. An engine does no I/O and reads no clock: ``now`` is monotonic seconds, passed in.

The words stand in files of their own (``commands``, ``upcalls``, ``drops``, ``endpoint``,
``offload``); this one has the `Engine`, what it gives out and what it knows, and names them all.
Sections named in docstrings are those of ``docs/protocol.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from l2mesh.datapath.commands import (
    AddRelayLeg,
    AnnounceStations,
    CaptureSide,
    ClosePort,
    Command,
    FlushPeer,
    InstallReceive,
    InstallSend,
    Limits,
    OpenPort,
    RemoveMember,
    RemoveReceive,
    RemoveRelay,
    RemoveRelayLeg,
    RemoveSend,
    RemoveSession,
    RemoveSource,
    SendControl,
    SendDatagram,
    SendTwice,
    SetAssignment,
    SetBlocked,
    SetGroups,
    SetGuard,
    SetLimits,
    SetMember,
    SetPath,
    SetPortOffloads,
    SetRelay,
    SetReplication,
    SetSource,
    SetStaticEntries,
    SetUnderlay,
    StartCapture,
    StopCapture,
    StopReplication,
    WriteFrame,
)
from l2mesh.datapath.drops import (
    DropReason,
)
from l2mesh.datapath.endpoint import (
    Endpoint,
    Path,
)
from l2mesh.datapath.offload import (
    GSO_NONE,
    GSO_TCP4,
    GSO_TCP6,
    GSO_UDP,
    Offload,
    PortOffloads,
)
from l2mesh.datapath.upcalls import (
    AssignmentUnknown,
    BeaconHeard,
    ControlReceived,
    GroupTalkHeard,
    HandshakeReceived,
    KeySpent,
    MacLearned,
    NeedReplicators,
    NeedSession,
    Offence,
    SessionConfirmed,
    SourceSeen,
    SourceStale,
    Upcall,
)

__all__ = [
    "GSO_NONE",
    "GSO_TCP4",
    "GSO_TCP6",
    "GSO_UDP",
    "Activity",
    "AddRelayLeg",
    "AnnounceStations",
    "AssignmentUnknown",
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
    "GroupTalkHeard",
    "HandshakeReceived",
    "InstallReceive",
    "InstallSend",
    "KeySpent",
    "Limits",
    "MacLearned",
    "NeedReplicators",
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
    "RemoveSource",
    "SendControl",
    "SendDatagram",
    "SendTwice",
    "SessionConfirmed",
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
    "SourceSeen",
    "SourceStale",
    "StartCapture",
    "StopCapture",
    "StopReplication",
    "Transmit",
    "TransmitTrain",
    "Upcall",
    "WriteFrame",
]


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


class FdbEntry(NamedTuple):
    """One entry of the forwarding database; ``peer`` None is this node, ``age`` in seconds."""

    network: int
    vlan: int
    mac: bytes
    peer: bytes | None
    age: float
    static: bool
    """It does not age: it is signed, or the operator says so."""
    signed: bool


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
