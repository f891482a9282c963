"""Two session sets and a pipe between them, in virtual time.

Each `Host` has the least engine that checks what matters here: that every frame comes with an index
and key that the receiver knows, that no send key is ever installed twice, and that nothing is sent
without a key.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeGuard

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    Endpoint,
    InstallReceive,
    InstallSend,
    Path,
    RemoveReceive,
    RemoveSend,
    RemoveSession,
)
from l2mesh.errors import HandshakeError
from l2mesh.identity import Identity
from l2mesh.session.handshake import Role, open_init
from l2mesh.session.indices import IndexAllocator
from l2mesh.session.offering import Offering
from l2mesh.session.outputs import (
    ConnectFailed,
    SendHandshake,
    SessionCurrent,
    SessionDead,
    SessionLive,
    SessionOutput,
)
from l2mesh.session.sessions import SessionSet

CRYPTO = SodiumCrypto()
BOTH = frozenset(Cipher)
PATH = Path(Endpoint("192.0.2.1", 9993))
LATENCY_S = 0.02
NETWORK = 0xABCDEF0123000001


def identity(seed: int) -> Identity:
    random = Random(seed)
    return Identity.from_keys(random.randbytes(32), random.randbytes(32), CRYPTO)


@dataclass(frozen=True)
class Data:
    """A DATA datagram: sealed is as good as carrying the key."""

    index: int
    key: bytes
    content: object


Packet = bytes | Data


class Host:
    """A node with one peer."""

    def __init__(
        self, name: str, local: Identity, peer: Identity, random: Random, lanes: int = 1
    ) -> None:
        self.name = name
        self.local = local
        self.random = random
        self.indices = IndexAllocator(random.randbytes)
        self.ids = 0
        self.sessions = SessionSet(
            Offering(
                local=local,
                peer=peer.public,
                role=Role.NODE,
                crypto=CRYPTO,
                random=random.randbytes,
                ciphers=BOTH,
                software="l2mesh test",
                lanes=lanes,
            ),
            indices=self.indices,
            next_id=self.next_id,
        )
        self.receive: dict[int, InstallReceive] = {}
        self.control: dict[int, InstallSend] = {}
        self.send: dict[int, InstallSend] = {}
        self.lanes: dict[tuple[int, int], InstallSend] = {}
        """By network and lane, but for lane 0."""
        self.used_keys: set[bytes] = set()
        self.confirmed: set[int] = set()
        self.log: list[SessionOutput] = []
        self.got: list[object] = []
        self.refused: list[str] = []
        self.lost = 0

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def execute(self, output: SessionOutput) -> None:
        """The engine's part."""
        match output:
            case InstallReceive():
                assert output.index not in self.receive
                self.receive[output.index] = output
            case InstallSend():
                assert output.key not in self.used_keys, "a counter would start anew"
                self.used_keys.add(output.key)
                if output.lane:
                    assert self.send[output.network].session == output.session
                    self.lanes[output.network, output.lane] = output
                    return
                for lane in range(1, 8):
                    self.lanes.pop((output.network, lane), None)
                (self.send if output.network else self.control)[
                    output.network or output.session
                ] = output
            case RemoveReceive(index):
                del self.receive[index]
            case RemoveSend(_, network):
                del self.send[network]
                self.lanes = {lane: each for lane, each in self.lanes.items() if lane[0] != network}
            case RemoveSession(_, session):
                self.control.pop(session, None)
                keep = self.send.items()
                self.send = {net: each for net, each in keep if each.session != session}
                further = self.lanes.items()
                self.lanes = {lane: each for lane, each in further if each.session != session}
                table = self.receive.items()
                self.receive = {i: each for i, each in table if each.session != session}
            case _:
                pass

    def events(self, *kinds: type[SessionOutput]) -> list[SessionOutput]:
        return [each for each in self.log if isinstance(each, kinds)]


