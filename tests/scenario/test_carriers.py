"""Members that relay for others: taken where they are better, or where no planet is left."""

from collections.abc import Callable

import pytest

from l2mesh.datapath.drops import DropReason
from l2mesh.node.node import Node
from l2mesh.node.peer import Peer
from l2mesh.node.views import Relayer
from tests.simulator.internet import Line
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer

FAR = 0.060
"""Seconds to the planet, so that a member nearby is clearly better."""
NEAR = 0.008
End = Callable[[NodeHost, int], None]


def relayed(sim: Simulation, *, planet_s: float = FAR, relay: bool = True) -> tuple[Pings, Pings]:
    """Two members behind random NATs who ping each other, and an open one that may carry."""
    sim.add_planet(Line(latency_s=planet_s))
    sim.add_controller()
    lines = [Line(latency_s=NEAR) for _ in range(3)]
    one = sim.add_node(NatKind.SYMMETRIC, line=lines[0])
    other = sim.add_node(NatKind.SYMMETRIC, line=lines[1])
    carrier = sim.add_node(line=lines[2])
    sim.start()
    network = sim.network_of(sim.nodes)
    if relay:
        sim.controllers[0].set_member(network, carrier, relay="true")
    there = Pings(one, other, network, 0.1).start()
    back = Pings(other, one, network, 0.1).start()
    return there, back


def vias(sim: Simulation) -> list[bytes | None]:
    """By whom each of the first two sends to the other; None: directly, or not at all."""
    one, other = sim.nodes[:2]
    views = [one.peer(other), other.peer(one)]
    return [view.via for view in views if view is not None]


def address(node: NodeHost) -> bytes:
    """As views name it."""
    core: Node = node.core
    return core.address(node.fingerprint)


def is_by(sim: Simulation, carrier: NodeHost) -> bool:
    """Whether both send by this member."""
    return vias(sim) == [address(carrier)] * 2


def ids(sim: Simulation, node: NodeHost) -> set[int]:
    """The relays that a node has at the carrier."""
    carrier = sim.nodes[2].fingerprint
    legs = node.core.relays.legs.items()
    return {relay for relay, leg in legs if leg.carrier == carrier}


def members_known(sim: Simulation, node: NodeHost) -> list[Peer]:
    """The other nodes, as far as this one keeps anything of them."""
    peers = node.core.core.peers
    return [peers[each.fingerprint] for each in sim.nodes if each.fingerprint in peers]


@seeds(2)
def test_a_pair_moves_to_a_member_that_is_clearly_better(sim: Simulation) -> None:
    there, back = relayed(sim)
    carrier = sim.nodes[2]
    sim.run_until_slow(lambda: is_by(sim, carrier), 20)
    assert carrier.core.carried_relays == 1
    shown = sim.nodes[0].core.path(sim.nodes[1].name, sim.now)
    assert shown.relayed_by == Relayer(is_planet=False, name=carrier.name)
    assert shown.summary.startswith(f"relayed by the member {carrier.name}: ")
    began = sim.now
    sim.run(2)  # for a moment what is sent goes by both
    before = sim.planets[0].engine.counters()["relayed_packets"]
    sim.run(10)
    assert sim.planets[0].engine.counters()["relayed_packets"] - before < 60  # PROBEs
    assert carrier.engine.counters()["relayed_packets"] > 400
    for pings in (there, back):
        assert [at for at in pings.lost if at > began] == []


@seeds(1)
def test_a_member_that_is_hardly_better_is_a_reserve(sim: Simulation) -> None:
    relayed(sim, planet_s=NEAR)
    sim.run(25)
    assert vias(sim) == [sim.planets[0].address] * 2
    assert sim.nodes[2].core.carrying.relays == 1


@seeds(2)
def test_traffic_goes_on_by_a_member_when_all_planets_die(sim: Simulation) -> None:
    there, back = relayed(sim, planet_s=NEAR)
    sim.run(20)
    died_at = sim.now
    sim.planets[0].crash()
    sim.run(30)
    assert is_by(sim, sim.nodes[2])
    for pings in (there, back):
        assert pings.silence_s(died_at) < 3.0


