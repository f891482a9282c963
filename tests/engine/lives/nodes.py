"""Two nodes, each an engine of both kinds, a clock, and what they have made so far."""

from __future__ import annotations

from collections import Counter
from typing import Any

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    Command,
    Deliver,
    Endpoint,
    InstallReceive,
    InstallSend,
    OpenPort,
    Path,
    SetGuard,
    SetMember,
    SetPath,
    SetPortOffloads,
    SetUnderlay,
    Transmit,
)
from l2mesh.datapath.reference import Bounds
from tests.engine.lab import make_engine, make_random
from tests.engine.lives.cast import (
    ENDPOINTS,
    MACS,
    NAMES,
    NETWORKS,
    OFFLOADS,
    OWN,
    PEERS,
    PUBLIC,
    SEED,
    index_of,
    key_of,
)
from tests.engine.lives.orders import Dice


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


class Nodes:
    """Two nodes that can reach each other."""

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
