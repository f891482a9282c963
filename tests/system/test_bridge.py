"""A member with the right `bridge` brings its LAN: alice - mesh - carol - br0 - printer."""

import time
from collections.abc import Iterator

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, Wire, frame, marker, mesh_of
from tools.lab import Host, wait_until

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol")
PRINTER_MAC = "02:00:00:00:aa:01"
PRINTER_IP = "10.9.0.200"
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module")
def mesh(engine: str) -> Iterator[Mesh]:
    with mesh_of(*NAMES, engine=engine) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def printer(mesh: Mesh) -> Host:
    printer = mesh.add_printer("carol", PRINTER_IP)
    printer.ip("link", "set", "lan0", "address", PRINTER_MAC)
    return printer


@pytest.fixture(scope="module")
def network(mesh: Mesh, printer: Host) -> str:
    network = mesh.network()
    mesh.join(network, *NAMES)
    mesh.set_member(network, "carol", bridge="true")
    return network


@pytest.fixture
def bridged(mesh: Mesh, network: str) -> Iterator[str]:
    """carol's device in br0 by her own choice, for one test."""
    mesh.ask("carol", "set", network=network, options={"bridge": "br0"})
    mesh.wait_ping("alice", PRINTER_IP)
    yield mesh.device("carol", network)
    mesh.ask("carol", "set", network=network, options={"bridge": ""})


def addresses(host: Host, device: str) -> list[str]:
    links = [link for link in host.ip_json("-4", "addr", "show") if link.get("ifname") == device]
    return [a["local"] for link in links for a in link["addr_info"]]


def master(host: Host, device: str) -> str | None:
    links = [link for link in host.ip_json("link", "show") if link["ifname"] == device]
    return links[0].get("master") if links else None


def test_host_behind_a_bridge_is_a_neighbour_and_learned(
    mesh: Mesh, printer: Host, bridged: str, network: str
) -> None:
    carol = mesh.nodes["carol"]
    assert master(carol.host, bridged) == "br0"
    assert carol.cli("networks")["networks"][0]["bridge"] == "br0"
    (neighbour,) = mesh.nodes["alice"].host.ip_json("neigh", "show", PRINTER_IP)
    assert neighbour["lladdr"] == PRINTER_MAC
    printer.run(["ping", "-c", "1", "-W", "5", "10.9.0.1"])
    entries = {e["mac"]: e for e in mesh.nodes["alice"].cli("fdb", network)["entries"]}
    learned = entries[PRINTER_MAC]
    assert (learned["peer"], learned["static"]) == (mesh.node_address("carol"), False)
    own = {e["mac"]: e["peer"] for e in carol.cli("fdb", network)["entries"]}
    assert own[PRINTER_MAC] == "local"


def gso_max_size(host: Host, device: str) -> int:
    (link,) = [each for each in host.ip_json("-d", "link", "show") if each["ifname"] == device]
    size: int = link["gso_max_size"]
    return size


def test_superframes_fit_trains_but_those_of_others_are_not_cut(mesh: Mesh, network: str) -> None:
    carol = mesh.nodes["carol"]
    device = mesh.device("carol", network)
    wait_until(lambda: gso_max_size(carol.host, device) == 61_424, PATIENCE_S)
    carol.cli("set", network, "bridge=br0")
    wait_until(lambda: gso_max_size(carol.host, device) == 65_536, PATIENCE_S)
    mesh.ask("carol", "set", network=network, options={"bridge": ""})
    wait_until(lambda: gso_max_size(carol.host, device) == 61_424, PATIENCE_S)


def test_bridge_port_has_no_addresses_and_gets_them_back(mesh: Mesh, network: str) -> None:
    carol = mesh.nodes["carol"]
    device = mesh.device("carol", network)
    assert addresses(carol.host, device) == ["10.9.0.3"]
    assert carol.cli("set", network, "bridge=br0")["bridge"] == "br0"
    wait_until(lambda: addresses(carol.host, device) == [], PATIENCE_S, what="no address")
    mesh.set_member(network, "carol", addresses="10.9.0.33/24")
    wait_until(lambda: mesh.ip("carol", network) == "10.9.0.33", PATIENCE_S)
    assert addresses(carol.host, device) == []
    mesh.set_member(network, "carol", addresses="10.9.0.3/24")
    carol.host.ip("link", "set", device, "nomaster")
    mesh.ask("carol", "set", network=network, options={"bridge": ""})
    wait_until(lambda: addresses(carol.host, device) == ["10.9.0.3"], PATIENCE_S)


