"""What a node sends that has nothing to say: counted in bytes on the line, headers included."""

from collections import Counter

import pytest

from tests.simulator.internet import Packet
from tests.simulator.nat import NatKind
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import first_answer

pytestmark = pytest.mark.slow

PEERS = 20
MOST_BITS_S = 2000
HEADERS = 28
"""IPv4 and UDP."""
TEN_MINUTES_S = 600.0


@pytest.mark.timeout(300)  # 21 nodes for a quarter of an hour
@seeds(1)
def test_an_idle_node_with_twenty_known_peers_is_quiet(sim: Simulation) -> None:
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, *peers = [sim.add_node(NatKind.PRESERVING) for _ in range(1 + PEERS)]
    sim.start()
    network = sim.network_of(sim.nodes, limit_s=60)
    sim.journal.is_on = False
    pings = [first_answer(one, peer, network) for peer in peers]
    sim.run(10)
    assert all(ping.has_answer for ping in pings)
    assert all(one.is_direct_to(peer) for peer in peers)
    sent = Counter[str]()
    names = {each.address: host.name for host in sim.hosts() for each in host.interfaces}

    def count(packet: Packet) -> None:
        if packet.sender == one.name:
            sent[names.get(packet.destination.host, "peers")] += len(packet.data) + HEADERS

    sim.internet.taps.append(count)
    sim.run(TEN_MINUTES_S)
    print(f"{sent.total() * 8 / TEN_MINUTES_S:.0f} bit/s")  # noqa: T201
    assert sent["peers"] and sent.total() * 8 / TEN_MINUTES_S < MOST_BITS_S, sent
    sim.run(180)  # so that the controller's end has noticed
    sent.clear()
    sim.run(60)
    assert set(sent) <= {planet.name for planet in sim.planets}, sent
    sim.controllers[0].deauthorize(network, one)
    sim.run_until(lambda: not one.is_member(network), 5)
