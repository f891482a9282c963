"""Members that bridge one physical LAN: no loop, no silence, and another takes over."""

from __future__ import annotations

from l2mesh.wire.message import Relearn
from tests.scenario.test_join import home
from tests.simulator import frames
from tests.simulator.lan import Lan, LanHost
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation

HOST_ADDRESS = "10.77.99.1"


def bridged(sim: Simulation, nodes: int, bridges: int) -> tuple[int, Lan, LanHost, LanHost]:
    """A network whose first nodes bridge one LAN, on which two hosts are."""
    home(sim, nodes=nodes)
    network = sim.network_of(sim.nodes)
    lan = Lan(sim.schedule)
    for node in sim.nodes[:bridges]:
        sim.controllers[0].set_member(network, node, bridge="true")
        lan.add_node(node, network)
    return network, lan, lan.add_host(1), lan.add_host(2)


def broadcast(host: LanHost, text: bytes) -> bytes:
    return frames.broadcast_udp(host.mac, HOST_ADDRESS, text)


def blocked(sim: Simulation, network: int) -> list[NodeHost]:
    """Nodes that do not forward for their LAN."""
    running = [node for node in sim.nodes if node.machine is not None]
    guards = {node: node.core.loop_guards.guards.get(network) for node in running}
    return [node for node, guard in guards.items() if guard and guard.role(0) == "blocked"]


def rate(lan: Lan, sim: Simulation, seconds: float) -> float:
    """Frames a second on the LAN, but for those of the loop guard."""
    before = sum(count for frame, count in lan.seen.items() if frame[12:14] != b"\x88\xb6")
    sim.run(seconds)
    after = sum(count for frame, count in lan.seen.items() if frame[12:14] != b"\x88\xb6")
    return (after - before) / seconds


def test_a_storm_on_a_lan_with_two_bridges_ends(sim: Simulation) -> None:
    network, lan, host, _ = bridged(sim, nodes=3, bridges=2)
    host.send(broadcast(host, b"one frame, before anybody knows"))
    sim.run(3)
    assert rate(lan, sim, 2) < 100
    assert rate(lan, sim, 5) == 0
    assert len(blocked(sim, network)) == 1


def test_hosts_behind_two_bridges_are_reached_once(sim: Simulation) -> None:
    """In both directions, and also one that has never said a word."""
    network, _, host, silent = bridged(sim, nodes=3, bridges=2)
    sim.run(5)
    far = sim.nodes[2]
    mac = far.mac(network)
    hello = broadcast(host, b"hello")
    host.send(hello)
    sim.run(1)
    assert far.port_of(network).received.count(hello) == 1
    for sent in (
        frames.broadcast_udp(mac, far.address_in(network), b"to all"),
        frames.ping(mac, host.mac, 1),
        frames.ping(mac, silent.mac, 2),
    ):
        far.port_of(network).send(sent)
        sim.run(1)
        assert host.received.count(sent) == (sent[:6] != silent.mac)
        assert silent.received.count(sent) == (sent[:6] != host.mac)
    back = frames.ping(host.mac, mac, 3)
    host.send(back)
    sim.run(1)
    assert far.port_of(network).received.count(back) == 1


@seeds(3)
def test_a_bridge_that_dies_is_replaced_within_three_seconds(sim: Simulation) -> None:
    """Both ways, though the LAN's switch and the far node had learned the dead one."""
    network, lan, host, silent = bridged(sim, nodes=3, bridges=2)
    sim.run(5)
    far, mac = sim.nodes[2], sim.nodes[2].mac(network)
    for node in (host, silent):
        node.send(broadcast(node, b"here I am"))
    far.port_of(network).send(frames.broadcast_udp(mac, far.address_in(network), b"and I"))
    sim.run(1)
    [heir] = blocked(sim, network)
    [dead] = [node for node in sim.nodes[:2] if node is not heir]
    assert lan.places[mac] == dead.name
    dead.crash()
    died = sim.now
    for step in range(40):
        host.send(frames.ping(host.mac, mac, 1000 + step))
        far.port_of(network).send(frames.ping(mac, silent.mac, 2000 + step))
        sim.run(0.1)
    assert not blocked(sim, network)
    port = far.port_of(network)
    came = [at for at, frame in zip(port.times, port.received, strict=True) if at > died + 1]
    assert came and came[0] < died + 3
    [went, *_] = [at for at in silent.times if at > died + 1]
    assert went < died + 3
    assert lan.places[mac] == heir.name


def test_a_bridge_that_returns_makes_no_storm(sim: Simulation) -> None:
    network, lan, host, _ = bridged(sim, nodes=3, bridges=2)
    sim.run(5)
    [node] = blocked(sim, network)
    [forwarder] = [one for one in sim.nodes[:2] if one is not node]
    forwarder.crash()
    sim.run(10)
    forwarder.start()
    sim.run(1)
    host.send(broadcast(host, b"while it returns"))
    sim.run(3)
    assert rate(lan, sim, 2) < 100
    assert rate(lan, sim, 2) == 0
    assert blocked(sim, network) == [node]


