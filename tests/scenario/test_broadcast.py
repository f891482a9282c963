"""Broadcast and multicast reach every member, each exactly once."""

from collections import Counter

from tests.scenario.test_join import home
from tests.simulator import frames
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation


def copies(nodes: list[NodeHost], network: int, frame: bytes) -> Counter[str]:
    """How often each node's port has given out a frame."""
    return Counter(
        {
            node.name: count
            for node in nodes
            if (count := node.port_of(network).received.count(frame))
        }
    )


def a_frame_of_each_kind(node: NodeHost, network: int) -> list[bytes]:
    """ARP, broadcast UDP, ND, and tagged ones."""
    mac, address = node.mac(network), node.address_in(network)
    udp = frames.broadcast_udp(mac, address, node.name.encode())
    return [
        frames.arp_request(mac, address, "10.77.200.200"),
        udp,
        frames.neighbour_solicitation(mac, "fe80::1", "fe80::2"),
        frames.tagged(udp, 42),
        frames.tagged(frames.tagged(udp, 7), 42, service=True),
        frames.broadcast_udp(mac, address, bytes(1514 - 42)),
    ]


@seeds(3)
def test_every_member_gets_each_broadcast_once(sim: Simulation) -> None:
    home(sim, nodes=6)
    network = sim.network_of(sim.nodes)
    for sender in sim.nodes:
        others = {node.name: 1 for node in sim.nodes if node is not sender}
        for frame in a_frame_of_each_kind(sender, network):
            sender.port_of(network).send(frame)
            sim.run(2)
            assert copies(sim.nodes, network, frame) == others


def test_the_first_broadcast_reaches_members_never_met(sim: Simulation) -> None:
    """It waits for the sessions that it asks for."""
    home(sim, nodes=8)
    network = sim.network_of(sim.nodes)
    sender, *others = sim.nodes
    frame = frames.broadcast_udp(sender.mac(network), sender.address_in(network), b"anybody?")
    sender.port_of(network).send(frame)
    sim.run(3)
    assert copies(sim.nodes, network, frame) == {node.name: 1 for node in others}


def test_a_ping_to_a_member_goes_to_nobody_else(sim: Simulation) -> None:
    home(sim, nodes=4)
    network = sim.network_of(sim.nodes)
    one, other, *_ = sim.nodes
    frame = frames.ping(one.mac(network), other.mac(network), 1)
    one.port_of(network).send(frame)
    sim.run(3)
    assert copies(sim.nodes, network, frame) == {other.name: 1}


def test_nobody_sends_from_a_mac_that_is_not_its_own(sim: Simulation) -> None:
    home(sim, nodes=3)
    network = sim.network_of(sim.nodes)
    one, other, victim = sim.nodes
    frame = frames.ping(victim.mac(network), other.mac(network), 1)
    one.port_of(network).send(frame)
    sim.run(3)
    assert not copies(sim.nodes, network, frame)


def test_networks_of_one_node_do_not_mix(sim: Simulation) -> None:
    home(sim, nodes=3)
    hub, one, other = sim.nodes
    first, second = sim.network_of([hub, one]), sim.network_of([hub, other])
    frame = frames.broadcast_udp(hub.mac(first), hub.address_in(first), b"first")
    hub.port_of(first).send(frame)
    sim.run(3)
    assert copies(sim.nodes, first, frame) == {one.name: 1}
    assert not copies(sim.nodes, second, frame)
