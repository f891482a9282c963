"""Hostile datagrams at the ports of a node, a planet and a controller: silence, and no harm."""

import base64
import contextlib
import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, mesh_of, received, seeded, udp_socket
from tools.lab import Capture, wait_until
from tools.lab.daemons import Daemon

pytestmark = pytest.mark.root

TARGETS = ("alice", "planet", "controller")
SIZES = (0, 1, 7, 8, 23, 24, 100, 205, 384, 1200, 1472)
RSS_SLACK_KIB = 16 * 1024
Endpoint = tuple[str, int]


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of("alice", "bob") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def mallory(mesh: Mesh) -> Iterator[socket.socket]:
    with udp_socket(mesh.on_wan("mallory", 66)) as sock:
        yield sock


@pytest.fixture(scope="module")
def session(mesh: Mesh) -> list[tuple[Endpoint, bytes]]:
    """Every datagram of a join and of pings, with where it went; as recorded on the wire."""
    network = mesh.network()
    for name in ("alice", "bob"):
        mesh.nodes[name].stop()
    with Capture(mesh.wan.host, mesh.wan.bridge, "udp") as capture:
        for name in ("alice", "bob"):
            mesh.nodes[name].start()
            mesh.wait_online(name)
        mesh.join(network, "alice", "bob")
        mesh.wait_ping("alice", "10.9.0.2")
        mesh.wait_path("alice", "bob")
    found = []
    for _, data in capture.frames():
        if data[12:14] == b"\x08\x00" and data[23] == 17:
            target = ".".join(map(str, data[30:34])), int.from_bytes(data[36:38])
            length = int.from_bytes(data[38:40])
            found.append((target, data[42 : 34 + length]))
    assert {data[0] for _, data in found} >= {1, 2}, "no handshake was captured"
    return found


def daemon(mesh: Mesh, target: str) -> Daemon:
    if target in mesh.nodes:
        return mesh.nodes[target]
    return mesh.planet if target == "planet" else mesh.controller


def endpoint(mesh: Mesh, target: str) -> Endpoint:
    one = daemon(mesh, target)
    (port, *_) = re.findall(r"listens on port=(\d+)", one.log())[-1:]
    return one.host.addresses[0], int(port)


def pid(one: Daemon) -> int:
    assert one.process is not None
    return int((one.state / "lock").read_text())


def rss_kib(one: Daemon) -> int:
    status = Path(f"/proc/{pid(one)}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def unharmed(mesh: Mesh, attack: Callable[[], None], target: str) -> None:
    """A ping goes on during the attack; afterwards nothing has ended, grown or gone wrong."""
    one = daemon(mesh, target)
    before, lines = rss_kib(one), one.log().count("\n")
    with mesh.pinging("alice", "10.9.0.2", interval="0.2") as pinging:
        attack()
        pinging.more(3)
    assert pinging.lost() == []
    assert rss_kib(one) - before < RSS_SLACK_KIB
    log = one.log()
    assert log.count("\n") - lines < 20, "a stranger fills the log"
    assert "Traceback" not in log and "internal error" not in log
    for name in mesh.nodes:
        assert mesh.joined(name, mesh.ask(name, "networks")["networks"][0]["id"])["status"] == "ok"


def send(sock: socket.socket, target: Endpoint, datagrams: list[bytes]) -> list[bytes]:
    """Send all, at a rate that the socket takes; whatever was answered."""
    answers: list[bytes] = []
    for number, data in enumerate(datagrams):
        try:
            sock.sendto(data, target)
        except BlockingIOError:
            continue
        if number % 50 == 0:
            answers += [data for data, _ in received(sock)]
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: answers.extend(d for d, _ in received(sock)), 0.5)
    return answers


@pytest.mark.parametrize("target", TARGETS)
def test_every_first_byte_in_every_size_meets_silence(
    mesh: Mesh, session: object, mallory: socket.socket, target: str
) -> None:
    rng = seeded()
    datagrams = [
        (bytes([first]) + rng.randbytes(size))[:size] for first in range(256) for size in SIZES
    ]
    unharmed(mesh, lambda: silent(mallory, endpoint(mesh, target), datagrams), target)


def silent(sock: socket.socket, target: Endpoint, datagrams: list[bytes]) -> None:
    assert send(sock, target, datagrams) == []


def captured_for(mesh: Mesh, session: list[tuple[Endpoint, bytes]], target: str) -> list[bytes]:
    there = endpoint(mesh, target)
    found = [data for to, data in session if to == there]
    assert found, f"nothing went to {target}"
    return found


