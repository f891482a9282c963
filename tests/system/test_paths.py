"""How two members reach each other: relay at once, direct soon, and what outages do to that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.mesh import LONG_S, PATIENCE_S, Mesh
from tools.lab import Capture, Controller, Lab, Planet, wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]

PLANET = "192.0.2.1"
REFERENCE = "reference"
"""The engine of some: the others have the native one where it has been built, and all must meet."""


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """alice and bob behind NAT boxes of their own, carol on the wire, rita relay-only."""
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add_behind_nat("alice")
        mesh.add_behind_nat("bob", engine=REFERENCE)
        mesh.add("carol")
        mesh.add("rita", relay_only=True, engine=REFERENCE)
        yield mesh.start()


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    """All but rita joined; the two NAT boxes have not let anything of each other through yet."""
    mesh.lab.partition(mesh.nats["alice"].host, mesh.nats["bob"].host)
    network = mesh.network()
    mesh.join(network, "alice", "bob", "carol")
    return network


@pytest.fixture
def open_network(mesh: Mesh, network: str) -> str:
    """The same with nothing in the way, alice and bob direct."""
    mesh.lab.heal(mesh.nats["alice"].host, mesh.nats["bob"].host)
    with mesh.pinging("alice", "10.9.0.2"):
        mesh.wait_path("alice", "bob")
        mesh.wait_path("bob", "alice")
    return network


def datagrams(capture: Capture) -> Iterator[tuple[str, str]]:
    """Source and destination of each IPv4 UDP datagram that was captured on a wire."""
    for _, data in capture.frames():
        if data[12:14] == b"\x08\x00" and data[23] == 17:
            yield ".".join(map(str, data[26:30])), ".".join(map(str, data[30:34]))


def test_first_ping_goes_by_the_relay_and_later_ones_directly(mesh: Mesh, network: str) -> None:
    before = mesh.relayed_packets()
    first = mesh.ping("alice", "10.9.0.2")
    assert first.returncode == 0, first.stdout
    assert mesh.path("alice", "bob") == "relay"
    peer = mesh.peer("alice", "bob")
    assert peer is not None
    assert peer["via"] == mesh.planet.cli("status")["address"]
    assert mesh.relayed_packets() > before
    with mesh.pinging("alice", "10.9.0.2", interval="0.05") as pinging:
        mesh.lab.heal(mesh.nats["alice"].host, mesh.nats["bob"].host)
        mesh.wait_path("alice", "bob")
        mesh.wait_path("bob", "alice")
        pinging.more(10)
    assert pinging.lost() == []
    peer = mesh.peer("alice", "bob")
    assert peer is not None and peer["via"] is None
    assert str(peer["endpoint"]).startswith("192.0.2.20:")


def test_direct_pair_costs_the_planet_nothing(mesh: Mesh, open_network: str) -> None:
    with mesh.pinging("alice", "10.9.0.2", interval="0.02") as pinging:
        pinging.more(5)
        before = mesh.relayed_packets()
        pinging.more(50)
        assert mesh.relayed_packets() == before
    assert pinging.lost() == []


def test_pair_behind_nats_that_may_talk_is_direct_soon(mesh: Mesh, open_network: str) -> None:
    for name in ("alice", "bob"):
        mesh.nodes[name].restart()
        mesh.wait_up(name, open_network)
    first = mesh.ping("alice", "10.9.0.2")
    assert first.returncode == 0, first.stdout
    mesh.wait_path("alice", "bob")


def test_ping_command_tells_path_and_endpoint(mesh: Mesh, network: str) -> None:
    mesh.wait_ping("alice", "10.9.0.3")
    mesh.wait_path("alice", "carol")
    address = mesh.node_address("carol")
    done = mesh.nodes["alice"].cli_raw("ping", address, "-c", "2", "-i", "0.1")
    assert done.returncode == 0
    assert done.stdout.count("direct 192.0.2.30:9993") == 2
    mesh.set_member(network, "carol", name="carol")
    wait_until(lambda: (mesh.peer("alice", "carol") or {})["name"] == "carol", PATIENCE_S)
    answer = mesh.nodes["alice"].cli("ping", "carol", "-c", "1")
    assert (answer["sent"], len(answer["replies"])) == (1, 1)
    assert mesh.nodes["alice"].cli("ping", "carol")["sent"] == 1
    ways = mesh.nodes["alice"].cli("path", "carol")["candidates"]
    assert (ways[0]["state"], ways[0]["endpoint"]) == ("in_use", "192.0.2.30:9993")
    assert mesh.nodes["alice"].cli_raw("path", "nobody").returncode == 5
    assert mesh.nodes["alice"].cli_raw("ping", "nobody", "-c", "1").returncode == 5
    assert mesh.nodes["alice"].cli_raw("ping", "0123456789", "-c", "1").returncode == 5


def test_netcheck_tells_what_stands_in_between(mesh: Mesh) -> None:
    found = mesh.nodes["alice"].cli("netcheck")
    assert found["udp"] and found["blocked"] == []
    assert found["ipv4"]["public"] == ["192.0.2.10:9993"]
    assert found["ipv4"]["nat"] == "unknown"
    assert any("one planet only" in sentence for sentence in found["advice"])
    assert mesh.nodes["carol"].cli("netcheck")["ipv4"]["nat"] == "open"


def test_relay_only_node_neither_uses_nor_offers_direct_paths(mesh: Mesh, network: str) -> None:
    with Capture(mesh.wan.host, mesh.wan.bridge, "udp") as capture:
        mesh.join(network, "rita")
        mesh.wait_ping("rita", "10.9.0.3")
        mesh.wait_ping("alice", "10.9.0.4")
        with mesh.pinging("carol", "10.9.0.4") as pinging:
            pinging.more(40)
        assert mesh.path("carol", "rita") == mesh.path("rita", "carol") == "relay"
        assert mesh.path("alice", "rita") == "relay"
    assert pinging.lost() == []
    rita = {tuple(sorted(pair)) for pair in datagrams(capture) if "192.0.2.40" in pair}
    assert rita == {(PLANET, "192.0.2.40")}


def test_direct_pairs_go_on_without_the_planet_and_new_ones_meet_after_it(
    mesh: Mesh, open_network: str
) -> None:
    with mesh.pinging("alice", "10.9.0.2") as pinging:
        mesh.planet.kill()
        pinging.more(60)
    assert pinging.lost() == []
    assert mesh.path("alice", "bob") == "direct"
    mesh.nodes["carol"].restart()
    assert mesh.joined("carol", open_network)["status"] == "ok"
    mesh.planet.start()
    mesh.wait_online("alice")
    mesh.wait_online("carol")
    mesh.wait_ping("alice", "10.9.0.3", LONG_S)
    mesh.wait_ping("rita", "10.9.0.1", LONG_S)


def test_two_hosts_on_one_lan_meet_there() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        nat = lab.nat("home", wan=mesh.wan, wan_address="192.0.2.90/24", lan_subnet="10.50.0.0/24")
        for number, (name, engine) in enumerate((("dora", REFERENCE), ("emil", "auto")), 2):
            host = lab.host(name)
            lab.connect(host, nat.lan, f"10.50.0.{number}/24", gateway=nat.gateway)
            mesh.node_on(host, engine=engine)
        mesh.start()
        network = mesh.network()
        mesh.join(network, "dora", "emil")
        assert mesh.ping("dora", "10.9.0.2").returncode == 0
        mesh.wait_path("dora", "emil")
        peer = mesh.peer("dora", "emil")
        assert peer is not None and peer["endpoint"] == "10.50.0.3:9993"


def test_ipv6_alone_is_enough() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        for number, (name, engine) in enumerate((("gina", "auto"), ("hans", REFERENCE)), 10):
            host = lab.host(name)
            lab.connect(host, mesh.wan, f"2001:db8::{number}/64")
            mesh.node_on(host, engine=engine)
        for number, host in enumerate((mesh.planet.host, mesh.controller.host), 1):
            host.add_addresses("eth0", f"2001:db8::{number}/64")
        mesh.planet.endpoints = ["[2001:db8::1]:9993"]
        mesh.start()
        network = mesh.network()
        mesh.join(network, "gina", "hans")
        assert mesh.ping("gina", "10.9.0.2", "-M", "do", "-s", "1472").returncode == 0
        mesh.wait_path("gina", "hans")
        assert mesh.ping("gina", "10.9.0.2", "-M", "do", "-s", "1472").returncode == 0
        peer = mesh.peer("gina", "hans")
        assert peer is not None and str(peer["endpoint"]).startswith("[2001:db8::")


def two_planets(mesh: Mesh) -> tuple[Planet, Path]:
    """A second planet, and a world of both."""
    second = Planet(mesh.on_wan("planet2", 3), engine=REFERENCE)
    both = mesh.lab.directory / "both"
    mesh.planet.start().stop()
    names = [
        f"{planet.identity()['public']}@{address}:9993"
        for planet, address in ((mesh.planet, PLANET), (second, "192.0.2.3"))
    ]
    mesh.planet.cli("world", "create", "--out", both, *names)
    for planet in (mesh.planet, second):
        planet.world.write_bytes(both.read_bytes())
    return second, both


def test_members_homed_on_different_planets_meet() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        second, both = two_planets(mesh)
        shown = second.cli("world", "show", both)
        assert len(shown["planets"]) == 2 and shown["revision"] == 2
        mesh.controller = Controller(mesh.controller.host, world=both, name="controller2")
        for name in ("ines", "jana", "kurt"):
            mesh.add(name, world=both)
        # ines reaches the first planet alone, kurt the second one alone, jana both
        hosts = {name: node.host for name, node in mesh.nodes.items()}
        lab.partition(hosts["ines"], second.host)
        lab.partition(hosts["kurt"], mesh.planet.host)
        second.start()
        mesh.start()
        network = mesh.network()
        mesh.join(network, "ines", "jana", "kurt")
        for name, other in (("ines", "jana"), ("jana", "kurt"), ("kurt", "jana")):
            mesh.wait_ping(name, mesh.ip(other, network), LONG_S)
        states = {p["address"]: p["state"] for p in mesh.ask("jana", "status")["planets"]}
        assert set(states.values()) == {"up"} and len(states) == 2
        mesh.planet.kill()
        mesh.nodes["jana"].restart()
        mesh.wait_online("jana")
        mesh.wait_ping("kurt", mesh.ip("jana", network), LONG_S)


def test_wire_that_swallows_large_datagrams_is_found_out() -> None:
    """As PPPoE or a tunnel underneath does, without any ICMP: full frames arrive all the same."""
    with Lab() as lab:
        mesh = Mesh(lab)
        for name in ("uma", "vera"):
            mesh.add(name)
            mesh.segment_on_the_wire(name)
        lab.partition(*(mesh.nodes[name].host for name in ("uma", "vera")), larger_than=1420)
        mesh.start()
        network = mesh.network()
        mesh.join(network, "uma", "vera")
        target = mesh.ip("vera", network)
        with mesh.pinging("uma", target):
            mesh.wait_path("uma", "vera")
            wait_until(lambda: mesh.answers("uma", target, "-s", "1472"), PATIENCE_S)
            assert mesh.ping("uma", target, "-s", "1472", count=20, wait_s=1).returncode == 0
            assert mesh.path("uma", "vera") == "direct"
