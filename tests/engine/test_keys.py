"""Sessions, sources and counters: what is told of them, and what is refused."""

from l2mesh.datapath.interface import (
    Activity,
    ControlReceived,
    DropReason,
    Endpoint,
    InstallSend,
    KeySpent,
    Path,
    RemoveMember,
    RemoveSend,
    RemoveSession,
    SendControl,
    SessionConfirmed,
    SetMember,
    SetPath,
    SourceSeen,
)
from l2mesh.datapath.reference import Bounds
from tests.engine.lab import (
    BROADCAST,
    CIPHER,
    ELSEWHERE,
    NETWORK,
    SESSION,
    Host,
    allow,
    carry,
    ethernet,
    inside,
    join,
    make_mesh,
    sealed,
)


def test_session_is_confirmed_once_and_before_what_it_carried() -> None:
    a, b = make_mesh(2)
    a.do(SendControl(b.fingerprint, SESSION, b"one", Path(b.endpoint)))
    a.do(SendControl(b.fingerprint, SESSION, b"two", Path(b.endpoint)))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac), a.now)
    carry([a, b])
    path = Path(a.endpoint)
    assert b.heard() == [
        SessionConfirmed(a.fingerprint, SESSION),
        ControlReceived(a.fingerprint, SESSION, b"one", path),
        ControlReceived(a.fingerprint, SESSION, b"two", path),
    ]


def test_control_of_each_session_has_its_own_key() -> None:
    a, b = make_mesh(2)
    allow(a, b, network=0, session=9)
    for session in (9, SESSION, 77):
        a.do(SendControl(b.fingerprint, session, b"x", Path(b.endpoint)))
    carry([a, b])
    heard = [one.session for one in b.heard() if isinstance(one, ControlReceived)]
    assert heard == [9, SESSION]


def test_new_source_is_told_for_the_newest_packet_only() -> None:
    a, b = make_mesh(2)
    first, second, third = (one.datagram for one in a.send(*[ethernet(b.mac, a.mac)] * 3))
    b.receive(second, source=a.endpoint)
    b.heard()
    b.receive(first, source=ELSEWHERE)
    assert b.heard() == []
    b.receive(third, source=ELSEWHERE)
    assert b.heard() == [SourceSeen(a.fingerprint, SESSION, Path(ELSEWHERE))]


def test_new_source_is_told_once_a_second() -> None:
    a, b = make_mesh(2)
    for _ in range(20):
        b.receive(a.send(ethernet(b.mac, a.mac))[0].datagram, source=ELSEWHERE)
        b.wait(0.25)
    assert len([one for one in b.heard() if isinstance(one, SourceSeen)]) == 5


def test_new_sources_are_bounded() -> None:
    a, b = make_mesh(2)
    for first in (1, 1001):
        for port in range(first, first + 100):
            datagram = a.send(ethernet(b.mac, a.mac))[0].datagram
            b.receive(datagram, source=Endpoint("198.51.100.7", port))
        b.wait(5)
    assert len([one for one in b.heard() if isinstance(one, SourceSeen)]) == 32


def test_counter_is_reported_when_half_spent_and_refused_near_its_end() -> None:
    a, b = make_mesh(2, bounds=Bounds(rekey_counter=10, refuse_counter=100))
    frame = ethernet(b.mac, a.mac)
    assert len(a.send(*[frame] * 10)) == 10 and a.heard() == []
    assert len(a.send(*[frame] * 5)) == 5
    assert a.heard() == [KeySpent(b.fingerprint, SESSION)]
    assert len(a.send(*[frame] * 200)) == 85
    assert a.heard() == [] and a.drops == {DropReason.COUNTER_SPENT: 115}
    big = ethernet(b.mac, a.mac, bytes(1490))
    allow(a, b, session=6)
    a.send(*[frame] * 98)
    assert len(a.send(big, big)) == 2
    assert a.drops == {DropReason.COUNTER_SPENT: 116}


def test_spent_key_is_told_again_until_somebody_hears() -> None:
    a, b = make_mesh(2, bounds=Bounds(rekey_counter=1, event_upcalls=0))
    a.send(*[ethernet(b.mac, a.mac)] * 4)
    assert a.drops == {DropReason.UPCALL_OVERFLOW: 3}


