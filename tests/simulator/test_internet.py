"""The simulated internet carries, delays, loses and translates as it is told."""

from random import Random

import pytest

from l2mesh.datapath.interface import Endpoint
from tests.simulator.internet import Interface, Internet, Line, Packet, Segment
from tests.simulator.journal import Journal
from tests.simulator.nat import Nat, NatKind
from tests.simulator.schedule import START_S, Schedule

PORT = 9993


class Net:
    """Hosts that only remember what arrived."""

    def __init__(self, seed: int = 1) -> None:
        self.schedule = Schedule()
        self.internet = Internet(self.schedule, Random(seed), Journal())
        self.arrived: list[tuple[float, str, bytes, Endpoint]] = []

    def host(
        self, name: str, address: str, segment: Segment | None = None, **line: object
    ) -> Interface:
        def receive(data: bytes, source: Endpoint) -> None:
            self.arrived.append((self.schedule.now - START_S, name, data, source))

        place = segment or self.internet.public
        return self.internet.attach(name, address, place, Line(**line), receive)  # type: ignore[arg-type]

    def behind(self, kind: NatKind, address: str) -> Segment:
        nat = Nat(kind, address, Random(7))
        return self.internet.put_behind(nat, self.internet.public, f"lan of {address}")

    def send(self, sender: Interface, to: Endpoint, data: bytes = b"x") -> None:
        self.internet.send(sender, PORT, data, to)
        self.schedule.run(0.5)

    def names(self) -> list[str]:
        names = [name for _, name, _, _ in self.arrived]
        self.arrived.clear()
        return names


def test_a_datagram_takes_the_time_of_both_lines() -> None:
    net = Net()
    one = net.host("one", "198.51.100.1", latency_s=0.02)
    net.host("two", "198.51.100.2", latency_s=0.03)
    net.send(one, Endpoint("198.51.100.2", PORT))
    [(time, _, data, source)] = net.arrived
    assert time == pytest.approx(0.05)
    assert (data, source) == (b"x", Endpoint("198.51.100.1", PORT))


def test_loss_duplication_and_order_follow_the_seed() -> None:
    def run(seed: int) -> list[tuple[float, str, bytes, Endpoint]]:
        net = Net(seed)
        one = net.host("one", "198.51.100.1", loss=0.3, duplicated=0.2, reordered=0.3)
        net.host("two", "198.51.100.2")
        for number in range(200):
            net.internet.send(one, PORT, bytes([number]), Endpoint("198.51.100.2", PORT))
            net.schedule.run(0.001)
        net.schedule.run(1)
        return net.arrived

    first = run(5)
    assert first == run(5) != run(6)
    numbers = [data[0] for _, _, data, _ in first]
    assert 110 < len(set(numbers)) < 170 and len(numbers) > len(set(numbers))


def test_jitter_alone_keeps_the_order() -> None:
    net = Net()
    one = net.host("one", "198.51.100.1", jitter_s=0.05)
    net.host("two", "198.51.100.2", jitter_s=0.05)
    for number in range(100):
        net.internet.send(one, PORT, bytes([number]), Endpoint("198.51.100.2", PORT))
    net.schedule.run(1)
    assert [data[0] for _, _, data, _ in net.arrived] == list(range(100))


def test_what_is_too_large_or_cut_off_does_not_arrive() -> None:
    net = Net()
    one = net.host("one", "198.51.100.1", mtu=1500)
    net.host("two", "198.51.100.2", mtu=1280)
    to = Endpoint("198.51.100.2", PORT)
    net.send(one, to, bytes(1252))
    assert net.names() == ["two"]
    net.send(one, to, bytes(1253))
    net.internet.cut("one", "two")
    net.send(one, to)
    assert net.names() == []
    net.internet.heal()
    net.send(one, to)
    assert net.names() == ["two"]
    assert net.internet.drops == {"mtu": 1, "cut": 1}


