"""A member or planet that lies about endpoints brings a third party a few probes, no more."""

from l2mesh.datapath.interface import Endpoint
from l2mesh.path.quota import PER_MINUTE
from l2mesh.wire.message import Call
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
def test_members_that_call_a_bystander(sim: Simulation) -> None:
    """Two of them, over and over; whom they lie to is behind the NAT of a home."""
    home(sim, nodes=3, planets=2)
    network = sim.network_of(sim.nodes)
    other, *liars = sim.nodes
    address, hit = bystander(sim)
    pings = [Pings(other, liar, network).start() for liar in liars]
    for liar in liars:
        sim.internet.cut(liar.name, other.name)
    sim.run(5.0)
    lie = Call.of("sequential", (Endpoint(address, 40_000),), 1)
    for _ in range(MINUTES * 6):
        for liar in liars:
            core = liar.core.core
            core.send(core.peers[other.fingerprint], lie, sim.now)
        sim.run(10.0)
    for each in pings:
        each.stop()
    assert hit, "the lie was not even tried"
    for first in hit:
        assert sum(first <= at < first + 60 for at in hit) <= PER_MINUTE


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