@seeds(2)
def test_the_planet_takes_over_when_the_member_dies(sim: Simulation) -> None:
    there, back = relayed(sim)
    sim.run_until_slow(lambda: is_by(sim, sim.nodes[2]), 20)
    died_at = sim.now
    sim.nodes[2].crash()
    sim.run(20)
    assert vias(sim) == [sim.planets[0].address] * 2
    for pings in (there, back):
        assert pings.silence_s(died_at) < 3.0


@seeds(2)
@pytest.mark.parametrize("one_way", [False, True])
def test_others_leave_a_carrier_that_reaches_one_of_them_no_more(
    sim: Simulation,
    one_way: bool,  # noqa: FBT001
) -> None:
    there, back = relayed(sim)
    other, carrier = sim.nodes[1:]
    sim.run_until_slow(lambda: is_by(sim, carrier), 20)
    sim.internet.cut(carrier.name, other.name, one_way=one_way)
    died_at = sim.now
    sim.run(20)
    assert vias(sim) == [sim.planets[0].address] * 2
    for pings in (there, back):
        assert pings.silence_s(died_at) < 3.0


@seeds(1)
def test_without_the_right_nobody_carries(sim: Simulation) -> None:
    relayed(sim, relay=False)
    sim.run(25)
    assert vias(sim) == [sim.planets[0].address] * 2
    assert not any(ids(sim, node) for node in sim.nodes)


def decline(carrier: NodeHost, network: int) -> None:
    carrier.call(lambda node, now: node.set_option(network, "carry", "false", now))


def leave(carrier: NodeHost, network: int) -> None:
    """As the daemon does, which waits a moment."""
    assert carrier.call(lambda node, now: node.withdraw(now, network))
    later(carrier, lambda node, now: node.leave(network, now))


def stop(carrier: NodeHost, network: int) -> None:
    """The same."""
    assert carrier.call(lambda node, now: node.withdraw(now))
    later(carrier, lambda node, now: node.close(now))
    carrier.schedule.after(2.0, carrier.crash)


def later(carrier: NodeHost, do: Callable[[Node, float], None]) -> None:
    carrier.schedule.after(2.0, lambda: carrier.call(do))


@seeds(1)
@pytest.mark.parametrize("end", [decline, leave, stop])
def test_nothing_is_lost_when_a_carrier_withdraws(sim: Simulation, end: End) -> None:
    there, back = relayed(sim)
    carrier = sim.nodes[2]
    sim.run_until_slow(lambda: is_by(sim, carrier), 20)
    sim.run(2)
    there.interval_s = back.interval_s = 0.005
    since = sim.now
    end(carrier, there.network)
    sim.run_until_slow(lambda: vias(sim) == [sim.planets[0].address] * 2, 1)
    sim.run(3)
    there.interval_s = back.interval_s = 0.1
    sim.run(12)
    assert vias(sim) == [sim.planets[0].address] * 2
    assert not any(ids(sim, node) for node in sim.nodes[:2])
    if carrier.machine is not None:
        assert carrier.core.carrying.relays == 0
    for pings in (there, back):
        assert [at for at in pings.lost if at > since] == []


@seeds(1)
def test_who_withdrew_may_carry_again(sim: Simulation) -> None:
    there, _ = relayed(sim)
    carrier = sim.nodes[2]
    sim.run_until_slow(lambda: is_by(sim, carrier), 20)
    decline(carrier, there.network)
    sim.run_until_slow(lambda: not ids(sim, sim.nodes[0]), 15)
    carrier.call(lambda node, now: node.set_option(there.network, "carry", "true", now))
    sim.run_until_slow(lambda: is_by(sim, carrier), 90)


@seeds(1)
def test_an_operator_may_decline_for_all_networks(sim: Simulation) -> None:
    relayed(sim)
    sim.nodes[2].core.carrying.willing = False
    sim.run(25)
    assert vias(sim) == [sim.planets[0].address] * 2
    assert sim.nodes[2].core.carried_relays == 0


@seeds(1)
def test_the_right_may_be_taken_away(sim: Simulation) -> None:
    there, _ = relayed(sim)
    sim.run_until_slow(lambda: is_by(sim, sim.nodes[2]), 20)
    sim.controllers[0].set_member(there.network, sim.nodes[2], relay="false")
    sim.run_until_slow(lambda: vias(sim) == [sim.planets[0].address] * 2, 5)
    assert sim.nodes[2].core.carrying.relays == 0


