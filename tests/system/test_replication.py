"""A broadcast to thirty members, three of whom carry it on: everybody gets it once."""

from collections import Counter
from collections.abc import Iterator

import pytest

import l2mesh
from tests.system.mesh import LONG_S, Mesh, marker
from tests.system.ports import BROADCAST, Crowd, collect, frame
from tools.lab import Lab, wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(240)]

MEMBERS = 30
REPLICATORS = 3
BROADCASTS = 1000
AT_ONCE = 20


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Lab() as lab:
        mesh = Mesh(lab).start()
        network = mesh.network()
        mesh.admin("network_set", network=network, settings={"replicate_above": "10"})
        with Crowd(mesh, mesh.on_wan("office", 100), network, "native") as crowd:
            yield crowd


def total(ports: list[l2mesh.Port], name: str) -> int:
    return sum(port.counters()[0][name] for port in ports)


def test_thirty_members_get_each_broadcast_once_and_three_carry_them_on(crowd: Crowd) -> None:
    ports = crowd.join(MEMBERS)
    sender, replicators, others = ports[0], ports[1 : 1 + REPLICATORS], ports[1:]
    for port in replicators:
        crowd.mesh.admin(
            "member_set", network=crowd.network, member=port.address, settings={"relay": "true"}
        )

    def carry_all(text: bytes) -> bool:
        """Whether a broadcast costs its source no more than a copy for each replicator."""
        before = sender.counters()[0]["datagrams_out"]
        for _ in range(10):
            sender.send(frame(BROADCAST, sender.mac, text))
        heard = collect(others, text, for_s=0.5, until=10)
        copies = sender.counters()[0]["datagrams_out"] - before
        return all(len(frames) == 10 for frames in heard.values()) and copies < 10 * MEMBERS / 2

    wait_until(lambda: carry_all(marker("hello")), LONG_S, what="all to be carried to")
    text, found = marker("all"), {port: list[int]() for port in others}
    before = {name: total(ports, name) for name in ("frames_signed", "frames_replicated")}
    sent_before = sender.counters()[0]["datagrams_out"]
    for number in range(BROADCASTS):
        sender.send(frame(BROADCAST, sender.mac, text + number.to_bytes(2, "big")))
        if number % AT_ONCE == AT_ONCE - 1:
            for port, frames in collect(others, text, for_s=0.05).items():
                found[port] += [int.from_bytes(data[-2:], "big") for data in frames]
    for port, frames in collect(others, text, for_s=1.0).items():
        found[port] += [int.from_bytes(data[-2:], "big") for data in frames]
    copies = (sender.counters()[0]["datagrams_out"] - sent_before) / BROADCASTS
    signed, replicated = (total(ports, name) - before[name] for name in before)
    print(f"{copies:.1f} datagrams a broadcast at its source, {replicated} carried on")  # noqa: T201
    for port, numbers in found.items():
        assert Counter(numbers) == Counter(range(BROADCASTS)), port
    assert signed == BROADCASTS
    assert replicated >= BROADCASTS * (MEMBERS - 1 - REPLICATORS)
    assert copies < MEMBERS / 3
