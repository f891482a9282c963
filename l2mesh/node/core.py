"""The core that every daemon has: peers with sessions, channels and paths, and a table of verbs.

It decides nothing about networks, planets or membership; those are parts (``part.py``) that
register handlers for their verbs and hear what happens to peers. What the engine tells comes in
through ``handle_upcall``, what should be done leaves through ``poll_output``. A core reads no
clock, draws no randomness of its own and opens no socket.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import floor
from typing import Final

from l2mesh.crypto import Cipher, Crypto, Random
from l2mesh.datapath.interface import (
    Activity,
    ControlReceived,
    Endpoint,
    HandshakeReceived,
    KeySpent,
    Path,
    SessionConfirmed,
    SetGuard,
    SetPath,
    SourceSeen,
    Upcall,
)
from l2mesh.datapath.streams import SCOUT
from l2mesh.errors import StateError
from l2mesh.identity import Identity, PublicIdentity, address_of
from l2mesh.node import control, handshakes, pump
from l2mesh.node.effects import CoreOutput
from l2mesh.node.nat64 import inwards, outwards
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.pings import Pings
from l2mesh.path.nat64 import Nat64
from l2mesh.path.paths import PathSet
from l2mesh.path.probe import ProbeLimiter
from l2mesh.path.reach import Reach
from l2mesh.path.uplinks import MAX_NAMED
from l2mesh.session.handshake import Role
from l2mesh.session.indices import IndexAllocator
from l2mesh.session.offering import Offering
from l2mesh.session.sessions import SessionSet
from l2mesh.timers import TimerTable
from l2mesh.wire.control import Close, CloseReason, encode_records
from l2mesh.wire.message import PRIORITY, Message, encode_message

__all__ = ["BY_ROLE", "Core", "Settings"]

log = logging.getLogger(__name__)

STRANGER_S: Final = 10.0
"""A peer that no part knows goes after so long (section 3.7)."""
MAX_ADDRESSES: Final = 4096
MAX_STRANGERS: Final = 256
BY_ROLE: Final = "role"
"""Planets and controllers are kept for what they are."""

Admission = Callable[[PublicIdentity, float], bool]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a core is given at birth."""

    identity: Identity
    crypto: Crypto
    random: Random
    unix_now: Callable[[], float]
    """Wall clock in Unix seconds; only credentials with a lifetime ask."""
    activity: Callable[[bytes], Activity]
    """The engine's traffic figures of a peer."""
    role: Role = Role.NODE
    """As what others address us."""
    direct: bool = True
    """Whether direct paths are used and offered (``--relay-only``: no)."""
    lanes: int = 1
    """With how many threads the engine sends, 1 to 8."""
    watch: bool = True
    """Look at every live peer's traffic once a second (a planet leaves heartbeats to its
    clients)."""