@seeds(1)
def test_nothing_is_carried_for_an_outcast(sim: Simulation) -> None:
    there, _ = relayed(sim)
    sim.run_until_slow(lambda: is_by(sim, sim.nodes[2]), 20)
    sim.controllers[0].deauthorize(there.network, sim.nodes[0])
    sim.run_until_slow(lambda: sim.nodes[2].core.carrying.relays == 0, 5)
    before = sim.nodes[2].engine.counters()["relayed_packets"]
    sim.run(10)
    assert sim.nodes[2].engine.counters()["relayed_packets"] == before
    assert not any(peer.kept_by for peer in members_known(sim, sim.nodes[2]))
    assert not any(peer.kept_by for peer in members_known(sim, sim.nodes[1]))


@seeds(1)
def test_a_carrier_that_is_out_carries_nothing(sim: Simulation) -> None:
    there, back = relayed(sim)
    sim.run_until_slow(lambda: is_by(sim, sim.nodes[2]), 20)
    out_at = sim.now
    sim.controllers[0].deauthorize(there.network, sim.nodes[2])
    sim.run(10)
    assert vias(sim) == [sim.planets[0].address] * 2
    assert not any(ids(sim, node) for node in sim.nodes[:2])
    for pings in (there, back):
        assert pings.silence_s(out_at) < 3.0


@seeds(1)
def test_a_member_carries_on_for_long(sim: Simulation) -> None:
    """Sessions with the carrier see no frames, and are renewed all the same."""
    there, back = relayed(sim)
    sim.run_until_slow(lambda: is_by(sim, sim.nodes[2]), 20)
    for pings in (there, back):
        pings.interval_s = 20.0
    relay, began = ids(sim, sim.nodes[0]), sim.now
    sim.run(650)
    assert is_by(sim, sim.nodes[2])
    assert ids(sim, sim.nodes[0]) == relay
    for pings in (there, back):
        assert [at for at in pings.lost if at > began] == []


@seeds(1)
def test_newcomers_meet_by_a_member_when_no_planet_is_left(sim: Simulation) -> None:
    """They know the carrier, which is enough to be introduced to each other."""
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.SYMMETRIC), sim.add_node(NatKind.SYMMETRIC)
    carrier = sim.add_node()
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.controllers[0].set_member(network, carrier, relay="true")
    known = [first_answer(node, carrier, network) for node in (one, other)]
    sim.run(5)
    assert all(ping.has_answer for ping in known)
    sim.planets[0].crash()
    sim.run(10)
    pings = Pings(one, other, network, 0.5).start()
    sim.run_until(lambda: pings.has_answer, 30)
    assert vias(sim)[0] == address(carrier)


def family(one: NodeHost, other: NodeHost) -> bool:
    """Whether a node reaches another by IPv6."""
    path = one.core.core.peers[other.fingerprint].paths.active
    assert path is not None and not path.relay
    return ":" in path.endpoint.host


@seeds(2)
def test_members_of_two_families_are_carried_whichever_each_end_prefers(sim: Simulation) -> None:
    """Carrier and client may each find another family better: both answer all the while."""
    sim.add_planet().attach(sim.public_address(6), sim.internet.public)
    sim.add_controller()
    for _ in range(9):
        line = Line(latency_s=0.01, jitter_s=0.02)
        node = sim.add_unplugged_node()
        for version in (4, 6):
            node.attach(sim.public_address(version), sim.internet.public, line)
    *clients, carrier = sim.nodes
    halves = clients[::2], clients[1::2]
    for one, other in zip(*halves, strict=True):
        sim.internet.cut(one.name, other.name)
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.controllers[0].set_member(network, carrier, relay="true")
    for client in clients:
        first_answer(client, carrier, network)
    sim.run(5)
    assert any(family(client, carrier) != family(carrier, client) for client in clients)
    sim.planets[0].crash()
    sim.run(35)
    pings = [Pings(*ends, network, 0.5).start() for ends in zip(*halves, strict=True)]
    sim.run_until(lambda: all(ping.has_answer for ping in pings), 5.0)
    assert carrier.core.carrying.relays == len(pings)
    assert carrier.engine.drops().get(DropReason.UNKNOWN_RELAY, 0) == 0
