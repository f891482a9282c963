"""Whoever restarts, leaves and joins at random: once there is quiet, everybody hears everybody."""

from itertools import permutations
from random import Random

from tests.scenario.test_join import home
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


def disturb(sim: Simulation, node: NodeHost, network: int, random: Random) -> None:
    """One of the things that happen to nodes; a ping makes it look for the others."""
    is_in = network in node.devices
    match random.choice(("restart", "leave or join", "ping", "ping")):
        case "restart":
            node.crash()
            node.start()
        case "leave or join" if is_in:
            node.leave(network)
        case "leave or join":
            node.join(network)
        case _:
            for other in sim.nodes if is_in else ():
                if other is not node and network in other.devices:
                    first_answer(node, other, network)


@seeds(3)
def test_after_any_unrest_all_pairs_talk_within_seconds(sim: Simulation) -> None:
    home(sim, nodes=3)
    network = sim.network_of(sim.nodes)
    random = sim.random("unrest")
    for _ in range(20):
        disturb(sim, random.choice(sim.nodes), network, random)
        sim.run(random.choice((0.0, 0.02, 0.1, 0.5, 3.0)))
    for node in sim.nodes:
        node.join(network)
    sim.run_until(lambda: all(sim.knows_all(node, sim.nodes, network) for node in sim.nodes), 30)
    quiet = [Pings(one, other, network, 0.5).start() for one, other in permutations(sim.nodes, 2)]
    sim.run_until(lambda: all(pings.has_answer for pings in quiet), 8)
