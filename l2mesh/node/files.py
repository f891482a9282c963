"""The state files of a node: one for each network, one for endpoints that worked.

They are MessagePack maps in the same strict form as messages. What is signed is kept as the exact
bytes that came and is verified again when it is read, so a changed file can do no more than a lost
one.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from l2mesh.address import format_network_id
from l2mesh.crypto import Crypto
from l2mesh.errors import CryptoError, MalformedPacket, StateError
from l2mesh.identity import PublicIdentity
from l2mesh.network.join import JoinMachine
from l2mesh.network.state import NetworkState
from l2mesh.node.joined import Joined, Options, StaticEntry
from l2mesh.switch.fdb import MAX_STATIC
from l2mesh.wire.body import pack, unpack

__all__ = ["PEERS_FILE", "PeersFile", "network_file", "read_network", "save_at", "write_network"]

PEERS_FILE: Final = "peers"
SCHEMA: Final = 1
FEW: Final = 64
"""Entries of a file that is written with every change of one."""


class NetworkFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one joined network."""

    schema: int
    network: int
    wanted: bytes | None = None
    token: bytes | None = None
    controller: bytes = b""
    config: bytes = b""
    credential: bytes = b""
    revocations: bytes = b""
    roster_revision: int = 0
    roster: list[tuple[bytes, bytes]] = []
    device: str | None = None
    bridge: str | None = None
    broadcast_route: bool = False
    routes: bool = False
    default_route: bool = False
    dns: bool = False
    replicate: bool = True
    carry: bool = True
    bond: bool = False
    static: Annotated[tuple[StaticEntry, ...], Meta(max_length=MAX_STATIC)] = ()


class PeersFile(msgspec.Struct, frozen=True, kw_only=True):
    """Endpoints that worked: (fingerprint, endpoint text)."""

    schema: int
    endpoints: list[tuple[bytes, str]] = []


def save_at(entries: int, now: float, *, due: float | None, within_s: float) -> float:
    """When a file of so many entries is written after a change of one: at once while they are few,
    since a kill loses nothing then; else within a time of the first change, all together.

    ``due`` is what this said of an earlier change that is not written yet.
    """
    if entries <= FEW:
        return now
    return now + within_s if due is None else due


def network_file(network: int) -> str:
    """The relative path of a network's state file."""
    return f"networks/{format_network_id(network)}"


def write_network(joined: Joined) -> bytes:
    """The content of a network's state file."""
    state, options = joined.state, joined.options
    return pack(
        NetworkFile(
            schema=SCHEMA,
            network=joined.network,
            wanted=joined.join.wanted,
            token=joined.token,
            controller=state.controller.encode() if state.controller is not None else b"",
            config=state.config_object,
            credential=state.credential_object,
            revocations=state.revocations_object,
            roster_revision=state.roster.revision,
            roster=[(entry.object, entry.public.encode()) for entry in state.roster],
            device=options.device,
            bridge=options.bridge,
            broadcast_route=options.broadcast_route,
            routes=options.routes,
            default_route=options.default_route,
            dns=options.dns,
            replicate=options.replicate,
            carry=options.carry,
            bond=options.bond,
            static=options.static,
        )
    )


def read_network(data: bytes, crypto: Crypto, fingerprint: bytes) -> Joined:
    """A joined network from its state file; raises MalformedPacket, CryptoError or StateError."""
    file = unpack(data, NetworkFile)
    if file.schema != SCHEMA:
        raise StateError(f"schema {file.schema} is not {SCHEMA}", hint="was a newer l2meshd here?")
    state = NetworkState(file.network, crypto)
    join = JoinMachine(file.network, crypto, wanted=file.wanted)
    options = Options(
        device=file.device,
        bridge=file.bridge,
        broadcast_route=file.broadcast_route,
        routes=file.routes,
        default_route=file.default_route,
        dns=file.dns,
        replicate=file.replicate,
        carry=file.carry,
        bond=file.bond,
        static=file.static,
    )
    joined = Joined(state, join, options=options, token=file.token)
    if file.controller:
        state.controller = PublicIdentity.decode(file.controller, crypto)
        join.controller_known()
        _read_objects(file, state, fingerprint)
    return joined


def _read_objects(file: NetworkFile, state: NetworkState, fingerprint: bytes) -> None:
    """Everything signed, verified again; the roster entry by entry, a bad one costs only itself."""
    if file.revocations:
        state.take_revocations(file.revocations)
    if file.config:
        state.take_config(file.config)
    if file.credential:
        state.take_credential(file.credential, fingerprint)
    for data, public in file.roster:
        try:
            state.roster.put(state.roster_entry(data, public))
        except (CryptoError, MalformedPacket):
            return  # an incomplete roster keeps revision 0 and is fetched whole
    state.roster.revision = file.roster_revision
