"""SIGKILL at any moment loses nothing: the files are enough to go on."""

import pytest

from tests.scenario.test_join import home
from tests.simulator.seeds import seeds
from tests.simulator.simulation import POOL, Simulation
from tests.simulator.traffic import Pings, first_answer


@seeds(10)
def test_a_node_killed_while_it_joins_joins_in_the_end(sim: Simulation) -> None:
    """Killed after a random number of outputs, five times over."""
    home(sim)
    [controller], (one, other) = sim.controllers, sim.nodes
    network = controller.create_network(POOL, public=True)
    other.join(network)
    random = sim.random("crashes")
    one.join(network)
    for _ in range(5):
        one.crash_after(random.randrange(1, 60))
        sim.schedule.run_until(lambda: one.machine is None, 3)
        one.restart()
        if not one.core.networks():  # killed before the join itself was on disk
            one.join(network)
    sim.run_until(lambda: sim.knows_all(one, [one, other], network), 10)
    ping = first_answer(other, one, network)
    sim.run_until(lambda: ping.has_answer, 8)


@seeds(5)
def test_a_member_killed_at_any_moment_is_one_at_once(sim: Simulation) -> None:
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    sim.run(1)
    random = sim.random("crashes")
    mac = one.mac(network)
    pings = Pings(other, one, network, 0.2).start()
    for _ in range(4):
        sim.run(random.random() * 10)
        one.crash_after(random.randrange(1, 100))
        sim.schedule.run_until(lambda: one.machine is None, 10)
        one.restart()
        assert one.is_member(network) and one.mac(network) == mac
        restarted = sim.now
        sim.run(8)
        assert max(pings.lost, default=0.0) < restarted + 6.5
    pings.stop()


@seeds(3)
def test_a_member_killed_as_soon_as_it_knew_another_still_knows_it(sim: Simulation) -> None:
    """No server is left that could tell it again."""
    home(sim)
    one, other = both = sim.nodes
    network = sim.network_of([one])
    other.join(network)
    sim.run_until(lambda: sim.knows_all(one, both, network), 10)
    sim.controllers[0].crash()
    sim.planets[0].crash()
    one.restart()
    assert sim.knows_all(one, both, network)


@seeds(3)
def test_a_token_used_by_a_node_that_was_killed_is_not_lost(sim: Simulation) -> None:
    home(sim, nodes=1)
    [controller], [node] = sim.controllers, sim.nodes
    network = controller.create_network(POOL)
    token = controller.add_token(network)
    random = sim.random("crashes")
    node.join(network, token=token)
    node.crash_after(random.randrange(1, 40))
    sim.run(3)
    node.restart()
    if not node.core.networks():
        node.join(network, token=token)
    sim.run_until(lambda: node.is_member(network), 10)


@seeds(3)
@pytest.mark.parametrize("outputs", [3, 10, 30])
def test_a_controller_killed_while_members_join_loses_none(sim: Simulation, outputs: int) -> None:
    home(sim, nodes=4)
    [controller] = sim.controllers
    network = controller.create_network(POOL, public=True)
    for node in sim.nodes:
        node.join(network)
    sim.run(0.3)
    controller.crash_after(outputs)
    sim.schedule.run_until(lambda: controller.machine is None, 2)
    controller.crash()
    sim.run(2)
    controller.start()
    took = sim.run_until(
        lambda: all(sim.knows_all(node, sim.nodes, network) for node in sim.nodes), 40
    )
    assert took < 40
    assert len({node.address_in(network) for node in sim.nodes}) == 4


@seeds(3)
def test_a_damaged_file_harms_only_itself(sim: Simulation) -> None:
    home(sim, nodes=1)
    [node] = sim.nodes
    first, second = sim.network_of([node]), sim.network_of([node])
    sim.run(1)
    name = next(name for name in node.files if name.endswith(f"{first:016x}"))
    node.files[name] = node.files[name][:-7]
    node.crash()
    node.tolerates_damage = True
    node.start()
    assert node.complaints and name in node.complaints[0]
    sim.run(2)
    assert node.is_member(second)
