"""A host without one of the two versions of IP does not try what only that leads to."""

from ipaddress import ip_address

from l2mesh.datapath.interface import Endpoint
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings
from tools.pairs.places import Place
from tools.pairs.simulated import stand


def spy(host: NodeHost) -> list[Endpoint]:
    """Where a host's UDP socket is asked to send to, from now on."""
    asked: list[Endpoint] = []
    transmit = host.transmit

    def listen(datagram: bytes, endpoint: Endpoint) -> None:
        asked.append(endpoint)
        transmit(datagram, endpoint)

    host.transmit = listen  # type: ignore[method-assign]
    return asked


def versions(asked: list[Endpoint]) -> set[int]:
    return {ip_address(endpoint.host).version for endpoint in asked}


@seeds(2)
def test_a_family_is_left_alone_until_the_host_has_it(sim: Simulation) -> None:
    for _ in range(2):
        sim.add_planet().attach(sim.public_address(6), sim.internet.public)
    sim.add_controller()
    one = sim.add_node()
    other = stand(sim, Place.DUAL, frozenset())
    sim.start()
    network = sim.network_of([one, other])
    asked = spy(one)
    pings = Pings(one, other, network).start()
    sim.run(70.0)
    assert one.is_direct_to(other) and versions(asked) == {4}
    name = one.core.address(other.fingerprint).hex()
    reasons = {each.report.reason for each in one.core.path(name, sim.now).candidates}
    assert "out of reach: this host has no IPv6" in reasons
    assert "out of reach: this host has no IPv4" not in reasons
    asked.clear()
    one.attach(sim.public_address(6), sim.internet.public)
    one.addresses_changed()
    sim.run(1.0)
    assert versions(asked) == {4, 6}
    assert {each.host for each in asked} >= {other.interfaces[1].address}
    pings.stop()


@seeds(2)
def test_a_relayed_pair_does_not_begin_rounds_in_a_family_that_is_missing(sim: Simulation) -> None:
    for _ in range(2):
        sim.add_planet().attach(sim.public_address(6), sim.internet.public)
    sim.add_controller()
    one, other = sim.add_node(), stand(sim, Place.IPV6, frozenset())
    sim.start()
    network = sim.network_of([one, other])
    asked = spy(one)
    Pings(one, other, network).start()
    sim.run(70.0)
    assert one.path_to(other) == "relay" and versions(asked) == {4}
