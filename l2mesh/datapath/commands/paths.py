"""Where datagrams go, and what is sent there as it is."""

from __future__ import annotations

from dataclasses import dataclass

from l2mesh.datapath.endpoint import Endpoint, Path

__all__ = [
    "AddRelayLeg",
    "RemoveRelay",
    "RemoveRelayLeg",
    "SendControl",
    "SendDatagram",
    "SendTwice",
    "SetPath",
    "SetRelay",
    "SetUnderlay",
]


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
