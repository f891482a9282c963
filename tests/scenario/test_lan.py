"""LAN beacons: members find each other with no planet to help; strangers change nothing."""

from l2mesh.datapath.interface import Endpoint
from l2mesh.node.files import PEERS_FILE
from l2mesh.wire.lan import seal_beacon
from tests.simulator.internet import Segment
from tests.simulator.nat import NatKind
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings


def at_home(sim: Simulation, count: int = 2) -> tuple[int, Segment]:
    """Nodes on one LAN behind a NAT without hairpin, all in one network."""
    sim.add_planet()
    sim.add_controller()
    lan = sim.lan(NatKind.SYMMETRIC)
    for _ in range(count):
        sim.add_node(lan).is_on_lan = True
    sim.start()
    return sim.network_of(sim.nodes), lan


def without_planets(sim: Simulation) -> None:
    for planet in sim.planets:
        planet.crash()


def without_memory(node: NodeHost) -> None:
    """Down, and as after a change of addresses: nothing that worked before is of use."""
    node.crash()
    node.files.pop(PEERS_FILE, None)


@seeds(3)
def test_members_find_each_other_after_a_restart_while_all_planets_are_dead(
    sim: Simulation,
) -> None:
    network, _ = at_home(sim)
    one, other = sim.nodes
    without_planets(sim)
    for node in (one, other):
        without_memory(node)
    one.start()
    sim.run(20)
    other.start()
    sim.run(2)
    pings = Pings(one, other, network, 0.2).start()
    sim.run_until(lambda: one.is_direct_to(other) and other.is_direct_to(one), 3)
    sim.run(1)
    assert pings.has_answer


@seeds(2)
def test_frame_that_waits_leaves_when_its_owner_comes_to_the_lan(sim: Simulation) -> None:
    network, _ = at_home(sim)
    one, other = sim.nodes
    without_planets(sim)
    pings = Pings(one, other, network, 0.5).start()
    for node in (one, other):
        without_memory(node)
    one.start()
    sim.run(40)
    assert not pings.has_answer
    other.start()
    sim.run_until(lambda: pings.has_answer, 3)


@seeds(1)
def test_origin_of_the_path_is_shown(sim: Simulation) -> None:
    network, _ = at_home(sim)
    one, other = sim.nodes
    without_planets(sim)
    for node in (one, other):
        without_memory(node)
        node.start()
    pings = Pings(one, other, network, 0.2).start()
    sim.run_until(lambda: pings.has_answer, 10)
    who = sim.address_of(other.fingerprint).hex()
    view = one.call(lambda node, now: node.path(who, now))
    sources = {candidate.report.source for candidate in view.candidates}
    assert "lan" in sources
    heard = one.call(lambda node, now: node.lan.heard(now))
    assert heard == {other.fingerprint: other.endpoints[0]}


@seeds(1)
def test_beacons_of_strangers_and_forged_places_change_nothing(sim: Simulation) -> None:
    at_home(sim)
    one, other = sim.nodes
    sim.run(40)
    before = one.call(lambda node, now: node.lan.heard(now))
    near, far = Endpoint("192.168.7.99", 9993), Endpoint("198.51.100.1", 9993)

    def hear(datagram: bytes, source: Endpoint) -> None:
        one.call(lambda node, now: node.lan.hear(datagram, source, now))

    for number in range(200):
        hear(seal_beacon(bytes([number]) * 32, bytes(16), near, asks=True), near)
    hear(seal_beacon(other.fingerprint, bytes(16), far, asks=True), far)
    hear(seal_beacon(other.fingerprint, bytes(16), near, asks=True), far)
    hear(seal_beacon(other.fingerprint, bytes(16), far, asks=True), near)
    assert one.call(lambda node, now: node.lan.heard(now)) == before
    refused = one.core.core.refused
    assert refused["lan_beacon_limit"] > 100
    assert refused["lan_beacon_refused"] == 2


@seeds(1)
def test_idle_node_says_little(sim: Simulation) -> None:
    at_home(sim, 3)
    sim.run(40)
    said: list[float] = []
    announce = sim.internet.announce

    def count(interface: object, port: int, data: bytes) -> None:
        said.append(sim.now)
        announce(interface, port, data)  # type: ignore[arg-type]

    sim.internet.announce = count  # type: ignore[method-assign]
    sim.run(300)
    assert 3 * 9 <= len(said) <= 3 * 10 + 3


@seeds(1)
def test_everybody_answers_who_asks_but_not_more_than_once_a_second(sim: Simulation) -> None:
    at_home(sim)
    one, other = sim.nodes
    sim.run(40)
    said: list[bytes] = []
    source = other.endpoints[0]
    announce = sim.internet.announce

    def note(interface: object, port: int, data: bytes) -> None:
        said.append(data)
        announce(interface, port, data)  # type: ignore[arg-type]

    sim.internet.announce = note  # type: ignore[method-assign]
    asked_at = sim.now
    for number in range(100):
        sim.schedule.at(asked_at + number / 20, lambda n=number: ask(one, other, source, n))  # type: ignore[misc]
    sim.run(5.5)
    assert 4 <= len(said) <= 7


def ask(one: NodeHost, other: NodeHost, source: Endpoint, number: int) -> None:
    beacon = seal_beacon(other.fingerprint, bytes([number]) * 16, source, asks=True)
    one.call(lambda node, now: node.lan.hear(beacon, source, now))
