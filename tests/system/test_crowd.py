"""Thirty members, and what one of them cannot do to the others: bounded floods, counted.

alice is a daemon with a kernel behind it, the others are ports of the test. Figures are printed;
what is asserted holds on any machine.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import l2mesh
from tests.system.mesh import LONG_S, PATIENCE_S, Mesh, marker, mesh_of, udp_socket
from tests.system.ports import BROADCAST, Crowd, collect, frame, station
from tools.lab import Host, Node, wait_until
from tools.lab.command import Argument

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(240)]

MEMBERS = 30
BROADCASTS = 1000
SOURCES = 100_000
SOURCES_PER_PEER = 1024
LIMIT = 500
"""Broadcast frames a second of one source; the burst is twice that (docs/protocol.md)."""
STORM_S = 3.0
STORM_RATE = 50_000
UDP_SEGMENT = 103
"""Of <linux/udp.h>: the kernel makes a train of datagrams out of one call."""
SHORTEST = bytes(18)
"""The payload of UDP in the shortest frame of Ethernet."""
TRAIN = 50


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of("alice") as mesh:
        yield mesh


@pytest.fixture(scope="module")
def office(mesh: Mesh) -> Host:
    return mesh.on_wan("office", 100)


@pytest.fixture
def crowd(mesh: Mesh, office: Host) -> Iterator[Crowd]:
    network = mesh.network()
    mesh.join(network, "alice")
    with Crowd(mesh, office, network, "native") as crowd:
        yield crowd
    mesh.ask("alice", "leave", network=network)


def grant_bridge(crowd: Crowd, port: l2mesh.Port) -> None:
    """Until alice learns a station behind the port."""
    settings = {"bridge": "true"}
    crowd.mesh.admin("member_set", network=crowd.network, member=port.address, settings=settings)

    def is_learned() -> bool:
        port.send(frame(BROADCAST, station(1), b"behind a bridge"))
        entries = crowd.mesh.ask("alice", "fdb", network=crowd.network)["entries"]
        return any(entry["mac"] == station(1).hex(":") for entry in entries)

    wait_until(is_learned, PATIENCE_S, 0.1, what="a station behind the bridge")


def alice_spent(mesh: Mesh) -> tuple[float, int]:
    """Seconds of processor time of alice's daemon so far, and its memory in bytes."""
    process = mesh.nodes["alice"].process
    assert process is not None
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(stat[21]) * os.sysconf("SC_PAGE_SIZE")


def test_each_broadcast_reaches_each_of_thirty_members_once(crowd: Crowd) -> None:
    began = time.monotonic()
    ports = crowd.join(MEMBERS - 1)
    sender, others = ports[0], ports[1:]
    hello = marker("hello")
    missing = others
    while missing:
        assert time.monotonic() - began < LONG_S
        sender.send(frame(BROADCAST, sender.mac, hello))
        heard = collect(missing, hello, for_s=0.5, until=1)
        missing = [port for port in missing if not heard[port]]
    print(f"{MEMBERS} members after {time.monotonic() - began:.1f} s")  # noqa: T201
    collect(others, b"", for_s=0.5)
    text, found = marker("all"), {port: list[int]() for port in others}
    began = time.monotonic()
    for number in range(BROADCASTS):
        sender.send(frame(BROADCAST, sender.mac, text + number.to_bytes(2, "big")))
        if number % 40 == 39:  # 40 in 0.1 s: below the limit
            late = number / 400 - (time.monotonic() - began)
            for port, frames in collect(others, text, for_s=max(late, 0.01)).items():
                found[port] += [int.from_bytes(data[-2:], "big") for data in frames]
    for port, frames in collect(others, text, for_s=1.0).items():
        found[port] += [int.from_bytes(data[-2:], "big") for data in frames]
    print(f"{BROADCASTS} broadcasts in {time.monotonic() - began:.1f} s")  # noqa: T201
    for port, numbers in found.items():
        assert numbers == list(range(BROADCASTS)), port
    assert sender.counters()[1].get("storm", 0) == 0


