"""Peers as the engine knows them: keys of both directions, the path in use, traffic.

A peer is here while any command about it stands. Its objects are looked up once for each frame or
datagram and then read directly, so they are plain records without behaviour.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from l2mesh.crypto import Crypto
from l2mesh.datapath.interface import (
    Activity,
    Endpoint,
    InstallReceive,
    InstallSend,
    Path,
    RemoveReceive,
    RemoveSession,
    SetPath,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.flow import way_of
from l2mesh.datapath.reference.fragments import Assembly
from l2mesh.datapath.reference.superframe.split import SuperFrame
from l2mesh.datapath.reference.twice import Twin, whole_size
from l2mesh.session.replay import ReplayWindow
from l2mesh.wire.data import DATA_BIT, PIECE_HEAD_BYTES
from l2mesh.wire.relay import frame_relay

MOST_SPREAD: Final = 16
"""Endpoints of `SetPath.spread` that count."""
_ETHERTYPES: Final = {4: b"\x08\x00", 6: b"\x86\xdd"}
"""By IP version."""


@dataclass(slots=True, eq=False)
class Session:
    """One session with a peer."""

    number: int
    is_confirmed: bool = False
    """Whether something authentic has come on it."""


@dataclass(slots=True, eq=False)
class SendKey:
    """What seals one direction of a session for one network."""

    session: int
    word: int
    """First half of the DATA header without flags: 0x80 u8 | index u24."""
    seal: Callable[[int, bytes, bytes], bytes]
    seal_run: Callable[[int, bytes, int, int], bytes]
    alert: int
    """From this counter on somebody must look before sending."""
    elided: bytes | None = None
    """First twelve bytes of frames whose Ethernet header may be left out."""
    counter: int = 0
    """The next one to use."""


@dataclass(slots=True, eq=False)
class Held:
    """A frame that waits for a key or a path."""

    network: int
    frame: bytes
    is_open: bool
    """Whether its L4 checksum is open."""
    whole: SuperFrame | None
    """When it is one."""
    until: float
    is_group: bool = False
    """It is the plaintext of GROUP."""


@dataclass(slots=True, eq=False)
class Peer:
    """Everything about one peer."""

    fingerprint: bytes
    path: Path | None = None
    endpoint: Endpoint | None = None
    """Where datagrams go; None: nowhere, frames are held."""
    spread: tuple[Endpoint, ...] = ()
    """Where frames go instead, each flow to one of them; empty: all to `endpoint`."""
    relay: int = 0
    relay_head: bytes = b""
    """What goes before each datagram on a relayed path."""
    whole: int = 0
    """Length of the largest frame that fits one datagram of the path."""
    piece: int = 1
    """Bytes of a frame that a FRAG datagram carries."""
    room: int = 0
    """What `whole` is without a twin."""
    twin: Twin | None = None
    """The path by which datagrams leave as well."""
    activity: Activity = field(default_factory=Activity)
    send: dict[int, SendKey] = field(default_factory=dict)
    """By network."""
    control: dict[int, SendKey] = field(default_factory=dict)
    """Those of network 0, by session."""
    receive: "dict[int, ReceiveKey]" = field(default_factory=dict)
    """By index."""
    sessions: dict[int, Session] = field(default_factory=dict)
    memberships: int = 0
    """Number of open ports whose member it is."""
    held: deque[Held] = field(default_factory=deque)
    held_bytes: int = 0
    asked: dict[int, float] = field(default_factory=dict)
    """Network -> when a session for it was last asked for."""
    seen: dict[Path, float] = field(default_factory=dict)
    """Path -> when it was last reported as a new source."""
    assemblies: dict[int, Assembly] = field(default_factory=dict)
    """Index and frame id -> unfinished frame, the oldest first."""
    assembly_bytes: int = 0

    def endpoint_of(self, frame: bytes) -> Endpoint | None:
        """Where the datagrams of a frame go."""
        return self.spread[way_of(frame, len(self.spread))] if self.spread else self.endpoint

    def set_twin(self, twin: Twin | None) -> None:
        """Another twin or none: frames are cut to what both paths carry. One by which all frames
        leave already is none."""
        if twin is not None and twin.path == self.path and not self.spread:
            twin = None
        self.twin = twin
        self.whole = self.room if twin is None else min(self.room, twin.whole)
        self.piece = max(1, self.whole - PIECE_HEAD_BYTES)


@dataclass(slots=True, eq=False)
class ReceiveKey:
    """What opens DATA on one receive index."""

    peer: Peer
    session: Session
    network: int
    index: int
    open: Callable[[int, bytes, bytes], bytes]
    open_run: Callable[[int, bytes, int, int], tuple[bytes, int]]
    elided: dict[int, bytes]
    """The Ethernet header that may be left out, by IP version; empty: none."""
    window: ReplayWindow = field(default_factory=ReplayWindow)


class Peers:
    """All peers, and the table of receive indices."""

    __slots__ = ("_bounds", "_crypto", "indices", "table")

    table: dict[bytes, Peer]
    """By fingerprint."""
    indices: dict[int, ReceiveKey]
    """By the whole 24-bit receive index."""

    def __init__(self, crypto: Crypto, bounds: Bounds) -> None:
        self._crypto = crypto
        self._bounds = bounds
        self.table = {}
        self.indices = {}

    def obtain(self, fingerprint: bytes) -> Peer:
        """The peer, a new one if need be."""
        peer = self.table.get(fingerprint)
        if peer is None:
            peer = self.table[fingerprint] = Peer(fingerprint)
        return peer

    def release(self, peer: Peer) -> None:
        """Forget a peer if nothing stands about it any more."""
        if not (peer.path or peer.send or peer.control or peer.receive or peer.memberships):
            self.table.pop(peer.fingerprint, None)

    def install_receive(self, command: InstallReceive, now: float) -> None:
        """A receive index; one that is in use is replaced."""
        peer = self.obtain(command.peer)
        self._forget_index(command.index)
        session = peer.sessions.get(command.session)
        if session is None:
            session = peer.sessions[command.session] = Session(command.session)
        transport = self._crypto.transport(command.cipher, command.key, command.salt)
        addresses = command.elided
        elided = {ip: addresses + of for ip, of in _ETHERTYPES.items()} if addresses else {}
        network, index = command.network, command.index
        key = ReceiveKey(peer, session, network, index, transport.open, transport.open_run, elided)
        self.indices[command.index] = peer.receive[command.index] = key

    def install_send(self, command: InstallSend) -> Peer:
        """A send key in place of the one before."""
        peer = self.obtain(command.peer)
        transport = self._crypto.transport(command.cipher, command.key, command.salt)
        word = DATA_BIT << 24 | command.index
        alert = self._bounds.rekey_counter
        seal, seal_run = transport.seal, transport.seal_run
        key = SendKey(command.session, word, seal, seal_run, alert, command.elided)
        if command.network:
            peer.send[command.network] = key
        else:
            peer.control[command.session] = key
        return peer

    def remove_receive(self, command: RemoveReceive, now: float) -> None:
        """DATA on it meets silence."""
        key = self._forget_index(command.index)
        if key is not None:
            self.release(key.peer)

    def remove_session(self, command: RemoveSession, now: float) -> None:
        """Every key of it."""
        peer = self.table.get(command.peer)
        if peer is None:
            return
        for index in [
            i for i, key in peer.receive.items() if key.session.number == command.session
        ]:
            self._forget_index(index)
        for network in [n for n, key in peer.send.items() if key.session == command.session]:
            del peer.send[network]
        peer.control.pop(command.session, None)
        peer.sessions.pop(command.session, None)
        self.release(peer)

    def set_path(self, command: SetPath) -> Peer:
        """Where a peer is reached from now on, and how much fits into a datagram there."""
        peer = self.obtain(command.peer)
        path = peer.path = command.path
        peer.endpoint = path.endpoint if path else None
        peer.relay = path.relay if path else 0
        peer.relay_head = frame_relay(path.relay, b"") if path and path.relay else b""
        peer.room = whole_size(path, command.size)
        peer.spread = command.spread[:MOST_SPREAD] if path and not path.relay else ()
        peer.set_twin(peer.twin)
        return peer

    def _forget_index(self, index: int) -> ReceiveKey | None:
        key = self.indices.pop(index, None)
        if key is not None:
            del key.peer.receive[index]
        return key
