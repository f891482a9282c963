"""A planet that is about to stop: what it relays moves elsewhere, and nothing is lost."""

from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


def relayed(sim: Simulation, planets: int) -> Pings:
    """A pair that never becomes direct, and has just begun to speak."""
    for _ in range(planets):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(direct=False), sim.add_node(direct=False)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network, 0.02).start()
    sim.run(sim.random("pause").uniform(2.0, 15.0))
    return pings


def via(sim: Simulation) -> bytes | None:
    view = sim.nodes[0].peer(sim.nodes[1])
    return view.via if view is not None else None


@seeds(4)
def test_relayed_traffic_moves_without_loss(sim: Simulation) -> None:
    pings = relayed(sim, planets=3)
    (planet,) = [each for each in sim.planets if each.address == via(sim)]
    planet.call(lambda core, now: core.drain(now))
    sim.run_until(lambda: via(sim) != planet.address, 5)
    sim.run(1)
    for node in sim.nodes:
        states = {view.address: view.state for view in node.core.planet_views()}
        assert states.pop(planet.address) == "draining" and set(states.values()) == {"up"}
        assert all(
            view.address != planet.address for view in node.core.planet_views() if view.is_home
        )
    pings.interval_s = 0.25
    sim.run(180)
    assert planet.core.relays == 0
    planet.crash()
    sim.run(10)
    pings.stop()
    sim.run(1)
    assert pings.lost == []


@seeds(2)
def test_a_newcomer_goes_elsewhere_and_one_who_drains_no_more_is_used(sim: Simulation) -> None:
    pings = relayed(sim, planets=2)
    network = pings.network
    for planet in sim.planets:
        planet.call(lambda core, now: core.drain(now))
    sim.planets[1].call(lambda core, now: core.drain(now, draining=False))
    newcomer = sim.add_node(direct=False)
    sim.start()
    newcomer.join(network)
    sim.run_until(lambda: sim.knows_all(newcomer, sim.nodes, network), 5)
    ping = first_answer(newcomer, sim.nodes[0], network)
    sim.run_until(lambda: ping.has_answer, 5)
    view = newcomer.peer(sim.nodes[0])
    assert view is not None and view.via == sim.planets[1].address


@seeds(2)
def test_the_only_planet_may_drain_and_still_serves(sim: Simulation) -> None:
    pings = relayed(sim, planets=1)
    sim.planets[0].call(lambda core, now: core.drain(now))
    sim.run(60)
    newcomer = sim.add_node(direct=False)
    sim.start()
    newcomer.join(pings.network)
    sim.run_until(lambda: newcomer.is_member(pings.network), 10)
    assert newcomer.core.is_online
    pings.stop()
    sim.run(1)
    assert pings.lost == []