@pytest.mark.parametrize("kind", list(NatKind))
def test_a_nat_drops_what_nobody_asked_for(kind: NatKind) -> None:
    net = Net()
    outside = net.host("outside", "198.51.100.1")
    net.host("inside", "10.0.0.2", net.behind(kind, "203.0.113.1"))
    net.send(outside, Endpoint("203.0.113.1", PORT))
    assert net.names() == [] and net.internet.drops["unsolicited"] == 1


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (NatKind.PRESERVING, {"same port"}),
        (NatKind.ADDRESS, {"same port", "other port gets in"}),
        (NatKind.FULL_CONE, {"same port", "other port gets in", "stranger gets in"}),
        (NatKind.SYMMETRIC, set()),
    ],
)
def test_a_nat_is_of_its_kind(kind: NatKind, facts: set[str]) -> None:
    net = Net()
    friend, stranger = net.host("friend", "198.51.100.1"), net.host("stranger", "198.51.100.2")
    inside = net.host("inside", "10.0.0.2", net.behind(kind, "203.0.113.1"))
    net.send(inside, Endpoint("198.51.100.1", PORT))
    [(_, _, _, seen)] = net.arrived
    assert seen.host == "203.0.113.1" and (seen.port == PORT) == ("same port" in facts)
    net.names()
    net.send(friend, seen)
    assert net.names() == ["inside"]
    net.internet.send(friend, 4000, b"x", seen)
    net.schedule.run(1)
    assert (net.names() == ["inside"]) == ("other port gets in" in facts)
    net.send(stranger, seen)
    assert (net.names() == ["inside"]) == ("stranger gets in" in facts)
    net.schedule.run(121)
    net.send(friend, seen)
    assert net.names() == []


def test_two_hosts_behind_a_nat_get_ports_of_their_own() -> None:
    net = Net()
    net.host("outside", "198.51.100.1")
    lan = net.behind(NatKind.PRESERVING, "203.0.113.1")
    for name, address in (("one", "10.0.0.2"), ("two", "10.0.0.3")):
        net.send(net.host(name, address, lan), Endpoint("198.51.100.1", PORT))
    sources = {source for _, _, _, source in net.arrived}
    assert len(sources) == 2 and Endpoint("203.0.113.1", PORT) in sources


def test_a_tap_sees_what_hosts_send() -> None:
    net = Net()
    seen: list[Packet] = []
    net.internet.taps.append(seen.append)
    one = net.host("one", "198.51.100.1")
    net.send(one, Endpoint("198.51.100.9", PORT))
    assert [(packet.sender, packet.data) for packet in seen] == [("one", b"x")]
    assert net.internet.drops["unreachable"] == 1


def test_a_host_that_moved_is_no_longer_where_it_was() -> None:
    net = Net()
    one, two = net.host("one", "198.51.100.1"), net.host("two", "198.51.100.2")
    net.internet.move(two, "198.51.100.3", net.internet.public)
    net.send(one, Endpoint("198.51.100.2", PORT))
    assert net.names() == []
    net.send(one, Endpoint("198.51.100.3", PORT))
    assert net.names() == ["two"]


def test_box_that_accepts_strays_gives_the_inside_another_port_towards_their_sender() -> None:
    net = Net()
    home = net.behind(NatKind.PRESERVING, "203.0.113.1")
    assert home.gateway is not None and isinstance(home.gateway.nat, Nat)
    home.gateway.nat.accepts = True
    inner = net.host("inner", "192.168.0.2", home)
    early, later = net.host("early", "198.51.100.1"), net.host("later", "198.51.100.2")
    net.send(early, Endpoint("203.0.113.1", PORT))
    assert net.names() == []
    for outer in (early, later):
        net.send(inner, Endpoint(outer.address, PORT))
    ports = {name: source.port for _, name, _, source in net.arrived}
    assert ports["later"] == PORT != ports["early"]
    net.names()
    net.schedule.run(31)
    net.internet.send(inner, PORT, b"x", Endpoint("198.51.100.2", PORT))
    net.schedule.run(1)
    net.send(later, Endpoint("203.0.113.1", PORT))
    assert net.names() == ["later", "inner"]
