"""Frames in pieces: any size and order, lies, and bounds in number, bytes and time."""

import pytest

from l2mesh.datapath.interface import DropReason, Path, SetPath
from l2mesh.wire.data import PIECE_HEAD
from tests.engine.lab import ethernet, inside, make_mesh, sealed


def piece(number: int, offset: int, total: int, data: bytes) -> bytes:
    return PIECE_HEAD.pack(number, offset, total) + data


@pytest.mark.parametrize("size", [1472, 1452, 1464, 548, 300])
def test_frames_of_every_size_make_the_round_trip(size: int) -> None:
    a, b = make_mesh(2, mtu=9004, size=size)
    text = bytes(range(251)) * 36
    step = 1 if size == 1472 else 37
    for length in range(15, 9019, step):
        frame = ethernet(b.mac, a.mac, text)[:length]
        out = a.send(frame)
        assert all(len(one.datagram) <= size for one in out)
        assert all(len(one.datagram) == size for one in out[:-1])
        assert b.receive(*[one.datagram for one in out], source=a.endpoint) == [frame]
    assert not a.drops and not b.drops and b.engine.next_timeout() is not None
    b.wait(2)
    assert b.engine.next_timeout() is None


def test_pieces_may_come_in_any_order() -> None:
    from itertools import permutations

    a, b = make_mesh(2, mtu=9000)
    frame = ethernet(b.mac, a.mac, bytes(range(250)) * 20)
    for order in permutations(range(4)):
        out = [one.datagram for one in a.send(frame)]
        assert len(out) == 4
        assert b.receive(*[out[place] for place in order], source=a.endpoint) == [frame]
    assert not b.drops


def test_interleaved_frames_are_told_apart() -> None:
    a, b = make_mesh(2)
    frames = [ethernet(b.mac, a.mac, bytes([n]) * 1490) for n in range(8)]
    pieces = [[one.datagram for one in a.send(frame)] for frame in frames]
    for first, _ in pieces:
        b.receive(first, source=a.endpoint)
    assert b.receive(*[last for _, last in pieces], source=a.endpoint) == frames


def test_frame_with_a_lost_piece_is_given_up_after_a_second() -> None:
    a, b = make_mesh(2)
    first, last = (one.datagram for one in a.send(ethernet(b.mac, a.mac, bytes(1490))))
    b.receive(first, source=a.endpoint)
    b.wait(0.9)
    assert not b.drops
    b.wait(0.2)
    assert b.drops == {DropReason.FRAGMENT_LOST: 1} and b.engine.next_timeout() is None
    b.receive(last, source=a.endpoint)
    assert not b.delivered


def test_each_unfinished_frame_has_its_own_second() -> None:
    a, b = make_mesh(2)
    for number in range(3):
        b.receive(sealed(a, b, 2, piece(number, 0, 100, b"x"), number), source=a.endpoint)
        b.wait(0.4)
    assert b.drops == {DropReason.FRAGMENT_LOST: 1}
    b.wait(0.4)
    assert b.drops == {DropReason.FRAGMENT_LOST: 2}
    b.wait(0.4)
    assert b.drops == {DropReason.FRAGMENT_LOST: 3} and b.engine.next_timeout() is None


def test_late_piece_begins_anew_even_when_nobody_swept() -> None:
    a, b = make_mesh(2)
    first, last = (one.datagram for one in a.send(ethernet(b.mac, a.mac, bytes(1490))))
    b.receive(first, source=a.endpoint)
    b.now += 1.0
    assert b.receive(last, source=a.endpoint) == []
    assert b.drops == {DropReason.FRAGMENT_LOST: 1}


def test_pieces_that_lie_are_dropped_alone() -> None:
    a, b = make_mesh(2)
    frame = ethernet(b.mac, a.mac, bytes(range(86)))
    assert len(frame) == 100
    lies = [
        piece(7, 0, 14, b"x" * 14),  # total too small
        piece(7, 90, 100, b"x" * 11),  # beyond the end
        piece(7, 50, 100, b""),
        piece(7, 0, 100, b"")[:7],
        piece(7, 10, 100, b"x" * 10),  # inside what is there
        piece(7, 0, 100, b"x" * 40),  # the same again, longer
        piece(7, 39, 100, b"x"),
        piece(7, 50, 100, b"x" * 20),  # into the piece behind
        piece(7, 40, 101, b"x" * 5),  # another total
    ]
    texts = [
        piece(7, 60, 100, frame[60:70]),
        piece(7, 0, 100, frame[:40]),
        *lies,
        piece(7, 70, 100, frame[70:]),
        piece(7, 40, 100, frame[40:60]),
    ]
    datagrams = [sealed(a, b, 2, text, counter) for counter, text in enumerate(texts)]
    assert b.receive(*datagrams, source=a.endpoint) == [frame]
    assert b.drops == {DropReason.BAD_FRAGMENT: len(lies)}


def test_whole_frame_in_one_piece_is_a_frame() -> None:
    a, b = make_mesh(2)
    frame = ethernet(b.mac, a.mac)
    text = piece(1, 0, len(frame), frame)
    assert b.receive(sealed(a, b, 2, text, 0), source=a.endpoint) == [frame]


def test_unfinished_frames_are_bounded_in_number() -> None:
    a, b = make_mesh(2)
    for number in range(20):
        b.receive(sealed(a, b, 2, piece(number, 0, 100, b"x"), number), source=a.endpoint)
    assert b.drops == {DropReason.FRAGMENT_LOST: 4}
    assert len(inside(b.engine)._peers.table[a.fingerprint].assemblies) == 16


def test_unfinished_frames_are_bounded_in_bytes() -> None:
    a, b = make_mesh(2)
    for number in range(8):
        text = piece(number // 2, 32_000 * (number % 2), 65_535, bytes(32_000))
        b.receive(sealed(a, b, 2, text, number), source=a.endpoint)
    assert not b.drops
    b.receive(sealed(a, b, 2, piece(9, 0, 65_535, bytes(10_000)), 9), source=a.endpoint)
    assert b.drops == {DropReason.FRAGMENT_LOST: 1}
    peer = inside(b.engine)._peers.table[a.fingerprint]
    held = sum(one.received for one in peer.assemblies.values())
    assert held == peer.assembly_bytes <= 256 * 1024


def test_pieces_of_a_frame_are_bounded_in_number() -> None:
    a, b = make_mesh(2)
    for at in range(100):
        b.receive(sealed(a, b, 2, piece(1, at, 200, b"x"), at), source=a.endpoint)
    assert b.drops == {DropReason.BAD_FRAGMENT: 36}
    b.do(SetPath(a.fingerprint, Path(a.endpoint), 40))
    assert b.send(ethernet(a.mac, b.mac, bytes(1000))) == []
    assert b.drops[DropReason.BAD_FRAME] == 1
