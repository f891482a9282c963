"""One broadcast to more members than are served pairwise, from somebody with a thin line.

``L2MESH_SIM_MEMBERS=1000`` runs it with a thousand, by hand: minutes of a processor's time.
"""

import os
from typing import Final

import pytest

from tests.scenario.test_broadcast import copies
from tests.scenario.test_replication import broadcast
from tests.simulator.node import NodeHost
from tests.simulator.premade import premade_network
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation

pytestmark = pytest.mark.slow

MEMBERS: Final = int(os.environ.get("L2MESH_SIM_MEMBERS", "300"))
REPLICATORS = 12
UPLINK_COPIES = 32


def sent_by(node: NodeHost, sim: Simulation) -> int:
    """Datagrams that left a node's socket."""
    return sim.internet.sent[node.name]


@seeds(1)
@pytest.mark.timeout(3600)
def test_hundreds_of_members_hear_a_thin_line(sim: Simulation) -> None:
    """Each broadcast once, at every member, while replicators come and go."""
    sim.journal.is_on = False
    sim.add_planet()
    nodes = [sim.add_node() for _ in range(MEMBERS)]
    sender, replicators = nodes[0], nodes[1 : 1 + REPLICATORS]
    network = premade_network(
        sim,
        nodes,
        rights={node.name: ("relay",) for node in replicators},
        known=[sender, *replicators],
    )
    sim.start()
    sim.run(3)
    wanted = {node.name: 1 for node in nodes if node is not sender}
    for number in range(40):  # until everybody has met the one that serves it
        frame = broadcast(sender, network, b"hello %d" % number)
        sim.run(3)
        if copies(nodes, network, frame) == wanted:
            break
    used = sender.core.replication.replicators(network)
    assert 0 < len(used) <= 8
    before = sent_by(sender, sim)
    frame = broadcast(sender, network, b"second")
    sim.run(0.02)
    most = sent_by(sender, sim) - before
    sim.run(0.5)
    assert copies(nodes, network, frame) == wanted
    assert most <= UPLINK_COPIES
    victim = next(node for node in replicators if node.fingerprint in used)
    victim.crash()
    del wanted[victim.name]
    living = [node for node in nodes if node is not victim]
    sent = []
    for number in range(10):
        sent.append(broadcast(sender, network, b"%d" % number))
        sim.run(0.5)
    sim.run(3)
    for each in sent:
        assert copies(living, network, each) == wanted
    before = sent_by(sender, sim)
    frame = broadcast(sender, network, b"last")
    sim.run(0.02)
    again = sent_by(sender, sim) - before
    sim.run(0.5)
    assert copies(living, network, frame) == wanted
    assert again <= UPLINK_COPIES
    print(f"{MEMBERS} members, {len(used)} replicators: {most} datagrams for one broadcast")  # noqa: T201
