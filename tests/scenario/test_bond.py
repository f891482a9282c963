"""Flows spread over several uplinks: each stays in order, none is missed when a line dies."""

from __future__ import annotations

from collections import Counter

import pytest

from l2mesh.datapath.interface import Path
from tests.simulator.internet import Line, Packet
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Flows

AGAIN_S = 1.0
"""A flow goes on within this time."""
GROUP = b"\x01\0\x5e\1\2\3", "239.1.2.3"
LARGE = 400
"""Bytes of datagrams with frames of a flow; control is smaller."""


class Ways:
    """Counts the large datagrams that leave by each address of a host."""

    def __init__(self, sim: Simulation) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        sim.internet.taps.append(self._note)

    def _note(self, packet: Packet) -> None:
        if LARGE < len(packet.data) < 2 * LARGE:
            self.counts[packet.sender, packet.source.host] += 1

    def shares(self, sim: Simulation, host: NodeHost, seconds: float) -> list[float]:
        """What part leaves by each interface, in so many seconds from now on."""
        self.counts.clear()
        sim.run(seconds)
        counts = [self.counts[host.name, each.address] for each in host.interfaces]
        return [count / max(1, sum(counts)) for count in counts]


def plug(sim: Simulation, node: NodeHost, name: str, *latencies_s: float, nats: bool) -> None:
    for number, latency_s in enumerate(latencies_s, 1):
        lan = sim.lan(NatKind.PRESERVING) if nats else sim.internet.public
        address = f"192.168.{number}.2" if nats else sim.public_address()
        node.attach(address, lan, Line(latency_s=latency_s))
    node.name_uplinks(*range(2, len(latencies_s) + 1))


