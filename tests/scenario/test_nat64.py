"""Hosts with IPv6 alone, in networks that lead to IPv4 by NAT64."""

from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network

from l2mesh.datapath.interface import Endpoint
from l2mesh.node.files import PEERS_FILE, PeersFile
from l2mesh.path.nat64 import Nat64
from l2mesh.wire.body import unpack
from tests.simulator.nat import NatKind
from tests.simulator.nat64 import PREFIX, Nat64Gateway
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

DIRECT_S = 3.0
ROUND_TRIP_S = 0.2
"""Over two lines and a planet, and a ping each 50 ms."""


def meeting(sim: Simulation) -> tuple[NodeHost, NodeHost, Pings]:
    """One behind NAT64 and one at home in IPv4, as all planets and the controller are."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    far, near = sim.add_nat64_node(), sim.add_node(NatKind.PRESERVING)
    sim.start()
    network = sim.network_of(sim.nodes)
    return far, near, Pings(far, near, network).start()


def direct(sim: Simulation, far: NodeHost, near: NodeHost) -> float:
    return sim.run_until(lambda: far.is_direct_to(near) and near.is_direct_to(far), DIRECT_S)


def gateway_of(node: NodeHost) -> Nat64Gateway:
    gateway = node.interfaces[0].segment.gateway6
    assert gateway is not None and isinstance(gateway.nat, Nat64Gateway)
    return gateway.nat


@seeds(3)
def test_host_without_ipv4_meets_planets_and_peers_that_have_nothing_else(sim: Simulation) -> None:
    far, near, pings = meeting(sim)
    direct(sim, far, near)
    sim.run(2)
    pings.stop()
    sim.run(1)
    assert pings.lost == []
    seen, told = near.peer(far), far.peer(near)
    assert seen is not None and seen.endpoint == Endpoint(gateway_of(far).address, far.port)
    assert told is not None and told.endpoint is not None
    view = far.core.path(near.core.address(near.fingerprint).hex(), sim.now)
    ways = {each.endpoint: each.nat64 for each in view.candidates if each.via is None}
    assert ways[told.endpoint] == Nat64(PREFIX).synthesise(told.endpoint)


@seeds(2)
def test_nothing_private_is_looked_for_behind_the_gateway(sim: Simulation) -> None:
    """The peer at home tells of its address there as well."""
    sent = set[str]()
    sim.internet.taps.append(lambda packet: sent.add(packet.destination.host))
    far, near, _ = meeting(sim)
    direct(sim, far, near)
    sim.run(5)
    inside = {ip_address(host) for host in sent if ":" in host and ip_address(host) in PREFIX}
    beyond = {IPv4Address(int(host) & 0xFFFFFFFF) for host in inside}
    assert beyond and not [host for host in beyond if host in ip_network("192.168.0.0/16")]
    assert near.endpoints[0].host.startswith("192.168.")


@seeds(2)
def test_large_frames_pass_both_ways(sim: Simulation) -> None:
    """What fills 1500 bytes in IPv4 is 20 bytes too long behind the gateway, which says nothing."""
    far, near, pings = meeting(sim)
    direct(sim, far, near)
    sim.run(17)
    large = [Pings(*ends, pings.network, 0.05, size=1514) for ends in ((far, near), (near, far))]
    for each in large:
        each.start()
    sim.run(2)
    for each in large:
        each.stop()
    sim.run(1)
    assert [at for each in large for at in each.lost] == []
    assert all(len(each.sent) > 30 for each in large)


@seeds(2)
def test_prefix_that_is_learnt_late_brings_the_node_online(sim: Simulation) -> None:
    sim.add_planet()
    sim.add_controller()
    node = sim.add_nat64_node()
    node.nat64 = None
    sim.start()
    sim.run(20)
    assert not node.core.is_online
    node.resolve_nat64(Nat64(PREFIX))
    sim.run_until(lambda: node.core.is_online, 10)


@seeds(2)
def test_another_prefix_is_used_at_once_and_ipv4_of_its_own_too(sim: Simulation) -> None:
    far, near, pings = meeting(sim)
    direct(sim, far, near)
    sim.run(2)
    other = Nat64(IPv6Network("2001:db8:65::/64"))
    gateway_of(far).form = other
    far.resolve_nat64(other)
    begun = sim.now
    sim.run(3)
    assert min(pings.sent[n] for n in pings.round_trips if pings.sent[n] > begun) < begun + 1
    direct(sim, far, near)
    far.attach(sim.public_address(), sim.internet.public)
    far.call(lambda core, now: core.set_local_endpoints(far.endpoints, now))
    far.resolve_nat64(None)
    begun = sim.now
    sim.run(3)
    assert min(pings.sent[n] for n in pings.round_trips if pings.sent[n] > begun) < begun + 1
    direct(sim, far, near)


@seeds(2)
def test_what_is_remembered_and_told_is_ipv4(sim: Simulation) -> None:
    """A prefix means nothing to others, and nothing in the next network."""
    far, near, _ = meeting(sim)
    direct(sim, far, near)
    sim.run(2)
    file = unpack(far.files[PEERS_FILE], PeersFile)
    assert file.endpoints and not [text for _, text in file.endpoints if ":db8:64:" in text]
    heard = near.core.path(far.core.address(far.fingerprint).hex(), sim.now).candidates
    assert not [each for each in heard if ip_address(each.endpoint.host) in PREFIX]
    far.restart()
    sim.run_until(lambda: far.is_direct_to(near), 5)


@seeds(2)
def test_relayed_pair_is_relayed_on_at_once_with_another_prefix(sim: Simulation) -> None:
    """The engine knows a relay by the address of its planet: all of them are told anew."""
    for _ in range(2):
        sim.add_planet()
    sim.add_controller()
    far, near = sim.add_nat64_node(), sim.add_node(NatKind.SYMMETRIC)
    sim.start()
    pings = Pings(far, near, sim.network_of(sim.nodes), 0.05).start()
    sim.run(5)
    assert far.path_to(near) == near.path_to(far) == "relay" and pings.has_answer
    other = Nat64(IPv6Network("2001:db8:65::/64"))
    gateway_of(far).form = other
    far.resolve_nat64(other)
    begun = sim.now
    sim.run(3)
    assert pings.silence_s(begun) < ROUND_TRIP_S
