"""Engines joined by a pipe in memory, under a virtual clock.

Every test runs on each kind of engine: `conftest.py` sets `use.kind` module by module.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s

import pytest

from l2mesh.crypto import Cipher, Crypto, Random, SodiumCrypto, Transport
from l2mesh.datapath.interface import (
    Command,
    Deliver,
    DropReason,
    Endpoint,
    Engine,
    InstallReceive,
    InstallSend,
    OpenPort,
    Path,
    SetMember,
    SetPath,
    Transmit,
    Upcall,
)
from l2mesh.datapath.reference import Bounds, ReferenceEngine
from l2mesh.errors import CryptoError
from l2mesh.wire.data import HEADER

NETWORK = 0x1122334455000001
SESSION = 5
CIPHER = Cipher.CHACHA20_POLY1305
ELSEWHERE = Endpoint("198.51.100.7", 4242)


class CheapTransport(Transport):
    """Text in the clear and a keyed tag: for tests of what happens around encryption."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.opened = 0

    def seal(self, counter: int, aad: bytes, plaintext: bytes) -> bytes:
        return plaintext + self._tag(counter, aad, plaintext)

    def open(self, counter: int, aad: bytes, ciphertext: bytes) -> bytes:
        self.opened += 1
        text = ciphertext[:-16]
        if ciphertext[-16:] != self._tag(counter, aad, text):
            raise CryptoError("forged")
        return text

    def _tag(self, counter: int, aad: bytes, text: bytes) -> bytes:
        data = counter.to_bytes(8, "big") + aad + text
        return blake2s(data, key=self.key, digest_size=16).digest()


class CheapCrypto(SodiumCrypto):
    def transport(self, cipher: Cipher, key: bytes, salt: bytes) -> Transport:
        return CheapTransport(key)


def make_random(seed: bytes = b"seed") -> Random:
    """Deterministic bytes."""
    state = [0]

    def random(size: int) -> bytes:
        state[0] += 1
        out = b""
        while len(out) < size:
            out += blake2s(
                seed + state[0].to_bytes(4, "big") + len(out).to_bytes(4, "big")
            ).digest()
        return out[:size]

    return random


class Use:
    """Which kind of engine hosts have from now on."""

    kind = "reference"


use = Use()


def make_engine(
    kind: str, *, crypto: Crypto, random: Random, bounds: Bounds | None = None
) -> Engine:
    """An engine of that kind. The native one brings its own ciphers."""
    if kind == "reference":
        return ReferenceEngine(crypto, random, bounds)
    from l2mesh.datapath.native import NativeEngine

    return NativeEngine(random, bounds)


def transport_of(key: bytes, *, kind: str | None = None) -> Transport:
    """What seals and opens on an index that `allow` has installed, on hosts that are not `real`."""
    if (kind or use.kind) == "reference":
        return CheapTransport(key)
    return SodiumCrypto().transport(CIPHER, key, key[:4])


def inside(engine: Engine) -> ReferenceEngine:
    """The engine for a test that looks at its tables; that test is for the reference engine."""
    if not isinstance(engine, ReferenceEngine):
        pytest.skip("looks inside the reference engine")
    return engine


class Host:
    """One engine and what came out of it."""

    def __init__(self, number: int, *, real: bool = False, bounds: Bounds | None = None) -> None:
        self.number = number
        self.fingerprint = bytes([number]) * 32
        self.mac = bytes([2, 0, 0, 0, 0, number])
        self.endpoint = Endpoint(f"192.0.2.{number}", 9000 + number)
        crypto = SodiumCrypto() if real else CheapCrypto()
        self.engine = make_engine(use.kind, crypto=crypto, random=make_random(), bounds=bounds)
        self.now = 1000.0
        self.delivered: list[bytes] = []
        self.upcalls: list[Upcall] = []

    def do(self, *commands: Command) -> None:
        for command in commands:
            self.engine.execute(command, self.now)

    def open(self, *, mtu: int = 1500, bridge: bool = False, network: int = NETWORK) -> None:
        self.do(OpenPort(network, self.mac, mtu, bridge))

    def send(self, *frames: bytes, network: int = NETWORK) -> list[Transmit]:
        """Feed frames into the port; the datagrams that leave."""
        for frame in frames:
            self.engine.handle_frame(network, frame, self.now)
        return self.outputs()

    def receive(self, *datagrams: bytes, source: Endpoint) -> list[bytes]:
        """Feed datagrams; the frames that this delivers."""
        before = len(self.delivered)
        for datagram in datagrams:
            self.engine.handle_datagram(datagram, source, self.now)
        assert not self.outputs()
        return self.delivered[before:]

    def outputs(self) -> list[Transmit]:
        """Datagrams that wait, those of trains one by one; frames go into `delivered`."""
        datagrams: list[Transmit] = []
        while (output := self.engine.poll_output()) is not None:
            if isinstance(output, Deliver):
                self.delivered.append(output.frame)
            elif isinstance(output, Transmit):
                datagrams.append(output)
            else:
                run, stride, endpoint = output
                cut = (run[at : at + stride] for at in range(0, len(run), stride))
                datagrams += [Transmit(datagram, endpoint) for datagram in cut]
        return datagrams

    def heard(self) -> list[Upcall]:
        """Upcalls that wait."""
        fresh: list[Upcall] = []
        while (upcall := self.engine.poll_upcall()) is not None:
            fresh.append(upcall)
        self.upcalls += fresh
        return fresh

    def wait(self, seconds: float) -> None:
        """Let time pass, with the timeouts that the engine asks for."""
        end = self.now + seconds
        while (due := self.engine.next_timeout()) is not None and due <= end:
            assert due >= self.now - 1e-9
            self.now = due
            self.engine.handle_timeout(due)
        self.now = end

    @property
    def drops(self) -> dict[DropReason, int]:
        return self.engine.drops()


