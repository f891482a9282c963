"""How frames find their way: over the relay at once, directly soon, and never a ping lost."""

from collections import Counter

import pytest

from l2mesh.wire.datagram import DatagramType
from tests.scenario.test_join import home
from tests.simulator.internet import Packet
from tests.simulator.nat import NatKind
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


@seeds(5)
def test_the_first_ping_is_answered_within_a_second(sim: Simulation) -> None:
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    ping = first_answer(one, other, network)
    assert sim.run_until(lambda: ping.has_answer, 3) < 1
    relayed = one.path_to(other)
    took = sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    assert took < 3 and relayed in ("relay", "direct")


@seeds(3)
@pytest.mark.parametrize("kind", [NatKind.PRESERVING, NatKind.ADDRESS, NatKind.FULL_CONE, None])
def test_easy_nats_are_punched_within_three_seconds(sim: Simulation, kind: NatKind | None) -> None:
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.PRESERVING), sim.add_node(kind)
    sim.start()
    network = sim.network_of(sim.nodes)
    ping = first_answer(one, other, network)
    took = sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(1)
    assert took < 3 and ping.has_answer


def test_two_symmetric_nats_stay_on_the_relay(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(NatKind.SYMMETRIC), sim.add_node(NatKind.SYMMETRIC)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run(60)
    pings.stop()
    sim.run(1)
    assert not pings.lost and one.path_to(other) == "relay"


def test_two_hosts_on_one_lan_talk_across_it(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    lan = sim.lan(NatKind.PRESERVING)
    one, other = sim.add_node(lan), sim.add_node(lan)
    sim.start()
    network = sim.network_of(sim.nodes)
    first_answer(one, other, network)
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    view = one.peer(other)
    assert view is not None and view.endpoint is not None
    assert view.endpoint.host == other.interfaces[0].address


def test_without_direct_paths_no_address_is_told(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(), sim.add_node(direct=False)
    sim.start()
    network = sim.network_of(sim.nodes)
    packets: list[Packet] = []
    sim.internet.taps.append(packets.append)
    pings = Pings(one, other, network).start()
    sim.run(30)
    pings.stop()
    sim.run(1)
    assert not pings.lost and one.path_to(other) == "relay"
    between = {one.interfaces[0].address, other.interfaces[0].address}
    assert not [p for p in packets if {p.source.host, p.destination.host} == between]


@seeds(2)
def test_no_ping_is_lost_in_ten_minutes(sim: Simulation) -> None:
    """From the relay to the direct path and over at least four rekeys."""
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    sim.journal.is_on = False
    pings = Pings(one, other, network).start()
    sim.run(600)
    pings.stop()
    sim.run(3)
    assert len(pings.sent) >= 5999
    assert pings.lost == [] and pings.twice == 0
    assert one.is_direct_to(other) and other.is_direct_to(one)


def test_no_ping_is_lost_at_a_rekey_over_the_relay(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(direct=False), sim.add_node(direct=False)
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.journal.is_on = False
    pings = Pings(one, other, network).start()
    sim.run(400)
    pings.stop()
    sim.run(3)
    assert pings.lost == []


def test_once_direct_the_planet_relays_nothing(sim: Simulation) -> None:
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(2)
    relayed: Counter[int] = Counter()

    def tap(packet: Packet) -> None:
        if packet.data[0] == DatagramType.RELAY:
            relayed[packet.data[8]] += 1

    sim.internet.taps.append(tap)
    sim.run(100)
    pings.stop()
    assert not relayed, f"first bytes inside RELAY: {dict(relayed)}"


@seeds(3)
def test_a_path_that_dies_is_replaced_by_the_relay(sim: Simulation) -> None:
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 5)
    sim.run(5)
    sim.internet.cut(one.name, other.name)
    cut_at = sim.now
    sim.run(20)
    pings.stop()
    sim.run(1)
    assert one.path_to(other) == "relay"
    assert max(pings.lost, default=cut_at) < cut_at + 5
    sim.internet.heal()
    pings.start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 40)


@seeds(3)
@pytest.mark.parametrize("address", ["192.168.9.9", "192.168.7.2"], ids=["new", "same"])
def test_a_node_that_roams_is_followed(sim: Simulation, address: str) -> None:
    """To another home; there it may even have the address that it had before."""
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network).start()
    sim.run(10)
    moved_at = sim.now
    one.move(address, sim.lan(NatKind.PRESERVING))
    sim.run(20)
    pings.stop()
    sim.run(1)
    assert max(pings.lost, default=moved_at) < moved_at + (5 if address == "192.168.9.9" else 6)


def test_large_frames_pass_in_pieces(sim: Simulation) -> None:
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    pings = Pings(one, other, network, size=1514).start()
    sim.run(10)
    pings.stop()
    sim.run(1)
    assert pings.lost == []


def test_an_idle_node_sends_little(sim: Simulation) -> None:
    home(sim)
    one, other = sim.nodes
    network = sim.network_of(sim.nodes)
    first_answer(one, other, network)
    sim.run(700)
    sim.internet.sent.clear()
    sim.run(600)
    assert sim.internet.sent[one.name] / 600 < 0.5
