"""The native engine against the reference one: the same inputs, and everything compared.

Two nodes `a` and `b`, each as an engine of both kinds, live the same life: commands, frames and
datagrams of any sort, and timeouts. After each step the two kinds must have given out the same, in
the same order, and must show the same tables and counters. Datagrams are those that the engines
made, also again, damaged, out of order, from the wrong place, and handed to the other of the two.

Hypothesis chooses a seed and a length, and looks for the shortest life that tells the kinds apart.
What happens in it is drawn from the seed, so that thousands of steps take seconds.
"""

from __future__ import annotations

import random
from collections import Counter
from hashlib import blake2s
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    GSO_NONE,
    GSO_TCP4,
    GSO_TCP6,
    GSO_UDP,
    AddRelayLeg,
    AnnounceStations,
    CaptureSide,
    ClosePort,
    Command,
    Deliver,
    DropReason,
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
    Transmit,
    WriteFrame,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.session.macs import CookieSecret, mac1_key
from l2mesh.switch.beacon import emit_beacon
from l2mesh.wire.data import HEADER, PIECE_HEAD
from l2mesh.wire.group import GROUP_HEAD_BYTES, Group, encode_group, signed_text
from l2mesh.wire.relay import frame_relay
from tests.engine.lab import make_engine, make_random

pytest.importorskip("l2mesh.datapath._native", reason="the native engine has not been built")

NAMES = "ab"
NETWORKS = (1, 2)
SESSIONS = (5, 6)
PEERS = [bytes([number]) * 32 for number in range(1, 6)]
"""The first two are the engines themselves, as the other one knows them."""
MACS = [bytes([2, 0, 0, 0, 0, number]) for number in range(1, 7)]
STATIONS = [bytes([2, 0, 0, 0, 1, number]) for number in range(1, 9)]
GROUPS = [bytes.fromhex(mac) for mac in ("0180c2000000", "0180c2000010", "01005e000001")]
GROUPS += [bytes.fromhex(mac) for mac in ("01005e0000fb", "3333ff000001")]
ADDRESSES = [bytes([10, 0, 0, number]) for number in range(1, 6)]
ADDRESSES += [bytes.fromhex("fd") + bytes(14) + bytes([number]) for number in range(1, 6)]
"""Of each kind the first are signed to whom the MACs of the same number are."""
IP_GROUPS = [bytes([239, 1, 2, 3]), bytes([224, 0, 0, 251]), bytes([224, 0, 1, 9])]
IP_GROUPS += [bytes.fromhex(head) + bytes(13) + b"\1" for head in ("ff02", "ff05", "ff01")]
LINK_LOCAL = bytes.fromhex("fe80") + bytes(13) + b"\1"
BROADCAST = b"\xff" * 6
HOSTS = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1", "2001:db8::2", "203.0.113.9"]
ENDPOINTS = [Endpoint(host, 9000 + n) for n, host in enumerate(HOSTS)]
RELAYS = (77, 78, 2**56 - 1)
PUBLIC = bytes(range(32))
SEED = b"s" * 32
OWN = Endpoint("10.0.0.1", 9993)
SIGNERS = [SodiumCrypto().ed25519_from_seed(peer) for peer in PEERS]
"""Secret and public key with which each signs its broadcasts."""
GENERATIONS = (1, 2, 2, 2, 3)
NUMBERS = (1, 2, 3)
OFFLOADS = [
    PortOffloads(),
    PortOffloads(checksum=True),
    PortOffloads(checksum=True, tso=True),
    PortOffloads(checksum=True, tso=True, uso=True),
]

SMALL = Bounds(
    rekey_counter=50,
    refuse_counter=200,
    held_frames=4,
    held_bytes=4000,
    sources_remembered=2,
    fragment_frames=3,
    fragment_bytes=6000,
    pieces=6,
    fdb_per_peer=3,
    fdb_own=4,
    fdb_per_network=6,
    control_upcalls=4,
    event_upcalls=6,
    handshake_upcalls=4,
    guard_burst=2,
    guard_prefixes=2,
    relay_rate=5,
    relay_burst=6,
    capture_frames=5,
    capture_bytes=4000,
    recent_frames=3,
    recent_bytes=4000,
    group_rate=2,
    group_burst=4,
    copy_rate=6,
)

T = TypeVar("T")


def key_of(*parts: object) -> bytes:
    return blake2s(repr(parts).encode()).digest()


def index_of(*parts: object) -> int:
    """Few slots, so that some are shared."""
    return key_of("index", *parts)[0] % 4 << 16 | key_of(*parts)[0] % 8 + 1


def checksum(data: bytes) -> int:
    value = int.from_bytes(data + bytes(len(data) % 2), "big")
    return value % 0xFFFF or (0xFFFF if value else 0)


