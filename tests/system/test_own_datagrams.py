"""The mesh never carries itself: the daemon's datagrams stay out of its own TAP and bridge."""

from collections.abc import Iterator

import pytest

from tests.system.mesh import LONG_S, PATIENCE_S, Mesh, udp_socket
from tools.lab import Capture, Lab, wait_until

pytestmark = pytest.mark.root

UDP = 17


@pytest.fixture
def mesh(engine: str) -> Iterator[Mesh]:
    with Lab() as lab:
        mesh = Mesh(lab, engine)
        for name in ("alice", "bob"):
            mesh.add(name)
        yield mesh


def outer_datagrams(capture: Capture) -> list[bytes]:
    """Frames with a UDP datagram from or to a port of a daemon."""
    found = []
    for _, data in capture.frames():
        is_udp = data[12:14] == b"\x08\x00" and data[23] == UDP
        if is_udp and 9993 in (int.from_bytes(data[34:36]), int.from_bytes(data[36:38])):
            found.append(data)
    return found


def test_default_route_into_the_mesh_leaves_our_own_datagrams_outside(mesh: Mesh) -> None:
    mesh.start()
    network = mesh.network()
    mesh.join(network, "alice", "bob")
    alice, device = mesh.nodes["alice"], mesh.device("alice", network)
    mesh.wait_ping("alice", "10.9.0.2")
    mesh.controller.cli("network", "set", network, "routes=0.0.0.0/0@10.9.0.2")
    assert "default" not in alice.host.ip("route", "show"), "taken without consent"
    alice.cli("set", network, "default_route=true")

    def leads_into_the_mesh() -> bool:
        words = ["ip", "route", "get", "198.51.100.1"]  # fails while there is no default route
        return f"dev {device} " in alice.host.run(words, check=False).stdout

    wait_until(leads_into_the_mesh, PATIENCE_S, what="the default route")
    with Capture(alice.host, device) as inner:
        alice.restart()
    with Capture(mesh.wan.host, mesh.wan.bridge, "udp") as outer:
        mesh.wait_up("alice", network)
        wait_until(leads_into_the_mesh, PATIENCE_S, what="the default route")
        with Capture(alice.host, mesh.device("alice", network)) as inner:
            mesh.wait_online("alice")
            mesh.wait_ping("alice", "10.9.0.2", LONG_S)
            with mesh.pinging("alice", "10.9.0.2") as pinging:
                pinging.more(10)
    assert pinging.lost() == []
    assert outer_datagrams(outer) and not outer_datagrams(inner)
    alice.cli("set", network, "default_route=false")
    wait_until(
        lambda: "via 10.9.0.2" not in alice.host.ip("route", "show", "table", "all"), PATIENCE_S
    )


def test_gateway_outside_stays_the_way_of_our_own_datagrams() -> None:
    """A host with a default gateway of its own, as at home, whose planet is beyond it."""
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add_behind_nat("alice")
        mesh.add("bob", engine="reference")
        mesh.start()
        network = mesh.network()
        mesh.join(network, "alice", "bob")
        mesh.wait_ping("alice", "10.9.0.2")
        mesh.controller.cli("network", "set", network, "routes=0.0.0.0/0@10.9.0.2")
        mesh.ask("alice", "set", network=network, options={"default_route": "true"})
        host, device = mesh.nodes["alice"].host, mesh.device("alice", network)

        def leads_into_the_mesh() -> bool:
            return bool(host.ip_json("route", "get", "198.51.100.1")[0]["dev"] == device)

        wait_until(leads_into_the_mesh, PATIENCE_S, what="the default route")
        with mesh.pinging("alice", "10.9.0.2") as pinging:
            pinging.more(40)
        assert pinging.lost() == []
        mesh.nodes["alice"].kill()
        mesh.nodes["alice"].start()
        mesh.wait_online("alice")
        mesh.wait_ping("alice", "10.9.0.2", LONG_S)
        wait_until(leads_into_the_mesh, PATIENCE_S, what="the default route")
        mesh.nodes["alice"].stop()
        (route,) = host.ip_json("route", "get", "198.51.100.1")
        assert route["dev"] == "eth0"


def test_underlay_address_on_the_bridge_that_the_device_is_in(mesh: Mesh) -> None:
    """alice has one NIC, and it is in the bridge; her underlay address is the bridge's."""
    alice = mesh.nodes["alice"]
    (address,) = alice.host.addresses
    alice.host.ip("addr", "flush", "dev", "eth0")
    alice.host.add_bridge("br0", ports=["eth0"])
    alice.host.ip("addr", "add", f"{address}/24", "dev", "br0")
    mesh.start()
    network = mesh.network()
    mesh.join(network, "alice", "bob")
    mesh.set_member(network, "alice", bridge="true")
    alice.cli("set", network, "bridge=br0")
    device = mesh.device("alice", network)
    wait_until(lambda: "br0" in alice.host.ip("link", "show", device), PATIENCE_S)
    bob = mesh.nodes["bob"].host
    bob.ip("addr", "add", "192.0.2.222/24", "dev", mesh.device("bob", network))
    before = mesh.ask("alice", "counters")["drops"].get("own_datagram", 0)
    with Capture(bob, mesh.device("bob", network)) as inner:
        alice.host.ip("addr", "add", "10.9.0.99/24", "dev", "br0")
        mesh.wait_ping("bob", "10.9.0.99")
        # the bridge knows no way to this MAC and floods the datagram into the TAP as well
        with udp_socket(alice.host, port=0) as sock:
            alice.host.ip(
                "neigh", "replace", "192.0.2.99", "lladdr", "02:00:00:00:99:99", "dev", "br0"
            )
            sock.sendto(b"harmless", ("192.0.2.99", 4000))
        alice.restart()
        mesh.wait_online("alice")
        mesh.wait_ping("bob", "10.9.0.99", LONG_S)
        with mesh.pinging("bob", "10.9.0.99") as pinging:
            pinging.more(10)
    assert pinging.lost() == []
    assert not [data for data in outer_datagrams(inner) if address_bytes(address) in data[26:34]]
    assert mesh.ask("alice", "counters")["drops"].get("own_datagram", 0) >= before


def address_bytes(address: str) -> bytes:
    return bytes(map(int, address.split(".")))
