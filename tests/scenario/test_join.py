"""Joining a network: whoever may, becomes a member; whoever may not, is told so and stays out."""

from l2mesh.address import network_id
from l2mesh.datapath.interface import FlushPeer
from tests.simulator.internet import Line
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import POOL, Simulation
from tests.simulator.traffic import first_answer


def home(sim: Simulation, nodes: int = 2, *, planets: int = 1) -> None:
    """Planets, a controller, and nodes behind port-preserving NATs, all running."""
    for _ in range(planets):
        sim.add_planet()
    sim.add_controller()
    for _ in range(nodes):
        sim.add_node(NatKind.PRESERVING)
    sim.start()


@seeds(3)
def test_a_token_admits_at_once(sim: Simulation) -> None:
    home(sim, nodes=1)
    [controller], [node] = sim.controllers, sim.nodes
    network = controller.create_network(POOL)
    node.join(network, token=controller.add_token(network))
    took = sim.run_until(lambda: node.is_member(network), 5)
    assert took < 2
    assert node.address_in(network).startswith("10.77.")


def test_a_token_is_used_once(sim: Simulation) -> None:
    home(sim)
    [controller], (one, other) = sim.controllers, sim.nodes
    network = controller.create_network(POOL)
    token = controller.add_token(network)
    one.join(network, token=token)
    sim.run_until(lambda: one.is_member(network), 5)
    other.join(network, token=token)
    sim.run(10)
    assert other.status(network) == "requesting" and network not in other.devices


@seeds(3)
def test_who_waits_is_admitted_when_the_operator_says_so(sim: Simulation) -> None:
    home(sim, nodes=1)
    [controller], [node] = sim.controllers, sim.nodes
    network = controller.create_network(POOL)
    node.join(network)
    sim.run(60)
    assert node.status(network) == "requesting" and network not in node.devices
    controller.authorize(network, node)
    assert sim.run_until(lambda: node.is_member(network), 5) < 1


def test_who_is_denied_is_told_and_may_be_admitted_later(sim: Simulation) -> None:
    home(sim, nodes=1)
    [controller], [node] = sim.controllers, sim.nodes
    network = controller.create_network(POOL)
    node.join(network)
    sim.run(5)
    controller.deauthorize(network, node)
    sim.run_until(lambda: node.status(network) == "denied", 5)
    assert network not in node.devices
    controller.authorize(network, node)
    sim.run_until(lambda: node.is_member(network), 5)


def test_an_unknown_network_is_not_found(sim: Simulation) -> None:
    home(sim, nodes=1)
    [controller], [node] = sim.controllers, sim.nodes
    node.join(network_id(controller.address, 0x123456))
    sim.run_until(lambda: node.core.networks()[0].status == "not_found", 10)


def test_a_network_of_an_unknown_controller_is_not_found(sim: Simulation) -> None:
    home(sim, nodes=1)
    [node] = sim.nodes
    network = network_id(bytes.fromhex("0123456789"), 1)
    node.join(network)
    sim.run_until(lambda: node.status(network) == "not_found", 10)


def test_members_of_a_public_network_see_each_other(sim: Simulation) -> None:
    home(sim, nodes=5)
    network = sim.network_of(sim.nodes)
    macs = {node.mac(network) for node in sim.nodes}
    addresses = {node.address_in(network) for node in sim.nodes}
    assert len(macs) == len(addresses) == 5


@seeds(5)
def test_all_know_of_a_member_when_it_does(sim: Simulation) -> None:
    """But for what lines differ in: a frame to everyone misses nobody who is there."""
    line = Line(latency_s=0.001)
    sim.add_planet(line)
    controller = sim.add_controller(line)
    nodes = [sim.add_node(line=line) for _ in range(4)]
    sim.start()
    sim.run(1)
    network = controller.create_network(POOL, public=True)
    present: list[NodeHost] = []
    for node in nodes:
        node.join(network)
        sim.run_until(lambda node=node: node.is_member(network), 5)  # type: ignore[misc]
        sim.run(0.01)
        present.append(node)
        assert all(node.fingerprint in each.members(network) for each in present)


def test_who_leaves_is_gone_and_may_come_back(sim: Simulation) -> None:
    home(sim, nodes=2)
    network = sim.network_of(sim.nodes)
    one, other = sim.nodes
    one.leave(network)
    sim.run(5)
    assert network not in one.devices and not one.core.networks()
    one.join(network)
    sim.run_until(lambda: one.is_member(network), 5)
    ping = first_answer(other, one, network)
    sim.run(3)
    assert ping.has_answer


def test_who_leaves_is_forgotten_only_where_he_was_met(sim: Simulation) -> None:
    """A session that ends touches the networks that were shared on it, and no others."""
    home(sim)
    [controller], (one, other) = sim.controllers, sim.nodes
    shared = sim.network_of(sim.nodes)
    alone = controller.create_network("10.78.0.0/16", public=True)
    one.join(alone)
    sim.run_until(lambda: one.is_member(alone), 5)
    ping = first_answer(one, other, shared)
    sim.run_until(lambda: ping.has_answer and other.is_direct_to(one), 5)
    sim.run(1)
    flushed: list[tuple[int, bytes | None]] = []
    execute = one.engine.execute

    def note(command: object, now: float) -> None:
        if isinstance(command, FlushPeer):
            flushed.append((command.network, command.peer))
        execute(command, now)  # type: ignore[arg-type]

    one.engine.execute = note  # type: ignore[method-assign]
    for host in (other, sim.planets[0]):
        host.call(lambda core, now: core.close(now))
        sim.run(1)
        host.crash()
    assert flushed == [(shared, other.fingerprint)]
