"""Sessions of a pair that begin: lost datagrams, crossing handshakes, peers started anew."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from l2mesh.datapath.interface import InstallReceive, InstallSend
from l2mesh.session.handshake import Refusal
from l2mesh.session.outputs import (
    ConnectFailed,
    SendHandshake,
    SessionCurrent,
    SessionLive,
)
from tests.unit.session.pair import (
    LATENCY_S,
    NETWORK,
    Data,
    Host,
    Packet,
    World,
    connected,
    inits,
    is_handshake,
    traffic,
)


def lose(world: World, count: int, is_one: Callable[[Packet], bool]) -> list[Packet]:
    """Lose the first few packets of a kind; those that were lost so far."""
    lost: list[Packet] = []

    def drop(_host: Host, packet: Packet) -> bool:
        is_lost = is_one(packet) and len(lost) < count
        if is_lost:
            lost.append(packet)
        return is_lost

    world.drop = drop
    return lost


def test_frames_flow_both_ways_after_one_round_trip() -> None:
    world = World()
    world.accept()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.run(2 * LATENCY_S)
    assert world.frame(world.a, "first")
    world.run(LATENCY_S)
    assert world.b.got == ["first"]
    assert world.frame(world.b, "back")
    world.run(LATENCY_S)
    assert world.a.got == ["back"]


def test_receive_keys_are_installed_before_the_datagram_that_announces_them() -> None:
    world = connected()
    kinds = [type(each) for each in world.b.log]
    assert kinds[:3] == [InstallReceive, InstallReceive, SendHandshake]
    assert kinds[3:] == [InstallSend, SessionLive, SessionCurrent, InstallSend]


def test_connect_is_idempotent() -> None:
    world = connected()
    for _ in range(3):
        world.a.sessions.connect(world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 1


@pytest.mark.parametrize("kind", [1, 2])
def test_lost_handshake_datagrams_are_made_up_for(kind: int) -> None:
    world = World()
    world.accept()
    lost = lose(world, 2, lambda packet: is_handshake(packet, kind))
    world.connect()
    world.run(2.0)
    assert len(lost) == 2
    assert world.agreed()
    assert len(inits(world, world.a)) == 3


def test_lost_confirmation_is_repeated() -> None:
    world = World()
    lose(world, 3, lambda packet: isinstance(packet, Data))
    world.connect()
    world.run(3.0)
    assert world.agreed()
    assert len(inits(world, world.a)) == 1


def test_retries_follow_the_schedule_and_end_after_30_seconds() -> None:
    world = World()
    times: list[float] = []

    def drop(_host: Host, _packet: Packet) -> bool:
        times.append(world.now)
        return True

    world.drop = drop
    world.connect()
    world.run(60.0)
    waits = [later - earlier for earlier, later in pairwise(times)]
    for wait, nominal in zip(waits, [0.5, 0.5, 0.5, 1, 1, 1, 2, 2, 5, 5, 5, 5], strict=False):
        assert nominal <= wait <= 1.1 * nominal
    assert times[-1] < times[0] + 30.0
    assert len({each[4:8] for each in inits(world, world.a)}) == len(times)
    assert len({each[8:40] for each in inits(world, world.a)}) == len(times)
    assert world.a.events(ConnectFailed) == [ConnectFailed()]
    assert world.a.sessions.next_timeout() is None
    assert len(world.a.indices) == 0


def test_the_last_two_attempts_can_be_answered() -> None:
    world = World(drop=lambda _host, _packet: True)
    world.connect()
    world.run(0.3)
    first, second, third = inits(world, world.a)
    world.drop = lambda _host, _packet: False
    world.arrive(world.b, first)
    world.run(LATENCY_S)
    assert world.a.refused == [Refusal.UNKNOWN]
    world.arrive(world.b, second)
    world.run(3 * LATENCY_S)
    assert world.agreed()
    world.arrive(world.b, third)
    world.run(1.0)
    assert world.a.refused == [Refusal.UNKNOWN] * 2
    assert len(world.a.events(SessionLive)) == 1


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.019, 0.021, 0.03, 0.041, 0.05, 0.07])
@pytest.mark.parametrize("a_first", [True, False])
def test_crossing_handshakes_converge_on_one_session(gap: float, *, a_first: bool) -> None:
    world = World()
    world.accept()
    first, second = (world.a, world.b) if a_first else (world.b, world.a)
    for host, at in ((first, world.now), (second, world.now + gap)):
        world.at(at, lambda host=host: host.sessions.connect(world.now))  # type: ignore[misc]
    world.run(4.0)
    assert world.agreed()
    assert world.frame(world.a, "x") and world.frame(world.b, "y")
    assert world.a.send[NETWORK].session == world.a.sessions.current
    assert world.b.send[NETWORK].session == world.b.sessions.current
    world.run(1.0)
    assert (world.a.got, world.b.got) == (["y"], ["x"])
    if gap == 0.0:
        assert isinstance(world.a.log[-1], SessionLive | SessionCurrent | InstallSend)
        lives = {each.initiator for each in world.a.log if isinstance(each, SessionLive)}
        assert True in lives, "the smaller fingerprint's session is used"


def test_after_a_restart_of_the_peer_the_newer_session_is_used_though_they_cross() -> None:
    world = World()
    world.accept()
    world.connect(world.a)
    world.a = Host("a", world.a.local, world.b.local, world.a.random)
    world.a.sessions.accept(NETWORK, None, world.now)
    world.run(3.0)
    world.b.sessions.restart(world.now)
    world.pump(world.b)
    world.run(1.0)
    assert world.agreed()


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("again", ["a", "b"])
def test_a_peer_that_was_started_anew_within_seconds_is_heard(first: str, again: str) -> None:
    world = World()
    world.accept()
    world.connect(getattr(world, first))
    fresh: Host = getattr(world, again)
    fresh = Host(again, fresh.local, world.other(fresh).local, fresh.random)
    setattr(world, again, fresh)
    fresh.sessions.accept(NETWORK, None, world.now)
    world.connect(fresh)
    assert world.agreed()
    traffic(world, 5.0, every=1.0)
    assert fresh.lost == 0


def test_session_on_which_nothing_came_gives_way_after_three_seconds() -> None:
    """The peer died as soon as it had answered; what its successor began is heard."""
    world = World()
    world.accept()
    world.a.sessions.connect(world.now)
    world.pump(world.a)
    world.run(2.5 * LATENCY_S)
    silent = world.a.sessions.current
    assert silent is not None
    world.b = Host("b", world.b.local, world.a.local, world.b.random)
    world.b.sessions.accept(NETWORK, None, world.now)
    world.b.sessions.connect(world.now)
    world.pump(world.b)
    world.run(2.8)
    assert world.a.sessions.current == silent
    world.run(0.5)
    assert world.a.sessions.current != silent and world.agreed()
    world.run(10.0)
    assert world.agreed()


@pytest.mark.parametrize("end", ["a", "b"])
def test_a_handshake_begun_on_purpose_is_no_crossing(end: str) -> None:
    world = connected()
    host: Host = getattr(world, end)
    host.sessions.key_spent(host.sessions.current or 0, world.now)
    world.pump(host)
    world.run(1.0)
    assert len(host.events(SessionCurrent)) == 2 and world.agreed()


def test_restart_begins_once_in_five_seconds() -> None:
    world = connected()
    world.drop = lambda _host, _packet: True
    world.run(5.0)
    for _ in range(3):
        world.a.sessions.restart(world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 2
    assert world.a.sessions.current is not None


def test_restart_asked_for_too_early_begins_later() -> None:
    world = connected()
    world.run(1.0)
    world.a.sessions.restart(world.now)
    world.pump(world.a)
    assert len(inits(world, world.a)) == 1
    world.run(4.5)
    assert len(inits(world, world.a)) == 2 and world.agreed()
    world.run(60.0)
    assert len(inits(world, world.a)) == 2, "once"


def test_restart_asked_for_too_early_is_spared_by_another_session() -> None:
    world = connected()
    world.run(1.0)
    world.a.sessions.restart(world.now)
    world.b.sessions.key_spent(world.b.sessions.current or 0, world.now)
    world.pump(world.b)
    world.run(10.0)
    assert len(inits(world, world.a)) == 1 and world.agreed()
