"""NAT boxes that take unsolicited datagrams themselves: whoever is early shuts the port for both.

So does a host that leads virtual machines or containers out by netfilter and filters nothing on its
own account. A direct path needs that each end opens its own NAT before the other's datagrams reach
it (section 8.4 of ``docs/protocol.md``).
"""

from tests.simulator.nat import Nat, NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

DIRECT_S = 3.0


def behind_an_accepting_nat(sim: Simulation) -> NodeHost:
    lan = sim.lan(NatKind.PRESERVING)
    assert lan.gateway is not None and isinstance(lan.gateway.nat, Nat)
    lan.gateway.nat.accepts = True
    return sim.add_node(lan)


def is_direct(one: NodeHost, other: NodeHost) -> bool:
    return one.is_direct_to(other) and other.is_direct_to(one)


@seeds(4)
def test_boxes_that_accept_strays_are_passed(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_planet()
    sim.add_controller()
    one, other = behind_an_accepting_nat(sim), behind_an_accepting_nat(sim)
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.run(sim.random("pause").uniform(1.0, 5.0))
    pings = Pings(one, other, network, interval_s=0.2).start()
    sim.run_until(lambda: is_direct(one, other), DIRECT_S)
    pings.stop()
    sim.run(1)
    assert pings.lost == []
