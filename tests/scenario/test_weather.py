"""Bad lines: loss, disorder, copies, replayed datagrams, handshakes that cross."""

import pytest

from tests.simulator.internet import Line, Packet
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer

pytestmark = pytest.mark.slow

ROUGH = Line(latency_s=0.02, jitter_s=0.02, loss=0.025, reordered=0.2, duplicated=0.05)
AWFUL = Line(latency_s=0.05, jitter_s=0.01, loss=0.163)
"""Over two such lines 30 % is lost; planets and controllers have good ones."""


def copy_of(line: Line) -> Line:
    """A line of its own for every host."""
    return Line(line.latency_s, line.jitter_s, line.loss, line.reordered, line.duplicated)


def rough(sim: Simulation, line: Line, nodes: int = 2) -> None:
    """A world in which every line is like this one."""
    sim.add_planet(copy_of(line))
    sim.add_controller(copy_of(line))
    for _ in range(nodes):
        sim.add_node(NatKind.PRESERVING, line=copy_of(line))
    sim.start()


@seeds(3)
def test_loss_disorder_and_copies_stop_nobody(sim: Simulation) -> None:
    """5 % of datagrams are lost each way; pings are lost no more often than both ways cost."""
    rough(sim, ROUGH, nodes=3)
    one, other, _ = sim.nodes
    network = sim.network_of(sim.nodes)
    sim.journal.is_on = False
    pings = Pings(one, other, network).start()
    sim.run(200)
    pings.stop()
    sim.run(2)
    assert len(pings.lost) / len(pings.sent) < 0.14
    assert pings.twice == 0
    assert one.is_direct_to(other) and other.is_direct_to(one)


@seeds(5)
def test_thirty_percent_loss_is_borne(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    one, other = (sim.add_node(NatKind.PRESERVING, line=copy_of(AWFUL)) for _ in range(2))
    sim.start()
    network = sim.network_of(sim.nodes, limit_s=60)
    sim.journal.is_on = False
    pings = Pings(one, other, network).start()
    took = sim.run_until(lambda: pings.has_answer, 20)
    assert took < 10
    sim.run(140)
    pings.stop()
    sim.run(2)
    assert len(pings.lost) / len(pings.sent) < 0.62  # 1 - 0.7**2 = 0.51


@seeds(6)
def test_crossing_handshakes_come_to_one_session(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    one, other = (sim.add_node(NatKind.PRESERVING) for _ in range(2))
    sim.start()
    network = sim.network_of(sim.nodes)
    there, back = Pings(one, other, network, 1.0), Pings(other, one, network, 1.0)
    meet(there, back)
    sim.run(20)
    assert there.lost == [] and back.lost == []
    assert one.core.core.peers[other.fingerprint].is_live
    sessions = [session_of(one, other), session_of(other, one)]
    assert all(sessions)


def meet(there: Pings, back: Pings) -> None:
    """Both ping each other at the same moment, once: an answer must not be taken for a request."""
    for pings in (there, back):
        pings.start()
        pings.stop()


def session_of(node: NodeHost, other: NodeHost) -> int | None:
    """The session on which a node sends to another."""
    return node.core.core.peers[other.fingerprint].sessions.current


@seeds(3)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_replayed_datagrams_change_nothing(sim: Simulation, elsewhere: bool) -> None:  # noqa: FBT001
    """Everything that was ever sent comes once more, from where it came or from a stranger."""
    sim.add_planet()
    sim.add_controller()
    one, other = (sim.add_node() for _ in range(2))
    stranger = sim.add_node()
    sim.start()
    captured: list[Packet] = []
    sim.internet.taps.append(captured.append)
    network = sim.network_of([one, other])
    pings = Pings(one, other, network).start()
    sim.run(20)
    before = sim.standing()
    addresses = {each.address: host for host in sim.hosts() for each in host.interfaces}
    replayed = list(captured)
    for packet in replayed:
        source = stranger.endpoints[0] if elsewhere else packet.source
        addresses[packet.destination.host].receive(packet.data, source)
        sim.run(0.001)
    assert sim.standing() == before
    sim.run(5)
    pings.stop()
    sim.run(1)
    assert pings.lost == [] and pings.twice == 0
    assert sim.standing() == before


@seeds(3)
def test_a_network_that_was_cut_in_two_grows_together(sim: Simulation) -> None:
    rough(sim, Line(), nodes=4)
    network = sim.network_of(sim.nodes)
    left, right = sim.nodes[:2], sim.nodes[2:]
    pings = Pings(left[0], right[0], network).start()
    sim.run(10)
    for one in left:
        for other in (*(host.name for host in sim.hosts() if host not in left),):
            sim.internet.cut(one.name, other)
    sim.run(200)
    sim.internet.heal()
    healed_at = sim.now
    sim.run(60)
    pings.stop()
    sim.run(1)
    assert max(pings.lost) < healed_at + 35
    ping = first_answer(right[1], left[1], network)
    sim.run_until(lambda: ping.has_answer, 5)
