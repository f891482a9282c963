"""Frames spread over several endpoints: each flow stays at one, whatever form its frames have."""

from collections import Counter

import pytest

from l2mesh.datapath.interface import Endpoint, Path, SendTwice, SetPath
from tests.engine.lab import NETWORK, Host, ethernet, make_mesh
from tests.packets import TCP, UDP, Packet

FIRST, SECOND, THIRD = (Endpoint("198.51.100.7", port, uplink=port) for port in (1, 2, 3))
RELAY = Path(Endpoint("203.0.113.9", 9993), 77)


@pytest.fixture
def pair() -> list[Host]:
    return make_mesh(2)


def spread(a: Host, b: Host, *endpoints: Endpoint, path: Path | None = None) -> None:
    a.do(SetPath(b.fingerprint, path or Path(FIRST), 1472, endpoints))


def packet(a: Host, b: Host, port: int = 1000, **rest: object) -> Packet:
    return Packet(
        payload=bytes(100),
        source=a.mac,
        destination=b.mac,
        ports=(port, 2000),
        **rest,  # type: ignore[arg-type]
    )


def way(a: Host, frame: bytes) -> Endpoint:
    (sent,) = a.send(frame)
    return sent.endpoint


def ways(a: Host, b: Host, **rest: object) -> Counter[Endpoint]:
    return Counter(way(a, packet(a, b, port, **rest).frame()) for port in range(1000, 1200))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_flows_are_spread_and_stay(pair: list[Host], version: int, protocol: int) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND, THIRD)
    kind = {"version": version, "protocol": protocol}
    found = ways(a, b, **kind)
    assert found.keys() == {FIRST, SECOND, THIRD} and min(found.values()) > 40
    for port in range(1000, 1020):
        first = way(a, packet(a, b, port, **kind).frame())
        later = packet(a, b, port, sequence=9000, identification=8, ttl=3, tags=b"", **kind)
        assert way(a, later.frame()) == first


def test_a_place_moves_only_its_own_flows(pair: list[Host]) -> None:
    a, b = pair
    frames = [packet(a, b, port).frame() for port in range(1000, 1100)]
    spread(a, b, FIRST, SECOND, THIRD, FIRST)
    before = [way(a, frame) for frame in frames]
    spread(a, b, FIRST, FIRST, THIRD, FIRST)
    after = [way(a, frame) for frame in frames]
    assert {new for old, new in zip(before, after, strict=True) if old == SECOND} == {FIRST}
    assert all(new == old for old, new in zip(before, after, strict=True) if old != SECOND)


def test_pieces_of_cut_packets_stay_together(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND)
    assert len(ways(a, b, protocol=UDP, fragment=0x2000)) == 1
    assert len({way(a, packet(a, b, fragment=at).frame()) for at in (0x2000, 0x2010, 40)}) == 1


def test_what_is_no_ip_is_spread_by_its_stations(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND)
    by_kind = {kind: way(a, ethernet(b.mac, a.mac, bytes(60), kind)) for kind in range(1600, 1700)}
    assert set(by_kind.values()) == {FIRST, SECOND}
    again = {kind: way(a, ethernet(b.mac, a.mac, b"other" * 9, kind)) for kind in by_kind}
    assert again == by_kind


def test_a_superframe_stays_one_train_where_its_segments_go(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND)
    found = set()
    for port in range(1000, 1020):
        alone = way(a, packet(a, b, port).frame())
        large = Packet(payload=bytes(9000), source=a.mac, destination=b.mac, ports=(port, 2000))
        a.engine.handle_frame(NETWORK, large.frame(is_open=True), a.now, large.gso(1400))
        sent = a.outputs()
        assert len(sent) > 5 and {each.endpoint for each in sent} == {alone}
        found.add(alone)
    assert found == {FIRST, SECOND}


def test_a_frame_that_is_cut_stays_on_one_way(pair: list[Host]) -> None:
    a, b = pair
    a.do(SetPath(b.fingerprint, Path(FIRST), 600, (FIRST, SECOND)))
    found = set()
    for port in range(1000, 1020):
        large = Packet(
            payload=bytes(1300), protocol=UDP, source=a.mac, destination=b.mac, ports=(port, 9)
        )
        sent = a.send(large.frame())
        assert len(sent) == 3
        found |= {frozenset(each.endpoint for each in sent)}
    assert found == {frozenset({FIRST}), frozenset({SECOND})}


def test_a_relay_takes_no_part(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND, path=RELAY)
    assert ways(a, b).keys() == {RELAY.endpoint}
    a.do(SetPath(b.fingerprint, None, 0, (FIRST, SECOND)))
    assert a.send(packet(a, b).frame()) == []


def test_sixteen_endpoints_count(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, *[FIRST] * 16, SECOND)
    assert ways(a, b).keys() == {FIRST}


def test_copies_leave_where_the_flow_does_not(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND)
    a.do(SendTwice(b.fingerprint, Path(FIRST)))
    found = Counter(
        tuple(each.endpoint for each in a.send(packet(a, b, port).frame()))
        for port in range(1000, 1100)
    )
    assert found.keys() == {(FIRST,), (SECOND, FIRST)} and min(found.values()) > 20
    spread(a, b)
    assert ways(a, b).keys() == {FIRST}


def test_copies_end_with_their_time_on_either_way(pair: list[Host]) -> None:
    a, b = pair
    spread(a, b, FIRST, SECOND)
    a.do(SendTwice(b.fingerprint, Path(FIRST), seconds=0.5, size=600))
    ways_while = [len(a.send(packet(a, b, port).frame())) for port in range(1000, 1040)]
    assert set(ways_while) == {1, 2}
    a.now += 0.6
    large = Packet(payload=bytes(1300), source=a.mac, destination=b.mac)
    assert all(len(a.send(packet(a, b, port).frame())) == 1 for port in range(1000, 1040))
    assert len(a.send(large.frame())) == 1