def test_control_counter_is_guarded_too() -> None:
    a, b = make_mesh(2, bounds=Bounds(rekey_counter=10, refuse_counter=100))
    for _ in range(120):
        a.do(SendControl(b.fingerprint, SESSION, b"", Path(b.endpoint)))
    assert len(a.outputs()) == 100
    assert a.heard() == [KeySpent(b.fingerprint, SESSION)]


def test_counter_near_its_end_is_not_accepted() -> None:
    a, b = make_mesh(2)
    frame = ethernet(b.mac, a.mac)
    end = 2**32 - 2**16
    b.receive(sealed(a, b, 0, frame, end - 1), sealed(a, b, 0, frame, end), source=a.endpoint)
    assert b.delivered == [frame] and b.drops == {DropReason.COUNTER_SPENT: 1}


def test_no_counter_is_ever_sealed_twice() -> None:
    a, b = make_mesh(2, mtu=9000)
    frames = [ethernet(b.mac, a.mac, bytes(size)) for size in (1, 1500, 9000, 1, 4000)] * 5
    heads = [one.datagram[1:8] for one in a.send(*frames)]
    assert len(heads) == len(set(heads))


def test_activity_tells_frames_from_control() -> None:
    a, b = make_mesh(2)
    a.do(SendControl(b.fingerprint, SESSION, b"", Path(b.endpoint)))
    carry([a, b])
    assert a.engine.activity(b.fingerprint) == Activity(sent=1000.0, tx_bytes=24, tx_packets=1)
    assert b.engine.activity(a.fingerprint) == Activity(received=1000.0, rx_bytes=24, rx_packets=1)
    a.now = b.now = 1001.0
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac, bytes(1490)), a.now)
    carry([a, b])
    assert a.engine.activity(b.fingerprint).frame == b.engine.activity(a.fingerprint).frame == 1001
    assert a.engine.activity(b.fingerprint).tx_packets == 3
    assert a.engine.activity(b"?" * 32) == Activity()


def test_totals_count_what_passed() -> None:
    a, b, c = make_mesh(3)
    a.engine.handle_frame(NETWORK, ethernet(BROADCAST, a.mac, bytes(1490)), a.now)
    carry([a, b, c])
    sent, got = a.engine.counters(), b.engine.counters()
    assert (sent["frames_in"], sent["datagrams_out"], sent["frames_flooded"]) == (1, 4, 1)
    assert (got["frames_out"], got["datagrams_in"], got["frames_reassembled"]) == (1, 2, 1)
    assert sent["datagram_bytes_out"] == 2 * got["datagram_bytes_in"]


def test_peers_of_which_nothing_stands_are_forgotten() -> None:
    a, b = Host(1), Host(2)
    join(a, b)
    a.do(RemoveSession(b.fingerprint, SESSION))
    assert b.fingerprint in inside(a.engine)._peers.table
    a.do(SetPath(b.fingerprint, None))
    assert inside(a.engine)._peers.table == {}
    key = InstallSend(b.fingerprint, 1, NETWORK, 5, CIPHER, bytes(32), bytes(4))
    a.open()
    a.do(key, SetMember(NETWORK, b.fingerprint, b.mac), RemoveSend(b.fingerprint, NETWORK))
    assert b.fingerprint in inside(a.engine)._peers.table
    a.do(RemoveMember(NETWORK, b.fingerprint))
    assert inside(a.engine)._peers.table == {}


def test_uplinks_are_parts_of_paths() -> None:
    a, b = make_mesh(2)
    named = b.endpoint._replace(uplink=7)
    a.do(SetPath(b.fingerprint, Path(named), 1472))
    frame = ethernet(b.mac, a.mac)
    (sent,) = a.send(frame)
    assert sent.endpoint == named
    other = a.endpoint._replace(uplink=3)
    assert b.receive(sent.datagram, source=other) == [frame]
    assert [each.path for each in b.heard() if isinstance(each, SourceSeen)] == [Path(other)]
