from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import (
    ControlReceived,
    DropReason,
    HandshakeReceived,
    MacLearned,
    Path,
    SendControl,
    SetGuard,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.datapath.reference.upcalls import FairQueue
from tests.engine.lab import BROADCAST, NETWORK, SESSION, carry, ethernet, make_mesh
from tests.engine.test_guard import PUBLIC, make_init, source


@given(st.lists(st.one_of(st.none(), st.integers(0, 5))), st.integers(0, 10))
def test_queue_is_bounded_fair_and_in_order(moves: list[int | None], capacity: int) -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue(capacity)
    inside: list[tuple[int, int]] = []
    for number, move in enumerate(moves):
        if move is None:
            item = queue.pop()
            assert (item is None) is (not inside)
            if item is not None:
                assert item == next(one for one in inside if one[0] == item[0])
                inside.remove(item)
            continue
        dropped = queue.push(move, (move, number))
        inside.append((move, number))
        if dropped is not None:
            before = [one for one, _ in inside].count(dropped[0])
            assert before == max([one for one, _ in inside].count(peer) for peer in range(6))
            assert dropped == [one for one in inside if one[0] == dropped[0]][-1]
            inside.remove(dropped)
        assert len(queue) == len(inside) <= capacity


def test_sources_take_turns() -> None:
    queue: FairQueue[str] = FairQueue(10)
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.push(item[0], item)
    assert [queue.pop() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", None]


def test_control_comes_before_events_and_these_before_strangers() -> None:
    a, b = make_mesh(2, bridges=(1,))
    b.do(SetGuard(PUBLIC, b"s" * 32))
    b.engine.handle_datagram(make_init(), source(1), b.now)
    a.engine.handle_frame(NETWORK, ethernet(BROADCAST, b"\x52\0\0\0\0\1"), a.now)
    a.do(SendControl(b.fingerprint, SESSION, b"", Path(b.endpoint)))
    carry([a, b])
    kinds = [type(one) for one in b.heard()][1:]
    assert kinds == [ControlReceived, MacLearned, HandshakeReceived]


def test_flood_of_one_peer_displaces_no_other() -> None:
    a, b, c = make_mesh(3, bounds=Bounds(control_upcalls=8))
    for host, count in ((b, 30), (c, 3)):
        for number in range(count):
            host.do(SendControl(a.fingerprint, SESSION, bytes([number]), Path(a.endpoint)))
    carry([a, b, c])
    heard = [one for one in a.heard() if isinstance(one, ControlReceived)]
    assert [one.payload for one in heard if one.peer == c.fingerprint] == [b"\0", b"\1", b"\2"]
    assert len(heard) == 8 and a.drops == {DropReason.UPCALL_OVERFLOW: 25}


def test_flood_of_strangers_is_bounded() -> None:
    a, b = make_mesh(2, bounds=Bounds(handshake_upcalls=4))
    b.do(SetGuard(PUBLIC, b"s" * 32, inits_per_second=1000))
    for number in range(100):
        b.engine.handle_datagram(make_init(number), source(number), b.now)
    a.do(SendControl(b.fingerprint, SESSION, b"", Path(b.endpoint)))
    carry([a, b])
    assert len(b.heard()) == 2 + 4 and b.drops == {DropReason.UPCALL_OVERFLOW: 96}
