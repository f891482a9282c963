"""The door of a core to its engine where IPv4 is reached through NAT64 (section 8.8).

Inside, a place in IPv4 is called by its IPv4 endpoint, so that nothing that is told, limited,
remembered or compared depends on how this host happens to reach it. Only what goes to the engine
and comes from it has the addresses that are on the wire.
"""

from __future__ import annotations

from dataclasses import replace

from l2mesh.datapath.interface import (
    AddRelayLeg,
    ControlReceived,
    HandshakeReceived,
    Path,
    SendControl,
    SendDatagram,
    SendTwice,
    SetPath,
    SourceSeen,
    Upcall,
)
from l2mesh.node.effects import CoreOutput, OpenScout, SendOpener
from l2mesh.path.nat64 import Nat64
from l2mesh.path.size import payload_size

__all__ = ["inwards", "outwards"]


def outwards(output: CoreOutput, nat64: Nat64) -> CoreOutput:
    """A command with the endpoints to which datagrams are really sent."""
    match output:
        case SendControl(path=path) | SendDatagram(path=path):
            return replace(output, path=_real(path, nat64))
        case SetPath(path=path, spread=spread) if path is not None:
            real = _real(path, nat64)
            spread = tuple(nat64.synthesise(endpoint) for endpoint in spread)
            sizes = (payload_size(each) for each in (real, *map(Path, spread)))
            return replace(output, path=real, size=min(output.size, *sizes), spread=spread)
        case SendTwice(path=path) if path is not None:
            real = _real(path, nat64)
            return replace(output, path=real, size=min(output.size, payload_size(real)))
        case AddRelayLeg(endpoint=endpoint) | SendOpener(endpoint=endpoint) | OpenScout(endpoint):
            return replace(output, endpoint=nat64.synthesise(endpoint))
        case _:
            return output


def inwards(upcall: Upcall, nat64: Nat64) -> Upcall:
    """What the engine tells, with the endpoints as their owners know them."""
    match upcall:
        case HandshakeReceived() | ControlReceived() | SourceSeen():
            endpoint = nat64.original(upcall.path.endpoint)
            return upcall._replace(path=upcall.path._replace(endpoint=endpoint))
        case _:
            return upcall


def _real(path: Path, nat64: Nat64) -> Path:
    return path._replace(endpoint=nat64.synthesise(path.endpoint))
