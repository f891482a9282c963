"""What a capture sees of frames, and what it loses when nobody takes them out."""

import pytest

from l2mesh.datapath.interface import (
    Captured,
    CaptureSide,
    DropReason,
    PortOffloads,
    SetPortOffloads,
    StartCapture,
    StopCapture,
)
from l2mesh.datapath.reference import Bounds
from tests.engine.lab import BROADCAST, NETWORK, Host, carry, ethernet, make_mesh

ALL = frozenset(CaptureSide)
STRANGER = bytes.fromhex("020000009999")


def seen(host: Host) -> list[tuple[str, bool, bytes | None, DropReason | None]]:
    return [(one.side, one.inward, one.peer, one.reason) for one in taken(host)]


def taken(host: Host) -> list[Captured]:
    return host.engine.captured(NETWORK)


def watch(*hosts: Host, sides: frozenset[CaptureSide] = ALL, snap: int = 65535) -> None:
    for host in hosts:
        host.do(StartCapture(NETWORK, sides, snap))


def test_frame_is_seen_on_both_sides_of_both_switches() -> None:
    a, b, c = make_mesh(3)
    watch(a, b)
    frame = ethernet(b.mac, a.mac)
    a.now += 5
    a.engine.handle_frame(NETWORK, frame, a.now)
    carry([a, b, c])
    first, second = taken(a)
    assert (first.side, first.inward, first.peer) == (CaptureSide.PORT, True, None)
    assert (second.side, second.inward, second.peer) == (CaptureSide.MESH, False, b.fingerprint)
    assert first.frame == second.frame == frame
    assert (first.at, first.length, first.lost) == (a.now, len(frame), 0)
    assert seen(b) == [("mesh", True, a.fingerprint, None), ("port", False, None, None)]
    assert b.delivered == [frame] and taken(c) == []


def test_broadcast_is_seen_once_for_each_receiver() -> None:
    a, b, c = make_mesh(3)
    watch(a, sides=frozenset({CaptureSide.MESH}))
    a.engine.handle_frame(NETWORK, ethernet(BROADCAST, a.mac), a.now)
    assert {peer for _, _, peer, _ in seen(a)} == {b.fingerprint, c.fingerprint}


def test_dropped_frames_have_their_reason() -> None:
    a, b = make_mesh(2)
    watch(a, b, sides=frozenset({CaptureSide.DROPS}))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, STRANGER), a.now)
    a.engine.handle_frame(NETWORK, b"runt", a.now)
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac), a.now)
    carry([a, b])
    reasons = [reason for _, _, _, reason in seen(a)]
    assert reasons == [DropReason.SOURCE_MAC, DropReason.BAD_FRAME]
    b.open(mtu=100)
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac, bytes(200)), a.now)
    carry([a, b])
    assert seen(b) == [("drops", True, a.fingerprint, DropReason.BAD_FRAME)]


@pytest.mark.parametrize("offloads", [PortOffloads(), PortOffloads(checksum=True, tso=True)])
def test_capture_changes_nothing_of_what_is_delivered(offloads: PortOffloads) -> None:
    lives = []
    for is_watched in (False, True):
        a, b = make_mesh(2)
        b.do(SetPortOffloads(NETWORK, offloads))
        if is_watched:
            watch(a, b)
        for number in range(5):
            a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac, bytes([number])), a.now)
        carry([a, b])
        lives.append((b.delivered, a.engine.counters(), b.engine.counters(), b.drops))
    assert lives[0] == lives[1]


def test_slow_reader_loses_frames_and_learns_how_many() -> None:
    a, b = make_mesh(2, bounds=Bounds(capture_frames=3))
    watch(a, sides=frozenset({CaptureSide.PORT}))
    for _ in range(10):
        a.send(ethernet(b.mac, a.mac))
    assert [one.lost for one in taken(a)] == [0, 0, 0]
    a.send(ethernet(b.mac, a.mac))
    assert [one.lost for one in taken(a)] == [7]
    a.send(ethernet(b.mac, a.mac))
    assert [one.lost for one in taken(a)] == [0]
    assert a.engine.counters()["frames_in"] == 12


def test_bytes_are_bounded_and_frames_cut_to_what_was_asked_for() -> None:
    a, b = make_mesh(2, bounds=Bounds(capture_bytes=2000))
    watch(a, sides=frozenset({CaptureSide.PORT}))
    for _ in range(3):
        a.send(ethernet(b.mac, a.mac, bytes(1400)))
    assert len(taken(a)) == 1
    watch(a, sides=frozenset({CaptureSide.PORT}), snap=40)
    a.send(ethernet(b.mac, a.mac, bytes(1400)))
    (one,) = taken(a)
    assert (len(one.frame), one.length, one.lost) == (40, 1414, 0)


def test_reader_gets_a_part_at_a_time() -> None:
    a, b = make_mesh(2)
    watch(a, sides=frozenset({CaptureSide.PORT}))
    for number in range(300):
        a.send(ethernet(b.mac, a.mac, number.to_bytes(2, "big")))
    first, rest = taken(a), taken(a)
    assert (len(first), len(rest), taken(a)) == (256, 44, [])
    assert [int.from_bytes(one.frame[14:], "big") for one in first + rest] == list(range(300))


def test_nothing_is_kept_before_or_after() -> None:
    a, b = make_mesh(2)
    a.send(ethernet(b.mac, a.mac))
    assert taken(a) == []
    watch(a)
    a.send(ethernet(b.mac, a.mac))
    a.do(StopCapture(NETWORK), StopCapture(NETWORK))
    a.send(ethernet(b.mac, a.mac))
    assert taken(a) == []
