"""Thirty members, and what one of them cannot do to the others: bounded floods, counted.

alice is a daemon with a kernel behind it, the others are ports of the test. Figures are printed;
what is asserted holds on any machine.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import l2mesh
from l2mesh.datapath.interface import Limits, SetLimits
from tests.system.mesh import LONG_S, PATIENCE_S, Mesh, marker
from tests.system.ports import BROADCAST, Crowd, collect, frame, station
from tools.lab import Host, Lab, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

MEMBERS = 30
BROADCASTS = 1000
SOURCES = 100_000
SOURCES_PER_PEER = 1024
LIMIT = 500
"""Broadcast frames a second of one source; the burst is twice that (docs/protocol.md)."""
STORM_S = 3.0
STORM_RATE = 50_000


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add("alice")
        yield mesh.start()


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


def test_storm_of_a_hostile_member_is_handed_on_within_the_limit(crowd: Crowd) -> None:
    mesh = crowd.mesh
    culprit, one, other = crowd.join(3)
    crowd.acquaint([culprit, one, other])
    # a member whose own engine limits nothing: what counts is what receivers let pass
    lawless = SetLimits(int(crowd.network, 16), Limits(None, None, None))
    node = culprit._node
    culprit._thread.call(lambda: node.engine.execute(lawless, node.clock()))
    text = marker("storm")
    before, _ = alice_spent(mesh)
    handed = mesh.ask("alice", "counters")["counters"]["frames_out"]
    began, sent = time.monotonic(), 0
    while (now := time.monotonic() - began) < STORM_S:
        while sent < now * STORM_RATE:
            culprit.send(frame(BROADCAST, culprit.mac, text))
            sent += 1
        one.send(frame(other.mac, one.mac, b"unicast"))
    spent = time.monotonic() - began
    counters = mesh.ask("alice", "counters")
    after, _ = alice_spent(mesh)
    handed = counters["counters"]["frames_out"] - handed
    allowed = 2 * LIMIT + LIMIT * (spent + 1)
    print(  # noqa: T201
        f"{sent / spent:.0f} frames/s sent, {handed} of at most {allowed:.0f} handed on, "
        f"{(after - before) / spent:.0%} of a core"
    )
    assert handed <= allowed
    assert counters["drops"]["storm"] > 0
    assert collect([other], b"unicast", for_s=0.3)[other], "unicast goes on"
