"""A member or planet that lies about endpoints brings a third party a few probes, no more."""

from l2mesh.datapath.interface import Endpoint
from tests.scenario.test_join import home
from tests.simulator.internet import Line
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

MINUTES = 2
FEW = 8
"""Probes in 10 s to an endpoint that has not answered, over all peers (section 8.4)."""


def bystander(sim: Simulation) -> tuple[str, list[float]]:
    """The address of somebody who has nothing to do with this, and when datagrams came there."""
    hit: list[float] = []
    address = sim.public_address()
    sim.internet.attach(
        "bystander", address, sim.internet.public, Line(), lambda *_: hit.append(sim.now)
    )
    return address, hit


def check_few(hit: list[float]) -> None:
    """No ten seconds with more than the limit, from either of the two nodes that were lied to."""
    assert hit, "the lie was not even tried"
    for first in hit:
        assert sum(first <= at < first + 10 for at in hit) <= 2 * FEW


@seeds(2)
def test_member_that_names_a_bystander_as_its_own_endpoint(sim: Simulation) -> None:
    home(sim, nodes=2)
    liar, other = sim.nodes
    address, hit = bystander(sim)
    named = (Endpoint(address, 9993),)
    liar.core.candidates.ours = lambda: named  # type: ignore[method-assign]
    network = sim.network_of(sim.nodes)
    pings = Pings(other, liar, network).start()
    sim.run(60 * MINUTES)
    pings.stop()
    check_few(hit)
    assert len(hit) < 10 * FEW


@seeds(2)
def test_planet_that_shows_a_node_a_bystander_as_its_own_address(sim: Simulation) -> None:
    home(sim, nodes=2)
    address, hit = bystander(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    planets = one.core.planets
    planet = planets.members()[0]
    assert planet.path is not None
    seen = Endpoint(address, 9993)
    planets.observed(planet, planet.path.endpoint, seen, sim.now)
    pings = Pings(other, one, network).start()
    sim.run(60 * MINUTES)
    pings.stop()
    check_few(hit)
    assert len(hit) < 20 * FEW
