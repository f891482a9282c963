"""One pair in the simulator: two planets, a controller, two nodes, one network, pings."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.simulator.internet import Packet, Segment
from tests.simulator.nat import Nat, NatKind
from tests.simulator.node import NodeHost
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings
from tools.pairs.places import Neighbours, Outcome, Pair, Place, is_searched

__all__ = ["play"]

RUN_S: Final = 20.0
PAUSE_S: Final = (1.0, 30.0)
"""Between joining and the first frame."""
LONG_PAUSE_S: Final = (60.0, 600.0)
"""The same for every other seed where a NAT counts up: others take its ports meanwhile."""
SEARCH_RUN_S: Final = 61.0
"""Of a pair that searches: the first minute is the busiest."""
STRANGERS_PER_S: Final = 0.5
"""Mappings that others make behind a sequential NAT."""
BLOCK_PORTS: Final = 512
"""Of one customer of a carrier."""
_KINDS: Final = {
    Place.FULL_CONE: NatKind.FULL_CONE,
    Place.ADDRESS: NatKind.ADDRESS,
    Place.PORT: NatKind.PRESERVING,
    Place.DOUBLE: NatKind.PRESERVING,
    Place.RANDOM: NatKind.SYMMETRIC,
    Place.BLOCK: NatKind.SYMMETRIC,
    Place.SEQUENTIAL: NatKind.SEQUENTIAL,
    Place.BLOCKED: NatKind.PRESERVING,
    Place.DUAL: NatKind.PRESERVING,
}


def play(pair: Pair, seed: int, *, run_s: float = 0.0) -> Outcome:
    """Build the pair, let its first frame go, and watch: 20 s, and 61 s a pair that searches."""
    run_s = run_s or (SEARCH_RUN_S if is_searched(pair) else RUN_S)
    with TemporaryDirectory() as folder:
        sim = Simulation(seed, Path(folder))
        try:
            sim.journal.is_on = False
            return _Watch(sim, pair).run(run_s)
        finally:
            sim.close()


class _Watch:
    """A pair that is being watched."""

    def __init__(self, sim: Simulation, pair: Pair) -> None:
        self.sim = sim
        waits = Place.SEQUENTIAL in _places(pair) and sim.seed % 2 == 0
        self.pause_s = LONG_PAUSE_S if waits else PAUSE_S
        for _ in range(2):
            sim.add_planet().attach(sim.public_address(6), sim.internet.public)
        self.planets = frozenset(
            each.address for planet in sim.planets for each in planet.interfaces
        )
        sim.add_controller()
        if isinstance(pair, Neighbours):
            self.one, self.other = neighbours(sim, pair)
        else:
            self.one, self.other = (stand(sim, place, self.planets) for place in pair)
        self.begun = 0.0
        self.probes: Counter[int] = Counter()

    def run(self, run_s: float) -> Outcome:
        """From the first frame on, for so many seconds."""
        sim, one, other = self.sim, self.one, self.other
        sim.start()
        network = sim.network_of([one, other])
        sim.run(sim.random("pause").uniform(*self.pause_s))
        begun = self.begun = sim.now
        sim.internet.taps.append(self._count)
        pings = Pings(one, other, network, interval_s=0.2).start()
        direct_s = sim.schedule.run_until(
            lambda: one.is_direct_to(other) and other.is_direct_to(one), run_s
        )
        sim.run(begun + run_s - sim.now)
        pings.stop()
        sim.run(1.0)
        first = min(pings.sent[each] + took for each, took in pings.round_trips.items())
        return Outcome(
            seed=sim.seed,
            direct_s=direct_s,
            answered_s=first - begun if pings.has_answer else None,
            lost=len(pings.lost),
            probes=max(self.probes.values(), default=0),
        )

    def _count(self, packet: Packet) -> None:
        ends = {self.one.name: self.other, self.other.name: self.one}
        peer, node = ends.get(packet.sender), packet.sender
        sender = self.one if node == self.one.name else self.other
        to = (
            packet.destination
            if sender.nat64 is None
            else sender.nat64.original(packet.destination)
        )
        if peer is None or to.host in self.planets:
            return
        view = sender.peer(peer)
        if view is None or view.endpoint != to:
            self.probes[int((self.sim.now - self.begun) // 60)] += 1


def stand(sim: Simulation, place: Place, planets: frozenset[str]) -> NodeHost:
    """A node at a place."""
    if place is Place.OPEN:
        return sim.add_node()
    if place is Place.IPV6:
        return _with_ipv6(sim, sim.add_unplugged_node())
    if place is Place.NAT64:
        return sim.add_nat64_node()
    outside = sim.lan(NatKind.PRESERVING) if place is Place.DOUBLE else None
    lan = sim.lan(_KINDS[place], outside=outside)
    nat = _nat_of(lan)
    if place is Place.SEQUENTIAL:
        nat.strangers_per_s = STRANGERS_PER_S
    if place is Place.BLOCK:
        nat.take_block(BLOCK_PORTS)
    if place is Place.BLOCKED:
        nat.only_to = planets
    node = sim.add_node(lan)
    return _with_ipv6(sim, node) if place is Place.DUAL else node


def neighbours(sim: Simulation, kind: Neighbours) -> tuple[NodeHost, NodeHost]:
    """Two nodes near each other."""
    if kind is Neighbours.SAME_LAN:
        lan = sim.lan(NatKind.SYMMETRIC)
        return sim.add_node(lan), sim.add_node(lan)
    outer = sim.lan(NatKind.PRESERVING)
    _nat_of(outer).hairpin = kind is Neighbours.HAIRPIN
    homes = [sim.lan(NatKind.PRESERVING, outside=outer) for _ in range(2)]
    return sim.add_node(homes[0]), sim.add_node(homes[1])


def _places(pair: Pair) -> tuple[Place, ...]:
    return () if isinstance(pair, Neighbours) else pair


def _with_ipv6(sim: Simulation, node: NodeHost) -> NodeHost:
    """Give a node IPv6 behind a firewall."""
    segment = node.interfaces[0].segment if node.interfaces else Segment(f"home of {node.name}")
    wall = Nat(NatKind.FIREWALL, "", sim.random(f"wall of {node.name}"))
    sim.internet.wall(segment, wall, sim.internet.public)
    node.attach(sim.public_address(6), segment, sim.line(f"{node.name} IPv6"))
    return node


def _nat_of(lan: Segment) -> Nat:
    assert lan.gateway is not None and isinstance(lan.gateway.nat, Nat)
    return lan.gateway.nat
