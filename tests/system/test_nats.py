"""The lab's NATs: each maps and filters as its name says, seen by plain sockets on both sides."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from socket import socket

import pytest

from tests.system.mesh import received, udp_socket
from tools.lab import Host, Lab, Nat, NatKind, Switch, Weather, wait_until
from tools.lab.nats import BLOCK

pytestmark = pytest.mark.root

PORT = 40_001
OTHER = 40_002
ONE, TWO = "192.0.2.101", "192.0.2.102"
OUTSIDE = "192.0.2.1"
SYMMETRIC = (NatKind.RANDOM, NatKind.SEQUENTIAL)
PATIENCE_S = 2.0


@dataclass
class Ground:
    """One home on a wire with two hosts, and a socket at each place that matters."""

    lab: Lab
    wan: Switch
    nat: Nat
    inner: Host
    sockets: dict[tuple[str, int], socket] = field(default_factory=dict)

    def send(self, source: tuple[str, int], target: tuple[str, int], text: bytes = b"x") -> None:
        self.sockets[source].sendto(text, target)

    def hears(self, place: tuple[str, int], *, within_s: float = PATIENCE_S) -> tuple[str, int]:
        """Who sent the next datagrams to a place; the last one counts."""
        heard = wait_until(lambda: received(self.sockets[place]), within_s, what=f"{place} to hear")
        host, port = heard[-1][1]
        return host, port

    def is_let_in(self, source: tuple[str, int], target: tuple[str, int]) -> bool:
        """Whether the inside gets a datagram from a host outside, told by a marked one after it."""
        before = received(self.sockets[INSIDE])
        assert before == []
        self.send(source, target, b"let in?")
        # The NAT takes them in order; the next is always let in, since the inside asked for it.
        self.send(INSIDE, (ONE, PORT))
        known = self.hears((ONE, PORT))
        self.send((ONE, PORT), known, b"mark")
        texts: list[bytes] = []

        def has_mark() -> bool:
            texts.extend(text for text, _ in received(self.sockets[INSIDE]))
            return b"mark" in texts

        wait_until(has_mark, PATIENCE_S, what="the mark")
        return b"let in?" in texts


INSIDE = ("10.1.0.2", PORT)


def home(lab: Lab, stack: ExitStack, kind: NatKind) -> Ground:
    wan = lab.switch("wan")
    nat = lab.nat("nat", wan=wan, wan_address=f"{OUTSIDE}/24", lan_subnet="10.1.0.0/24", kind=kind)
    inner = lab.host("inner")
    lab.connect(inner, nat.lan, "10.1.0.2/24", gateway=nat.gateway)
    ground = Ground(lab, wan, nat, inner)
    hosts = {"10.1.0.2": inner}
    for address in (ONE, TWO):
        hosts[address] = lab.host(f"outer{address[-1]}")
        lab.connect(hosts[address], wan, f"{address}/24")
    for address, host in hosts.items():
        for port in (PORT, OTHER):
            sock = stack.enter_context(udp_socket(host, address, port))
            ground.sockets[address, port] = sock
    return ground


@pytest.fixture(params=list(NatKind), ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> NatKind:
    found: NatKind = request.param
    return found


@pytest.fixture
def ground(kind: NatKind) -> Iterator[Ground]:
    with Lab() as lab, ExitStack() as stack:
        yield home(lab, stack, kind)


def test_mapping_and_filter_are_what_the_name_says(ground: Ground, kind: NatKind) -> None:
    # Before anything went out: to the NAT itself, from the very endpoint that is asked first.
    ground.send((ONE, PORT), (OUTSIDE, PORT), b"stray")
    seen = []
    for target in ((ONE, PORT), (ONE, OTHER), (TWO, PORT)):
        ground.send(INSIDE, target)
        seen.append(ground.hears(target))
    assert {host for host, _ in seen} == {OUTSIDE}
    assert received(ground.sockets[INSIDE]) == []
    ports = [port for _, port in seen]
    if kind is NatKind.SEQUENTIAL:
        assert ports == [ports[0], ports[0] + 1, ports[0] + 2]
    elif kind is NatKind.BLOCK:
        assert set(ports) <= set(BLOCK)
    elif kind is NatKind.RANDOM:
        assert len({*ports, PORT}) == 4
        assert sorted(ports) != list(range(min(ports), min(ports) + 3))
    else:
        assert ports == [PORT] * 3
    # Asked a second time, each destination sees what it saw.
    ground.send(INSIDE, (TWO, PORT))
    assert ground.hears((TWO, PORT)) == seen[2]


def test_filter_lets_in_whom_the_name_says(ground: Ground, kind: NatKind) -> None:
    ground.send(INSIDE, (ONE, PORT))
    mapped = ground.hears((ONE, PORT))
    assert ground.is_let_in((ONE, PORT), mapped)
    assert ground.is_let_in((ONE, OTHER), mapped) == (kind in (NatKind.FULL_CONE, NatKind.ADDRESS))
    assert ground.is_let_in((TWO, PORT), mapped) == (kind is NatKind.FULL_CONE)
    # What was turned away claimed nothing: that endpoint sees the mapping when it is asked.
    ground.send(INSIDE, (TWO, PORT))
    again = ground.hears((TWO, PORT))
    if kind is not NatKind.BLOCK:  # which may draw the same port twice
        assert (again == mapped) == (kind not in SYMMETRIC)
    assert ground.is_let_in((TWO, PORT), again)


def test_home_that_hairpins_lets_its_inside_meet_outside() -> None:
    with Lab() as lab, ExitStack() as stack:
        wan = lab.switch("wan")
        outer = lab.host("outer")
        lab.connect(outer, wan, f"{ONE}/24")
        server = stack.enter_context(udp_socket(outer, ONE, PORT))
        nat = lab.nat(
            "nat",
            wan=wan,
            wan_address=f"{OUTSIDE}/24",
            lan_subnet="10.1.0.0/24",
            hairpin=True,
        )
        inside = []
        for number in (2, 3):
            host = lab.host(f"inner{number}")
            lab.connect(host, nat.lan, f"10.1.0.{number}/24", gateway=nat.gateway)
            inside.append(stack.enter_context(udp_socket(host, f"10.1.0.{number}", PORT)))
        mapped = []
        for sock in inside:
            sock.sendto(b"x", (ONE, PORT))
            mapped.append(wait_until(lambda: received(server), PATIENCE_S)[0][1])
        assert mapped[0] != mapped[1]
        inside[0].sendto(b"over the hill", mapped[1])
        [(text, source)] = wait_until(lambda: received(inside[1]), PATIENCE_S)
        assert (text, source) == (b"over the hill", mapped[0])


def test_firewall_lets_in_who_was_sent_to() -> None:
    with Lab() as lab, ExitStack() as stack:
        wan = lab.switch("wan")
        outer, inner = lab.host("outer"), lab.host("inner")
        wall = lab.firewall(
            "wall", wan=wan, wan_address="2001:db8::1/64", lan_subnet="2001:db8:1::/64"
        )
        lab.connect(outer, wan, "2001:db8::2/64", gateway="2001:db8::1")
        lab.connect(inner, wall.lan, "2001:db8:1::2/64", gateway=wall.gateway)
        server, stranger = (
            stack.enter_context(udp_socket(outer, "2001:db8::2", port)) for port in (PORT, OTHER)
        )
        sock = stack.enter_context(udp_socket(inner, "2001:db8:1::2", PORT))
        stranger.sendto(b"stray", ("2001:db8:1::2", PORT))
        sock.sendto(b"x", ("2001:db8::2", PORT))
        assert wait_until(lambda: received(server), PATIENCE_S)[0][1][:2] == ("2001:db8:1::2", PORT)
        server.sendto(b"answer", ("2001:db8:1::2", PORT))
        assert [text for text, _ in wait_until(lambda: received(sock), PATIENCE_S)] == [b"answer"]


def test_line_is_late_loses_and_reorders() -> None:
    with Lab() as lab, ExitStack() as stack:
        wan = lab.switch("wan")
        outer, inner = lab.host("outer"), lab.host("inner")
        lab.connect(outer, wan, f"{ONE}/24")
        lab.connect_by(Weather(delay_s=0.1, loss=0.3, hurried=0.1), inner, wan, f"{TWO}/24")
        ping = ["ping", "-n", "-c", "1", "-W", "0.5", ONE]
        wait_until(lambda: inner.run(ping, check=False).returncode == 0, what="ARP to get through")
        sock = stack.enter_context(udp_socket(inner, TWO, PORT))
        server = stack.enter_context(udp_socket(outer, ONE, PORT))
        for number in range(400):
            sock.sendto(number.to_bytes(2), (ONE, PORT))
        found: list[int] = []

        def is_over() -> bool:
            new = [int.from_bytes(text) for text, _ in received(server)]
            found.extend(new)
            return len(found) > 200 and not new

        wait_until(is_over, 5.0, 0.3, what="most datagrams")
        assert 220 < len(found) < 340  # of 400, 280 on average: six standard deviations
        assert len(set(found)) == len(found)
        assert found != sorted(found)
