"""A host with two uplinks: the better one is used, its death is nothing to notice, and it returns.

The first interface is what the host's routes choose; the second is known to the daemon by its name.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.internet import Line
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

FIRST, SECOND = 1, 2
AGAIN_S = 1.0
"""Traffic flows again within this time."""
PING_S = 0.1
End = Callable[[NodeHost, int], None]
BACK_S = 60.0
"""Within this time a line that works again is used again."""
ALIKE = (0.02, 0.03)
"""Latencies of a first and a second line of which neither is clearly better."""
LINES = {FIRST: (0.02, 0.2), SECOND: (0.2, 0.02)}
"""Those of which this one is the better."""


def two_uplinks(
    sim: Simulation, first_s: float = 0.02, second_s: float = 0.03, *, nats: bool = True
) -> tuple[NodeHost, NodeHost, Pings]:
    """A node with two uplinks, behind a NAT each, talks to one with a single one behind a NAT."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_unplugged_node(), sim.add_node(NatKind.PRESERVING if nats else None)
    for number, latency in ((FIRST, first_s), (SECOND, second_s)):
        lan = sim.lan(NatKind.PRESERVING) if nats else sim.internet.public
        address = f"192.168.{number}.2" if nats else sim.public_address()
        one.attach(address, lan, Line(latency_s=latency))
    one.name_uplinks(SECOND)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network, PING_S).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(5)
    return one, other, pings


def uplink(one: NodeHost, other: NodeHost) -> int:
    """By which interface the node sends to its peer."""
    peer = one.core.core.peers[other.fingerprint]
    path = peer.paths.active
    return 0 if path is None or path.relay else path.endpoint.uplink or FIRST


def way_in(one: NodeHost, other: NodeHost) -> int:
    """By which interface of the first node the other one sends to it."""
    path = other.core.core.peers[one.fingerprint].paths.active
    assert path is not None and not path.relay
    for number, interface in enumerate(one.interfaces, FIRST):
        gateway = interface.segment.gateway
        outside = interface.address if gateway is None else gateway.nat.address
        if path.endpoint.host == outside:
            return number
    raise AssertionError(f"{path} leads nowhere")


def break_silently(one: NodeHost, number: int) -> None:
    one.interfaces[number - 1].line.is_up = False


def unplug(one: NodeHost, number: int) -> None:
    one.unplug(number)


@seeds(2)
@pytest.mark.parametrize("nats", [True, False], ids=["nats", "open"])
@pytest.mark.parametrize("end", [break_silently, unplug], ids=["silent", "told"])
def test_traffic_goes_on_when_the_uplink_in_use_dies(
    sim: Simulation,
    end: End,
    nats: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    one, other, pings = two_uplinks(sim, nats=nats)
    assert uplink(one, other) == way_in(one, other) == FIRST
    died_at = sim.now
    end(one, FIRST)
    sim.run(5)
    assert uplink(one, other) == way_in(one, other) == SECOND
    assert pings.silence_s(died_at) < AGAIN_S


@seeds(1)
@pytest.mark.parametrize("out_s", [3.0, 150.0])
@pytest.mark.parametrize("end", [break_silently, unplug], ids=["silent", "told"])
def test_the_hosts_own_choice_is_used_again_when_it_has_worked_for_a_while(
    sim: Simulation, end: End, out_s: float
) -> None:
    one, other, pings = two_uplinks(sim)
    end(one, FIRST)
    sim.run(out_s)
    assert uplink(one, other) == SECOND
    back_at = sim.now
    if end is unplug:
        one.plug_in(FIRST)
    else:
        one.interfaces[0].line.is_up = True
    sim.run(9)
    assert uplink(one, other) == SECOND
    sim.run(BACK_S)
    assert uplink(one, other) == way_in(one, other) == FIRST
    assert pings.silence_s(back_at) < 4 * PING_S + 0.1


@seeds(2)
def test_a_clearly_better_uplink_is_used_whatever_the_routes_say(sim: Simulation) -> None:
    one, other, pings = two_uplinks(sim, first_s=0.3, second_s=0.02)
    sim.run(40)
    assert uplink(one, other) == SECOND
    one.interfaces[1].line.latency_s = 0.6
    sim.run(60)
    assert uplink(one, other) == FIRST
    assert not pings.lost


@seeds(2)
def test_an_uplink_that_loses_much_is_left(sim: Simulation) -> None:
    one, other, _ = two_uplinks(sim)
    one.interfaces[0].line.loss = 0.2
    sim.run(120)
    assert uplink(one, other) == way_in(one, other) == SECOND


@seeds(2)
def test_uplinks_that_are_alike_are_not_changed(sim: Simulation) -> None:
    one, other, pings = two_uplinks(sim, 0.02, 0.019)
    sim.run(25)
    seen = set()
    for _ in range(20):
        sim.run(5)
        seen.add((uplink(one, other), way_in(one, other)))
    assert seen == {(FIRST, FIRST)} and not pings.lost


@seeds(2)
@pytest.mark.parametrize("end", [break_silently, unplug], ids=["silent", "told"])
def test_relays_are_reached_over_the_other_uplink(sim: Simulation, end: End) -> None:
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_unplugged_node(direct=False), sim.add_node(direct=False)
    for number in (FIRST, SECOND):
        one.attach(f"192.168.{number}.2", sim.lan(NatKind.PRESERVING), sim.line(f"line {number}"))
    one.name_uplinks(SECOND)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network, PING_S).start()
    sim.run(20)
    died_at = sim.now
    end(one, FIRST)
    sim.run(15)
    assert pings.silence_s(died_at) < (AGAIN_S if end is unplug else 3.0)