@dataclass(slots=True)
class Core:
    """Peers and what passes between them and us."""

    settings: Settings
    peers: dict[bytes, Peer] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    admit: Admission | None = None
    """Asked before a stranger's INIT makes a peer; None: everybody up to the limit."""
    local_endpoints: tuple[Endpoint, ...] = ()
    uplinks: tuple[int, ...] = ()
    """Uplinks beside the host's own choice, see `l2mesh.path.uplinks`."""
    nat64: Nat64 | None = None
    """By which IPv4 is reached; None: by itself, or not at all."""
    is_closing: bool = False
    direct: bool = field(init=False)
    """Whether direct paths are used and offered now."""
    handlers: dict[type, Handler] = field(default_factory=dict)
    initiations: dict[int, bytes] = field(default_factory=dict)
    """Handshake number -> peer, to find whom a RESPONSE or COOKIE is for."""
    pings: Pings = field(init=False)
    limiter: ProbeLimiter = field(default_factory=ProbeLimiter)
    reach: Reach = field(default_factory=Reach)
    outputs: deque[CoreOutput] = field(default_factory=deque)
    refused: dict[str, int] = field(default_factory=dict)
    """Handshakes and control messages that were refused, by reason."""
    indices: IndexAllocator = field(init=False)
    timers: TimerTable[bytes] = field(default_factory=TimerTable)
    _addresses: dict[bytes, bytes] = field(default_factory=dict)
    _last_session: int = 0
    _frame_at: float = float("-inf")
    """The last frame with anybody: while there are any, controllers are worth a direct path."""

    def __post_init__(self) -> None:
        self.indices = IndexAllocator(self.settings.random)
        self.pings = Pings(self.settings.random)
        self.direct = self.settings.direct

    def address(self, fingerprint: bytes) -> bytes:
        """The 40-bit address of a fingerprint (costs 2 MiB of hashing the first time)."""
        address = self._addresses.get(fingerprint)
        if address is None:
            address = address_of(fingerprint, self.settings.crypto) or bytes(5)
            if len(self._addresses) >= MAX_ADDRESSES:
                self._addresses.clear()
            self._addresses[fingerprint] = address
        return address

    # --- parts ----------------------------------------------------------------------------------

    def add_part(self, part: Part) -> None:
        """Give a part its hooks and verbs. Two parts never handle the same verb."""
        self.parts.append(part)
        for message_type, handler in part.handlers().items():
            if message_type in self.handlers:
                raise StateError(f"two parts handle {message_type.__name__}")
            self.handlers[message_type] = handler

    def start(self, now: float) -> None:
        """Begin: arm the engine's handshake guard. Strangers meet silence until then."""
        public = self.settings.identity.public.exchange
        self.emit(SetGuard(public=public, secret=self.settings.random(32)))

    def close(self, now: float) -> None:
        """Leave in good order: tell every live peer."""
        self.is_closing = True
        for peer in list(self.peers.values()):
            control.say(self, peer, encode_records([Close(CloseReason.LEAVING)]))

    # --- the face towards the runtime -----------------------------------------------------------

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        """One upcall of the engine."""
        if self.nat64 is not None:
            upcall = inwards(upcall, self.nat64)
        match upcall:
            case HandshakeReceived(datagram, path):
                handshakes.receive(self, datagram, path, now)
            case ControlReceived() if upcall.path.endpoint != SCOUT:
                control.receive(self, upcall, now)
            case SessionConfirmed() | SourceSeen() | KeySpent():
                if peer := self.peers.get(upcall.peer):
                    _tell(peer, upcall, now)
                    self.touch(peer, now)
            case _:
                for part in self.parts:
                    part.handle_upcall(upcall, now)

    def handle_timeout(self, now: float) -> None:
        """Everything that is due."""
        for fingerprint in self.timers.pop_due(now):
            if peer := self.peers.get(fingerprint):
                self._tick(peer, now)
        for part in self.parts:
            due = part.next_timeout()
            if due is not None and due <= now:
                part.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """When something is due next."""
        soonest = self.timers.next()
        for part in self.parts:  # asked after each event, so without a list of them all
            due = part.next_timeout()
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest

    def poll_output(self) -> CoreOutput | None:
        """The next engine command or effect."""
        if not self.outputs:
            return None
        output = self.outputs.popleft()
        return output if self.nat64 is None else outwards(output, self.nat64)

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """The host's own addresses with our port, best first."""
        if endpoints != self.local_endpoints:
            self.local_endpoints = endpoints
            self.limiter.moved()
            for part in self.parts:
                part.local_endpoints_changed(now)

    def set_uplinks(self, named: tuple[int, ...], now: float, *, lost: bool = False) -> None:
        """The host's uplinks beside its own choice, the best first; ``lost``: its own choice is
        down, or is another one from now on."""
        if named == self.uplinks and not lost:
            return
        self.uplinks = named[:MAX_NAMED]
        # planets first: relays go by their paths
        for peer in sorted(self.peers.values(), key=lambda each: not each.is_planet):
            peer.paths.set_uplinks(self.uplinks, now, lost=lost)
            self.touch(peer, now)
        for part in self.parts:
            part.uplinks_changed(now)

    def set_nat64(self, nat64: Nat64 | None, now: float) -> None:
        """IPv4 is reached by this gateway from now on; None: by itself, or not at all."""
        if nat64 == self.nat64:
            return
        self.nat64 = self.reach.nat64 = nat64
        self.limiter.moved()
        for peer in self.peers.values():
            if (path := peer.paths.active) is not None:
                self.emit(SetPath(peer.fingerprint, path, peer.paths.size))
        for part in self.parts:
            part.nat64_changed(now)

    def set_families(self, families: frozenset[int], now: float) -> None:
        """The versions of IP by which the host has a way out; nothing else is tried."""
        if families == self.reach.families:
            return
        self.reach.families = families
        for part in self.parts:
            part.families_changed(now)

    def set_direct(self, direct: bool, now: float) -> None:  # noqa: FBT001 - its only matter
        """Use and offer direct paths from now on, or relays alone, as ``--relay-only`` says."""
        if direct == self.direct:
            return
        self.direct = direct
        for peer in list(self.peers.values()):
            if not peer.is_planet:
                peer.paths.set_direct(direct, now)
                self.touch(peer, now)
        for part in self.parts:
            part.direct_changed(now)

    # --- for parts and handlers -----------------------------------------------------------------

    def emit(self, output: CoreOutput) -> None:
        """Queue an engine command or an effect."""
        self.outputs.append(output)

    def add_peer(
        self, public: PublicIdentity, now: float, *, role: Role = Role.NODE, always: bool = False
    ) -> Peer:
        """The peer with this identity, made if it is new. ``always`` keeps its session renewed."""
        peer = self.peers.get(public.fingerprint)
        if peer is None:
            peer = self._make_peer(public, role, now)
            self.peers[public.fingerprint] = peer
            for part in self.parts:
                part.peer_added(peer, now)
        if always:
            peer.keep(BY_ROLE)
        self.touch(peer, now)
        return peer

    def connect(self, peer: Peer, now: float) -> None:
        """Make sure that a session is live or under way; it waits for a path where there is
        none."""
        peer.is_wanted = True
        if peer.paths.handshake_paths():
            peer.sessions.connect(now)
        self.touch(peer, now)

    def add_relay(self, peer: Peer, path: Path, now: float) -> None:
        """A relay to a peer is ready: whoever was wanted is now tried there."""
        peer.paths.add_relay(path, now)
        if peer.is_wanted and not peer.is_live:
            peer.sessions.connect(now)
        self.touch(peer, now)

    def stream_closed(self, endpoint: Endpoint, now: float) -> None:
        """Nobody is reached by this stream any more."""
        path = Path(endpoint)
        for peer in list(self.peers.values()):
            if path in peer.paths.relays:
                peer.paths.remove_relay(path, now)
                self.touch(peer, now)

    def receive_close(self, peer: Peer, session: int, reason: int, now: float) -> None:
        """The peer has dropped a session; if it leaves, all of them are worth nothing any more."""
        if reason != CloseReason.LEAVING:
            peer.sessions.drop(session, now)
        elif self.knows(peer):
            peer.sessions.close(now)
            self.touch(peer, now)
        else:
            self.remove_peer(peer, now)

    def send(self, peer: Peer, message: Message, now: float) -> None:
        """Send a message reliably; dropped with a count when too many wait already."""
        try:
            peer.queue(PRIORITY[type(message)], encode_message(message), now)
        except StateError:
            self.refuse("channel_full")
        self.touch(peer, now)

    def send_on(self, peer: Peer, session: int, message: Message, now: float) -> None:
        """Send a message reliably that belongs to one live session, and never on another."""
        try:
            peer.queue_on(session, PRIORITY[type(message)], encode_message(message), now)
        except StateError:
            self.refuse("channel_full")
        self.touch(peer, now)

    def remove_peer(self, peer: Peer, now: float) -> None:
        """Forget a peer: sessions, keys, paths."""
        peer.sessions.close(now)
        pump.drain(self, peer, now)
        for part in self.parts:
            part.peer_removed(peer, now)
        self.peers.pop(peer.fingerprint, None)
        self.timers.cancel(peer.fingerprint)
        self.emit(SetPath(peer.fingerprint, None))

    def touch(self, peer: Peer, now: float) -> None:
        """After anything that may have changed a peer: let out what it has to say, set its
        timer."""
        pump.drain(self, peer, now)
        if peer.fingerprint not in self.peers:
            return
        due = [peer.sessions.next_timeout(), peer.paths.next_timeout()]
        due += [channel.next_timeout() for channel in peer.channels.values()]
        if (peer.is_live and self.settings.watch) or peer.sessions.always:
            due.append(self._next_look(peer))
        if not self.knows(peer):
            due.append(peer.since + STRANGER_S)
        deadlines = [at for at in due if at is not None]
        if deadlines:
            self.timers.set(peer.fingerprint, min(deadlines))
        else:
            self.timers.set(peer.fingerprint, now + STRANGER_S)

    def knows(self, peer: Peer) -> bool:
        """Whether the peer is more than a stranger."""
        return peer.sessions.always or any(part.knows(peer) for part in self.parts)

    def may_add_stranger(self, public: PublicIdentity, now: float) -> bool:
        """Whether an INIT of somebody unknown may make a peer."""
        if self.admit is not None:
            return self.admit(public, now)
        strangers = sum(1 for peer in self.peers.values() if not self.knows(peer))
        return strangers < MAX_STRANGERS

    def refuse(self, reason: str) -> None:
        """Count something that was refused."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def next_session(self) -> int:
        """A session number that this process has not used."""
        self._last_session += 1
        return self._last_session

    # --- inside ---------------------------------------------------------------------------------

    def _make_peer(self, public: PublicIdentity, role: Role, now: float) -> Peer:
        settings = self.settings
        sessions = SessionSet(
            Offering(
                local=settings.identity,
                peer=public,
                role=role,
                crypto=settings.crypto,
                random=settings.random,
                ciphers=ciphers_of(settings.crypto),
                lanes=settings.lanes,
            ),
            indices=self.indices,
            next_id=self.next_session,
        )
        is_planet = role is Role.PLANET  # planets know our address in any case
        direct = self.direct or is_planet
        paths = PathSet(
            random=settings.random, limiter=self.limiter, reach=self.reach, direct=direct
        )
        paths.set_uplinks(self.uplinks, now)
        return Peer(public, sessions, paths, since=now, looked_at=now, is_planet=is_planet)

    def _next_look(self, peer: Peer) -> float:
        """When traffic with a peer is looked at: all peers at the same moments, so that a node
        sleeps in between, and other nodes at others. What comes meanwhile puts off nothing."""
        every = peer.paths.tick_s
        phase = self.settings.identity.public.fingerprint[0] / 256
        turn = floor(peer.looked_at / every - phase + 1 / 8) + 1  # an eighth of a turn at least
        return (turn + phase) * every

    def _tick(self, peer: Peer, now: float) -> None:
        peer.looked_at = now
        activity = self.settings.activity(peer.fingerprint)
        peer.sessions.note_frame(activity.frame)
        self._frame_at = max(self._frame_at, activity.frame)
        peer.paths.note_activity(activity.sent, activity.received, activity.frame, now)
        if peer.sessions.always:
            peer.paths.note_need(self._frame_at)
        peer.sessions.handle_timeout(now)
        peer.paths.handle_timeout(now)
        if peer.sessions.always and not peer.is_live and peer.paths.handshake_paths():
            peer.sessions.connect(now)
        for channel in peer.channels.values():
            channel.handle_timeout(now)
        self.touch(peer, now)
        if not self.knows(peer) and now >= peer.since + STRANGER_S:
            self.remove_peer(peer, now)


def _tell(peer: Peer, upcall: SessionConfirmed | SourceSeen | KeySpent, now: float) -> None:
    """What concerns one peer's sessions and paths alone."""
    match upcall:
        case SessionConfirmed(_, session):
            peer.sessions.confirmed(session, now)
        case KeySpent(_, session):
            peer.sessions.key_spent(session, now)
        case SourceSeen(_, _, path) if path.endpoint != SCOUT:
            peer.paths.source_seen(path, now)


def ciphers_of(crypto: Crypto) -> frozenset[Cipher]:
    """What this machine offers: AES-256-GCM only with hardware for it."""
    ciphers: Iterable[Cipher] = (
        (Cipher.AES_256_GCM, Cipher.CHACHA20_POLY1305)
        if crypto.has_aes()
        else (Cipher.CHACHA20_POLY1305,)
    )
    return frozenset(ciphers)
