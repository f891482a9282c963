"""Frames that wait for a session or a path: how many, how long, and what becomes of them."""

import pytest

from l2mesh.datapath.interface import (
    DropReason,
    NeedSession,
    Path,
    RemoveMember,
    RemoveSend,
    SetPath,
)
from tests.engine.lab import (
    BROADCAST,
    ELSEWHERE,
    NETWORK,
    SESSION,
    Host,
    allow,
    ethernet,
    introduce,
    key_of,
    make_mesh,
    transport_of,
)


def strangers() -> tuple[Host, Host]:
    """Two members without keys and paths."""
    a, b = Host(1), Host(2)
    for host in (a, b):
        host.open()
    introduce([a, b])
    return a, b


def test_frame_waits_for_session_and_path_in_either_order() -> None:
    for path_first in (False, True):
        a, b = strangers()
        frames = [ethernet(b.mac, a.mac), ethernet(BROADCAST, a.mac)]
        assert a.send(*frames) == []
        assert a.heard() == [NeedSession(b.fingerprint, NETWORK)]
        path = SetPath(b.fingerprint, Path(b.endpoint))
        if path_first:
            a.do(path)
        allow(a, b)
        if not path_first:
            assert a.outputs() == []
            a.do(path)
        out = a.outputs()
        assert b.receive(*[one.datagram for one in out], source=a.endpoint) == frames


def test_losing_the_path_holds_frames_again() -> None:
    a, b = make_mesh(2)
    a.do(SetPath(b.fingerprint, None))
    assert a.send(ethernet(b.mac, a.mac)) == []
    assert a.heard() == [NeedSession(b.fingerprint, NETWORK)]
    a.do(SetPath(b.fingerprint, Path(ELSEWHERE)))
    assert [one.endpoint for one in a.outputs()] == [ELSEWHERE]


def test_session_is_asked_for_once_a_second() -> None:
    a, b = strangers()
    for _ in range(25):
        a.send(ethernet(b.mac, a.mac))
        a.wait(0.125)
    assert a.heard() == [NeedSession(b.fingerprint, NETWORK)] * 4


def test_held_frames_are_given_up_after_3_s() -> None:
    a, b = strangers()
    a.send(ethernet(b.mac, a.mac))
    a.wait(2.9)
    assert not a.drops
    a.wait(0.2)
    assert a.drops == {DropReason.HELD_TOO_LONG: 1} and a.engine.next_timeout() is None


def test_each_held_frame_has_its_own_time() -> None:
    a, b = strangers()
    for _ in range(3):
        a.send(ethernet(b.mac, a.mac))
        a.wait(1.25)
    assert a.drops == {DropReason.HELD_TOO_LONG: 1}
    a.wait(1.25)
    assert a.drops == {DropReason.HELD_TOO_LONG: 2}


def test_held_frames_too_old_do_not_leave_even_when_nobody_swept() -> None:
    a, b = strangers()
    a.do(SetPath(b.fingerprint, Path(b.endpoint)))
    a.send(ethernet(b.mac, a.mac))
    a.now += 3.0
    allow(a, b)
    assert a.outputs() == [] and a.drops == {DropReason.HELD_TOO_LONG: 1}


@pytest.mark.parametrize(("size", "kept"), [(100, 32), (1500, 32), (9000, 7)])
def test_held_frames_are_bounded_and_the_oldest_goes(size: int, kept: int) -> None:
    a, b = strangers()
    a.open(mtu=9000)
    frames = [ethernet(b.mac, a.mac, bytes([n]) * size) for n in range(40)]
    a.send(*frames)
    assert a.drops == {DropReason.HELD_OVERFLOW: 40 - kept}
    a.do(SetPath(b.fingerprint, Path(b.endpoint), 20_000))
    allow(a, b)
    opened = transport_of(key_of(a, b, NETWORK, SESSION)).open
    out = [one.datagram for one in a.outputs()]
    texts = [opened(n, data[:8], data[8:]) for n, data in enumerate(out)]
    assert texts == frames[-kept:]


def test_held_frames_go_with_what_they_wait_for() -> None:
    for command, reason in (
        (RemoveSend, DropReason.HELD_TOO_LONG),
        (RemoveMember, DropReason.NOT_A_MEMBER),
    ):
        a, b = strangers()
        a.send(ethernet(b.mac, a.mac))
        if command is RemoveSend:
            a.do(RemoveSend(b.fingerprint, NETWORK), RemoveSend(b"?" * 32, NETWORK))
        else:
            a.do(RemoveMember(NETWORK, b.fingerprint))
        assert a.drops == {reason: 1}
        a.do(SetPath(b.fingerprint, Path(b.endpoint)))
        allow(a, b)
        assert a.outputs() == []
