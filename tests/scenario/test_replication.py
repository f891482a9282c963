"""Broadcasts of big networks: a few members carry them on, and everybody gets each once."""

from collections import Counter
from dataclasses import replace

from tests.scenario.test_broadcast import copies
from tests.scenario.test_join import home
from tests.simulator import frames
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation

MEMBERS = 12


def office(sim: Simulation, replicators: int = 3) -> tuple[int, list[NodeHost]]:
    """A network whose first members after the sender carry its broadcasts on."""
    home(sim, nodes=MEMBERS)
    network = sim.network_of(sim.nodes)
    chosen = sim.nodes[1 : 1 + replicators]
    for node in chosen:
        sim.controllers[0].set_member(network, node, relay="true")
    sim.controllers[0].set_network(network, replicate_above="8")
    sim.run(3)
    return network, chosen


def broadcast(node: NodeHost, network: int, text: bytes) -> bytes:
    """Sends a broadcast that is like no other."""
    frame = frames.broadcast_udp(node.mac(network), node.address_in(network), text)
    node.port_of(network).send(frame)
    return frame


def everyone_but(sim: Simulation, *without: NodeHost) -> dict[str, int]:
    return {node.name: 1 for node in sim.nodes if node not in without}


def frames_sent(node: NodeHost, others: list[NodeHost]) -> Counter[str]:
    """Datagrams to each peer so far."""
    return Counter(
        {each.name: node.engine.activity(each.fingerprint).tx_packets for each in others}
    )


@seeds(2)
def test_everyone_gets_each_broadcast_once(sim: Simulation) -> None:
    network, _ = office(sim)
    for number, sender in enumerate(sim.nodes[:5]):
        first = broadcast(sender, network, b"first %d" % number)
        sim.run(3)
        assert copies(sim.nodes, network, first) == everyone_but(sim, sender)
        second = broadcast(sender, network, b"second %d" % number)
        sim.run(1)
        assert copies(sim.nodes, network, second) == everyone_but(sim, sender)


@seeds(1)
def test_the_sender_talks_to_the_replicators_alone(sim: Simulation) -> None:
    network, chosen = office(sim)
    sender, *others = sim.nodes
    broadcast(sender, network, b"first")
    sim.run(3)
    before = frames_sent(sender, others)
    frame = broadcast(sender, network, b"second")
    sim.run(0.2)
    sent = frames_sent(sender, others) - before
    assert set(sent) == {node.name for node in chosen}
    assert copies(sim.nodes, network, frame) == everyone_but(sim, sender)
    assert len(sender.core.replication.replicators(network)) == len(chosen)


@seeds(2)
def test_a_replicator_dies_and_nothing_is_lost(sim: Simulation) -> None:
    network, (victim, *_) = office(sim)
    sender = sim.nodes[0]
    broadcast(sender, network, b"first")
    sim.run(3)
    victim.crash()
    sent = []
    for number in range(60):
        sent.append(broadcast(sender, network, b"%d" % number))
        sim.run(0.1)
    sim.run(3)
    for frame in sent:
        got = copies([node for node in sim.nodes if node is not victim], network, frame)
        assert got == everyone_but(sim, sender, victim)


@seeds(1)
def test_a_deauthorised_member_gets_nothing_more(sim: Simulation) -> None:
    network, (replicator, *_) = office(sim)
    sender, outcast = sim.nodes[0], sim.nodes[-1]
    broadcast(sender, network, b"first")
    sim.run(3)
    for gone in (outcast, replicator):
        sim.controllers[0].deauthorize(network, gone)
        sim.run(5)
        got = len(gone.port_of(network).received)
        frames_now = [
            broadcast(sender, network, b"%d %s" % (n, gone.mac(network))) for n in range(9)
        ]
        sim.run(3)
        assert len(gone.port_of(network).received) == got
        members = everyone_but(sim, sender, outcast, *([replicator] if gone is replicator else []))
        assert all(copies(sim.nodes, network, frame) == members for frame in frames_now)


@seeds(1)
def test_a_newcomer_hears_all(sim: Simulation) -> None:
    network, _ = office(sim)
    sender = sim.nodes[0]
    broadcast(sender, network, b"first")
    sim.run(3)
    newcomer = sim.add_node()
    newcomer.start()
    newcomer.join(network)
    sim.run_until(lambda: newcomer.is_member(network), 10)
    sim.run(2)
    for number in range(30):
        frame = broadcast(sender, network, b"%d" % number)
        sim.run(0.5)
        assert copies(sim.nodes, network, frame) == everyone_but(sim, sender)


@seeds(1)
def test_a_sender_whose_clock_went_back_is_heard_again(sim: Simulation) -> None:
    network, _ = office(sim)
    sender = sim.nodes[0]
    broadcast(sender, network, b"first")
    sim.run(3)
    sender.crash()
    sender.given = replace(sender.given, unix_now=lambda: 5.0)
    sender.restart()
    sim.run(3)
    broadcast(sender, network, b"what nobody believes")
    sim.run(5)
    frame = broadcast(sender, network, b"again")
    sim.run(1)
    assert copies(sim.nodes, network, frame) == everyone_but(sim, sender)