def key_of(sender: Host, receiver: Host, network: int, session: int) -> bytes:
    text = f"{sender.number} {receiver.number} {network} {session}".encode()
    return blake2s(text).digest()


def index_of(sender: Host, receiver: Host, network: int, session: int) -> int:
    return int.from_bytes(key_of(sender, receiver, network, session)[:3], "big") or 1


def allow(
    sender: Host,
    receiver: Host,
    *,
    network: int = NETWORK,
    session: int = SESSION,
    elided: bytes | None = None,
) -> None:
    """Keys for one direction of one network."""
    key, index = (
        key_of(sender, receiver, network, session),
        index_of(sender, receiver, network, session),
    )
    receiver.do(
        InstallReceive(sender.fingerprint, session, network, index, CIPHER, key, key[:4], elided)
    )
    sender.do(InstallSend(receiver.fingerprint, session, network, index, CIPHER, key, key[:4]))


def join(a: Host, b: Host, *, size: int = 1472, session: int = SESSION) -> None:
    """Keys of both directions, for the network and for control, and direct paths."""
    for one, other in ((a, b), (b, a)):
        allow(one, other, session=session)
        allow(one, other, network=0, session=session)
        one.do(SetPath(other.fingerprint, Path(other.endpoint), size))


def introduce(hosts: Iterable[Host], *, bridges: Iterable[Host] = ()) -> None:
    """Everyone knows everyone as a member; ports must be open."""
    hosts, bridges = list(hosts), list(bridges)
    for one in hosts:
        for other in hosts:
            if one is not other:
                one.do(SetMember(NETWORK, other.fingerprint, other.mac, other in bridges))


def make_mesh(
    count: int,
    *,
    bridges: tuple[int, ...] = (),
    real: bool = False,
    bounds: Bounds | None = None,
    size: int = 1472,
    mtu: int = 1500,
) -> list[Host]:
    """Hosts 1..count, all joined; `bridges` are the numbers of those that bridge."""
    hosts = [Host(number, real=real, bounds=bounds) for number in range(1, count + 1)]
    for host in hosts:
        host.open(bridge=host.number in bridges, mtu=mtu)
    introduce(hosts, bridges=[host for host in hosts if host.number in bridges])
    for place, one in enumerate(hosts):
        for other in hosts[place + 1 :]:
            join(one, other, size=size)
    return hosts


def carry(hosts: list[Host], *, limit: int = 100_000) -> int:
    """Move datagrams to whom they are for until nothing moves; how many moved."""
    by_endpoint = {host.endpoint: host for host in hosts}
    moved = 0
    while True:
        flying = [(host, one) for host in hosts for one in host.outputs()]
        if not flying:
            return moved
        for host, one in flying:
            moved += 1
            assert moved < limit
            target = by_endpoint[one.endpoint]
            target.engine.handle_datagram(one.datagram, host.endpoint, target.now)


def ethernet(
    destination: bytes, source: bytes, payload: bytes = b"hello", kind: int = 0x88B5
) -> bytes:
    return destination + source + kind.to_bytes(2, "big") + payload


def tagged(frame: bytes, vlan: int, tpid: int = 0x8100) -> bytes:
    return frame[:12] + tpid.to_bytes(2, "big") + vlan.to_bytes(2, "big") + frame[12:]


BROADCAST = b"\xff" * 6


def sealed(sender: Host, receiver: Host, flags: int, text: bytes, counter: int) -> bytes:
    """DATA that a well-behaved engine would not send; cheap crypto only."""
    index = index_of(sender, receiver, NETWORK, SESSION)
    header = HEADER.pack((0x80 | flags) << 24 | index, counter)
    key = key_of(sender, receiver, NETWORK, SESSION)
    return header + transport_of(key).seal(counter, header, text)