@seeds(1)
def test_bridges_of_a_quiet_lan_do_not_lose_each_other(sim: Simulation) -> None:
    """Sessions without frames lapse after ten minutes, but not those of neighbours."""
    network, _, _, _ = bridged(sim, nodes=2, bridges=2)
    sim.run(5)
    before = blocked(sim, network)
    assert len(before) == 1
    for _ in range(700):
        sim.run(1)
        assert blocked(sim, network) == before


def test_a_right_that_is_taken_away_frees_the_other(sim: Simulation) -> None:
    network, _, host, _ = bridged(sim, nodes=3, bridges=2)
    sim.run(5)
    [node] = blocked(sim, network)
    [forwarder] = [one for one in sim.nodes[:2] if one is not node]
    sim.controllers[0].set_member(network, forwarder, bridge="false")
    sim.run_until(lambda: node not in blocked(sim, network), 5)
    assert blocked(sim, network) == [forwarder]
    sim.run(2)
    frame = broadcast(host, b"still here")
    host.send(frame)
    sim.run(1)
    assert sim.nodes[2].port_of(network).received.count(frame) == 1


def test_bridges_of_lans_apart_do_not_know_each_other(sim: Simulation) -> None:
    network, _, host, _ = bridged(sim, nodes=3, bridges=1)
    other = Lan(sim.schedule)
    sim.controllers[0].set_member(network, sim.nodes[1], bridge="true")
    other.add_node(sim.nodes[1], network)
    there = other.add_host(1)
    sim.run(5)
    assert not blocked(sim, network)
    frame = broadcast(host, b"over there")
    host.send(frame)
    sim.run(1)
    assert there.received.count(frame) == 1


def test_a_loop_made_elsewhere_is_contained_and_reported(sim: Simulation) -> None:
    """Two sites that another overlay joins as well, which swallows beacons."""
    network, here, host, _ = bridged(sim, nodes=3, bridges=1)
    there = Lan(sim.schedule)
    sim.controllers[0].set_member(network, sim.nodes[1], bridge="true")
    there.add_node(sim.nodes[1], network)
    here.join(there)
    sim.run(3)
    assert not any("bridge" in one for node in sim.nodes for one in node.core.health(sim.now))
    host.send(broadcast(host, b"round and round"))
    sim.run(3)
    assert rate(here, sim, 2) < 250
    complaints = [one for node in sim.nodes[:2] for one in node.core.health(sim.now)]
    assert any("now behind one bridge, now behind another" in one for one in complaints)
    here.cables.clear()
    there.cables.clear()
    sim.run(40)
    assert not any("bridge" in one for node in sim.nodes for one in node.core.health(sim.now))
    assert not any(node.core.loop_guards._contained for node in sim.nodes)


def test_a_station_that_moves_between_sites_is_found_at_once(sim: Simulation) -> None:
    """As a gratuitous ARP of VRRP or of a migrated machine tells it: one broadcast."""
    network, here, host, _ = bridged(sim, nodes=4, bridges=1)
    there = Lan(sim.schedule)
    sim.controllers[0].set_member(network, sim.nodes[1], bridge="true")
    there.add_node(sim.nodes[1], network)
    sim.run(3)
    far, mac = sim.nodes[3], sim.nodes[3].mac(network)
    moved = there.add_host(9)
    moved.mac = host.mac
    for place in (host, moved, host, moved):
        place.send(frames.arp_request(place.mac, HOST_ADDRESS, HOST_ADDRESS))
        sim.run(0.5)
        for number, node in enumerate((far, sim.nodes[2])):
            ping = frames.ping(node.mac(network), host.mac, int(sim.now * 10) + number)
            node.port_of(network).send(ping)
            sim.run(0.25)
            assert place.received.count(ping) == 1
            other = moved if place is host else host
            assert other.received.count(ping) == 0
    assert mac not in (host.mac, moved.mac)
    assert here is not there


@seeds(1)
def test_only_bridges_have_others_learn_anew_and_not_without_end(sim: Simulation) -> None:
    network, _, host, _ = bridged(sim, nodes=3, bridges=1)
    sim.run(3)
    bridge, other, far = sim.nodes
    host.send(broadcast(host, b"here"))
    other.port_of(network).send(
        frames.broadcast_udp(other.mac(network), other.address_in(network), b"and here")
    )
    sim.run(1)

    def knows_host() -> bool:
        return any(entry.mac == host.mac for entry in far.engine.fdb(network, sim.now))

    def tell(sender: NodeHost) -> None:
        message = Relearn(network, (bridge.fingerprint,))
        sender.call(
            lambda node, now: node.core.send(node.core.peers[far.fingerprint], message, now)
        )

    assert knows_host()
    tell(other)
    sim.run(1)
    assert knows_host()
    assert far.core.core.refused["not_a_bridge"] == 1
    for _ in range(60):
        tell(bridge)
    sim.run(1)
    assert not knows_host()
    assert 60 - 16 - 6 <= far.core.core.refused["relearn_rate"] <= 60 - 16
