"""The native engine against the reference one: the same inputs, and everything compared.

Two engines of each kind, `a` and `b`, live the same life: commands, frames and datagrams of any
sort, and timeouts. After each step the two kinds must have given out the same, in the same order,
and must show the same tables and counters. Datagrams are those that the engines made, also again,
damaged, out of order, from the wrong place, and handed to the other of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    GSO_NONE,
    GSO_TCP4,
    GSO_TCP6,
    GSO_UDP,
    AddRelayLeg,
    ClosePort,
    Command,
    Deliver,
    Endpoint,
    FlushPeer,
    InstallReceive,
    InstallSend,
    Limits,
    Offload,
    OpenPort,
    Path,
    PortOffloads,
    Received,
    RemoveMember,
    RemoveReceive,
    RemoveRelay,
    RemoveRelayLeg,
    RemoveSend,
    RemoveSession,
    SendControl,
    SendDatagram,
    SetGuard,
    SetLimits,
    SetMember,
    SetPath,
    SetPortOffloads,
    SetRelay,
    SetUnderlay,
    Transmit,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.session.macs import CookieSecret, mac1_key
from l2mesh.wire.data import HEADER, PIECE_HEAD
from l2mesh.wire.relay import frame_relay
from tests.engine.lab import make_engine, make_random

pytest.importorskip("l2mesh.datapath._native", reason="the native engine has not been built")

NAMES = "ab"
NETWORKS = (1, 2)
SESSIONS = (5, 6)
PEERS = [bytes([number]) * 32 for number in range(1, 6)]
"""The first two are the engines themselves, as the other one knows them."""
MACS = [bytes([2, 0, 0, 0, 0, number]) for number in range(1, 9)]
HOSTS = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1", "2001:db8::2", "203.0.113.9"]
ENDPOINTS = [Endpoint(host, 9000 + n) for n, host in enumerate(HOSTS)]
RELAYS = (77, 78, 2**56 - 1)
PUBLIC = bytes(range(32))
SEED = b"s" * 32
OWN = Endpoint("10.0.0.1", 9993)

SMALL = Bounds(
    rekey_counter=40,
    refuse_counter=90,
    held_frames=4,
    held_bytes=4000,
    sources_remembered=2,
    fragment_frames=3,
    fragment_bytes=6000,
    pieces=6,
    fdb_per_peer=3,
    fdb_per_network=6,
    control_upcalls=4,
    event_upcalls=6,
    handshake_upcalls=4,
    guard_burst=2,
    guard_prefixes=2,
    relay_rate=5,
    relay_burst=6,
)


def key_of(*parts: object) -> bytes:
    return blake2s(repr(parts).encode()).digest()


def index_of(*parts: object) -> int:
    """Few slots, so that some are shared."""
    return int.from_bytes(key_of("index", *parts)[:2], "big") % 4 << 16 | key_of(*parts)[0] % 16 + 1


# --- strategies ---------------------------------------------------------------------------------

networks = st.sampled_from(NETWORKS)
peers = st.sampled_from(PEERS)
sessions = st.sampled_from(SESSIONS)
macs = st.sampled_from(MACS)
endpoints = st.sampled_from(ENDPOINTS)
relays = st.sampled_from(RELAYS)
ciphers = st.sampled_from(list(Cipher))
paths = st.builds(Path, endpoints, st.one_of(st.just(0), relays))
targets = st.one_of(
    macs,
    st.sampled_from(
        [
            b"\xff" * 6,
            bytes.fromhex("0180c2000000"),
            bytes.fromhex("0180c2000010"),
            b"\1\0\x5e\0\0\1",
        ]
    ),
    st.binary(min_size=6, max_size=6),
)
sources = st.one_of(macs, st.sampled_from([bytes(6), b"\1\0\x5e\0\0\1"]))
rates = st.sampled_from([None, 0, 1, 3])
elisions = st.one_of(st.none(), st.builds(lambda one, two: one + two, macs, macs))


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    value = sum(int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2))
    return value % 0xFFFF or (0xFFFF if value else 0)


@st.composite
def packets(draw: st.DrawFn) -> tuple[int, bytes, int, int]:
    """(ethertype, IP packet, bytes before its L4 header, protocol), mostly sound."""
    payload = draw(st.one_of(st.binary(max_size=40), st.integers(0, 4000).map(bytes)))
    protocol = draw(st.sampled_from([6, 6, 17, 17, 1]))
    ports = draw(st.sampled_from([(1, 2), (OWN.port, 7), (7, OWN.port)]))
    head = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    if protocol == 6:
        flags = draw(st.sampled_from([0x10, 0x18, 0x11, 0x90, 0x30, 0x50]))
        options = draw(
            st.sampled_from([b"", b"\1\1\x08\x0a" + bytes(8), b"\x13\x12" + bytes(18), b"\0\0\0\0"])
        )
        offset = (20 + len(options)) // 4 << 4
        l4 = head + (1000).to_bytes(4, "big") + bytes(4) + bytes([offset, flags]) + b"\1\0"
        l4 += bytes(4) + options + payload
    elif protocol == 17:
        l4 = head + (8 + len(payload)).to_bytes(2, "big") + bytes(2) + payload
    else:
        l4 = payload
    if draw(st.booleans()):
        options = draw(st.sampled_from([b"", b"", bytes(4)]))
        fragment = draw(st.sampled_from([0x4000, 0x4000, 0, 0x2000, 7]))
        total = 20 + len(options) + len(l4) + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        ip = bytes([0x45 + len(options) // 4, 0]) + (total & 0xFFFF).to_bytes(2, "big") + b"\0\5"
        ip += fragment.to_bytes(2, "big") + bytes([64, protocol]) + bytes(2)
        ip += draw(st.sampled_from([bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])])) + b"\x0a\0\0\3"
        ip = ip[:10] + (0xFFFF - checksum(ip)).to_bytes(2, "big") + ip[12:] + options
        kind, pseudo = (
            0x0800,
            ip[12:20] + bytes([0, protocol]) + (len(l4) & 0xFFFF).to_bytes(2, "big"),
        )
    else:
        ip = b"\x60\0\0\0" + (len(l4) & 0xFFFF).to_bytes(2, "big") + bytes([protocol, 64])
        ip += bytes(15) + b"\1" + bytes(15) + b"\2"
        kind, pseudo = 0x86DD, ip[8:40] + (len(l4)).to_bytes(4, "big") + bytes([0, 0, 0, protocol])
    at = {6: 16, 17: 6}.get(protocol)
    if at is not None:
        l4 = l4[:at] + checksum(pseudo).to_bytes(2, "big") + l4[at + 2 :]
        if draw(st.booleans()):  # complete it
            l4 = l4[:at] + (0xFFFF - checksum(pseudo[:0] + l4)).to_bytes(2, "big") + l4[at + 2 :]
    return kind, ip + l4, len(ip), protocol


@st.composite
def frames(draw: st.DrawFn) -> tuple[bytes, Offload | None]:
    """A frame and what a kernel might say of it."""
    addresses = draw(targets) + draw(sources)
    tags = draw(st.sampled_from([b"", b"", b"", b"\x81\0\0\7", b"\x88\xa8\0\7\x81\0\0\x09"]))
    if not draw(st.integers(0, 3)):
        kind = draw(st.sampled_from([0x0806, 0x8100, 0x88B5, 0x0800]))
        body = draw(st.binary(max_size=60))
        frame = addresses + tags + kind.to_bytes(2, "big") + body
        cut = draw(st.one_of(st.none(), st.none(), st.integers(0, 20)))
        return frame[:cut], None
    kind, packet, before, protocol = draw(packets())
    head = addresses + tags + kind.to_bytes(2, "big")
    frame = head + packet + bytes(draw(st.sampled_from([0, 0, 0, 6])))
    if draw(st.booleans()):
        return frame, None
    offset = 6 if protocol == 17 else 16
    gso = GSO_UDP if protocol == 17 else GSO_TCP4 if kind == 0x0800 else GSO_TCP6
    offload = Offload(
        gso_type=draw(st.sampled_from([gso, gso, GSO_NONE, GSO_NONE, GSO_TCP4, 0x10, 0x81])),
        gso_size=draw(st.sampled_from([100, 500, 1448, 1, 0])),
        csum_start=len(head) + before + draw(st.sampled_from([0, 0, 0, 0, 2, 9000])),
        csum_offset=offset + draw(st.sampled_from([0, 0, 0, 0, -2])),
        needs_csum=draw(st.sampled_from([True, True, True, False])),
        ecn=draw(st.sampled_from([False, False, False, True])),
    )
    return frame, offload


def with_peer(
    kind: Callable[..., Command], **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Command]:
    return st.builds(kind, peer=peers, **fields)


commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(OpenPort, networks, macs, st.sampled_from([100, 1500, 9000]), st.booleans()),
    st.builds(ClosePort, networks),
    st.builds(
        SetPortOffloads,
        networks,
        st.sampled_from(
            [
                PortOffloads(),
                PortOffloads(checksum=True),
                PortOffloads(checksum=True, tso=True),
                PortOffloads(checksum=True, tso=True, uso=True),
            ]
        ),
    ),
    st.builds(SetMember, networks, peers, macs, st.booleans()),
    st.builds(SetMember, networks, peers, macs, st.booleans()),
    st.builds(RemoveMember, networks, peers),
    st.builds(FlushPeer, networks, st.one_of(st.none(), peers)),
    st.builds(
        SetLimits,
        networks,
        st.builds(
            Limits,
            rates,
            rates,
            rates,
            st.booleans(),
            st.sampled_from(["default", "strict", "off"]),
        ),
    ),
    st.builds(
        SetPath,
        peers,
        st.one_of(st.none(), paths, paths),
        st.sampled_from([1472, 1452, 300, 60, 20, -5]),
    ),
    st.builds(RemoveSend, peers, networks),
    st.builds(RemoveSession, peers, sessions),
    st.builds(RemoveReceive, st.integers(1, 20)),
    st.builds(AddRelayLeg, relays, endpoints),
    st.builds(RemoveRelayLeg, relays),
    st.builds(SetRelay, relays, endpoints, endpoints, peers, peers),
    st.builds(RemoveRelay, relays),
    st.builds(
        SetUnderlay,
        st.just(OWN.port),
        st.sampled_from([frozenset(), frozenset({OWN.host, "2001:db8::9"}), frozenset({"::1"})]),
    ),
    st.builds(SetGuard, st.just(PUBLIC), st.just(SEED), st.sampled_from([0, 2, 20])),
    st.builds(SendControl, peers, sessions, st.binary(max_size=30), paths),
    st.builds(SendDatagram, st.binary(max_size=30), paths),
)


class Pair:
    """An engine of each kind that live the same life."""

    def __init__(self, bounds: Bounds) -> None:
        crypto = SodiumCrypto()
        kinds = ("reference", "native")
        self.engines = [
            make_engine(kind, crypto=crypto, random=make_random(), bounds=bounds) for kind in kinds
        ]

    def __call__(self, name: str, *arguments: object) -> Any:
        """Call both and compare; what they answered."""
        ours, theirs = (getattr(engine, name)(*arguments) for engine in self.engines)
        assert theirs == ours, f"{name}{arguments}"
        return ours

    def take(self) -> list[Any]:
        """Everything that they gave out."""
        taken = []
        while (output := self("poll_output")) is not None:
            taken.append(output)
        return taken


class Life(RuleBasedStateMachine):
    """What may happen to two nodes."""

    bounds = Bounds()

    def __init__(self) -> None:
        super().__init__()
        self.pairs = {name: Pair(self.bounds) for name in NAMES}
        self.now = 1000.0
        self.made: list[bytes] = [b"", b"\x80"]
        self.upcalls = 0
        self.send_counters: dict[tuple[object, ...], int] = {}

    def do(self, name: str, *commands: Command) -> None:
        for command in commands:
            self.pairs[name]("execute", command, self.now)

    def collect(self, name: str) -> None:
        for output in self.pairs[name].take():
            if isinstance(output, Transmit):
                self.made.append(output.datagram)
            elif not isinstance(output, Deliver):
                run = output.datagrams
                self.made += [run[n : n + output.stride] for n in range(0, len(run), output.stride)]
        del self.made[2:-60]

    # --- set-up ---------------------------------------------------------------------------------

    @initialize(
        bridges=st.tuples(st.booleans(), st.booleans()),
        cipher=ciphers,
        size=st.sampled_from([1472, 400]),
        elided=st.booleans(),
        mtu=st.sampled_from([1500, 9000]),
    )
    def join(
        self,
        bridges: tuple[bool, bool],
        cipher: Cipher,
        size: int,
        elided: bool,
        mtu: int,  # noqa: FBT001
    ) -> None:
        """Two members of network 1 that can talk at once."""
        for me, other in ((0, 1), (1, 0)):
            name = NAMES[me]
            self.do(
                name,
                OpenPort(1, MACS[me], mtu, bridges[me]),
                SetMember(1, PEERS[other], MACS[other], bridges[other]),
                SetPath(PEERS[other], Path(ENDPOINTS[other]), size),
                SetGuard(PUBLIC, SEED, 2),
            )
            for network in (0, 1):
                self.install(name, network=network, session=5, cipher=cipher, elided=elided)

    def install(
        self, name: str, *, network: int, session: int, cipher: Cipher, elided: bool
    ) -> None:
        """A key for what this engine sends to the other, at both."""
        me = NAMES.index(name)
        other = 1 - me
        parts = (name, network, session)
        key, index = key_of(*parts, cipher), index_of(*parts)
        addresses = MACS[other] + MACS[me] if elided else None
        receive = InstallReceive(
            PEERS[me], session, network, index, cipher, key, key[:4], addresses
        )
        send = InstallSend(PEERS[other], session, network, index, cipher, key, key[:4], addresses)
        self.do(NAMES[other], receive)
        self.do(name, send)
        self.keys = {**getattr(self, "keys", {}), parts: (key, index, cipher)}

    @rule(
        name=st.sampled_from(NAMES),
        network=st.sampled_from((0, *NETWORKS)),
        session=sessions,
        cipher=ciphers,
        elided=st.booleans(),
    )
    def rekey(self, name: str, network: int, session: int, cipher: Cipher, elided: bool) -> None:  # noqa: FBT001
        self.install(name, network=network, session=session, cipher=cipher, elided=elided)

    # --- inputs ---------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), command=commands)
    def execute(self, name: str, command: Command) -> None:
        self.do(name, command)

    @rule(name=st.sampled_from(NAMES), network=st.sampled_from((1, 1, 1, 2, 3)), frame=frames())
    def send(self, name: str, network: int, frame: tuple[bytes, Offload | None]) -> None:
        self.pairs[name]("handle_frame", network, frame[0], self.now, frame[1])

    @rule(name=st.sampled_from(NAMES), frame=frames())
    def send_to_the_other(self, name: str, frame: tuple[bytes, Offload | None]) -> None:
        me = NAMES.index(name)
        whole = MACS[1 - me] + MACS[me] + frame[0][12:]
        self.pairs[name]("handle_frame", 1, whole, self.now, frame[1])

    @rule(
        name=st.sampled_from(NAMES),
        source=endpoints,
        which=st.integers(0, 59),
        relay=st.one_of(st.none(), relays),
    )
    def receive(self, name: str, source: Endpoint, which: int, relay: int | None) -> None:
        """Something that was made here or there, fresh or again."""
        datagram = self.made[-1 - which % len(self.made)]
        if relay is not None:
            datagram = frame_relay(relay, datagram)
        self.pairs[name]("handle_datagram", datagram, source, self.now)

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 30))
    def receive_in_order(self, name: str, count: int) -> None:
        """The newest, from where they belong."""
        source = ENDPOINTS[1 - NAMES.index(name)]
        for datagram in self.made[-count:]:
            self.pairs[name]("handle_datagram", datagram, source, self.now)

    @rule(
        name=st.sampled_from(NAMES),
        count=st.integers(1, 40),
        relay=st.one_of(st.none(), st.none(), relays),
    )
    def receive_batch(self, name: str, count: int, relay: int | None) -> None:
        """The newest, as UDP_GRO merges them."""
        source = ENDPOINTS[1 - NAMES.index(name)]
        batch: list[Received] = []
        for datagram in self.made[-count:]:
            one = datagram if relay is None else frame_relay(relay, datagram)
            last = batch[-1] if batch else None
            stride = last.stride or len(last.datagrams) if last else 0
            if last and one and len(one) <= stride and len(last.datagrams) % stride == 0:
                batch[-1] = Received(last.datagrams + one, stride, source)
            else:
                batch.append(Received(one, 0, source))
        self.pairs[name]("handle_datagrams", batch, self.now)

    @rule(
        name=st.sampled_from(NAMES),
        which=st.integers(0, 20),
        at=st.integers(0, 2000),
        bit=st.integers(0, 7),
        cut=st.booleans(),
    )
    def receive_damaged(self, name: str, which: int, at: int, bit: int, cut: bool) -> None:  # noqa: FBT001
        datagram = bytearray(self.made[-1 - which % len(self.made)])
        if not datagram:
            return
        at %= len(datagram)
        if cut:
            del datagram[at:]
        else:
            datagram[at] ^= 1 << bit
        self.pairs[name]("handle_datagram", bytes(datagram), ENDPOINTS[0], self.now)

    @rule(name=st.sampled_from(NAMES), datagram=st.binary(max_size=80), source=endpoints)
    def receive_noise(self, name: str, datagram: bytes, source: Endpoint) -> None:
        self.pairs[name]("handle_datagram", datagram, source, self.now)

    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        flags=st.sampled_from([0, 0, 1, 2, 2, 2, 4, 8, 0x0C, 0x10, 0x18, 0x1C, 3, 0x20, 0x40]),
        step=st.sampled_from([1, 1, 1, 1, 0, -1, 7, -40, 8191, 8192]),
        source=endpoints,
    )
    def receive_odd(
        self, data: st.DataObject, name: str, flags: int, step: int, source: Endpoint
    ) -> None:
        """Authentic, but what no engine would send. `name` is whose key it is sealed with."""
        parts, (key, index, cipher) = data.draw(st.sampled_from(sorted(self.keys.items())))
        counter = self.send_counters.get(parts, 0) + step
        if not 0 <= counter < 2**32:
            return
        self.send_counters[parts] = max(counter, self.send_counters.get(parts, 0))
        me = NAMES.index(str(parts[0]))
        if flags == 2:
            text = PIECE_HEAD.pack(
                data.draw(st.integers(0, 3)),
                data.draw(st.sampled_from([0, 0, 8, 16, 30])),
                data.draw(st.sampled_from([14, 15, 24, 40, 40])),
            ) + bytes(data.draw(st.sampled_from([0, 1, 8, 16, 24])))
        elif flags & 0x10:
            text = data.draw(packets())[1]
        else:
            frame = data.draw(frames())[0]
            text = MACS[1 - me] + MACS[me] + frame[12:] if data.draw(st.booleans()) else frame
        header = HEADER.pack((0x80 | flags) << 24 | index, counter)
        sealed = SodiumCrypto().transport(cipher, key, key[:4]).seal(counter, header, text)
        self.pairs[NAMES[1 - me]]("handle_datagram", header + sealed, source, self.now)

    @rule(
        name=st.sampled_from(NAMES),
        source=endpoints,
        kind=st.sampled_from([1, 1, 1, 1, 2, 3]),
        cookie=st.sampled_from([None, None, 0.0, 120.0]),
        relay=st.one_of(st.none(), relays),
        right=st.booleans(),
        count=st.integers(1, 5),
    )
    def knock(
        self,
        name: str,
        source: Endpoint,
        kind: int,
        cookie: float | None,
        relay: int | None,
        right: bool,
        count: int,
    ) -> None:  # noqa: FBT001
        """Handshakes of strangers."""
        key = mac1_key(PUBLIC if right else bytes(32))
        text = (bytes([kind, 1, 0, 0]) + b"hand").ljust({1: 352, 2: 189, 3: 64}[kind], b"n")
        if kind != 3:
            text += blake2s(text, key=key, digest_size=16).digest()
        if kind == 1:
            mac2 = bytes(16)
            if cookie is not None:
                path = Path(source, relay or 0)
                held = CookieSecret(SEED).cookie(path, self.now - cookie)
                mac2 = blake2s(text, key=held, digest_size=16).digest()
            text += mac2
        if relay is not None:
            text = frame_relay(relay, text)
        for _ in range(count):
            self.pairs[name]("handle_datagram", text, source, self.now)

    # --- time -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 0.5, 1.0, 1.5, 3.0, 120.0, 299.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=st.sampled_from(NAMES))
    def time_out(self, name: str) -> None:
        self.pairs[name]("handle_timeout", self.now)

    @precondition(lambda self: self.pairs)
    @rule(name=st.sampled_from(NAMES))
    def wait_for_it(self, name: str) -> None:
        due = self.pairs[name]("next_timeout")
        if due is not None:
            self.now = max(self.now, due)
            self.pairs[name]("handle_timeout", self.now)

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 50))
    def listen(self, name: str, count: int) -> None:
        for _ in range(count):
            if self.pairs[name]("poll_upcall") is None:
                return

    # --- what must hold -------------------------------------------------------------------------

    @invariant()
    def both_kinds_are_alike(self) -> None:
        for name, pair in self.pairs.items():
            self.collect(name)
            pair("next_timeout")
            pair("counters")
            pair("drops")
            for network in NETWORKS:
                pair("fdb", network, self.now)
            for peer in PEERS:
                pair("activity", peer)

    def teardown(self) -> None:
        for pair in self.pairs.values():
            while pair("poll_upcall") is not None:
                self.upcalls += 1


class CrampedLife(Life):
    """With tables so small that all of them overflow."""

    bounds = SMALL


@pytest.mark.parametrize("machine", [Life, CrampedLife])
def test_native_engine_is_the_reference_engine(machine: type[Life]) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
