"""Several planets, dead planets, planets that come back."""

import pytest

from tests.scenario.test_join import home
from tests.simulator.internet import Line
from tests.simulator.nat import NatKind
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


@seeds(3)
@pytest.mark.parametrize("planets", [2, 3])
def test_one_dead_planet_stops_nobody(sim: Simulation, planets: int) -> None:
    home(sim, nodes=0, planets=planets)
    sim.run(5)
    sim.planets[0].crash()
    one, other = sim.add_node(NatKind.PRESERVING), sim.add_node(NatKind.SYMMETRIC)
    sim.start()
    network = sim.network_of(sim.nodes)
    ping = first_answer(one, other, network)
    assert sim.run_until(lambda: ping.has_answer, 5) < 2


@seeds(3)
def test_members_near_different_planets_meet(sim: Simulation) -> None:
    """Each reaches only one planet of two, and the controller reaches both."""
    home(sim, planets=3)
    one, other = sim.nodes
    sim.internet.cut(one.name, "planet1")
    sim.internet.cut(other.name, "planet2")
    network = sim.network_of(sim.nodes)
    ping = first_answer(one, other, network)
    sim.run_until(lambda: ping.has_answer, 5)


@seeds(3)
def test_the_planet_that_relays_may_die(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.SYMMETRIC), sim.add_node(NatKind.SYMMETRIC)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run(10)
    view = one.peer(other)
    assert view is not None and view.path == "relay"
    dead = next(planet for planet in sim.planets if planet.address == view.via)
    dead.crash()
    died_at = sim.now
    sim.run(30)
    pings.stop()
    sim.run(1)
    assert max(pings.lost, default=died_at) < died_at + 5


@seeds(3)
def test_a_planet_restarts_and_is_found_again(sim: Simulation) -> None:
    home(sim, nodes=3)
    [planet], (one, other, third) = sim.planets, sim.nodes
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(2)
    planet.crash()
    sim.run(60)
    planet.start()
    sim.run(30)
    pings.stop()
    sim.run(1)
    assert pings.lost == []
    ping = first_answer(third, one, network)
    sim.run_until(lambda: ping.has_answer, 5)


@seeds(2)
def test_all_planets_dead_leave_direct_paths_alone(sim: Simulation) -> None:
    home(sim, planets=2)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(2)
    for planet in sim.planets:
        planet.crash()
    sim.run(300)
    pings.stop()
    sim.run(1)
    assert pings.lost == []


@seeds(2)
def test_hosts_of_two_families_are_relayed_whichever_their_planets_prefer(sim: Simulation) -> None:
    """Node and planet may each find another family better: both answer all the while."""
    for _ in range(2):
        sim.add_planet().attach(sim.public_address(6), sim.internet.public)
    sim.add_controller()
    for _ in range(8):
        line = Line(latency_s=0.01, jitter_s=0.02)
        node = sim.add_unplugged_node(direct=False)
        for family in (4, 6):
            node.attach(sim.public_address(family), sim.internet.public, line)
    sim.start()
    network = sim.network_of(sim.nodes)
    halves = sim.nodes[::2], sim.nodes[1::2]
    pings = [first_answer(one, other, network) for one, other in zip(*halves, strict=True)]
    sim.run_until(lambda: all(ping.has_answer for ping in pings), 1.0)
