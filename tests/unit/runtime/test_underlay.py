import errno
import select
import socket
import sys
from collections.abc import Iterator
from typing import cast

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError
from l2mesh.runtime.clock import boot_clock
from l2mesh.runtime.offloads import Offloads
from l2mesh.runtime.underlay import GSO_REFUSED_S, Listen, Underlay, parse_listen
from l2mesh.wire.datagram import OPENER, OPENER_TTL

IP_RECVTTL = 12
"""linux/in.h; `socket` lacks it."""


@pytest.fixture
def both() -> Iterator[Underlay]:
    underlay = Underlay(Listen("::", 0))
    yield underlay
    underlay.close()


def test_port_zero_picks_one_port_for_both_families(both: Underlay) -> None:
    assert both.port
    assert {sock.getsockname()[1] for sock in both.sockets} == {both.port}
    assert [sock.family for sock in both.sockets] == [socket.AF_INET6, socket.AF_INET]


def test_sockets_do_not_block_and_are_not_inherited(both: Underlay) -> None:
    assert [(sock.getblocking(), sock.get_inheritable()) for sock in both.sockets] == [
        (False, False)
    ] * 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_peer_of_either_family_has_its_own_spelling(both: Underlay, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.bind((host, 0))
        peer.settimeout(5)
        both.send(b"hello", Endpoint(*peer.getsockname()[:2]))
        datagram, source = peer.recvfrom(100)
    assert (datagram, source[:2]) == (b"hello", (host, both.port))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_opener_leaves_by_our_port_and_does_not_get_far(both: Underlay, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    level, told, ttl = socket.IPPROTO_IP, IP_RECVTTL, socket.IP_TTL
    if family == socket.AF_INET6:
        level, told, ttl = socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, socket.IPV6_HOPLIMIT
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.bind((host, 0))
        peer.setsockopt(level, told, 1)
        peer.settimeout(5)
        both.send_opener(Endpoint(*peer.getsockname()[:2]))
        datagram, ancillary, _, source = peer.recvmsg(100, 100)
        both.send(b"hello", Endpoint(*peer.getsockname()[:2]))
        [(_, _, later)] = peer.recvmsg(100, 100)[1]
    assert (datagram, source[:2]) == (OPENER, (host, both.port))
    assert ancillary == [(level, ttl, OPENER_TTL.to_bytes(4, sys.byteorder))]
    assert int.from_bytes(later, sys.byteorder) > OPENER_TTL and not both.counters


@pytest.mark.parametrize("gro", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_named_uplink_is_told_of_and_sent_by(host: str, gro: bool) -> None:  # noqa: FBT001
    loopback = socket.if_nametoindex("lo")
    underlay = Underlay(Listen("::", 0), Offloads.without(() if gro else ("udp_gro",)))
    try:
        sock = underlay.sockets[0 if ":" in host else 1]
        here = Endpoint(host, underlay.port, loopback)

        def source() -> object:
            select.select([sock], [], [], 5)
            return underlay.receive(sock)[2]

        underlay.send(b"hello", here)
        assert source()[:2] == (host, underlay.port)  # type: ignore[index]
        underlay.name_uplinks((loopback,))
        underlay.send(b"hello", here)
        assert source() == here
        underlay.send_train(b"trains", 3, here)
        assert source() == here
        underlay.name_uplinks((loopback + 1,))
        if not gro:
            source()
        underlay.send(b"hello", here)
        assert source()[:2] == (host, underlay.port)  # type: ignore[index]
        assert not underlay.counters
    finally:
        underlay.close()


def test_what_an_uplink_does_not_reach_is_counted(both: Underlay) -> None:
    both.send(b"hello", Endpoint("127.0.0.1", 9, 1_000_000))
    assert sum(both.counters.values()) == 1


def test_each_worker_has_sockets_on_the_one_port() -> None:
    underlay = Underlay(Listen("::", 0), workers=3)
    try:
        families = [[sock.family for sock in group] for group in underlay.groups]
        assert families == [[socket.AF_INET6, socket.AF_INET]] * 3
        ports = {sock.getsockname()[1] for group in underlay.groups for sock in group}
        assert ports == {underlay.port}
        assert underlay.sockets is underlay.groups[0]
    finally:
        underlay.close()
    assert all(sock.fileno() < 0 for group in underlay.groups for sock in group)


def test_a_source_always_comes_to_the_same_worker() -> None:
    underlay = Underlay(Listen("127.0.0.1", 0), workers=2)
    workers = [group[0] for group in underlay.groups]
    peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(12)]
    came: dict[tuple[str, int], set[int]] = {}
    try:
        for _ in range(3):
            for peer in peers:
                peer.sendto(b"x", ("127.0.0.1", underlay.port))
                ready, _, _ = select.select(workers, [], [], 5)
                (worker,) = ready
                source = worker.recvfrom(10)[1]
                came.setdefault(source, set()).add(workers.index(worker))
    finally:
        for peer in peers:
            peer.close()
        underlay.close()
    assert len(came) == len(peers) and all(len(each) == 1 for each in came.values())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("others", [1, 2])
def test_a_port_with_several_sockets_is_still_nobody_elses(workers: int, others: int) -> None:
    first = Underlay(Listen("::", 0), workers=workers)
    try:
        with pytest.raises(ConfigError, match="the port is in use"):
            Underlay(Listen("::", first.port), workers=others)
    finally:
        first.close()


def test_ipv4_serves_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    make = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return make(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    underlay = Underlay(Listen("::", 0))
    assert (underlay.has_ipv4, underlay.has_ipv6) == (True, False)
    underlay.send(b"x", Endpoint("::1", 9))
    assert underlay.counters == {"underlay_send_no_family": 1}
    underlay.close()


def test_datagram_above_the_interface_mtu_fails_visibly() -> None:
    underlay = Underlay(Listen("127.0.0.1", 0))
    underlay.send(bytes(65507 + 1), Endpoint("127.0.0.1", 9))
    assert underlay.counters == {"underlay_send_emsgsize": 1}
    assert underlay.sockets[0].getsockopt(socket.IPPROTO_IP, 10) == 3
    underlay.close()


def test_endpoint_that_cannot_be_is_counted(both: Underlay) -> None:
    both.send(b"x", Endpoint("192.0.2.1", 0))
    both.send(b"x", Endpoint("192.0.2.1", 70000))
    assert sum(both.counters.values()) == 2


def test_port_in_use_is_told_in_one_line(both: Underlay) -> None:
    with pytest.raises(ConfigError) as caught:
        Underlay(Listen("::", both.port))
    assert str(caught.value) == f"cannot listen on [::]:{both.port}: the port is in use"
    assert "--listen" in caught.value.hint


def test_foreign_address_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:0"):
        Underlay(Listen("192.0.2.1", 0))


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("[::]:9993", Listen("::", 9993)),
        ("0.0.0.0:0", Listen("0.0.0.0", 0)),
        ("[2001:db8::1]:65535", Listen("2001:db8::1", 65535)),
    ],
)
def test_listen_address_round_trips(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize(
    "text",
    ["", "9993", ":9993", "::1:9993", "[127.0.0.1]:1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:-1",
     "1.2.3.4:65536", "localhost:1", "[::]:x", "1.2.3.4:٣"],
)  # fmt: skip
def test_unusable_listen_address_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_listen(text)
    assert "[::]:9993" in caught.value.hint


def test_clock_counts_suspend() -> None:
    assert boot_clock() <= boot_clock()


def test_train_arrives_as_its_datagrams() -> None:
    for without in ((), ("udp_gso",), ("udp_gro",), ("udp_gso", "udp_gro")):
        ends = [Underlay(Listen("127.0.0.1", 0), Offloads.without(without)) for _ in range(2)]
        near, far = ends
        train = b"".join(bytes([number]) * 100 for number in range(5))[:-40]
        near.send_train(train, 100, Endpoint("127.0.0.1", far.port))
        got = b""
        while len(got) < len(train):
            select.select([far.sockets[0]], [], [], 5)
            run, stride, source = far.receive(far.sockets[0])
            assert source == ("127.0.0.1", near.port) and stride in {0, 100}
            got += run
        assert got == train and not near.counters
        for end in ends:
            end.close()


class Refusing:
    """A socket that refuses trains, or whatever has one of some lengths, with an error."""

    family = socket.AF_INET

    def __init__(self, code: int, *, times: int = 1_000_000, singly: bool = False) -> None:
        self.code, self.times, self.singly = code, times, singly
        self.sent: list[bytes] = []
        self.trains = 0

    def sendmsg(self, buffers: tuple[bytes], *_: object) -> int:
        self.trains += 1
        raise OSError(self.code, "injected")

    def sendto(self, datagram: bytes, _: Endpoint) -> int:
        if self.singly and self.times > 0:
            self.times -= 1
            raise OSError(self.code, "injected")
        self.sent.append(datagram)
        return len(datagram)


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def underlay(now: list[float]) -> Iterator[Underlay]:
    underlay = Underlay(Listen("127.0.0.1", 0), clock=lambda: now[0])
    yield underlay
    underlay.close()


def replace_socket(underlay: Underlay, fake: Refusing) -> None:
    underlay._v4 = cast("socket.socket", fake)


A, B = Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 2)


@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL])
def test_refused_train_goes_one_by_one_and_its_endpoint_is_remembered_for_a_minute(
    underlay: Underlay, now: list[float], code: int
) -> None:
    fake = Refusing(code)
    replace_socket(underlay, fake)
    for _ in range(3):
        underlay.send_train(b"aabbc", 2, A)
    assert fake.sent == [b"aa", b"bb", b"c"] * 3 and fake.trains == 1
    underlay.send_train(b"aabb", 2, B)
    assert fake.trains == 2  # others are not concerned
    now[0] += GSO_REFUSED_S
    underlay.send_train(b"aabb", 2, A)
    assert fake.trains == 3
    assert underlay.counters == {"udp_gso_refused": 3}
    assert underlay.offloads.udp_gso and Offloads.problems(underlay.counters)


