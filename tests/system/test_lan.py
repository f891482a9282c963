"""LAN beacons between real kernels: members meet on their LAN while every planet is dead."""

import json
from collections.abc import Iterator

import pytest

from l2mesh.wire.lan import LAN_GROUP, LAN_PORT
from tests.system.mesh import Mesh, Wire
from tools.lab import Capture, Lab, NatKind

pytestmark = pytest.mark.root

GROUP = bytes(map(int, LAN_GROUP.split(".")))
FOUND_S = 5.0
TO_PORT = LAN_PORT.to_bytes(2, "big")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """dora, whose one NIC is in a bridge, and emil on one LAN; carol elsewhere."""
    with Lab() as lab:
        mesh = Mesh(lab)
        home = lab.nat(
            "home",
            wan=mesh.wan,
            wan_address="192.0.2.90/24",
            lan_subnet="10.50.0.0/24",
            kind=NatKind.RANDOM,
        )
        mesh.nats["home"] = home
        dora, emil = lab.host("dora"), lab.host("emil")
        nic = lab.connect(dora, home.lan).interface
        dora.add_bridge("br0", ports=[nic], address="10.50.0.2/24", gateway=home.gateway)
        lab.connect(emil, home.lan, "10.50.0.3/24", gateway=home.gateway)
        mesh.node_on(dora, engine="reference")
        mesh.node_on(emil)
        mesh.add("carol")
        yield mesh.start()


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network()
    mesh.join(network, "dora", "emil", "carol")
    return network


def beacons(capture: Capture) -> list[str]:
    """Who sent beacons to a wire."""
    frames = [data for _, data in capture.frames() if data[30:34] == GROUP]
    return [".".join(map(str, data[26:30])) for data in frames if data[36:38] == TO_PORT]


def test_members_on_one_lan_meet_while_every_planet_is_dead(mesh: Mesh, network: str) -> None:
    mesh.planet.kill()
    lan = mesh.nats["home"].lan
    with Capture(lan.host, lan.bridge, "udp") as capture:
        for name in ("dora", "emil"):
            node = mesh.nodes[name]
            node.stop()
            (node.state / "peers").unlink(missing_ok=True)
        for name in ("dora", "emil"):
            mesh.nodes[name].start()
            mesh.wait_up(name, network)
        mesh.wait_ping("dora", "10.9.0.2", FOUND_S)
        mesh.wait_path("dora", "emil")
    assert set(beacons(capture)) == {"10.50.0.2", "10.50.0.3"}
    ways = mesh.ask("dora", "path", who=mesh.node_address("emil"))["candidates"]
    used = next(way for way in ways if way["state"] == "in_use")
    assert (used["source"], used["endpoint"]) == ("lan", "10.50.0.3:9993"), json.dumps(ways)
    found = mesh.nodes["emil"].cli("netcheck")["lan"]
    assert found == {mesh.node_address("dora"): "10.50.0.2:9993"}
    mesh.planet.start()


def test_bridge_takes_no_beacon_of_its_own_into_the_mesh(mesh: Mesh, network: str) -> None:
    mesh.set_member(network, "dora", bridge="true")
    mesh.wait_online("dora")
    device, carol = mesh.device("dora", network), mesh.nodes["carol"].host
    mesh.nodes["dora"].host.ip("link", "set", device, "master", "br0")
    mesh.wait_online("carol")
    own = bytes([10, 50, 0, 2]) + GROUP
    inside, outside = mesh.nodes["dora"].host, mesh.device("carol", network)
    with Wire(inside, device) as tap, Wire(carol, outside) as far:
        mesh.nodes["dora"].host.ip("addr", "add", "10.50.0.4/24", "dev", "br0")
        tap.wait(own)
        mesh.wait_ping("emil", "10.9.0.3")
        assert not far.has(own)


def test_nodes_may_be_told_to_keep_quiet(mesh: Mesh, network: str) -> None:
    node = mesh.nodes["emil"]
    node.stop()
    lan = mesh.nats["home"].lan
    with Capture(lan.host, lan.bridge, "udp") as capture:
        node.lan_beacons = False
        node.start()
        mesh.wait_online("emil")
        mesh.wait_up("emil", network)
    assert "10.50.0.3" not in beacons(capture)
