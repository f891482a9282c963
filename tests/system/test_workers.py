"""Several worker threads: each flow keeps one of them and its order, and all know the same."""

import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, Wire, frame, inside, received, udp_socket
from tools.lab import Capture, Lab, wait_until

pytestmark = pytest.mark.root

NAMES = ("alice", "bob", "carol")
WORKERS = 2
PORT = 7000
FLOWS = 16
BURST = 50
ETHERTYPE = 0x88B5
BROADCAST = "ff:ff:ff:ff:ff:ff"
STATION = "02:00:00:00:77:01"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """Planet, alice and bob with two workers each; carol is the reference engine."""
    pytest.importorskip("l2mesh.datapath.native", exc_type=ImportError)
    with Lab() as lab:
        mesh = Mesh(lab, "native", workers=WORKERS)
        mesh.add("alice")
        mesh.add("bob")
        mesh.add("carol", engine="reference")
        yield mesh.start()


@pytest.fixture(scope="module")
def network(mesh: Mesh) -> str:
    network = mesh.network()
    mesh.join(network, *NAMES)
    mesh.set_member(network, "alice", bridge="true")
    for name, other in (("alice", "bob"), ("bob", "alice"), ("alice", "carol"), ("bob", "carol")):
        mesh.wait_ping(name, mesh.ip(other, network))
        mesh.wait_path(name, other)
    return network


def pid(mesh: Mesh, name: str) -> int:
    process = mesh.nodes[name].process
    assert process is not None
    return process.pid


def wakes(mesh: Mesh, name: str) -> dict[str, int]:
    """How often each worker of a node has slept so far, by its thread's name."""
    found = {}
    for task in Path(f"/proc/{pid(mesh, name)}/task").iterdir():
        thread = (task / "comm").read_text().strip()
        if thread.startswith("l2mesh-worker"):
            lines = (task / "status").read_text().splitlines()
            found[thread] = next(
                int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt")
            )
    return found


def niceness(mesh: Mesh, name: str) -> dict[str, int]:
    """Of each thread of a node, by its name (proc(5), field 19 of stat)."""
    found = {}
    for task in Path(f"/proc/{pid(mesh, name)}/task").iterdir():
        thread, fields = (task / "comm").read_text().strip(), (task / "stat").read_text()
        found[thread] = int(fields.rpartition(")")[2].split()[16])
    return found


def is_sound(mesh: Mesh, name: str) -> bool:
    """Whether all that came was authentic and whole."""
    return not {"forged", "bad_offload", "bad_flags"} & set(mesh.ask(name, "counters")["drops"])


def lanes(outer: Capture) -> set[bytes]:
    """Receive indices of the datagrams with frames, over IPv4, that were captured."""
    datagrams = [data[42:] for _, data in outer.frames()]
    return {each[1:4] for each in datagrams if each[0] & 0x81 == 0x80}


def test_status_names_the_workers(mesh: Mesh, network: str) -> None:
    del network
    status = {name: mesh.ask(name, "status") for name in NAMES}
    assert [status[name]["workers"] for name in NAMES] == [WORKERS, WORKERS, 1]
    assert mesh.planet.cli("status")["workers"] == WORKERS
    assert set(wakes(mesh, "alice")) == {"l2mesh-worker0", "l2mesh-worker1"}
    sockets = mesh.nodes["alice"].host.run(["ss", "-Hlnu", "sport", "=", ":9993"]).stdout
    assert len(sockets.splitlines()) == 2 * WORKERS


def test_workers_come_before_the_programs_that_they_carry_for(mesh: Mesh, network: str) -> None:
    del network
    found = niceness(mesh, "alice")
    workers = {nice for name, nice in found.items() if name.startswith("l2mesh-worker")}
    others = {nice for name, nice in found.items() if not name.startswith("l2mesh-worker")}
    assert workers == {max(nice - 10, -20) for nice in others}
    assert not any(
        name.startswith("worker_nice") for name in mesh.ask("alice", "counters")["counters"]
    )


@pytest.mark.parametrize(
    ("sender", "receiver", "count"),
    [("alice", "bob", WORKERS), ("bob", "carol", WORKERS), ("carol", "alice", 1)],
)
def test_flows_keep_their_order_and_come_once(
    mesh: Mesh, network: str, sender: str, receiver: str, count: int
) -> None:
    """Each flow is answered now and then, as most are; the kernel must not move it for that."""
    source, target = mesh.nodes[sender].host, mesh.ip(receiver, network)
    before = wakes(mesh, sender)

    def connected() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((target, PORT))
        sock.setblocking(False)
        return sock

    flows = [inside(source, connected) for _ in range(FLOWS)]
    came: dict[Any, list[int]] = {}
    sent = 0
    ends = [f"192.0.2.{10 * (NAMES.index(name) + 1)}" for name in (sender, receiver)]
    wire = f"udp and src host {ends[0]} and dst host {ends[1]}"
    with (
        udp_socket(mesh.nodes[receiver].host, target, PORT) as sink,
        Capture(mesh.wan.host, mesh.wan.bridge, wire) as outer,
    ):

        def has_all() -> bool:
            for data, address in received(sink):
                came.setdefault(address, []).append(struct.unpack("!I", data)[0])
            return sum(len(numbers) for numbers in came.values()) >= sent

        for burst in range(10):
            for number in range(burst * BURST, (burst + 1) * BURST):
                for flow in flows:
                    flow.send(struct.pack("!I", number))
            sent += FLOWS * BURST
            wait_until(has_all, PATIENCE_S, what=f"burst {burst}")
            for address in came:
                sink.sendto(b"answer", address)
    for flow in flows:
        flow.close()
    assert list(came.values()) == [list(range(10 * BURST))] * FLOWS
    after = wakes(mesh, sender)
    assert all(after[worker] > before[worker] for worker in before), "a worker did nothing"
    assert len(lanes(outer)) == count
    assert is_sound(mesh, receiver)