# --- two uplinks at both ends -------------------------------------------------------------------


def two_uplinks_each(
    sim: Simulation, *latencies_s: tuple[float, float]
) -> tuple[NodeHost, NodeHost, Pings, Pings]:
    """Two nodes with two uplinks, behind a NAT each, talk to each other."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_unplugged_node(), sim.add_unplugged_node()
    for node, latencies in zip((one, other), latencies_s or (ALIKE, ALIKE), strict=True):
        for number, latency in zip((FIRST, SECOND), latencies, strict=True):
            lan = sim.lan(NatKind.PRESERVING)
            node.attach(f"192.168.{number}.2", lan, Line(latency_s=latency))
        node.name_uplinks(SECOND)
    sim.start()
    network = sim.network_of(sim.nodes)
    there = Pings(one, other, network, PING_S).start()
    back = Pings(other, one, network, PING_S).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(5)
    return one, other, there, back


def lines_used(one: NodeHost, other: NodeHost) -> list[int]:
    """The uplinks that each end sends by, and those by which each is reached."""
    return [uplink(one, other), uplink(other, one), way_in(one, other), way_in(other, one)]


@seeds(2)
@pytest.mark.parametrize("end", [break_silently, unplug], ids=["silent", "told"])
@pytest.mark.parametrize(
    "dying",
    [(FIRST, 0), (FIRST, FIRST), (FIRST, SECOND)],
    ids=["one end", "both ends", "crosswise"],
)
def test_two_uplinks_each_outlive_those_in_use(
    sim: Simulation, dying: tuple[int, int], end: End
) -> None:
    """Of four paths the only one that is left is found at once: neither end says what it lost."""
    one, other, there, back = two_uplinks_each(sim)
    assert lines_used(one, other) == [FIRST] * 4
    died_at = sim.now
    for node, number in zip((one, other), dying, strict=True):
        if number:
            end(node, number)
    sim.run(5)
    left = SECOND if dying[1] is FIRST else FIRST
    assert lines_used(one, other) == [SECOND, left] * 2
    for pings in (there, back):
        assert pings.silence_s(died_at) < AGAIN_S


@seeds(1)
def test_both_ends_return_to_what_their_hosts_chose(sim: Simulation) -> None:
    one, other, there, back = two_uplinks_each(sim)
    for node in (one, other):
        unplug(node, FIRST)
    sim.run(3)
    for node in (one, other):
        node.plug_in(FIRST)
    back_at = sim.now
    sim.run(BACK_S)
    assert lines_used(one, other) == [FIRST] * 4
    for pings in (there, back):
        assert pings.silence_s(back_at) < 4 * PING_S + 0.1


@seeds(1)
def test_both_ends_come_to_the_better_of_their_uplinks_and_stay(sim: Simulation) -> None:
    one, other, there, back = two_uplinks_each(sim, LINES[SECOND], LINES[FIRST])
    sim.run(45)
    for _ in range(10):
        sim.run(2)
        assert lines_used(one, other) == [SECOND, FIRST] * 2
    assert not there.lost and not back.lost


@seeds(1)
def test_uplinks_that_are_alike_at_both_ends_are_not_changed(sim: Simulation) -> None:
    one, other, there, back = two_uplinks_each(sim, (0.02, 0.019), (0.019, 0.02))
    sim.run(25)
    for _ in range(6):
        sim.run(5)
        assert lines_used(one, other) == [FIRST] * 4
    assert not there.lost and not back.lost