@dataclass
class World:
    """Two hosts, a pipe with latency, and a clock."""

    seed: int = 1
    now: float = 1000.0
    lanes: tuple[int, int] = (1, 1)
    """With how many each sends."""
    drop: Callable[[Host, Packet], bool] = lambda _host, _packet: False
    sent: list[tuple[Host, Packet]] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = Random(self.seed)
        # the first host has the smaller fingerprint
        ends = sorted((identity(self.seed), identity(self.seed + 1)), key=lambda i: i.fingerprint)
        self.a = Host("a", ends[0], ends[1], random, self.lanes[0])
        self.b = Host("b", ends[1], ends[0], random, self.lanes[1])
        self._order = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def other(self, host: Host) -> Host:
        return self.b if host is self.a else self.a

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, action))

    def transmit(self, host: Host, packet: Packet) -> None:
        self.sent.append((host, packet))
        if not self.drop(host, packet):
            self.at(self.now + LATENCY_S, lambda: self.arrive(self.other(host), packet))

    def arrive(self, host: Host, packet: Packet) -> None:
        if isinstance(packet, Data):
            self._arrive_data(host, packet)
        else:
            self._arrive_handshake(host, packet)
        self.pump(host)

    def _arrive_handshake(self, host: Host, datagram: bytes) -> None:
        sessions = host.sessions
        try:
            if datagram[0] == 1:
                opened = open_init(
                    datagram,
                    local=host.local,
                    role=Role.NODE,
                    crypto=CRYPTO,
                    random=host.random.randbytes,
                )
                sessions.receive_init(opened, self.now, PATH)
            elif datagram[0] == 2:
                sessions.receive_response(datagram, self.now)
            else:
                sessions.receive_cookie(datagram, self.now)
        except HandshakeError as error:
            host.refused.append(str(error))

    def _arrive_data(self, host: Host, data: Data) -> None:
        entry = host.receive.get(data.index)
        if entry is None or entry.key != data.key:
            host.lost += 1
            return
        if entry.session not in host.confirmed:
            host.confirmed.add(entry.session)
            host.sessions.confirmed(entry.session, self.now)
            self.pump(host)
            if entry.network == 0:  # an answer to the PROBE
                self.say(host, entry.session, None)
        if entry.network:
            host.got.append(data.content)
            host.sessions.note_frame(self.now)
        elif isinstance(data.content, tuple):
            network, indices = data.content
            session = entry.session
            host.sessions.announced(session, network, indices, self.now)

    def pump(self, host: Host) -> None:
        """Lets out what a host has to say, as a node would."""
        while (output := host.sessions.poll_output()) is not None:
            host.log.append(output)
            host.execute(output)
            if isinstance(output, SendHandshake):
                self.transmit(host, output.datagram)
            elif isinstance(output, SessionLive):
                if output.initiator:
                    self._probe(host, output.session, 0.25)
                for network in host.sessions.unannounced(output.session):
                    self.announce(host, output.session, network)

    def _probe(self, host: Host, session: int, wait: float) -> None:
        if session not in host.confirmed and session in host.control:
            self.say(host, session, None)
            self.at(self.now + wait, lambda: self._probe(host, session, 2 * wait))

    def say(self, host: Host, session: int, content: object) -> None:
        key = host.control[session]
        self.transmit(host, Data(key.index, key.key, content))

    def announce(self, host: Host, session: int, network: int) -> None:
        told = host.sessions.announcements(session, network)
        self.say(host, session, (network, [(each.lane, each.index) for each in told]))

    def frame(self, host: Host, content: object, network: int = NETWORK) -> bool:
        """Sends a frame if there is a key for it."""
        key = host.send.get(network)
        if key is None:
            return False
        host.sessions.note_frame(self.now)
        self.transmit(host, Data(key.index, key.key, content))
        return True

    def run(self, seconds: float) -> None:
        """Lets time pass: packets, timers and what `at` has planned."""
        end = self.now + seconds
        while True:
            due = [(host.sessions.next_timeout(), host) for host in (self.a, self.b)]
            timer = min((each for each, _ in due if each is not None), default=end + 1)
            event = self._events[0][0] if self._events else end + 1
            if min(timer, event) > end:
                break
            self.now = max(self.now, min(timer, event))
            if event <= timer:
                heapq.heappop(self._events)[2]()
            else:
                for host in (self.a, self.b):
                    host.sessions.handle_timeout(self.now)
            self.pump(self.a)
            self.pump(self.b)
        self.now = end

    def accept(self, network: int = NETWORK) -> None:
        for host in (self.a, self.b):
            host.sessions.accept(network, None, self.now)
            self.pump(host)

    def connect(self, host: Host | None = None) -> None:
        """A first session, and the time it takes."""
        (host or self.a).sessions.connect(self.now)
        self.pump(host or self.a)
        self.run(1.0)

    def agreed(self) -> bool:
        """Whether both ends send on keys of one handshake."""
        one, two = self.a.sessions.current, self.b.sessions.current
        if one is None or two is None:
            return False
        known = [(each.session, each.key) for each in self.b.receive.values()]
        return (two, self.a.control[one].key) in known


def inits(world: World, host: Host) -> list[bytes]:
    return [each for who, each in world.sent if who is host and is_handshake(each, 1)]


def is_handshake(packet: Packet, kind: int) -> TypeGuard[bytes]:
    return isinstance(packet, bytes) and packet[0] == kind


def connected(*, seed: int = 1) -> World:
    world = World(seed=seed)
    world.accept()
    world.connect()
    assert world.agreed()
    return world


def traffic(world: World, seconds: float, every: float = 0.05) -> tuple[list[str], list[str]]:
    """Frames from both ends at a steady pace; returns what each end was sent."""
    sent: tuple[list[str], list[str]] = ([], [])
    for step in range(int(seconds / every)):
        for host, texts in ((world.a, sent[1]), (world.b, sent[0])):
            text = f"{host.name}{step} at {world.now}"
            assert world.frame(host, text), f"no key to send at {world.now}"
            texts.append(text)
        world.run(every)
    world.run(1.0)
    return sent


__all__ = [
    "BOTH",
    "CRYPTO",
    "NETWORK",
    "PATH",
    "ConnectFailed",
    "Data",
    "Host",
    "SendHandshake",
    "SessionCurrent",
    "SessionDead",
    "SessionLive",
    "World",
    "connected",
    "identity",
    "inits",
    "is_handshake",
    "traffic",
]
