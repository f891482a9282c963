"""A node that has been up for long behind a NAT that counts its ports up.

Others behind that NAT take ports all the while, so what planets saw when the node came tells little
of where the NAT stands now. Before it calls a peer the node looks (section 8.5 of the protocol).
"""

import pytest

from tests.simulator.nat import Nat, NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings
from tools.pairs.places import Place
from tools.pairs.simulated import stand

OTHERS = (Place.PORT, Place.DUAL, Place.NAT64, Place.SEQUENTIAL)
IDLE_S = 300.0
BETWEEN_S = 150.0
DIRECT_S = 10.0


def build(sim: Simulation, *places: Place) -> tuple[int, list[NodeHost]]:
    """Members of one network, the first one behind a sequential NAT."""
    for _ in range(2):
        sim.add_planet().attach(sim.public_address(6), sim.internet.public)
    sim.add_controller()
    planets = frozenset(each.address for planet in sim.planets for each in planet.interfaces)
    nodes = [stand(sim, place, planets) for place in (Place.SEQUENTIAL, *places)]
    sim.start()
    return sim.network_of(nodes), nodes


def box(node: NodeHost) -> Nat:
    gateway = node.interfaces[0].segment.gateway
    assert gateway is not None and isinstance(gateway.nat, Nat)
    return gateway.nat


def meet(sim: Simulation, one: NodeHost, other: NodeHost, network: int) -> None:
    """Both ends send directly soon after the first frame."""
    pings = Pings(one, other, network, interval_s=0.2).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), DIRECT_S)
    pings.stop()


@seeds(2)
@pytest.mark.parametrize("other", OTHERS, ids=lambda place: place.value)
def test_is_found_however_long_it_has_been_up(sim: Simulation, other: Place) -> None:
    network, (node, peer) = build(sim, other)
    sim.run(IDLE_S)
    meet(sim, node, peer, network)


@seeds(1)
def test_is_found_by_one_after_the_other(sim: Simulation) -> None:
    network, (node, *others) = build(sim, *OTHERS)
    for other in others:
        sim.run(BETWEEN_S)
        meet(sim, node, other, network)


@seeds(1)
def test_calls_though_no_planet_answers_the_question(sim: Simulation) -> None:
    """What planets saw before is told then, and the relay carries on."""
    network, (one, other) = build(sim, Place.PORT)
    box(one).only_from = frozenset({one.port})
    sim.run(5.0)
    meet(sim, one, other, network)


@seeds(1)
def test_nothing_is_asked_where_nothing_is_to_be_foretold(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.PRESERVING), sim.add_node(NatKind.SYMMETRIC)
    sim.start()
    network = sim.network_of([one, other])
    ports: set[int] = set()
    sim.internet.taps.append(lambda packet: ports.add(packet.source.port))
    Pings(one, other, network, interval_s=0.2).start()
    sim.run(10.0)
    assert not one.is_direct_to(other)
    assert ports == {one.port}
