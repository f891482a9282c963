"""What a node says of its network and of its paths is what is the case."""

import pytest

from l2mesh.errors import ConfigError
from l2mesh.node.netcheck import outside
from l2mesh.path.mapping import Mapping
from tests.scenario.test_join import home
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


def check(sim: Simulation, host: NodeHost) -> Mapping | None:
    """The NAT that a node finds out it is behind."""
    netcheck = host.core.netcheck()
    for _ in range(3):
        host.call(lambda core, now: netcheck.probe(now))
        sim.run(0.3)
    sim.run(1)
    reaches = netcheck.results()
    assert all(reach.loss == 0 and reach.sent == 3 for reach in reaches)
    found = outside(reaches, host.core.core.local_endpoints, family=4)
    return found.kind if found is not None else None


@seeds(2)
@pytest.mark.parametrize(
    ("nat", "kind"),
    [
        (None, Mapping.OPEN),
        (NatKind.PRESERVING, Mapping.INDEPENDENT),
        (NatKind.SYMMETRIC, Mapping.RANDOM),
    ],
)
def test_netcheck_tells_the_nat(sim: Simulation, nat: NatKind | None, kind: Mapping) -> None:
    sim.add_planet()
    sim.add_planet()
    sim.add_controller()
    node = sim.add_node(nat)
    sim.start()
    sim.run(3)
    assert check(sim, node) is kind


@seeds(2)
def test_path_says_why_a_pair_is_relayed_and_that_it_became_direct(sim: Simulation) -> None:
    home(sim, planets=2)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    name = other.core.address(other.fingerprint).hex()
    before = one.core.path(name, sim.now)
    assert before.candidates == () or before.session != "live" or before.path != "none"
    ping = first_answer(one, other, network)
    sim.run_until(lambda: ping.has_answer, 5)
    sim.run(5)
    view = one.core.path(name, sim.now)
    assert view.session == "live"
    assert view.candidates[0].report.standing.value == "in_use"
    assert view.path == ("relay" if view.candidates[0].report.path.relay else "direct")
    assert one.core.path("controller", sim.now).name == "controller"
    planet = sim.planets[0].address.hex()
    assert one.core.path(planet, sim.now).summary == "the planet answers"
    with pytest.raises(ConfigError, match="nobody"):
        one.core.path("nobody", sim.now)
    with pytest.raises(ConfigError, match="itself"):
        one.core.path(one.core.address(one.fingerprint).hex(), sim.now)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (NatKind.SYMMETRIC, NatKind.SYMMETRIC, "both NATs use another port"),
        (NatKind.PRESERVING, NatKind.SYMMETRIC, "the peer's NAT uses another port"),
        (NatKind.SYMMETRIC, NatKind.PRESERVING, "our NAT uses another port"),
    ],
)
def test_path_names_the_nat_that_is_in_the_way(
    sim: Simulation, ours: NatKind, theirs: NatKind, words: str
) -> None:
    sim.add_planet()
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(ours), sim.add_node(theirs)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run(20)
    pings.stop()
    name = one.core.address(other.fingerprint).hex()
    sim.run_until(lambda: "tried now" not in one.core.path(name, sim.now).summary, 10)
    view = one.core.path(name, sim.now)
    assert view.path == "relay"
    assert words in view.summary
