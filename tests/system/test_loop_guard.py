"""Two members that bridge one LAN: alice - mesh - (carol, dave) - switch - printer, scanner."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, Wire, frame, marker, mesh_of
from tools.lab import Host, wait_until

pytestmark = pytest.mark.root

BRIDGES = ("carol", "dave")
BROADCAST = "ff:ff:ff:ff:ff:ff"
PRINTER_IP, SCANNER_IP = "10.9.0.200", "10.9.0.201"
BEACON = b"\x88\xb6"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of("alice", *BRIDGES) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def lan(mesh: Mesh) -> dict[str, Host]:
    """A switch with two hosts; carol and dave have a bridge with one leg in it."""
    switch = mesh.lab.switch("lan")
    hosts = {}
    for name, address in (("printer", PRINTER_IP), ("scanner", SCANNER_IP)):
        hosts[name] = mesh.lab.host(name)
        mesh.lab.connect(hosts[name], switch, f"{address}/24", interface="lan0")
    for number, name in enumerate(BRIDGES, 1):
        host = mesh.nodes[name].host
        mesh.lab.connect(host, switch, interface="lan0")
        host.add_bridge("br0", ports=["lan0"])
        host.ip("link", "set", "br0", "address", f"52:54:00:00:bb:{number:02x}")
    return hosts


@pytest.fixture(scope="module")
def network(mesh: Mesh, lan: dict[str, Host]) -> str:
    """Both bridge at once, and a broadcast is there before they know of each other."""
    network = mesh.network()
    mesh.join(network, "alice", *BRIDGES)
    for name in BRIDGES:
        mesh.set_member(network, name, bridge="true")
    return network


def forwarders(mesh: Mesh, network: str, *names: str) -> list[str]:
    """Who says that it forwards."""
    states = {}
    for name in names:
        (guarded,) = mesh.ask(name, "guard", network=network)["networks"]
        states[name] = next(one["state"] for one in guarded["vlans"] if one["vlan"] == 0)
    return [name for name, state in states.items() if state == "forwarding"]


def frames_a_second(wire: Wire, seconds: float) -> tuple[float, Counter[bytes]]:
    """Frames on the LAN, but for the guard's own; and how often each was there."""
    before = len(wire.look())
    time.sleep(seconds)
    seen = Counter(one for one in wire.look()[before:] if one[12:14] != BEACON)
    return sum(seen.values()) / seconds, seen


def test_a_storm_ends_and_everybody_is_reached_once(
    mesh: Mesh, lan: dict[str, Host], network: str
) -> None:
    printer = lan["printer"]
    with (
        Wire(printer, "lan0") as wire,
        Wire(mesh.nodes["alice"].host, mesh.device("alice", network)) as far,
    ):
        for name in BRIDGES:
            mesh.ask(name, "set", network=network, options={"bridge": "br0"})
        wire.send(frame(BROADCAST, "52:54:00:00:aa:01", 0x88B5, marker("storm")))
        time.sleep(3)
        rate, _ = frames_a_second(wire, 2)
        print(f"3 to 5 s after the broadcast: {rate:.0f} frames/s")  # noqa: T201
        assert rate < 100
        _, seen = frames_a_second(wire, 2)
        assert all(count == 1 for one, count in seen.items() if one[12:14] == b"\x88\xb5")
        assert len(forwarders(mesh, network, *BRIDGES)) == 1
        text = marker("once")
        wire.send(frame(BROADCAST, "52:54:00:00:aa:01", 0x88B5, text))
        far.wait(text)
        time.sleep(0.5)
        assert sum(text in one for one in far.look()) == 1
        assert sum(text in one for one in wire.look()) == 0  # it does not see its own
    assert mesh.answers("alice", PRINTER_IP, wait_s=5)
    assert mesh.answers("alice", SCANNER_IP, wait_s=5)  # has never said a word before


def test_the_forwarder_is_killed_and_traffic_goes_on_within_three_seconds(
    mesh: Mesh, lan: dict[str, Host], network: str
) -> None:
    mesh.wait_ping("alice", PRINTER_IP)
    (forwarder,) = forwarders(mesh, network, *BRIDGES)
    (heir,) = set(BRIDGES) - {forwarder}
    printer = lan["printer"]
    mac = printer.ip_json("link", "show", "lan0")[0]["address"]
    # neither end asks anew: the frames of each find the other, or do not
    alice = mesh.joined("alice", network)
    printer.ip("neigh", "replace", "10.9.0.1", "lladdr", alice["mac"], "dev", "lan0")
    mesh.nodes["alice"].host.ip(
        "neigh", "replace", PRINTER_IP, "lladdr", mac, "dev", alice["device"]
    )
    mesh.nodes[forwarder].kill()
    began = time.monotonic()
    wait_until(lambda: mesh.answers("alice", PRINTER_IP), PATIENCE_S, 0.05, what="another bridge")
    took = time.monotonic() - began
    print(f"{forwarder} killed: {took:.1f} s until {heir} forwards")  # noqa: T201
    assert took < 3
    assert forwarders(mesh, network, heir) == [heir]
    assert printer.run(["ping", "-c", "1", "-W", "1", "10.9.0.1"], check=False).returncode == 0
    mesh.nodes[forwarder].start()
    mesh.wait_up(forwarder, network)
    wait_until(
        lambda: len(forwarders(mesh, network, *BRIDGES)) == 1, PATIENCE_S, what="one forwarder"
    )
    with Wire(printer, "lan0") as wire:
        time.sleep(2)
        rate, _ = frames_a_second(wire, 1)
        assert rate < 100
    mesh.wait_ping("alice", PRINTER_IP)


def test_a_station_that_moves_between_sites_is_found_within_a_second(
    mesh: Mesh, lan: dict[str, Host], network: str
) -> None:
    """As VRRP does it: one gratuitous ARP, from alice's own site this time."""
    mesh.set_member(network, "alice", bridge="true")
    alice, mac = mesh.joined("alice", network), "00:00:5e:00:01:07"
    body = bytes.fromhex("0001080006040001" + mac.replace(":", "") + "0a0900fd" + "0" * 12)
    arp = body + bytes.fromhex("0a0900fd")
    with (
        Wire(lan["printer"], "lan0") as there,
        Wire(mesh.nodes["alice"].host, alice["device"]) as here,
    ):
        for claims, asks in ((there, here), (here, there), (there, here)):
            began = time.monotonic()
            claims.send(frame(BROADCAST, mac, 0x0806, arp))

            def is_found() -> bool:
                text = marker("to the virtual router")
                asks.send(frame(mac, "52:54:00:00:aa:77", 0x88B5, text))  # noqa: B023
                time.sleep(0.05)
                return claims.has(text)  # noqa: B023

            wait_until(is_found, PATIENCE_S, 0.05, what="the move")
            assert time.monotonic() - began < 1
    mesh.set_member(network, "alice", bridge="false")
