"""Planets die under load: traffic goes on by another one, and newcomers are let in."""

from tests.simulator.nat import NatKind
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer

AGAIN_S = 3.0
"""Relayed traffic flows again within this time after its planet has died."""


def relayed(sim: Simulation, planets: int = 3) -> tuple[Pings, Pings]:
    """Two nodes that ping each other by a planet, since their NATs allow nothing else."""
    for _ in range(planets):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(direct=False), sim.add_node(NatKind.SYMMETRIC)
    sim.start()
    network = sim.network_of(sim.nodes)
    there = Pings(one, other, network, 0.05).start()
    back = Pings(other, one, network, 0.05).start()
    sim.run(sim.random("pause").uniform(8.0, 12.0))
    return there, back


def planet_between(sim: Simulation) -> int:
    """Which planet carries what the first node sends to the second."""
    one, other = sim.nodes
    view = one.peer(other)
    assert view is not None and view.via is not None
    return [planet.address for planet in sim.planets].index(view.via)


@seeds(5)
def test_the_planet_that_relays_dies_under_load(sim: Simulation) -> None:
    there, back = relayed(sim)
    died_at = sim.now
    sim.planets[planet_between(sim)].crash()
    sim.run(30)
    for pings in (there, back):
        assert pings.silence_s(died_at) < AGAIN_S


@seeds(3)
def test_the_second_planet_dies_as_well(sim: Simulation) -> None:
    there, back = relayed(sim)
    for _ in range(2):
        died_at = sim.now
        sim.planets[planet_between(sim)].crash()
        sim.run(20)
        for pings in (there, back):
            assert pings.silence_s(died_at) < AGAIN_S


@seeds(3)
def test_newcomers_join_while_one_planet_of_three_lives(sim: Simulation) -> None:
    there, _ = relayed(sim)
    network = there.network
    for planet in sim.planets[:2]:
        planet.crash()
    newcomer = sim.add_node(NatKind.PRESERVING)
    sim.start()
    newcomer.join(network)
    sim.run_until(lambda: sim.knows_all(newcomer, sim.nodes, network), 5)
    ping = first_answer(newcomer, sim.nodes[0], network)
    sim.run_until(lambda: ping.has_answer, 5)
