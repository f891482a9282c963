"""NAT boxes that take unsolicited datagrams themselves: whoever is early shuts the port for both.

So does a host that leads virtual machines or containers out by netfilter and filters nothing on its
own account. A direct path needs that each end opens its own NAT before the other's datagrams reach
it (section 8.4 of ``docs/protocol.md``).

Some datagrams cannot wait for that: frames and PROBEs of a host that has moved or whose NAT was
started anew, and the INIT of a node that was started anew, go at once to where the peer was. The
box forgets them 30 s after the last one, so the ends leave each other alone for longer, and begin
together again.
"""

from collections.abc import Callable

import pytest

from tests.simulator.internet import Segment
from tests.simulator.nat import Nat, NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

DIRECT_S = 3.0
AGAIN_S = 75.0

Event = Callable[[Simulation, NodeHost], None]


def box(lan: Segment) -> Nat:
    """The NAT between a home and the internet."""
    assert lan.gateway is not None and isinstance(lan.gateway.nat, Nat)
    return lan.gateway.nat


def accepting(sim: Simulation) -> Segment:
    lan = sim.lan(NatKind.PRESERVING)
    box(lan).accepts = True
    return lan


def talking(sim: Simulation) -> tuple[NodeHost, NodeHost, Pings]:
    """Two nodes behind such boxes, on a direct path."""
    sim.add_planet()
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(accepting(sim)), sim.add_node(accepting(sim))
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.run(sim.random("pause").uniform(1.0, 5.0))
    pings = Pings(one, other, network, interval_s=0.2).start()
    sim.run_until(lambda: is_direct(one, other), DIRECT_S)
    return one, other, pings


def is_direct(one: NodeHost, other: NodeHost) -> bool:
    return one.is_direct_to(other) and other.is_direct_to(one)


@seeds(4)
def test_boxes_that_accept_strays_are_passed(sim: Simulation) -> None:
    _, _, pings = talking(sim)
    pings.stop()
    sim.run(1)
    assert pings.lost == []


def told_move(sim: Simulation, one: NodeHost) -> None:
    """To another home; the kernel tells."""
    one.move("192.168.9.9", accepting(sim))


def silent_move(sim: Simulation, one: NodeHost) -> None:
    """To another home, and nobody tells the daemon."""
    sim.internet.move(one.interfaces[0], "192.168.9.9", accepting(sim))


def new_mapping(sim: Simulation, one: NodeHost) -> None:
    """The NAT was started anew: another public address, and no mapping left."""
    sim.internet.renumber(box(one.interfaces[0].segment), sim.public_address())


@seeds(2)
@pytest.mark.parametrize("event", [told_move, silent_move, new_mapping])
def test_a_box_that_was_met_unprepared_is_passed_a_minute_later(
    sim: Simulation, event: Event
) -> None:
    one, other, pings = talking(sim)
    sim.run(5)
    changed_at = sim.now
    event(sim, one)
    sim.run(5)
    assert pings.silence_s(changed_at) < 1.5
    assert one.path_to(other) == other.path_to(one) == "relay"
    sim.run_until_slow(lambda: is_direct(one, other), AGAIN_S)
    direct_at = sim.now
    sim.run(20)
    assert is_direct(one, other)
    assert [at for at in pings.lost if at > direct_at - 1] == []


@seeds(2)
def test_so_is_one_that_has_forgotten_a_node_which_was_down(sim: Simulation) -> None:
    """Its INIT goes to where the other was: at once where all planets are dead, and else too."""
    one, other, pings = talking(sim)
    pings.stop()
    sim.run(1)
    one.crash()
    sim.run(400)
    one.start()
    network = pings.network
    sim.run_until(lambda: one.is_member(network), 5)
    pings = Pings(one, other, network, interval_s=0.2).start()
    sim.run_until(lambda: pings.has_answer, 2)
    sim.run(5)
    assert one.path_to(other) == other.path_to(one) == "relay"
    sim.run_until_slow(lambda: is_direct(one, other), AGAIN_S)