def test_flood_of_sources_displaces_nothing_and_disturbs_nobody(crowd: Crowd) -> None:
    mesh = crowd.mesh
    culprit, one, other = crowd.join(3)
    crowd.acquaint([culprit, one, other])
    grant_bridge(crowd, culprit)
    target = bytes.fromhex(mesh.joined("alice", crowd.network)["mac"].replace(":", ""))
    text, arrived = marker("flow"), list[int]()
    _, before = alice_spent(mesh)
    began, sent = time.monotonic(), 0
    for number in range(SOURCES):
        culprit.send(frame(target, station(100_000 + number), b"flood"))
        if number % 100 == 0:  # the paced flow beside it
            one.send(frame(other.mac, one.mac, text + sent.to_bytes(2, "big")))
            sent += 1
            late = number / 20_000 - (time.monotonic() - began)
            heard = collect([other], text, for_s=max(late, 0))[other]
            arrived += [int.from_bytes(data[-2:], "big") for data in heard]
    spent = time.monotonic() - began
    heard = collect([other], text, for_s=1.0)[other]
    arrived += [int.from_bytes(data[-2:], "big") for data in heard]
    _, after = alice_spent(mesh)
    entries = mesh.ask("alice", "fdb", network=crowd.network)["entries"]
    behind = [entry for entry in entries if entry["peer"] == culprit.address]
    learned = [entry for entry in behind if not entry["static"]]
    rate, grown = SOURCES / spent, (after - before) / 2**20
    print(f"{rate:.0f} sources/s, alice learned {len(learned)}, grew {grown:.1f} MiB")  # noqa: T201
    assert arrived == list(range(sent))
    assert len(learned) == SOURCES_PER_PEER
    assert any(entry["mac"] == station(1).hex(":") for entry in learned), "known before the flood"
    assert mesh.drops("alice", "fdb_full") > 0
    assert grown < 64
    health = mesh.ask("alice", "status")["health"]
    assert any(culprit.address in line and "more MACs than" in line for line in health), health


class Lawless(Node):
    """A daemon whose engine limits nothing: what counts is what receivers let pass."""

    def command(self) -> list[Argument]:
        host = Path(__file__).with_name("lawless_host.py")
        return [sys.executable, host, *self.daemon_arguments()]


@pytest.fixture
def culprit(mesh: Mesh) -> Iterator[Node]:
    node = Lawless(mesh.on_wan("culprit", 150), world=mesh.planet.world)
    mesh.nodes["culprit"] = node
    yield node.start()
    node.stop()
    del mesh.nodes["culprit"]


def test_storm_of_a_hostile_member_is_handed_on_within_the_limit(
    crowd: Crowd, culprit: Node
) -> None:
    mesh, network = crowd.mesh, crowd.network
    one, other = crowd.join(2)
    crowd.acquaint([one, other])
    mesh.join(network, "culprit")
    mesh.wait_ping("culprit", mesh.ip("alice", network))
    nobody, device = "10.9.0.250", mesh.device("culprit", network)
    culprit.host.ip("neigh", "add", nobody, "lladdr", "ff:ff:ff:ff:ff:ff", "dev", device)
    trains = [(socket.IPPROTO_UDP, UDP_SEGMENT, len(SHORTEST).to_bytes(2, "little"))]
    before, _ = alice_spent(mesh)
    counters = mesh.ask("alice", "counters")
    handed, dropped = counters["counters"]["frames_out"], counters["drops"].get("storm", 0)
    with udp_socket(culprit.host) as storm:
        began, sent = time.monotonic(), 0
        while (now := time.monotonic() - began) < STORM_S:
            while sent < now * STORM_RATE:
                storm.sendmsg([SHORTEST * TRAIN], trains, 0, (nobody, 9))
                sent += TRAIN
            one.send(frame(other.mac, one.mac, b"unicast"))
            time.sleep(0.001)
    spent = time.monotonic() - began
    counters = mesh.ask("alice", "counters")
    after, _ = alice_spent(mesh)
    handed = counters["counters"]["frames_out"] - handed
    dropped = counters["drops"]["storm"] - dropped
    allowed = 2 * LIMIT + LIMIT * (spent + 1)
    print(  # noqa: T201
        f"{sent / spent:.0f} frames/s sent, {handed + dropped} came, {handed} of at most "
        f"{allowed:.0f} handed on, {(after - before) / spent:.0%} of a core"
    )
    assert handed <= allowed
    assert dropped > allowed
    assert collect([other], b"unicast", for_s=0.3)[other], "unicast goes on"