def damaged(rng: random.Random, data: bytes) -> bytes:
    """One bit, one byte or the length is not what it was."""
    spoilt, at = bytearray(data), rng.randrange(len(data))
    kind = rng.randrange(4)
    if kind == 0:
        spoilt[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        spoilt[at] = (spoilt[at] + rng.randrange(1, 256)) % 256
    elif kind == 2:
        del spoilt[at:]
    else:
        spoilt += rng.randbytes(rng.randrange(1, 40))
    return bytes(spoilt)


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_datagrams_of_a_real_session_meet_silence(
    mesh: Mesh, session: list[tuple[Endpoint, bytes]], mallory: socket.socket, target: str
) -> None:
    rng, real = seeded(), captured_for(mesh, session, target)
    handshakes = [data for data in real if data[0] in (1, 2)]
    datagrams = [damaged(rng, rng.choice(real)) for _ in range(1500)]
    datagrams += [data[:size] for data in handshakes[:2] for size in range(0, len(data), 3)]
    unharmed(mesh, lambda: silent(mallory, endpoint(mesh, target), datagrams), target)


@pytest.mark.parametrize("target", TARGETS)
def test_replayed_session_changes_nothing_and_gets_no_larger_answer(
    mesh: Mesh, session: list[tuple[Endpoint, bytes]], mallory: socket.socket, target: str
) -> None:
    real = captured_for(mesh, session, target)
    peers = {p["address"]: p["endpoint"] for p in mesh.ask("alice", "peers")["peers"]}

    def replay() -> None:
        for _ in range(3):
            answers = send(mallory, endpoint(mesh, target), real)
            assert sum(map(len, answers)) <= sum(map(len, real))
            largest = max(len(data) for data in real if data[0] == 1) if answers else 0
            assert all(len(answer) <= largest for answer in answers)
            assert {answer[0] for answer in answers} <= {2, 3}

    unharmed(mesh, replay, target)
    assert peers == {p["address"]: p["endpoint"] for p in mesh.ask("alice", "peers")["peers"]}


def test_drops_are_counted_by_reason(
    mesh: Mesh, session: list[tuple[Endpoint, bytes]], mallory: socket.socket
) -> None:
    there = endpoint(mesh, "alice")
    before = mesh.nodes["alice"].cli("counters")["drops"]
    unknown = b"\x80\xff\xff\xff" + bytes(40)
    data = next(d for d in captured_for(mesh, session, "alice")[::-1] if d[0] & 0x80)
    forged = data[:-1] + bytes([data[-1] ^ 1])
    silent(mallory, there, [b"\x09nonsense", unknown, data, forged, b"\x01" + bytes(400)])
    after = mesh.nodes["alice"].cli("counters")["drops"]
    grown = {reason for reason in after if after[reason] > before.get(reason, 0)}
    print(f"drops counted under: {sorted(grown)}")  # noqa: T201
    assert {"malformed", "unknown_index"} <= grown
    assert len(grown) >= 3


def test_flood_of_noise_costs_no_ping_and_no_memory(
    mesh: Mesh, session: object, mallory: socket.socket
) -> None:
    rng = seeded()
    noise = [rng.randbytes(rng.randrange(1, 400)) for _ in range(2000)]

    def flood() -> None:
        for _ in range(5):
            silent(mallory, endpoint(mesh, "alice"), noise)

    unharmed(mesh, flood, "alice")


def test_nothing_of_a_join_shows_on_the_wire(mesh: Mesh, session: object) -> None:
    """A fresh member: neither its names nor those of network and controller are in clear."""
    statuses = [mesh.ask(name, "status") for name in mesh.nodes]
    network = mesh.network("--name", "confidential-net")
    bob = mesh.nodes["bob"]
    with Capture(mesh.wan.host, mesh.wan.bridge) as capture:
        bob.restart()
        mesh.wait_online("bob")
        mesh.join(network, "bob", "alice")
        mesh.set_member(network, "bob", name="secretive")
        wait_until(lambda: (mesh.peer("alice", "bob") or {})["path"] != "none", PATIENCE_S)
        mesh.wait_ping("alice", mesh.ip("bob", network))
    identity = mesh.controller.cli("identity")
    words = [b"confidential-net", b"secretive", bytes.fromhex(network), network.encode()]
    for one in [*statuses, identity]:
        words += [bytes.fromhex(one["address"]), one["address"].encode()]
        words += [raw(one["fingerprint"])[:8], one["fingerprint"].encode()]
    seen = [data[42:] for _, data in capture.frames() if data[23:24] == b"\x11"]
    assert len(seen) > 20
    for word in words:
        assert not any(word in data for data in seen), word


def raw(fingerprint: str) -> bytes:
    return base64.b32decode(fingerprint.upper() + "====")


def test_marker_sent_inside_is_in_no_capture_outside(mesh: Mesh, session: object) -> None:
    text = b"MARKER-in-clear-" + b"x" * 400
    bob = mesh.nodes["bob"].host
    with Capture(mesh.wan.host, mesh.wan.bridge) as wire, Capture(bob, "any") as there:
        for name in ("alice", "bob"):
            with udp_socket(mesh.nodes[name].host) as sock:
                other = "10.9.0.2" if name == "alice" else "10.9.0.1"
                for size in (40, 400):
                    sock.sendto(text[:size], (other, 5555))
        assert mesh.answers("alice", "10.9.0.2", "-s", "1472", wait_s=5)
    assert there.contains(b"MARKER-in-clear-"), "it was not sent at all"
    assert not wire.contains(b"MARKER-in-clear-")