@pytest.mark.parametrize("direction", [[], ["-R"]])
def test_four_tcp_flows(mesh: Mesh, network: str, direction: list[str]) -> None:
    alice, bob = mesh.nodes["alice"].host, mesh.nodes["bob"].host
    server = bob.start(["iperf3", "-s", "-1", "--forceflush"], name="iperf3")
    server.wait_for_log("Server listening")
    line = ["iperf3", "-c", mesh.ip("bob", network), "-t", "2", "-P", "4", "-J", *direction]
    found = json.loads(alice.run(line, timeout=60).stdout)
    server.wait()
    flows = [stream["receiver"]["bytes"] for stream in found["end"]["streams"]]
    assert len(flows) == 4 and min(flows) > 0
    for name in ("alice", "bob"):
        assert is_sound(mesh, name)


def test_a_broadcast_comes_once_to_each(mesh: Mesh, network: str) -> None:
    device = {name: mesh.device(name, network) for name in NAMES}
    mac = str(mesh.joined("alice", network)["mac"])
    with (
        Wire(mesh.nodes["alice"].host, device["alice"]) as wire,
        Wire(mesh.nodes["bob"].host, device["bob"]) as bob,
        Wire(mesh.nodes["carol"].host, device["carol"]) as carol,
    ):
        numbers = [f"<broadcast {number:03}>".encode() for number in range(100)]
        for number in numbers:
            wire.send(frame(BROADCAST, mac, ETHERTYPE, number))
        for other in (bob, carol):
            other.wait(numbers[-1])
            seen = [each[14 : 14 + len(numbers[0])] for each in other.look()]
            assert [each for each in seen if each in numbers] == numbers


def test_a_station_that_one_worker_has_learned_is_known_to_all(mesh: Mesh, network: str) -> None:
    device = {name: mesh.device(name, network) for name in NAMES}
    mac = {name: str(mesh.joined(name, network)["mac"]) for name in NAMES}
    with (
        Wire(mesh.nodes["alice"].host, device["alice"]) as alice,
        Wire(mesh.nodes["bob"].host, device["bob"]) as bob,
    ):
        alice.send(frame(mac["bob"], STATION, ETHERTYPE, b"<here I am>"))
        bob.wait(b"<here I am>")
        before = mesh.ask("bob", "counters")["counters"].get("frames_flooded", 0)
        for flow in range(FLOWS):
            bob.send(frame(STATION, mac["bob"], 0x0800, _packet(flow)))
        for flow in range(FLOWS):
            alice.wait(_packet(flow)[20:])
        assert mesh.ask("bob", "counters")["counters"].get("frames_flooded", 0) == before


def _packet(flow: int) -> bytes:
    """A UDP packet between addresses that are nobody's, from another port for each flow."""
    text = f"<flow {flow:02} to the station>".encode()
    head = bytes.fromhex("4500") + (28 + len(text)).to_bytes(2) + bytes.fromhex("0001000040110000")
    addresses = socket.inet_aton("10.77.0.1") + socket.inet_aton("10.77.0.2")
    ports = (5000 + flow).to_bytes(2) + (7000).to_bytes(2)
    return head + addresses + ports + (8 + len(text)).to_bytes(2) + bytes(2) + text


def test_one_end_starts_anew_and_ends_in_good_order(mesh: Mesh, network: str) -> None:
    bob = mesh.nodes["bob"]
    device = mesh.device("bob", network)
    resident = int(Path(f"/proc/{pid(mesh, 'bob')}/statm").read_text().split()[1]) * 4096
    assert resident < 64 * 1024 * 1024
    assert bob.stop() == 0
    assert device not in {link["ifname"] for link in bob.host.ip_json("link")}
    bob.start()
    mesh.wait_up("bob", network)
    mesh.wait_ping("alice", mesh.ip("bob", network))
    assert bob.kill() == -9
    bob.start()
    mesh.wait_up("bob", network)
    mesh.wait_ping("alice", mesh.ip("bob", network))
    mesh.wait_ping("bob", mesh.ip("carol", network))