def test_chosen_bridge_is_joined_again_after_a_restart(
    mesh: Mesh, printer: Host, bridged: str
) -> None:
    carol = mesh.nodes["carol"]
    carol.restart()
    wait_until(lambda: master(carol.host, bridged) == "br0", PATIENCE_S, what="the bridge")
    mesh.wait_ping("alice", PRINTER_IP)
    carol.kill()
    carol.start()
    wait_until(lambda: master(carol.host, bridged) == "br0", PATIENCE_S, what="the bridge")
    mesh.wait_ping("alice", PRINTER_IP)


def test_attachment_by_hand_needs_no_option_and_is_made_again(
    mesh: Mesh, printer: Host, network: str
) -> None:
    carol = mesh.nodes["carol"]
    device = mesh.device("carol", network)
    carol.host.ip("link", "set", device, "master", "br0")
    mesh.wait_ping("alice", PRINTER_IP)
    wait_until(lambda: mesh.joined("carol", network)["bridge"] == "br0", PATIENCE_S)
    for end in (carol.stop, carol.kill):
        end()
        carol.start()
        mesh.wait_up("carol", network)
        wait_until(lambda: master(carol.host, device) == "br0", PATIENCE_S, what="the bridge")
        mesh.wait_ping("alice", PRINTER_IP)
    carol.host.ip("link", "set", device, "nomaster")
    wait_until(lambda: addresses(carol.host, device) == ["10.9.0.3"], PATIENCE_S)
    carol.restart()
    mesh.wait_up("carol", network)
    assert master(carol.host, device) is None


def test_unknown_unicast_goes_to_the_bridge_only(mesh: Mesh, bridged: str, network: str) -> None:
    text = marker("unknown")
    alice = mesh.joined("alice", network)
    with (
        Wire(mesh.nodes["alice"].host, alice["device"]) as wire,
        Wire(mesh.nodes["bob"].host, mesh.device("bob", network)) as bob,
        Wire(mesh.nodes["carol"].host, bridged) as carol,
    ):
        wire.send(frame("02:00:00:77:77:77", alice["mac"], 0x88B5, text))
        carol.wait(text)
        assert mesh.answers("alice", "10.9.0.2", wait_s=5)
        assert not bob.has(text)


def test_frame_from_the_mesh_never_goes_back_into_it(
    mesh: Mesh, printer: Host, bridged: str, network: str
) -> None:
    text = marker("once")
    alice = mesh.joined("alice", network)
    with (
        Wire(mesh.nodes["alice"].host, alice["device"]) as wire,
        Wire(mesh.nodes["bob"].host, mesh.device("bob", network)) as bob,
        Wire(printer, "lan0") as lan,
    ):
        wire.send(frame(BROADCAST, alice["mac"], 0x88B5, text))
        lan.wait(text)
        bob.wait(text)
        assert mesh.answers("alice", PRINTER_IP, wait_s=5)
        assert sum(text in data for data in bob.look()) == 1
        assert not wire.has(text)  # its own sending is not among what it sees


def test_station_that_moves_is_found_at_once(
    mesh: Mesh, printer: Host, bridged: str, network: str
) -> None:
    mesh.set_member(network, "bob", bridge="true")
    bob = mesh.joined("bob", network)
    claim = frame(BROADCAST, PRINTER_MAC, 0x88B5, marker("moved"))

    def peer() -> str:
        entries = mesh.ask("alice", "fdb", network=network)["entries"]
        return str(next(e["peer"] for e in entries if e["mac"] == PRINTER_MAC))

    with Wire(mesh.nodes["bob"].host, bob["device"]) as wire:

        def has_moved() -> bool:
            wire.send(claim)
            return peer() == mesh.node_address("bob")

        wait_until(has_moved, PATIENCE_S, 0.1, what="the move")
    printer.run(["ping", "-c", "1", "-W", "5", "10.9.0.1"])
    assert peer() == mesh.node_address("carol")
    mesh.set_member(network, "bob", bridge="false")


def test_member_that_loses_the_right_is_an_ordinary_one_again(
    mesh: Mesh, printer: Host, bridged: str, network: str
) -> None:
    mesh.set_member(network, "carol", bridge="false")
    began = time.monotonic()
    wait_until(lambda: not mesh.answers("alice", PRINTER_IP), PATIENCE_S, what="silence")
    print(f"cut off after {time.monotonic() - began:.1f} s")  # noqa: T201
    before = mesh.drops("carol", "source_mac")
    printer.run(["ping", "-c", "1", "-W", "1", "10.9.0.1"], check=False)
    assert mesh.drops("carol", "source_mac") > before
    mesh.set_member(network, "carol", bridge="true")
    mesh.wait_ping("alice", PRINTER_IP)