def bonded(
    sim: Simulation,
    ours: tuple[float, ...] = (0.02, 0.03),
    theirs: tuple[float, ...] = (0.01,),
    *,
    nats: bool = True,
    both: bool = False,
    more: int = 0,
) -> tuple[NodeHost, NodeHost, int]:
    """Two nodes with uplinks of these latencies; the first one spreads its flows, or both do. So
    many more have one uplink."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    one, other = sim.add_unplugged_node(), sim.add_unplugged_node()
    plug(sim, one, "one", *ours, nats=nats)
    plug(sim, other, "other", *theirs, nats=nats)
    for _ in range(more):
        sim.add_node()
    sim.start()
    network = sim.network_of(sim.nodes)
    one.set_option(network, "bond", "true")
    if both:
        other.set_option(network, "bond", "true")
    return one, other, network


def spread(one: NodeHost, other: NodeHost) -> set[int]:
    """The interfaces by which frames go; none where all go one way."""
    paths = one.core.core.peers[other.fingerprint].paths
    return {path.endpoint.uplink or 1 for path in paths.spread}


@seeds(2)
@pytest.mark.parametrize("nats", [True, False], ids=["nats", "open"])
def test_flows_are_spread_and_stay_in_order(
    sim: Simulation,
    nats: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    one, other, network = bonded(sim, nats=nats)
    ways, flows = Ways(sim), Flows(one, other, network).start()
    sim.run_until(lambda: spread(one, other) == {1, 2}, 15)
    sim.run(1.5)
    settled = {flow: len(got) for flow, got in flows.got.items()}
    shares = ways.shares(sim, one, 30)
    assert min(shares) > 0.25, shares
    assert spread(one, other) == {1, 2}
    later = Flows(one, other, network, got={f: g[settled[f] :] for f, g in flows.got.items()})
    assert not later.reordered and not flows.twice and not flows.lost(sim.now - 30)


@seeds(1)
def test_without_the_operators_word_nothing_is_spread(sim: Simulation) -> None:
    one, other, network = bonded(sim)
    one.set_option(network, "bond", "false")
    ways = Ways(sim)
    Flows(one, other, network).start()
    sim.run(20)
    assert ways.shares(sim, one, 10) == [1.0, 0.0] and not spread(one, other)
    one.set_option(network, "bond", "true")
    sim.run(20)
    assert min(ways.shares(sim, one, 10)) > 0.25
    one.set_option(network, "bond", "false")
    sim.run(2)
    assert ways.shares(sim, one, 10) == [1.0, 0.0]


@seeds(2)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("told", [False, True], ids=["silent", "told"])
def test_flows_of_an_uplink_that_dies_go_on_and_return(
    sim: Simulation,
    number: int,
    told: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    one, other, network = bonded(sim)
    flows = Flows(one, other, network).start()
    sim.run_until(lambda: spread(one, other) == {1, 2}, 15)
    sim.run(5)
    died_at, line = sim.now, one.interfaces[number - 1].line
    if told:
        one.unplug(number)
    else:
        line.is_up = False
    sim.run(20)
    assert not spread(one, other)
    assert flows.silence_s(died_at) < AGAIN_S + flows.interval_s * flows.count
    back_at = sim.now
    if told:
        one.plug_in(number)
    else:
        line.is_up = True
    sim.run_until(lambda: spread(one, other) == {1, 2}, 60)
    sim.run(10)
    assert spread(one, other) == {1, 2}
    assert not flows.lost(back_at) and not flows.twice


@seeds(1)
def test_a_line_that_is_much_worse_takes_no_part(sim: Simulation) -> None:
    one, other, network = bonded(sim, ours=(0.02, 0.02, 0.1))
    flows = Flows(one, other, network).start()
    sim.run(30)
    assert spread(one, other) == {1, 2}
    one.interfaces[1].line.loss = 0.3
    sim.run(40)
    assert not spread(one, other)
    one.interfaces[1].line.loss = 0.0
    since = sim.now
    sim.run(120)
    assert spread(one, other) == {1, 2} and not flows.lost(since)


@seeds(1)
def test_both_ends_spread_theirs(sim: Simulation) -> None:
    """Also to the several uplinks of the other end, which have endpoints of their own."""
    one, other, network = bonded(sim, theirs=(0.01, 0.012), both=True)
    ways = Ways(sim)
    there, back = Flows(one, other, network).start(), Flows(other, one, network).start()
    sim.run(30)
    since = sim.now
    for host in (one, other):
        shares = ways.shares(sim, host, 30)
        assert min(shares) > 0.25, shares
    places = {path.endpoint.address for path in paths(one, other)}
    assert len(places) == 2
    assert not there.lost(since) and not back.lost(since)


def ends(one: NodeHost, other: NodeHost) -> tuple[list[int], list[str]]:
    """Of each path by which frames go, the own uplink and the peer's address."""
    ways = [path.endpoint for path in paths(one, other)]
    return sorted(way.uplink or 1 for way in ways), sorted(way.host for way in ways)


@seeds(1)
@pytest.mark.parametrize("end", [0, 1], ids=["ours", "theirs"])
@pytest.mark.parametrize("number", [1, 2])
def test_flows_between_two_uplinks_each_go_on_and_are_shared_evenly_again(
    sim: Simulation, end: int, number: int
) -> None:
    """Again there are as many paths as uplinks, and none over one that another is over."""
    one, other, network = bonded(sim, theirs=(0.01, 0.012), both=True)
    pairs, ways = ((one, other), (other, one)), Ways(sim)
    there, back = (Flows(*pair, network, count=24, interval_s=0.02).start() for pair in pairs)
    sim.run(20)
    before = [ends(*pair) for pair in pairs]
    assert [uplinks for uplinks, _ in before] == [[1, 2], [1, 2]]
    died_at, line = sim.now, sim.nodes[end].interfaces[number - 1].line
    line.is_up = False
    sim.run(15)
    for flows in (there, back):
        assert flows.silence_s(died_at) < AGAIN_S + flows.interval_s * flows.count
    back_at = sim.now
    line.is_up = True
    sim.run(35)
    settled = there.reordered, back.reordered
    for host, _ in pairs:
        shares = ways.shares(sim, host, 5)
        assert min(shares) > 0.3, shares
    assert [ends(*pair) for pair in pairs] == before
    assert (there.reordered, back.reordered) == settled
    for flows in (there, back):
        assert not flows.lost(back_at) and not flows.twice


