"""Sessions of a pair that are renewed, lapse and end, and never lose a frame."""

import pytest

from l2mesh.datapath.interface import RemoveSend, RemoveSession
from l2mesh.session.outputs import (
    ConnectFailed,
    SessionDead,
    SessionLive,
)
from tests.unit.session.pair import (
    Data,
    Host,
    Packet,
    connected,
    inits,
    is_handshake,
    traffic,
)


def test_rekey_under_constant_traffic_loses_nothing() -> None:
    world = connected()
    sent = traffic(world, 400.0)
    assert (world.a.got, world.b.got) == sent
    assert world.a.lost == world.b.lost == 0
    assert len(world.a.events(SessionLive)) == 4
    assert len(world.a.events(SessionDead)) == 2


@pytest.mark.parametrize("kind", [1, 2])
def test_rekey_survives_lost_handshakes(kind: int) -> None:
    world = connected()
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        if is_handshake(packet, kind) and len(lost) < 4:
            lost.append(packet)
            return True
        return False

    world.drop = drop
    sent = traffic(world, 200.0)
    assert len(lost) == 4
    assert (world.a.got, world.b.got) == sent


def test_rekey_survives_a_lost_confirmation() -> None:
    world = connected()
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        if isinstance(packet, Data) and packet.content is None:
            lost.append(packet)
            return True
        return False

    world.drop = drop
    sent = traffic(world, 130.0)
    assert lost
    assert (world.a.got, world.b.got) == sent
    assert len(world.b.events(SessionLive)) == 2, "a frame confirms as well"


def test_responder_renews_at_150_seconds_if_the_initiator_does_not() -> None:
    world = connected()
    world.drop = lambda host, packet: host is world.a and is_handshake(packet, 1)
    traffic(world, 155.0, every=0.5)
    assert len(inits(world, world.b)) == 1
    assert len(world.b.events(SessionLive)) == 2
    assert world.agreed()


def test_spent_key_is_renewed_at_once() -> None:
    world = connected()
    current = world.a.sessions.current
    assert current is not None
    world.a.sessions.key_spent(current, world.now)
    world.pump(world.a)
    world.run(1.0)
    assert world.a.sessions.current != current
    world.a.sessions.key_spent(current, world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 2


def test_keys_are_erased_at_180_seconds() -> None:
    world = connected()
    assert world.frame(world.a, "in use") and world.frame(world.b, "in use")
    world.run(0.4)
    world.drop = lambda _host, _packet: True
    world.run(178.5)
    assert world.a.receive and world.a.sessions.current is not None
    world.run(1.2)
    for host in (world.a, world.b):
        assert host.sessions.current is None
        assert not host.receive and not host.control and not host.send
        assert host.events(RemoveSession) and host.events(SessionDead)
        assert not host.events(RemoveSend)
    world.run(60.0)
    assert len(world.a.indices) == len(world.b.indices) == 0


def test_session_without_frames_for_600_seconds_lapses() -> None:
    world = connected()
    traffic(world, 10.0)
    world.run(1200.0)
    assert world.a.sessions.current is None and world.b.sessions.current is None
    # born at 0 and, once that was worn by use, at 120; the second one was never used
    assert len(world.a.events(SessionLive)) == 2


def test_session_that_carried_nothing_is_renewed_with_its_first_frame() -> None:
    world = connected()
    world.run(400.0)
    assert len(inits(world, world.a)) == 1
    sent = traffic(world, 200.0)
    assert (world.a.got, world.b.got) == sent
    assert world.a.lost == world.b.lost == 0
    assert len(inits(world, world.a)) == 3 and world.agreed()


def test_session_that_carried_nothing_is_erased_at_600_seconds() -> None:
    world = connected()
    world.drop = lambda _host, _packet: True
    world.run(598.0)
    assert world.a.sessions.current is not None
    world.run(3.0)
    assert not world.a.receive and world.a.events(SessionDead)


def test_keys_of_a_late_first_frame_are_erased_60_seconds_after_it() -> None:
    """Forward secrecy counts from the frame, though the session was left alone for long."""
    world = connected()
    world.run(400.0)
    world.drop = lambda _host, packet: is_handshake(packet, 1)  # nothing replaces it
    assert world.frame(world.a, "late") and world.frame(world.b, "late")
    world.run(58.0)
    assert world.a.receive and world.b.receive
    world.run(3.0)
    for host in (world.a, world.b):
        assert not host.receive and not host.control and not host.send


def test_session_that_is_always_wanted_never_lapses() -> None:
    world = connected()
    world.b.sessions.always = True
    world.run(2000.0)
    assert world.agreed()
    assert world.b.sessions.next_timeout() is not None


def test_frame_after_a_long_pause_renews_a_session_past_its_rekey() -> None:
    world = connected()
    for host in (world.a, world.b):
        host.sessions._renewal.frame_at = world.now - 1000.0
    world.run(160.0)
    assert len(inits(world, world.a)) == 1
    world.frame(world.a, "x")
    world.run(1.0)
    assert len(inits(world, world.a)) == 2
    assert world.agreed()


def test_given_up_renewal_begins_again_while_frames_pass() -> None:
    world = connected()
    world.run(110.0)
    world.drop = lambda _host, packet: is_handshake(packet, 1)
    traffic(world, 45.0, every=1.0)
    assert world.a.events(ConnectFailed)
    world.drop = lambda _host, _packet: False
    traffic(world, 20.0, every=1.0)
    assert len(world.a.events(SessionLive)) == 2


def test_confirmed_sessions_are_capped() -> None:
    world = connected()
    for _ in range(12):
        world.run(6.0)
        world.a.sessions.restart(world.now)
        world.pump(world.a)
    world.run(1.0)
    for host in (world.a, world.b):
        assert len({each.session for each in host.receive.values()}) == 8
    assert world.agreed()


def test_close_erases_everything() -> None:
    world = connected()
    world.a.sessions.restart(world.now + 10.0)
    world.a.sessions.close(world.now)
    world.pump(world.a)
    assert world.a.sessions.accepted == {}
    assert not world.a.receive and not world.a.control and not world.a.send
    assert world.a.sessions.next_timeout() is None
    assert len(world.a.indices) == 0
    assert len(world.a.events(SessionDead)) == 1


def test_dropped_session_gives_way_to_the_one_before() -> None:
    world = connected()
    first = world.a.sessions.current
    world.run(6.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    world.run(1.0)
    second = world.a.sessions.current
    assert second is not None and second != first
    world.a.sessions.drop(second, world.now)
    world.pump(world.a)
    assert world.a.sessions.current == first
    assert not world.frame(world.a, "x"), "its index for the network was given up"
