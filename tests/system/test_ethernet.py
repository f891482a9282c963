"""An Ethernet between real TAP devices: what ordinary programs and odd frames expect of one."""

import hashlib
import re
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from tests.frames import every_kind
from tests.system.mesh import (
    PATIENCE_S,
    Mesh,
    Wire,
    frame,
    inside,
    marker,
    mesh_of,
    received,
    udp_socket,
)
from tools.lab import Capture, wait_until

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol")
PORT = 7000
GROUP = "239.7.7.7"
LINK_LOCAL_GROUPS = ("lldp", "stp_bpdu", "lacp")
NOT_FRAMES = ("runt", "jumbo")
OF_SERVERS = {"dhcp_offer": "dhcp_guard", "router_advertisement": "ra_guard"}
"""Kinds that need a right -> why they are dropped without."""
REPORTS = ("igmp_join", "mld_report")
"""Kinds that a port hears only until it has listed its groups, some seconds after it opened."""
BROADCAST = "ff:ff:ff:ff:ff:ff"
LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] && ip address replace "$ip/$mask" dev "$interface"
exit 0
"""


@pytest.fixture(scope="module")
def mesh(engine: str) -> Iterator[Mesh]:
    with mesh_of(*NAMES, engine=engine) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network("--pool", "fd09::/64")
    mesh.join(network, *NAMES)
    for other in NAMES[1:]:
        mesh.wait_ping("alice", mesh.ip(other, network))
        mesh.wait_path("alice", other)
    mesh.wait_ping("bob", mesh.ip("carol", network))
    return network


def mac(mesh: Mesh, name: str, network: str) -> str:
    return str(mesh.joined(name, network)["mac"])


def wire(mesh: Mesh, name: str, network: str) -> Wire:
    return Wire(mesh.nodes[name].host, mesh.device(name, network))


def ip6(mesh: Mesh, name: str, network: str) -> str:
    addresses = mesh.joined(name, network)["addresses"]
    return str(next(a for a in addresses if ":" in a)).partition("/")[0]


def test_arp_finds_the_signed_mac(mesh: Mesh, network: str) -> None:
    host, device, target = mesh.nodes["alice"].host, mesh.device("alice", network), "10.9.0.2"
    host.ip("neigh", "flush", "dev", device)
    assert mesh.answers("alice", target, wait_s=5)
    (neighbour,) = host.ip_json("neigh", "show", target)
    assert neighbour["lladdr"] == mac(mesh, "bob", network)
    said = host.run(["arping", "-c", "1", "-w", "5", "-I", device, target], check=False).stdout
    assert mac(mesh, "bob", network) in said.lower()


def test_ipv6_neighbours_find_and_ping_each_other(mesh: Mesh, network: str) -> None:
    host, device = mesh.nodes["alice"].host, mesh.device("alice", network)
    target = ip6(mesh, "bob", network)
    assert mesh.answers("alice", target, "-6", wait_s=5)
    (neighbour,) = host.ip_json("-6", "neigh", "show", target)
    assert neighbour["lladdr"] == mac(mesh, "bob", network)
    everybody = mesh.ping("alice", f"ff02::1%{device}", "-6", count=3).stdout
    assert len(set(re.findall(r"from (fe80::[0-9a-f:]+)%", everybody))) >= 3


def test_frames_of_1500_bytes_pass_a_wire_of_1500_whole(mesh: Mesh, network: str) -> None:
    for name in ("alice", "bob"):
        mesh.segment_on_the_wire(name)
    with Capture(mesh.wan.host, mesh.wan.bridge, "udp") as outer:
        whole = mesh.ping("alice", "10.9.0.2", "-M", "do", "-s", "1472", count=3)
        assert whole.returncode == 0, whole.stdout
        assert mesh.ping("alice", "10.9.0.2", "-s", "8000", count=2).returncode == 0
        assert mesh.answers("alice", ip6(mesh, "bob", network), "-M", "do", "-s", "1452")
    packets = [data for _, data in outer.frames() if data[12:14] == b"\x08\x00"]
    assert packets
    for packet in packets:
        assert len(packet) <= 1514
        assert int.from_bytes(packet[20:22]) & 0x3FFF == 0, "an outer fragment"
    too_large = mesh.ping("alice", "10.9.0.2", "-M", "do", "-s", "1473")
    assert too_large.returncode != 0 and "1500" in too_large.stdout + too_large.stderr


@pytest.mark.parametrize("mtu", ["576", "9000"])
def test_mtu_of_the_network_holds(mesh: Mesh, mtu: str) -> None:
    network = mesh.network("--mtu", mtu, "--pool", "10.33.0.0/24", pool=None)
    mesh.join(network, "alice", "bob")
    mesh.wait_ping("alice", "10.33.0.2")
    size = int(mtu) - 28
    assert mesh.answers("alice", "10.33.0.2", "-M", "do", "-s", str(size), wait_s=5)
    assert not mesh.answers("alice", "10.33.0.2", "-M", "do", "-s", str(size + 1))
    for name in ("alice", "bob"):
        mesh.ask(name, "leave", network=network)


def test_a_stream_arrives_unchanged(mesh: Mesh, network: str) -> None:
    data = bytes(range(256)) * 8192
    server = inside(mesh.nodes["bob"].host, lambda: socket.create_server(("10.9.0.2", PORT)))
    digests: list[str] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            digests.append(hashlib.sha256(stream.read()).hexdigest())

    thread = threading.Thread(target=serve)
    thread.start()
    client = inside(mesh.nodes["alice"].host, socket.socket)
    with client, server:
        client.settimeout(PATIENCE_S)
        client.connect(("10.9.0.2", PORT))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        thread.join(PATIENCE_S)
    assert digests == [hashlib.sha256(data).hexdigest()]


def test_udp_broadcast_reaches_everybody_once(mesh: Mesh, network: str) -> None:
    hosts = [mesh.nodes[name].host for name in NAMES]
    text = marker("hello")
    with (
        udp_socket(hosts[0]) as speaker,
        udp_socket(hosts[1], port=PORT) as bob,
        udp_socket(hosts[2], port=PORT) as carol,
    ):
        speaker.sendto(text, ("10.9.0.255", PORT))
        heard: list[list[tuple[bytes, tuple[str, int]]]] = [[], []]

        def all_heard() -> bool:
            heard[0] += received(bob)
            heard[1] += received(carol)
            return all(heard)

        wait_until(all_heard, PATIENCE_S, what="the broadcast")
        mesh.answers("bob", "10.9.0.3")
        all_heard()
    for datagrams in heard:
        assert [(data, source[0]) for data, source in datagrams] == [(text, "10.9.0.1")]


def test_limited_broadcast_leaves_by_the_device_if_wanted(mesh: Mesh, network: str) -> None:
    alice, bob = mesh.nodes["alice"], mesh.nodes["bob"]
    alice.cli("set", network, "broadcast_route=true")
    text = marker("game")
    with udp_socket(alice.host) as speaker, wire(mesh, "bob", network) as seen:
        speaker.sendto(text, ("255.255.255.255", PORT))
        seen.wait(text)
    assert bob.cli("networks")["networks"]
    alice.cli("set", network, "broadcast_route=false")
    assert "255.255.255.255" not in alice.host.ip("route", "show")


def test_multicast_reaches_who_listens(mesh: Mesh, network: str) -> None:
    text = marker("group")
    with udp_socket(mesh.nodes["alice"].host) as speaker:
        source = socket.inet_aton("10.9.0.1")
        speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, source)
        with udp_socket(mesh.nodes["bob"].host, port=PORT) as listener:
            member = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("10.9.0.2"))
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            speaker.sendto(text, (GROUP, PORT))
            wait_until(lambda: received(listener), PATIENCE_S, what="the group's datagram")


def test_servers_are_heard_only_with_the_right_to_be_one(mesh: Mesh, network: str) -> None:
    frames = every_kind(mac(mesh, "alice", network), mac(mesh, "bob", network))
    before = {reason: mesh.drops("alice", reason) for reason in OF_SERVERS.values()}
    with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
        for kind in OF_SERVERS:
            alice.send(frames[kind])

        def are_refused() -> bool:
            return all(mesh.drops("alice", reason) > count for reason, count in before.items())

        wait_until(are_refused, PATIENCE_S)
        assert not set(bob.look()) & {frames[kind] for kind in OF_SERVERS}
        health = mesh.nodes["alice"].cli("status")["health"]
        assert any("as a DHCP server without the right dhcp" in line for line in health)
        address = mesh.node_address("alice")
        mesh.controller.cli("member", "set", network, address, "dhcp=true", "ra=true")

        def passes(kind: str) -> bool:
            alice.send(frames[kind])
            return frames[kind] in bob.look()

        for kind in OF_SERVERS:
            wait_until(partial(passes, kind), PATIENCE_S)


def test_frames_of_every_kind_arrive_as_they_were(mesh: Mesh, network: str) -> None:
    frames = every_kind(mac(mesh, "alice", network), mac(mesh, "bob", network))
    with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
        for kind, data in frames.items():
            if kind not in LINK_LOCAL_GROUPS + NOT_FRAMES:
                alice.send(data)
        last = marker("last")
        alice.send(frame(mac(mesh, "bob", network), mac(mesh, "alice", network), 0x88B5, last))
        bob.wait(last)
        seen = set(bob.look())
    elsewhere = {*LINK_LOCAL_GROUPS, *NOT_FRAMES, *OF_SERVERS, *REPORTS}
    assert {kind for kind in set(frames) - elsewhere if frames[kind] not in seen} == set()


@pytest.mark.parametrize("ethertype", [0x0000, 0x002E, 0x0600, 0x8899, 0x88E5, 0xFFFF])
def test_odd_ethertypes_and_llc_pass(mesh: Mesh, network: str, ethertype: int) -> None:
    text = marker("odd")
    data = frame(mac(mesh, "bob", network), mac(mesh, "alice", network), ethertype, text)
    with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
        alice.send(data)
        assert bob.wait(text) == data


def test_vlan_tags_pass_unchanged(mesh: Mesh, network: str) -> None:
    inner = b"\x88\xb5" + marker("vlan")
    to, source = mac(mesh, "bob", network), mac(mesh, "alice", network)
    for tci in (b"\x00\x07", b"\xe0\x00", b"\x0f\xfe"):
        with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
            data = frame(to, source, 0x8100, tci + inner)
            alice.send(data)
            assert bob.wait(inner) == data
    with wire(mesh, "bob", network) as bob, wire(mesh, "carol", network) as carol:
        with wire(mesh, "alice", network) as alice:
            alice.send(frame(BROADCAST, source, 0x8100, b"\x00\x2a" + inner))
        bob.wait(inner)
        carol.wait(inner)


def test_link_local_groups_stay_here_unless_the_network_says_pass(mesh: Mesh, network: str) -> None:
    frames = every_kind(mac(mesh, "alice", network), mac(mesh, "bob", network))
    before = mesh.drops("alice", "link_local_group")
    with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
        for kind in LINK_LOCAL_GROUPS:
            alice.send(frames[kind])
        wait_until(
            lambda: mesh.drops("alice", "link_local_group") >= before + len(LINK_LOCAL_GROUPS),
            PATIENCE_S,
        )
        assert not any(frames[kind] in bob.look() for kind in LINK_LOCAL_GROUPS)
        mesh.controller.cli("network", "set", network, "bpdu=pass")

        def passes() -> bool:
            alice.send(frames["stp_bpdu"])
            return frames["stp_bpdu"] in bob.look()

        wait_until(passes, PATIENCE_S, 0.1, what="a BPDU")
    mesh.controller.cli("network", "set", network, "bpdu=block")


def test_frame_from_a_foreign_mac_is_dropped_and_counted(mesh: Mesh, network: str) -> None:
    to = mac(mesh, "bob", network)
    for source in ("02:de:ad:be:ef:01", mac(mesh, "carol", network)):
        text, before = marker("foreign"), mesh.drops("alice", "source_mac")
        with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
            alice.send(frame(to, source, 0x88B5, text))
            wait_until(
                lambda before=before: mesh.drops("alice", "source_mac") > before,  # type: ignore[misc]
                PATIENCE_S,
            )
            assert mesh.answers("alice", "10.9.0.2")
            assert not bob.has(text)
    assert not any(
        entry["mac"] == "02:de:ad:be:ef:01"
        for entry in mesh.nodes["alice"].cli("fdb", network)["entries"]
    )


def test_guard_off_lets_foreign_macs_pass_but_never_signed_ones(mesh: Mesh, network: str) -> None:
    mesh.controller.cli("network", "set", network, "guard=off")
    to, foreign, text = mac(mesh, "bob", network), "02:de:ad:be:ef:02", marker("free")
    stolen = marker("stolen")
    with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:

        def passes() -> bool:
            alice.send(frame(to, foreign, 0x88B5, text))
            return bob.has(text)

        wait_until(passes, PATIENCE_S, 0.1, what="the foreign frame")
        alice.send(frame(to, mac(mesh, "carol", network), 0x88B5, stolen))
        assert mesh.answers("alice", "10.9.0.2")
        assert not bob.has(stolen)
    mesh.controller.cli("network", "set", network, "guard=default")


def test_unknown_unicast_goes_to_no_ordinary_member(mesh: Mesh, network: str) -> None:
    text, before = marker("unknown"), mesh.drops("alice", "unknown_unicast")
    with wire(mesh, "bob", network) as bob, wire(mesh, "carol", network) as carol:
        with wire(mesh, "alice", network) as alice:
            alice.send(frame("02:00:00:77:77:77", mac(mesh, "alice", network), 0x88B5, text))
        wait_until(lambda: mesh.drops("alice", "unknown_unicast") > before, PATIENCE_S)
        assert mesh.answers("alice", "10.9.0.2") and mesh.answers("alice", "10.9.0.3")
        assert not bob.has(text) and not carol.has(text)


def test_storm_is_limited_and_unicast_goes_on(mesh: Mesh, network: str) -> None:
    mesh.controller.cli("network", "set", network, "broadcast=20")
    text, before = marker("storm"), mesh.drops("alice", "storm")
    source = mac(mesh, "alice", network)

    def is_limited() -> bool:
        for _ in range(100):
            alice.send(frame(BROADCAST, source, 0x88B5, text))
        return mesh.drops("alice", "storm") > before

    with wire(mesh, "alice", network) as alice:
        wait_until(is_limited, PATIENCE_S, what="the limit")
        assert mesh.ping("alice", "10.9.0.2", count=5).returncode == 0
    mesh.controller.cli("network", "set", network, "broadcast=drop")
    text = marker("none")
    revision = mesh.controller.cli("network", "show", network)["revision"]
    wait_until(lambda: mesh.joined("alice", network)["revision"] == revision, PATIENCE_S)
    with wire(mesh, "alice", network) as alice, wire(mesh, "bob", network) as bob:
        alice.send(frame(BROADCAST, source, 0x88B5, text))
        assert mesh.answers("alice", "10.9.0.2")
        assert not bob.has(text)
    mesh.controller.cli("network", "set", network, "broadcast=500")


def test_fdb_shows_every_signed_mac_behind_its_owner(mesh: Mesh, network: str) -> None:
    entries = mesh.nodes["alice"].cli("fdb", network)["entries"]
    where = {entry["mac"]: (entry["peer"], entry["static"]) for entry in entries}
    for name in NAMES:
        owner = "local" if name == "alice" else mesh.node_address(name)
        assert where[mac(mesh, name, network)] == (owner, True)


def test_several_networks_on_one_node_do_not_mix(mesh: Mesh, network: str) -> None:
    second = mesh.network()
    mesh.join(second, "alice", "carol")
    assert mesh.ip("alice", second) == mesh.ip("alice", network) == "10.9.0.1"
    assert mesh.device("alice", second) != mesh.device("alice", network)
    texts = {each: marker("net") for each in (network, second)}
    with (
        wire(mesh, "bob", network) as bob,
        wire(mesh, "carol", second) as carol,
        wire(mesh, "carol", network) as both,
    ):
        for each, text in texts.items():
            with wire(mesh, "alice", each) as alice:
                alice.send(frame(BROADCAST, mac(mesh, "alice", each), 0x88B5, text))
        bob.wait(texts[network])
        carol.wait(texts[second])
        both.wait(texts[network])
        assert not carol.has(texts[network])
        assert not bob.has(texts[second]) and not both.has(texts[second])
    macs = {entry["mac"] for entry in mesh.nodes["alice"].cli("fdb", second)["entries"]}
    assert mac(mesh, "bob", network) not in macs
    everything = mesh.nodes["alice"].cli("fdb")["entries"]
    assert {entry["network"] for entry in everything} == {network, second}
    mesh.ask("alice", "leave", network=second)
    mesh.ask("carol", "leave", network=second)
    assert mesh.answers("alice", "10.9.0.2")


def test_dhcp_serves_a_member_over_the_mesh(mesh: Mesh) -> None:
    network = mesh.network(pool=None)
    mesh.join(network, "bob", "carol")
    server, client = mesh.nodes["bob"].host, mesh.nodes["carol"].host
    mesh.controller.cli("member", "set", network, mesh.node_address("bob"), "dhcp=true")
    device = mesh.device("bob", network)
    server.ip("addr", "add", "10.88.0.1/24", "dev", device)
    line = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]
    line += [f"--interface={device}", "--bind-interfaces", "--no-ping", "--pid-file="]
    line += ["--dhcp-range=10.88.0.100,10.88.0.150,255.255.255.0,5m", "--log-facility=-"]
    running = server.start([*line, f"--dhcp-leasefile={server.directory}/leases"])
    running.wait_for_log("DHCP, IP range")
    script = client.directory / "lease.sh"
    script.write_text(LEASE_SCRIPT)
    script.chmod(0o700)
    ask = ["udhcpc"] if shutil.which("udhcpc") else ["busybox", "udhcpc"]
    device = mesh.device("carol", network)
    client.run([*ask, "-i", device, "-f", "-q", "-n", "-t", "8", "-T", "1", "-s", script])
    (link,) = client.ip_json("-4", "addr", "show", "dev", device)
    assert link["addr_info"][0]["local"].startswith("10.88.0.1")
    assert mesh.answers("carol", "10.88.0.1", wait_s=5)
    running.stop()
    for name in ("bob", "carol"):
        mesh.ask(name, "leave", network=network)
