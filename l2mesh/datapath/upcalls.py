"""What an engine tells the control plane, in the order of three bounded queues (section 11)."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from l2mesh.datapath.drops import DropReason
from l2mesh.datapath.endpoint import Path

__all__ = [
    "AssignmentUnknown",
    "BeaconHeard",
    "ControlReceived",
    "GroupTalkHeard",
    "HandshakeReceived",
    "KeySpent",
    "MacLearned",
    "NeedReplicators",
    "NeedSession",
    "Offence",
    "SessionConfirmed",
    "SourceSeen",
    "SourceStale",
    "Upcall",
]


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


class GroupTalkHeard(NamedTuple):
    """IGMP, MLD or a PIM hello came in from the port, or a query of a member (section 10.2).

    ``packet`` is the IP packet as the frame had it. From the port at most 256 a second, burst 512;
    of queries of all members at most 16, burst 32.
    """

    network: int
    vlan: int
    peer: bytes | None
    mac: bytes
    packet: bytes


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


class NeedReplicators(NamedTuple):
    """A broadcast waits for `SetReplication` with targets; at most one a second for a network."""

    network: int


class AssignmentUnknown(NamedTuple):
    """``peer`` had us replicate under an assignment that we do not hold; at most one a second."""

    peer: bytes
    network: int


class SourceStale(NamedTuple):
    """A broadcast of ``peer`` is of an older generation than one before; at most one a second.

    Somebody shows it again, or the clock of ``peer`` went back: it is to be asked.
    """

    peer: bytes
    network: int


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
    | GroupTalkHeard
    | Offence
    | NeedReplicators
    | AssignmentUnknown
    | SourceStale
    | KeySpent
)
