"""Nodes that share no planet find and reach each other by one hop between two planets."""

from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


def apart(sim: Simulation, *, direct: bool = False, planets: int = 2) -> tuple[NodeHost, NodeHost]:
    """Two nodes of which each reaches one planet only; the controller shares the second's."""
    for _ in range(planets):
        sim.add_planet()
    controller = sim.add_controller()
    kind = NatKind.PRESERVING if direct else NatKind.SYMMETRIC
    one, other = sim.add_node(kind, direct=direct), sim.add_node(kind, direct=direct)
    for planet in sim.planets[1:]:
        sim.internet.cut(one.name, planet.name)
    for planet in sim.planets[:-1]:
        sim.internet.cut(other.name, planet.name)
        sim.internet.cut(controller.name, planet.name)
    if not direct:
        sim.internet.cut(one.name, controller.name)
    sim.start()
    return one, other


@seeds(3)
def test_join_and_traffic_across_one_hop(sim: Simulation) -> None:
    one, other = apart(sim)
    network = sim.network_of([one, other], limit_s=15)
    ping = first_answer(one, other, network)
    sim.run_until(lambda: ping.has_answer, 3)
    pings = Pings(other, one, network, 0.05).start()
    sim.run(120)
    pings.stop()
    sim.run(1)
    assert pings.lost == []
    views = one.peer(other), other.peer(one)
    assert [view and view.via for view in views] == [
        sim.planets[0].address,
        sim.planets[1].address,
    ]
    assert all(planet.core.links == 2 for planet in sim.planets)  # the controller's as well


@seeds(3)
def test_a_direct_path_is_found_across_one_hop(sim: Simulation) -> None:
    one, other = apart(sim, direct=True)
    network = sim.network_of([one, other], limit_s=15)
    pings = Pings(one, other, network).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    pings.stop()


@seeds(2)
def test_a_sister_that_dies_takes_its_links_along_and_comes_back(sim: Simulation) -> None:
    one, other = apart(sim)
    network = sim.network_of([one, other], limit_s=15)
    pings = Pings(one, other, network).start()
    sim.run(5)
    sim.planets[1].restart()
    restarted_at = sim.now
    sim.run(45)
    assert pings.silence_s(restarted_at) < 35  # a client that says nothing asks after 25 s
    sim.nodes[1].crash()
    sim.run(200)
    assert sim.planets[0].core.links <= 1  # the controller's


@seeds(1)
def test_nobody_between_planets_without_sisterhood(sim: Simulation) -> None:
    """A third planet in the middle is asked, and asks nobody itself."""
    one, _ = apart(sim, planets=3)
    sim.internet.cut("planet1", "planet3")
    one.join(sim.controllers[0].create_network("10.77.0.0/16", public=True))
    sim.run(20)
    assert all(planet.core.relays == 0 for planet in sim.planets[:2])
