"""The home planet, and the relay of a pair, by round trip and loss: both ends use the same one."""

from l2mesh.node.views import PlanetView
from tests.simulator.internet import Line
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

LATENCIES_S = (0.060, 0.010, 0.030)


def relayed(sim: Simulation) -> Pings:
    """A pair that never becomes direct, and three planets, the second of which is nearest."""
    for latency_s in LATENCIES_S:
        sim.add_planet(Line(latency_s=latency_s))
    sim.add_controller()
    one, other = sim.add_node(direct=False), sim.add_node(direct=False)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network, 0.25).start()
    sim.run(30)
    assert vias(sim) == [sim.planets[1].address] * 2
    return pings


def vias(sim: Simulation) -> list[bytes | None]:
    """By which planet each of the two sends to the other."""
    one, other = sim.nodes
    views = [one.peer(other), other.peer(one)]
    return [view.via for view in views if view is not None]


def home(node: NodeHost) -> PlanetView:
    """What a node shows as its home."""
    (view,) = [view for view in node.core.planet_views() if view.is_home]
    return view


@seeds(3)
def test_home_and_relay_are_the_nearest_for_both(sim: Simulation) -> None:
    relayed(sim)
    for node in sim.nodes:
        assert home(node).address == sim.planets[1].address
        peers = {each.fingerprint for each in sim.nodes}
        assert sum(leg.peer in peers for leg in node.core.relays.legs.values()) in {2, 3}


@seeds(3)
def test_a_relay_that_loses_much_is_left_by_both(sim: Simulation) -> None:
    pings = relayed(sim)
    sim.planets[1].line.loss = 0.2
    sim.run(60)
    assert vias(sim) == [sim.planets[2].address] * 2
    began = sim.now
    sim.run(30)
    pings.stop()
    sim.run(1)
    assert [at for at in pings.lost if at > began] == []


@seeds(3)
def test_a_small_gain_moves_nobody(sim: Simulation) -> None:
    relayed(sim)
    sim.planets[2].line.latency_s = 0.009
    sim.run(60)
    assert vias(sim) == [sim.planets[1].address] * 2
    assert {home(node).address for node in sim.nodes} == {sim.planets[1].address}


@seeds(1)
def test_home_moves_for_a_clear_and_lasting_gain(sim: Simulation) -> None:
    relayed(sim)
    sim.planets[1].line.latency_s = 0.120
    sim.run(240)
    assert {home(node).address for node in sim.nodes} == {sim.planets[2].address}
    assert vias(sim) == [sim.planets[2].address] * 2