class Dice(random.Random):
    """Draws what happens."""

    def of(self, *values: T) -> T:
        return self.choice(values)

    def one_in(self, count: int) -> bool:
        return not self.randrange(count)

    def some(self, most: int) -> bytes:
        return self.randbytes(self.randrange(most + 1))

    def path(self) -> Path:
        return Path(self.choice(ENDPOINTS), self.choice(RELAYS) if self.one_in(3) else 0)

    def ports(self) -> bytes:
        first, second = self.of((1, 2), (1, 2), (1, 2), (OWN.port, 7), (7, OWN.port))
        return first.to_bytes(2, "big") + second.to_bytes(2, "big")

    def l4(self, protocol: int) -> bytes:
        size = self.of(0, 1, 60, 900, 1400, 4000, 20_000) + self.randrange(3)
        payload = self.randbytes(8) + bytes(size)
        if protocol == 17:
            return (
                self.ports() + (8 + len(payload) & 0xFFFF).to_bytes(2, "big") + bytes(2) + payload
            )
        if protocol != 6:
            return payload
        flags = self.of(0x10, 0x10, 0x18, 0x11, 0x90, 0x30, 0x50)
        stamps = b"\1\1\x08\x0a" + bytes(8)
        options = self.of(b"", stamps, stamps, b"\x13\x12" + bytes(18), bytes(4), b"\x05\1\0\0")
        offset = (20 + len(options)) // 4 << 4
        numbers = self.of(1000, 2**32 - 2000).to_bytes(4, "big") + bytes(4)
        window = b"\1\0" + bytes(4)
        return self.ports() + numbers + bytes([offset, flags]) + window + options + payload

    def packet(self) -> tuple[int, bytes, int, int]:
        """(ethertype, IP packet, bytes before its L4 header, protocol), mostly sound."""
        protocol = self.of(6, 6, 6, 17, 17, 1)
        l4 = self.l4(protocol)
        length = len(l4).to_bytes(4, "big")
        if self.one_in(2):
            options = bytes(4) if self.one_in(5) else b""
            fragment = self.of(0x4000, 0x4000, 0x4000, 0, 0x2000, 7)
            total = 20 + len(options) + len(l4) + self.of(*[0] * 12, 1, -1)
            ip = bytes([0x45 + len(options) // 4, self.of(0, 0, 3)])
            ip += (total & 0xFFFF).to_bytes(2, "big") + b"\xff\xfe" + fragment.to_bytes(2, "big")
            sender = self.of(ADDRESSES[0], ADDRESSES[1], self.address(4))
            ip += bytes([64, protocol, 0, 0]) + sender + b"\x0a\0\0\3" + options
            ip = ip[:10] + (0xFFFF - checksum(ip)).to_bytes(2, "big") + ip[12:]
            kind, pseudo = 0x0800, ip[12:20] + bytes([0, protocol]) + length
        else:
            extension = bytes([protocol, 0, 1, 4, 0, 0, 0, 0]) if self.one_in(6) else b""
            first = 0 if extension else protocol
            ip = b"\x60\0\0\0" + (len(extension + l4) & 0xFFFF).to_bytes(2, "big")
            sender = self.of(ADDRESSES[5], ADDRESSES[6], self.address(16))
            ip += bytes([first, 64]) + sender + bytes(15) + b"\2" + extension
            kind, pseudo = 0x86DD, ip[8:40] + length + bytes([0, 0, 0, protocol])
        at = {6: 16, 17: 6}.get(protocol)
        if at is not None:
            value = checksum(pseudo)
            l4 = l4[:at] + value.to_bytes(2, "big") + l4[at + 2 :]
            if self.one_in(2):
                value = 0xFFFF - checksum(l4)
                l4 = l4[:at] + value.to_bytes(2, "big") + l4[at + 2 :]
        return kind, ip + l4, len(ip), protocol

    def address(self, size: int) -> bytes:
        """Often one that is signed to somebody."""
        nobody = bytes(size)
        of_size = [address for address in ADDRESSES if len(address) == size]
        return self.of(nobody, *of_size, *of_size, LINK_LOCAL[:size])

    def arp(self, target: bytes, source: bytes) -> bytes:
        """Mostly a sound one."""
        told = self.of(source, source, source, *MACS, *STATIONS[:2])
        head = b"\0" + bytes([self.of(1, 1, 1, 1, 6, 7)]) + b"\x08\0\6"
        head += self.of(b"\4\0", b"\4\0", b"\4\0", b"\5\0") + self.of(b"\1", b"\1", b"\2")
        arp = head + told + self.address(4) + target + self.address(4)
        return b"\x08\x06" + (arp if not self.one_in(8) else arp[: self.randrange(28)])

    def options(self, source: bytes) -> bytes:
        told = self.of(source, source, *MACS)
        one = self.of(b"\1\1", b"\1\1", b"\2\1", b"\2\1", b"\5\1", b"\1\2", b"\1\0") + told
        return self.of(b"", one, one, one * 2, one + b"\1\1" + MACS[0], one[:5], one * 70)

    def nd(self, source: bytes) -> bytes:
        """Neighbour discovery, perhaps hidden."""
        kind = self.of(133, 134, 135, 135, 135, 136, 136, 136, 137, 128)
        body = {133: 4, 134: 12, 135: 20, 136: 20, 137: 36, 128: 4}[kind]
        message = bytes([kind, 0, 0, 0]) + bytes(4) + self.address(16) + bytes(16)
        message = message[: 4 + body] + self.options(source)
        if self.one_in(12):
            message = message[: self.randrange(len(message))]
        first, chain = 58, b""
        for _ in range(self.of(0, 0, 0, 0, 1, 2, 8, 9)):
            header = self.of(0, 43, 44, 51, 60, 135)
            size = self.of(b"\0", b"\0", b"\0", b"\1") if header != 44 else b"\0"
            offset = self.of(b"\0\0", b"\0\1", b"\0\x08") if header == 44 else b"\0\0"
            extension = bytes([first]) + size + offset + bytes(4 + 8 * size[0])
            first, chain = header, extension + chain
        length = len(chain) + len(message) + self.of(*[0] * 9, 1, -1)
        head = b"\x60\0\0\0" + max(0, length).to_bytes(2, "big") + bytes([first, 255])
        return b"\x86\xdd" + head + self.address(16) + self.address(16) + chain + message

    def dhcp(self) -> bytes:
        """Of servers, clients and relays."""
        ports = self.of((67, 68), (68, 67), (67, 67), (67, 69), (547, 546), (546, 547))
        udp = b"".join(port.to_bytes(2, "big") for port in ports) + bytes(4)
        udp += self.of(b"\1", b"\2", b"\7", b"\x0b", b"") + bytes(self.of(0, 40))
        udp = udp if not self.one_in(8) else udp[: self.randrange(len(udp))]
        if ports[0] > 500:
            head = b"\x60\0\0\0" + len(udp).to_bytes(2, "big") + b"\x11\1"
            return b"\x86\xdd" + head + self.address(16) + self.address(16) + udp
        options = self.of(b"", b"", bytes(4))
        head = bytes([0x45 + len(options) // 4, 0]) + (20 + len(options + udp)).to_bytes(2, "big")
        head += b"\0\0" + self.of(b"\0\0", b"\0\0", b"\x20\0", b"\0\1") + b"\x40\x11\0\0"
        return b"\x08\0" + head + self.address(4) + self.address(4) + options + udp

    def group_frame(self, source: bytes) -> bytes:
        """IGMP, MLD or anything else to an IP group."""
        tags = self.of(b"", b"", b"\x81\0\0\7", b"\x81\0\0\0")
        group, talk = self.choice(IP_GROUPS), self.one_in(2)
        if len(group) == 4:
            text = bytes([self.of(0x11, 0x11, 0x16, 0x17, 0x22, 0x12, 0x13)]) + self.some(12)
            options = self.of(b"", b"\x94\4\0\0")
            head = bytes([0x45 + len(options) // 4, 0]) + bytes(4)
            protocol = self.of(2, 2, 103) if talk else 17
            text = (self.of(b"\x20", b"\x20", b"\x21") + text)[: self.of(0, 9)] if protocol > 17 else text
            head += self.of(b"\0\0", b"\0\0", b"\0\1") + bytes([1, protocol]) + bytes(2)
            packet = b"\x08\0" + head + self.address(4) + group + options + text
            target = b"\1\0\x5e" + bytes([group[1] & 0x7F]) + group[2:]
        else:
            text = bytes([self.of(130, 130, 131, 132, 143, 128, 0x20)]) + self.some(30)
            protocol = 103 if text[0] == 0x20 else 58
            first = b"\0" if talk else bytes([protocol])
            hop = bytes([protocol, 0, 5, 2, 0, 0, 1, 0]) if talk else b""
            head = b"\x60\0\0\0" + len(hop + text).to_bytes(2, "big") + first + b"\1"
            packet = b"\x86\xdd" + head + self.address(16) + group + hop + text
            target = b"\x33\x33" + group[12:]
        frame = self.of(target, target, target, GROUPS[3], BROADCAST) + source + tags + packet
        return frame[: -self.randrange(1, 12)] if self.one_in(12) else frame

    def set_groups(self, network: int, peer: bytes) -> Command:
        """Something that a port wants."""
        segments = [(vlan, version) for vlan in (0, 7) for version in (4, 6)]
        listed = frozenset(self.sample(segments, self.randrange(5)))
        reports = frozenset(one for one in listed if self.one_in(2))
        groups = frozenset((self.of(0, 7), self.choice(IP_GROUPS)) for _ in range(self.of(0, 1, 4)))
        return SetGroups(network, self.of(None, peer, peer), listed, reports, groups)

    def judged(self, target: bytes, source: bytes) -> bytes:
        """A frame that guards look into."""
        tags = self.of(b"", b"", b"", b"", b"\x81\0\0\7", b"\x81\0\0\0")
        inside = self.of(self.arp(target, source), self.nd(source), self.dhcp())
        return self.of(target, target, BROADCAST, GROUPS[4]) + source + tags + inside

    def frame(self, target: bytes, source: bytes) -> tuple[bytes, Offload | None]:
        """A frame and what a kernel might say of it."""
        if self.one_in(4):
            return self.judged(target, source), None
        if self.one_in(12):
            return self.group_frame(source), None
        tags = self.of(b"", b"", b"", b"", b"\x81\0\0\7", b"\x88\xa8\0\7\x81\0\0\x09")
        if self.one_in(5):
            kind = self.of(0x0806, 0x8100, 0x88B5, 0x0800)
            frame = target + source + tags + kind.to_bytes(2, "big") + self.some(60)
            return frame[: self.randrange(24)] if self.one_in(3) else frame, None
        kind, packet, before, protocol = self.packet()
        head = target + source + tags + kind.to_bytes(2, "big")
        frame = head + packet + bytes(self.of(*[0] * 9, 6))
        if self.one_in(3):
            return frame, None
        gso = GSO_UDP if protocol == 17 else GSO_TCP4 if kind == 0x0800 else GSO_TCP6
        return frame, Offload(
            gso_type=self.of(gso, gso, gso, gso, GSO_NONE, GSO_NONE, GSO_TCP4, 0x10, 0x81),
            gso_size=self.of(100, 500, 1400, 1448, 1448, 0),
            csum_start=len(head) + before + self.of(*[0] * 12, 2, 9000),
            csum_offset=(6 if protocol == 17 else 16) + self.of(*[0] * 12, -2),
            needs_csum=not self.one_in(12),
            ecn=self.one_in(8),
        )

    def rights(self) -> tuple[bool, bool, bool, bool]:
        """To bridge, to route, to serve DHCP, to advertise."""
        return self.one_in(2), self.one_in(3), self.one_in(3), self.one_in(3)

    def signed(self, mac: bytes) -> tuple[bytes, ...]:
        """Addresses that go with a MAC, and at times another."""
        at = MACS.index(mac) if mac in MACS else 0
        more = (self.choice(ADDRESSES),) if self.one_in(8) else ()
        return (*(ADDRESSES[at : at + 1] + ADDRESSES[5 + at : 6 + at]), *more)

    def command(self) -> Command:
        network, peer, mac = self.choice(NETWORKS), self.choice(PEERS), self.choice(MACS)
        session, relay = self.choice(SESSIONS), self.choice(RELAYS)
        match self.randrange(33):
            case 0:
                mtu = self.of(100, 1500, 1500, 9000)
                own = self.of(MACS[0], MACS[1], mac)
                return OpenPort(network, own, mtu, *self.rights(), self.signed(own))
            case 1:
                return ClosePort(network) if self.one_in(4) else AddRelayLeg(relay, ENDPOINTS[2])
            case 2 | 3:
                return SetPortOffloads(network, self.choice(OFFLOADS))
            case 4 | 5 | 6:
                theirs = self.of(MACS[PEERS.index(peer)], mac)
                return SetMember(network, peer, theirs, *self.rights(), self.signed(theirs))
            case 7:
                return RemoveMember(network, peer)
            case 8:
                return FlushPeer(network, self.of(None, peer))
            case 9:
                one, two, three = (self.of(None, None, 0, 1, 3, 40) for _ in range(3))
                guard = self.of("default", "off", "off", "strict")
                arp, nd, discovery = (self.of(None, None, 0, 2) for _ in range(3))
                floods = self.one_in(2)
                bpdu = self.of("block", "pass", "tunnel")
                limits = Limits(one, two, three, bpdu, guard, arp, nd, discovery, floods)
                return SetLimits(network, limits)
            case 10 | 11 | 12:
                path = None if self.one_in(4) else self.path()
                return SetPath(peer, path, self.of(1472, 1472, 1452, 300, 60, 20, -5))
            case 31:
                size = self.of(1472, 1444, 900, 60, -5)
                budget = self.of(1 << 20, 3000, 0, -1)
                path = None if self.one_in(6) else self.path()
                return SendTwice(peer, path, size, self.of(1.0, 0.2, 30.0), budget)
            case 13:
                return RemoveSend(peer, network)
            case 14:
                return RemoveSession(peer, session)
            case 24:
                sides = frozenset(side for side in CaptureSide if not self.one_in(4))
                return StartCapture(network, sides, self.of(65535, 65535, 20, 0))
            case 25:
                return StopCapture(network)
            case 15:
                parts = self.choice(NAMES), self.of(0, *NETWORKS), session
                return RemoveReceive(index_of(*parts))
            case 16:
                return AddRelayLeg(relay, self.choice(ENDPOINTS))
            case 17:
                return RemoveRelayLeg(relay)
            case 18 | 19:
                ends = self.choice(ENDPOINTS), self.choice(ENDPOINTS)
                return SetRelay(relay, *ends, self.choice(PEERS), peer)
            case 20:
                return RemoveRelay(relay)
            case 21:
                ours = frozenset({OWN.host, "2001:db8::9"}), frozenset({"::1"}), frozenset[str]()
                return SetUnderlay(OWN.port, self.of(*ours))
            case 22:
                return SetGuard(PUBLIC, SEED, self.of(0, 2, 20))
            case 26:
                return SetBlocked(network, frozenset(self.sample((0, 7, 9), self.randrange(3))))
            case 27:
                return WriteFrame(network, self.of(emit_beacon(mac, 7, bytes(16)), self.some(60)))
            case 32:
                stations = self.sample([*STATIONS, MACS[5], GROUPS[3], bytes(6)], self.randrange(6))
                entries = [(self.of(0, 0, 7), mac, self.of(None, *PEERS[:3])) for mac in stations]
                return SetStaticEntries(network, tuple(entries + entries[:1]))
            case 29 | 30:
                return self.set_groups(network, peer)
            case 28:
                return AnnounceStations(network, self.of(0, 7), frozenset({peer}))
            case _:
                if self.one_in(2):
                    return SendDatagram(self.some(30), self.path())
                return SendControl(peer, session, self.some(30), self.path())


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


class Life:
    """What happens to two nodes."""

    def __init__(self, seed: int, bounds: Bounds) -> None:
        self.dice = Dice(seed)
        self.pairs = [Pair(bounds), Pair(bounds)]
        self.now = 1000.0
        self.made: list[tuple[int, bytes]] = [(0, b""), (0, b"\x80")]
        self.keys: dict[tuple[object, ...], tuple[bytes, int, Cipher]] = {}
        self.counters: dict[tuple[object, ...], int] = {}
        self.seen: Counter[str] = Counter()
        size, mtu = self.dice.of(1472, 1472, 400), self.dice.of(1500, 1500, 9000)
        for me in (0, 1):
            other = 1 - me
            dice = self.dice
            mine, theirs = dice.signed(MACS[me]), dice.signed(MACS[other])
            self.do(me, OpenPort(1, MACS[me], mtu, *dice.rights(), mine))
            self.do(me, SetMember(1, PEERS[other], MACS[other], *dice.rights(), theirs))
            self.do(me, SetPath(PEERS[other], Path(ENDPOINTS[other]), size))
            self.do(me, SetGuard(PUBLIC, SEED, 2))
            self.do(me, SetPortOffloads(1, self.dice.choice(OFFLOADS)))
            self.do(me, SetUnderlay(OWN.port, frozenset({OWN.host, "2001:db8::9"})))
            for network in (0, 1):
                self.install(me, network, 5)
        self.steps = [
            *[self.execute] * 3,
            *[self.send] * 3,
            *[self.send_across] * 3,
            *[self.exchange] * 8,
            self.hold,
            self.flood,
            self.block,
            self.talk,
            self.contradict,
            self.flap,
            self.run,
            self.part,
            self.replicate,
            self.carry_on,
            *[self.claim] * 2,
            *[self.receive_in_order] * 5,
            *[self.receive_batch] * 4,
            *[self.receive_any] * 2,
            self.receive_damaged,
            self.receive_noise,
            *[self.receive_odd] * 10,
            *[self.knock] * 4,
            self.rekey,
            self.wait,
            self.time_out,
            *[self.listen] * 2,
        ]

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.dice.choice(self.steps)(self.dice.randrange(2))
            for me, pair in enumerate(self.pairs):
                self.compare(me, pair)
        for pair in self.pairs:
            self.drain(pair, 10_000)

    def compare(self, me: int, pair: Pair) -> None:
        while (output := pair("poll_output")) is not None:
            self.seen[type(output).__name__] += 1
            if isinstance(output, Transmit):
                self.made.append((me, output.datagram))
            elif isinstance(output, Deliver):
                self.seen["merged"] += bool(output.offload and output.offload.gso_type)
            else:
                run, stride = output.datagrams, output.stride
                self.made += [(me, run[n : n + stride]) for n in range(0, len(run), stride)]
        del self.made[:-80]
        pair("next_timeout")
        pair("counters")
        pair("drops")
        for network in NETWORKS:
            for captured in pair("captured", network):
                self.seen[f"{captured.side}"] += 1
                self.seen["lost"] += captured.lost
        for network in NETWORKS:
            pair("fdb", network, self.now)
        for peer in PEERS:
            pair("activity", peer)

    def drain(self, pair: Pair, count: int) -> None:
        for _ in range(count):
            upcall = pair("poll_upcall")
            if upcall is None:
                return
            self.seen[type(upcall).__name__] += 1

    def do(self, me: int, command: Command) -> None:
        self.pairs[me]("execute", command, self.now)

    def receive(self, me: int, datagram: bytes, source: Endpoint) -> None:
        self.pairs[me]("handle_datagram", datagram, source, self.now)

    def install(self, me: int, network: int, session: int) -> None:
        """A key for what this node sends to the other, at both."""
        other, cipher = 1 - me, self.dice.choice(list(Cipher))
        parts = (NAMES[me], network, session)
        key, index = key_of(*parts, cipher, self.dice.random()), index_of(*parts)
        addresses = self.dice.of(None, MACS[other] + MACS[me], MACS[2] + MACS[me])
        given = session, network, index, cipher, key, key[:4], addresses
        self.do(other, InstallReceive(PEERS[me], *given))
        self.do(me, InstallSend(PEERS[other], *given))
        if self.dice.random() < 0.3:  # another thread's, of which neither engine here has one
            lane = session, network, index ^ 1, cipher, key[::-1], key[:4], addresses
            self.do(me, InstallSend(PEERS[other], *lane, lane=self.dice.of(1, 7)))
        self.keys[parts] = key, index, cipher
        self.counters[parts] = 0

    # --- steps ----------------------------------------------------------------------------------

    def rekey(self, me: int) -> None:
        self.install(me, self.dice.of(0, 1, *NETWORKS), self.dice.choice(SESSIONS))

    def execute(self, me: int) -> None:
        command = self.dice.command()
        self.do(me, command)
        if not self.dice.one_in(4):
            self.mend(me)
            self.mend(1 - me)

    def mend(self, me: int) -> None:
        """Make good what ends all traffic."""
        dice, other = self.dice, 1 - me
        self.do(me, SetPath(PEERS[other], Path(ENDPOINTS[other]), dice.of(1472, 1472, 900, 300)))
        rights = (not dice.one_in(3), *dice.rights()[1:])
        self.do(me, OpenPort(1, MACS[me], 1500, *rights, dice.signed(MACS[me])))
        rights = (not dice.one_in(3), *dice.rights()[1:])
        self.do(me, SetMember(1, PEERS[other], MACS[other], *rights, dice.signed(MACS[other])))
        if dice.one_in(3):
            self.do(me, SetPortOffloads(1, dice.choice(OFFLOADS)))
        if dice.one_in(6):
            self.install(me, 1, 5)

    def send(self, me: int) -> None:
        dice = self.dice
        target = dice.of(*MACS, *STATIONS, *GROUPS, BROADCAST, BROADCAST)
        source = dice.of(MACS[me], MACS[me], *STATIONS, *MACS, bytes(6), GROUPS[2])
        frame, offload = dice.frame(target, source)
        network = dice.of(1, 1, 1, 1, 2, 3)
        if dice.one_in(12):
            frame, offload = emit_beacon(source, dice.of(0, 0, 7), dice.randbytes(16)), None
            frame = frame[: dice.of(60, 60, 40, 38, 37, 20)]
        self.pairs[me]("handle_frame", network, frame, self.now, offload)

    def send_across(self, me: int) -> None:
        frame, offload = self.dice.frame(MACS[1 - me], MACS[me])
        self.pairs[me]("handle_frame", 1, frame, self.now, offload)

    def exchange(self, me: int) -> None:
        """Frames from the other, which arrive at once and in one piece."""
        other = 1 - me
        dice, flow = self.dice, self.dice.randrange(2**32)
        for _ in range(dice.randrange(1, 5)):
            frame, offload = Dice(flow + dice.randrange(2)).frame(MACS[me], MACS[other])
            self.pairs[other]("handle_frame", 1, frame, self.now, offload)
        self.compare(other, self.pairs[other])
        self.receive_batch(me)

    def hold(self, me: int) -> None:
        """Frames for somebody who cannot be reached, until he can."""
        other = 1 - me
        no_path, no_key = SetPath(PEERS[other], None), RemoveSend(PEERS[other], 1)
        self.do(me, no_path if self.dice.one_in(2) else no_key)
        for _ in range(self.dice.randrange(8)):
            self.send_across(me)
        if self.dice.one_in(2):
            self.now += self.dice.of(0.5, 2.0, 3.0)
        self.install(me, 1, 5)
        self.mend(me)

    def flood(self, me: int) -> None:
        """Many stations behind a bridge, and frames for all."""
        dice, other = self.dice, 1 - me
        for node in (me, other):
            rate = dice.of(500, 500, 3, 0)
            self.do(node, SetLimits(1, Limits(rate, rate, rate, guard="off")))
        for station in STATIONS:
            frame, offload = dice.frame(dice.of(BROADCAST, MACS[other], *GROUPS[::2]), station)
            self.pairs[me]("handle_frame", 1, frame, self.now, offload)
        self.compare(me, self.pairs[me])
        self.receive_in_order(other)

    def block(self, me: int) -> None:
        """Another bridge forwards for the LAN of one, for a while."""
        self.do(me, SetBlocked(1, frozenset(self.dice.sample((0, 7, 9), 2))))
        for _ in range(3):
            self.send(me)
            self.send_across(me)
        self.exchange(me)
        self.flood(1 - me)
        self.do(me, SetBlocked(1, frozenset()))

    def talk(self, me: int) -> None:
        """What each wants of groups, and frames to groups, here and there."""
        dice, other = self.dice, 1 - me
        for node in (me, other):
            floods = dice.one_in(2)
            self.do(node, SetLimits(1, Limits(guard="off", floods_groups=floods)))
            self.do(node, dice.set_groups(1, PEERS[1 - node]))
        for _ in range(dice.of(3, 3, 3, 600) if dice.one_in(9) else 5):
            source = dice.of(MACS[me], *STATIONS)
            self.pairs[me]("handle_frame", 1, dice.group_frame(source), self.now)
            frame = dice.group_frame(dice.of(MACS[other], *STATIONS))
            self.pairs[other]("handle_frame", 1, frame, self.now)
        self.compare(other, self.pairs[other])
        self.receive_in_order(me)

    def contradict(self, me: int) -> None:
        """Stations that claim one address in turns."""
        dice, address = self.dice, bytes([10, 0, 9, self.dice.randrange(3)])
        self.do(me, SetLimits(1, Limits(guard="off")))
        for station in dice.choices(STATIONS[:2], k=5):
            arp = b"\x08\x06\0\1\x08\0\6\4\0\1" + station + address + bytes(6) + address
            self.pairs[me]("handle_frame", 1, BROADCAST + station + arp, self.now)
            self.now += dice.of(0.0, 1.0, 40.0)

    def flap(self, me: int) -> None:
        """A station that is now here and now there."""
        other, station = 1 - me, self.dice.choice(STATIONS)
        for node in (me, other):
            self.do(node, SetLimits(1, Limits(guard="off")))
        frame = MACS[other] + station + b"\x88\xb5"
        for _ in range(self.dice.randrange(9)):
            self.pairs[me]("handle_frame", 1, frame, self.now)
            self.pairs[other]("handle_frame", 1, MACS[me] + frame[6:], self.now)
            self.compare(other, self.pairs[other])
            self.receive_in_order(me)
            self.now += self.dice.of(0.01, 1.0)

    def run(self, me: int) -> None:
        """Frames of one time, there and back, most of them between the same two stations."""
        dice, ends = self.dice, (me, 1 - me)
        for node in ends:
            limits = Limits(guard=dice.of("default", "off", "off"))
            self.do(node, SetLimits(1, limits))
        stations = [dice.of((MACS[node],), STATIONS[node::2][:3]) for node in (0, 1)]
        for here in (*ends, *ends):
            there = 1 - here
            for _ in range(dice.randrange(2, 9)):
                target = stations[there][-1] if dice.one_in(4) else stations[there][0]
                source = stations[here][-1] if dice.one_in(4) else stations[here][0]
                frame, offload = dice.frame(target, source)
                self.pairs[here]("handle_frame", 1, frame, self.now, offload)
                if dice.one_in(8):
                    self.do(here, FlushPeer(1, dice.of(None, PEERS[there])))
            self.compare(here, self.pairs[here])
            self.receive_in_order(there)
            self.compare(there, self.pairs[there])

    def part(self, me: int) -> None:
        """The other is no member any more, but does not know it."""
        other = 1 - me
        self.do(me, RemoveMember(1, PEERS[other]))
        self.send_across(other)
        self.compare(other, self.pairs[other])
        self.receive_in_order(me)
        self.mend(me)

    def some_peers(self) -> tuple[bytes, ...]:
        return tuple(self.dice.sample(PEERS, self.dice.randrange(len(PEERS))))

    def believe(self, me: int) -> None:
        """Others are members whose signatures are believed, or some of them."""
        dice = self.dice
        for at, peer in enumerate(PEERS):
            if at == me or dice.one_in(4):
                continue
            self.do(me, SetMember(1, peer, MACS[at], *dice.rights(), dice.signed(MACS[at])))
            signing = SIGNERS[at if not dice.one_in(9) else 0][1]
            told = dice.of(0, 0, 0, *GENERATIONS)
            self.do(me, SetSource(1, peer, signing, not dice.one_in(3), told))
        if dice.one_in(4):
            self.do(me, RemoveSource(1, dice.choice(PEERS)))
        assignment = SetAssignment(1, dice.choice(PEERS), dice.choice(NUMBERS), self.some_peers())
        self.do(me, assignment)

    def replicate(self, me: int) -> None:
        """Broadcasts that leave signed, and reach the other once."""
        dice, other, secret = self.dice, 1 - me, SIGNERS[me][0]
        self.believe(me)
        self.believe(other)
        generation = dice.choice(GENERATIONS)
        for _ in range(dice.randrange(1, 4)):
            targets = tuple((peer, dice.of(0, *NUMBERS)) for peer in self.some_peers())
            chosen = dice.of(None, targets, ((PEERS[other], dice.of(0, *NUMBERS)), *targets))
            self.do(me, SetReplication(1, PEERS[me], secret, generation, chosen))
            for _ in range(dice.randrange(6)):
                target = dice.of(BROADCAST, BROADCAST, *GROUPS, MACS[other], STATIONS[0])
                frame, offload = dice.frame(target, dice.of(MACS[me], MACS[me], STATIONS[1]))
                self.pairs[me]("handle_frame", 1, frame, self.now, offload)
            self.now += dice.of(0.0, 0.0, 0.5, 4.0)
        self.compare(me, self.pairs[me])
        self.receive_in_order(other)
        if not dice.one_in(3):
            self.do(me, StopReplication(1))

    def carry_on(self, me: int) -> None:
        """Broadcasts of anybody, true and false, that the other brings."""
        dice = self.dice
        if not dice.one_in(3):
            self.believe(me)
        for _ in range(dice.randrange(1, 9)):
            at = dice.randrange(len(PEERS))
            frame, _ = dice.frame(dice.of(BROADCAST, *GROUPS, MACS[me]), MACS[at])
            generation, counter = dice.choice(GENERATIONS), dice.of(*range(9), 9000, 2**32 - 2**16)
            signed = signed_text(1, generation, counter + dice.one_in(9), frame)
            signature = SodiumCrypto().sign(SIGNERS[at][0], signed)
            number = dice.of(0, 0, *NUMBERS)
            text = encode_group(Group(number, PEERS[at], generation, counter, signature, frame))
            if dice.one_in(9):
                text = text[: dice.randrange(GROUP_HEAD_BYTES + 20)]
            self.receive_sealed(me, 0x20, text)

    def receive_sealed(self, me: int, flags: int, text: bytes) -> None:
        """One datagram of network 1 as the other would seal it."""
        parts = (NAMES[1 - me], 1, 5)
        key, index, cipher = self.keys[parts]
        counter = self.counters[parts] = self.counters[parts] + 1
        header = HEADER.pack((0x80 | flags) << 24 | index, counter)
        sealed = SodiumCrypto().transport(cipher, key, key[:4]).seal(counter, header, text)
        self.receive(me, header + sealed, ENDPOINTS[1 - me])

    def claim(self, me: int) -> None:
        """Frames that guards look into, from here and, past the guard there, from the other."""
        dice, other = self.dice, 1 - me
        guard = dice.of("default", "default", "strict", "off")
        self.do(me, SetLimits(1, Limits(None, None, None, "block", guard, None, None, None)))
        self.do(other, SetLimits(1, Limits(None, None, None, "block", "off", None, None, None)))
        for _ in range(dice.randrange(1, 7)):
            source = dice.of(MACS[me], MACS[me], dice.choice(STATIONS))
            frame = dice.judged(dice.of(MACS[other], BROADCAST), source)
            self.pairs[me]("handle_frame", 1, frame, self.now)
            source = dice.of(MACS[other], MACS[other], dice.choice(STATIONS))
            frame = dice.judged(dice.of(MACS[me], BROADCAST), source)
            self.pairs[other]("handle_frame", 1, frame, self.now)
        self.compare(other, self.pairs[other])
        self.receive_in_order(me)

    def receive_any(self, me: int) -> None:
        """Something that was made here or there, fresh or again."""
        _, datagram = self.dice.choice(self.made)
        if self.dice.one_in(3):
            datagram = frame_relay(self.dice.choice(RELAYS), datagram)
        self.receive(me, datagram, self.dice.choice(ENDPOINTS))

    def newest(self, me: int) -> list[bytes]:
        """What the other made last."""
        made = [datagram for maker, datagram in self.made if maker != me]
        return made[-self.dice.randrange(1, 70) :]

    def receive_in_order(self, me: int) -> None:
        for datagram in self.newest(me):
            self.receive(me, datagram, ENDPOINTS[1 - me])

    def receive_batch(self, me: int) -> None:
        """As UDP_GRO merges them."""
        dice, batch = self.dice, list[Received]()
        relay = dice.choice(RELAYS) if dice.one_in(4) else 0
        source = dice.choice(ENDPOINTS) if relay else ENDPOINTS[1 - me]
        for datagram in self.newest(me):
            one = frame_relay(relay, datagram) if relay else datagram
            last = batch[-1] if batch else Received(b"", 0, source)
            stride = last.stride or len(last.datagrams)
            if (
                one
                and len(one) <= stride
                and not len(last.datagrams) % stride
                and not dice.one_in(40)
            ):
                batch[-1] = Received(last.datagrams + one, stride, source)
            else:
                batch.append(Received(one, 0, source))
        self.pairs[me]("handle_datagrams", batch, self.now)

    def receive_damaged(self, me: int) -> None:
        datagram = bytearray(self.dice.choice(self.made)[1])
        if datagram:
            at = self.dice.randrange(len(datagram))
            if self.dice.one_in(4):
                del datagram[at:]
            else:
                datagram[at] ^= 1 << self.dice.randrange(8)
            self.receive(me, bytes(datagram), self.dice.choice(ENDPOINTS))

    def receive_noise(self, me: int) -> None:
        noise = self.dice.of(b"", b"", b"\x80", b"\4", b"\4" + bytes(6) + b"M") + self.dice.some(80)
        self.receive(me, noise, self.dice.choice(ENDPOINTS))

    def receive_odd(self, me: int) -> None:
        """Authentic, but what no engine would send."""
        dice, other = self.dice, 1 - me
        parts, (key, index, cipher) = dice.choice(list(self.keys.items()))
        flags = dice.of(0, 0, 0, 1, 2, 2, 2, 2, 2, 4, 8, 8, 0x0C, 0x10, 0x18, 0x1C, 3, 0x20, 0x40)
        flags = dice.of(flags, flags, flags, 0x22, 0x24) if flags in (2, 0x40) else flags
        counter = self.counters[parts] + dice.of(1, 1, 1, 1, 1, 70, 70, 0, -1, -40, -8191, -8192)
        if dice.one_in(60):
            counter += dice.of(8191, 8192, 400, 2**32 - 2**16)
        if not 0 <= counter < 2**32:
            return
        self.counters[parts] = max(counter if counter < 2**31 else 0, self.counters[parts])
        if flags & 2 and flags != 3:
            offset, size, total = dice.of(
                (0, 16, 40),
                (16, 24, 40),
                (0, 40, 40),
                (8, 8, 40),
                (30, 1, 31),
                (16, 16, 40),
                (32, 8, 40),
                (0, 0, 15),
                (0, 14, 14),
                (30, 24, 40),
            )
            text = PIECE_HEAD.pack(dice.randrange(6), offset, total) + bytes(size)
        elif flags & 0x10:
            text = dice.packet()[1]
        elif dice.one_in(20):
            text = emit_beacon(MACS[other], dice.of(0, 7), bytes(16))
        else:
            target = dice.of(MACS[me], MACS[me], BROADCAST, *MACS, *STATIONS, *GROUPS)
            source = dice.of(MACS[other], MACS[other], *STATIONS, *MACS)
            text, _ = dice.frame(target, source)
        header = HEADER.pack((0x80 | flags) << 24 | index, counter)
        sealed = SodiumCrypto().transport(cipher, key, key[:4]).seal(counter, header, text)
        self.receive(me, header + sealed, dice.of(ENDPOINTS[other], *ENDPOINTS))

    def knock(self, me: int) -> None:
        """Handshakes of strangers."""
        dice, source = self.dice, self.dice.choice(ENDPOINTS)
        kind, relay = dice.of(1, 1, 1, 1, 2, 3), dice.of(0, 0, *RELAYS)
        key = mac1_key(bytes(32) if dice.one_in(6) else PUBLIC)
        text = (bytes([kind, 1, 0, 0]) + b"hand").ljust({1: 352, 2: 189, 3: 64}[kind], b"n")
        if kind != 3:
            text += blake2s(text, key=key, digest_size=16).digest()
        if kind == 1:
            mac2 = bytes(16)
            if not dice.one_in(3):
                ago = dice.of(0.0, 0.0, 120.0, 240.0)
                held = CookieSecret(SEED).cookie(Path(source, relay), self.now - ago)
                mac2 = blake2s(text, key=held, digest_size=16).digest()
            text += mac2
        if relay:
            text = frame_relay(relay, text)
        for _ in range(dice.randrange(1, 6)):
            self.receive(me, text, source)

    def wait(self, me: int) -> None:
        self.now += self.dice.of(0.01, 0.01, 0.3, 0.5, 1.0, 1.5, 3.0, 120.0, 299.0, 300.0)

    def time_out(self, me: int) -> None:
        due = self.pairs[me]("next_timeout")
        if due is not None and self.dice.one_in(2):
            self.now = max(self.now, due)
        self.pairs[me]("handle_timeout", self.now)

    def listen(self, me: int) -> None:
        self.drain(self.pairs[me], self.dice.randrange(1, 50))


@pytest.fixture(scope="module", autouse=True)
def kind() -> None:
    """Both kinds are in each test."""


@pytest.mark.parametrize("bounds", [Bounds(), SMALL], ids=["ample", "cramped"])
@given(seed=st.integers(0, 2**64), steps=st.integers(1, 300))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_native_engine_is_the_reference_engine(bounds: Bounds, seed: int, steps: int) -> None:
    Life(seed, bounds).live(steps)


def test_lives_are_eventful() -> None:
    """Everything that can be told, given out or dropped occurs: else little would be compared."""
    seen, dropped = Counter[str](), set[DropReason]()
    for seed in range(10):
        for bounds in (Bounds(), SMALL):
            life = Life(seed, bounds)
            life.live(400)
            seen += life.seen
            dropped |= {reason for pair in life.pairs for reason in pair.engines[0].drops()}
    assert dropped == set(DropReason)
    upcalls = {"HandshakeReceived", "ControlReceived", "SessionConfirmed", "NeedSession"}
    upcalls |= {"SourceSeen", "MacLearned", "BeaconHeard", "Offence", "KeySpent"}
    upcalls |= {"GroupTalkHeard"}
    upcalls |= {"NeedReplicators", "AssignmentUnknown", "SourceStale"}
    assert {*CaptureSide, "lost"} <= set(+seen)
    assert upcalls | {"Transmit", "TransmitTrain", "Deliver", "merged"} <= set(seen)
