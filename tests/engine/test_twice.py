"""Datagrams that leave by a second path as well: bounded, and never a frame delivered twice."""

import pytest

from l2mesh.datapath.interface import (
    DropReason,
    Endpoint,
    Path,
    SendTwice,
    SetPath,
)
from l2mesh.wire.relay import frame_relay
from tests.engine.lab import BROADCAST, NETWORK, Host, ethernet, make_mesh
from tests.packets import Packet

PLANET = Endpoint("203.0.113.9", 9993)
ELSEWHERE = Endpoint("198.51.100.7", 4242)
RELAY = Path(PLANET, 77)
RELAY_HEAD = frame_relay(77, b"")


@pytest.fixture
def pair() -> list[Host]:
    return make_mesh(2)


def frame(a: Host, b: Host, size: int = 200) -> bytes:
    return ethernet(b.mac, a.mac, bytes(size))


def test_a_copy_leaves_by_the_second_path_and_is_delivered_once(pair: list[Host]) -> None:
    a, b = pair
    a.do(SendTwice(b.fingerprint, RELAY))
    first, second = a.send(frame(a, b))
    assert (first.endpoint, second.endpoint) == (b.endpoint, PLANET)
    assert second.datagram == RELAY_HEAD + first.datagram
    assert b.receive(first.datagram, source=a.endpoint) == [frame(a, b)]
    assert b.receive(first.datagram, source=ELSEWHERE) == []
    assert b.drops == {DropReason.REPLAY: 1}
    assert a.engine.counters()["copies_out"] == 1
    assert a.engine.counters()["datagrams_out"] == 2
    assert a.engine.activity(b.fingerprint).tx_packets == 2


def test_the_copy_alone_is_enough(pair: list[Host]) -> None:
    a, b = pair
    a.do(SetPath(b.fingerprint, RELAY), SendTwice(b.fingerprint, Path(b.endpoint)))
    relayed, direct = a.send(frame(a, b))
    assert relayed.datagram == RELAY_HEAD + direct.datagram
    assert b.receive(direct.datagram, source=a.endpoint) == [frame(a, b)]


def test_it_ends_with_its_time(pair: list[Host]) -> None:
    a, b = pair
    a.do(SendTwice(b.fingerprint, RELAY, seconds=0.5))
    a.now += 0.49
    assert len(a.send(frame(a, b))) == 2
    a.now += 0.02
    assert len(a.send(frame(a, b))) == 1


def test_it_ends_with_its_bytes(pair: list[Host]) -> None:
    a, b = pair
    (alone,) = a.send(frame(a, b))
    budget = 2 * len(RELAY_HEAD + alone.datagram) + 20
    a.do(SendTwice(b.fingerprint, RELAY, budget=budget))
    sent = a.send(*[frame(a, b)] * 5)
    assert [each.endpoint for each in sent].count(PLANET) == 2
    a.do(SendTwice(b.fingerprint, RELAY, budget=-1))
    assert len(a.send(frame(a, b))) == 1


def test_frames_are_cut_to_what_both_paths_carry(pair: list[Host]) -> None:
    a, b = pair
    whole = frame(a, b, 1400)
    assert len(a.send(whole)) == 1
    a.do(SendTwice(b.fingerprint, RELAY, size=1300))
    sent = a.send(whole)
    assert [each.endpoint for each in sent] == [b.endpoint] * 2 + [PLANET] * 2
    assert all(len(each.datagram) <= 1300 for each in sent)
    for each in sent[2:]:
        b.receive(each.datagram[len(RELAY_HEAD) :], source=a.endpoint)
    assert b.delivered == [whole]
    a.do(SendTwice(b.fingerprint, None))
    assert len(a.send(whole)) == 1


def test_a_superframe_has_copies_of_each_datagram(pair: list[Host]) -> None:
    a, b = pair
    packet = Packet(payload=bytes(5000), destination=b.mac, source=a.mac)
    a.do(SendTwice(b.fingerprint, RELAY))
    a.engine.handle_frame(NETWORK, packet.frame(is_open=True), a.now, packet.gso(1400))
    sent = a.outputs()
    direct = [each.datagram for each in sent if each.endpoint == b.endpoint]
    copies = [each.datagram for each in sent if each.endpoint == PLANET]
    assert len(direct) > 3 and copies == [RELAY_HEAD + each for each in direct]


def test_the_first_path_is_none_for_copies(pair: list[Host]) -> None:
    a, b = pair
    a.do(SendTwice(b.fingerprint, Path(b.endpoint)))
    assert len(a.send(frame(a, b))) == 1
    a.do(SendTwice(b.fingerprint, RELAY), SetPath(b.fingerprint, RELAY))
    assert len(a.send(frame(a, b))) == 1


def test_frames_that_were_held_have_copies_too(pair: list[Host]) -> None:
    a, b = pair
    a.do(SetPath(b.fingerprint, None), SendTwice(b.fingerprint, RELAY))
    assert a.send(frame(a, b)) == []
    a.do(SetPath(b.fingerprint, Path(b.endpoint)))
    assert [each.endpoint for each in a.outputs()] == [b.endpoint, PLANET]


def test_others_are_not_concerned() -> None:
    a, b, c = make_mesh(3)
    a.do(SendTwice(b.fingerprint, RELAY), SendTwice(bytes(32), RELAY))
    sent = a.send(ethernet(BROADCAST, a.mac))
    assert [each.endpoint for each in sent] == [b.endpoint, PLANET, c.endpoint]
