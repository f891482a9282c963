"""Networks outlive their controller's absence; what it changes reaches everybody."""

from tests.scenario.test_join import home
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


@seeds(2)
def test_members_work_while_the_controller_is_down(sim: Simulation) -> None:
    home(sim, nodes=3)
    [controller], (one, other, third) = sim.controllers, sim.nodes
    network = sim.network_of(sim.nodes)
    sim.run(1)
    controller.crash()
    sim.run(60)
    for source, target in ((one, other), (other, third), (third, one)):
        ping = first_answer(source, target, network)
        sim.run_until(lambda ping=ping: ping.has_answer, 3)  # type: ignore[misc]
    sim.run(300)
    assert all(node.status(network) == "ok" for node in sim.nodes)


@seeds(3)
def test_a_node_rejoins_from_its_files_without_the_controller(sim: Simulation) -> None:
    home(sim)
    [controller], (one, other) = sim.controllers, sim.nodes
    network = sim.network_of(sim.nodes)
    sim.run(1)
    mac, address = one.mac(network), one.address_in(network)
    controller.crash()
    one.restart()
    assert one.is_member(network)
    assert (one.mac(network), one.address_in(network)) == (mac, address)
    sim.run(2)
    ping = first_answer(one, other, network)
    sim.run_until(lambda: ping.has_answer, 3)


@seeds(3)
def test_a_controller_restarts_and_members_find_it(sim: Simulation) -> None:
    home(sim)
    [controller], _ = sim.controllers, sim.nodes
    network = sim.network_of(sim.nodes)
    controller.crash()
    sim.run(30)
    controller.start()
    sim.run(40)
    late = sim.add_node()
    sim.start()
    late.join(network)
    sim.run_until(lambda: sim.knows_all(late, sim.nodes, network), 10)
    sim.run_until(lambda: all(sim.knows_all(n, sim.nodes, network) for n in sim.nodes), 10)


@seeds(5)
def test_a_deauthorised_member_is_cut_off_within_five_seconds(sim: Simulation) -> None:
    home(sim, nodes=4)
    [controller], (bad, *good) = sim.controllers, sim.nodes
    network = sim.network_of(sim.nodes)
    for node in good:
        first_answer(bad, node, network)
    sim.run(5)
    bad_mac, bad_address = bad.mac(network), bad.address_in(network)
    controller.deauthorize(network, bad)
    sim.run_until(lambda: bad.status(network) == "denied", 5)
    assert network not in bad.devices
    sim.run_until(lambda: not any(node.accepts(bad, network) for node in good), 5)
    assert bad_mac and bad_address


@seeds(3)
def test_a_member_that_hears_no_controller_is_cut_off_by_gossip(sim: Simulation) -> None:
    """The controller reaches one good member alone; the others hear of it from that one."""
    home(sim, nodes=4, planets=2)
    [controller], (bad, *good) = sim.controllers, sim.nodes
    network = sim.network_of(sim.nodes)
    pings = [Pings(bad, node, network).start() for node in good]
    among = [Pings(good[0], node, network).start() for node in good[1:]]
    sim.run(5)
    sim.internet.cut(controller.name, "planet2")
    for host in (bad, *good[1:]):
        sim.internet.cut(host.name, "planet1")
        sim.internet.cut(host.name, controller.name)
    sim.run(10)
    controller.deauthorize(network, bad)
    sim.run(5)
    for node in good:
        node.port_of(network).forget()
    sim.run(5)
    bad_mac = bad.mac(network)
    for node in good:
        assert not [f for f in node.port_of(network).received if f[6:12] == bad_mac]
    assert all(ping.sent for ping in (*pings, *among))


@seeds(3)
def test_a_new_config_reaches_all_within_two_seconds(sim: Simulation) -> None:
    home(sim, nodes=6)
    [controller] = sim.controllers
    network = sim.network_of(sim.nodes)
    controller.set_network(network, mtu="1400")
    took = sim.run_until(lambda: all(n.network(network).mtu == 1400 for n in sim.nodes), 5)
    assert took < 2
    assert all(node.devices[network].mtu == 1400 for node in sim.nodes)


@seeds(2)
def test_a_readmitted_member_talks_again(sim: Simulation) -> None:
    home(sim)
    [controller], (one, other) = sim.controllers, sim.nodes
    network = sim.network_of(sim.nodes)
    first_answer(one, other, network)
    sim.run(3)
    controller.deauthorize(network, one)
    sim.run_until(lambda: one.status(network) == "denied", 5)
    controller.authorize(network, one)
    sim.run_until(lambda: one.is_member(network), 5)
    ping = first_answer(one, other, network)
    sim.run_until(lambda: ping.has_answer, 5)
