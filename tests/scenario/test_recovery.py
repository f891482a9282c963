"""What changes under a running tunnel: addresses, NATs, paths that die, hosts that slept."""

from collections.abc import Callable

import pytest

from tests.simulator.nat import Nat, NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer

AGAIN_S = 1.0
"""Traffic flows again within this time, by whatever path."""
DIRECT_S = 5.0
ROUND_TRIP_S = 0.2
"""What the slowest of the lines takes there and back, and a ping each 50 ms."""

Event = Callable[[Simulation, NodeHost, NodeHost], None]


def new_mapping(sim: Simulation, one: NodeHost, other: NodeHost) -> None:
    """The NAT was started anew: another public address, and no mapping left."""
    gateway = one.interfaces[0].segment.gateway
    assert gateway is not None and isinstance(gateway.nat, Nat)
    sim.internet.renumber(gateway.nat, sim.public_address())


def told_move(sim: Simulation, one: NodeHost, other: NodeHost) -> None:
    """To another home; the kernel tells."""
    one.move("192.168.9.9", sim.lan(NatKind.PRESERVING))


def silent_move(sim: Simulation, one: NodeHost, other: NodeHost) -> None:
    """To another home, and nobody tells the daemon."""
    sim.internet.move(one.interfaces[0], "192.168.9.9", sim.lan(NatKind.PRESERVING))


def talking(sim: Simulation, far: NatKind | None) -> tuple[Pings, Pings]:
    """Two nodes that ping each other on a direct path, 20 times a second."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.PRESERVING), sim.add_node(far)
    sim.start()
    network = sim.network_of(sim.nodes)
    there = Pings(one, other, network, 0.05).start()
    back = Pings(other, one, network, 0.05).start()
    sim.run_until(lambda: is_direct(one, other), 5)
    sim.run(sim.random("pause").uniform(3.0, 5.0))
    return there, back


def is_direct(one: NodeHost, other: NodeHost) -> bool:
    return one.is_direct_to(other) and other.is_direct_to(one)


@seeds(2)
@pytest.mark.parametrize("far", [NatKind.PRESERVING, None], ids=["port", "open"])
@pytest.mark.parametrize("event", [new_mapping, told_move, silent_move])
def test_traffic_flows_again_within_a_second(
    sim: Simulation, event: Event, far: NatKind | None
) -> None:
    there, back = talking(sim, far)
    one, other = sim.nodes
    changed_at = sim.now
    event(sim, one, other)
    sim.run(DIRECT_S)
    assert is_direct(one, other)
    for pings in (there, back):
        assert pings.silence_s(changed_at) < AGAIN_S + ROUND_TRIP_S


@seeds(2)
@pytest.mark.parametrize("one_way", [True, False], ids=["one way", "both ways"])
def test_a_path_that_dies_in_silence_is_left_at_once(
    sim: Simulation,
    one_way: bool,  # noqa: FBT001
) -> None:
    there, back = talking(sim, NatKind.PRESERVING)
    one, other = sim.nodes
    sim.internet.cut(one.name, other.name, one_way=one_way)
    died_at = sim.now
    sim.run(DIRECT_S)
    assert one.path_to(other) == "relay"
    for pings in (there, back):
        assert pings.silence_s(died_at) < AGAIN_S + ROUND_TRIP_S


@seeds(2)
@pytest.mark.parametrize("outage_s", [2.0, 4.0])
def test_outages_of_one_path_are_all_noticed_as_soon_as_the_first(
    sim: Simulation, outage_s: float
) -> None:
    there, back = talking(sim, NatKind.PRESERVING)
    one, other = sim.nodes
    for _ in range(5):
        sim.internet.cut(one.name, other.name)
        died_at = sim.now
        sim.run(outage_s)
        for pings in (there, back):
            assert pings.silence_s(died_at) < AGAIN_S + ROUND_TRIP_S
        sim.internet.heal()
        sim.run_until(lambda: is_direct(one, other), 60)
        sim.run(2.0)


@seeds(2)
@pytest.mark.parametrize("seconds", [30.0, 3600.0])
def test_a_host_that_slept_talks_again_within_two_seconds(sim: Simulation, seconds: float) -> None:
    there, back = talking(sim, NatKind.PRESERVING)
    one, other = sim.nodes
    sim.journal.is_on = False
    there.stop()
    one.suspend(seconds)
    sim.run(30)
    back.stop()  # whoever asks a sleeper gives up some time
    sim.run(seconds - 30)
    woke_at = sim.now
    pings = Pings(one, other, there.network, 0.05).start()
    sim.run(6)
    assert is_direct(one, other)
    assert pings.silence_s(woke_at) < 2


@seeds(1)
def test_nothing_is_lost_on_the_way_to_a_direct_path(sim: Simulation) -> None:
    """10,000 paced packets: the first by the relay, from some moment on directly."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.PRESERVING), sim.add_node(NatKind.PRESERVING)
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.journal.is_on = False
    first = first_answer(one, other, network)
    sim.run_until(lambda: first.has_answer, 2)
    assert not is_direct(one, other)
    pings = Pings(one, other, network, 0.001).start()
    sim.run(10)
    pings.stop()
    sim.run(1)
    assert is_direct(one, other)
    assert len(pings.sent) > 9990 and pings.lost == []


@seeds(2)
def test_nothing_is_lost_on_an_orderly_way_back_to_the_relay(sim: Simulation) -> None:
    """10,000 paced packets, half of them each way, while one end is told to use relays alone."""
    there, back = talking(sim, NatKind.PRESERVING)
    one, other = sim.nodes
    there.stop()
    back.stop()
    sim.journal.is_on = False
    pings = [Pings(*ends, there.network, 0.002) for ends in ((one, other), (other, one))]
    for each in pings:
        each.start()
    sim.run(1)
    one.call(lambda node, now: node.core.set_direct(direct=False, now=now))
    sim.run(9)
    assert one.path_to(other) == other.path_to(one) == "relay"
    for each in pings:
        each.stop()
    sim.run(1)
    for each in pings:
        assert len(each.sent) > 4990 and each.lost == [] and each.twice == 0
    one.call(lambda node, now: node.core.set_direct(direct=True, now=now))
    ping = Pings(one, other, there.network).start()
    sim.run_until(lambda: is_direct(one, other), 15)
    assert ping.lost == []


@seeds(2)
def test_copies_by_the_relay_fill_the_gap_before_a_doubtful_path_is_left(sim: Simulation) -> None:
    """What was sent after two heartbeats went unanswered is not lost, though the path is dead."""
    there, back = talking(sim, NatKind.PRESERVING)
    one, other = sim.nodes
    sim.internet.cut(one.name, other.name)
    died_at = sim.now
    sim.run(DIRECT_S)
    assert one.path_to(other) == "relay"
    for pings in (there, back):
        assert pings.silence_s(died_at) < 0.75 + ROUND_TRIP_S


@seeds(2)
@pytest.mark.parametrize("mtu", [1492, 1420, 1280])
def test_large_frames_pass_a_line_that_swallows_large_datagrams(sim: Simulation, mtu: int) -> None:
    """PPPoE, a WireGuard underlay, the least that IPv6 allows; nobody tells that it is so."""
    there, _ = talking(sim, NatKind.PRESERVING)
    one, other = sim.nodes
    one.line.mtu = mtu
    sim.run(17)
    large = Pings(one, other, there.network, 0.05, size=1514).start()
    sim.run(2)
    large.stop()
    sim.run(1)
    assert len(large.sent) > 30 and large.lost == []