@seeds(1)
def test_with_two_uplinks_here_and_three_there_each_carries(sim: Simulation) -> None:
    """Three paths, before the death of an uplink and after its return; each end shares its own
    uplinks evenly."""
    one, other, network = bonded(sim, theirs=(0.01, 0.012, 0.02), both=True)
    pairs, ways = ((one, other), (other, one)), Ways(sim)
    there, back = (Flows(*pair, network, count=24, interval_s=0.02).start() for pair in pairs)
    sim.run(20)
    line = other.interfaces[0].line
    line.is_up = False
    sim.run(15)
    assert ends(one, other)[0] == [1, 2] and ends(other, one)[0] == [2, 3]
    back_at = sim.now
    line.is_up = True
    sim.run(35)
    for host, peer in pairs:
        uplinks, places = ends(host, peer)
        assert len(uplinks) == max(len(set(uplinks)), len(set(places))) == 3
        assert len(set(uplinks)) == len(host.interfaces)
    settled = [paths(*pair) for pair in pairs]
    assert min(ways.shares(sim, one, 5)) > 0.3
    assert min(ways.shares(sim, other, 5)) > 0.15
    sim.run(20)
    assert [paths(*pair) for pair in pairs] == settled
    for flows in (there, back):
        assert not flows.lost(back_at) and not flows.twice


@seeds(1)
def test_who_has_one_uplink_spreads_over_those_that_the_other_spreads_over(sim: Simulation) -> None:
    one, other, network = bonded(sim, both=True)
    there, back = Flows(one, other, network).start(), Flows(other, one, network).start()
    sim.run(30)
    assert len(paths(one, other)) == len(paths(other, one)) == 2
    since = sim.now
    sim.run(60)
    assert len(paths(one, other)) == len(paths(other, one)) == 2
    assert not there.lost(since) and not back.lost(since)
    died_at = sim.now
    one.interfaces[0].line.is_up = False
    sim.run(5)
    for flows in (there, back):
        assert flows.silence_s(died_at) < AGAIN_S + flows.interval_s * flows.count
    one.interfaces[0].line.is_up = True
    sim.run_until(lambda: len(paths(one, other)) == len(paths(other, one)) == 2, 30)
    one.set_option(network, "bond", "false")
    sim.run(10)
    assert not paths(other, one)


@seeds(1)
@pytest.mark.parametrize("replicated", [False, True], ids=["to_each", "replicated"])
def test_frames_for_a_group_come_once_and_in_order(
    sim: Simulation,
    replicated: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """While unicast flows beside them are spread, and when paths come and go. Where another member
    carries them on they go by one path to it, and on by one."""
    one, other, network = bonded(sim, theirs=(0.01, 0.012), both=True, more=1)
    third = sim.nodes[2]
    if replicated:
        sim.controllers[0].set_member(network, other, relay="true")
        sim.controllers[0].set_network(network, replicate_above="2")
        sim.run(3)
    Flows(one, other, network).start()
    streams = [Flows(one, node, network, group=GROUP) for node in (other, third)]
    streams[0].start()
    streams[1].listen()
    sim.run_until(lambda: spread(one, other) == {1, 2}, 20)
    assert bool(one.core.replication.replicators(network)) == replicated
    line = one.interfaces[0].line
    for is_up in (False, True):
        line.is_up = is_up
        sim.run(25)
    assert spread(one, other) == {1, 2}
    back_at = sim.now - 25
    for stream in streams:
        stream.sent = streams[0].sent
        assert len(stream.got) == stream.count
        assert not stream.reordered and not stream.twice and not stream.lost(back_at)


def paths(one: NodeHost, other: NodeHost) -> tuple[Path, ...]:
    return one.core.core.peers[other.fingerprint].paths.spread
