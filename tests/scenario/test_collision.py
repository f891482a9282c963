"""Two identities with one 40-bit address: nobody is harmed, and nobody is taken for the other."""

from l2mesh.address import format_fingerprint
from tests.simulator.seeds import seeds
from tests.simulator.simulation import POOL, Simulation
from tests.simulator.traffic import first_answer


def twins(sim: Simulation) -> None:
    """A planet, a controller, and a second controller with the address of the first."""
    sim.add_planet()
    for _ in range(2):
        sim.add_controller()
    first, second = sim.controllers
    sim.crypto.addresses[second.fingerprint] = first.address
    for _ in range(3):
        sim.add_node()
    sim.start()
    sim.run(5)


@seeds(3)
def test_a_bare_join_stops_and_names_both(sim: Simulation) -> None:
    twins(sim)
    first, second = sim.controllers
    node = sim.nodes[0]
    network = first.create_network(POOL, public=True)
    node.join(network)
    sim.run_until(lambda: node.status(network) == "error", 5)
    reason = node.network(network).reason
    assert format_fingerprint(first.fingerprint) in reason
    assert format_fingerprint(second.fingerprint) in reason


@seeds(3)
def test_a_join_with_the_fingerprint_goes_to_the_right_one(sim: Simulation) -> None:
    twins(sim)
    first, second = sim.controllers
    one, other, stranger = sim.nodes
    network = first.create_network(POOL, public=True)
    assert second.create_network(POOL) == network
    for node in (one, other):
        node.join(network, fingerprint=first.fingerprint)
    stranger.join(network, fingerprint=second.fingerprint)
    sim.run_until(lambda: one.is_member(network) and other.is_member(network), 5)
    sim.run(5)
    assert stranger.status(network) == "requesting"
    ping = first_answer(one, other, network)
    sim.run_until(lambda: ping.has_answer, 3)


def test_a_bare_join_that_stopped_goes_on_with_the_fingerprint(sim: Simulation) -> None:
    twins(sim)
    first, _ = sim.controllers
    node = sim.nodes[0]
    network = first.create_network(POOL, public=True)
    node.join(network)
    sim.run_until(lambda: node.status(network) == "error", 5)
    node.join(network, fingerprint=first.fingerprint)
    sim.run_until(lambda: node.is_member(network), 5)


@seeds(3)
def test_two_members_with_one_address_work_side_by_side(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    one, twin, third = (sim.add_node() for _ in range(3))
    sim.crypto.addresses[twin.fingerprint] = sim.address_of(one.fingerprint)
    sim.start()
    network = sim.network_of(sim.nodes)
    assert one.mac(network) != twin.mac(network)
    for source, target in ((third, one), (third, twin), (one, twin)):
        ping = first_answer(source, target, network)
        sim.run_until(lambda ping=ping: ping.has_answer, 3)  # type: ignore[misc]