def test_train_above_the_mtu_goes_one_by_one_and_trains_go_on(underlay: Underlay) -> None:
    fake = Refusing(errno.EMSGSIZE)
    replace_socket(underlay, fake)
    for _ in range(2):
        underlay.send_train(b"aabb", 2, A)
    assert fake.trains == 2 and fake.sent == [b"aa", b"bb"] * 2


def test_memory_that_is_short_for_a_moment_loses_nothing(underlay: Underlay) -> None:
    fake = Refusing(errno.ENOBUFS, times=2, singly=True)
    replace_socket(underlay, fake)
    underlay.send(b"a", A)
    assert fake.sent == [b"a"] and not underlay.counters


def test_memory_that_stays_short_costs_a_counted_datagram(underlay: Underlay) -> None:
    fake = Refusing(errno.ENOBUFS, singly=True)
    replace_socket(underlay, fake)
    underlay.send(b"a", A)
    assert fake.sent == [] and underlay.counters == {"underlay_send_enobufs": 1}


def test_kernel_refuses_a_train_that_is_too_long_and_gets_it_one_by_one() -> None:
    underlay = Underlay(Listen("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        # no kernel takes a train of 2,000 datagrams
        underlay.send_train(bytes(2000), 1, Endpoint(*peer.getsockname()))
        assert len(peer.recv(10)) == 1
        assert underlay.counters["udp_gso_refused"] == 1
    underlay.close()
